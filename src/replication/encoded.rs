//! The own fields of one entity in wire form, as its row holds them.

use super::field::FieldWriter;
use super::mask::{FIELD_FIRST, FIELDS_OF_PLACE, FieldMask, RESEND};

/// The public fields of one entity but its position, in wire form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedRow {
    /// Which registered components the entity has: bit *i* is the *i*-th registered one.
    pub components: u64,
    /// All fields behind one another.
    pub bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    pub ends: Vec<u16>,
    /// Where in `bytes` names of entities stand that a viewer is told only while it sees them, ascending.
    pub ids: Vec<u16>,
}

impl EncodedRow {
    /// The bytes of a field, by its bit in the mask (from [`FIELD_FIRST`] on).
    #[must_use]
    #[inline]
    pub fn field(&self, bit: u32) -> &[u8] {
        let index = (bit - FIELD_FIRST) as usize;
        let begin = if index == 0 { 0 } else { usize::from(self.ends[index - 1]) };
        &self.bytes[begin..usize::from(self.ends[index])]
    }

    /// Where in the field under a bit names of entities stand, relative to its first byte.
    pub(super) fn ids_in(&self, bit: u32) -> impl Iterator<Item = usize> + '_ {
        let end = usize::from(self.ends[(bit - FIELD_FIRST) as usize]);
        let begin = end - self.field(bit).len();
        let ids = self.ids.iter().map(|&at| usize::from(at));
        ids.filter(move |at| (begin..end).contains(at)).map(move |at| at - begin)
    }

    /// A mask with one bit per field that this row has, position included.
    #[must_use]
    #[inline]
    pub fn all_fields(&self) -> FieldMask {
        (1 << (FIELD_FIRST as usize + self.ends.len())) - 1
    }

    /// Takes new components and fields, and says which of them differ; [`RESEND`] when the components do.
    pub fn update(&mut self, components: u64, fields: &FieldWriter) -> FieldMask {
        if self.components == components && self.bytes == fields.bytes && self.ends == fields.ends {
            return 0;
        }
        let mask = difference((components, &fields.bytes, &fields.ends), self);
        // Into the memory that is there: this is done for everything that changes.
        self.components = components;
        self.bytes.clone_from(&fields.bytes);
        self.ends.clone_from(&fields.ends);
        self.ids.clone_from(&fields.ids);
        mask
    }

    /// Which of the fields differ from `old`; [`RESEND`] when the components do.
    #[must_use]
    pub fn difference(&self, old: &EncodedRow) -> FieldMask {
        difference((self.components, &self.bytes, &self.ends), old)
    }
}

/// Which fields of a row with these components, bytes and ends differ from `old`.
fn difference((components, bytes, ends): (u64, &[u8], &[u16]), old: &EncodedRow) -> FieldMask {
    if components != old.components || ends.len() != old.ends.len() {
        return RESEND | (((1 << (FIELD_FIRST as usize + ends.len())) - 1) & !FIELDS_OF_PLACE);
    }
    let (mut mask, mut begin) = (0, 0);
    for (bit, &end) in (FIELD_FIRST..).zip(ends) {
        let end = usize::from(end);
        mask |= FieldMask::from(bytes[begin..end] != *old.field(bit)) << bit;
        begin = end;
    }
    mask
}
