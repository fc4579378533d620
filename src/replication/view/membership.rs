//! Who is in the view: what stayed and left by a gather over the aliases, what entered by marks.

use glam::Vec3;

use crate::ids::{NetId, Row};
use crate::limits::LEAVE_RADIUS_M_MAX;
use crate::replication::mask::FieldMask;
use crate::replication::rows::Rows;
use crate::replication::rule::{Standing, Tiers, ViewSettings, near_key};
use crate::space::distance_squared;

use super::aliases::{aliases_of, has, put};
use super::personal::Look;
use super::{View, ViewScratch, bits_of, budget};

/// How far beyond the last edge of a full view candidates are looked for: an eighth of an octave of the squared
/// distance.
const EDGE_SLACK: u64 = 1 << 20;

/// What a tick did to a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MembershipChange {
    /// Came into view.
    pub entered: u32,
    /// Went out of view.
    pub left: u32,
    /// Are near enough, but the view is full.
    pub over_the_cap: u32,
    /// Could not come into view because every alias is in use or quarantined; tried again each tick.
    pub without_alias: u32,
    /// Have a change that has waited for longer than its component's
    /// [`Urgency`](crate::replication::Urgency) allows.
    pub overdue: u32,
}

/// An eligible entity of a view that is too full.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidate {
    Held(u16),
    Entering(Row),
}

impl View {
    /// Follows the tick: `hits` are the rows closer than the enter radius, own avatar included, in any order,
    /// by [`distance_squared`] of [`Rows::position`]. Must be called exactly once per tick, after the rows
    /// are published: it also merges what changed into what is pending.
    ///
    /// O(entities in the view + hits), and a selection without sorting when more than
    /// [`ViewSettings::entities_max`] are eligible (see [`rank`](crate::replication::rule::rank)).
    pub fn update_membership(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        hits: &[Row],
        settings: &ViewSettings,
        scratch: &mut ViewScratch,
    ) -> MembershipChange {
        debug_assert!(
            settings.enter_radius_m < settings.leave_radius_m
                && settings.leave_radius_m <= LEAVE_RADIUS_M_MAX,
            "the settings of a view are checked when they are loaded"
        );
        // The next update needs the place of an unanswered one: what that carried is pending again.
        if let Some(unanswered) = self.in_flight.in_the_way_of(self.last_seq + 1) {
            self.lost(rows, unanswered);
        }
        let viewer = look.viewer;
        self.viewer = viewer;
        self.leave_radius_m = settings.leave_radius_m;
        if self.waiting {
            for (waited, &pending) in self.aliases.waited.iter_mut().zip(&self.aliases.pending) {
                *waited = if pending == 0 { 0 } else { waited.saturating_add(1) };
            }
        }
        let overdue = if rows.any_urgent && self.waiting { self.overdue(rows) } else { 0 };
        if rows.policies_changed {
            self.note_new_specials(rows);
        }
        scratch.next_epoch(rows.len());
        let mut change = self.let_go_of_the_far(rows, look, settings.leave_radius_m, scratch);
        change.overdue = overdue;

        scratch.entering.clear();
        let marks = &mut scratch.marks[..];
        for &row in hits.iter().chain(look.always) {
            let mark = &mut marks[row.index()];
            if *mark == scratch.epoch {
                continue;
            }
            *mark = scratch.epoch;
            if may_enter(rows, look, row) {
                scratch.entering.push(row);
            }
        }
        if self.len() + scratch.entering.len() > settings.entities_max {
            self.choose(rows, look, settings.entities_max, scratch, &mut change);
        }
        // Who comes gets the lowest free alias: by distance and name, so that names do not tell where in the server's
        // memory, or on which side of a border, somebody is.
        let mut entering = std::mem::take(&mut scratch.entering);
        entering.sort_unstable_by_key(|row| {
            let d2 = distance_squared(rows.position[row.index()], viewer.position);
            (d2.to_bits(), rows.net_id[row.index()])
        });
        for &row in &entering {
            let class = rows.class[row.index()];
            let d2 = distance_squared(rows.position[row.index()], viewer.position);
            let weight = budget::weight(class, d2, settings.leave_radius_m);
            match self.aliases.enter(row, weight) {
                Some(alias) => {
                    self.note_special(rows, alias);
                    change.entered += 1;
                }
                None => change.without_alias += 1,
            }
        }
        scratch.entering = entering;
        self.enters_wait |= change.entered > 0;
        self.note_wide(rows, look);
        self.budget.earn(settings.bytes_per_tick);
        self.personalise(rows, look, change.entered + change.left > 0, scratch);
        // Behind it, when nothing is pending any more that this viewer may not see: what is due by a hidden change must not
        // be told sooner.
        self.put_off_the_far(rows, look, &settings.tiers, scratch);
        change
    }

    /// Marks those of the far whose turn it is not. They take turns by alias, so that not all come at once.
    fn put_off_the_far(&mut self, rows: &Rows, look: &Look<'_>, tiers: &Tiers, scratch: &mut ViewScratch) {
        self.turn = self.turn.wrapping_add(1);
        scratch.put_off[..self.aliases.words()].fill(0);
        if tiers.is_empty() {
            return;
        }
        for word in 0..self.aliases.words() {
            for alias in aliases_of(word, self.aliases.held[word]) {
                let row = self.aliases.rows[alias];
                let d2 = distance_squared(rows.position[row.index()], self.viewer.position);
                let every = tiers.every(d2);
                let has_its_turn = self.turn.wrapping_add(alias as u32).is_multiple_of(every)
                    || (rows.any_urgent && self.is_due(rows, alias));
                if !has_its_turn && row != self.viewer.avatar && look.always.binary_search(&row).is_err() {
                    put(&mut scratch.put_off, alias);
                }
            }
        }
    }

    /// Notes which of those that are in the view wherever they are cannot be told by low bits.
    fn note_wide(&mut self, rows: &Rows, look: &Look<'_>) {
        if look.always.is_empty() && !self.any_wide {
            return;
        }
        self.any_wide = false;
        let from = self.viewer.position;
        for word in 0..self.aliases.words() {
            self.aliases.wide[word] = 0;
            for alias in aliases_of(word, self.aliases.held[word]) {
                let place = rows.position[self.aliases.rows[alias].index()];
                let is_near = (place - from).abs().cmple(Vec3::splat(LEAVE_RADIUS_M_MAX)).all();
                // Who sees from nowhere sees everything far away; node-wide state has no place.
                if !is_near && place.is_finite() {
                    put(&mut self.aliases.wide, alias);
                    self.any_wide = true;
                }
            }
        }
    }

    /// Merges changes, marks who is in the view, and lets go of what is gone or too far.
    fn let_go_of_the_far(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        radius_m: f32,
        scratch: &mut ViewScratch,
    ) -> MembershipChange {
        let mut change = MembershipChange::default();
        scratch.died.clear();
        let radius2 = radius_m * radius_m;
        for word in 0..self.aliases.words() {
            let begin = word * 64;
            let end = self.aliases.end.min(begin + 64);
            let far = gather_far(
                &self.aliases.rows[begin..end],
                &mut self.aliases.pending[begin..end],
                &rows.position,
                &rows.changed,
                &mut scratch.marks,
                scratch.epoch,
                self.viewer.position,
                radius2,
            );
            for alias in aliases_of(word, far & self.aliases.held[word]) {
                let row = self.aliases.rows[alias];
                if look.always.binary_search(&row).is_ok() && is_somewhere(rows, row) {
                    continue;
                }
                if rows.died_before(row, look.context) {
                    scratch.died.push(row);
                }
                self.let_go(rows, alias);
                change.left += 1;
            }
            if rows.policies_changed || !look.changes.is_empty() {
                for alias in aliases_of(word, self.aliases.held[word]) {
                    let row = self.aliases.rows[alias];
                    if rows.marked[row.index()] && !admits(rows, look, row) {
                        self.let_go(rows, alias);
                        change.left += 1;
                    }
                }
            }
        }
        change
    }

    fn let_go(&mut self, rows: &Rows, alias: usize) {
        // Of a row of nobody the name is WORLD, whoever is given the row next.
        let net_id: NetId = rows.net_id[self.aliases.rows[alias].index()];
        self.aliases.leave(alias, net_id);
    }

    /// More are eligible than there is room: keeps the first by rank, and leaves in `scratch.entering` only
    /// those of them that are new.
    fn choose(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        entities_max: usize,
        scratch: &mut ViewScratch,
        change: &mut MembershipChange,
    ) {
        let (viewer, ranked) = (self.viewer, &mut scratch.ranked);
        let key = |row: Row, held: bool| {
            let index = row.index();
            let d2 = distance_squared(rows.position[index], viewer.position);
            let standing = match row {
                _ if row == viewer.avatar => Standing::Avatar,
                _ if look.always.binary_search(&row).is_ok() => Standing::Always,
                _ => Standing::Near,
            };
            near_key(standing, rows.class[index], d2, held)
        };
        change.over_the_cap = (self.aliases.held_count + scratch.entering.len() - entities_max) as u32;
        // The edge moves little from tick to tick: those not far beyond the last one are nearly always enough
        // to find it. When they are not, everybody is looked at.
        for limit in [self.edge.saturating_add(EDGE_SLACK), u64::MAX] {
            ranked.clear();
            for word in 0..self.aliases.words() {
                for alias in aliases_of(word, self.aliases.held[word]) {
                    // All of them: who falls out has to be let go.
                    ranked.push((key(self.aliases.rows[alias], true), Candidate::Held(alias as u16)));
                }
            }
            let mut within = ranked.iter().filter(|&&(key, _)| key <= limit).count();
            for &row in &scratch.entering {
                let key = key(row, false);
                if key <= limit {
                    ranked.push((key, Candidate::Entering(row)));
                    within += 1;
                }
            }
            if within >= entities_max {
                break;
            }
        }

        let net_id = |aliases: &super::Aliases, candidate: &Candidate| match *candidate {
            Candidate::Held(alias) => rows.net_id[aliases.rows[usize::from(alias)].index()],
            Candidate::Entering(row) => rows.net_id[row.index()],
        };
        if entities_max > 0 {
            ranked.select_nth_unstable_by_key(entities_max - 1, |&(key, _)| key);
            // Names decide only among those as near as the last one kept.
            let edge = ranked[entities_max - 1].0;
            self.edge = edge;
            let (mut begin, mut end) = (0, ranked.len());
            let mut index = 0;
            while index < end {
                match ranked[index].0.cmp(&edge) {
                    std::cmp::Ordering::Less => {
                        ranked.swap(begin, index);
                        begin += 1;
                        index += 1;
                    }
                    std::cmp::Ordering::Equal => index += 1,
                    std::cmp::Ordering::Greater => {
                        end -= 1;
                        ranked.swap(index, end);
                    }
                }
            }
            ranked[begin..end].sort_unstable_by_key(|(_, candidate)| net_id(&self.aliases, candidate));
        }

        scratch.entering.clear();
        scratch.chosen[..self.aliases.words()].fill(0);
        for (place, &(_, candidate)) in scratch.ranked.iter().enumerate() {
            match candidate {
                Candidate::Entering(row) if place < entities_max => scratch.entering.push(row),
                Candidate::Held(alias) if place >= entities_max => {
                    debug_assert!(has(&self.aliases.held, usize::from(alias)));
                    put(&mut scratch.chosen, usize::from(alias));
                }
                _ => {}
            }
        }
        // By alias: in which order candidates were found must not show.
        for word in 0..self.aliases.words() {
            for alias in aliases_of(word, scratch.chosen[word]) {
                self.let_go(rows, alias);
                change.left += 1;
            }
        }
    }
}

/// Whether the markers of an entity let this viewer see it.
fn admits(rows: &Rows, look: &Look<'_>, row: Row) -> bool {
    rows.subjects[row.index()].as_ref().is_none_or(|subject| subject.admits(look.context))
}

/// Whether an entity that is near enough may come into the view.
fn may_enter(rows: &Rows, look: &Look<'_>, row: Row) -> bool {
    is_somewhere(rows, row) && (!rows.marked[row.index()] || admits(rows, look, row))
}

/// Whether there is anything to see: not of who has died in this tick.
fn is_somewhere(rows: &Rows, row: Row) -> bool {
    let index = row.index();
    rows.net_id[index] != NetId::WORLD && (rows.position[index].is_finite() || rows.placeless[index])
}

/// The inner loop of a tick, over at most 64 aliases: bit *i* of the result is whether the *i*-th is too far.
/// A function of its own because only as arguments the slices are known not to overlap: inlined it is a third
/// slower.
#[inline(never)]
fn gather_far(
    aliases: &[Row],
    pending: &mut [FieldMask],
    position: &[Vec3],
    changed: &[FieldMask],
    marks: &mut [u8],
    epoch: u8,
    from: Vec3,
    radius2: f32,
) -> u64 {
    // Of one length: one bounds check serves all three.
    let (changed, marks) = (&changed[..position.len()], &mut marks[..position.len()]);
    let mut far = [0u8; 64];
    for ((row, pending), far) in aliases.iter().zip(pending).zip(&mut far) {
        let row = row.index();
        // The negation is the rule for rows of nobody, whose distance is not a number.
        #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN must count as far")]
        let is_far = !(distance_squared(position[row], from) < radius2);
        *far = u8::from(is_far);
        *pending |= changed[row];
        marks[row] = epoch;
    }
    bits_of(&far)
}

impl ViewScratch {
    fn next_epoch(&mut self, rows: usize) {
        self.marks.resize(rows, 0);
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.marks.fill(0);
            self.epoch = 1;
        }
    }
}
