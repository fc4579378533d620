//! Looks through a save for what cannot be: every table, row by row in the order of its key, so that memory is bounded whatever the
//! size of the save.
//!
//! | check | finds |
//! |---|---|
//! | [`integrity`] | pages, indexes and rows that SQLite finds wrong; tables, indexes and triggers that are not those of the schema; references that lead nowhere |
//! | [`holdings`] | amounts that must not be, what is one of its kind and is held twice, what does not add up to nothing over all accounts |
//! | [`balances`] | amounts that are not what opening balances and ledger come to |
//! | [`claims`] | claims that are there twice; claims whose summary is not what the ledger and the changelog say |
//! | [`changelog`] | changelogs that do not lead to the version of their account |
//! | [`others`] | images, counters, profiles, deliveries and compensations |
//! | the game's own kinds | what their [`conservation`](crate::store::game::MutationKind::conservation) says |

mod balances;
mod changelog;
mod claims;
mod findings;
mod holdings;
mod integrity;
mod others;
mod rows;
mod schema;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;

#[cfg(test)]
pub(in crate::store) use self::balances::balances_of;
pub(super) use self::findings::{At, Findings, Mend};
pub use self::findings::{Problem, ProblemKind};
use super::access::{self, Reached};
use super::copy::{TemporaryCopy, copy};
use super::watch::Watch;
use crate::store::error::StoreError;
use crate::store::fence::Fence;
use crate::store::game::{GameStore, conservation};
use crate::store::image::is_damage;

/// Most problems that are listed one by one; the others are counted.
pub const PROBLEMS_LISTED: usize = 200;
/// Rows after which whoever waits is told.
const ROWS_PER_TURN: u64 = 4_096;
/// Steps of SQLite's within one statement after which whoever waits is asked.
const OPERATIONS_PER_TURN: i32 = 100_000;

/// What was found of a save.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Whether a process had the save: then a copy of it, as of one moment, was looked through.
    pub live: bool,
    /// The version of the schema.
    pub schema_version: u32,
    /// What is wrong, at most [`PROBLEMS_LISTED`] things.
    pub problems: Vec<Problem>,
    /// How many further things are wrong.
    pub problems_more: u64,
    /// What there is.
    pub totals: Totals,
}

/// What there is in a save.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rows that were looked at, over all checks.
    pub rows: u64,
    /// Accounts of players and houses.
    pub accounts: u64,
    /// Of those, houses.
    pub houses: u64,
    /// Claims.
    pub claims: u64,
    /// Rows of the ledger.
    pub ledger: u64,
    /// Opening balances, into which older rows were summed up.
    pub opening: u64,
    /// Rows of the changelog.
    pub changelog: u64,
    /// Holdings.
    pub holdings: u64,
    /// Slots that items take, over all players.
    pub slots: u64,
    /// Lots that expire.
    pub lots: u64,
    /// Of those, expired ones that are still held: they go with their holder's next plan.
    pub lots_expired: u64,
    /// Profiles of players.
    pub profiles: u64,
    /// Images of the world that are whole.
    pub images: u64,
    /// Deliveries that wait.
    pub outbox: u64,
    /// What waits for an operator.
    pub compensations: u64,
    /// Every asset.
    pub assets: Vec<AssetTotals>,
}

/// How much there is of an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetTotals {
    /// Its name.
    pub name: String,
    /// What it is: `currency`, `item`, `pool` or `unlock`.
    pub class: String,
    /// What players hold of it.
    pub players: i64,
    /// What houses hold of it: in a sound save as much below nothing.
    pub houses: i64,
}

/// Looks through the save in a folder: under its lock, or, where a process has it, through a copy made for that and removed again.
///
/// # Errors
/// When there is no save of this program's version, the disk refuses, or whoever waits has it end. What is wrong with a save that
/// can be read is no error.
pub fn verify(folder: &Path, game: &GameStore, watch: &Watch) -> Result<Verified, StoreError> {
    let reached = access::reach(folder)?;
    if !reached.is_live() {
        return look_at(reached, game, watch);
    }
    let Reached { connection, file, schema, .. } = reached;
    let temporary = TemporaryCopy::of(&file);
    copy(&connection, &file, &temporary.file, watch)?;
    drop(connection);
    let connection = access::open_alone(&temporary.file)?;
    let copied = Reached { connection, file: temporary.file.clone(), folder: None, schema };
    look_at(copied, game, watch)
}

/// Looks through a save that was reached.
fn look_at(reached: Reached, game: &GameStore, watch: &Watch) -> Result<Verified, StoreError> {
    let live = reached.is_live();
    let Reached { mut connection, file, folder, schema } = reached;
    let (findings, totals) = look_through(&mut connection, game, watch, PROBLEMS_LISTED)
        .map_err(StoreError::sqlite(&file, "look through it"))?;
    drop(connection);
    drop(folder);
    Ok(Verified {
        ok: findings.count() == 0,
        live,
        schema_version: schema,
        problems_more: findings.count() - findings.problems.len() as u64,
        problems: findings.problems,
        totals,
    })
}

/// Looks through everything that a connection reads.
pub(super) fn look_through(
    connection: &mut Connection,
    game: &GameStore,
    watch: &Watch,
    listed: usize,
) -> rusqlite::Result<(Findings, Totals)> {
    let fence = Arc::new(Fence::default());
    fence.guard(connection)?;
    let asked = watch.clone();
    connection.progress_handler(OPERATIONS_PER_TURN, Some(move || !asked.goes_on()))?;
    let looked = {
        // As of one moment; of a repair it is the moment of its own transaction.
        let moment = connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose()?;
        let findings = Findings::new(listed);
        let mut look = Look { connection, watch, findings, totals: Totals::default() };
        let done = look.everything(&fence, game);
        let Look { findings, totals, .. } = look;
        drop(moment);
        done.map(|()| (findings, totals))
    };
    connection.progress_handler(0, None::<fn() -> bool>)?;
    looked
}

/// A save being looked through.
struct Look<'a> {
    connection: &'a Connection,
    watch: &'a Watch,
    findings: Findings,
    totals: Totals,
}

impl Look<'_> {
    fn everything(&mut self, fence: &Fence, game: &GameStore) -> rusqlite::Result<()> {
        self.check("", Self::integrity)?;
        self.check("sqlite_schema", Self::schema)?;
        self.check("", Self::references)?;
        self.check("holding", Self::holdings)?;
        self.check("holding", Self::balances)?;
        self.check("claim", Self::claims)?;
        self.check("changelog", Self::changelog)?;
        self.check("image", Self::images)?;
        self.check("player", Self::profiles)?;
        self.check("outbox", Self::deliveries)?;
        self.check("", |look| look.game(fence, game))
    }

    /// Does one check. What cannot be read any more is a problem of its own, and the next check begins.
    fn check(
        &mut self,
        table: &str,
        check: impl FnOnce(&mut Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        use rusqlite::ErrorCode::Unknown;
        let Err(error) = check(self) else { return Ok(()) };
        // A table or column that is missing, too: the check of the schema names it.
        let is_of_the_file = is_damage(&error) || error.sqlite_error_code() == Some(Unknown);
        if !is_of_the_file {
            return Err(error);
        }
        self.findings.add(ProblemKind::Integrity, table, "", format!("cannot be read to its end: {error}"));
        Ok(())
    }

    /// One more row was looked at.
    fn step(&mut self, doing: &'static str) -> rusqlite::Result<()> {
        self.totals.rows += 1;
        match self.totals.rows.is_multiple_of(ROWS_PER_TURN) {
            true => self.watch.tell(doing, self.totals.rows, None),
            false => Ok(()),
        }
    }

    /// A new part begins.
    fn begin(&self, doing: &'static str) -> rusqlite::Result<()> {
        self.watch.tell(doing, self.totals.rows, None)
    }

    /// What an account is called, for people.
    fn account_name(&self, account: i64) -> rusqlite::Result<String> {
        let mut sql =
            self.connection.prepare_cached("SELECT kind || ' ' || name FROM account WHERE id = ?1")?;
        let mut rows = sql.query([account])?;
        match rows.next()? {
            Some(row) => row.get(0),
            None => Ok(format!("account {account}, which does not exist,")),
        }
    }

    /// What the game's own kinds find.
    fn game(&mut self, fence: &Fence, game: &GameStore) -> rusqlite::Result<()> {
        self.begin("asking the game's own checks")?;
        for found in conservation(self.connection, fence, game)? {
            let (_, said) = found.split_once(": ").unwrap_or(("", &found));
            // By convention the table and the key come first.
            let mut words = said.split([' ', ':']).filter(|word| !word.is_empty());
            let table = words.next().filter(|word| word.starts_with("game_")).unwrap_or("").to_owned();
            let key = if table.is_empty() { "" } else { words.next().unwrap_or("") }.to_owned();
            self.findings.add(ProblemKind::Game, &table, &key, found);
        }
        Ok(())
    }
}
