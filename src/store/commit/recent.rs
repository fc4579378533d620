//! Which submission wrote which claim, in this process. A COMMIT may be durable and be told as a failure: whoever asks again finds
//! its own claim, and nobody has heard of it yet.

use std::collections::BTreeMap;

use crate::ids::TickNumber;

/// Submissions that are remembered: more than can be on their way at a time.
const KEPT_MAX: usize = 1 << 14;

/// A submission: the tick and the moment of its batch, milliseconds since 1970, and its number.
pub(super) type SubmissionId = (TickNumber, u64, u64);

/// The newest claims that were written, durably or not, by number: of each its submission.
#[derive(Debug, Default)]
pub(in crate::store) struct RecentClaims(BTreeMap<i64, SubmissionId>);

impl RecentClaims {
    /// This submission writes this claim. If that comes to nothing, another claim gets the number and is noted in its place.
    pub(super) fn writes(&mut self, claim: i64, submission: SubmissionId) {
        self.0.insert(claim, submission);
        if self.0.len() > KEPT_MAX {
            self.0.pop_first();
        }
    }

    /// Whether it was this submission that wrote the claim.
    pub(super) fn is_of(&self, claim: i64, submission: SubmissionId) -> bool {
        self.0.get(&claim) == Some(&submission)
    }
}
