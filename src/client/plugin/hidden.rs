//! What of a component the player may not see.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use bevy_ecs::prelude::Component;

use crate::replication::Replicate;

/// What of `C` the player may not see on this entity, so that a game can draw "???" and not a default. An entity without
/// it hides nothing of `C` that is known of.
#[derive(Component)]
pub struct Hidden<C: Replicate> {
    what: HiddenParts,
    of: PhantomData<fn() -> C>,
}

/// The paths of what is hidden, by the field they lie in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HiddenParts {
    /// All of the component: it was seen and is withdrawn now.
    pub(super) whole: bool,
    pub(super) fields: BTreeMap<usize, Vec<String>>,
}

impl HiddenParts {
    pub(super) fn is_empty(&self) -> bool {
        !self.whole && self.fields.is_empty()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> + '_ {
        self.fields.values().flatten().map(String::as_str)
    }

    pub(super) fn hides(&self, path: &str) -> bool {
        let lies_in = |hidden: &str| {
            path.strip_prefix(hidden).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.whole || self.paths().any(lies_in)
    }

    /// Sets what is hidden in one field.
    pub(super) fn set_field(&mut self, field: usize, paths: Vec<String>) {
        if paths.is_empty() {
            self.fields.remove(&field);
        } else {
            self.fields.insert(field, paths);
        }
    }
}

impl<C: Replicate> Hidden<C> {
    pub(super) fn new(what: HiddenParts) -> Self {
        Self { what, of: PhantomData }
    }

    pub(super) fn parts(&self) -> &HiddenParts {
        &self.what
    }

    /// Whether all of the component is hidden: the player has seen it on this entity and may not any longer. `C` is not
    /// there then, which is not to say that the entity still has one.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.what.whole
    }

    /// What is hidden, field by field: `cargo` for a whole field, `crew.members[2].wage` or `bids[alice].price` for what
    /// is hidden within one.
    pub fn paths(&self) -> impl Iterator<Item = &str> + '_ {
        self.what.paths()
    }

    /// Whether a field, or a part of one, is hidden, itself or with what it lies in. O(what is hidden).
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        self.what.hides(path)
    }
}

impl<C: Replicate> fmt::Debug for Hidden<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hidden").field("of", &C::NAME).field("what", &self.what).finish()
    }
}
