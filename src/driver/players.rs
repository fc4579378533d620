//! Between the tick and the store thread: what is kept of players, in the order in which it was asked for, and orders of
//! operators on their way through a tick to the records.

use std::collections::{BTreeMap, VecDeque};

use crate::http::{OrderRequest, Orders, Reply, WaitingOrder};
use crate::ids::{PlayerId, TickNumber};
use crate::limits::WHY_BYTES_MAX;
use crate::players::{Found, Order, OrderKind, OrderOutcome, PlayerRequest, ProfileAnswer};
use crate::reward::Holdings;
use crate::server::io::{TickInput, TickOutput};
use crate::store::{ClaimAnswer, PlanOutcome, PlayerWork, PlayersDone, Refused, StoreHandle, StoreRequest};

use super::rows::WaitingRows;

/// Most things that go to the store at a time: one transaction.
const BATCH_MAX: usize = 512;
/// Most profiles that may wait to be looked up while the store does not work.
const LOADS_WAITING_MAX: usize = 4_096;
/// Orders that are sealed into one tick.
const ORDERS_PER_TICK_MAX: usize = 8;

/// What waits for the store. Saves are never dropped: one that failed for good is sent again before anything else.
#[derive(Debug, Default)]
pub(super) struct PlayersDesk {
    waiting: VecDeque<PlayerWork>,
    /// Behind all that waits: one chunk goes with each batch.
    rows: WaitingRows,
    under_way: Vec<PlayerWork>,
    /// In which tick that went to the store.
    sent_in: TickNumber,
    /// The newest tick.
    tick: TickNumber,
    answers: Vec<ProfileAnswer>,
    plans: Vec<PlanOutcome>,
    claims: Vec<ClaimAnswer>,
    loads_waiting: usize,
    /// How many things were written for good: what the store numbers them by.
    written: u64,
    /// The same without rows of components.
    durable: u64,
    /// In which tick how many things came that are not done yet, the oldest first.
    came_in: VecDeque<(TickNumber, usize)>,
    last_order: u64,
    /// Sealed into a tick, or carried out and not durable yet.
    orders: BTreeMap<u64, (WaitingOrder, Option<OrderOutcome>)>,
}

impl PlayersDesk {
    /// What the store is doing.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> &[PlayerWork] {
        &self.under_way
    }

    /// Whether the store has something of it to do.
    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Whether nothing is left to do.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty() && self.rows.is_empty()
    }

    /// How many things wait for the store or are under way.
    pub(super) fn backlog(&self) -> usize {
        self.under_way.len() + self.waiting.len()
    }

    /// For how many ticks the oldest of them has waited.
    pub(super) fn waits_ticks(&self) -> u64 {
        self.came_in.front().map_or(0, |(came, _)| self.tick.0.saturating_sub(came.0))
    }

    /// So many of the oldest are done.
    fn let_go(&mut self, mut done: usize) {
        while let Some((_, left)) = self.came_in.front_mut()
            && done > 0
        {
            let now = done.min(*left);
            (*left, done) = (*left - now, done - now);
            if *left == 0 {
                self.came_in.pop_front();
            }
        }
    }

    /// How many things wait to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.under_way.iter().chain(&self.waiting).filter(|work| !is_load(work)).count() + self.rows.len()
    }

    /// How many things were ever to be written, but for rows of components: an image holds what they do. They are written in the
    /// order in which they came, so that this many are [durable](Self::durable) when everything that has come so far is.
    pub(super) fn given(&self) -> u64 {
        let waiting = self.under_way.iter().chain(&self.waiting);
        self.durable + waiting.filter(|work| !is_load(work) && !is_rows(work)).count() as u64
    }

    /// How many of them are on the disk.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// Whether something of what the store is doing is to be written.
    pub(super) fn is_writing(&self) -> bool {
        self.under_way.iter().any(|work| !is_load(work))
    }

    /// Whether what is under way has been so for more than so many ticks.
    pub(super) fn is_stalled(&self, tick: TickNumber, after_ticks: u64) -> bool {
        self.is_under_way() && tick.0 > self.sent_in.0 + after_ticks
    }

    /// Puts what has come in into the next tick's input.
    pub(super) fn fill(&mut self, input: &mut TickInput, orders: &Orders) {
        self.tick = input.tick;
        input.profiles.append(&mut self.answers);
        input.plans.append(&mut self.plans);
        input.claims.append(&mut self.claims);
        for waiting in orders.take(ORDERS_PER_TICK_MAX) {
            match order_of(waiting.question()) {
                Ok(order) => {
                    self.last_order += 1;
                    input.orders.push(Order { number: self.last_order, ..order });
                    self.orders.insert(self.last_order, (waiting, None));
                }
                Err(why) => waiting.reply(Reply::Wrong(why)),
            }
        }
    }

    /// Takes what a tick asks for, and hands on as much as the store takes.
    pub(super) fn hand_over(&mut self, output: &mut TickOutput, store: &StoreHandle) {
        let before = self.waiting.len();
        for request in output.players.drain(..) {
            if let PlayerRequest::Load { number, player } = &request {
                if self.loads_waiting >= LOADS_WAITING_MAX {
                    let found = Found::NotNow("too many wait for it".into());
                    self.answers.push(ProfileAnswer {
                        number: *number,
                        player: player.clone(),
                        found,
                        rows: Vec::new(),
                        holdings: Holdings::default(),
                    });
                    continue;
                }
                self.loads_waiting += 1;
            }
            match request {
                PlayerRequest::SaveRows(save) => {
                    self.rows.push(save);
                    continue;
                }
                PlayerRequest::Save(ref save) => self.rows.forget(&save.player),
                _ => {}
            }
            self.waiting.push_back(PlayerWork::Request(request));
        }
        self.waiting.extend(output.audit.drain(..).map(PlayerWork::Audit));
        for outcome in output.orders.drain(..) {
            self.waiting.push_back(PlayerWork::Mark(outcome.number));
            if let Some((_, told)) = self.orders.get_mut(&outcome.number) {
                *told = Some(outcome);
            }
        }
        if self.waiting.len() > before {
            self.came_in.push_back((self.tick, self.waiting.len() - before));
        }
        self.send(store);
    }

    /// Hands the next batch to the store, unless one is under way: everything in its order, and behind it one chunk of rows. So
    /// however many rows there are, what comes in between waits for one chunk at most.
    pub(super) fn send(&mut self, store: &StoreHandle) {
        if self.is_under_way() || self.waiting.is_empty() && self.rows.is_empty() {
            return;
        }
        let count = self.waiting.len().min(BATCH_MAX);
        let mut batch: Vec<PlayerWork> = self.waiting.drain(..count).collect();
        // One of a batch that was given up may be among what waits: it keeps its place, since it may be durable.
        let has_rows = batch.iter().chain(&self.waiting).any(is_rows);
        let chunk = if has_rows { None } else { self.rows.take_chunk() };
        let is_with_chunk = chunk.is_some();
        batch.extend(chunk.map(|chunk| PlayerWork::Request(PlayerRequest::SaveRows(chunk))));
        match store.try_request(StoreRequest::Players { after: self.written, batch: batch.clone() }) {
            Ok(()) => {
                self.under_way = batch;
                self.sent_in = self.tick;
            }
            Err(refused) => {
                if matches!(refused, Refused::Stopped(_)) {
                    tracing::error!("the store thread has ended: players are no longer saved");
                }
                if is_with_chunk
                    && let Some(PlayerWork::Request(PlayerRequest::SaveRows(chunk))) = batch.pop()
                {
                    self.rows.put_back(chunk);
                }
                batch.into_iter().rev().for_each(|work| self.waiting.push_front(work));
            }
        }
    }

    /// The batch is done.
    pub(super) fn done(&mut self, done: PlayersDone) {
        self.let_go(self.under_way.iter().filter(|work| !is_rows(work)).count());
        for work in self.under_way.drain(..).filter(|work| !is_load(work)) {
            self.written += 1;
            self.durable += u64::from(!is_rows(&work));
        }
        self.loads_waiting = self.loads_waiting.saturating_sub(done.profiles.len());
        self.answers.extend(done.profiles);
        self.plans.extend(done.plans);
        self.claims.extend(done.claims);
        for number in done.marks {
            if let Some((waiting, outcome)) = self.orders.remove(&number) {
                waiting.reply(outcome.map_or_else(
                    || Reply::Failed("the order was not carried out".into()),
                    |outcome| answer(&outcome),
                ));
            }
        }
    }

    /// The batch was given up: what is to be written stays, before everything else, and who waits for a profile is told.
    pub(super) fn gave_up(&mut self, why: &str) {
        for work in std::mem::take(&mut self.under_way).into_iter().rev() {
            if let PlayerWork::Request(PlayerRequest::Load { number, player }) = work {
                self.loads_waiting = self.loads_waiting.saturating_sub(1);
                self.let_go(1);
                let found = Found::NotNow(why.to_owned());
                let (rows, holdings) = (Vec::new(), Holdings::default());
                self.answers.push(ProfileAnswer { number, player, found, rows, holdings });
                continue;
            }
            if let PlayerWork::Mark(number) = work
                && let Some((waiting, _)) = self.orders.remove(&number)
            {
                let text = "it is done in the world, but not written yet, since the store does not work: see the log";
                waiting.reply(Reply::Failed(text.into()));
            }
            self.waiting.push_front(work);
        }
    }
}

fn is_load(work: &PlayerWork) -> bool {
    matches!(work, PlayerWork::Request(PlayerRequest::Load { .. } | PlayerRequest::FindClaim { .. }))
}

fn is_rows(work: &PlayerWork) -> bool {
    matches!(work, PlayerWork::Request(PlayerRequest::SaveRows(_)))
}

fn answer(outcome: &OrderOutcome) -> Reply {
    let json = serde_json::json!({ "done": outcome.done, "text": outcome.text, "live": true });
    Reply::Answer { json, text: format!("{}\n", outcome.text) }
}

/// Reads an order as it came over HTTP.
fn order_of(request: &OrderRequest) -> Result<Order, String> {
    let player = PlayerId::new(&request.player).map_err(|error| error.to_string())?;
    let why = request.why.trim();
    let is_text = !why.is_empty() && why.len() <= WHY_BYTES_MAX && !why.chars().any(char::is_control);
    if !is_text {
        return Err(format!("why is 1 to {WHY_BYTES_MAX} bytes of text: it is told to the player"));
    }
    if request.for_s.is_some() && !matches!(request.what, OrderKind::Ban | OrderKind::Mute) {
        return Err(format!("{} takes no time: only ban and mute do", request.what.name()));
    }
    Ok(Order {
        number: 0,
        kind: request.what,
        player,
        why: why.to_owned(),
        for_s: request.for_s,
        by: "operator".into(),
    })
}
