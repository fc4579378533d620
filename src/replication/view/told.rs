//! Events that come with an update.

use crate::ids::NetId;
use crate::replication::wire::put_varint;

/// Bytes of events that an update takes even where values wait, as long as the longest of those fits beside them.
pub(super) const EVENTS_MINOR_BYTES_MAX: usize = 128;

/// Most events in one update.
const EVENTS_PER_UPDATE_MAX: usize = 250;

/// The events for one session in one tick, in wire form.
#[derive(Debug, Default)]
pub struct EventSection {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl EventSection {
    /// Forgets all; gives how many there were.
    pub fn clear(&mut self) -> u32 {
        let were = self.ends.len() as u32;
        self.bytes.clear();
        self.ends.clear();
        were
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds one; `false` when there are too many already.
    pub fn push(&mut self, kind: u16, about: NetId, payload: &[u8]) -> bool {
        if self.ends.len() == EVENTS_PER_UPDATE_MAX {
            return false;
        }
        put_varint(&mut self.bytes, kind.into());
        self.bytes.extend_from_slice(&about.0.to_le_bytes());
        put_varint(&mut self.bytes, payload.len() as u64);
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
        true
    }

    /// Appends as many as fit `room` bytes, in order, and forgets all; gives how many went and how many did not.
    pub(super) fn put(&mut self, room: usize, out: &mut Vec<u8>) -> (u32, u32) {
        let fitting = self.ends.partition_point(|&end| end < room);
        if fitting > 0 {
            out.push(fitting as u8);
            out.extend_from_slice(&self.bytes[..self.ends[fitting - 1]]);
        }
        let left = self.ends.len() - fitting;
        self.clear();
        (fitting as u32, left as u32)
    }
}
