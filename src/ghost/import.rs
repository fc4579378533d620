//! What a cell keeps of its neighbours: one link per neighbour, one ghost per entity within the margin.

use bevy_ecs::prelude::{Entity, QueryState, Resource, With, World};
use rustc_hash::FxHashMap;

use crate::cell::layout::Leaf;
use crate::cell::markers::{Ghost, NO_LINK, Owned};
use crate::ids::{CellId, NetId, SlotIndex};
use crate::space::{Area, Position};

use super::column::Column;
use super::export::{Export, Member};

/// The exports of all slots, as of the end of this tick's `Simulate`.
#[derive(Resource, Debug, Default)]
pub struct PublishedExports {
    /// By slot; `None` for slots without a cell.
    pub exports: Vec<Option<Export>>,
}

/// One neighbour whose export this cell follows.
#[derive(Debug)]
pub struct Link {
    /// Where its export is published.
    pub slot: SlotIndex,
    /// Who it must be.
    pub cell: CellId,
    /// Which of its owners.
    pub epoch: u32,
    /// This cell's ghost of each place in the export.
    ghosts: Vec<Option<Entity>>,
    /// Places made whole in this import, ascending.
    fresh: Vec<u32>,
}

/// All links of a cell.
#[derive(Debug, Default)]
pub struct Links {
    links: Vec<Link>,
    /// Ghosts whose owner moved and whose new owner has not exported them yet.
    orphans: Vec<Entity>,
}

/// What one import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Component values copied, positions included, new ghosts not.
    pub copied: u64,
    /// Ghosts made.
    pub made: u64,
    /// Ghosts dropped.
    pub dropped: u64,
    /// Exports refused because they are another owner's.
    pub stale: u64,
}

/// The parts of a cell that an import needs.
pub struct ImportTarget<'a> {
    /// The cell's box.
    pub area: Area,
    /// The ghost margin, m.
    pub margin: f32,
    /// The cell's world.
    pub world: &'a mut World,
    /// Its entities by name, owned and ghosts.
    pub by_net_id: &'a mut FxHashMap<NetId, Entity>,
    /// Its columns.
    pub columns: &'a mut [Option<Box<dyn Column>>],
    /// Writes ghosts' positions.
    pub positions: &'a mut QueryState<&'static mut Position, With<Ghost>>,
}

impl Links {
    /// Follows exactly these neighbours. Ghosts of others are dropped at the next import.
    pub fn reset(&mut self, neighbours: &[Leaf], world: &mut World) {
        let mut ghosts = world.query_filtered::<(Entity, &mut Ghost), With<Ghost>>();
        for (entity, mut ghost) in ghosts.iter_mut(world) {
            ghost.link = NO_LINK;
            self.orphans.push(entity);
        }
        self.links = neighbours
            .iter()
            .map(|leaf| Link {
                slot: leaf.slot,
                cell: leaf.id,
                epoch: leaf.epoch,
                ghosts: vec![],
                fresh: vec![],
            })
            .collect();
    }

    /// The neighbours' slots.
    pub fn slots(&self) -> impl Iterator<Item = SlotIndex> + '_ {
        self.links.iter().map(|link| link.slot)
    }

    /// A ghost became the original: its link forgets it.
    pub(crate) fn forget(&mut self, ghost: &Ghost) {
        if let Some(link) = self.links.get_mut(ghost.link as usize) {
            link.ghosts[ghost.export as usize] = None;
        }
    }

    /// An original became a ghost: the next import gives it a link or drops it.
    pub(crate) fn adopt_later(&mut self, ghost: Entity) {
        self.orphans.push(ghost);
    }

    /// Brings this cell's ghosts up to date with what its neighbours published. O(changes).
    pub fn import(&mut self, target: &mut ImportTarget<'_>, published: &PublishedExports) -> ImportCounts {
        let mut counts = ImportCounts::default();
        // Newcomers of all neighbours first: an entity that went from one neighbour to another is adopted by
        // the new link before the old one would drop it.
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            link.fresh.clear();
            match published.exports.get(link.slot.index()).and_then(Option::as_ref) {
                Some(export) if export.cell == link.cell && export.epoch == link.epoch => {
                    self.import_members(index as u32, export, target, &mut counts);
                }
                _ => counts.stale += 1,
            }
        }
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            let Some(export) = published.exports.get(link.slot.index()).and_then(Option::as_ref) else {
                continue;
            };
            if export.cell != link.cell || export.epoch != link.epoch {
                continue;
            }
            for &place in &export.gone {
                if let Some(ghost) = link.ghosts.get_mut(place as usize).and_then(Option::take) {
                    drop_ghost(ghost, target, &mut counts);
                }
            }
            for (column, exported) in target.columns.iter_mut().zip(&export.columns) {
                if let (Some(column), Some(exported)) = (column, exported)
                    && !exported.changed.is_empty()
                {
                    counts.copied += column.import_changes(target.world, exported, &link.ghosts, &link.fresh);
                }
            }
        }
        for ghost in std::mem::take(&mut self.orphans) {
            if target.world.get::<Ghost>(ghost).is_some_and(|ghost| ghost.link == NO_LINK) {
                drop_ghost(ghost, target, &mut counts);
            }
        }
        counts
    }

    fn import_members(
        &mut self,
        index: u32,
        export: &Export,
        target: &mut ImportTarget<'_>,
        counts: &mut ImportCounts,
    ) {
        let area = target.area;
        let link = &mut self.links[index as usize];
        if link.ghosts.len() < export.members.len() {
            // A link that is new sees every member, not only those that moved.
            let first = link.ghosts.len();
            link.ghosts.resize(export.members.len(), None);
            for place in first as u32..export.members.len() as u32 {
                let member = export.members[place as usize];
                if member.net_id != NetId::WORLD && area.contains_within(member.position, target.margin) {
                    link.fresh.push(place);
                }
            }
        }
        let mut left = Vec::new();
        {
            let mut positions = target.positions.query_mut(&mut *target.world);
            for &place in &export.moved {
                let member = &export.members[place as usize];
                let inside = area.contains_within(member.position, target.margin);
                match link.ghosts[place as usize] {
                    Some(ghost) if inside => {
                        if let Ok(mut position) = positions.get_mut(ghost) {
                            position.0 = member.position;
                        }
                        counts.copied += 1;
                    }
                    Some(_) => left.push(place),
                    None if inside => link.fresh.push(place),
                    None => {}
                }
            }
        }
        for place in left {
            if let Some(ghost) = link.ghosts[place as usize].take() {
                drop_ghost(ghost, target, counts);
            }
        }
        link.fresh.sort_unstable();
        link.fresh.dedup();
        let fresh = std::mem::take(&mut link.fresh);
        for &place in &fresh {
            let ghost = self.make_whole(index, place, export, target, counts);
            self.links[index as usize].ghosts[place as usize] = ghost;
        }
        self.links[index as usize].fresh = fresh;
    }

    /// Makes (or adopts) the ghost of one member, with everything exported of it.
    fn make_whole(
        &mut self,
        link: u32,
        place: u32,
        export: &Export,
        target: &mut ImportTarget<'_>,
        counts: &mut ImportCounts,
    ) -> Option<Entity> {
        let Member { net_id, row, position } = export.members[place as usize];
        let known = target.by_net_id.get(&net_id).copied();
        let entity = match known {
            Some(entity) => {
                // Its owner is this very cell: two owners would be a fault that the node's invariants name.
                if target.world.get::<Owned>(entity).is_some() {
                    return None;
                }
                entity
            }
            None => {
                counts.made += 1;
                let entity = target.world.spawn((net_id, Position(position))).id();
                target.by_net_id.insert(net_id, entity);
                entity
            }
        };
        if let Some(old) = target.world.get::<Ghost>(entity)
            && old.link != NO_LINK
            && (old.link, old.export) != (link, place)
        {
            let (old_link, old_place) = (old.link as usize, old.export as usize);
            self.links[old_link].ghosts[old_place] = None;
        }
        let mut ghost = target.world.entity_mut(entity);
        ghost.insert((Position(position), Ghost { row, link, export: place }));
        for (column, exported) in target.columns.iter().zip(&export.columns) {
            if let (Some(column), Some(exported)) = (column, exported) {
                column.import_one(&mut ghost, place, exported);
            }
        }
        Some(entity)
    }
}

fn drop_ghost(ghost: Entity, target: &mut ImportTarget<'_>, counts: &mut ImportCounts) {
    if let Some(&net_id) = target.world.get::<NetId>(ghost) {
        target.by_net_id.remove(&net_id);
    }
    target.world.despawn(ghost);
    counts.dropped += 1;
}
