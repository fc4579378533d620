//! The part of the `Interest` set that runs in every cell: who looks from here, and whom each might see.

use bevy_ecs::prelude::Resource;

use crate::cell::Cell;
use crate::ids::SlotIndex;

use super::{Candidates, GatherScratch, IndexEntry, LastIndex, Viewer, gather};

/// The viewers of this tick, by the slot of the cell that owns their avatar. Written in `Mirror`.
#[derive(Resource, Debug, Default)]
pub struct Viewers {
    by_slot: Vec<Vec<Viewer>>,
}

impl Viewers {
    /// Forgets all viewers.
    pub fn clear(&mut self) {
        self.by_slot.iter_mut().for_each(Vec::clear);
    }

    /// Adds a viewer to the cell in a slot.
    pub fn push(&mut self, slot: SlotIndex, viewer: Viewer) {
        if self.by_slot.len() <= slot.index() {
            self.by_slot.resize_with(slot.index() + 1, Vec::new);
        }
        self.by_slot[slot.index()].push(viewer);
    }

    /// The viewers in one cell.
    #[must_use]
    pub fn of(&self, slot: SlotIndex) -> &[Viewer] {
        self.by_slot.get(slot.index()).map_or(&[], Vec::as_slice)
    }
}

/// How far players see.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub struct InterestSettings {
    /// Radius in which things appear, m.
    pub enter_radius_m: f32,
}

/// What one cell's search for candidates needs and found.
#[derive(Debug, Default)]
pub struct CellInterest {
    /// What each of the cell's viewers might see.
    pub candidates: Candidates,
    scratch: GatherScratch,
}

impl Cell {
    /// Rebuilds the cell's index and gathers its viewers' candidates.
    pub fn gather_candidates(&mut self, viewers: &[Viewer], settings: &InterestSettings) {
        let Cell { world, interest, queries, .. } = self;
        let mut last = world.remove_resource::<LastIndex>().expect("every cell has an index");
        let owned = queries.owned.iter(world).map(|(_, &net_id, owned, position)| IndexEntry {
            row: owned.row,
            net_id,
            position: position.0,
        });
        let ghosts = queries.ghosts.iter(world).map(|(&net_id, ghost, position)| IndexEntry {
            row: ghost.row,
            net_id,
            position: position.0,
        });
        last.rebuild(owned.chain(ghosts));
        gather(
            last.index(),
            viewers,
            settings.enter_radius_m,
            &mut interest.scratch,
            &mut interest.candidates,
        );
        world.insert_resource(last);
    }
}
