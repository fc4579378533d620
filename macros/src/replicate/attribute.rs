//! `#[sync(...)]` on a field: its policy and options.

use std::ops::RangeInclusive;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, Field, Ident, Lit, Path, Result, Token, UnOp};

/// What to write, for every message about a wrong attribute.
const POLICIES: &str = "#[sync(broadcast)] (everybody who sees the entity is sent the field), \
     #[sync(server_only)] (nobody ever is), #[sync(masked = path)] (everybody is sent what the function makes of it), \
     #[sync(per_player = path)] or #[sync(custom = path)] (each viewer is sent what the function gives for that viewer), \
     #[sync(per_player_slice)] (each viewer is sent the own entry of a map) or \
     #[sync(computed = path)] (everybody is sent what the function makes of the whole component)";

/// The options, for the same.
const OPTIONS: &str = "nested, precision = 0.01, max_bytes = 512 and reveal_ids";

/// Who is sent a field, and as what.
#[derive(Clone)]
pub(crate) enum Policy {
    ServerOnly,
    Broadcast,
    Masked(Path),
    PerPlayer(Path),
    PerPlayerSlice,
    Custom(Path),
    Computed(Path),
}

impl Policy {
    /// Whether what is told depends on who looks.
    pub(crate) fn is_personal(&self) -> bool {
        matches!(self, Policy::PerPlayer(_) | Policy::PerPlayerSlice | Policy::Custom(_))
    }
}

/// The attribute of one field.
pub(crate) struct Sync {
    pub(crate) policy: Policy,
    /// Where the policy is named.
    pub(crate) policy_at: Span,
    /// Where `nested` is, where the field's value has policies of its own.
    pub(crate) nested: Option<Span>,
    /// Whether ids in it are told to who does not see what they name.
    pub(crate) reveal_ids: bool,
    /// Positive and finite, where given, and where it was.
    pub(crate) precision: Option<(f32, Span)>,
    /// At least 1, where given, and where it was.
    pub(crate) max_bytes: Option<(usize, Span)>,
}

/// One item between the commas.
pub(crate) struct Item {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(Self { name, value })
    }
}

/// The items of the one `#[sync(...)]` among `attributes`, and the attribute; `what` names its place in messages.
pub(crate) fn items_of<'a>(
    attributes: &'a [Attribute],
    what: &str,
) -> Result<Option<(Vec<Item>, &'a Attribute)>> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident("sync"));
    let Some(attribute) = found.next() else { return Ok(None) };
    if let Some(second) = found.next() {
        return Err(Error::new_spanned(
            second,
            format!("{what} has a second #[sync(...)]: write its policy and options into one"),
        ));
    }
    let items = attribute.parse_args_with(Punctuated::<Item, Token![,]>::parse_terminated)?;
    Ok(Some((items.into_iter().collect(), attribute)))
}

impl Sync {
    /// What holds for the fields of a type that is never sent, whatever their own attributes say.
    pub(crate) fn server_only(at: Span) -> Self {
        Self {
            policy: Policy::ServerOnly,
            policy_at: at,
            nested: None,
            reveal_ids: false,
            precision: None,
            max_bytes: None,
        }
    }

    /// Reads the attribute of a field that is called `label` in messages.
    pub(crate) fn of(field: &Field, label: &str) -> Result<Self> {
        let Some((items, attribute)) = items_of(&field.attrs, &format!("field `{label}`"))? else {
            return Err(Error::new(
                field.ident.as_ref().map_or_else(|| field.ty.span(), Spanned::span),
                format!("field `{label}` has no sync policy: write {POLICIES}"),
            ));
        };
        let (mut policy, mut nested, mut reveal_ids) = (None, None, None);
        let (mut precision, mut max_bytes) = (None, None);
        for item in &items {
            let at = item.name.span();
            match item.name.to_string().as_str() {
                "broadcast" => set(&mut policy, item, no_value(item, (Policy::Broadcast, at))?)?,
                "server_only" => set(&mut policy, item, no_value(item, (Policy::ServerOnly, at))?)?,
                "per_player_slice" => set(&mut policy, item, no_value(item, (Policy::PerPlayerSlice, at))?)?,
                "masked" => set(&mut policy, item, (Policy::Masked(function(item)?), at))?,
                "per_player" => set(&mut policy, item, (Policy::PerPlayer(function(item)?), at))?,
                "custom" => set(&mut policy, item, (Policy::Custom(function(item)?), at))?,
                "computed" => set(&mut policy, item, (Policy::Computed(function(item)?), at))?,
                "nested" => set(&mut nested, item, no_value(item, at)?)?,
                "reveal_ids" => set(&mut reveal_ids, item, no_value(item, at)?)?,
                "precision" => set(&mut precision, item, positive_number(item)?)?,
                "max_bytes" => set(&mut max_bytes, item, positive_integer(item)?)?,
                of_component @ ("priority" | "max_staleness") => {
                    return Err(Error::new(
                        at,
                        format!("`{of_component}` holds for a whole component: write it on the type"),
                    ));
                }
                other => {
                    return Err(Error::new(
                        at,
                        format!("there is no sync policy `{other}`: write {POLICIES}; options are {OPTIONS}"),
                    ));
                }
            }
        }
        let Some((policy, policy_at)) = policy else {
            return Err(Error::new_spanned(
                attribute,
                format!("field `{label}` has no sync policy: write {POLICIES}"),
            ));
        };
        let sync = Self { policy, policy_at, nested, reveal_ids: reveal_ids.is_some(), precision, max_bytes };
        sync.check(reveal_ids)?;
        Ok(sync)
    }

    /// Refuses options that contradict each other or the policy.
    fn check(&self, reveal_ids: Option<Span>) -> Result<()> {
        let options = [
            ("nested", self.nested),
            ("reveal_ids", reveal_ids),
            ("precision", self.precision.map(|(_, at)| at)),
            ("max_bytes", self.max_bytes.map(|(_, at)| at)),
        ];
        for (name, at) in options {
            if let (Policy::ServerOnly, Some(at)) = (&self.policy, at) {
                return Err(Error::new(
                    at,
                    format!("a server_only field is never sent: {name} has no meaning"),
                ));
            }
        }
        match (self.nested, self.precision, reveal_ids) {
            (Some(_), Some((_, at)), _) => Err(Error::new(
                at,
                "precision is for numbers, and a nested value has fields: declare it on those",
            )),
            (Some(_), _, Some(at)) => Err(Error::new(
                at,
                "each field within a nested value decides for itself: write reveal_ids on those that hold the ids",
            )),
            _ => Ok(()),
        }
    }
}

/// Fills a slot that must still be empty.
pub(crate) fn set<T>(slot: &mut Option<T>, item: &Item, value: T) -> Result<()> {
    if slot.is_some() {
        let name = &item.name;
        let what = match name.to_string().as_str() {
            "nested" | "reveal_ids" | "precision" | "max_bytes" | "priority" | "max_staleness" => {
                format!("`{name}` is given twice")
            }
            _ => format!("`{name}` is a second policy: there is exactly one"),
        };
        return Err(Error::new(name.span(), what));
    }
    *slot = Some(value);
    Ok(())
}

pub(crate) fn no_value<T>(item: &Item, meaning: T) -> Result<T> {
    match &item.value {
        None => Ok(meaning),
        Some(value) => Err(Error::new_spanned(value, format!("`{}` takes no value", item.name))),
    }
}

/// The function that a policy names.
pub(crate) fn function(item: &Item) -> Result<Path> {
    let name = &item.name;
    match &item.value {
        Some(Expr::Path(path)) if path.qself.is_none() && path.attrs.is_empty() => Ok(path.path.clone()),
        Some(other) => Err(Error::new_spanned(
            other,
            format!("`{name}` names a function: write {name} = path::to::function"),
        )),
        None => Err(Error::new(
            name.span(),
            format!("`{name}` needs the function that decides: write {name} = path::to::function"),
        )),
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

pub(crate) fn positive_integer(item: &Item) -> Result<(usize, Span)> {
    let expected = "max_bytes is a positive whole number of bytes: max_bytes = 512";
    whole_number(item, 1..=u64::from(u32::MAX), expected).map(|(number, span)| (number as usize, span))
}

/// A whole number within bounds, or `expected` as what is wrong.
pub(crate) fn whole_number(item: &Item, within: RangeInclusive<u64>, expected: &str) -> Result<(u64, Span)> {
    let span = item.value.as_ref().map_or_else(|| item.name.span(), Spanned::span);
    let number = match item.value.as_ref().and_then(literal) {
        Some((Lit::Int(number), false)) => number.base10_parse::<u64>().ok(),
        _ => None,
    };
    match number {
        Some(number) if within.contains(&number) => Ok((number, span)),
        _ => Err(Error::new(span, expected)),
    }
}
