//! One field of a struct or variant, and what is generated about it.
//!
//! What a policy makes of a value is written in two ways: `seen`, which copies only what it must, for encoders and
//! ghosts; and `sieved`, naively, for what those are compared with.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{GenericArgument, Index, Member, PathArguments, Result, Type};

use super::attribute::{Policy, Sync};
use super::wire::Wire;
use crate::checks::{compact, map_by_net_id, no_raw_entity};

/// One field, checked.
pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    /// What it is bound to in patterns.
    pub(crate) binding: Ident,
    pub(crate) label: String,
    pub(crate) ty: &'a Type,
    pub(crate) sync: Sync,
    pub(crate) wire: Wire,
}

impl<'a> Field<'a> {
    pub(crate) fn of(index: usize, field: &'a syn::Field, is_sent: bool) -> Result<Self> {
        let (member, label) = match &field.ident {
            Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string()),
            None => {
                (Member::Unnamed(Index { index: index as u32, span: field.ty.span() }), index.to_string())
            }
        };
        no_raw_entity(&field.ty)?;
        let sync = if is_sent { Sync::of(field, &label)? } else { Sync::server_only(field.ty.span()) };
        let blanks_names = is_sent
            && sync.nested.is_none()
            && !sync.reveal_ids
            && !matches!(sync.policy, Policy::ServerOnly);
        if blanks_names && let Some(key) = map_by_net_id(&field.ty) {
            return Err(syn::Error::new(
                key.span(),
                "names that a player may not know are blanked, and as keys of a map all blank ones would be one: send a \
                 list of pairs, make the field `nested` (entries of unseen entities are then left out), or write reveal_ids",
            ));
        }
        let wire = Wire::of(&field.ty, &sync)?;
        Ok(Self { member, binding: format_ident!("field_{index}"), label, ty: &field.ty, sync, wire })
    }

    pub(crate) fn is_sent(&self) -> bool {
        !matches!(self.sync.policy, Policy::ServerOnly)
    }

    pub(crate) fn is_personal(&self) -> bool {
        self.sync.policy.is_personal()
    }

    /// The field's type, blamed on `nested` where it is that.
    pub(crate) fn ty(&self) -> TokenStream {
        let ty = self.ty;
        match self.sync.nested {
            None => quote!(#ty),
            Some(at) => located(quote!(#ty), at),
        }
    }

    /// Whether it nests the very type whose field it is: `Vec<Tree>` in `Tree`.
    pub(crate) fn nests(&self, around: &Ident) -> bool {
        self.sync.nested.is_some() && innermost_is(self.ty, around)
    }

    /// The value of `FieldSpec::personal`.
    pub(crate) fn personal(&self) -> TokenStream {
        let ty = self.ty();
        match self.sync.nested {
            _ if self.is_personal() => quote!(true),
            Some(at) => {
                quote_spanned!(site(at)=> <#ty as ::terrane::replication::policy::SyncNode>::PERSONAL)
            }
            None => quote!(false),
        }
    }

    /// A `FieldSpec`.
    pub(crate) fn spec(&self) -> TokenStream {
        let (label, type_name) = (&self.label, compact(&self.ty));
        let policy = match self.sync.policy {
            Policy::ServerOnly => quote!(ServerOnly),
            Policy::Broadcast => quote!(Broadcast),
            Policy::Masked(_) => quote!(Masked),
            Policy::PerPlayer(_) => quote!(PerPlayer),
            Policy::PerPlayerSlice => quote!(PerPlayerSlice),
            Policy::Custom(_) => quote!(Custom),
            Policy::Computed(_) => quote!(Computed),
        };
        let (ty, personal, reveals_ids) = (self.ty(), self.personal(), self.sync.reveal_ids);
        let nested = match self.sync.nested {
            None => quote!(::core::option::Option::None),
            Some(at) => {
                let spec =
                    quote_spanned!(site(at)=> <#ty as ::terrane::replication::policy::SyncNode>::node_spec);
                quote!(::core::option::Option::Some(#spec))
            }
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
                personal: #personal,
                nested: #nested,
                reveals_ids: #reveals_ids,
                wire: #wire,
                precision: #precision,
                bytes_max: #bytes_max,
            }
        }
    }

    /// What everybody is told of `value`, a reference to the field's value: a `Cow<Type>`. Of a field that is sent and not
    /// personal.
    pub(crate) fn told(&self, value: &TokenStream) -> TokenStream {
        let (ty, functions) = (self.ty, quote!(::terrane::replication::policy::functions));
        let made = match &self.sync.policy {
            Policy::Masked(path) => quote!(#functions::masked::<#ty>(#path, #value)),
            Policy::Computed(path) => quote!(#functions::computed::<Self, #ty>(#path, self)),
            _ => return quote!(::std::borrow::Cow::<'_, #ty>::Borrowed(#value)),
        };
        quote!(::std::borrow::Cow::<'_, #ty>::Owned(#made))
    }

    /// What is seen of it: an `Option<Cow<Type>>`. A personal one asks `viewing`.
    pub(crate) fn seen(&self, value: &TokenStream) -> TokenStream {
        let (ty, functions) = (self.ty, quote!(::terrane::replication::policy::functions));
        match &self.sync.policy {
            Policy::PerPlayer(path) => quote!(#functions::per_player::<#ty, _>(#path, #value, viewing)),
            Policy::PerPlayerSlice => {
                let map = located(quote!(#ty), self.sync.policy_at);
                quote!(#functions::per_player_slice::<#map>(#value, viewing))
            }
            Policy::Custom(path) => quote!(#functions::custom::<#ty, _>(#path, #value, viewing)),
            _ => {
                let told = self.told(value);
                quote!(::core::option::Option::Some(#told))
            }
        }
    }

    /// The same where `viewing` is an `Option`, without which whatever depends on who looks is hidden.
    fn seen_by_some(&self, value: &TokenStream) -> TokenStream {
        let seen = self.seen(value);
        if self.is_personal() { quote!(viewing.and_then(|viewing| #seen)) } else { seen }
    }

    /// What is seen of `value` as an `Option<Type>`, the naive way.
    fn sieved(&self, value: &TokenStream) -> TokenStream {
        let (ty, policy) = (self.ty, quote!(::terrane::replication::policy));
        let seen = match &self.sync.policy {
            Policy::Broadcast => quote!(::core::clone::Clone::clone(#value)),
            Policy::Masked(path) => quote!(#policy::functions::masked::<#ty>(#path, #value)),
            Policy::Computed(path) => quote!(#policy::functions::computed::<Self, #ty>(#path, self)),
            Policy::PerPlayerSlice => {
                let map = located(quote!(#ty), self.sync.policy_at);
                quote!(#policy::sieve::slice_of::<#map>(#value, viewing))
            }
            _ => {
                let seen = self.seen(value);
                return quote!(#seen.map(|seen| seen.into_owned()));
            }
        };
        quote!(::core::option::Option::Some(#seen))
    }

    /// Writes it into a node, as its sent field number `bit`.
    pub(crate) fn encode_in_node(&self, bit: usize) -> TokenStream {
        let (ty, bit, binding) = (self.ty(), bit as u32, &self.binding);
        let seen = self.seen_by_some(&quote!(#binding));
        if let Some(at) = self.sync.nested {
            return quote_spanned!(site(at)=>
                out.nested_field(&mut node, #bit, #seen, |value, out| {
                    <#ty as ::terrane::replication::policy::SyncNode>::encode_node(value, viewing, out);
                });
            );
        }
        if let Some((precision, _)) = self.sync.precision {
            return quote!(out.quantised_field::<#ty>(&mut node, #bit, #seen, #precision););
        }
        if self.sync.reveal_ids {
            return quote!(out.revealing_field::<#ty>(&mut node, #bit, #seen););
        }
        quote!(out.field::<#ty>(&mut node, #bit, #seen);)
    }

    /// Its value, read from a node whose sent field number `bit` it is.
    pub(crate) fn decode_in_node(&self, bit: Option<usize>) -> TokenStream {
        let Some(bit) = bit else { return quote!(::core::default::Default::default()) };
        let (ty, bit, label) = (self.ty(), bit as u32, &self.label);
        if let Some(at) = self.sync.nested {
            return quote_spanned!(site(at)=>
                from.nested_field(mask, #bit, #label, <#ty as ::terrane::replication::policy::SyncNode>::decode_node)?
            );
        }
        if let Some((precision, _)) = self.sync.precision {
            return quote!(from.quantised_field::<#ty>(mask, #bit, #label, #precision)?);
        }
        quote!(from.field::<#ty>(mask, #bit, #label)?)
    }

    /// What everybody may know of `value`.
    pub(crate) fn projected(&self, value: &TokenStream) -> TokenStream {
        if !self.is_sent() || self.is_personal() {
            return quote!(::core::default::Default::default());
        }
        let (ty, told) = (self.ty(), self.told(value));
        match self.sync.nested {
            Some(at) => quote_spanned! {site(at)=>
                <#ty as ::terrane::replication::policy::SyncNode>::project_node(&#told)
            },
            None => quote!(#told.into_owned()),
        }
    }

    /// What this viewer sees of it, the naive way.
    pub(crate) fn sieve(&self) -> TokenStream {
        if !self.is_sent() {
            return quote!(::core::default::Default::default());
        }
        let (label, ty, binding) = (&self.label, self.ty(), &self.binding);
        let sieved = self.sieved(&quote!(#binding));
        if let Some(at) = self.sync.nested {
            return quote_spanned!(site(at)=>
                sieve.nested_field(#label, #sieved, |value, sieve| {
                    <#ty as ::terrane::replication::policy::SyncNode>::sieve_node(value, viewing, sieve)
                })
            );
        }
        if let Some((precision, _)) = self.sync.precision {
            return quote!(sieve.quantised_field::<#ty>(#label, #sieved, #precision));
        }
        quote!(sieve.field::<#ty>(#label, #sieved))
    }

    pub(crate) fn save(&self) -> TokenStream {
        let (binding, ty) = (&self.binding, self.ty());
        match self.sync.nested {
            None => quote!(::terrane::protocol::codec::encode_into(#binding, out);),
            Some(at) => {
                quote_spanned!(site(at)=> <#ty as ::terrane::replication::policy::SyncNode>::save_node(#binding, out);)
            }
        }
    }

    pub(crate) fn load(&self) -> TokenStream {
        let ty = self.ty();
        match self.sync.nested {
            None => quote!(from.value::<#ty>()?),
            Some(at) => {
                quote_spanned!(site(at)=> <#ty as ::terrane::replication::policy::SyncNode>::load_node(from)?)
            }
        }
    }

    /// What does not compile: a bound that no record can carry, a nested type with a policy for the whole component.
    /// Only the engine knows.
    pub(crate) fn checks(&self) -> TokenStream {
        let mut checks = TokenStream::new();
        if let Some(bytes) = self.sync.max_bytes {
            checks.extend(max_bytes_check(bytes, &format!("of field `{}`", self.label)));
        }
        if let Some(at) = self.sync.nested {
            let ty = self.ty();
            let message = format!(
                "field `{}` nests a type with a policy, priority or max_staleness for the whole component, which nothing would ask here: declare policies on its fields instead",
                self.label
            );
            checks.extend(located(
                quote! {
                    const _: () = ::core::assert!(
                        !<#ty as ::terrane::replication::policy::SyncNode>::IS_COMPONENT_ONLY,
                        #message
                    );
                },
                at,
            ));
        }
        checks
    }
}

/// A `max_bytes` that no record can carry does not compile.
pub(crate) fn max_bytes_check((bytes, at): (usize, Span), of: &str) -> TokenStream {
    let message =
        format!("max_bytes {of} is more than a record can carry (terrane::limits::RECORD_BYTES_MAX)");
    located(
        quote! { const _: () = ::core::assert!(#bytes < ::terrane::limits::RECORD_BYTES_MAX, #message); },
        at,
    )
}

/// Whether a type is `around` behind what may hold nodes.
fn innermost_is(ty: &Type, around: &Ident) -> bool {
    let path = match ty {
        Type::Group(group) => return innermost_is(&group.elem, around),
        Type::Paren(paren) => return innermost_is(&paren.elem, around),
        Type::Array(array) => return innermost_is(&array.elem, around),
        Type::Path(path) if path.qself.is_none() => &path.path,
        _ => return false,
    };
    if path.get_ident().is_some_and(|ident| ident == around || ident == "Self") {
        return true;
    }
    let Some(last) = path.segments.last() else { return false };
    let holders = ["Option", "Box", "Vec", "BTreeMap"];
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
    let held = arguments.args.iter().rev().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    holders.iter().any(|holder| last.ident == holder) && held.is_some_and(|ty| innermost_is(ty, around))
}

/// Where tokens of the derive are to be blamed on `span`.
pub(crate) fn site(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}

/// The same tokens, all of them to be blamed at `span`.
pub(crate) fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let site = site(span);
    tokens
        .into_iter()
        .map(|token| match token {
            proc_macro2::TokenTree::Group(group) => {
                let mut inner = proc_macro2::Group::new(group.delimiter(), located(group.stream(), span));
                inner.set_span(site);
                inner.into()
            }
            mut token => {
                token.set_span(token.span().located_at(site));
                token
            }
        })
        .collect()
}
