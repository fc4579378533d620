//! What can be held: currencies, items, pools, unlocks. All of them are amounts that move between accounts.

use serde::{Deserialize, Serialize};

/// What an asset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssetClass {
    /// Coins, experience: an amount, at most `cap` of it in a player's hands.
    Currency {
        /// Most that a player may hold.
        cap: u64,
    },
    /// Things that take slots.
    Item {
        /// How many lie in one slot; 1 with `is_single` for what is never stacked.
        stack_max: u32,
        /// Each is one of its kind, with an instance of its own: it is never stacked and always moved whole.
        is_single: bool,
        /// How long it lasts from the moment it is granted, milliseconds; `None`: for ever.
        expires_after_ms: Option<u64>,
    },
    /// Stamina: an amount that fills up by itself, one every `regen_ms`, up to `cap`.
    Pool {
        /// Where it is full.
        cap: u64,
        /// Milliseconds of calendar time in which it fills by one.
        regen_ms: u64,
    },
    /// Something that a player has or has not: an amount of one at most.
    Unlock,
}

impl AssetClass {
    /// Most of it that a player may hold, where that is bounded by itself and not by slots.
    #[must_use]
    pub fn cap(&self) -> Option<u64> {
        match self {
            Self::Currency { cap } | Self::Pool { cap, .. } => Some(*cap),
            Self::Unlock => Some(1),
            Self::Item { .. } => None,
        }
    }

    /// Whether each is one of its kind.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self, Self::Item { is_single: true, .. })
    }

    /// When what is granted at this time expires, milliseconds since 1970; 0: never.
    #[must_use]
    pub fn expires_ms(&self, now_ms: u64) -> u64 {
        match self {
            Self::Item { expires_after_ms: Some(after_ms), .. } => {
                now_ms.saturating_add(*after_ms).min(i64::MAX as u64)
            }
            _ => 0,
        }
    }

    /// Slots that such an amount takes in one lot.
    #[must_use]
    pub fn slots(&self, amount: u64) -> u64 {
        match self {
            Self::Item { stack_max, .. } => amount.div_ceil(u64::from(*stack_max)),
            _ => 0,
        }
    }
}

/// Which of an asset: what expires at another time, or is one of its kind, does not mix with the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lot {
    /// When it expires, milliseconds since 1970; 0: never. First, so that what expires first sorts first among those that do.
    pub expires_ms: u64,
    /// Which one it is of what is never stacked; 0 for everything else.
    pub instance: u64,
}

impl Lot {
    /// What never expires and is like all others of its asset.
    pub const PLAIN: Self = Self { expires_ms: 0, instance: 0 };

    /// Whether it is gone at this time, milliseconds since 1970.
    #[must_use]
    pub fn is_expired(self, now_ms: u64) -> bool {
        self.expires_ms != 0 && self.expires_ms <= now_ms
    }
}
