//! What operators do with a save, whether its world runs or not.
//!
//! *Does*: looks through a save for what cannot be, copies it, counts what is in it, and mends what can be mended for certain.
//! *Does not*: write to the save of a world that runs; that is its store thread's to do. It is copied first where looking at it
//! takes long, since whoever reads keeps the write-ahead log from beginning anew.
//! *Reads and writes*: the world's folder, and where a copy is to be.

mod access;
mod backup;
mod copy;
mod figures;
mod leftovers;
mod ranks;
mod repair;
mod verify;
mod watch;

pub use backup::{BackedUp, LastBackup, back_up};
pub use figures::{AssetFigures, HouseFigures, SaveFigures, TableFigures, figures};
pub use ranks::{AssetRanks, SaveRanks, ranks};
pub use repair::{Mended, Repaired, repair};
#[cfg(test)]
pub(super) use verify::balances_of;
pub use verify::{AssetTotals, PROBLEMS_LISTED, Problem, ProblemKind, Totals, Verified, verify};
pub use watch::{Progress, Watch};
