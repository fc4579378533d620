//! The network without sockets, for tests and for players inside the process: the same boundary, the same
//! envelope bytes, the same checks, and whatever loss, delay, jitter, duplication and reordering are asked for.
//!
//! Time is a count of ticks: each [`Transport::receive`] is the next. What happens on a link depends on the
//! seed, the link's number and the ticks alone, so a run can be repeated exactly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::client_link::{ClientLink, LinkEnd};
use super::conditions::{DelayLine, Impairment};
use super::counters::NetCounters;
use super::exchange::{EndReason, FromNet, ToNet, Transport};
use super::handshake::Gate;
use super::identity::Identity;
use super::peer::{Exchange, Peer, printable_refusal};
use crate::ids::ConnectionId;
use crate::protocol::messages::{CHANNEL_CONTROL, CHANNEL_STATE, Refusal, ServerControl};

/// What happens on every link, in each direction; times in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoopbackConditions {
    /// Share of unreliable messages that are lost, 0 to 1; a lost reliable one comes four ticks later.
    pub loss: f32,
    /// Share of unreliable messages that come twice.
    pub duplicate: f32,
    /// How long each message is on its way.
    pub delay_ticks: u64,
    /// How much longer, at most: drawn anew for each, so unreliable messages overtake each other.
    pub jitter_ticks: u64,
}

/// Ticks after which a lost reliable message is there after all.
const RESEND_TICKS: u64 = 4;
/// Ticks of silence after which a client is given up, unless told otherwise.
const SILENCE_TICKS_MAX: u64 = 20;

#[derive(Clone, Debug)]
enum Item {
    Message(u8, Bytes),
    End,
}

#[derive(Debug)]
struct LinkState {
    up: DelayLine<Item>,
    down: DelayLine<Item>,
    /// One end has gone without a word, because there was no room for one.
    cut: bool,
    /// When the server gives up a client that was cut off.
    given_up_at: Option<u64>,
}

type Shared<T> = Arc<Mutex<T>>;

/// Nothing here is left half-changed by a panic, so a poisoned lock is as good as any.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Lobby {
    conditions: LoopbackConditions,
    silence_ticks_max: Arc<AtomicU64>,
    seed: u64,
    links: u64,
    arrivals: Vec<(u64, Identity, Shared<LinkState>)>,
}

/// Where clients inside the process connect. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LoopbackPort {
    clock: Arc<AtomicU64>,
    lobby: Shared<Lobby>,
}

impl LoopbackPort {
    /// A new link of this player; connected from the next tick on.
    #[must_use]
    pub fn connect(&self, identity: Identity) -> LoopbackLink {
        let mut lobby = lock(&self.lobby);
        lobby.links += 1;
        let number = lobby.links;
        let line = |direction: u8, conditions: LoopbackConditions, seed: u64| {
            let impairment = Impairment {
                loss: conditions.loss,
                duplicate: conditions.duplicate,
                delay: conditions.delay_ticks,
                jitter: conditions.jitter_ticks,
                resend_after: RESEND_TICKS,
            };
            let mut key = [direction; 9];
            key[..8].copy_from_slice(&number.to_le_bytes());
            DelayLine::new(impairment, xxh3_64_with_seed(&key, seed))
        };
        let state = LinkState {
            up: line(0, lobby.conditions, lobby.seed),
            down: line(1, lobby.conditions, lobby.seed),
            cut: false,
            given_up_at: None,
        };
        let state = Arc::new(Mutex::new(state));
        lobby.arrivals.push((number, identity, Arc::clone(&state)));
        LoopbackLink {
            silence_ticks_max: Arc::clone(&lobby.silence_ticks_max),
            clock: Arc::clone(&self.clock),
            state,
            end: None,
        }
    }

    /// Changes what happens on links made from now on.
    pub fn set_conditions(&self, conditions: LoopbackConditions) {
        lock(&self.lobby).conditions = conditions;
    }

    /// After how many ticks a client that is [cut](ClientLink::cut) off from now on is given up; 20 unless told
    /// otherwise.
    pub fn set_silence_ticks_max(&self, ticks: u64) {
        lock(&self.lobby).silence_ticks_max.store(ticks, Ordering::Relaxed);
    }
}

struct Slot {
    peer: Peer,
    state: Shared<LinkState>,
}

/// The server's end of all links inside the process.
pub struct Loopback {
    port: LoopbackPort,
    slots: BTreeMap<ConnectionId, Slot>,
    gate: Gate,
    counters: Arc<NetCounters>,
    exchange: u64,
    waiting: Vec<FromNet>,
}

impl Loopback {
    /// A network for `players_max` players of this schema and version.
    #[must_use]
    pub fn new(
        schema_hash: u64,
        version: &str,
        players_max: u32,
        conditions: LoopbackConditions,
        seed: u64,
    ) -> Self {
        let silence_ticks_max = Arc::new(AtomicU64::new(SILENCE_TICKS_MAX));
        let lobby = Lobby { conditions, silence_ticks_max, seed, links: 0, arrivals: Vec::new() };
        Self {
            port: LoopbackPort { clock: Arc::default(), lobby: Arc::new(Mutex::new(lobby)) },
            slots: BTreeMap::new(),
            gate: Gate::new(schema_hash, version, players_max),
            counters: Arc::default(),
            exchange: 0,
            waiting: Vec::new(),
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> LoopbackPort {
        self.port.clone()
    }

    /// How many connections said a valid hello and are not over.
    #[must_use]
    pub fn players(&self) -> u32 {
        self.gate.connections()
    }

    fn now(&self) -> u64 {
        self.port.clock.load(Ordering::Relaxed)
    }

    fn refuse(&mut self, connection: ConnectionId, refusal: Refusal) {
        let now = self.now();
        let Some(mut slot) = self.slots.remove(&connection) else { return };
        self.counters.note_refusal(&refusal);
        let refusal = printable_refusal(refusal);
        let mut state = lock(&slot.state);
        if let Ok(bytes) = slot.peer.seal(&ServerControl::Refused(refusal.clone())) {
            let told = state.down.push_reliable(now, Item::Message(CHANNEL_CONTROL, bytes.into()));
            state.cut = !(told && state.down.push_reliable(now, Item::End));
        }
        drop(state);
        self.end(slot, EndReason::Refused(refusal));
    }

    /// The tick learns that a connection is gone, if it knew of it.
    fn end(&mut self, mut slot: Slot, reason: EndReason) {
        self.counters.disconnections.bump();
        if slot.peer.end(&self.gate) {
            self.waiting.push(FromNet::Disconnected { connection: slot.peer.connection, reason });
        }
    }

    fn take_arrivals(&mut self) {
        let arrivals = std::mem::take(&mut lock(&self.port.lobby).arrivals);
        for (number, identity, state) in arrivals {
            self.counters.connections.bump();
            let connection = ConnectionId(number);
            let peer = Peer::new(connection, 0, None, identity, Duration::ZERO);
            self.slots.insert(connection, Slot { peer, state });
        }
    }

    fn hear(&mut self, connection: ConnectionId, now: u64) {
        let Some(slot) = self.slots.get_mut(&connection) else { return };
        let state = Arc::clone(&slot.state);
        let mut left = lock(&state).cut;
        loop {
            let Some(item) = lock(&state).up.pop(now) else { break };
            let Item::Message(channel, bytes) = item else {
                left = true;
                break;
            };
            self.counters.packets_in.bump();
            self.counters.bytes_in.add(bytes.len() as u64);
            let verdict = if channel == CHANNEL_CONTROL {
                slot.peer.control(
                    &bytes,
                    &mut Exchange {
                        gate: &self.gate,
                        counters: &self.counters,
                        number: self.exchange,
                        out: &mut self.waiting,
                    },
                )
            } else {
                slot.peer.state(&bytes, &self.counters).map(|_| ())
            };
            if let Err(refusal) = verdict {
                return self.refuse(connection, refusal);
            }
        }
        slot.peer.take_state(&mut self.waiting);
        let given_up_at = lock(&state).given_up_at;
        if given_up_at.is_some_and(|at| now > at)
            && let Some(slot) = self.slots.remove(&connection)
        {
            self.counters.timed_out.bump();
            return self.end(slot, EndReason::Silent(0));
        }
        if left && let Some(slot) = self.slots.remove(&connection) {
            self.end(slot, EndReason::Left);
        }
    }

    fn send_one(&mut self, message: ToNet, now: u64) {
        let connection = message.connection();
        let Some(slot) = self.slots.get_mut(&connection) else { return };
        match message {
            ToNet::Control { message, .. } => {
                let Ok(bytes) = slot.peer.seal(&message) else {
                    return tracing::error!(
                        "a message to a client is too long and not sent: a fault of ours"
                    );
                };
                self.counters.bytes_out.add(bytes.len() as u64);
                let item = Item::Message(CHANNEL_CONTROL, bytes.into());
                if !lock(&slot.state).down.push_reliable(now, item) {
                    self.counters.too_slow.bump();
                    self.refuse(connection, Refusal::TooSlow { waiting: 0 });
                }
            }
            ToNet::Update { bytes, .. } => {
                self.counters.bytes_out.add(bytes.len() as u64);
                lock(&slot.state).down.push(now, Item::Message(CHANNEL_STATE, bytes));
            }
            ToNet::SetEpoch { epoch, .. } => slot.peer.set_epoch(epoch),
            ToNet::Refuse { refusal, .. } => self.refuse(connection, refusal),
            ToNet::Close { .. } => {
                if let Some(slot) = self.slots.remove(&connection) {
                    let mut state = lock(&slot.state);
                    state.cut = !state.down.push_reliable(now, Item::End);
                    drop(state);
                    self.end(slot, EndReason::Closed);
                }
            }
        }
    }
}

impl Transport for Loopback {
    fn receive(&mut self, out: &mut Vec<FromNet>) {
        let now = self.port.clock.fetch_add(1, Ordering::Relaxed) + 1;
        self.exchange += 1;
        self.take_arrivals();
        let connections: Vec<ConnectionId> = self.slots.keys().copied().collect();
        for connection in connections {
            self.hear(connection, now);
        }
        out.append(&mut self.waiting);
    }

    fn send(&mut self, batch: &mut Vec<ToNet>) {
        let now = self.now();
        for message in batch.drain(..) {
            self.send_one(message, now);
        }
    }

    fn drain(&mut self) {
        self.gate.drain();
    }

    fn connections(&self) -> usize {
        // Whoever was told leaves at once: its link keeps what is still on its way.
        self.slots.len()
    }

    fn counters(&self) -> Arc<NetCounters> {
        Arc::clone(&self.counters)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    fn fault(&self) -> Option<String> {
        None
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        for slot in self.slots.values() {
            lock(&slot.state).cut = true;
        }
    }
}

/// A client's end of a link inside the process.
#[derive(Debug)]
pub struct LoopbackLink {
    silence_ticks_max: Arc<AtomicU64>,
    clock: Arc<AtomicU64>,
    state: Shared<LinkState>,
    end: Option<LinkEnd>,
}

impl LoopbackLink {
    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

impl ClientLink for LoopbackLink {
    fn update(&mut self, _elapsed: Duration) {}

    fn receive(&mut self) -> Option<(u8, Bytes)> {
        if self.end.is_some() {
            return None;
        }
        let mut state = lock(&self.state);
        match state.down.pop(self.now()) {
            Some(Item::Message(channel, bytes)) => Some((channel, bytes)),
            Some(Item::End) => {
                self.end = Some(LinkEnd::ClosedByServer);
                None
            }
            None => {
                if state.cut {
                    self.end = Some(LinkEnd::ClosedByServer);
                }
                None
            }
        }
    }

    fn has_room(&self, _channel: u8, _bytes: usize) -> bool {
        true
    }

    fn send(&mut self, channel: u8, bytes: Vec<u8>) {
        if self.end.is_some() {
            return;
        }
        let now = self.now();
        let mut state = lock(&self.state);
        let item = Item::Message(channel, bytes.into());
        if channel == CHANNEL_STATE {
            state.up.push(now, item);
        } else if !state.up.push_reliable(now, item) {
            state.cut = true;
        }
    }

    fn flush(&mut self) {}

    fn close(&mut self) {
        if self.end.is_none() {
            self.end = Some(LinkEnd::ClosedHere);
            let now = self.now();
            let mut state = lock(&self.state);
            if !state.up.push_reliable(now, Item::End) {
                state.cut = true;
            }
        }
    }

    fn cut(&mut self) {
        if self.end.is_none() {
            self.end = Some(LinkEnd::Cut);
            let now = self.now();
            let given_up_at = now + self.silence_ticks_max.load(Ordering::Relaxed);
            let mut state = lock(&self.state);
            // Nobody is left who would send again what was lost.
            state.up.clear();
            state.given_up_at = Some(given_up_at);
        }
    }

    fn end(&self) -> Option<LinkEnd> {
        self.end.clone()
    }
}

impl Drop for LoopbackLink {
    fn drop(&mut self) {
        self.close();
    }
}
