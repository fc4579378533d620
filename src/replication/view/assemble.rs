//! One update from what is pending. The layout is in [`wire`](crate::replication::wire).

use crate::ids::{Alias, TickNumber};
use crate::limits::UPDATE_BYTES_MAX;
use crate::replication::mask::{FieldMask, RESEND};
use crate::replication::rows::Rows;
use crate::replication::wire::{
    self, ENTER_HEAD_BYTES_MAX, ENTER_INLINE_BYTES_MAX, ENTERS_MINOR_BYTES_MAX, EXCEPTION_BYTES_MAX,
    EnterHead, FLAG_COMPLETE, FLAG_ENTERS, FLAG_EVENTS, FLAG_LEAVES, LEAVES_BYTES_MAX, put_varint,
};
use crate::space::{LatticePoint, distance_squared};

use super::aliases::{aliases_of, has, put};
use super::in_flight::Sent;
use super::personal::Look;
use super::told::EVENTS_MINOR_BYTES_MAX;
use super::values::{COMMON_BYTES_MAX, Common};
use super::{PROBE_AFTER_TICKS, View, ViewScratch, bits_of};

/// What an update says about its tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateHeader {
    /// The tick whose end the update shows.
    pub tick: TickNumber,
    /// Number of the client's newest state message that took part in it.
    pub input_seq: u32,
}

/// What an update holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembled {
    /// Its number.
    pub seq: u32,
    /// Its length.
    pub bytes: usize,
    /// Entities whose fields changed.
    pub entities: u32,
    /// How many fields of those.
    pub fields: u32,
    /// Enter records.
    pub enters: u32,
    /// Leaves.
    pub leaves: u32,
    /// Events.
    pub events: u32,
    /// Events for which there was no room: nobody hears of them.
    pub events_dropped: u32,
    /// Not everything fitted.
    pub overflowed: bool,
    /// No enter waits behind it.
    pub complete: bool,
    /// Nothing is in it: it asks for an ack, because an older update is unanswered.
    pub probe: bool,
    /// An enter record that is too large for an update: to be sent as
    /// [`ServerControl::Record`](crate::protocol::messages::ServerControl::Record) of this update.
    pub record: Option<Vec<u8>>,
}

/// What a look over the pending masks finds.
#[derive(Default)]
struct Found {
    common: usize,
    common_bytes: usize,
    exceptions: usize,
    exception_bytes: usize,
    /// Something is pending that is not to be told in this tick.
    put_off: bool,
}

impl View {
    /// Appends one update of at most [`UPDATE_BYTES_MAX`] bytes to `out`; `None` when there is nothing to send.
    ///
    /// An update without content is sent only while an older one with content is unanswered and nothing else
    /// was sent for a few ticks: a client acks no more than it gets, so without such a probe the loss of the
    /// last update before everything stopped would never be noticed.
    ///
    /// While the view's bytes per tick are spent, only small updates go, for what cannot wait: changes that are due by their
    /// component's [`Urgency`](crate::replication::Urgency), and events. At most half of the bytes go into such, so that the
    /// rest comes too.
    ///
    /// What does not fit stays pending. Enters and values take turns at the larger part of the update, so
    /// neither keeps the other out. At most one separate record is made per tick.
    pub fn assemble(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        header: &UpdateHeader,
        scratch: &mut ViewScratch,
        out: &mut Vec<u8>,
    ) -> Option<Assembled> {
        #[cfg(any(test, feature = "planted-faults"))]
        self.planted.withhold(rows, &self.aliases.rows, &mut self.aliases.pending);
        let seq = self.last_seq + 1;
        debug_assert!(
            self.in_flight.in_the_way_of(seq).is_none(),
            "membership makes room, and bursts end before it is gone"
        );
        let is_small = self.budget.is_spent();
        if is_small {
            self.put_off_all_but_the_due(rows, scratch);
        }
        let mut common = Common::new(self.common_mask);
        let mut found = self.look(rows, &common, scratch);
        if found.exceptions > found.common {
            self.common_mask = self.most_frequent_mask(rows, scratch);
            if self.common_mask != common.mask {
                common = Common::new(self.common_mask);
                found = self.look(rows, &common, scratch);
            }
        }
        let leaves = self.aliases.leaving.iter().any(|leaving| leaving.pending);
        let probe = found.common + found.exceptions + scratch.enters.len() == 0
            && !leaves
            && scratch.events.is_empty();
        if probe {
            self.settle(found.put_off);
            if self.in_flight.is_empty() || header.tick.0 < self.last_tick.0 + PROBE_AFTER_TICKS {
                return None;
            }
        }

        if is_small && scratch.events.is_empty() && found.common + found.exceptions == 0 {
            self.waiting = true;
            return None;
        }
        let bytes_max = if is_small { self.budget.small_update_bytes() } else { UPDATE_BYTES_MAX };
        let base = out.len();
        out.reserve(UPDATE_BYTES_MAX);
        let mut update = Assembled { seq, probe, ..Assembled::default() };
        let lattice = LatticePoint::of(self.viewer.position);
        out.extend_from_slice(&seq.to_le_bytes());
        out.push(0);
        put_varint(out, header.tick.0);
        put_varint(out, u64::from(header.input_seq));
        for axis in wire::reference_of(lattice) {
            out.extend_from_slice(&axis.to_le_bytes());
        }
        let mut flags = 0;
        scratch.rare.clear();
        if leaves && !is_small {
            update.leaves = self.put_leaves(scratch, out);
            flags |= FLAG_LEAVES;
        }

        let overhead = if found.common > 0 { 8 + self.aliases.end.div_ceil(8) } else { 0 }
            + if found.exceptions > 0 { 3 } else { 0 };
        let need = overhead + found.common_bytes + found.exception_bytes;
        let mut enters_wait = !scratch.enters.is_empty();
        if enters_wait && !is_small {
            let waiting = scratch.enters.len();
            let turn = if seq % 2 == 1 { ENTER_INLINE_BYTES_MAX } else { ENTERS_MINOR_BYTES_MAX };
            let room_beside_values = bytes_max.saturating_sub(out.len() - base + 3 + need);
            let room_at_all = bytes_max - (out.len() - base + 3);
            let room = room_beside_values.max(turn).min(room_at_all);
            self.put_enters(rows, look, header.tick, room, scratch, &mut update, out);
            if update.enters > 0 {
                flags |= FLAG_ENTERS;
            }
            enters_wait = (update.enters as usize) < waiting;
        }

        let room = bytes_max.saturating_sub(out.len() - base);
        if !scratch.events.is_empty() {
            let beside_the_longest = room.saturating_sub(overhead + EXCEPTION_BYTES_MAX);
            let for_events = room.saturating_sub(need).max(beside_the_longest.min(EVENTS_MINOR_BYTES_MAX));
            (update.events, update.events_dropped) = scratch.events.put(for_events, out);
            if update.events > 0 {
                flags |= FLAG_EVENTS;
            }
        }
        let room = bytes_max.saturating_sub(out.len() - base);
        update.overflowed = need > room;
        if update.overflowed {
            self.thin_out(rows, &common, seq, room, overhead, scratch);
        }
        flags |= self.put_values(rows, &common, scratch, &mut update, out);
        if flags == 0 && !probe {
            // All that waits is a large record, and one was sent in this tick; or is more than a small update takes.
            out.truncate(base);
            self.enters_wait = false;
            self.waiting = true;
            return None;
        }
        update.complete = !enters_wait;
        out[base + 4] = flags | if update.complete { FLAG_COMPLETE } else { 0 };
        update.bytes = out.len() - base;
        debug_assert!(update.bytes <= UPDATE_BYTES_MAX, "an update of {} bytes", update.bytes);

        self.budget.charge(update.bytes, is_small);
        if let Some(record) = &update.record {
            self.budget.charge(record.len(), false);
        }
        self.clear_pending(&update, enters_wait || found.put_off || (leaves && is_small), scratch);
        self.last_seq = seq;
        if !probe {
            self.last_tick = header.tick;
            let words = self.aliases.words();
            for (chosen, exceptions) in scratch.chosen[..words].iter_mut().zip(&scratch.exceptions) {
                *chosen &= !exceptions;
            }
            if common.has_fields() {
                // What was shown is in the list, field by field.
                for (chosen, special) in scratch.chosen[..words].iter_mut().zip(&self.aliases.special) {
                    *chosen &= !special;
                }
            }
            self.in_flight.push(seq, common.mask, &scratch.chosen[..words], &mut scratch.rare);
        }
        self.enters_wait = enters_wait;
        Some(update)
    }

    /// Sorts what is pending into enters, the common block and exceptions, all of it into `scratch`.
    fn look(&mut self, rows: &Rows, common: &Common, scratch: &mut ViewScratch) -> Found {
        let mut found = Found::default();
        scratch.enters.clear();
        for word in 0..self.aliases.words() {
            let pending: &[FieldMask; 64] =
                self.aliases.pending.as_chunks::<64>().0.get(word).expect("whole words");
            let (mut any, mut other, mut union) = ([0u8; 64], [0u8; 64], 0);
            for ((&pending, any), other) in pending.iter().zip(&mut any).zip(&mut other) {
                union |= pending;
                // As a signed number a mask with RESEND, the topmost bit, is negative.
                let fields = u8::from(pending as i64 > 0);
                *any = fields;
                *other = fields & u8::from(pending != common.mask);
            }
            let mut any = bits_of(&any);
            let mut exceptions = bits_of(&other);
            let put_off = scratch.put_off[word];
            found.put_off |= any & put_off != 0;
            any &= !put_off;
            exceptions &= !put_off;
            if common.has_fields() {
                for alias in aliases_of(word, any & self.aliases.special[word]) {
                    // As the viewer has the fields: that anything else is hidden must not show in the form.
                    let mask = self.wire_mask(rows, alias, self.aliases.pending[alias]);
                    let bit = 1 << (alias % 64);
                    exceptions = (exceptions & !bit) | if mask == common.mask { 0 } else { bit };
                }
                exceptions |= any & self.aliases.unsettled[word];
                for alias in aliases_of(word, any & !exceptions) {
                    let bytes = self.common_bytes(rows, &scratch.shown, common, alias);
                    if bytes > COMMON_BYTES_MAX {
                        exceptions |= 1 << (alias % 64);
                    } else {
                        found.common_bytes += bytes;
                    }
                }
            }
            exceptions |= any & self.aliases.wide[word];
            for alias in aliases_of(word, exceptions) {
                if let Some((mask, bytes)) = self.exception_of(rows, &scratch.shown, alias) {
                    scratch.exception[alias] = (mask, bytes as u16);
                    found.exception_bytes += bytes;
                    found.exceptions += 1;
                } else {
                    // A field that no update can take: the entity is told anew, which can go separately.
                    self.aliases.pending[alias] |= RESEND;
                    union |= RESEND;
                    any &= !(1 << (alias % 64));
                    exceptions &= !(1 << (alias % 64));
                }
            }
            if union & RESEND != 0 {
                for alias in word * 64..self.aliases.end.min(word * 64 + 64) {
                    if self.aliases.pending[alias] & RESEND != 0 {
                        scratch.enters.push((self.enter_order(rows, alias), alias as u16));
                    }
                }
            }
            let in_common = (any & !exceptions).count_ones() as usize;
            found.common += in_common;
            found.common_bytes += in_common * if common.has_fields() { 0 } else { common.place_bytes };
            scratch.chosen[word] = any;
            scratch.exceptions[word] = exceptions;
        }
        found
    }

    /// The mask that most of those with fields to send have; the smallest of equally frequent ones.
    fn most_frequent_mask(&self, rows: &Rows, scratch: &mut ViewScratch) -> FieldMask {
        let masks = &mut scratch.masks;
        masks.clear();
        let pending = self.aliases.pending.iter().enumerate().filter(|&(_, &pending)| pending as i64 > 0);
        masks.extend(pending.map(|(alias, &pending)| self.wire_mask(rows, alias, pending)));
        masks.sort_unstable();
        let most = masks.chunk_by(FieldMask::eq).max_by_key(|run| (run.len(), std::cmp::Reverse(run[0])));
        most.map_or(self.common_mask, |run| run[0])
    }

    /// The place of an enter among those that wait, smaller first: the avatar, then by class and distance, and
    /// what has waited long before what has just come.
    fn enter_order(&self, rows: &Rows, alias: usize) -> i32 {
        let row = self.aliases.rows[alias];
        if row == self.viewer.avatar {
            return i32::MIN;
        }
        let d2 = distance_squared(rows.position[row.index()], self.viewer.position);
        let near = (64.0 * d2 / (self.leave_radius_m * self.leave_radius_m)).min(64.0) as i32;
        64 * i32::from(rows.class[row.index()]) + near - 4 * i32::from(self.aliases.waited[alias])
    }

    fn put_leaves(&mut self, scratch: &mut ViewScratch, out: &mut Vec<u8>) -> u32 {
        let count = out.len();
        out.push(0);
        let mut leaves = 0;
        // By alias: in which order, and why, they left must not show.
        self.aliases.leaving.sort_unstable_by_key(|leaving| leaving.alias);
        let waiting = self.aliases.leaving.iter_mut().filter(|leaving| leaving.pending);
        for leaving in waiting.take(LEAVES_BYTES_MAX / 2) {
            #[cfg(any(test, feature = "planted-faults"))]
            if self.planted.skips_leave() {
                leaving.pending = false;
                continue;
            }
            out.extend_from_slice(&leaving.alias.0.to_le_bytes());
            leaving.pending = false;
            scratch.rare.push(Sent::Leave(leaving.alias));
            leaves += 1;
        }
        out[count] = leaves;
        u32::from(leaves)
    }

    /// Writes enter records while `room` lasts, and clears what they tell.
    fn put_enters(
        &mut self,
        rows: &Rows,
        look: &Look<'_>,
        tick: TickNumber,
        mut room: usize,
        scratch: &mut ViewScratch,
        update: &mut Assembled,
        out: &mut Vec<u8>,
    ) {
        scratch.enters.sort_unstable();
        let count = out.len();
        out.push(0);
        for &(_, alias) in &scratch.enters {
            let index = usize::from(alias);
            let row = self.aliases.rows[index].index();
            let encoded = &rows.encoded[row];
            let special = has(&self.aliases.special, index);
            let (components, withdrawn) = if special {
                self.whole(rows, look.source, index, &mut scratch.whole)
            } else {
                (encoded.components, 0)
            };
            let fields = if special { scratch.whole.bytes() } else { &encoded.bytes };
            let inside = wire::enter_length(components, withdrawn, fields.len());
            let separate = inside > ENTER_INLINE_BYTES_MAX;
            let bytes = if separate { ENTER_HEAD_BYTES_MAX } else { inside };
            if bytes > room || (separate && self.record_tick == Some(tick)) {
                continue;
            }
            room -= bytes;
            self.aliases.structure[index] = self.aliases.structure[index].wrapping_add(1);
            let mut head = EnterHead {
                alias: Alias(alias),
                separate,
                net_id: rows.net_id[row],
                structure: self.aliases.structure[index],
                components,
                withdrawn,
                lattice: rows.lattice[row],
            };
            #[cfg(any(test, feature = "planted-faults"))]
            self.planted.distort(&mut head);
            if separate {
                head.put(&[], out);
                head.separate = false;
                let mut record = Vec::with_capacity(inside);
                head.put(fields, &mut record);
                update.record = Some(record);
                self.record_tick = Some(tick);
            } else {
                head.put(fields, out);
            }
            if special {
                self.told_whole(index, &scratch.whole);
            }
            self.aliases.pending[index] = 0;
            self.aliases.priority[index] = 0;
            self.aliases.told_in[index] = update.seq;
            put(&mut self.aliases.sent, index);
            put(&mut self.aliases.unsettled, index);
            scratch.rare.push(Sent::Enter(head.alias, head.structure));
            update.enters += 1;
        }
        if update.enters == 0 {
            out.truncate(count);
        } else {
            out[count] = update.enters as u8;
        }
    }

    /// What was sent is no longer pending.
    fn clear_pending(&mut self, update: &Assembled, enters_wait: bool, scratch: &ViewScratch) {
        let words = self.aliases.words();
        let mut rest = update.overflowed || enters_wait;
        for (word, &bits) in scratch.exceptions[..words].iter().enumerate() {
            for alias in aliases_of(word, bits) {
                self.aliases.pending[alias] &= !scratch.exception[alias].0;
                rest |= self.aliases.pending[alias] != 0;
            }
        }
        if rest {
            for word in 0..words {
                for alias in aliases_of(word, scratch.chosen[word] & !scratch.exceptions[word]) {
                    self.aliases.pending[alias] = 0;
                    self.aliases.priority[alias] = 0;
                    self.aliases.waited[alias] = 0;
                }
                for alias in aliases_of(word, scratch.exceptions[word]) {
                    self.aliases.priority[alias] = 0;
                }
            }
        } else {
            self.aliases.pending[..words * 64].fill(0);
        }
        self.settle(rest);
    }

    /// Notes whether something is left pending; when nothing is, all ages and priorities are over.
    fn settle(&mut self, rest: bool) {
        if self.waiting && !rest {
            self.aliases.priority.fill(0);
            self.aliases.waited.fill(0);
        }
        self.waiting = rest;
        self.enters_wait &= rest;
    }
}
