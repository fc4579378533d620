//! What belongs to no place: state of the whole world, and what the node says.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use terrane::cell::pool::NodeContext;
use terrane::prelude::*;
use terrane::protocol::codec;

use super::dice::Dice;
use super::plan::Plan;
use crate::things::{Blank, Chest, Thing, by_name, by_value, hundreds};

#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(priority = 3, max_staleness = 4)]
pub struct Almanac {
    #[sync(broadcast)]
    pub day: u16,
    #[sync(broadcast)]
    pub motto: u128,
    #[sync(masked = hundreds)]
    pub price: u32,
    #[sync(custom = by_value)]
    pub forecast: u128,
    #[sync(per_player = by_name)]
    pub whisper: u128,
    #[sync(per_player_slice)]
    pub letters: BTreeMap<PlayerId, u128>,
    #[sync(broadcast, nested, max_bytes = 900)]
    pub prizes: Vec<Chest>,
    #[sync(broadcast)]
    pub champion: Option<NetId>,
    #[sync(server_only)]
    pub seed: u128,
}

/// Not everybody knows that there is one.
#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(role = Gm, priority = 8, max_staleness = 1)]
pub struct Decree {
    #[sync(broadcast)]
    pub text: u128,
    #[sync(broadcast, max_bytes = 900)]
    pub clauses: Vec<u128>,
}

impl Blank for Almanac {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.champion.blank(seen);
        self.prizes.blank(seen);
    }
}

impl Thing for Almanac {
    fn parts(&self) -> Vec<Vec<u8>> {
        vec![
            codec::encode(&self.day),
            codec::encode(&self.motto),
            codec::encode(&self.price),
            codec::encode(&self.forecast),
            codec::encode(&self.whisper),
            codec::encode(&self.letters),
            codec::encode(&self.prizes),
            codec::encode(&self.champion),
        ]
    }
}

impl Blank for Decree {
    fn blank(&mut self, _: &dyn Fn(NetId) -> bool) {}
}

impl Thing for Decree {
    fn parts(&self) -> Vec<Vec<u8>> {
        vec![codec::encode(&self.text), codec::encode(&self.clauses)]
    }
}

/// The node's part of the game.
#[derive(Clone)]
pub struct NodeGame(pub Plan);

impl Plugin for NodeGame {
    fn build(&self, app: &mut App) {
        let frozen = self.0.frozen.clone();
        let runs = move || !frozen.load(Ordering::Relaxed);
        let plan = self.0.clone();
        let turn = move |context: Res<NodeContext>,
                         mut almanac: ResMut<Almanac>,
                         mut decree: ResMut<Decree>,
                         mut events: PlayerEvents| {
            let mut dice = plan.dice_of_node(context.0.tick);
            let mut changes = dice.change_almanac(&mut almanac);
            if dice.sealed.chance(0.2) {
                changes += 1;
                *decree = dice.closed(|dice| Decree {
                    text: dice.private(),
                    clauses: (0..dice.open.below(40)).map(|_| dice.private()).collect(),
                });
            }
            changes += plan.announce(&mut dice, &mut events);
            plan.note(changes);
        };
        app.replicate_global::<Almanac>()
            .replicate_global::<Decree>()
            .add_systems(Tick, turn.in_set(TickSystems::Settle).run_if(runs));
    }
}

impl Dice {
    fn change_almanac(&mut self, almanac: &mut ResMut<Almanac>) -> u64 {
        let before = self.changes;
        if self.happens(0.1) {
            almanac.day = self.open.bits() as u16;
        }
        if self.happens(0.1) {
            almanac.motto = self.public();
        }
        if self.happens(0.1) {
            almanac.champion = Some(Self::somebody(&mut self.open));
        }
        if self.happens(0.1) {
            almanac.price = self.open.below(30) as u32 * 100;
        }
        if self.happens(0.1) {
            let chests = self.open.below(3);
            almanac.prizes = (0..chests).map(|_| self.chest()).collect();
        }
        if self.happens(0.1) {
            almanac.letters = self.by_player(Self::private);
        }
        if self.happens_sealed(0.3) {
            almanac.price = almanac.price / 100 * 100 + self.sealed.below(100) as u32;
        }
        if self.happens_sealed(0.3) {
            almanac.forecast = self.private();
        }
        if self.happens_sealed(0.3) {
            almanac.whisper = self.private();
        }
        if self.happens_sealed(0.3) {
            almanac.seed = self.private();
        }
        self.changes - before
    }
}
