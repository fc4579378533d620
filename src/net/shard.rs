//! One shard: a thread that owns a link and its peers and exchanges batches with the tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::auth::SILENCE_SECONDS_MAX;
use super::counters::NetCounters;
use super::exchange::{EndReason, FromNet, ToNet};
use super::handshake::Gate;
use super::identity::Identity;
use super::link::{LinkEvent, ServerLink};
use super::peer::{Exchange, Peer, printable_refusal};
use super::tokens::{Issued, TokenOffice};
use crate::ids::{ConnectionId, Role};
use crate::limits::UPDATE_BYTES_MAX;
use crate::protocol::messages::{CHANNEL_CONTROL, Refusal, ServerControl};

/// How often the socket is looked at while the tick sends nothing.
const WAKE_EVERY: Duration = Duration::from_millis(3);
/// How often packets leave while the tick sends nothing: resends, acks.
const IDLE_FLUSH_EVERY: Duration = Duration::from_millis(100);
/// How often all clients are looked at for silence.
const MAINTAIN_EVERY: Duration = Duration::from_millis(100);
/// How long a refused client is given to hear why: six times a message that is sent again every 250 ms.
pub const REFUSAL_GRACE: Duration = Duration::from_millis(1_500);
/// Events that may wait for a tick that does not come; beyond it no connection is accepted.
const EVENTS_WAITING_MAX: usize = 65_536;
/// Reconnect tokens renewed in one look at all clients: 1,024 clients take under two seconds.
const RENEWALS_PER_ROUND_MAX: usize = 64;
/// The bits of a connection's id below those of its shard.
const SHARD_SHIFT: u32 = 56;

/// The shard that holds a connection.
pub(super) fn shard_of(connection: ConnectionId) -> usize {
    (connection.0 >> SHARD_SHIFT) as usize
}

/// The shard's end of the exchange.
pub(super) struct ShardEnds {
    pub(super) from_tick: Receiver<Vec<ToNet>>,
    pub(super) to_tick: Sender<Vec<FromNet>>,
    /// How many exchanges the tick has taken.
    pub(super) taken: Arc<AtomicU64>,
    /// How many connections this shard holds, those included that are being told why they end.
    pub(super) held: Arc<AtomicUsize>,
}

struct Slot {
    peer: Peer,
    /// When the refusal is given up on; the tick has forgotten the connection already.
    closing: Option<Duration>,
    token: TokenState,
}

/// Where a client stands with its reconnect token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenState {
    /// It is not in.
    None,
    /// Its session begins: it is to have one behind the welcome.
    Owed,
    /// It has one, which is to be renewed then; `None`: it is given no further one.
    Given { renew_at: Option<Duration> },
}

pub(super) struct Shard {
    index: u16,
    link: ServerLink,
    gate: Arc<Gate>,
    counters: Arc<NetCounters>,
    /// `None` on an open server: who seals tokens knows whom it gave them to, and trusts the roles in them.
    office: Option<TokenOffice>,
    slots: FxHashMap<u64, Slot>,
    clients: FxHashMap<ConnectionId, u64>,
    closing: Vec<u64>,
    waiting: Vec<FromNet>,
    with_state: Vec<u64>,
    id_seed: u64,
    ids: u64,
}

impl Shard {
    pub(super) fn new(
        index: u16,
        link: ServerLink,
        gate: Arc<Gate>,
        counters: Arc<NetCounters>,
        office: Option<TokenOffice>,
        id_seed: u64,
    ) -> Self {
        Self {
            index,
            link,
            gate,
            counters,
            office,
            slots: FxHashMap::default(),
            clients: FxHashMap::default(),
            closing: Vec::new(),
            waiting: Vec::new(),
            with_state: Vec::new(),
            id_seed,
            ids: 0,
        }
    }

    /// Runs until the tick's end of the exchange is dropped, then says goodbye to everybody.
    #[expect(
        clippy::disallowed_methods,
        reason = "shards run beside the ticks and keep the time of the wire"
    )]
    pub(super) fn run(mut self, ends: &ShardEnds) {
        let mut events = Vec::new();
        let mut last = Instant::now();
        let (mut flushed, mut maintained) = (Duration::ZERO, Duration::ZERO);
        loop {
            let mut ticked = false;
            let mut over = false;
            match ends.from_tick.recv_timeout(WAKE_EVERY) {
                Ok(batch) => {
                    self.apply(batch);
                    while let Ok(batch) = ends.from_tick.try_recv() {
                        self.apply(batch);
                    }
                    ticked = true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => over = true,
            }
            let now = Instant::now();
            let elapsed = now - std::mem::replace(&mut last, now);
            // Packets go out before others are read: a flood does not make the tick's updates late.
            if ticked || over || self.link.now().saturating_sub(flushed) >= IDLE_FLUSH_EVERY {
                flushed = self.link.now();
                self.link.flush();
            }
            if over {
                self.link.disconnect_all();
                return;
            }
            self.link.receive(elapsed, &mut events);
            if self.link.now().saturating_sub(maintained) >= MAINTAIN_EVERY {
                maintained = self.link.now();
                self.link.maintain(Duration::from_secs(u64::from(SILENCE_SECONDS_MAX)), &mut events);
                self.refuse_overdue();
                self.renew_tokens();
            }
            let exchange = ends.taken.load(Ordering::Relaxed);
            for event in events.drain(..) {
                self.handle(event, exchange);
            }
            self.finish_closing();
            ends.held.store(self.slots.len(), Ordering::Release);
            self.hand_over(&ends.to_tick);
        }
    }

    fn handle(&mut self, event: LinkEvent, exchange: u64) {
        match event {
            LinkEvent::Connected { client, address, user_data, refusal } => {
                if self.waiting.len() > EVENTS_WAITING_MAX {
                    self.counters.queue_full.bump();
                    return self.link.disconnect(client);
                }
                let Some(mut identity) = Identity::decode(&user_data) else {
                    self.counters.bad_identity.bump();
                    return self.link.disconnect(client);
                };
                match &self.office {
                    Some(office) => identity = office.receive(identity, self.link.now()),
                    // Who writes its own token may not say what it may do.
                    None => identity.role = Role::Player,
                }
                let connection = self.new_connection_id();
                tracing::debug!("{} connects from {address} to shard {}", identity.player, self.index);
                let peer = Peer::new(connection, self.index, Some(address), identity, self.link.now());
                self.clients.insert(connection, client);
                self.slots.insert(client, Slot { peer, closing: None, token: TokenState::None });
                if let Some(refusal) = refusal {
                    self.refuse(client, refusal);
                }
            }
            LinkEvent::Message { client, channel, bytes } => {
                let Some(slot) = self.slots.get_mut(&client).filter(|slot| slot.closing.is_none()) else {
                    return;
                };
                let verdict = if channel == CHANNEL_CONTROL {
                    slot.peer.control(
                        &bytes,
                        &mut Exchange {
                            gate: &self.gate,
                            counters: &self.counters,
                            number: exchange,
                            out: &mut self.waiting,
                        },
                    )
                } else {
                    slot.peer.state(&bytes, &self.counters).map(|waits| {
                        if waits {
                            self.with_state.push(client);
                        }
                    })
                };
                if let Err(refusal) = verdict {
                    self.refuse(client, refusal);
                }
            }
            LinkEvent::Violation { client, why } => self.refuse(client, Refusal::Protocol(why)),
            LinkEvent::Flood { client, what } => {
                // It is told once, and not waited for: every further packet of its costs more than the end of it.
                if let Some(slot) = self.slots.get_mut(&client) {
                    self.counters.floods.bump();
                    tracing::debug!("{:?} floods: too many {what}", slot.peer.address);
                    let refusal = Refusal::Protocol(format!("it sent too many {what} in a second"));
                    if slot.closing.is_none()
                        && let Ok(bytes) = slot.peer.seal(&ServerControl::Refused(refusal.clone()))
                    {
                        self.link.send_control(client, bytes);
                        self.link.flush_client(client);
                    }
                    self.link.disconnect(client);
                    self.forget(client, EndReason::Refused(refusal));
                }
            }
            LinkEvent::Deaf { client } => self.refuse_too_slow(client),
            LinkEvent::Ended { client, reason } => self.forget(client, reason),
        }
    }

    fn new_connection_id(&mut self) -> ConnectionId {
        loop {
            self.ids += 1;
            let random = xxh3_64_with_seed(&self.ids.to_le_bytes(), self.id_seed);
            let connection =
                ConnectionId(u64::from(self.index) << SHARD_SHIFT | random >> (64 - SHARD_SHIFT));
            if !self.clients.contains_key(&connection) {
                return connection;
            }
        }
    }

    /// Takes the tick's messages in order.
    fn apply(&mut self, batch: Vec<ToNet>) {
        for message in batch {
            let Some(&client) = self.clients.get(&message.connection()) else { continue };
            match message {
                ToNet::Control { message, .. } => {
                    self.send_control(client, &message);
                    // Behind the welcome, which begins its session for the client too.
                    if matches!(message, ServerControl::Welcome(_)) {
                        self.give_owed_token(client);
                    }
                }
                ToNet::Update { bytes, .. } => {
                    let fits = bytes.len() <= UPDATE_BYTES_MAX;
                    if !fits {
                        tracing::error!(
                            "an update of {} bytes is not sent: a fault of the view",
                            bytes.len()
                        );
                    }
                    if !fits || !self.link.send_update(client, bytes) {
                        self.counters.updates_dropped.bump();
                    }
                }
                ToNet::SetEpoch { epoch, .. } => {
                    if let Some(slot) = self.slots.get_mut(&client) {
                        slot.peer.set_epoch(epoch);
                        slot.token = TokenState::Owed;
                    }
                }
                ToNet::Refuse { refusal, .. } => self.refuse(client, refusal),
                ToNet::Close { .. } => {
                    self.link.flush_client(client);
                    self.link.disconnect(client);
                    self.forget(client, EndReason::Closed);
                }
            }
        }
    }

    fn give_owed_token(&mut self, client: u64) {
        if self.slots.get(&client).is_some_and(|slot| slot.token == TokenState::Owed) {
            self.give_token(client);
        }
    }

    fn give_token(&mut self, client: u64) {
        let now = self.link.now();
        let Some(office) = &self.office else { return };
        let Some(slot) = self.slots.get_mut(&client).filter(|slot| slot.closing.is_none()) else { return };
        let Some(identity) = slot.peer.identity_to_resume() else { return };
        slot.token = TokenState::Given { renew_at: None };
        match office.issue(&identity, now) {
            Ok(Some(Issued { token, renew_at })) => {
                slot.token = TokenState::Given { renew_at };
                self.counters.reconnect_tokens.bump();
                self.send_control(client, &ServerControl::Reconnect { token });
            }
            Ok(None) => tracing::debug!("{} has been in for too long to be given a token", identity.player),
            Err(error) => tracing::error!("no reconnect token for {}: {error}", identity.player),
        }
    }

    /// Renews tokens long before they expire, a few at a time.
    fn renew_tokens(&mut self) {
        if self.office.is_none() {
            return;
        }
        let now = self.link.now();
        let is_due =
            |slot: &Slot| matches!(slot.token, TokenState::Given { renew_at: Some(at) } if now >= at);
        let due = self.slots.iter().filter(|(_, slot)| is_due(slot)).map(|(&client, _)| client);
        let due: Vec<u64> = due.take(RENEWALS_PER_ROUND_MAX).collect();
        for client in due {
            self.give_token(client);
        }
    }

    fn send_control(&mut self, client: u64, message: &ServerControl) {
        let Some(slot) = self.slots.get_mut(&client) else { return };
        let bytes = match slot.peer.seal(message) {
            Ok(bytes) => bytes,
            Err(long) => {
                tracing::error!("a message of {} bytes to a client is not sent: a fault of ours", long.bytes);
                return;
            }
        };
        if self.link.has_room(client, bytes.len()) {
            self.link.send_control(client, bytes);
        } else {
            self.refuse_too_slow(client);
        }
    }

    /// It does not take what waits for it, or takes it too slowly.
    fn refuse_too_slow(&mut self, client: u64) {
        let is_told = self.slots.get(&client).is_none_or(|slot| slot.closing.is_some());
        if !is_told {
            self.counters.too_slow.bump();
            self.refuse(client, Refusal::TooSlow { waiting: self.link.waiting(client) as u64 });
        }
    }

    /// Ends a connection for the tick at once, and for the client once it was told why.
    fn refuse(&mut self, client: u64, refusal: Refusal) {
        let Some(slot) = self.slots.get_mut(&client).filter(|slot| slot.closing.is_none()) else { return };
        self.counters.note_refusal(&refusal);
        tracing::debug!("{:?} is refused: {refusal}", slot.peer.address);
        let refusal = printable_refusal(refusal);
        if let Ok(bytes) = slot.peer.seal(&ServerControl::Refused(refusal.clone())) {
            self.link.send_control(client, bytes);
            self.link.flush_client(client);
        }
        slot.closing = Some(self.link.now() + REFUSAL_GRACE);
        self.closing.push(client);
        self.clients.remove(&slot.peer.connection);
        self.counters.disconnections.bump();
        if slot.peer.end(&self.gate) {
            let connection = slot.peer.connection;
            self.waiting.push(FromNet::Disconnected { connection, reason: EndReason::Refused(refusal) });
        }
    }

    /// The link has lost or ended the connection.
    fn forget(&mut self, client: u64, reason: EndReason) {
        let Some(mut slot) = self.slots.remove(&client) else { return };
        if slot.closing.is_some() {
            return;
        }
        let connection = slot.peer.connection;
        self.clients.remove(&connection);
        self.counters.disconnections.bump();
        if slot.peer.end(&self.gate) {
            self.waiting.push(FromNet::Disconnected { connection, reason });
        }
    }

    fn refuse_overdue(&mut self) {
        let now = self.link.now();
        let overdue: Vec<(u64, Refusal)> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.closing.is_none())
            .filter_map(|(&client, slot)| Some((client, slot.peer.overdue(now)?)))
            .collect();
        for (client, refusal) in overdue {
            self.counters.timed_out.bump();
            self.refuse(client, refusal);
        }
    }

    /// Closes what was told why, or had its time to be.
    fn finish_closing(&mut self) {
        let now = self.link.now();
        self.closing.retain(|client| {
            let Some(deadline) = self.slots.get(client).and_then(|slot| slot.closing) else { return false };
            let over = now >= deadline || self.link.waiting(*client) == 0;
            if over {
                self.link.disconnect(*client);
                self.slots.remove(client);
            }
            !over
        });
    }

    /// Gives the tick what waits for it, unless it has not yet taken enough of what it was given.
    fn hand_over(&mut self, to_tick: &Sender<Vec<FromNet>>) {
        if self.waiting.is_empty() && self.with_state.is_empty() {
            return;
        }
        if to_tick.is_full() {
            return self.counters.queue_full.bump();
        }
        for client in self.with_state.drain(..) {
            if let Some(slot) = self.slots.get_mut(&client) {
                slot.peer.take_state(&mut self.waiting);
            }
        }
        if !self.waiting.is_empty() {
            // Full cannot be, this shard is the only one that sends; gone means that the loop is about to end.
            let _ = to_tick.try_send(std::mem::take(&mut self.waiting));
        }
    }
}
