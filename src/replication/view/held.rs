//! What one viewer holds of special entities, and what of them was evaluated in a tick.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::replication::layouts::FieldKey;
use crate::replication::mask::{FIELD_FIRST, FieldMask, RESEND};
use crate::replication::policy::Depends;
use crate::replication::rows::{EncodedRow, Rows};

use super::personal::PersonalValue;

/// What one viewer was told last of one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldField {
    pub(super) key: FieldKey,
    pub(super) hash: u64,
    /// Whether the client has, or is about to have, the value with that hash.
    pub(super) known: bool,
    pub(super) reads: Depends,
}

/// What one viewer holds of a special entity.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The components that the viewer sees.
    pub(super) components: u64,
    /// Components that the viewer has seen and that are hidden now. What becomes of them meanwhile is not told.
    pub(super) withdrawn: u64,
    /// An enter record with just these was sent, and not lost.
    pub(super) told: bool,
    pub(super) gate_reads: Depends,
    pub(super) fields: SmallVec<[HeldField; 4]>,
    /// The components it had when it was plain before this viewer: the layout of what was sent then.
    pub(super) plain: u64,
}

impl Held {
    pub(super) fn field(&self, key: FieldKey) -> Option<&HeldField> {
        self.fields.iter().find(|field| field.key == key)
    }

    pub(super) fn set(&mut self, shown: &ShownField) {
        let ShownField { key, hash, reads, .. } = *shown;
        let now = HeldField { key, hash, known: true, reads };
        match self.fields.iter_mut().find(|field| field.key == key) {
            Some(field) => *field = now,
            None => self.fields.push(now),
        }
    }

    /// What must change before anything of the entity has to be asked again, as long as nothing but its place does;
    /// `None` when it has to be asked in any case.
    pub(super) fn wakes(&self) -> Option<Depends> {
        let reads = self.fields.iter().fold(self.gate_reads, |all, field| all | field.reads);
        self.told.then_some(reads)
    }

    /// The value that was told last did not arrive.
    pub(super) fn forget(&mut self, key: FieldKey) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key == key) {
            field.known = false;
        }
    }
}

/// A field evaluated in this tick and not known to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownField {
    pub(super) alias: u16,
    pub(super) bit: u8,
    pub(super) key: FieldKey,
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) hash: u64,
    pub(super) reads: Depends,
}

/// The fields of one view that were evaluated in this tick, by alias and bit.
#[derive(Debug, Default)]
pub(super) struct ShownFields {
    pub(super) bytes: Vec<u8>,
    /// By alias and bit.
    pub(super) fields: Vec<ShownField>,
    /// By alias: where its fields begin in `fields`; meaningless for an alias without any.
    begins: Vec<u32>,
    pub(super) value: PersonalValue,
}

impl ShownFields {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    pub(super) fn push(&mut self, field: ShownField) {
        let alias = usize::from(field.alias);
        if self.begins.len() <= alias {
            self.begins.resize(alias + 1, 0);
        }
        if self.fields.last().is_none_or(|last| last.alias != field.alias) {
            self.begins[alias] = self.fields.len() as u32;
        }
        self.fields.push(field);
    }

    /// The field under a bit of an alias. It must have been evaluated.
    pub(super) fn field(&self, alias: usize, bit: u32) -> &ShownField {
        let begin = self.begins.get(alias).map_or(usize::MAX, |&begin| begin as usize);
        let of_alias = self.fields.get(begin..).unwrap_or_default();
        of_alias
            .iter()
            .take_while(|field| usize::from(field.alias) == alias)
            .find(|field| u32::from(field.bit) == bit)
            .expect("what is pending of a special entity was evaluated in this tick")
    }

    fn bytes_of(&self, field: &ShownField) -> &[u8] {
        &self.bytes[field.begin as usize..field.end as usize]
    }

    /// Wire bytes of the field under a bit.
    pub(super) fn bytes(&self, alias: usize, bit: u32) -> &[u8] {
        self.bytes_of(self.field(alias, bit))
    }
}

/// What a viewer holds of an entity that was plain until now: all of it, but for what was pending.
pub(super) fn held_of_plain(rows: &Rows, before: &EncodedRow, pending: FieldMask) -> Held {
    let told = pending & RESEND == 0;
    let mut held = Held { components: before.components, plain: before.components, told, ..Held::default() };
    let fields = (FIELD_FIRST..).zip(rows.schema().fields_of(before.components));
    for (bit, (component, field, _)) in fields.filter(|(bit, _)| told && pending >> bit & 1 == 0) {
        let key = FieldKey { component: component as u8, field: field as u8 };
        let hash = xxh3_64(before.field(bit));
        held.fields.push(HeldField { key, hash, known: true, reads: Depends::NONE });
    }
    held
}

/// Memory for whole records of special entities.
#[derive(Debug, Default)]
pub(super) struct WholeScratch {
    pub(super) shown: ShownFields,
}

impl WholeScratch {
    /// The wire bytes of all fields.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.shown.bytes
    }

    /// How many fields there are.
    pub(super) fn fields(&self) -> usize {
        self.shown.fields.len()
    }
}
