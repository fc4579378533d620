//! Answers already given, so that every action id is answered once and every repeat gets the same answer.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ids::ActionId;
use crate::limits::{REPLIES_REMEMBERED_MAX, REPLY_BYTES_REMEMBERED_MAX};
use crate::protocol::messages::{ActionCall, ActionRefusal};

/// The result of an action: the encoded reply or the refusal.
pub type ActionResult = Result<Vec<u8>, ActionRefusal>;

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
}

#[derive(Clone, Debug)]
struct Remembered {
    content: u64,
    result: Option<ActionResult>,
}

/// What is remembered of one player: the last [`REPLIES_REMEMBERED_MAX`] actions, as long as their answers fit
/// [`REPLY_BYTES_REMEMBERED_MAX`].
#[derive(Clone, Debug, Default)]
pub struct ReplyMemory {
    by_id: FxHashMap<ActionId, Remembered>,
    order: VecDeque<ActionId>,
    bytes: usize,
}

/// What an answer costs.
fn bytes_of(result: &ActionResult) -> usize {
    match result {
        Ok(bytes) => bytes.len(),
        Err(ActionRefusal::Game(text) | ActionRefusal::Malformed(text) | ActionRefusal::Forbidden(text)) => {
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
    /// Looks an action up.
    #[must_use]
    pub fn look_up(&self, call: &ActionCall) -> Known {
        match self.by_id.get(&call.id) {
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
        self.order.push_back(call.id);
        self.by_id.insert(call.id, Remembered { content: content(call), result: None });
    }

    /// Notes the answer.
    pub fn finish(&mut self, id: ActionId, result: &ActionResult) {
        if let Some(known) = self.by_id.get_mut(&id) {
            known.result = Some(result.clone());
            self.bytes += bytes_of(result);
        }
        while self.bytes > REPLY_BYTES_REMEMBERED_MAX {
            self.forget_oldest();
        }
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        if let Some(Remembered { result: Some(result), .. }) = self.by_id.remove(&oldest) {
            self.bytes -= bytes_of(&result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u128, payload: u8) -> ActionCall {
        ActionCall { id: ActionId(id), kind: 0, payload: vec![payload] }
    }

    /// C4: a repeat gets the first answer, the same id with other content is an error.
    #[test]
    fn a_repeat_gets_the_first_answer_and_a_reuse_is_told() {
        let mut memory = ReplyMemory::default();
        assert_eq!(memory.look_up(&call(1, 7)), Known::New);
        memory.begin(&call(1, 7));
        assert_eq!(memory.look_up(&call(1, 7)), Known::Running);
        memory.finish(ActionId(1), &Ok(vec![9]));
        assert_eq!(memory.look_up(&call(1, 7)), Known::Answered(Ok(vec![9])));
        assert_eq!(memory.look_up(&call(1, 8)), Known::Reused);
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = ReplyMemory::default();
        for id in 0..=REPLIES_REMEMBERED_MAX as u128 {
            memory.begin(&call(id, 0));
        }
        assert_eq!(memory.look_up(&call(0, 0)), Known::New);
        assert_eq!(memory.look_up(&call(1, 0)), Known::Running);
        assert_eq!(memory.by_id.len(), REPLIES_REMEMBERED_MAX);
    }

    #[test]
    fn long_answers_are_forgotten_before_they_cost_too_much() {
        let mut memory = ReplyMemory::default();
        for id in 0..200 {
            memory.begin(&call(id, 0));
            memory.finish(ActionId(id), &Ok(vec![0; 1_000]));
        }
        assert_eq!(memory.by_id.len(), REPLY_BYTES_REMEMBERED_MAX / 1_000);
        assert_eq!(memory.bytes, memory.by_id.len() * 1_000);
        assert_eq!(memory.look_up(&call(199, 0)), Known::Answered(Ok(vec![0; 1_000])));
    }
}
