//! `#[sync(...)]` on a type: who sees the component at all, and how urgent its changes are.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Error, Expr, Path, Result};

use super::attribute::{Item, function, items_of, no_value, positive_integer, set, whole_number};

/// What to write, for every message about a wrong attribute.
const POLICIES: &str = "#[sync(owner)], #[sync(party)], #[sync(team)], #[sync(role = Gm)], \
     #[sync(custom = path)] or #[sync(server_only)]; without one, everybody who sees the entity sees the component. \
     Options: priority = 4 and max_staleness = 10";

/// Bounds of `priority` and `max_staleness`: `terrane::limits` has the last word, and a test holds the two together.
const PRIORITY_MAX: u64 = 8;
const STALENESS_TICKS_MAX: u64 = 200;

const PRIORITY: &str = "priority is a whole number from 1, as usual, to 8: priority = 4";
const MAX_STALENESS: &str = "max_staleness is a whole number of ticks from 1 to 200: max_staleness = 10";

/// Who sees a component.
pub(crate) enum Gate {
    Everyone,
    Owner,
    Party,
    Team,
    Role(Ident),
    Custom(Path, Span),
    ServerOnly,
}

/// The attribute of a type.
pub(crate) struct Container {
    pub(crate) gate: Gate,
    /// Of an enum, which is one field.
    pub(crate) max_bytes: Option<(usize, Span)>,
    priority: Option<(u64, Span)>,
    max_staleness: Option<(u64, Span)>,
}

impl Container {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let what = format!("type `{}`", input.ident);
        let Some((items, _)) = items_of(&input.attrs, &what)? else {
            return Ok(Self { gate: Gate::Everyone, max_bytes: None, priority: None, max_staleness: None });
        };
        let (mut gate, mut max_bytes) = (None, None);
        let (mut priority, mut max_staleness) = (None, None);
        for item in &items {
            match item.name.to_string().as_str() {
                "owner" => set(&mut gate, item, no_value(item, Gate::Owner)?)?,
                "party" => set(&mut gate, item, no_value(item, Gate::Party)?)?,
                "team" => set(&mut gate, item, no_value(item, Gate::Team)?)?,
                "server_only" => set(&mut gate, item, no_value(item, Gate::ServerOnly)?)?,
                "role" => set(&mut gate, item, Gate::Role(role(item)?))?,
                "custom" => set(&mut gate, item, Gate::Custom(function(item)?, item.name.span()))?,
                "priority" => set(&mut priority, item, whole_number(item, 1..=PRIORITY_MAX, PRIORITY)?)?,
                "max_staleness" => {
                    let ticks = whole_number(item, 1..=STALENESS_TICKS_MAX, MAX_STALENESS)?;
                    set(&mut max_staleness, item, ticks)?;
                }
                "max_bytes" if matches!(input.data, Data::Enum(_)) => {
                    set(&mut max_bytes, item, positive_integer(item)?)?;
                }
                "max_bytes" => {
                    return Err(Error::new(
                        item.name.span(),
                        "max_bytes bounds a field: declare it on one (an enum is one field and takes it here)",
                    ));
                }
                other => {
                    return Err(Error::new(
                        item.name.span(),
                        format!("there is no component policy `{other}`: write {POLICIES}"),
                    ));
                }
            }
        }
        if matches!(gate, Some(Gate::ServerOnly)) {
            let options = [
                ("max_bytes", max_bytes.map(|(_, at)| at)),
                ("priority", priority.map(|(_, at)| at)),
                ("max_staleness", max_staleness.map(|(_, at)| at)),
            ];
            if let Some((name, at)) = options.into_iter().find_map(|(name, at)| Some((name, at?))) {
                return Err(Error::new(
                    at,
                    format!("a server_only component is never sent: {name} has no meaning"),
                ));
            }
        }
        Ok(Self { gate: gate.unwrap_or(Gate::Everyone), max_bytes, priority, max_staleness })
    }

    /// Whether it says anything that only a component of an entity has.
    pub(crate) fn is_for_components_alone(&self) -> bool {
        !matches!(self.gate, Gate::Everyone) || self.priority.is_some() || self.max_staleness.is_some()
    }

    /// The value of `SyncFields::URGENCY`.
    pub(crate) fn urgency(&self) -> TokenStream {
        let priority = self.priority.map_or(1, |(priority, _)| priority as u8);
        let staleness = match self.max_staleness {
            Some((ticks, _)) => {
                let ticks = ticks as u16;
                quote!(::core::option::Option::Some(#ticks))
            }
            None => quote!(::core::option::Option::None),
        };
        quote!(::terrane::replication::Urgency::new(#priority, #staleness))
    }

    pub(crate) fn is_server_only(&self) -> bool {
        matches!(self.gate, Gate::ServerOnly)
    }

    /// The value of `SyncFields::COMPONENT_POLICY`.
    pub(crate) fn tokens(&self) -> TokenStream {
        let policy = match &self.gate {
            Gate::Everyone => quote!(Everyone),
            Gate::Owner => quote!(Owner),
            Gate::Party => quote!(Party),
            Gate::Team => quote!(Team),
            Gate::Role(role) => quote!(Role(::terrane::ids::Role::#role)),
            Gate::Custom(..) => quote!(Custom),
            Gate::ServerOnly => quote!(ServerOnly),
        };
        quote!(::terrane::replication::policy::ComponentPolicy::#policy)
    }
}

fn role(item: &Item) -> Result<Ident> {
    let known = "write role = Gm (game masters and admins) or role = Admin";
    let name = match &item.value {
        Some(Expr::Path(path)) => path.path.get_ident(),
        _ => None,
    };
    match (name, &item.value) {
        (Some(name), _) if name == "Gm" || name == "Admin" => Ok(name.clone()),
        (Some(name), _) if name == "Player" => {
            Err(Error::new(name.span(), format!("everybody is at least a Player: {known}")))
        }
        (_, Some(other)) => Err(Error::new_spanned(other, format!("this is no role: {known}"))),
        (_, None) => Err(Error::new(item.name.span(), format!("it does not say which role: {known}"))),
    }
}
