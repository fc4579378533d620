//! Enemies: packets and messages that no client of ours sends. The server lives, counts, ends at most the
//! connection they came over, and serves the others.

#![expect(clippy::disallowed_methods, reason = "tests of real sockets wait in real time")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use renet_netcode::{ClientAuthentication, ConnectToken};
use renetcode::NetcodeClient;

use super::envelope::EnvelopeWriter;
use super::exchange::{FromNet, ToNet, Transport};
use super::udp_tests::{SCHEMA, Scene, config, connect, player};
use super::vet;
use super::vet_tests::{packets_that_panic, reliable, slice};
use super::{Authentication, ClientLink, Conditions, Identity, UdpClientLink, issue_token};
use crate::ids::DeviceId;
use crate::protocol::codec;
use crate::protocol::messages::{
    CHANNEL_CONTROL, CHANNEL_STATE, ClientControl, ClientState, PROTOCOL_ID, ServerControl,
};

/// A client whose packets pass through our hands, so that we can send whatever we like from its address.
struct Wiretap {
    socket: UdpSocket,
    server: SocketAddr,
    client: Option<SocketAddr>,
    captured: Vec<Vec<u8>>,
}

impl Wiretap {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, server, client: None, captured: Vec::new() }
    }

    fn pump(&mut self) {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let packet = &buffer[..length];
            if from == self.server {
                if let Some(client) = self.client {
                    self.socket.send_to(packet, client).unwrap();
                }
            } else {
                self.client = Some(from);
                self.captured.push(packet.to_vec());
                self.socket.send_to(packet, self.server).unwrap();
            }
        }
    }
}

struct Attack {
    random: Xoshiro256PlusPlus,
    sent: u64,
}

impl Attack {
    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound as u64) as usize
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1 + self.below(1_500)];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// A real packet, cut, lengthened, changed or as it was.
    fn damaged(&mut self, captured: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = captured[self.below(captured.len())].clone();
        match self.below(4) {
            0 => {
                let length = self.below(packet.len()).max(1);
                packet.truncate(length);
            }
            1 => packet.extend_from_slice(&[7; 9]),
            2 => {
                for _ in 0..=self.below(3) {
                    let at = self.below(packet.len());
                    packet[at] ^= 1 << self.below(8);
                }
            }
            _ => {}
        }
        packet
    }
}

/// Alice's view of things: she says something and is heard.
fn is_heard(scene: &mut Scene, alice: usize) {
    let before = scene.events.len();
    scene.clients[alice].send_control(&ClientControl::Bye).unwrap();
    scene.until("alice is heard", |scene| {
        scene.events[before..].iter().any(|event| {
            matches!(event, FromNet::Control { connection, payload: ClientControl::Bye, .. } if *connection == scene.admitted[0])
        })
    });
}

/// More than 10,000 malformed, truncated, oversized, replayed and forged packets, also from the address of a
/// client that is connected: each costs a counter, and nobody's connection.
#[test]
fn hostile_packets_cost_a_counter_and_nothing_else() {
    let mut scene = Scene::new(config(1, 10));
    let server = scene.net.addresses()[0];
    let alice = scene.add(connect(server, "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));

    let mut tap = Wiretap::new(server);
    let victim = scene.add(connect(tap.socket.local_addr().unwrap(), "victim"));
    let begin = Instant::now();
    while !scene.is_welcome(victim) || tap.captured.len() < 60 {
        assert!(begin.elapsed() < Duration::from_secs(60));
        let _ = scene.clients[victim].send_state(ClientState::default());
        tap.pump();
        scene.step();
    }

    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut attack = Attack { random: Xoshiro256PlusPlus::seed_from_u64(1), sent: 0 };
    let panics = packets_that_panic();
    let before = scene.count("packets_in");
    while attack.sent < 12_000 {
        for _ in 0..300 {
            let packet = match attack.below(5) {
                0 => attack.random_bytes(),
                1 => panics[attack.below(panics.len())].clone(),
                _ => attack.damaged(&tap.captured),
            };
            // The first packets of a capture are valid requests: from elsewhere their token is refused, as it
            // is bound to the address that used it first.
            let from = if attack.below(2) == 0 { &stranger } else { &tap.socket };
            from.send_to(&packet, server).unwrap();
            attack.sent += 1;
        }
        tap.pump();
        scene.step();
    }
    scene.until("all were looked at", |scene| scene.count("packets_in") >= before + 12_000);
    assert!(scene.count("malformed_packets") > 2_000);
    assert!(scene.count("oversize_packets") > 50);
    assert!(scene.count("refused_packets") > 4_000, "forged and replayed ones");
    assert_eq!(scene.count("malformed_payloads"), 0, "nothing forged is ever opened");
    assert_eq!(scene.ended(alice), None);
    assert_eq!(scene.ended(victim), None, "nobody can end a connection from outside");
    assert_eq!(scene.net.players(), 2);
    is_heard(&mut scene, alice);
}

/// No reply to an unauthenticated packet is larger than it, so the server cannot be turned on others.
#[test]
fn a_reply_to_a_stranger_is_never_larger_than_what_it_sent() {
    let mut scene = Scene::new(config(1, 10));
    let server = scene.net.addresses()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut tap = Wiretap::new(server);
    let tapped = scene.add(connect(tap.socket.local_addr().unwrap(), "tapped"));
    scene.clients[tapped].update(Duration::from_millis(300));
    tap.pump();
    let request = tap.captured[0].clone();
    assert_eq!(request.len(), vet::REQUEST_BYTES);
    let mut replies = 0;
    for length in (1..=request.len()).step_by(61).chain([request.len()]) {
        // A socket of its own each: the token is bound to the first that uses it, so it needs a new one.
        let fresh = token_of("alice", &Authentication::Open, server, PROTOCOL_ID);
        let mut client =
            NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token: fresh })
                .unwrap();
        let (packet, _) = client.update(Duration::from_millis(300)).unwrap();
        socket.send_to(&packet[..length], server).unwrap();
        for _ in 0..6 {
            scene.step();
        }
        let mut buffer = [0; 2_048];
        let mut replied = 0;
        while let Ok((bytes, _)) = socket.recv_from(&mut buffer) {
            replied += bytes;
            replies += 1;
        }
        assert!(replied <= length, "{length} bytes drew {replied}");
    }
    assert!(replies > 0, "the complete request is answered");
}

fn token_of(
    name: &str,
    authentication: &Authentication,
    server: SocketAddr,
    protocol_id: u64,
) -> ConnectToken {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let identity = Identity::player(player(name));
    if protocol_id == PROTOCOL_ID {
        let token = issue_token(authentication, &identity, &[server], now, Duration::from_secs(60)).unwrap();
        return token.starting_at(0);
    }
    ConnectToken::generate(now, protocol_id, 60, 1, 10, vec![server], Some(&identity.encode()), &[0; 32])
        .unwrap()
}

/// A netcode client without renet: it says exactly what it is told to.
struct Rogue {
    socket: UdpSocket,
    netcode: NetcodeClient,
}

impl Rogue {
    fn connect(scene: &mut Scene, name: &str, protocol_id: u64) -> Self {
        let server = scene.net.addresses()[0];
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let connect_token = token_of(name, &Authentication::Open, server, protocol_id);
        let netcode =
            NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token }).unwrap();
        let mut rogue = Self { socket, netcode };
        for _ in 0..400 {
            if rogue.netcode.is_connected() {
                break;
            }
            rogue.pump(scene);
        }
        rogue
    }

    fn pump(&mut self, scene: &mut Scene) {
        let mut buffer = [0; 2_048];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            self.netcode.process_packet(&mut buffer[..length]);
        }
        if let Some((packet, address)) = self.netcode.update(Duration::from_millis(20)) {
            self.socket.send_to(packet, address).unwrap();
        }
        scene.step();
    }

    fn send(&mut self, payload: &[u8]) {
        let (address, packet) = self.netcode.generate_payload_packet(payload).unwrap();
        self.socket.send_to(packet, address).unwrap();
    }
}

#[test]
fn another_protocol_is_never_answered() {
    let mut scene = Scene::new(config(1, 10));
    let rogue = Rogue::connect(&mut scene, "rogue", PROTOCOL_ID + 1);
    assert!(rogue.netcode.is_connecting());
    assert!(scene.count("refused_packets") > 0);
    assert_eq!(scene.count("packets_out"), 0);
}

/// Authentic packets whose inside would panic or fill the library cost their sender the connection.
#[test]
fn an_authentic_client_that_sends_poison_loses_only_its_own_connection() {
    let mut scene = Scene::new(config(1, 10));
    let alice = scene.add(connect(scene.net.addresses()[0], "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    let poisons = [
        slice(CHANNEL_CONTROL, 7, 2, 1_200),
        slice(CHANNEL_STATE, 7, 2, 1_200),
        slice(CHANNEL_STATE, 0, 1_000_000, 1_200),
        reliable(1 << 50, b"x"),
        reliable(0, b""),
        vec![0],
        vec![0xFF; 1_200],
        vec![1, 0, 9, 0, 1, 1, 1],
    ];
    for (index, poison) in poisons.iter().enumerate() {
        let mut rogue = Rogue::connect(&mut scene, "rogue", PROTOCOL_ID);
        assert!(rogue.netcode.is_connected());
        rogue.send(poison);
        let begin = Instant::now();
        while !rogue.netcode.is_disconnected() {
            assert!(begin.elapsed() < Duration::from_secs(30), "poison {index} was swallowed");
            rogue.pump(&mut scene);
        }
    }
    assert_eq!(scene.count("malformed_payloads"), poisons.len() as u64);
    assert_eq!(scene.count("protocol_violations"), poisons.len() as u64);
    assert_eq!(scene.net.fault(), None);
    is_heard(&mut scene, alice);
}

/// A flood of valid packets costs its sender the connection and others nothing.
#[test]
fn a_flooding_client_is_cut_off() {
    let mut scene = Scene::new(config(1, 10));
    let alice = scene.add(connect(scene.net.addresses()[0], "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    let mut rogue = Rogue::connect(&mut scene, "rogue", PROTOCOL_ID);
    for _ in 0..2_000 {
        rogue.send(&[4, 0, 0, 0, 0]);
    }
    let begin = Instant::now();
    while !rogue.netcode.is_disconnected() {
        assert!(begin.elapsed() < Duration::from_secs(30));
        rogue.pump(&mut scene);
    }
    assert!(scene.count("floods") >= 1);
    is_heard(&mut scene, alice);
}

/// One rogue message, by name, and the counter that must tell of it.
struct Case {
    name: &'static str,
    counter: &'static str,
    messages: Vec<(u8, Vec<u8>)>,
}

fn message_cases() -> Vec<Case> {
    let hello = || ClientControl::Hello {
        schema_hash: SCHEMA,
        version: "rogue".into(),
        device: DeviceId(1),
        heard: None,
    };
    let greeted = |more: &mut dyn FnMut(&mut EnvelopeWriter) -> (u8, Vec<u8>)| {
        let mut writer = EnvelopeWriter::default();
        let first = (CHANNEL_CONTROL, writer.seal(&hello()));
        vec![first, more(&mut writer)]
    };
    let control = |bytes: Vec<u8>| (CHANNEL_CONTROL, bytes);
    let case = |name, counter, messages| Case { name, counter, messages };
    vec![
        case("garbage instead of hello", "malformed", vec![control(vec![0xAB; 300])]),
        case(
            "no hello first",
            "out_of_order",
            vec![control(EnvelopeWriter::default().seal(&ClientControl::Bye))],
        ),
        case(
            "hello with bytes behind it",
            "malformed",
            vec![control({
                let mut bytes = EnvelopeWriter::default().seal(&hello());
                bytes.push(0);
                bytes
            })],
        ),
        case(
            "a length that claims gigabytes",
            "malformed",
            vec![control(vec![0, 1, 0, 0, 253, 255, 255, 255, 255, 255, 255, 255, 255])],
        ),
        case("hello twice", "out_of_order", greeted(&mut |writer| control(writer.seal(&hello())))),
        case(
            "a number again",
            "duplicate_seq",
            greeted(&mut |_| control(EnvelopeWriter::default().seal(&hello()))),
        ),
        case(
            "a number skipped",
            "skipped_seq",
            greeted(&mut |writer| {
                let _ = writer.seal(&ClientControl::Bye);
                control(writer.seal(&ClientControl::Bye))
            }),
        ),
        case(
            "an epoch of nobody",
            "unknown_epoch",
            greeted(&mut |writer| {
                writer.set_epoch(u32::MAX);
                control(writer.seal(&ClientControl::Bye))
            }),
        ),
        case(
            "a state of nobody",
            "unknown_epoch",
            greeted(&mut |_| {
                (CHANNEL_STATE, codec::encode(&ClientState { epoch: u32::MAX, seq: 1, ..Default::default() }))
            }),
        ),
        case("a garbled state", "malformed", greeted(&mut |_| (CHANNEL_STATE, vec![0xEE; 200]))),
    ]
}

/// H2, A8: messages that no client of ours says end their connection, with the reason, and only it.
#[test]
fn a_session_that_talks_nonsense_is_told_and_ended() {
    let mut scene = Scene::new(config(1, 10));
    let server = scene.net.addresses()[0];
    let alice = scene.add(connect(server, "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    for case in message_cases() {
        let before = scene.count(case.counter);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let identity = Identity::player(player("rogue"));
        let open = Authentication::Open;
        let token = issue_token(&open, &identity, &[server], now, Duration::from_secs(60)).unwrap();
        let mut link = UdpClientLink::connect(token, Conditions::default()).unwrap();
        let mut messages = case.messages.into_iter();
        let begin = Instant::now();
        let mut refused = false;
        while link.end().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(30), "{} was swallowed", case.name);
            // One at a time, because a state can overtake a hello.
            if let Some((channel, bytes)) = messages.next() {
                link.send(channel, bytes);
            }
            link.update(Duration::from_millis(5));
            link.flush();
            for _ in 0..8 {
                scene.step();
            }
            while let Some((_, bytes)) = link.receive() {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                refused |= !text.is_empty();
            }
        }
        assert_eq!(scene.count(case.counter), before + 1, "{}", case.name);
        assert!(refused, "{}: it is told why", case.name);
    }
    assert_eq!(scene.count("protocol_violations"), message_cases().len() as u64);
    assert_eq!(scene.ended(alice), None);
    is_heard(&mut scene, alice);
}

/// A8: what a client sent before its session changed is dropped and counted, and costs it nothing.
#[test]
fn a_stale_epoch_costs_nothing_but_the_message() {
    let mut scene = Scene::new(config(1, 10));
    let alice = scene.add(connect(scene.net.addresses()[0], "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    let connection = scene.admitted[0];
    // The session changes on the server; the client has not heard of it and speaks in the old one.
    scene.to_send.push(ToNet::SetEpoch { connection, epoch: 9 });
    for _ in 0..4 {
        scene.step();
    }
    scene.clients[alice].send_control(&ClientControl::Bye).unwrap();
    scene.until("it was counted", |scene| scene.count("stale_epoch") == 1);
    let message = super::udp_tests::welcome(&player("alice"), 9);
    assert!(matches!(message, ServerControl::Welcome(_)));
    scene.to_send.push(ToNet::Control { connection, message });
    scene.until("alice is in again", |scene| scene.clients[alice].epoch() == 9);
    is_heard(&mut scene, alice);
}
