//! What could not be done after all tries: kept for an operator, who looks at it and has it tried again or discarded.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::commit::{self, PlanOutcome, Rules};
use super::database::Database;
use super::error::StoreError;
use super::folder::SaveFolder;
use super::players::append;
use super::save::Store;
use crate::ids::TickNumber;
use crate::players::AuditRow;
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

impl CompensationKind {
    /// As in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Outbox => "outbox",
        }
    }
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

/// What an operator does about a compensation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompensationVerb {
    /// Have it tried again.
    Retry,
    /// Have it go, undone.
    Discard,
}

impl CompensationVerb {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }
}

/// What an operator orders about a compensation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompensationOrder {
    /// Given back with what came of it.
    pub ticket: u64,
    /// What.
    pub verb: CompensationVerb,
    /// About which.
    pub number: u64,
    /// Why, for the records; empty where nothing was said.
    pub why: String,
    /// Who orders it.
    pub by: String,
    /// In which tick; of a world that does not run, the one it goes on with.
    pub tick: TickNumber,
    /// When, milliseconds since 1970.
    pub now_ms: u64,
}

/// What came of such an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompensationDone {
    /// Of which order.
    pub ticket: u64,
    /// Whether it waits no more, or is delivered again.
    pub done: bool,
    /// What came of it, in words.
    pub text: String,
    /// What came of the plan, if one was tried again.
    pub outcome: Option<PlanOutcome>,
}

/// What a compensation calls a plan.
pub(super) fn reference_of(plan: &MutationPlan) -> String {
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

/// Whether a plan can be read back.
pub(super) fn is_readable(what: &[u8]) -> bool {
    codec::decode_prefix::<MutationPlan, PLAN_BYTES_MAX>("a plan", what).is_ok()
}

const WRITING_DOWN: &str = "write down what became of what waits";
const DOING_LIST: &str = "read what waits for an operator";

fn list(connection: &Connection) -> rusqlite::Result<Vec<Compensation>> {
    connection
        .prepare("SELECT id, kind, reference, error, attempts, made_ms FROM compensation ORDER BY id")?
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
}

/// A row, as it is acted on.
struct Waiting {
    kind: String,
    reference: String,
    what: Vec<u8>,
}

fn find(connection: &Connection, number: u64) -> rusqlite::Result<Option<Waiting>> {
    connection
        .query_row(
            "SELECT kind, reference, what FROM compensation WHERE id = ?1",
            [number.cast_signed()],
            |row| Ok(Waiting { kind: row.get(0)?, reference: row.get(1)?, what: row.get(2)? }),
        )
        .optional()
}

/// What becomes of a row.
enum End<'a> {
    /// What it is about is done.
    Done,
    /// Its delivery is due again.
    Again,
    /// It goes, and with it a delivery.
    Discarded,
    /// It failed again, for this reason, and still waits.
    Waits(&'a str),
}

/// Writes down what becomes of a row, and that an operator had it so, together.
fn write_end(
    transaction: &Connection,
    order: &CompensationOrder,
    waiting: &Waiting,
    end: &End<'_>,
    text: &str,
) -> rusqlite::Result<()> {
    let number = order.number.cast_signed();
    if let End::Waits(error) = end {
        transaction.execute(
            "UPDATE compensation SET error = ?2, attempts = attempts + 1 WHERE id = ?1",
            params![number, error],
        )?;
    } else {
        transaction.execute("DELETE FROM compensation WHERE id = ?1", [number])?;
    }
    if waiting.kind == "outbox" {
        let delivery: i64 = waiting.reference.parse().unwrap_or(0);
        match end {
            End::Again => transaction.execute(
                "UPDATE outbox SET attempts = 0, next_ms = ?2 WHERE id = ?1",
                params![delivery, order.now_ms.cast_signed()],
            )?,
            End::Discarded => transaction.execute("DELETE FROM outbox WHERE id = ?1", [delivery])?,
            End::Done | End::Waits(_) => 0,
        };
    }
    let why = if order.why.is_empty() { String::new() } else { format!("{}: ", order.why) };
    let row = AuditRow {
        tick: order.tick,
        now_ms: order.now_ms,
        who: order.by.clone(),
        what: format!("compensation {}", order.verb.name()),
        target: format!("{} {}", order.number, waiting.reference),
        detail: format!("{why}{text}"),
    };
    append(transaction, &row)
}

/// As [`write_end`], by itself.
fn write_end_alone(
    connection: &mut Connection,
    order: &CompensationOrder,
    waiting: &Waiting,
    end: &End<'_>,
    text: &str,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write_end(&transaction, order, waiting, end, text)?;
    transaction.commit()
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
        list(self.database.connection()?).map_err(StoreError::sqlite(&file, DOING_LIST))
    }

    /// What waits for an operator in the save in this folder, which may be another process's at the same time.
    ///
    /// # Errors
    /// When there is no save, one of a newer program, or the disk refuses.
    pub fn read_compensations(folder: &Path) -> Result<Vec<Compensation>, StoreError> {
        let file = SaveFolder::database_in(folder);
        list(&Database::open_to_read(&file)?).map_err(StoreError::sqlite(&file, DOING_LIST))
    }

    /// Does what an operator orders about something that waits, and leaves a record of it. A plan that was carried out in the
    /// meantime is not carried out again; one that fails or is refused still waits, until it is discarded. A delivery that is
    /// discarded is not tried again either.
    ///
    /// # Errors
    /// When the disk refuses: then it still waits, and may be ordered again.
    pub fn order_compensation(&mut self, order: &CompensationOrder) -> Result<CompensationDone, StoreError> {
        let file = self.database.file().to_owned();
        let sqlite = |error| StoreError::sqlite(&file, WRITING_DOWN)(error);
        let told = |done, text| CompensationDone { ticket: order.ticket, done, text, outcome: None };
        let number = order.number;
        let Some(waiting) = find(self.database.connection()?, number).map_err(sqlite)? else {
            // Unless it is this very order that was carried out, and its answer was lost to a failure.
            if let Some(done) = self.ordered.take_if(|done| done.ticket == order.ticket) {
                return Ok(done);
            }
            return Ok(told(false, format!("nothing waits for an operator under the number {number}")));
        };
        let reference = &waiting.reference;
        let (end, done) = match order.verb {
            CompensationVerb::Discard => {
                let what = if waiting.kind == "plan" { "the plan of" } else { "delivery" };
                (End::Discarded, told(true, format!("{what} {reference} is discarded")))
            }
            CompensationVerb::Retry if waiting.kind == "outbox" => {
                (End::Again, told(true, format!("delivery {reference} is due again")))
            }
            CompensationVerb::Retry => return self.retry_plan(order, &waiting),
        };
        self.ordered = Some(done.clone());
        write_end_alone(self.database.connection()?, order, &waiting, &end, &done.text).map_err(sqlite)?;
        let done = self.database.answer(done).map_err(sqlite)?;
        self.ordered = None;
        Ok(done)
    }

    /// The plan and what becomes of the row that it waits in, in one transaction. A plan that fails still waits.
    fn retry_plan(
        &mut self,
        order: &CompensationOrder,
        waiting: &Waiting,
    ) -> Result<CompensationDone, StoreError> {
        let error = match self.carry_out_again(order, waiting) {
            Ok(done) => return Ok(done),
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => error,
        };
        self.close_after(&error);
        let file = self.database.file().to_owned();
        let why = error.to_string();
        let text = format!("the plan of {} still waits: {why}", waiting.reference);
        write_end_alone(self.database.connection()?, order, waiting, &End::Waits(&why), &text)
            .map_err(StoreError::sqlite(&file, WRITING_DOWN))?;
        Ok(CompensationDone { ticket: order.ticket, done: false, text, outcome: None })
    }

    fn carry_out_again(
        &mut self,
        order: &CompensationOrder,
        waiting: &Waiting,
    ) -> Result<CompensationDone, StoreError> {
        let file = self.database.file().to_owned();
        let (plan, _) = codec::decode_prefix::<MutationPlan, PLAN_BYTES_MAX>("a plan", &waiting.what)
            .map_err(|error| {
                let source =
                    rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Blob, error.into());
                StoreError::Damaged { file: file.clone(), doing: "read a plan that waits", source }
            })?;
        let plans = vec![Submission { number: PlanOutcome::OF_OPERATOR, plan: plan.into() }];
        let batch = CommitBatch { tick: order.tick, now_ms: order.now_ms, plans };
        let fence = self.database.fence().clone();
        // However old its key is: while it waits here, it was never carried out (see the executor).
        let rules = Rules { horizon_ms: 0, game: &self.game, fence: &fence };
        let (memory, ordered) = (&mut self.memory, &mut self.ordered);
        let done =
            commit::together(self.database.connection()?, memory, &batch, &rules, |connection, outcomes| {
                let outcome = outcomes.first();
                let why_not = match outcome.map(|outcome| &outcome.result) {
                    Some(Ok(_)) => None,
                    Some(Err(refusal)) => Some(refusal.to_string()),
                    None => Some("nothing came of it".to_owned()),
                };
                let reference = &waiting.reference;
                let (end, text) = match &why_not {
                    None => (End::Done, format!("the plan of {reference} is carried out")),
                    Some(why) => (End::Waits(why), format!("the plan of {reference} still waits: {why}")),
                };
                write_end(connection, order, waiting, &end, &text)?;
                let done = why_not.is_none();
                let done = CompensationDone { ticket: order.ticket, done, text, outcome: outcome.cloned() };
                *ordered = Some(done.clone());
                Ok(done)
            });
        let done = done.and_then(|done| self.database.answer(done));
        match &done {
            Ok(_) => self.ordered = None,
            // What was named in a void transaction may have no row.
            Err(_) => self.memory.names.forget(),
        }
        done.map_err(StoreError::sqlite(&file, WRITING_DOWN))
    }
}
