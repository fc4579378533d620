//! Values on the wire: how many bytes they take, and writing them.

use crate::ids::{Alias, Row};
use crate::replication::mask::{FIELD_FIRST, FIELD_XY, FIELD_Z, FIELDS_OF_PLACE, FieldMask};
use crate::replication::rows::{EncodedRow, Rows};
use crate::replication::wire::{
    EXCEPTION_BYTES_MAX, FLAG_COMMON, FLAG_EXCEPTIONS, put_varint, varint_length,
};

use super::aliases::{aliases_of, has};
use super::assemble::Assembled;
use super::in_flight::Sent;
use super::{View, ViewScratch};

/// Most bytes of one entity in the common block; one with more becomes an exception, which can be split.
pub(super) const COMMON_BYTES_MAX: usize = 255;

/// What the block of entities with one mask takes.
pub(super) struct Common {
    pub(super) mask: FieldMask,
    /// Bytes per entity where all fields of the mask are of the position.
    pub(super) place_bytes: usize,
}

impl Common {
    pub(super) fn new(mask: FieldMask) -> Self {
        Self { mask, place_bytes: place_bytes(mask) }
    }

    pub(super) fn has_fields(&self) -> bool {
        self.mask >> FIELD_FIRST != 0
    }

    #[inline]
    pub(super) fn bytes_of(&self, rows: &Rows, row: Row) -> usize {
        if self.has_fields() { value_bytes(&rows.encoded[row.index()], self.mask) } else { self.place_bytes }
    }
}

impl View {
    /// The fields of an exception that go, and the most bytes its record takes. Fields beyond what an update
    /// can take wait for the next. `None` when not even the first fits.
    pub(super) fn exception_of(&self, rows: &Rows, alias: usize) -> Option<(FieldMask, usize)> {
        let pending = self.aliases.pending[alias];
        let row = &rows.encoded[self.aliases.rows[alias].index()];
        let gap = varint_length(self.aliases.end as u64);
        let head = |mask: FieldMask| gap + varint_length(mask << 1 | 1) + 1 + 3;
        let bytes = value_bytes(row, pending);
        if head(pending) + bytes <= EXCEPTION_BYTES_MAX {
            return Some((pending, head(pending) + bytes));
        }
        let (mut mask, mut bytes) = (0, head(pending));
        for bit in 0..FIELD_FIRST + row.ends.len() as u32 {
            let field = pending & 1 << bit;
            let length = value_bytes(row, field);
            if bytes + length <= EXCEPTION_BYTES_MAX {
                mask |= field;
                bytes += length;
            }
        }
        (mask != 0).then_some((mask, bytes))
    }

    /// Writes the common block and the exceptions that are chosen; gives the flags of what there is.
    pub(super) fn put_values(
        &mut self,
        rows: &Rows,
        common: &Common,
        scratch: &mut ViewScratch,
        update: &mut Assembled,
        out: &mut Vec<u8>,
    ) -> u8 {
        let words = self.aliases.words();
        let (chosen, exceptions) = (&scratch.chosen[..words], &scratch.exceptions[..words]);
        let mut flags = 0;
        let in_common = |word: usize| chosen[word] & !exceptions[word];
        if let Some(last) = (0..words).rfind(|&word| in_common(word) != 0) {
            flags |= FLAG_COMMON;
            let bytes = last * 8 + 8 - in_common(last).leading_zeros() as usize / 8;
            put_varint(out, common.mask);
            put_varint(out, bytes as u64);
            let bitmap = out.len();
            for word in 0..=last {
                out.extend_from_slice(&in_common(word).to_le_bytes());
            }
            out.truncate(bitmap + bytes);
            for word in 0..=last {
                let bits = in_common(word);
                let aliases = self.aliases.rows.as_chunks::<64>().0.get(word).expect("whole words");
                put_common(rows, common.mask, aliases, bits, out);
                update.entities += bits.count_ones();
            }
            update.fields += update.entities * common.mask.count_ones();
        }
        let count: u32 = exceptions.iter().map(|word| word.count_ones()).sum();
        if count > 0 {
            flags |= FLAG_EXCEPTIONS;
            put_varint(out, u64::from(count));
            let mut next = 0;
            for (word, &bits) in exceptions.iter().enumerate() {
                for alias in aliases_of(word, bits) {
                    let mask = scratch.exception[alias].0;
                    put_varint(out, (alias - next) as u64);
                    next = alias + 1;
                    let row = self.aliases.rows[alias];
                    let guarded = mask >> FIELD_FIRST != 0 && has(&self.aliases.unsettled, alias);
                    put_varint(out, mask << 1 | u64::from(guarded));
                    if guarded {
                        out.push(self.aliases.structure[alias]);
                        put_varint(out, value_bytes(&rows.encoded[row.index()], mask) as u64);
                    }
                    put_fields(rows, row, mask, out);
                    scratch.rare.push(Sent::Fields(Alias(alias as u16), mask));
                    update.fields += mask.count_ones();
                }
            }
            update.entities += count;
        }
        flags
    }
}

fn place_bytes(mask: FieldMask) -> usize {
    (mask & FIELD_XY) as usize * 4 + (mask & FIELD_Z) as usize
}

/// How many bytes the fields of a mask take.
fn value_bytes(row: &EncodedRow, mask: FieldMask) -> usize {
    let mut fields = mask & !FIELDS_OF_PLACE;
    let mut bytes = place_bytes(mask);
    while fields != 0 {
        bytes += row.field(fields.trailing_zeros()).len();
        fields &= fields - 1;
    }
    bytes
}

#[inline]
fn put_fields(rows: &Rows, row: Row, mask: FieldMask, out: &mut Vec<u8>) {
    let index = row.index();
    if mask & FIELD_XY != 0 {
        out.extend_from_slice(&rows.low_xy[index].to_le_bytes());
    }
    if mask & FIELD_Z != 0 {
        out.extend_from_slice(&rows.lattice[index].low_z().to_le_bytes());
    }
    let mut fields = mask & !FIELDS_OF_PLACE;
    while fields != 0 {
        out.extend_from_slice(rows.encoded[index].field(fields.trailing_zeros()));
        fields &= fields - 1;
    }
}

/// The values of one word of aliases. Nearly all bytes that leave the server are written here.
#[inline]
fn put_common(rows: &Rows, mask: FieldMask, aliases: &[Row; 64], bits: u64, out: &mut Vec<u8>) {
    if mask != FIELD_XY {
        for alias in aliases_of(0, bits) {
            put_fields(rows, aliases[alias], mask, out);
        }
        return;
    }
    let begin = out.len();
    out.resize(begin + 4 * bits.count_ones() as usize, 0);
    let places = out[begin..].as_chunks_mut::<4>().0.iter_mut();
    if bits == u64::MAX {
        for (place, row) in places.zip(aliases) {
            *place = rows.low_xy[row.index()].to_le_bytes();
        }
    } else {
        for (place, alias) in places.zip(aliases_of(0, bits)) {
            *place = rows.low_xy[aliases[alias & 63].index()].to_le_bytes();
        }
    }
}
