//! `SyncFields`: a type as a component, its fields by number.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::Type;
use super::attribute::Policy;
use super::container::Gate;
use super::field::{Field, site};
use super::node::Shape;
use super::wire::Wire;

/// The parts of the implementation that differ between structs and enums.
struct Parts {
    specs: Vec<TokenStream>,
    encode: Vec<TokenStream>,
    /// Arms of a match on the number of a sent field.
    personal: Vec<TokenStream>,
    decode: Vec<TokenStream>,
    hidden: Vec<TokenStream>,
    project: TokenStream,
    sieve: TokenStream,
}

pub(crate) fn implementation(ty: &Type<'_>) -> TokenStream {
    let (ident, name) = (ty.ident, &ty.name);
    let Parts { specs, encode, personal, decode, hidden, project, sieve } = match &ty.shapes[..] {
        [shape] if shape.variant.is_none() => of_struct(ty, shape),
        _ => of_enum(ty),
    };
    // What not everybody may see of an entity is nothing that a neighbour may know, whatever its fields say.
    let project = if ty.is_gated() { quote!(*ghost = ::core::default::Default::default();) } else { project };
    let (policy, urgency) = (ty.container.tokens(), ty.container.urgency());
    let is_visible = match &ty.container.gate {
        Gate::Custom(path, at) => {
            let asked = quote_spanned! {site(*at)=>
                ::terrane::replication::policy::functions::gate::<Self, _>(#path, self, viewing)
            };
            quote! {
                fn is_visible(&self, viewing: &::terrane::replication::policy::Viewing<'_>) -> bool {
                    #asked
                }
            }
        }
        _ => TokenStream::new(),
    };

    quote! {
        #[automatically_derived]
        #[allow(unused_variables, unused_mut, clippy::all, reason = "a component may have no fields of some kind")]
        impl ::terrane::replication::SyncFields for #ident {
            const NAME: &'static str = #name;
            const FIELDS: &'static [::terrane::replication::FieldSpec] = &[#(#specs),*];
            const COMPONENT_POLICY: ::terrane::replication::policy::ComponentPolicy = #policy;
            const URGENCY: ::terrane::replication::Urgency = #urgency;

            fn encode_sent(&self, out: &mut ::terrane::replication::FieldWriter) {
                #(#encode)*
            }

            fn encode_personal(
                &self,
                sent_field: usize,
                viewing: &::terrane::replication::policy::Viewing<'_>,
                out: &mut ::std::vec::Vec<u8>,
                ids: &mut ::std::vec::Vec<u16>,
            ) -> ::terrane::replication::policy::Shown {
                let payload = ::terrane::replication::policy::payload::Payload { viewing, bytes: out, ids };
                match sent_field {
                    #(#personal)*
                    _ => ::terrane::replication::policy::Shown::Hidden,
                }
            }

            #is_visible

            fn decode_sent(
                &mut self,
                field: usize,
                bytes: &[u8],
            ) -> ::core::result::Result<(), ::terrane::protocol::codec::DecodeError> {
                match field {
                    #(#decode)*
                    _ => ::core::result::Result::Err(
                        ::terrane::replication::field::no_such_field(#name, field),
                    ),
                }
            }

            fn hidden_paths(
                field: usize,
                bytes: &[u8],
            ) -> ::core::result::Result<
                ::std::vec::Vec<::std::string::String>,
                ::terrane::protocol::codec::DecodeError,
            > {
                match field {
                    #(#hidden)*
                    _ => ::terrane::replication::field::hidden_when_absent::<Self>(field, bytes),
                }
            }

            fn project(&self, ghost: &mut Self) {
                #project
            }

            fn sieve(
                &self,
                viewing: &::terrane::replication::policy::Viewing<'_>,
            ) -> ::terrane::replication::policy::Sieved<Self> {
                ::terrane::replication::policy::Sieve::of(|sieve| #sieve)
            }

            fn save(&self, out: &mut ::std::vec::Vec<u8>) {
                ::terrane::replication::policy::SyncNode::save_node(self, out);
            }

            fn load(
                bytes: &[u8],
            ) -> ::core::result::Result<(Self, usize), ::terrane::protocol::codec::DecodeError> {
                ::terrane::replication::field::load_node::<Self>(#name, bytes)
            }
        }
    }
}

fn of_struct(ty: &Type<'_>, shape: &Shape<'_>) -> Parts {
    let name = &ty.name;
    let pattern = shape.pattern();
    let sieved = shape.construct(Field::sieve);
    let projected = shape.fields.iter().map(Field::project);
    Parts {
        specs: shape.fields.iter().map(Field::spec).collect(),
        encode: shape.sent().map(|(_, field)| field.encode_sent()).collect(),
        personal: shape.sent().filter_map(|(number, field)| field.encode_personal(number)).collect(),
        decode: shape.sent().map(|(number, field)| field.decode_sent(number, name)).collect(),
        hidden: shape.sent().filter_map(|(number, field)| field.hidden_paths(number, name)).collect(),
        project: quote!(#(#projected)*),
        sieve: quote!(match self { #pattern => #sieved }),
    }
}

/// An enum is one field, which holds all of it as a node.
fn of_enum(ty: &Type<'_>) -> Parts {
    let (ident, name, policy) = (ty.ident, &ty.name, quote!(::terrane::replication::policy));
    let wire = Wire::Prefixed(ty.container.max_bytes.map(|(bytes, _)| bytes));
    let (wire, bytes_max) = (wire.tokens(), wire.bytes_max());
    let is_sent = !ty.container.is_server_only();
    let field_policy = if is_sent { quote!(Broadcast) } else { quote!(ServerOnly) };
    let spec = quote! {
        ::terrane::replication::FieldSpec {
            name: "value",
            type_name: #name,
            policy: ::terrane::replication::Policy::#field_policy,
            personal: <#ident as #policy::SyncNode>::PERSONAL,
            nested: ::core::option::Option::Some(<#ident as #policy::SyncNode>::node_spec),
            reveals_ids: false,
            wire: #wire,
            precision: ::core::option::Option::None,
            bytes_max: #bytes_max,
        }
    };
    if !is_sent {
        return Parts {
            specs: vec![spec],
            encode: Vec::new(),
            personal: Vec::new(),
            decode: Vec::new(),
            hidden: Vec::new(),
            project: quote!(*ghost = ::core::default::Default::default();),
            sieve: quote!(::core::default::Default::default()),
        };
    }
    let encode = quote! {
        if <Self as #policy::SyncNode>::PERSONAL {
            #policy::SyncNode::save_node(self, &mut out.bytes);
            out.end_source();
        } else {
            out.put_node(|out| #policy::SyncNode::encode_node(self, ::core::option::Option::None, out));
            out.end_field(#wire, #bytes_max);
        }
    };
    let personal = quote! {
        0 if <Self as #policy::SyncNode>::PERSONAL => {
            let seen = ::core::option::Option::Some(::std::borrow::Cow::Borrowed(self));
            payload.nested_field(#bytes_max, seen, <Self as #policy::SyncNode>::encode_node)
        }
    };
    let decode = quote! {
        0 => {
            *self = ::terrane::replication::field::take_node(
                #name,
                bytes,
                <Self as #policy::SyncNode>::decode_node,
            )?;
            ::core::result::Result::Ok(())
        }
    };
    Parts {
        specs: vec![spec],
        encode: vec![encode],
        personal: vec![personal],
        decode: vec![decode],
        hidden: vec![quote! {
            0 => ::terrane::replication::field::hidden_in_node(
                #name,
                "value",
                bytes,
                <Self as #policy::SyncNode>::decode_node,
            ),
        }],
        project: quote!(*ghost = #policy::SyncNode::project_node(self);),
        sieve: quote! {
            sieve.nested_field(
                "value",
                ::core::option::Option::Some(::core::clone::Clone::clone(self)),
                |value: &Self, sieve| #policy::SyncNode::sieve_node(value, viewing, sieve),
            )
        },
    }
}

/// A field of a component.
impl Field<'_> {
    /// The field's name in an error.
    fn what(&self, component: &str) -> String {
        format!("{component}.{}", self.label)
    }

    /// Appends it to the row: in wire form, or a hash of what it is evaluated from.
    fn encode_sent(&self) -> TokenStream {
        let (member, ty) = (&self.member, self.ty());
        let (wire, bytes_max) = (self.wire.tokens(), self.wire.bytes_max());
        let value = quote!(&self.#member);
        if self.is_personal() {
            let source = match self.sync.nested {
                None => quote!(out.put_source::<#ty>(#value);),
                Some(at) => quote_spanned! {site(at)=>
                    <#ty as ::terrane::replication::policy::SyncNode>::save_node(#value, &mut out.bytes);
                },
            };
            return quote!(#source out.end_source(););
        }
        let told = self.told(&value);
        if let Some(at) = self.sync.nested {
            let source = match self.sync.policy {
                Policy::Computed(_) => quote!(&#told),
                _ => value,
            };
            return quote_spanned! {site(at)=>
                if <#ty as ::terrane::replication::policy::SyncNode>::PERSONAL {
                    <#ty as ::terrane::replication::policy::SyncNode>::save_node(#source, &mut out.bytes);
                    out.end_source();
                } else {
                    let told = #told;
                    out.put_node(|out| {
                        <#ty as ::terrane::replication::policy::SyncNode>::encode_node(&told, ::core::option::Option::None, out);
                    });
                    out.end_field(#wire, #bytes_max);
                }
            };
        }
        let put = match self.sync.precision {
            Some((precision, _)) => quote!(out.put_quantised::<#ty>(&#told, #precision);),
            None if self.sync.reveal_ids => quote!(out.put_revealing::<#ty>(&#told);),
            None => quote!(out.put::<#ty>(&#told);),
        };
        quote!(#put out.end_field(#wire, #bytes_max);)
    }

    /// The arm that shows it to one viewer, if it may be personal.
    fn encode_personal(&self, number: usize) -> Option<TokenStream> {
        let (member, ty, bytes_max) = (&self.member, self.ty(), self.wire.bytes_max());
        let seen = self.seen(&quote!(&self.#member));
        if let Some(at) = self.sync.nested {
            let guard = (!self.is_personal()).then(
                || quote_spanned!(site(at)=> if <#ty as ::terrane::replication::policy::SyncNode>::PERSONAL),
            );
            let show = quote_spanned! {site(at)=>
                payload.nested_field(#bytes_max, #seen, <#ty as ::terrane::replication::policy::SyncNode>::encode_node)
            };
            return Some(quote!(#number #guard => #show,));
        }
        if !self.is_personal() {
            return None;
        }
        Some(match self.sync.precision {
            Some((precision, _)) => {
                quote!(#number => payload.quantised_field::<#ty>(#bytes_max, #seen, #precision),)
            }
            None if self.sync.reveal_ids => {
                quote!(#number => payload.revealing_field::<#ty>(#bytes_max, #seen),)
            }
            None => quote!(#number => payload.field::<#ty>(#bytes_max, #seen),),
        })
    }

    fn decode_sent(&self, number: usize, component: &str) -> TokenStream {
        let (member, ty, what) = (&self.member, self.ty(), self.what(component));
        let value = if let Some(at) = self.sync.nested {
            quote_spanned! {site(at)=>
                ::terrane::replication::field::take_node(#what, bytes, <#ty as ::terrane::replication::policy::SyncNode>::decode_node)?
            }
        } else {
            let take = match self.sync.precision {
                None => quote!(::terrane::replication::field::take::<#ty>(#what, bytes)?),
                Some((precision, _)) => {
                    quote!(<#ty as ::terrane::replication::quantised::Quantised>::take_steps(#what, #precision, bytes)?)
                }
            };
            match self.wire {
                Wire::Prefixed(_) => quote! {
                    match ::terrane::replication::field::prefixed_payload(bytes)? {
                        ::core::option::Option::Some(bytes) => #take,
                        ::core::option::Option::None => ::core::default::Default::default(),
                    }
                },
                _ => take,
            }
        };
        quote! {
            #number => {
                self.#member = #value;
                ::core::result::Result::Ok(())
            }
        }
    }

    fn hidden_paths(&self, number: usize, component: &str) -> Option<TokenStream> {
        let (ty, label, what) = (self.ty(), &self.label, self.what(component));
        let at: Span = self.sync.nested?;
        let read = quote_spanned! {site(at)=>
            ::terrane::replication::field::hidden_in_node(
                #what,
                #label,
                bytes,
                <#ty as ::terrane::replication::policy::SyncNode>::decode_node,
            )
        };
        Some(quote!(#number => #read,))
    }

    /// What a ghost is given, in place where that saves memory.
    fn project(&self) -> TokenStream {
        let member = &self.member;
        if matches!(self.sync.policy, Policy::Broadcast) && self.sync.nested.is_none() {
            return quote!(::core::clone::Clone::clone_from(&mut ghost.#member, &self.#member););
        }
        let projected = self.projected(&quote!(&self.#member));
        quote!(ghost.#member = #projected;)
    }
}
