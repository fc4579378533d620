//! For tests: a bank of the shipped game, to which requests are carried one after the other.

use std::sync::Arc;

use crate::prelude::*;
use crate::reward::{Claim, CommitBatch, PlanContext, RewardTables, Submission, plan};
use crate::store::game::GameStore;
use crate::store::{Bank, MutationSummary};

use super::Lore;

/// Plans what is asked for against what the bank says, and lets it commit each plan by itself.
pub(super) struct Carrier {
    pub(super) bank: Bank,
    /// When plans are made, ms since 1970.
    pub(super) now_ms: u64,
    tables: Arc<RewardTables>,
    carried: u128,
}

impl Carrier {
    /// A bank of nothing, with the shipped tables.
    pub(super) fn new() -> Self {
        let tables = Arc::new(Lore::shipped().reward_tables().clone());
        let bank = Bank::new(tables.assets(), GameStore::default().plugin(super::tables::plugin()));
        Self { bank, now_ms: 1, tables, carried: 0 }
    }

    /// What comes of a request, under a key of its own.
    pub(super) fn carry(&mut self, request: PlanRequest) -> Result<Arc<MutationSummary>, PlanRefusal> {
        self.carried += 1;
        let claimant = request.claimant.clone();
        let claim = Claim::new(claimant.clone(), ClaimKey(self.carried), b"anything");
        let mut context = PlanContext::new(self.tables.clone(), self.now_ms, &claim, 0);
        if claimant.player().is_some() {
            context = context.with(claimant.clone(), self.bank.holdings(&claimant));
        }
        let plan = Arc::new(plan(&context, &claim, &request)?);
        let plans = vec![Submission { number: 1, plan }];
        let batch = CommitBatch { tick: TickNumber(1), now_ms: self.now_ms, plans };
        self.bank.commit(&batch).remove(0).result
    }
}
