//! One connection as the server sees it, whatever carries its bytes: handshake, envelopes, bounds.

use std::net::SocketAddr;
use std::time::Duration;

use super::SERVER_CONTROL_BYTES_MAX;
use super::counters::NetCounters;
use super::envelope::{EnvelopeReader, EnvelopeWriter};
use super::exchange::FromNet;
use super::handshake::{Gate, Handshake, Heard};
use super::identity::Identity;
use crate::ids::ConnectionId;
use crate::limits::{CLIENT_MESSAGE_BYTES_MAX, CLIENT_QUEUE_MAX};
use crate::protocol::codec;
use crate::protocol::messages::{ClientControl, ClientState, Refusal, Resume, ServerControl};

/// Most latest-wins inputs in one message.
const INPUTS_MAX: usize = 32;

/// Where a peer's events go and what they are judged by.
pub(super) struct Exchange<'a> {
    pub(super) gate: &'a Gate,
    pub(super) counters: &'a NetCounters,
    /// Grows with every exchange that the tick took.
    pub(super) number: u64,
    pub(super) out: &'a mut Vec<FromNet>,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: ConnectionId,
    pub(super) shard: u16,
    pub(super) address: Option<SocketAddr>,
    identity: Identity,
    handshake: Handshake,
    reader: EnvelopeReader,
    writer: EnvelopeWriter,
    state_seq: u32,
    state: Option<ClientState>,
    queued: usize,
    queued_in: u64,
}

/// A message that is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) bytes: usize,
}

impl Peer {
    pub(super) fn new(
        connection: ConnectionId,
        shard: u16,
        address: Option<SocketAddr>,
        identity: Identity,
        now: Duration,
    ) -> Self {
        Self {
            connection,
            shard,
            address,
            identity,
            handshake: Handshake::new(now),
            reader: EnvelopeReader::default(),
            writer: EnvelopeWriter::default(),
            state_seq: 0,
            state: None,
            queued: 0,
            queued_in: 0,
        }
    }

    /// Takes a reliable message. The error ends the connection.
    pub(super) fn control(&mut self, bytes: &[u8], exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        const WHAT: &str = "client message";
        let opened = self.reader.open::<ClientControl, CLIENT_MESSAGE_BYTES_MAX>(WHAT, bytes);
        let checked = opened.and_then(|envelope| {
            self.reader.check_epoch(envelope.epoch)?;
            Ok(envelope)
        });
        let envelope = match checked {
            Ok(envelope) => envelope,
            Err(error) => {
                error.count(exchange.counters);
                return if error.is_violation() { Err(Refusal::Protocol(error.to_string())) } else { Ok(()) };
            }
        };
        let heard = self.handshake.hear(envelope.payload, exchange.gate, exchange.counters)?;
        let event = match heard {
            Heard::Hello { device, heard, number } => FromNet::Connected {
                connection: self.connection,
                player: self.identity.player.clone(),
                role: self.identity.role,
                device,
                resume: self.identity.resume.zip(heard).map(|(epoch, heard)| Resume { epoch, heard }),
                hello: number,
                shard: self.shard,
                address: self.address,
            },
            Heard::Message(payload) => {
                self.queue(exchange)?;
                FromNet::Control { connection: self.connection, epoch: envelope.epoch, payload }
            }
        };
        exchange.out.push(event);
        Ok(())
    }

    /// Counts a message towards what may wait for the tick.
    fn queue(&mut self, exchange: &Exchange<'_>) -> Result<(), Refusal> {
        if self.queued_in != exchange.number {
            self.queued_in = exchange.number;
            self.queued = 0;
        }
        self.queued += 1;
        if self.queued > CLIENT_QUEUE_MAX {
            exchange.counters.floods.bump();
            return Err(Refusal::Protocol(format!("it sent more than {CLIENT_QUEUE_MAX} messages at once")));
        }
        Ok(())
    }

    /// Takes an unreliable message; the newest is kept until [`take_state`](Self::take_state). Says whether
    /// one waits that did not before. The error ends the connection.
    pub(super) fn state(&mut self, bytes: &[u8], counters: &NetCounters) -> Result<bool, Refusal> {
        if bytes.len() > CLIENT_MESSAGE_BYTES_MAX {
            counters.oversize.bump();
            return Err(Refusal::Protocol(format!("a state of {} bytes", bytes.len())));
        }
        let state: ClientState = codec::decode::<_, CLIENT_MESSAGE_BYTES_MAX>("client state", bytes)
            .map_err(|error| {
                counters.malformed.bump();
                Refusal::Protocol(error.to_string())
            })?;
        if !inputs_are_fair(&state.inputs) {
            counters.malformed.bump();
            return Err(Refusal::Protocol("two inputs of one kind, or too many".into()));
        }
        if state.epoch == 0 || !self.handshake.passed() {
            counters.out_of_order.bump();
            return Err(Refusal::Protocol("a state before its session began".into()));
        }
        if let Err(error) = self.reader.check_epoch(state.epoch) {
            error.count(counters);
            return if error.is_violation() { Err(Refusal::Protocol(error.to_string())) } else { Ok(false) };
        }
        if state.seq <= self.state_seq {
            // Datagrams overtake each other and come twice: nobody's fault.
            counters.duplicate_seq.bump();
            return Ok(false);
        }
        self.state_seq = state.seq;
        Ok(self.state.replace(state).is_none())
    }

    /// Hands the newest unreliable message to the tick.
    pub(super) fn take_state(&mut self, out: &mut Vec<FromNet>) {
        if let Some(state) = self.state.take()
            && state.epoch == self.reader.epoch()
        {
            out.push(FromNet::State { connection: self.connection, state });
        }
    }

    /// From now on this is another session: numbers of states begin anew.
    pub(super) fn set_epoch(&mut self, epoch: u32) {
        if epoch > self.reader.epoch() {
            self.state_seq = 0;
        }
        self.reader.set_epoch(epoch);
        self.writer.set_epoch(epoch);
    }

    /// Who comes back into this very session; `None` before there is one.
    pub(super) fn identity_to_resume(&self) -> Option<Identity> {
        let epoch = self.reader.epoch();
        (epoch != 0).then(|| Identity { resume: Some(epoch), ..self.identity.clone() })
    }

    /// The bytes of the next reliable message. A message that is too long uses up no number.
    pub(super) fn seal(&mut self, message: &ServerControl) -> Result<Vec<u8>, TooLong> {
        let mut writer = self.writer;
        let bytes = writer.seal(message);
        if bytes.len() > SERVER_CONTROL_BYTES_MAX {
            return Err(TooLong { bytes: bytes.len() });
        }
        self.writer = writer;
        Ok(bytes)
    }

    pub(super) fn overdue(&self, now: Duration) -> Option<Refusal> {
        self.handshake.overdue(now)
    }

    /// The connection is over: gives its place back. Returns whether the tick knew of it.
    pub(super) fn end(&mut self, gate: &Gate) -> bool {
        self.state = None;
        self.handshake.end(gate)
    }
}

fn inputs_are_fair(inputs: &[(u16, Vec<u8>)]) -> bool {
    inputs.len() <= INPUTS_MAX
        && inputs
            .iter()
            .enumerate()
            .all(|(at, (kind, _))| inputs[..at].iter().all(|(other, _)| other != kind))
}

/// Shortens what a refusal quotes, so that it always fits the room kept free for it.
pub(super) fn printable_refusal(refusal: Refusal) -> Refusal {
    const BYTES_MAX: usize = 400;
    match refusal {
        Refusal::Protocol(mut why) if why.len() > BYTES_MAX => {
            let cut = (0..=BYTES_MAX).rev().find(|&at| why.is_char_boundary(at)).unwrap_or(0);
            why.truncate(cut);
            Refusal::Protocol(why)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeviceId, PlayerId};

    struct Scene {
        gate: Gate,
        counters: NetCounters,
        out: Vec<FromNet>,
        writer: EnvelopeWriter,
        peer: Peer,
    }

    impl Scene {
        fn new() -> Self {
            let identity = Identity::player(PlayerId::new("alice").unwrap());
            let peer = Peer::new(ConnectionId(1), 0, None, identity, Duration::ZERO);
            Self {
                gate: Gate::new(7, "9", 8),
                counters: NetCounters::default(),
                out: Vec::new(),
                writer: EnvelopeWriter::default(),
                peer,
            }
        }

        fn control(&mut self, message: &ClientControl, number: u64) -> Result<(), Refusal> {
            let bytes = self.writer.seal(message);
            let mut exchange =
                Exchange { gate: &self.gate, counters: &self.counters, number, out: &mut self.out };
            self.peer.control(&bytes, &mut exchange)
        }

        fn greeted() -> Self {
            let mut scene = Self::new();
            scene
                .control(
                    &ClientControl::Hello {
                        schema_hash: 7,
                        version: "1".into(),
                        device: DeviceId(1),
                        heard: None,
                    },
                    0,
                )
                .unwrap();
            scene.peer.set_epoch(3);
            scene
        }

        fn state(&mut self, epoch: u32, seq: u32) -> Result<bool, Refusal> {
            let state = ClientState { epoch, seq, ..ClientState::default() };
            self.peer.state(&codec::encode(&state), &self.counters)
        }
    }

    /// A8: what was on its way from the session before is dropped and counted, and ends nothing.
    #[test]
    fn a_message_of_the_session_before_is_dropped() {
        let mut scene = Scene::greeted();
        assert_eq!(scene.control(&ClientControl::Bye, 0), Ok(()));
        assert_eq!(scene.out.len(), 1, "only the hello reached the tick");
        assert_eq!(scene.counters.stale_epoch.get(), 1);
        scene.writer.set_epoch(3);
        scene.control(&ClientControl::Bye, 0).unwrap();
        assert_eq!(scene.out.len(), 2);
        scene.writer.set_epoch(4);
        assert!(scene.control(&ClientControl::Bye, 0).is_err(), "an epoch that nobody was given");
    }

    #[test]
    fn the_newest_state_wins_and_older_ones_are_counted() {
        let mut scene = Scene::greeted();
        assert_eq!(scene.state(3, 2), Ok(true));
        assert_eq!(scene.state(3, 1), Ok(false));
        assert_eq!(scene.state(3, 2), Ok(false));
        assert_eq!(scene.state(3, 5), Ok(false), "it replaces the one that waits");
        assert_eq!(scene.counters.duplicate_seq.get(), 2);
        assert_eq!(scene.state(2, 9), Ok(false), "stale");
        assert!(scene.state(9, 9).is_err());
        let mut out = Vec::new();
        scene.peer.take_state(&mut out);
        scene.peer.take_state(&mut out);
        assert!(matches!(out.as_slice(), [FromNet::State { state, .. }] if state.seq == 5), "{out:?}");
    }

    /// A state that waits when its session ends does not reach the one that follows.
    #[test]
    fn a_state_does_not_outlive_its_session() {
        let mut scene = Scene::greeted();
        scene.state(3, 2).unwrap();
        scene.peer.set_epoch(4);
        let mut out = Vec::new();
        scene.peer.take_state(&mut out);
        assert_eq!(out, []);
        assert_eq!(scene.state(4, 1), Ok(true), "numbers begin anew with the session");
    }

    #[test]
    fn two_inputs_of_one_kind_break_the_protocol() {
        let mut scene = Scene::greeted();
        let state =
            ClientState { epoch: 3, seq: 1, inputs: vec![(1, vec![]), (1, vec![])], ..Default::default() };
        assert!(scene.peer.state(&codec::encode(&state), &scene.counters).is_err());
    }

    #[test]
    fn so_many_messages_may_wait_for_the_tick_and_no_more() {
        let mut scene = Scene::greeted();
        scene.writer.set_epoch(3);
        for _ in 0..CLIENT_QUEUE_MAX {
            scene.control(&ClientControl::Bye, 1).unwrap();
        }
        scene.control(&ClientControl::Bye, 2).expect("the tick took what waited");
        for _ in 1..CLIENT_QUEUE_MAX {
            scene.control(&ClientControl::Bye, 2).unwrap();
        }
        assert!(scene.control(&ClientControl::Bye, 2).is_err());
        assert_eq!(scene.counters.floods.get(), 1);
    }

    #[test]
    fn a_message_too_long_for_a_client_uses_up_no_number() {
        let mut scene = Scene::greeted();
        let notice = ServerControl::Notice("x".repeat(SERVER_CONTROL_BYTES_MAX));
        assert!(scene.peer.seal(&notice).is_err());
        let bytes = scene.peer.seal(&ServerControl::Notice("hello".into())).unwrap();
        let mut reader = EnvelopeReader::default();
        let envelope = reader.open::<ServerControl, SERVER_CONTROL_BYTES_MAX>("notice", &bytes).unwrap();
        assert_eq!((envelope.epoch, envelope.seq), (3, 1));
    }
}
