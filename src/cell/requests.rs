//! What the systems of a cell ask the node for: births, deaths and jumps. All of it happens at the next
//! `Partition`, wherever it leads, so that it takes the same time on every cell layout.

use bevy_ecs::bundle::Bundle;
use bevy_ecs::prelude::{ResMut, Resource};
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::EntityWorldMut;
use glam::Vec3;

use crate::ids::{NetId, Row};

/// Puts the components onto a new entity.
pub type BuildEntity = Box<dyn FnOnce(&mut EntityWorldMut<'_>) + Send + Sync>;

/// One entity to be born.
pub struct SpawnRequest {
    /// Who spawns it: its id is derived from this one's and from how many this one spawned before.
    pub spawner: NetId,
    /// Where.
    pub position: Vec3,
    /// Priority class in full views and updates, 0 first.
    pub class: u8,
    /// Its components.
    pub build: BuildEntity,
}

impl std::fmt::Debug for SpawnRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpawnRequest")
            .field("spawner", &self.spawner)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Priority class of what is spawned without another.
pub const CLASS_DEFAULT: u8 = 1;

impl SpawnRequest {
    /// An entity of the ordinary class.
    pub fn new(spawner: NetId, position: Vec3, bundle: impl Bundle) -> Self {
        Self {
            spawner,
            position,
            class: CLASS_DEFAULT,
            build: Box::new(move |entity| {
                entity.insert(bundle);
            }),
        }
    }
}

/// What is left of an entity that a game system despawned.
#[derive(Clone, Debug)]
pub struct Death {
    /// Its name.
    pub net_id: NetId,
    /// Its row.
    pub row: Row,
    /// Its place in the cell's export, if any.
    pub export: u32,
    /// Its part of the fingerprint, by kind.
    pub prints: Vec<u64>,
}

/// The requests of one cell in this tick.
#[derive(Resource, Debug, Default)]
pub struct Requests {
    /// To be born.
    pub spawns: Vec<SpawnRequest>,
    /// Found despawned.
    pub deaths: Vec<Death>,
    /// To be put elsewhere, however far.
    pub teleports: Vec<(NetId, Vec3)>,
    /// A ghost that a game system despawned.
    pub lost_ghost: Option<NetId>,
    /// Set while the engine itself takes entities apart: that is no death.
    pub(crate) engine_moves: bool,
}

/// For game systems: what cannot happen within the cell and the tick.
///
/// ```
/// # use terrane::prelude::*;
/// # #[derive(Component, Clone, Default, Replicate)]
/// # struct Arrow { #[sync(broadcast)] kind: u8 }
/// fn shoot(archers: Query<(&NetId, &Position)>, mut world: WorldRequests) {
///     for (&archer, place) in &archers {
///         world.spawn(archer, place.0, Arrow { kind: 1 });
///     }
/// }
/// ```
#[derive(SystemParam)]
pub struct WorldRequests<'w> {
    requests: ResMut<'w, Requests>,
}

impl WorldRequests<'_> {
    /// Spawns an entity at a place anywhere in the world; it acts from the next tick on.
    ///
    /// `spawner` must be an entity of this cell: ids and order derive from it, so they do not depend on which
    /// cell it is in.
    pub fn spawn(&mut self, spawner: NetId, position: Vec3, bundle: impl Bundle) {
        self.requests.spawns.push(SpawnRequest::new(spawner, position, bundle));
    }

    /// Spawns with a priority class of one's own, 0 first.
    pub fn spawn_with_class(&mut self, spawner: NetId, position: Vec3, class: u8, bundle: impl Bundle) {
        let mut request = SpawnRequest::new(spawner, position, bundle);
        request.class = class;
        self.requests.spawns.push(request);
    }

    /// Puts an entity of this cell anywhere at once, with all that is attached to it, at the next tick. If it is
    /// attached to something itself, it lets go of that first.
    pub fn teleport(&mut self, entity: NetId, to: Vec3) {
        self.requests.teleports.push((entity, to));
    }
}
