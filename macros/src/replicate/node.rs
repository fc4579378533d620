//! `SyncNode`: what any type with field policies is, component or not.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::Type;
use super::field::Field;

/// A struct, or one variant of an enum.
pub(crate) struct Shape<'a> {
    /// The number and name of a variant.
    pub(crate) variant: Option<(usize, &'a Ident, String)>,
    pub(crate) fields: Vec<Field<'a>>,
}

impl<'a> Shape<'a> {
    /// The fields that are sent, each with its number.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (usize, &Field<'a>)> {
        self.fields.iter().filter(|field| field.is_sent()).enumerate()
    }

    /// What it is called in patterns and expressions.
    fn path(&self) -> TokenStream {
        match &self.variant {
            None => quote!(Self),
            Some((_, ident, _)) => quote!(Self::#ident),
        }
    }

    /// A pattern that binds all fields.
    pub(crate) fn pattern(&self) -> TokenStream {
        let path = self.path();
        let bound = self.fields.iter().map(|Field { member, binding, .. }| quote!(#member: #binding));
        quote!(#path { #(#bound,)* })
    }

    /// An expression of it, from one for each field.
    pub(crate) fn construct(&self, value: impl Fn(&Field<'a>) -> TokenStream) -> TokenStream {
        let path = self.path();
        let values = self.fields.iter().map(|field| {
            let (member, value) = (&field.member, value(field));
            quote!(#member: #value)
        });
        quote!(#path { #(#values,)* })
    }

    fn encode(&self) -> TokenStream {
        let pattern = self.pattern();
        let variant = match &self.variant {
            None => quote!(::core::option::Option::None),
            Some((number, ..)) => quote!(::core::option::Option::Some(#number)),
        };
        let fields = self.sent().map(|(bit, field)| field.encode_in_node(bit));
        quote! {
            #pattern => {
                let ::core::option::Option::Some(mut node) = out.begin(#variant) else { return };
                #(#fields)*
                out.end(node);
            }
        }
    }

    fn decode(&self) -> TokenStream {
        let bit_of = |field: &Field<'a>| {
            self.sent().find(|(_, sent)| sent.binding == field.binding).map(|(bit, _)| bit)
        };
        let value = self.construct(|field| field.decode_in_node(bit_of(field)));
        let fields = self.sent().count();
        quote! {{
            let mask = from.begin(#fields)?;
            let value = #value;
            from.end();
            value
        }}
    }

    fn save(&self) -> TokenStream {
        let pattern = self.pattern();
        let variant = self.variant.as_ref().map(|(number, ..)| {
            let number = *number as u32;
            quote!(::terrane::protocol::codec::encode_into(&#number, out);)
        });
        let fields = self.fields.iter().map(Field::save);
        quote!(#pattern => { #variant #(#fields)* })
    }
}

/// One expression for a struct; for an enum one for each variant, picked by number.
fn by_variant<'a>(ty: &Type<'a>, read: &TokenStream, one: impl Fn(&Shape<'a>) -> TokenStream) -> TokenStream {
    if let [shape] = &ty.shapes[..]
        && shape.variant.is_none()
    {
        return one(shape);
    }
    let arms = ty.shapes.iter().enumerate().map(|(number, shape)| {
        let (number, value) = (number as u32, one(shape));
        quote!(#number => #value)
    });
    quote! {
        match #read {
            #(#arms,)*
            unknown => return ::core::result::Result::Err(from.no_such_variant(unknown)),
        }
    }
}

pub(crate) fn implementation(ty: &Type<'_>) -> TokenStream {
    let (ident, name) = (ty.ident, &ty.name);
    let personal = ty
        .shapes
        .iter()
        .flat_map(|shape| shape.sent())
        // What contains itself adds nothing to the question, and could not be asked.
        .filter(|(_, field)| field.is_personal() || !field.nests(ident))
        .map(|(_, field)| field.personal());
    let is_component_only = ty.container.is_for_components_alone();
    let variants = ty.shapes.iter().map(|shape| match &shape.variant {
        None => quote! {
            ::terrane::replication::policy::VariantSpec {
                name: "",
                fields: <#ident as ::terrane::replication::SyncFields>::FIELDS,
            }
        },
        Some((_, _, name)) => {
            let specs = shape.fields.iter().map(Field::spec);
            quote!(::terrane::replication::policy::VariantSpec { name: #name, fields: &[#(#specs,)*] })
        }
    });
    let encoded = ty.shapes.iter().map(Shape::encode);
    let decoded = by_variant(ty, &quote!(from.variant()?), Shape::decode);
    let projected = ty.shapes.iter().map(|shape| {
        let pattern = shape.pattern();
        let value = shape.construct(|Field { binding, .. }| quote!(#binding));
        let fields = shape.fields.iter().map(|field| {
            let binding = &field.binding;
            let projected = field.projected(&quote!(#binding));
            quote!(let #binding = #projected;)
        });
        quote!(#pattern => { #(#fields)* #value })
    });
    let sieved = ty.shapes.iter().map(|shape| {
        let (pattern, value) = (shape.pattern(), shape.construct(Field::sieve));
        quote!(#pattern => #value)
    });
    let saved = ty.shapes.iter().map(Shape::save);
    let loaded = by_variant(ty, &quote!(from.value::<u32>()?), |shape| shape.construct(Field::load));

    quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        #[allow(unused_variables, unused_mut, clippy::all, reason = "a type may have no fields of some kind")]
        impl ::terrane::replication::policy::SyncNode for #ident {
            const PERSONAL: bool = false #(|| #personal)*;
            const IS_COMPONENT_ONLY: bool = #is_component_only;

            fn node_spec() -> ::terrane::replication::policy::NodeSpec {
                const VARIANTS: &[::terrane::replication::policy::VariantSpec] = &[#(#variants,)*];
                ::terrane::replication::policy::NodeSpec {
                    name: #name,
                    form: ::std::string::String::from(#name),
                    variants: VARIANTS,
                }
            }

            fn encode_node(
                &self,
                viewing: ::core::option::Option<&::terrane::replication::policy::Viewing<'_>>,
                out: &mut ::terrane::replication::policy::NodeWriter<'_>,
            ) {
                match self { #(#encoded)* }
            }

            fn decode_node(
                from: &mut ::terrane::replication::policy::NodeReader<'_>,
            ) -> ::core::result::Result<Self, ::terrane::protocol::codec::DecodeError> {
                ::core::result::Result::Ok(#decoded)
            }

            fn project_node(&self) -> Self {
                match self { #(#projected)* }
            }

            fn sieve_node(
                &self,
                viewing: &::terrane::replication::policy::Viewing<'_>,
                sieve: &mut ::terrane::replication::policy::Sieve,
            ) -> Self {
                sieve.node(|sieve| match self { #(#sieved,)* })
            }

            fn save_node(&self, out: &mut ::std::vec::Vec<u8>) {
                match self { #(#saved)* }
            }

            fn load_node(
                from: &mut ::terrane::replication::policy::SaveReader<'_>,
            ) -> ::core::result::Result<Self, ::terrane::protocol::codec::DecodeError> {
                from.node(|from| ::core::result::Result::Ok(#loaded))
            }
        }
    }
}
