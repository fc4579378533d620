//! Real sockets on loopback: a server's shards and clients that connect to them.

#![expect(clippy::disallowed_methods, reason = "tests of real sockets wait in real time")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use glam::Vec2;

use super::exchange::{EndReason, FromNet, ToNet, Transport};
use super::{Conditions, NetConfig, NetLimits, UdpNet};
use crate::client::{Connection, Ended, ServerEvent};
use crate::driver::Exchange;
use crate::ids::{ActionId, ConnectionId, NetId, PlayerId, Role};
use crate::net::LinkEnd;
use crate::protocol::messages::{ClientControl, ClientState, Refusal, ServerControl, Welcome};
use crate::server::io::{Join, TickInput};
use crate::space::Area;

pub(super) const SCHEMA: u64 = 0x5EED;
/// How long a test waits for what must come, before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn config(shards: u16, players_max: u32) -> NetConfig {
    NetConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        public: None,
        shards,
        players_max,
        key: None,
        schema_hash: SCHEMA,
        version: "server-1".into(),
        limits: NetLimits::default(),
    }
}

pub(super) fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}

pub(super) fn connect(address: SocketAddr, name: &str) -> Connection {
    Connection::open(address, player(name), SCHEMA, "client-1", Conditions::default()).unwrap()
}

pub(crate) fn welcome(player: &PlayerId, epoch: u32) -> ServerControl {
    ServerControl::Welcome(Welcome {
        player: player.clone(),
        epoch,
        resumed: false,
        ids_after: ActionId(0),
        grace_s: 30,
        avatar: NetId(7),
        world: "test".into(),
        hz: 20,
        area: Area { min: Vec2::ZERO, max: Vec2::splat(100.0) },
        enter_radius_m: 10.0,
        leave_radius_m: 12.0,
    })
}

/// A driver that admits everybody, and the clients that it serves.
pub(super) struct Scene {
    pub(super) net: UdpNet,
    pub(super) clients: Vec<Connection>,
    pub(super) heard: Vec<Vec<ServerEvent>>,
    pub(super) events: Vec<FromNet>,
    pub(super) to_send: Vec<ToNet>,
    pub(super) admitted: Vec<ConnectionId>,
    last: Instant,
}

impl Scene {
    pub(super) fn new(config: NetConfig) -> Self {
        Self {
            net: UdpNet::start(config).unwrap(),
            clients: Vec::new(),
            heard: Vec::new(),
            events: Vec::new(),
            to_send: Vec::new(),
            admitted: Vec::new(),
            last: Instant::now(),
        }
    }

    pub(super) fn add(&mut self, client: Connection) -> usize {
        self.clients.push(client);
        self.heard.push(Vec::new());
        self.clients.len() - 1
    }

    /// One tick: everybody receives, is admitted and sends.
    pub(super) fn step(&mut self) {
        std::thread::sleep(Duration::from_millis(5));
        let elapsed = self.last.elapsed();
        self.last += elapsed;
        let begin = self.events.len();
        self.net.receive(&mut self.events);
        for event in &self.events[begin..] {
            if let FromNet::Connected { connection, player, .. } = event {
                self.admitted.push(*connection);
                let (connection, epoch) = (*connection, self.admitted.len() as u32);
                self.to_send.push(ToNet::SetEpoch { connection, epoch });
                self.to_send.push(ToNet::Control { connection, message: welcome(player, epoch) });
            }
        }
        self.net.send(&mut self.to_send);
        for (client, heard) in self.clients.iter_mut().zip(&mut self.heard) {
            client.update(elapsed);
            heard.extend(client.poll());
            client.flush();
        }
    }

    /// Steps until it is so.
    pub(super) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Scene) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
            assert_eq!(self.net.fault(), None);
            self.step();
        }
    }

    pub(super) fn ended(&self, client: usize) -> Option<&Ended> {
        self.heard[client].iter().find_map(|event| match event {
            ServerEvent::Disconnected(ended) => Some(ended),
            _ => None,
        })
    }

    pub(super) fn is_welcome(&self, client: usize) -> bool {
        self.clients[client].epoch() > 0
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.net.counters().each().find(|counter| counter.0 == name).unwrap().2
    }
}

#[test]
fn a_player_connects_plays_and_leaves() {
    let mut scene = Scene::new(config(1, 10));
    let address = scene.net.addresses()[0];
    let alice = scene.add(connect(address, "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    assert!(matches!(
        &scene.events[0],
        FromNet::Connected { player, role: Role::Player, resume: None, shard: 0, .. } if player.as_str() == "alice"
    ));
    let connection = scene.admitted[0];

    let notice = ServerControl::Notice("hello alice".into());
    scene.to_send.push(ToNet::Control { connection, message: notice.clone() });
    scene.to_send.push(ToNet::Update { connection, bytes: Bytes::from_static(b"an update") });
    scene.until("both came", |scene| {
        scene.heard[alice].contains(&ServerEvent::Control(notice.clone()))
            && scene.heard[alice].contains(&ServerEvent::Update(Bytes::from_static(b"an update")))
    });

    // A record too long for one datagram is sliced.
    let record = ServerControl::Record { update_seq: 1, bytes: vec![5; 4_800] };
    scene.to_send.push(ToNet::Control { connection, message: record.clone() });
    scene
        .until("the record came", |scene| scene.heard[alice].contains(&ServerEvent::Control(record.clone())));

    let state = ClientState { ack_newest: 9, inputs: vec![(3, vec![1, 2])], ..ClientState::default() };
    scene.clients[alice].send_state(state).unwrap();
    scene.until("the state came", |scene| {
        scene.events.iter().any(|event| {
            matches!(event, FromNet::State { state, .. } if state.ack_newest == 9 && state.epoch == 1)
        })
    });

    scene.clients[alice].send_control(&ClientControl::Bye).unwrap();
    scene.clients[alice].close();
    scene.until("the server knows", |scene| {
        scene.events.contains(&FromNet::Disconnected { connection, reason: EndReason::Left })
    });
    let bye = FromNet::Control { connection, epoch: 1, payload: ClientControl::Bye };
    assert!(scene.events.contains(&bye), "what was said before leaving is heard");
    assert_eq!(scene.net.players(), 0);
    assert_eq!(scene.heard[alice].last(), Some(&ServerEvent::Disconnected(Ended::Link(LinkEnd::ClosedHere))));
}

/// D6: a client of another schema is refused, and both versions are named to it.
#[test]
fn a_client_of_another_game_is_told_so() {
    let mut scene = Scene::new(config(1, 10));
    let address = scene.net.addresses()[0];
    let client = Connection::open(address, player("eve"), 1, "client-9", Conditions::default()).unwrap();
    let eve = scene.add(client);
    scene.until("eve is refused", |scene| scene.ended(eve).is_some());
    let text = scene.ended(eve).unwrap().to_string();
    assert!(text.contains("client-9") && text.contains("server-1"), "{text}");
    assert_eq!(scene.events, [], "the tick never hears of it");
    assert_eq!(scene.count("wrong_schema"), 1);
}

#[test]
fn a_refusal_of_the_tick_reaches_the_player_in_words() {
    let mut scene = Scene::new(config(1, 10));
    let alice = scene.add(connect(scene.net.addresses()[0], "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    let connection = scene.admitted[0];
    scene.to_send.push(ToNet::Refuse { connection, refusal: Refusal::TakenOver });
    scene.until("alice knows", |scene| scene.ended(alice).is_some());
    assert_eq!(scene.ended(alice), Some(&Ended::Refused(Refusal::TakenOver)));
    // The client may know before the tick does.
    let told = FromNet::Disconnected { connection, reason: EndReason::Refused(Refusal::TakenOver) };
    scene.until("the tick knows", |scene| scene.events.contains(&told));
}

#[test]
fn a_full_world_and_a_draining_one_say_so() {
    let mut scene = Scene::new(config(1, 1));
    let address = scene.net.addresses()[0];
    let alice = scene.add(connect(address, "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    let bob = scene.add(connect(address, "bob"));
    scene.until("bob may be anybody", |scene| scene.is_welcome(bob));
    let refusal = Refusal::Full { players: 1 };
    scene.to_send.push(ToNet::Refuse { connection: scene.admitted[1], refusal: refusal.clone() });
    scene.until("bob knows", |scene| scene.ended(bob).is_some());
    assert_eq!(scene.ended(bob), Some(&Ended::Refused(refusal)));
    assert_eq!(scene.count("refused_full"), 1);
    scene.net.drain();
    let carol = scene.add(connect(address, "carol"));
    scene.until("carol knows", |scene| scene.ended(carol).is_some());
    assert_eq!(scene.ended(carol), Some(&Ended::Refused(Refusal::Draining)));
    assert!(scene.ended(alice).is_none());
}

#[test]
fn a_client_that_takes_nothing_is_too_slow_and_harms_nobody() {
    let mut scene = Scene::new(config(1, 10));
    let address = scene.net.addresses()[0];
    let alice = scene.add(connect(address, "alice"));
    let bob = scene.add(connect(address, "bob"));
    scene.until("both are in", |scene| scene.is_welcome(alice) && scene.is_welcome(bob));
    // Bob's process hangs.
    let FromNet::Connected { connection, .. } = scene
        .events
        .iter()
        .find(|event| matches!(event, FromNet::Connected { player, .. } if player.as_str() == "bob"))
        .unwrap()
        .clone()
    else {
        unreachable!()
    };
    let hanging = scene.clients.remove(bob);
    for _ in 0..200 {
        let message = ServerControl::Notice("x".repeat(1_000));
        scene.to_send.push(ToNet::Control { connection, message });
    }
    scene.until("bob is given up", |scene| {
        scene.events.iter().any(|event| {
            matches!(event, FromNet::Disconnected { reason: EndReason::Refused(Refusal::TooSlow { .. }), .. })
        })
    });
    assert_eq!(scene.count("too_slow"), 1);
    assert!(scene.ended(alice).is_none());
    drop(hanging);
}

#[test]
fn when_the_server_ends_its_clients_know() {
    let mut scene = Scene::new(config(2, 10));
    let addresses = scene.net.addresses();
    let alice = scene.add(connect(addresses[0], "alice"));
    let bob = scene.add(connect(addresses[1], "bob"));
    scene.until("both are in", |scene| scene.is_welcome(alice) && scene.is_welcome(bob));
    let Scene { net, mut clients, mut heard, .. } = scene;
    drop(net);
    let begin = Instant::now();
    while heard.iter().any(|heard| !matches!(heard.last(), Some(ServerEvent::Disconnected(_)))) {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
        for (client, heard) in clients.iter_mut().zip(&mut heard) {
            client.update(Duration::from_millis(5));
            heard.extend(client.poll());
        }
    }
    for heard in heard {
        assert_eq!(heard.last(), Some(&ServerEvent::Disconnected(Ended::Link(LinkEnd::ClosedByServer))));
    }
}

/// A world that ends waits until everybody was told, also where a fifth of all packets is lost in each direction:
/// what a player then knows is why, and not merely that the connection is gone.
#[test]
fn a_world_that_ends_is_heard_of_also_over_lossy_links() {
    const CLIENTS: usize = 60;
    let net = UdpNet::start(config(1, CLIENTS as u32)).unwrap();
    let address = net.addresses()[0];
    let mut exchange = Exchange::default();
    exchange.add(Box::new(net));
    let mut clients: Vec<Connection> = (0..CLIENTS)
        .map(|number| {
            let conditions = Conditions { loss: 0.2, seed: number as u64, ..Conditions::default() };
            let name = player(&format!("player{number}"));
            Connection::open(address, name, SCHEMA, "client-1", conditions).unwrap()
        })
        .collect();
    let (welcome_to, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(5));
                for client in &mut clients {
                    client.update(Duration::from_millis(5));
                    client.poll();
                    client.flush();
                }
                let count = clients.iter().filter(|client| client.epoch() > 0).count();
                welcome_to.store(count, Ordering::Release);
            }
        });
        let (begin, mut admitted) = (Instant::now(), Vec::new());
        while welcome_to.load(Ordering::Acquire) < CLIENTS {
            assert!(begin.elapsed() < PATIENCE, "all are in");
            std::thread::sleep(Duration::from_millis(5));
            let (mut input, mut messages) = (TickInput::default(), Vec::new());
            exchange.gather(&mut input);
            for Join { connection, player, .. } in input.joins {
                admitted.push(connection);
                let epoch = admitted.len() as u32;
                messages.push(ToNet::SetEpoch { connection, epoch });
                messages.push(ToNet::Control { connection, message: welcome(&player, epoch) });
            }
            exchange.dispatch(&mut messages);
        }
        assert_eq!(exchange.connections(), CLIENTS);
        let tell = |&connection| ToNet::Refuse { connection, refusal: Refusal::Draining };
        exchange.dispatch(&mut admitted.iter().map(tell).collect());
        exchange.see_off(|| {});
        drop(exchange);
        std::thread::sleep(Duration::from_millis(100));
        stopped.store(true, Ordering::Release);
    });
    let told = |client: &&Connection| client.ended() == Some(&Ended::Refused(Refusal::Draining));
    let told = clients.iter().filter(told).count();
    assert!(told + 1 >= CLIENTS, "{told} of {CLIENTS} were told");
}

#[test]
fn a_connection_survives_loss_delay_and_jitter() {
    let mut scene = Scene::new(config(1, 10));
    let address = scene.net.addresses()[0];
    let conditions = Conditions {
        loss: 0.2,
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(30),
        seed: 1,
    };
    let client = Connection::open(address, player("alice"), SCHEMA, "client-1", conditions).unwrap();
    let alice = scene.add(client);
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    let connection = scene.admitted[0];
    let notices: Vec<ServerControl> = (0..50).map(|n| ServerControl::Notice(n.to_string())).collect();
    for message in &notices {
        scene.to_send.push(ToNet::Control { connection, message: message.clone() });
    }
    scene.until("all came", |scene| scene.heard[alice].len() > notices.len());
    let came: Vec<&ServerControl> = scene.heard[alice]
        .iter()
        .filter_map(|event| match event {
            ServerEvent::Control(message @ ServerControl::Notice(_)) => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(came, notices.iter().collect::<Vec<_>>(), "once each and in order");
}

/// A12: one world holds more clients than one netcode server can.
#[test]
fn more_than_1024_clients_connect_over_shards() {
    const CLIENTS: usize = 1_100;
    let mut scene = Scene::new(config(2, CLIENTS as u32));
    let addresses = scene.net.addresses();
    for index in 0..CLIENTS {
        scene.add(connect(addresses[index % 2], &format!("player{index}")));
    }
    scene.until("all are in", |scene| (0..CLIENTS).all(|client| scene.is_welcome(client)));
    assert_eq!(scene.net.players(), CLIENTS as u32);
    let connections = scene.admitted.clone();
    for connection in connections {
        scene.to_send.push(ToNet::Update { connection, bytes: Bytes::from(vec![1; 1_000]) });
    }
    scene.until("most have had an update", |scene| {
        let updated = scene
            .heard
            .iter()
            .filter(|heard| heard.iter().any(|event| matches!(event, ServerEvent::Update(_))))
            .count();
        updated > CLIENTS * 9 / 10
    });
    let lost = (0..CLIENTS).filter(|&client| scene.ended(client).is_some()).count();
    assert_eq!(lost, 0);
}
