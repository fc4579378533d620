//! Everything that can go wrong with a save.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a save cannot be used, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the save.
    #[error(
        "{}: this save is in use by {}; stop that process, or choose another world with --name",
        folder.display(),
        match pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() }
    )]
    Locked {
        /// The save's folder.
        folder: PathBuf,
        /// The process that has it, if it said so in `run.json`.
        pid: Option<u32>,
    },
    /// The command line insists on something that was fixed otherwise when the world was created.
    #[error(
        "{flag} is {asked}, but {} was created with {fixed}, which is fixed; leave {flag} out, or create another \
         world with --name", folder.display()
    )]
    FixedAtCreation {
        /// The save's folder.
        folder: PathBuf,
        /// The flag that insists.
        flag: &'static str,
        /// What it asks for.
        asked: String,
        /// What the world was created with.
        fixed: String,
    },
    /// What was to be done panicked: a fault of the program's.
    #[error("the store panicked: {0}; this is a fault of the program, or of the game's kinds of change")]
    Panicked(String),
    /// The file was written by a newer program.
    #[error(
        "{}: schema version {found}, but this program knows versions up to {known}; run it with the newer program \
         that wrote it", file.display()
    )]
    NewerSchema {
        /// The database.
        file: PathBuf,
        /// The version of the file.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The file is something else than a world.
    #[error("{}: not the save of a world ({why}); name another world with --name, or move the file away", file.display())]
    NotASave {
        /// The database.
        file: PathBuf,
        /// What it is or lacks.
        why: String,
    },
    /// Parts of the file are missing or were overwritten.
    #[error(
        "{}: the save is damaged: cannot {doing} ({source}); restore a backup, or choose another world with --name",
        file.display()
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite found.
        source: rusqlite::Error,
    },
    /// There can be no save at this place.
    #[error("{}: cannot {doing} ({source}); name a folder that can be written to with --saves", path.display())]
    NoFolder {
        /// What was touched.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// A migration that the file has gone through is not the one this program has under that number.
    #[error(
        "{}: schema version {version} ({name}) was made by other SQL than this program's; run it with the program \
         that wrote it, or restore a backup", file.display()
    )]
    MigrationChanged {
        /// The database.
        file: PathBuf,
        /// Number of the migration.
        version: u32,
        /// Its name in this program.
        name: &'static str,
    },
    /// Images of the world were written, and none of them can be read.
    #[error(
        "{}: none of the images of its world can be read ({written} were written so far), and a world must not \
         start empty over them; restore a backup", file.display()
    )]
    NoReadableImage {
        /// The database.
        file: PathBuf,
        /// How many were written in the life of the world.
        written: u64,
    },
    /// A counter beyond what the file can hold.
    #[error("counter {name} cannot be {value}: at most {max} can be kept", max = i64::MAX)]
    CounterTooLarge {
        /// The counter.
        name: String,
        /// The value asked for.
        value: u64,
    },
    /// The tables of a game's plugin are not those that this program makes.
    #[error(
        "{}: the tables of the game's plugin `{plugin}`: {why}; run it with the program that wrote it, or correct the plugin",
        file.display()
    )]
    GameTables {
        /// The database.
        file: PathBuf,
        /// The plugin.
        plugin: String,
        /// What is wrong.
        why: String,
    },
    /// The image that should have been the last one was not written.
    #[error(
        "the image of tick {tick} is not saved ({message}); what happened since the image before it is lost"
    )]
    LastImageLost {
        /// The tick of that image.
        tick: u64,
        /// Why.
        message: String,
    },
    /// What should have been written of players when the world ended was not.
    #[error(
        "{unwritten} changes of what is kept of players are not saved, so the last image of the world, which no longer \
         holds those who left, is not saved either: the world goes on from the one before it; see the log and check \
         free space"
    )]
    PlayersLost {
        /// How many.
        unwritten: usize,
    },
    /// The store thread panicked; its panic message went to stderr.
    #[error("the store thread panicked; the newest image in the save is whole, what came after it is lost")]
    ThreadPanicked,
    /// Something stands where a copy is to be made.
    #[error("{}: there is something of that name already; name a folder that is not there yet", path.display())]
    Taken {
        /// The place.
        path: PathBuf,
    },
    /// Whoever waits for it did not want to any more.
    #[error("{}: interrupted ({doing}); nothing was changed", file.display())]
    Interrupted {
        /// The database.
        file: PathBuf,
        /// What was under way.
        doing: &'static str,
    },
    /// The operating system refused.
    #[error("{}: cannot {doing} ({source}); check permissions and free space", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("{}: cannot {doing} ({source}); check free space and that nothing else writes to it", file.display())]
    Sqlite {
        /// The database.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The refusal.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether whoever started the process can put it right there and then: exit code 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            StoreError::Locked { .. }
                | StoreError::FixedAtCreation { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::GameTables { .. }
                | StoreError::NotASave { .. }
                | StoreError::NoFolder { .. }
                | StoreError::Taken { .. }
                | StoreError::Interrupted { .. }
        )
    }

    /// Whether the same request may succeed later: a full disk, a busy file, an I/O error.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            StoreError::Io { .. } => true,
            StoreError::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    ErrorCode::DiskFull
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::CannotOpen
                        | ErrorCode::OutOfMemory
                        | ErrorCode::ReadOnly
                        | ErrorCode::FileLockingProtocolFailed
                )
            ),
            _ => false,
        }
    }

    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io { path: path.to_owned(), doing, source }
    }

    pub(super) fn no_folder(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::NoFolder { path: path.to_owned(), doing, source }
    }

    pub(super) fn sqlite(file: &Path, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        move |source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged { file: file.to_owned(), doing, source }
            }
            Some(ErrorCode::OperationInterrupted) => StoreError::Interrupted { file: file.to_owned(), doing },
            _ => StoreError::Sqlite { file: file.to_owned(), doing, source },
        }
    }
}

/// What a panic says.
pub(super) fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it says nothing")
}
