//! Packets to messages and back: everything between a socket and the tick.
//!
//! *Does*: knows clients by their tokens, checks every packet, envelope and first message, keeps each
//! connection within its bounds, and exchanges one batch a tick with the driver ([`FromNet`], [`ToNet`]).
//! *Does not*: know sessions, entities or actions. *Reads*: sockets, connect tokens. *Writes*: sockets,
//! [`NetCounters`]. The only user of renet and netcode.
//!
//! One shard is one thread, socket, port, netcode server and renet server: netcode holds at most 1,024 clients
//! and searches them one by one. [`UdpNet`] starts the shards, [`Loopback`] is the same boundary without
//! sockets; both put every message through a `Peer`, so what a test sees is what a client gets.
//!
//! A shard drives netcode and renet itself instead of through `NetcodeServerTransport`: that reads its socket
//! until it is empty, whoever fills it, and hands packets on that make netcode and renet panic (see `vet`).
//!
//! No reply to an unauthenticated packet is larger than that packet: netcode answers only complete connection
//! requests (1,078 bytes) with a valid token, by a challenge (at most 333 bytes) or a denial (at most 25), and
//! a response (at most 333) by a keep-alive (at most 33).

pub mod auth;
pub mod bounds;
pub mod client_link;
pub mod conditions;
pub mod counters;
pub mod envelope;
pub mod exchange;
pub mod handshake;
pub mod identity;
pub mod loopback;
pub mod udp;

mod link;
mod peer;
mod shard;
mod socket;
mod tokens;
mod vet;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod loopback_tests;
#[cfg(test)]
mod token_tests;
#[cfg(test)]
pub(crate) mod udp_tests;
#[cfg(test)]
mod vet_tests;

pub use auth::{Authentication, SecretKey, Token, issue_token};
pub use bounds::NetLimits;
pub use client_link::{ClientLink, LinkEnd, UdpClientLink};
pub use conditions::Conditions;
pub use counters::NetCounters;
pub use exchange::{EndReason, FromNet, ToNet, Transport};
pub use identity::Identity;
pub use loopback::{Loopback, LoopbackConditions};
pub use shard::REFUSAL_GRACE;
pub use udp::{NetConfig, NetError, UdpNet};

use std::time::Duration;

use renet::{ChannelConfig, ConnectionConfig, SendType};

use crate::limits::{
    CLIENT_MESSAGE_BYTES_MAX, FIRST_SYNC_UPDATES_PER_TICK_MAX, RECORD_BYTES_MAX, UPDATE_BYTES_MAX,
};
use crate::protocol::messages::{CHANNEL_CONTROL, CHANNEL_STATE};

/// Most bytes of one reliable message to a client, envelope included.
pub const SERVER_CONTROL_BYTES_MAX: usize = 8_192;

/// Bytes of updates that one client may be sent between two ticks' packets.
const STATE_MEMORY_BYTES: usize = 16 * 1024;
/// Bytes of reliable messages that may wait for one client: more means it does not keep up.
const SERVER_CONTROL_MEMORY_BYTES: usize = 128 * 1024;
/// Kept free of the former, so that there is room to tell a client that it is too slow.
const REFUSAL_RESERVE_BYTES: usize = 2 * 1024;
/// Bytes of messages from one client that may wait, per channel, on either end.
const CLIENT_MEMORY_BYTES: usize = 64 * 1024;
/// renet sends at most this much per call. State goes first, so an update that was accepted is never dropped.
const BYTES_PER_FLUSH_MAX: usize = STATE_MEMORY_BYTES + 32 * 1024;
/// After how long an unanswered reliable message is sent again.
const RESEND_AFTER: Duration = Duration::from_millis(250);
/// renet would send a packet of acks with every flush; they only stop resends, so they can wait this long.
const ACK_INTERVAL: Duration = Duration::from_millis(100);

const _: () = assert!(SERVER_CONTROL_BYTES_MAX > RECORD_BYTES_MAX + 64);
const _: () = assert!(SERVER_CONTROL_BYTES_MAX <= 8 * 1_200);
const _: () = assert!(STATE_MEMORY_BYTES > FIRST_SYNC_UPDATES_PER_TICK_MAX * UPDATE_BYTES_MAX);
const _: () = assert!(CLIENT_MEMORY_BYTES > 16 * CLIENT_MESSAGE_BYTES_MAX);
const _: () = assert!(ACK_INTERVAL.as_millis() < RESEND_AFTER.as_millis());

fn connection_config() -> ConnectionConfig {
    let channel = |channel_id, max_memory_usage_bytes, send_type| ChannelConfig {
        channel_id,
        max_memory_usage_bytes,
        send_type,
    };
    let reliable = SendType::ReliableOrdered { resend_time: RESEND_AFTER };
    ConnectionConfig {
        available_bytes_per_tick: BYTES_PER_FLUSH_MAX as u64,
        server_channels_config: vec![
            channel(CHANNEL_STATE, STATE_MEMORY_BYTES, SendType::Unreliable),
            channel(CHANNEL_CONTROL, SERVER_CONTROL_MEMORY_BYTES, reliable.clone()),
        ],
        client_channels_config: vec![
            channel(CHANNEL_STATE, CLIENT_MEMORY_BYTES, SendType::Unreliable),
            channel(CHANNEL_CONTROL, CLIENT_MEMORY_BYTES, reliable),
        ],
    }
}
