//! Which call fails, how often, and what of it is done all the same.

use std::ffi::c_int;

use rusqlite::ffi;

/// A kind of call that SQLite makes to its VFS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// To open a file.
    Open,
    /// To remove one.
    Delete,
    /// To ask whether one is there.
    Access,
    /// To read.
    Read,
    /// To write.
    Write,
    /// To cut a file off.
    Truncate,
    /// To make what was written durable.
    Sync,
    /// To ask for a file's size.
    FileSize,
    /// To lock a file.
    Lock,
    /// To map a part of the shared index of the write-ahead log.
    ShmMap,
    /// To take a lock in it; letting one go never fails.
    ShmLock,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Open,
        Self::Delete,
        Self::Access,
        Self::Read,
        Self::Write,
        Self::Truncate,
        Self::Sync,
        Self::FileSize,
        Self::Lock,
        Self::ShmMap,
        Self::ShmLock,
    ];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The result codes with which SQLite's own VFS tells that such a call failed, the commonest first.
    #[must_use]
    pub fn codes(self) -> &'static [c_int] {
        match self {
            Self::Open => &[ffi::SQLITE_CANTOPEN, ffi::SQLITE_IOERR],
            Self::Delete => &[ffi::SQLITE_IOERR_DELETE],
            Self::Access => &[ffi::SQLITE_IOERR_ACCESS],
            Self::Read => &[ffi::SQLITE_IOERR_READ],
            Self::Write => &[ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_FULL],
            Self::Truncate => &[ffi::SQLITE_IOERR_TRUNCATE],
            Self::Sync => &[ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC],
            Self::FileSize => &[ffi::SQLITE_IOERR_FSTAT],
            Self::Lock => &[ffi::SQLITE_IOERR_LOCK, ffi::SQLITE_IOERR_RDLOCK],
            Self::ShmMap => &[ffi::SQLITE_IOERR_SHMMAP, ffi::SQLITE_IOERR_SHMSIZE],
            Self::ShmLock => &[ffi::SQLITE_IOERR_SHMLOCK],
        }
    }

    /// What may be done of such a call that is told as failed.
    #[must_use]
    pub fn ways(self) -> &'static [Done] {
        match self {
            Self::Write => &[Done::Nothing, Done::Half, Done::All],
            Self::Truncate | Self::Sync | Self::Delete => &[Done::Nothing, Done::All],
            // Of the others nothing stays: what was opened or locked nobody would ever let go.
            _ => &[Done::Nothing],
        }
    }
}

/// What is done of a call that is told as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// The first half of a write.
    Half,
    /// Everything.
    All,
}

/// Calls that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of which kind.
    pub call: Call,
    /// The first of them, counted from 1 from the moment that the fault is given to the disk.
    pub nth: u64,
    /// How many in a row; `u64::MAX`: all from there on.
    pub times: u64,
    /// What SQLite is told.
    pub code: c_int,
    /// What is done all the same.
    pub done: Done,
}

impl Fault {
    /// One call fails in the commonest way, and nothing of it is done.
    #[must_use]
    pub fn once(call: Call, nth: u64) -> Self {
        Self { call, nth, times: 1, code: call.codes()[0], done: Done::Nothing }
    }

    /// The same, and so do all after it.
    #[must_use]
    pub fn from_then_on(call: Call, nth: u64) -> Self {
        Self { times: u64::MAX, ..Self::once(call, nth) }
    }

    /// Whether this call, the so-and-so-many-th of its kind, is one of them.
    pub(crate) fn hits(&self, call: Call, number: u64) -> bool {
        call == self.call && number >= self.nth && number - self.nth < self.times
    }
}
