//! A layer around any serde deserialiser that refuses what a foe may send and a type does not forbid: numbers
//! that are not finite, values nested without end, and more elements than there can be bytes for.
//!
//! It sees the format through serde's own traits, so it needs nothing of the type but `Deserialize`, and what it
//! refuses it remembers: a type whose `Deserialize` swallows an error does not get away with it.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// What the guard found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// An infinite number, or none at all.
    NotFinite,
    /// Nested deeper than allowed.
    TooDeep,
    /// More list elements and map entries than allowed.
    TooMany,
}

impl Finding {
    pub(super) fn detail(self) -> &'static str {
        match self {
            Finding::NotFinite => "a number is not finite",
            Finding::TooDeep => "it is nested too deeply",
            Finding::TooMany => "it has more elements than its bytes can hold",
        }
    }
}

/// The bounds of one decoding, and what is left of them.
#[derive(Debug)]
pub(super) struct Guard {
    finite_only: bool,
    depth_left: Cell<usize>,
    elements_left: Cell<usize>,
    finding: Cell<Option<Finding>>,
}

impl Guard {
    /// `depth_max` counts nested structs, tuples, enums, options, lists and maps; `elements_max` the elements of
    /// all lists and maps together.
    pub(super) fn new(finite_only: bool, depth_max: usize, elements_max: usize) -> Self {
        Self {
            finite_only,
            depth_left: Cell::new(depth_max),
            elements_left: Cell::new(elements_max),
            finding: Cell::new(None),
        }
    }

    /// What was refused, if anything.
    pub(super) fn finding(&self) -> Option<Finding> {
        self.finding.get()
    }

    /// How many more elements there may be.
    pub(super) fn elements_left(&self) -> usize {
        self.elements_left.get()
    }

    /// The wrapper that carries this guard along.
    pub(super) fn around<T>(&self, inner: T) -> Guarded<'_, T> {
        Guarded { inner, guard: self, counts: false }
    }

    fn refuse<E: Error>(&self, finding: Finding) -> E {
        self.finding.set(Some(finding));
        E::custom(finding.detail())
    }

    fn number<E: Error>(&self, finite: bool) -> Result<(), E> {
        if self.finite_only && !finite { Err(self.refuse(Finding::NotFinite)) } else { Ok(()) }
    }

    fn element<E: Error>(&self) -> Result<(), E> {
        let left = self.elements_left.get().checked_sub(1).ok_or_else(|| self.refuse(Finding::TooMany))?;
        self.elements_left.set(left);
        Ok(())
    }

    /// Runs `nested` one level deeper.
    fn deeper<R, E: Error>(&self, nested: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let left = self.depth_left.get();
        self.depth_left.set(left.checked_sub(1).ok_or_else(|| self.refuse(Finding::TooDeep))?);
        let result = nested();
        self.depth_left.set(left);
        result
    }
}

/// A deserialiser, visitor, seed or access under guard.
pub(super) struct Guarded<'g, T> {
    inner: T,
    guard: &'g Guard,
    /// Whether this is a list or map, whose length the bytes tell, rather than a tuple, whose length the type does.
    counts: bool,
}

impl<'g, T> Guarded<'g, T> {
    fn counting(inner: T, guard: &'g Guard) -> Self {
        Self { inner, guard, counts: true }
    }

    fn size_hint(&self, hint: Option<usize>) -> Option<usize> {
        hint.map(|hint| if self.counts { hint.min(self.guard.elements_left.get()) } else { hint })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guarded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(self.guard.around(deserializer))
    }
}

macro_rules! forward_leaves {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(self.guard.around(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guarded<'_, D> {
    type Error = D::Error;

    forward_leaves! {
        deserialize_any deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_bytes
        deserialize_unit deserialize_identifier deserialize_ignored_any
    }

    // Owned text and bytes are asked for as borrowed ones: then the length is held against the bytes that are
    // there before anything is allocated, and the visitor copies. An owned read trusts the length: nine bytes
    // that claim 2^64 are enough to panic there.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(self.guard.around(visitor))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_bytes(self.guard.around(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_option(self.guard.around(visitor)))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, self.guard.around(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_newtype_struct(name, self.guard.around(visitor)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_seq(Guarded::counting(visitor, self.guard)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_tuple(len, self.guard.around(visitor)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_tuple_struct(name, len, self.guard.around(visitor)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_map(Guarded::counting(visitor, self.guard)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_struct(name, fields, self.guard.around(visitor)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.guard.deeper(|| self.inner.deserialize_enum(name, variants, self.guard.around(visitor)))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! forward_values {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guarded<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    forward_values! {
        visit_bool: bool,
        visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128,
        visit_char: char,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String,
        visit_bytes: &[u8], visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_f32<E: Error>(self, value: f32) -> Result<V::Value, E> {
        self.guard.number(value.is_finite())?;
        self.inner.visit_f32(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.guard.number(value.is_finite())?;
        self.inner.visit_f64(value)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(self.guard.around(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(self.guard.around(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Guarded { inner: access, guard: self.guard, counts: self.counts })
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Guarded { inner: access, guard: self.guard, counts: self.counts })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(self.guard.around(access))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let element = self.inner.next_element_seed(self.guard.around(seed))?;
        if self.counts && element.is_some() {
            self.guard.element()?;
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.size_hint(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let key = self.inner.next_key_seed(self.guard.around(seed))?;
        if self.counts && key.is_some() {
            self.guard.element()?;
        }
        Ok(key)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(self.guard.around(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.size_hint(self.inner.size_hint())
    }
}

impl<'de, 'g, A: EnumAccess<'de>> EnumAccess<'de> for Guarded<'g, A> {
    type Error = A::Error;
    type Variant = Guarded<'g, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(self.guard.around(seed))?;
        Ok((value, self.guard.around(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(self.guard.around(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, self.guard.around(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, self.guard.around(visitor))
    }
}
