//! Faults on purpose, to show that audits find what they are for. Only in tests and with the feature
//! `planted-faults`, which is for tests alone: a server built with it is wrong when it is asked to be.
//!
//! [`View::plant`](super::View::plant) plants one in a session of choice, [`Rows::plant`](super::Rows::plant) one in the
//! rows; with the feature, `TERRANE_PLANTED_FAULT` names one to plant in the first session of a process, or in its rows.

use std::str::FromStr;

use crate::ids::{NetId, Row};

use super::rows::{FIELD_FIRST, RESEND, RowDelta, Rows};
use super::wire::EnterHead;

/// The environment variable that names the fault of the process's first session.
pub const VARIABLE: &str = "TERRANE_PLANTED_FAULT";

/// What is to go wrong, in one view or in the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedFault {
    /// The height of one entity is told a lattice step too high, whenever it enters.
    WrongField,
    /// One leave is never told.
    SkippedLeave,
    /// The changes of one component field of one entity are never told.
    WithheldField,
    /// The changes of one entity's components never get into its row: everybody is told what was, and all agree.
    StaleRow,
}

impl FromStr for PlantedFault {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "wrong-field" => Ok(Self::WrongField),
            "skipped-leave" => Ok(Self::SkippedLeave),
            "withheld-field" => Ok(Self::WithheldField),
            "stale-row" => Ok(Self::StaleRow),
            _ => Err(format!(
                "{VARIABLE}={name} names no fault: expected wrong-field, skipped-leave, withheld-field or stale-row"
            )),
        }
    }
}

/// The fault of one view, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Planted {
    fault: Option<PlantedFault>,
    /// Whose field is wrong.
    victim: Option<NetId>,
    /// Which of its fields is withheld.
    withheld: u32,
}

impl Planted {
    pub(super) fn plant(&mut self, fault: PlantedFault) {
        *self = Self { fault: Some(fault), ..Self::default() };
    }

    /// Makes the enter record of the first entity told wrong, every time it is told.
    pub(super) fn distort(&mut self, head: &mut EnterHead) {
        if self.fault == Some(PlantedFault::WrongField)
            && *self.victim.get_or_insert(head.net_id) == head.net_id
        {
            head.lattice.0[2] += 1;
        }
    }

    /// Takes the victim's field, the first that changes, out of what is pending. What enters whole does so.
    pub(super) fn withhold(&mut self, rows: &Rows, held: &[Row], pending: &mut [u32]) {
        if self.fault != Some(PlantedFault::WithheldField) {
            return;
        }
        for (&row, pending) in held.iter().zip(pending) {
            let fields = *pending >> FIELD_FIRST << FIELD_FIRST;
            if row == Row::NONE || fields == 0 || *pending & RESEND != 0 {
                continue;
            }
            let net_id = rows.net_id[row.index()];
            if self.victim.is_none() {
                (self.victim, self.withheld) = (Some(net_id), 1 << fields.trailing_zeros());
            }
            if self.victim == Some(net_id) {
                *pending &= !self.withheld;
            }
        }
    }

    /// Whether this change is one that the rows must not take: a change of the first entity to have any.
    pub(super) fn keeps_stale(&mut self, rows: &[NetId], delta: &RowDelta) -> bool {
        let net_id = rows[delta.row.index()];
        self.fault == Some(PlantedFault::StaleRow)
            && delta.mask & RESEND == 0
            && *self.victim.get_or_insert(net_id) == net_id
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
    if is_first && let Some(fault) = asked_for() {
        view.plant(fault);
    }
    view
}

/// The rows of a new world, with the fault that the environment asks for.
///
/// # Panics
/// When the environment names a fault that there is not.
#[cfg(feature = "planted-faults")]
#[must_use]
pub fn rows_of_world() -> Rows {
    let mut rows = Rows::default();
    if let Some(fault) = asked_for() {
        rows.plant(fault);
    }
    rows
}

#[cfg(feature = "planted-faults")]
fn asked_for() -> Option<PlantedFault> {
    let name = std::env::var(VARIABLE).ok()?;
    Some(name.parse().unwrap_or_else(|error| panic!("{error}")))
}
