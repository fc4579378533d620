//! What a component tells the engine about its fields: the trait behind `derive(Replicate)`.

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::Component;

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
    /// Most bytes it may encode to; more is not sent, and counted.
    pub bytes_max: usize,
}

/// A component that is sent according to the policies of its fields. Derive it.
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

    /// Sets the `field`-th sent field from its wire bytes.
    ///
    /// # Errors
    /// When the bytes are not an encoding of that field.
    fn decode_sent(&mut self, field: usize, bytes: &[u8]) -> Result<(), DecodeError>;

    /// Writes into `ghost` what a neighbour cell may know: sent fields by value, every other at its default.
    fn project(&self, ghost: &mut Self);

    /// Appends all fields, for saves and fingerprints.
    fn save(&self, out: &mut Vec<u8>);

    /// Reads back what [`save`](Self::save) wrote, and how many bytes that took.
    ///
    /// # Errors
    /// When the bytes are not a saved value of this type.
    fn load(bytes: &[u8]) -> Result<(Self, usize), DecodeError>;
}

/// The fields of `T` that are sent, in order.
pub fn sent_fields<T: Replicate>() -> impl Iterator<Item = &'static FieldSpec> {
    T::FIELDS.iter().filter(|field| field.policy != Policy::ServerOnly)
}

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

    /// Closes the field written since the last call. One longer than `bytes_max` becomes an absent field.
    pub fn end_field(&mut self, wire: FieldWire, bytes_max: usize) {
        let begin = self.begin();
        let length = self.bytes.len() - begin;
        if wire == FieldWire::Prefixed {
            let too_long = length > bytes_max;
            if too_long {
                self.bytes.truncate(begin);
                self.oversized += 1;
            }
            let length = if too_long { 0 } else { length };
            let mut prefix = Vec::with_capacity(3);
            codec::encode_into(&(length as u32), &mut prefix);
            self.bytes.splice(begin..begin, prefix);
        }
        self.ends.push(u16::try_from(self.bytes.len()).unwrap_or(u16::MAX));
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
    /// range stop at the last step; NaN becomes zero.
    pub fn put_quantised(&mut self, value: f32, precision: f32) {
        let steps = (f64::from(value) / f64::from(precision)).round();
        self.put(&(steps as i32));
    }
}

/// The bytes of one field behind its length prefix; `None` when the field is absent.
///
/// # Errors
/// When the prefix is malformed or says another length.
pub fn prefixed_payload(bytes: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    let (length, used) = codec::decode_prefix::<u32, 8>("field length", bytes)?;
    let payload = &bytes[used..];
    if payload.len() != length as usize {
        return Err(DecodeError::malformed("field", "its length prefix says another length"));
    }
    Ok((length > 0).then_some(payload))
}

/// How many bytes the field at the front of `bytes` takes.
///
/// # Errors
/// When the bytes end before the field does.
pub fn field_length(wire: FieldWire, bytes: &[u8]) -> Result<usize, DecodeError> {
    let short = || DecodeError::malformed("field", "the bytes end inside it");
    let varint = |first: u8| match first {
        0..=250 => 1,
        251 => 3,
        252 => 5,
        253 => 9,
        _ => 17,
    };
    let &first = bytes.first().ok_or_else(short)?;
    let length = match wire {
        FieldWire::Fixed(length) => usize::from(length),
        FieldWire::Varint => varint(first),
        FieldWire::Prefixed => {
            let (length, used) = codec::decode_prefix::<u32, 8>("field length", bytes)?;
            used + length as usize
        }
    };
    if length > bytes.len() { Err(short()) } else { Ok(length) }
}
