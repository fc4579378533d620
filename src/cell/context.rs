//! What a game system may know of the tick: its number, its length, the sealed calendar time, and chance that
//! is the same on every layout.

use std::ops::Range;

use bevy_ecs::prelude::Resource;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ids::{CellId, NetId, TickNumber};
use crate::space::Area;

/// The tick a system runs in. The same in every cell but for `cell` and `area`, on which nothing that players
/// can notice should depend.
#[derive(Resource, Clone, Debug)]
pub struct TickContext {
    /// Number of the tick.
    pub tick: TickNumber,
    /// Seconds of world time per tick. Constant: an overloaded world runs slower, it does not take larger steps.
    pub dt: f32,
    /// Sealed calendar time, milliseconds since 1970, for expiry dates. Monotonic, also over restarts.
    pub now_ms: u64,
    /// Ticks per second of world time.
    pub hz: u16,
    /// Seed of all chance in this world.
    pub seed: u64,
    /// The whole world.
    pub world_area: Area,
    /// This cell.
    pub cell: CellId,
    /// This cell's box.
    pub area: Area,
}

impl TickContext {
    /// A generator for one entity, tick and purpose: what it yields depends on nothing else, so neither cells
    /// nor threads nor the order of systems change it. Costs a hash and a seeding, some 10 ns.
    ///
    /// `purpose` keeps two draws of one entity in one tick apart; number them as you like.
    #[must_use]
    pub fn random(&self, entity: NetId, purpose: u32) -> Random {
        Random::new(self.seed, entity, self.tick, purpose)
    }

    /// How many ticks a span of world time takes, at least 1.
    #[must_use]
    pub fn ticks(&self, seconds: f32) -> u64 {
        ((seconds * f32::from(self.hz)).round() as u64).max(1)
    }
}

/// Chance that can be had again: a generator seeded by what is asked for and by nothing else.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The generator of one entity, tick and purpose in the world with this seed.
    #[must_use]
    pub fn new(seed: u64, entity: NetId, tick: TickNumber, purpose: u32) -> Self {
        let mut key = [0u8; 20];
        key[..8].copy_from_slice(&entity.0.to_le_bytes());
        key[8..16].copy_from_slice(&tick.0.to_le_bytes());
        key[16..].copy_from_slice(&purpose.to_le_bytes());
        Self(Xoshiro256PlusPlus::seed_from_u64(xxh3_64_with_seed(&key, seed)))
    }

    /// The generator of a name.
    #[must_use]
    pub fn named(seed: u64, name: &str) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(xxh3_64_with_seed(name.as_bytes(), seed)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to just below 1, in steps of 2⁻²⁴.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// A number from the range, its end hardly ever included.
    pub fn between(&mut self, range: Range<f32>) -> f32 {
        range.start + (range.end - range.start) * self.unit()
    }

    /// A whole number from 0 to just below `bound`; 0 when there is nothing below it. By multiplication
    /// (Lemire 2019), whose bias of at most `bound` / 2⁶⁴ nobody will notice.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }
}
