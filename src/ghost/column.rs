//! One column per kind of component and cell: follows changes, exports projections, imports them.

use std::any::Any;

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::{Component, DetectChanges, Entity, QueryState, Ref, With, World};
use bevy_ecs::world::EntityWorldMut;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cell::kinds::{Changed, downcast};
use crate::cell::markers::{Ghost, NO_EXPORT, Owned};
use crate::replication::Replicate;

use super::export::{ExportedColumn, note_change};

/// The engine's view of one kind of component within one cell.
pub trait Column: Send + Sync {
    /// Lists the owned entities on which the component was written or inserted since trackers were cleared,
    /// and refreshes the exported values of those that are exported. O(entities with the component).
    fn collect_changed(
        &mut self,
        world: &mut World,
        kind: u16,
        changed: &mut Vec<Changed>,
        exported: Option<&mut ExportedColumn>,
    );

    /// Lists the entities that lost the component and still exist.
    fn collect_removed(&mut self, world: &mut World, kind: u16, changed: &mut Vec<Changed>);

    /// Writes what a ghost may know of one entity into the export, whether it changed or not.
    fn export_one(&mut self, world: &World, entity: Entity, place: u32, exported: &mut ExportedColumn);

    /// Copies this tick's changes of all neighbours, by link, into the ghosts that this cell has of them, and
    /// says how many values it copied; those of new ghosts do not count.
    fn import_changes(&mut self, world: &mut World, sources: &[Option<Source<'_>>]) -> u64;

    /// Gives a new ghost the exported value at a place, if there is one; takes away a stale one.
    fn import_one(&self, ghost: &mut EntityWorldMut<'_>, place: u32, exported: &ExportedColumn);

    /// An empty export column of this kind; `None` for kinds that are never exported.
    fn new_export(&self) -> Option<ExportedColumn>;

    /// A ghost on which somebody wrote the component after `since`, if any: a fault of a game system. What is never
    /// copied is never on a ghost: its cell looks for that by itself.
    fn find_written_ghost(
        &mut self,
        world: &mut World,
        since: bevy_ecs::change_detection::Tick,
    ) -> Option<Entity>;
}

/// What one neighbour exports of one kind, and this cell's ghosts of it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The neighbour's column.
    pub(crate) exported: &'a ExportedColumn,
    /// This cell's ghost of each place in the export.
    pub(crate) ghosts: &'a [Option<Entity>],
    /// Places whose ghosts were just made whole, ascending.
    pub(crate) fresh: &'a [u32],
}

impl Source<'_> {
    /// The changed places that this cell has ghosts of.
    fn changed(&self) -> impl Iterator<Item = (u32, Entity)> + '_ {
        let ghost = |&place: &u32| Some((place, (*self.ghosts.get(place as usize)?)?));
        self.exported.changed.iter().filter_map(ghost)
    }

    fn is_fresh(&self, place: u32) -> bool {
        !self.fresh.is_empty() && self.fresh.binary_search(&place).is_ok()
    }
}

/// Ghosts are found one by one while fewer than one in so many has changed, and gone through in the order of
/// memory otherwise: to find one costs about as much as to pass by this many.
const PASSED_BY_PER_FIND: usize = 4;

/// The exported values of one component type, by place in the export.
pub(crate) struct Values<C> {
    values: Vec<Option<C>>,
}

impl<C: Send + Sync + 'static> Values<C> {
    pub(crate) fn boxed() -> Box<dyn Any + Send + Sync> {
        Box::new(Self { values: Vec::new() })
    }

    fn place(&mut self, place: u32) -> &mut Option<C> {
        let index = place as usize;
        if self.values.len() <= index {
            self.values.resize_with(index + 1, || None);
        }
        &mut self.values[index]
    }
}

/// Column of a replicated component.
pub(crate) struct ReplicatedColumn<C: Replicate> {
    owned: QueryState<(Entity, &'static Owned, Ref<'static, C>)>,
    ghosts: QueryState<(&'static Ghost, &'static mut C)>,
    written: QueryState<(Entity, Ref<'static, C>), With<Ghost>>,
}

impl<C: Replicate> ReplicatedColumn<C> {
    pub(crate) fn new(world: &mut World) -> Self {
        Self { owned: world.query(), ghosts: world.query(), written: world.query_filtered() }
    }
}

impl<C: Replicate> ReplicatedColumn<C> {
    /// Copies the changed values into all ghosts that have the component, and says how many there were.
    fn copy_in_passing(&mut self, world: &mut World, sources: &[Option<Source<'_>>]) -> usize {
        let values: Vec<_> = sources
            .iter()
            .map(|source| {
                let exported = source.as_ref()?.exported;
                Some((&*exported.is_changed, &*downcast::<Values<C>>(&*exported.values).values))
            })
            .collect();
        let mut copied = 0;
        for (ghost, mut component) in self.ghosts.iter_mut(world) {
            let Some(&Some((is_changed, values))) = values.get(ghost.link as usize) else { continue };
            let place = ghost.export as usize;
            if let (Some(true), Some(Some(value))) = (is_changed.get(place), values.get(place)) {
                component.clone_from(value);
                copied += 1;
            }
        }
        copied
    }

    /// Copies the changed values into their ghosts, or, where others are `done`, only gives and takes components.
    fn copy_one_by_one(&mut self, world: &mut World, sources: &[Option<Source<'_>>], done: bool) {
        for source in sources.iter().flatten() {
            let values = &downcast::<Values<C>>(&*source.exported.values).values;
            let mut missing = Vec::new();
            let mut ghosts = self.ghosts.query_mut(&mut *world);
            for (place, ghost) in source.changed().filter(|&(place, _)| !source.is_fresh(place)) {
                match (ghosts.get_mut(ghost), values.get(place as usize)) {
                    (Ok(_), Some(Some(_))) if done => {}
                    (Ok((_, mut component)), Some(Some(value))) => component.clone_from(value),
                    _ => missing.push((ghost, place)),
                }
            }
            for (ghost, place) in missing {
                self.import_one(&mut world.entity_mut(ghost), place, source.exported);
            }
        }
    }
}

/// Projects into the exported place, re-using what it holds.
fn project_into<C: Replicate>(component: &C, place: &mut Option<C>) {
    component.project(place.get_or_insert_with(C::default));
}

fn values_mut<C: Send + Sync + 'static>(exported: &mut ExportedColumn) -> &mut Values<C> {
    exported.values.downcast_mut::<Values<C>>().expect("an export column has the type of its kind")
}

impl<C: Replicate> Column for ReplicatedColumn<C> {
    fn collect_changed(
        &mut self,
        world: &mut World,
        kind: u16,
        changed: &mut Vec<Changed>,
        exported: Option<&mut ExportedColumn>,
    ) {
        let exported = exported.expect("replicated components are exported");
        let ExportedColumn { values, changed: changed_places, is_changed } = exported;
        let values = values.downcast_mut::<Values<C>>().expect("an export column has the type of its kind");
        for (entity, owned, component) in self.owned.iter(world) {
            if !component.is_changed() {
                continue;
            }
            changed.push(Changed { entity, kind });
            if owned.export != NO_EXPORT {
                project_into(&*component, values.place(owned.export));
                note_change(changed_places, is_changed, owned.export);
            }
        }
    }

    fn collect_removed(&mut self, world: &mut World, kind: u16, changed: &mut Vec<Changed>) {
        removed::<C>(world, kind, changed);
    }

    fn export_one(&mut self, world: &World, entity: Entity, place: u32, exported: &mut ExportedColumn) {
        let component = world.get::<C>(entity);
        let place = values_mut::<C>(exported).place(place);
        match component {
            Some(component) => project_into(component, place),
            None => *place = None,
        }
    }

    fn import_changes(&mut self, world: &mut World, sources: &[Option<Source<'_>>]) -> u64 {
        let (mut changed, mut fresh) = (0usize, 0);
        for source in sources.iter().flatten() {
            for (place, _) in source.changed() {
                changed += 1;
                fresh += usize::from(source.is_fresh(place));
            }
        }
        if changed == 0 {
            return 0;
        }
        let ghosts = self.ghosts.iter(world).size_hint().1.unwrap_or(usize::MAX);
        let in_passing = changed.saturating_mul(PASSED_BY_PER_FIND) >= ghosts;
        // A pass does not meet those that lack the component so far, and takes it from nobody.
        if !in_passing || self.copy_in_passing(world, sources) < changed {
            self.copy_one_by_one(world, sources, in_passing);
        }
        (changed - fresh) as u64
    }

    fn import_one(&self, ghost: &mut EntityWorldMut<'_>, place: u32, exported: &ExportedColumn) {
        match downcast::<Values<C>>(&*exported.values).values.get(place as usize) {
            Some(Some(value)) => {
                ghost.insert(value.clone());
            }
            _ => {
                ghost.remove::<C>();
            }
        }
    }

    fn new_export(&self) -> Option<ExportedColumn> {
        Some(ExportedColumn::new(Values::<C>::boxed()))
    }

    fn find_written_ghost(
        &mut self,
        world: &mut World,
        since: bevy_ecs::change_detection::Tick,
    ) -> Option<Entity> {
        let now = world.read_change_tick();
        self.written
            .iter(world)
            .find(|(_, component)| component.last_changed().is_newer_than(since, now))
            .map(|(entity, _)| entity)
    }
}

/// Column of a component that never leaves its owner.
pub(crate) struct ServerColumn<C: Component> {
    owned: QueryState<(Entity, Ref<'static, C>), With<Owned>>,
}

impl<C: Component<Mutability = Mutable> + Serialize + DeserializeOwned> ServerColumn<C> {
    pub(crate) fn new(world: &mut World) -> Self {
        Self { owned: world.query_filtered() }
    }
}

impl<C: Component<Mutability = Mutable> + Serialize + DeserializeOwned> Column for ServerColumn<C> {
    fn collect_changed(
        &mut self,
        world: &mut World,
        kind: u16,
        changed: &mut Vec<Changed>,
        _: Option<&mut ExportedColumn>,
    ) {
        let entities = self.owned.iter(world).filter(|(_, component)| component.is_changed());
        changed.extend(entities.map(|(entity, _)| Changed { entity, kind }));
    }

    fn collect_removed(&mut self, world: &mut World, kind: u16, changed: &mut Vec<Changed>) {
        removed::<C>(world, kind, changed);
    }

    fn export_one(&mut self, _: &World, _: Entity, _: u32, _: &mut ExportedColumn) {}

    fn import_changes(&mut self, _: &mut World, _: &[Option<Source<'_>>]) -> u64 {
        0
    }

    fn import_one(&self, _: &mut EntityWorldMut<'_>, _: u32, _: &ExportedColumn) {}

    fn new_export(&self) -> Option<ExportedColumn> {
        None
    }

    fn find_written_ghost(&mut self, _: &mut World, _: bevy_ecs::change_detection::Tick) -> Option<Entity> {
        None
    }
}

fn removed<C: Component>(world: &World, kind: u16, changed: &mut Vec<Changed>) {
    let still_owned =
        |entity: &Entity| world.get::<Owned>(*entity).is_some() && !world.entity(*entity).contains::<C>();
    changed.extend(world.removed::<C>().filter(still_owned).map(|entity| Changed { entity, kind }));
}
