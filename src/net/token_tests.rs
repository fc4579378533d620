//! Tokens over real sockets: who they let in, and where clients go that hold one.

#![expect(clippy::disallowed_methods, reason = "tests of real sockets wait in real time")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::auth::SecretKey;
use super::client_link::CONNECTS_WITHIN;
use super::exchange::{FromNet, Transport};
use super::udp_tests::*;
use super::{Authentication, Conditions, Identity, NetConfig, issue_token};
use crate::client::Connection;
use crate::ids::{DeviceId, Role};
use crate::net::LinkEnd;
use crate::protocol::messages::Resume;

fn secured(shards: u16) -> (NetConfig, Authentication) {
    let key = SecretKey::new(*b"a key for tests, thirty-two long");
    let mut config = config(shards, 100);
    config.key = Some(key.clone());
    (config, Authentication::Secured(key))
}

fn token_for(scene: &Scene, authentication: &Authentication, role: Role) -> Connection {
    let identity = Identity { player: player("gm"), role, resume: Some(5), since_s: 0 };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let addresses = scene.net.addresses();
    let token = issue_token(authentication, &identity, &addresses, now, Duration::from_secs(60)).unwrap();
    let token = super::Token::parse(&token.to_text()).unwrap();
    let link = super::UdpClientLink::connect(token, Conditions::default()).unwrap();
    Connection::resuming(Box::new(link), SCHEMA, "client-1", DeviceId(1), Some(3))
}

#[test]
fn a_token_carries_player_role_and_session_and_only_the_right_key_makes_one() {
    let (config, authentication) = secured(2);
    let mut scene = Scene::new(config);
    let gm = scene.add(token_for(&scene, &authentication, Role::Gm));
    let forged = Authentication::Secured(SecretKey::new([9; 32]));
    let forger = scene.add(token_for(&scene, &forged, Role::Admin));
    let stranger = scene.add(connect(scene.net.addresses()[0], "stranger"));
    scene.until("the gm is in", |scene| scene.is_welcome(gm));
    assert!(matches!(
        &scene.events[0],
        FromNet::Connected { player, role: Role::Gm, resume: Some(Resume { epoch: 5, heard: 3 }), .. }
            if player.as_str() == "gm"
    ));
    scene.until("others were refused", |scene| scene.count("refused_packets") >= 4);
    assert!(!scene.is_welcome(forger) && !scene.is_welcome(stranger));
    assert_eq!(scene.admitted.len(), 1);
}

/// On an open server a client writes its own token, so the role in it is worth nothing.
#[test]
fn on_an_open_server_everybody_is_an_ordinary_player() {
    let mut scene = Scene::new(config(1, 10));
    let liar = scene.add(token_for(&scene, &Authentication::Open, Role::Admin));
    scene.until("it is in", |scene| scene.is_welcome(liar));
    assert!(matches!(&scene.events[0], FromNet::Connected { role: Role::Player, .. }));
}

/// A token names every shard; a client that one shard denies tries the next.
#[test]
fn a_client_denied_by_a_full_shard_goes_to_the_next() {
    let (mut config, authentication) = secured(2);
    // 2 shards with 1 + 16 places each.
    config.players_max = 2;
    let mut scene = Scene::new(config);
    let first = scene.net.addresses()[0];
    let mut idle = Vec::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for index in 0..17 {
        // Connected to the first shard, but never flushed, so none says hello and takes a place in the world.
        let identity = Identity::player(player(&format!("idle{index}")));
        let token = issue_token(&authentication, &identity, &[first], now, Duration::from_secs(60)).unwrap();
        let mut link = super::UdpClientLink::connect(token, Conditions::default()).unwrap();
        let begin = Instant::now();
        let joined = scene.count("connections");
        while scene.count("connections") == joined {
            assert!(begin.elapsed() < PATIENCE);
            super::ClientLink::update(&mut link, Duration::from_millis(5));
            std::thread::sleep(Duration::from_millis(2));
        }
        idle.push(link);
    }
    let identity = Identity::player(player("alice"));
    let addresses = scene.net.addresses();
    let begins_at_first = (0..64)
        .map(|_| issue_token(&authentication, &identity, &addresses, now, Duration::from_secs(60)).unwrap())
        .find(|token| token.addresses().next() == Some(first))
        .expect("every shard is some token's first");
    let client = Connection::with_token(begins_at_first, SCHEMA, "client-1", Conditions::default()).unwrap();
    let alice = scene.add(client);
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    assert!(matches!(&scene.events[0], FromNet::Connected { shard: 1, .. }));
}

/// D1: a server that was started anew does not answer what was said to the one before it. A client that hears nothing goes on to
/// the next address soon, and where there is none, it says so.
#[test]
fn an_address_that_does_not_answer_is_passed_over() {
    let (config, authentication) = secured(1);
    let mut scene = Scene::new(config);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let identity = Identity::player(player("alice"));
    let link_to = |addresses: &[SocketAddr]| {
        let issue =
            || issue_token(&authentication, &identity, addresses, now, Duration::from_secs(60)).unwrap();
        let token = (0..64).map(|_| issue()).find(|token| token.addresses().next() == Some(silent));
        super::UdpClientLink::connect(token.expect("each is some token's first"), Conditions::default())
            .unwrap()
    };
    let wait = |link: &mut super::UdpClientLink| {
        for _ in 0..CONNECTS_WITHIN.as_millis() / 100 {
            assert_eq!(super::ClientLink::end(link), None);
            super::ClientLink::update(link, Duration::from_millis(100));
        }
    };
    let mut alone = link_to(&[silent]);
    wait(&mut alone);
    assert_eq!(super::ClientLink::end(&alone), Some(LinkEnd::NoAnswer(silent)));
    let mut link = link_to(&[silent, scene.net.addresses()[0]]);
    wait(&mut link);
    let alice = scene.add(Connection::over(Box::new(link), SCHEMA, "client-1"));
    scene.until("alice is in", |scene| scene.is_welcome(alice));
    wait_in(&mut scene, alice);
}

/// Who is in stays in, however long ago it began to connect.
fn wait_in(scene: &mut Scene, client: usize) {
    for _ in 0..20 {
        scene.clients[client].update(CONNECTS_WITHIN / 10);
        scene.step();
    }
    assert_eq!(scene.ended(client), None);
}
