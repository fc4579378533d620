//! What a player is quoted at the node where it is: told to that player alone, and only what has changed.

use std::collections::BTreeMap;
use std::fmt;

use crate::prelude::*;

use super::goods::Good;
use super::market::Prices;
use super::roads::{NodeId, Roads};
use super::shelf::{Store, Way, quota_period};
use super::trade::TRADE_REACH_M;
use super::walk::Walker;

/// Who is at no node looks so often whether it has come to one, ticks.
const LOOKS_EVERY: u64 = 10;

/// What goods cost at the node where a player is.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(owner)]
pub struct Quotes {
    /// The node; none far from any.
    #[sync(broadcast)]
    pub node: Option<NodeId>,
    /// What it asks and has.
    #[sync(broadcast, nested, max_bytes = 190)]
    pub goods: BTreeMap<Good, Quote>,
}

/// What a good costs, and how much of it can be traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Replicate)]
pub struct Quote {
    /// A load, silver, before the node's own margin.
    #[sync(broadcast)]
    pub silver: u32,
    /// Loads that the node has.
    #[sync(broadcast)]
    pub stock: u32,
    /// Loads for which it has room.
    #[sync(broadcast)]
    pub room: u32,
    /// Loads that it still sells to players in this period.
    #[sync(broadcast)]
    pub to_buy: u32,
    /// Loads that it still buys from them.
    #[sync(broadcast)]
    pub to_sell: u32,
}

impl Quote {
    fn of(store: &Store, period: u64) -> Self {
        Self {
            silver: store.price(),
            stock: store.for_sale(),
            room: store.room(),
            to_buy: store.quota_left(period, Way::Out),
            to_sell: store.quota_left(period, Way::In),
        }
    }
}

impl fmt::Display for Quotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (good, quote)) in self.goods.iter().enumerate() {
            let Quote { silver, stock, to_buy, to_sell, .. } = quote;
            let between = if place == 0 { "" } else { ", " };
            write!(
                f,
                "{between}{good} {silver} ({stock} in store; by its quota you can buy {to_buy}, sell {to_sell})"
            )?;
        }
        Ok(())
    }
}

/// Quotes everybody what goods cost where they are.
pub(super) fn quote(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    prices: Res<Published<Prices>>,
    mut walkers: Query<(&NetId, &Position, &mut Quotes), With<Walker>>,
) {
    let period = quota_period(context.now_ms);
    for (&net_id, position, mut quotes) in &mut walkers {
        let place = position.0.truncate();
        let is_near = |node: &NodeId| {
            let node = roads.nodes.get(usize::from(node.0));
            node.is_some_and(|node| node.place.truncate().distance(place) <= TRADE_REACH_M)
        };
        let looks = context.tick.0 % LOOKS_EVERY == net_id.0 % LOOKS_EVERY;
        let node = match quotes.node.filter(is_near) {
            Some(node) if !looks => Some(node),
            None if !looks => None,
            _ => roads.nearest(place, TRADE_REACH_M),
        };
        let quoted = |good: Good| Some((good, Quote::of(prices.store(node?, good)?, period)));
        let goods = || Good::ALL.into_iter().filter_map(quoted);
        let known = quotes.goods.iter().map(|(&good, &quote)| (good, quote));
        if quotes.node != node || !goods().eq(known) {
            *quotes = Quotes { node, goods: goods().collect() };
        }
    }
}
