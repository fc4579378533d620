//! What a viewer sees of a value, built from scratch: what everything else is compared with.
//!
//! It makes values of values and never touches a byte. Of what encoders use it shares the policy functions themselves,
//! which are the definition, and how a float is rounded.

use std::fmt::Display;

use serde::Serialize;

use crate::limits::NODE_LEVELS_MAX;
use crate::replication::quantised::Quantised;

use super::functions::PlayerMap;
use super::node::SyncNode;
use super::reader::element_of_path;
use super::viewing::Viewing;

/// A value as one viewer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sieved<T> {
    /// With everything that is hidden at its default.
    pub value: T,
    /// The paths of what is hidden, in order of declaration. What lies within something hidden is not listed.
    pub hidden: Vec<String>,
}

/// Where the sieve is and what it kept back.
#[derive(Debug, Default)]
pub struct Sieve {
    path: Vec<String>,
    hidden: Vec<String>,
    level: usize,
    too_deep: bool,
}

impl Sieve {
    /// The end: the value together with what was kept back.
    pub fn of<T>(sieved: impl FnOnce(&mut Sieve) -> T) -> Sieved<T> {
        let mut sieve = Sieve::default();
        let value = sieved(&mut sieve);
        Sieved { value, hidden: sieve.hidden }
    }

    fn hide<V: Default>(&mut self, name: impl Display) -> V {
        self.hidden.push(self.path.concat() + &self.step(name));
        V::default()
    }

    fn step(&self, name: impl Display) -> String {
        if self.path.is_empty() { name.to_string() } else { format!(".{name}") }
    }

    /// A struct or enum: a level of its own.
    pub fn node<V: SyncNode>(&mut self, sieved: impl FnOnce(&mut Self) -> V) -> V {
        if self.level == NODE_LEVELS_MAX {
            self.too_deep = true;
            return V::default();
        }
        self.level += 1;
        let value = sieved(self);
        self.level -= 1;
        value
    }

    /// A plain field.
    pub fn field<V: Default>(&mut self, name: &str, seen: Option<V>) -> V {
        seen.unwrap_or_else(|| self.hide(name))
    }

    /// A field that is told to a precision.
    pub fn quantised_field<V: Quantised + Default>(
        &mut self,
        name: &str,
        seen: Option<V>,
        precision: f32,
    ) -> V {
        seen.map_or_else(|| self.hide(name), |value| value.rounded(precision))
    }

    /// A field that is a node, which `sieved` sieves in turn. Hidden, too, when it nests too deeply.
    pub fn nested_field<V: Default>(
        &mut self,
        name: &str,
        seen: Option<V>,
        sieved: impl FnOnce(&V, &mut Self) -> V,
    ) -> V {
        let Some(value) = seen else { return self.hide(name) };
        let hidden = self.hidden.len();
        self.path.push(self.step(name));
        let value = sieved(&value, self);
        self.path.pop();
        if std::mem::take(&mut self.too_deep) {
            self.hidden.truncate(hidden);
            return self.hide(name);
        }
        value
    }

    /// An element of a list or map, which `key` names in paths.
    pub fn element<V: SyncNode>(
        &mut self,
        key: &(impl Serialize + ?Sized),
        value: &V,
        viewing: &Viewing<'_>,
    ) -> V {
        self.path.push(element_of_path(key));
        let value = value.sieve_node(viewing, self);
        self.path.pop();
        value
    }
}

/// What `per_player_slice` leaves of a map. For what `derive(Replicate)` writes.
#[must_use]
pub fn slice_of<M: PlayerMap>(map: &M, viewing: &Viewing<'_>) -> M {
    map.only_of(viewing.viewer.player())
}
