//! `derive(Replicate)`.
//!
//! *Does*: reads the policy and wire form of each field and writes a type's table of fields, encoders, decoder,
//! projection, save form, and the naive sieve that these are compared with: once as a node (`SyncNode`), which any
//! struct or enum can be, and once as a component (`SyncFields`).
//! *Does not*: emit a single token about a `server_only` field into what is sent or projected, but the reset of
//! its copy in a ghost.

mod attribute;
mod container;
mod field;
mod fields;
mod node;
mod wire;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, Result};

use crate::checks::no_generics;
use container::Container;
use field::{Field, max_bytes_check};
use node::Shape;

/// Most sent fields of a struct or variant: as many as a mask has bits. `terrane::limits` has the last word; the
/// tests hold the two together.
const SENT_FIELDS_MAX: usize = 32;

/// The type, checked.
struct Type<'a> {
    ident: &'a Ident,
    name: String,
    container: Container,
    shapes: Vec<Shape<'a>>,
}

impl Type<'_> {
    /// Whether it has a policy for the whole component.
    fn is_gated(&self) -> bool {
        !matches!(self.container.gate, container::Gate::Everyone)
    }
}

/// The implementations, or what is wrong with every field at once.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input, "Replicate")?;
    let container = Container::of(input)?;
    let is_sent = !container.is_server_only();
    let shapes = match &input.data {
        Data::Struct(data) => vec![Shape { variant: None, fields: checked_fields(&data.fields, is_sent)? }],
        Data::Enum(data) => checked_variants(data, is_sent)?,
        Data::Union(data) => {
            return Err(Error::new_spanned(
                data.union_token,
                "derive(Replicate) is for structs and enums, not for unions",
            ));
        }
    };
    let ty = Type { ident: &input.ident, name: input.ident.unraw().to_string(), container, shapes };
    let (fields, node) = (fields::implementation(&ty), node::implementation(&ty));
    let checks = ty.shapes.iter().flat_map(|shape| &shape.fields).map(Field::checks);
    let bound = ty.container.max_bytes.map(|bytes| max_bytes_check(bytes, &format!("of enum `{}`", ty.name)));
    Ok(quote!(#fields #node #(#checks)* #bound))
}

fn checked_variants(data: &DataEnum, is_sent: bool) -> Result<Vec<Shape<'_>>> {
    let mut shapes = Vec::new();
    let mut wrong = Wrong::default();
    if data.variants.is_empty() {
        wrong
            .note(Error::new_spanned(data.enum_token, "derive(Replicate) is for enums with a value to send"));
    }
    for (number, variant) in data.variants.iter().enumerate() {
        if let Some((_, discriminant)) = &variant.discriminant {
            wrong.note(Error::new_spanned(
                discriminant,
                "variants of a replicated enum are told by their place: leave the discriminant out",
            ));
        }
        if let Some(attribute) = variant.attrs.iter().find(|attribute| attribute.path().is_ident("sync")) {
            wrong.note(Error::new_spanned(
                attribute,
                "which variant it is everybody sees who sees the enum: policies are for its fields",
            ));
        }
        match checked_fields(&variant.fields, is_sent) {
            Ok(fields) => {
                let name = variant.ident.unraw().to_string();
                shapes.push(Shape { variant: Some((number, &variant.ident, name)), fields });
            }
            Err(error) => wrong.note(error),
        }
    }
    wrong.or(shapes)
}

fn checked_fields(fields: &Fields, is_sent: bool) -> Result<Vec<Field<'_>>> {
    let mut checked = Vec::new();
    let mut wrong = Wrong::default();
    for (index, field) in fields.iter().enumerate() {
        match Field::of(index, field, is_sent) {
            Ok(field) => checked.push(field),
            Err(error) => wrong.note(error),
        }
    }
    if let Some(field) = checked.iter().filter(|field| field.is_sent()).nth(SENT_FIELDS_MAX) {
        wrong.note(Error::new(
            field.member.span(),
            format!(
                "at most {SENT_FIELDS_MAX} fields of a struct or variant can be sent and `{}` is one more: join some into a struct of their own",
                field.label
            ),
        ));
    }
    wrong.or(checked)
}

/// All that is wrong, told at once.
#[derive(Default)]
struct Wrong(Option<Error>);

impl Wrong {
    fn note(&mut self, error: Error) {
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(errors) => errors.combine(error),
        }
    }

    fn or<T>(self, right: T) -> Result<T> {
        self.0.map_or(Ok(right), Err)
    }
}
