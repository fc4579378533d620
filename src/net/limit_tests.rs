//! Limits and tokens over real sockets: who takes too much, who comes back, and whom it costs nothing.

#![expect(clippy::disallowed_methods, reason = "tests of real sockets wait in real time")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::auth::SecretKey;
use super::exchange::{EndReason, FromNet, ToNet, Transport};
use super::udp_tests::{SCHEMA, Scene, config, connect, player, welcome};
use super::{
    Authentication, ClientLink, Conditions, Identity, LinkEnd, NetConfig, NetLimits, Token, UdpClientLink,
    UdpNet, issue_token,
};
use crate::client::reconnect::{Again, Dial, UdpDial, UdpWay};
use crate::client::{Connection, Ended, ServerEvent};
use crate::ids::Role;
use crate::limits::CLIENT_QUEUE_MAX;
use crate::protocol::codec;
use crate::protocol::messages::Resume;
use crate::protocol::messages::{CHANNEL_STATE, ClientState, Refusal, ServerControl};

fn secured(reconnect_token: Duration) -> (NetConfig, Authentication) {
    let key = SecretKey::new(*b"a key for tests, thirty-two long");
    let limits = NetLimits { reconnect_token, ..NetLimits::default() };
    let config = NetConfig { key: Some(key.clone()), limits, ..config(2, 100) };
    (config, Authentication::Secured(key))
}

fn first_token(scene: &Scene, authentication: &Authentication) -> Token {
    let identity = Identity { player: player("gm"), role: Role::Gm, resume: None, since_s: 0 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    issue_token(authentication, &identity, &scene.net.addresses(), now, Duration::from_secs(60)).unwrap()
}

fn tokens(scene: &Scene, client: usize) -> Vec<String> {
    let told = scene.heard[client].iter().filter_map(|event| match event {
        ServerEvent::Control(ServerControl::Reconnect { token }) => Some(token.clone()),
        _ => None,
    });
    told.collect()
}

/// D1: the server itself gives a player what leads back into the session: with its role, behind the welcome, and anew
/// before it expires. One that has expired leads nowhere.
#[test]
fn reconnect_tokens_lead_back_and_are_renewed_and_expire() {
    let (config, authentication) = secured(Duration::from_secs(2));
    let mut scene = Scene::new(config);
    let first = first_token(&scene, &authentication);
    let mut dial = UdpDial::new(UdpWay::Token(Box::new(first)), SCHEMA, "client-1", Conditions::default());
    let gm = scene.add(dial.first().unwrap());
    scene.until("it was renewed", |scene| tokens(scene, gm).len() >= 3);
    let given = tokens(&scene, gm);
    assert!(given.windows(2).all(|pair| pair[0] != pair[1]), "each is another");
    assert!(matches!(&scene.heard[gm][0], ServerEvent::Control(ServerControl::Welcome(_))), "not before");
    assert_eq!(Token::parse(&given[0]).unwrap().addresses().count(), 2, "it names every shard");

    // The first is too old by now, the newest is not.
    let old =
        Connection::with_token(Token::parse(&given[0]).unwrap(), SCHEMA, "client-1", Conditions::default());
    let old = scene.add(old.unwrap());
    scene.clients[gm].cut();
    let again = Again {
        resume: Some(Resume { epoch: 1, heard: 7 }),
        token: given.last().map(String::as_str),
        attempt: 0,
    };
    let back = scene.add(dial.dial(&again).unwrap());
    scene.until("it is back", |scene| scene.is_welcome(back));
    let resumed = |event: &FromNet| {
        matches!(
            event,
            FromNet::Connected { player, role: Role::Gm, resume: Some(Resume { epoch: 1, heard: 7 }), .. }
                if player.as_str() == "gm"
        )
    };
    assert_eq!(scene.events.iter().filter(|event| resumed(event)).count(), 1);
    scene.until("there is one for the new session", |scene| !tokens(scene, back).is_empty());
    scene.until("the old one leads nowhere", |scene| scene.ended(old).is_some());
    let ended = scene.ended(old).unwrap();
    assert!(matches!(ended, Ended::Link(LinkEnd::TokenExpired | LinkEnd::NoAnswer(_))), "{ended}");
    assert!(scene.count("reconnect_tokens") >= 4);
}

/// D1, H3: who came in a day ago is given tokens that end with the day, whichever shard it comes back to; who comes in now has
/// the whole time.
#[test]
fn who_came_in_long_ago_is_given_tokens_that_end_with_its_login() {
    let (config, authentication) = secured(Duration::from_secs(60));
    let login_s = config.limits.login.as_secs();
    let mut scene = Scene::new(config);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut expiry_for = |name: &str, since_s: u64| {
        let identity = Identity { role: Role::Gm, since_s, ..Identity::player(player(name)) };
        let addresses = scene.net.addresses();
        let token =
            issue_token(&authentication, &identity, &addresses, now, Duration::from_secs(60)).unwrap();
        let client = Connection::with_token(token, SCHEMA, "client-1", Conditions::default()).unwrap();
        let client = scene.add(client);
        scene.until("it has a token", |scene| !tokens(scene, client).is_empty());
        Token::parse(&tokens(&scene, client)[0]).unwrap().0.expire_timestamp
    };
    let since_s = now.as_secs() - login_s + 30;
    assert_eq!(expiry_for("since yesterday", since_s), since_s + login_s);
    assert!(expiry_for("new", 0) >= now.as_secs() + 60);
}

/// A token is taken from one address only: an attempt that failed halfway is repeated from the same.
#[test]
fn an_attempt_is_repeated_from_where_it_was_made_first() {
    let (config, authentication) = secured(Duration::from_secs(60));
    let mut scene = Scene::new(config);
    let first = first_token(&scene, &authentication);
    let mut dial = UdpDial::new(UdpWay::Token(Box::new(first)), SCHEMA, "client-1", Conditions::default());
    let mut halfway = dial.first().unwrap();
    // Its request is seen, and nothing more of it.
    let begin = scene.count("packets_in");
    while scene.count("packets_in") == begin {
        halfway.update(Duration::from_millis(5));
        scene.step();
    }
    halfway.cut();
    drop(halfway);
    let gm = scene.add(dial.first().unwrap());
    scene.until("it is in", |scene| scene.is_welcome(gm));
}

#[test]
fn on_an_open_server_nobody_is_given_tokens() {
    let mut scene = Scene::new(config(1, 10));
    let alice = scene.add(connect(scene.net.addresses()[0], "alice"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    for _ in 0..20 {
        scene.step();
    }
    assert_eq!(tokens(&scene, alice), [] as [String; 0]);
}

/// H3: an address holds so many connections, those that say nothing included, and gives each back.
#[test]
fn an_address_holds_only_so_many_connections() {
    let limits = NetLimits { connections_per_address: Some(3), ..NetLimits::default() };
    let mut scene = Scene::new(NetConfig { limits, ..config(2, 100) });
    let addresses = scene.net.addresses();
    let silent = link(addresses[0], "silent", None);
    let mut silent = silent;
    while scene.count("connections") == 0 {
        silent.update(Duration::from_millis(5));
        scene.step();
    }
    let alice = scene.add(connect(addresses[0], "alice"));
    let bob = scene.add(connect(addresses[1], "bob"));
    scene.until("both are in", |scene| scene.is_welcome(alice) && scene.is_welcome(bob));
    let carol = scene.add(connect(addresses[1], "carol"));
    scene.until("carol knows", |scene| scene.ended(carol).is_some());
    assert_eq!(scene.ended(carol), Some(&Ended::Refused(Refusal::AddressLimit { most: 3 })));
    assert_eq!(scene.count("refused_address"), 1);
    let elsewhere = Connection::over(Box::new(link(addresses[1], "dave", Some("127.0.0.7:0"))), SCHEMA, "c");
    let dave = scene.add(elsewhere);
    scene.until("dave is in", |scene| scene.is_welcome(dave));
    scene.clients[bob].close();
    scene.until("bob's place is free", |scene| {
        scene.events.iter().any(|event| matches!(event, FromNet::Disconnected { .. }))
    });
    let carol = scene.add(connect(addresses[0], "carol"));
    scene.until("carol is in", |scene| scene.is_welcome(carol));
}

fn link(server: SocketAddr, name: &str, from: Option<&str>) -> UdpClientLink {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let identity = Identity::player(player(name));
    let token =
        issue_token(&Authentication::Open, &identity, &[server], now, Duration::from_secs(60)).unwrap();
    let from = from.unwrap_or("127.0.0.1:0").parse().unwrap();
    UdpClientLink::connect_from(token, Conditions::default(), from).unwrap()
}

/// H3: who sends more bytes, or more messages, than anybody needs is told and cut off; who sends less is not.
#[test]
fn more_bytes_or_messages_than_allowed_are_a_flood() {
    let few = NetLimits { client_bytes_per_s: 16_384, client_messages_per_s: 200, ..NetLimits::default() };
    for (bytes_each, messages, what) in [(1_000, 60, "bytes"), (10, 420, "messages")] {
        let mut scene = Scene::new(NetConfig { limits: few, ..config(1, 10) });
        let address = scene.net.addresses()[0];
        let (alice, bob) = (scene.add(connect(address, "alice")), scene.add(connect(address, "bob")));
        scene.until("both are in", |scene| scene.is_welcome(alice) && scene.is_welcome(bob));
        let state = |bytes| ClientState { inputs: vec![(1, vec![0; bytes])], ..ClientState::default() };
        for _ in 0..messages {
            // Beyond what waits in its own queue a client is not let send anyway.
            let _ = scene.clients[alice].send_state(state(bytes_each));
            scene.clients[alice].flush();
        }
        for _ in 0..20 {
            scene.clients[bob].send_state(state(100)).unwrap();
            scene.step();
        }
        scene.until("alice knows", |scene| scene.ended(alice).is_some());
        let told = format!("it sent too many {what} in a second");
        assert_eq!(scene.ended(alice), Some(&Ended::Refused(Refusal::Protocol(told.clone()))));
        assert_eq!(scene.count("floods"), 1);
        let reason = EndReason::Refused(Refusal::Protocol(told));
        let knows =
            |event: &FromNet| matches!(event, FromNet::Disconnected { reason: why, .. } if *why == reason);
        scene.until("the tick knows", |scene| scene.events.iter().any(knows));
        assert!(scene.ended(bob).is_none());
    }
}

const HONEST: usize = 20;
const TICK: Duration = Duration::from_millis(50);

/// What honest clients got beside the abuse.
#[derive(Debug, Default)]
struct Got {
    updates: u64,
    updates_missed: u64,
    notices: u64,
    notices_missed: u64,
    ended: u64,
    interval_us: Vec<u64>,
}

struct Honest {
    connection: Connection,
    first: Option<u64>,
    last: u64,
    at: Instant,
    notices: u64,
}

/// Honest clients, each from an address of its own, until `stop`.
fn play(server: SocketAddr, stop: &AtomicBool, playing: &AtomicU64) -> Got {
    let mut got = Got::default();
    let mut clients: Vec<Honest> = (0..HONEST)
        .map(|number| {
            let from = format!("127.0.1.{}:0", number + 1);
            let link = link(server, &format!("honest {number}"), Some(&from));
            let connection = Connection::over(Box::new(link), SCHEMA, "client-1");
            Honest { connection, first: None, last: 0, at: Instant::now(), notices: 0 }
        })
        .collect();
    let mut last = Instant::now();
    let mut state_at = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(2));
        let elapsed = last.elapsed();
        last += elapsed;
        let acts = state_at.elapsed() > Duration::from_secs(1) / 60;
        if acts {
            state_at = Instant::now();
        }
        for client in &mut clients {
            client.connection.update(elapsed);
            for event in client.connection.poll() {
                match event {
                    ServerEvent::Update(bytes) => {
                        let tick = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                        if client.first.is_some() {
                            got.updates_missed += tick - client.last - 1;
                            got.interval_us.push(client.at.elapsed().as_micros() as u64);
                        } else {
                            client.first = Some(tick);
                            playing.fetch_add(1, Ordering::Relaxed);
                        }
                        (client.last, client.at) = (tick, Instant::now());
                        got.updates += 1;
                    }
                    ServerEvent::Control(ServerControl::Notice(text)) => {
                        let number: u64 = text.parse().unwrap();
                        got.notices_missed += u64::from(client.notices != 0 && number != client.notices + 1);
                        client.notices = number;
                        got.notices += 1;
                    }
                    ServerEvent::Disconnected(_) => got.ended += 1,
                    ServerEvent::Control(_) => {}
                }
            }
            if acts {
                let inputs = vec![(1, vec![0; 60])];
                let _ = client.connection.send_state(ClientState { inputs, ..ClientState::default() });
            }
            client.connection.flush();
        }
    }
    got.interval_us.sort_unstable();
    got
}

/// One that floods with a hundred times what it may, again and again; one that never reads; and one that opens 500
/// connections. Gives how often each was begun.
fn abuse(server: SocketAddr, stop: &AtomicBool) -> (u64, u64) {
    let state = |seq| {
        let inputs = vec![(1, vec![0; 200])];
        codec::encode(&ClientState { epoch: 1, seq, inputs, ..ClientState::default() })
    };
    let flooder = || link(server, "flooder", Some("127.0.2.1:0"));
    let mut flood = flooder();
    let (mut floods, mut opened, mut seq) = (1, 0, 0);
    let mut deaf = Connection::over(Box::new(link(server, "deaf", Some("127.0.2.2:0"))), SCHEMA, "client-1");
    let mut many: Vec<UdpClientLink> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
        let elapsed = Duration::from_millis(5);
        flood.update(elapsed);
        if flood.end().is_some() {
            flood = flooder();
            floods += 1;
        }
        // 30,000 a second.
        for _ in 0..150 {
            seq += 1;
            flood.send(CHANNEL_STATE, state(seq));
            flood.flush();
        }
        if deaf.epoch() == 0 {
            deaf.update(elapsed);
            deaf.poll();
        } else {
            let _ = deaf.send_state(ClientState::default());
        }
        deaf.flush();
        if opened < 500 {
            for _ in 0..10 {
                many.push(link(server, &format!("many {opened}"), Some("127.0.2.3:0")));
                opened += 1;
            }
        }
        for link in &mut many {
            link.update(elapsed);
        }
    }
    (floods, opened)
}

/// Bytes that this process holds in memory.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}

fn abused(duration: Duration) -> Got {
    let limits = NetLimits { connections_per_address: Some(16), ..NetLimits::default() };
    let mut net = UdpNet::start(NetConfig { limits, ..config(1, 600) }).unwrap();
    let server = net.addresses()[0];
    let (stop, playing) = (AtomicBool::new(false), AtomicU64::new(0));
    let counters = net.counters();
    let mut most = (0, 0, 0);
    let (got, (floods, opened)) = std::thread::scope(|scope| {
        let honest = scope.spawn(|| play(server, &stop, &playing));
        let mut begun = None;
        let mut rogue = None;
        let (mut tick, mut due, mut resident) = (0u64, Instant::now(), 0);
        let mut players = Vec::new();
        let mut events = Vec::new();
        loop {
            tick += 1;
            net.receive(&mut events);
            most.0 = most.0.max(events.len());
            most.1 = most.1.max(net.connections());
            let mut out = Vec::new();
            for event in events.drain(..) {
                match event {
                    FromNet::Connected { connection, player, .. } => {
                        // Every session is the first of its connection: the flood's states name epoch 1.
                        players.push((connection, player.as_str().starts_with("deaf")));
                        out.push(ToNet::SetEpoch { connection, epoch: 1 });
                        out.push(ToNet::Control { connection, message: welcome(&player, 1) });
                    }
                    FromNet::Disconnected { connection, .. } => {
                        players.retain(|(other, _)| *other != connection)
                    }
                    _ => {}
                }
            }
            let mut update = vec![7; 600];
            update[..8].copy_from_slice(&tick.to_le_bytes());
            let update = Bytes::from(update);
            for &(connection, is_deaf) in &players {
                let text = if is_deaf { "x".repeat(4_000) } else { tick.to_string() };
                out.push(ToNet::Update { connection, bytes: update.clone() });
                out.push(ToNet::Control { connection, message: ServerControl::Notice(text) });
            }
            net.send(&mut out);
            if begun.is_none() && playing.load(Ordering::Relaxed) == HONEST as u64 {
                (begun, resident) = (Some(Instant::now()), resident_bytes());
                rogue = Some(scope.spawn(|| abuse(server, &stop)));
            }
            most.2 = most.2.max(resident_bytes().saturating_sub(resident));
            if begun.is_some_and(|begun| begun.elapsed() > duration) {
                break;
            }
            due = (due + TICK).max(Instant::now());
            std::thread::sleep(due - Instant::now());
        }
        stop.store(true, Ordering::Relaxed);
        (honest.join().unwrap(), rogue.expect("begun").join().unwrap())
    });
    let percentile = |percent: usize| {
        let at = got.interval_us.len() * percent / 100;
        got.interval_us.get(at).map_or(0.0, |us| *us as f64 / 1_000.0)
    };
    println!(
        "{} honest clients beside {floods} floods, {opened} connections of one address and one that never reads: update \
         interval p50 {:.1} ms, p99 {:.1} ms; {} updates, {} missed; most at once: {} events, {} connections; {} KiB more \
         memory",
        HONEST,
        percentile(50),
        percentile(99),
        got.updates,
        got.updates_missed,
        most.0,
        most.1,
        most.2 / 1_024,
    );
    let count = |name: &str| counters.each().find(|counter| counter.0 == name).unwrap().2;
    assert_eq!(net.fault(), None);
    assert!(count("floods") > 0, "the flood is cut off");
    assert!(count("refused_address") >= 400, "{} connections are refused", count("refused_address"));
    assert!(count("too_slow") > 0, "who never reads is given up");
    assert!(most.1 <= HONEST + 2 + 16 + 4 + 2, "{} connections at a time", most.1);
    assert!(most.0 <= (most.1 + 2) * (CLIENT_QUEUE_MAX + 2), "{} events in one tick", most.0);
    assert!(most.2 < 96 << 20, "{} bytes of memory more", most.2);
    got
}

fn unharmed(got: &Got) {
    assert_eq!((got.ended, got.notices_missed), (0, 0), "{} updates", got.updates);
    assert_eq!(got.updates_missed, 0, "of {} updates", got.updates);
    assert!(got.notices > 0 && got.updates > 0);
}

/// H3: abuse costs its author the connection, and honest clients nothing: they get every update and every message.
#[test]
fn abuse_of_every_kind_harms_nobody_else() {
    const ALONE: &str = "TERRANE_ABUSED_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return unharmed(&abused(Duration::from_secs(4)));
    }
    // In a process of its own: other tests of this one take memory too.
    let name = "net::limit_tests::abuse_of_every_kind_harms_nobody_else";
    let itself = std::env::current_exe().unwrap();
    let output =
        std::process::Command::new(itself).args(["--exact", name, "--nocapture"]).env(ALONE, "1").output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "{told}");
}

/// The same for as long as a figure needs.
#[test]
#[ignore = "half a minute, for a figure"]
fn abuse_for_half_a_minute_harms_nobody_else() {
    unharmed(&abused(Duration::from_secs(30)));
}
