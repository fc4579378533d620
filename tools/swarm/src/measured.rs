//! What a thread's clients have measured.

use std::collections::BTreeMap;

use terrane::caravan::bots::{DoneByBot, TradedByBot};
use terrane::client::player::PlayerCounts;
use terrane::ids::ActionId;

use crate::histogram::Histogram;

/// Kinds of ends that are told apart.
const ENDS_MAX: usize = 16;

/// Sums and distributions over clients.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Clients that ever got in.
    pub(crate) connected: u64,
    pub(crate) lost: u64,
    /// Kicked and banned.
    pub(crate) removed: u64,
    /// How often a client got back in, and in the session that it had.
    pub(crate) returned: u64,
    pub(crate) resumed: u64,
    /// Links that were cut, for a moment and for longer than a session waits.
    pub(crate) cuts: u64,
    pub(crate) absences: u64,
    /// Devices that another one took over from and that were told; what they did after that.
    pub(crate) taken_over: u64,
    pub(crate) acted_after_takeover: u64,
    /// Of trades: done, refused by the game, and refused because the world could keep nothing.
    pub(crate) trades: TradedByBot,
    /// What was done, kind by kind.
    pub(crate) done: DoneByBot,
    /// How often a client left the world by its own will.
    pub(crate) left: u64,
    /// Which of them were done, if that is wanted.
    pub(crate) receipts: Vec<ActionId>,
    /// Clients that were told that the world does badly, and that it does well again.
    pub(crate) told_degraded: u64,
    pub(crate) told_well: u64,
    /// Of players that are gone; complete at the end.
    pub(crate) counts: PlayerCounts,
    /// Up to now, for the live line.
    pub(crate) updates_seen: u64,
    pub(crate) audits_seen: u64,
    pub(crate) failures_seen: u64,
    /// Between two updates of a client, µs.
    pub(crate) interval_us: Histogram,
    /// Bytes of updates per client and world tick.
    pub(crate) bytes: Histogram,
    /// Entities in a view.
    pub(crate) visible: Histogram,
    /// From an action to its answer, µs.
    pub(crate) rtt_us: Histogram,
    /// By how much clients ticked too late, µs.
    pub(crate) late_us: Histogram,
    /// Ticks of clients, and those that had to be left out.
    pub(crate) ticks: u64,
    pub(crate) ticks_missed: u64,
    /// Why connections ended that should not have.
    pub(crate) ends: BTreeMap<String, u64>,
}

impl Measured {
    pub(crate) fn note_end(&mut self, why: &str) {
        if let Some(count) = self.ends.get_mut(why) {
            *count += 1;
        } else if self.ends.len() < ENDS_MAX {
            self.ends.insert(why.to_owned(), 1);
        }
    }

    pub(crate) fn add_counts(&mut self, counts: &PlayerCounts) {
        // One by one and without a rest, so that none is forgotten.
        let PlayerCounts {
            updates,
            update_bytes,
            stale,
            records,
            decode_errors,
            audits,
            audits_inconclusive,
            audit_failures,
            surprising_replies,
        } = *counts;
        let sum = &mut self.counts;
        sum.updates += updates;
        sum.update_bytes += update_bytes;
        sum.stale += stale;
        sum.records += records;
        sum.decode_errors += decode_errors;
        sum.audits += audits;
        sum.audits_inconclusive += audits_inconclusive;
        sum.audit_failures += audit_failures;
        sum.surprising_replies += surprising_replies;
    }

    pub(crate) fn add_trades(&mut self, trades: TradedByBot) {
        let TradedByBot { done, refused, not_kept } = trades;
        self.trades.done += done;
        self.trades.refused += refused;
        self.trades.not_kept += not_kept;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.connected += other.connected;
        self.lost += other.lost;
        self.removed += other.removed;
        self.returned += other.returned;
        self.resumed += other.resumed;
        self.cuts += other.cuts;
        self.absences += other.absences;
        self.taken_over += other.taken_over;
        self.acted_after_takeover += other.acted_after_takeover;
        self.add_trades(other.trades);
        self.done += other.done;
        self.left += other.left;
        self.receipts.extend_from_slice(&other.receipts);
        self.told_degraded += other.told_degraded;
        self.told_well += other.told_well;
        self.add_counts(&other.counts);
        self.interval_us.merge(&other.interval_us);
        self.bytes.merge(&other.bytes);
        self.visible.merge(&other.visible);
        self.rtt_us.merge(&other.rtt_us);
        self.late_us.merge(&other.late_us);
        self.ticks += other.ticks;
        self.ticks_missed += other.ticks_missed;
        for (why, count) in &other.ends {
            *self.ends.entry(why.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_of_a_player_is_added() {
        let counts = PlayerCounts {
            updates: 1,
            update_bytes: 2,
            stale: 3,
            records: 4,
            decode_errors: 5,
            audits: 6,
            audits_inconclusive: 7,
            audit_failures: 8,
            surprising_replies: 9,
        };
        let mut measured = Measured::default();
        measured.add_counts(&counts);
        assert_eq!(measured.counts, counts);
    }
}
