//! What outlives the process: one folder per world, one SQLite file in it.
//!
//! *Does*: creates and opens a save, lets one process at a time have it, migrates its schema, writes images of
//! the world, counters reserved ahead, what is kept of players, and carries out plans of rewards, each in one durable
//! transaction on a thread of its own, and finds the newest image that is whole.
//! *Does not*: know what is in an image (its bytes are opaque), nor run inside a tick. Nothing here is ever
//! waited for by a paced tick: a full queue hands the request back.
//! *Reads and writes*: the world's folder, nothing else. The only user of rusqlite.
//!
//! | file in `saves/NAME` | holds |
//! |---|---|
//! | `world.db` (+ `-wal`, `-shm`) | everything that lasts |
//! | `lock` | an flock while a process has the save |
//! | `run.json` | pid and addresses while the world runs |
//! | `admin.token` | the operator's token of a loopback world |
//!
//! All of them have mode 0600, the folder 0700.

mod assets;
mod bank;
mod commit;
mod compensation;
mod courier;
mod database;
mod error;
mod fence;
mod folder;
pub mod game;
mod image;
mod log;
pub mod operator;
mod outbox;
mod players;
mod reference;
mod request;
mod retention;
mod rows;
mod run_file;
mod save;
mod schema;
mod stats;
mod summary;
#[cfg(test)]
mod tests;
mod thread;
mod world;

pub use bank::Bank;
pub use commit::PlanOutcome;
pub use compensation::{
    Compensation, CompensationDone, CompensationKind, CompensationOrder, CompensationVerb,
};
pub use courier::{Courier, Couriers};
pub use error::StoreError;
pub use folder::{SaveFolder, UnusedSave};
pub use image::{IMAGES_KEPT, Image, PART_BYTES_MAX};
pub use outbox::{DELIVERY_ATTEMPTS_MAX, Delivery, OutboxWork};
pub use players::{ClaimAnswer, PlayerWork, PlayersDone};
pub use reference::ReferenceWrite;
pub use request::{Asked, Refused, StoreRequest, StoreResult};
pub use retention::{Retention, Tidied};
pub use run_file::{RunFile, RunInfo};
pub use save::{Store, counter};
pub use stats::StoreStats;
pub use summary::{ChangedClock, ChangedHolding, MutationSummary, Settling, ShownLine, ShownReward};
pub use thread::{REQUESTS_MAX, RESULTS_MAX, StoreHandle};
pub use world::{WorldIdentity, WorldRecord};
