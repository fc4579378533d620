//! What is said once, and who may hear what of it.

use std::collections::BTreeMap;

use terrane::ids::{PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::events::PlayerEvent;
use terrane::replication::policy::Viewing;

use super::dice::Dice;
use super::plan::Plan;
use crate::things::{Seal, by_name, by_value, for_team, hundreds};

/// Comes with an update or not at all.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Shout {
    #[sync(broadcast)]
    pub text: u128,
    #[sync(masked = hundreds)]
    pub loud: u32,
    #[sync(custom = by_value)]
    pub aside: u128,
    #[sync(per_player = by_name)]
    pub wink: u128,
    #[sync(per_player_slice)]
    pub notes: BTreeMap<PlayerId, u128>,
    #[sync(broadcast)]
    pub at: Option<NetId>,
    #[sync(server_only)]
    pub thought: u128,
}

/// Comes for certain, and in order.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Letter {
    #[sync(broadcast)]
    pub text: u128,
    #[sync(custom = by_value)]
    pub below: u128,
    #[sync(custom = for_team, nested)]
    pub seal: Seal,
    #[sync(broadcast)]
    pub names: Vec<NetId>,
    #[sync(server_only)]
    pub draft: u128,
}

/// Something that was said.
pub struct Said {
    pub about: NetId,
    pub to: Audience,
    pub reliable: bool,
    /// What one viewer may hear of it.
    pub heard: Box<dyn Fn(&Viewing<'_>) -> Vec<u8> + Send + Sync>,
}

impl Plan {
    fn say<E: PlayerEvent>(
        &self,
        events: &mut PlayerEvents,
        reliable: bool,
        about: NetId,
        to: Audience,
        event: E,
    ) {
        let copy = event.clone();
        let heard = Box::new(move |viewing: &Viewing<'_>| {
            let mut bytes = Vec::new();
            copy.sieve(viewing).value.save(&mut bytes);
            bytes
        });
        if let Some(said) = &self.said {
            said.lock().expect("nobody panicked").push(Said { about, to: to.clone(), reliable, heard });
        }
        events.send(about, to, event);
    }

    /// What an entity says in a tick; gives how much that is.
    pub fn speak(&self, dice: &mut Dice, me: NetId, is_away: bool, events: &mut PlayerEvents) -> u64 {
        let mut said = 0;
        if dice.open.chance(0.06) {
            let shout = dice.shout();
            self.say(events, false, me, Audience::ViewersOf(me), shout);
            said += 1;
        }
        // Who is away, or there in one world alone, has nothing to tell Alice.
        if dice.open.chance(0.02) && !is_away && !dice.phantom {
            let letter = dice.letter();
            let to = if dice.open.chance(0.5) {
                Audience::All
            } else {
                Audience::Player(Dice::player(&mut dice.open, false))
            };
            self.say(events, true, me, to, letter);
            said += 1;
        }
        if dice.sealed.chance(0.04) {
            let foreign = dice.foreign;
            let to = match dice.sealed.below(3) {
                0 => Audience::Party(PartyId(2 + dice.sealed.below(2) as u64)),
                1 => Audience::Team(TeamId(2 + dice.sealed.below(2) as u32)),
                _ => Audience::Player(Dice::player(&mut dice.sealed, foreign)),
            };
            if dice.sealed.chance(0.5) {
                let letter = dice.closed(Dice::letter);
                self.say(events, true, me, to, letter);
            } else {
                let shout = dice.closed(Dice::shout);
                self.say(events, false, me, to, shout);
            }
            said += 1;
        }
        said
    }

    /// What the node says of anybody, or of nobody.
    pub fn announce(&self, dice: &mut Dice, events: &mut PlayerEvents) -> u64 {
        let is_twin = dice.is_twin;
        let about = |chance: &mut Random| {
            let one = Dice::somebody(chance);
            // What is private about others may be Alice's business.
            let is_private = !is_twin || self.is_foreign(one);
            if chance.chance(0.3) || !is_private { NetId::WORLD } else { one }
        };
        let mut said = 0;
        if dice.open.chance(0.3) {
            let (about, shout) = (about(&mut dice.open), dice.shout());
            self.say(events, false, about, Audience::All, shout);
            said += 1;
        }
        if dice.sealed.chance(0.3) {
            let about = about(&mut dice.sealed);
            let to = Audience::Player(Dice::player(&mut dice.sealed, dice.foreign));
            let letter = dice.closed(Dice::letter);
            self.say(events, true, about, to, letter);
            said += 1;
        }
        said
    }
}

impl Dice {
    fn shout(&mut self) -> Shout {
        Shout {
            text: self.public(),
            loud: self.open.below(30) as u32 * 100 + self.sealed.below(100) as u32,
            aside: self.private(),
            wink: self.private(),
            notes: self.by_player(Self::private),
            at: Some(Self::somebody(&mut self.open)),
            thought: self.private(),
        }
    }

    fn letter(&mut self) -> Letter {
        let names = self.open.below(4);
        Letter {
            text: self.public(),
            below: self.private(),
            seal: self.closed(|dice| Seal(dice.private(), dice.open.bits() as u8, dice.private())),
            names: (0..names).map(|_| Self::somebody(&mut self.open)).collect(),
            draft: self.private(),
        }
    }
}
