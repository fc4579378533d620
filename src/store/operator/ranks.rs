//! Who holds most of what: read where it is, of a running world as well.

use std::path::Path;

use rusqlite::{Connection, params};
use serde::Serialize;

use super::access::{self, Reached};
use super::watch::Watch;
use crate::store::error::StoreError;

/// Who holds most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SaveRanks {
    /// The world's name when it was created.
    pub world: String,
    /// Whether a process has the save.
    pub live: bool,
    /// By asset.
    pub assets: Vec<AssetRanks>,
}

/// Who holds most of one asset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetRanks {
    /// Its name.
    pub name: String,
    /// Players with how much they hold, the most first, and of equals the one whose name comes first.
    pub best: Vec<(String, i64)>,
}

/// Reads who holds most: of one asset, or of every currency.
///
/// # Errors
/// When there is no save of this program's version, no such asset in it, the disk refuses, or whoever waits has it end.
pub fn ranks(
    folder: &Path,
    asset: Option<&str>,
    top: u32,
    watch: &Watch,
) -> Result<Option<SaveRanks>, StoreError> {
    let Reached { connection, file, folder: lock, .. } = access::reach(folder)?;
    let live = lock.is_none();
    let found = read(&connection, asset, top, watch);
    drop(connection);
    drop(lock);
    let found = found.map_err(StoreError::sqlite(&file, "read who holds most"))?;
    Ok(found.map(|(world, assets)| SaveRanks { world, live, assets }))
}

fn read(
    connection: &Connection,
    asset: Option<&str>,
    top: u32,
    watch: &Watch,
) -> rusqlite::Result<Option<(String, Vec<AssetRanks>)>> {
    let world = connection.query_row("SELECT name FROM world", [], |row| row.get(0))?;
    let assets: Vec<(i64, String)> = connection
        .prepare(
            "SELECT id, name FROM asset WHERE iif(?1 IS NULL, class = 'currency', name = ?1)
             ORDER BY name",
        )?
        .query_map([asset], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if asset.is_some() && assets.is_empty() {
        return Ok(None);
    }
    let mut best = connection.prepare(
        "SELECT account.name, sum(amount) AS held FROM holding JOIN account ON account.id = holding.account
         WHERE asset = ?1 AND account > 0 GROUP BY account HAVING held > 0 ORDER BY held DESC, account.name LIMIT ?2",
    )?;
    let mut ranks = Vec::new();
    for (id, name) in assets {
        watch.tell("reading", 0, None)?;
        let best = best
            .query_map(params![id, top], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        ranks.push(AssetRanks { name, best });
    }
    Ok(Some((world, ranks)))
}
