//! Bad networks on purpose: loss, delay, jitter, duplication and reordering, all from one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Most items on their way through one line. More are lost, as in a router's queue.
const IN_FLIGHT_MAX: usize = 4_096;
/// A reliable item is lost at most this often in a row.
const RETRIES_MAX: u64 = 16;

/// What happens to the datagrams of a client, in each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Share of datagrams that are lost, 0 to 1.
    pub loss: f32,
    /// How long each is on its way.
    pub delay: Duration,
    /// How much longer, at most: drawn anew for each, so datagrams overtake each other.
    pub jitter: Duration,
    /// Where the drawing begins.
    pub seed: u64,
}

impl Conditions {
    /// Whether nothing happens at all.
    #[must_use]
    pub fn is_ideal(&self) -> bool {
        self.loss <= 0.0 && self.delay.is_zero() && self.jitter.is_zero()
    }
}

/// What happens on a line, times in whatever unit its clock has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Impairment {
    pub(super) loss: f32,
    pub(super) duplicate: f32,
    pub(super) delay: u64,
    pub(super) jitter: u64,
    /// What one loss costs a reliable item.
    pub(super) resend_after: u64,
}

impl Impairment {
    /// In microseconds.
    pub(super) fn of(conditions: Conditions) -> Self {
        Self {
            loss: conditions.loss,
            duplicate: 0.0,
            delay: conditions.delay.as_micros() as u64,
            jitter: conditions.jitter.as_micros() as u64,
            resend_after: 0,
        }
    }
}

/// Items on their way in one direction, in the order in which they arrive.
#[derive(Debug)]
pub(super) struct DelayLine<T> {
    impairment: Impairment,
    random: Xoshiro256PlusPlus,
    in_flight: BTreeMap<(u64, u64), T>,
    pushed: u64,
    reliable_due: u64,
}

impl<T: Clone> DelayLine<T> {
    pub(super) fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            in_flight: BTreeMap::new(),
            pushed: 0,
            reliable_due: 0,
        }
    }

    /// Whatever is on its way is gone.
    pub(super) fn clear(&mut self) {
        self.in_flight.clear();
    }

    fn chance(&mut self, share: f32) -> bool {
        // 24 bits are what an f32 tells apart.
        share > 0.0 && ((self.random.next_u64() >> 40) as f32) < share * (1u32 << 24) as f32
    }

    fn due(&mut self, now: u64) -> u64 {
        let jitter = match self.impairment.jitter {
            0 => 0,
            jitter => self.random.next_u64() % (jitter + 1),
        };
        now + self.impairment.delay + jitter
    }

    fn insert(&mut self, due: u64, item: T) {
        self.pushed += 1;
        self.in_flight.insert((due, self.pushed), item);
    }

    /// Sends what may be lost, come twice or be overtaken.
    pub(super) fn push(&mut self, now: u64, item: T) {
        if self.chance(self.impairment.loss) || self.in_flight.len() >= IN_FLIGHT_MAX {
            return;
        }
        if self.chance(self.impairment.duplicate) {
            let due = self.due(now);
            self.insert(due, item.clone());
        }
        let due = self.due(now);
        self.insert(due, item);
    }

    /// Sends what arrives once and in order, if late. `false` when too much is on its way.
    #[must_use]
    pub(super) fn push_reliable(&mut self, now: u64, item: T) -> bool {
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return false;
        }
        let mut due = self.due(now);
        for _ in 0..RETRIES_MAX {
            if !self.chance(self.impairment.loss) {
                break;
            }
            due += self.impairment.resend_after;
        }
        self.reliable_due = self.reliable_due.max(due);
        self.insert(self.reliable_due, item);
        true
    }

    /// What has arrived by now, one by one.
    pub(super) fn pop(&mut self, now: u64) -> Option<T> {
        let entry = self.in_flight.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(impairment: Impairment, seed: u64, reliable: bool) -> Vec<u64> {
        let mut line = DelayLine::new(impairment, seed);
        let mut arrived = Vec::new();
        for now in 0..2_000 {
            if now < 500 && reliable {
                assert!(line.push_reliable(now, now));
            } else if now < 500 {
                line.push(now, now);
            }
            arrived.extend(std::iter::from_fn(|| line.pop(now)));
        }
        arrived
    }

    proptest! {
        #[test]
        fn reliable_items_arrive_once_and_in_order(
            seed: u64, loss in 0.0f32..0.5, delay in 0..20u64, jitter in 0..20u64,
        ) {
            let impairment = Impairment { loss, duplicate: 0.5, delay, jitter, resend_after: 4 };
            let arrived = run(impairment, seed, true);
            prop_assert_eq!(arrived, (0..500).collect::<Vec<_>>());
        }

        #[test]
        fn the_same_seed_is_the_same_network(seed: u64) {
            let impairment = Impairment { loss: 0.2, duplicate: 0.2, delay: 3, jitter: 9, resend_after: 4 };
            prop_assert_eq!(run(impairment, seed, false), run(impairment, seed, false));
        }
    }

    #[test]
    fn datagrams_are_lost_doubled_and_overtaken() {
        let impairment = Impairment { loss: 0.2, duplicate: 0.2, delay: 3, jitter: 9, resend_after: 0 };
        let arrived = run(impairment, 1, false);
        let lost = (0..500).filter(|item| !arrived.contains(item)).count();
        assert!((60..140).contains(&lost), "about a fifth of 500 is lost, not {lost}");
        let mut sorted = arrived.clone();
        sorted.sort_unstable();
        assert_ne!(arrived, sorted, "some overtake others");
        sorted.dedup();
        assert!(sorted.len() < arrived.len(), "some come twice");
    }

    #[test]
    fn an_ideal_line_changes_nothing() {
        assert_eq!(run(Impairment::default(), 1, false), (0..500).collect::<Vec<_>>());
    }
}
