//! The write-ahead log after a failure: written anew before anything rests on it.
//!
//! When a sync fails, the system forgets that it has not written what was to be synced: it shows it to every reader as if it were on the
//! disk, and the next sync works without writing it. A log of that kind is whole for whoever reads it and breaks off somewhere
//! after power was lost. SQLite believes it, acknowledges what is in it, and moves it into the file, where it would be mixed with what
//! an older part of the log says.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::database::beside;
use super::error::StoreError;

/// How much is written at once.
const PIECE_BYTES: usize = 1 << 18;

/// Writes the log of this file once more, each byte as it is read, and syncs it: from then on it holds what it seems to hold. No log is
/// as good. Nobody may be writing to it: whoever calls has the save's lock, and no connection.
///
/// # Errors
/// When the disk refuses: what is in the log proves nothing then.
pub(super) fn renew(file: &Path) -> Result<(), StoreError> {
    let log = beside(file, "-wal");
    let renew = || -> io::Result<()> {
        let open = match OpenOptions::new().read(true).write(true).open(&log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            open => open?,
        };
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = 0;
        loop {
            let bytes = match open.read_at(&mut piece, at) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            open.write_all_at(&piece[..bytes], at)?;
            at += bytes as u64;
        }
        open.sync_all()
    };
    renew().map_err(StoreError::io(&log, "make sure of what it holds"))
}
