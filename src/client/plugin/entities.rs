//! Mirrored entities: how to know them, and where they are.

use bevy_ecs::change_detection::DetectChangesMut;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::{Component, Entity, Query, Res, Resource, With};
use bevy_ecs::world::DeferredWorld;
use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::ids::NetId;
use crate::space::Position;

use super::client::Client;
use super::clock::ShownTick;

/// Marks an entity that the plugin keeps: it comes and goes with the view. Beside it stand its [`NetId`], its
/// [`Position`] and its [`TargetPosition`].
///
/// What the game adds to the entity, and its children, go with it. Of one that the game despawns itself nothing is told
/// any longer, and it does not come back before it has left the view.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[component(on_remove = forget_name)]
pub struct Mirrored;

/// Marks the entity that the player steers.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnAvatar;

/// Where the newest update says that the entity is, in metres; its [`Position`] follows a moment later, smoothly.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct TargetPosition(pub Vec3);

/// Which entity has which name.
#[derive(Resource, Debug, Default)]
pub struct NetIds {
    entities: FxHashMap<NetId, Entity>,
    names: FxHashMap<Entity, NetId>,
}

impl NetIds {
    /// The entity of that name, while it is mirrored.
    #[must_use]
    pub fn entity(&self, net_id: NetId) -> Option<Entity> {
        self.entities.get(&net_id).copied()
    }

    /// The name of a mirrored entity.
    #[must_use]
    pub fn net_id(&self, entity: Entity) -> Option<NetId> {
        self.names.get(&entity).copied()
    }

    /// How many entities are mirrored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    pub(super) fn insert(&mut self, net_id: NetId, entity: Entity) {
        self.entities.insert(net_id, entity);
        self.names.insert(entity, net_id);
    }
}

/// However a mirrored entity ends, its name does not lead to it any longer.
fn forget_name(mut world: DeferredWorld<'_>, context: HookContext) {
    if let Some(mut net_ids) = world.get_resource_mut::<NetIds>()
        && let Some(net_id) = net_ids.names.remove(&context.entity)
    {
        net_ids.entities.remove(&net_id);
    }
}

/// Moves everything to where it is shown. What stands still is not touched. O(entities in view).
pub(super) fn interpolate(
    client: Res<Client>,
    shown: Res<ShownTick>,
    mut places: Query<(&NetId, &mut Position), With<Mirrored>>,
) {
    let Some(interpolation) = client.player().interpolation() else { return };
    for (&net_id, mut position) in &mut places {
        if let Some(place) = interpolation.position_at(net_id, shown.tick()) {
            position.set_if_neq(Position(place));
        }
    }
}
