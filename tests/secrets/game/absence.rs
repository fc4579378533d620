//! Who hides from Alice for a while, and what becomes of it meanwhile is nobody's business of hers.

use terrane::prelude::*;
use terrane::replication::policy::Subject;

use super::alice;
use super::dice::Dice;
use super::plan::{Plan, SECRET, spawner_of};
use crate::things::NAMES;

/// Ticks of one coming and going.
const PERIOD: u64 = 56;
const LEAVES: u64 = 5;
const RETURNS: u64 = 38;
const SHOWS: u64 = 42;

/// Where something is to Alice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// She may see it, or may not, by open chance alone.
    None,
    /// Hidden: what it does, and how it is hidden, is sealed.
    Away,
    /// The same for good: it may die.
    Gone,
    /// Still hidden; it becomes what it is when it shows, by open chance.
    Returns,
    /// Still hidden, and nothing happens to it.
    Waits,
    /// It shows.
    Shows,
}

impl Absence {
    pub fn is_away(self) -> bool {
        matches!(self, Absence::Away | Absence::Gone)
    }
}

impl Plan {
    /// Of some of what is foreign; the same in worlds that differ in what is sealed.
    pub fn absence(&self, me: NetId, tick: TickNumber) -> Absence {
        let is_avatar = || {
            let of = |name: &&str| (1..20).any(|life| NetId::derive(SECRET, spawner_of(name), life) == me);
            NAMES.iter().any(of)
        };
        let may_leave = self.secret.is_some() && me.0.is_multiple_of(5) && self.is_foreign(me);
        if !may_leave || self.is_phantom(me) || is_avatar() {
            return Absence::None;
        }
        let (period, at) = (tick.0 / PERIOD, tick.0 % PERIOD);
        let happens = |period: u64, purpose: u32, chance: f32| {
            Random::new(self.seed, me, TickNumber(period), purpose).chance(chance)
        };
        let leaves_for_good = |period: u64| happens(period, 12, 0.1);
        if (0..period).any(leaves_for_good) || (leaves_for_good(period) && at >= LEAVES) {
            return Absence::Gone;
        }
        match at {
            _ if !happens(period, 11, 0.7) => Absence::None,
            LEAVES..RETURNS => Absence::Away,
            RETURNS => Absence::Returns,
            SHOWS => Absence::Shows,
            at if at > RETURNS && at < SHOWS => Absence::Waits,
            _ => Absence::None,
        }
    }
}

impl Dice {
    /// Hides it from Alice, in a way that is sealed, and lets others see it or not.
    pub fn hide(&mut self, subject: &mut Subject) {
        // One way before another goes.
        subject.set_hidden_from(alice(), true);
        let way = self.sealed.below(5);
        if way < 4 && self.sealed.chance(0.2) {
            subject.set_owner_only(way == 0);
            subject.set_party_only(way == 1);
            subject.set_team_only(way == 2);
            subject.set_visible_to_role((way == 3).then_some(Role::Gm));
        }
        if self.sealed.chance(0.2) && Self::is_hidden_otherwise(subject) {
            subject.set_hidden_from(alice(), false);
        }
    }

    /// Whether Alice, who is an ordinary player and in no foreign party or team, does not see it by its markers.
    fn is_hidden_otherwise(subject: &Subject) -> bool {
        subject.is_owner_only()
            || subject.is_party_only()
            || subject.is_team_only()
            || subject.visible_to_role().is_some()
    }

    pub fn show(&mut self, subject: &mut Subject) {
        subject.set_owner_only(false);
        subject.set_party_only(false);
        subject.set_team_only(false);
        subject.set_visible_to_role(None);
        subject.set_hidden_from(alice(), false);
    }
}
