//! What players ask the world to do.
//!
//! *Does*: declares actions, routes each to the cell that owns the caller, runs its handler there, and gives
//! every id exactly one answer.
//! *Does not*: trust anything: payloads are decoded with bounds, callers are checked, repeats get the first
//! answer.
//! *Reads*: actions of the tick's input. *Writes*: the caller's components, replies.

pub mod act;
pub mod declare;
pub mod kinds;
pub mod memory;

pub use declare::{Action, Caller, Scope};
pub use kinds::{ActionContext, ActionHandler};
pub use terrane_macros::Action;
