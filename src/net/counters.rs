//! What the network counts. Telemetry reads it at any time; nothing here is ever reset.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::messages::Refusal;

/// A number that only grows. Relaxed: it is read for people, nothing is decided by it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn bump(&self) {
        self.add(1);
    }

    /// Its value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counters of all shards of a server together, or of one client.
        #[derive(Debug, Default)]
        pub struct NetCounters {
            $($(#[doc = $doc])+ pub $name: Counter,)+
        }

        impl NetCounters {
            /// Every counter by name, in order of declaration, with what it means.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
                [$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name.get()),)+].into_iter()
            }
        }
    };
}

impl NetCounters {
    /// Counts a connection that is told why it ends.
    pub(super) fn note_refusal(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Full { .. } => self.refused_full.bump(),
            Refusal::Protocol(_) => self.protocol_violations.bump(),
            _ => {}
        }
    }
}

counters! {
    /// Datagrams received.
    packets_in,
    /// Datagrams sent.
    packets_out,
    /// Bytes of datagrams received.
    bytes_in,
    /// Bytes of datagrams sent.
    bytes_out,
    /// Datagrams the operating system would not take.
    send_errors,
    /// Datagrams that are no netcode packet, refused before anything looks inside.
    malformed_packets,
    /// Datagrams longer than any netcode packet.
    oversize_packets,
    /// Well-formed packets that netcode refused: forged, replayed, expired, wrong key, protocol or address.
    refused_packets,
    /// Authentic packets whose inside no client of ours builds.
    malformed_payloads,
    /// Messages that do not decode, or have bytes left over.
    malformed,
    /// Messages longer than their limit.
    oversize,
    /// Messages of a session that is over.
    stale_epoch,
    /// Messages of a session that never was.
    unknown_epoch,
    /// Messages whose number was had before, or is older than the newest state.
    duplicate_seq,
    /// Reliable messages whose number skips some.
    skipped_seq,
    /// Messages before a hello, or hellos after it.
    out_of_order,
    /// Hellos of another schema.
    wrong_schema,
    /// Tokens whose user data names no player.
    bad_identity,
    /// Connections refused because the world is full.
    refused_full,
    /// Hellos refused because the server drains.
    refused_draining,
    /// Connections refused because their address has too many, or makes new ones too often.
    refused_address,
    /// Reconnect tokens issued.
    reconnect_tokens,
    /// Connections ended because they broke the protocol.
    protocol_violations,
    /// Connections ended because they did not take what waits for them.
    too_slow,
    /// Connections ended because nothing was heard.
    timed_out,
    /// Connections ended because they sent too many messages, packets or bytes.
    floods,
    /// Updates that were not sent because a queue was full; the view sends their content again.
    updates_dropped,
    /// Exchanges between a shard and the tick that found the queue full and were held back.
    queue_full,
    /// Connections that netcode accepted.
    connections,
    /// Players let in by a valid hello.
    hellos,
    /// Connections that ended, for whatever reason.
    disconnections,
}
