//! What outlives the process: one folder per world, one SQLite file in it.
//!
//! *Does*: creates and opens a save, lets one process at a time have it, migrates its schema, writes images of
//! the world, counters reserved ahead and what is kept of players, each in one durable transaction on a thread of its own,
//! and finds the newest image that is whole.
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

mod database;
mod error;
mod folder;
mod image;
mod players;
mod run_file;
mod save;
mod schema;
#[cfg(test)]
mod tests;
mod thread;
mod world;

pub use error::StoreError;
pub use folder::{SaveFolder, UnusedSave};
pub use image::{IMAGES_KEPT, Image, PART_BYTES_MAX};
pub use players::{PlayerWork, PlayersDone};
pub use run_file::{RunFile, RunInfo};
pub use save::{Store, counter};
pub use thread::{
    Asked, REQUESTS_MAX, RESULTS_MAX, Refused, StoreHandle, StoreRequest, StoreResult, StoreStats,
};
pub use world::{WorldIdentity, WorldRecord};
