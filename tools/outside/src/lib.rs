//! The caravan game as a crate of its own. What its sources call `crate` is, here, what Terrane shows to everybody: a use of
//! anything else does not compile.

pub use terrane::*;

#[path = "../../../src/caravan/mod.rs"]
pub mod caravan;
