//! What may hold nodes: options, boxes, lists, arrays and maps.

use std::collections::BTreeMap;

use crate::protocol::codec::{self, DecodeError};

use super::key::MapKey;
use super::node::{NodeSpec, SyncNode};
use super::reader::NodeReader;
use super::saved::SaveReader;
use super::sieve::Sieve;
use super::viewing::Viewing;
use super::writer::NodeWriter;

/// Most elements that room is made for before they are there.
const RESERVED_MAX: usize = 64;

impl<T: SyncNode> SyncNode for Box<T> {
    const PERSONAL: bool = T::PERSONAL;
    const IS_COMPONENT_ONLY: bool = T::IS_COMPONENT_ONLY;

    fn node_spec() -> NodeSpec {
        T::node_spec()
    }
    fn encode_node(&self, viewing: Option<&Viewing<'_>>, out: &mut NodeWriter<'_>) {
        (**self).encode_node(viewing, out);
    }
    fn decode_node(from: &mut NodeReader<'_>) -> Result<Self, DecodeError> {
        T::decode_node(from).map(Box::new)
    }
    fn project_node(&self) -> Self {
        Box::new((**self).project_node())
    }
    fn sieve_node(&self, viewing: &Viewing<'_>, sieve: &mut Sieve) -> Self {
        Box::new((**self).sieve_node(viewing, sieve))
    }
    fn save_node(&self, out: &mut Vec<u8>) {
        (**self).save_node(out);
    }
    fn load_node(from: &mut SaveReader<'_>) -> Result<Self, DecodeError> {
        T::load_node(from).map(Box::new)
    }
}

impl<T: SyncNode> SyncNode for Option<T> {
    const PERSONAL: bool = T::PERSONAL;
    const IS_COMPONENT_ONLY: bool = T::IS_COMPONENT_ONLY;

    fn node_spec() -> NodeSpec {
        T::node_spec().held(|form| format!("{form}?"))
    }
    fn encode_node(&self, viewing: Option<&Viewing<'_>>, out: &mut NodeWriter<'_>) {
        out.put_revealing(&self.is_some());
        if let Some(node) = self {
            node.encode_node(viewing, out);
        }
    }
    fn decode_node(from: &mut NodeReader<'_>) -> Result<Self, DecodeError> {
        if from.is_some()? { T::decode_node(from).map(Some) } else { Ok(None) }
    }
    fn project_node(&self) -> Self {
        self.as_ref().map(T::project_node)
    }
    fn sieve_node(&self, viewing: &Viewing<'_>, sieve: &mut Sieve) -> Self {
        self.as_ref().map(|node| node.sieve_node(viewing, sieve))
    }
    fn save_node(&self, out: &mut Vec<u8>) {
        codec::encode_into(&self.is_some(), out);
        if let Some(node) = self {
            node.save_node(out);
        }
    }
    fn load_node(from: &mut SaveReader<'_>) -> Result<Self, DecodeError> {
        if from.value()? { T::load_node(from).map(Some) } else { Ok(None) }
    }
}

impl<T: SyncNode> SyncNode for Vec<T> {
    const PERSONAL: bool = T::PERSONAL;
    const IS_COMPONENT_ONLY: bool = T::IS_COMPONENT_ONLY;

    fn node_spec() -> NodeSpec {
        T::node_spec().held(|form| format!("[{form}]"))
    }
    fn encode_node(&self, viewing: Option<&Viewing<'_>>, out: &mut NodeWriter<'_>) {
        out.put_number(self.len());
        for node in self {
            node.encode_node(viewing, out);
        }
    }
    fn decode_node(from: &mut NodeReader<'_>) -> Result<Self, DecodeError> {
        let length = from.length()?;
        let mut nodes = Vec::with_capacity(length.min(RESERVED_MAX));
        for index in 0..length {
            nodes.push(from.element(&index)?);
        }
        Ok(nodes)
    }
    fn project_node(&self) -> Self {
        self.iter().map(T::project_node).collect()
    }
    fn sieve_node(&self, viewing: &Viewing<'_>, sieve: &mut Sieve) -> Self {
        self.iter().enumerate().map(|(index, node)| sieve.element(&index, node, viewing)).collect()
    }
    fn save_node(&self, out: &mut Vec<u8>) {
        codec::encode_into(&self.len(), out);
        for node in self {
            node.save_node(out);
        }
    }
    fn load_node(from: &mut SaveReader<'_>) -> Result<Self, DecodeError> {
        let length = from.length()?;
        let mut nodes = Vec::with_capacity(length.min(RESERVED_MAX));
        for _ in 0..length {
            nodes.push(T::load_node(from)?);
        }
        Ok(nodes)
    }
}

/// All of them, or the first error.
fn array_of<T, const N: usize>(
    mut next: impl FnMut(usize) -> Result<T, DecodeError>,
) -> Result<[T; N], DecodeError> {
    // So that every element of a list takes bytes, which is what bounds lists.
    const { assert!(N > 0, "a nested array has at least one element") }
    let nodes = (0..N).map(&mut next).collect::<Result<Vec<T>, DecodeError>>()?;
    Ok(nodes.try_into().unwrap_or_else(|_| unreachable!("as many as the array takes were made")))
}

impl<T: SyncNode, const N: usize> SyncNode for [T; N]
where
    [T; N]: Default,
{
    const PERSONAL: bool = T::PERSONAL;
    const IS_COMPONENT_ONLY: bool = T::IS_COMPONENT_ONLY;

    fn node_spec() -> NodeSpec {
        T::node_spec().held(|form| format!("[{form}; {N}]"))
    }
    fn encode_node(&self, viewing: Option<&Viewing<'_>>, out: &mut NodeWriter<'_>) {
        for node in self {
            node.encode_node(viewing, out);
        }
    }
    fn decode_node(from: &mut NodeReader<'_>) -> Result<Self, DecodeError> {
        array_of(|index| from.element(&index))
    }
    fn project_node(&self) -> Self {
        self.each_ref().map(T::project_node)
    }
    fn sieve_node(&self, viewing: &Viewing<'_>, sieve: &mut Sieve) -> Self {
        std::array::from_fn(|index| sieve.element(&index, &self[index], viewing))
    }
    fn save_node(&self, out: &mut Vec<u8>) {
        for node in self {
            node.save_node(out);
        }
    }
    fn load_node(from: &mut SaveReader<'_>) -> Result<Self, DecodeError> {
        array_of(|_| T::load_node(from))
    }
}

/// The entries of a map whose keys name nobody whom the viewer does not see.
fn entries_seen<'m, K: MapKey, T>(
    map: &'m BTreeMap<K, T>,
    viewing: Option<&'m Viewing<'_>>,
) -> impl Iterator<Item = (&'m K, &'m T)> + Clone {
    map.iter().filter(move |(key, _)| {
        let mut seen = true;
        if K::NAMES_ENTITIES {
            key.names(&mut |entity| seen &= viewing.is_some_and(|viewing| viewing.may_name(entity)));
        }
        seen
    })
}

impl<K: MapKey, T: SyncNode> SyncNode for BTreeMap<K, T> {
    const PERSONAL: bool = T::PERSONAL || K::NAMES_ENTITIES;
    const IS_COMPONENT_ONLY: bool = T::IS_COMPONENT_ONLY;

    fn node_spec() -> NodeSpec {
        T::node_spec().held(|form| format!("{{{form}}}"))
    }
    fn encode_node(&self, viewing: Option<&Viewing<'_>>, out: &mut NodeWriter<'_>) {
        let entries = entries_seen(self, viewing);
        out.put_number(entries.clone().count());
        for (key, node) in entries {
            out.put(key);
            node.encode_node(viewing, out);
        }
    }
    fn decode_node(from: &mut NodeReader<'_>) -> Result<Self, DecodeError> {
        let length = from.length()?;
        let mut nodes = BTreeMap::new();
        for _ in 0..length {
            let key: K = from.value()?;
            let node = from.element(&key)?;
            nodes.insert(key, node);
        }
        Ok(nodes)
    }
    fn project_node(&self) -> Self {
        entries_seen(self, None).map(|(key, node)| (key.clone(), node.project_node())).collect()
    }
    fn sieve_node(&self, viewing: &Viewing<'_>, sieve: &mut Sieve) -> Self {
        let entries = entries_seen(self, Some(viewing));
        entries.map(|(key, node)| (key.clone(), sieve.element(key, node, viewing))).collect()
    }
    fn save_node(&self, out: &mut Vec<u8>) {
        codec::encode_into(&self.len(), out);
        for (key, node) in self {
            codec::encode_into(key, out);
            node.save_node(out);
        }
    }
    fn load_node(from: &mut SaveReader<'_>) -> Result<Self, DecodeError> {
        let length = from.length()?;
        let mut nodes = BTreeMap::new();
        for _ in 0..length {
            let key: K = from.value()?;
            nodes.insert(key, T::load_node(from)?);
        }
        Ok(nodes)
    }
}
