//! The client's end of the wire: messages to datagrams and back, over UDP.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use renet::RenetClient;
use renet_netcode::{ClientAuthentication, NetcodeDisconnectReason};
use renetcode::NetcodeClient;

use super::auth::Token;
use super::conditions::{Conditions, DelayLine, Impairment};
use super::{ACK_INTERVAL, connection_config, vet};
use crate::protocol::messages::{CHANNEL_CONTROL, CHANNEL_STATE};

/// Most datagrams taken in one update.
const RECEIVE_PACKETS_MAX: usize = 1_024;
/// Asked for in each direction: half a second of a crowded view. What is given does not matter much here.
const BUFFER_BYTES_WANTED: usize = 256 * 1024;
const RENET_ACK: u8 = 4;
/// How long an address may leave a client that begins to connect without an answer. netcode alone would wait for as long as
/// an established link may be silent; but what a server that was started anew hears of a conversation with the one
/// before it, it does not answer, and another attempt gets in at once.
pub(super) const CONNECTS_WITHIN: Duration = Duration::from_secs(4);

/// Why a link ended, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkEnd {
    /// Nobody answered.
    #[error(
        "no answer from {0}: is the server running there and can it be reached by UDP? Or it needs a token \
         (--token FILE) of its own key"
    )]
    NoAnswer(SocketAddr),
    /// Every address of the token refused.
    #[error("{0} has no free place or does not accept this token: try again later or get a new token")]
    Denied(SocketAddr),
    /// The token is too old.
    #[error("the connect token has expired: get a new one")]
    TokenExpired,
    /// Nothing was heard any more.
    #[error("the connection was lost: nothing was heard from {0}")]
    Lost(SocketAddr),
    /// The server closed it.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// This end closed it.
    #[error("the connection was closed here")]
    ClosedHere,
    /// The way to the server was cut on purpose, to see what becomes of it.
    #[error("the connection was cut")]
    Cut,
    /// Something that an honest server does not send.
    #[error("the server broke the protocol: {0}")]
    Broken(String),
}

/// What carries a client's messages.
pub trait ClientLink: Send + Sync {
    /// Lets time pass and takes what has come.
    fn update(&mut self, elapsed: Duration);

    /// The next message and its channel.
    fn receive(&mut self) -> Option<(u8, Bytes)>;

    /// Whether another message of this length may wait on the channel.
    fn has_room(&self, channel: u8, bytes: usize) -> bool;

    /// Queues a message. Check [`has_room`](Self::has_room) first.
    fn send(&mut self, channel: u8, bytes: Vec<u8>);

    /// Sends what waits. Once a tick.
    fn flush(&mut self);

    /// Says goodbye.
    fn close(&mut self);

    /// Ends without a goodbye, as a link does whose way to the server is cut.
    fn cut(&mut self);

    /// Why it is over, if it is.
    fn end(&self) -> Option<LinkEnd>;
}

/// A link over UDP, with netcode and renet on it.
pub struct UdpClientLink {
    wire: Wire,
    netcode: NetcodeClient,
    renet: RenetClient,
    token: Token,
    /// Addresses of the token that have denied or not answered.
    passed_over: usize,
    /// When the address that is being tried was tried first.
    trying_since: Duration,
    delivered: u64,
    acked_at: Duration,
    end: Option<LinkEnd>,
}

impl fmt::Debug for UdpClientLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UdpClientLink({}, {:?})", self.netcode.server_addr(), self.end)
    }
}

/// The socket, with whatever befalls its datagrams.
struct Wire {
    socket: UdpSocket,
    now: Duration,
    lines: Option<Lines>,
}

struct Lines {
    out: DelayLine<(SocketAddr, Vec<u8>)>,
    into: DelayLine<Vec<u8>>,
}

impl Wire {
    fn now_us(&self) -> u64 {
        self.now.as_micros() as u64
    }

    fn transmit(&mut self, address: SocketAddr, packet: &[u8]) {
        let now = self.now_us();
        match &mut self.lines {
            Some(lines) => lines.out.push(now, (address, packet.to_vec())),
            // What cannot be sent is a lost datagram.
            None => drop(self.socket.send_to(packet, address)),
        }
    }

    /// Sends what has been held back for long enough.
    fn release(&mut self) {
        self.release_until(self.now_us());
    }

    fn release_until(&mut self, now_us: u64) {
        let Some(lines) = &mut self.lines else { return };
        while let Some((address, packet)) = lines.out.pop(now_us) {
            drop(self.socket.send_to(&packet, address));
        }
    }
}

impl UdpClientLink {
    /// Begins to connect.
    ///
    /// # Errors
    /// When there is no socket to be had or the token cannot be used.
    pub fn connect(token: Token, conditions: Conditions) -> io::Result<Self> {
        let server = token.addresses().next().ok_or(io::ErrorKind::InvalidInput)?;
        let local: IpAddr = match server.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::connect_from(token, conditions, SocketAddr::new(local, 0))
    }

    /// Begins to connect from an address of this machine: a server takes a token from the address only that it came
    /// from first.
    ///
    /// # Errors
    /// When the address is not free or the token cannot be used.
    pub fn connect_from(token: Token, conditions: Conditions, local: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        let buffers = socket2::SockRef::from(&socket);
        // A client works with small buffers too, it only loses more in a burst.
        let _ = buffers.set_recv_buffer_size(BUFFER_BYTES_WANTED);
        let _ = buffers.set_send_buffer_size(BUFFER_BYTES_WANTED);
        let lines = (!conditions.is_ideal()).then(|| Lines {
            out: DelayLine::new(Impairment::of(conditions), conditions.seed),
            into: DelayLine::new(Impairment::of(conditions), conditions.seed ^ u64::MAX),
        });
        Ok(Self {
            wire: Wire { socket, now: Duration::ZERO, lines },
            netcode: start(&token, 0)?,
            renet: RenetClient::new(connection_config()),
            token,
            passed_over: 0,
            trying_since: Duration::ZERO,
            delivered: 0,
            acked_at: Duration::ZERO,
            end: None,
        })
    }

    /// Where this end's datagrams come from.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.wire.socket.local_addr()
    }

    fn take_datagrams(&mut self) {
        let mut buffer = [0u8; 2_048];
        for _ in 0..RECEIVE_PACKETS_MAX {
            match self.wire.socket.recv_from(&mut buffer) {
                Ok((length, address)) if address == self.netcode.server_addr() => {
                    let now = self.wire.now_us();
                    match &mut self.wire.lines {
                        Some(lines) => lines.into.push(now, buffer[..length].to_vec()),
                        None => self.take(&mut buffer[..length]),
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Nobody listens there (yet): netcode's own clock gives up.
                Err(_) => {}
            }
        }
        let now = self.wire.now_us();
        while let Some(mut packet) = self.wire.lines.as_mut().and_then(|lines| lines.into.pop(now)) {
            self.take(&mut packet);
        }
    }

    fn take(&mut self, packet: &mut [u8]) {
        if vet::packet(packet).is_err() {
            return;
        }
        let Some(payload) = self.netcode.process_packet(packet) else { return };
        if let Err(why) = vet::payload(payload, vet::FROM_SERVER, self.delivered) {
            self.end.get_or_insert(LinkEnd::Broken(why.into()));
            return;
        }
        self.renet.process_packet(payload);
        if let Some(reason) = self.renet.disconnect_reason() {
            self.end.get_or_insert(LinkEnd::Broken(reason.to_string()));
        }
    }

    /// netcode has given up: the next address, or the end.
    fn give_up(&mut self, reason: NetcodeDisconnectReason) {
        let address = self.netcode.server_addr();
        let end = match reason {
            NetcodeDisconnectReason::ConnectionDenied if self.next_address() => return,
            NetcodeDisconnectReason::ConnectionDenied => LinkEnd::Denied(address),
            NetcodeDisconnectReason::ConnectTokenExpired => LinkEnd::TokenExpired,
            NetcodeDisconnectReason::ConnectionTimedOut => LinkEnd::Lost(address),
            NetcodeDisconnectReason::ConnectionResponseTimedOut
            | NetcodeDisconnectReason::ConnectionRequestTimedOut => LinkEnd::NoAnswer(address),
            NetcodeDisconnectReason::DisconnectedByClient => LinkEnd::ClosedHere,
            NetcodeDisconnectReason::DisconnectedByServer => LinkEnd::ClosedByServer,
        };
        self.end.get_or_insert(end);
    }

    /// Nobody answers in [`CONNECTS_WITHIN`]: the next address, or the end.
    fn pass_over_silence(&mut self) {
        let tried = self.wire.now.saturating_sub(self.trying_since);
        if self.netcode.is_connected() || tried < CONNECTS_WITHIN {
            return;
        }
        let address = self.netcode.server_addr();
        if !self.next_address() {
            self.end.get_or_insert(LinkEnd::NoAnswer(address));
        }
    }

    /// Tries the token's next address, if there is one.
    fn next_address(&mut self) -> bool {
        self.passed_over += 1;
        if self.passed_over >= self.token.addresses().count() {
            return false;
        }
        let Ok(netcode) = start(&self.token, self.passed_over) else { return false };
        self.netcode = netcode;
        self.trying_since = self.wire.now;
        true
    }
}

fn start(token: &Token, first_address: usize) -> io::Result<NetcodeClient> {
    let authentication = ClientAuthentication::Secure { connect_token: token.starting_at(first_address) };
    NetcodeClient::new(Duration::ZERO, authentication).map_err(io::Error::other)
}

impl ClientLink for UdpClientLink {
    fn update(&mut self, elapsed: Duration) {
        self.wire.now += elapsed;
        self.wire.release();
        if self.end.is_some() {
            return;
        }
        self.renet.update(elapsed);
        self.take_datagrams();
        if let Some((packet, address)) = self.netcode.update(elapsed) {
            self.wire.transmit(address, packet);
        }
        if let Some(reason) = self.netcode.disconnect_reason() {
            self.give_up(reason);
        }
        self.pass_over_silence();
    }

    fn receive(&mut self) -> Option<(u8, Bytes)> {
        if let Some(bytes) = self.renet.receive_message(CHANNEL_CONTROL) {
            self.delivered += 1;
            return Some((CHANNEL_CONTROL, bytes));
        }
        self.renet.receive_message(CHANNEL_STATE).map(|bytes| (CHANNEL_STATE, bytes))
    }

    fn has_room(&self, channel: u8, bytes: usize) -> bool {
        self.renet.can_send_message(channel, bytes)
    }

    fn send(&mut self, channel: u8, bytes: Vec<u8>) {
        self.renet.send_message(channel, bytes);
    }

    fn flush(&mut self) {
        if self.end.is_some() || !self.netcode.is_connected() {
            return;
        }
        for packet in self.renet.get_packets_to_send() {
            if packet.first() == Some(&RENET_ACK) {
                if self.wire.now.saturating_sub(self.acked_at) < ACK_INTERVAL {
                    continue;
                }
                self.acked_at = self.wire.now;
            }
            if let Ok((address, sealed)) = self.netcode.generate_payload_packet(&packet) {
                self.wire.transmit(address, sealed);
            }
        }
    }

    fn close(&mut self) {
        let is_over = matches!(self.end, Some(LinkEnd::ClosedHere | LinkEnd::Cut));
        if self.netcode.is_disconnected() || is_over {
            return;
        }
        self.flush();
        // What was said before the goodbye is not to be left behind by it.
        self.wire.release_until(u64::MAX);
        self.end.get_or_insert(LinkEnd::ClosedHere);
        if let Ok((address, packet)) = self.netcode.disconnect() {
            // It is not confirmed, so it goes out more than once; there is nobody left to release a delay.
            for _ in 0..3 {
                drop(self.wire.socket.send_to(packet, address));
            }
        }
    }

    fn cut(&mut self) {
        self.end.get_or_insert(LinkEnd::Cut);
    }

    fn end(&self) -> Option<LinkEnd> {
        self.end.clone()
    }
}

impl Drop for UdpClientLink {
    fn drop(&mut self) {
        self.close();
    }
}
