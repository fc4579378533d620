//! The part of `Partition` that keeps together what belongs together: leaders and those attached to them.

use rustc_hash::FxHashSet;

use crate::ids::NetId;

use super::attached::{self, Attached};
use super::markers::Owned;
use super::partition::{Move, Node};

impl Node<'_> {
    /// Whom an entity is joined to; [`NetId::WORLD`] when it is nobody, or when the entity is gone.
    pub(super) fn leader_of(&self, net_id: NetId) -> NetId {
        let owned = || {
            let cell = self.cells.get(self.slot_of(net_id)?.1)?;
            cell.world.get::<Owned>(*cell.by_net_id.get(&net_id)?)
        };
        owned().map_or(NetId::WORLD, |owned| owned.leader)
    }

    pub(super) fn set_leader(&mut self, net_id: NetId, leader: NetId) {
        let Some((_, slot)) = self.slot_of(net_id) else { return };
        let cell = self.cells.at(slot);
        let entity = cell.by_net_id[&net_id];
        if let Some(mut owned) = cell.world.get_mut::<Owned>(entity) {
            owned.leader = leader;
        }
    }

    /// Lets an entity go from whom it is attached to.
    pub(super) fn let_go(&mut self, net_id: NetId) {
        let Some((_, slot)) = self.slot_of(net_id) else { return };
        let cell = self.cells.at(slot);
        let entity = cell.by_net_id[&net_id];
        cell.world.entity_mut(entity).remove::<Attached>();
        self.set_leader(net_id, NetId::WORLD);
    }

    /// Moves an entity and all that is joined to it. The joined keep their distance.
    pub(super) fn move_group(&mut self, leader: Move) {
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

    /// Joins what was attached since the last `Partition` to whom it is attached to, wherever the two are, and
    /// lets go of whose leader is gone or whose chain does not end.
    pub(super) fn join_leaders(&mut self) {
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
    pub(super) fn join_saved(&mut self) {
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
    pub(super) fn root_of(&self, net_id: NetId) -> Option<NetId> {
        let mut at = net_id;
        for _ in 0..=attached::CHAIN_MAX {
            match self.attachment_of(at) {
                Some(next) if self.slot_of(next.to).is_some() => at = next.to,
                _ => return Some(at),
            }
        }
        None
    }
}
