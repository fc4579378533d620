//! Plans carried out, exactly once: one transaction per batch, one savepoint per plan.
//!
//! A plan that is refused leaves nothing behind and hinders no other. Any failure that is not the plan's own voids the whole
//! batch: nothing is acknowledged, and it may be carried out again, whatever became of the first try, since every plan that was
//! committed is found by its claim.

mod amounts;
mod claims;
mod executor;
mod houses;
mod names;
mod reading;
mod recent;
mod statements;

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use self::executor::Executor;
pub(super) use self::names::Names;
pub(super) use self::reading::load_holdings;
pub(super) use self::recent::RecentClaims;
use super::error::StoreError;
use super::fence::Fence;
use super::game::GameStore;
use super::save::Store;
use super::summary::MutationSummary;
use crate::reward::{CommitBatch, PlanRefusal};

pub(super) use self::claims::find_claim;

/// What came of one plan. It is durable when it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOutcome {
    /// Which.
    pub number: u64,
    /// What changed, or why nothing did.
    pub result: Result<Arc<MutationSummary>, PlanRefusal>,
    /// Whether the claim had been fulfilled before, by somebody else: the summary is the first one, and nothing has changed now. What
    /// this very submission did before, when its answer was lost to a failure, is told as what it is: done, for the first time.
    pub is_repeat: bool,
    /// Of how many accounts the holdings had changed since the plan was made.
    pub conflicts: u32,
}

impl PlanOutcome {
    /// The number of a plan that no tick submitted: an operator had it tried again. A tick's are above.
    pub const OF_OPERATOR: u64 = 0;
}

/// Why a plan was not carried out to its end.
#[derive(Debug)]
enum Stop {
    /// For a reason of its own: it alone is undone.
    Refused(PlanRefusal),
    /// For any other: the whole batch is void.
    Broken(rusqlite::Error),
}

impl From<PlanRefusal> for Stop {
    fn from(refusal: PlanRefusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Stop::Refused(PlanRefusal::Invalid { why: error.to_string() })
            }
            _ => Stop::Broken(error),
        }
    }
}

/// What holds for every plan of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// Keys made before this are too old.
    pub(super) horizon_ms: u64,
    /// The game's kinds of change.
    pub(super) game: &'a GameStore,
    pub(super) fence: &'a Fence,
}

/// What the store knows beside its file, of what is in it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) names: Names,
    pub(super) recent: RecentClaims,
}

pub(super) fn commit(
    connection: &mut Connection,
    memory: &mut Memory,
    batch: &CommitBatch,
    rules: &Rules<'_>,
) -> rusqlite::Result<Vec<PlanOutcome>> {
    together(connection, memory, batch, rules, |_, outcomes| Ok(outcomes))
}

/// Carries plans out, and something else in the same transaction that depends on what came of them.
pub(super) fn together<T>(
    connection: &mut Connection,
    memory: &mut Memory,
    batch: &CommitBatch,
    rules: &Rules<'_>,
    and: impl FnOnce(&Connection, Vec<PlanOutcome>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes = carry_out(&transaction, memory, batch, rules)?;
    let also = and(&transaction, outcomes)?;
    transaction.commit()?;
    Ok(also)
}

/// Carries plans out within a transaction, each in a savepoint of its own. After an error the whole transaction is void.
pub(super) fn carry_out(
    transaction: &Connection,
    memory: &mut Memory,
    batch: &CommitBatch,
    rules: &Rules<'_>,
) -> rusqlite::Result<Vec<PlanOutcome>> {
    let mut executor = Executor::new(transaction, memory, batch, rules)?;
    let outcomes = batch.plans.iter().map(|submission| executor.outcome(submission));
    let outcomes = outcomes.collect::<rusqlite::Result<_>>()?;
    executor.finish()?;
    Ok(outcomes)
}

impl Store {
    /// Carries plans out in one durable transaction, in their order, each whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses. Then nothing is acknowledged, and nobody knows whether the batch is durable: close the connection and
    /// ask again, and what was done is found as a repeat.
    pub fn commit(&mut self, batch: &CommitBatch) -> Result<Vec<PlanOutcome>, StoreError> {
        let horizon_ms = self.claims_horizon_ms(batch.now_ms)?;
        self.commit_since(batch, horizon_ms)
    }

    /// The same; keys made before that are too old.
    pub(super) fn commit_since(
        &mut self,
        batch: &CommitBatch,
        horizon_ms: u64,
    ) -> Result<Vec<PlanOutcome>, StoreError> {
        let file = self.database.file().to_owned();
        let fence = self.database.fence().clone();
        let rules = Rules { horizon_ms, game: &self.game, fence: &fence };
        let done = commit(self.database.connection()?, &mut self.memory, batch, &rules);
        if done.is_err() {
            // What was named in the void batch may have no row.
            self.memory.names.forget();
        }
        done.map_err(StoreError::sqlite(&file, "carry out plans"))
    }
}
