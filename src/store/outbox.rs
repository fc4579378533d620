//! What is to be delivered after a commit: written with it, delivered at least once, by one dispatcher.

use rusqlite::{Connection, TransactionBehavior, params};

use super::compensation;
use super::error::StoreError;
use super::save::Store;
use crate::reward::Name;

/// Tries before an operator has to look at it.
pub const DELIVERY_ATTEMPTS_MAX: u32 = 10;
/// The wait after the first try that failed; it doubles with each.
const RETRY_MS_MIN: u64 = 1_000;
/// The longest wait.
const RETRY_MS_MAX: u64 = 600_000;
/// When what was given up is due.
pub(super) const NEVER_MS: i64 = i64::MAX;

/// Something to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number: the same at every try, and never given to another. Whoever receives tells repeats by it.
    pub id: u64,
    /// Who delivers it.
    pub kind: Name,
    /// What.
    pub payload: Vec<u8>,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a dispatcher tells and asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxWork {
    /// Calendar time, milliseconds since 1970.
    pub now_ms: u64,
    /// What was delivered.
    pub done: Vec<u64>,
    /// What was not, with the reason.
    pub failed: Vec<(u64, String)>,
    /// How many it wants that are due.
    pub wanted: u32,
}

fn failed(connection: &Connection, id: u64, error: &str, now_ms: u64) -> rusqlite::Result<()> {
    // What is not due any more was written down already, by a try whose commit was told as a failure.
    let attempts: Option<u32> = connection
        .prepare_cached(
            "UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1 AND next_ms <= ?2 RETURNING attempts",
        )?
        .query_map(params![id.cast_signed(), now_ms.cast_signed()], |row| row.get(0))?
        .next()
        .transpose()?;
    let Some(attempts) = attempts else { return Ok(()) };
    let next_ms = if attempts < DELIVERY_ATTEMPTS_MAX {
        let wait_ms = (RETRY_MS_MIN << (attempts - 1).min(16)).min(RETRY_MS_MAX);
        now_ms.saturating_add(wait_ms).cast_signed()
    } else {
        compensation::of_delivery(connection, id, error, attempts, now_ms)?;
        NEVER_MS
    };
    connection
        .prepare_cached("UPDATE outbox SET next_ms = ?2 WHERE id = ?1")?
        .execute(params![id.cast_signed(), next_ms])?;
    Ok(())
}

pub(super) fn turn(connection: &mut Connection, work: &OutboxWork) -> rusqlite::Result<Vec<Delivery>> {
    let behavior = match work.done.is_empty() && work.failed.is_empty() {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    let transaction = connection.transaction_with_behavior(behavior)?;
    for id in &work.done {
        transaction.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id.cast_signed()])?;
        compensation::settle_delivery(&transaction, *id)?;
    }
    for (id, error) in &work.failed {
        failed(&transaction, *id, error, work.now_ms)?;
    }
    let due = transaction
        .prepare_cached(
            "SELECT id, kind, payload, attempts FROM outbox WHERE next_ms <= ?1 AND next_ms < ?2
             ORDER BY next_ms, id LIMIT ?3",
        )?
        .query_map(params![work.now_ms.cast_signed(), NEVER_MS, work.wanted], |row| {
            let kind = Name::new(&row.get::<_, String>(1)?).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error.into())
            })?;
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            Ok(Delivery { id, kind, payload: row.get(2)?, attempts: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(due)
}

impl Store {
    /// One turn of the dispatcher: writes down what was delivered and what was not, and tells what is due, the oldest first. What
    /// failed is due again later, ever more slowly; after [`DELIVERY_ATTEMPTS_MAX`] tries it waits for an operator.
    ///
    /// What was told as due is told again until it is said to be delivered.
    ///
    /// # Errors
    /// When the disk refuses: then nothing was written down.
    pub fn outbox(&mut self, work: &OutboxWork) -> Result<Vec<Delivery>, StoreError> {
        let file = self.database.file().to_owned();
        turn(self.database.connection()?, work).map_err(StoreError::sqlite(&file, "work off its outbox"))
    }
}
