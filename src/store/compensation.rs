//! What could not be done after all tries: kept for an operator, who looks at it and has it tried again or discarded.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

use super::commit::PlanOutcome;
use super::error::StoreError;
use super::save::Store;
use crate::ids::TickNumber;
use crate::protocol::codec;
use crate::reward::{CommitBatch, MutationPlan, PlanRefusal, Submission};

/// Most bytes of a plan that are read back.
const PLAN_BYTES_MAX: usize = 1 << 24;

/// What a compensation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CompensationKind {
    /// A plan that was not carried out.
    Plan,
    /// Something in the outbox that was not delivered.
    Outbox,
}

/// Something that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compensation {
    /// Its number.
    pub number: u64,
    /// What it is about.
    pub kind: CompensationKind,
    /// Which: account and key of a claim, or the number of a delivery.
    pub reference: String,
    /// What went wrong last.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made, milliseconds since 1970.
    pub made_ms: u64,
}

/// What came of another try of a compensation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// The plan is carried out, or refused for a reason of its own: it waits no more.
    Plan(PlanOutcome),
    /// It will be delivered again.
    Outbox,
    /// There is none of this number.
    Nothing,
}

fn reference_of(plan: &MutationPlan) -> String {
    format!("{} {:032x}", plan.claim.account, plan.claim.key.0)
}

fn add(
    connection: &Connection,
    kind: &str,
    reference: &str,
    what: &[u8],
    error: &str,
    attempts: u32,
    made_ms: u64,
) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "INSERT INTO compensation (kind, reference, what, error, attempts, made_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET error = excluded.error, attempts = attempts + excluded.attempts
             RETURNING id",
        )?
        .query_one(params![kind, reference, what, error, attempts, made_ms.cast_signed()], |row| {
            row.get::<_, i64>(0).map(i64::cast_unsigned)
        })
}

/// For a delivery that was given up; its row stays.
pub(super) fn of_delivery(
    connection: &Connection,
    id: u64,
    error: &str,
    attempts: u32,
    now_ms: u64,
) -> rusqlite::Result<()> {
    add(connection, "outbox", &id.to_string(), &[], error, attempts, now_ms).map(drop)
}

/// A delivery that waited for an operator got there after all.
pub(super) fn settle_delivery(connection: &Connection, id: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM compensation WHERE kind = 'outbox' AND reference = ?1")?
        .execute([id.to_string()])?;
    Ok(())
}

/// Takes a compensation away, with what it is about.
fn remove(connection: &mut Connection, number: u64, is_again: bool, now_ms: u64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed: Option<(String, String)> = transaction
        .query_row(
            "DELETE FROM compensation WHERE id = ?1 RETURNING kind, reference",
            [number.cast_signed()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((kind, reference)) = removed else { return Ok(false) };
    if kind == "outbox" {
        let (sql, next_ms) = match is_again {
            true => {
                ("UPDATE outbox SET attempts = 0, next_ms = ?2 WHERE id = ?1", Some(now_ms.cast_signed()))
            }
            false => ("DELETE FROM outbox WHERE id = ?1 AND ?2 IS NULL", None),
        };
        transaction.execute(sql, params![reference.parse::<i64>().unwrap_or(0), next_ms])?;
    }
    transaction.commit()?;
    Ok(true)
}

impl Store {
    /// Carries plans out one by one, after they failed together for a reason that does not pass. What fails again is written down as
    /// a compensation.
    ///
    /// # Errors
    /// When the disk refuses, also to write a compensation: then nobody was told anything, and it may be asked again.
    pub fn commit_apart(&mut self, batch: &CommitBatch) -> Result<Vec<PlanOutcome>, StoreError> {
        let CommitBatch { tick, now_ms, plans } = batch;
        let mut outcomes = Vec::with_capacity(plans.len());
        for submission in plans {
            let alone = CommitBatch { tick: *tick, now_ms: *now_ms, plans: vec![submission.clone()] };
            let error = match self.commit(&alone) {
                Ok(outcome) => {
                    outcomes.extend(outcome);
                    continue;
                }
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => error,
            };
            self.close_after(&error);
            let Submission { number, plan } = submission;
            let file = self.database.file().to_owned();
            let (reference, what) = (reference_of(plan), plan.to_bytes());
            let written =
                add(self.database.connection()?, "plan", &reference, &what, &error.to_string(), 1, *now_ms);
            let waits = written.map_err(StoreError::sqlite(&file, "write a compensation"))?;
            tracing::error!("{error}; {reference} waits for an operator as compensation {waits}");
            let result = Err(PlanRefusal::Compensation { number: waits });
            outcomes.push(PlanOutcome { number: *number, result, is_repeat: false, conflicts: 0 });
        }
        Ok(outcomes)
    }

    /// What waits for an operator, the oldest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn compensations(&mut self) -> Result<Vec<Compensation>, StoreError> {
        let file = self.database.file().to_owned();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<Compensation>> {
            connection
                .prepare(
                    "SELECT id, kind, reference, error, attempts, made_ms FROM compensation ORDER BY id",
                )?
                .query_map([], |row| {
                    let is_plan = row.get::<_, String>(1)? == "plan";
                    Ok(Compensation {
                        number: row.get::<_, i64>(0)?.cast_unsigned(),
                        kind: if is_plan { CompensationKind::Plan } else { CompensationKind::Outbox },
                        reference: row.get(2)?,
                        error: row.get(3)?,
                        attempts: row.get(4)?,
                        made_ms: row.get::<_, i64>(5)?.cast_unsigned(),
                    })
                })?
                .collect()
        };
        read(self.database.connection()?)
            .map_err(StoreError::sqlite(&file, "read what waits for an operator"))
    }

    /// Tries again what waits for an operator. A plan that was carried out in the meantime is not carried out again.
    ///
    /// # Errors
    /// When it fails as before, or the disk refuses: then it still waits.
    pub fn retry_compensation(
        &mut self,
        number: u64,
        tick: TickNumber,
        now_ms: u64,
    ) -> Result<Retried, StoreError> {
        let file = self.database.file().to_owned();
        let sqlite = |error| StoreError::sqlite(&file, "try again what waits for an operator")(error);
        let found: Option<(String, Vec<u8>)> = self
            .database
            .connection()?
            .query_row("SELECT kind, what FROM compensation WHERE id = ?1", [number.cast_signed()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(sqlite)?;
        let Some((kind, what)) = found else { return Ok(Retried::Nothing) };
        if kind == "outbox" {
            let again = remove(self.database.connection()?, number, true, now_ms).map_err(sqlite)?;
            return Ok(if again { Retried::Outbox } else { Retried::Nothing });
        }
        let (plan, _) =
            codec::decode_prefix::<MutationPlan, PLAN_BYTES_MAX>("a plan", &what).map_err(|error| {
                let source =
                    rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, error.into());
                StoreError::Damaged { file: file.clone(), doing: "read a plan that waits", source }
            })?;
        let plans = vec![Submission { number, plan: plan.into() }];
        let outcome = self.commit(&CommitBatch { tick, now_ms, plans })?.remove(0);
        remove(self.database.connection()?, number, false, now_ms).map_err(sqlite)?;
        Ok(Retried::Plan(outcome))
    }

    /// Discards what waits for an operator; a delivery is not tried again either. `false`: there is none of this number.
    ///
    /// # Errors
    /// When the disk refuses: then it still waits.
    pub fn discard_compensation(&mut self, number: u64) -> Result<bool, StoreError> {
        let file = self.database.file().to_owned();
        remove(self.database.connection()?, number, false, 0)
            .map_err(StoreError::sqlite(&file, "discard what waits for an operator"))
    }
}
