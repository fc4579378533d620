//! Answers already given, so that every action id is answered once and every repeat gets the same answer.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ids::ActionId;
use crate::limits::{REPLIES_REMEMBERED_MAX, REPLY_BYTES_REMEMBERED_MAX};
use crate::protocol::codec;
use crate::protocol::messages::{ActionCall, ActionRefusal};

use super::pace::Buckets;

/// The result of an action: the encoded reply or the refusal.
pub type ActionResult = Result<Vec<u8>, ActionRefusal>;

/// How far the clock of a client may be ahead.
const CLOCK_AHEAD_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// How far ids may lie above what the client was told to lie above, where that is ahead of all clocks: more actions than
/// anybody calls in a session, and so few that nobody gets to the end of all ids.
const AHEAD_OF_TOLD_MAX: u64 = 1 << 24;

/// What is known of an id.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Never seen.
    New,
    /// Seen, and its answer is still to come: the repeat needs none of its own.
    Running,
    /// Answered.
    Answered(ActionResult),
    /// Used before for another action.
    Reused,
    /// No younger than some of which it is no longer known what became of them.
    TooOld,
}

#[derive(Clone, Debug)]
struct Remembered {
    content: u64,
    result: Option<ActionResult>,
    /// Somebody asked again before there was an answer: over the session that there is now, since nothing of it is packed.
    is_awaited: bool,
}

/// What is remembered of one player: the last [`REPLIES_REMEMBERED_MAX`] actions, as long as their answers fit
/// [`REPLY_BYTES_REMEMBERED_MAX`].
#[derive(Clone, Debug, Default)]
pub struct ReplyMemory {
    by_id: FxHashMap<ActionId, Remembered>,
    order: VecDeque<ActionId>,
    bytes: usize,
    /// The highest order of what was forgotten.
    forgotten: Option<u64>,
    /// The highest order that was ever begun.
    highest: Option<u64>,
    /// How much of its rates the player has used up.
    pub buckets: Buckets,
}

/// What an answer costs.
fn bytes_of(result: &ActionResult) -> usize {
    match result {
        Ok(bytes) => bytes.len(),
        Err(ActionRefusal::Game { text, reason }) => text.len() + reason.len(),
        Err(ActionRefusal::Malformed(text) | ActionRefusal::Forbidden(text) | ActionRefusal::Muted(text)) => {
            text.len()
        }
        Err(_) => 0,
    }
}

/// Hash of what an action says, to tell a repeat from a reuse.
fn content(call: &ActionCall) -> u64 {
    xxh3_64_with_seed(&call.payload, u64::from(call.kind))
}

impl ReplyMemory {
    /// Of a player of whom nothing is remembered up to that order.
    #[must_use]
    pub fn forgotten_up_to(forgotten: Option<u64>) -> Self {
        Self { forgotten, ..Self::default() }
    }

    /// Of ids up to this one it is not known whether they were used: new ones must lie above it.
    #[must_use]
    pub fn ids_after(&self) -> ActionId {
        self.forgotten.map_or(ActionId(0), ActionId::last_of)
    }

    /// The highest order of an id that was used or must not be used any more: by the client's clock, which may be wrong.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest.max(self.forgotten)
    }

    /// Whether an id is so far ahead of the time, milliseconds since 1970, and of all that the client was told to lie above,
    /// that nobody's clock can have made it: taking it would make all that others could make too old one day. What the client
    /// itself has used before says nothing, or it could climb.
    #[must_use]
    pub fn is_far_ahead(&self, id: ActionId, now_ms: u64) -> bool {
        let by_clock = ActionId::order_at(now_ms.saturating_add(CLOCK_AHEAD_MS_MAX));
        let by_told = self.forgotten.map_or(0, |told| told.saturating_add(AHEAD_OF_TOLD_MAX));
        id.order() > by_clock.max(by_told)
    }

    /// Looks an action up.
    #[must_use]
    pub fn look_up(&self, call: &ActionCall) -> Known {
        match self.by_id.get(&call.id) {
            None if self.forgotten.is_some_and(|forgotten| call.id.order() <= forgotten) => Known::TooOld,
            None => Known::New,
            Some(known) if known.content != content(call) => Known::Reused,
            Some(Remembered { result: Some(result), .. }) => Known::Answered(result.clone()),
            Some(_) => Known::Running,
        }
    }

    /// Notes that an action is being run. The oldest is forgotten when there is no room.
    pub fn begin(&mut self, call: &ActionCall) {
        if self.order.len() >= REPLIES_REMEMBERED_MAX {
            self.forget_oldest();
        }
        self.highest = self.highest.max(Some(call.id.order()));
        self.order.push_back(call.id);
        self.by_id.insert(call.id, Remembered { content: content(call), result: None, is_awaited: false });
    }

    /// Notes that an action is asked for again whose answer is still to come.
    pub fn wait_for(&mut self, id: ActionId) {
        if let Some(known) = self.by_id.get_mut(&id) {
            known.is_awaited = true;
        }
    }

    /// Whether somebody has asked again for what is not answered yet.
    #[must_use]
    pub fn is_awaited(&self, id: ActionId) -> bool {
        self.by_id.get(&id).is_some_and(|known| known.is_awaited)
    }

    /// Notes the answer; the first stays. Says whether somebody waits for it who had asked again.
    pub fn finish(&mut self, id: ActionId, result: &ActionResult) -> bool {
        let known = self.by_id.get_mut(&id).filter(|known| known.result.is_none());
        let is_awaited = known.is_some_and(|known| {
            known.result = Some(result.clone());
            self.bytes += bytes_of(result);
            std::mem::take(&mut known.is_awaited)
        });
        while self.bytes > REPLY_BYTES_REMEMBERED_MAX && !self.order.is_empty() {
            self.forget_oldest();
        }
        is_awaited
    }

    /// Nothing comes of an action that was begun: who asks again is as if it were the first time.
    pub fn give_up(&mut self, id: ActionId) {
        if self.by_id.get(&id).is_some_and(|known| known.result.is_none()) {
            self.by_id.remove(&id);
        }
    }

    /// Whether the player has never called anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.highest.is_none()
    }

    /// In as few bytes as it takes, for as long as the player is not in the world. O(answers).
    #[must_use]
    pub fn pack(mut self) -> PackedReplies {
        let by_id = &mut self.by_id;
        let packed: Vec<PackedReply> = self
            .order
            .iter()
            .filter_map(|id| {
                by_id.remove(id).map(|Remembered { content, result, .. }| (*id, content, result))
            })
            .collect();
        let mut answers = codec::encode(&packed);
        answers.shrink_to_fit();
        PackedReplies { answers, forgotten: self.forgotten, highest: self.highest, buckets: self.buckets }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        self.forgotten = self.forgotten.max(Some(oldest.order()));
        if let Some(Remembered { result: Some(result), .. }) = self.by_id.remove(&oldest) {
            self.bytes -= bytes_of(&result);
        }
    }
}

type PackedReply = (ActionId, u64, Option<ActionResult>);

/// A [`ReplyMemory`] that nobody asks.
#[derive(Clone, Debug)]
pub struct PackedReplies {
    answers: Vec<u8>,
    forgotten: Option<u64>,
    highest: Option<u64>,
    buckets: Buckets,
}

impl PackedReplies {
    /// As [`ReplyMemory::highest`].
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest.max(self.forgotten)
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.answers.len() + self.buckets.bytes()
    }

    /// What was packed. O(answers).
    ///
    /// # Panics
    /// Never: it was packed here.
    #[must_use]
    pub fn unpack(self) -> ReplyMemory {
        const BYTES_MAX: usize = 1 << 24;
        let (packed, _) = codec::decode_prefix::<Vec<PackedReply>, BYTES_MAX>("replies", &self.answers)
            .expect("they were packed here");
        let bytes = packed.iter().filter_map(|(_, _, result)| result.as_ref()).map(bytes_of).sum();
        ReplyMemory {
            order: packed.iter().map(|(id, ..)| *id).collect(),
            by_id: packed
                .into_iter()
                .map(|(id, content, result)| (id, Remembered { content, result, is_awaited: false }))
                .collect(),
            bytes,
            forgotten: self.forgotten,
            highest: self.highest,
            buckets: self.buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(order: u128) -> ActionId {
        ActionId::new(order as u64, 5)
    }

    fn call(order: u128, payload: u8) -> ActionCall {
        ActionCall { id: id(order), kind: 0, payload: vec![payload] }
    }

    /// C4: a repeat gets the first answer, the same id with other content is an error.
    #[test]
    fn a_repeat_gets_the_first_answer_and_a_reuse_is_told() {
        let mut memory = ReplyMemory::default();
        assert_eq!(memory.look_up(&call(1, 7)), Known::New);
        memory.begin(&call(1, 7));
        assert_eq!(memory.look_up(&call(1, 7)), Known::Running);
        memory.finish(id(1), &Ok(vec![9]));
        assert_eq!(memory.look_up(&call(1, 7)), Known::Answered(Ok(vec![9])));
        assert_eq!(memory.look_up(&call(1, 8)), Known::Reused);
        // A second answer changes nothing, and costs nothing.
        let bytes = memory.bytes;
        assert!(!memory.finish(id(1), &Ok(vec![8; 100])));
        assert_eq!((memory.look_up(&call(1, 7)), memory.bytes), (Known::Answered(Ok(vec![9])), bytes));
    }

    /// C4: who asked again before there was an answer is told it, once; what is given up can be asked for anew.
    #[test]
    fn who_asked_again_waits_for_the_answer() {
        let mut memory = ReplyMemory::default();
        for order in 1..=3 {
            memory.begin(&call(order, 7));
            memory.wait_for(id(order));
        }
        assert!(memory.finish(id(1), &Ok(vec![9])) && !memory.finish(id(1), &Ok(vec![9])));
        // Another client begins to ask.
        let mut memory = memory.pack().unpack();
        assert!(!memory.finish(id(2), &Ok(vec![9])));
        memory.give_up(id(3));
        assert_eq!(memory.look_up(&call(3, 7)), Known::New);
        memory.give_up(id(2));
        assert_eq!(memory.look_up(&call(2, 7)), Known::Answered(Ok(vec![9])), "what is answered stays");
    }

    /// C4: however often ids of the future come, they get no further than a day ahead of the time.
    #[test]
    fn nobody_climbs_to_the_end_of_all_ids() {
        let now_ms = 1_000_000;
        let mut memory = ReplyMemory::forgotten_up_to(Some(9));
        let mut order = 10;
        for step in [CLOCK_AHEAD_MS_MAX << 16, AHEAD_OF_TOLD_MAX].repeat(3_000) {
            let next = ActionCall { id: ActionId::new(order + step, 5), ..call(0, 0) };
            if !memory.is_far_ahead(next.id, now_ms) {
                memory.begin(&next);
                order += step;
            }
        }
        let most = ActionId::order_at(now_ms + CLOCK_AHEAD_MS_MAX);
        assert!(memory.highest().unwrap() <= most + 3 * AHEAD_OF_TOLD_MAX, "{:?}", memory.highest());
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = ReplyMemory::default();
        for id in 0..=REPLIES_REMEMBERED_MAX as u128 {
            memory.begin(&call(id, 0));
        }
        assert_eq!(memory.look_up(&call(0, 0)), Known::TooOld);
        assert_eq!(memory.look_up(&call(1, 0)), Known::Running);
        assert_eq!(memory.by_id.len(), REPLIES_REMEMBERED_MAX);
    }

    /// C4: who comes back finds everything as it left it.
    #[test]
    fn what_is_packed_and_unpacked_is_the_same() {
        let mut memory = ReplyMemory::forgotten_up_to(Some(3));
        for order in 10..300u128 {
            memory.begin(&call(order, order as u8));
            let refusal = ActionRefusal::Game { text: format!("no {order}"), reason: vec![1; 3] };
            let result = match order % 5 {
                0 => continue,
                1 => Err(refusal),
                2 => Err(ActionRefusal::Busy),
                _ => Ok(vec![9; order as usize]),
            };
            memory.finish(id(order), &result);
        }
        let packed = memory.clone().pack();
        let least = memory.bytes;
        assert!((least..least + 300 * 40).contains(&packed.bytes()), "{} of {least}", packed.bytes());
        assert_eq!(packed.highest(), memory.highest());
        let mut again = packed.unpack();
        assert_eq!((again.bytes, again.ids_after()), (memory.bytes, memory.ids_after()));
        for order in 0..400 {
            for payload in [order as u8, 0] {
                assert_eq!(again.look_up(&call(order, payload)), memory.look_up(&call(order, payload)));
            }
        }
        // And it forgets in the same order.
        for order in 1_000..2_200 {
            for memory in [&mut again, &mut memory] {
                memory.begin(&call(order, 0));
            }
            assert_eq!(again.ids_after(), memory.ids_after());
        }
    }

    #[test]
    fn long_answers_are_forgotten_before_they_cost_too_much() {
        let mut memory = ReplyMemory::default();
        for id in 0..200 {
            memory.begin(&call(id, 0));
            memory.finish(self::id(id), &Ok(vec![0; 1_000]));
        }
        assert_eq!(memory.by_id.len(), REPLY_BYTES_REMEMBERED_MAX / 1_000);
        assert_eq!(memory.bytes, memory.by_id.len() * 1_000);
        assert_eq!(memory.look_up(&call(199, 0)), Known::Answered(Ok(vec![0; 1_000])));
    }

    /// C4: what is older than anything remembered is never taken for new, in whatever order ids came.
    #[test]
    fn an_id_no_younger_than_what_was_forgotten_is_too_old() {
        let mut memory = ReplyMemory::forgotten_up_to(Some(9));
        assert_eq!(memory.ids_after(), ActionId::last_of(9));
        let late = ActionCall { id: ActionId::new(9, 77), ..call(0, 0) };
        assert_eq!(memory.look_up(&late), Known::TooOld);
        for order in (10..1_034).rev() {
            assert_eq!(memory.look_up(&call(order, 0)), Known::New);
            memory.begin(&call(order, 0));
        }
        memory.begin(&call(2_000, 0));
        assert_eq!(memory.look_up(&call(1_033, 0)), Known::TooOld, "the first that came is forgotten first");
        assert_eq!(memory.look_up(&call(10, 0)), Known::Running, "what is remembered is not too old");
        assert_eq!(memory.look_up(&ActionCall { id: ActionId::new(500, 6), ..call(0, 0) }), Known::TooOld);
        assert_eq!(memory.look_up(&call(1_034, 0)), Known::New);
    }
}
