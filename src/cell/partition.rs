//! The `Partition` set: births, deaths, jumps and crossings, all at one point of the tick.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, Resource, World};
use glam::Vec3;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ghost::import::PublishedExports;
use crate::ids::{NetId, Row, SlotIndex};
use crate::replication::Rows;
use crate::space::Position;

use super::attached::{self, Attached};
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
struct Move {
    net_id: NetId,
    to: SlotIndex,
    position: Vec3,
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
                    for net_id in &died {
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

    /// Whom an entity is joined to; [`NetId::WORLD`] when it is nobody, or when the entity is gone.
    fn leader_of(&self, net_id: NetId) -> NetId {
        let owned = || {
            let cell = self.cells.get(self.slot_of(net_id)?.1)?;
            cell.world.get::<Owned>(*cell.by_net_id.get(&net_id)?)
        };
        owned().map_or(NetId::WORLD, |owned| owned.leader)
    }

    fn set_leader(&mut self, net_id: NetId, leader: NetId) {
        let Some((_, slot)) = self.slot_of(net_id) else { return };
        let cell = self.cells.at(slot);
        let entity = cell.by_net_id[&net_id];
        if let Some(mut owned) = cell.world.get_mut::<Owned>(entity) {
            owned.leader = leader;
        }
    }

    /// Lets an entity go from whom it is attached to.
    fn let_go(&mut self, net_id: NetId) {
        let Some((_, slot)) = self.slot_of(net_id) else { return };
        let cell = self.cells.at(slot);
        let entity = cell.by_net_id[&net_id];
        cell.world.entity_mut(entity).remove::<Attached>();
        self.set_leader(net_id, NetId::WORLD);
    }

    /// Moves an entity and all that is joined to it. The joined keep their distance.
    fn move_group(&mut self, leader: Move) {
        let Some((slot, from)) = self.position_of(leader.net_id) else { return };
        if !self.followers.contains_key(&leader.net_id) {
            self.move_one(slot, leader);
            return;
        }
        let mut group = vec![leader];
        let mut seen = FxHashSet::from_iter([leader.net_id]);
        let mut next = 0;
        while next < group.len() {
            let of = group[next].net_id;
            for &follower in self.followers.get(&of).into_iter().flatten() {
                // The list is the last survey's: who has let go since stays.
                if self.leader_of(follower) != of || !seen.insert(follower) {
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

    /// Joins what was attached since the last `Partition` to whom it is attached to, wherever the two are, and
    /// lets go of whose leader is gone or whose chain does not end.
    fn join_leaders(&mut self) {
        let mut waiting: Vec<NetId> = Vec::new();
        for cell in self.cells.iter_mut() {
            waiting.append(&mut cell.attachments.to_join);
        }
        waiting.sort_unstable();
        waiting.dedup();
        for net_id in waiting {
            let Some(attached) = self.attachment_of(net_id) else { continue };
            let leader = self.position_of(attached.to).filter(|_| self.root_of(net_id).is_some());
            let Some((to, leader)) = leader else {
                self.let_go(net_id);
                self.counts.detached += 1;
                continue;
            };
            let position = attached::place_beside(leader, attached, &self.cells.at(to).limits);
            self.move_group(Move { net_id, to, position });
            self.set_leader(net_id, attached.to);
            // It may be somebody's leader, or its own leader may join another in this very loop.
            self.followers.entry(attached.to).or_default().push(net_id);
        }
    }

    /// Gives what a saved world holds back to the cells of those it was joined to.
    fn join_saved(&mut self) {
        let mut all: Vec<NetId> = self.rows.iter().map(|(net_id, _)| net_id).collect();
        all.sort_unstable();
        for net_id in all {
            let Some(attached) = self.attachment_of(net_id) else { continue };
            let root = self.root_of(net_id).filter(|_| self.slot_of(attached.to).is_some());
            let (Some(root), Some((from, position))) = (root, self.position_of(net_id)) else {
                let (_, slot) = self.slot_of(net_id).expect("it is of the table of rows");
                self.cells.at(slot).attachments.to_join.push(net_id);
                continue;
            };
            self.set_leader(net_id, attached.to);
            let (_, to) = self.slot_of(root).expect("the root of a chain is alive");
            if from != to {
                self.move_one(from, Move { net_id, to, position });
            }
        }
    }

    /// Where the chain of attachments from here ends: at somebody attached to nobody who lives. `None` when it
    /// is a circle, or longer than [`attached::CHAIN_MAX`].
    fn root_of(&self, net_id: NetId) -> Option<NetId> {
        let mut at = net_id;
        for _ in 0..=attached::CHAIN_MAX {
            match self.attachment_of(at) {
                Some(next) if self.slot_of(next.to).is_some() => at = next.to,
                _ => return Some(at),
            }
        }
        None
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
