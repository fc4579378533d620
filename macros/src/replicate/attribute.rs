//! `#[sync(...)]`: the policy of one field and its options.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Field, Ident, Lit, Result, Token, UnOp};

/// What to write, for every message about a wrong attribute.
const POLICIES: &str = "#[sync(broadcast)] (everybody who sees the entity is sent the field) or \
     #[sync(server_only)] (nobody ever is)";

/// Who is sent a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    ServerOnly,
    Broadcast,
}

/// The attribute of one field.
#[derive(Debug)]
pub(crate) struct Sync {
    pub(crate) policy: Policy,
    /// Positive and finite, where given, and where it was.
    pub(crate) precision: Option<(f32, Span)>,
    /// At least 1, where given, and where it was.
    pub(crate) max_bytes: Option<(usize, Span)>,
}

/// One item between the commas.
struct Item {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(Self { name, value })
    }
}

impl Sync {
    /// Reads the attribute of a field that is called `label` in messages.
    pub(crate) fn of(field: &Field, label: &str) -> Result<Self> {
        let mut attributes = field.attrs.iter().filter(|attribute| attribute.path().is_ident("sync"));
        let Some(attribute) = attributes.next() else {
            return Err(Error::new(
                field.ident.as_ref().map_or_else(|| field.ty.span(), Spanned::span),
                format!("field `{label}` has no sync policy: write {POLICIES}"),
            ));
        };
        if let Some(second) = attributes.next() {
            return Err(Error::new_spanned(
                second,
                format!("field `{label}` has a second #[sync(...)]: write its policy and options into one"),
            ));
        }
        let items = attribute.parse_args_with(Punctuated::<Item, Token![,]>::parse_terminated)?;
        let mut policy = None;
        let mut precision = None;
        let mut max_bytes = None;
        for item in &items {
            match item.name.to_string().as_str() {
                "broadcast" => set(&mut policy, item, no_value(item, Policy::Broadcast)?)?,
                "server_only" => set(&mut policy, item, no_value(item, Policy::ServerOnly)?)?,
                "precision" => set(&mut precision, item, positive_number(item)?)?,
                "max_bytes" => set(&mut max_bytes, item, positive_integer(item)?)?,
                other => {
                    return Err(Error::new(
                        item.name.span(),
                        format!(
                            "there is no sync policy `{other}`: write {POLICIES}; options are precision = 0.01 and max_bytes = 512"
                        ),
                    ));
                }
            }
        }
        let Some(policy) = policy else {
            return Err(Error::new_spanned(
                attribute,
                format!("field `{label}` has no sync policy: write {POLICIES}"),
            ));
        };
        Ok(Self { policy, precision, max_bytes })
    }
}

/// Fills a slot that must still be empty.
fn set<T>(slot: &mut Option<T>, item: &Item, value: T) -> Result<()> {
    if slot.is_some() {
        let name = &item.name;
        let what = match name.to_string().as_str() {
            "precision" | "max_bytes" => format!("`{name}` is given twice"),
            _ => format!("`{name}` is a second policy: a field has exactly one"),
        };
        return Err(Error::new(name.span(), what));
    }
    *slot = Some(value);
    Ok(())
}

fn no_value(item: &Item, policy: Policy) -> Result<Policy> {
    match &item.value {
        None => Ok(policy),
        Some(value) => Err(Error::new_spanned(value, format!("policy `{}` takes no value", item.name))),
    }
}

/// The literal behind any invisible groups and a minus, and whether there was one.
fn literal(expr: &Expr) -> Option<(&Lit, bool)> {
    match expr {
        Expr::Group(group) => literal(&group.expr),
        Expr::Lit(lit) => Some((&lit.lit, false)),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            literal(&unary.expr).map(|(lit, negative)| (lit, !negative))
        }
        _ => None,
    }
}

fn positive_number(item: &Item) -> Result<(f32, Span)> {
    let span = item.value.as_ref().map_or_else(|| item.name.span(), Spanned::span);
    let number = match item.value.as_ref().and_then(literal) {
        Some((Lit::Float(number), negative)) => number.base10_parse::<f32>().ok().map(|n| (n, negative)),
        Some((Lit::Int(number), negative)) => number.base10_parse::<f32>().ok().map(|n| (n, negative)),
        _ => None,
    };
    match number {
        Some((number, false)) if number > 0.0 && number.is_finite() => Ok((number, span)),
        _ => Err(Error::new(
            span,
            "precision is a positive number, the smallest difference that is told: precision = 0.01",
        )),
    }
}

fn positive_integer(item: &Item) -> Result<(usize, Span)> {
    let span = item.value.as_ref().map_or_else(|| item.name.span(), Spanned::span);
    let number = match item.value.as_ref().and_then(literal) {
        Some((Lit::Int(number), false)) => number.base10_parse::<usize>().ok(),
        _ => None,
    };
    match number {
        Some(number) if number > 0 => Ok((number, span)),
        _ => Err(Error::new(span, "max_bytes is a positive whole number of bytes: max_bytes = 512")),
    }
}
