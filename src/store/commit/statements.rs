//! The statements that every plan needs, prepared once per connection and borrowed once per batch.

use rusqlite::{CachedStatement, Connection};

use super::claims;

/// Prepared statements.
pub(super) struct Statements<'c> {
    pub(super) savepoint: CachedStatement<'c>,
    pub(super) release: CachedStatement<'c>,
    pub(super) undo: CachedStatement<'c>,
    pub(super) find_claim: CachedStatement<'c>,
    pub(super) add_claim: CachedStatement<'c>,
    pub(super) version: CachedStatement<'c>,
    pub(super) change: CachedStatement<'c>,
    pub(super) amount: CachedStatement<'c>,
    pub(super) set_amount: CachedStatement<'c>,
    pub(super) add_holding: CachedStatement<'c>,
    pub(super) remove_holding: CachedStatement<'c>,
    pub(super) whole_amount: CachedStatement<'c>,
    pub(super) slots: CachedStatement<'c>,
    pub(super) clock: CachedStatement<'c>,
    pub(super) ledger: CachedStatement<'c>,
    pub(super) outbox: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Self {
            savepoint: prepare("SAVEPOINT plan")?,
            release: prepare("RELEASE plan")?,
            undo: prepare("ROLLBACK TO plan")?,
            find_claim: prepare(claims::FIND)?,
            add_claim: prepare(
                "INSERT INTO claim (account, key, request, plan_hash, use_case, tick, now_ms, summary)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            version: prepare("SELECT data_version FROM account WHERE id = ?1")?,
            // The one statement that raises a version: a trigger does it together with the row, if it was the one before.
            change: prepare(
                "INSERT INTO changelog (account, data_version, claim, domains) VALUES (?1, ?2, ?3, ?4)",
            )?,
            amount: prepare(
                "SELECT amount FROM holding
                 WHERE account = ?1 AND asset = ?2 AND expires_ms = ?3 AND instance = ?4",
            )?,
            // No statement returns what it wrote: for that SQLite makes a table of its own each time.
            set_amount: prepare(
                "UPDATE holding SET amount = ?5
                 WHERE account = ?1 AND asset = ?2 AND expires_ms = ?3 AND instance = ?4",
            )?,
            add_holding: prepare(
                "INSERT INTO holding (account, asset, expires_ms, instance, amount) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            remove_holding: prepare(
                "DELETE FROM holding
                 WHERE account = ?1 AND asset = ?2 AND expires_ms = ?3 AND instance = ?4",
            )?,
            whole_amount: prepare("SELECT sum(amount) FROM holding WHERE account = ?1 AND asset = ?2")?,
            slots: prepare(
                "SELECT coalesce(sum((amount + stack_max - 1) / stack_max), 0)
                 FROM holding JOIN asset ON asset.id = holding.asset
                 WHERE account = ?1 AND stack_max IS NOT NULL",
            )?,
            clock: prepare(
                "INSERT INTO pool_clock (account, asset, as_of_ms, data_version) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET as_of_ms = excluded.as_of_ms, data_version = excluded.data_version
                     WHERE data_version <= ?5 OR data_version = excluded.data_version",
            )?,
            ledger: prepare(
                "INSERT INTO ledger (claim, position, asset, expires_ms, instance, from_account, to_account, amount)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            outbox: prepare(
                "INSERT INTO outbox (claim, position, kind, payload, next_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
        })
    }
}
