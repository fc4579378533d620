//! What a cell keeps of its neighbours: one link per neighbour, one ghost per entity within the margin.

use bevy_ecs::prelude::{Entity, Mut, QueryState, Resource, With, World};
use rustc_hash::FxHashMap;

use crate::cell::layout::Leaf;
use crate::cell::markers::{Ghost, NO_LINK, Owned};
use crate::ids::{CellId, NetId, SlotIndex};
use crate::space::{Area, Position};

use super::column::{Column, Source};
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
    pub places: &'a mut GhostPlaces,
}

/// All ghosts and where they are.
pub(crate) type GhostPlaces = QueryState<(&'static Ghost, &'static mut Position)>;

impl Link {
    /// What the neighbour published, if it is still the one that this link is of.
    fn export<'a>(&self, published: &'a PublishedExports) -> Option<&'a Export> {
        let export = published.exports.get(self.slot.index())?.as_ref()?;
        (export.cell == self.cell && export.epoch == self.epoch).then_some(export)
    }
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
        let exports: Vec<Option<&Export>> = self.links.iter().map(|link| link.export(published)).collect();
        for (index, export) in exports.iter().enumerate() {
            self.links[index].fresh.clear();
            match export {
                Some(export) => self.import_members(index as u32, export, target, &mut counts),
                None => counts.stale += 1,
            }
        }
        for (link, export) in self.links.iter_mut().zip(&exports) {
            let Some(export) = export else { continue };
            for &place in &export.gone {
                if let Some(ghost) = link.ghosts.get_mut(place as usize).and_then(Option::take) {
                    drop_ghost(ghost, target, &mut counts);
                }
            }
        }
        self.follow_places(&exports, target, &mut counts);
        let mut sources: Vec<Option<Source<'_>>> = Vec::with_capacity(exports.len());
        for (kind, column) in target.columns.iter_mut().enumerate() {
            let Some(column) = column else { continue };
            sources.clear();
            sources.extend(self.links.iter().zip(&exports).map(|(link, export)| {
                let exported = (*export)?.columns[kind].as_ref()?;
                Some(Source { exported, ghosts: &link.ghosts, fresh: &link.fresh })
            }));
            if sources.iter().flatten().any(|source| !source.exported.changed.is_empty()) {
                counts.copied += column.import_changes(target.world, &sources);
            }
        }
        for ghost in std::mem::take(&mut self.orphans) {
            if target.world.get::<Ghost>(ghost).is_some_and(|ghost| ghost.link == NO_LINK) {
                drop_ghost(ghost, target, &mut counts);
            }
        }
        counts
    }

    /// Puts the ghosts of those that moved where their originals are, and drops those that left the margin.
    fn follow_places(
        &mut self,
        exports: &[Option<&Export>],
        target: &mut ImportTarget<'_>,
        counts: &mut ImportCounts,
    ) {
        let moved: usize = exports.iter().flatten().map(|export| export.moved.len()).sum();
        if moved == 0 {
            return;
        }
        let (area, margin) = (target.area, target.margin);
        let mut left = Vec::new();
        let mut follow = |ghost: &Ghost, export: &Export, mut position: Mut<'_, Position>| {
            let member = &export.members[ghost.export as usize];
            if position.0 == member.position || member.net_id == NetId::WORLD {
                return;
            }
            if area.contains_within(member.position, margin) {
                position.0 = member.position;
                counts.copied += 1;
            } else {
                left.push((ghost.link, ghost.export));
            }
        };
        let mut places = target.places.query_mut(&mut *target.world);
        if moved >= places.iter().size_hint().1.unwrap_or(usize::MAX) {
            for (ghost, position) in &mut places {
                if let Some(Some(export)) = exports.get(ghost.link as usize) {
                    follow(ghost, export, position);
                }
            }
        } else {
            for (link, export) in self.links.iter().zip(exports) {
                let Some(export) = export else { continue };
                for ghost in export.moved.iter().filter_map(|place| link.ghosts[place as usize]) {
                    if let Ok((ghost, position)) = places.get_mut(ghost) {
                        follow(ghost, export, position);
                    }
                }
            }
        }
        for (link, place) in left {
            if let Some(ghost) = self.links[link as usize].ghosts[place as usize].take() {
                drop_ghost(ghost, target, counts);
            }
        }
    }

    /// Makes ghosts of one neighbour's newcomers.
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
        let fresh = |place: &u32| {
            link.ghosts[*place as usize].is_none() && export.members[*place as usize].net_id != NetId::WORLD
        };
        link.fresh.extend(export.moved.within(&area, target.margin).filter(fresh));
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
