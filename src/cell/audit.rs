//! Whether a cell is what others take it for. Its rows say what the components are: everything owned is encoded anew,
//! whatever change detection has noticed, and compared with what views and audits of clients rest on; and it is decoded and
//! compared with what the naive sieve makes of the components. And its ghosts are as their owners told.

use bevy_ecs::prelude::{DetectChanges, Entity};
use bevy_ecs::world::EntityRef;
use glam::Vec3;

use crate::ids::{NetId, Row};
use crate::replication::Rows;
use crate::replication::audit::AuditFault;
use crate::replication::field::{ABSENT, FieldSpec, FieldWire};
use crate::replication::mask::FIELD_FIRST;
use crate::replication::policy::compare::as_anybody;
use crate::space::LatticePoint;

use super::Cell;
use super::kinds::{ComponentKind, Reach};
use super::markers::Ghost;

/// A row that is not what its entity is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Whose row.
    pub net_id: NetId,
    /// The component, or what else of the row differs.
    pub component: &'static str,
    /// The first of its fields that differs; none when the whole component does.
    pub field: Option<&'static str>,
    /// What is wrong with it.
    pub fault: AuditFault,
}

/// The first of the fields that everybody sees alike whose bytes in the row are not what the sieve makes of the entity's
/// components: a mask left out, or another value. O(bytes of the components).
pub(crate) fn public_fault<'k>(
    rows: &Rows,
    row: Row,
    entity: &EntityRef<'_>,
    kind_of: impl Fn(usize) -> Option<&'k dyn ComponentKind>,
) -> Option<RowFault> {
    let (net_id, encoded) = (rows.net_id[row.index()], &rows.encoded[row.index()]);
    let fields: Vec<_> = (FIELD_FIRST..).zip(rows.schema().fields_of(encoded.components)).collect();
    for of_component in fields.chunk_by(|(_, a), (_, b)| a.0 == b.0) {
        let component = of_component[0].1.0;
        // What is too long to be told is counted where it is encoded.
        let is_too_long =
            |spec: &FieldSpec, bytes: &[u8]| spec.wire == FieldWire::Prefixed && bytes == [ABSENT];
        let told: Vec<(usize, &[u8])> = of_component
            .iter()
            .map(|(bit, (_, number, spec))| (*number, encoded.field(*bit), *spec))
            .filter(|(_, bytes, spec)| !spec.personal && !is_too_long(spec, bytes))
            .map(|(number, bytes, _)| (number, bytes))
            .collect();
        let kind = kind_of(component)?;
        let wrong = as_anybody(net_id, |viewing| kind.told_wrong(entity, viewing, &told));
        if let Some(&number) = wrong.first() {
            let field = Some(rows.schema().components[component].sent[number].name);
            return Some(RowFault { net_id, component: kind.name(), field, fault: AuditFault::PublicField });
        }
    }
    None
}

impl Cell {
    /// Compares the row of every owned entity with its position and its components, and gives what differs, the
    /// first difference of each entity. To be called after the tick's rows are published. O(owned × sent bytes).
    pub fn audit_rows(&mut self, rows: &Rows) -> Vec<RowFault> {
        let owned: Vec<(Entity, NetId, Row, Vec3)> = self
            .queries
            .owned
            .iter(&self.world)
            .map(|(entity, &net_id, owned, place)| (entity, net_id, owned.row, place.0))
            .collect();
        let of_entity = |(entity, net_id, row, place): (Entity, NetId, Row, Vec3)| {
            if let Some((component, field)) = self.difference(rows, entity, row, place) {
                return Some(RowFault { net_id, component, field, fault: AuditFault::StaleRow });
            }
            let (game, entity) = (&self.game, self.world.entity(entity));
            public_fault(rows, row, &entity, |component| game.replicated(component))
        };
        owned.into_iter().filter_map(of_entity).collect()
    }

    /// What differs between a row and an entity: a component, and its field.
    fn difference(
        &mut self,
        rows: &Rows,
        entity: Entity,
        row: Row,
        place: Vec3,
    ) -> Option<(&'static str, Option<&'static str>)> {
        let (index, kept) = (row.index(), &rows.encoded[row.index()]);
        if rows.position[row.index()] != place {
            return Some(("Position", None));
        }
        let lattice = LatticePoint::of(place);
        if rows.lattice[index] != lattice || rows.low_xy[index] != lattice.low_xy() {
            return Some(("Position", Some("lattice")));
        }
        let entity = self.world.entity(entity);
        let components = self.game.kinds.iter().fold(0u64, |components, kind| match kind.reach() {
            Reach::Replicated(of_schema) if kind.is_on(&entity) => components | 1 << of_schema,
            _ => components,
        });
        self.game.encode_sent(&entity, components, &mut self.writer);
        #[cfg(any(test, feature = "planted-faults"))]
        if let Some(fault) = self.planted.as_ref().filter(|fault| fault.is_of(rows.net_id[index])) {
            let (game, net_id) = (&self.game, rows.net_id[index]);
            fault.leave_mask_out(net_id, &mut self.writer, |writer| {
                game.encode_sent(&entity, components, writer);
            });
        }
        let schema = &self.game.schema;
        let surplus = components ^ kept.components;
        if surplus != 0 {
            return Some((schema.components[surplus.trailing_zeros() as usize].name, None));
        }
        if kept.bytes == self.writer.bytes && kept.ends == self.writer.ends {
            return None;
        }
        let mut begin = 0;
        for (field, (of_schema, _, spec)) in schema.fields_of(components).enumerate() {
            let end = usize::from(self.writer.ends[field]);
            let is_kept = field < kept.ends.len()
                && kept.field(FIELD_FIRST + field as u32) == &self.writer.bytes[begin..end];
            if !is_kept {
                return Some((schema.components[of_schema].name, Some(spec.name)));
            }
            begin = end;
        }
        Some(("a component", None))
    }

    /// A ghost that somebody other than the engine wrote since the tick began, with the component's name.
    pub(super) fn find_written_ghost(&mut self) -> Option<(NetId, &'static str)> {
        let now = self.world.read_change_tick();
        let mut places = self.queries.written_places.iter(&self.world);
        if let Some((&net_id, _)) =
            places.find(|(_, place)| place.last_changed().is_newer_than(self.ghosts_frozen_at, now))
        {
            return Some((net_id, "Position"));
        }
        // What is never copied has no place on a ghost at all.
        let ghost = self.world.component_id::<Ghost>()?;
        let haunted = self.world.archetypes().iter().filter(|archetype| archetype.contains(ghost));
        for archetype in haunted.filter(|archetype| !archetype.is_empty()) {
            let mut kinds = self.game.kinds.iter().zip(&self.kind_ids);
            let stray = kinds
                .find(|(kind, id)| !matches!(kind.reach(), Reach::Replicated(_)) && archetype.contains(**id));
            if let Some((kind, _)) = stray {
                let entity = archetype.entities()[0].id();
                let net_id = self.world.get::<NetId>(entity).copied().unwrap_or_default();
                return Some((net_id, kind.name()));
            }
        }
        for (kind, column) in self.game.kinds.iter().zip(&mut self.columns) {
            let written = column
                .as_mut()
                .and_then(|column| column.find_written_ghost(&mut self.world, self.ghosts_frozen_at));
            if let Some(ghost) = written {
                let net_id = self.world.get::<NetId>(ghost).copied().unwrap_or_default();
                return Some((net_id, kind.name()));
            }
        }
        None
    }
}
