//! A disk that fails, stalls and loses power, under SQLite: for tests of what a save promises.
//!
//! *Does*: stands between SQLite and the system as the default VFS of the process, so that the program under test needs no switch
//! and opens its files as ever. Below the folder of a [`Disk`] it counts calls, lets chosen ones fail, wait or be the last thing that the process does, and records what
//! is written and synced; from that it tells what the disk may hold after power was lost at any moment of the run.
//! *Does not*: see what the program does to files by itself, past SQLite: a file that it puts there, renames, or writes to
//! after a failed sync is believed to be durable as it stands. It syncs nothing: whether the system's sync works is not what is tested here.
//! *Reads and writes*: the files below the folders of its disks. All others are left to the VFS that was there before.
//!
//! ```
//! use terrane_faulty_disk::{Call, Disk, Fault};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let disk = Disk::below(folder.path());
//! let connection = rusqlite::Connection::open(folder.path().join("some.db")).unwrap();
//! disk.fail(Fault::once(Call::Write, 1));
//! connection.execute_batch("CREATE TABLE t (x)").unwrap_err();
//! connection.execute_batch("CREATE TABLE t (x)").unwrap();
//! ```

mod crash;
mod disk;
mod faults;
mod journal;
mod power;
mod recorder;
mod vfs;

pub use crash::{Crash, Edge, FileKind};
pub use disk::{Disk, Stall};
pub use faults::{Call, Done, Fault};
pub use journal::Journal;
pub use power::{Moment, SECTOR_BYTES, Survivors, When};
