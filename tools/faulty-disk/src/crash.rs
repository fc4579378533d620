//! Where a process dies: at a call that SQLite makes, and not at a moment that nobody knows.

use std::path::Path;

use crate::faults::Call;

/// Which file of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The database itself.
    Main,
    /// Its write-ahead log.
    Log,
    /// Anything else.
    Other,
}

impl FileKind {
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("db" | "new") => Self::Main,
            Some(extension) if extension.ends_with("-wal") => Self::Log,
            _ => Self::Other,
        }
    }
}

/// Before or after what the call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Nothing of it is done.
    Before,
    /// It is done, and nobody has heard of it.
    After,
}

/// The process ends at this call, as if it were killed. Only writes and syncs are such calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// On which file.
    pub file: FileKind,
    /// [`Call::Write`] or [`Call::Sync`].
    pub call: Call,
    /// Which of them, counted from 1 from the moment that the crash is given to the disk.
    pub nth: u64,
    /// On which side of it.
    pub edge: Edge,
}

/// A crash that is to come.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) crash: Crash,
    pub(crate) seen: u64,
}

impl Coming {
    /// Whether the process ends here.
    pub(crate) fn is_here(&mut self, file: FileKind, call: Call, edge: Edge) -> bool {
        if (file, call) != (self.crash.file, self.crash.call) {
            return false;
        }
        self.seen += u64::from(edge == Edge::Before);
        edge == self.crash.edge && self.seen == self.crash.nth
    }
}
