//! Actions under way: what they are called, what is kept of them until they are answered, and their answers in order.
//!
//! Pure: time is an argument, and what is to be sent is handed out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

use crate::action::Action;
use crate::ids::ActionId;
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::messages::{ActionCall, ActionRefusal, ActionReply};

use super::connection::ConnectionError;

/// How long an answer waits for the update that shows what it caused; then it is delivered all the same.
const REPLY_PATIENCE: Duration = Duration::from_millis(250);
/// Answers that may wait for their update, and answers not fetched: beyond that the oldest is delivered, or
/// forgotten, early.
const REPLIES_WAITING_MAX: usize = 1_024;
/// Actions that may wait for their answers: what would have to be sent again.
const OPEN_MAX: usize = 4_096;
/// Actions that waited and are sent at once, and per second: with all else a client sends, less than a server takes.
const REPEATS_AT_ONCE_MAX: f64 = 32.0;
const REPEATS_PER_S: f64 = 100.0;
/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Which action.
    pub id: ActionId,
    /// The encoded reply; [`Reply::read`] decodes it.
    pub result: Result<Vec<u8>, ActionRefusal>,
    /// From the call to the delivery.
    pub waited: Duration,
}

impl Reply {
    /// The reply of an action of type `A`, or why it was refused.
    ///
    /// # Errors
    /// When it was refused, or the bytes are of another type's reply.
    pub fn read<A: Action>(&self) -> Result<A::Reply, ReplyError> {
        let bytes = self.result.as_ref().map_err(|refusal| ReplyError::Refused(refusal.clone()))?;
        Ok(codec::decode::<A::Reply, { crate::limits::RECORD_BYTES_MAX }>(A::NAME, bytes)?)
    }
}

/// Why there is no reply to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The action was not done.
    #[error(transparent)]
    Refused(ActionRefusal),
    /// The reply is of another type.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// Why an action was not sent.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server's game has no such action: the schemas differ in a way the hello cannot have allowed.
    #[error("the game has no action {0}: register it in a cell plugin")]
    Unknown(&'static str),
    /// The connection does not take it.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// How far names run ahead of the world's calendar.
const HOUR_MS: u64 = 3_600_000;

/// Names for actions: the upper half is an order that follows the calendar, so that a server knows which it has
/// forgotten; the lower half is random.
#[derive(Debug)]
struct Names {
    random: Xoshiro256PlusPlus,
    last: u64,
    /// The calendar of the world may be another one: names do not run far ahead of it.
    last_by_calendar_max: Option<u64>,
}

impl Names {
    fn next(&mut self, unix_ms: u64) -> ActionId {
        let by_calendar = ActionId::order_at(unix_ms);
        let by_calendar = by_calendar.min(self.last_by_calendar_max.unwrap_or(u64::MAX));
        self.last = self.last.saturating_add(1).max(by_calendar);
        ActionId::new(self.last, self.random.next_u64())
    }

    fn lie_above(&mut self, id: ActionId) {
        self.last = self.last.max(id.order());
        self.last_by_calendar_max =
            (id.order() > 0).then(|| id.order().saturating_add(ActionId::order_at(HOUR_MS)));
    }
}

/// An action that is not answered.
#[derive(Debug)]
struct Open {
    call: ActionCall,
    is_sent: bool,
}

/// When an action was called, and which of all it was.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: u64,
    at: Duration,
}

/// The actions of one player that are under way.
#[derive(Debug)]
pub(super) struct Calls {
    names: Names,
    /// In the order in which they were called.
    open: BTreeMap<u64, Open>,
    /// How many of those are to be sent.
    unsent: usize,
    /// How many of those may be sent now, and since when that holds.
    may_send: (f64, Duration),
    called: u64,
    /// Until their answers are delivered.
    asked: FxHashMap<ActionId, Asked>,
    waiting: VecDeque<(ActionReply, Duration)>,
    replies: VecDeque<Reply>,
}

impl Calls {
    /// `seed` is where names are drawn from.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            names: Names {
                random: Xoshiro256PlusPlus::seed_from_u64(seed),
                last: 0,
                last_by_calendar_max: None,
            },
            open: BTreeMap::new(),
            unsent: 0,
            may_send: (REPEATS_AT_ONCE_MAX, Duration::ZERO),
            called: 0,
            asked: FxHashMap::default(),
            waiting: VecDeque::new(),
            replies: VecDeque::new(),
        }
    }

    /// A name for an action called now.
    pub(super) fn name(&mut self, unix_ms: u64) -> ActionId {
        self.names.next(unix_ms)
    }

    /// From now on names lie above this one.
    pub(super) fn names_lie_above(&mut self, id: ActionId) {
        self.names.lie_above(id);
    }

    /// Whether an action must wait until those before it are sent.
    pub(super) fn must_wait(&self) -> bool {
        self.unsent > 0
    }

    /// Whether no more may be under way, this one being no repeat.
    pub(super) fn is_full(&self, id: ActionId) -> bool {
        self.open.len() >= OPEN_MAX && !self.asked.contains_key(&id)
    }

    /// Keeps an action until it is answered. One whose name is under way already is kept as it was called first.
    pub(super) fn keep(&mut self, call: ActionCall, is_sent: bool, now: Duration) {
        if self.asked.contains_key(&call.id) {
            return;
        }
        self.called += 1;
        self.asked.insert(call.id, Asked { number: self.called, at: now });
        self.unsent += usize::from(!is_sent);
        self.open.insert(self.called, Open { call, is_sent });
    }

    /// A session begins, or goes on over another connection: what is not answered is to be sent again. The server
    /// answers what it has done already from memory.
    pub(super) fn send_all_again(&mut self) {
        for open in self.open.values_mut() {
            open.is_sent = false;
        }
        self.unsent = self.open.len();
    }

    /// Sends what is to be sent, in order, until `send` does not take one, and no faster than a server takes it.
    pub(super) fn send(&mut self, now: Duration, mut send: impl FnMut(&ActionCall) -> bool) {
        if self.unsent == 0 {
            return;
        }
        let (left, since) = self.may_send;
        let more = now.saturating_sub(since).as_secs_f64() * REPEATS_PER_S;
        let mut left = (left + more).min(REPEATS_AT_ONCE_MAX);
        for open in self.open.values_mut().filter(|open| !open.is_sent) {
            if left < 1.0 || !send(&open.call) {
                break;
            }
            open.is_sent = true;
            self.unsent -= 1;
            left -= 1.0;
        }
        self.may_send = (left, now);
    }

    /// Takes an answer; `false` when nobody asked, or it was delivered already.
    pub(super) fn answered(&mut self, reply: ActionReply, now: Duration) -> bool {
        let Some(asked) = self.asked.get(&reply.id) else { return false };
        if let Some(open) = self.open.remove(&asked.number) {
            self.unsent -= usize::from(!open.is_sent);
        }
        if self.waiting.len() >= REPLIES_WAITING_MAX {
            self.deliver_oldest(now);
        }
        self.waiting.push_back((reply, now));
        true
    }

    /// Answers come out in the order in which they came in, each once the update it names `is_applied`, or after a
    /// while if that one is lost.
    pub(super) fn deliver(&mut self, now: Duration, is_applied: impl Fn(u32) -> bool) {
        while let Some((reply, since)) = self.waiting.front() {
            if !is_applied(reply.as_of) && now.saturating_sub(*since) < REPLY_PATIENCE {
                return;
            }
            self.deliver_oldest(now);
        }
    }

    fn deliver_oldest(&mut self, now: Duration) {
        let Some((reply, _)) = self.waiting.pop_front() else { return };
        let Some(asked) = self.asked.remove(&reply.id) else { return };
        if self.replies.len() >= REPLIES_WAITING_MAX {
            self.replies.pop_front();
        }
        let waited = now.saturating_sub(asked.at);
        self.replies.push_back(Reply { id: reply.id, result: reply.result, waited });
    }

    /// What was delivered since the last call.
    pub(super) fn replies(&mut self) -> impl Iterator<Item = Reply> + '_ {
        self.replies.drain(..)
    }

    /// Actions whose answers were not delivered.
    pub(super) fn unanswered(&self) -> usize {
        self.asked.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(id: ActionId) -> ActionCall {
        ActionCall { id, kind: 0, payload: Vec::new() }
    }

    fn reply(id: ActionId) -> ActionReply {
        ActionReply { id, as_of: 0, result: Ok(Vec::new()) }
    }

    fn sent(calls: &mut Calls, now_s: u64) -> Vec<ActionId> {
        let mut sent = Vec::new();
        calls.send(Duration::from_secs(now_s), |call| {
            sent.push(call.id);
            true
        });
        sent
    }

    proptest! {
        /// Whatever the clock does: a later action has a higher name, and none the server has forgotten is used.
        #[test]
        fn names_of_actions_only_rise(times in prop::collection::vec(0..3_000_000_000_000u64, 1..50), after: u64) {
            let mut calls = Calls::new(7);
            let after = ActionId(u128::from(after / 2) << 64 | 99);
            calls.names_lie_above(after);
            let mut last = after;
            for unix_ms in times {
                let id = calls.name(unix_ms);
                prop_assert!(id > last);
                // Not further ahead than an hour of the calendar that the server goes by.
                let ahead_max = if after.order() > 0 { after.order().saturating_add(ActionId::order_at(HOUR_MS)) } else { u64::MAX };
                prop_assert!(id.order() >= ActionId::order_at(unix_ms).min(ahead_max));
                last = id;
            }
        }

        /// D1: whatever is answered before the connection is lost is not sent again, everything else is, in order.
        #[test]
        fn after_a_lost_connection_exactly_what_is_unanswered_is_sent_again(
            answered in prop::collection::vec(any::<bool>(), 1..200),
        ) {
            let mut calls = Calls::new(1);
            let ids: Vec<ActionId> = answered.iter().map(|_| calls.name(5)).collect();
            for &id in &ids {
                calls.keep(call(id), true, Duration::ZERO);
            }
            for (&id, _) in ids.iter().zip(&answered).filter(|(_, answered)| **answered) {
                prop_assert!(calls.answered(reply(id), Duration::ZERO));
            }
            prop_assert_eq!(sent(&mut calls, 0), [], "nothing is sent twice without need");
            calls.send_all_again();
            let mut again = Vec::new();
            for now_s in 0..9 {
                let some = sent(&mut calls, now_s);
                prop_assert!(some.len() <= 32, "{} at once", some.len());
                again.extend(some);
            }
            let left: Vec<ActionId> =
                ids.iter().zip(&answered).filter(|(_, answered)| !**answered).map(|(id, _)| *id).collect();
            prop_assert_eq!(again, left);
            prop_assert!(!calls.must_wait());
        }
    }

    #[test]
    fn what_the_connection_does_not_take_stays_to_be_sent() {
        let mut calls = Calls::new(1);
        for id in 0..3 {
            calls.keep(call(ActionId(id)), false, Duration::ZERO);
        }
        let mut room = 2;
        calls.send(Duration::ZERO, |_| {
            room -= 1;
            room >= 0
        });
        assert!(calls.must_wait());
        assert_eq!(sent(&mut calls, 1), [ActionId(2)]);
    }

    #[test]
    fn an_answer_to_what_was_sent_again_is_delivered_once() {
        let mut calls = Calls::new(1);
        calls.keep(call(ActionId(0)), true, Duration::ZERO);
        calls.send_all_again();
        assert_eq!(sent(&mut calls, 1), [ActionId(0)]);
        assert!(calls.answered(reply(ActionId(0)), Duration::ZERO));
        assert!(
            calls.answered(reply(ActionId(0)), Duration::ZERO),
            "the repeat's, before the first is delivered"
        );
        calls.deliver(Duration::ZERO, |_| true);
        assert_eq!(calls.replies().count(), 1);
        assert!(!calls.answered(reply(ActionId(0)), Duration::ZERO));
        assert_eq!(calls.unanswered(), 0);
    }

    #[test]
    fn so_many_actions_may_be_under_way_and_no_more() {
        let mut calls = Calls::new(1);
        for id in 0..OPEN_MAX as u128 {
            assert!(!calls.is_full(ActionId(id)));
            calls.keep(call(ActionId(id)), true, Duration::ZERO);
        }
        assert!(calls.is_full(ActionId(u128::MAX)));
        assert!(!calls.is_full(ActionId(3)), "a repeat costs nothing");
    }
}
