//! The `Partition` set: births, deaths, jumps and crossings, all at one point of the tick.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, Resource, World};
use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::ghost::import::PublishedExports;
use crate::ids::{NetId, Row, SlotIndex};
use crate::replication::Rows;
use crate::space::Position;

use super::attached::Attached;
use super::handover::hand_over;
use super::layout::Layout;
use super::markers::Owned;
use super::pool::{Cells, with_cells};
use super::published;
use super::requests::{Requests, SpawnRequest};

/// Where names come from, and how many each spawner has given.
#[derive(Resource, Debug, Default)]
pub struct Births {
    /// The world's secret: makes names tell nothing.
    pub secret: u64,
    /// How many entities each living spawner, or the world itself, has spawned.
    pub spawned: BTreeMap<NetId, u64>,
    /// Spawners that a node system took away since the last `Partition`: what they asked for in their last tick is
    /// still to be born, under the next of their names.
    pub(crate) leaving: Vec<NetId>,
}

impl Births {
    fn next_name(&mut self, spawner: NetId) -> NetId {
        let counter = self.spawned.entry(spawner).or_default();
        *counter += 1;
        NetId::derive(self.secret, spawner, *counter)
    }
}

/// Who was born and who died at this tick's `Partition`, for node systems: lifecycle hooks of bevy run in
/// cells, also when the engine moves an entity, so they are no place for game logic.
#[derive(Resource, Debug, Default)]
pub struct LifeEvents {
    /// Born in this tick, by order of birth.
    pub born: Vec<NetId>,
    /// Died since the last tick's `Partition`, by name.
    pub died: Vec<NetId>,
}

/// What moved, since the start and in this tick.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// Entities given to another cell.
    pub handovers: u64,
    /// Jumps asked for, by games or for a step that was too long.
    pub teleports: u64,
    /// Births.
    pub births: u64,
    /// Deaths.
    pub deaths: u64,
    /// Births refused because the name was taken: a hash collision, one in 2⁶⁴ per pair.
    pub name_collisions: u64,
    /// Attachments dissolved because the leader is gone or the chain does not end.
    pub detached: u64,
}

/// Where an entity goes, decided before anything moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) net_id: NetId,
    pub(super) to: SlotIndex,
    pub(super) position: Vec3,
}

/// Takes the published exports back home, before anything may die: what a tick takes out of them has to be told
/// with the tick's own changes. Runs in `Receive`.
pub fn take_exports_back(world: &mut World) {
    with_cells(world, |world, cells| {
        let exports = &mut world.resource_mut::<PublishedExports>().exports;
        for cell in cells.iter_mut() {
            if let Some(export) = exports.get_mut(cell.leaf.slot.index()).and_then(Option::take) {
                cell.export = Some(export);
            }
            cell.export.as_mut().expect("an export is published or at home").begin_tick();
        }
    });
}

/// Runs the set. Everything the cells asked for in the last tick happens now, in an order that does not depend
/// on cells: deaths, crossings, jumps, births, attachments, each by name.
pub fn partition(world: &mut World) {
    with_cells(world, |world, cells| {
        published::give_to_all(world, cells);
        world.resource_scope(|world, layout: Mut<Layout>| {
            world.resource_scope(|world, mut rows: Mut<Rows>| {
                world.resource_scope(|world, mut counts: Mut<PartitionCounts>| {
                    let mut node = Node::new(&layout, &mut rows, &mut counts, cells);
                    let died = node.bury_the_dead();
                    node.move_crossings();
                    node.teleport();
                    let mut births = world.resource_mut::<Births>();
                    let born = node.give_birth(&mut births);
                    // Only now: what dies may leave something behind, under the next of its names.
                    let leaving = std::mem::take(&mut births.leaving);
                    for net_id in died.iter().chain(&leaving) {
                        births.spawned.remove(net_id);
                    }
                    node.join_leaders();
                    let mut events = world.resource_mut::<LifeEvents>();
                    events.born.extend(born);
                    events.died.extend(died);
                    events.died.sort_unstable();
                });
            });
        });
    });
}

/// Spawns one entity now, from a node system before `Simulate`.
pub fn spawn_now(world: &mut World, request: SpawnRequest) -> Option<NetId> {
    with_cells(world, |world, cells| {
        world.resource_scope(|world, layout: Mut<Layout>| {
            world.resource_scope(|world, mut rows: Mut<Rows>| {
                world.resource_scope(|world, mut counts: Mut<PartitionCounts>| {
                    let mut node = Node::new(&layout, &mut rows, &mut counts, cells);
                    let mut births = world.resource_mut::<Births>();
                    let net_id = births.next_name(request.spawner);
                    let born = node.spawn(net_id, request);
                    world.resource_mut::<LifeEvents>().born.extend(born);
                    born
                })
            })
        })
    })
}

/// Spawns with a known name, when a saved world is put together again.
pub(crate) fn spawn_saved(world: &mut World, net_id: NetId, request: SpawnRequest) -> Option<NetId> {
    with_cells(world, |world, cells| {
        world.resource_scope(|world, layout: Mut<Layout>| {
            world.resource_scope(|world, mut rows: Mut<Rows>| {
                world.resource_scope(|_, mut counts: Mut<PartitionCounts>| {
                    Node::new(&layout, &mut rows, &mut counts, cells).spawn(net_id, request)
                })
            })
        })
    })
}

/// Joins what a saved world holds to whom it was joined to: nothing else is ever saved, since an image is made
/// after `Partition`. Nobody moves but into another cell.
pub(crate) fn join_saved(world: &mut World) {
    with_cells(world, |world, cells| {
        world.resource_scope(|world, layout: Mut<Layout>| {
            world.resource_scope(|world, mut rows: Mut<Rows>| {
                world.resource_scope(|_, mut counts: Mut<PartitionCounts>| {
                    Node::new(&layout, &mut rows, &mut counts, cells).join_saved();
                });
            });
        });
    });
}

/// Lets one entity die now, from a node system before `Simulate`.
pub fn despawn_now(world: &mut World, net_id: NetId) {
    with_cells(world, |world, cells| {
        let Some(row) = world.resource::<Rows>().row(net_id) else { return };
        let slot = world.resource::<Rows>().owner[row.index()];
        cells.at(slot).bury(net_id);
        world.resource_mut::<Rows>().remove(net_id);
        world.resource_mut::<Births>().leaving.push(net_id);
        world.resource_mut::<PartitionCounts>().deaths += 1;
        world.resource_mut::<LifeEvents>().died.push(net_id);
    });
}

pub(super) struct Node<'a> {
    pub(super) layout: &'a Layout,
    pub(super) rows: &'a mut Rows,
    pub(super) counts: &'a mut PartitionCounts,
    pub(super) cells: &'a mut Cells,
    /// Who is attached to whom, by leader.
    pub(super) followers: FxHashMap<NetId, Vec<NetId>>,
}

impl<'a> Node<'a> {
    fn new(
        layout: &'a Layout,
        rows: &'a mut Rows,
        counts: &'a mut PartitionCounts,
        cells: &'a mut Cells,
    ) -> Self {
        let mut followers: FxHashMap<NetId, Vec<NetId>> = FxHashMap::default();
        for (leader, follower) in cells.iter().flat_map(|cell| &cell.attachments.followers) {
            followers.entry(*leader).or_default().push(*follower);
        }
        for group in followers.values_mut() {
            group.sort_unstable();
        }
        Self { layout, rows, counts, cells, followers }
    }

    pub(super) fn slot_of(&self, net_id: NetId) -> Option<(Row, SlotIndex)> {
        let row = self.rows.row(net_id)?;
        Some((row, self.rows.owner[row.index()]))
    }

    fn bury_the_dead(&mut self) -> Vec<NetId> {
        let mut dead = Vec::new();
        for cell in self.cells.iter_mut() {
            // Of node systems since the last survey.
            cell.note_deaths();
            dead.append(&mut cell.dead);
        }
        dead.sort_unstable();
        dead.dedup();
        dead.retain(|&net_id| {
            // Not when a node system has taken it away since.
            let Some((_, slot)) = self.slot_of(net_id) else { return false };
            self.cells.at(slot).bury(net_id);
            self.rows.remove(net_id);
            self.counts.deaths += 1;
            true
        });
        dead
    }

    /// The position of a living entity in its cell.
    pub(super) fn position_of(&self, net_id: NetId) -> Option<(SlotIndex, Vec3)> {
        let (_, slot) = self.slot_of(net_id)?;
        let cell = self.cells.get(slot)?;
        let entity = cell.by_net_id.get(&net_id)?;
        Some((slot, cell.world.get::<Position>(*entity)?.0))
    }

    pub(super) fn attachment_of(&self, net_id: NetId) -> Option<Attached> {
        let (_, slot) = self.slot_of(net_id)?;
        let cell = self.cells.get(slot)?;
        cell.world.get::<Attached>(*cell.by_net_id.get(&net_id)?).copied()
    }

    pub(super) fn move_one(&mut self, from: SlotIndex, Move { net_id, to, position }: Move) {
        if from == to {
            let cell = self.cells.at(from);
            let entity = cell.by_net_id[&net_id];
            let mut entity = cell.world.entity_mut(entity);
            if let Some(mut owned) = entity.get_mut::<Owned>() {
                owned.anchor = position;
            }
            if let Some(mut place) = entity.get_mut::<Position>() {
                place.0 = position;
            }
            return;
        }
        let (source, target) = self.cells.pair(from, to);
        hand_over(source, target, net_id, position);
        let row = self.rows.row(net_id).expect("a living entity has a row");
        self.rows.owner[row.index()] = to;
        self.counts.handovers += 1;
    }

    fn move_crossings(&mut self) {
        let mut crossings: Vec<NetId> = Vec::new();
        for cell in self.cells.iter_mut() {
            crossings.append(&mut cell.crossings);
        }
        crossings.sort_unstable();
        for net_id in crossings {
            // What is joined follows its leader, and may stand a little outside.
            if self.leader_of(net_id) != NetId::WORLD {
                continue;
            }
            let Some((slot, position)) = self.position_of(net_id) else { continue };
            let to = self.layout.locate(position).slot;
            if to != slot {
                self.move_group(Move { net_id, to, position });
            }
        }
    }

    fn teleport(&mut self) {
        let mut jumps: Vec<(NetId, Vec3)> = Vec::new();
        for cell in self.cells.iter_mut() {
            jumps.append(&mut cell.world.resource_mut::<Requests>().teleports);
        }
        jumps.sort_by_key(|(net_id, _)| *net_id);
        for (net_id, to) in jumps {
            if !to.is_finite() {
                tracing::error!(%net_id, "a game system asked for a teleport to {to}: positions are finite numbers");
                continue;
            }
            self.counts.teleports += 1;
            if self.leader_of(net_id) != NetId::WORLD {
                self.let_go(net_id);
            }
            let position = self.layout.world().clamp(to);
            self.move_group(Move { net_id, to: self.layout.locate(position).slot, position });
        }
    }

    fn give_birth(&mut self, births: &mut Births) -> Vec<NetId> {
        let mut requests: Vec<SpawnRequest> = Vec::new();
        for cell in self.cells.iter_mut() {
            requests.append(&mut cell.world.resource_mut::<Requests>().spawns);
        }
        // Stable: one spawner's requests keep their order, and one spawner lives in one cell.
        requests.sort_by_key(|request| request.spawner);
        requests
            .into_iter()
            .filter_map(|request| {
                let net_id = births.next_name(request.spawner);
                self.spawn(net_id, request)
            })
            .collect()
    }

    fn spawn(&mut self, net_id: NetId, request: SpawnRequest) -> Option<NetId> {
        assert!(
            request.position.is_finite(),
            "{} spawns an entity at {}: positions are finite numbers",
            request.spawner,
            request.position
        );
        let position = self.layout.world().clamp(request.position);
        let slot = self.layout.locate(position).slot;
        let Some(row) = self.rows.insert(net_id, slot, request.class) else {
            self.counts.name_collisions += 1;
            tracing::error!(%net_id, spawner = %request.spawner, "the name of a newborn is taken: not spawned");
            return None;
        };
        self.cells.at(slot).insert(net_id, row, position, request.build);
        self.counts.births += 1;
        Some(net_id)
    }
}
