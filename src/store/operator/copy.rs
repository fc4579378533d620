//! A copy of a save as of one moment, made page by page while its world goes on.
//!
//! A read transaction is held from the first page to the last: whenever the file is written to between two steps, the copy would
//! begin anew otherwise, and of a world that commits every tick it would never end. The write-ahead log cannot begin anew in the
//! meantime, so nothing else is done under it.

use std::ffi::c_int;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::watch::Watch;
use crate::private_file::PRIVATE_MODE;
use crate::store::database::beside;
use crate::store::error::StoreError;

/// Pages in one step: some MiB, a few milliseconds. The small saves of tests take many steps as well.
const PAGES_PER_STEP: c_int = if cfg!(test) { 16 } else { 1_024 };
/// How often a step is tried that is hindered, and how far apart.
const BUSY_TRIES: u32 = 100;
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// The files of a copy.
const ENDINGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// What the name of a copy begins with that is removed when it has been looked through; the process's id follows.
pub(super) const TEMPORARY: &str = ".copy-";

/// A copy that is removed when this value is dropped.
#[derive(Debug)]
pub(super) struct TemporaryCopy {
    pub(super) file: PathBuf,
}

impl TemporaryCopy {
    /// Beside the file that it is to be a copy of.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: beside(file, &format!("{TEMPORARY}{}", std::process::id())) }
    }
}

impl Drop for TemporaryCopy {
    fn drop(&mut self) {
        for ending in ENDINGS {
            // What was not made cannot be removed; what cannot be removed is found by a repair.
            let _ = fs::remove_file(beside(&self.file, ending));
        }
    }
}

/// Copies what a connection reads into a new file, mode 0600, and writes it through to the disk. Gives its bytes.
pub(super) fn copy(from: &Connection, source: &Path, to: &Path, watch: &Watch) -> Result<u64, StoreError> {
    let io = |doing| StoreError::io(to, doing);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_MODE)
        .open(to)
        .map_err(io("create the copy"))?;
    copy_pages(from, to, watch).map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StoreError::sqlite(to, "write the copy")(error),
        _ => StoreError::sqlite(source, "copy it")(error),
    })?;
    let copied = File::open(to).map_err(io("open the copy"))?;
    copied.sync_all().map_err(io("write the copy through"))?;
    Ok(copied.metadata().map_err(io("read the length of the copy"))?.len())
}

fn copy_pages(from: &Connection, to: &Path, watch: &Watch) -> rusqlite::Result<()> {
    let moment = from.unchecked_transaction()?;
    // A deferred transaction begins with its first read.
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut into = Connection::open_with_flags(to, flags)?;
    // Nobody reads it before it is whole, and then it is written through at once.
    into.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
    into.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(&moment, &mut into)?;
        let mut hindered = 0;
        loop {
            // How many pages there are is known after the first step.
            let progress = backup.progress();
            let of = u64::try_from(progress.pagecount).unwrap_or(0);
            let left = u64::try_from(progress.remaining).unwrap_or(0);
            watch.tell("copying pages", of.saturating_sub(left), (of > 0).then_some(of))?;
            match backup.step(PAGES_PER_STEP)? {
                StepResult::Done => break,
                StepResult::More => hindered = 0,
                _ if hindered < BUSY_TRIES => {
                    hindered += 1;
                    std::thread::sleep(BUSY_RETRY);
                }
                _ => {
                    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                    return Err(rusqlite::Error::SqliteFailure(busy, None));
                }
            }
        }
    }
    into.close().map_err(|(_, error)| error)
}
