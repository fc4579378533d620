//! A shard's link with clients on real sockets, in time that is moved by hand.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::bounds::Addresses;
use super::link::{LinkEvent, ServerLink};
use super::udp_tests::player;
use super::{
    Authentication, ClientLink, Conditions, Identity, NetCounters, NetLimits, UdpClientLink, issue_token,
};
use crate::protocol::messages::CHANNEL_STATE;

const STEP: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_secs(10);

/// A link and one client, which is connected.
struct Pair {
    link: ServerLink,
    client: UdpClientLink,
    id: u64,
}

#[expect(clippy::disallowed_methods, reason = "tokens expire by the calendar")]
fn pair() -> Pair {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let (address, open) = (socket.local_addr().unwrap(), Authentication::Open);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let bounds = (NetLimits::default(), Arc::new(Addresses::new(None)));
    let mut link = ServerLink::new(socket, 4, address, &open, now, Arc::new(NetCounters::default()), bounds);
    let identity = Identity::player(player("alice"));
    let token = issue_token(&open, &identity, &[address], now, Duration::from_secs(60)).unwrap();
    let mut client = UdpClientLink::connect(token, Conditions::default()).unwrap();
    for _ in 0..50 {
        client.update(STEP);
        let mut events = Vec::new();
        link.receive(STEP, &mut events);
        if let Some(LinkEvent::Connected { client: id, .. }) = events.first() {
            let id = *id;
            client.update(STEP);
            return Pair { link, client, id };
        }
    }
    panic!("the client does not get in");
}

/// Tells the client something at the beginning and, where `again`, ten times a second; it sends all the time. After how long
/// the link thinks it deaf, in a minute.
fn deaf_after(reads: bool, says: bool, again: bool) -> Option<Duration> {
    let Pair { mut link, mut client, id } = pair();
    let begin = link.now();
    if says {
        link.send_control(id, vec![7; 100]);
    }
    for _ in 0..600 {
        if again {
            link.send_control(id, vec![7; 10]);
        }
        link.flush();
        if reads {
            client.update(STEP);
            while client.receive().is_some() {}
        }
        client.send(CHANNEL_STATE, vec![1; 8]);
        client.flush();
        let mut events = Vec::new();
        link.receive(STEP, &mut events);
        link.maintain(SILENCE, &mut events);
        for event in events {
            match event {
                LinkEvent::Deaf { client } if client == id => return Some(link.now() - begin),
                LinkEvent::Message { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    None
}

/// H3: who says that it is there and never reads is given up after as long as one who is silent, whether it is told much or
/// little; who reads is not, and neither is one who is told nothing.
#[test]
fn who_never_reads_is_found_out_as_soon_as_who_is_silent() {
    for again in [false, true] {
        let after = deaf_after(false, true, again).expect("it is found out");
        assert!((SILENCE..=SILENCE + 3 * STEP).contains(&after), "{after:?}");
        assert_eq!(deaf_after(true, true, again), None, "it reads");
    }
    assert_eq!(deaf_after(false, false, false), None, "there is nothing that it could have read");
}
