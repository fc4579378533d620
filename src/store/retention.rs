//! What is forgotten, and when: in small pieces, between commits.
//!
//! | what | kept | then |
//! |---|---|---|
//! | keys and summaries of claims | [`Retention::claims_ms`], named ones for good | repeats are refused as too old |
//! | rows of the changelog | [`Retention::changelog_ms`], the newest of each account for good | gone |
//! | rows of the ledger | [`Retention::ledger_ms`] | summed up in the opening balances |
//! | rows of claims | as long as one of these needs them | gone |

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::StoreError;
use super::save::Store;
use crate::ids::ActionId;
use crate::limits::{CLAIMS_KEPT_S_DEFAULT, HISTORY_KEPT_S_DEFAULT};

/// How long things are kept, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Claims whose keys are not named: so long a repeat gets the first result. Afterwards it is refused as too old.
    pub claims_ms: u64,
    /// Rows of the changelog.
    pub changelog_ms: u64,
    /// Single rows of the ledger.
    pub ledger_ms: u64,
}

impl Retention {
    /// Of claims so long, and of what tells how everything came about so long.
    #[must_use]
    pub fn of_seconds(claims_s: u32, history_s: u32) -> Self {
        let ms = |seconds: u32| 1_000 * u64::from(seconds);
        Self { claims_ms: ms(claims_s), changelog_ms: ms(history_s), ledger_ms: ms(history_s) }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::of_seconds(CLAIMS_KEPT_S_DEFAULT, HISTORY_KEPT_S_DEFAULT)
    }
}

/// What a save has forgotten already, as far as it was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Forgotten {
    /// Claims with keys made before this may be gone, milliseconds since 1970.
    claims_before_ms: Option<u64>,
}

/// What was forgotten in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Keys and summaries of claims.
    pub claims: u64,
    /// Rows of the changelog.
    pub changelog: u64,
    /// Rows of the ledger, which are in the opening balances now.
    pub ledger: u64,
    /// Rows of claims that nothing needs any more.
    pub removed: u64,
}

const CLAIMS_BEFORE: &str = "claims_before_ms";
pub(super) const CHANGELOG_AFTER: &str = "changelog_after_claim";
/// Rows of the ledger whose claims are older than that may be summed up.
pub(super) const LEDGER_BEFORE: &str = "ledger_before_ms";
/// Of all claims up to this one the ledger is summed up.
const LEDGER_AFTER: &str = "ledger_after_claim";
const REMOVED_AFTER: &str = "removed_after_claim";

pub(super) fn known(connection: &Connection, what: &str) -> rusqlite::Result<i64> {
    let value = connection
        .prepare_cached("SELECT value FROM retention WHERE what = ?1")?
        .query_row([what], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

fn know(connection: &Connection, what: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO retention (what, value) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
        )?
        .execute(params![what, value])?;
    Ok(())
}

/// Takes key and summary off claims whose keys are older than that. A named key is greater than all of these.
fn forget_claims(transaction: &Transaction<'_>, before_ms: u64, at_most: u32) -> rusqlite::Result<u64> {
    let first_kept = ActionId::new(ActionId::order_at(before_ms), 0).0.to_be_bytes();
    let forgotten = transaction
        .prepare_cached(
            "UPDATE claim SET key = NULL, summary = NULL WHERE id IN
                 (SELECT id FROM claim WHERE key < ?1 AND now_ms < ?2 ORDER BY key LIMIT ?3)",
        )?
        .execute(params![first_kept, before_ms.cast_signed(), at_most])?;
    if forgotten > 0 {
        know(transaction, CLAIMS_BEFORE, known(transaction, CLAIMS_BEFORE)?.max(before_ms.cast_signed()))?;
    }
    Ok(forgotten as u64)
}

/// Claims from a point on, in their order, as long as they are older than that.
fn claims_from(
    transaction: &Transaction<'_>,
    after: i64,
    before_ms: u64,
    at_most: u32,
) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut sql =
        transaction.prepare_cached("SELECT id, now_ms FROM claim WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = sql.query(params![after, at_most])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= before_ms.cast_signed() {
            break;
        }
        found.push(row.get(0)?);
    }
    Ok(found)
}

/// Removes rows of the changelog up to those of the next few claims, but no account's newest.
fn forget_changes(transaction: &Transaction<'_>, before_ms: u64, at_most: u32) -> rusqlite::Result<u64> {
    let claims = claims_from(transaction, known(transaction, CHANGELOG_AFTER)?, before_ms, at_most)?;
    let Some(last) = claims.last() else { return Ok(0) };
    let mut forgotten = 0;
    let mut changed =
        transaction.prepare_cached("SELECT account, data_version FROM changelog WHERE claim = ?1")?;
    let mut forget = transaction.prepare_cached(
        "DELETE FROM changelog WHERE account = ?1 AND data_version <= ?2
             AND data_version < (SELECT data_version FROM account WHERE id = ?1)",
    )?;
    for claim in &claims {
        let rows: Vec<(i64, i64)> = changed
            .query_map([claim], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (account, version) in rows {
            forgotten += forget.execute([account, version])?;
        }
    }
    know(transaction, CHANGELOG_AFTER, *last)?;
    Ok(forgotten as u64)
}

/// Sums up the rows of the next few claims in the ledger, each on both sides. Like everything here it begins where it left off:
/// what is too new to be summed up is not even looked at.
fn roll_up(transaction: &Transaction<'_>, before_ms: u64, at_most: u32) -> rusqlite::Result<u64> {
    struct Row {
        asset: i64,
        lot: [i64; 2],
        from: i64,
        to: i64,
        amount: i64,
    }
    let claims = claims_from(transaction, known(transaction, LEDGER_AFTER)?, before_ms, at_most)?;
    let Some(last) = claims.last() else { return Ok(0) };
    let mut find = transaction.prepare_cached(
        "SELECT asset, expires_ms, instance, from_account, to_account, amount FROM ledger WHERE claim = ?1 ORDER BY position",
    )?;
    let mut open = transaction.prepare_cached(
        "INSERT INTO opening (account, asset, expires_ms, instance, amount) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
    )?;
    let mut close = transaction.prepare_cached(
        "DELETE FROM opening WHERE account = ?1 AND asset = ?2 AND expires_ms = ?3 AND instance = ?4 AND amount = 0",
    )?;
    let mut forget = transaction.prepare_cached("DELETE FROM ledger WHERE claim = ?1")?;
    let mut summed_up = 0;
    for claim in &claims {
        let rows: Vec<Row> = find
            .query_map([claim], |row| {
                Ok(Row {
                    asset: row.get(0)?,
                    lot: [row.get(1)?, row.get(2)?],
                    from: row.get(3)?,
                    to: row.get(4)?,
                    amount: row.get(5)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        for row in rows {
            for (account, amount) in [(row.from, -row.amount), (row.to, row.amount)] {
                // Houses do not tell lots apart.
                let [expires_ms, instance] = if account < 0 { [0, 0] } else { row.lot };
                open.execute(params![account, row.asset, expires_ms, instance, amount])?;
                close.execute(params![account, row.asset, expires_ms, instance])?;
            }
        }
        summed_up += forget.execute([claim])?;
    }
    if summed_up > 0 {
        know(transaction, LEDGER_BEFORE, known(transaction, LEDGER_BEFORE)?.max(before_ms.cast_signed()))?;
    }
    know(transaction, LEDGER_AFTER, *last)?;
    Ok(summed_up as u64)
}

/// Removes claims that have neither key nor anything that refers to them: a few behind those looked at last, over and over.
/// Never the newest one, whose number would be given out again.
fn remove_claims(transaction: &Transaction<'_>, before_ms: u64, at_most: u32) -> rusqlite::Result<u64> {
    let claims = claims_from(transaction, known(transaction, REMOVED_AFTER)?, before_ms, at_most)?;
    let mut removed = 0;
    let mut remove = transaction.prepare_cached(
        "DELETE FROM claim WHERE id = ?1 AND key IS NULL AND id < (SELECT max(id) FROM claim)
             AND NOT EXISTS (SELECT 1 FROM ledger WHERE claim = ?1)
             AND NOT EXISTS (SELECT 1 FROM changelog WHERE claim = ?1)
             AND NOT EXISTS (SELECT 1 FROM outbox WHERE claim = ?1)",
    )?;
    for claim in &claims {
        removed += remove.execute([claim])?;
    }
    know(transaction, REMOVED_AFTER, claims.last().copied().unwrap_or(0))?;
    Ok(removed as u64)
}

fn tidy(
    connection: &mut Connection,
    retention: Retention,
    now_ms: u64,
    at_most: u32,
) -> rusqlite::Result<Tidied> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ago = |ms: u64| now_ms.saturating_sub(ms);
    let longest = retention.claims_ms.max(retention.changelog_ms).max(retention.ledger_ms);
    let tidied = Tidied {
        claims: forget_claims(&transaction, ago(retention.claims_ms), at_most)?,
        changelog: forget_changes(&transaction, ago(retention.changelog_ms), at_most)?,
        ledger: roll_up(&transaction, ago(retention.ledger_ms), at_most)?,
        removed: remove_claims(&transaction, ago(longest), at_most)?,
    };
    transaction.commit()?;
    Ok(tidied)
}

impl Store {
    /// Sets how long things are kept from now on. What is forgotten already stays forgotten.
    pub fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// How long things are kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Forgets what is old, at most so many rows of each kind: a little of it, to be called often.
    ///
    /// # Errors
    /// When the disk refuses: then nothing was forgotten.
    pub fn tidy(&mut self, now_ms: u64, at_most: u32) -> Result<Tidied, StoreError> {
        let file = self.database.file().to_owned();
        let tidied = tidy(self.database.connection()?, self.retention, now_ms, at_most)
            .map_err(StoreError::sqlite(&file, "forget what is old"));
        self.forgotten = Forgotten::default();
        tidied
    }

    /// Keys made before this are not fulfilled any more: either their claims are forgotten, or they may be at any moment.
    pub(super) fn claims_horizon_ms(&mut self, now_ms: u64) -> Result<u64, StoreError> {
        let before_ms = match self.forgotten.claims_before_ms {
            Some(before_ms) => before_ms,
            None => {
                let file = self.database.file().to_owned();
                let before_ms = known(self.database.connection()?, CLAIMS_BEFORE)
                    .map_err(StoreError::sqlite(&file, "read what it has forgotten"))?;
                *self.forgotten.claims_before_ms.insert(before_ms.cast_unsigned())
            }
        };
        Ok(before_ms.max(now_ms.saturating_sub(self.retention.claims_ms)))
    }
}
