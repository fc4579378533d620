//! `derive(Action)`: scope, caller and reply of an action, none of which has a default.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Token, Type};

use crate::checks::{compact, no_generics, no_raw_entity};

const SCOPES: &str = "scope = self (the caller's own data), scope = group (that of who is there or in the party) \
     or scope = global (everybody's)";
const CALLERS: &str = "caller = player (everybody), caller = gm (game masters and admins) or caller = admin";
const REPLIES: &str = "reply = Type (`()` for a bare \"done\"), or latest_wins for continuous input, which is not \
     answered";

/// The attribute, complete.
struct Declaration {
    scope: TokenStream,
    caller: TokenStream,
    reply: Option<Type>,
}

/// One item between the commas.
enum Item {
    Scope(Ident, TokenStream),
    Caller(Ident, TokenStream),
    Reply(Ident, Box<Type>),
    LatestWins(Ident),
}

impl Item {
    fn name(&self) -> &Ident {
        match self {
            Item::Scope(name, _) | Item::Caller(name, _) | Item::Reply(name, _) | Item::LatestWins(name) => {
                name
            }
        }
    }
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        if name == "latest_wins" {
            return Ok(Item::LatestWins(name));
        }
        if name != "scope" && name != "caller" && name != "reply" {
            return Err(Error::new(
                name.span(),
                format!("there is no action option `{name}`: write scope, caller, and reply or latest_wins"),
            ));
        }
        input.parse::<Token![=]>()?;
        if name == "reply" {
            return Ok(Item::Reply(name, Box::new(input.parse()?)));
        }
        let value = input.call(Ident::parse_any)?;
        let unknown =
            |known| Error::new(value.span(), format!("there is no {name} `{value}`: write {known}"));
        Ok(if name == "scope" {
            let scope = match value.to_string().as_str() {
                "self" => quote!(SelfOnly),
                "group" => quote!(Group),
                "global" => quote!(Global),
                _ => return Err(unknown(SCOPES)),
            };
            Item::Scope(name, scope)
        } else {
            let caller = match value.to_string().as_str() {
                "player" => quote!(Player),
                "gm" => quote!(Gm),
                "admin" => quote!(Admin),
                _ => return Err(unknown(CALLERS)),
            };
            Item::Caller(name, caller)
        })
    }
}

impl Declaration {
    fn of(input: &DeriveInput) -> Result<Self> {
        let mut items = Vec::new();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("action")) {
            items.extend(attribute.parse_args_with(Punctuated::<Item, Token![,]>::parse_terminated)?);
        }
        for (index, item) in items.iter().enumerate() {
            if items[..index].iter().any(|earlier| earlier.name() == item.name()) {
                return Err(Error::new(item.name().span(), format!("`{}` is given twice", item.name())));
            }
        }
        let missing = |what: &str, how: &str| {
            Error::new(
                input.ident.span(),
                format!("action `{}` does not say {what}: in #[action(...)] write {how}", input.ident),
            )
        };
        let (mut scope, mut caller, mut reply, mut latest_wins) = (None, None, None, None);
        for item in items {
            match item {
                Item::Scope(_, value) => scope = Some(value),
                Item::Caller(_, value) => caller = Some(value),
                Item::Reply(name, ty) => reply = Some((name, *ty)),
                Item::LatestWins(name) => latest_wins = Some(name),
            }
        }
        let scope = scope.ok_or_else(|| missing("whose data it may reach", SCOPES))?;
        let caller = caller.ok_or_else(|| missing("who may call it", CALLERS))?;
        let reply = match (reply, latest_wins) {
            (Some((_, ty)), None) => Some(ty),
            (None, Some(_)) => None,
            (None, None) => return Err(missing("what it is answered with", REPLIES)),
            (Some((name, _)), Some(_)) => {
                return Err(Error::new(name.span(), "a latest_wins action is not answered: drop the reply"));
            }
        };
        Ok(Self { scope, caller, reply })
    }
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input, "Action")?;
    let Declaration { scope, caller, reply } = Declaration::of(input)?;
    let latest_wins = reply.is_none();
    let reply = reply.unwrap_or_else(|| syn::parse_quote!(()));
    let shape = format!("{}->{}", shape(&input.data)?, compact(&reply));
    let (ident, name) = (&input.ident, input.ident.unraw().to_string());
    Ok(quote! {
        #[automatically_derived]
        impl ::terrane::action::Action for #ident {
            const NAME: &'static str = #name;
            const SCOPE: ::terrane::action::Scope = ::terrane::action::Scope::#scope;
            const CALLER: ::terrane::action::Caller = ::terrane::action::Caller::#caller;
            const LATEST_WINS: bool = #latest_wins;
            const SHAPE: &'static str = #shape;
            type Reply = #reply;
        }
    })
}

/// What the action is made of, as written.
fn shape(data: &Data) -> Result<String> {
    match data {
        Data::Struct(data) => fields_shape(&data.fields),
        Data::Enum(data) => {
            let mut variants = Vec::new();
            for variant in &data.variants {
                variants.push(format!("{}{}", variant.ident, fields_shape(&variant.fields)?));
            }
            Ok(format!("[{}]", variants.join("|")))
        }
        Data::Union(data) => Err(Error::new_spanned(data.union_token, "derive(Action) is not for unions")),
    }
}

fn fields_shape(fields: &Fields) -> Result<String> {
    let mut parts = Vec::new();
    for field in fields {
        no_raw_entity(&field.ty)?;
        let ty = compact(&field.ty);
        parts.push(match &field.ident {
            Some(ident) => format!("{}:{ty}", ident.unraw()),
            None => ty,
        });
    }
    let parts = parts.join(",");
    Ok(match fields {
        Fields::Named(_) => format!("{{{parts}}}"),
        Fields::Unnamed(_) => format!("({parts})"),
        Fields::Unit => String::new(),
    })
}
