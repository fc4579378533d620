//! What operators do with saves, on real files.

mod copies;
mod faults;
mod planted;
mod repaired;

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::commit::NOW_MS;
use super::commit::game::shop;
use super::commit::model::played;
use super::*;
use crate::store::game::GameStore;
use crate::store::operator::{Problem, ProblemKind, Verified, Watch, repair, verify};

/// What the game of these tests has in the store.
fn game() -> GameStore {
    GameStore::default().plugin(shop())
}

/// How much of a good save is summed up and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// Nothing.
    Whole,
    /// Half of everything.
    Half,
}

const PLANS: u64 = 500;

/// A good save, closed.
fn good(past: Past) -> Place {
    let place = place();
    let mut store = played(&place, PLANS);
    if past == Past::Half {
        let half_ms = PLANS / 2 * 1_000;
        store.set_retention(Retention {
            claims_ms: half_ms,
            changelog_ms: half_ms - 50_000,
            ledger_ms: half_ms + 50_000,
        });
        let tidied = store.tidy(NOW_MS + PLANS * 1_000, 100_000).unwrap();
        assert!(tidied.claims > 50 && tidied.ledger > 50 && tidied.changelog > 50, "{tidied:?}");
    }
    drop(store);
    place
}

/// The same save in another place.
fn copy_of(good: &Place) -> Place {
    let place = place();
    fs::create_dir_all(&place.folder).unwrap();
    fs::copy(good.folder.join("world.db"), place.folder.join("world.db")).unwrap();
    place
}

/// Does to a file what somebody may do who has it: no rule of its tables stands in the way. Triggers are as they were afterwards.
fn tamper(folder: &Path, sql: &str) {
    let connection = Connection::open(folder.join("world.db")).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
}

/// One text out of the file.
fn text(folder: &Path, sql: &str) -> String {
    Connection::open(folder.join("world.db"))
        .unwrap()
        .query_row(sql, [], |row| row.get(0))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[track_caller]
fn verified(folder: &Path) -> Verified {
    verify(folder, &game(), &Watch::nobody()).unwrap()
}

/// Names of everything in a folder.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
