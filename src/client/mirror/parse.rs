//! A state update, understood and checked as a whole before anything of it is applied.

use std::ops::Range;

use crate::ids::{Alias, NetId, TickNumber};
use crate::limits::{ALIASES_MAX, RECORD_BYTES_MAX, UPDATE_BYTES_MAX};
use crate::protocol::codec::DecodeError;
use crate::replication::field::{FieldWire, field_length};
use crate::replication::mask::{FIELD_FIRST, FIELD_XY, FIELD_Z, FieldMask, SUBJECT};
use crate::replication::rows::EncodedRow;
use crate::replication::wire::{
    EnterHead, FLAG_COMMON, FLAG_COMPLETE, FLAG_ENTERS, FLAG_EVENTS, FLAG_EXCEPTIONS, FLAG_LEAVES,
    FLAGS_KNOWN, Reader, checked_alias, reference_point,
};
use crate::replication::{ReceivedEvent, Schema};
use crate::space::LatticePoint;

use super::Mirror;
use super::entity::{cut_row, layout_of};

/// What stands before the parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) seq: u32,
    pub(super) flags: u8,
    pub(super) tick: TickNumber,
    pub(super) input_seq: u32,
    pub(super) reference: LatticePoint,
}

/// An enter record whose bytes are known to be good.
#[derive(Debug)]
pub(super) struct Enter {
    pub(super) head: EnterHead,
    pub(super) wires: Vec<FieldWire>,
    /// `None` when the fields come separately.
    pub(super) row: Option<EncodedRow>,
}

/// New values of one held entity.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) alias: Alias,
    pub(super) xy: Option<[i32; 2]>,
    pub(super) z: Option<i32>,
    /// Which of [`Parsed::fields`].
    pub(super) fields: Range<usize>,
}

/// A whole update whose bytes are known to be good.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    pub(super) leaves: Vec<Alias>,
    pub(super) enters: Vec<Enter>,
    pub(super) values: Vec<Values>,
    pub(super) events: Vec<ReceivedEvent>,
    /// (bit, bytes).
    pub(super) fields: Vec<(u32, &'a [u8])>,
    named: Named,
}

/// The aliases that an update has named: each is taken, given or changed once, so that what is checked against what the
/// mirror holds is still so when it is applied.
#[derive(Debug)]
struct Named([u64; ALIASES_MAX / 64]);

impl Default for Named {
    fn default() -> Self {
        Self([0; ALIASES_MAX / 64])
    }
}

impl Named {
    fn name(&mut self, alias: Alias) -> Result<(), DecodeError> {
        let (word, bit) = (&mut self.0[usize::from(alias.0) / 64], 1 << (alias.0 % 64));
        if *word & bit != 0 {
            return Err(malformed("an alias named twice"));
        }
        *word |= bit;
        Ok(())
    }
}

fn malformed(detail: &'static str) -> DecodeError {
    DecodeError::malformed("state update", detail)
}

pub(super) fn read_header(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
    let seq = reader.u32()?;
    let flags = reader.u8()?;
    if seq == 0 || flags & !FLAGS_KNOWN != 0 {
        return Err(malformed("its number or its flags are none of ours"));
    }
    Ok(Header {
        seq,
        flags,
        tick: TickNumber(reader.varint()?),
        input_seq: u32::try_from(reader.varint()?).map_err(|_| malformed("an input number too large"))?,
        reference: reference_point([reader.i16()?, reader.i16()?, reader.i16()?]),
    })
}

impl Header {
    pub(super) fn complete(&self) -> bool {
        self.flags & FLAG_COMPLETE != 0
    }
}

pub(super) fn read_enter(schema: &Schema, reader: &mut Reader<'_>) -> Result<Enter, DecodeError> {
    let (head, fields) = EnterHead::read(reader)?;
    let wires = layout_of(schema, head.components)?;
    let row = if head.separate { None } else { Some(cut_row(head.components, &wires, fields)?) };
    Ok(Enter { head, wires, row })
}

/// Reads everything behind the header, for a mirror that is only looked at.
pub(super) fn read_parts<'a>(
    mirror: &Mirror,
    schema: &Schema,
    header: &Header,
    reader: &mut Reader<'a>,
) -> Result<Parsed<'a>, DecodeError> {
    let (flags, reference) = (header.flags, header.reference);
    let mut parsed = Parsed::default();
    if flags & FLAG_LEAVES != 0 {
        for _ in 0..reader.varint_max(ALIASES_MAX, "leaves")? {
            let alias = checked_alias(usize::from(reader.u16()?))?;
            parsed.named.name(alias)?;
            parsed.leaves.push(alias);
        }
    }
    if flags & FLAG_ENTERS != 0 {
        for _ in 0..reader.varint_max(ALIASES_MAX, "enters")? {
            let enter = read_enter(schema, reader)?;
            parsed.named.name(enter.head.alias)?;
            parsed.enters.push(enter);
        }
    }
    if flags & FLAG_EVENTS != 0 {
        for _ in 0..reader.varint_max(UPDATE_BYTES_MAX, "events")? {
            let kind = reader.varint_max(schema.events.len().saturating_sub(1), "kinds of events")? as u16;
            let about = NetId(reader.u64()?);
            let length = reader.varint_max(UPDATE_BYTES_MAX, "bytes of an event")?;
            let payload = reader.take(length)?.to_vec();
            if schema.events.is_empty() {
                return Err(malformed("an event of a kind that there is not"));
            }
            parsed.events.push(ReceivedEvent { kind, about, payload });
        }
    }
    if flags & FLAG_COMMON != 0 {
        let mask = read_mask(reader.varint()?)?;
        let length = reader.varint_max(ALIASES_MAX / 8, "bytes of a bitmap")?;
        for (index, &byte) in reader.take(length)?.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let alias = checked_alias(index * 8 + bit)?;
                parsed.named.name(alias)?;
                parsed.read_values(mirror, alias, mask, Some(reference), reader)?;
            }
        }
    }
    if flags & FLAG_EXCEPTIONS != 0 {
        let mut next = 0;
        for _ in 0..reader.varint_max(ALIASES_MAX, "exceptions")? {
            let alias = checked_alias(next + reader.varint_max(ALIASES_MAX, "a gap")?)?;
            next = usize::from(alias.0) + 1;
            let code = reader.varint()?;
            let mask = read_mask(code >> 2)?;
            let reference = (code & 2 == 0).then_some(reference);
            parsed.named.name(alias)?;
            if code & 1 == 0 {
                parsed.read_values(mirror, alias, mask, reference, reader)?;
                continue;
            }
            let structure = reader.u8()?;
            let length = reader.varint_max(crate::limits::UPDATE_BYTES_MAX, "bytes of a record")?;
            let mut record = Reader::new(reader.take(length)?);
            // Behind a structure record that got lost: that loss brings everything again.
            if mirror.entity_at(alias).is_some_and(|entity| entity.structure == structure) {
                parsed.read_values(mirror, alias, mask, reference, &mut record)?;
                if !record.peek().is_empty() {
                    return Err(malformed("a record that is too long"));
                }
            }
        }
    }
    match reader.peek().len() {
        0 => Ok(parsed),
        left => Err(DecodeError::Trailing { what: "state update", left }),
    }
}

fn read_mask(mask: u64) -> Result<FieldMask, DecodeError> {
    match mask {
        1..SUBJECT => Ok(mask),
        _ => Err(malformed("a mask without fields or with too many")),
    }
}

impl<'a> Parsed<'a> {
    fn read_values(
        &mut self,
        mirror: &Mirror,
        alias: Alias,
        mask: FieldMask,
        reference: Option<LatticePoint>,
        reader: &mut Reader<'a>,
    ) -> Result<(), DecodeError> {
        // Low bits of the place nearest to the reference, or, without one, the place in full width.
        let mut axis = |axis: usize| match reference {
            Some(reference) => reader.u16().map(|low| LatticePoint::widen(low, reference.0[axis])),
            None => reader.i32(),
        };
        let xy = if mask & FIELD_XY != 0 { Some([axis(0)?, axis(1)?]) } else { None };
        let z = if mask & FIELD_Z != 0 { Some(axis(2)?) } else { None };
        let begin = self.fields.len();
        let held = mirror.entity_at(alias);
        let mut rest = mask & !(FIELD_XY | FIELD_Z);
        if rest != 0 {
            // Only what the client has acknowledged comes without a guard.
            let entity = held.ok_or_else(|| malformed("fields of an entity that never came"))?;
            let mut length = entity.encoded().bytes.len();
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                let wire = entity.wires.get((bit - FIELD_FIRST) as usize);
                let &wire = wire.ok_or_else(|| malformed("a field that the entity does not have"))?;
                let field = reader.take(field_length(wire, reader.peek())?)?;
                length = length - entity.encoded().field(bit).len() + field.len();
                self.fields.push((bit, field));
            }
            // Where not all fields fit, some grow an update before others shrink.
            if length > 2 * RECORD_BYTES_MAX {
                return Err(malformed("an entity with too many bytes"));
            }
        }
        if held.is_some() {
            self.values.push(Values { alias, xy, z, fields: begin..self.fields.len() });
        }
        Ok(())
    }
}
