//! What players own: silver, goods and what they have found.

use std::collections::BTreeMap;
use std::fmt;

use crate::cell::pool::NodeContext;
use crate::prelude::*;
use crate::reward::tables::{BoxRule, Drop, LootTable};
use crate::reward::{AssetClass, Name};
use crate::value::Book;

use super::campaign::Band;
use super::errands::ERRANDS;
use super::goods::{Cargo, Good};
use super::hands::{Hand, RENOWN, WOUNDED, WOUNDED_MS};

/// The currency.
pub const SILVER: &str = "silver";
/// What a bounty brings besides silver. It opens by itself.
pub const STRONGBOX: &str = "strongbox";
/// A rarity: each is one of its kind.
pub const RELIC: &str = "relic";
/// Silver that a player begins with.
pub const WELCOME_SILVER: u64 = 500;
/// Loads of one good that one slot of a pack holds.
const LOADS_PER_SLOT: u32 = 20;
/// Hands that one slot holds.
const HANDS_PER_SLOT: u32 = 10;
/// After so many ticks a gift is asked for again that did not come.
const ASKS_AGAIN_TICKS: u64 = 200;
/// Slots of a player's pack.
const SLOTS: u64 = 24;
/// More silver than that nobody can own.
const SILVER_MAX: u64 = 1_000_000_000;

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

/// What there is to own, and what a strongbox holds.
///
/// # Panics
/// Never: a test makes them.
#[must_use]
pub fn tables() -> RewardTables {
    let goods = AssetClass::Item { stack_max: LOADS_PER_SLOT, is_single: false, expires_after_ms: None };
    let single = AssetClass::Item { stack_max: 1, is_single: true, expires_after_ms: None };
    let strongbox = LootTable::of("bandits")
        .always(Drop::some(SILVER, 10..=60))
        .row(70, Drop::Nothing)
        .row(25, Drop::some(Good::Silk.asset(), 1..=2))
        .row(5, Drop::some(RELIC, 1..=1));
    let mut tables = RewardTables::builder()
        .asset(SILVER, AssetClass::Currency { cap: SILVER_MAX })
        .asset(STRONGBOX, AssetClass::Item { stack_max: 1, is_single: false, expires_after_ms: None })
        .asset(RELIC, single)
        .loot(STRONGBOX, strongbox)
        .opens(STRONGBOX, BoxRule { table: STRONGBOX.into(), rolls: 1, opens_itself: true })
        .slots(SLOTS);
    for good in Good::ALL {
        tables = tables.asset(good.asset(), goods.clone());
    }
    let people =
        |expires_after_ms| AssetClass::Item { stack_max: HANDS_PER_SLOT, is_single: false, expires_after_ms };
    for hand in Hand::ALL {
        tables = tables.asset(hand.asset(), people(None));
    }
    tables = tables
        .asset(WOUNDED, people(Some(WOUNDED_MS)))
        .asset(RENOWN, AssetClass::Currency { cap: SILVER_MAX })
        .asset(ERRANDS, AssetClass::Currency { cap: SILVER_MAX });
    for (band, silver, strongbox) in
        [(Band::Cutpurses, 5..=20, 1), (Band::Bandits, 15..=60, 5), (Band::Raiders, 40..=150, 20)]
    {
        let spoils = LootTable::of("bandits")
            .always(Drop::some(SILVER, silver))
            .row(100 - strongbox, Drop::Nothing)
            .row(strongbox, Drop::some(STRONGBOX, 1..=1));
        tables = tables.loot(band.name(), spoils);
    }
    tables.build().unwrap_or_else(|wrong| panic!("{wrong:?}"))
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
        let request = PlanRequest::new("welcome", &player).grant(SILVER, WELCOME_SILVER, "treasury");
        rewards.ask(NetId::WORLD, key, request);
        welcomed.0.insert(player, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sound_and_hold_every_good() {
        let tables = tables();
        for good in Good::ALL {
            assert!(tables.asset(&good.asset()).is_some(), "{good}");
        }
        assert!(tables.box_rule(&STRONGBOX.into()).is_some_and(|rule| rule.opens_itself));
    }
}
