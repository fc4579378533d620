//! Writes down what happens to the files of one disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::journal::{Event, Journal};

/// One file, under whatever names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u32);

/// What the system calls a file.
type Inode = (u64, u64);

/// When the write-ahead log was last written to, if nobody but SQLite has: no clock shows this.
const UNTOUCHED: SystemTime = SystemTime::UNIX_EPOCH;

#[derive(Debug)]
struct Known {
    id: FileId,
    inode: Inode,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    folder: PathBuf,
    events: Vec<Event>,
    names: BTreeMap<String, Known>,
    files: u32,
    /// Files that SQLite made and whose name no sync has made durable so far: the first sync of such a log is one of its
    /// folder too.
    nameless: BTreeSet<FileId>,
    /// Logs of which a sync has failed. Whether the program writes one anew is told by its time.
    watched: BTreeMap<FileId, PathBuf>,
}

fn inode(file: &Path) -> Option<Inode> {
    fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn is_log(name: &str) -> bool {
    name.ends_with("-wal")
}

/// Marks a log as written to by SQLite alone so far.
///
/// Only a log may be opened here: when a process closes a database that it has open a second time, the system takes
/// away all its locks.
fn mark_untouched(log: &Path) {
    let times = FileTimes::new().set_modified(UNTOUCHED);
    let marked = File::options().write(true).open(log).and_then(|file| file.set_times(times));
    marked.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
}

impl Recorder {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let (names, watched) = (BTreeMap::new(), BTreeMap::new());
        Self { folder, events: Vec::new(), names, files: 0, nameless: BTreeSet::new(), watched }
    }

    pub(crate) fn into_journal(self) -> Journal {
        Journal { events: self.events }
    }

    fn name_of(&self, file: &Path) -> String {
        let name = file.strip_prefix(&self.folder).expect("a file of this disk is below its folder");
        name.to_str().expect("names in tests are UTF-8").to_owned()
    }

    fn new_id(&mut self) -> FileId {
        self.files += 1;
        FileId(self.files)
    }

    /// The file that is about to be opened, `None` if it is not there. What it holds is read where it was not known: nothing can
    /// be locked in it yet.
    pub(crate) fn opens(&mut self, file: &Path) -> Option<FileId> {
        let name = self.name_of(file);
        let inode = inode(file)?;
        if let Some(known) = self.names.get(&name)
            && known.inode == inode
        {
            let id = known.id;
            self.notice_rewriting(id);
            return Some(id);
        }
        let renamed = self
            .names
            .iter()
            .find(|(before, known)| known.inode == inode && !self.folder.join(before).exists())
            .map(|(before, _)| before.clone());
        if let Some(from) = renamed {
            let known = self.names.remove(&from).expect("it was just found");
            let id = known.id;
            self.names.insert(name.clone(), known);
            self.events.push(Event::Renamed { from, to: name });
            return Some(id);
        }
        let id = self.new_id();
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.names.insert(name.clone(), Known { id, inode });
        self.events.push(Event::Found { file: id, name, bytes });
        Some(id)
    }

    /// A file that was not there has been opened.
    pub(crate) fn created(&mut self, file: &Path) -> FileId {
        let (name, id) = (self.name_of(file), self.new_id());
        let inode = inode(file).expect("it is open");
        self.names.insert(name.clone(), Known { id, inode });
        self.nameless.insert(id);
        self.events.push(Event::Created { file: id, name });
        id
    }

    pub(crate) fn removed(&mut self, file: &Path, is_durable: bool) {
        let name = self.name_of(file);
        if let Some(known) = self.names.remove(&name) {
            self.watched.remove(&known.id);
            self.events.push(Event::Removed { name, is_durable });
        }
    }

    pub(crate) fn wrote(&mut self, file: FileId, at: u64, bytes: &[u8]) {
        self.events.push(Event::Wrote { file, at, bytes: bytes.to_owned() });
        self.mark_if_watched(file);
    }

    pub(crate) fn truncated(&mut self, file: FileId, len: u64) {
        self.events.push(Event::Truncated { file, len });
        self.mark_if_watched(file);
    }

    pub(crate) fn synced(&mut self, file: FileId) {
        self.events.push(Event::Synced { file });
        if self.nameless.remove(&file) {
            self.events.push(Event::FolderSynced);
        }
    }

    pub(crate) fn sync_failed(&mut self, file: FileId) {
        self.events.push(Event::SyncFailed { file });
        let name = self.names.iter().find(|(_, known)| known.id == file).map(|(name, _)| name);
        if let Some(name) = name.filter(|name| is_log(name)) {
            self.watched.insert(file, self.folder.join(name));
        }
        self.mark_if_watched(file);
    }

    pub(crate) fn mark(&mut self, number: u64) {
        self.events.push(Event::Mark(number));
    }

    fn mark_if_watched(&self, file: FileId) {
        if let Some(log) = self.watched.get(&file) {
            mark_untouched(log);
        }
    }

    fn notice_rewriting(&mut self, file: FileId) {
        let Some(log) = self.watched.get(&file) else { return };
        let modified = fs::metadata(log).and_then(|metadata| metadata.modified());
        if modified.unwrap_or_else(|error| panic!("{}: {error}", log.display())) == UNTOUCHED {
            return;
        }
        let bytes = fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        self.watched.remove(&file);
        self.events.push(Event::Rewritten { file, bytes });
    }
}
