//! Faults on purpose, to show that audits find what they are for. Only in tests and with the feature
//! `planted-faults`, which is for tests alone: a server built with it is wrong when it is asked to be.
//!
//! [`View::plant`](super::View::plant) plants one in a session of choice, [`Rows::plant`](super::Rows::plant) one in the
//! rows; with the feature, `TERRANE_PLANTED_FAULT` names one to plant in the first session of a process, or in its rows.

use std::cell::Cell;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use crate::ids::{NetId, Row};

use super::field::FieldWriter;
use super::layouts::FieldKey;
use super::mask::{FIELD_FIRST, FieldMask, RESEND, bits};
use super::policy::Depends;
use super::rows::{RowDelta, Rows};
use super::view::{PersonalSource, PersonalValues};
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
    /// One mask is left out whenever one entity is encoded: everybody is told the value as it is.
    LeftOutMask,
    /// The policies of one personal field of one entity are left out for one viewer, who is told it as it is.
    LeftOutPolicy,
}

impl FromStr for PlantedFault {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "wrong-field" => Ok(Self::WrongField),
            "skipped-leave" => Ok(Self::SkippedLeave),
            "withheld-field" => Ok(Self::WithheldField),
            "stale-row" => Ok(Self::StaleRow),
            "left-out-mask" => Ok(Self::LeftOutMask),
            "left-out-policy" => Ok(Self::LeftOutPolicy),
            _ => Err(format!(
                "{VARIABLE}={name} names no fault: expected wrong-field, skipped-leave, withheld-field, stale-row, \
                 left-out-mask or left-out-policy"
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
    withheld: FieldMask,
    /// What the encoders of cells do wrong.
    left_out: Option<Arc<LeftOutMask>>,
    /// Whose personal field is told without its policies.
    bare: OnceLock<(Row, FieldKey)>,
}

impl Planted {
    pub(super) fn plant(&mut self, fault: PlantedFault) {
        let left_out = (fault == PlantedFault::LeftOutMask).then(Arc::default);
        *self = Self { fault: Some(fault), left_out, ..Self::default() };
    }

    /// What the encoders of cells are to do wrong, if anything.
    pub(super) fn left_out_mask(&self) -> Option<&Arc<LeftOutMask>> {
        self.left_out.as_ref()
    }

    /// A source that leaves the policies of one field out, if this is the fault. `is_change`: what it gives is told as a
    /// change, so the field may be chosen now.
    pub(super) fn leaving_out<'a>(
        &'a self,
        source: &'a dyn PersonalSource,
        is_change: bool,
    ) -> LeavingOut<'a> {
        LeavingOut { planted: self, source, is_change }
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
    pub(super) fn withhold(&mut self, rows: &Rows, held: &[Row], pending: &mut [FieldMask]) {
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

/// What is left out of the policies that this thread evaluates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LeftOut {
    #[default]
    Nothing,
    NextMask,
    Personal,
}

thread_local! {
    static LEFT_OUT: Cell<LeftOut> = const { Cell::new(LeftOut::Nothing) };
}

fn leaving_out<R>(what: LeftOut, evaluate: impl FnOnce() -> R) -> R {
    LEFT_OUT.set(what);
    let done = evaluate();
    LEFT_OUT.set(LeftOut::Nothing);
    done
}

/// Whether the mask that is about to be put on is left out: asked by it.
pub(super) fn next_mask_is_left_out() -> bool {
    let is_left_out = LEFT_OUT.get() == LeftOut::NextMask;
    if is_left_out {
        LEFT_OUT.set(LeftOut::Nothing);
    }
    is_left_out
}

/// Whether policies that look at the viewer are left out: asked by them.
pub(super) fn policies_are_left_out() -> bool {
    LEFT_OUT.get() == LeftOut::Personal
}

/// One mask of one entity, which all cells leave out when they encode that entity: the first mask of the first entity of
/// which one makes a difference. As if the encoder were wrong, and not what it has written.
#[derive(Debug, Default)]
pub struct LeftOutMask(OnceLock<NetId>);

impl LeftOutMask {
    /// Whether this is the entity. Asked by audits, which encode again what has been told and choose nobody.
    pub(crate) fn is_of(&self, net_id: NetId) -> bool {
        self.0.get() == Some(&net_id)
    }

    /// Encodes the entity again without its first mask, if it is the one, or if there is none yet and it can be.
    pub(crate) fn leave_mask_out(
        &self,
        net_id: NetId,
        writer: &mut FieldWriter,
        encode: impl Fn(&mut FieldWriter),
    ) {
        if self.0.get().is_some() && !self.is_of(net_id) {
            return;
        }
        let masked = writer.clone();
        leaving_out(LeftOut::NextMask, || encode(writer));
        if *writer != masked && *self.0.get_or_init(|| net_id) != net_id {
            *writer = masked;
        }
    }
}

/// See [`Planted::leaving_out`].
pub(super) struct LeavingOut<'a> {
    planted: &'a Planted,
    source: &'a dyn PersonalSource,
    is_change: bool,
}

impl PersonalSource for LeavingOut<'_> {
    fn show(
        &self,
        row: Row,
        component: usize,
        wanted: u64,
        values: &mut PersonalValues,
        sees: &dyn Fn(NetId) -> bool,
    ) {
        let Planted { fault, bare: victim, .. } = self.planted;
        if *fault != Some(PlantedFault::LeftOutPolicy) {
            return self.source.show(row, component, wanted, values, sees);
        }
        for field in bits(wanted) {
            let name = (row, FieldKey { component: component as u8, field: field as u8 });
            let before = values.clone();
            self.source.show(row, component, 1 << field, values, sees);
            if !victim.get().map_or(self.is_change, |victim| *victim == name) {
                continue;
            }
            let mut bare = before;
            leaving_out(LeftOut::Personal, || self.source.show(row, component, 1 << field, &mut bare, sees));
            if bare.bytes == values.bytes || *victim.get_or_init(|| name) != name {
                continue;
            }
            let reads = values.fields.last().map_or(Depends::NONE, |value| value.reads);
            bare.fields.iter_mut().next_back().expect("it was just shown").reads |= reads;
            *values = bare;
        }
    }

    fn shows_component(&self, row: Row, component: usize, reads: &mut Depends) -> bool {
        self.source.shows_component(row, component, reads)
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
pub fn rows_of_world(mut rows: Rows) -> Rows {
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
