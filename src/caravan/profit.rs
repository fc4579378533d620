//! Where it pays to travel, and what it pays to carry: what goods cost there, less what they cost here.

use std::cmp::Reverse;

use super::goods::Good;
use super::market::Prices;
use super::roads::{NodeId, Roads};

/// For so many loads drivers reckon.
const HANDFUL: u32 = 6;

/// What a load brings there beyond what it costs here, silver, of those goods that bring anything: what brings most first.
pub(super) fn bargains(prices: &Prices, here: NodeId, there: NodeId) -> Vec<(Good, u32)> {
    let gain = |good: Good| {
        let (from, to) = (prices.store(here, good)?, prices.store(there, good)?);
        let gain = to.terms.given(to.loads, HANDFUL).checked_sub(from.terms.asked(from.loads, HANDFUL))?;
        let can_be = from.for_caravans() > 0 && to.room_for_caravans() > 0;
        (gain > 0 && can_be).then_some((good, gain))
    };
    let mut bargains: Vec<_> = Good::ALL.into_iter().filter_map(gain).collect();
    bargains.sort_by_key(|&(good, gain)| (Reverse(gain), good));
    bargains
}

/// Where a load brings most for each metre of the way; nowhere if it brings nothing anywhere. Of places that are as good, the first.
pub(super) fn best_way(prices: &Prices, roads: &Roads, here: NodeId, choices: &[NodeId]) -> Option<NodeId> {
    let worth = |there: NodeId| {
        let (_, gain) = *bargains(prices, here, there).first()?;
        let way_m = roads.node(here).place.distance(roads.node(there).place).max(1.0) as u64;
        // Thousandths of a silver for a metre.
        Some((u64::from(gain) * 1_000 / way_m, Reverse(there)))
    };
    choices.iter().filter_map(|&there| worth(there)).max().map(|(_, Reverse(there))| there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caravan::Lore;
    use crate::caravan::market::Market;

    fn prices() -> (Prices, Roads) {
        let (mut market, roads) = (Market::default(), Roads::shipped());
        market.follow_for_tests(&Lore::shipped(), &roads);
        (Prices::of(&market, &roads), roads)
    }

    #[test]
    fn goods_go_from_where_they_are_made_to_where_they_are_wanted() {
        let (prices, roads) = prices();
        let named =
            |name: &str| NodeId(roads.nodes.iter().position(|node| node.name == name).unwrap() as u16);
        let (saltmouth, highmill) = (named("Saltmouth"), named("Highmill"));
        assert_eq!(bargains(&prices, saltmouth, highmill)[0].0, Good::Salt);
        assert!(bargains(&prices, highmill, saltmouth).iter().all(|&(good, _)| good != Good::Salt));
        let nowhere = bargains(&prices, saltmouth, saltmouth);
        assert!(nowhere.is_empty(), "whoever stays gains nothing: {nowhere:?}");
    }
}
