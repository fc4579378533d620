//! `run.json`: where a running world is reached. Scripts wait for it and read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::folder::SaveFolder;
use crate::private_file::PRIVATE_MODE;

/// Most bytes that are read as a `run.json`.
const RUN_FILE_BYTES_MAX: u64 = 64 * 1_024;

/// What a running world says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its process.
    pub pid: u32,
    /// The UDP address of each shard, as bound.
    pub shards: Vec<SocketAddr>,
    /// The TCP address of the HTTP side, as bound; `None` if it is off.
    pub http: Option<SocketAddr>,
}

impl RunInfo {
    /// What the world in a folder says; `None` if none runs there.
    ///
    /// # Errors
    /// When there is a file that cannot be read or is no `run.json`.
    pub fn read(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = path_in(folder);
        let read = || -> io::Result<Option<Self>> {
            let file = match fs::File::open(&path) {
                Ok(file) => io::Read::take(file, RUN_FILE_BYTES_MAX),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            Ok(Some(serde_json::from_reader(file)?))
        };
        read().map_err(StoreError::io(&path, "read where the world runs"))
    }

    pub(super) fn remove(folder: &SaveFolder) -> Result<(), StoreError> {
        let path = path_in(folder.path());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io(&path, "remove it")(error))
            }
            _ => Ok(()),
        }
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("run.json")
}

/// A written `run.json`, removed when this value is dropped. It keeps the folder's lock meanwhile, so that it
/// never removes the file of a process that came after.
#[derive(Debug)]
pub struct RunFile {
    folder: Arc<SaveFolder>,
}

impl RunFile {
    /// Writes the file, mode 0600, in one piece: a reader sees all of it or none.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(folder: &Arc<SaveFolder>, info: &RunInfo) -> Result<Self, StoreError> {
        let path = path_in(folder.path());
        let temporary = folder.path().join("run.json.tmp");
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(PRIVATE_MODE).open(&temporary)?;
            file.write_all(&serde_json::to_vec(info)?)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(StoreError::io(&path, "write where the world runs"))?;
        Ok(Self { folder: folder.clone() })
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        self.folder.forget_run();
    }
}
