//! Values to bytes and back. The only module that names bincode.
//!
//! Integers are variable-width (one byte below 251), everything else is as small as serde makes it. There are two
//! ways back, and whose bytes they are decides which:
//!
//! - [`decode`] for what a peer sent: all bytes are used, every number is finite;
//! - [`decode_prefix`] for what this program wrote, such as a saved component: the value says where it ends, and
//!   infinities are as good as any other number.
//!
//! Both are bounded: a length that the bytes claim never allocates more than the bytes can hold.

use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use super::guard::{Finding, Guard};
use crate::ids::{net_id_begins, net_ids_serialised};

/// How deep a peer's value may nest; each struct, tuple, enum, option, list and map is a level. Types that do not
/// contain themselves stay far below it; one that does would let a small message exhaust the stack.
const DEPTH_MAX: usize = 64;

/// How deep a value of our own may nest.
const TRUSTED_DEPTH_MAX: usize = 512;

/// Why bytes are not what they should be. Never tells more than the position: the bytes are an enemy's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early or do not form the type.
    #[error("malformed {what}: {detail}")]
    Malformed {
        /// What was being decoded.
        what: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// There are more bytes than are taken for such a value.
    #[error("{what} of {length} bytes: at most {limit} are taken")]
    TooLong {
        /// What was being decoded.
        what: &'static str,
        /// How many bytes there are.
        length: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The value ended before the bytes did.
    #[error("{left} bytes too many behind {what}")]
    Trailing {
        /// What was being decoded.
        what: &'static str,
        /// How many bytes are left.
        left: usize,
    },
    /// A number is infinite or not a number.
    #[error("a number that is not finite in {what}")]
    NotFinite {
        /// What was being decoded.
        what: &'static str,
    },
}

impl DecodeError {
    /// A malformed `what`, with the reason.
    #[must_use]
    pub fn malformed(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Malformed { what, detail: detail.into() }
    }
}

/// Appends the encoded value to `out`.
///
/// # Panics
/// When the value refuses to be serialised, which types of this project never do.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, out, bincode::config::standard())
        .expect("a value that serialises into memory");
}

/// Appends the encoded value to `out`, and to `ids` where in the value each `NetId` begins, at whatever depth and
/// in whatever type. Each takes eight bytes, so one can be blanked where it stands. Ids behind the first 65,535
/// bytes are not noted: nothing that long is sent.
///
/// A value without ids costs what [`encode_into`] does; one with ids is encoded twice.
///
/// # Panics
/// As [`encode_into`].
pub fn encode_noting_ids<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>, ids: &mut Vec<u16>) {
    let origin = out.len();
    encode_noting_ids_from(origin, value, out, ids);
}

/// [`encode_noting_ids`] with offsets that count from the byte `origin` of `out`.
pub(crate) fn encode_noting_ids_from<T: Serialize + ?Sized>(
    origin: usize,
    value: &T,
    out: &mut Vec<u8>,
    ids: &mut Vec<u16>,
) {
    let (begin, before) = (out.len(), net_ids_serialised());
    encode_into(value, out);
    if net_ids_serialised() != before {
        out.truncate(begin);
        let noting = NotingWriter { out, origin, ids };
        bincode::serde::encode_into_writer(value, noting, bincode::config::standard())
            .expect("a value that has just been serialised");
    }
}

/// Writes into memory and notes where ids begin.
struct NotingWriter<'a> {
    out: &'a mut Vec<u8>,
    origin: usize,
    ids: &'a mut Vec<u16>,
}

impl bincode::enc::write::Writer for NotingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        if net_id_begins() {
            self.ids.extend(u16::try_from(self.out.len() - self.origin).ok());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// The encoded value.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// Decodes exactly one value from all of `bytes`, of which there may be at most `LIMIT`. For bytes of a peer.
///
/// Allocates at most `LIMIT` elements, whatever lengths the bytes claim.
///
/// # Errors
/// When there are more than `LIMIT` bytes, when they are malformed or not all used, and when any number in the
/// value is not finite: infinities and NaN come from a peer only to see what happens. A type that carries floats
/// as something other than `f32` and `f64` must look for itself.
pub fn decode<T: DeserializeOwned, const LIMIT: usize>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    if bytes.len() > LIMIT {
        return Err(DecodeError::TooLong { what, length: bytes.len(), limit: LIMIT });
    }
    let (value, used) = guarded(what, bytes, &Guard::new(true, DEPTH_MAX, LIMIT))?;
    if used != bytes.len() {
        return Err(DecodeError::Trailing { what, left: bytes.len() - used });
    }
    Ok(value)
}

/// Decodes one value from the front of `bytes`, reading at most `LIMIT` of them, and says how many it took.
/// For bytes that this program wrote: any number is fine.
///
/// # Errors
/// When the bytes are malformed or the value needs more than `LIMIT` of them.
pub fn decode_prefix<T: DeserializeOwned, const LIMIT: usize>(
    what: &'static str,
    bytes: &[u8],
) -> Result<(T, usize), DecodeError> {
    let bytes = &bytes[..bytes.len().min(LIMIT)];
    guarded(what, bytes, &Guard::new(false, TRUSTED_DEPTH_MAX, LIMIT))
}

/// [`decode_prefix`] of many values from the same bytes: together they may have `elements_left` list elements and
/// map entries, which this counts down.
pub(crate) fn decode_front<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    elements_left: &mut usize,
) -> Result<(T, usize), DecodeError> {
    let guard = Guard::new(false, TRUSTED_DEPTH_MAX, *elements_left);
    let decoded = guarded(what, bytes, &guard);
    *elements_left = guard.elements_left();
    decoded
}

/// The bound is the length of `bytes`, not bincode's own limit: that one counts eight bytes for an integer that
/// takes one, so it would refuse honest messages.
fn guarded<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    guard: &Guard,
) -> Result<(T, usize), DecodeError> {
    let seed = guard.around(PhantomData::<T>);
    let result = bincode::serde::seed_decode_from_slice(seed, bytes, bincode::config::standard());
    match (guard.finding(), result) {
        (Some(Finding::NotFinite), _) => Err(DecodeError::NotFinite { what }),
        (Some(finding), _) => Err(DecodeError::malformed(what, finding.detail())),
        (None, Ok(decoded)) => Ok(decoded),
        (None, Err(error)) => Err(DecodeError::malformed(what, error.to_string())),
    }
}
