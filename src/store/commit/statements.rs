//! The statements that every plan needs, prepared once per connection and borrowed once per batch.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::claims;
use crate::reward::Lot;

/// What a row of what somebody holds is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HoldingKey {
    pub(super) account: i64,
    pub(super) asset: i64,
    pub(super) lot: Lot,
}

/// Prepared statements.
pub(super) struct Statements<'c> {
    pub(super) savepoint: CachedStatement<'c>,
    pub(super) release: CachedStatement<'c>,
    pub(super) undo: CachedStatement<'c>,
    pub(super) find_claim: CachedStatement<'c>,
    pub(super) add_claim: CachedStatement<'c>,
    pub(super) version: CachedStatement<'c>,
    pub(super) change: CachedStatement<'c>,
    amount: CachedStatement<'c>,
    set_amount: CachedStatement<'c>,
    add_holding: CachedStatement<'c>,
    remove_holding: CachedStatement<'c>,
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

    /// What a row says, if there is one.
    pub(super) fn holding(&mut self, row: HoldingKey) -> rusqlite::Result<Option<i64>> {
        let HoldingKey { account, asset, lot } = row;
        let of = params![account, asset, lot.expires_ms.cast_signed(), lot.instance.cast_signed()];
        self.amount.query_one(of, |row| row.get(0)).optional()
    }

    /// Writes what a row says from now on. One that was there and says nothing any more goes away, unless it is plain: lots come and
    /// go, what is plain comes again.
    pub(super) fn write_holding(
        &mut self,
        row: HoldingKey,
        was: Option<i64>,
        amount: i64,
    ) -> rusqlite::Result<()> {
        let HoldingKey { account, asset, lot } = row;
        let (expires_ms, instance) = (lot.expires_ms.cast_signed(), lot.instance.cast_signed());
        let written = match was {
            None => self.add_holding.execute(params![account, asset, expires_ms, instance, amount])?,
            Some(_) if amount == 0 && lot != Lot::PLAIN => {
                self.remove_holding.execute(params![account, asset, expires_ms, instance])?
            }
            Some(_) => self.set_amount.execute(params![account, asset, expires_ms, instance, amount])?,
        };
        // It was read before, in the same transaction.
        if written == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(written)) }
    }
}
