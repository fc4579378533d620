//! What the save has against a trade: in words, since reasons come back from it as words.

use std::fmt;

use super::shelf::QUOTA_EVERY_MS;

/// Why goods do not come into a store, or do not leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// So many loads are left.
    SoldOut { left: u32 },
    /// There is room for so many.
    Full { room: u32 },
    /// Of the quota so many are left, until it begins anew in so many seconds.
    Quota { left: u32, opens_in_s: u32 },
    /// Others were first, and a load is so much silver now.
    Price { silver: u32 },
}

const SOLD_OUT: [&str; 2] = ["the node has ", " loads left"];
const FULL: [&str; 2] = ["the node has room for ", " loads"];
const PRICE: [&str; 2] = ["a load costs ", " silver now"];
const QUOTA: [&str; 3] =
    ["the node trades ", " more loads with players until its quota begins anew in ", " s"];

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoldOut { left } => write!(f, "{}{left}{}", SOLD_OUT[0], SOLD_OUT[1]),
            Self::Full { room } => write!(f, "{}{room}{}", FULL[0], FULL[1]),
            Self::Price { silver } => write!(f, "{}{silver}{}", PRICE[0], PRICE[1]),
            Self::Quota { left, opens_in_s } => {
                write!(f, "{}{left}{}{opens_in_s}{}", QUOTA[0], QUOTA[1], QUOTA[2])
            }
        }
    }
}

impl Objection {
    /// The one that these words tell of.
    pub(super) fn told_in(reason: &str) -> Option<Self> {
        let between = |[before, after]: [&str; 2]| reason.strip_prefix(before)?.strip_suffix(after);
        let number = |text: Option<&str>| text?.parse().ok();
        if let Some(left) = number(between(SOLD_OUT)) {
            return Some(Self::SoldOut { left });
        }
        if let Some(room) = number(between(FULL)) {
            return Some(Self::Full { room });
        }
        if let Some(silver) = number(between(PRICE)) {
            return Some(Self::Price { silver });
        }
        let (left, opens_in_s) = between([QUOTA[0], QUOTA[2]])?.split_once(QUOTA[1])?;
        Some(Self::Quota { left: left.parse().ok()?, opens_in_s: opens_in_s.parse().ok()? })
    }
}

/// Seconds until quotas begin anew.
pub(super) fn quotas_begin_in_s(now_ms: u64) -> u32 {
    (QUOTA_EVERY_MS - now_ms % QUOTA_EVERY_MS).div_ceil(1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_understood_from_its_words() {
        for objection in [
            Objection::SoldOut { left: 3 },
            Objection::Full { room: 0 },
            Objection::Quota { left: 7, opens_in_s: 599 },
            Objection::Price { silver: 12 },
        ] {
            assert_eq!(Objection::told_in(&objection.to_string()), Some(objection));
        }
        for other in ["", "the node has many loads left", "the node trades 1 more loads"] {
            assert_eq!(Objection::told_in(other), None);
        }
    }
}
