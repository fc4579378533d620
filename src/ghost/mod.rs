//! What a cell shows its neighbours, and what it keeps of theirs.
//!
//! *Does*: exports the owned entities near a border, with what a ghost may know of them; imports those of all
//! neighbours within the margin, changes only.
//! *Does not*: move authority (that is `cell::handover`) nor tell ghosts from owned entities in queries (the
//! `Ghost` marker does).
//! *Reads*: owned entities in `Simulate`, published exports in `Interest`. *Writes*: ghosts.

pub mod column;
pub mod export;
pub mod import;

pub use export::Export;
