//! Chance that comes out the same for the same seed, in whole numbers, without bias.

use std::ops::RangeInclusive;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A generator of whole numbers.
#[derive(Clone, Debug)]
pub(super) struct Chance {
    bits: Xoshiro256PlusPlus,
    /// How often it was asked.
    pub(super) asked: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { bits: Xoshiro256PlusPlus::seed_from_u64(seed), asked: 0 }
    }

    /// A number below `bound`, which is not 0, each as likely as the others: Lemire, "Fast Random Integer Generation in an
    /// Interval" (2019), with rejection.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.asked += 1;
        // What is left when 2⁶⁴ is dealt out to `bound` numbers: so many of the products are one too many.
        let rest = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits.next_u64()) * u128::from(bound);
            if product as u64 >= rest {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number from the range, both ends included. The range is not all of `u64`.
    pub(super) fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        if range.start() == range.end() {
            return *range.start();
        }
        range.start() + self.below(range.end() - range.start() + 1)
    }
}
