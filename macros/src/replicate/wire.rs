//! Which form a field takes on the wire, by its type as written.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, PathArguments, Result, Type};

use super::attribute::Sync;

/// How a field travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Always so many bytes.
    Fixed(u8),
    /// A variable-width integer of at most so many bytes.
    Varint(usize),
    /// A length and at most so many bytes; `None` for the engine's default.
    Prefixed(Option<usize>),
}

/// What the type says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Byte,
    Integer(usize),
    F32,
    F64,
    Vector(usize),
    Other,
}

/// Most bytes of a quantised number: the steps are an `i32`.
const STEPS_BYTES_MAX: usize = 5;

impl Wire {
    /// The form of a field of type `ty`, as a field of a component.
    pub(crate) fn of(ty: &Type, sync: &Sync) -> Result<Self> {
        let kind = Kind::of(ty);
        let is_plain = sync.nested.is_none();
        if let Some((_, span)) = sync.precision
            && !matches!(kind, Kind::F32 | Kind::F64 | Kind::Vector(_))
        {
            return Err(Error::new(
                span,
                "precision is for fields of type f32, f64, Vec2 and Vec3: others are sent as they are",
            ));
        }
        let wire = match (kind, sync.precision) {
            _ if !is_plain => Wire::Prefixed(None),
            (Kind::Byte, _) => Wire::Fixed(1),
            (Kind::Integer(bytes_max), _) => Wire::Varint(bytes_max),
            (Kind::F32, None) => Wire::Fixed(4),
            (Kind::F64, None) => Wire::Fixed(8),
            (Kind::F32 | Kind::F64, Some(_)) => Wire::Varint(STEPS_BYTES_MAX),
            (Kind::Vector(axes), Some(_)) => Wire::Prefixed(Some(axes * STEPS_BYTES_MAX)),
            (Kind::Vector(_) | Kind::Other, _) => Wire::Prefixed(None),
        };
        if let Some((bytes, span)) = sync.max_bytes {
            if wire != Wire::Prefixed(None) {
                return Err(Error::new(
                    span,
                    "max_bytes is for fields of varying length: this one is bounded",
                ));
            }
            return Ok(Wire::Prefixed(Some(bytes)));
        }
        Ok(match wire {
            // It may be hidden, so it says whether it is there.
            Wire::Fixed(bytes) if sync.policy.is_personal() => Wire::Prefixed(Some(bytes.into())),
            Wire::Varint(bytes) if sync.policy.is_personal() => Wire::Prefixed(Some(bytes)),
            wire => wire,
        })
    }

    /// The value of `FieldSpec::wire`.
    pub(crate) fn tokens(self) -> TokenStream {
        match self {
            Wire::Fixed(bytes) => quote!(::terrane::replication::FieldWire::Fixed(#bytes)),
            Wire::Varint(_) => quote!(::terrane::replication::FieldWire::Varint),
            Wire::Prefixed(_) => quote!(::terrane::replication::FieldWire::Prefixed),
        }
    }

    /// The value of `FieldSpec::bytes_max`.
    pub(crate) fn bytes_max(self) -> TokenStream {
        match self {
            Wire::Fixed(bytes) => {
                let bytes = usize::from(bytes);
                quote!(#bytes)
            }
            Wire::Varint(bytes) | Wire::Prefixed(Some(bytes)) => quote!(#bytes),
            Wire::Prefixed(None) => quote!(::terrane::limits::FIELD_BYTES_MAX_DEFAULT),
        }
    }
}

impl Kind {
    fn of(ty: &Type) -> Self {
        let path = match ty {
            Type::Group(group) => return Self::of(&group.elem),
            Type::Paren(paren) => return Self::of(&paren.elem),
            Type::Path(path) if path.qself.is_none() => &path.path,
            _ => return Kind::Other,
        };
        let Some(last) = path.segments.last().filter(|last| matches!(last.arguments, PathArguments::None))
        else {
            return Kind::Other;
        };
        let name = last.ident.to_string();
        match (name.as_str(), path.segments.len()) {
            ("u8" | "i8" | "bool", 1) => Kind::Byte,
            ("u16" | "i16", 1) => Kind::Integer(3),
            ("u32" | "i32", 1) => Kind::Integer(5),
            ("u64" | "i64" | "usize" | "isize", 1) => Kind::Integer(9),
            ("u128" | "i128", 1) => Kind::Integer(17),
            ("f32", 1) => Kind::F32,
            ("f64", 1) => Kind::F64,
            ("Vec2", _) => Kind::Vector(2),
            ("Vec3", _) => Kind::Vector(3),
            _ => Kind::Other,
        }
    }
}
