//! What became of actions, by kind, since the start.

use bevy_ecs::prelude::Resource;

use crate::protocol::messages::ActionRefusal;

/// What became of the actions of one kind since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Done.
    pub done: u64,
    /// Refused by the game.
    pub refused: u64,
    /// Refused because the caller called too many.
    pub limited: u64,
    /// Not run because a newer one of the same tick was.
    pub superseded: u64,
    /// Refused by the engine for another reason: the caller may not, or there is nothing to do it on.
    pub denied: u64,
    /// Repeats, answered from memory.
    pub repeated: u64,
}

impl Tally {
    /// The outcomes by name, as in the labels of metrics.
    #[must_use]
    pub fn outcomes(&self) -> [(&'static str, u64); 6] {
        [
            ("done", self.done),
            ("refused", self.refused),
            ("limited", self.limited),
            ("superseded", self.superseded),
            ("denied", self.denied),
            ("repeated", self.repeated),
        ]
    }

    pub(crate) fn count(&mut self, result: &Result<Vec<u8>, ActionRefusal>) {
        *match result {
            Ok(_) => &mut self.done,
            Err(ActionRefusal::Game { .. }) => &mut self.refused,
            Err(ActionRefusal::RateLimited { .. }) => &mut self.limited,
            Err(ActionRefusal::Superseded) => &mut self.superseded,
            Err(_) => &mut self.denied,
        } += 1;
    }
}

/// The tallies of all kinds, by index.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionTallies(Vec<Tally>);

impl ActionTallies {
    /// By index of the kind; kinds that nobody has called may be missing at the end.
    #[must_use]
    pub fn all(&self) -> &[Tally] {
        &self.0
    }

    pub(crate) fn of(&mut self, kind: u16) -> &mut Tally {
        let index = usize::from(kind);
        if self.0.len() <= index {
            self.0.resize(index + 1, Tally::default());
        }
        &mut self.0[index]
    }
}
