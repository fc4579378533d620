//! `derive(Persist)`: how soon a component of an avatar is durable. It has to be said: nothing is guessed.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Error, Result, Token};

use crate::checks::no_generics;

const CLASSES: &str = "immediate (on its way to the store at the end of the tick in which it changed), periodic (with the next \
     scan for what changed) or on_disconnect (when its player leaves)";

/// What the derive writes.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input, "Persist")?;
    let name = &input.ident;
    let mut attributes = input.attrs.iter().filter(|attribute| attribute.path().is_ident("persist"));
    let Some(attribute) = attributes.next() else {
        let text = format!(
            "component `{name}` does not say how soon it is durable: in #[persist(...)] write {CLASSES}"
        );
        return Err(Error::new_spanned(name, text));
    };
    if let Some(second) = attributes.next() {
        return Err(Error::new_spanned(
            second,
            format!("component `{name}` has two classes: keep one of them"),
        ));
    }
    let class = class_of(name, attribute)?;
    Ok(quote! {
        impl ::terrane::cell::persist::Persist for #name {
            const CLASS: ::terrane::cell::persist::DurabilityClass =
                ::terrane::cell::persist::DurabilityClass::#class;
        }
    })
}

/// The variant that the one word in the attribute names.
fn class_of(name: &Ident, attribute: &Attribute) -> Result<Ident> {
    let expected = || format!("component `{name}`: expected one word in #[persist(...)]: {CLASSES}");
    let words = attribute
        .parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated)
        .map_err(|error| Error::new(error.span(), expected()))?;
    let mut words = words.iter();
    let (Some(word), None) = (words.next(), words.next()) else {
        return Err(Error::new_spanned(attribute, expected()));
    };
    let variant = match word.to_string().as_str() {
        "immediate" => "Immediate",
        "periodic" => "Periodic",
        "on_disconnect" => "OnDisconnect",
        other => {
            return Err(Error::new_spanned(
                word,
                format!("`{other}` is no class of durability: {}", expected()),
            ));
        }
    };
    Ok(Ident::new(variant, word.span()))
}
