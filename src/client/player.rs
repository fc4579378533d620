//! A player's end of a session: keeps the mirror, acks it, calls actions, delivers their answers in order, and comes
//! back when the connection is lost.
//!
//! What a player holds outlives its connection: the next hello says how much of the session was heard, and where the
//! server still has that session, it goes on. Where it has not, everything is told anew. In either case actions that
//! were not answered are sent again under their old names, and the server answers what it has done from memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::ids::{ActionId, NetId};
use crate::protocol::codec;
use crate::protocol::messages::{
    ActionCall, AuditOutcome, ClientControl, ClientState, Health, ServerControl, Welcome,
};
use crate::replication::{ReceivedEvent, Schema};

use super::calls::Calls;
use super::connection::{Connection, ConnectionError, Ended, ServerEvent};
use super::interpolation::Interpolation;
use super::mirror::Mirror;
use super::reconnect::Reconnect;

mod session;
#[cfg(test)]
mod tests;

pub use super::calls::{CallError, Reply, ReplyError};
pub use session::PlayerNews;

/// Events that are kept until they are fetched.
const EVENTS_KEPT_MAX: usize = 4_096;
/// What else is kept until it is fetched: notices, news.
const NEWS_KEPT_MAX: usize = 64;

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
    reconnect: Option<Reconnect>,
    /// How many lasting messages of the session were delivered.
    heard: u64,
    health: Health,
    told_health: Health,
    news: VecDeque<PlayerNews>,
    notices: VecDeque<String>,
    events: VecDeque<ReceivedEvent>,
    /// Continuous inputs by the action's index: what is wanted right now.
    inputs: BTreeMap<u16, Vec<u8>>,
    /// (number of the newest message with inputs that was sent, of the newest that the world has taken).
    input_seqs: (u32, u32),
    calls: Calls,
    now: Duration,
    /// Since 1970, when `now` was nothing.
    begun_ms: u64,
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
            reconnect: None,
            heard: 0,
            health: Health::Normal,
            told_health: Health::Normal,
            news: VecDeque::new(),
            notices: VecDeque::new(),
            events: VecDeque::new(),
            inputs: BTreeMap::new(),
            input_seqs: (0, 0),
            calls: Calls::new(ids),
            now: Duration::ZERO,
            begun_ms: 0,
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

    /// Says what time it is, since 1970, so that names of actions rise from one life of a player to the next. Without
    /// it they lie above what the server has forgotten, once it has said what that is.
    #[must_use]
    pub fn begun_at(mut self, unix_time: Duration) -> Self {
        self.begun_ms = u64::try_from(unix_time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Comes back by itself when the connection is lost.
    #[must_use]
    pub fn with_reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
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
                ServerEvent::Disconnected(ended) => self.lose(ended),
            }
        }
        self.connect_again();
        let mirror = &self.mirror;
        self.calls.deliver(self.now, |update| mirror.has_applied(update));
        if self.health != self.told_health {
            self.told_health = self.health.clone();
            self.tell(PlayerNews::Health(self.health.clone()));
        }
        for (audit, outcome) in self.mirror.take_audit_outcomes() {
            match outcome {
                AuditOutcome::Equal => self.counts.audits += 1,
                AuditOutcome::Inconclusive => self.counts.audits_inconclusive += 1,
                AuditOutcome::Different { .. } => {
                    self.counts.audits += 1;
                    self.counts.audit_failures += 1;
                }
            }
            // A report that does not get through is an audit about which nothing is known.
            let _ = self.connection.send_control(&ClientControl::AuditReport { audit, outcome });
        }
    }

    /// The second half of [`tick`](Self::tick): actions that wait, acks and continuous inputs.
    pub fn send(&mut self) {
        if self.is_in() {
            let connection = &mut self.connection;
            self.calls
                .send(self.now, |call| connection.send_control(&ClientControl::Action(call.clone())).is_ok());
            let (ack_newest, ack_bits) = self.mirror.ack();
            let has_inputs = !self.inputs.is_empty();
            let inputs = self.inputs.iter().map(|(kind, bytes)| (*kind, bytes.clone())).collect();
            let heard = self.heard;
            let state = ClientState { ack_newest, ack_bits, heard, inputs, ..ClientState::default() };
            if let Ok(seq) = self.connection.send_state(state)
                && has_inputs
            {
                self.input_seqs.0 = seq;
            }
        }
        self.connection.flush();
    }

    /// Whether there is a session, over a connection that holds as far as is known.
    pub(super) fn is_in(&self) -> bool {
        self.connection.epoch() != 0 && self.connection.ended().is_none()
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
        self.heard += u64::from(message.is_lasting());
        match message {
            ServerControl::Queued { ahead } => self.queued_behind = Some(ahead),
            ServerControl::Welcome(welcome) => self.begin_session(welcome),
            ServerControl::Refused(_) => {}
            ServerControl::Health(health) => self.health = health,
            ServerControl::Reconnect { token } => {
                if let Some(reconnect) = &mut self.reconnect {
                    reconnect.keep_token(token);
                }
            }
            ServerControl::Reply(reply) => {
                let is_known = self.calls.answered(reply, self.now);
                self.counts.surprising_replies += u64::from(!is_known);
            }
            ServerControl::Audit(request) => self.mirror.take_audit(request),
            ServerControl::Event { kind, about, payload } => {
                self.take_in_events([ReceivedEvent { kind, about, payload }]);
            }
            ServerControl::Notice(text) => {
                if self.notices.len() >= NEWS_KEPT_MAX {
                    self.notices.pop_front();
                }
                self.notices.push_back(text);
            }
            ServerControl::Record { update_seq, bytes } => {
                match self.mirror.take_record(&self.schema, update_seq, &bytes) {
                    Ok(()) => self.counts.records += 1,
                    Err(_) => self.counts.decode_errors += 1,
                }
            }
        }
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
        let id = self.calls.name(self.begun_ms.saturating_add(self.now.as_millis() as u64));
        self.call(ActionCall { id, kind, payload: codec::encode(action) })?;
        Ok(id)
    }

    /// Sends an action whose id and bytes the caller chose: to repeat one, for tools and tests. While there is no
    /// session, it waits for the next.
    ///
    /// # Errors
    /// When the connection does not take it, or too many are not answered.
    pub fn call(&mut self, call: ActionCall) -> Result<(), CallError> {
        if self.ended.is_some() {
            return Err(ConnectionError::Over.into());
        }
        if self.calls.is_full(call.id) {
            return Err(ConnectionError::Full.into());
        }
        let message = ClientControl::Action(call);
        let goes_now = self.is_in() && !self.calls.must_wait();
        if goes_now {
            self.connection.send_control(&message)?;
        } else {
            self.connection.check_length(&message)?;
        }
        if let ClientControl::Action(call) = message {
            self.calls.keep(call, goes_now, self.now);
        }
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

    /// Leaves on purpose, and does not come back by itself.
    pub fn leave(&mut self) {
        if let Some(why) = self.reconnect.take().and_then(|reconnect| reconnect.why_out().cloned()) {
            self.ended.get_or_insert(why);
        }
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
        self.calls.replies()
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

    /// What became of the session and of the world's health since the last call; of what is not fetched the newest 64
    /// are kept.
    pub fn news(&mut self) -> impl Iterator<Item = PlayerNews> + '_ {
        self.news.drain(..)
    }

    /// How the world does, as far as it has said.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Actions that have not been answered yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.calls.unanswered()
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
