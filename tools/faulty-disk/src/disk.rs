//! A disk as a test sees it.

use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::ffi;

use crate::crash::{Coming, Crash, Edge, FileKind};
use crate::faults::{Call, Done, Fault};
use crate::journal::Journal;
use crate::recorder::{FileId, Recorder};
use crate::vfs;

/// No call is waited for so long; one that would be is never made.
const STUCK: Duration = Duration::from_secs(60);

/// All disks of the process.
static DISKS: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

fn disks() -> MutexGuard<'static, Vec<Arc<Shared>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk that a file is on.
pub(crate) fn disk_of(file: &Path) -> Option<Arc<Shared>> {
    disks().iter().find(|disk| file.starts_with(&disk.folder)).cloned()
}

/// A call that waits.
#[derive(Debug)]
struct Stalled {
    call: Call,
    nth: u64,
    is_reached: bool,
}

#[derive(Debug, Default)]
struct State {
    counts: [u64; Call::ALL.len()],
    fault: Option<Fault>,
    hits: u64,
    stalled: Option<Stalled>,
    crash: Option<Coming>,
    recorder: Option<Recorder>,
}

impl State {
    fn begin_anew(&mut self) {
        self.counts = Default::default();
        self.hits = 0;
    }
}

/// What the VFS and a test know of a disk.
#[derive(Debug)]
pub(crate) struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Passes,
    Fails { code: c_int, done: Done },
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, lets it wait if it is one that does, and says what becomes of it.
    pub(crate) fn begin(&self, call: Call) -> Verdict {
        let mut state = self.state();
        state.counts[call.index()] += 1;
        let number = state.counts[call.index()];
        if let Some(stalled) = &mut state.stalled
            && (stalled.call, stalled.nth) == (call, number)
        {
            stalled.is_reached = true;
            self.changed.notify_all();
            let goes_on = |state: &mut State| state.stalled.is_some();
            state = self.changed.wait_while(state, goes_on).unwrap_or_else(PoisonError::into_inner);
        }
        match state.fault {
            Some(fault) if fault.hits(call, number) => {
                state.hits += 1;
                Verdict::Fails { code: fault.code, done: fault.done }
            }
            _ => Verdict::Passes,
        }
    }

    /// Ends the process, if this is where it ends. Nothing is flushed and nobody is told, as when it is killed.
    fn crash_at(&self, file: FileKind, call: Call, edge: Edge) {
        let mut state = self.state();
        if state.crash.as_mut().is_some_and(|coming| coming.is_here(file, call, edge)) {
            std::process::abort();
        }
    }

    /// Writes something down, if what happens is written down.
    fn record<T>(&self, what: impl FnOnce(&mut Recorder) -> T) -> Option<T> {
        self.state().recorder.as_mut().map(what)
    }

    /// Opens a file, and tells what it is called in what is written down, if something is.
    pub(crate) fn open(&self, file: &Path, open: impl FnOnce() -> c_int) -> (c_int, Option<FileId>) {
        let known = self.record(|recorder| recorder.opens(file)).flatten();
        let code = open();
        let id = match known {
            None if code == ffi::SQLITE_OK => self.record(|recorder| recorder.created(file)),
            known => known,
        };
        (code, id)
    }

    pub(crate) fn removed(&self, file: &Path, is_durable: bool) {
        self.record(|recorder| recorder.removed(file, is_durable));
    }
}

/// A file that SQLite has opened.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) disk: Arc<Shared>,
    /// If it was opened while what happens is written down.
    pub(crate) id: Option<FileId>,
    pub(crate) kind: FileKind,
}

impl OpenFile {
    fn record(&self, what: impl FnOnce(&mut Recorder, FileId)) {
        if let Some(id) = self.id {
            self.disk.record(|recorder| what(recorder, id));
        }
    }

    /// A call begins, or has ended well: the process may end here.
    pub(crate) fn crash_at(&self, call: Call, edge: Edge) {
        self.disk.crash_at(self.kind, call, edge);
    }

    pub(crate) fn wrote(&self, at: u64, bytes: &[u8]) {
        self.record(|recorder, id| recorder.wrote(id, at, bytes));
    }

    pub(crate) fn truncated(&self, len: u64) {
        self.record(|recorder, id| recorder.truncated(id, len));
    }

    pub(crate) fn synced(&self) {
        self.record(Recorder::synced);
    }

    pub(crate) fn sync_failed(&self) {
        self.record(Recorder::sync_failed);
    }
}

/// The disk that everything below one folder is on. Dropped, it is an ordinary one again.
pub struct Disk {
    shared: Arc<Shared>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Disk").field(&self.shared.folder).finish()
    }
}

impl Disk {
    /// Makes a disk of a folder. It works as any other until it is told to do otherwise.
    ///
    /// # Panics
    /// When the folder is not there, or is on such a disk already.
    #[must_use = "dropped at once, it is an ordinary disk"]
    pub fn below(folder: &Path) -> Self {
        vfs::install();
        let folder = folder.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut disks = disks();
        let is_taken =
            |disk: &Arc<Shared>| folder.starts_with(&disk.folder) || disk.folder.starts_with(&folder);
        assert!(!disks.iter().any(is_taken), "{} is on a faulty disk already", folder.display());
        let shared = Arc::new(Shared { folder, state: Mutex::default(), changed: Condvar::new() });
        disks.push(shared.clone());
        Self { shared }
    }

    /// Lets calls fail from now on, and begins to count anew.
    ///
    /// # Panics
    /// When such a call cannot be done in that way and fail all the same.
    pub fn fail(&self, fault: Fault) {
        assert!(
            fault.call.ways().contains(&fault.done),
            "{fault:?}: this leaves behind what nobody can take away"
        );
        let mut state = self.shared.state();
        state.begin_anew();
        state.fault = Some(fault);
    }

    /// Lets all calls pass from now on. Tells how many have failed.
    pub fn heal(&self) -> u64 {
        let mut state = self.shared.state();
        state.fault = None;
        state.hits
    }

    /// Lets the process end at a call, counted from here.
    pub fn crash(&self, crash: Crash) {
        self.shared.state().crash = Some(Coming { crash, seen: 0 });
    }

    /// Begins to count anew.
    pub fn begin_anew(&self) {
        self.shared.state().begin_anew();
    }

    /// How many calls of this kind there were since counting began.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.shared.state().counts[call.index()]
    }

    /// Lets one call wait until the value that is returned is dropped; it is counted anew from here.
    pub fn stall(&self, call: Call, nth: u64) -> Stall<'_> {
        let mut state = self.shared.state();
        state.begin_anew();
        state.stalled = Some(Stalled { call, nth, is_reached: false });
        Stall { disk: self }
    }

    /// Writes down what happens from now on. What is on the disk is taken as durable. No file may be open.
    pub fn record(&self) {
        let recorder = Recorder::new(self.shared.folder.clone());
        self.shared.state().recorder = Some(recorder);
    }

    /// Notes that this happened by now: what was told to somebody, say.
    pub fn mark(&self, number: u64) {
        self.shared.record(|recorder| recorder.mark(number));
    }

    /// What was written down; from now on nothing is.
    ///
    /// # Panics
    /// When nothing was.
    #[must_use]
    pub fn take_journal(&self) -> Journal {
        let recorder = self.shared.state().recorder.take();
        recorder.expect("what happens was written down").into_journal()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        disks().retain(|disk| !Arc::ptr_eq(disk, &self.shared));
        let mut state = self.shared.state();
        state.fault = None;
        state.stalled = None;
        self.shared.changed.notify_all();
    }
}

/// A call that waits, or will.
#[must_use = "dropped at once, nothing waits"]
#[derive(Debug)]
pub struct Stall<'d> {
    disk: &'d Disk,
}

impl Stall<'_> {
    /// Waits until the call is made. Whoever makes it waits from then on.
    ///
    /// # Panics
    /// When it is not made for a long time: it never will be.
    pub fn wait_until_reached(&self) {
        let shared = &self.disk.shared;
        let is_to_come = |state: &mut State| state.stalled.as_ref().is_some_and(|call| !call.is_reached);
        let waited = shared.changed.wait_timeout_while(shared.state(), STUCK, is_to_come);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!waited.timed_out(), "the call that should wait is never made");
    }
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        self.disk.shared.state().stalled = None;
        self.disk.shared.changed.notify_all();
    }
}
