//! Nodes to bytes.

use std::borrow::Cow;

use serde::Serialize;

use crate::limits::NODE_LEVELS_MAX;
use crate::protocol::codec;
use crate::replication::quantised::Quantised;
use crate::replication::wire::{put_varint, varint_length};

/// Appends nodes, and notes where in them the names of entities lie.
#[derive(Debug)]
pub struct NodeWriter<'a> {
    bytes: &'a mut Vec<u8>,
    ids: &'a mut Vec<u16>,
    /// Places of ids count from this byte.
    origin: usize,
    level: usize,
    /// Something too deep was met and the field that holds it has not been left out yet.
    too_deep: bool,
    left_out: u32,
}

/// A struct or variant that is being written.
#[derive(Debug)]
pub struct OpenNode {
    mask: u32,
    mask_at: usize,
    first_id: usize,
}

impl<'a> NodeWriter<'a> {
    /// Appends to `bytes`; places in `ids` are to count from its byte `origin`.
    pub(crate) fn new(origin: usize, bytes: &'a mut Vec<u8>, ids: &'a mut Vec<u16>) -> Self {
        Self { bytes, ids, origin, level: 0, too_deep: false, left_out: 0 }
    }

    /// How many fields were left out because they were nested too deeply.
    pub(crate) fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Appends a number: a length, a variant.
    pub fn put_number(&mut self, number: usize) {
        put_varint(self.bytes, number as u64);
    }

    /// Appends a value and notes the ids in it.
    pub fn put<V: Serialize + ?Sized>(&mut self, value: &V) {
        codec::encode_noting_ids_from(self.origin, value, self.bytes, self.ids);
    }

    /// Appends a value whose ids everybody may know.
    pub fn put_revealing<V: Serialize + ?Sized>(&mut self, value: &V) {
        codec::encode_into(value, self.bytes);
    }

    /// Appends a value as steps of `precision`.
    pub fn put_quantised<V: Quantised>(&mut self, value: &V, precision: f32) {
        value.put_steps(precision, self.bytes);
    }

    /// Begins a struct, or that variant of an enum. `None` when it lies too deep: nothing is to be written then.
    pub fn begin(&mut self, variant: Option<usize>) -> Option<OpenNode> {
        if self.level == NODE_LEVELS_MAX {
            self.too_deep = true;
            return None;
        }
        self.level += 1;
        if let Some(variant) = variant {
            self.put_number(variant);
        }
        let node = OpenNode { mask: 0, mask_at: self.bytes.len(), first_id: self.ids.len() };
        // Most masks are one byte: there is room for it, and others make more.
        self.bytes.push(0);
        Some(node)
    }

    /// Writes the mask of a struct or variant all of whose fields have been written.
    pub fn end(&mut self, node: OpenNode) {
        let OpenNode { mask, mask_at, first_id } = node;
        self.level -= 1;
        let length = varint_length(mask.into());
        if length == 1 {
            self.bytes[mask_at] = mask as u8;
            return;
        }
        let mut varint = Vec::with_capacity(length);
        put_varint(&mut varint, mask.into());
        self.bytes.splice(mask_at..=mask_at, varint);
        move_ids(self.ids, first_id, length - 1);
    }

    /// The next field, if it is seen.
    pub fn field<V: Serialize + Clone>(&mut self, node: &mut OpenNode, bit: u32, seen: Option<Cow<'_, V>>) {
        if let Some(value) = seen {
            node.mask |= 1 << bit;
            self.put(&*value);
        }
    }

    /// The next field, if it is seen; its ids everybody may know.
    pub fn revealing_field<V: Serialize + Clone>(
        &mut self,
        node: &mut OpenNode,
        bit: u32,
        seen: Option<Cow<'_, V>>,
    ) {
        if let Some(value) = seen {
            node.mask |= 1 << bit;
            self.put_revealing(&*value);
        }
    }

    /// The next field, if it is seen, as steps of `precision`.
    pub fn quantised_field<V: Quantised + Clone>(
        &mut self,
        node: &mut OpenNode,
        bit: u32,
        seen: Option<Cow<'_, V>>,
        precision: f32,
    ) {
        if let Some(value) = seen {
            node.mask |= 1 << bit;
            self.put_quantised(&*value, precision);
        }
    }

    /// The next field, if it is seen: a node itself, which `encode` appends. One that nests too deeply is left out and
    /// counted.
    pub fn nested_field<V: Clone>(
        &mut self,
        node: &mut OpenNode,
        bit: u32,
        seen: Option<Cow<'_, V>>,
        encode: impl FnOnce(&V, &mut Self),
    ) {
        let Some(value) = seen else { return };
        let (bytes, ids) = (self.bytes.len(), self.ids.len());
        encode(&value, self);
        if std::mem::take(&mut self.too_deep) {
            self.bytes.truncate(bytes);
            self.ids.truncate(ids);
            self.left_out += 1;
        } else {
            node.mask |= 1 << bit;
        }
    }
}

/// Moves the places of ids from the `first` on, because bytes were inserted before them. What no place can name any
/// more lies behind all that is ever sent.
pub(crate) fn move_ids(ids: &mut Vec<u16>, first: usize, by: usize) {
    let mut kept = first;
    for index in first..ids.len() {
        if let Ok(moved) = u16::try_from(usize::from(ids[index]) + by) {
            ids[kept] = moved;
            kept += 1;
        }
    }
    ids.truncate(kept);
}
