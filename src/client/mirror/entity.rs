//! One entity as a client holds it.

use crate::ids::{Alias, NetId};
use crate::protocol::codec::DecodeError;
use crate::replication::audit::entity_sum;
use crate::replication::field::{FieldWire, field_length};
use crate::replication::mask::{FIELD_FIRST, FieldMask};
use crate::replication::rows::EncodedRow;
use crate::replication::{Replicate, Schema};
use crate::space::LatticePoint;

/// The wire forms of an entity's fields, in mask order: what its bytes are cut by.
pub(super) fn layout_of(schema: &Schema, components: u64) -> Result<Vec<FieldWire>, DecodeError> {
    if components.checked_shr(schema.components.len() as u32).unwrap_or(0) != 0 {
        return Err(DecodeError::malformed("state update", "a component that the schema does not know"));
    }
    let wires: Vec<FieldWire> = schema.fields_of(components).map(|(_, _, field)| field.wire).collect();
    if FIELD_FIRST as usize + wires.len() > crate::limits::FIELDS_PER_ENTITY_MAX {
        return Err(DecodeError::malformed("state update", "an entity with too many fields"));
    }
    Ok(wires)
}

/// Cuts all fields of an entity; the bytes must end with the last one.
pub(super) fn cut_row(components: u64, wires: &[FieldWire], bytes: &[u8]) -> Result<EncodedRow, DecodeError> {
    let mut row = EncodedRow {
        components,
        bytes: bytes.to_vec(),
        ends: Vec::with_capacity(wires.len()),
        ids: Vec::new(),
    };
    let mut end = 0;
    for &wire in wires {
        end += field_length(wire, &bytes[end..])?;
        row.ends.push(u16::try_from(end).map_err(|_| DecodeError::malformed("field", "too many bytes"))?);
    }
    if end != bytes.len() {
        return Err(DecodeError::Trailing { what: "enter record", left: bytes.len() - end });
    }
    Ok(row)
}

/// One entity of the view.
#[derive(Clone, Debug)]
pub struct MirrorEntity {
    pub(super) alias: Alias,
    pub(super) net_id: NetId,
    pub(super) structure: u8,
    pub(super) lattice: LatticePoint,
    pub(super) row: EncodedRow,
    pub(super) wires: Vec<FieldWire>,
    /// Fields whose value was announced by the update `announced` but comes separately, and did not yet.
    pub(super) missing: FieldMask,
    pub(super) announced: u32,
    /// The update that told its place last.
    pub(super) placed: u32,
    /// All of it has been there once, so that it was told as entered.
    pub(super) entered: bool,
    /// Components that were seen and are hidden now.
    pub(super) withdrawn: u64,
    /// The components that events have told of.
    pub(super) told_components: u64,
    /// The withdrawn components that events have told of.
    pub(super) told_withdrawn: u64,
    /// Those of the fields that events have told of as hidden.
    pub(super) told_hidden: FieldMask,
    /// Fields changed since events were drained last.
    pub(super) changed: FieldMask,
}

impl MirrorEntity {
    /// Its name.
    #[must_use]
    pub fn net_id(&self) -> NetId {
        self.net_id
    }

    /// Where it is.
    #[must_use]
    pub fn lattice(&self) -> LatticePoint {
        self.lattice
    }

    /// Under which alias it is held.
    #[cfg(test)]
    pub(crate) fn alias_for_tests(&self) -> u16 {
        self.alias.0
    }

    /// The number of the update that told last where it is, whether or not it had moved.
    #[must_use]
    pub fn placed_in(&self) -> u32 {
        self.placed
    }

    /// Its components: bit *i* is the *i*-th of the schema.
    #[must_use]
    pub fn components(&self) -> u64 {
        self.row.components
    }

    /// Components that this client has seen on the entity and that are hidden from it now, which is not to say that the
    /// entity still has them.
    #[must_use]
    pub fn withdrawn_components(&self) -> u64 {
        self.withdrawn
    }

    /// Whether this client may not see a field of a component that it sees. O(fields of the entity).
    #[must_use]
    pub fn is_hidden(&self, schema: &Schema, component: usize, field: usize) -> bool {
        (FIELD_FIRST..)
            .zip(schema.fields_of(self.row.components))
            .any(|(bit, (of, number, _))| (of, number) == (component, field) && self.hides(bit))
    }

    /// Whether the field under a bit is absent.
    pub(super) fn hides(&self, bit: u32) -> bool {
        self.wires[(bit - FIELD_FIRST) as usize] == FieldWire::Prefixed && self.row.field(bit) == [0]
    }

    /// The fields that are absent.
    pub(super) fn hidden(&self) -> FieldMask {
        let bits = FIELD_FIRST..FIELD_FIRST + self.wires.len() as u32;
        bits.filter(|&bit| self.hides(bit)).fold(0, |mask, bit| mask | 1 << bit)
    }

    /// Its fields but the position, in wire form.
    #[must_use]
    pub fn encoded(&self) -> &EncodedRow {
        &self.row
    }

    /// Whether every field is as some update told it; `false` while a large record is on its way.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// The component `C` as this client may see it: fields that are not sent are at their default. `None` when
    /// the entity does not have it, or its bytes are not an encoding of it.
    ///
    /// O(fields of the entity).
    #[must_use]
    pub fn component<C: Replicate>(&self, schema: &Schema) -> Option<C> {
        let wanted = schema.components.iter().position(|component| component.name == C::NAME)?;
        if self.row.components >> wanted & 1 == 0 {
            return None;
        }
        let mut value = C::default();
        for (bit, (component, field, _)) in (FIELD_FIRST..).zip(schema.fields_of(self.row.components)) {
            if component == wanted {
                value.decode_sent(field, self.row.field(bit)).ok()?;
            }
        }
        Some(value)
    }

    /// Its part of an audit's sum.
    pub(super) fn sum(&self) -> u64 {
        entity_sum(self.net_id, self.lattice, [self.row.components, self.withdrawn], &self.row.bytes)
    }

    /// Sets a field and notes whether that changed anything. The caller has checked that the row stays within what a
    /// record carries.
    pub(super) fn set_field(&mut self, bit: u32, bytes: &[u8]) {
        let index = (bit - FIELD_FIRST) as usize;
        if self.row.field(bit) == bytes {
            return;
        }
        let end = usize::from(self.row.ends[index]);
        let begin = end - self.row.field(bit).len();
        self.row.bytes.splice(begin..end, bytes.iter().copied());
        let longer = bytes.len() as i32 - (end - begin) as i32;
        for end in &mut self.row.ends[index..] {
            *end = (i32::from(*end) + longer) as u16;
        }
        self.changed |= 1 << bit;
    }
}
