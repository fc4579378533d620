//! The folder of one world, had by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::run_file::RunInfo;
use crate::private_file::{PRIVATE_MODE, sync_folder_of};

/// The world's folder, locked as long as this value lives.
#[derive(Debug)]
pub struct SaveFolder {
    path: PathBuf,
    /// Held open for its flock alone, which the system releases however the process ends.
    _lock: File,
}

impl SaveFolder {
    /// Creates the folder (mode 0700) if it is missing, and takes it for this process.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it; when it cannot be created or written to.
    pub fn create_or_open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_dir() {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(StoreError::io(parent, "create the folder of saves"))?;
            }
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::io(path, "create the world's folder")(error));
                }
                _ => sync_folder_of(path).map_err(StoreError::io(path, "make its name durable"))?,
            }
        }
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_MODE)
            .open(&lock_path)
            .map_err(StoreError::io(&lock_path, "open the lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = RunInfo::read(path).ok().flatten().map(|run| run.pid);
                return Err(StoreError::Locked { folder: path.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io(&lock_path, "take the lock")(error));
            }
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        // Whoever wrote it is gone, or would hold the lock.
        RunInfo::remove(&folder)?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
