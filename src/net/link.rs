//! A shard's socket with netcode and renet on it: datagrams to messages and back, within bounds.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use renet::RenetServer;
use renet_netcode::{ServerAuthentication, ServerConfig};
use renetcode::{NetcodeServer, ServerResult};
use rustc_hash::FxHashMap;

use super::auth::Authentication;
use super::bounds::{Addresses, Attention, NetLimits, Place, TokenBucket};
use super::counters::NetCounters;
use super::exchange::EndReason;
use super::identity::USER_DATA_BYTES;
use super::vet::{self, BadPacket, packet_type};
use super::{ACK_INTERVAL, REFUSAL_RESERVE_BYTES, SERVER_CONTROL_MEMORY_BYTES, connection_config};
use crate::protocol::messages::{CHANNEL_CONTROL, CHANNEL_STATE, PROTOCOL_ID, Refusal};

/// Most datagrams taken from the socket before the shard looks at anything else.
const RECEIVE_PACKETS_MAX: usize = 4_096;
/// Most datagrams of one client in a second: ten times what one sends at 30 Hz, resends included.
const PACKETS_PER_SECOND_MAX: u32 = 600;
/// renet is told of time in steps of at least this: it walks all connections for it.
const RENET_STEP: Duration = Duration::from_millis(10);
/// renet's packet type of acks.
const RENET_ACK: u8 = 4;

/// What happened on the socket.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Connected {
        client: u64,
        address: SocketAddr,
        user_data: Box<[u8; USER_DATA_BYTES]>,
        /// Why it is not to stay.
        refusal: Option<Refusal>,
    },
    Message {
        client: u64,
        channel: u8,
        bytes: Bytes,
    },
    Violation {
        client: u64,
        why: String,
    },
    Flood {
        client: u64,
        what: &'static str,
    },
    /// It says that it is there, and has taken nothing that it was told for as long as it may be silent.
    Deaf {
        client: u64,
    },
    Ended {
        client: u64,
        reason: EndReason,
    },
}

#[derive(Debug)]
struct LinkClient {
    address: SocketAddr,
    place: Place,
    bytes: TokenBucket,
    messages: TokenBucket,
    attention: Attention,
    /// Reliable messages that renet has delivered.
    delivered: u64,
    second: u64,
    packets: u32,
    has_messages: bool,
    acked_at: Duration,
}

/// Datagrams and bytes since the last time they were added to the shared counters.
#[derive(Debug, Default)]
struct Traffic {
    packets: u64,
    bytes: u64,
}

pub(super) struct ServerLink {
    socket: UdpSocket,
    netcode: NetcodeServer,
    renet: RenetServer,
    buffer: Box<[u8; 2_048]>,
    clients: FxHashMap<u64, LinkClient>,
    with_messages: Vec<u64>,
    counters: Arc<NetCounters>,
    limits: NetLimits,
    addresses: Arc<Addresses>,
    now: Duration,
    renet_behind: Duration,
    sent: Traffic,
}

impl ServerLink {
    /// `clients_max` at most 1,024, `unix_time` since 1970.
    pub(super) fn new(
        socket: UdpSocket,
        clients_max: usize,
        public: SocketAddr,
        authentication: &Authentication,
        unix_time: Duration,
        counters: Arc<NetCounters>,
        bounds: (NetLimits, Arc<Addresses>),
    ) -> Self {
        let authentication = match authentication {
            Authentication::Secured(key) => ServerAuthentication::Secure { private_key: key.bytes() },
            Authentication::Open => ServerAuthentication::Unsecure,
        };
        let netcode = NetcodeServer::new(ServerConfig {
            current_time: unix_time,
            max_clients: clients_max,
            protocol_id: PROTOCOL_ID,
            public_addresses: vec![public],
            authentication,
        });
        Self {
            socket,
            netcode,
            renet: RenetServer::new(connection_config()),
            buffer: Box::new([0; 2_048]),
            clients: FxHashMap::default(),
            with_messages: Vec::new(),
            counters,
            limits: bounds.0,
            addresses: bounds.1,
            now: Duration::ZERO,
            renet_behind: Duration::ZERO,
            sent: Traffic::default(),
        }
    }

    /// Time since the link was made.
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Lets time pass and takes what the socket has, bounded; what is left waits in the kernel.
    pub(super) fn receive(&mut self, elapsed: Duration, events: &mut Vec<LinkEvent>) {
        self.now += elapsed;
        self.netcode.update(elapsed);
        self.renet_behind += elapsed;
        if self.renet_behind >= RENET_STEP {
            self.catch_up();
        }
        let mut received = Traffic::default();
        for _ in 0..RECEIVE_PACKETS_MAX {
            match self.socket.recv_from(&mut self.buffer[..]) {
                Ok((length, address)) => {
                    received.packets += 1;
                    received.bytes += length as u64;
                    self.take(address, length, events);
                }
                Err(error) => match error.kind() {
                    std::io::ErrorKind::WouldBlock => break,
                    // The answer of a host to which something was sent earlier: says nothing of others.
                    std::io::ErrorKind::ConnectionReset
                    | std::io::ErrorKind::ConnectionRefused
                    | std::io::ErrorKind::Interrupted => {}
                    _ => {
                        tracing::error!("cannot receive: {error}");
                        break;
                    }
                },
            }
        }
        self.counters.packets_in.add(received.packets);
        self.counters.bytes_in.add(received.bytes);
        self.deliver(events);
    }

    fn catch_up(&mut self) {
        self.renet.update(std::mem::take(&mut self.renet_behind));
    }

    /// One datagram of `length` bytes in the buffer.
    fn take(&mut self, address: SocketAddr, length: usize, events: &mut Vec<LinkEvent>) {
        let kind = match vet::packet(&self.buffer[..length]) {
            Ok(kind) => kind,
            Err(BadPacket::Oversize) => return self.counters.oversize_packets.bump(),
            Err(BadPacket::Malformed) => return self.counters.malformed_packets.bump(),
        };
        match self.netcode.process_packet(address, &mut self.buffer[..length]) {
            ServerResult::None => {
                if kind != packet_type::KEEP_ALIVE {
                    self.counters.refused_packets.bump();
                }
            }
            ServerResult::PacketToSend { addr, payload } => {
                transmit(&self.socket, addr, payload, &mut self.sent, &self.counters);
            }
            ServerResult::Payload { client_id, payload } => {
                let Some(client) = self.clients.get_mut(&client_id) else { return };
                let second = self.now.as_secs();
                if client.second != second {
                    (client.second, client.packets) = (second, 0);
                }
                client.packets += 1;
                // Before anything looks inside.
                if client.packets > PACKETS_PER_SECOND_MAX {
                    return events.push(LinkEvent::Flood { client: client_id, what: "packets" });
                }
                if !client.bytes.take(length, self.now) {
                    return events.push(LinkEvent::Flood { client: client_id, what: "bytes" });
                }
                if let Err(why) = vet::payload(payload, vet::FROM_CLIENT, client.delivered) {
                    self.counters.malformed_payloads.bump();
                    return events.push(LinkEvent::Violation { client: client_id, why: why.into() });
                }
                // It knows every client that netcode knows: both are added and removed together here.
                let _ = self.renet.process_packet_from(payload, client_id);
                if let Some(reason) = self.renet.disconnect_reason(client_id) {
                    self.counters.malformed_payloads.bump();
                    return events.push(LinkEvent::Violation { client: client_id, why: reason.to_string() });
                }
                if !client.has_messages {
                    client.has_messages = true;
                    self.with_messages.push(client_id);
                }
            }
            ServerResult::ClientConnected { client_id, .. } if self.clients.contains_key(&client_id) => {
                // netcode looks for the id in the challenge, but connects the one in the request: whoever
                // writes its own tokens can have one id twice. Both are that client's.
                self.disconnect(client_id);
                self.disconnect(client_id);
                let why = "one client id came from two addresses".into();
                events.push(LinkEvent::Ended { client: client_id, reason: EndReason::Transport(why) });
            }
            ServerResult::ClientConnected { client_id, addr, user_data, payload } => {
                transmit(&self.socket, addr, payload, &mut self.sent, &self.counters);
                let place = self.addresses.enter(addr.ip(), self.now);
                let refusal = (place != Place::Held).then(|| {
                    self.counters.refused_address.bump();
                    let most = self.addresses.most(addr.ip()).unwrap_or(u32::MAX);
                    Refusal::AddressLimit { most }
                });
                if place == Place::None {
                    return self.disconnect(client_id);
                }
                self.renet.add_connection(client_id);
                self.counters.connections.bump();
                let client = LinkClient {
                    address: addr,
                    place,
                    bytes: TokenBucket::new(self.limits.client_bytes_per_s, self.now),
                    messages: TokenBucket::new(self.limits.client_messages_per_s, self.now),
                    attention: Attention::new(self.now),
                    delivered: 0,
                    second: 0,
                    packets: 0,
                    has_messages: false,
                    acked_at: Duration::ZERO,
                };
                self.clients.insert(client_id, client);
                events.push(LinkEvent::Connected { client: client_id, address: addr, user_data, refusal });
            }
            ServerResult::ClientDisconnected { client_id, .. } => {
                // What came before the goodbye is still delivered.
                self.deliver(events);
                self.forget(client_id, EndReason::Left, events);
            }
        }
    }

    /// Drains both channels of every client that something came from.
    fn deliver(&mut self, events: &mut Vec<LinkEvent>) {
        for client_id in self.with_messages.drain(..) {
            let Some(client) = self.clients.get_mut(&client_id) else { continue };
            client.has_messages = false;
            for channel in [CHANNEL_CONTROL, CHANNEL_STATE] {
                while let Some(bytes) = self.renet.receive_message(client_id, channel) {
                    client.delivered += u64::from(channel == CHANNEL_CONTROL);
                    if !client.messages.take(1, self.now) {
                        events.push(LinkEvent::Flood { client: client_id, what: "messages" });
                        continue;
                    }
                    events.push(LinkEvent::Message { client: client_id, channel, bytes });
                }
            }
        }
        while self.renet.get_event().is_some() {}
    }

    fn forget(&mut self, client: u64, reason: EndReason, events: &mut Vec<LinkEvent>) {
        if self.remove(client) {
            events.push(LinkEvent::Ended { client, reason });
        }
    }

    /// Takes a client out, and gives its place back. Says whether there was one.
    fn remove(&mut self, client: u64) -> bool {
        self.renet.remove_connection(client);
        let removed = self.clients.remove(&client);
        if let Some(removed) = &removed {
            self.addresses.leave(removed.address.ip(), removed.place);
        }
        removed.is_some()
    }

    /// Keep-alives and what the libraries gave up. Walks all clients: call it a few times a second.
    pub(super) fn maintain(&mut self, silence_max: Duration, events: &mut Vec<LinkEvent>) {
        for client in self.netcode.clients_id() {
            // The silence that counts is ours: an open server's client chooses netcode's itself.
            let silence = self.netcode.time_since_last_received_packet(client);
            if silence.is_some_and(|silence| silence > silence_max) {
                self.counters.timed_out.bump();
                self.disconnect(client);
                events.push(LinkEvent::Ended {
                    client,
                    reason: EndReason::Silent(silence_max.as_secs() as u32),
                });
                continue;
            }
            let waiting = self.waiting(client);
            if let Some(known) = self.clients.get_mut(&client)
                && known.attention.deaf_for(waiting, self.now) > silence_max
            {
                events.push(LinkEvent::Deaf { client });
            }
            match self.netcode.update_client(client) {
                ServerResult::PacketToSend { addr, payload } => {
                    transmit(&self.socket, addr, payload, &mut self.sent, &self.counters);
                }
                ServerResult::ClientDisconnected { .. } => {
                    self.counters.timed_out.bump();
                    let seconds = silence.unwrap_or_default().as_secs() as u32;
                    self.forget(client, EndReason::Silent(seconds), events);
                }
                _ => {}
            }
        }
        let lost: Vec<u64> = self.renet.disconnections_id_iter().collect();
        for client in lost {
            let why = self.renet.disconnect_reason(client).map_or_else(String::new, |why| why.to_string());
            self.disconnect(client);
            events.push(LinkEvent::Ended { client, reason: EndReason::Transport(why) });
        }
    }

    /// Whether another reliable message of this length may wait for the client.
    pub(super) fn has_room(&self, client: u64, bytes: usize) -> bool {
        self.renet.can_send_message(client, CHANNEL_CONTROL, bytes + REFUSAL_RESERVE_BYTES)
    }

    /// Bytes of reliable messages that the client has not confirmed.
    pub(super) fn waiting(&self, client: u64) -> usize {
        if !self.clients.contains_key(&client) {
            return 0;
        }
        SERVER_CONTROL_MEMORY_BYTES - self.renet.channel_available_memory(client, CHANNEL_CONTROL)
    }

    /// Queues a reliable message. Check [`has_room`](Self::has_room) first: renet disconnects when it is full.
    pub(super) fn send_control(&mut self, client: u64, bytes: Vec<u8>) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.attention.note_said(bytes.len());
        }
        self.renet.send_message(client, CHANNEL_CONTROL, bytes);
    }

    /// Queues an update; `false` when too many wait already.
    pub(super) fn send_update(&mut self, client: u64, bytes: Bytes) -> bool {
        let room = self.renet.can_send_message(client, CHANNEL_STATE, bytes.len());
        if room {
            self.renet.send_message(client, CHANNEL_STATE, bytes);
        }
        room
    }

    /// Sends everything that waits, for everybody.
    pub(super) fn flush(&mut self) {
        self.catch_up();
        for client in self.renet.clients_id() {
            self.flush_client(client);
        }
        self.counters.packets_out.add(std::mem::take(&mut self.sent.packets));
        self.counters.bytes_out.add(std::mem::take(&mut self.sent.bytes));
    }

    /// Sends everything that waits for one client.
    pub(super) fn flush_client(&mut self, client_id: u64) {
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        let Ok(packets) = self.renet.get_packets_to_send(client_id) else { return };
        for packet in packets {
            if packet.first() == Some(&RENET_ACK) {
                if self.now.saturating_sub(client.acked_at) < ACK_INTERVAL {
                    continue;
                }
                client.acked_at = self.now;
            }
            match self.netcode.generate_payload_packet(client_id, &packet) {
                Ok((address, payload)) => {
                    transmit(&self.socket, address, payload, &mut self.sent, &self.counters);
                }
                Err(error) => tracing::error!("cannot seal a packet: {error}"),
            }
        }
    }

    /// Ends a connection at once and says so to the client.
    pub(super) fn disconnect(&mut self, client: u64) {
        if let ServerResult::ClientDisconnected { addr, payload: Some(payload), .. } =
            self.netcode.disconnect(client)
        {
            // It is not confirmed, so it goes out more than once.
            for _ in 0..3 {
                transmit(&self.socket, addr, payload, &mut self.sent, &self.counters);
            }
        }
        self.remove(client);
    }

    /// Ends all connections.
    pub(super) fn disconnect_all(&mut self) {
        for client in self.netcode.clients_id() {
            self.disconnect(client);
        }
    }
}

fn transmit(
    socket: &UdpSocket,
    address: SocketAddr,
    payload: &[u8],
    sent: &mut Traffic,
    counters: &NetCounters,
) {
    match socket.send_to(payload, address) {
        Ok(_) => {
            sent.packets += 1;
            sent.bytes += payload.len() as u64;
        }
        // A full buffer is a lost datagram: everything above lives with those.
        Err(_) => counters.send_errors.bump(),
    }
}
