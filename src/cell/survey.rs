//! The look at a cell after its game systems ran: what moved, what changed, what must be told to whom.

use bevy_ecs::change_detection::{DetectChanges, DetectChangesMut};
use bevy_ecs::prelude::Entity;
use glam::Vec3;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ghost::export::Member;
use crate::ids::NetId;
use crate::replication::mask::{FIELD_XY, FIELD_Z, FieldMask, SUBJECT};
use crate::replication::policy::{ComponentPolicy, Subject};
use crate::replication::{RowDelta, RowMove, RowSubject};
use crate::space::{Area, LatticePoint, distance_squared};

use super::Cell;
use super::kinds::{Changed, SUBJECT_KIND};
use super::markers::{NO_EXPORT, Owned, OwnedData};
use super::requests::Requests;

/// Fingerprint of one component of one entity. The name is in it, so that equal components of two entities
/// do not cancel when they swap them.
pub(crate) fn print_of(net_id: NetId, kind: usize, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, net_id.0 ^ (kind as u64) << 56).max(1)
}

/// A place as bytes, for its print: two words, which the hash reads as they were written. Of three shorter
/// writes it would have to wait for all.
fn bytes_of(place: Vec3) -> [u8; 16] {
    let [x, y, z] = place.to_array().map(|axis| u64::from(axis.to_bits()));
    let mut bytes = [0u8; 16];
    bytes[..8].copy_from_slice(&(x | y << 32).to_le_bytes());
    bytes[8..].copy_from_slice(&z.to_le_bytes());
    bytes
}

impl Cell {
    /// The fingerprint of everything owned, by kind, computed anew: what [`Cell::sums`] must be at the end of
    /// every tick. O(owned × kinds).
    pub fn sums_from_scratch(&mut self) -> Vec<u64> {
        let mut sums = vec![0u64; self.sums.len()];
        let owned: Vec<(Entity, NetId, Vec3)> = self
            .queries
            .owned
            .iter(&self.world)
            .map(|(entity, &net_id, _, place)| (entity, net_id, place.0))
            .collect();
        for (entity, net_id, place) in owned {
            let entity = self.world.entity(entity);
            for (index, kind) in self.game.kinds.iter().enumerate() {
                self.saved.clear();
                if kind.save(&entity, &mut self.saved) {
                    sums[index] = sums[index].wrapping_add(print_of(net_id, index, &self.saved));
                }
            }
            let index = self.game.kinds.len();
            sums[index] = sums[index].wrapping_add(print_of(net_id, index, &bytes_of(place)));
        }
        sums
    }

    /// Checks every position that was written, follows it into export and rows, and notes what crossed.
    pub(super) fn survey(&mut self) {
        self.crossings.clear();
        self.counts = Default::default();
        let limits = self.limits;
        let area = self.leaf.area;
        let inland = Area { min: area.min + limits.ghost_margin_m, max: area.max - limits.ghost_margin_m };
        let position_kind = self.game.kinds.len();
        let panic_on_long_steps = cfg!(debug_assertions) && !self.world.contains_resource::<AllowLongSteps>();
        let export = self.export.as_mut().expect("the export is at home in Simulate");
        let mut to_export: Vec<Entity> = Vec::new();
        let mut teleports = Vec::new();
        let mut position_sum = self.sums[position_kind];
        for (entity, &net_id, mut owned, mut position) in self.queries.positions.iter_mut(&mut self.world) {
            if !position.is_changed() {
                continue;
            }
            // Nobody asks whether the engine's own part has changed.
            let owned = owned.bypass_change_detection();
            let asked = position.0;
            assert!(
                asked.is_finite(),
                "cell {}: a game system set the position of {net_id} to {asked}: positions are finite numbers",
                self.leaf.id
            );
            let step = limits.step(owned.anchor, asked);
            self.counts.clamped += u64::from(step.asked != asked);
            if step.is_long {
                assert!(
                    !panic_on_long_steps,
                    "cell {}: {net_id} moved {:.2} m in one tick, the limit is {:.2} m: use `teleport`",
                    self.leaf.id,
                    distance_squared(step.asked, owned.anchor).sqrt(),
                    limits.step_m_max
                );
                self.counts.long_steps += 1;
                teleports.push((net_id, step.asked));
            }
            let place = step.place;
            if place != asked {
                position.0 = place;
            }
            owned.anchor = place;

            let lattice = LatticePoint::of(place);
            let ([x, y, z], [old_x, old_y, old_z]) = (lattice.0, owned.lattice.0);
            let moved_flat = !owned.published | (x != old_x) | (y != old_y);
            let moved_up = !owned.published | (z != old_z);
            let mask = (FieldMask::from(moved_flat) * FIELD_XY) | (FieldMask::from(moved_up) * FIELD_Z);
            owned.lattice = lattice;
            owned.published = true;
            self.moves.push(RowMove { row: owned.row, position: place, mask });

            let print = print_of(net_id, position_kind, &bytes_of(place));
            position_sum = position_sum.wrapping_sub(owned.print).wrapping_add(print);
            owned.print = print;

            if !area.contains(place) {
                self.crossings.push(net_id);
            }
            match (inland.contains(place), owned.export) {
                (true, NO_EXPORT) => {}
                (true, exported) => {
                    export.give_up(exported);
                    owned.export = NO_EXPORT;
                }
                (false, NO_EXPORT) => to_export.push(entity),
                (false, exported) => export.move_to(exported, place),
            }
        }
        self.sums[position_kind] = position_sum;
        self.world.resource_mut::<Requests>().teleports.extend(teleports);
        for entity in to_export {
            let (net_id, row, position) = {
                let entity = self.world.entity(entity);
                let owned = entity.get::<Owned>().expect("found by its Owned");
                (*entity.get::<NetId>().expect("owned entities are named"), owned.row, owned.anchor)
            };
            let place = self.export_whole(entity, Member { net_id, row, position });
            self.world.get_mut::<Owned>(entity).expect("found by its Owned").export = place;
        }
        self.collect_changed();
        self.crossings.sort_unstable();
    }

    /// Finds the components that changed, and refreshes what is exported of them.
    fn collect_changed(&mut self) {
        self.changed.clear();
        let is_owned = |lost: &Changed| self.world.get::<Owned>(lost.entity).is_some();
        self.changed.extend(self.lost_on_the_way.drain(..).filter(is_owned));
        let export = self.export.as_mut().expect("the export is at home in Simulate");
        for (kind, (column, exported)) in self.columns.iter_mut().zip(&mut export.columns).enumerate() {
            let Some(column) = column else { continue };
            column.collect_changed(&mut self.world, kind as u16, &mut self.changed, exported.as_mut());
            let first = self.changed.len();
            column.collect_removed(&mut self.world, kind as u16, &mut self.changed);
            let Some(exported) = exported else { continue };
            for removed in &self.changed[first..] {
                if let Some(owned) = self.world.get::<Owned>(removed.entity)
                    && owned.export != NO_EXPORT
                {
                    let place = owned.export;
                    column.export_one(&self.world, removed.entity, place, exported);
                    exported.note_change(place);
                }
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
    }

    /// Encodes what changed: once per entity, however many players see it. Only fields whose bytes differ
    /// become part of the entity's delta. O(changed entities).
    pub fn encode_changed(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        for of_entity in changed.chunk_by(|a, b| a.entity == b.entity) {
            let entity = of_entity[0].entity;
            let components = self.components_of(entity);
            let reference = self.world.entity(entity);
            let net_id = *reference.get::<NetId>().expect("owned entities are named");
            let owned = reference.get::<Owned>().expect("changes are collected of owned entities");
            let (row, position) = (owned.row, owned.anchor);
            let entity_ref = reference;
            self.prints.clear();
            if of_entity.iter().any(|change| usize::from(change.kind) == SUBJECT_KIND) {
                let subject = entity_ref.get::<Subject>().filter(|subject| !subject.is_plain());
                if let Some(name) = subject.and_then(|subject| self.game.unknown_override(subject)) {
                    assert!(
                        !self.checks_invariants,
                        "cell {}: the subject of {net_id} overrides the policy of `{name}`, which this game does not \
                         register: it would hide nothing",
                        self.leaf.id
                    );
                    self.counts.unknown_overrides += 1;
                    tracing::error!(cell = %self.leaf.id, %net_id, %name, "an override of a policy names what this game does not register: it hides nothing");
                }
                self.subjects.push(RowSubject { row, subject: subject.cloned().map(Box::new) });
            }
            // Who sees it may depend on what of it is never sent.
            let mut regate = 0;
            for change in of_entity {
                self.saved.clear();
                let kind = usize::from(change.kind);
                if let super::kinds::Reach::Replicated(index) = self.game.kinds[kind].reach()
                    && self.game.schema.components[index].policy == ComponentPolicy::Custom
                {
                    regate = SUBJECT;
                }
                let saved = self.game.kinds[kind].save(&entity_ref, &mut self.saved);
                self.prints.push((kind, if saved { print_of(net_id, kind, &self.saved) } else { 0 }));
            }
            let writer = &mut self.writer;
            self.game.encode_sent(&entity_ref, components, writer);
            #[cfg(any(test, feature = "planted-faults"))]
            if let Some(fault) = &self.planted {
                let game = &self.game;
                fault.leave_mask_out(net_id, writer, |writer| {
                    game.encode_sent(&entity_ref, components, writer)
                });
            }
            self.counts.oversized_fields += u64::from(writer.oversized);
            let mut data = self.world.get_mut::<OwnedData>(entity).expect("owned entities have it");
            let data = data.bypass_change_detection();
            for &(kind, print) in &self.prints {
                let old = std::mem::replace(&mut data.prints[kind], print);
                self.sums[kind] = self.sums[kind].wrapping_sub(old).wrapping_add(print);
            }
            let mask = data.encoded.update(components, writer) | regate;
            if mask != 0 {
                self.deltas.push(RowDelta { row, position, mask, encoded: data.encoded.clone() });
            }
        }
        self.changed = changed;
    }
}

/// In a cell's world: steps beyond the limit do not panic in debug builds either, but are undone and counted.
#[derive(bevy_ecs::prelude::Resource, Debug, Default)]
pub struct AllowLongSteps;
