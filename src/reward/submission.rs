//! Plans on their way to the store.

use std::sync::Arc;

use super::plan::MutationPlan;
use crate::ids::TickNumber;

/// One plan to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Grows with every plan of a run: its outcome names it.
    pub number: u64,
    /// The plan.
    pub plan: Arc<MutationPlan>,
}

/// The plans of one tick, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitBatch {
    /// The tick.
    pub tick: TickNumber,
    /// Its calendar time, milliseconds since 1970; it never runs backwards.
    pub now_ms: u64,
    /// The plans.
    pub plans: Vec<Submission>,
}
