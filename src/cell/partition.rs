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
use super::requests::{Requests, SpawnRequest};

/// Where names come from, and how many each spawner has given.
#[derive(Resource, Debug, Default)]
pub struct Births {
    /// The world's secret: makes names tell nothing.
    pub secret: u64,
    /// How many entities each living spawner, or the world itself, has spawned.
    pub spawned: BTreeMap<NetId, u64>,
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
    /// Died in the last tick's `Simulate`, by name.
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
struct Move {
    net_id: NetId,
    to: SlotIndex,
    position: Vec3,
}

/// Runs the set. Everything the cells asked for in the last tick happens now, in an order that does not depend
/// on cells: deaths, crossings, jumps, reunions, births, each by name.
pub fn partition(world: &mut World) {
    with_cells(world, |world, cells| {
        let exports = &mut world.resource_mut::<PublishedExports>().exports;
        for cell in cells.iter_mut() {
            if let Some(export) = exports.get_mut(cell.leaf.slot.index()).and_then(Option::take) {
                cell.export = Some(export);
            }
            cell.export.as_mut().expect("an export is published or at home").begin_tick();
        }
        world.resource_scope(|world, layout: Mut<Layout>| {
            world.resource_scope(|world, mut rows: Mut<Rows>| {
                world.resource_scope(|world, mut counts: Mut<PartitionCounts>| {
                    let mut node = Node::new(&layout, &mut rows, &mut counts, cells);
                    let died = node.bury_the_dead();
                    node.move_crossings();
                    node.teleport();
                    node.rejoin_leaders();
                    let mut births = world.resource_mut::<Births>();
                    for net_id in &died {
                        births.spawned.remove(net_id);
                    }
                    let born = node.give_birth(&mut births);
                    let mut events = world.resource_mut::<LifeEvents>();
                    events.born.extend(born);
                    events.died = died;
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
                    node.spawn(net_id, request)
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

/// Lets one entity die now, from a node system before `Simulate`.
pub fn despawn_now(world: &mut World, net_id: NetId) {
    with_cells(world, |world, cells| {
        let Some(row) = world.resource::<Rows>().row(net_id) else { return };
        let slot = world.resource::<Rows>().owner[row.index()];
        cells.at(slot).bury(net_id);
        world.resource_mut::<Rows>().remove(net_id);
        world.resource_mut::<Births>().spawned.remove(&net_id);
        world.resource_mut::<PartitionCounts>().deaths += 1;
        world.resource_mut::<LifeEvents>().died.push(net_id);
    });
}

struct Node<'a> {
    layout: &'a Layout,
    rows: &'a mut Rows,
    counts: &'a mut PartitionCounts,
    cells: &'a mut Cells,
    /// Who is attached to whom, by leader.
    followers: FxHashMap<NetId, Vec<NetId>>,
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

    fn slot_of(&self, net_id: NetId) -> Option<(Row, SlotIndex)> {
        let row = self.rows.row(net_id)?;
        Some((row, self.rows.owner[row.index()]))
    }

    fn bury_the_dead(&mut self) -> Vec<NetId> {
        let mut dead = Vec::new();
        for cell in self.cells.iter_mut() {
            dead.append(&mut cell.world.resource_mut::<Requests>().deaths);
        }
        dead.sort_unstable();
        dead.dedup();
        for &net_id in &dead {
            if let Some((_, slot)) = self.slot_of(net_id) {
                self.cells.at(slot).bury(net_id);
                self.rows.remove(net_id);
                self.counts.deaths += 1;
            }
        }
        dead
    }

    /// The position of a living entity in its cell.
    fn position_of(&self, net_id: NetId) -> Option<(SlotIndex, Vec3)> {
        let (_, slot) = self.slot_of(net_id)?;
        let cell = self.cells.get(slot)?;
        let entity = cell.by_net_id.get(&net_id)?;
        Some((slot, cell.world.get::<Position>(*entity)?.0))
    }

    fn attachment_of(&self, net_id: NetId) -> Option<Attached> {
        let (_, slot) = self.slot_of(net_id)?;
        let cell = self.cells.get(slot)?;
        cell.world.get::<Attached>(*cell.by_net_id.get(&net_id)?).copied()
    }

    /// Moves an entity and all that is attached to it. The attached keep their distance.
    fn move_group(&mut self, leader: Move) {
        let Some((_, from)) = self.position_of(leader.net_id) else { return };
        let mut group = vec![leader];
        let mut next = 0;
        while next < group.len() {
            for &follower in self.followers.get(&group[next].net_id).into_iter().flatten() {
                if group.iter().any(|member| member.net_id == follower) {
                    continue;
                }
                if let Some((_, position)) = self.position_of(follower) {
                    let position = self.layout.world().clamp(position + (leader.position - from));
                    group.push(Move { net_id: follower, to: leader.to, position });
                }
            }
            next += 1;
        }
        for member in group {
            // Somebody attached in this very tick may still live elsewhere.
            if let Some((_, from)) = self.slot_of(member.net_id) {
                self.move_one(from, member);
            }
        }
    }

    fn move_one(&mut self, from: SlotIndex, Move { net_id, to, position }: Move) {
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
            // What is attached follows its leader, and may stand a little outside.
            if self.attachment_of(net_id).is_some() {
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
            let position = self.layout.world().clamp(to);
            self.move_group(Move { net_id, to: self.layout.locate(position).slot, position });
        }
    }

    fn rejoin_leaders(&mut self) {
        let mut waiting: Vec<(NetId, Attached)> = Vec::new();
        for cell in self.cells.iter_mut() {
            waiting.append(&mut cell.attachments.to_leader);
        }
        waiting.sort_by_key(|(net_id, _)| *net_id);
        for (net_id, attached) in waiting {
            let Some((slot, _)) = self.position_of(net_id) else { continue };
            match self.position_of(attached.to) {
                Some((to, leader)) if to != slot => {
                    let position = self.layout.world().clamp(leader + attached.offset);
                    self.move_group(Move { net_id, to, position });
                }
                // The leader is a cell-mate by now: the next pass over the attached finds it.
                Some(_) if self.chain_ends(net_id) => {}
                _ => {
                    let cell = self.cells.at(slot);
                    let entity = cell.by_net_id[&net_id];
                    cell.world.entity_mut(entity).remove::<Attached>();
                    self.counts.detached += 1;
                }
            }
        }
    }

    /// Whether following the attachments from here comes to an end.
    fn chain_ends(&self, net_id: NetId) -> bool {
        let mut at = net_id;
        for _ in 0..=super::attached::CHAIN_MAX {
            match self.attachment_of(at) {
                Some(attached) if self.slot_of(attached.to).is_some() => at = attached.to,
                Some(_) => return false,
                None => return true,
            }
        }
        false
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
