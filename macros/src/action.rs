//! `derive(Action)`: everything that is declared of an action. Nothing of it is guessed.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Error, Fields, Ident, Lit, Member, Result, Token, Type};

use crate::checks::{compact, no_generics, no_raw_entity};

const SCOPES: &str = "scope = self (the caller's own data), scope = group (that of the caller's party) \
     or scope = global (everybody's)";
const CALLERS: &str = "caller = player (everybody), caller = gm (game masters and admins) or caller = admin";
const REPLIES: &str = "reply = Type (`()` for a bare \"done\"), or latest_wins for continuous input, which is not \
     answered";
const RATES: &str = "rate = N, how many a second one caller may call in the long run, such as 5 or 0.2";
const BURSTS: &str = "burst = N, how many it may call at once after a while without, such as 10";
const COALESCINGS: &str = "coalesce = none (each is run) or coalesce = newest (of those that arrive in one tick \
     only the newest is run)";
const DURABILITIES: &str = "durability = memory (what it changes is saved with the world's images) or durability = immediate \
     (it changes value: the answer leaves once that is committed)";
const OPTIONS: &str = "scope, caller, reply, rate, burst, coalesce and durability, or scope, caller and latest_wins; and where they are \
     needed refusal, on and speaks";

/// The attribute, complete.
struct Declaration {
    scope: TokenStream,
    caller: TokenStream,
    pace: TokenStream,
    durability: TokenStream,
    reply: Option<Type>,
    refusal: Option<Type>,
    on: Option<Member>,
    speaks: bool,
}

/// One item between the commas.
enum Item {
    Scope(Ident, Ident),
    Caller(Ident, Ident),
    Coalesce(Ident, Ident),
    Durability(Ident, Ident),
    Reply(Ident, Box<Type>),
    Refusal(Ident, Box<Type>),
    Rate(Ident, f64),
    Burst(Ident, u16),
    On(Ident, Member),
    LatestWins(Ident),
    Speaks(Ident),
}

impl Item {
    fn name(&self) -> &Ident {
        match self {
            Item::Scope(name, _)
            | Item::Caller(name, _)
            | Item::Coalesce(name, _)
            | Item::Durability(name, _)
            | Item::Reply(name, _)
            | Item::Refusal(name, _)
            | Item::Rate(name, _)
            | Item::Burst(name, _)
            | Item::On(name, _)
            | Item::LatestWins(name)
            | Item::Speaks(name) => name,
        }
    }
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let text = name.to_string();
        match text.as_str() {
            "latest_wins" => return Ok(Item::LatestWins(name)),
            "speaks" => return Ok(Item::Speaks(name)),
            "scope" | "caller" | "coalesce" | "durability" | "reply" | "refusal" | "rate" | "burst"
            | "on" => {}
            _ => {
                let message = format!("there is no action option `{name}`: write {OPTIONS}");
                return Err(Error::new(name.span(), message));
            }
        }
        input.parse::<Token![=]>()?;
        Ok(match text.as_str() {
            "reply" => Item::Reply(name, Box::new(input.parse()?)),
            "refusal" => Item::Refusal(name, Box::new(input.parse()?)),
            "on" => Item::On(name, input.parse()?),
            "rate" => {
                let number: Lit = input.parse()?;
                let rate = match &number {
                    Lit::Int(digits) => digits.base10_parse().ok(),
                    Lit::Float(digits) => digits.base10_parse().ok(),
                    _ => None,
                };
                let rate = rate.filter(|rate| (0.001..=1_000.0).contains(rate));
                let wrong = || Error::new(number.span(), format!("write {RATES}; from 0.001 to 1000"));
                Item::Rate(name, rate.ok_or_else(wrong)?)
            }
            "burst" => {
                let number: Lit = input.parse()?;
                let burst = match &number {
                    Lit::Int(digits) => digits.base10_parse().ok(),
                    _ => None,
                };
                let wrong = || Error::new(number.span(), format!("write {BURSTS}; from 1 to 1000"));
                Item::Burst(name, burst.filter(|burst| (1..=1_000).contains(burst)).ok_or_else(wrong)?)
            }
            _ => {
                let value = input.call(Ident::parse_any)?;
                match text.as_str() {
                    "scope" => Item::Scope(name, value),
                    "caller" => Item::Caller(name, value),
                    "durability" => Item::Durability(name, value),
                    _ => Item::Coalesce(name, value),
                }
            }
        })
    }
}

/// Translates a word; the error names those that there are.
fn word(name: &Ident, value: &Ident, words: &[(&str, TokenStream)], known: &str) -> Result<TokenStream> {
    let found = words.iter().find(|(word, _)| value == word).map(|(_, tokens)| tokens.clone());
    found.ok_or_else(|| Error::new(value.span(), format!("there is no {name} `{value}`: write {known}")))
}

/// What was written of each option.
#[derive(Default)]
struct Written {
    scope: Option<(Ident, Ident)>,
    caller: Option<(Ident, Ident)>,
    coalesce: Option<(Ident, Ident)>,
    durability: Option<(Ident, Ident)>,
    reply: Option<(Ident, Type)>,
    refusal: Option<(Ident, Type)>,
    rate: Option<(Ident, f64)>,
    burst: Option<(Ident, u16)>,
    on: Option<Member>,
    latest_wins: Option<Ident>,
    speaks: bool,
}

impl Written {
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
        let mut written = Self::default();
        for item in items {
            match item {
                Item::Scope(name, value) => written.scope = Some((name, value)),
                Item::Caller(name, value) => written.caller = Some((name, value)),
                Item::Coalesce(name, value) => written.coalesce = Some((name, value)),
                Item::Durability(name, value) => written.durability = Some((name, value)),
                Item::Reply(name, ty) => written.reply = Some((name, *ty)),
                Item::Refusal(name, ty) => written.refusal = Some((name, *ty)),
                Item::Rate(name, rate) => written.rate = Some((name, rate)),
                Item::Burst(name, burst) => written.burst = Some((name, burst)),
                Item::On(_, field) => written.on = Some(field),
                Item::LatestWins(name) => written.latest_wins = Some(name),
                Item::Speaks(_) => written.speaks = true,
            }
        }
        Ok(written)
    }

    /// An option that continuous input has no use for.
    fn of_single_actions(&self) -> Option<Span> {
        let names = [
            self.reply.as_ref().map(|(name, _)| name),
            self.refusal.as_ref().map(|(name, _)| name),
            self.rate.as_ref().map(|(name, _)| name),
            self.burst.as_ref().map(|(name, _)| name),
            self.coalesce.as_ref().map(|(name, _)| name),
            self.durability.as_ref().map(|(name, _)| name),
        ];
        names.into_iter().flatten().next().map(Ident::span)
    }
}

impl Declaration {
    fn of(input: &DeriveInput) -> Result<Self> {
        let written = Written::of(input)?;
        let missing = |what: &str, how: &str| {
            Error::new(
                input.ident.span(),
                format!("action `{}` does not say {what}: in #[action(...)] write {how}", input.ident),
            )
        };
        let only_single = written.of_single_actions();
        let (name, scope_word) =
            written.scope.as_ref().ok_or_else(|| missing("whose data it may reach", SCOPES))?;
        let scopes =
            [("self", quote!(OwnScope)), ("group", quote!(GroupScope)), ("global", quote!(GlobalScope))];
        let scope = word(name, scope_word, &scopes, SCOPES)?;
        let (name, caller_word) =
            written.caller.as_ref().ok_or_else(|| missing("who may call it", CALLERS))?;
        let callers = [("player", quote!(Player)), ("gm", quote!(Gm)), ("admin", quote!(Admin))];
        let caller = word(name, caller_word, &callers, CALLERS)?;
        if scope_word == "global" && caller_word == "player" {
            let message = "what reaches everybody's data needs a role: write caller = gm or caller = admin, or scope = group";
            return Err(Error::new(caller_word.span(), message));
        }
        if let (Some(on), true) = (&written.on, scope_word != "self") {
            let message = "only an action with scope = self is done on an entity of the caller's";
            return Err(Error::new_spanned(on, message));
        }
        let mut durability = quote!(InMemory);
        let pace = match (&written.latest_wins, only_single) {
            (Some(_), None) if scope_word == "self" => quote!(Continuous),
            (Some(name), None) => {
                let message = "continuous input steers what is the caller's own: write scope = self";
                return Err(Error::new(name.span(), message));
            }
            (Some(_), Some(span)) => {
                let message =
                    "a latest_wins action is neither answered nor counted: drop this, or drop latest_wins";
                return Err(Error::new(span, message));
            }
            (None, _) => {
                if written.reply.is_none() {
                    return Err(missing("what it is answered with", REPLIES));
                }
                let (_, rate) = written.rate.ok_or_else(|| missing("how often it may be called", RATES))?;
                let (_, burst) =
                    written.burst.ok_or_else(|| missing("how many may be called at once", BURSTS))?;
                let what = "what becomes of several in one tick";
                let (name, value) = written.coalesce.as_ref().ok_or_else(|| missing(what, COALESCINGS))?;
                let coalescings = [("none", quote!(None)), ("newest", quote!(Newest))];
                let coalesce = word(name, value, &coalescings, COALESCINGS)?;
                let coalesce = quote!(::terrane::action::Coalesce::#coalesce);
                let (name, value) = written
                    .durability
                    .as_ref()
                    .ok_or_else(|| missing("how durable what it does is", DURABILITIES))?;
                let durabilities = [("memory", quote!(InMemory)), ("immediate", quote!(Immediate))];
                durability = word(name, value, &durabilities, DURABILITIES)?;
                quote!(Single(::terrane::action::Limit { rate_per_s: #rate, burst: #burst, coalesce: #coalesce }))
            }
        };
        Ok(Self {
            scope,
            caller,
            pace,
            durability,
            reply: written.reply.map(|(_, ty)| ty),
            refusal: written.refusal.map(|(_, ty)| ty),
            on: written.on,
            speaks: written.speaks,
        })
    }
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    no_generics(input, "Action")?;
    let Declaration { scope, caller, pace, durability, reply, refusal, on, speaks } = Declaration::of(input)?;
    let reply = reply.unwrap_or_else(|| syn::parse_quote!(()));
    let refused = refusal.as_ref().map(|refusal| format!("|{}", compact(refusal))).unwrap_or_default();
    let refusal = refusal.unwrap_or_else(|| syn::parse_quote!(::std::string::String));
    let shape = format!("{}->{}{refused}", shape(&input.data)?, compact(&reply));
    let (ident, name) = (&input.ident, input.ident.unraw().to_string());
    let target = match &on {
        None => TokenStream::new(),
        Some(field) => {
            if !matches!(&input.data, Data::Struct(data) if has_field(&data.fields, field)) {
                return Err(Error::new_spanned(field, "`on` names a field of the struct that holds a NetId"));
            }
            quote! {
                const HAS_TARGET: bool = true;
                fn target(&self) -> ::core::option::Option<::terrane::ids::NetId> {
                    ::core::option::Option::Some(self.#field)
                }
            }
        }
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::terrane::action::Action for #ident {
            const NAME: &'static str = #name;
            type Scope = ::terrane::action::#scope;
            const CALLER: ::terrane::action::Caller = ::terrane::action::Caller::#caller;
            const PACE: ::terrane::action::Pace = ::terrane::action::Pace::#pace;
            type Durability = ::terrane::action::#durability;
            const SPEAKS: bool = #speaks;
            const SHAPE: &'static str = #shape;
            type Reply = #reply;
            type Refusal = #refusal;
            #target
        }
    })
}

fn has_field(fields: &Fields, member: &Member) -> bool {
    fields.members().any(|field| field == *member)
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
