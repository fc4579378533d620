//! What fills a world: once when it is new, and NPCs at every start.

use std::sync::Arc;

use bevy_ecs::prelude::{Component, With, World};

use crate::cell::markers::Owned;
use crate::cell::partition::{Births, despawn_now, spawn_now};
use crate::cell::pool::with_cells;
use crate::cell::published::Published;
use crate::cell::requests::SpawnRequest;
use crate::ids::NetId;
use crate::reference::Reference;

use super::WorldSettings;

/// Fills a new world.
pub struct Population<'a> {
    pub(super) world: &'a mut World,
}

impl std::fmt::Debug for Population<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Population")
    }
}

impl Population<'_> {
    /// What the world was made with.
    #[must_use]
    pub fn settings(&self) -> &WorldSettings {
        self.world.resource()
    }

    /// The game's reference data of this type.
    ///
    /// # Panics
    /// When the game has [declared](super::ServerBuilder::reference) none.
    #[must_use]
    pub fn reference<R: Reference>(&self) -> &R {
        self.world.resource::<Published<R>>()
    }

    /// Puts an entity into the world; its name follows from how many were put before it.
    ///
    /// # Panics
    /// When the position is not finite.
    pub fn spawn(&mut self, request: SpawnRequest) -> NetId {
        spawn_now(self.world, SpawnRequest { spawner: NetId::WORLD, ..request })
            .expect("names of one spawner do not collide")
    }
}

/// What an NPC is and how one is made.
pub(super) struct Npcs {
    names: fn(&mut World) -> Vec<NetId>,
    spawn: Arc<dyn Fn(&mut Population<'_>, u64) + Send + Sync>,
}

impl Npcs {
    /// NPCs are the entities with a `C`.
    pub(super) fn new<C: Component>(
        spawn: impl Fn(&mut Population<'_>, u64) + Send + Sync + 'static,
    ) -> Self {
        Self { names: names_with::<C>, spawn: Arc::new(spawn) }
    }

    /// Spawns what is missing; of what is too many, those with the highest names go.
    pub(super) fn adjust(&self, world: &mut World, wanted: u64) {
        let mut names = (self.names)(world);
        names.sort_unstable();
        for &surplus in names.iter().skip(wanted as usize) {
            despawn_now(world, surplus);
        }
        for _ in names.len() as u64..wanted {
            let made = world.resource::<Births>().spawned.get(&NetId::WORLD).copied().unwrap_or(0);
            (self.spawn)(&mut Population { world }, made);
        }
    }
}

/// The names of all entities with a component.
fn names_with<C: Component>(world: &mut World) -> Vec<NetId> {
    with_cells(world, |_, cells| {
        let mut names = Vec::new();
        for cell in cells.iter_mut() {
            let mut query = cell.world.query_filtered::<&NetId, (With<Owned>, With<C>)>();
            names.extend(query.iter(&cell.world));
        }
        names
    })
}
