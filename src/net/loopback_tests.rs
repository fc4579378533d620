//! The loopback's promises, in seeded simulations.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::exchange::{EndReason, FromNet, ToNet, Transport};
use super::{Identity, Loopback, LoopbackConditions};
use crate::client::{Connection, Ended, ServerEvent};
use crate::ids::{ConnectionId, DeviceId, PlayerId};
use crate::protocol::messages::{ClientControl, ClientState, Refusal, ServerControl};

const SCHEMA: u64 = 5;

struct Scene {
    net: Loopback,
    client: Connection,
    events: Vec<FromNet>,
    heard: Vec<ServerEvent>,
    to_send: Vec<ToNet>,
}

impl Scene {
    fn new(conditions: LoopbackConditions, seed: u64) -> Self {
        let net = Loopback::new(SCHEMA, "server-1", 4, conditions, seed);
        let identity = Identity::player(PlayerId::new("alice").unwrap());
        let link = net.port().connect(identity);
        let client = Connection::resuming(Box::new(link), SCHEMA, "client-1", DeviceId(1), None);
        Self { net, client, events: Vec::new(), heard: Vec::new(), to_send: Vec::new() }
    }

    fn tick(&mut self) {
        let begin = self.events.len();
        self.net.receive(&mut self.events);
        for event in &self.events[begin..] {
            if let FromNet::Connected { connection, player, .. } = event {
                let (connection, epoch) = (*connection, 3);
                let message = crate::net::udp_tests::welcome(player, epoch);
                self.to_send.push(ToNet::SetEpoch { connection, epoch });
                self.to_send.push(ToNet::Control { connection, message });
            }
        }
        self.net.send(&mut self.to_send);
        self.client.update(Duration::ZERO);
        self.heard.extend(self.client.poll());
        self.client.flush();
    }
}

/// Everything that was heard on both ends in a run of 200 ticks in which both talk.
fn run(conditions: LoopbackConditions, seed: u64) -> Scene {
    let mut scene = Scene::new(conditions, seed);
    for tick in 0..200u64 {
        scene.tick();
        if scene.client.epoch() == 0 || tick > 120 {
            continue;
        }
        scene.client.send_state(ClientState { ack_newest: tick as u32, ..Default::default() }).unwrap();
        scene
            .client
            .send_control(&ClientControl::AuditReport {
                audit: tick as u32,
                outcome: crate::protocol::messages::AuditOutcome::Equal,
            })
            .unwrap();
        let connection = ConnectionId(1);
        let bytes = Bytes::from(tick.to_le_bytes().to_vec());
        scene.to_send.push(ToNet::Update { connection, bytes });
        let message = ServerControl::Notice(tick.to_string());
        scene.to_send.push(ToNet::Control { connection, message });
    }
    scene
}

fn bad(loss: f32, delay_ticks: u64, jitter_ticks: u64) -> LoopbackConditions {
    LoopbackConditions { loss, duplicate: loss, delay_ticks, jitter_ticks }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A8: whatever the network does, reliable messages come once and in order, states never go back.
    #[test]
    fn order_survives_a_bad_network(seed: u64, loss in 0.0f32..0.4, delay in 0..6u64, jitter in 0..6u64) {
        let scene = run(bad(loss, delay, jitter), seed);
        let reports: Vec<u32> = scene.events.iter().filter_map(|event| match event {
            FromNet::Control { payload: ClientControl::AuditReport { audit, .. }, .. } => Some(*audit),
            _ => None,
        }).collect();
        let notices: Vec<u32> = scene.heard.iter().filter_map(|event| match event {
            ServerEvent::Control(ServerControl::Notice(text)) => text.parse().ok(),
            _ => None,
        }).collect();
        let states: Vec<u32> = scene.events.iter().filter_map(|event| match event {
            FromNet::State { state, .. } => Some(state.seq),
            _ => None,
        }).collect();
        let first = *reports.first().expect("the client got in");
        prop_assert_eq!(&reports, &(first..=120).collect::<Vec<_>>());
        prop_assert_eq!(&notices, &reports);
        prop_assert!(states.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", states);
        prop_assert_eq!(scene.net.counters().protocol_violations.get(), 0);
    }

    #[test]
    fn the_same_seed_is_the_same_run(seed: u64) {
        let (a, b) = (run(bad(0.2, 2, 5), seed), run(bad(0.2, 2, 5), seed));
        prop_assert_eq!(a.events, b.events);
        prop_assert_eq!(a.heard, b.heard);
    }
}

#[test]
fn an_ideal_link_takes_no_time() {
    let mut scene = Scene::new(LoopbackConditions::default(), 0);
    scene.tick();
    assert_eq!(scene.client.epoch(), 3, "hello, admission and welcome within one tick");
    scene.to_send.push(ToNet::Update { connection: ConnectionId(1), bytes: Bytes::from_static(b"u") });
    scene.tick();
    assert_eq!(scene.heard.last(), Some(&ServerEvent::Update(Bytes::from_static(b"u"))));
}

#[test]
fn the_refusal_and_the_end_are_told_on_both_sides() {
    let mut scene = Scene::new(bad(0.3, 2, 2), 7);
    while scene.client.epoch() == 0 {
        scene.tick();
    }
    let refusal = Refusal::TimedOut { seconds: 3 };
    scene.to_send.push(ToNet::Refuse { connection: ConnectionId(1), refusal: refusal.clone() });
    for _ in 0..100 {
        scene.tick();
    }
    let ended = ServerEvent::Disconnected(Ended::Refused(refusal.clone()));
    assert_eq!(scene.heard.iter().filter(|event| **event == ended).count(), 1);
    let reason = EndReason::Refused(refusal);
    assert!(scene.events.contains(&FromNet::Disconnected { connection: ConnectionId(1), reason }));
    assert_eq!(scene.net.players(), 0);
}

#[test]
fn a_client_that_goes_is_missed() {
    let mut scene = Scene::new(LoopbackConditions::default(), 0);
    scene.tick();
    scene.client.close();
    scene.tick();
    let gone = FromNet::Disconnected { connection: ConnectionId(1), reason: EndReason::Left };
    assert_eq!(scene.events.last(), Some(&gone));
}

#[test]
fn a_client_that_never_listens_is_too_slow() {
    let mut scene = Scene::new(LoopbackConditions::default(), 0);
    scene.tick();
    let message = ServerControl::Notice("hello".into());
    for _ in 0..5_000 {
        scene.to_send.push(ToNet::Control { connection: ConnectionId(1), message: message.clone() });
    }
    scene.net.send(&mut scene.to_send);
    scene.net.receive(&mut scene.events);
    assert!(matches!(
        scene.events.last(),
        Some(FromNet::Disconnected { reason: EndReason::Refused(Refusal::TooSlow { .. }), .. })
    ));
}
