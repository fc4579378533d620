//! What makes a reward happen once: a key, and what was asked for under it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use super::account::Account;
use crate::ids::ActionId;

/// The key of a claim, unique per account: an action's id, or what the game derives from what is rewarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimKey(pub u128);

impl From<ActionId> for ClaimKey {
    fn from(id: ActionId) -> Self {
        Self(id.0)
    }
}

impl ClaimKey {
    /// The key of something that is rewarded once for good, whoever reports it and however often: `("quest", b"lost ring")`.
    /// Such claims never age.
    #[must_use]
    pub fn named(what: &str, which: &[u8]) -> Self {
        let mut text = Vec::with_capacity(what.len() + which.len() + 1);
        text.extend_from_slice(what.as_bytes());
        text.push(0);
        text.extend_from_slice(which);
        // Above all ids of actions: their upper half is a time times 65,536, which stays below for 2,000 centuries.
        Self(xxh3_128(&text) | 1 << 127)
    }

    /// The key of something that happens once, but need not be remembered for good: a battle, a delivery of the day. It was made at
    /// this moment, milliseconds since 1970, and ages as an action's id does: after as long as a save keeps claims, a repeat is
    /// refused as too old.
    #[must_use]
    pub fn dated(made_ms: u64, what: &str, which: &[u8]) -> Self {
        let Self(name) = Self::named(what, which);
        Self(ActionId::new(ActionId::order_at(made_ms), name as u64).0)
    }

    /// Whether it was derived with [`named`](Self::named).
    #[must_use]
    pub fn is_named(self) -> bool {
        self.0 >> 127 == 1
    }

    /// When the key was made, milliseconds since 1970, as whoever made it says; a named one says nothing.
    #[must_use]
    pub fn made_ms(self) -> Option<u64> {
        (!self.is_named()).then_some((self.0 >> 80) as u64)
    }
}

/// Under which key, for whom, and what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose claim it is.
    pub account: Account,
    /// Its key.
    pub key: ClaimKey,
    /// Hash of what is asked for: a repeat has the same, and gets the first result; anything else under the key is an error.
    pub request: u64,
}

impl Claim {
    /// A claim for what these bytes ask for.
    #[must_use]
    pub fn new(account: impl Into<Account>, key: impl Into<ClaimKey>, request: &[u8]) -> Self {
        Self { account: account.into(), key: key.into(), request: xxh3_64(request) }
    }

    /// The seed of all chance in its plan: it depends on the world's secret and the claim alone, so that asking again rolls the
    /// same, and nobody outside can know it before.
    #[must_use]
    pub fn seed(&self, world_secret: u64) -> u64 {
        let mut bytes = self.key.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(self.account.to_string().as_bytes());
        xxh3_64_with_seed(&bytes, world_secret)
    }
}
