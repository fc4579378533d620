//! Fields in wire form: how they are delimited, written behind one another and read back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::FIELDS_PER_ENTITY_MAX;
use crate::protocol::codec::{self, DecodeError};

use super::policy::writer::move_ids;
use super::policy::{NodeReader, NodeWriter, SaveReader, SyncNode};
use super::quantised::Quantised;

/// How many bytes a field takes on the wire, and who can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldWire {
    /// Always this many bytes.
    Fixed(u8),
    /// A variable-width integer, which tells its length in its first byte.
    Varint,
    /// A variable-width number, then the value: 0 for a field that is absent (hidden from this viewer, or too long
    /// to be told), otherwise one more than the bytes that follow. So a value of no bytes is not an absent one.
    Prefixed,
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
    /// Where in `bytes` each `NetId` of a field begins, ascending; each takes eight bytes. Those of fields that reveal
    /// their ids are not among them.
    pub ids: Vec<u16>,
    /// Fields that were too long or nested too deeply and therefore left out, since the last [`clear`](Self::clear).
    pub oversized: u32,
}

impl FieldWriter {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.ids.clear();
        self.oversized = 0;
    }

    /// Where the field being written begins.
    fn begin(&self) -> usize {
        self.ends.last().map_or(0, |&end| usize::from(end))
    }

    /// Closes the field written since the last call. A `Prefixed` one longer than `bytes_max`, or than what is
    /// left of the bytes that all fields of an entity share, becomes an absent field.
    ///
    /// O(bytes of the field), without allocating for short ones: they are moved to make room for their length.
    ///
    /// # Panics
    /// When there are more fields than an entity may have and they do not fit 64 kB.
    pub fn end_field(&mut self, wire: FieldWire, bytes_max: usize) {
        if wire == FieldWire::Prefixed {
            let begin = self.begin();
            let first_id = self.ids.partition_point(|&id| usize::from(id) < begin);
            let length = self.bytes.len() - begin;
            if length > bytes_max || self.bytes.len() > ROW_BYTES_MAX {
                self.bytes.truncate(begin);
                self.bytes.push(ABSENT);
                self.ids.truncate(first_id);
                self.oversized += 1;
            } else {
                let (prefix_bytes, prefix) = prefix(length);
                let end = self.bytes.len();
                self.bytes.resize(end + prefix_bytes, 0);
                self.bytes.copy_within(begin..end, begin + prefix_bytes);
                self.bytes[begin..begin + prefix_bytes].copy_from_slice(&prefix[..prefix_bytes]);
                move_ids(&mut self.ids, first_id, prefix_bytes);
            }
        }
        self.end();
    }

    /// Closes a field that differs by viewer: of what was written since the last call, a hash of eight bytes stays. It
    /// stands for the field in the row, so that equal sources are equal rows. It **never leaves the server**: what each
    /// viewer is told comes from `SyncFields::encode_personal`.
    ///
    /// # Panics
    /// As [`end_field`](Self::end_field).
    pub fn end_source(&mut self) {
        let begin = self.begin();
        let hash = xxh3_64(&self.bytes[begin..]);
        self.bytes.truncate(begin);
        self.bytes.extend_from_slice(&hash.to_le_bytes());
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(u16::try_from(self.bytes.len()).expect("no more fields than an entity may have"));
    }

    /// Appends a variable-width value or, for `Prefixed` fields, any value, and notes the ids in it.
    pub fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        codec::encode_noting_ids_from(0, value, &mut self.bytes, &mut self.ids);
    }

    /// The same for a value whose ids everybody may know.
    pub fn put_revealing<T: Serialize + ?Sized>(&mut self, value: &T) {
        codec::encode_into(value, &mut self.bytes);
    }

    /// Appends a float, or a vector, as steps of `precision`.
    pub fn put_quantised<T: Quantised>(&mut self, value: &T, precision: f32) {
        value.put_steps(precision, &mut self.bytes);
    }

    /// Appends what everybody may see of a node, by `encode`.
    pub fn put_node(&mut self, encode: impl FnOnce(&mut NodeWriter<'_>)) {
        let mut writer = NodeWriter::new(0, &mut self.bytes, &mut self.ids);
        encode(&mut writer);
        self.oversized += writer.left_out();
    }

    /// Appends the saved form of a value, for [`end_source`](Self::end_source).
    pub fn put_source<T: Serialize + ?Sized>(&mut self, value: &T) {
        codec::encode_into(value, &mut self.bytes);
    }

    /// Appends raw bytes, for fixed-width fields.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// What an absent field is on the wire: this byte alone.
pub const ABSENT: u8 = 0;

/// Appends a `Prefixed` field to an update: its prefix and the payload; `None` for an absent one.
///
/// # Panics
/// When the payload is longer than any field may be, 65,534 bytes.
pub fn put_prefixed(out: &mut Vec<u8>, payload: Option<&[u8]>) {
    let Some(payload) = payload else { return out.push(ABSENT) };
    let (prefix_bytes, prefix) = prefix(payload.len());
    out.extend_from_slice(&prefix[..prefix_bytes]);
    out.extend_from_slice(payload);
}

/// Makes a byte of room and the payload behind it a `Prefixed` field; gives where the payload begins.
///
/// # Panics
/// When the payload is longer than any field may be, 65,534 bytes.
pub(crate) fn put_prefix_before(bytes: &mut Vec<u8>, begin: usize) -> usize {
    let (prefix_bytes, prefix) = prefix(bytes.len() - begin - 1);
    bytes[begin] = prefix[0];
    if prefix_bytes > 1 {
        bytes.splice(begin + 1..begin + 1, prefix[1..prefix_bytes].iter().copied());
    }
    begin + prefix_bytes
}

/// How many bytes a `Prefixed` field takes whose payload has so many.
#[must_use]
pub fn prefixed_length(payload: usize) -> usize {
    if payload < 250 { 1 + payload } else { 3 + payload }
}

/// What stands before a payload of so many bytes, and how many bytes that takes: the number that follows the length,
/// as the codec would write it.
fn prefix(length: usize) -> (usize, [u8; 3]) {
    let number = u16::try_from(length + 1).expect("the payload of a field fits 16 bits");
    match number {
        0..=250 => (1, [number as u8, 0, 0]),
        _ => {
            let [low, high] = number.to_le_bytes();
            (3, [251, low, high])
        }
    }
}

/// The length that the prefix at the front of `bytes` tells, `None` for an absent field, and how many bytes the
/// prefix takes.
fn read_prefix(bytes: &[u8]) -> Result<(Option<usize>, usize), DecodeError> {
    let (number, used) = match *bytes {
        [number @ 0..=250, ..] => (u16::from(number), 1),
        [251, low, high, ..] => (u16::from_le_bytes([low, high]), 3),
        _ => return Err(DecodeError::malformed("field length", "it is missing or longer than any field")),
    };
    Ok((usize::from(number).checked_sub(1), used))
}

/// The bytes of one field behind its length prefix; `None` when the field is absent.
///
/// # Errors
/// When the prefix is malformed or says another length.
pub fn prefixed_payload(bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    let (length, used) = read_prefix(bytes)?;
    let payload = &bytes[used..];
    if payload.len() != length.unwrap_or(0) {
        return Err(DecodeError::malformed("field", "its length prefix says another length"));
    }
    Ok(length.map(|_| payload))
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
            used + length.unwrap_or(0)
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

/// Reads a nested field from its wire bytes: its default when it is absent. For what `derive(Replicate)` writes.
///
/// # Errors
/// When the bytes are no such field; `what` is named.
pub fn take_node<T: Default>(
    what: &'static str,
    bytes: &[u8],
    decode: impl FnOnce(&mut NodeReader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    prefixed_payload(bytes)?
        .map_or_else(|| Ok(T::default()), |payload| NodeReader::new(what, payload).read_all(decode))
}

/// The paths of what is hidden in a nested field with these wire bytes. For what `derive(Replicate)` writes.
///
/// # Errors
/// When the bytes are no such field; `what` is named.
pub fn hidden_in_node<T>(
    what: &'static str,
    name: &str,
    bytes: &[u8],
    decode: impl FnOnce(&mut NodeReader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<String>, DecodeError> {
    let Some(payload) = prefixed_payload(bytes)? else { return Ok(vec![name.to_owned()]) };
    let mut hidden = Vec::new();
    NodeReader::new(what, payload).noting_hidden(name, &mut hidden).read_all(decode)?;
    Ok(hidden)
}

/// Reads a saved node from the front of `bytes`, and how many of them it takes. For what `derive(Replicate)` writes.
///
/// # Errors
/// When the bytes are not a saved `T`; `what` is named.
pub fn load_node<T: SyncNode>(what: &'static str, bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let mut reader = SaveReader::new(what, bytes);
    let node = T::load_node(&mut reader)?;
    Ok((node, reader.used()))
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
        for length in (0..600).chain([4_800, 40_000]) {
            let expected = [codec::encode(&(length + 1)), vec![7; length]].concat();
            let writer = written(&[length], usize::MAX);
            assert_eq!(writer.bytes, expected, "a payload of {length} bytes");
            assert_eq!(field_length(FieldWire::Prefixed, &expected), Ok(expected.len()));
            assert_eq!(
                prefixed_payload(&expected),
                Ok(Some(&expected[expected.len() - length..])),
                "no bytes are a value too"
            );
            let mut put = Vec::new();
            put_prefixed(&mut put, Some(&vec![7; length]));
            assert_eq!((put.len(), put), (prefixed_length(length), expected));
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
            (FieldWire::Prefixed, &[3, 0]),
            (FieldWire::Prefixed, &[251, 1]),
            (FieldWire::Prefixed, &[252, 1, 0, 0, 0, 9]),
        ] {
            assert!(field_length(wire, bytes).is_err(), "{wire:?} {bytes:?}");
        }
        assert!(prefixed_payload(&[2, 2, 3]).is_err(), "a byte too many");
        assert!(prefixed_payload(&[3, 3]).is_err(), "a byte too few");
    }

    #[test]
    fn an_absent_field_is_one_byte_and_has_no_payload() {
        let mut absent = Vec::new();
        put_prefixed(&mut absent, None);
        assert_eq!((absent.as_slice(), field_length(FieldWire::Prefixed, &absent)), (&[0][..], Ok(1)));
        assert_eq!(prefixed_payload(&absent), Ok(None));
        assert!(prefixed_payload(&[0, 0]).is_err(), "nothing follows it");
    }

    #[test]
    fn a_source_leaves_eight_bytes_that_tell_sources_apart() {
        let row = |sources: &[&str]| {
            let mut writer = FieldWriter::default();
            for source in sources {
                writer.put_source(source);
                writer.end_source();
            }
            writer
        };
        assert_eq!(row(&["a", "a longer one"]).ends, [8, 16]);
        assert_eq!(row(&["a", "b"]), row(&["a", "b"]));
        assert_ne!(row(&["a", "b"]).bytes[8..], row(&["a", "c"]).bytes[8..]);
    }
}
