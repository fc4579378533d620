//! How many bytes one player may be sent.
//!
//! An update goes while anything is left, whatever it takes, and what it took too much is paid off before the next: so the
//! mean is kept without knowing beforehand what an update will take. What was not used is saved up, to a limit.

use crate::limits::UPDATE_BYTES_MAX;

/// What may be saved up, bytes: a first view comes quickly.
const SAVED_BYTES_MAX: i64 = 4 * UPDATE_BYTES_MAX as i64;

/// The bytes of one view.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByteBudget {
    /// Per tick; `None` without a limit.
    per_tick: Option<u32>,
    /// What may be sent now; below 0 what has been sent too much.
    left: i64,
    /// What of it may be sent in small updates while nothing is left.
    small: i64,
}

impl ByteBudget {
    /// One tick more.
    pub(super) fn earn(&mut self, per_tick: Option<u32>) {
        self.per_tick = per_tick;
        let Some(bytes) = per_tick.map(i64::from) else { return };
        self.left = (self.left + bytes).min(SAVED_BYTES_MAX);
        self.small = (self.small + bytes / 2).min(UPDATE_BYTES_MAX as i64);
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.per_tick.is_some() && self.left <= 0
    }

    /// How large an update may be while nothing is left.
    pub(super) fn small_update_bytes(&self) -> usize {
        self.small.max(0) as usize
    }

    /// Takes off what was sent.
    pub(super) fn charge(&mut self, bytes: usize, is_small: bool) {
        self.left -= bytes as i64;
        if is_small {
            self.small -= bytes as i64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A10: whatever is sent whenever it may, the mean is kept, and half of it is never spent on what goes before its turn.
    #[test]
    fn the_mean_is_kept_and_at_most_half_goes_in_small_updates() {
        for per_tick in [150, 400, 700] {
            let (mut budget, mut all, mut small) = (ByteBudget::default(), 0, 0);
            let ticks = 2_000;
            for tick in 0..ticks {
                budget.earn(Some(per_tick));
                let is_small = budget.is_spent();
                let bytes = if is_small { budget.small_update_bytes().min(300) } else { 500 + tick % 651 };
                budget.charge(bytes, is_small);
                all += bytes;
                small += if is_small { bytes } else { 0 };
            }
            let earned = per_tick as usize * ticks;
            assert!(all <= earned + UPDATE_BYTES_MAX && all >= earned * 9 / 10, "{all} of {earned} bytes");
            assert!(small <= earned / 2, "{small} of {earned} bytes in small updates");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_ever_spent() {
        let mut budget = ByteBudget::default();
        budget.earn(None);
        budget.charge(1_000_000, false);
        assert!(!budget.is_spent());
    }
}
