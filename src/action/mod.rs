//! What players may ask the world to do.
//!
//! *Does*: lets a game declare its actions: whose data each may reach, who may call it and what it is answered with.
//! *Does not*: know what any of them means.

pub mod declare;

pub use declare::{Action, Caller, Scope};
pub use terrane_macros::Action;
