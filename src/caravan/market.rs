//! What goods cost: one market for the whole world, moved a little by every caravan that arrives.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Mut;

use crate::cell::pool::{NodeContext, with_cells};
use crate::prelude::*;

use super::allegiance::ROADS_SCOUTED;
use super::goods::Good;
use super::lore::Lore;
use super::purse::SILVER;

/// Prices follow what was sold and bought every so many ticks.
const HOUR_TICKS: u64 = 40;
/// So many loads more sold than bought lower a price by one silver.
const LOADS_PER_SILVER: i64 = 25;

/// The houses of caravans that nobody plays, and of those that they trade with.
const CARAVANS: &str = "npc/caravans";
const STALLS: &str = "npc/stalls";

/// The market. It has no place: everybody hears of it, wherever they are.
#[derive(Resource, Clone, Debug, PartialEq, Replicate)]
pub struct Market {
    /// How often prices have moved.
    #[sync(broadcast)]
    pub hour: u64,
    /// What a load costs.
    #[sync(broadcast, nested, max_bytes = 120)]
    pub prices: BTreeMap<Good, Price>,
    /// What is wanted most: scouts hear of it on the roads.
    #[sync(custom = for_scouts, max_bytes = 8)]
    pub wanted: Option<Good>,
}

/// What a good costs.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Price {
    /// A load, silver.
    #[sync(broadcast)]
    pub silver: u32,
    /// Loads in store; what is told is rough.
    #[sync(masked = to_hundreds)]
    pub stock: u32,
    /// Loads sold to the market beyond those bought from it, since the price moved.
    #[sync(server_only)]
    pub surplus: i64,
    /// What a load usually costs, silver: what it costs finds back to about that.
    #[sync(server_only)]
    pub usual: u32,
}

fn to_hundreds(stock: &u32) -> u32 {
    stock / 100 * 100
}

fn for_scouts(viewing: &Viewing) -> bool {
    viewing.viewer.fact(ROADS_SCOUTED).is_some()
}

impl Default for Market {
    fn default() -> Self {
        // What they cost is said before anybody asks.
        let empty = |good: Good| (good, Price { stock: 1_000, ..Price::default() });
        Self { hour: 0, prices: Good::ALL.into_iter().map(empty).collect(), wanted: None }
    }
}

impl Market {
    /// Whether something costs otherwise than it should, since what it usually costs is said otherwise.
    fn is_behind(&self, lore: &Lore) -> bool {
        self.prices.iter().any(|(&good, price)| price.usual != lore.usual_price(good))
    }

    /// Follows what goods usually cost: what was dear stays as dear.
    fn follow(&mut self, lore: &Lore) {
        for (&good, price) in &mut self.prices {
            let (before, now) = (u64::from(price.usual), u64::from(lore.usual_price(good)));
            let silver = (u64::from(price.silver) * now).checked_div(before).unwrap_or(now);
            (price.silver, price.usual) = (silver.max(1) as u32, now as u32);
        }
    }

    /// Takes note of what caravans sold (more than nothing) and bought (less).
    fn trade(&mut self, good: Good, loads: i64) {
        if let Some(price) = self.prices.get_mut(&good) {
            price.surplus += loads;
            price.stock = price.stock.saturating_add_signed(loads as i32);
        }
    }

    /// Lets prices follow, and between them find back to what is usual.
    fn settle(&mut self) {
        let before: Vec<u32> = self.prices.values().map(|price| price.silver).collect();
        for price in self.prices.values_mut() {
            let fall = price.surplus / LOADS_PER_SILVER;
            price.surplus -= fall * LOADS_PER_SILVER;
            let usual = i64::from(price.usual);
            let silver = (i64::from(price.silver) - fall).clamp(usual / 2, usual * 2);
            price.silver = silver as u32;
        }
        // A ratio of whole numbers, compared crosswise.
        let dearer = |a: (&Good, &Price), b: (&Good, &Price)| {
            let worth = |(_, price): (&Good, &Price), (_, other): (&Good, &Price)| {
                u64::from(price.silver) * u64::from(other.usual)
            };
            worth(a, b).cmp(&worth(b, a))
        };
        let most = self.prices.iter().max_by(|a, b| dearer(*a, *b));
        self.wanted = most.filter(|(_, price)| price.silver > price.usual).map(|(&good, _)| good);
        self.hour += u64::from(!self.prices.values().map(|price| price.silver).eq(before));
    }
}

/// What caravans go by when they trade: the market as it was at the beginning of the tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices(BTreeMap<Good, u32>);

impl Prices {
    /// Those of a market.
    #[must_use]
    pub fn of(market: &Market) -> Self {
        Self(market.prices.iter().map(|(&good, price)| (good, price.silver)).collect())
    }

    /// What a load costs, silver.
    #[must_use]
    pub fn of_good(&self, good: Good) -> u32 {
        self.0.get(&good).copied().unwrap_or(u32::MAX)
    }
}

/// Lets prices follow what the files say now.
pub(super) fn follow_lore(lore: Res<Published<Lore>>, mut market: ResMut<Market>) {
    if market.is_behind(&lore) {
        market.follow(&lore);
    }
}

/// Gives all cells the prices, when they are others than before, and in a world's first tick.
pub(super) fn post_prices(market: Res<Market>, mut posted: Local<Option<Prices>>, mut publisher: Publisher) {
    let prices = Prices::of(&market);
    if posted.as_ref() != Some(&prices) {
        *posted = Some(prices.clone());
        publisher.publish(prices);
    }
}

/// What one cell's caravans sold and bought in a tick.
#[derive(Resource, Debug, Default)]
pub struct TradedHere(BTreeMap<Good, i64>);

impl TradedHere {
    /// So many loads were sold, or, below nothing, bought.
    pub(super) fn note(&mut self, good: Good, loads: i64) {
        *self.0.entry(good).or_default() += loads;
    }
}

/// Brings what was traded in all cells to the market. Sums do not depend on which cell they were made in.
pub(super) fn bring_to_market(world: &mut World) {
    let mut traded = BTreeMap::<Good, i64>::new();
    with_cells(world, |_, cells| {
        for cell in cells.iter() {
            for (&good, &loads) in &cell.world.resource::<TradedHere>().0 {
                *traded.entry(good).or_default() += loads;
            }
        }
    });
    let is_hour = world.resource::<NodeContext>().0.tick.0.is_multiple_of(HOUR_TICKS);
    if traded.is_empty() && !is_hour {
        return;
    }
    world.resource_scope(|world, mut market: Mut<Market>| {
        let mut houses = world.resource_mut::<HouseNet>();
        for (good, loads) in traded {
            let silver =
                loads.unsigned_abs() * u64::from(market.prices.get(&good).map_or(0, |price| price.silver));
            let (seller, buyer) = if loads > 0 { (CARAVANS, STALLS) } else { (STALLS, CARAVANS) };
            houses.give(good.asset(), loads.unsigned_abs(), seller, buyer);
            houses.give(SILVER, silver, buyer, seller);
            market.trade(good, loads);
        }
    });
    let mut market = world.resource_mut::<Market>();
    if is_hour {
        market.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sold_gets_cheaper_and_what_is_bought_dearer_within_bounds() {
        let mut market = Market::default();
        market.follow(&Lore::shipped());
        market.settle();
        assert_eq!((market.hour, market.wanted), (0, None), "nothing was traded");
        market.trade(Good::Wine, 60);
        market.trade(Good::Silk, -30);
        market.settle();
        let silver = |market: &Market, good| market.prices[&good].silver;
        assert_eq!((silver(&market, Good::Wine), silver(&market, Good::Silk)), (24, 61));
        assert_eq!((market.hour, market.wanted), (1, Some(Good::Silk)));
        assert_eq!(market.prices[&Good::Wine].surplus, 10, "what does not move the price counts later");
        for _ in 0..100 {
            market.trade(Good::Salt, -5_000);
            market.trade(Good::Iron, 5_000);
            market.settle();
        }
        assert_eq!((silver(&market, Good::Salt), silver(&market, Good::Iron)), (16, 7));
    }
}
