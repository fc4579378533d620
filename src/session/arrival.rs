//! A player between its hello and its turn.

use crate::ids::TickNumber;
use crate::players::{ComponentRow, Profile};
use crate::reward::Holdings;
use crate::server::io::Join;

use super::state::{Event, Life, State};

/// A player who said hello and is not in the world yet.
#[derive(Debug)]
pub struct Arrival {
    /// Its hello.
    pub join: Join,
    /// Where it is in its life.
    pub(super) life: Life,
    /// When it said hello.
    pub(super) since: TickNumber,
    /// Number of the request for its profile, while one is under way.
    pub(super) asked: Option<u64>,
    /// When the store is asked again, after it could not say anything.
    pub(super) ask_again: TickNumber,
    /// Why the profile cannot be read, if it cannot.
    pub(super) unreadable: Option<String>,
    /// What the store said last of why it could not.
    pub(super) trouble: Option<String>,
    /// What is stored of the player, once that is known; the default for one who has never been here.
    pub(super) profile: Option<Profile>,
    /// What was written of its avatar since.
    pub(super) rows: Vec<ComponentRow>,
    /// What it holds, as of when the profile was read.
    pub(super) holdings: Holdings,
    /// Whether it was told that it waits.
    pub(super) is_told: bool,
}

impl Arrival {
    /// Somebody who has just said hello.
    pub(super) fn new(join: Join, since: TickNumber) -> Self {
        Self {
            join,
            life: Life::default(),
            since,
            asked: None,
            ask_again: since,
            unreadable: None,
            trouble: None,
            profile: None,
            rows: Vec::new(),
            holdings: Holdings::default(),
            is_told: false,
        }
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.life.state()
    }

    /// Something happened to the player; `false` when it cannot have.
    #[must_use = "an event that could not happen must have no consequences"]
    pub(super) fn on(&mut self, event: Event, illegal: &mut u64) -> bool {
        self.life.on(event, illegal)
    }
}
