//! The one connection to a world's file: opened, guarded, and opened anew after a failure.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::fence::Fence;
use super::log;
use super::schema::{self, MIGRATIONS, Migration};
use crate::private_file::{OTHERS, PRIVATE_MODE, sync_folder_of};

/// How long a statement waits for an operator's tool that holds the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Memory for pages of the file, KiB.
const CACHE_KIB: i64 = 32 * 1_024;

/// Prepared statements that a connection keeps: more than there are.
const STATEMENTS_CACHED: usize = 128;

/// The end of the name of a file that is being made.
pub(super) const NEW: &str = ".new";

/// The world's file and, most of the time, a connection to it.
#[derive(Debug)]
pub(super) struct Database {
    file: PathBuf,
    connection: Option<Connection>,
    fence: Arc<Fence>,
    /// Whether a write failed so that nobody knows what of the log is really on the disk.
    is_unproven: bool,
    /// Stands in for a disk that is full at so many pages.
    #[cfg(test)]
    pub(super) pages_max: Option<std::sync::Arc<std::sync::atomic::AtomicU32>>,
    /// So many of the next commits are told as failures, although they are durable.
    #[cfg(test)]
    pub(super) answers_lost: u32,
}

/// Takes group and others their permissions on a save that has come with some, as a copied or restored one does.
fn tighten(path: &Path) -> Result<(), StoreError> {
    let mode =
        fs::metadata(path).map_err(StoreError::io(path, "read its mode"))?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    tracing::warn!(file = %path.display(), "mode {mode:04o} let others read a save: now 0600");
    fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_MODE))
        .map_err(StoreError::io(path, "set its mode to 0600"))
}

/// SQLite takes a file of no bytes for a new database; but a save never is one, so this one has lost all it held, and
/// nobody may find an empty world in its place.
pub(super) fn refuse_empty(file: &Path) -> Result<(), StoreError> {
    let bytes = fs::metadata(file).map_err(StoreError::io(file, "read its length"))?.len();
    if bytes > 0 {
        return Ok(());
    }
    let why = "it is empty: its content is lost; restore a backup if there is one";
    Err(StoreError::NotASave { file: file.to_owned(), why: why.into() })
}

/// A file beside another, whose name begins alike.
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the file under another name, and gives it its own once its tables are there: whenever the process is
/// killed, a file of that name is whole.
fn create(file: &Path, migrations: &[Migration]) -> Result<(), StoreError> {
    let log = beside(file, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let why = "it is missing, but the write-ahead log of one is there; restore a backup if there is one";
        return Err(StoreError::NotASave { file: file.to_owned(), why: why.into() });
    }
    let new = beside(file, NEW);
    for ending in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(&new, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io(&new, "remove what an earlier start left")(error));
            }
            _ => {}
        }
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_MODE)
        .open(&new)
        .map_err(StoreError::io(&new, "create the world's file"))?;
    let mut connection = connect(&new)?;
    prepare(&connection, &new)?;
    schema::migrate(&mut connection, &new, 0, migrations)?;
    // The last connection moves its log into the file, durably, and removes it.
    connection.close().map_err(|(_, error)| StoreError::sqlite(&new, "write it through")(error))?;
    fs::rename(&new, file).map_err(StoreError::io(file, "give it its name"))?;
    sync_folder_of(file).map_err(StoreError::io(file, "make its name durable"))
}

impl Database {
    /// Creates the file (mode 0600) or opens it, and brings its schema up to date.
    pub(super) fn create_or_open(file: PathBuf) -> Result<Self, StoreError> {
        Self::create_or_open_with(file, MIGRATIONS)
    }

    pub(super) fn create_or_open_with(file: PathBuf, migrations: &[Migration]) -> Result<Self, StoreError> {
        if file.exists() {
            refuse_empty(&file)?;
            tighten(&file)?;
            // Whoever wrote it last may have died of a sync that failed.
            log::renew(&file)?;
        } else {
            create(&file, migrations)?;
        }
        let fence = Arc::new(Fence::default());
        let mut connection = connect(&file)?;
        guard(&fence, &mut connection, &file)?;
        // Before the first write: a file of another program or of a newer version stays as it is.
        let version = schema::inspect(&connection, &file, migrations)?;
        prepare(&connection, &file)?;
        schema::migrate(&mut connection, &file, version, migrations)?;
        Ok(Self {
            file,
            connection: Some(connection),
            fence,
            is_unproven: false,
            #[cfg(test)]
            pages_max: None,
            #[cfg(test)]
            answers_lost: 0,
        })
    }

    /// A connection that reads a file which is there, whoever else has it.
    pub(super) fn open_to_read(file: &Path) -> Result<Connection, StoreError> {
        let not_a_save = |why: &str| StoreError::NotASave { file: file.to_owned(), why: why.to_owned() };
        if !file.exists() {
            return Err(not_a_save("there is no such file"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = StoreError::sqlite(file, "open it");
        let connection = Connection::open_with_flags(file, flags).map_err(open)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(StoreError::sqlite(file, "set it up"))?;
        if (schema::inspect(&connection, file, MIGRATIONS)? as usize) < MIGRATIONS.len() {
            return Err(not_a_save("it is empty or of an older program: run the world once with this one"));
        }
        Ok(connection)
    }

    /// The file, for messages.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What was done is told, unless a test has the answer lost: then as a failure, although it is durable.
    pub(super) fn answer<T>(&mut self, done: T) -> rusqlite::Result<T> {
        #[cfg(test)]
        if self.answers_lost > 0 {
            self.answers_lost -= 1;
            let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            return Err(rusqlite::Error::SqliteFailure(failure, None));
        }
        Ok(done)
    }

    /// The connection, opened again if a failure closed it.
    pub(super) fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                if self.is_unproven {
                    log::renew(&self.file)?;
                    self.is_unproven = false;
                }
                let mut connection = connect(&self.file)?;
                guard(&self.fence, &mut connection, &self.file)?;
                prepare(&connection, &self.file)?;
                connection
            }
        };
        #[cfg(test)]
        if let Some(pages_max) = &self.pages_max {
            let pages = pages_max.load(std::sync::atomic::Ordering::Relaxed);
            connection
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
                .map_err(StoreError::sqlite(&self.file, "limit it"))?;
        }
        Ok(self.connection.insert(connection))
    }

    /// How many rows were written, changed or deleted since the connection was opened; 0 without one.
    pub(super) fn rows_written(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::total_changes)
    }

    /// What keeps a game's SQL from the engine's tables.
    pub(super) fn fence(&self) -> &Arc<Fence> {
        &self.fence
    }

    /// Closes the connection after this failure.
    ///
    /// After a failed sync the system may show what it could not write as if it had been: what is read back proves nothing.
    /// Before the next connection the log is written anew. A full or busy disk wrote nothing that is believed.
    pub(super) fn close_after(&mut self, error: &StoreError) {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
        let is_harmless = match error {
            StoreError::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull))
            }
            _ => false,
        };
        self.is_unproven |= !is_harmless;
        self.close();
    }

    /// Forgets the connection. After a failed write nobody knows what state it is in; a new one reads what is
    /// really in the file.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Moves what the write-ahead log holds into the file, as far as no reader needs it there, so that the log can begin anew. A
    /// failure is told and no more.
    pub(super) fn relieve(&mut self) {
        let file = self.file.clone();
        let done = self.connection().and_then(|connection| {
            connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                .map_err(StoreError::sqlite(&file, "move its write-ahead log"))
        });
        if let Err(error) = done {
            tracing::warn!("{error}");
        }
    }

    /// Moves what the write-ahead log holds into the file and empties it. It is durable before that as well,
    /// so a failure is told and no more: the next one does the work of both.
    pub(super) fn checkpoint(&mut self) {
        let file = self.file.clone();
        let done = self.connection().and_then(|connection| {
            let empty = || {
                // Nobody waits for a reader: whoever copies the save may take long, and the next time does the work of both.
                connection.busy_timeout(Duration::ZERO)?;
                let done =
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
                connection.busy_timeout(BUSY_TIMEOUT)?;
                done
            };
            empty().map_err(StoreError::sqlite(&file, "empty its write-ahead log"))
        });
        match done {
            Ok(0) => {}
            Ok(_) => {
                tracing::warn!(file = %file.display(), "a reader keeps the write-ahead log from being emptied")
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

fn connect(file: &Path) -> Result<Connection, StoreError> {
    // Without URI: a path is a path, whatever it looks like. Without CREATE: the file was made with its mode.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(StoreError::sqlite(file, "open it"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(StoreError::sqlite(file, "set it up"))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Plans of queries depend on their text alone: otherwise some are prepared anew for every value.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(StoreError::sqlite(file, "set it up"))?;
    Ok(connection)
}

fn guard(fence: &Arc<Fence>, connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    fence.guard(connection).map_err(StoreError::sqlite(file, "set it up"))
}

fn prepare(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let set_up = || -> rusqlite::Result<String> {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Checkpoints are made after a commit, not in the middle of one.
        connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
        // What can be undone of a plan is kept in memory, and so is what a batch changes, until it is committed.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(mode)
    };
    let mode = set_up().map_err(StoreError::sqlite(file, "set it up"))?;
    if mode == "wal" {
        return Ok(());
    }
    let why = format!("its file system gives journal mode {mode} where wal is needed");
    Err(StoreError::NotASave { file: file.to_owned(), why })
}
