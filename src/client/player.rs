//! A player's end of a session: keeps the mirror, acks it, calls actions, delivers their answers in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

use crate::action::Action;
use crate::ids::{ActionId, NetId};
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::messages::{
    ActionCall, ActionRefusal, ActionReply, ClientControl, ClientState, ServerControl, Welcome,
};
use crate::replication::{ReceivedEvent, Schema};

use super::connection::{Connection, ConnectionError, Ended, ServerEvent};
use super::interpolation::Interpolation;
use super::mirror::Mirror;

/// How long an answer waits for the update that shows what it caused; then it is delivered all the same.
const REPLY_PATIENCE: Duration = Duration::from_millis(250);

/// Answers that may wait for their update, and answers not fetched: beyond that the oldest is delivered, or
/// forgotten, early.
const REPLIES_WAITING_MAX: usize = 1_024;

/// Events that are kept until they are fetched.
const EVENTS_KEPT_MAX: usize = 4_096;

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

/// What a client has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayerCounts {
    /// Updates applied.
    pub updates: u64,
    /// Their bytes.
    pub update_bytes: u64,
    /// Updates that came too late and were dropped.
    pub stale: u64,
    /// Large records taken: what some updates announced.
    pub records: u64,
    /// Messages that could not be decoded.
    pub decode_errors: u64,
    /// Audits answered with "equal" or "different".
    pub audits: u64,
    /// Audits about which nothing could be said.
    pub audits_inconclusive: u64,
    /// Audits that found a difference.
    pub audit_failures: u64,
    /// Answers to actions that were never asked, or were answered already.
    pub surprising_replies: u64,
}

/// A player in a world. Call [`tick`](Self::tick) at the rate of your game.
pub struct Player {
    connection: Connection,
    schema: Arc<Schema>,
    mirror: Mirror,
    /// Only for who draws the world: it costs O(view) per update.
    interpolation: Option<Interpolation>,
    welcome: Option<Welcome>,
    queued_behind: Option<u32>,
    ended: Option<Ended>,
    notices: VecDeque<String>,
    events: VecDeque<ReceivedEvent>,
    /// Continuous inputs by the action's index: what is wanted right now.
    inputs: BTreeMap<u16, Vec<u8>>,
    /// (number of the newest message with inputs that was sent, of the newest that the world has taken).
    input_seqs: (u32, u32),
    ids: Xoshiro256PlusPlus,
    asked: FxHashMap<ActionId, Duration>,
    waiting: VecDeque<(ActionReply, Duration)>,
    replies: VecDeque<Reply>,
    now: Duration,
    complete: bool,
    counts: PlayerCounts,
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player")
            .field("welcome", &self.welcome)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Player {
    /// Plays over a connection. `ids` seeds the names of actions; it must differ between two lives of a player.
    #[must_use]
    pub fn new(connection: Connection, schema: Arc<Schema>, ids: u64) -> Self {
        Self {
            connection,
            schema,
            mirror: Mirror::default(),
            interpolation: None,
            welcome: None,
            queued_behind: None,
            ended: None,
            notices: VecDeque::new(),
            events: VecDeque::new(),
            inputs: BTreeMap::new(),
            input_seqs: (0, 0),
            ids: Xoshiro256PlusPlus::seed_from_u64(ids),
            asked: FxHashMap::default(),
            waiting: VecDeque::new(),
            replies: VecDeque::new(),
            now: Duration::ZERO,
            complete: false,
            counts: PlayerCounts::default(),
        }
    }

    /// Keeps positions between updates too, for who draws the world. Costs O(entities in view) per update.
    #[must_use]
    pub fn with_interpolation(mut self) -> Self {
        self.interpolation = Some(Interpolation::default());
        self
    }

    /// Lets time pass: takes what has come, acks it, sends what is wanted. Cheap when nothing happens.
    pub fn tick(&mut self, elapsed: Duration) {
        self.receive(elapsed);
        self.send();
    }

    /// The first half of [`tick`](Self::tick): takes what has come.
    pub fn receive(&mut self, elapsed: Duration) {
        self.now += elapsed;
        self.connection.update(elapsed);
        for event in self.connection.poll() {
            match event {
                ServerEvent::Control(message) => self.take_control(message),
                ServerEvent::Update(bytes) => self.take_update(&bytes),
                ServerEvent::Disconnected(ended) => self.ended = Some(ended),
            }
        }
        self.deliver_replies();
        for (audit, outcome) in self.mirror.take_audit_outcomes() {
            match outcome {
                crate::protocol::messages::AuditOutcome::Equal => self.counts.audits += 1,
                crate::protocol::messages::AuditOutcome::Inconclusive => self.counts.audits_inconclusive += 1,
                crate::protocol::messages::AuditOutcome::Different { .. } => {
                    self.counts.audits += 1;
                    self.counts.audit_failures += 1;
                }
            }
            // A report that does not get through is an audit about which nothing is known.
            let _ = self.connection.send_control(&ClientControl::AuditReport { audit, outcome });
        }
    }

    /// The second half of [`tick`](Self::tick): acks and continuous inputs.
    pub fn send(&mut self) {
        if self.connection.epoch() != 0 && self.ended.is_none() {
            let (ack_newest, ack_bits) = self.mirror.ack();
            let has_inputs = !self.inputs.is_empty();
            let inputs = self.inputs.iter().map(|(kind, bytes)| (*kind, bytes.clone())).collect();
            let state = ClientState { ack_newest, ack_bits, inputs, ..ClientState::default() };
            if let Ok(seq) = self.connection.send_state(state)
                && has_inputs
            {
                self.input_seqs.0 = seq;
            }
        }
        self.connection.flush();
    }

    /// Sends what was asked since, without waiting for the next [`send`](Self::send).
    pub fn flush(&mut self) {
        self.connection.flush();
    }

    fn take_update(&mut self, bytes: &[u8]) {
        match self.mirror.apply(&self.schema, bytes) {
            Ok(applied) if applied.stale => self.counts.stale += 1,
            Ok(applied) => {
                self.counts.updates += 1;
                self.counts.update_bytes += bytes.len() as u64;
                self.complete |= applied.complete;
                self.input_seqs.1 = self.input_seqs.1.max(applied.input_seq);
                let told = self.mirror.take_told();
                self.take_in_events(told);
                if let Some(interpolation) = &mut self.interpolation {
                    interpolation.note(&self.mirror, applied.tick);
                }
            }
            Err(_) => self.counts.decode_errors += 1,
        }
    }

    fn take_control(&mut self, message: ServerControl) {
        match message {
            ServerControl::Queued { ahead } => self.queued_behind = Some(ahead),
            ServerControl::Welcome(welcome) => {
                self.queued_behind = None;
                self.mirror = Mirror::default();
                if let Some(interpolation) = &mut self.interpolation {
                    *interpolation = interpolation.restarted(welcome.hz);
                }
                self.complete = false;
                self.input_seqs.1 = 0;
                self.welcome = Some(welcome);
            }
            ServerControl::Refused(_) | ServerControl::Health(_) | ServerControl::Reconnect { .. } => {}
            ServerControl::Reply(reply) => {
                if self.asked.contains_key(&reply.id) {
                    if self.waiting.len() >= REPLIES_WAITING_MAX {
                        self.deliver_oldest();
                    }
                    self.waiting.push_back((reply, self.now));
                } else {
                    self.counts.surprising_replies += 1;
                }
            }
            ServerControl::Audit(request) => self.mirror.take_audit(request),
            ServerControl::Event { kind, about, payload } => {
                self.take_in_events([ReceivedEvent { kind, about, payload }]);
            }
            ServerControl::Notice(text) => {
                self.notices.push_back(text);
                self.notices.truncate(64);
            }
            ServerControl::Record { update_seq, bytes } => {
                match self.mirror.take_record(&self.schema, update_seq, &bytes) {
                    Ok(()) => self.counts.records += 1,
                    Err(_) => self.counts.decode_errors += 1,
                }
            }
        }
    }

    /// Answers come out in the order in which they came in, each once the update it names is applied, or after
    /// a while if that one is lost.
    fn deliver_replies(&mut self) {
        while let Some((reply, since)) = self.waiting.front() {
            let seen = self.mirror.has_applied(reply.as_of);
            if !seen && self.now.saturating_sub(*since) < REPLY_PATIENCE {
                break;
            }
            self.deliver_oldest();
        }
    }

    fn deliver_oldest(&mut self) {
        let Some((reply, _)) = self.waiting.pop_front() else { return };
        let Some(asked) = self.asked.remove(&reply.id) else { return };
        if self.replies.len() >= REPLIES_WAITING_MAX {
            self.replies.pop_front();
        }
        let waited = self.now.saturating_sub(asked);
        self.replies.push_back(Reply { id: reply.id, result: reply.result, waited });
    }

    fn kind_of<A: Action>(&self) -> Result<u16, CallError> {
        let signature = A::signature();
        let index = self.schema.actions.iter().position(|action| *action == signature);
        index.and_then(|index| u16::try_from(index).ok()).ok_or(CallError::Unknown(A::NAME))
    }

    /// Asks the world to do something. The answer comes out of [`replies`](Self::replies) under this id.
    ///
    /// # Errors
    /// When the game has no such action or the connection does not take it.
    pub fn act<A: Action>(&mut self, action: &A) -> Result<ActionId, CallError> {
        let kind = self.kind_of::<A>()?;
        let id = ActionId(u128::from(self.ids.next_u64()) << 64 | u128::from(self.ids.next_u64()));
        self.call(ActionCall { id, kind, payload: codec::encode(action) })?;
        Ok(id)
    }

    /// Sends an action whose id and bytes the caller chose: to repeat one, for tools and tests.
    ///
    /// # Errors
    /// When the connection does not take it.
    pub fn call(&mut self, call: ActionCall) -> Result<(), CallError> {
        let id = call.id;
        self.connection.send_control(&ClientControl::Action(call))?;
        self.asked.entry(id).or_insert(self.now);
        Ok(())
    }

    /// Says what is wanted from now on; only the newest of a kind counts, and it is sent with every tick.
    ///
    /// # Errors
    /// When the game has no such action.
    pub fn want<A: Action>(&mut self, input: &A) -> Result<(), CallError> {
        let kind = self.kind_of::<A>()?;
        self.inputs.insert(kind, codec::encode(input));
        Ok(())
    }

    /// Leaves on purpose.
    pub fn leave(&mut self) {
        let _ = self.connection.send_control(&ClientControl::Bye);
        self.connection.flush();
        self.connection.close();
    }

    /// What the player sees.
    #[must_use]
    pub fn view(&self) -> &Mirror {
        &self.mirror
    }

    /// What the player sees, to drain its events.
    pub fn view_mut(&mut self) -> &mut Mirror {
        &mut self.mirror
    }

    /// Shows the world so many ticks behind the newest update; nothing without interpolation.
    pub fn set_interpolation_delay(&mut self, delay_ticks: f64) {
        if let Some(interpolation) = &mut self.interpolation {
            interpolation.set_delay_ticks(delay_ticks);
        }
    }

    /// Positions between updates; `None` unless asked for by [`with_interpolation`](Self::with_interpolation).
    #[must_use]
    pub fn interpolation(&self) -> Option<&Interpolation> {
        self.interpolation.as_ref()
    }

    /// How many of the messages with continuous input that were sent took no part yet in what the view shows: a client
    /// that predicts its own avatar does so from the view, by that many of its last inputs.
    #[must_use]
    pub fn inputs_to_predict(&self) -> u32 {
        self.input_seqs.0.saturating_sub(self.input_seqs.1)
    }

    /// Number of the newest own message that carried continuous input; 0 before the first.
    #[must_use]
    pub fn input_seq_sent(&self) -> u32 {
        self.input_seqs.0
    }

    /// Number of the newest own message whose input took part in what the view shows; 0 before the first.
    #[must_use]
    pub fn input_seq_shown(&self) -> u32 {
        self.input_seqs.1
    }

    /// What both ends agreed on.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What the server said on letting the player in.
    #[must_use]
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// The entity the player steers.
    #[must_use]
    pub fn avatar(&self) -> Option<NetId> {
        self.welcome.as_ref().map(|welcome| welcome.avatar)
    }

    /// How many wait before the player, while it is not in.
    #[must_use]
    pub fn queued_behind(&self) -> Option<u32> {
        self.queued_behind
    }

    /// Whether the first view has come whole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Why it is over, if it is.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// The answers that have come since the last call.
    pub fn replies(&mut self) -> impl Iterator<Item = Reply> + '_ {
        self.replies.drain(..)
    }

    /// What this player was told since the last call, reliable events and those that came with updates, each in order.
    /// [`ReceivedEvent::read`] decodes one. Of what is not fetched only the newest 4,096 are kept.
    pub fn events(&mut self) -> impl Iterator<Item = ReceivedEvent> + '_ {
        self.events.drain(..)
    }

    fn take_in_events(&mut self, told: impl IntoIterator<Item = ReceivedEvent>) {
        self.events.extend(told);
        let surplus = self.events.len().saturating_sub(EVENTS_KEPT_MAX);
        self.events.drain(..surplus);
    }

    /// What the server wants people to read, since the last call.
    pub fn notices(&mut self) -> impl Iterator<Item = String> + '_ {
        self.notices.drain(..)
    }

    /// Actions that have not been answered yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// What it counted.
    #[must_use]
    pub fn counts(&self) -> PlayerCounts {
        self.counts
    }

    /// The connection, for its counters.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}
