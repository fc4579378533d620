//! What goes first when not everything fits.
//!
//! Each waiting entity's priority grows by its weight per update until it is sent, times the priority of its urgent
//! components. Those of which a component has waited for as long as it may go first. A histogram of priorities,
//! weighted by bytes, gives the threshold down to which everything fits; those exactly at the threshold take
//! turns, beginning where the last update ran full. No sort, and nothing starves: a priority that has reached
//! its maximum has only others of the same age before it.

use crate::ids::Row;
use crate::replication::mask::FieldMask;
use crate::replication::rows::Rows;
use crate::replication::urgency::Urgency;
use crate::space::distance_squared;

use super::aliases::{PRIORITY_MAX, PRIORITY_OF_AVATAR, PRIORITY_OF_DUE, aliases_of, has, put, take};
use super::values::Common;
use super::{View, ViewScratch, WORDS_MAX, bits_of};

/// How often, in updates, weights follow the distances.
const WEIGHTS_EVERY: u32 = 8;

/// How much a waiting entity's priority grows per update: 4 to 28. Class counts more than distance, and even
/// the last reaches the maximum after 64 updates.
pub(super) fn weight(class: u8, distance_squared: f32, leave_radius_m: f32) -> u8 {
    let near = 8.0 * (1.0 - distance_squared / (leave_radius_m * leave_radius_m));
    20 - 4 * class.min(4) + near.clamp(0.0, 8.0) as u8
}

impl View {
    /// Reduces `scratch.chosen` to what fits `room` bytes, of which the bitmap and counters take `overhead`.
    pub(super) fn thin_out(
        &mut self,
        rows: &Rows,
        common: &Common,
        seq: u32,
        room: usize,
        overhead: usize,
        scratch: &mut ViewScratch,
    ) {
        if seq.is_multiple_of(WEIGHTS_EVERY) {
            self.refresh_weights(rows);
        }
        self.age(rows);
        let words = self.aliases.words();
        let shown = &scratch.shown;
        let cost = |alias: usize, exceptions: &[u64; WORDS_MAX], exception: &[(FieldMask, u16)]| {
            if has(exceptions, alias) {
                usize::from(exception[alias].1)
            } else {
                self.common_bytes(rows, shown, common, alias)
            }
        };
        scratch.histogram.fill(0);
        for (word, &bits) in scratch.chosen[..words].iter().enumerate() {
            for alias in aliases_of(word, bits) {
                scratch.histogram[usize::from(self.aliases.priority[alias])] +=
                    cost(alias, &scratch.exceptions, &scratch.exception) as u32;
            }
        }
        let (mut threshold, mut left) = (255usize, room.saturating_sub(overhead));
        while threshold > 0 && scratch.histogram[threshold] as usize <= left {
            left -= scratch.histogram[threshold] as usize;
            threshold -= 1;
        }

        let first = self.cursor.min(words * 64 - 1);
        let (mut cursor, mut any) = (None, false);
        let mut kept = [0u64; WORDS_MAX];
        // The word of the cursor comes twice: from the cursor on at first, up to it at last.
        for turn in 0..=words {
            let word = (first / 64 + turn) % words;
            let from_cursor = u64::MAX << (first % 64);
            let part = match turn {
                0 => from_cursor,
                _ if turn == words => !from_cursor,
                _ => u64::MAX,
            };
            let (mut above, mut at) = ([0u8; 64], [0u8; 64]);
            let priorities = &self.aliases.priority[word * 64..word * 64 + 64];
            for ((&priority, above), at) in priorities.iter().zip(&mut above).zip(&mut at) {
                *above = u8::from(usize::from(priority) > threshold);
                *at = u8::from(usize::from(priority) == threshold);
            }
            let chosen = scratch.chosen[word] & part;
            kept[word] |= chosen & bits_of(&above);
            for alias in aliases_of(word, chosen & bits_of(&at)) {
                if cursor.is_some() {
                    break;
                }
                let bytes = cost(alias, &scratch.exceptions, &scratch.exception);
                if bytes <= left {
                    left -= bytes;
                    put(&mut kept, alias);
                } else {
                    cursor = Some(alias);
                }
            }
            any |= kept[word] != 0;
        }
        self.cursor = cursor.unwrap_or(self.cursor);
        if !any {
            // The bitmap may take all the room: then whoever has its turn goes without one.
            let alias = self.cursor;
            let record =
                self.exception_of(rows, &scratch.shown, alias).filter(|&(_, bytes)| bytes + 3 <= room);
            if let Some((mask, bytes)) = record {
                put(&mut kept, alias);
                put(&mut scratch.exceptions, alias);
                scratch.exception[alias] = (mask, bytes as u16);
            }
        }
        for (word, kept) in kept[..words].iter().enumerate() {
            scratch.chosen[word] &= kept;
            scratch.exceptions[word] &= kept;
        }
    }

    /// Whether something of a component that the entity has, and the viewer sees, has waited for as long as it may.
    /// For games with urgent components; after [`personalise`](Self::personalise).
    pub(super) fn is_due(&self, rows: &Rows, alias: usize) -> bool {
        self.urgency(rows, alias).is_due(self.aliases.waited[alias])
    }

    fn urgency(&self, rows: &Rows, alias: usize) -> Urgency {
        rows.layout(self.aliases.rows[alias]).urgency_of(self.aliases.pending[alias])
    }

    /// How many entities have a change that has waited for longer than it may.
    pub(super) fn overdue(&self, rows: &Rows) -> u32 {
        let waiting = |&alias: &usize| self.aliases.pending[alias] as i64 > 0;
        let overdue = |alias: &usize| self.urgency(rows, *alias).is_overdue(self.aliases.waited[*alias]);
        (0..self.aliases.end).filter(waiting).filter(overdue).count() as u32
    }

    /// Leaves out of the next update what is not due.
    pub(super) fn put_off_all_but_the_due(&self, rows: &Rows, scratch: &mut ViewScratch) {
        for word in 0..self.aliases.words() {
            scratch.put_off[word] = u64::MAX;
            if rows.any_urgent {
                for alias in aliases_of(word, self.aliases.held[word]) {
                    if self.is_due(rows, alias) {
                        take(&mut scratch.put_off, alias);
                    }
                }
            }
        }
    }

    /// Everything pending becomes more urgent. The avatar is before everybody.
    fn age(&mut self, rows: &Rows) {
        let each = self.aliases.priority.iter_mut().zip(&self.aliases.weight).zip(&self.aliases.pending);
        for ((priority, &weight), &pending) in each {
            *priority = if pending == 0 { 0 } else { priority.saturating_add(weight).min(PRIORITY_MAX) };
        }
        if rows.any_urgent {
            for alias in (0..self.aliases.end).filter(|&alias| self.aliases.pending[alias] as i64 > 0) {
                let urgency = self.urgency(rows, alias);
                let more = self.aliases.weight[alias].saturating_mul(urgency.priority - 1);
                let priority = self.aliases.priority[alias].saturating_add(more).min(PRIORITY_MAX);
                let due = urgency.is_due(self.aliases.waited[alias]);
                self.aliases.priority[alias] = if due { PRIORITY_OF_DUE } else { priority };
            }
        }
        let avatar = self.viewer.avatar;
        if avatar != Row::NONE
            && let Some(own) = self.aliases.rows.iter().position(|&row| row == avatar)
        {
            self.aliases.priority[own] = PRIORITY_OF_AVATAR;
        }
    }

    fn refresh_weights(&mut self, rows: &Rows) {
        for word in 0..self.aliases.words() {
            for alias in aliases_of(word, self.aliases.held[word]) {
                let row = self.aliases.rows[alias].index();
                let d2 = distance_squared(rows.position[row], self.viewer.position);
                self.aliases.weight[alias] = weight(rows.class[row], d2, self.leave_radius_m);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_class_then_distance_and_are_never_zero() {
        assert!(weight(0, 0.0, 50.0) > weight(0, 2_400.0, 50.0));
        assert!(weight(0, 2_499.0, 50.0) > weight(3, 0.0, 50.0));
        assert_eq!(weight(u8::MAX, 2_500.0, 50.0), 4);
    }
}
