//! Mends what can be mended for certain, and names what cannot.
//!
//! | what is wrong | is mended by |
//! |---|---|
//! | an amount that is not what the ledger says | writing what the ledger says, where nothing is wrong with ledger and claims |
//! | an index that does not hold what its table does | making it anew |
//! | an index or trigger that is missing or another one | making that of the schema, where the rows allow it |
//! | an image that is not whole, beside one that is | removing it |
//! | a counter below the numbers that an image has used | raising it |
//! | files that are nobody's any more | removing them |
//!
//! All of it is one transaction, in which the save is looked through again; a backup is made before. Each step leaves a record.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::access::{file_in, version_of};
use super::backup::copy_into;
use super::leftovers::leftovers;
use super::verify::{At, Findings, Mend, Problem, ProblemKind, look_through};
use super::watch::Watch;
use crate::ids::TickNumber;
use crate::players::AuditRow;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::folder::SaveFolder;
use crate::store::game::GameStore;
use crate::store::image::raise_counter;
use crate::store::players::append;

/// Most things that are mended in one go: a further repair goes on.
const MENDED_MAX: usize = 10_000;
/// How often the save is looked through: what an index hid is seen when it was made anew.
const ROUNDS_MAX: u32 = 4;

/// Something that was mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// What was wrong.
    pub problem: Problem,
    /// What was done.
    pub done: String,
}

/// What a repair did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Repaired {
    /// Whether nothing is wrong any more, or would be.
    pub ok: bool,
    /// Whether it only looked.
    pub dry_run: bool,
    /// The save as it was before, if anything of it was changed.
    pub backup: Option<PathBuf>,
    /// Files that were nobody's.
    pub files: Vec<PathBuf>,
    /// What was mended.
    pub mended: Vec<Mended>,
    /// What is still wrong.
    pub left: Vec<Problem>,
    /// How many further things are.
    pub left_more: u64,
}

/// Mends the save in a folder, of a world that does not run.
///
/// # Errors
/// [`StoreError::Locked`] when a process has it; when there is no save of this program's version, or the disk refuses. Then nothing
/// of the save was changed.
pub fn repair(
    folder: &Path,
    game: &GameStore,
    dry_run: bool,
    now_ms: u64,
    watch: &Watch,
) -> Result<Repaired, StoreError> {
    let file = file_in(folder)?;
    let folder = SaveFolder::take(folder)?;
    let files = leftovers(&folder)?;
    let mut database = Database::create_or_open(file.clone())?;
    let connection = database.connection()?;
    version_of(connection, &file)?;
    let sqlite = |error| StoreError::sqlite(&file, "mend it")(error);
    connection.pragma_update(None, "temp_store", "FILE").map_err(sqlite)?;
    let (findings, _) = look_through(connection, game, watch, MENDED_MAX).map_err(sqlite)?;
    let is_needed = findings.problems.iter().any(|problem| problem.mend.is_some());
    let backup = match is_needed && !dry_run {
        true => Some(back_up_beside(connection, &file, folder.path(), now_ms, watch)?),
        false => None,
    };
    let mut mending = Mending { game, watch, now_ms, mended: Vec::new() };
    let left = mending.mend(connection, findings, dry_run).map_err(sqlite)?;
    database.checkpoint();
    drop(database);
    if !dry_run {
        for path in &files {
            fs::remove_file(path).map_err(StoreError::io(path, "remove what is nobody's"))?;
        }
    }
    let left_more = left.count() - left.problems.len() as u64;
    Ok(Repaired {
        ok: left.count() == 0,
        dry_run,
        backup,
        files,
        mended: mending.mended,
        left: left.problems,
        left_more,
    })
}

fn back_up_beside(
    connection: &Connection,
    file: &Path,
    folder: &Path,
    now_ms: u64,
    watch: &Watch,
) -> Result<PathBuf, StoreError> {
    let folder = folder.canonicalize().map_err(StoreError::io(folder, "find it"))?;
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-repair-{now_ms}"));
    let to = folder.with_file_name(name);
    copy_into(connection, file, &to, watch)?;
    Ok(to)
}

/// Whether the ledger, and what it rests on, can be believed.
fn ledger_is_sound(findings: &Findings) -> bool {
    findings.problems.iter().all(|problem| {
        problem.kind != ProblemKind::Integrity
            && problem.kind != ProblemKind::Index
            && !["ledger", "opening", "claim", "asset", "account"].contains(&problem.table.as_str())
    })
}

/// A repair under way.
struct Mending<'a> {
    game: &'a GameStore,
    watch: &'a Watch,
    now_ms: u64,
    mended: Vec<Mended>,
}

impl Mending<'_> {
    /// Mends in rounds, until nothing more can be, and gives what is left; a dry run is taken back.
    fn mend(
        &mut self,
        connection: &mut Connection,
        mut findings: Findings,
        dry_run: bool,
    ) -> rusqlite::Result<Findings> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut work = || -> rusqlite::Result<Findings> {
            for _ in 0..ROUNDS_MAX {
                let before = self.mended.len();
                let is_sound = ledger_is_sound(&findings);
                for problem in std::mem::take(&mut findings.problems) {
                    self.mend_one(connection, problem, is_sound)?;
                }
                let (found, _) = look_through(connection, self.game, self.watch, MENDED_MAX)?;
                findings = found;
                if self.mended.len() == before || findings.count() == 0 {
                    break;
                }
            }
            Ok(std::mem::replace(&mut findings, Findings::new(0)))
        };
        let left = work();
        if left.is_err() || dry_run {
            // Some failures have taken everything back themselves.
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK")?;
            }
            return left;
        }
        connection.execute_batch("COMMIT")?;
        left
    }

    /// Mends one thing, if it can be; what the rows do not allow is left.
    fn mend_one(
        &mut self,
        connection: &Connection,
        problem: Problem,
        ledger_is_sound: bool,
    ) -> rusqlite::Result<()> {
        let Some(mend) = &problem.mend else { return Ok(()) };
        if matches!(mend, Mend::Amount { .. }) && !ledger_is_sound {
            return Ok(());
        }
        connection.execute_batch("SAVEPOINT mend")?;
        match apply(connection, mend) {
            Ok(done) => {
                self.record(connection, &problem, &done)?;
                connection.execute_batch("RELEASE mend")?;
                self.mended.push(Mended { problem, done });
            }
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                connection.execute_batch("ROLLBACK TO mend; RELEASE mend")?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn record(&self, connection: &Connection, problem: &Problem, done: &str) -> rusqlite::Result<()> {
        let tick: Option<i64> =
            connection.query_row("SELECT max(tick) FROM image", [], |row| row.get(0)).optional()?.flatten();
        let row = AuditRow {
            tick: TickNumber(tick.map_or(1, i64::cast_unsigned)),
            now_ms: self.now_ms,
            who: "operator".into(),
            what: "repair".into(),
            target: format!("{} {}", problem.table, problem.key),
            detail: format!("{done}: {}", problem.detail),
        };
        append(connection, &row)
    }
}

/// Does it, and says what was done.
fn apply(connection: &Connection, mend: &Mend) -> rusqlite::Result<String> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    Ok(match mend {
        Mend::Amount { at, amount } => set_amount(connection, *at, *amount)?,
        Mend::Reindex { index } => {
            connection.execute_batch(&format!("REINDEX {}", quoted(index)))?;
            format!("index {index} made anew")
        }
        Mend::Make { sort, name, sql } => {
            connection.execute_batch(&format!("DROP {sort} IF EXISTS {}", quoted(name)))?;
            connection.execute_batch(sql)?;
            format!("{sort} {name} made anew")
        }
        Mend::RemoveImage { id } => {
            connection.execute("DELETE FROM image WHERE id = ?1", [id])?;
            format!("image {id} removed; the world goes on from one that is whole")
        }
        Mend::Raise { counter, value } => {
            raise_counter(connection, counter, *value)?;
            format!("counter {counter} raised to {value}")
        }
    })
}

fn set_amount(connection: &Connection, at: At, amount: i64) -> rusqlite::Result<String> {
    let At { account, asset, expires_ms, instance } = at;
    if amount == 0 {
        connection.execute(
            "DELETE FROM holding WHERE account = ?1 AND asset = ?2 AND expires_ms = ?3 AND instance = ?4",
            params![account, asset, expires_ms, instance],
        )?;
    } else {
        connection.execute(
            "INSERT INTO holding (account, asset, expires_ms, instance, amount) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET amount = excluded.amount",
            params![account, asset, expires_ms, instance, amount],
        )?;
    }
    Ok(format!("amount set to {amount}, as the ledger says"))
}
