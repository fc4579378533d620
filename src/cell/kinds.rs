//! The kinds of components that owned entities may have, and what the engine does with each.
//!
//! A kind is registered once per game and known to every cell under the same index. Game types appear here as
//! trait objects: one virtual call per column and tick, or per moved entity and component, never per pair.

use std::any::{Any, TypeId};
use std::marker::PhantomData;

use bevy_ecs::component::{ComponentId, Mutable};
use bevy_ecs::prelude::{Component, Entity, World};
use bevy_ecs::world::{EntityRef, EntityWorldMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ghost::column::{Column, ReplicatedColumn, ServerColumn};
use crate::protocol::codec::{self, DecodeError};
use crate::replication::mask::bits;
use crate::replication::policy::Viewing;
use crate::replication::policy::compare::fields_told_wrong;
use crate::replication::view::PersonalValues;
use crate::replication::{FieldWriter, Replicate};

/// Index of the kind that holds an entity's [`Subject`](crate::replication::policy::Subject): the engine's own come
/// first, and this is the second of them.
pub(crate) const SUBJECT_KIND: usize = 1;

/// Most bytes of one saved component.
const SAVED_BYTES_MAX: usize = 1 << 20;

/// How far a component travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Moves with its entity, is saved, is projected into ghosts and sent by the policies of its fields. Holds
    /// its index in the schema.
    Replicated(usize),
    /// Moves with its entity and is saved; nobody but its owner cell ever sees it.
    ServerOnly,
    /// Stays where it is: dropped at a border and not saved.
    CellLocal,
}

/// What the engine can do with one kind of component.
pub trait ComponentKind: Send + Sync {
    /// Name of the type.
    fn name(&self) -> &'static str;
    /// The Rust type.
    fn type_id(&self) -> TypeId;
    /// How far it travels.
    fn reach(&self) -> Reach;
    /// Makes it known to a world.
    fn register(&self, world: &mut World) -> ComponentId;
    /// The part of a cell that follows its changes. `None` for what stays in the cell.
    fn column(&self, world: &mut World) -> Option<Box<dyn Column>>;
    /// Whether the entity has one.
    fn is_on(&self, entity: &EntityRef<'_>) -> bool;
    /// Appends the sent fields. The entity must have the component.
    fn encode_sent(&self, entity: &EntityRef<'_>, out: &mut FieldWriter);
    /// Appends the `wanted` fields (bit *i* is the *i*-th sent one), ascending, as a viewer may see them: what is not personal,
    /// and all of a component that the entity does not have, as hidden.
    fn encode_personal(
        &self,
        entity: &EntityRef<'_>,
        wanted: u64,
        viewing: &Viewing<'_>,
        values: &mut PersonalValues,
    );
    /// The paths of what is hidden in the wire bytes of a sent field; none when they are not such a field's.
    fn hidden_paths(&self, field: usize, bytes: &[u8]) -> Vec<String>;
    /// The sent fields, by number, whose wire bytes are not what this viewer is to see of the component, found naively:
    /// see [`fields_told_wrong`]. The entity must have the component.
    fn told_wrong(
        &self,
        entity: &EntityRef<'_>,
        viewing: &Viewing<'_>,
        told: &[(usize, &[u8])],
    ) -> Vec<usize>;
    /// Whether the component's own policy lets a viewer see it. The entity must have it.
    fn shows(&self, entity: &EntityRef<'_>, viewing: &Viewing<'_>) -> bool;
    /// Moves it from one world to another, and says whether the entity has it and it travels; with
    /// `leave_ghost`, what a ghost may know stays behind.
    fn transfer(&self, from: &mut EntityWorldMut<'_>, to: &mut EntityWorldMut<'_>, leave_ghost: bool)
    -> bool;
    /// Appends the saved form and says whether there was one.
    fn save(&self, entity: &EntityRef<'_>, out: &mut Vec<u8>) -> bool;
    /// Puts a saved component onto an entity and says how many bytes it took.
    ///
    /// # Errors
    /// When the bytes are not a saved component of this kind.
    fn load(&self, entity: &mut EntityWorldMut<'_>, bytes: &[u8]) -> Result<usize, DecodeError>;
    /// Takes it off an entity, if it is on it.
    fn remove(&self, entity: &mut EntityWorldMut<'_>);
}

/// A replicated kind.
pub(crate) struct ReplicatedKind<C> {
    schema_index: usize,
    component: PhantomData<fn() -> C>,
}

impl<C> ReplicatedKind<C> {
    pub(crate) fn new(schema_index: usize) -> Self {
        Self { schema_index, component: PhantomData }
    }
}

impl<C: Replicate> ComponentKind for ReplicatedKind<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn type_id(&self) -> TypeId {
        TypeId::of::<C>()
    }
    fn reach(&self) -> Reach {
        Reach::Replicated(self.schema_index)
    }
    fn register(&self, world: &mut World) -> ComponentId {
        world.register_component::<C>()
    }
    fn column(&self, world: &mut World) -> Option<Box<dyn Column>> {
        Some(Box::new(ReplicatedColumn::<C>::new(world)))
    }
    fn is_on(&self, entity: &EntityRef<'_>) -> bool {
        entity.contains::<C>()
    }
    fn encode_sent(&self, entity: &EntityRef<'_>, out: &mut FieldWriter) {
        entity.get::<C>().expect("a component that was found changed").encode_sent(out);
    }
    fn encode_personal(
        &self,
        entity: &EntityRef<'_>,
        wanted: u64,
        viewing: &Viewing<'_>,
        values: &mut PersonalValues,
    ) {
        let Some(component) = entity.get::<C>() else { return values.hide(wanted) };
        for field in bits(wanted) {
            values.show(field, viewing, |bytes, ids| {
                component.encode_personal(field as usize, viewing, bytes, ids)
            });
        }
    }
    fn hidden_paths(&self, field: usize, bytes: &[u8]) -> Vec<String> {
        C::hidden_paths(field, bytes).unwrap_or_default()
    }
    fn told_wrong(
        &self,
        entity: &EntityRef<'_>,
        viewing: &Viewing<'_>,
        told: &[(usize, &[u8])],
    ) -> Vec<usize> {
        entity.get::<C>().map_or_else(Vec::new, |component| fields_told_wrong(component, viewing, told))
    }
    fn shows(&self, entity: &EntityRef<'_>, viewing: &Viewing<'_>) -> bool {
        entity.get::<C>().is_some_and(|component| component.is_visible(viewing))
    }
    fn transfer(
        &self,
        from: &mut EntityWorldMut<'_>,
        to: &mut EntityWorldMut<'_>,
        leave_ghost: bool,
    ) -> bool {
        let moved = {
            let Some(mut here) = from.get_mut::<C>() else {
                if to.contains::<C>() {
                    to.remove::<C>();
                }
                return false;
            };
            let moved = std::mem::take(&mut *here);
            if leave_ghost {
                moved.project(&mut here);
            }
            moved
        };
        put(to, moved);
        true
    }
    fn save(&self, entity: &EntityRef<'_>, out: &mut Vec<u8>) -> bool {
        entity.get::<C>().map(|component| component.save(out)).is_some()
    }
    fn load(&self, entity: &mut EntityWorldMut<'_>, bytes: &[u8]) -> Result<usize, DecodeError> {
        let (component, used) = C::load(bytes)?;
        entity.insert(component);
        Ok(used)
    }
    fn remove(&self, entity: &mut EntityWorldMut<'_>) {
        entity.remove::<C>();
    }
}

/// Writes in place where the entity has the component (a promoted ghost), which moves no archetype.
fn put<C: Component<Mutability = Mutable>>(entity: &mut EntityWorldMut<'_>, component: C) {
    match entity.get_mut::<C>() {
        Some(mut place) => *place = component,
        None => {
            entity.insert(component);
        }
    }
}

/// A kind that moves and is saved but is never sent.
pub(crate) struct ServerOnlyKind<C>(PhantomData<fn() -> C>);

impl<C> ServerOnlyKind<C> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<C: Component<Mutability = Mutable> + Serialize + DeserializeOwned> ComponentKind for ServerOnlyKind<C> {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }
    fn type_id(&self) -> TypeId {
        TypeId::of::<C>()
    }
    fn reach(&self) -> Reach {
        Reach::ServerOnly
    }
    fn register(&self, world: &mut World) -> ComponentId {
        world.register_component::<C>()
    }
    fn column(&self, world: &mut World) -> Option<Box<dyn Column>> {
        Some(Box::new(ServerColumn::<C>::new(world)))
    }
    fn is_on(&self, entity: &EntityRef<'_>) -> bool {
        entity.contains::<C>()
    }
    fn encode_sent(&self, _: &EntityRef<'_>, _: &mut FieldWriter) {}
    fn encode_personal(&self, _: &EntityRef<'_>, wanted: u64, _: &Viewing<'_>, values: &mut PersonalValues) {
        values.hide(wanted);
    }
    fn hidden_paths(&self, _: usize, _: &[u8]) -> Vec<String> {
        Vec::new()
    }
    fn told_wrong(&self, _: &EntityRef<'_>, _: &Viewing<'_>, _: &[(usize, &[u8])]) -> Vec<usize> {
        Vec::new()
    }
    fn shows(&self, _: &EntityRef<'_>, _: &Viewing<'_>) -> bool {
        false
    }
    fn transfer(&self, from: &mut EntityWorldMut<'_>, to: &mut EntityWorldMut<'_>, _: bool) -> bool {
        match from.take::<C>() {
            Some(moved) => put(to, moved),
            // A game system may have put one on the ghost that is promoted.
            None => {
                to.remove::<C>();
                return false;
            }
        }
        true
    }
    fn save(&self, entity: &EntityRef<'_>, out: &mut Vec<u8>) -> bool {
        entity.get::<C>().map(|component| codec::encode_into(component, out)).is_some()
    }
    fn load(&self, entity: &mut EntityWorldMut<'_>, bytes: &[u8]) -> Result<usize, DecodeError> {
        let (component, used) = codec::decode_prefix::<C, SAVED_BYTES_MAX>("saved component", bytes)?;
        entity.insert(component);
        Ok(used)
    }
    fn remove(&self, entity: &mut EntityWorldMut<'_>) {
        entity.remove::<C>();
    }
}

/// A kind that stays where it is.
pub(crate) struct CellLocalKind<C>(PhantomData<fn() -> C>);

impl<C> CellLocalKind<C> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<C: Component> ComponentKind for CellLocalKind<C> {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }
    fn type_id(&self) -> TypeId {
        TypeId::of::<C>()
    }
    fn reach(&self) -> Reach {
        Reach::CellLocal
    }
    fn register(&self, world: &mut World) -> ComponentId {
        world.register_component::<C>()
    }
    fn column(&self, _: &mut World) -> Option<Box<dyn Column>> {
        None
    }
    fn is_on(&self, entity: &EntityRef<'_>) -> bool {
        entity.contains::<C>()
    }
    fn encode_sent(&self, _: &EntityRef<'_>, _: &mut FieldWriter) {}
    fn encode_personal(&self, _: &EntityRef<'_>, wanted: u64, _: &Viewing<'_>, values: &mut PersonalValues) {
        values.hide(wanted);
    }
    fn hidden_paths(&self, _: usize, _: &[u8]) -> Vec<String> {
        Vec::new()
    }
    fn told_wrong(&self, _: &EntityRef<'_>, _: &Viewing<'_>, _: &[(usize, &[u8])]) -> Vec<usize> {
        Vec::new()
    }
    fn shows(&self, _: &EntityRef<'_>, _: &Viewing<'_>) -> bool {
        false
    }
    fn transfer(&self, from: &mut EntityWorldMut<'_>, to: &mut EntityWorldMut<'_>, _: bool) -> bool {
        from.remove::<C>();
        to.remove::<C>();
        false
    }
    fn save(&self, _: &EntityRef<'_>, _: &mut Vec<u8>) -> bool {
        false
    }
    fn load(&self, _: &mut EntityWorldMut<'_>, _: &[u8]) -> Result<usize, DecodeError> {
        Err(DecodeError::malformed("saved component", "a cell-local component is never saved"))
    }
    fn remove(&self, entity: &mut EntityWorldMut<'_>) {
        entity.remove::<C>();
    }
}

/// A changed entity and the kinds that changed on it are found column by column; this is one such finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// The entity.
    pub entity: Entity,
    /// Index of the kind.
    pub kind: u16,
}

/// For exports of unknown type.
pub(crate) fn downcast<T: 'static>(any: &dyn Any) -> &T {
    any.downcast_ref::<T>().expect("the same kind has the same index in every cell")
}
