//! What a session has said and must be able to say again: until the client is known to have it.

use std::collections::VecDeque;

use crate::limits::{LASTING_BYTES_MAX, LASTING_BYTES_PER_TICK_MAX};
use crate::net::SERVER_CONTROL_BYTES_MAX;
use crate::protocol::messages::{ActionRefusal, ServerControl};

/// What one kept message costs besides what it says: its place in the queue.
const HEAD_BYTES: usize = size_of::<ServerControl>();

/// The [lasting](ServerControl::is_lasting) messages of one session: all are counted from its beginning, and those that
/// the client has not confirmed are kept, as long as they are no more than [`LASTING_BYTES_MAX`] together. The oldest go
/// first: then the session can be resumed only by a client that has them.
#[derive(Debug, Default)]
pub struct Lasting {
    said: u64,
    /// The first so many went over the connection that the session has now, or were heard over an earlier one.
    sent: u64,
    /// The first so many are not kept any more; no more than were sent, but while there is no connection.
    let_go: u64,
    kept: VecDeque<ServerControl>,
    bytes: usize,
    /// How many were let go without being confirmed, for want of room.
    lost: u64,
    /// One was let go that was never sent: the two ends count differently from then on.
    miscounted: bool,
}

fn bytes_of(message: &ServerControl) -> usize {
    HEAD_BYTES
        + match message {
            ServerControl::Reply(reply) => reply.result.as_ref().map_or_else(bytes_of_refusal, Vec::len),
            ServerControl::Notice(text) => text.len(),
            ServerControl::Event { payload, .. } => payload.len(),
            ServerControl::Record { bytes, .. } => bytes.len(),
            _ => 0,
        }
}

fn bytes_of_refusal(refusal: &ActionRefusal) -> usize {
    let reason = if let ActionRefusal::Game { reason, .. } = refusal { reason.len() } else { 0 };
    refusal.to_string().len() + reason
}

impl Lasting {
    /// Takes a message that is to be said. `false`, and it is not taken, when it is longer than the network takes: the other
    /// end would count otherwise than this one.
    pub fn note(&mut self, message: ServerControl) -> bool {
        debug_assert!(message.is_lasting());
        let bytes = bytes_of(&message);
        if bytes > SERVER_CONTROL_BYTES_MAX {
            return false;
        }
        self.said += 1;
        self.bytes += bytes;
        self.kept.push_back(message);
        while self.bytes > LASTING_BYTES_MAX {
            self.let_go_of_one();
            self.lost += 1;
        }
        true
    }

    fn let_go_of_one(&mut self) {
        if let Some(message) = self.kept.pop_front() {
            self.bytes -= bytes_of(&message);
            self.let_go += 1;
            self.miscounted |= self.let_go > self.sent;
            self.sent = self.sent.max(self.let_go);
        }
    }

    /// The client has had the first so many: they need not be kept. A number that cannot be is ignored.
    pub fn heard(&mut self, heard: u64) {
        if heard > self.said {
            return;
        }
        self.sent = self.sent.max(heard);
        while self.let_go < heard {
            self.let_go_of_one();
        }
    }

    /// Hands on what was not sent over this connection yet, in order, at most [`LASTING_BYTES_PER_TICK_MAX`] and at least
    /// one; more only where so much waits that it would be let go of unsent. Gives the bytes.
    pub fn send(&mut self, mut send: impl FnMut(&ServerControl)) -> usize {
        let waiting = usize::try_from(self.said - self.sent).unwrap_or(usize::MAX);
        let mut bytes = 0;
        for message in self.kept.iter().skip(self.kept.len().saturating_sub(waiting)) {
            if bytes >= LASTING_BYTES_PER_TICK_MAX && self.bytes - bytes < LASTING_BYTES_MAX / 2 {
                break;
            }
            send(message);
            bytes += bytes_of(message);
            self.sent += 1;
        }
        bytes
    }

    /// The connection is another one, whose client has had the first so many: all others are to be sent again.
    pub fn resume(&mut self, heard: u64) {
        self.heard(heard);
        self.sent = heard;
    }

    /// Whether a client that has had the first so many can be told all the others.
    #[must_use]
    pub fn can_resume(&self, heard: u64) -> bool {
        !self.miscounted && (self.let_go..=self.said).contains(&heard)
    }

    /// What has not been confirmed, in order.
    pub fn unheard(&self) -> impl Iterator<Item = &ServerControl> {
        self.kept.iter()
    }

    /// How many there were since the session began.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.said
    }

    /// What is kept, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were let go without being confirmed, since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(number: usize, bytes: usize) -> ServerControl {
        ServerControl::Notice(format!("{number:0bytes$}"))
    }

    fn texts(lasting: &Lasting) -> Vec<usize> {
        lasting
            .unheard()
            .map(|message| match message {
                ServerControl::Notice(text) => text.parse().expect("a number"),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_was_heard_is_let_go_and_the_rest_is_said_again_in_order() {
        let mut lasting = Lasting::default();
        for number in 1..=5 {
            assert!(lasting.note(notice(number, 8)));
        }
        lasting.heard(2);
        assert_eq!(texts(&lasting), [3, 4, 5]);
        lasting.heard(1);
        lasting.heard(6);
        assert_eq!(texts(&lasting), [3, 4, 5], "older and impossible numbers change nothing");
        let possible: Vec<u64> = (0..=7).filter(|&heard| lasting.can_resume(heard)).collect();
        assert_eq!(possible, [2, 3, 4, 5]);
        lasting.heard(5);
        assert_eq!((lasting.bytes(), lasting.said()), (0, 5));
    }

    #[test]
    fn what_a_client_missed_goes_over_the_next_connection_a_little_at_a_time() {
        let mut lasting = Lasting::default();
        let sent = |lasting: &mut Lasting| {
            let mut count = 0;
            lasting.send(|_| count += 1);
            count
        };
        for number in 1..=20 {
            assert!(lasting.note(notice(number, 2_000)));
        }
        let per_tick = LASTING_BYTES_PER_TICK_MAX / (2_000 + HEAD_BYTES) + 1;
        assert_eq!((sent(&mut lasting), sent(&mut lasting)), (per_tick, per_tick));
        lasting.heard(2);
        while sent(&mut lasting) > 0 {}
        lasting.resume(5);
        let mut again = 0;
        while let count @ 1.. = sent(&mut lasting) {
            again += count;
        }
        assert_eq!(again, 15, "all that was not heard, once");
    }

    /// A10: whoever never confirms costs so much and no more; then it cannot resume unless it has what was let go.
    #[test]
    fn what_nobody_confirms_is_bounded_and_counted() {
        let mut lasting = Lasting::default();
        let many = LASTING_BYTES_MAX / (4_000 + HEAD_BYTES) + 10;
        for number in 1..=many {
            assert!(lasting.note(notice(number, 4_000)));
            lasting.send(|_| {});
            assert!(lasting.bytes() <= LASTING_BYTES_MAX);
        }
        let lost = lasting.take_lost();
        assert_eq!((lost, lasting.take_lost()), (10, 0));
        assert!(!lasting.can_resume(lost - 1) && lasting.can_resume(lost));
        assert_eq!(texts(&lasting)[0] as u64, lost + 1);
    }

    /// A10: of short messages, too, no more is kept than is counted.
    #[test]
    fn what_is_counted_is_what_memory_it_takes() {
        let mut lasting = Lasting::default();
        (0..10_000).for_each(|number| assert!(lasting.note(notice(number, 8))));
        let takes = lasting.kept.len() * size_of::<ServerControl>() + texts(&lasting).len() * 8;
        assert!(takes <= LASTING_BYTES_MAX && takes > LASTING_BYTES_MAX / 2, "{takes} bytes");
    }

    /// What was let go unsent nobody has: the ends count differently then, and the session cannot be resumed.
    #[test]
    fn what_is_let_go_unsent_ends_all_resuming() {
        let mut lasting = Lasting::default();
        let many = LASTING_BYTES_MAX / (4_000 + HEAD_BYTES) + 10;
        (1..=many).for_each(|number| assert!(lasting.note(notice(number, 4_000))));
        assert!((0..=many as u64).all(|heard| !lasting.can_resume(heard)));
        let mut all = 0;
        while lasting.send(|_| all += 1) > 0 {}
        assert_eq!(all, many - 10, "each of the others once");
    }

    #[test]
    fn what_is_too_long_to_be_sent_is_not_counted() {
        let mut lasting = Lasting::default();
        assert!(!lasting.note(notice(1, SERVER_CONTROL_BYTES_MAX)));
        assert_eq!((lasting.said(), lasting.bytes()), (0, 0));
    }
}
