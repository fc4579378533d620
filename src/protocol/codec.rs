//! Values to bytes and back. The only module that names bincode.
//!
//! Integers are variable-width (one byte below 251), everything else is as small as serde makes it. Decoding
//! is bounded: never more is allocated than the limit given, and bytes that are left over are an error.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not what they should be. Never tells more than the position: the bytes are an enemy's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early, exceed the limit or do not form the type.
    #[error("malformed {what}: {detail}")]
    Malformed {
        /// What was being decoded.
        what: &'static str,
        /// What the decoder said.
        detail: String,
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

/// The encoded value.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// Decodes exactly one value from all of `bytes`, reading at most `LIMIT` bytes.
///
/// # Errors
/// When the bytes are malformed, too long, or not all used.
pub fn decode<T: DeserializeOwned, const LIMIT: usize>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    let (value, used) = decode_prefix::<T, LIMIT>(what, bytes)?;
    if used != bytes.len() {
        return Err(DecodeError::Trailing { what, left: bytes.len() - used });
    }
    Ok(value)
}

/// Decodes one value from the front of `bytes` and says how many bytes it took.
///
/// # Errors
/// When the bytes are malformed or the value needs more than `LIMIT` bytes.
pub fn decode_prefix<T: DeserializeOwned, const LIMIT: usize>(
    what: &'static str,
    bytes: &[u8],
) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| DecodeError::malformed(what, error.to_string()))
}
