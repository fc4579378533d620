//! Faults on purpose, to show that audits find what they are for. Only in tests and with the feature
//! `planted-faults`, which is for tests alone: a server built with it is wrong when it is asked to be.
//!
//! [`View::plant`](super::View::plant) plants one in a session of choice; with the feature, `TERRANE_PLANTED_FAULT=wrong-field` or
//! `=skipped-leave` plants one in the first session of a process.

use std::str::FromStr;

use crate::ids::NetId;

use super::wire::EnterHead;

/// The environment variable that names the fault of the process's first session.
pub const VARIABLE: &str = "TERRANE_PLANTED_FAULT";

/// What is to go wrong in one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedFault {
    /// The height of one entity is told a lattice step too high, whenever it enters.
    WrongField,
    /// One leave is never told.
    SkippedLeave,
}

impl FromStr for PlantedFault {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "wrong-field" => Ok(Self::WrongField),
            "skipped-leave" => Ok(Self::SkippedLeave),
            _ => Err(format!("{VARIABLE}={name} names no fault: expected wrong-field or skipped-leave")),
        }
    }
}

/// The fault of one view, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Planted {
    fault: Option<PlantedFault>,
    /// Whose field is wrong.
    victim: Option<NetId>,
}

impl Planted {
    pub(super) fn plant(&mut self, fault: PlantedFault) {
        *self = Self { fault: Some(fault), victim: None };
    }

    /// Makes the enter record of the first entity told wrong, every time it is told.
    pub(super) fn distort(&mut self, head: &mut EnterHead) {
        if self.fault == Some(PlantedFault::WrongField)
            && *self.victim.get_or_insert(head.net_id) == head.net_id
        {
            head.lattice.0[2] += 1;
        }
    }

    /// Whether this leave is the one to be skipped.
    pub(super) fn skips_leave(&mut self) -> bool {
        self.fault.take_if(|fault| *fault == PlantedFault::SkippedLeave).is_some()
    }
}

/// The view of a new session: the process's first has the fault that the environment asks for.
///
/// # Panics
/// When the environment names a fault that there is not.
#[cfg(feature = "planted-faults")]
#[must_use]
pub fn view_of_session(is_first: bool) -> super::View {
    let mut view = super::View::default();
    if is_first && let Ok(name) = std::env::var(VARIABLE) {
        view.plant(name.parse().unwrap_or_else(|error| panic!("{error}")));
    }
    view
}
