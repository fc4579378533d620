//! What a use case asks the planner for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::asset::Lot;
use super::name::Name;
use crate::ids::PlayerId;
use crate::protocol::codec;

/// What becomes of a grant that goes beyond what may be held.
///
/// Where chance decides what is granted, prefer [`Clip`](Self::Clip): what is refused may be asked for again under another key,
/// which rolls anew, so whoever sees to it that only the best fits could wait for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overflow {
    /// The whole use case is refused.
    Refuse,
    /// As much as fits is granted.
    Clip,
}

/// Which of an asset are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pick {
    /// What expires first, then what never does; of what is never stacked any that is held.
    Any,
    /// These very ones.
    Lot(Lot),
}

/// One part of what is asked for. Parts are planned in their order, each on what the ones before leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Value goes from the claimant to a house.
    Consume {
        /// What.
        asset: Name,
        /// How much.
        amount: u64,
        /// Which of it.
        pick: Pick,
        /// Whether it is an item that is never stacked: what is said here must be what the tables say.
        non_stackable: bool,
        /// To whom.
        to: Account,
    },
    /// Value goes from a house to somebody.
    Grant {
        /// What.
        asset: Name,
        /// How much.
        amount: u64,
        /// Whom it is taken from: a house.
        from: Account,
        /// Who receives it.
        to: Account,
        /// What becomes of what is too much.
        overflow: Overflow,
    },
    /// Value goes from one player to another.
    Give {
        /// What.
        asset: Name,
        /// How much.
        amount: u64,
        /// Which of it.
        pick: Pick,
        /// Who gives.
        from: Account,
        /// Who receives.
        to: Account,
    },
    /// So many rolls of a loot table, granted.
    Loot {
        /// Which table.
        table: Name,
        /// How often.
        rolls: u32,
        /// Who receives it.
        to: Account,
        /// What becomes of what is too much.
        overflow: Overflow,
    },
    /// The claimant opens a box that it holds: it is consumed, and its table rolled.
    Open {
        /// Which box.
        asset: Name,
        /// How many of them.
        amount: u64,
        /// What becomes of what is too much of what is in them.
        overflow: Overflow,
    },
    /// A change of the game's own kind.
    Game {
        /// Which kind.
        kind: Name,
        /// What, as that kind encodes it.
        data: Vec<u8>,
    },
    /// Something to be delivered after the commit.
    Outbox {
        /// Who delivers it.
        kind: Name,
        /// What.
        payload: Vec<u8>,
    },
}

/// What a use case asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The use case, for the records.
    pub use_case: Name,
    /// Who claims.
    pub claimant: Account,
    /// The parts.
    pub parts: Vec<Part>,
}

impl PlanRequest {
    /// A use case of a player's, which asks for nothing yet.
    #[must_use]
    pub fn new(use_case: impl Into<Name>, claimant: impl Into<Account>) -> Self {
        Self { use_case: use_case.into(), claimant: claimant.into(), parts: Vec::new() }
    }

    /// The claimant pays a house.
    #[must_use]
    pub fn pay(mut self, asset: impl Into<Name>, amount: u64, to: impl Into<Name>) -> Self {
        let (asset, to) = (asset.into(), Account::House(to.into()));
        self.parts.push(Part::Consume { asset, amount, pick: Pick::Any, non_stackable: false, to });
        self
    }

    /// The claimant gives a house one item that is never stacked, this very one.
    #[must_use]
    pub fn pay_single(mut self, asset: impl Into<Name>, lot: Lot, to: impl Into<Name>) -> Self {
        let (asset, pick, to) = (asset.into(), Pick::Lot(lot), Account::House(to.into()));
        self.parts.push(Part::Consume { asset, amount: 1, pick, non_stackable: true, to });
        self
    }

    /// The claimant opens boxes that it holds; what is too much of what is in them is left out.
    #[must_use]
    pub fn open(mut self, asset: impl Into<Name>, amount: u64) -> Self {
        self.parts.push(Part::Open { asset: asset.into(), amount, overflow: Overflow::Clip });
        self
    }

    /// The claimant is granted something by a house; what is too much refuses the whole.
    #[must_use]
    pub fn grant(mut self, asset: impl Into<Name>, amount: u64, from: impl Into<Name>) -> Self {
        let (asset, from, to) = (asset.into(), Account::House(from.into()), self.claimant.clone());
        self.parts.push(Part::Grant { asset, amount, from, to, overflow: Overflow::Refuse });
        self
    }

    /// The claimant is granted rolls of a loot table; what is too much is left out.
    #[must_use]
    pub fn loot(mut self, table: impl Into<Name>, rolls: u32) -> Self {
        let (table, to) = (table.into(), self.claimant.clone());
        self.parts.push(Part::Loot { table, rolls, to, overflow: Overflow::Clip });
        self
    }

    /// The claimant gives something to another player.
    #[must_use]
    pub fn give(mut self, asset: impl Into<Name>, amount: u64, to: &PlayerId) -> Self {
        let (asset, from, to) = (asset.into(), self.claimant.clone(), Account::from(to));
        self.parts.push(Part::Give { asset, amount, pick: Pick::Any, from, to });
        self
    }

    /// A change of the game's own kind.
    #[must_use]
    pub fn game<T: Serialize>(mut self, kind: impl Into<Name>, data: &T) -> Self {
        self.parts.push(Part::Game { kind: kind.into(), data: codec::encode(data) });
        self
    }

    /// Something to be delivered after the commit, at least once.
    #[must_use]
    pub fn deliver<T: Serialize>(mut self, kind: impl Into<Name>, payload: &T) -> Self {
        self.parts.push(Part::Outbox { kind: kind.into(), payload: codec::encode(payload) });
        self
    }

    /// Any part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// The players whose holdings it rests on: the claimant's, if it is one, and all others who give or receive.
    #[must_use]
    pub fn players(&self) -> BTreeSet<PlayerId> {
        let of_part = |part: &Part| match part {
            Part::Grant { to, .. } | Part::Loot { to, .. } => [None, Some(to.clone())],
            Part::Give { from, to, .. } => [Some(from.clone()), Some(to.clone())],
            _ => [None, None],
        };
        let accounts = self.parts.iter().flat_map(of_part).flatten().chain([self.claimant.clone()]);
        accounts.filter_map(|account| account.player().cloned()).collect()
    }
}
