//! What operators ask of the running world: taken here, answered by whoever ticks it, between two ticks.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::Deserialize;
use tokio::sync::oneshot;

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
}

#[derive(Debug)]
struct Asked {
    question: WhyQuestion,
    reply: oneshot::Sender<Reply>,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// As many wait as may.
    #[error("too many questions wait: ask again")]
    Busy,
    /// Nobody has answered in time.
    #[error("the world does not tick, so nobody answers: look at /healthz, and ask again")]
    TooLate,
}

/// The desk where questions wait. Clones share it.
#[derive(Clone, Debug)]
pub struct Questions {
    ask: Sender<Asked>,
    asked: Receiver<Asked>,
}

impl Default for Questions {
    fn default() -> Self {
        let (ask, asked) = bounded(QUESTIONS_WAITING_MAX);
        Self { ask, asked }
    }
}

impl Questions {
    /// Whether somebody waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Answers at most so many of those that wait, first come first. Never waits itself.
    pub fn answer(&self, at_most: usize, mut answer: impl FnMut(&WhyQuestion) -> Reply) {
        for Asked { question, reply } in self.asked.try_iter().take(at_most) {
            // Nobody need be told what nobody waits for any more.
            if !reply.is_closed() {
                let _ = reply.send(answer(&question));
            }
        }
    }

    /// Puts a question and waits for the reply.
    pub(super) async fn ask(&self, question: WhyQuestion) -> Result<Reply, NoReply> {
        let (reply, replied) = oneshot::channel();
        self.ask.try_send(Asked { question, reply }).map_err(|error| match error {
            TrySendError::Full(_) => NoReply::Busy,
            TrySendError::Disconnected(_) => NoReply::TooLate,
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, replied).await {
            Ok(Ok(reply)) => Ok(reply),
            _ => Err(NoReply::TooLate),
        }
    }
}
