//! What one session holds: who is seen, under which alias, what is pending and what is in flight.
//!
//! *Does*: follows the rule of membership, merges the tick's changes into pending masks, assembles updates
//! within the byte budget, and makes pending again what was lost.
//! *Does not*: find who is near, nor send.
//! *Reads*: rows, hits, acks. *Writes*: itself and update bytes. A view touches nothing shared, so chunks of
//! sessions run in parallel, each thread with its own [`ViewScratch`].
//!
//! Once a tick: [`on_ack`](View::on_ack) for each ack that arrived, [`update_membership`](View::update_membership)
//! exactly once after the rows are published (a change that is not merged in its own tick is gone), then
//! [`assemble`](View::assemble), again while [`may_burst`](View::may_burst) and up to
//! [`FIRST_SYNC_UPDATES_PER_TICK_MAX`](crate::limits::FIRST_SYNC_UPDATES_PER_TICK_MAX) times.

mod aliases;
mod assemble;
mod budget;
mod byte_budget;
mod check;
mod evaluate;
mod held;
mod in_flight;
mod inquiry;
mod membership;
mod personal;
mod personal_values;
mod told;
mod values;

use crate::ids::{Row, TickNumber};
use crate::limits::{ALIASES_MAX, UPDATES_IN_FLIGHT_MAX};

use super::mask::{FIELD_FIRST, FIELD_XY, FieldMask, RESEND};
use super::rows::Rows;
use super::rule::Viewer;
use aliases::{Aliases, aliases_of};
use byte_budget::ByteBudget;
use held::{ShownFields, WholeScratch};
use in_flight::{InFlight, Sent};

pub use super::layouts::FieldKey;
pub use assemble::{Assembled, UpdateHeader};
pub use check::{Overlooked, ToldEntity, ToldField};
pub use inquiry::{Inquiry, Leave};
pub use membership::MembershipChange;
pub use personal::{Look, NothingPersonal, PersonalSource};
pub use personal_values::{PersonalValue, PersonalValues};
pub use told::EventSection;

/// An update counts as lost when the client has applied one this much newer and not it.
const LOST_BEHIND: u32 = 3;

/// Ticks without anything to send after which an unanswered update is probed for.
const PROBE_AFTER_TICKS: u64 = 4;

const WORDS_MAX: usize = ALIASES_MAX / 64;

/// One session's view of the world.
#[derive(Debug)]
pub struct View {
    aliases: Aliases,
    in_flight: InFlight,
    viewer: Viewer,
    leave_radius_m: f32,
    /// The newest update assembled; 0 for none.
    last_seq: u32,
    /// When it was.
    last_tick: TickNumber,
    /// The tick in which a record was last sent separately.
    record_tick: Option<TickNumber>,
    /// Something was left pending: ages and priorities have to be kept.
    waiting: bool,
    enters_wait: bool,
    /// The rank of the last one kept when the view was last full.
    edge: u64,
    /// Some of those in the view are beyond the reach of low position bits.
    any_wide: bool,
    /// Counts ticks, for the turns of what is far.
    turn: u32,
    budget: ByteBudget,
    /// Fields left out, until somebody asks.
    left_out: u64,
    /// The fields that most entities of the last update had. Of this view alone: what others see, or what is
    /// hidden from this viewer, must not show in the form of its updates.
    common_mask: FieldMask,
    /// The alias at which the last update ran full: the next one begins there.
    cursor: usize,
    #[cfg(any(test, feature = "planted-faults"))]
    planted: super::planted::Planted,
}

impl Default for View {
    fn default() -> Self {
        Self {
            aliases: Aliases::default(),
            in_flight: InFlight::default(),
            viewer: Viewer { position: glam::Vec3::ZERO, avatar: Row::NONE },
            leave_radius_m: 0.0,
            last_seq: 0,
            last_tick: TickNumber(0),
            record_tick: None,
            waiting: false,
            enters_wait: false,
            edge: 0,
            any_wide: false,
            turn: 0,
            budget: ByteBudget::default(),
            left_out: 0,
            common_mask: FIELD_XY,
            cursor: 0,
            #[cfg(any(test, feature = "planted-faults"))]
            planted: super::planted::Planted::default(),
        }
    }
}

/// Memory that views need while they work; one per thread, for any number of views.
#[derive(Debug)]
pub struct ViewScratch {
    /// By row: who is in the view of this call, marked with the call's epoch.
    marks: Vec<u8>,
    epoch: u8,
    entering: Vec<Row>,
    ranked: Vec<(u64, membership::Candidate)>,
    chosen: [u64; WORDS_MAX],
    exceptions: [u64; WORDS_MAX],
    /// Those whose turn it is not.
    put_off: [u64; WORDS_MAX],
    masks: Vec<FieldMask>,
    /// By alias, valid where `exceptions` has its bit: the fields that go, and the bytes of the record.
    exception: Vec<(FieldMask, u16)>,
    enters: Vec<(i32, u16)>,
    histogram: [u32; 256],
    rare: Vec<Sent>,
    /// Fields of special entities that were evaluated for this view in this tick.
    shown: ShownFields,
    whole: WholeScratch,
    /// What happened that the next update tells.
    pub events: EventSection,
    /// Who was in the view until this tick, and died before the viewer's eyes.
    pub died: Vec<Row>,
}

impl Default for ViewScratch {
    fn default() -> Self {
        Self {
            marks: Vec::new(),
            epoch: 0,
            entering: Vec::new(),
            ranked: Vec::new(),
            chosen: [0; WORDS_MAX],
            exceptions: [0; WORDS_MAX],
            put_off: [0; WORDS_MAX],
            masks: Vec::new(),
            exception: vec![(0, 0); ALIASES_MAX],
            enters: Vec::new(),
            histogram: [0; 256],
            rare: Vec::new(),
            shown: ShownFields::default(),
            whole: WholeScratch::default(),
            events: EventSection::default(),
            died: Vec::new(),
        }
    }
}

impl ViewScratch {
    /// How many values of personal fields were longer than may be sent, since the last call.
    pub fn take_oversized(&mut self) -> u64 {
        std::mem::take(&mut self.shown.oversized) + std::mem::take(&mut self.whole.shown.oversized)
    }
}

/// What an ack said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AckOutcome {
    /// Updates now known to be applied.
    pub delivered: u32,
    /// Updates now known to be lost: what they carried is pending again.
    pub lost: u32,
    /// The ack names an update that was never sent; it changed nothing.
    pub refused: bool,
}

impl View {
    /// The newest update assembled; 0 for none.
    #[must_use]
    pub fn last_seq(&self) -> u32 {
        self.last_seq
    }

    /// How many entities are in the view.
    #[must_use]
    pub fn len(&self) -> usize {
        self.aliases.held_count
    }

    /// Whether nobody is in the view.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of those in the view, in no order that may matter.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.aliases.rows.iter().copied().filter(|&row| row != Row::NONE)
    }

    /// Whether an entity is in the view. O(view).
    #[must_use]
    pub fn holds(&self, row: Row) -> bool {
        row != Row::NONE && self.aliases.rows.contains(&row)
    }

    /// Whether entities have come into the view that no update has told yet: call
    /// [`assemble`](Self::assemble) again.
    #[must_use]
    pub fn enters_wait(&self) -> bool {
        self.enters_wait
    }

    /// Whether another update may follow in this tick: something waits to enter, and at most half of what can be
    /// in flight is unanswered. The other half is for the one update of each later tick: a burst that goes on would
    /// on a long round trip take the places of updates whose acks are still under way, count them as lost, send
    /// them again, and never end.
    #[must_use]
    pub fn may_burst(&self) -> bool {
        let oldest = || self.in_flight.open_seqs().min().unwrap_or(self.last_seq);
        self.enters_wait && self.last_seq - oldest() < UPDATES_IN_FLIGHT_MAX as u32 / 2
    }

    /// Counts bytes that go to the player beside the updates into what it may be sent.
    pub fn charge(&mut self, bytes: usize) {
        self.budget.charge(bytes, false);
    }

    /// How many fields the viewer was told to be absent since the last call, because what it may see of the entity is more
    /// than a record takes.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// How many aliases wait for the ack of a leave.
    #[must_use]
    pub fn quarantined(&self) -> usize {
        self.aliases.leaving.len()
    }

    /// In the place of [`assemble`](Self::assemble) while there is nobody to send to: what is pending stays so, and does not
    /// grow older by that.
    pub fn stand_by(&mut self) {
        self.aliases.waited.fill(0);
    }

    /// Takes the client's word: it has applied the update `newest` and, for bit *i*, `newest - 1 - i`.
    ///
    /// An update without its bit counts as lost once the client is three updates further, so late acks of a
    /// few reordered updates resend nothing. Acks may come late, twice and in any order. O(what was answered).
    pub fn on_ack(&mut self, rows: &Rows, newest: u32, bits: u64) -> AckOutcome {
        let mut outcome = AckOutcome::default();
        if newest > self.last_seq {
            outcome.refused = true;
            return outcome;
        }
        for seq in self.in_flight.open_seqs() {
            if seq > newest {
                continue;
            }
            let behind = newest - seq;
            if behind == 0 || (behind <= u64::BITS && bits >> (behind - 1) & 1 == 1) {
                self.delivered(seq);
                outcome.delivered += 1;
            } else if behind >= LOST_BEHIND {
                self.lost(rows, seq);
                outcome.lost += 1;
            }
        }
        outcome
    }

    fn delivered(&mut self, seq: u32) {
        let answered = self.in_flight.answer(seq, false);
        for &sent in &answered.rare {
            match sent {
                Sent::Fields(..) | Sent::Shown(..) => {}
                Sent::Enter(alias, structure) => {
                    let alias = usize::from(alias.0);
                    if self.aliases.structure[alias] == structure {
                        aliases::take(&mut self.aliases.unsettled, alias);
                    }
                }
                Sent::Leave(alias) => self.aliases.leave_acknowledged(usize::from(alias.0)),
            }
        }
        self.in_flight.recycle(answered);
    }

    fn lost(&mut self, rows: &Rows, seq: u32) {
        let answered = self.in_flight.answer(seq, true);
        for (word, &bits) in answered.bitmap.iter().enumerate() {
            for alias in aliases_of(word, bits) {
                if self.aliases.told_in[alias] < seq {
                    self.restore(rows, alias, answered.mask);
                    self.aliases.hurry(alias);
                }
            }
        }
        let mut last = None;
        for &sent in &answered.rare {
            let alias = usize::from(sent.alias().0);
            let matters = self.aliases.told_in[alias] < seq;
            match sent {
                Sent::Fields(_, mask) if matters => self.restore(rows, alias, mask),
                Sent::Shown(_, component, fields) if matters => {
                    for key in Sent::keys(component, fields) {
                        self.restore_shown(rows, alias, key);
                    }
                }
                Sent::Fields(..) | Sent::Shown(..) => continue,
                // A newer enter record, if there is one, is answered for by itself.
                Sent::Enter(_, structure) if self.aliases.structure[alias] == structure => {
                    self.restore_whole(alias);
                    self.restore(rows, alias, RESEND);
                }
                Sent::Enter(..) => continue,
                Sent::Leave(_) => {
                    self.aliases.leave_lost(alias);
                    continue;
                }
            }
            // Fields of one entity stand behind one another.
            if last.replace(alias) != Some(alias) {
                self.aliases.hurry(alias);
            }
        }
        self.in_flight.recycle(answered);
    }

    /// Whatever is restored was sent under the layout that the client has: a change of components sends an enter record.
    /// It may be about to change, so only fields that the entity has now can be pending.
    fn restore(&mut self, rows: &Rows, alias: usize, mask: FieldMask) {
        let mask = if mask >> FIELD_FIRST == 0 || mask & RESEND != 0 {
            mask
        } else if aliases::has(&self.aliases.special, alias) {
            self.restore_plain(rows, alias, mask)
        } else {
            mask & rows.encoded[self.aliases.rows[alias].index()].all_fields()
        };
        self.waiting |= self.aliases.restore(alias, mask);
    }
}

/// Bit *i* of the result: whether byte *i* is 1. All bytes must be 0 or 1.
#[inline(always)]
fn bits_of(flags: &[u8; 64]) -> u64 {
    let mut bits = 0;
    for (index, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (index * 8);
    }
    bits
}
