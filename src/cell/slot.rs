//! The slots: one ECS resource per cell, each with its own `ComponentId`, so that bevy's scheduler proves that
//! a cell has one writer.
//!
//! This is the one module that needs `unsafe`. bevy offers no safe way to register a resource under an id that
//! is only known at run time and to declare access to it in a system. Three promises make it sound:
//!
//! 1. **The type.** [`SlotId`] is made only by [`register`], which describes the layout and the drop of
//!    what a slot holds; every read casts back to that same type.
//! 2. **The access.** `init_access` declares exactly what `get_param` takes (write for [`CellMut`]), and
//!    panics when the system's other parameters conflict with it, as bevy's own `ResMut` does.
//! 3. **The emptiness.** A slot without a cell has no value: the system is skipped, never handed a dangling
//!    pointer.

#![expect(unsafe_code, reason = "resources under run-time ids: argued above, tested below")]

use std::alloc::Layout;
use std::ops::{Deref, DerefMut};

use bevy_ecs::change_detection::{Mut, Tick};
use bevy_ecs::component::{ComponentCloneBehavior, ComponentDescriptor, ComponentId, StorageType};
use bevy_ecs::prelude::World;
use bevy_ecs::ptr::OwningPtr;
use bevy_ecs::query::FilteredAccess;
use bevy_ecs::resource::{IS_RESOURCE, IsResource};
use bevy_ecs::system::{
    SystemAccess, SystemMeta, SystemParam, SystemParamBuilder, SystemParamValidationError,
};
use bevy_ecs::world::unsafe_world_cell::UnsafeWorldCell;

use super::Cell;

/// What a slot holds. The box is out only while a node system holds the whole world and has taken it.
type Held = Option<Box<Cell>>;

/// A place that can hold one cell, registered in one node world and never given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(ComponentId);

/// Registers a new, empty slot.
pub fn register(world: &mut World, name: String) -> SlotId {
    let drop_cell = |pointer: OwningPtr<'_>| unsafe { pointer.drop_as::<Held>() };
    // SAFETY: the layout and the drop function are those of `Cell`, the only type ever stored under the id,
    // and `Cell` is `Send + Sync` (asserted below).
    let descriptor = unsafe {
        ComponentDescriptor::new_with_layout(
            name,
            StorageType::SparseSet,
            Layout::new::<Held>(),
            Some(drop_cell),
            true,
            false,
            ComponentCloneBehavior::Ignore,
            None,
        )
    };
    SlotId(world.register_component_with_descriptor(descriptor))
}

const fn assert_send_sync<T: Send + Sync + 'static>() {}
const _: () = assert_send_sync::<Held>();

/// Puts a cell into a slot. The entity behind an emptied slot is used again: a second one would be stripped.
pub fn put(world: &mut World, slot: SlotId, cell: Box<Cell>) {
    let held: Held = Some(cell);
    let old = world.resource_entities().get(slot.0);
    let mut entity = match old {
        Some(entity) => world.entity_mut(entity),
        None => world.spawn_empty(),
    };
    // SAFETY: `slot` was registered for `Cell` in this world.
    OwningPtr::make(held, |pointer| unsafe {
        entity.insert_by_id(slot.0, pointer);
    });
    if old.is_none() {
        entity.insert(IsResource::new(slot.0));
    }
}

fn held(world: &mut World, slot: SlotId) -> Option<Mut<'_, Held>> {
    // SAFETY: `slot` was registered for `Held`.
    world.get_resource_mut_by_id(slot.0).map(|value| unsafe { value.with_type::<Held>() })
}

/// Takes the cell out of its slot, for a node system that needs several at once; put it back with [`give`].
pub fn take(world: &mut World, slot: SlotId) -> Option<Box<Cell>> {
    held(world, slot)?.take()
}

/// Gives a cell back to the slot it was taken from.
///
/// # Panics
/// When the slot is empty.
pub fn give(world: &mut World, slot: SlotId, cell: Box<Cell>) {
    *held(world, slot).expect("the slot the cell was taken from") = Some(cell);
}

/// The cell in a slot, to read.
pub fn get(world: &World, slot: SlotId) -> Option<&Cell> {
    // SAFETY: `slot` was registered for `Held`.
    world.get_resource_by_id(slot.0).and_then(|value| unsafe { value.deref::<Held>() }.as_deref())
}

/// Empties a slot and drops its cell. The slot can be filled again.
pub fn clear(world: &mut World, slot: SlotId) {
    world.remove_resource_by_id(slot.0);
}

/// System parameter: the one writer of one slot. Built with [`WriteSlot`]; the system is skipped while the
/// slot is empty.
pub struct CellMut<'w>(Mut<'w, Held>);

/// Builds a [`CellMut`] of one slot.
pub struct WriteSlot(pub SlotId);

impl Deref for CellMut<'_> {
    type Target = Cell;
    fn deref(&self) -> &Cell {
        self.0.as_deref().expect("a cell is in its slot whenever systems run")
    }
}

impl DerefMut for CellMut<'_> {
    fn deref_mut(&mut self) -> &mut Cell {
        self.0.as_deref_mut().expect("a cell is in its slot whenever systems run")
    }
}

// SAFETY: `init_access` registers the write that `get_param` performs, and refuses conflicts.
unsafe impl SystemParam for CellMut<'_> {
    type State = SlotId;
    type Item<'w, 's> = CellMut<'w>;

    fn init_state(_: &mut World) -> SlotId {
        panic!("a CellMut belongs to one slot: build the system with WriteSlot(slot)")
    }

    fn init_access(slot: &SlotId, meta: &mut SystemMeta, access: &mut SystemAccess, _: &mut World) {
        let mut filtered = FilteredAccess::default();
        filtered.add_write(slot.0);
        filtered.and_with(IS_RESOURCE);
        assert!(access.try_add(filtered).is_ok(), "{} takes slot {:?} twice", meta.name(), slot.0);
    }

    unsafe fn get_param<'w>(
        slot: &mut SlotId,
        _: &SystemMeta,
        world: UnsafeWorldCell<'w>,
        _: Tick,
    ) -> Result<CellMut<'w>, SystemParamValidationError> {
        // SAFETY: the caller grants the access declared above; the type is the one registered.
        let value = unsafe { world.get_resource_mut_by_id(slot.0) }
            .ok_or_else(|| SystemParamValidationError::skipped::<Self>("the slot is empty"))?;
        Ok(CellMut(unsafe { value.with_type::<Held>() }))
    }
}

// SAFETY: the state is the slot's id, as `SystemParam::State` asks.
unsafe impl<'w> SystemParamBuilder<CellMut<'w>> for WriteSlot {
    fn build(self, _: &mut World) -> SlotId {
        self.0
    }
}

#[cfg(test)]
mod tests;
