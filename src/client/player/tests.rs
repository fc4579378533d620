//! A player against a scripted server that keeps to the protocol of sessions: what outlives a connection, and what
//! does not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::{Player, PlayerNews};
use crate::client::connection::{Connection, ConnectionError, Ended};
use crate::client::reconnect::{Again, Reconnect, ReconnectPolicy};
use crate::ids::{ActionId, ConnectionId, DeviceId, PlayerId};
use crate::net::loopback::LoopbackPort;
use crate::net::udp_tests::welcome;
use crate::net::{FromNet, Identity, LinkEnd, Loopback, LoopbackConditions, ToNet, Transport};
use crate::protocol::messages::Resume;
use crate::protocol::messages::{
    ActionCall, ActionReply, ClientControl, Health, Refusal, ServerControl, Welcome,
};
use crate::replication::Schema;
use crate::server::ServerBuilder;

const TICK: Duration = Duration::from_millis(50);

/// One player's session, as a server that keeps what was not heard.
struct Scripted {
    net: Loopback,
    epoch: u32,
    /// Those by which the session can be named: a welcome may be lost with its connection.
    epochs: BTreeSet<u32>,
    connection: Option<ConnectionId>,
    /// Everything lasting of this session.
    said: Vec<ServerControl>,
    forgets: bool,
    ids_after: ActionId,
    came: Vec<(Option<Resume>, bool)>,
    calls: Vec<ActionId>,
    heard: u64,
}

impl Scripted {
    fn new(conditions: LoopbackConditions, seed: u64) -> Self {
        Self {
            net: Loopback::new(SCHEMA, "server-1", 9, conditions, seed),
            epoch: 0,
            epochs: BTreeSet::new(),
            connection: None,
            said: Vec::new(),
            forgets: false,
            ids_after: ActionId(0),
            came: Vec::new(),
            calls: Vec::new(),
            heard: 0,
        }
    }

    fn tick(&mut self) {
        let mut events = Vec::new();
        self.net.receive(&mut events);
        let mut out = Vec::new();
        for event in events {
            match event {
                FromNet::Connected { connection, player, resume, .. } => {
                    self.admit(connection, &player, resume, &mut out);
                }
                FromNet::Control { payload: ClientControl::Action(call), epoch, .. }
                    if epoch == self.epoch =>
                {
                    self.calls.push(call.id);
                }
                FromNet::State { state, .. } if state.epoch == self.epoch => {
                    assert!(state.heard >= self.heard, "what was heard stays heard");
                    assert!(state.heard <= self.said.len() as u64, "only what was said is heard");
                    self.heard = state.heard;
                }
                FromNet::Disconnected { connection, .. } if self.connection == Some(connection) => {
                    self.connection = None;
                }
                _ => {}
            }
        }
        self.net.send(&mut out);
    }

    fn admit(
        &mut self,
        connection: ConnectionId,
        player: &PlayerId,
        resume: Option<Resume>,
        out: &mut Vec<ToNet>,
    ) {
        self.epoch += 1;
        let goes_on = resume.filter(|resume| !self.forgets && self.epochs.contains(&resume.epoch));
        self.came.push((resume, goes_on.is_some()));
        if goes_on.is_none() {
            self.epochs.clear();
            self.said.clear();
            self.heard = 0;
        }
        self.epochs.insert(self.epoch);
        self.connection = Some(connection);
        let ServerControl::Welcome(plain) = welcome(player, self.epoch) else { unreachable!() };
        let told = Welcome { resumed: goes_on.is_some(), ids_after: self.ids_after, ..plain };
        out.push(ToNet::SetEpoch { connection, epoch: self.epoch });
        out.push(ToNet::Control { connection, message: ServerControl::Welcome(told) });
        let heard = goes_on.map_or(0, |resume| resume.heard as usize);
        out.extend(
            self.said[heard..].iter().map(|message| ToNet::Control { connection, message: message.clone() }),
        );
    }

    fn say(&mut self, message: ServerControl) {
        if message.is_lasting() {
            self.said.push(message.clone());
        }
        if let Some(connection) = self.connection {
            self.net.send(&mut vec![ToNet::Control { connection, message }]);
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let connection = self.connection.take().expect("connected");
        self.net.send(&mut vec![ToNet::Refuse { connection, refusal }]);
    }

    fn reply(&mut self, id: ActionId) {
        self.say(ServerControl::Reply(ActionReply { id, as_of: 0, result: Ok(Vec::new()) }));
    }
}

const SCHEMA: u64 = 5;

fn schema() -> Arc<Schema> {
    Arc::new(ServerBuilder::default().learn().expect("an empty game").schema.clone())
}

fn identity(resume: Option<Resume>) -> Identity {
    let alice = PlayerId::new("alice").expect("a name");
    Identity { resume: resume.map(|resume| resume.epoch), ..Identity::player(alice) }
}

fn connection(port: &LoopbackPort, resume: Option<Resume>) -> Connection {
    let link = port.connect(identity(resume));
    Connection::resuming(Box::new(link), SCHEMA, "client-1", DeviceId(1), resume.map(|resume| resume.heard))
}

struct Scene {
    server: Scripted,
    player: Player,
    dialled: Arc<AtomicU32>,
}

impl Scene {
    fn new(conditions: LoopbackConditions, seed: u64) -> Self {
        let server = Scripted::new(conditions, seed);
        let port = server.net.port();
        let player =
            Player::new(connection(&port, None), schema(), seed).begun_at(Duration::from_secs(1_000));
        let dialled = Arc::new(AtomicU32::new(0));
        let counted = dialled.clone();
        let dial = move |again: &Again<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, ConnectionError>(connection(&port, again.resume))
        };
        let player = player.with_reconnect(Reconnect::new(dial, ReconnectPolicy::default(), seed));
        Self { server, player, dialled }
    }

    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.player.send();
            self.server.tick();
            self.player.receive(TICK);
        }
    }

    fn call(&mut self, id: u128) -> ActionId {
        let call = ActionCall { id: ActionId(id), kind: 0, payload: Vec::new() };
        self.player.call(call).expect("it is taken");
        ActionId(id)
    }

    fn news(&mut self) -> Vec<PlayerNews> {
        self.player.news().collect()
    }
}

fn notice(number: u32) -> ServerControl {
    ServerControl::Notice(number.to_string())
}

/// D1: over a lost connection nothing that was said is missed or comes twice, and what was asked is asked again.
#[test]
fn a_session_that_goes_on_misses_nothing() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    let asked = scene.call(7);
    scene.server.say(notice(0));
    scene.run(2);
    assert_eq!(scene.server.calls, [asked]);
    assert_eq!(scene.server.heard, 1, "the client says what it heard");
    scene.player.cut(Duration::ZERO);
    for number in 1..4 {
        scene.server.say(notice(number));
    }
    scene.server.reply(asked);
    scene.run(20);
    assert_eq!(scene.server.came[1], (Some(Resume { epoch: 1, heard: 1 }), true));
    assert_eq!(scene.player.notices().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert_eq!(scene.player.replies().map(|reply| reply.id).collect::<Vec<_>>(), [asked]);
    assert_eq!(scene.player.resume(), Some(Resume { epoch: 2, heard: 5 }));
    assert_eq!(scene.server.heard, 5);
    let lost = PlayerNews::Lost(Ended::Link(LinkEnd::Cut));
    assert_eq!(scene.news(), [PlayerNews::Connected, lost, PlayerNews::Resumed]);
    assert_eq!(scene.player.counts().surprising_replies, 0);
}

/// D1: where the server has forgotten the session, everything begins anew but for what was asked.
#[test]
fn a_session_that_is_forgotten_begins_anew_and_asks_again() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    scene.server.say(notice(0));
    let (first, answered, last) = (scene.call(1), scene.call(2), scene.call(3));
    scene.run(2);
    scene.server.reply(answered);
    scene.run(1);
    scene.server.forgets = true;
    scene.server.calls.clear();
    scene.player.cut(Duration::ZERO);
    scene.run(20);
    assert_eq!(scene.server.came[1], (Some(Resume { epoch: 1, heard: 2 }), false));
    assert_eq!(scene.server.calls, [first, last], "in order, and not what was answered");
    assert_eq!(scene.player.resume(), Some(Resume { epoch: 2, heard: 0 }), "it counts from the beginning");
    assert_eq!(scene.news().last(), Some(&PlayerNews::Connected));
}

#[test]
fn what_is_asked_while_the_connection_is_lost_is_asked_when_it_is_back() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    let before = scene.call(1);
    scene.run(3);
    assert_eq!(scene.server.calls, [before], "also what was asked before the player was in");
    scene.player.cut(Duration::from_secs(1));
    let meanwhile = scene.call(2);
    scene.run(10);
    assert!(scene.player.why_out().is_some() && scene.player.ended().is_none());
    scene.run(40);
    assert_eq!(scene.server.calls, [before, before, meanwhile]);
    assert!(scene.player.why_out().is_none());
}

/// D2: who was taken over, sent away or banned does not come back by itself.
#[test]
fn a_final_refusal_is_final() {
    let refusals = [
        Refusal::TakenOver,
        Refusal::Kicked("spam".into()),
        Refusal::Banned { why: "spam".into(), until_ms: Some(5) },
    ];
    for refusal in refusals {
        let mut scene = Scene::new(LoopbackConditions::default(), 1);
        scene.run(3);
        scene.server.refuse(refusal.clone());
        scene.run(400);
        assert_eq!(scene.player.ended(), Some(&Ended::Refused(refusal)));
        assert_eq!(scene.dialled.load(Ordering::Relaxed), 0);
        let call = ActionCall { id: ActionId(9), kind: 0, payload: Vec::new() };
        assert!(scene.player.call(call).is_err(), "it does not act any more");
        assert_eq!(scene.server.calls, []);
    }
}

#[test]
fn a_refusal_that_can_pass_is_waited_out() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    scene.server.refuse(Refusal::Draining);
    scene.run(20);
    assert_eq!(scene.news().last(), Some(&PlayerNews::Resumed));
    assert_eq!(scene.dialled.load(Ordering::Relaxed), 1);
}

#[test]
fn who_leaves_does_not_come_back() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    scene.player.leave();
    scene.run(400);
    assert_eq!(scene.player.ended(), Some(&Ended::Link(LinkEnd::ClosedHere)));
    assert_eq!(scene.dialled.load(Ordering::Relaxed), 0);
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    scene.player.cut(Duration::from_secs(5));
    scene.player.leave();
    scene.run(400);
    assert_eq!(scene.player.ended(), Some(&Ended::Link(LinkEnd::Cut)), "nor who leaves while it is out");
    assert_eq!(scene.dialled.load(Ordering::Relaxed), 0);
}

/// A client of a secured server, whose tokens say which session is meant; here each is that session's epoch.
fn scene_with_tokens() -> Scene {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    let port = scene.server.net.port();
    let dial = move |again: &Again<'_>| {
        let epoch = again.token.map(|token| token.parse().expect("an epoch"));
        let named = epoch.map(|epoch| Resume { epoch, heard: 0 });
        let heard = again.resume.map(|resume| resume.heard);
        let link = port.connect(identity(named));
        Ok::<_, ConnectionError>(Connection::resuming(Box::new(link), SCHEMA, "client-1", DeviceId(1), heard))
    };
    scene.player.reconnect = Some(Reconnect::new(dial, ReconnectPolicy::default(), 1));
    scene
}

fn give_token(scene: &mut Scene) {
    scene.server.say(ServerControl::Reconnect { token: scene.server.epoch.to_string() });
    scene.run(2);
}

/// D2: the token names an older session than the one whose state is held: to ask for that one to go on would pass for a
/// device that was taken over.
#[test]
fn a_token_of_an_older_session_does_not_resume_the_newer_one() {
    let mut scene = scene_with_tokens();
    scene.run(3);
    give_token(&mut scene);
    scene.server.forgets = true;
    scene.player.cut(Duration::ZERO);
    scene.run(20);
    scene.server.forgets = false;
    assert_eq!(scene.server.came[1], (Some(Resume { epoch: 1, heard: 0 }), false));
    // The link dies between the welcome and the token behind it.
    scene.server.say(notice(0));
    scene.run(2);
    scene.player.cut(Duration::ZERO);
    scene.run(20);
    assert_eq!(scene.server.came[2..], [(None, false)], "it comes as anybody does");
    // With the session's own token it goes on.
    give_token(&mut scene);
    scene.player.cut(Duration::ZERO);
    scene.run(20);
    assert_eq!(scene.server.came[3..], [(Some(Resume { epoch: 3, heard: 0 }), true)]);
}

/// D1: over another connection a session is the same: a token from before leads back to it.
#[test]
fn a_token_of_an_earlier_connection_resumes_the_session_that_went_on() {
    let mut scene = scene_with_tokens();
    scene.run(3);
    give_token(&mut scene);
    for came in 1..4 {
        scene.server.say(notice(came as u32));
        scene.run(2);
        scene.player.cut(Duration::ZERO);
        scene.run(100);
        assert_eq!(scene.server.came[came..], [(Some(Resume { epoch: 1, heard: came as u64 }), true)]);
    }
}

/// A server that resumes what nobody asked for would show one session's state in another's view.
#[test]
fn a_session_that_nobody_asked_for_does_not_go_on() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    let resume = scene.player.resume();
    let port = scene.server.net.port();
    let mut other = Player::new(connection(&port, resume), schema(), 2);
    other.come_back(Connection::over(Box::new(port.connect(identity(resume))), SCHEMA, "client-1"));
    let ServerControl::Welcome(plain) = welcome(&PlayerId::new("alice").expect("a name"), 9) else {
        unreachable!()
    };
    let mut events = Vec::new();
    for _ in 0..4 {
        other.send();
        scene.server.net.receive(&mut events);
        let mut out = Vec::new();
        for event in events.drain(..) {
            if let FromNet::Connected { connection, .. } = event {
                let message = ServerControl::Welcome(Welcome { resumed: true, ..plain.clone() });
                out.push(ToNet::SetEpoch { connection, epoch: 9 });
                out.push(ToNet::Control { connection, message });
            }
        }
        scene.server.net.send(&mut out);
        other.receive(TICK);
    }
    assert!(matches!(other.ended(), Some(Ended::Protocol(_))), "{:?}", other.ended());
}

/// Of an id below what the server has forgotten nothing would be known: none is used.
#[test]
fn names_of_actions_lie_above_what_the_server_has_forgotten() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.server.ids_after = ActionId(u128::from(u64::MAX / 2) << 64 | 5);
    scene.run(3);
    assert!(scene.player.calls.name(1_000_000) > scene.server.ids_after);
}

#[test]
fn health_is_told_when_it_changes_and_a_new_session_begins_well() {
    let mut scene = Scene::new(LoopbackConditions::default(), 1);
    scene.run(3);
    assert_eq!(scene.player.health(), &Health::Normal);
    let sick = Health::Degraded("saving is slow".into());
    scene.server.say(ServerControl::Health(sick.clone()));
    scene.run(1);
    assert_eq!(scene.player.health(), &sick);
    assert_eq!(scene.news(), [PlayerNews::Connected, PlayerNews::Health(sick)]);
    scene.player.cut(Duration::ZERO);
    scene.run(20);
    let lost = PlayerNews::Lost(Ended::Link(LinkEnd::Cut));
    assert_eq!(scene.news(), [lost, PlayerNews::Resumed, PlayerNews::Health(Health::Normal)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// D1: whatever the network does and whenever the connection is lost, everything that a session says is heard
    /// once, in order, and every action reaches the server.
    #[test]
    fn nothing_is_lost_or_doubled_over_any_number_of_lost_connections(
        seed: u64, loss in 0.0..0.3f32, delay_ticks in 0..4u64, cuts in prop::collection::vec(0..25u32, 1..12),
    ) {
        let conditions = LoopbackConditions { loss, duplicate: loss, delay_ticks, jitter_ticks: 1 };
        let mut scene = Scene::new(conditions, seed);
        let (mut said, mut asked) = (0, 0);
        scene.run(30);
        for pause in cuts {
            for _ in 0..pause {
                scene.server.say(notice(said));
                said += 1;
                asked += 1;
                scene.call(asked);
                scene.run(1);
            }
            scene.player.cut(Duration::ZERO);
        }
        scene.run(1_000);
        prop_assert!(scene.server.came.iter().skip(1).all(|(_, goes_on)| *goes_on));
        let heard: Vec<String> = scene.player.notices().collect();
        // Of notices that are not fetched the newest are kept.
        let first = said.saturating_sub(64);
        prop_assert_eq!(heard, (first..said).map(|number| number.to_string()).collect::<Vec<_>>());
        prop_assert_eq!(scene.player.resume().map(|resume| resume.heard), Some(u64::from(said)));
        let reached: BTreeSet<u128> = scene.server.calls.iter().map(|id| id.0).collect();
        prop_assert_eq!(reached, (1..=asked).collect::<BTreeSet<u128>>());
        prop_assert_eq!(scene.player.counts().decode_errors, 0);
    }
}
