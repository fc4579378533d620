//! What was committed, as whoever asked for it is told.

use crate::reward::Name;
use crate::store::MutationSummary;

/// How much its player holds of an asset after it.
pub(super) fn left(summary: &MutationSummary, asset: &Name) -> u64 {
    let of_player = summary.holdings().iter().filter(|held| held.account.player().is_some());
    let amounts = of_player.filter(|held| held.asset == *asset).map(|held| held.amount);
    amounts.sum::<i64>().unsigned_abs()
}

/// What the claimant may be shown of what it received: what and how much.
pub(super) fn found(summary: &MutationSummary) -> Vec<(String, u64)> {
    let shown = summary.release(&summary.claim().account);
    shown.lines().iter().map(|line| (line.asset.to_string(), line.amount)).collect()
}
