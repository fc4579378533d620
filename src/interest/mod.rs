//! Interest: who is near whom, cell by cell.
//!
//! **Does**: keeps one R-tree per cell over small buckets of its entities, owned and ghosts alike
//! ([`SpatialIndex`]); finds each viewer's candidates in it ([`gather`]); answers game systems' questions about
//! the neighbourhood ([`Nearby`]). It alone knows `rstar`.
//!
//! **Does not**: decide what a viewer may see, keep or drop anything from a view, cap it, or run systems: the
//! cell calls it in `Interest`.
//!
//! **Reads**: the positions, rows and names that its caller passes in. A cell's index must hold everything
//! within the ghost margin of its box; then no answer depends on where the borders of cells are.
//!
//! **Writes**: the index, the lists of candidates, and nothing else.

mod candidates;
mod index;
mod nearby;
mod radix;
pub mod stage;

pub use candidates::{Candidates, GatherScratch, Viewer, gather};
pub use index::{BUCKET_EDGE_M_DEFAULT, IndexEntry, SpatialIndex};
pub use nearby::{LastIndex, Nearby, NearbyError, Neighbour};
pub use stage::{InterestSettings, Viewers};

#[cfg(test)]
mod tests;
