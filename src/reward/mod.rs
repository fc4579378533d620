//! Rewards: what a player pays and gets, decided before anything is written.
//!
//! *Does*: turns what a use case asks for ([`PlanRequest`]) and what is frozen for it ([`PlanContext`]) into a flat
//! [`MutationPlan`], purely: the same input gives the same bytes.
//! *Does not*: write, read clocks, or roll twice; know bevy or SQLite. The store's executor carries plans out, and what came
//! of one is told by its summary alone.
//! *Reads*: its arguments. *Writes*: nothing.
//!
//! Value is one thing throughout: so much of an *asset* in the hands of an *account*. It only ever moves from one account to
//! another, so nothing is made and nothing is lost; where it comes from and goes to are *houses*, which may be below nothing.

mod account;
mod asset;
mod chance;
mod claim;
mod context;
mod display;
mod holdings;
mod name;
mod plan;
mod planner;
mod pool;
mod refusal;
mod request;
mod rolls;
mod scratch;
mod submission;
pub mod tables;
#[cfg(test)]
mod tests;

pub use account::{Account, EXPIRED_HOUSE, REGENERATION_HOUSE};
pub use asset::{AssetClass, Lot};
pub use claim::{Claim, ClaimKey};
pub use context::PlanContext;
pub use display::DisplayReward;
pub use holdings::Holdings;
pub use name::{NAME_BYTES_MAX, Name, NameError};
pub use plan::{AffectedDomains, Mutation, MutationPlan, Participant, PlannedLine};
pub use planner::plan;
pub use refusal::PlanRefusal;
pub use request::{Overflow, Part, Pick, PlanRequest};
pub use submission::{CommitBatch, Submission};
pub use tables::RewardTables;
