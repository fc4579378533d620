//! Calling policy functions, each policy's in its full form and its shorthands.
//!
//! Which form a function has, the compiler finds out from its signature: the last parameter of each trait is a mark
//! of the form that nobody names. All forms keep the type: what is told is of the field's own type.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ids::PlayerId;
#[cfg(any(test, feature = "planted-faults"))]
use crate::replication::planted;

use super::viewing::Viewing;

/// Mark of a form `fn(&Value, &PlayerId) -> Option<Value>`.
#[derive(Debug)]
pub enum ForPlayer {}
/// Mark of a form `fn(&Value, &Viewing) -> Option<Value>`.
#[derive(Debug)]
pub enum ForViewing {}
/// Mark of a form `fn(&Value, &Viewing) -> bool`.
#[derive(Debug)]
pub enum WholeOrNot {}
/// Mark of a form `fn(&Viewing) -> bool`.
#[derive(Debug)]
pub enum WhoeverItIs {}

/// A function for `per_player`.
#[diagnostic::on_unimplemented(
    message = "this function is no `per_player` policy of a field of type `{V}`",
    label = "has another signature",
    note = "write fn(&{V}, &PlayerId) -> Option<{V}> or fn(&{V}, &Viewing) -> Option<{V}>"
)]
pub trait PerPlayer<V, Form> {
    /// The value as this viewer sees it; `None` hides it.
    fn show(&self, value: &V, viewing: &Viewing<'_>) -> Option<V>;
}

impl<V, F: Fn(&V, &PlayerId) -> Option<V>> PerPlayer<V, ForPlayer> for F {
    fn show(&self, value: &V, viewing: &Viewing<'_>) -> Option<V> {
        self(value, viewing.viewer.player())
    }
}

impl<V, F: Fn(&V, &Viewing<'_>) -> Option<V>> PerPlayer<V, ForViewing> for F {
    fn show(&self, value: &V, viewing: &Viewing<'_>) -> Option<V> {
        self(value, viewing)
    }
}

/// A function for `custom` on a field.
#[diagnostic::on_unimplemented(
    message = "this function is no `custom` policy of a field of type `{V}`",
    label = "has another signature",
    note = "write fn(&{V}, &Viewing) -> Option<{V}>, fn(&{V}, &Viewing) -> bool or fn(&Viewing) -> bool"
)]
pub trait Custom<V: Clone, Form> {
    /// The value as this viewer sees it; `None` hides it.
    fn show<'v>(&self, value: &'v V, viewing: &Viewing<'_>) -> Option<Cow<'v, V>>;
}

impl<V: Clone, F: Fn(&V, &Viewing<'_>) -> Option<V>> Custom<V, ForViewing> for F {
    fn show<'v>(&self, value: &'v V, viewing: &Viewing<'_>) -> Option<Cow<'v, V>> {
        self(value, viewing).map(Cow::Owned)
    }
}

impl<V: Clone, F: Fn(&V, &Viewing<'_>) -> bool> Custom<V, WholeOrNot> for F {
    fn show<'v>(&self, value: &'v V, viewing: &Viewing<'_>) -> Option<Cow<'v, V>> {
        self(value, viewing).then_some(Cow::Borrowed(value))
    }
}

impl<V: Clone, F: Fn(&Viewing<'_>) -> bool> Custom<V, WhoeverItIs> for F {
    fn show<'v>(&self, value: &'v V, viewing: &Viewing<'_>) -> Option<Cow<'v, V>> {
        self(viewing).then_some(Cow::Borrowed(value))
    }
}

/// A function for `custom` on a component.
#[diagnostic::on_unimplemented(
    message = "this function is no `custom` policy of the component `{C}`",
    label = "has another signature",
    note = "write fn(&{C}, &Viewing) -> bool or fn(&Viewing) -> bool"
)]
pub trait Gate<C, Form> {
    /// Whether this viewer sees the component.
    fn opens(&self, component: &C, viewing: &Viewing<'_>) -> bool;
}

impl<C, F: Fn(&C, &Viewing<'_>) -> bool> Gate<C, WholeOrNot> for F {
    fn opens(&self, component: &C, viewing: &Viewing<'_>) -> bool {
        self(component, viewing)
    }
}

impl<C, F: Fn(&Viewing<'_>) -> bool> Gate<C, WhoeverItIs> for F {
    fn opens(&self, _: &C, viewing: &Viewing<'_>) -> bool {
        self(viewing)
    }
}

/// A map with one entry per player, which `per_player_slice` cuts down to the viewer's own.
#[diagnostic::on_unimplemented(
    message = "`per_player_slice` is for maps keyed by player, and `{Self}` is none",
    label = "the field is no BTreeMap<PlayerId, _>",
    note = "make the field a BTreeMap<PlayerId, _>, or write per_player = path"
)]
pub trait PlayerMap: Sized {
    /// The same map with this player's entry alone; empty when there is none.
    #[must_use]
    fn slice(&self, player: &PlayerId) -> Self;

    /// The same by going through all of it: what [`slice`](Self::slice) is compared with.
    #[must_use]
    fn only_of(&self, player: &PlayerId) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> PlayerMap for BTreeMap<PlayerId, T> {
    fn slice(&self, player: &PlayerId) -> Self {
        self.get_key_value(player).map(|(key, value)| (key.clone(), value.clone())).into_iter().collect()
    }

    fn only_of(&self, player: &PlayerId) -> Self {
        let mut slice = self.clone();
        slice.retain(|key, _| key == player);
        slice
    }
}

/// What `per_player` shows this viewer. For what `derive(Replicate)` writes, as all below.
pub fn per_player<'v, V: Clone, Form>(
    policy: impl PerPlayer<V, Form>,
    value: &'v V,
    viewing: &Viewing<'_>,
) -> Option<Cow<'v, V>> {
    #[cfg(any(test, feature = "planted-faults"))]
    if planted::policies_are_left_out() {
        return Some(Cow::Borrowed(value));
    }
    policy.show(value, viewing).map(Cow::Owned)
}

/// What `per_player_slice` shows this viewer.
pub fn per_player_slice<'v, V: Clone + PlayerMap>(value: &'v V, viewing: &Viewing<'_>) -> Option<Cow<'v, V>> {
    #[cfg(any(test, feature = "planted-faults"))]
    if planted::policies_are_left_out() {
        return Some(Cow::Borrowed(value));
    }
    Some(Cow::Owned(value.slice(viewing.viewer.player())))
}

/// What `custom` on a field shows this viewer.
pub fn custom<'v, V: Clone, Form>(
    policy: impl Custom<V, Form>,
    value: &'v V,
    viewing: &Viewing<'_>,
) -> Option<Cow<'v, V>> {
    #[cfg(any(test, feature = "planted-faults"))]
    if planted::policies_are_left_out() {
        return Some(Cow::Borrowed(value));
    }
    policy.show(value, viewing)
}

/// Whether `custom` on a component lets this viewer see it.
pub fn gate<C, Form>(policy: impl Gate<C, Form>, component: &C, viewing: &Viewing<'_>) -> bool {
    policy.opens(component, viewing)
}

/// What `masked` shows everybody.
pub fn masked<V: Clone>(policy: fn(&V) -> V, value: &V) -> V {
    #[cfg(any(test, feature = "planted-faults"))]
    if planted::next_mask_is_left_out() {
        return value.clone();
    }
    policy(value)
}

/// What `computed` shows everybody.
pub fn computed<C, V>(policy: fn(&C) -> V, component: &C) -> V {
    policy(component)
}
