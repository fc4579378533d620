//! What can be wrong with tables.

use super::BOX_DEPTH_MAX;
use crate::reward::name::Name;

/// What is wrong with tables. Each message names what, where and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TablesError {
    /// Something is named that is not there.
    #[error("{place} names the {what} `{name}`, which is not there: define it, or correct the name")]
    Dangling {
        /// Where.
        place: String,
        /// What.
        what: &'static str,
        /// Its name.
        name: Name,
    },
    /// Two of one name.
    #[error("the {what} `{name}` is defined twice: leave one out")]
    Twice {
        /// What.
        what: &'static str,
        /// Its name.
        name: Name,
    },
    /// Tables and boxes lead back to themselves, so that they would never end.
    #[error("{chain}: boxes and loot tables must not lead back to themselves; break the chain")]
    Cycle {
        /// The chain.
        chain: String,
    },
    /// Boxes lie too deep in one another.
    #[error("{chain}: boxes and loot tables may lie at most {BOX_DEPTH_MAX} deep in one another")]
    TooDeep {
        /// The chain.
        chain: String,
    },
    /// A number out of its range.
    #[error("{place} is {found}: expected {expected}")]
    Range {
        /// Where.
        place: String,
        /// What it is.
        found: u64,
        /// What it must be.
        expected: String,
    },
    /// A box that is not of the class that boxes are.
    #[error("the box `{0}` is no item that is stacked or single: only items can be boxes")]
    NoItem(Name),
}
