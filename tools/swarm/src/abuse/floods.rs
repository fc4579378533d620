//! Those who send too much.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use terrane::action::Action;
use terrane::caravan::{JoinParty, Say, Scout, Steer, TakeCoach, TellParty};
use terrane::client::player::CallError;
use terrane::client::{Connection, Player, ServerEvent};
use terrane::ids::PartyId;
use terrane::net::NetLimits;
use terrane::protocol::codec;
use terrane::protocol::messages::{ClientState, PROTOCOL_ID};
use terrane::replication::Schema;

use super::{AGAIN_AFTER, Abuser, Owed, TIMES, Totals, name};
use crate::plan::{Plan, unix_time};

/// Messages a second that a connection takes and that these leave to it: they are not to be cut off for their number.
const MESSAGES_LEFT: f64 = 40.0;
/// Bytes of a long message, and of a packet with it.
const LONG_BYTES: usize = 960;
/// Short messages that are sent in one packet: so that it is their number that is too high, and not that of packets.
const SHORT_IN_PACKET: u64 = 16;
/// Bytes of a connection request, which costs its reader more than any other packet.
const REQUEST_BYTES: usize = 1_078;
/// The first byte of a packet with a payload and a sequence of two bytes.
const PAYLOAD_PREFIX: u8 = 0x25;
/// How long one that was cut off for a flood waits.
const FLOOD_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Calls one kind of action far too often, and else behaves.
pub(super) struct Actions {
    number: u32,
    player: Option<Box<Player>>,
    is_in: bool,
    again_at: Duration,
    calls: Owed,
    states: Owed,
    called: u64,
}

impl Actions {
    pub(super) fn new(number: u32) -> Self {
        let (calls, states) = (Owed::default(), Owed::default());
        Self { number, player: None, is_in: false, again_at: Duration::ZERO, calls, states, called: 0 }
    }

    fn connect(&mut self, plan: &Plan, totals: &mut Totals) {
        let link = match plan.link(self.number, name(plan, "caller", self.number)) {
            Ok(link) => link,
            Err(error) => return totals.note_end(error.to_string()),
        };
        totals.opened += 1;
        let connection = Connection::over(Box::new(link), plan.schema_hash, terrane::VERSION);
        let now = unix_time();
        let ids = u64::from(self.number) << 48 ^ now.as_nanos() as u64;
        self.player = Some(Box::new(Player::new(connection, plan.schema.clone(), ids).begun_at(now)));
    }
}

/// What may be called how often.
fn rate_per_s(number: u32) -> f64 {
    // As declared: two a second may be said, one of each other.
    if number.is_multiple_of(5) { 2.0 } else { 1.0 }
}

/// Calls what abuser `number` calls, for the `called`-th time, so that it would change something every time.
fn call(player: &mut Player, number: u32, called: u64) -> Result<(), CallError> {
    let text = || format!("{called:0>100}");
    let (is_even, party) = (called.is_multiple_of(2), PartyId(1 + called % 60));
    match number % 5 {
        0 => player.act(&Say { text: text() }),
        1 => player.act(&TellParty { text: text() }),
        2 => player.act(&JoinParty { party: Some(party) }),
        3 => player.act(&TakeCoach),
        _ => player.act(&Scout { out: is_even }),
    }
    .map(drop)
}

impl Abuser for Actions {
    fn pass(&mut self, plan: &Plan, now: Duration, elapsed: Duration, totals: &mut Totals) {
        if self.player.is_none() && now >= self.again_at {
            self.connect(plan, totals);
        }
        let Some(player) = &mut self.player else { return };
        player.receive(elapsed);
        player.replies().for_each(|reply| totals.note_reply(&reply));
        player.events().for_each(drop);
        drop(player.view_mut().drain_events(&plan.schema));
        let calls_per_s = rate_per_s(self.number) * f64::from(TIMES);
        if player.welcome().is_some() {
            totals.let_in += u64::from(!std::mem::replace(&mut self.is_in, true));
            for _ in 0..self.calls.take(calls_per_s, elapsed) {
                self.called += 1;
                totals.messages += u64::from(call(player, self.number, self.called).is_ok());
            }
        }
        let states_per_s =
            f64::from(NetLimits::default().client_messages_per_s) - calls_per_s - MESSAGES_LEFT;
        for _ in 0..self.states.take(states_per_s, elapsed) {
            let heading = (self.called % 6) as f32;
            if player.want(&Steer { heading, speed_m_s: 6.0 }).is_ok() {
                player.send();
                totals.messages += u64::from(self.is_in);
            }
        }
        player.flush();
        if let Some(ended) = player.ended() {
            totals.note_end(ended.to_string());
            (self.player, self.is_in, self.again_at) = (None, false, now + AGAIN_AFTER);
        }
    }
}

/// Sends far more bytes, or messages, than a connection takes.
pub(super) struct Bytes {
    number: u32,
    connection: Option<Connection>,
    /// For what is sent while there is no session.
    outside: Option<UdpSocket>,
    is_in: bool,
    again_at: Duration,
    owed: Owed,
    sent: u64,
}

impl Bytes {
    pub(super) fn new(number: u32) -> Self {
        let (again_at, owed) = (Duration::ZERO, Owed::default());
        Self { number, connection: None, outside: None, is_in: false, again_at, owed, sent: 0 }
    }

    /// Whether its messages are few and long, and not many and short.
    fn is_long(&self) -> bool {
        self.number.is_multiple_of(2)
    }

    fn connect(&mut self, plan: &Plan, totals: &mut Totals) {
        match plan.link(self.number, name(plan, "flood", self.number)) {
            Ok(link) => {
                totals.opened += 1;
                self.connection = Some(Connection::over(Box::new(link), plan.schema_hash, terrane::VERSION));
            }
            Err(error) => totals.note_end(error.to_string()),
        }
    }

    fn state(&self, schema: &Schema) -> ClientState {
        let steer = Steer { heading: (self.sent % 6) as f32, speed_m_s: 6.0 };
        let signature = Steer::signature();
        let index = schema.actions.iter().position(|action| *action == signature).unwrap_or_default() as u16;
        let mut inputs = vec![(index, codec::encode(&steer))];
        if self.is_long() {
            // No action of any game: it is there to be long.
            inputs.push((u16::MAX, vec![7; LONG_BYTES - 60]));
        }
        ClientState { inputs, ..ClientState::default() }
    }

    /// A packet as from somebody who is not connected: by turns one that asks for a connection, and one with a payload.
    fn send_from_outside(&mut self, plan: &Plan, totals: &mut Totals) {
        let local = plan.args.address(self.number).unwrap_or(match plan.args.server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
        if self.outside.is_none() {
            let socket = UdpSocket::bind((local, 0)).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            self.outside = socket.ok();
        }
        let Some(socket) = &self.outside else { return };
        let mut packet = [0u8; REQUEST_BYTES];
        packet[30..38].copy_from_slice(&self.sent.to_le_bytes());
        let asks = self.sent.is_multiple_of(2);
        let bytes = match (asks, self.is_long()) {
            (true, _) => {
                // All that is readable is right, so that it is refused for what it is sealed with.
                packet[1..14].copy_from_slice(b"NETCODE 1.02\0");
                packet[14..22].copy_from_slice(&PROTOCOL_ID.to_le_bytes());
                packet[22..30].copy_from_slice(&(u64::MAX >> 1).to_le_bytes());
                REQUEST_BYTES
            }
            (false, is_long) => {
                packet[0] = PAYLOAD_PREFIX;
                if is_long { LONG_BYTES } else { 64 }
            }
        };
        // What the system does not take is a lost datagram.
        totals.datagrams += u64::from(socket.send_to(&packet[..bytes], plan.shard_of(self.number)).is_ok());
    }
}

impl Abuser for Bytes {
    fn pass(&mut self, plan: &Plan, now: Duration, elapsed: Duration, totals: &mut Totals) {
        if self.connection.is_none() && now >= self.again_at {
            self.connect(plan, totals);
        }
        if let Some(connection) = &mut self.connection {
            connection.update(elapsed);
            for event in connection.poll() {
                if let ServerEvent::Disconnected(ended) = event {
                    totals.note_end(ended.to_string());
                    (self.connection, self.is_in) = (None, false);
                    self.again_at = now + FLOOD_AGAIN_AFTER;
                    break;
                }
            }
        }
        if let Some(connection) = &mut self.connection {
            connection.flush();
            if connection.epoch() != 0 && !self.is_in {
                (self.is_in, totals.let_in) = (true, totals.let_in + 1);
            }
        }
        let (limits, is_long) = (NetLimits::default(), self.is_long());
        let allowed_per_s = if is_long {
            f64::from(limits.client_bytes_per_s) / LONG_BYTES as f64
        } else {
            f64::from(limits.client_messages_per_s)
        };
        for _ in 0..self.owed.take(allowed_per_s * f64::from(TIMES), elapsed) {
            self.sent += 1;
            let state = self.state(&plan.schema);
            match &mut self.connection {
                Some(connection) if self.is_in => {
                    totals.messages += u64::from(connection.send_state(state).is_ok());
                    // Long ones one by one, as they fill a packet; of short ones many are in each.
                    if is_long || self.sent.is_multiple_of(SHORT_IN_PACKET) {
                        connection.flush();
                    }
                }
                _ => self.send_from_outside(plan, totals),
            }
        }
    }
}
