//! What a component tells the engine about its fields: the trait behind `derive(Replicate)`.

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::Component;
use serde::de::DeserializeOwned;

use crate::limits::{FIELDS_PER_ENTITY_MAX, SAVED_FIELD_BYTES_MAX};
use crate::protocol::codec::{self, DecodeError};

/// Who is sent a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nobody, ever: no encoder for it is even generated.
    ServerOnly,
    /// Everybody who sees the entity, the same bytes, encoded once.
    Broadcast,
}

impl Policy {
    /// As written in `#[sync(...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Policy::ServerOnly => "server_only",
            Policy::Broadcast => "broadcast",
        }
    }
}

/// How many bytes a field takes on the wire, and who can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldWire {
    /// Always this many bytes.
    Fixed(u8),
    /// A variable-width integer, which tells its length in its first byte.
    Varint,
    /// A variable-width length and that many bytes; length zero means that the field is absent.
    Prefixed,
}

/// One field of a replicated component.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldSpec {
    /// Name in the source.
    pub name: &'static str,
    /// Type in the source; part of the schema hash.
    pub type_name: &'static str,
    /// Who is sent it.
    pub policy: Policy,
    /// Its form on the wire.
    pub wire: FieldWire,
    /// Smallest difference that is told, in the field's unit, for quantised floats.
    pub precision: Option<f32>,
    /// Most bytes it may encode to, without the length prefix of [`FieldWire::Prefixed`]; more is not sent, and
    /// counted.
    pub bytes_max: usize,
}

impl FieldSpec {
    /// Whether anybody is ever sent it.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.policy != Policy::ServerOnly
    }

    /// Most bytes that one value of it takes in an update, its length prefix included; 0 when it is never sent.
    #[must_use]
    pub fn wire_bytes_max(&self) -> usize {
        match self.wire {
            _ if !self.is_sent() => 0,
            FieldWire::Fixed(_) | FieldWire::Varint => self.bytes_max,
            FieldWire::Prefixed => prefix(self.bytes_max).0 + self.bytes_max,
        }
    }
}

/// A component that is sent according to the policies of its fields. Derive it:
///
/// ```
/// use bevy_ecs::prelude::Component;
/// use terrane::replication::Replicate;
///
/// #[derive(Component, Clone, Default, Replicate)]
/// struct Ship {
///     #[sync(broadcast)]
///     name: String,
///     #[sync(broadcast, precision = 0.01)] // radians; a smaller turn is not told
///     heading: f32,
///     #[sync(server_only)]
///     seed: u64,
/// }
///
/// let mut ghost = Ship::default();
/// Ship { name: "Ann".into(), heading: 1.5, seed: 7 }.project(&mut ghost);
/// assert_eq!((ghost.name.as_str(), ghost.seed), ("Ann", 0));
/// ```
///
/// A bound that no record can carry does not compile:
///
/// ```compile_fail,E0080
/// # use bevy_ecs::prelude::Component;
/// # use terrane::replication::Replicate;
/// #[derive(Component, Clone, Default, Replicate)]
/// struct Book {
///     #[sync(broadcast, max_bytes = 1_000_000)]
///     text: String,
/// }
/// ```
///
/// `FIELDS` lists all fields in order of declaration. Those that are sent at all are numbered 0… in that
/// order: that number is what `decode_sent` takes.
pub trait Replicate: Component<Mutability = Mutable> + Clone + Default {
    /// Name of the type, unique within a game.
    const NAME: &'static str;
    /// All fields, in order of declaration.
    const FIELDS: &'static [FieldSpec];

    /// Appends every field that is sent, in order, each closed by [`FieldWriter::end_field`].
    fn encode_sent(&self, out: &mut FieldWriter);

    /// Sets the `field`-th sent field from its wire bytes: all of them, length prefix included. An absent field
    /// becomes its default.
    ///
    /// # Errors
    /// When the bytes are not an encoding of that field, or there is no such field.
    fn decode_sent(&mut self, field: usize, bytes: &[u8]) -> Result<(), DecodeError>;

    /// Writes into `ghost` what a neighbour cell may know: sent fields by value, every other at its default.
    fn project(&self, ghost: &mut Self);

    /// Appends all fields, `server_only` ones too, for saves and fingerprints.
    fn save(&self, out: &mut Vec<u8>);

    /// Reads back what [`save`](Self::save) wrote, and how many bytes that took.
    ///
    /// # Errors
    /// When the bytes are not a saved value of this type.
    fn load(bytes: &[u8]) -> Result<(Self, usize), DecodeError>;
}

/// The fields of `T` that are sent, in order.
pub fn sent_fields<T: Replicate>() -> impl Iterator<Item = &'static FieldSpec> {
    T::FIELDS.iter().filter(|field| field.is_sent())
}

/// Most bytes in one [`FieldWriter`]: the fields that always fit find room even behind the longest others.
const ROW_BYTES_MAX: usize = u16::MAX as usize - FIELDS_PER_ENTITY_MAX * u8::MAX as usize;

/// Collects the encoded fields of one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldWriter {
    /// The wire bytes of all fields, one behind the other.
    pub bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    pub ends: Vec<u16>,
    /// Fields that were too long and therefore left out, since the last [`clear`](Self::clear).
    pub oversized: u32,
}

impl FieldWriter {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.oversized = 0;
    }

    /// Where the field being written begins.
    fn begin(&self) -> usize {
        self.ends.last().map_or(0, |&end| usize::from(end))
    }

    /// Closes the field written since the last call. A `Prefixed` one longer than `bytes_max`, or than what is
    /// left of the 57,630 bytes that all fields of an entity share, becomes an absent field.
    ///
    /// O(bytes of the field), without allocating for short ones: they are moved to make room for their length.
    ///
    /// # Panics
    /// When there are more fields than an entity may have and they do not fit 64 kB.
    pub fn end_field(&mut self, wire: FieldWire, bytes_max: usize) {
        if wire == FieldWire::Prefixed {
            let begin = self.begin();
            if self.bytes.len() - begin > bytes_max || self.bytes.len() > ROW_BYTES_MAX {
                self.bytes.truncate(begin);
                self.oversized += 1;
            }
            let end = self.bytes.len();
            let (prefix_bytes, prefix) = prefix(end - begin);
            self.bytes.resize(end + prefix_bytes, 0);
            self.bytes.copy_within(begin..end, begin + prefix_bytes);
            self.bytes[begin..begin + prefix_bytes].copy_from_slice(&prefix[..prefix_bytes]);
        }
        self.ends.push(u16::try_from(self.bytes.len()).expect("no more fields than an entity may have"));
    }

    /// Appends a variable-width value or, for `Prefixed` fields, any value.
    pub fn put<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        codec::encode_into(value, &mut self.bytes);
    }

    /// Appends raw bytes, for fixed-width fields.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a float rounded to `precision`, as a signed variable-width number of steps. Values out of
    /// range, ±2³¹ steps, stop at the last step; NaN becomes zero.
    pub fn put_quantised(&mut self, value: impl Into<f64>, precision: f32) {
        let steps = (value.into() / f64::from(precision)).round();
        self.put(&(steps as i32));
    }
}

/// The length prefix of a payload as the codec would write the number, and how many bytes that takes. Payloads
/// are bounded to what 16 bits hold.
fn prefix(length: usize) -> (usize, [u8; 3]) {
    match length {
        0..=250 => (1, [length as u8, 0, 0]),
        _ => {
            let [low, high] = (length as u16).to_le_bytes();
            (3, [251, low, high])
        }
    }
}

/// The length that the prefix at the front of `bytes` tells, and how many bytes the prefix takes.
fn read_prefix(bytes: &[u8]) -> Result<(usize, usize), DecodeError> {
    match *bytes {
        [length @ 0..=250, ..] => Ok((usize::from(length), 1)),
        [251, low, high, ..] => Ok((usize::from(u16::from_le_bytes([low, high])), 3)),
        _ => Err(DecodeError::malformed("field length", "it is missing or longer than any field")),
    }
}

/// The bytes of one field behind its length prefix; `None` when the field is absent.
///
/// # Errors
/// When the prefix is malformed or says another length.
pub fn prefixed_payload(bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    let (length, used) = read_prefix(bytes)?;
    let payload = &bytes[used..];
    if payload.len() != length {
        return Err(DecodeError::malformed("field", "its length prefix says another length"));
    }
    Ok((length > 0).then_some(payload))
}

/// How many bytes the field at the front of `bytes` takes.
///
/// # Errors
/// When the bytes end before the field does, or begin with what no field begins with.
pub fn field_length(wire: FieldWire, bytes: &[u8]) -> Result<usize, DecodeError> {
    let short = || DecodeError::malformed("field", "the bytes end inside it");
    let &first = bytes.first().ok_or_else(short)?;
    let length = match wire {
        FieldWire::Fixed(length) => usize::from(length),
        FieldWire::Varint => match first {
            0..=250 => 1,
            251 => 3,
            252 => 5,
            253 => 9,
            254 => 17,
            255 => return Err(DecodeError::malformed("field", "no integer begins with 255")),
        },
        FieldWire::Prefixed => {
            let (length, used) = read_prefix(bytes)?;
            used + length
        }
    };
    if length > bytes.len() { Err(short()) } else { Ok(length) }
}

/// Reads one value from all of a field's bytes, without their length prefix. For what `derive(Replicate)` writes.
///
/// # Errors
/// When the bytes are not an encoding of `T`; `what` is named.
pub fn take<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, used) = codec::decode_prefix::<T, { u16::MAX as usize }>(what, bytes)?;
    if used != bytes.len() {
        return Err(DecodeError::Trailing { what, left: bytes.len() - used });
    }
    Ok(value)
}

/// Reads a saved field at `bytes[*used..]` and moves `used` behind it. For what `derive(Replicate)` writes.
///
/// # Errors
/// When the bytes are not a saved `T`; `what` is named.
pub fn load_field<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    used: &mut usize,
) -> Result<T, DecodeError> {
    let (value, length) = codec::decode_prefix::<T, SAVED_FIELD_BYTES_MAX>(what, &bytes[*used..])?;
    *used += length;
    Ok(value)
}

/// The error of a field number that the component does not have. For what `derive(Replicate)` writes.
#[must_use]
pub fn no_such_field(component: &'static str, field: usize) -> DecodeError {
    DecodeError::malformed(component, format!("it has no sent field number {field}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lengths: &[usize], bytes_max: usize) -> FieldWriter {
        let mut writer = FieldWriter::default();
        for &length in lengths {
            writer.put_raw(&vec![7; length]);
            writer.end_field(FieldWire::Prefixed, bytes_max);
        }
        writer
    }

    #[test]
    fn a_length_prefix_is_the_number_as_the_codec_writes_it() {
        for length in (0..600).chain([4_800, 57_000]) {
            let expected = [codec::encode(&length), vec![7; length]].concat();
            let writer = written(&[length], usize::MAX);
            assert_eq!(writer.bytes, expected, "a payload of {length} bytes");
            assert_eq!(field_length(FieldWire::Prefixed, &expected), Ok(expected.len()));
            assert_eq!(
                prefixed_payload(&expected),
                Ok((length > 0).then_some(&expected[expected.len() - length..]))
            );
        }
    }

    #[test]
    fn fields_that_would_not_fit_one_row_are_absent_and_the_ones_behind_them_stand_where_they_should() {
        let mut writer = written(&[30_000, 30_000, 10], usize::MAX);
        writer.put(&u64::MAX);
        writer.end_field(FieldWire::Varint, 9);
        assert_eq!(writer.oversized, 1);
        assert_eq!(writer.ends, [30_003, 30_004, 30_015, 30_024]);
        assert_eq!(writer.bytes.len(), 30_024);
    }

    #[test]
    fn a_field_cut_short_or_beginning_with_nonsense_has_no_length() {
        for (wire, bytes) in [
            (FieldWire::Fixed(4), &[1, 2, 3][..]),
            (FieldWire::Fixed(1), &[]),
            (FieldWire::Varint, &[]),
            (FieldWire::Varint, &[251, 1]),
            (FieldWire::Varint, &[253, 1, 2, 3, 4, 5, 6, 7]),
            (FieldWire::Varint, &[255; 20]),
            (FieldWire::Prefixed, &[]),
            (FieldWire::Prefixed, &[2, 0]),
            (FieldWire::Prefixed, &[251, 1]),
            (FieldWire::Prefixed, &[252, 1, 0, 0, 0, 9]),
        ] {
            assert!(field_length(wire, bytes).is_err(), "{wire:?} {bytes:?}");
        }
        assert!(prefixed_payload(&[1, 2, 3]).is_err(), "a byte too many");
        assert!(prefixed_payload(&[2, 3]).is_err(), "a byte too few");
    }
}
