//! What a game counts of itself, for the report of a run and for metrics.

use bevy_app::App;
use bevy_ecs::prelude::{Resource, World};

use crate::action::Action;
use crate::action::tally::ActionTallies;

use super::GameOf;
use super::reference::ReferenceOfWorld;

/// One counter of a game's.
#[derive(Clone, Copy, Debug)]
pub struct GameCounter {
    /// Its key in the report; with `game_` before it, its name as a metric.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    read: fn(&World) -> u64,
}

impl GameCounter {
    /// How much there is of it in the node's world.
    #[must_use]
    pub fn read(&self, node: &World) -> u64 {
        (self.read)(node)
    }
}

/// A game's counters.
#[derive(Resource, Clone, Debug, Default)]
pub struct GameCounters(Vec<GameCounter>);

impl GameCounters {
    /// All of them, in the order in which they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &GameCounter> {
        self.0.iter()
    }
}

/// What plugins of the node may register to be counted.
pub trait CountAppExt {
    /// Tells this number as `name` in the report of a run, and as the metric `terrane_game_NAME_total`. It must not fall.
    ///
    /// # Panics
    /// When something is told under this name already.
    fn counts(&mut self, name: &'static str, help: &'static str, read: fn(&World) -> u64) -> &mut Self;
}

impl CountAppExt for App {
    fn counts(&mut self, name: &'static str, help: &'static str, read: fn(&World) -> u64) -> &mut Self {
        let mut counters = self.world_mut().get_resource_or_init::<GameCounters>();
        assert!(counters.0.iter().all(|counter| counter.name != name), "two things are counted as `{name}`");
        counters.0.push(GameCounter { name, help, read });
        self
    }
}

/// How often the reference data were exchanged since the start.
#[must_use]
pub fn reference_reloads(node: &World) -> u64 {
    node.get_resource::<ReferenceOfWorld>().map_or(0, |current| current.reloads)
}

/// How many actions of a kind were done since the start.
#[must_use]
pub fn actions_done<A: Action>(node: &World) -> u64 {
    let game = &node.resource::<GameOf>().0;
    let kind = game.actions.iter().position(|kind| kind.name() == A::NAME);
    let tally = kind.and_then(|kind| node.resource::<ActionTallies>().all().get(kind).copied());
    tally.map_or(0, |tally| tally.done)
}
