//! A plan: everything that a use case will change, flat, decided before anything is written.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::account::Account;
use super::asset::Lot;
use super::claim::Claim;
use super::name::Name;
use crate::protocol::codec;

/// What kinds of things a plan touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AffectedDomains(u8);

impl AffectedDomains {
    /// None.
    pub const NONE: Self = Self(0);
    /// Amounts of currencies.
    pub const CURRENCIES: Self = Self(1);
    /// Items.
    pub const ITEMS: Self = Self(1 << 1);
    /// Pools.
    pub const POOLS: Self = Self(1 << 2);
    /// Unlocks.
    pub const UNLOCKS: Self = Self(1 << 3);
    /// Tables of the game's own.
    pub const GAME: Self = Self(1 << 4);
    /// Side effects that are delivered after the commit.
    pub const OUTBOX: Self = Self(1 << 5);
    /// Components that are written at once.
    pub const COMPONENTS: Self = Self(1 << 6);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::CURRENCIES, "currencies"),
        (Self::ITEMS, "items"),
        (Self::POOLS, "pools"),
        (Self::UNLOCKS, "unlocks"),
        (Self::GAME, "game"),
        (Self::OUTBOX, "outbox"),
        (Self::COMPONENTS, "components"),
    ];

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// As stored.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From what was stored; bits that mean nothing are left out.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x7F)
    }
}

impl BitOrAssign for AffectedDomains {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitOr for AffectedDomains {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for AffectedDomains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(domain, _)| self.contains(*domain)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(" "))
    }
}

/// One change. The executor carries them out in their order and knows nothing of boxes, chances or prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// So much moves from one account to another.
    Transfer {
        /// Of what.
        asset: Name,
        /// Of which lot.
        lot: Lot,
        /// Who gives: a player must have it.
        from: Account,
        /// Who receives.
        to: Account,
        /// How much, not 0.
        amount: u64,
        /// Most that the receiver may hold of the asset afterwards; beyond it the plan is no longer valid.
        cap: Option<u64>,
    },
    /// What has filled up in a pool is counted up to this time. If it was counted by something else since the account's version
    /// that was frozen, the plan is no longer valid: the same time would count twice. It stands before the transfer of what was counted.
    PoolClock {
        /// Whose.
        account: Account,
        /// Which pool.
        asset: Name,
        /// Milliseconds since 1970.
        as_of_ms: u64,
    },
    /// What the account holds may take no more slots than this; otherwise the plan is no longer valid.
    Slots {
        /// Whose.
        account: Account,
        /// How many there are.
        most: u64,
    },
    /// To be delivered, at least once, after the commit.
    Outbox {
        /// Who delivers it.
        kind: Name,
        /// What.
        payload: Vec<u8>,
    },
    /// Of a kind that the game registered.
    Game {
        /// Which.
        kind: Name,
        /// What, as that kind encodes it.
        data: Vec<u8>,
    },
}

/// Somebody whose holdings a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Who.
    pub account: Account,
    /// The version of the holdings that were frozen.
    pub version: u64,
}

/// What a player will be shown of a reward, in order; projected from the plan, never from what is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLine {
    /// Who receives it.
    pub account: Account,
    /// What.
    pub asset: Name,
    /// Which lot.
    pub lot: Lot,
    /// How much.
    pub amount: u64,
    /// The boxes it came out of, the outermost first. None where there were too many different ones.
    pub out_of: Vec<Name>,
}

/// Everything that a use case will change. Made by the planner, carried out by the store's executor, whole or not at all.
#[must_use = "a plan that is not committed pays nobody"]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationPlan {
    /// The use case, for the records.
    pub use_case: Name,
    /// The claim that it fulfils.
    pub claim: Claim,
    /// The version of the tables that it was planned with.
    pub tables: u64,
    /// Calendar time for which it was planned, milliseconds since 1970.
    pub now_ms: u64,
    /// Whose holdings it rests on; players alone, each once, who claims first. They get a new version.
    pub participants: Vec<Participant>,
    /// The changes, in order.
    pub mutations: Vec<Mutation>,
    /// What kinds of things it touches.
    pub domains: AffectedDomains,
    /// What will be shown of it.
    pub lines: Vec<PlannedLine>,
}

impl MutationPlan {
    /// The plan as bytes: equal plans have equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// A hash of those bytes.
    #[must_use]
    pub fn hash(&self) -> u64 {
        xxh3_64(&self.to_bytes())
    }
}
