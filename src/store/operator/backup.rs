//! A copy of a world that can be run as one: its file and nothing that is a process's, such as lock, addresses and token.
//!
//! It is made under another name and given its own when it is whole and on the disk, so that a folder of that name is a backup.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::access;
use super::copy::copy;
use super::watch::Watch;
use crate::private_file::{self, sync_folder_of};
use crate::store::error::StoreError;
use crate::store::folder::SaveFolder;

/// Most bytes of a record of a backup.
const RECORD_BYTES_MAX: u64 = 16 * 1_024;

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Where it is.
    pub to: PathBuf,
    /// Bytes of its file.
    pub bytes: u64,
    /// Whether a process had the save meanwhile.
    pub live: bool,
}

/// What a save knows of its last backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// When it was made, milliseconds since 1970.
    pub at_ms: u64,
    /// Where it was put.
    pub to: PathBuf,
    /// Bytes of its file.
    pub bytes: u64,
}

impl LastBackup {
    fn path_in(folder: &Path) -> PathBuf {
        folder.join("backup.json")
    }

    /// What stands in a folder; `None` if no backup was made, or what stands there makes no sense.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let bytes = private_file::read(&Self::path_in(folder), RECORD_BYTES_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes it down in one piece. The backup is there all the same: a failure is told and no more.
    fn write(&self, folder: &Path) {
        let path = Self::path_in(folder);
        let new = folder.join(format!("backup.json.new-{}", std::process::id()));
        let write = || -> Result<(), String> {
            let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
            let _ = fs::remove_file(&new);
            private_file::create(&new, &bytes).map_err(|error| error.to_string())?;
            fs::rename(&new, &path).map_err(|error| error.to_string())
        };
        if let Err(error) = write() {
            tracing::warn!("{}: the backup is not written down: {error}", path.display());
        }
    }
}

/// A folder that is removed when this value is dropped, unless it was given its name.
struct HalfMade {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for HalfMade {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Copies the save in a folder, running or not, into a new folder.
///
/// # Errors
/// [`StoreError::Taken`] when something of that name is there; when there is no save, the disk refuses, or whoever waits has it end.
/// Then nothing of that name is there.
pub fn back_up(folder: &Path, to: &Path, now_ms: u64, watch: &Watch) -> Result<BackedUp, StoreError> {
    refuse_taken(to)?;
    let reached = access::reach(folder)?;
    let bytes = copy_into(&reached.connection, &reached.file, to, watch)?;
    let to = to.canonicalize().unwrap_or_else(|_| to.to_owned());
    LastBackup { at_ms: now_ms, to: to.clone(), bytes }.write(folder);
    Ok(BackedUp { to, bytes, live: reached.is_live() })
}

fn refuse_taken(to: &Path) -> Result<(), StoreError> {
    match to.symlink_metadata() {
        Ok(_) => Err(StoreError::Taken { path: to.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::no_folder(to, "look whether it is there")(error)),
    }
}

/// Copies what a connection reads into a new folder.
pub(super) fn copy_into(
    connection: &Connection,
    file: &Path,
    to: &Path,
    watch: &Watch,
) -> Result<u64, StoreError> {
    refuse_taken(to)?;
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "it has no name of its own");
    let name = to.file_name().ok_or_else(|| StoreError::no_folder(to, "make a folder of it")(no_name()))?;
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(StoreError::no_folder(parent, "create the folder of backups"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".backup-{}", std::process::id()));
    let path = parent.join(hidden);
    DirBuilder::new().mode(0o700).create(&path).map_err(StoreError::no_folder(&path, "create the folder"))?;
    let mut half = HalfMade { path, is_kept: false };
    let copied = SaveFolder::database_in(&half.path);
    let bytes = copy(connection, file, &copied, watch)?;
    sync_folder_of(&copied).map_err(StoreError::io(&copied, "make its name durable"))?;
    // Something may have come in the meantime: only an empty folder would give way.
    refuse_taken(to)?;
    fs::rename(&half.path, to).map_err(StoreError::no_folder(to, "give the backup its name"))?;
    half.is_kept = true;
    sync_folder_of(to).map_err(StoreError::io(to, "make its name durable"))?;
    Ok(bytes)
}
