//! A client's connection: says hello, checks what comes, and tells in words why it ended.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::ids::{DeviceId, PlayerId};
use crate::limits::CLIENT_MESSAGE_BYTES_MAX;
use crate::net::auth::TokenError;
use crate::net::envelope::{EnvelopeReader, EnvelopeWriter};
use crate::net::{
    Authentication, ClientLink, Conditions, Identity, LinkEnd, NetCounters, SERVER_CONTROL_BYTES_MAX, Token,
    UdpClientLink, issue_token,
};
use crate::protocol::codec;
use crate::protocol::messages::{
    CHANNEL_CONTROL, CHANNEL_STATE, ClientControl, ClientState, Refusal, ServerControl,
};

/// How long a token that a client makes for an open server lives: connecting takes no longer.
pub(super) const OPEN_TOKEN_EXPIRES: Duration = Duration::from_secs(60);

/// What a server said, or that it is over.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    /// A reliable message.
    Control(ServerControl),
    /// A state update of this session, still encoded.
    Update(Bytes),
    /// The connection is over; nothing follows.
    Disconnected(Ended),
}

/// Why a connection is over, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The server said why.
    #[error("{0}")]
    Refused(Refusal),
    /// The link ended.
    #[error("{0}")]
    Link(LinkEnd),
    /// The server sent what no server of ours sends.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
}

/// Why a message is not sent or a connection not begun.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// There is no socket.
    #[error("cannot open a UDP socket: {0}")]
    Socket(#[from] io::Error),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The message is too long.
    #[error("a message of {bytes} bytes is not sent: at most {CLIENT_MESSAGE_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The server does not take what waits for it.
    #[error("too much waits for the server already: send it later")]
    Full,
    /// The connection is over.
    #[error("the connection is over")]
    Over,
}

/// One connection to a server, over whatever carries it. Time is the caller's: call
/// [`update`](Self::update), [`poll`](Self::poll) and, once a tick, [`flush`](Self::flush).
pub struct Connection {
    link: Box<dyn ClientLink>,
    reader: EnvelopeReader,
    writer: EnvelopeWriter,
    counters: Arc<NetCounters>,
    state_seq: u32,
    /// Whether the hello asked for a session to go on.
    resumes: bool,
    refusal: Option<Refusal>,
    ended: Option<Ended>,
    told: bool,
}

/// A name for a client, which it keeps over all its connections.
///
/// # Panics
/// When the system has no randomness to give.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a name for a client, which runs outside of the server")]
pub fn new_device() -> DeviceId {
    DeviceId(getrandom::u64().expect("the system gives random numbers"))
}

impl Connection {
    /// Says hello over a link, as a client that has no other connections.
    #[must_use]
    pub fn over(link: Box<dyn ClientLink>, schema_hash: u64, version: &str) -> Self {
        Self::resuming(link, schema_hash, version, new_device(), None)
    }

    /// Says hello over a link and, where `heard` is given, asks for the session that the link's token names to go on:
    /// so many of its [lasting](ServerControl::is_lasting) messages were delivered. `device` is the same in all connections of
    /// one client: [`new_device`] draws one.
    #[must_use]
    pub fn resuming(
        link: Box<dyn ClientLink>,
        schema_hash: u64,
        version: &str,
        device: DeviceId,
        heard: Option<u64>,
    ) -> Self {
        let mut connection = Self {
            link,
            reader: EnvelopeReader::default(),
            writer: EnvelopeWriter::default(),
            counters: Arc::default(),
            state_seq: 0,
            resumes: heard.is_some(),
            refusal: None,
            ended: None,
            told: false,
        };
        let hello = ClientControl::Hello { schema_hash, version: version.into(), device, heard };
        let bytes = connection.writer.seal(&hello);
        connection.link.send(CHANNEL_CONTROL, bytes);
        connection
    }

    /// Connects to an open server on loopback as this player.
    ///
    /// # Errors
    /// When there is no socket.
    #[expect(
        clippy::disallowed_methods,
        reason = "tokens expire by the calendar; clients run outside of the server"
    )]
    pub fn open(
        server: SocketAddr,
        player: PlayerId,
        schema_hash: u64,
        version: &str,
        conditions: Conditions,
    ) -> Result<Self, ConnectionError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let identity = Identity::player(player);
        let token = issue_token(&Authentication::Open, &identity, &[server], now, OPEN_TOKEN_EXPIRES)?;
        Self::with_token(token, schema_hash, version, conditions)
    }

    /// Connects to wherever the token leads.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn with_token(
        token: Token,
        schema_hash: u64,
        version: &str,
        conditions: Conditions,
    ) -> Result<Self, ConnectionError> {
        let link = UdpClientLink::connect(token, conditions)?;
        Ok(Self::over(Box::new(link), schema_hash, version))
    }

    /// Lets time pass and takes what has come.
    pub fn update(&mut self, elapsed: Duration) {
        self.link.update(elapsed);
    }

    /// What the server said since the last call, in order; at the end, once, why it is over.
    pub fn poll(&mut self) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        while self.ended.is_none()
            && let Some((channel, bytes)) = self.link.receive()
        {
            if channel == CHANNEL_CONTROL {
                self.take_control(&bytes, &mut events);
            } else if self.reader.epoch() == 0 {
                // It overtook the welcome. It is not acked, so its content comes again.
                self.counters.out_of_order.bump();
            } else {
                events.push(ServerEvent::Update(bytes));
            }
        }
        if self.ended.is_none()
            && let Some(end) = self.link.end()
        {
            self.ended = Some(self.refusal.take().map_or(Ended::Link(end), Ended::Refused));
        }
        if let Some(ended) = &self.ended
            && !self.told
        {
            self.told = true;
            events.push(ServerEvent::Disconnected(ended.clone()));
        }
        events
    }

    fn take_control(&mut self, bytes: &[u8], events: &mut Vec<ServerEvent>) {
        let opened = self.reader.open::<ServerControl, SERVER_CONTROL_BYTES_MAX>("server message", bytes);
        let checked = opened.and_then(|envelope| {
            // A welcome begins its session; everything else belongs to the one that is.
            if let ServerControl::Welcome(welcome) = &envelope.payload
                && welcome.epoch == envelope.epoch
            {
                if envelope.epoch > self.reader.epoch() {
                    self.state_seq = 0;
                }
                self.reader.set_epoch(envelope.epoch);
                self.writer.set_epoch(envelope.epoch);
            }
            // A refusal may come of a session whose welcome was never sent.
            if !matches!(envelope.payload, ServerControl::Refused(_)) {
                self.reader.check_epoch(envelope.epoch)?;
            }
            Ok(envelope.payload)
        });
        match checked {
            Ok(ServerControl::Welcome(welcome)) if welcome.resumed && !self.resumes => {
                self.ended = Some(Ended::Protocol("it resumes a session that nobody asked for".into()));
                self.link.close();
            }
            Ok(ServerControl::Refused(refusal)) => {
                events.push(ServerEvent::Control(ServerControl::Refused(refusal.clone())));
                self.ended = Some(Ended::Refused(refusal));
                self.link.flush();
                self.link.close();
            }
            Ok(message) => events.push(ServerEvent::Control(message)),
            Err(error) => {
                error.count(&self.counters);
                if error.is_violation() {
                    self.ended = Some(Ended::Protocol(error.to_string()));
                    self.link.close();
                }
            }
        }
    }

    /// The session's epoch; 0 before the welcome.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.reader.epoch()
    }

    /// Why it is over, if it is.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// What it counted.
    #[must_use]
    pub fn counters(&self) -> &NetCounters {
        &self.counters
    }

    /// Queues a reliable message.
    ///
    /// # Errors
    /// When it is too long, too much waits already, or the connection is over.
    pub fn send_control(&mut self, message: &ClientControl) -> Result<(), ConnectionError> {
        if self.ended.is_some() {
            return Err(ConnectionError::Over);
        }
        let mut writer = self.writer;
        let bytes = writer.seal(message);
        self.check_room(CHANNEL_CONTROL, bytes.len())?;
        self.writer = writer;
        self.link.send(CHANNEL_CONTROL, bytes);
        Ok(())
    }

    /// Queues this tick's acks and inputs. `epoch` and `seq` are set here, and the number used is returned.
    ///
    /// # Errors
    /// When there is no session, it is too long, too much waits already, or the connection is over.
    pub fn send_state(&mut self, mut state: ClientState) -> Result<u32, ConnectionError> {
        if self.ended.is_some() || self.reader.epoch() == 0 {
            return Err(ConnectionError::Over);
        }
        state.epoch = self.reader.epoch();
        state.seq = self.state_seq + 1;
        let bytes = codec::encode(&state);
        self.check_room(CHANNEL_STATE, bytes.len())?;
        self.state_seq += 1;
        self.link.send(CHANNEL_STATE, bytes);
        Ok(self.state_seq)
    }

    fn check_room(&self, channel: u8, bytes: usize) -> Result<(), ConnectionError> {
        if bytes > CLIENT_MESSAGE_BYTES_MAX {
            return Err(ConnectionError::TooLong { bytes });
        }
        if self.link.has_room(channel, bytes) { Ok(()) } else { Err(ConnectionError::Full) }
    }

    /// Sends what waits.
    pub fn flush(&mut self) {
        self.link.flush();
    }

    /// Lets go of the link, and of the socket under it, once it is over.
    pub(super) fn let_go(&mut self) {
        if let Some(end) = self.link.end() {
            self.link = Box::new(NoLink(end));
        }
    }

    /// Whether a message is one that can be sent at all.
    ///
    /// # Errors
    /// When it is too long.
    pub(super) fn check_length(&self, message: &ClientControl) -> Result<(), ConnectionError> {
        let mut writer = self.writer;
        let bytes = writer.seal(message).len();
        if bytes > CLIENT_MESSAGE_BYTES_MAX { Err(ConnectionError::TooLong { bytes }) } else { Ok(()) }
    }

    /// Ends as if the way to the server were cut: that end is not told, and has to find out.
    pub fn cut(&mut self) {
        self.link.cut();
    }

    /// Leaves without a word; say [`ClientControl::Bye`] before it to leave on purpose.
    pub fn close(&mut self) {
        self.link.close();
    }
}

/// What is left of a link that is over.
struct NoLink(LinkEnd);

impl ClientLink for NoLink {
    fn update(&mut self, _elapsed: Duration) {}

    fn receive(&mut self) -> Option<(u8, Bytes)> {
        None
    }

    fn has_room(&self, _channel: u8, _bytes: usize) -> bool {
        false
    }

    fn send(&mut self, _channel: u8, _bytes: Vec<u8>) {}

    fn flush(&mut self) {}

    fn close(&mut self) {}

    fn cut(&mut self) {}

    fn end(&self) -> Option<LinkEnd> {
        Some(self.0.clone())
    }
}
