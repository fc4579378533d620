//! Values on the wire: how many bytes they take, and writing them.

use crate::ids::{Alias, Row};
use crate::replication::mask::{FIELD_FIRST, FIELD_XY, FIELD_Z, FIELDS_OF_PLACE, FieldMask, bits};
use crate::replication::rows::{EncodedRow, Rows};
use crate::replication::wire::{
    EXCEPTION_BYTES_MAX, FLAG_COMMON, FLAG_EXCEPTIONS, put_varint, varint_length,
};

use super::aliases::{aliases_of, has};
use super::assemble::Assembled;
use super::held::ShownFields;
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
        Self { mask, place_bytes: place_bytes(mask, false) }
    }

    pub(super) fn has_fields(&self) -> bool {
        self.mask >> FIELD_FIRST != 0
    }

    #[inline]
    pub(super) fn bytes_of(&self, rows: &Rows, row: Row) -> usize {
        if self.has_fields() {
            value_bytes(&rows.encoded[row.index()], self.mask, false)
        } else {
            self.place_bytes
        }
    }
}

impl View {
    /// What an entity of the common block takes.
    pub(super) fn common_bytes(
        &self,
        rows: &Rows,
        shown: &ShownFields,
        common: &Common,
        alias: usize,
    ) -> usize {
        if common.has_fields() && has(&self.aliases.special, alias) {
            shown_bytes(shown, alias, self.aliases.pending[alias]) + common.place_bytes
        } else {
            common.bytes_of(rows, self.aliases.rows[alias])
        }
    }

    /// The fields of an exception that go, and the most bytes its record takes. Fields beyond what an update
    /// can take wait for the next. `None` when there is one that never fits.
    pub(super) fn exception_of(
        &self,
        rows: &Rows,
        shown: &ShownFields,
        alias: usize,
    ) -> Option<(FieldMask, usize)> {
        let pending = self.aliases.pending[alias];
        let row = &rows.encoded[self.aliases.rows[alias].index()];
        let gap = varint_length(self.aliases.end as u64);
        // As the viewer has them: how many components are hidden must not show in how an update is filled.
        let head = |mask: FieldMask| gap + varint_length(self.wire_mask(rows, alias, mask) << 2 | 3) + 1 + 3;
        let wide = has(&self.aliases.wide, alias);
        let value_bytes = |mask: FieldMask| {
            if has(&self.aliases.special, alias) {
                shown_bytes(shown, alias, mask) + place_bytes(mask, wide)
            } else {
                value_bytes(row, mask, wide)
            }
        };
        let bytes = value_bytes(pending);
        if head(pending) + bytes <= EXCEPTION_BYTES_MAX {
            return Some((pending, head(pending) + bytes));
        }
        let (mut mask, mut bytes) = (0, head(pending));
        for bit in 0..FIELD_FIRST + row.ends.len() as u32 {
            let field = pending & 1 << bit;
            let length = value_bytes(field);
            if head(pending) + length > EXCEPTION_BYTES_MAX {
                // It would wait for ever behind what goes without it.
                return None;
            }
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
                update.entities += bits.count_ones();
                if common.has_fields() && bits & self.aliases.special[word] != 0 {
                    for alias in aliases_of(word, bits) {
                        self.put_common_one(rows, common.mask, alias, &scratch.shown, &mut scratch.rare, out);
                    }
                    continue;
                }
                let aliases = self.aliases.rows.as_chunks::<64>().0.get(word).expect("whole words");
                put_common(rows, common.mask, aliases, bits, out);
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
                    self.put_exception(rows, alias, mask, &scratch.shown, &mut scratch.rare, out);
                    update.fields += mask.count_ones();
                }
            }
            update.entities += count;
        }
        flags
    }

    /// Writes one entity of a common block in which some are special.
    fn put_common_one(
        &mut self,
        rows: &Rows,
        mask: FieldMask,
        alias: usize,
        shown: &ShownFields,
        rare: &mut Vec<Sent>,
        out: &mut Vec<u8>,
    ) {
        let row = self.aliases.rows[alias];
        if !has(&self.aliases.special, alias) {
            return put_fields(rows, row, mask, out);
        }
        put_fields(rows, row, mask & FIELDS_OF_PLACE, out);
        self.put_shown(alias, self.aliases.pending[alias], shown, rare, out);
    }

    /// Writes the own fields of a special entity, and remembers what is in flight of it.
    fn put_shown(
        &mut self,
        alias: usize,
        mask: FieldMask,
        shown: &ShownFields,
        rare: &mut Vec<Sent>,
        out: &mut Vec<u8>,
    ) {
        let name = Alias(alias as u16);
        if mask & !FIELDS_OF_PLACE != 0 {
            self.tell_fields(alias, mask, shown, rare, out);
        }
        if mask & FIELDS_OF_PLACE != 0 {
            rare.push(Sent::Fields(name, mask & FIELDS_OF_PLACE));
        }
    }

    /// Writes one exception behind its gap.
    fn put_exception(
        &mut self,
        rows: &Rows,
        alias: usize,
        mask: FieldMask,
        shown: &ShownFields,
        rare: &mut Vec<Sent>,
        out: &mut Vec<u8>,
    ) {
        let row = self.aliases.rows[alias];
        let special = has(&self.aliases.special, alias);
        let wide = has(&self.aliases.wide, alias) && mask & FIELDS_OF_PLACE != 0;
        let guarded = mask >> FIELD_FIRST != 0 && has(&self.aliases.unsettled, alias);
        let wire_mask = self.wire_mask(rows, alias, mask);
        put_varint(out, wire_mask << 2 | u64::from(wide) << 1 | u64::from(guarded));
        if guarded {
            let own = if special {
                shown_bytes(shown, alias, mask)
            } else {
                value_bytes(&rows.encoded[row.index()], mask & !FIELDS_OF_PLACE, false)
            };
            out.push(self.aliases.structure[alias]);
            put_varint(out, (own + place_bytes(mask, wide)) as u64);
        }
        let name = Alias(alias as u16);
        let place = mask & FIELDS_OF_PLACE;
        if wide {
            put_wide(rows, row, place, out);
        } else {
            put_fields(rows, row, place, out);
        }
        if !special {
            put_fields(rows, row, mask & !FIELDS_OF_PLACE, out);
            rare.push(Sent::Fields(name, mask));
            return;
        }
        self.put_shown(alias, mask, shown, rare, out);
    }
}

/// How many bytes the position takes: low bits, or all of them.
fn place_bytes(mask: FieldMask, wide: bool) -> usize {
    ((mask & FIELD_XY) as usize * 4 + (mask & FIELD_Z) as usize) << usize::from(wide)
}

/// How many bytes the own fields of a special entity take.
fn shown_bytes(shown: &ShownFields, alias: usize, mask: FieldMask) -> usize {
    let fields = shown.of(alias).iter().filter(|field| mask >> field.bit & 1 == 1);
    fields.map(|field| usize::from(field.length())).sum()
}

/// How many bytes the fields of a mask take.
fn value_bytes(row: &EncodedRow, mask: FieldMask, wide: bool) -> usize {
    place_bytes(mask, wide) + bits(mask & !FIELDS_OF_PLACE).map(|bit| row.field(bit).len()).sum::<usize>()
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
    for bit in bits(mask & !FIELDS_OF_PLACE) {
        out.extend_from_slice(rows.encoded[index].field(bit));
    }
}

/// The position in full width.
fn put_wide(rows: &Rows, row: Row, mask: FieldMask, out: &mut Vec<u8>) {
    let [x, y, z] = rows.lattice[row.index()].0.map(i32::to_le_bytes);
    if mask & FIELD_XY != 0 {
        out.extend_from_slice(&x);
        out.extend_from_slice(&y);
    }
    if mask & FIELD_Z != 0 {
        out.extend_from_slice(&z);
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
