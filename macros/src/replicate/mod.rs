//! `derive(Replicate)`.
//!
//! *Does*: reads the policy and wire form of each field and writes the component's field table, encoder, decoder,
//! projection and save form.
//! *Does not*: emit a single token about a `server_only` field into what is sent or projected, but the reset of
//! its copy in a ghost.

mod attribute;
mod wire;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Index, Member, Result, Type};

use crate::checks::{compact, no_generics, no_raw_entity};
use attribute::{Policy, Sync};
use wire::Wire;

/// Most sent fields of one component: an entity's mask has bits for 31 fields, two of which are its position.
/// `terrane::limits` has the last word; the tests hold the two together.
const SENT_FIELDS_MAX: usize = 31 - 2;

/// One field, checked.
struct Field<'a> {
    member: Member,
    label: String,
    ty: &'a Type,
    sync: Sync,
    wire: Wire,
}

/// The implementation, or what is wrong with every field at once.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input, "Replicate")?;
    let fields = match &input.data {
        Data::Struct(data) => checked_fields(&data.fields)?,
        Data::Enum(data) => {
            return Err(Error::new_spanned(
                data.enum_token,
                format!(
                    "derive(Replicate) is for structs, whose fields have policies: wrap the enum, as in `struct {}Component {{ #[sync(broadcast)] value: {0} }}`",
                    input.ident
                ),
            ));
        }
        Data::Union(data) => {
            return Err(Error::new_spanned(
                data.union_token,
                "derive(Replicate) is for structs, not for unions",
            ));
        }
    };
    Ok(implementation(input, &fields))
}

fn checked_fields(fields: &Fields) -> Result<Vec<Field<'_>>> {
    let mut checked = Vec::new();
    let mut wrong: Option<Error> = None;
    for (index, field) in fields.iter().enumerate() {
        match checked_field(index, field) {
            Ok(field) => checked.push(field),
            Err(error) => match &mut wrong {
                None => wrong = Some(error),
                Some(errors) => errors.combine(error),
            },
        }
    }
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    match checked.iter().filter(|field| field.sync.policy != Policy::ServerOnly).nth(SENT_FIELDS_MAX) {
        None => Ok(checked),
        Some(field) => Err(Error::new(
            field.member.span(),
            format!(
                "at most {SENT_FIELDS_MAX} fields of a component can be sent and `{}` is one more: join some into a struct, which is sent as one",
                field.label
            ),
        )),
    }
}

fn checked_field(index: usize, field: &syn::Field) -> Result<Field<'_>> {
    let (member, label) = match &field.ident {
        Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string()),
        None => (Member::Unnamed(Index { index: index as u32, span: field.ty.span() }), index.to_string()),
    };
    no_raw_entity(&field.ty)?;
    let sync = Sync::of(field, &label)?;
    let wire = Wire::of(&field.ty, &sync)?;
    Ok(Field { member, label, ty: &field.ty, sync, wire })
}

fn implementation(input: &DeriveInput, fields: &[Field]) -> TokenStream {
    let ident = &input.ident;
    let name = ident.unraw().to_string();
    let specs = fields.iter().map(Field::spec);
    let sent = || fields.iter().filter(|field| field.sync.policy != Policy::ServerOnly);
    let encoded = sent().map(Field::encode);
    let decoded = sent().enumerate().map(|(number, field)| field.decode(number, &name));
    let projected = fields.iter().map(Field::project);
    let saved = fields
        .iter()
        .map(|Field { member, .. }| quote!(::terrane::protocol::codec::encode_into(&self.#member, out);));
    let loaded = fields.iter().map(|field| {
        let (member, what) = (&field.member, field.what(&name));
        quote!(#member: ::terrane::replication::field::load_field(#what, bytes, &mut used)?,)
    });
    let bounds = sent().filter_map(Field::bound_check);

    quote! {
        #[automatically_derived]
        #[allow(unused_variables, unused_mut, reason = "a component may have no fields of some kind")]
        impl ::terrane::replication::Replicate for #ident {
            const NAME: &'static str = #name;
            const FIELDS: &'static [::terrane::replication::FieldSpec] = &[#(#specs),*];

            fn encode_sent(&self, out: &mut ::terrane::replication::FieldWriter) {
                #(#encoded)*
            }

            fn decode_sent(
                &mut self,
                field: usize,
                bytes: &[u8],
            ) -> ::core::result::Result<(), ::terrane::protocol::codec::DecodeError> {
                match field {
                    #(#decoded)*
                    _ => ::core::result::Result::Err(
                        ::terrane::replication::field::no_such_field(#name, field),
                    ),
                }
            }

            fn project(&self, ghost: &mut Self) {
                #(#projected)*
            }

            fn save(&self, out: &mut ::std::vec::Vec<u8>) {
                #(#saved)*
            }

            fn load(
                bytes: &[u8],
            ) -> ::core::result::Result<(Self, usize), ::terrane::protocol::codec::DecodeError> {
                let mut used = 0;
                let value = Self { #(#loaded)* };
                ::core::result::Result::Ok((value, used))
            }
        }

        #(#bounds)*
    }
}

impl Field<'_> {
    /// The field's name in an error.
    fn what(&self, component: &str) -> String {
        format!("{component}.{}", self.label)
    }

    fn spec(&self) -> TokenStream {
        let (label, type_name) = (&self.label, compact(&self.ty));
        let policy = match self.sync.policy {
            Policy::ServerOnly => quote!(ServerOnly),
            Policy::Broadcast => quote!(Broadcast),
        };
        let (wire, bytes_max) = (self.wire.tokens(), self.wire.bytes_max());
        let precision = match self.sync.precision {
            None => quote!(::core::option::Option::None),
            Some((precision, _)) => quote!(::core::option::Option::Some(#precision)),
        };
        quote! {
            ::terrane::replication::FieldSpec {
                name: #label,
                type_name: #type_name,
                policy: ::terrane::replication::Policy::#policy,
                wire: #wire,
                precision: #precision,
                bytes_max: #bytes_max,
            }
        }
    }

    fn encode(&self) -> TokenStream {
        let (member, wire, bytes_max) = (&self.member, self.wire.tokens(), self.wire.bytes_max());
        let put = match self.sync.precision {
            None => quote!(out.put(&self.#member);),
            Some((precision, _)) => {
                quote!(::terrane::replication::quantised::Quantised::put_steps(&self.#member, #precision, out);)
            }
        };
        quote! {
            #put
            out.end_field(#wire, #bytes_max);
        }
    }

    fn decode(&self, number: usize, component: &str) -> TokenStream {
        let (member, what) = (&self.member, self.what(component));
        let take = match self.sync.precision {
            None => quote!(::terrane::replication::field::take(#what, bytes)?),
            Some((precision, _)) => {
                quote!(::terrane::replication::quantised::Quantised::take_steps(#what, #precision, bytes)?)
            }
        };
        let value = if matches!(self.wire, Wire::Prefixed(_)) {
            quote! {
                match ::terrane::replication::field::prefixed_payload(bytes)? {
                    ::core::option::Option::Some(bytes) => #take,
                    ::core::option::Option::None => ::core::default::Default::default(),
                }
            }
        } else {
            take
        };
        quote! {
            #number => {
                self.#member = #value;
                ::core::result::Result::Ok(())
            }
        }
    }

    fn project(&self) -> TokenStream {
        let member = &self.member;
        match self.sync.policy {
            Policy::ServerOnly => quote!(ghost.#member = ::core::default::Default::default();),
            Policy::Broadcast => quote!(::core::clone::Clone::clone_from(&mut ghost.#member, &self.#member);),
        }
    }

    /// A `max_bytes` that no record can carry does not compile; which one that is, only the engine knows.
    fn bound_check(&self) -> Option<TokenStream> {
        let (bytes, span) = self.sync.max_bytes?;
        let message = format!(
            "max_bytes of field `{}` is more than a record can carry (terrane::limits::RECORD_BYTES_MAX)",
            self.label
        );
        let check = quote! { ::core::assert!(#bytes < ::terrane::limits::RECORD_BYTES_MAX, #message) };
        let check = respanned(check, span);
        Some(quote! { const _: () = #check; })
    }
}

/// The same tokens, to be blamed at `span`.
fn respanned(tokens: TokenStream, span: proc_macro2::Span) -> TokenStream {
    tokens
        .into_token_stream()
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}
