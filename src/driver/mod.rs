//! What moves the world: a pacer or lockstep outside, sealed inputs inside.
//!
//! *Does*: gathers what transports and the store have for the next tick, seals it, runs the tick, and takes its
//! output where it belongs; starts and ends everything around it in order.
//! *Does not*: decide anything about the world.
//! *Reads*: transports, the clock, the store's answers, signals. *Writes*: transports, requests to the store.

mod ask;
mod command;
mod compensations;
mod dispatcher;
mod error;
pub mod exchange;
mod live;
mod moderation;
mod observe;
mod operator;
mod operator_text;
mod pacer;
mod players;
mod reference;
mod rows;
mod run;
mod saving;
mod setup;
mod signals;
mod troubles;
mod watch;

/// Calendar time of tick 0 in lockstep: 2026-01-01, in milliseconds since 1970.
pub const LOCKSTEP_EPOCH_MS: u64 = 1_767_225_600_000;

pub use command::WorldServer;
pub use error::RunError;
pub use exchange::Exchange;
pub use run::{BotsRequest, InProcessPlayers};
