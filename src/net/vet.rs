//! Looks at the outside of packets before the libraries do.
//!
//! netcode and renet panic on some packets: a sequence longer than 8 bytes, a body shorter than its
//! authentication tag, a sequence near the end of `u64` (from anybody who can name the address of a connected
//! client), and, from an authentic client, a slice whose index lies outside its message. renet also keeps
//! empty messages far ahead in a reliable stream without counting them. None of that gets past this module.

use crate::limits::CLIENT_MESSAGE_BYTES_MAX;
use crate::protocol::messages::{CHANNEL_CONTROL, CHANNEL_STATE};

/// Largest netcode packet.
pub(super) const PACKET_BYTES_MAX: usize = 1_400;
/// Size of a connection request: type, version, protocol, expiry, nonce and the sealed token.
pub(super) const REQUEST_BYTES: usize = 1 + 13 + 8 + 8 + 24 + 1_024;
const TAG_BYTES: usize = 16;
const SLICE_BYTES: usize = 1_200;
const SEQUENCE_MAX: u64 = 1 << 62;

/// netcode's packet types, as far as their number matters here.
pub(super) mod packet_type {
    pub(in crate::net) const REQUEST: u8 = 0;
    pub(in crate::net) const KEEP_ALIVE: u8 = 4;
    pub(in crate::net) const LAST: u8 = 6;
}

/// Why a datagram is no netcode packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPacket {
    Oversize,
    Malformed,
}

/// The type of a datagram that netcode can safely be given.
pub(super) fn packet(bytes: &[u8]) -> Result<u8, BadPacket> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(BadPacket::Oversize);
    }
    let &prefix = bytes.first().ok_or(BadPacket::Malformed)?;
    let (kind, sequence_bytes) = (prefix & 0xF, usize::from(prefix >> 4));
    if kind == packet_type::REQUEST {
        return if bytes.len() == REQUEST_BYTES { Ok(kind) } else { Err(BadPacket::Malformed) };
    }
    if kind > packet_type::LAST || sequence_bytes > 8 || bytes.len() < 1 + sequence_bytes + TAG_BYTES {
        return Err(BadPacket::Malformed);
    }
    // netcode itself asks for two bytes before the tag.
    if bytes.len() < 2 + TAG_BYTES {
        return Err(BadPacket::Malformed);
    }
    let mut sequence = [0u8; 8];
    sequence[..sequence_bytes].copy_from_slice(&bytes[1..=sequence_bytes]);
    if u64::from_le_bytes(sequence) >= SEQUENCE_MAX { Err(BadPacket::Malformed) } else { Ok(kind) }
}

/// What the inside of an authentic packet may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct PayloadRules {
    /// Most bytes of one message.
    pub(super) message_bytes_max: usize,
    /// Most slices of one message; 0: nothing is ever sliced in this direction.
    pub(super) slices_max: u64,
    /// How far ahead of the last message delivered a reliable one may be.
    pub(super) window: u64,
}

/// What a server takes from a client: no client message is long enough to be sliced.
pub(super) const FROM_CLIENT: PayloadRules =
    PayloadRules { message_bytes_max: CLIENT_MESSAGE_BYTES_MAX, slices_max: 0, window: 4_096 };

/// What a client takes from a server.
pub(super) const FROM_SERVER: PayloadRules =
    PayloadRules { message_bytes_max: SLICE_BYTES, slices_max: 8, window: 65_536 };

/// Whether renet's packet in `payload` is one that an honest end builds. `delivered` counts the reliable
/// messages taken so far. Returns the reason, for people.
pub(super) fn payload(payload: &[u8], rules: PayloadRules, delivered: u64) -> Result<(), &'static str> {
    let mut reader = Reader(payload);
    let kind = reader.byte()?;
    reader.varint()?;
    match kind {
        0 | 1 => {
            let channel = if kind == 0 { CHANNEL_CONTROL } else { CHANNEL_STATE };
            if reader.byte()? != channel {
                return Err("a message on an unknown channel");
            }
            let count = u16::from_be_bytes([reader.byte()?, reader.byte()?]);
            for _ in 0..count {
                if kind == 0 && reader.varint()? >= delivered + rules.window {
                    return Err("a message too far ahead");
                }
                let length = usize::try_from(reader.varint()?).map_err(|_| "a message too long")?;
                if length == 0 || length > rules.message_bytes_max {
                    return Err("a message too long or empty");
                }
                reader.skip(length)?;
            }
        }
        2 if rules.slices_max > 0 => {
            if reader.byte()? != CHANNEL_CONTROL {
                return Err("a slice on an unknown channel");
            }
            if reader.varint()? >= delivered + rules.window {
                return Err("a slice too far ahead");
            }
            let (index, slices) = (reader.varint()?, reader.varint()?);
            let length = reader.varint()? as usize;
            if slices > rules.slices_max || index >= slices || length == 0 || length > SLICE_BYTES {
                return Err("a slice outside its message");
            }
            reader.skip(length)?;
        }
        4 => return Ok(()),
        _ => return Err("a packet of an unknown kind"),
    }
    if reader.0.is_empty() { Ok(()) } else { Err("bytes behind the last message") }
}

struct Reader<'a>(&'a [u8]);

const SHORT: &str = "a packet that ends too early";

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, &'static str> {
        let (&byte, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), &'static str> {
        self.0 = self.0.get(count..).ok_or(SHORT)?;
        Ok(())
    }

    /// QUIC's variable-length integer (RFC 9000 §16): the top two bits tell the length, big end first.
    fn varint(&mut self) -> Result<u64, &'static str> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x3F);
        for _ in 1..1usize << (first >> 6) {
            value = value << 8 | u64::from(self.byte()?);
        }
        Ok(value)
    }
}
