//! The state update, byte by byte.
//!
//! Fixed-width numbers are little-endian; a *varint* is the codec's: one byte below 251, else a marker byte
//! (251, 252, 253) and 2, 4 or 8 bytes.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | `update_seq` | 4 | grows by one per update of the session, from 1 |
//! | flags | 1 | bit 0 complete: no enter waits behind this update; bits 1–5: leaves, enters, common, exceptions, events follow |
//! | tick | varint | the server's tick |
//! | input | varint | the client's newest state message that took part in that tick |
//! | reference | 3 × 2 | signed, in steps of [`REFERENCE_STEPS`]; low 16-bit positions are widened to the point nearest to the middle of that step |
//! | *leaves* | varint *n*, *n* × 2 | aliases; they go before enters |
//! | *enters* | varint *n*, *n* enter records | see below |
//! | *events* | varint *n*, *n* × (varint kind, `NetId` 8, varint length, payload) | what happened in this tick |
//! | *common* | varint mask, varint *b*, *b* | the fields that every entity of the block sends; a bitmap of aliases, bit *a* % 8 of byte *a* / 8; then their fields, in alias order |
//! | *exceptions* | varint *n*, *n* × (varint gap, varint `mask << 2 \| wide << 1 \| guarded`, fields) | aliases with other masks: alias = previous + gap + 1, starting at −1 |
//!
//! Fields go in mask order: bit 0 the low 16 bits of x and y, bit 1 those of z, then the component fields as
//! the row has them. They are not delimited: the client knows the layout of whatever it holds. Where the
//! server cannot be sure yet that the client has the layout (a structure record is unacknowledged), a record
//! with component fields is *guarded*: `structure (1), varint length` come before the fields, and a client
//! whose entity has another structure number skips them; the loss of that structure record resends everything.
//! In a *wide* record the position has its full width: of entities that are in the view wherever they are.
//! Exceptions name their aliases by gaps because they are few: a gap costs a byte, a second bitmap one byte per
//! eight aliases whatever it holds.
//!
//! An **enter record** tells everything about one entity, so it is an idempotent upsert, also used when the
//! set of components changed:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | alias | 2 | bit 15: the fields come separately, in a reliable `Record` message for this update |
//! | length | varint | of what follows |
//! | `NetId` | 8 | |
//! | structure | 1 | number of this structure record among those of the alias, wrapping |
//! | components | varint | bit *i*: the *i*-th registered component, as far as the viewer sees them |
//! | withdrawn | varint | components that the viewer has seen of this entity and that are hidden now |
//! | lattice position | 3 × 4 | full width: an enter never depends on the reference |
//! | fields | rest | all fields of those components, as the row has them |
//!
//! What this viewer may not see is not there: the component set of the enter record is that of the viewer, and
//! masks count the fields of those components alone. A hidden field is an absent one: a length of zero.

use crate::ids::{Alias, NetId};
use crate::limits::{
    ALIASES_MAX, COMPONENT_KINDS_MAX, LATTICE_REACH_M, LATTICE_STEPS_PER_M, LEAVE_RADIUS_M_MAX,
    RECORD_BYTES_MAX, UPDATE_BYTES_MAX,
};
use crate::protocol::codec::DecodeError;
use crate::space::LatticePoint;

/// No enter waits behind this update.
pub const FLAG_COMPLETE: u8 = 1;
/// Leaves follow.
pub const FLAG_LEAVES: u8 = 2;
/// Enter records follow.
pub const FLAG_ENTERS: u8 = 4;
/// A block of entities with one mask follows.
pub const FLAG_COMMON: u8 = 8;
/// Entities with masks of their own follow.
pub const FLAG_EXCEPTIONS: u8 = 16;
/// Events follow.
pub const FLAG_EVENTS: u8 = 32;
/// Every flag there is; an update with another one is malformed.
pub const FLAGS_KNOWN: u8 = 63;

/// Set in the alias of an enter record whose fields come in a reliable message.
pub const ALIAS_SEPARATE: u16 = 1 << 15;

/// Lattice steps in one step of the reference point: 4 m, so that 16 bits reach 131 km from the origin.
pub const REFERENCE_STEPS: i32 = 512;

/// Most bytes of the header.
pub const HEADER_BYTES_MAX: usize = 4 + 1 + 9 + 5 + 6;
/// Most bytes of an enter record before its fields.
pub const ENTER_HEAD_BYTES_MAX: usize = 2 + 3 + 8 + 1 + 9 + 9 + 12;
/// Most bytes of leaves in one update, so that they cannot keep anything else out for long.
pub const LEAVES_BYTES_MAX: usize = 256;
/// Most bytes of an enter record inside an update; a larger one is sent separately.
pub const ENTER_INLINE_BYTES_MAX: usize = 800;
/// Most bytes of an exception; one with more is split by fields.
pub const EXCEPTION_BYTES_MAX: usize = 600;
/// Most bytes that the fields of one entity may encode to. A larger entity cannot be told to anybody.
pub const ROW_BYTES_MAX: usize = RECORD_BYTES_MAX - ENTER_HEAD_BYTES_MAX;

// The reference is the middle of its step, so as much as a step of the reach is lost to it.
const _: () = assert!(LEAVE_RADIUS_M_MAX + REFERENCE_STEPS as f32 / LATTICE_STEPS_PER_M <= LATTICE_REACH_M);
// Whatever waits fits an update in which it has its turn (see `view::assemble`).
const _: () =
    assert!(HEADER_BYTES_MAX + 3 + LEAVES_BYTES_MAX + 3 + ENTER_INLINE_BYTES_MAX <= UPDATE_BYTES_MAX);
const _: () = assert!(
    HEADER_BYTES_MAX + 3 + LEAVES_BYTES_MAX + ENTERS_MINOR_BYTES_MAX + 3 + EXCEPTION_BYTES_MAX
        <= UPDATE_BYTES_MAX
);
const _: () = assert!(ALIASES_MAX <= ALIAS_SEPARATE as usize);
const _: () = assert!(COMPONENT_KINDS_MAX <= 64);

/// Most bytes of enters in an update in which values have their turn.
pub const ENTERS_MINOR_BYTES_MAX: usize = 240;

/// The reference point of a viewer at `lattice`: what the wire carries.
#[must_use]
pub fn reference_of(lattice: LatticePoint) -> [i16; 3] {
    lattice.0.map(|v| v.div_euclid(REFERENCE_STEPS).clamp(i16::MIN.into(), i16::MAX.into()) as i16)
}

/// The lattice point that a reference stands for: the middle of its step.
#[must_use]
pub fn reference_point(reference: [i16; 3]) -> LatticePoint {
    LatticePoint(reference.map(|v| i32::from(v) * REFERENCE_STEPS + REFERENCE_STEPS / 2))
}

/// How many bytes a varint takes.
#[must_use]
#[inline]
pub fn varint_length(value: u64) -> usize {
    match value {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Appends a varint, byte for byte as the codec writes it.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    match varint_length(value) {
        1 => out.push(value as u8),
        3 => {
            out.push(251);
            out.extend_from_slice(&(value as u16).to_le_bytes());
        }
        5 => {
            out.push(252);
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        _ => {
            out.push(253);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// What an enter record says before its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnterHead {
    /// The entity's name in this view.
    pub alias: Alias,
    /// Whether the fields come in a reliable message instead.
    pub separate: bool,
    /// The entity.
    pub net_id: NetId,
    /// Number of this structure record among those of the alias, wrapping.
    pub structure: u8,
    /// Those of its components that the viewer sees.
    pub components: u64,
    /// Those that the viewer has seen and that are hidden from it now.
    pub withdrawn: u64,
    /// Where it is.
    pub lattice: LatticePoint,
}

/// How many bytes an enter record takes with so many bytes of fields inside.
#[must_use]
pub fn enter_length(components: u64, withdrawn: u64, fields: usize) -> usize {
    let body = 21 + varint_length(components) + varint_length(withdrawn) + fields;
    2 + varint_length(body as u64) + body
}

impl EnterHead {
    /// Appends the record. `fields` is empty when they come separately.
    pub fn put(&self, fields: &[u8], out: &mut Vec<u8>) {
        let separate = if self.separate { ALIAS_SEPARATE } else { 0 };
        out.extend_from_slice(&(self.alias.0 | separate).to_le_bytes());
        let sets = varint_length(self.components) + varint_length(self.withdrawn);
        put_varint(out, (21 + sets + fields.len()) as u64);
        out.extend_from_slice(&self.net_id.0.to_le_bytes());
        out.push(self.structure);
        put_varint(out, self.components);
        put_varint(out, self.withdrawn);
        for axis in self.lattice.0 {
            out.extend_from_slice(&axis.to_le_bytes());
        }
        out.extend_from_slice(fields);
    }

    /// Reads a record: the head, and the bytes of its fields.
    ///
    /// # Errors
    /// When the bytes end too early or say something impossible.
    pub fn read<'a>(reader: &mut Reader<'a>) -> Result<(Self, &'a [u8]), DecodeError> {
        let alias = reader.u16()?;
        let length = reader.varint()?;
        let mut body = Reader::new(reader.take(usize::try_from(length).unwrap_or(usize::MAX))?);
        let head = Self {
            alias: checked_alias(usize::from(alias & !ALIAS_SEPARATE))?,
            separate: alias & ALIAS_SEPARATE != 0,
            net_id: NetId(body.u64()?),
            structure: body.u8()?,
            components: body.varint()?,
            withdrawn: body.varint()?,
            lattice: LatticePoint([body.i32()?, body.i32()?, body.i32()?]),
        };
        if head.net_id == NetId::WORLD {
            return Err(DecodeError::malformed("state update", "an entity without a name"));
        }
        if head.components & head.withdrawn != 0 {
            return Err(DecodeError::malformed("state update", "a component both there and withdrawn"));
        }
        let fields = body.rest();
        if head.separate && !fields.is_empty() {
            return Err(DecodeError::malformed("state update", "fields that should come separately"));
        }
        Ok((head, fields))
    }
}

/// An alias within its bound.
///
/// # Errors
/// When it is not.
pub fn checked_alias(alias: usize) -> Result<Alias, DecodeError> {
    if alias < ALIASES_MAX {
        Ok(Alias(alias as u16))
    } else {
        Err(DecodeError::malformed("state update", "an alias out of bounds"))
    }
}

/// Walks over bytes of unknown intent; never beyond their end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From the first byte on.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// What was not read yet, without reading it.
    #[must_use]
    pub fn peek(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.peek().get(..length).ok_or_else(|| {
            DecodeError::malformed("state update", format!("it ends within byte {}", self.at))
        })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// When there is none.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Two bytes with a sign.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_le_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Four bytes with a sign.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A varint.
    ///
    /// # Errors
    /// When the bytes end too early or the marker is none.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.u8()? {
            small @ 0..=250 => Ok(u64::from(small)),
            251 => self.u16().map(u64::from),
            252 => self.u32().map(u64::from),
            253 => self.u64(),
            _ => Err(DecodeError::malformed("state update", "a number of unknown width")),
        }
    }

    /// A varint of at most `max`.
    ///
    /// # Errors
    /// As [`varint`](Self::varint), and when it is larger.
    pub fn varint_max(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        usize::try_from(self.varint()?)
            .ok()
            .filter(|&value| value <= max)
            .ok_or_else(|| DecodeError::malformed("state update", format!("{what}: more than {max}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_are_those_of_the_codec(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(&bytes, &codec::encode(&value));
            prop_assert_eq!(bytes.len(), varint_length(value));
            prop_assert_eq!(Reader::new(&bytes).varint(), Ok(value));
        }

        #[test]
        fn whatever_lies_within_the_largest_leave_radius_widens_to_itself(
            viewer in -8_000_000i32..8_000_000, offset in -1.0f32..1.0,
        ) {
            let point = viewer + (offset * LEAVE_RADIUS_M_MAX * LATTICE_STEPS_PER_M) as i32;
            let middle = reference_point(reference_of(LatticePoint([viewer; 3]))).0[0];
            prop_assert_eq!(LatticePoint::widen(point as u16, middle), point);
        }
    }

    #[test]
    fn an_enter_record_is_read_back_and_its_length_is_told_before() {
        let fields = [7; 300];
        let head = EnterHead {
            alias: Alias(4_095),
            separate: false,
            net_id: NetId(9),
            structure: 3,
            components: 0x1_0001,
            withdrawn: 0x40,
            lattice: LatticePoint([1, -2, 3]),
        };
        let mut bytes = Vec::new();
        head.put(&fields, &mut bytes);
        assert_eq!(bytes.len(), enter_length(head.components, head.withdrawn, fields.len()));
        assert_eq!(EnterHead::read(&mut Reader::new(&bytes)), Ok((head, &fields[..])));
        for cut in 0..bytes.len() {
            assert!(EnterHead::read(&mut Reader::new(&bytes[..cut])).is_err());
        }
    }
}
