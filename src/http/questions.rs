//! What operators ask and order of the running world: taken here, answered by whoever ticks it, between two ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::players::OrderKind;
use crate::store::CompensationVerb;

/// Questions that may wait; one more is told to come again.
const QUESTIONS_WAITING_MAX: usize = 16;
/// How long an answer is waited for: ticks are far shorter.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Why a player sees something or not, in the words of the request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyQuestion {
    /// The player's name.
    pub player: String,
    /// The entity's name, in hexadecimal digits.
    pub entity: String,
    /// The field, as `Component.field`.
    pub field: Option<String>,
}

/// What is said to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The answer, for programs and for people.
    Answer {
        /// For programs.
        json: serde_json::Value,
        /// For people.
        text: String,
    },
    /// The question makes no sense.
    Wrong(String),
    /// What is asked about does not exist.
    Unknown(String),
    /// It cannot be done, or not wholly, by no fault of who asks.
    Failed(String),
}

/// What an operator orders about a player, in the words of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// What.
    pub what: OrderKind,
    /// The player's name.
    pub player: String,
    /// Why: told to the player, and kept.
    pub why: String,
    /// For how many seconds a ban or mute holds; for good without.
    pub for_s: Option<u64>,
}

/// What an operator orders about what failed for good, in the words of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompensationRequest {
    /// What.
    pub what: CompensationVerb,
    /// Under which number it waits.
    pub number: u64,
    /// Why, for the records; needed where something is discarded.
    #[serde(default)]
    pub why: String,
}

/// That the files of reference data are read again, in the words of the request: there is nothing else to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {}

/// A question that waits for its reply.
#[derive(Debug)]
pub struct Waiting<Q> {
    question: Q,
    reply: oneshot::Sender<Reply>,
    /// Whether whoever ticks has it.
    is_taken: Arc<AtomicBool>,
}

impl<Q> Waiting<Q> {
    /// What is asked.
    pub fn question(&self) -> &Q {
        &self.question
    }

    /// Replies; nobody need be told what nobody waits for any more.
    pub fn reply(self, reply: Reply) {
        let _ = self.reply.send(reply);
    }
}

/// An order that waits for its reply.
pub type WaitingOrder = Waiting<OrderRequest>;

/// An order about what failed for good that waits for its reply.
pub type WaitingCompensation = Waiting<CompensationRequest>;

/// An order to read the files of reference data that waits for its reply.
pub type WaitingReload = Waiting<ReloadRequest>;

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// As many wait as may.
    #[error("too many questions wait: ask again")]
    Busy,
    /// Nobody has taken it in time.
    #[error("the world does not tick, so nobody answers: look at /healthz, and ask again")]
    TooLate,
    /// It was taken, but what came of it is not on the disk in time.
    #[error(
        "the world has taken it and does it, but it is not written yet, since the store is slow or does not work: look at \
         /readyz and the log; it need not be ordered again unless the world ends before"
    )]
    NotWritten,
}

/// The desk where questions wait. Clones share it.
#[derive(Debug)]
pub struct Desk<Q> {
    ask: Sender<Waiting<Q>>,
    asked: Receiver<Waiting<Q>>,
}

/// Where questions about what players see wait.
pub type Questions = Desk<WhyQuestion>;

/// Where orders about players wait.
pub type Orders = Desk<OrderRequest>;

/// Where orders about what failed for good wait.
pub type CompensationOrders = Desk<CompensationRequest>;

/// Where orders to read the files of reference data again wait.
pub type ReloadOrders = Desk<ReloadRequest>;

impl<Q> Clone for Desk<Q> {
    fn clone(&self) -> Self {
        Self { ask: self.ask.clone(), asked: self.asked.clone() }
    }
}

impl<Q> Default for Desk<Q> {
    fn default() -> Self {
        let (ask, asked) = bounded(QUESTIONS_WAITING_MAX);
        Self { ask, asked }
    }
}

impl<Q> Desk<Q> {
    /// Whether somebody waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Answers at most so many of those that wait, first come first. Never waits itself.
    pub fn answer(&self, at_most: usize, mut answer: impl FnMut(&Q) -> Reply) {
        for waiting in self.take(at_most) {
            let reply = answer(waiting.question());
            waiting.reply(reply);
        }
    }

    /// Takes at most so many of those that wait and whose asker still does, first come first.
    #[must_use]
    pub fn take(&self, at_most: usize) -> Vec<Waiting<Q>> {
        let is_awaited = |waiting: &Waiting<Q>| !waiting.reply.is_closed();
        let taken = self.asked.try_iter().take(at_most).filter(is_awaited);
        taken.inspect(|waiting| waiting.is_taken.store(true, Ordering::Release)).collect()
    }

    /// Puts a question and waits for the reply.
    pub(super) async fn ask(&self, question: Q) -> Result<Reply, NoReply> {
        let (reply, replied) = oneshot::channel();
        let is_taken = Arc::new(AtomicBool::new(false));
        let waiting = Waiting { question, reply, is_taken: is_taken.clone() };
        self.ask.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => NoReply::Busy,
            TrySendError::Disconnected(_) => NoReply::TooLate,
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, replied).await {
            Ok(Ok(reply)) => Ok(reply),
            // Dropped without a reply: the world has ended.
            Ok(Err(_)) => Err(NoReply::TooLate),
            Err(_) if is_taken.load(Ordering::Acquire) => Err(NoReply::NotWritten),
            Err(_) => Err(NoReply::TooLate),
        }
    }
}
