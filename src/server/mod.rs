//! The server: plugins become an `App`, and `tick(input) -> output` is all it does.
//!
//! *Does*: builds the node's world and its cells from a game's plugins, and runs the tick's schedule.
//! *Does not*: read clocks, sockets or files: drivers do, and hand over sealed inputs.
//! *Reads*: one [`TickInput`] a tick. *Writes*: the world, one [`TickOutput`] a tick.

pub mod actions;
mod build;
pub mod counters;
pub mod image;
pub mod io;
mod population;
pub mod record;
mod reference;
pub mod rules;
mod schedule;
mod settings;

use std::sync::Arc;

use bevy_app::App;
use bevy_ecs::prelude::Resource;

pub use build::{ServerBuilder, ServerError};
use io::{OutputSoFar, SealedInput};
pub use io::{TickInput, TickOutput, TickReport, WorldImage};
pub use population::Population;
pub use settings::WorldSettings;

use crate::cell::partition::Births;
use crate::cell::pool::with_cells;
use crate::cell::registration::Game;
use crate::ids::{ConnectionId, NetId, PlayerId, Row, SlotIndex, TickNumber};
use crate::players::Sanction;
use crate::reference::LoadedReference;
use crate::replication::Rows;
use crate::replication::why::{self, Why, WhyError, WhyQuery};
use crate::reward::RewardTables;
use crate::session::Sessions;
use crate::session::moderate::Sanctions;
use crate::store::Couriers;
use crate::store::game::GameStore;
use crate::telemetry::CellSnapshot;
use crate::tick::Tick;
use crate::value::Tables;
use crate::value::register::{GameTables, RegisteredCouriers};

/// The game that this node runs.
#[derive(Resource, Clone, Debug)]
pub struct GameOf(pub Arc<Game>);

/// A running world.
pub struct Server {
    app: App,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("settings", self.settings()).finish_non_exhaustive()
    }
}

impl Server {
    /// Runs one tick.
    ///
    /// # Panics
    /// When a game system panics, or breaks a rule that the engine relies on; the message names it.
    pub fn tick(&mut self, mut input: TickInput) -> TickOutput {
        input.seal();
        let world = self.app.world_mut();
        world.insert_resource(SealedInput(input));
        world.insert_resource(OutputSoFar::default());
        world.run_schedule(Tick);
        world.clear_trackers();
        world.remove_resource::<OutputSoFar>().expect("inserted above").0
    }

    /// Ends the world in order: everybody is told and leaves, and what is left is made an image, from which the
    /// world goes on with this very tick. Nothing is simulated; the server must not tick again.
    ///
    /// # Panics
    /// As [`tick`](Self::tick).
    pub fn close(&mut self, input: TickInput) -> TickOutput {
        let world = self.app.world_mut();
        world.insert_resource(SealedInput(TickInput { save: true, draining: true, ..input }));
        world.insert_resource(OutputSoFar::default());
        world.run_schedule(schedule::Close);
        world.remove_resource::<OutputSoFar>().expect("inserted above").0
    }

    /// Over which connection each player's session goes, or went last. For whoever drives the server: no system of a game can
    /// ask.
    pub fn connections(&self) -> impl Iterator<Item = (&PlayerId, ConnectionId)> {
        let sessions = self.app.world().resource::<Sessions>();
        sessions.iter().map(|session| (&session.player, session.connection))
    }

    /// What the world was made with.
    #[must_use]
    pub fn settings(&self) -> &WorldSettings {
        self.app.world().resource()
    }

    /// The world has run before, and nothing is remembered of what its players did: ids of actions that were made until the first
    /// tick may have been used. An image says so by itself.
    pub fn remember_nothing(&mut self) {
        self.app.world_mut().resource_mut::<Sessions>().departed.restore(None);
    }

    /// The tables that it plans rewards with.
    #[must_use]
    pub fn reward_tables(&self) -> &Arc<RewardTables> {
        &self.app.world().resource::<Tables>().0
    }

    /// The reference data that the world goes by, if its game has some.
    #[must_use]
    pub fn reference(&self) -> Option<&LoadedReference> {
        self.app.world().get_resource::<reference::ReferenceOfWorld>().map(|current| &current.loaded)
    }

    /// The game's own tables in the save, and its kinds of change.
    #[must_use]
    pub fn game_store(&self) -> &GameStore {
        &self.app.world().resource::<GameTables>().0
    }

    /// The game's couriers, for whoever lets them deliver: there are none any more after that.
    #[must_use]
    pub fn take_couriers(&mut self) -> Couriers {
        self.app.world_mut().resource_mut::<RegisteredCouriers>().take()
    }

    /// The game it runs.
    #[must_use]
    pub fn game(&self) -> &Arc<Game> {
        &self.app.world().resource::<GameOf>().0
    }

    /// The next tick's number.
    #[must_use]
    pub fn next_tick(&self) -> TickNumber {
        self.app.world().resource::<schedule::NextTick>().0
    }

    /// Every cell as seen from outside, in the order of its id.
    pub fn cell_snapshots(&mut self) -> Vec<CellSnapshot> {
        let mut players = std::collections::BTreeMap::<SlotIndex, u32>::new();
        let node = self.app.world_mut();
        let rows = node.resource::<Rows>();
        for session in node.resource::<Sessions>().iter().filter(|session| session.avatar_row != Row::NONE) {
            *players.entry(rows.owner[session.avatar_row.index()]).or_default() += 1;
        }
        let mut cells: Vec<CellSnapshot> = with_cells(node, |_, cells| {
            let snapshot = |cell: &mut crate::cell::Cell| {
                let (mut population, mut ghosts) = (0, 0);
                cell.for_each_entity(|_, _, _, owned| {
                    *(if owned { &mut population } else { &mut ghosts }) += 1
                });
                let leaf = cell.leaf;
                let players = players.get(&leaf.slot).copied().unwrap_or(0);
                CellSnapshot {
                    cell: leaf.id,
                    owner: leaf.slot,
                    epoch: leaf.epoch,
                    population,
                    ghosts,
                    players,
                }
            };
            cells.iter_mut().map(snapshot).collect()
        });
        cells.sort_by_key(|cell| cell.cell);
        cells
    }

    /// Why a player sees an entity or a field of it, or does not, as of the end of the last tick. Changes nothing.
    /// O(view), and O(entities) when the player's view is full.
    ///
    /// # Errors
    /// When nobody of that name plays, nothing alive is named so, or the game has no such field.
    pub fn why(&mut self, query: &WhyQuery) -> Result<Why, WhyError> {
        why::why(self.app.world_mut(), query)
    }

    /// Gives the next session an epoch above this one, and the world's own births numbers above that: what may
    /// have been given out after the image that the world was restored from is never given out again.
    pub fn skip_counters(&mut self, epoch: u32, world_births: u64) {
        let node = self.app.world_mut();
        let mut sessions = node.resource_mut::<Sessions>();
        sessions.last_epoch = sessions.last_epoch.max(epoch);
        let mut births = node.resource_mut::<Births>();
        let spawned = births.spawned.entry(NetId::WORLD).or_default();
        *spawned = (*spawned).max(world_births);
    }

    /// Says which sanctions there are when the world begins; those that are over by then count for nothing.
    pub fn set_sanctions(&mut self, sanctions: Vec<Sanction>) {
        *self.app.world_mut().resource_mut::<Sanctions>() = Sanctions::of(sanctions);
    }

    /// The last epoch and the last number of a birth that were given out.
    #[must_use]
    pub fn counters(&self) -> (u32, u64) {
        let node = self.app.world();
        let births = node.resource::<Births>().spawned.get(&NetId::WORLD).copied().unwrap_or(0);
        (node.resource::<Sessions>().last_epoch, births)
    }

    /// The node's world, for tests and tools.
    #[must_use]
    pub fn node(&self) -> &bevy_ecs::world::World {
        self.app.world()
    }

    /// The node's world, for tests and tools: what they change is not part of any input.
    pub fn node_mut(&mut self) -> &mut bevy_ecs::world::World {
        self.app.world_mut()
    }
}
