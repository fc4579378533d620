//! Tracy: a frame mark per tick, a zone per tick set, and a zone per slot in every stage that runs cells.
//!
//! The zones are those of [`TickSystems::ORDER`](crate::tick::TickSystems::ORDER); none is named by hand. A slot has one
//! source location per stage, made once, whichever cell it holds: Tracy counts locations in 16 bits, and cells come
//! and go. Without the feature `tracy` the same calls compile to nothing.

#[cfg(not(feature = "tracy"))]
mod off;
#[cfg(feature = "tracy")]
mod on;

#[cfg(not(feature = "tracy"))]
pub use off::{ZoneGuard, ZoneTable};
#[cfg(feature = "tracy")]
pub use on::{ZoneGuard, ZoneTable};

/// Most slots that get zones of their own: twice as many locations stay far below Tracy's 16 bits.
pub const SLOT_ZONES_MAX: usize = 8_192;
