//! What of the store does not work, and what players are told of it.

use std::collections::BTreeSet;

use crate::protocol::messages::Health;
use crate::telemetry::{Phase, Readiness};

/// Something that was asked of the store and failed. The first that is left is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// Images are not written.
    Images,
    /// What is to be kept of players is not written.
    Players,
    /// No numbers are reserved.
    Reserves,
    /// Players cannot be looked up.
    LookUps,
    /// What waits in the outbox cannot be fetched, or what was delivered cannot be written down.
    Deliveries,
    /// What was asked of the store long ago is still not done.
    Stalled,
}

impl Trouble {
    /// In words for players. What cannot be written is told in the same words whatever it is: to them it is one trouble.
    const fn text(self) -> &'static str {
        match self {
            Trouble::Images | Trouble::Players | Trouble::Reserves => {
                "nothing can be saved for now: what happens may be lost if the world stops"
            }
            Trouble::Stalled => "saving takes long: whatever changes value is answered late",
            Trouble::Deliveries => "mails and the like are delivered late",
            Trouble::LookUps => "saved players cannot be read for now: who comes in may have to wait",
        }
    }
}

/// The troubles there are. Each ends when the same kind of thing works again, whatever else works meanwhile.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeSet<Trouble>);

impl Troubles {
    /// This failed.
    pub(super) fn begin(&mut self, trouble: Trouble) {
        self.0.insert(trouble);
    }

    /// This worked. A store that does anything can also be read, and nobody may ever look up anything again.
    pub(super) fn end(&mut self, trouble: Trouble) {
        self.0.remove(&trouble);
        self.0.remove(&Trouble::LookUps);
    }

    /// Why nothing of value may change hands, if it may not: what was to be written of players failed, and waits.
    pub(super) fn value_refused(&self) -> Option<String> {
        self.0.contains(&Trouble::Players).then(|| Trouble::Players.text().to_owned())
    }

    /// What players are told, if there is any.
    pub(super) fn text(&self) -> Option<&'static str> {
        self.0.first().map(|trouble| trouble.text())
    }
}

/// How the world does, as its players are told.
pub(super) fn health_of(readiness: &Readiness) -> Health {
    match (readiness.phase(), readiness.degraded()) {
        (Phase::Draining, _) => Health::Draining,
        (_, Some(why)) => Health::Degraded(why.to_string()),
        (_, None) => Health::Normal,
    }
}
