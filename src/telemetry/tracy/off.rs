//! The same calls as with the feature `tracy`, compiled to nothing.

use bevy_ecs::prelude::Resource;

use crate::ids::SlotIndex;
use crate::tick::TickSystems;

/// The zones of a world. Without the feature `tracy` it is empty.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct ZoneTable;

/// A zone ends when this is dropped. Without the feature `tracy` it is nothing.
#[must_use = "the zone ends as soon as the guard is dropped"]
pub struct ZoneGuard;

impl Drop for ZoneGuard {
    // So that dropping one early reads the same with and without the feature.
    #[inline]
    fn drop(&mut self) {}
}

impl ZoneTable {
    /// Makes the zones of the slots below `slots`.
    #[inline]
    pub fn ensure_slots(&mut self, _slots: usize) {}

    /// Opens the zone of a slot in a stage on this thread.
    #[inline]
    pub fn slot(&self, _stage: TickSystems, _slot: SlotIndex) -> ZoneGuard {
        ZoneGuard
    }

    #[inline]
    pub(crate) fn enter_set(&self, _stage: TickSystems) {}

    #[inline]
    pub(crate) fn leave_set(&self) {}

    #[inline]
    pub(crate) fn mark_frame(&self) {}
}

const _: () = assert!(size_of::<ZoneTable>() == 0 && size_of::<ZoneGuard>() == 0);
