//! Why packets are looked at before the libraries get them, and that what is let through harms none of them.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proptest::prelude::*;
use renet_netcode::{ClientAuthentication, ServerAuthentication, ServerConfig};
use renetcode::{NetcodeClient, NetcodeServer, ServerResult};

use super::vet::{self, FROM_CLIENT};
use crate::protocol::messages::{CHANNEL_CONTROL, CHANNEL_STATE, PROTOCOL_ID};

const CLIENT_ADDRESS: &str = "127.0.0.1:3000";

/// A netcode server and a client connected to it, without sockets.
fn connected_pair() -> (NetcodeServer, NetcodeClient) {
    let address: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    let from: SocketAddr = CLIENT_ADDRESS.parse().unwrap();
    let mut server = NetcodeServer::new(ServerConfig {
        current_time: Duration::ZERO,
        max_clients: 4,
        protocol_id: PROTOCOL_ID,
        public_addresses: vec![address],
        authentication: ServerAuthentication::Unsecure,
    });
    let authentication = ClientAuthentication::Unsecure {
        protocol_id: PROTOCOL_ID,
        client_id: 1,
        server_addr: address,
        user_data: None,
    };
    let mut client = NetcodeClient::new(Duration::ZERO, authentication).unwrap();
    while !client.is_connected() {
        let Some((packet, _)) = client.update(Duration::from_millis(300)) else { continue };
        let answer = match server.process_packet(from, packet) {
            ServerResult::PacketToSend { payload, .. } | ServerResult::ClientConnected { payload, .. } => {
                Some(payload.to_vec())
            }
            _ => None,
        };
        if let Some(mut answer) = answer {
            client.process_packet(&mut answer);
        }
    }
    (server, client)
}

/// Packets that panic netcode when they seem to come from a connected client, which anybody can claim.
pub(super) fn packets_that_panic() -> Vec<Vec<u8>> {
    let mut long_sequence = vec![0u8; 40];
    long_sequence[0] = 0xF5;
    let mut short_body = vec![0u8; 18];
    short_body[0] = 0x85;
    vec![long_sequence, short_body]
}

/// Why shards look at packets first. When this fails, netcode has been mended and `vet::packet` may go.
#[test]
fn netcode_panics_on_packets_that_anybody_can_send_and_none_of_them_gets_to_it() {
    for packet in packets_that_panic() {
        let (mut server, _client) = connected_pair();
        let from = CLIENT_ADDRESS.parse().unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            server.process_packet(from, &mut packet.clone());
        }));
        assert!(panicked.is_err(), "{packet:?}");
        assert_eq!(vet::packet(&packet), Err(vet::BadPacket::Malformed));
    }
}

/// renet's varint, as wide as asked.
fn varint(value: u64) -> Vec<u8> {
    (value | 3 << 62).to_be_bytes().to_vec()
}

pub(super) fn slice(channel: u8, index: u64, slices: u64, bytes: usize) -> Vec<u8> {
    let kind = if channel == CHANNEL_CONTROL { 2 } else { 3 };
    let head = [vec![kind, 0, channel, 0], varint(index), varint(slices), varint(bytes as u64)].concat();
    [head, vec![1; bytes]].concat()
}

pub(super) fn reliable(id: u64, message: &[u8]) -> Vec<u8> {
    [vec![0, 0, CHANNEL_CONTROL, 0, 1], varint(id), varint(message.len() as u64), message.to_vec()].concat()
}

/// Why shards look inside authentic packets too.
#[test]
fn renet_panics_on_a_slice_outside_its_message_and_none_gets_to_it() {
    for channel in [CHANNEL_CONTROL, CHANNEL_STATE] {
        let payload = slice(channel, 7, 2, 1_200);
        let mut server = renet::RenetServer::new(super::connection_config());
        server.add_connection(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| server.process_packet_from(&payload, 1)));
        assert!(panicked.is_err());
        assert!(vet::payload(&payload, FROM_CLIENT, 0).is_err());
    }
}

#[test]
fn what_a_client_really_sends_is_let_through() {
    assert_eq!(vet::payload(&reliable(5, b"hello"), FROM_CLIENT, 5), Ok(()));
    let mut client = renet::RenetClient::new(super::connection_config());
    client.set_connected();
    for length in [1, 60, 700, 1_024] {
        client.send_message(CHANNEL_CONTROL, vec![1; length]);
        client.send_message(CHANNEL_STATE, vec![2; length]);
    }
    let packets = client.get_packets_to_send();
    assert!(packets.len() >= 2);
    for packet in packets {
        assert_eq!(vet::payload(&packet, FROM_CLIENT, 0), Ok(()));
    }
}

#[test]
fn messages_far_ahead_empty_or_followed_by_bytes_are_refused() {
    assert!(vet::payload(&reliable(1 << 40, b"x"), FROM_CLIENT, 0).is_err());
    assert!(vet::payload(&reliable(0, b""), FROM_CLIENT, 0).is_err());
    assert!(vet::payload(&reliable(0, &[0; 1_025]), FROM_CLIENT, 0).is_err());
    assert!(vet::payload(&[reliable(0, b"x"), vec![0]].concat(), FROM_CLIENT, 0).is_err());
    assert!(vet::payload(&slice(CHANNEL_CONTROL, 0, 2, 1_200), FROM_CLIENT, 0).is_err());
    assert!(vet::payload(&[9], FROM_CLIENT, 0).is_err());
    assert!(vet::payload(&[], FROM_CLIENT, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_passes_the_vet_panics_neither_library(
        mut packet in proptest::collection::vec(any::<u8>(), 0..120), kind in 0..7u8, sequence_bytes in 0..16u8,
    ) {
        if let Some(first) = packet.first_mut() {
            *first = sequence_bytes << 4 | kind;
        }
        if vet::packet(&packet).is_ok() {
            let (mut server, _client) = connected_pair();
            server.process_packet(CLIENT_ADDRESS.parse().unwrap(), &mut packet.clone());
        }
        if let Some(first) = packet.first_mut() {
            *first = kind;
        }
        if vet::payload(&packet, FROM_CLIENT, 0).is_ok() {
            let mut server = renet::RenetServer::new(super::connection_config());
            server.add_connection(1);
            let _ = server.process_packet_from(&packet, 1);
            while server.receive_message(1, CHANNEL_CONTROL).is_some() {}
            let _ = server.get_packets_to_send(1);
        }
    }
}
