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
    use crate::caravan::roads::TradeNode;
    use crate::prelude::Vec3;

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

    /// E9: of two places that want the same, the nearer one is chosen, and none where nothing brings anything.
    #[test]
    fn drivers_go_where_a_load_brings_most_for_the_way() {
        let node = |name: &str, x: f32| TradeNode {
            name: name.into(),
            slug: name.into(),
            place: Vec3::new(x, 0.0, 0.0),
            neighbours: Vec::new(),
        };
        // Salt is made in the first and wanted in the others, and nothing else is wanted in any.
        let far_first = vec![node("saltmouth", 0.0), node("lowbridge", 300.0), node("highmill", 100.0)];
        let near_first = vec![node("saltmouth", 0.0), node("lowbridge", 100.0), node("highmill", 300.0)];
        let [here, first, second] = [0, 1, 2].map(NodeId);
        for (nodes, best) in [(far_first, second), (near_first, first)] {
            let (mut market, roads) = (Market::default(), Roads { nodes });
            market.follow_for_tests(&Lore::shipped(), &roads);
            let prices = Prices::of(&market, &roads);
            assert_eq!(bargains(&prices, here, first), bargains(&prices, here, second), "they want the same");
            assert_eq!(best_way(&prices, &roads, here, &[first, second]), Some(best));
            assert_eq!(best_way(&prices, &roads, here, &[here]), None);
        }
    }
}
