//! The cells: who owns what, and the one writer of each.
//!
//! *Does*: holds each cell's bevy `World` in a slot of its own, runs the game's systems there, keeps entities
//! inside the world and within a step, and hands those that cross a border to their new owner.
//! *Does not*: know players or sockets. *Reads*: routed actions and messages. *Writes*: entities, row changes,
//! exports, answers.

mod archetypes;
pub mod attached;
pub mod audit;
pub mod body;
pub mod context;
mod executor;
mod game_error;
mod groups;
pub mod handover;
pub mod kinds;
pub mod layout;
pub mod markers;
pub mod message;
pub mod partition;
pub mod persist;
pub mod pool;
pub mod published;
pub mod registration;
pub mod requests;
pub mod slot;
pub mod step;
pub mod survey;

pub use body::Cell;
pub use layout::Layout;
pub use step::SpaceLimits;
