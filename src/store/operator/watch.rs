//! Whoever waits for something that takes long: told how far it is, asked whether to go on.

use std::fmt;
use std::sync::Arc;

use rusqlite::ffi;

/// How far something has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is under way, in a few words; empty: nothing new is to be told.
    pub doing: &'static str,
    /// How much of it is done: pages of a copy, rows looked at since the beginning.
    pub done: u64,
    /// Of how much, where that is known.
    pub of: Option<u64>,
}

/// Is told how far something has come, and says whether to go on. A clone is the same.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(Progress) -> bool + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Somebody who is told, often, and answers `false` to have it end.
    pub fn new(told: impl Fn(Progress) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// Nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(|_| true)
    }

    /// Tells; what is not to go on ends as a statement does that SQLite was told to interrupt.
    pub(super) fn tell(&self, doing: &'static str, done: u64, of: Option<u64>) -> rusqlite::Result<()> {
        match (self.0)(Progress { doing, done, of }) {
            true => Ok(()),
            false => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)),
        }
    }

    /// Whether to go on, within one long statement.
    pub(super) fn goes_on(&self) -> bool {
        (self.0)(Progress { doing: "", done: 0, of: None })
    }
}
