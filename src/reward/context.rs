//! What is frozen for a plan: tables, time, chance and holdings, together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::Account;
use super::claim::Claim;
use super::holdings::Holdings;
use super::tables::RewardTables;

/// Everything that a planner may know, frozen at one moment. A retry goes on with it, so that no expiry drifts and nothing is
/// rolled again.
#[derive(Clone, Debug)]
pub struct PlanContext {
    /// The tables.
    pub tables: Arc<RewardTables>,
    /// Calendar time, milliseconds since 1970.
    pub now_ms: u64,
    /// Seed of all chance: [`Claim::seed`].
    pub seed: u64,
    /// What those who take part hold.
    pub holdings: BTreeMap<Account, Holdings>,
    /// How many slots each player has; who is not in it has [`RewardTables::slots`].
    pub slots: BTreeMap<Account, u64>,
}

impl PlanContext {
    /// Freezes tables, time and chance for a claim; nobody takes part yet.
    #[must_use]
    pub fn new(tables: Arc<RewardTables>, now_ms: u64, claim: &Claim, world_secret: u64) -> Self {
        let seed = claim.seed(world_secret);
        Self { tables, now_ms, seed, holdings: BTreeMap::new(), slots: BTreeMap::new() }
    }

    /// With what somebody who takes part holds.
    #[must_use]
    pub fn with(mut self, account: impl Into<Account>, holdings: Holdings) -> Self {
        self.holdings.insert(account.into(), holdings);
        self
    }
}
