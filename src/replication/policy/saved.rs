//! Saved nodes back to values.

use serde::de::DeserializeOwned;

use crate::limits::SAVED_FIELD_BYTES_MAX;
use crate::protocol::codec::{self, DecodeError};

use super::node::SyncNode;

/// How deep a saved node may nest, as deep as what the codec itself reads of our own.
const LEVELS_MAX: usize = 512;

/// Reads what [`SyncNode::save_node`] wrote.
#[derive(Debug)]
pub struct SaveReader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    used: usize,
    level: usize,
    elements_left: usize,
}

impl<'a> SaveReader<'a> {
    /// Reads the front of `bytes`; `what` is named in errors.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, used: 0, level: 0, elements_left: SAVED_FIELD_BYTES_MAX }
    }

    /// How many bytes have been read.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// A value as the codec writes it.
    ///
    /// # Errors
    /// When the bytes are no such value.
    pub fn value<V: DeserializeOwned>(&mut self) -> Result<V, DecodeError> {
        let (value, length) =
            codec::decode_front(self.what, &self.bytes[self.used..], &mut self.elements_left)?;
        self.used += length;
        Ok(value)
    }

    /// The length of a list or map.
    ///
    /// # Errors
    /// When it is longer than any that can be saved.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        let length: u64 = self.value()?;
        let left = usize::try_from(length).ok().and_then(|length| self.elements_left.checked_sub(length));
        self.elements_left =
            left.ok_or_else(|| DecodeError::malformed(self.what, "it has more elements than can be saved"))?;
        Ok(length as usize)
    }

    /// Reads a struct or enum.
    ///
    /// # Errors
    /// When it lies too deep, or `read` says so.
    pub fn node<V: SyncNode>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        if self.level == LEVELS_MAX {
            return Err(DecodeError::malformed(self.what, "it is nested too deeply"));
        }
        self.level += 1;
        let value = read(self);
        self.level -= 1;
        value
    }

    /// The error of a variant that the enum does not have.
    #[must_use]
    pub fn no_such_variant(&self, variant: u32) -> DecodeError {
        DecodeError::malformed(self.what, format!("there is no variant number {variant}"))
    }
}
