//! What players own: silver, goods and what they have found.

use std::collections::BTreeMap;
use std::fmt;

use crate::cell::pool::NodeContext;
use crate::prelude::*;
use crate::reward::{Name, Overflow, Part};
use crate::value::Book;

use super::goods::{Cargo, Good};
use super::lore::Lore;
use super::people::GIFT;

/// The currency.
pub const SILVER: &str = "silver";
/// What a bounty brings besides silver. It opens by itself.
pub const STRONGBOX: &str = "strongbox";
/// A rarity: each is one of its kind.
pub const RELIC: &str = "relic";
/// After so many ticks a gift is asked for again that did not come.
const ASKS_AGAIN_TICKS: u64 = 200;

/// What a player owns, as the save says. Its own player sees it.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(owner)]
pub struct Purse {
    /// Silver.
    #[sync(broadcast)]
    pub silver: Settled<u64>,
    /// Loads of goods in the pack.
    #[sync(broadcast, max_bytes = 40)]
    pub goods: Settled<Cargo>,
    /// Relics.
    #[sync(broadcast)]
    pub relics: Settled<u64>,
}

impl fmt::Display for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} silver", self.silver)?;
        for (good, loads) in self.goods.iter() {
            write!(f, ", {loads} {good}")?;
        }
        match *self.relics {
            0 => Ok(()),
            1 => f.write_str(", a relic"),
            relics => write!(f, ", {relics} relics"),
        }
    }
}

impl Settles for Purse {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        let mut goods = Cargo::default();
        for good in Good::ALL {
            let loads = holdings.amount(&good.asset());
            goods.add(good, u16::try_from(loads).unwrap_or(u16::MAX));
        }
        pen.write(&mut self.silver, holdings.amount(&SILVER.into()));
        pen.write(&mut self.goods, goods);
        pen.write(&mut self.relics, holdings.amount(&RELIC.into()));
    }
}

impl Good {
    /// What it is called in the save.
    #[must_use]
    pub fn asset(self) -> Name {
        let name = match self {
            Good::Salt => "salt",
            Good::Iron => "iron",
            Good::Glass => "glass",
            Good::Wine => "wine",
            Good::Silk => "silk",
        };
        name.into()
    }
}

/// A strongbox besides, out of that house. What finds no room is left out of it: what is refused as a whole could be asked for again until
/// chance puts into it what suits.
pub(super) fn with_strongbox(request: PlanRequest, from: &'static str) -> PlanRequest {
    let (from, to) = (Account::house(from), request.claimant.clone());
    let asset = STRONGBOX.into();
    request.part(Part::Grant { asset, amount: 1, from, to, overflow: Overflow::Clip })
}

/// When players were given something to begin with, by the tick.
#[derive(Debug, Default)]
pub(super) struct Welcomed(BTreeMap<PlayerId, u64>);

/// Gives everybody who comes for the first time something to begin with, once for good: it is asked for under one name, and
/// asked for again while nothing has come of it.
pub(super) fn welcome(
    mut rewards: RewardsOfNode,
    book: Res<Book>,
    context: Res<NodeContext>,
    lore: Res<Published<Lore>>,
    mut welcomed: Local<Welcomed>,
) {
    let now = context.0.tick.0;
    welcomed.0.retain(|player, asked| {
        now < *asked + ASKS_AGAIN_TICKS && book.get(player).is_some_and(|holdings| holdings.version == 0)
    });
    let new = book
        .players()
        .filter(|(player, holdings)| holdings.version == 0 && !welcomed.0.contains_key(*player));
    let new: Vec<PlayerId> = new.map(|(player, _)| player.clone()).collect();
    for player in new {
        let key = ClaimKey::named("welcome", player.as_str().as_bytes());
        let silver = lore.usual_origin().silver;
        let request = PlanRequest::new("welcome", &player)
            .grant(SILVER, silver, "treasury")
            .grant(GIFT, silver, "treasury");
        rewards.ask(NetId::WORLD, key, request);
        welcomed.0.insert(player, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::carrier::Carrier;
    use super::*;

    /// E9: whose pack is full gets its box all the same, but for what finds no room; nobody is refused by what chance puts into it, so
    /// nobody asks again until it suits.
    #[test]
    fn a_box_is_opened_also_where_there_is_no_room_for_what_is_in_it() {
        let mut carrier = Carrier::new();
        let player = PlayerId::new("anna").unwrap();
        let request = |use_case: &'static str| PlanRequest::new(use_case, &player);
        while carrier.carry(request("gift").grant("relic", 1, "treasury")).is_ok() {}
        for round in 0..200 {
            let opened = carrier.carry(with_strongbox(request("bounty"), "bandits"));
            assert!(opened.is_ok(), "box {round}: {opened:?}");
        }
        let held = carrier.bank.holdings(&Account::from(&player));
        assert_eq!(held.amount(&Good::Silk.asset()), 0, "there was no room");
        assert!(held.amount(&SILVER.into()) >= 2_000, "ten silver each at least");
    }
}
