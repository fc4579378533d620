//! What kind of world it is, and where chance comes from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use terrane::prelude::*;

use super::SPOTS;
use super::dice::Dice;
use super::speech::Said;

/// How many there are in the beginning, of whom those that hide from Alice for good are the last.
pub const POPULATION: u64 = 70;
const PHANTOMS: u64 = 12;

/// What kind of world it is.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    /// Seed of all that is hidden from Alice; `None` where nothing is in particular.
    pub secret: Option<u64>,
    /// How many of the population there are.
    pub population: u64,
    /// Everybody is in one place, so that updates cannot take all that happens.
    pub crowd: bool,
    /// Nothing happens any more.
    pub frozen: Arc<AtomicBool>,
    /// How many changes there have been: everything but steps of who walks.
    pub changes: Arc<AtomicU64>,
    /// What was said in this tick, for who wants to know.
    pub said: Option<Arc<Mutex<Vec<Said>>>>,
    /// Who died in this tick, as policies knew it at its end.
    pub dead: Arc<Mutex<BTreeMap<NetId, Subject>>>,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            secret: None,
            population: POPULATION,
            crowd: false,
            frozen: Arc::default(),
            changes: Arc::default(),
            said: None,
            dead: Arc::default(),
        }
    }

    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    /// Takes note of so many changes, whoever made them.
    pub fn note(&self, changes: u64) {
        self.changes.fetch_add(changes, Ordering::Relaxed);
    }

    /// How many changes there have been.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// The chance of what belongs to no place.
    pub fn dice_of_node(&self, tick: TickNumber) -> Dice {
        let of = |seed: u64| Random::new(seed, NetId::WORLD, tick, 21);
        let (open, sealed) = (of(self.seed), of(self.secret.unwrap_or(self.seed) ^ 0x5ea1));
        let is_twin = self.secret.is_some();
        Dice { open, sealed, foreign: is_twin, phantom: false, is_twin, changes: 0 }
    }

    /// The chance of one entity in one tick.
    pub fn dice(&self, me: NetId, tick: TickNumber, purpose: u32) -> Dice {
        let open = Random::new(self.seed, me, tick, purpose);
        let sealed = Random::new(self.secret.unwrap_or(self.seed) ^ 0x5ea1, me, tick, purpose);
        let (phantom, foreign) = (self.is_phantom(me), self.is_foreign(me));
        // Of what Alice may have something to do with nothing is sealed.
        let shared = self.secret.is_some() && !foreign;
        let sealed = if shared { Random::new(self.seed ^ 0x5ea1, me, tick, purpose) } else { sealed };
        let is_away = phantom || self.absence(me, tick).is_away();
        let open = if is_away { Random::new(self.secret.unwrap_or(0), me, tick, purpose) } else { open };
        Dice { open, sealed, foreign, phantom, is_twin: self.secret.is_some(), changes: 0 }
    }

    /// How many places there are to be at.
    pub fn spots(&self) -> usize {
        if self.crowd { 1 } else { SPOTS.len() }
    }

    /// Whether what is private of the entity is private before Alice.
    pub fn is_foreign(&self, me: NetId) -> bool {
        let of_alice = || (1..20).any(|life| NetId::derive(SECRET, spawner_of("alice"), life) == me);
        self.secret.is_some() && (self.is_phantom(me) || (!me.0.is_multiple_of(3) && !of_alice()))
    }

    /// Whether it hides from Alice for good. Phantoms have no children.
    pub fn is_phantom(&self, me: NetId) -> bool {
        self.secret.is_some() && (POPULATION - PHANTOMS + 1..=POPULATION).any(|number| name_of(number) == me)
    }
}

/// Key of all names.
pub const SECRET: u64 = 0x7365_6372_6574;

/// The name of one of the population, from 1.
pub fn name_of(number: u64) -> NetId {
    NetId::derive(SECRET, NetId::WORLD, number)
}

/// Whose children a player's avatars are: so their names do not depend on how many others there are.
pub fn spawner_of(player: &str) -> NetId {
    NetId(1 + Random::named(SECRET, player).bits() / 2)
}
