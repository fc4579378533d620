//! What differs from viewer to viewer: fields whose policy looks at the viewer, names of entities that not
//! everybody sees, components that are hidden from some.
//!
//! Most entities have nothing of the kind, and the loops over the view never look here. An alias whose entity
//! has is *special*: its own fields, public ones too, go through a hash per (viewer, entity, field), so that a
//! change that leaves this viewer's value equal sends nothing. Its position goes the way of all positions.

use crate::ids::{Alias, NetId, Row};
use crate::replication::layouts::FieldKey;
use crate::replication::mask::{FIELD_FIRST, FIELDS_OF_PLACE, FieldMask, RESEND, SUBJECT};
use crate::replication::policy::{Depends, ViewerContext};
use crate::replication::rows::Rows;
use crate::replication::rule::Viewer;
use crate::replication::wire::ROW_BYTES_MAX;

use super::aliases::{Aliases, aliases_of, has, put, take};
use super::evaluate::{evaluate, evaluate_all, personalise_cut};
use super::held::{Held, HeldField, ShownField, ShownFields, WholeScratch, held_of_plain};
use super::in_flight::Sent;
use super::personal_values::PersonalValues;
use super::{View, ViewScratch};

/// Where personal fields are evaluated: on the owner's component, wherever owner and viewer are. One source
/// serves one viewer.
pub trait PersonalSource {
    /// Appends the `wanted` personal fields of one component (bit *i* is its *i*-th sent one), all of them and ascending, as a
    /// viewer who sees those entities may see them.
    fn show(
        &self,
        row: Row,
        component: usize,
        wanted: u64,
        values: &mut PersonalValues,
        sees: &dyn Fn(NetId) -> bool,
    );
    /// Whether the viewer may see the component at all, and what decided that. Of a component that the entity does not have
    /// any more, whether the viewer would; of a policy that needs the value, yes.
    fn shows_component(&self, row: Row, component: usize, reads: &mut Depends) -> bool;
}

/// Of a world without personal fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingPersonal;

impl PersonalSource for NothingPersonal {
    fn show(&self, _: Row, _: usize, wanted: u64, values: &mut PersonalValues, _: &dyn Fn(NetId) -> bool) {
        values.hide(wanted);
    }
    fn shows_component(&self, _: Row, _: usize, _: &mut Depends) -> bool {
        true
    }
}

/// One viewer's look at the world in one tick.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// From where, and as whom.
    pub viewer: Viewer,
    /// What policies may know of the viewer.
    pub context: &'a ViewerContext,
    /// What of it has changed since the last tick.
    pub changes: Depends,
    /// What is in the view wherever it is, ascending.
    pub always: &'a [Row],
    /// Where personal fields are evaluated.
    pub source: &'a dyn PersonalSource,
}

impl std::fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look")
            .field("viewer", &self.viewer)
            .field("context", self.context)
            .finish_non_exhaustive()
    }
}

/// Which components the viewer sees now; whether that is another set than before.
fn regate(rows: &Rows, look: &Look<'_>, row: Row, gated: u64, held: &mut Held) -> bool {
    let encoded = &rows.encoded[row.index()];
    let mut visible = encoded.components & !gated;
    held.gate_reads = Depends::default();
    let mut rest = gated;
    while rest != 0 {
        let component = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        if look.source.shows_component(row, component, &mut held.gate_reads) {
            visible |= 1 << component;
        }
    }
    if visible == held.components {
        return false;
    }
    // What goes in the very tick in which it is hidden is hidden: that it has gone is nothing that the viewer may know.
    let mut withdrawn = held.components & !visible & encoded.components;
    let mut gone = held.components & !encoded.components & rows.gated_ever(row);
    while gone != 0 {
        let component = gone.trailing_zeros() as usize;
        gone &= gone - 1;
        if !look.source.shows_component(row, component, &mut Depends::default()) {
            withdrawn |= 1 << component;
        }
    }
    held.withdrawn = (held.withdrawn | withdrawn) & !visible;
    held.components = visible;
    held.told = false;
    true
}

impl View {
    /// Makes the alias of who has just come special, if its entity has anything that differs from viewer to viewer.
    pub(super) fn note_special(&mut self, rows: &Rows, alias: usize) {
        if rows.special[self.aliases.rows[alias].index()] {
            put(&mut self.aliases.special, alias);
            self.aliases.personal.insert(alias, Held::default());
            self.aliases.wakes[alias] = None;
        }
    }

    /// Makes those special that are so from this tick on. Before the tick's changes are merged: what is pending now is
    /// what the client was not told of the plain entity, and everything else it was. So what becomes special for
    /// something that this viewer may not see sends nothing.
    pub(super) fn note_new_specials(&mut self, rows: &Rows) {
        for word in 0..self.aliases.words() {
            for alias in aliases_of(word, self.aliases.held[word] & !self.aliases.special[word]) {
                let row = self.aliases.rows[alias];
                if !rows.special[row.index()] {
                    continue;
                }
                put(&mut self.aliases.special, alias);
                let sent = has(&self.aliases.sent, alias);
                let held =
                    sent.then(|| held_of_plain(rows, rows.before_special(row), self.aliases.pending[alias]));
                self.aliases.personal.insert(alias, held.unwrap_or_default());
                self.aliases.wakes[alias] = None;
            }
        }
    }

    /// Finds out what of the special entities has to be told: after everybody came and went, before anything
    /// is assembled. O(special entities, and the fields of those of which something but the place is pending or was asked
    /// about).
    pub(super) fn personalise(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        members_changed: bool,
        scratch: &mut ViewScratch,
    ) {
        scratch.shown.clear();
        let mut triggers = look.changes;
        if members_changed {
            triggers |= Depends::NAMED_IDS;
        }
        for word in 0..self.aliases.words() {
            // All of them first, so that the cache misses of one are waited for together with those of the next.
            let (mut awake, mut fields, mut bytes) = (0u64, 0, 0);
            for alias in aliases_of(word, self.aliases.special[word]) {
                // Nearly all: what only moves is not looked into, which would be four cache misses for each.
                let sleeps = self.aliases.pending[alias] & !FIELDS_OF_PLACE == 0
                    && self.aliases.wakes[alias].is_some_and(|wakes| !triggers.intersects(wakes));
                if !sleeps {
                    awake |= 1 << (alias % 64);
                    let held = self.aliases.personal.of(alias);
                    fields += held.fields.len();
                    bytes += held.fields.iter().map(|field| usize::from(field.length())).sum::<usize>();
                }
            }
            scratch.shown.reserve(fields, bytes);
            for alias in aliases_of(word, awake) {
                self.personalise_one(rows, look, alias, triggers, scratch);
            }
            if rows.policies_changed {
                let end = self.aliases.end.min(word * 64 + 64);
                for pending in &mut self.aliases.pending[word * 64..end] {
                    *pending &= !SUBJECT;
                }
            }
        }
    }

    fn personalise_one(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        alias: usize,
        triggers: Depends,
        scratch: &mut ViewScratch,
    ) {
        let ViewScratch { shown, whole, .. } = scratch;
        let source = look.source;
        #[cfg(any(test, feature = "planted-faults"))]
        let source = &self.planted.leaving_out(source, true);
        let Aliases { rows: seen, personal, pending: all_pending, wakes, .. } = &mut self.aliases;
        let (row, held) = (seen[alias], personal.of_mut(alias));
        let encoded = &rows.encoded[row.index()];
        let mut pending = all_pending[alias];
        let subject = pending & SUBJECT != 0;
        let triggers = if subject { triggers | rows.subject_changes(row) } else { triggers };
        pending &= !SUBJECT;
        let gated = rows.gated(row);
        let regate = !held.told
            || subject
            || triggers.intersects(held.gate_reads)
            || (pending & !FIELDS_OF_PLACE != 0 && (gated != 0 || held.components != encoded.components));
        if regate && self::regate(rows, look, row, gated, held) {
            pending |= RESEND;
        } else if pending & RESEND != 0 && held.told {
            // Something has come or gone that this viewer does not see: nothing must show.
            pending &= FIELDS_OF_PLACE;
            pending |= rows.layout(row).bits_of(held.components);
        }
        if pending & RESEND == 0 {
            let mut asked = pending & !FIELDS_OF_PLACE & encoded.all_fields();
            if held.components != encoded.components {
                asked &= rows.layout(row).bits_of(held.components);
            }
            if wakes[alias].is_none_or(|wakes| triggers.intersects(wakes)) {
                for field in held.fields.iter().filter(|field| triggers.intersects(field.reads)) {
                    asked |= rows.layout(row).bit_of(field.key).map_or(0, |bit| 1 << bit);
                }
            }
            pending &= FIELDS_OF_PLACE;
            let (arena, fields) = (shown.values.bytes.len(), shown.fields.len());
            let (was_asked, mut bytes) = (asked != 0, held.bytes as usize);
            evaluate(rows, seen, source, row, asked, shown, |now, shown| {
                let mut last = held.field_mut(&now);
                if let Some(last) = &mut last
                    && last.known == Some(now.hash)
                {
                    // Equal, but perhaps for another reason.
                    **last = HeldField::of(&now);
                    return;
                }
                bytes += usize::from(now.length());
                pending |= 1 << now.bit;
                // Until it is told it stays so, whatever it becomes, as with an entity that is plain: which of them
                // it is must not show when it waits and becomes again what it was.
                if let Some(last) = last {
                    bytes -= usize::from(last.length());
                    last.known = None;
                }
                shown.push(ShownField { alias: alias as u16, ..now });
            });
            if (was_asked && held.is_cut) || bytes > ROW_BYTES_MAX {
                shown.values.bytes.truncate(arena);
                shown.fields.truncate(fields);
                pending = (pending & FIELDS_OF_PLACE)
                    | personalise_cut(rows, seen, look, alias, held, shown, whole);
            }
        }
        wakes[alias] = held.wakes();
        all_pending[alias] = pending;
    }

    /// The whole of a special entity as this viewer sees it: its row, and the components withdrawn from it.
    /// What it evaluates stays in `scratch` until [`told_whole`](Self::told_whole).
    pub(super) fn whole(
        &self,
        rows: &Rows,
        source: &dyn PersonalSource,
        alias: usize,
        scratch: &mut WholeScratch,
    ) -> (u64, u64) {
        #[cfg(any(test, feature = "planted-faults"))]
        let source = &self.planted.leaving_out(source, false);
        let (held, seen) = (self.aliases.personal.of(alias), &self.aliases.rows);
        evaluate_all(rows, seen, source, seen[alias], held.components, scratch);
        (held.components, held.withdrawn)
    }

    /// An enter record with what [`whole`](Self::whole) has evaluated goes out.
    pub(super) fn told_whole(&mut self, alias: usize, scratch: &WholeScratch) {
        let held = self.aliases.personal.of_mut(alias);
        let shown = &scratch.shown.fields;
        self.left_out += shown.iter().filter(|shown| held.is_newly_left_out(shown)).count() as u64;
        held.clear();
        for shown in shown {
            held.set(shown);
        }
        held.is_cut = scratch.is_cut();
        held.told = true;
        self.aliases.wakes[alias] = held.wakes();
    }

    /// Pending fields go out; appends them to `out`, and their names, for when they are lost, to `rare`.
    pub(super) fn tell_fields(
        &mut self,
        alias: usize,
        mask: FieldMask,
        shown: &ShownFields,
        rare: &mut Vec<Sent>,
        out: &mut Vec<u8>,
    ) {
        let held = self.aliases.personal.of_mut(alias);
        debug_assert_eq!(
            shown.of(alias).iter().fold(0, |all, field| all | 1 << field.bit) & mask,
            mask & !FIELDS_OF_PLACE,
            "what is pending of a special entity was evaluated in this tick"
        );
        for field in shown.of(alias).iter().filter(|field| mask >> field.bit & 1 == 1) {
            out.extend_from_slice(shown.bytes_of(field));
            self.left_out += u64::from(held.is_newly_left_out(field));
            held.set(field);
            Sent::note_shown(rare, Alias(alias as u16), field.key);
        }
        self.aliases.wakes[alias] = held.wakes();
    }

    /// The fields of a special entity that the client should have, whose value is another one now though nothing
    /// is pending: always none, unless the engine has overlooked a change. For audits.
    pub(super) fn overlooked(&self, alias: usize, scratch: &WholeScratch) -> Vec<FieldKey> {
        let held = self.aliases.personal.of(alias);
        let differs = |shown: &&ShownField| {
            held.field(shown.key).and_then(|last| last.known).is_some_and(|hash| hash != shown.hash)
        };
        scratch.shown.fields.iter().filter(differs).map(|shown| shown.key).collect()
    }

    /// Translates a mask of the row into one of what the viewer knows of it: hidden components have no bits.
    pub(super) fn wire_mask(&self, rows: &Rows, alias: usize, mask: FieldMask) -> FieldMask {
        if mask & !FIELDS_OF_PLACE == 0 || !has(&self.aliases.special, alias) {
            return mask;
        }
        let held = self.aliases.personal.of(alias);
        let row = self.aliases.rows[alias];
        if held.components == rows.encoded[row.index()].components {
            return mask;
        }
        let mut wire = mask & FIELDS_OF_PLACE;
        let mut place = FIELD_FIRST;
        for (bit, field) in (FIELD_FIRST..).zip(rows.layout(row).fields()) {
            if held.components >> field.key.component & 1 == 1 {
                wire |= (mask >> bit & 1) << place;
                place += 1;
            }
        }
        wire
    }

    /// A field of a special entity was lost on the way.
    pub(super) fn restore_shown(&mut self, rows: &Rows, alias: usize, key: FieldKey) {
        let row = self.aliases.rows[alias];
        let Some(held) = self.aliases.personal.get_mut(alias) else { return };
        held.forget(key);
        if let Some(bit) = rows.layout(row).bit_of(key) {
            self.waiting |= self.aliases.restore(alias, 1 << bit);
        }
    }

    /// Fields were lost on the way of what was plain then: they are not known any more. Gives their bits now.
    pub(super) fn restore_plain(&mut self, rows: &Rows, alias: usize, mask: FieldMask) -> FieldMask {
        let row = self.aliases.rows[alias];
        let mut now = mask & FIELDS_OF_PLACE;
        let Some(held) = self.aliases.personal.get_mut(alias) else { return now };
        for (bit, (component, field, _)) in (FIELD_FIRST..).zip(rows.schema().fields_of(held.plain)) {
            if mask >> bit & 1 == 1 {
                let key = FieldKey { component: component as u8, field: field as u8 };
                held.forget(key);
                now |= rows.layout(row).bit_of(key).map_or(0, |bit| 1 << bit);
            }
        }
        now
    }

    /// The newest enter record was lost.
    pub(super) fn restore_whole(&mut self, alias: usize) {
        if let Some(held) = self.aliases.personal.get_mut(alias) {
            held.told = false;
            self.aliases.wakes[alias] = None;
        }
    }
}

impl Aliases {
    /// Forgets what the viewer holds of a special entity that is gone.
    pub(super) fn forget_personal(&mut self, alias: usize) {
        if has(&self.special, alias) {
            take(&mut self.special, alias);
            self.personal.remove(alias);
        }
    }
}
