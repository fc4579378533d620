//! What the derives refuse, and how they print types.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, Error, GenericArgument, PathArguments, Result, Type};

/// Bevy's names for an entity and for what is keyed by one.
const RAW_ENTITIES: [&str; 6] =
    ["Entity", "EntityHashMap", "EntityHashSet", "EntityIndexMap", "EntityIndexSet", "UniqueEntityVec"];

/// Refuses type and lifetime parameters: both ends must know the one layout by the type's name.
pub(crate) fn no_generics(input: &DeriveInput, derive: &str) -> Result<()> {
    if input.generics.params.is_empty() && input.generics.where_clause.is_none() {
        return Ok(());
    }
    Err(Error::new_spanned(
        &input.generics,
        format!(
            "derive({derive}) takes no generic parameters: both ends know the type by its name, so write one type per use"
        ),
    ))
}

/// Refuses a raw `Entity` anywhere in a type: it names a place in one cell's memory.
pub(crate) fn no_raw_entity(ty: &Type) -> Result<()> {
    match find_raw_entity(ty.to_token_stream()) {
        None => Ok(()),
        Some(ident) => Err(Error::new(
            ident.span(),
            format!(
                "`{ident}` means nothing outside its own cell and changes with every handover: use NetId"
            ),
        )),
    }
}

fn find_raw_entity(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if RAW_ENTITIES.iter().any(|name| ident == name) => Some(ident),
        TokenTree::Group(group) => find_raw_entity(group.stream()),
        _ => None,
    })
}

/// The key of the first map in a type that is keyed by what holds a `NetId`, as far as the type says so itself.
pub(crate) fn map_by_net_id(ty: &Type) -> Option<Ident> {
    fn arguments(ty: &Type) -> Vec<&Type> {
        match ty {
            Type::Group(group) => vec![&group.elem],
            Type::Paren(paren) => vec![&paren.elem],
            Type::Array(array) => vec![&array.elem],
            Type::Tuple(tuple) => tuple.elems.iter().collect(),
            Type::Path(path) => {
                let arguments = path.path.segments.iter().filter_map(|segment| match &segment.arguments {
                    PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
                    _ => None,
                });
                let arguments = arguments.flatten();
                let types = arguments.filter_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                });
                types.collect()
            }
            _ => Vec::new(),
        }
    }
    fn net_id(ty: &Type) -> Option<Ident> {
        let last = match ty {
            Type::Path(path) => path.path.segments.last(),
            _ => None,
        };
        match last {
            Some(segment) if segment.ident == "NetId" => Some(segment.ident.clone()),
            _ => arguments(ty).into_iter().find_map(net_id),
        }
    }
    let is_map = match ty {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|segment| segment.ident.to_string().ends_with("Map"))
        }
        _ => false,
    };
    let arguments = arguments(ty);
    let key = if is_map { arguments.first().and_then(|key| net_id(key)) } else { None };
    key.or_else(|| arguments.into_iter().find_map(map_by_net_id))
}

/// The tokens without blanks but where two words would grow together: the same text from every compiler, since
/// it is part of the schema hash.
pub(crate) fn compact(tokens: &impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    let mut text = String::with_capacity(spaced.len());
    let mut blank = false;
    for c in spaced.chars() {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        if blank && word(c) && text.chars().last().is_some_and(word) {
            text.push(' ');
        }
        text.push(c);
        blank = false;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(text: &str) -> Type {
        syn::parse_str(text).expect("a type")
    }

    #[test]
    fn a_type_is_printed_without_blanks_but_between_words() {
        assert_eq!(compact(&ty("Vec < ( u8 , [ i32 ; 3 ] ) >")), "Vec<(u8,[i32;3])>");
        assert_eq!(compact(&ty("&'static  mut  dyn  Any")), "&'static mut dyn Any");
    }

    #[test]
    fn a_raw_entity_is_found_however_deep_it_hides() {
        for hidden in
            ["Entity", "Vec<Option<bevy_ecs::entity::Entity>>", "[(u8, Entity); 3]", "EntityHashMap<u8>"]
        {
            assert!(no_raw_entity(&ty(hidden)).is_err(), "{hidden}");
        }
        for fine in ["NetId", "EntityKind", "my::entity::Name"] {
            assert!(no_raw_entity(&ty(fine)).is_ok(), "{fine}");
        }
    }
}
