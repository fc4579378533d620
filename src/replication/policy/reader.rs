//! Bytes to nodes, whoever wrote them: every step is bounded by the bytes that are there.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{NODE_LEVELS_MAX, SENT_FIELDS_MAX};
use crate::protocol::codec::{self, DecodeError};
use crate::replication::quantised::Quantised;

use super::node::SyncNode;

/// Most elements of all lists and maps in the plain values of one field: elements that take no bytes would otherwise be
/// counted without end.
const ELEMENTS_MAX: usize = u16::MAX as usize;

/// Reads nodes, and notes what is hidden in them if that is wanted.
#[derive(Debug)]
pub struct NodeReader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    level: usize,
    elements_left: usize,
    hidden: Option<&'a mut Vec<String>>,
    /// Where in the component the next field is; kept only for `hidden`.
    path: String,
}

impl<'a> NodeReader<'a> {
    /// Reads `bytes`; `what` is named in errors.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, level: 0, elements_left: ELEMENTS_MAX, hidden: None, path: String::new() }
    }

    /// The same; the paths of what is hidden, each beginning with `path`, are added to `hidden`.
    pub(crate) fn noting_hidden(mut self, path: &str, hidden: &'a mut Vec<String>) -> Self {
        self.path.push_str(path);
        self.hidden = Some(hidden);
        self
    }

    /// The whole node that the bytes are, which `decode` reads.
    pub(crate) fn read_all<V>(
        mut self,
        decode: impl FnOnce(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        let value = decode(&mut self)?;
        match self.bytes.len() {
            0 => Ok(value),
            left => Err(DecodeError::Trailing { what: self.what, left }),
        }
    }

    fn malformed(&self, detail: impl Into<String>) -> DecodeError {
        DecodeError::malformed(self.what, detail)
    }

    /// A value as the codec writes it.
    ///
    /// # Errors
    /// When the bytes are no such value.
    pub fn value<V: DeserializeOwned>(&mut self) -> Result<V, DecodeError> {
        let (value, used) = codec::decode_front(self.what, self.bytes, &mut self.elements_left)?;
        self.bytes = &self.bytes[used..];
        Ok(value)
    }

    /// The length of a list or map whose every element takes at least a byte.
    ///
    /// # Errors
    /// When there are not so many bytes.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        let length: u64 = self.value()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.bytes.len() => Ok(length),
            _ => Err(self.malformed("it has more elements than its bytes can hold")),
        }
    }

    /// Whether an option holds something.
    ///
    /// # Errors
    /// When the bytes do not say so clearly.
    pub fn is_some(&mut self) -> Result<bool, DecodeError> {
        self.value()
    }

    /// The number of an enum's variant.
    ///
    /// # Errors
    /// When there is none.
    pub fn variant(&mut self) -> Result<u32, DecodeError> {
        self.value()
    }

    /// The error of a variant that the enum does not have.
    #[must_use]
    pub fn no_such_variant(&self, variant: u32) -> DecodeError {
        self.malformed(format!("there is no variant number {variant}"))
    }

    /// Begins a struct or variant with so many sent fields: which of them are seen.
    ///
    /// # Errors
    /// When it lies too deep, or there are no such fields.
    pub fn begin(&mut self, fields: usize) -> Result<u32, DecodeError> {
        if self.level == NODE_LEVELS_MAX {
            return Err(self.malformed("it is nested too deeply"));
        }
        self.level += 1;
        let mask: u32 = self.value()?;
        if fields < SENT_FIELDS_MAX && mask >> fields != 0 {
            return Err(self.malformed("it has more fields than there are"));
        }
        Ok(mask)
    }

    /// Ends the struct or variant that was begun last.
    pub fn end(&mut self) {
        self.level -= 1;
    }

    /// The next field: read if it is seen, its default otherwise.
    fn seen<V: Default>(
        &mut self,
        (mask, bit, name): (u32, u32, &str),
        read: impl FnOnce(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        if mask >> bit & 1 == 1 {
            return read(self);
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.push(path_of_field(&self.path, name));
        }
        Ok(V::default())
    }

    /// The next field of a struct or variant; its default when `mask` says that it is hidden.
    ///
    /// # Errors
    /// When the bytes are no such value.
    pub fn field<V: DeserializeOwned + Default>(
        &mut self,
        mask: u32,
        bit: u32,
        name: &str,
    ) -> Result<V, DecodeError> {
        self.seen((mask, bit, name), Self::value)
    }

    /// The same for one that is told in steps of `precision`.
    ///
    /// # Errors
    /// When the bytes are no steps.
    pub fn quantised_field<V: Quantised + Default>(
        &mut self,
        mask: u32,
        bit: u32,
        name: &str,
        precision: f32,
    ) -> Result<V, DecodeError> {
        self.seen((mask, bit, name), |reader| Ok(V::from_steps(reader.value()?, precision)))
    }

    /// The same for one that is a node, which `decode` reads.
    ///
    /// # Errors
    /// When the bytes are no such node.
    pub fn nested_field<V: Default>(
        &mut self,
        mask: u32,
        bit: u32,
        name: &str,
        decode: impl FnOnce(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<V, DecodeError> {
        self.seen((mask, bit, name), |reader| {
            if reader.hidden.is_none() {
                return decode(reader);
            }
            let here = path_of_field(&reader.path, name);
            let before = std::mem::replace(&mut reader.path, here);
            let value = decode(reader);
            reader.path = before;
            value
        })
    }

    /// An element of a list or map, which `key` names in paths.
    ///
    /// # Errors
    /// When the bytes are no such node.
    pub fn element<V: SyncNode>(&mut self, key: &(impl Serialize + ?Sized)) -> Result<V, DecodeError> {
        if self.hidden.is_none() {
            return V::decode_node(self);
        }
        let before = self.path.len();
        self.path.push_str(&element_of_path(key));
        let value = V::decode_node(self);
        self.path.truncate(before);
        value
    }
}

/// The path of a field of what is at `path`; that of a component's own field is its name.
pub(super) fn path_of_field(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// An element in a path: `[2]`, `[alice]`. Keys are printed as JSON has them, texts without quotes.
pub(super) fn element_of_path(key: &(impl Serialize + ?Sized)) -> String {
    let text = serde_json::to_string(key).unwrap_or_else(|_| "?".to_owned());
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    format!("[{}]", bare.unwrap_or(&text))
}
