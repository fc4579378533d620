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
        let (bytes, ends, ids) = (fields.bytes.clone(), fields.ends.clone(), fields.ids.clone());
        let old = std::mem::replace(self, Self { components, bytes, ends, ids });
        self.difference(&old)
    }

    /// Which of the fields differ from `old`; [`RESEND`] when the components do.
    #[must_use]
    pub fn difference(&self, old: &EncodedRow) -> FieldMask {
        if self.components != old.components || self.ends.len() != old.ends.len() {
            return RESEND | (self.all_fields() & !FIELDS_OF_PLACE);
        }
        (FIELD_FIRST..FIELD_FIRST + self.ends.len() as u32)
            .filter(|&bit| self.field(bit) != old.field(bit))
            .fold(0, |mask, bit| mask | 1 << bit)
    }
}
