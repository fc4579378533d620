//! What players ask the world to do.
//!
//! *Does*: declares actions, takes each once or refuses it, and gives every id exactly one answer. What reaches the caller's
//! own data runs in the cell that owns it; what reaches a party's, or everybody's, runs on the node, where all cells are at
//! hand, in its place in the order (actor, the client's order).
//! *Does not*: trust anything: payloads are decoded with bounds, callers are checked, repeats get the first answer.
//! *Reads*: actions of the tick's input. *Writes*: the components that an action's scope gives it, parties, replies, audit
//! rows.

pub mod act;
pub mod declare;
pub mod global;
pub mod group;
pub mod kinds;
pub mod memory;
pub mod own;
pub mod pace;
pub mod tally;

mod effects;
mod taking;

pub use declare::{
    Action, Caller, Coalesce, Durability, DurabilityType, GlobalScope, GroupScope, Immediate, InMemory,
    Limit, OwnScope, Pace, Scope, ScopeType,
};
pub use effects::ActionEffects;
pub use global::{GlobalContext, GlobalHandler};
pub use group::{Group, GroupContext, GroupHandler};
pub use kinds::reason_of;
pub use own::{OwnContext, OwnHandler};
pub use terrane_macros::Action;
