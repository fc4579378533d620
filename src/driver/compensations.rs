//! Orders about what failed for good: handed to the world that runs in a save, whose store thread carries them out, or written
//! into one that does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ask::{AskError, Request, ask_world};
use super::live::{in_stopped_or_live, now_ms};
use crate::http::{CompensationOrders, CompensationRequest, Reply, WaitingCompensation};
use crate::limits::WHY_BYTES_MAX;
use crate::server::io::TickInput;
use crate::store::{CompensationDone, CompensationOrder, CompensationVerb, Store, StoreHandle, StoreRequest};

/// Orders that are taken in one tick.
const ORDERS_PER_TICK_MAX: usize = 4;

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ordered {
    /// Whether it was done.
    pub(super) done: bool,
    /// What came of it, in words.
    pub(super) text: String,
    /// Whether the world runs.
    pub(super) live: bool,
}

/// Orders something about what waits in a save, wherever its world is.
pub(super) fn order(
    save: &Path,
    verb: CompensationVerb,
    number: u64,
    why: &str,
    token_file: Option<&PathBuf>,
) -> Result<Ordered, AskError> {
    let write = |mut store: Store| -> Result<Ordered, AskError> {
        let (why, by) = (why.to_owned(), "operator".to_owned());
        let tick = store.next_tick()?;
        let order = CompensationOrder { ticket: 0, verb, number, why, by, tick, now_ms: now_ms() };
        let CompensationDone { done, text, .. } = store.order_compensation(&order)?;
        Ok(Ordered { done, text, live: false })
    };
    let ask = || -> Result<Ordered, AskError> {
        let request = CompensationRequest { what: verb, number, why: why.to_owned() };
        let body = serde_json::to_string(&request).map_err(|error| AskError::Refused(error.to_string()))?;
        let request = Request { target: "/api/compensations", accept: "application/json", body: Some(&body) };
        let answer = ask_world(save, token_file.map(PathBuf::as_path), &request)?;
        serde_json::from_str(&answer).map_err(|error| AskError::Refused(format!("{error}: {answer}")))
    };
    in_stopped_or_live(save, write, ask)
}

/// Orders on their way to the store thread.
#[derive(Debug, Default)]
pub(super) struct CompensationsDesk {
    last_ticket: u64,
    waiting: BTreeMap<u64, WaitingCompensation>,
}

impl CompensationsDesk {
    /// Hands what operators order to the store.
    pub(super) fn hand_over(&mut self, input: &TickInput, orders: &CompensationOrders, store: &StoreHandle) {
        for waiting in orders.take(ORDERS_PER_TICK_MAX) {
            let CompensationRequest { what, number, why } = waiting.question().clone();
            let why = why.trim().to_owned();
            let is_missing = why.is_empty() && what == CompensationVerb::Discard;
            if is_missing || why.len() > WHY_BYTES_MAX || why.chars().any(char::is_control) {
                let expected =
                    format!("why is text of at most {WHY_BYTES_MAX} bytes, and nothing is discarded without");
                waiting.reply(Reply::Wrong(expected));
                continue;
            }
            self.last_ticket += 1;
            let order = CompensationOrder {
                ticket: self.last_ticket,
                verb: what,
                number,
                why,
                by: "operator".into(),
                tick: input.tick,
                now_ms: input.now_ms,
            };
            match store.try_request(StoreRequest::Compensation(order)) {
                Ok(()) => drop(self.waiting.insert(self.last_ticket, waiting)),
                Err(_) => waiting.reply(Reply::Failed("the store is busy: order it again".into())),
            }
        }
    }

    /// What came of one: whoever ordered it is told, and the world of what the plan changed.
    pub(super) fn done(&mut self, done: CompensationDone, input: &mut TickInput) {
        input.plans.extend(done.outcome);
        if let Some(waiting) = self.waiting.remove(&done.ticket) {
            let json = serde_json::json!({ "done": done.done, "text": done.text, "live": true });
            waiting.reply(Reply::Answer { json, text: format!("{}\n", done.text) });
        }
    }

    /// The store has given one up.
    pub(super) fn gave_up(&mut self, ticket: u64, why: &str) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            waiting.reply(Reply::Failed(why.to_owned()));
        }
    }
}
