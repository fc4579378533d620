//! The envelopes of reliable messages, at either end: who numbers them and who checks the numbers.

use serde::{Serialize, de::DeserializeOwned};

use super::counters::NetCounters;
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::messages::Envelope;

/// Puts messages of one direction into envelopes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvelopeWriter {
    epoch: u32,
    seq: u64,
}

impl EnvelopeWriter {
    /// From now on messages belong to this session. Epochs never go back: an older one changes nothing.
    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The bytes of the next message.
    #[must_use = "a number is used up; a message that is not sent leaves a gap that ends the connection"]
    pub fn seal<T: Serialize>(&mut self, payload: &T) -> Vec<u8> {
        self.seq += 1;
        codec::encode(&Envelope { epoch: self.epoch, seq: self.seq, payload })
    }
}

/// Why an envelope is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The message is longer than any may be.
    #[error("a message of {bytes} bytes, at most {max} are allowed")]
    Oversize {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes are no envelope.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The message was had before.
    #[error("message {seq} came again, the next is {expected}")]
    Repeated {
        /// Its number.
        seq: u64,
        /// The number due.
        expected: u64,
    },
    /// Messages before this one are missing, which an ordered channel cannot do.
    #[error("message {seq} came where {expected} was due")]
    Skipped {
        /// Its number.
        seq: u64,
        /// The number due.
        expected: u64,
    },
    /// The message belongs to a session that is over.
    #[error("a message of session epoch {epoch}, which is over: the session is {current}")]
    Stale {
        /// The message's.
        epoch: u32,
        /// The session's.
        current: u32,
    },
    /// The message belongs to a session that never was.
    #[error("a message of session epoch {epoch}, which does not exist yet: the session is {current}")]
    Unknown {
        /// The message's.
        epoch: u32,
        /// The session's.
        current: u32,
    },
}

impl EnvelopeError {
    /// Whether an honest end can never cause this. Only stale messages are innocent: they were on their way
    /// when the session changed.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        !matches!(self, Self::Stale { .. })
    }

    /// Counts it under its own name.
    pub fn count(&self, counters: &NetCounters) {
        match self {
            Self::Oversize { .. } => &counters.oversize,
            Self::Malformed(_) => &counters.malformed,
            Self::Repeated { .. } => &counters.duplicate_seq,
            Self::Skipped { .. } => &counters.skipped_seq,
            Self::Stale { .. } => &counters.stale_epoch,
            Self::Unknown { .. } => &counters.unknown_epoch,
        }
        .bump();
    }
}

/// Opens the envelopes of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvelopeReader {
    epoch: u32,
    seq: u64,
}

impl EnvelopeReader {
    /// The session that messages must belong to, 0 before there is one.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// From now on messages must belong to this session. Epochs never go back.
    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Opens the next message, whose number must be the next. The epoch is left to
    /// [`check_epoch`](Self::check_epoch), because a welcome may begin a new one.
    ///
    /// # Errors
    /// When the bytes are too long or malformed, or the number is not the one due.
    pub fn open<T: DeserializeOwned, const LIMIT: usize>(
        &mut self,
        what: &'static str,
        bytes: &[u8],
    ) -> Result<Envelope<T>, EnvelopeError> {
        if bytes.len() > LIMIT {
            return Err(EnvelopeError::Oversize { bytes: bytes.len(), max: LIMIT });
        }
        let envelope: Envelope<T> = codec::decode::<_, LIMIT>(what, bytes)?;
        let (seq, expected) = (envelope.seq, self.seq + 1);
        if seq < expected {
            return Err(EnvelopeError::Repeated { seq, expected });
        }
        if seq > expected {
            return Err(EnvelopeError::Skipped { seq, expected });
        }
        self.seq = expected;
        Ok(envelope)
    }

    /// Whether a message of this epoch belongs to the session.
    ///
    /// # Errors
    /// When it is older or newer.
    pub fn check_epoch(&self, epoch: u32) -> Result<(), EnvelopeError> {
        match epoch.cmp(&self.epoch) {
            std::cmp::Ordering::Less => Err(EnvelopeError::Stale { epoch, current: self.epoch }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(EnvelopeError::Unknown { epoch, current: self.epoch }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(reader: &mut EnvelopeReader, bytes: &[u8]) -> Result<Envelope<u32>, EnvelopeError> {
        reader.open::<u32, 64>("number", bytes)
    }

    /// A8: a message is taken once, whatever comes again or out of order.
    #[test]
    fn a_number_is_taken_once_and_in_order() {
        let (mut writer, mut reader) = (EnvelopeWriter::default(), EnvelopeReader::default());
        let first = writer.seal(&7u32);
        let second = writer.seal(&8u32);
        assert_eq!(open(&mut reader, &second), Err(EnvelopeError::Skipped { seq: 2, expected: 1 }));
        assert_eq!(open(&mut reader, &first).unwrap().payload, 7);
        assert_eq!(open(&mut reader, &first), Err(EnvelopeError::Repeated { seq: 1, expected: 2 }));
        assert_eq!(open(&mut reader, &second).unwrap().payload, 8);
    }

    /// A8: nothing of a session that is over reaches the one that follows.
    #[test]
    fn an_old_epoch_is_stale_and_a_new_one_unknown() {
        let mut reader = EnvelopeReader::default();
        reader.set_epoch(5);
        assert!(reader.check_epoch(5).is_ok());
        let stale = reader.check_epoch(4).unwrap_err();
        assert!(!stale.is_violation(), "a message may be on its way when the session changes");
        assert!(reader.check_epoch(6).unwrap_err().is_violation());
        reader.set_epoch(3);
        assert_eq!(reader.epoch(), 5, "epochs never go back");
    }

    #[test]
    fn bytes_left_over_and_long_messages_are_refused() {
        let mut bytes = EnvelopeWriter::default().seal(&7u32);
        bytes.push(0);
        let error = open(&mut EnvelopeReader::default(), &bytes).unwrap_err();
        assert!(matches!(error, EnvelopeError::Malformed(DecodeError::Trailing { .. })));
        let error = open(&mut EnvelopeReader::default(), &[0; 65]).unwrap_err();
        assert_eq!(error, EnvelopeError::Oversize { bytes: 65, max: 64 });
    }

    proptest! {
        #[test]
        fn no_bytes_harm_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut reader = EnvelopeReader::default();
            if let Ok(envelope) = open(&mut reader, &bytes) {
                prop_assert_eq!(envelope.seq, 1, "only the message due is ever opened");
            }
        }
    }
}
