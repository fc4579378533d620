//! The way to a save: under its lock where nobody has it, beside the world that runs in it where one does.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::database::{BUSY_TIMEOUT, beside, refuse_empty};
use crate::store::error::StoreError;
use crate::store::folder::SaveFolder;
use crate::store::schema::{self, MIGRATIONS};

/// A save that is read where it is.
#[derive(Debug)]
pub(super) struct Reached {
    /// Before the folder: it is closed under its lock.
    pub(super) connection: Connection,
    pub(super) file: PathBuf,
    /// The folder, while nobody else has it.
    pub(super) folder: Option<SaveFolder>,
    /// How many steps of the schema it has gone through.
    pub(super) schema: u32,
}

impl Reached {
    /// Whether a process has the save.
    pub(super) fn is_live(&self) -> bool {
        self.folder.is_none()
    }
}

/// The file of the save in a folder.
pub(super) fn file_in(folder: &Path) -> Result<PathBuf, StoreError> {
    let file = SaveFolder::database_in(folder);
    if !file.exists() {
        return Err(StoreError::NotASave { file, why: "there is no such file".into() });
    }
    refuse_empty(&file)?;
    Ok(file)
}

/// Takes the folder of a save, unless a process has it.
pub(super) fn take(folder: &Path) -> Result<Option<SaveFolder>, StoreError> {
    match SaveFolder::take(folder) {
        Ok(folder) => Ok(Some(folder)),
        Err(StoreError::Locked { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reaches the save in a folder, to read it.
pub(super) fn reach(folder: &Path) -> Result<Reached, StoreError> {
    let file = file_in(folder)?;
    let folder = take(folder)?;
    let connection = match folder {
        Some(_) => open_alone(&file)?,
        None => open(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
    };
    let schema = version_of(&connection, &file)?;
    Ok(Reached { connection, file, folder, schema })
}

fn open(file: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let set_up = StoreError::sqlite(file, "open it");
    let opened = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(file, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        // What has to be sorted may be larger than memory.
        connection.pragma_update(None, "temp_store", "FILE")?;
        Ok(connection)
    };
    opened().map_err(set_up)
}

/// Opens a file that no other process has. Its log stays where it is: who looks for what is wrong with a save must not change it.
pub(super) fn open_alone(file: &Path) -> Result<Connection, StoreError> {
    let log = std::fs::metadata(beside(file, "-wal")).map_or(0, |log| log.len());
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log > 0)
        .map_err(StoreError::sqlite(file, "open it"))?;
    Ok(connection)
}

/// The version of the schema, which must be this program's: what is older has not got all tables.
pub(super) fn version_of(connection: &Connection, file: &Path) -> Result<u32, StoreError> {
    let version = schema::inspect(connection, file, MIGRATIONS)?;
    if (version as usize) < MIGRATIONS.len() {
        let why = format!(
            "its schema is of version {version}, this program's is {}: run the world once with this program",
            MIGRATIONS.len()
        );
        return Err(StoreError::NotASave { file: file.to_owned(), why });
    }
    Ok(version)
}
