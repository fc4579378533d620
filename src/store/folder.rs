//! The folder of one world, had by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::run_file::RunInfo;
use crate::private_file::{PRIVATE_MODE, sync_folder_of};

/// How often the lock is tried, and how far apart: whoever had it may be about to end, and a program that its process
/// is just starting holds it too, for as long as that takes.
const LOCK_TRIES: u32 = 10;
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// What this process created to have its folder.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    parent: bool,
    folder: bool,
}

/// The world's folder, locked as long as this value lives.
#[derive(Debug)]
pub struct SaveFolder {
    path: PathBuf,
    made: Made,
    /// Held open for its flock alone, which the system releases however the process ends.
    _lock: File,
}

impl SaveFolder {
    /// Creates the folder (mode 0700) if it is missing, and takes it for this process.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it; when it cannot be created or written to.
    pub fn create_or_open(path: &Path) -> Result<Self, StoreError> {
        let mut made = Made::default();
        if !path.is_dir() {
            if let Some(parent) = path.parent()
                && !parent.is_dir()
                && !parent.as_os_str().is_empty()
            {
                fs::create_dir_all(parent)
                    .map_err(StoreError::no_folder(parent, "create the folder of saves"))?;
                made.parent = true;
            }
            match DirBuilder::new().mode(0o700).create(path) {
                Ok(()) => made.folder = true,
                // Another process was faster, or it is no folder: the lock tells which.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::no_folder(path, "create the world's folder")(error)),
            }
            sync_folder_of(path).map_err(StoreError::io(path, "make its name durable"))?;
        }
        let folder = Self { path: path.to_owned(), made, _lock: lock(path)? };
        // Whoever wrote it is gone, or would hold the lock.
        RunInfo::remove(&folder)?;
        Ok(folder)
    }

    /// Free bytes on the disk that it is on, as far as this process may use them.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn free_bytes(&self) -> std::io::Result<u64> {
        let disk = rustix::fs::statvfs(self.path())?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Takes a folder that is there for this process, and leaves everything in it as it is.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it; when it is missing or cannot be written to.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), made: Made::default(), _lock: lock(path)? })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes `run.json` where nothing is dropped any more: the process is about to end.
    pub fn forget_run(&self) {
        if let Err(error) = RunInfo::remove(self) {
            tracing::warn!("run.json is left behind although the world ends: {error}");
        }
    }

    /// The database.
    pub(super) fn database_file(&self) -> PathBuf {
        Self::database_in(&self.path)
    }

    /// The database of a world with that folder.
    pub(super) fn database_in(folder: &Path) -> PathBuf {
        folder.join("world.db")
    }
}

/// Takes the lock of a folder.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = path.join("lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE_MODE)
        .open(&lock_path)
        .map_err(StoreError::no_folder(&lock_path, "open the lock"))?;
    let mut tries = 1;
    let taken = loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => std::thread::sleep(LOCK_RETRY),
            taken => break taken,
        }
        tries += 1;
    };
    match taken {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let pid = RunInfo::read(path).ok().flatten().map(|run| run.pid);
            Err(StoreError::Locked { folder: path.to_owned(), pid })
        }
        Err(TryLockError::Error(error)) => Err(StoreError::io(&lock_path, "take the lock")(error)),
    }
}

/// Takes back on drop what a start created that never came to run: whoever was refused may ask for another seed,
/// grid or size the next time. A save that was there before stays as it is. Holds the folder's lock meanwhile.
#[derive(Debug)]
pub struct UnusedSave {
    folder: Arc<SaveFolder>,
    /// Whether the world's file is of this process.
    file_is_new: bool,
    used: bool,
}

impl UnusedSave {
    pub(super) fn new(folder: &Arc<SaveFolder>, file_is_new: bool) -> Self {
        Self { folder: folder.clone(), file_is_new, used: false }
    }

    /// The world runs: everything stays.
    pub fn keep(mut self) {
        self.used = true;
    }
}

impl Drop for UnusedSave {
    fn drop(&mut self) {
        if self.used || !self.file_is_new {
            return;
        }
        let path = self.folder.path();
        let made = self.folder.made;
        let mut names = vec!["world.db", "world.db-wal", "world.db-shm"];
        names.extend(["world.db.new", "world.db.new-wal", "world.db.new-shm"]);
        if made.folder {
            names.extend(["admin.token", "lock"]);
        }
        for name in names {
            // What was not created yet cannot be removed; what cannot be removed is found by the next start.
            let _ = fs::remove_file(path.join(name));
        }
        // Never more than was created: a folder that holds anything else stays.
        if made.folder && fs::remove_dir(path).is_ok() && made.parent {
            let _ = path.parent().map(fs::remove_dir);
        }
    }
}
