//! The watch over what game systems put onto entities: an archetype is looked at once, when first inhabited.

use bevy_ecs::archetype::{Archetype, ArchetypeGeneration, ArchetypeId};
use bevy_ecs::component::ComponentId;
use bevy_ecs::prelude::World;
use bevy_ecs::resource::IsResource;
use rustc_hash::FxHashSet;

use crate::ids::{CellId, NetId};
use crate::limits::FIELDS_PER_ENTITY_MAX;
use crate::space::Position;

use super::kinds::Reach;
use super::markers::{Ghost, Owned, OwnedData};
use super::registration::Game;

/// What has been looked at, and what is still to be.
pub(super) struct ArchetypeWatch {
    engine_ids: [ComponentId; 5],
    is_resource: ComponentId,
    /// Resources that were there before the first tick.
    resources: Option<FxHashSet<ComponentId>>,
    seen: ArchetypeGeneration,
    /// Nobody has lived in these yet: a bundle put on piece by piece passes through them.
    uninhabited: Vec<ArchetypeId>,
}

impl ArchetypeWatch {
    /// Registers the engine's own components, the same in every cell.
    pub(super) fn new(world: &mut World) -> Self {
        Self {
            engine_ids: [
                world.register_component::<NetId>(),
                world.register_component::<Position>(),
                world.register_component::<Owned>(),
                world.register_component::<OwnedData>(),
                world.register_component::<Ghost>(),
            ],
            is_resource: world.register_component::<IsResource>(),
            resources: None,
            seen: ArchetypeGeneration::initial(),
            uninhabited: Vec::new(),
        }
    }

    /// Remembers, once, the resources that a cell has before its first tick.
    pub(super) fn begin(&mut self, world: &World) {
        self.resources.get_or_insert_with(|| world.resource_entities().iter().map(|(id, _)| id).collect());
    }

    /// Looks at every archetype that has got its first entity. O(new archetypes + uninhabited ones).
    ///
    /// # Panics
    /// When an entity of the game has an unregistered component, no name, or too many fields, lacks what the
    /// engine gave it, or when a system inserted a resource. Names it.
    pub(super) fn check(&mut self, world: &World, game: &Game, kinds: &[ComponentId], cell: CellId) {
        let all = world.archetypes();
        self.uninhabited.extend(all[self.seen..].iter().map(Archetype::id));
        self.seen = all.generation();
        self.begin(world);
        let mut uninhabited = std::mem::take(&mut self.uninhabited);
        uninhabited.retain(|&id| {
            let archetype = &all[id];
            if archetype.is_empty() {
                return true;
            }
            if archetype.contains(self.is_resource) {
                self.check_resource(world, archetype, cell);
            } else {
                self.check_entity(world, game, archetype, kinds, cell);
            }
            false
        });
        self.uninhabited = uninhabited;
    }

    fn check_resource(&self, world: &World, archetype: &Archetype, cell: CellId) {
        for &id in archetype.components() {
            let name = name_of(world, id);
            assert!(
                self.resources.as_ref().is_some_and(|known| known.contains(&id))
                    || name.starts_with("bevy_ecs::"),
                "cell {cell}: a game system inserted the resource {name}, which would be another in every cell: \
                 declare it as `scratch`, or keep it in components"
            );
        }
    }

    fn check_entity(
        &self,
        world: &World,
        game: &Game,
        archetype: &Archetype,
        kinds: &[ComponentId],
        cell: CellId,
    ) {
        let [net_id, position, owned, owned_data, ghost] = self.engine_ids;
        if !archetype.contains(net_id) {
            // Observers and one-shot systems are entities of bevy's own.
            let stray =
                archetype.components().iter().find(|&&id| !name_of(world, id).starts_with("bevy_ecs::"));
            if let Some(&id) = stray {
                panic!(
                    "cell {cell}: an entity with {} was spawned without a name: spawn through `WorldRequests`",
                    name_of(world, id)
                );
            }
            return;
        }
        for &id in archetype.components() {
            assert!(
                self.engine_ids.contains(&id) || kinds.contains(&id),
                "cell {cell}: the component {} is on an entity but not registered: it would vanish at the next \
                 border; register it with `replicate`, `server_only` or `cell_local`",
                name_of(world, id)
            );
        }
        // One that lost its `Owned` has died: it is taken away at the next `Partition`.
        if archetype.contains(ghost) || !archetype.contains(owned) {
            return;
        }
        for id in [position, owned_data] {
            assert!(
                archetype.contains(id),
                "cell {cell}: a game system took {} off an entity: only the engine may",
                name_of(world, id)
            );
        }
        let mut components = 0;
        for (kind, &id) in game.kinds.iter().zip(kinds) {
            if let Reach::Replicated(index) = kind.reach()
                && archetype.contains(id)
            {
                components |= 1 << index;
            }
        }
        let fields = game.schema.field_count(components);
        assert!(
            fields <= FIELDS_PER_ENTITY_MAX,
            "cell {cell}: an entity with {} has {fields} sent fields: at most {FIELDS_PER_ENTITY_MAX} fit one \
             entity, position included; group some in a struct",
            names(game, components)
        );
    }
}

fn name_of(world: &World, id: ComponentId) -> String {
    world.components().get_name(id).map(|name| name.to_string()).unwrap_or_default()
}

fn names(game: &Game, components: u64) -> String {
    let all = game.schema.components.iter().enumerate();
    let on = all.filter(|(index, _)| components >> index & 1 == 1).map(|(_, component)| component.name);
    on.collect::<Vec<_>>().join(", ")
}
