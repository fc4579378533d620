//! What is in a save, counted where it is: of a running world as well, in short reads one after the other.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::access::{self, Reached};
use super::backup::LastBackup;
use super::watch::Watch;
use crate::store::database::beside;
use crate::store::error::StoreError;
use crate::store::outbox::NEVER_MS;

/// What is in a save.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SaveFigures {
    /// The world's name when it was created.
    pub world: String,
    /// Whether a process has the save.
    pub live: bool,
    /// The version of the schema.
    pub schema_version: u32,
    /// When it was created, milliseconds since 1970.
    pub created_ms: u64,
    /// The tick of the newest image.
    pub tick: Option<u64>,
    /// The calendar time of that tick, milliseconds since 1970.
    pub last_image_ms: Option<u64>,
    /// Images that are kept.
    pub images: u64,
    /// The last backup that was made of it here.
    pub last_backup: Option<LastBackup>,
    /// Players of whom something is kept.
    pub players: u64,
    /// Players under a ban or a mute.
    pub sanctions: u64,
    /// Accounts of players.
    pub accounts: u64,
    /// Claims.
    pub claims: u64,
    /// Rows of the ledger.
    pub ledger: u64,
    /// Rows of the changelog.
    pub changelog: u64,
    /// Deliveries that wait for their turn.
    pub outbox_waiting: u64,
    /// Deliveries that were given up and wait for an operator.
    pub outbox_failed: u64,
    /// What waits for an operator, deliveries that were given up included.
    pub compensations: u64,
    /// Records of what was done with power over others.
    pub audit: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// Every asset.
    pub assets: Vec<AssetFigures>,
    /// Every house, with how many different assets it has.
    pub houses: Vec<HouseFigures>,
    /// Every table, the largest first.
    pub tables: Vec<TableFigures>,
}

/// How much there is of an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetFigures {
    /// Its name.
    pub name: String,
    /// What it is: `currency`, `item`, `pool` or `unlock`.
    pub class: String,
    /// Whether no table names it any more.
    pub is_retired: bool,
    /// In circulation: what players hold of it.
    pub circulating: i64,
    /// How many players hold some.
    pub holders: u64,
}

/// What a house has given out and taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HouseFigures {
    /// Its name.
    pub name: String,
    /// By asset, what it holds: below nothing is what it has given out.
    pub holds: Vec<(String, i64)>,
}

/// How large a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableFigures {
    /// Its name.
    pub name: String,
    /// Bytes of its pages and those of its indexes.
    pub bytes: u64,
}

/// Counts what is in the save in a folder, running or not.
///
/// # Errors
/// When there is no save of this program's version, the disk refuses, or whoever waits has it end.
pub fn figures(folder: &Path, watch: &Watch) -> Result<SaveFigures, StoreError> {
    let Reached { connection, file, folder: lock, schema } = access::reach(folder)?;
    let length = |ending| std::fs::metadata(beside(&file, ending)).map_or(0, |file| file.len());
    let known = SaveFigures {
        live: lock.is_none(),
        schema_version: schema,
        last_backup: LastBackup::read(folder),
        file_bytes: length(""),
        log_bytes: length("-wal"),
        ..SaveFigures::default()
    };
    let counted = count(&connection, known, watch);
    drop(connection);
    drop(lock);
    counted.map_err(StoreError::sqlite(&file, "count what is in it"))
}

fn count(connection: &Connection, mut of: SaveFigures, watch: &Watch) -> rusqlite::Result<SaveFigures> {
    const DOING: &str = "counting";
    let number = |sql: &str| -> rusqlite::Result<u64> {
        watch.tell(DOING, 0, None)?;
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
    };
    let world = connection
        .query_row("SELECT name, created_ms FROM world", [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    if let Some((name, created_ms)) = world {
        (of.world, of.created_ms) = (name, created_ms.cast_unsigned());
    }
    let newest: Option<(i64, i64)> = connection
        .query_row("SELECT tick, now_ms FROM image WHERE complete = 1 ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    of.tick = newest.map(|(tick, _)| tick.cast_unsigned());
    of.last_image_ms = newest.map(|(_, now_ms)| now_ms.cast_unsigned());
    of.images = number("SELECT count(*) FROM image WHERE complete = 1")?;
    of.players = number("SELECT count(*) FROM player")?;
    of.sanctions = number("SELECT count(DISTINCT player) FROM sanction")?;
    of.accounts = number("SELECT count(*) FROM account WHERE id > 0")?;
    of.claims = number("SELECT count(*) FROM claim")?;
    of.ledger = number("SELECT count(*) FROM ledger")?;
    of.changelog = number("SELECT count(*) FROM changelog")?;
    of.outbox_failed = number(&format!("SELECT count(*) FROM outbox WHERE next_ms = {NEVER_MS}"))?;
    of.outbox_waiting = number("SELECT count(*) FROM outbox")? - of.outbox_failed;
    of.compensations = number("SELECT count(*) FROM compensation")?;
    of.audit = number("SELECT count(*) FROM audit")?;
    watch.tell(DOING, 0, None)?;
    of.assets = connection
        .prepare(
            "SELECT name, class, is_retired, coalesce(sum(amount), 0), count(DISTINCT account)
             FROM asset LEFT JOIN holding ON holding.asset = asset.id AND account > 0 AND amount > 0
             GROUP BY asset.id ORDER BY name",
        )?
        .query_map([], |row| {
            Ok(AssetFigures {
                name: row.get(0)?,
                class: row.get(1)?,
                is_retired: row.get(2)?,
                circulating: row.get(3)?,
                holders: row.get::<_, i64>(4)?.cast_unsigned(),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    of.houses = houses(connection)?;
    watch.tell(DOING, 0, None)?;
    of.tables = connection
        .prepare(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema ON sqlite_schema.name = dbstat.name
             WHERE aggregate = TRUE GROUP BY tbl_name ORDER BY 2 DESC, 1",
        )?
        .query_map([], |row| {
            Ok(TableFigures { name: row.get(0)?, bytes: row.get::<_, i64>(1)?.cast_unsigned() })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(of)
}

/// Most houses that are told one by one: a game has a handful.
const HOUSES_MAX: usize = 1_000;

fn houses(connection: &Connection) -> rusqlite::Result<Vec<HouseFigures>> {
    let mut sql = connection.prepare(
        "SELECT account.name, asset.name, holding.amount FROM account
         LEFT JOIN holding ON holding.account = account.id LEFT JOIN asset ON asset.id = holding.asset
         WHERE account.id < 0 ORDER BY account.name, account.id, asset.name",
    )?;
    let mut rows = sql.query([])?;
    let mut houses: Vec<HouseFigures> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if houses.last().is_none_or(|house| house.name != name) {
            if houses.len() == HOUSES_MAX {
                break;
            }
            houses.push(HouseFigures { name, holds: Vec::new() });
        }
        let (asset, amount): (Option<String>, Option<i64>) = (row.get(1)?, row.get(2)?);
        if let (Some(house), Some(asset), Some(amount)) = (houses.last_mut(), asset, amount) {
            house.holds.push((asset, amount));
        }
    }
    Ok(houses)
}
