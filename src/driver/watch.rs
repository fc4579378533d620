//! Looks after the files of reference data, on a thread of its own: no tick waits for a file.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::reference::{LoadedReference, Problem, ReferenceKind};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What was read and not taken yet: the thread waits when it is full.
const FOUND_MAX: usize = 4;

/// What the files say now.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether somebody asked; else a file has changed.
    pub(super) is_asked: bool,
    /// It, or all that is wrong with it.
    pub(super) read: Result<LoadedReference, Vec<Problem>>,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    ask: Option<Sender<()>>,
    found: Option<Receiver<Found>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches the files of a folder; without one there is nothing to watch, and what is asked for is what comes with the game.
    pub(super) fn start(kind: ReferenceKind, folder: Option<PathBuf>) -> std::io::Result<Self> {
        let (ask, asked) = bounded(1);
        let (found_out, found) = bounded(FOUND_MAX);
        let thread = thread::Builder::new()
            .name("reference".into())
            .spawn(move || watch(kind, folder.as_deref(), &asked, &found_out))?;
        Ok(Self { ask: Some(ask), found: Some(found), thread: Some(thread) })
    }

    /// Asks for the files to be read now; whether that was taken.
    pub(super) fn ask(&self) -> bool {
        self.ask.as_ref().is_some_and(|ask| ask.try_send(()).is_ok())
    }

    /// What was read since the last time. Never waits.
    pub(super) fn found(&self) -> Option<Found> {
        self.found.as_ref()?.try_recv().ok()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        (self.ask, self.found) = (None, None);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that looks after the reference data has panicked");
        }
    }
}

/// Of each file: when it was written and how long it is; nothing of one that is not there.
type Look = Vec<Option<(Option<SystemTime>, u64)>>;

fn look(kind: ReferenceKind, folder: Option<&Path>) -> Look {
    let Some(folder) = folder else { return Vec::new() };
    let look_at = |name: &str| {
        let metadata = std::fs::metadata(folder.join(name)).ok()?;
        Some((metadata.modified().ok(), metadata.len()))
    };
    kind.files().iter().map(|file| look_at(file.name)).collect()
}

fn watch(kind: ReferenceKind, folder: Option<&Path>, asked: &Receiver<()>, found: &Sender<Found>) {
    // What a file looked like when it was read last. Nothing yet: it may have changed since the world began to start.
    let (mut last, mut read_at) = (None, None);
    loop {
        let is_asked = match asked.recv_timeout(LOOK_EVERY) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Before it is read: what changes meanwhile is seen at the next look.
        let now = look(kind, folder);
        // A file that somebody is just writing is left alone until it looks the same twice.
        let has_settled = last.as_ref() == Some(&now);
        if is_asked || (has_settled && read_at.as_ref() != Some(&now)) {
            read_at = Some(now.clone());
            if found.send(Found { is_asked, read: kind.load(folder) }).is_err() {
                return;
            }
        }
        last = Some(now);
    }
}
