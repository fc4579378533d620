//! A game's tables brought up to date, and looked at.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use xxhash_rust::xxh3::xxh3_128;

use super::{GameMigration, GamePlugin, GameStore, GameTransaction};
use crate::store::error::StoreError;
use crate::store::fence::{Fence, Side, prefix_of};
use crate::store::save::Store;

impl GameMigration {
    fn hash(&self) -> String {
        format!("{:032x}", xxh3_128(self.sql.as_bytes()))
    }
}

/// The steps that the file has gone through: by number, with the hash of their SQL.
fn steps_of(connection: &Connection, plugin: &str) -> rusqlite::Result<Vec<(i64, String)>> {
    connection
        .prepare("SELECT version, hash FROM game_migration WHERE plugin = ?1 ORDER BY version")?
        .query_map([plugin], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// A table of the engine's that a table of the plugin refers to: the engine could not forget its rows any more.
fn reference_out(connection: &Connection, prefix: &str) -> rusqlite::Result<Option<String>> {
    let sql =
        "SELECT t.name, f.\"table\" FROM pragma_table_list AS t JOIN pragma_foreign_key_list(t.name) AS f
               WHERE t.schema = 'main'";
    let mut sql = connection.prepare(sql)?;
    let mut rows = sql.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(1)?);
        if table.starts_with(prefix) && !parent.starts_with(prefix) {
            return Ok(Some(format!("{table} refers to {parent}")));
        }
    }
    Ok(None)
}

/// Everything in the file that is not the plugin's, as it was made.
fn everything_else(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut sql = connection.prepare("SELECT name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")?;
    let mut rows = sql.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if !row.get::<_, String>(1)?.starts_with(prefix) {
            found.push((row.get(0)?, row.get(2)?));
        }
    }
    Ok(found)
}

enum Fault {
    Sqlite(rusqlite::Error),
    Tables(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

/// Goes through one step, in one transaction.
fn step(
    connection: &mut Connection,
    fence: &Fence,
    plugin: &GamePlugin,
    version: i64,
    migration: &GameMigration,
) -> Result<(), Fault> {
    let GameMigration { name, sql } = migration;
    let prefix = prefix_of(plugin.name.as_str());
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = everything_else(&transaction, &prefix)?;
    fence.on(Side::Migration(prefix.clone()), || transaction.execute_batch(sql)).map_err(
        |error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => Fault::Tables(format!(
                "step {version} ({name}) touches something else than tables named {prefix}…"
            )),
            _ => Fault::Sqlite(error),
        },
    )?;
    if transaction.is_autocommit() {
        return Err(Fault::Tables(format!(
            "step {version} ({name}) ends the transaction that it is part of"
        )));
    }
    // A table that is given another name is not asked about under its new one.
    if everything_else(&transaction, &prefix)? != before {
        return Err(Fault::Tables(format!("step {version} ({name}) leaves something not named {prefix}…")));
    }
    if let Some(reference) = reference_out(&transaction, &prefix)? {
        return Err(Fault::Tables(format!(
            "step {version} ({name}): {reference}, which is not the plugin's"
        )));
    }
    transaction.execute(
        "INSERT INTO game_migration (plugin, version, name, hash) VALUES (?1, ?2, ?3, ?4)",
        params![plugin.name.as_str(), version, name, migration.hash()],
    )?;
    transaction.commit()?;
    Ok(())
}

fn migrate(connection: &mut Connection, fence: &Fence, plugin: &GamePlugin) -> Result<(), Fault> {
    let gone_through = steps_of(connection, plugin.name.as_str())?;
    let (found, known) = (gone_through.len(), plugin.migrations.len());
    if found > known {
        let why = format!("the file has gone through {found} steps, and this program knows {known}");
        return Err(Fault::Tables(why));
    }
    for ((version, hash), migration) in gone_through.iter().zip(&plugin.migrations) {
        if *hash != migration.hash() {
            let why =
                format!("step {version} ({}) was made by other SQL than this program's", migration.name);
            return Err(Fault::Tables(why));
        }
    }
    for (version, migration) in (1..).zip(&plugin.migrations).skip(found) {
        step(connection, fence, plugin, version, migration)?;
        tracing::info!(plugin = %plugin.name, version, name = migration.name, "schema step of the game done");
    }
    Ok(())
}

impl GameStore {
    /// Takes all of its plugins' tables through the steps that are missing.
    pub(in crate::store) fn migrate(
        &self,
        connection: &mut Connection,
        fence: &Fence,
        file: &Path,
    ) -> Result<(), StoreError> {
        for plugin in &self.plugins {
            migrate(connection, fence, plugin).map_err(|fault| match fault {
                Fault::Sqlite(error) => StoreError::sqlite(file, "bring the game's tables up to date")(error),
                Fault::Tables(why) => {
                    StoreError::GameTables { file: file.to_owned(), plugin: plugin.name.to_string(), why }
                }
            })?;
        }
        Ok(())
    }
}

impl Store {
    /// Brings the game's tables up to date, and takes its kinds of change. To be called before plans that name them.
    ///
    /// # Errors
    /// [`StoreError::GameTables`] when the file is of a newer or another game, or a step touches what is not its own; when the disk
    /// refuses.
    pub fn adopt_game(&mut self, game: GameStore) -> Result<(), StoreError> {
        let file = self.database.file().to_owned();
        let fence = self.database.fence().clone();
        game.migrate(self.database.connection()?, &fence, &file)?;
        self.game = game;
        Ok(())
    }

    /// What the game's own kinds of change find wrong with what they wrote, each with the name of its kind before it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn conservation(&mut self) -> Result<Vec<String>, StoreError> {
        let file = self.database.file().to_owned();
        let fence = self.database.fence().clone();
        let game = self.game.clone();
        let look = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
            conservation(&*connection.unchecked_transaction()?, &fence, &game)
        };
        look(self.database.connection()?).map_err(StoreError::sqlite(&file, "look at the game's tables"))
    }
}

/// What a game's kinds of change find wrong, in a transaction of the caller's on a connection that the fence guards.
pub(in crate::store) fn conservation(
    moment: &Connection,
    fence: &Fence,
    game: &GameStore,
) -> rusqlite::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut made = Vec::new();
    for plugin in &game.plugins {
        // A save of an older game goes through the steps when its world starts; until then these tables are not what the kinds
        // know.
        if steps_of(moment, plugin.name.as_str())?.len() >= plugin.migrations.len() {
            made.extend(&plugin.kinds);
        }
    }
    for (name, kind) in made {
        let mut tx = GameTransaction::new(moment, "look", 0);
        let found = fence.on(Side::Reads, || (kind.conservation)(&mut tx));
        tx.finish()?;
        let found = found.unwrap_or_else(|refusal| vec![refusal.reason().to_owned()]);
        wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    Ok(wrong)
}
