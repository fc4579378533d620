//! A save whose world may run or not: whoever has its lock is the one who may write to it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ask::AskError;
use crate::store::{Store, StoreError};

/// How often a save that a process has is tried again, whose world cannot be asked yet or any more, and how far apart.
const TRIES: u32 = 20;
const RETRY: Duration = Duration::from_millis(100);

/// Writes into the save of a world that does not run, or asks the one that does.
pub(super) fn in_stopped_or_live<T>(
    save: &Path,
    write: impl FnOnce(Store) -> Result<T, AskError>,
    mut ask: impl FnMut() -> Result<T, AskError>,
) -> Result<T, AskError> {
    let mut tries = 0;
    loop {
        // Whoever has the lock is the one who may write: run.json of a world that crashed says nothing.
        match Store::open(save) {
            Ok(store) => return write(store),
            Err(StoreError::Locked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tries += 1;
        match ask() {
            // It is starting or ending, or another of these commands has the save.
            Err(AskError::NotRunning { .. } | AskError::NoAnswer { .. }) if tries < TRIES => {
                std::thread::sleep(RETRY);
            }
            outcome => return outcome,
        }
    }
}

/// Calendar time, milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "when an order was given, in a world that does not tick")]
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
