//! What will be shown of a reward, before it is known that it happened.

use super::account::Account;
use super::claim::ClaimKey;
use super::name::Name;
use super::plan::{MutationPlan, PlannedLine};

/// What one player will be shown of a plan, projected from it. It stays on the server: it cannot be serialised, and what a player
/// is sent is made of the plan's lines by the summary of its own commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayReward {
    key: ClaimKey,
    lines: Vec<PlannedLine>,
}

impl DisplayReward {
    /// What this account receives by the plan, in order.
    #[must_use]
    pub fn of(plan: &MutationPlan, account: &Account) -> Self {
        let lines = plan.lines.iter().filter(|line| line.account == *account).cloned().collect();
        Self { key: plan.claim.key, lines }
    }

    /// The key of the claim that it fulfils.
    #[must_use]
    pub fn key(&self) -> ClaimKey {
        self.key
    }

    /// What is received, in order.
    #[must_use]
    pub fn lines(&self) -> &[PlannedLine] {
        &self.lines
    }

    /// How much of an asset is received in all.
    #[must_use]
    pub fn amount(&self, asset: &Name) -> u64 {
        self.lines.iter().filter(|line| line.asset == *asset).map(|line| line.amount).sum()
    }
}
