//! The market: what every trade node has in store, and what it costs there.
//!
//! Memory is the authority. What a node has is moved by the caravans that stop there, by what the country around it makes and uses up,
//! and by players. The ledger of the save says the same: a store holds what it opened with and what its house has taken in since. The
//! trades of players are in it when they are answered; what caravans and the country move is netted and written twice a minute, and
//! until then a player can neither buy what they brought nor find room where they took something away.

use std::collections::BTreeMap;

use bevy_ecs::change_detection::DetectChanges;
use bevy_ecs::prelude::Mut;

use crate::cell::pool::{NodeContext, with_cells};
use crate::prelude::*;
use crate::reward::Name;

use super::allegiance::ROADS_SCOUTED;
use super::goods::Good;
use super::lore::Lore;
use super::price::{Bent, Terms};
use super::purse::SILVER;
use super::roads::{NodeId, Roads};
use super::shelf::Store;
use super::travel::to_hundreds;
use super::unwritten::Unwritten;

/// Every so many ticks is an hour of the market: travellers tell new prices.
pub const HOUR_TICKS: u64 = 40;
/// Every so many ticks nodes bring in what they make, and use something up. Oftener, and there would be nothing to carry for caravans.
const HARVEST_EVERY_TICKS: u64 = 200;
/// The house of all who trade and are no players: caravans, and the country around the nodes, which makes goods and uses them up.
pub(super) const COUNTRY: &str = "npc/country";
/// How the houses that keep the nodes' goods and silver are called.
const MARKET: &str = "market/";

/// The market as everybody hears of it, wherever they are; and all stores, of which players see those near them as [`Quotes`].
///
/// [`Quotes`]: super::Quotes
#[derive(Resource, Clone, Debug, PartialEq, Replicate)]
pub struct Market {
    /// How often the going rates have moved.
    #[sync(broadcast)]
    pub hour: u64,
    /// What goods cost on the average of all nodes.
    #[sync(broadcast, nested, max_bytes = 120)]
    pub prices: BTreeMap<Good, Price>,
    /// What is wanted most, and where: scouts hear of it on the roads.
    #[sync(custom = for_scouts, max_bytes = 8)]
    pub wanted: Option<Wanted>,
    /// All stores, by the node's name in the save.
    #[sync(server_only)]
    pub stores: BTreeMap<String, BTreeMap<Good, Store>>,
    /// [Which map](Roads::version) the node that wants something most is of.
    #[sync(server_only)]
    pub map: u64,
}

/// What a good costs, and how much of it there is.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Price {
    /// A load on the average, silver.
    #[sync(broadcast)]
    pub silver: u32,
    /// Loads in all stores; what is told is rough.
    #[sync(masked = to_hundreds)]
    pub stock: u32,
}

/// Where something is dearer than it usually is, more so than anywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What.
    pub good: Good,
    /// Where.
    pub node: NodeId,
}

fn for_scouts(viewing: &Viewing) -> bool {
    viewing.viewer.fact(ROADS_SCOUTED).is_some()
}

impl Default for Market {
    fn default() -> Self {
        let nothing = |good: Good| (good, Price::default());
        Self {
            hour: 0,
            prices: Good::ALL.into_iter().map(nothing).collect(),
            wanted: None,
            stores: BTreeMap::new(),
            map: 0,
        }
    }
}

impl Market {
    /// What a node has of a good; `node` is its name in the save.
    #[must_use]
    pub fn store(&self, node: &str, good: Good) -> Option<&Store> {
        self.stores.get(node)?.get(&good)
    }

    pub(super) fn store_mut(&mut self, node: &str, good: Good) -> Option<&mut Store> {
        self.stores.get_mut(node)?.get_mut(&good)
    }

    /// Follows the map and what the files say: stores that are new open, and all trade as they are told to from now on.
    fn follow(&mut self, lore: &Lore, roads: &Roads) {
        let map = roads.version();
        let (mut before, mut is_new) = (std::mem::take(&mut self.stores), self.map != map);
        self.map = map;
        for node in &roads.nodes {
            let mut known = before.remove(&node.slug).unwrap_or_default();
            let stores = Good::ALL.map(|good| {
                let terms = terms_of(lore, &node.slug, good);
                let known = known.remove(&good);
                is_new |= known.is_none_or(|store| store.terms != terms);
                (good, Store { terms, ..known.unwrap_or_else(|| Store::open(terms)) })
            });
            self.stores.insert(node.slug.clone(), stores.into_iter().collect());
        }
        // A world that goes on has told them.
        if is_new {
            self.tell_rates(roads);
        }
    }

    /// Nodes bring in what they make, and use up what they use up. Gives how many loads came into each store, or left it.
    fn harvest(&mut self) -> Vec<(String, Good, i64)> {
        let mut drifted = Vec::new();
        for (node, stores) in &mut self.stores {
            for (&good, store) in stores {
                let loads = store.move_loads(store.terms.drift(store.loads));
                if loads != 0 {
                    drifted.push((node.clone(), good, loads));
                }
            }
        }
        drifted
    }

    /// What travellers tell of prices, and what is wanted most.
    fn tell_rates(&mut self, roads: &Roads) {
        let before = self.prices.clone();
        for (good, price) in &mut self.prices {
            let all = || self.stores.values().filter_map(|stores| stores.get(good));
            let (silver, nodes) =
                (all().map(|store| u64::from(store.price())).sum::<u64>(), all().count() as u64);
            price.silver = (silver + nodes / 2).checked_div(nodes).unwrap_or(0) as u32;
            price.stock = all().map(|store| store.loads).fold(0, u32::saturating_add);
        }
        self.hour += u64::from(before != self.prices);
        let everywhere = roads.nodes.iter().zip((0..).map(NodeId)).flat_map(|(place, node)| {
            let stores = self.stores.get(&place.slug).into_iter().flatten();
            stores.map(move |(&good, store)| (Wanted { good, node }, store.price(), store.terms.usual))
        });
        // A ratio of whole numbers, compared crosswise; of those that are equal the first.
        let most = everywhere.reduce(|best, other| {
            let is_dearer = u64::from(other.1) * u64::from(best.2) > u64::from(best.1) * u64::from(other.2);
            if is_dearer { other } else { best }
        });
        self.wanted = most.filter(|&(_, silver, usual)| silver > usual).map(|(wanted, ..)| wanted);
    }
}

#[cfg(test)]
impl Market {
    /// [`follow`](Self::follow), for tests of what goes by prices.
    pub(super) fn follow_for_tests(&mut self, lore: &Lore, roads: &Roads) {
        self.follow(lore, roads);
    }
}

fn terms_of(lore: &Lore, node: &str, good: Good) -> Terms {
    let demand = lore.demand(node);
    let bent = match demand {
        Some(demand) if demand.produces.contains(&good) => Bent::Made,
        Some(demand) if demand.wants.contains(&good) => Bent::Wanted,
        _ => Bent::None,
    };
    Terms::new(lore.usual_price(good), bent, lore.stock(node, good))
}

/// The house that keeps a node's goods and silver; `node` is its name in the save.
pub(super) fn house_of(node: &str) -> Name {
    Name::new(&format!("{MARKET}{node}")).expect("a map's names were checked")
}

/// The node whose goods that house keeps.
pub(super) fn node_of(house: &str) -> Option<&str> {
    house.strip_prefix(MARKET)
}

/// All stores as they are at the beginning of a tick: what caravans and players are quoted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(Vec<BTreeMap<Good, Store>>);

impl Prices {
    /// Those of a market on this map.
    #[must_use]
    pub fn of(market: &Market, roads: &Roads) -> Self {
        let of_node = |slug: &String| market.stores.get(slug).cloned().unwrap_or_default();
        Self(roads.nodes.iter().map(|node| of_node(&node.slug)).collect())
    }

    /// What a node has of a good; `None` before the world has begun.
    #[must_use]
    pub fn store(&self, node: NodeId, good: Good) -> Option<&Store> {
        self.0.get(usize::from(node.0))?.get(&good)
    }
}

/// The map, for systems of the node.
#[derive(Resource, Clone, Debug)]
pub(super) struct RoadMap(pub(super) Roads);

/// Lets all stores follow what the files say now.
pub(super) fn follow_lore(
    lore: Res<Published<Lore>>,
    map: Res<RoadMap>,
    mut market: ResMut<Market>,
    mut has_begun: Local<bool>,
) {
    if lore.is_changed() || !*has_begun {
        market.follow(&lore, &map.0);
    }
    if !std::mem::replace(&mut *has_begun, true) {
        // What was not written when the world ended is lost: nothing is on its way.
        for store in market.stores.values_mut().flat_map(BTreeMap::values_mut) {
            store.kept = store.loads.into();
        }
    }
}

/// Gives all cells the prices, when something is other than before, and in a world's first tick.
pub(super) fn post_prices(market: Res<Market>, map: Res<RoadMap>, mut publisher: Publisher) {
    if market.is_changed() {
        publisher.publish(Prices::of(&market, &map.0));
    }
}

/// Loads that caravans and the country brought to a store, or took, below nothing, and that are not written yet.
pub(super) fn unwritten(context: &AskContext<'_>, house: &Name, good: Good) -> Unwritten {
    let net = context.node::<HouseNet>();
    let loads = net.map_or(0, |net| net.owed(good.asset(), COUNTRY, house.clone()));
    let loads = loads.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    Unwritten { loads, since_ms: context.tick.now_ms }
}

/// What one cell's caravans sold and bought in a tick, by node and good.
#[derive(Resource, Debug, Default)]
pub struct TradedHere(BTreeMap<(NodeId, Good), Dealt>);

/// What was sold to a store or, below nothing, bought from it, and for how much.
#[derive(Clone, Copy, Debug, Default)]
struct Dealt {
    loads: i64,
    silver: i64,
}

impl TradedHere {
    /// So many loads were sold, or, below nothing, bought, each for so much silver.
    pub(super) fn note(&mut self, node: NodeId, good: Good, loads: i64, silver: u32) {
        let dealt = self.0.entry((node, good)).or_default();
        dealt.loads += loads;
        dealt.silver += loads * i64::from(silver);
    }
}

/// Brings what was traded in all cells to the stores; sums do not depend on which cell they were made in. When it is time,
/// nodes make and use up what they do, and new prices are told.
pub(super) fn bring_to_market(world: &mut World) {
    let mut traded = BTreeMap::<(NodeId, Good), Dealt>::new();
    with_cells(world, |_, cells| {
        for cell in cells.iter() {
            for (&store, dealt) in &cell.world.resource::<TradedHere>().0 {
                let sum = traded.entry(store).or_default();
                sum.loads += dealt.loads;
                sum.silver += dealt.silver;
            }
        }
    });
    let now = world.resource::<NodeContext>().0.tick.0;
    let (is_hour, is_harvest) = (now.is_multiple_of(HOUR_TICKS), now.is_multiple_of(HARVEST_EVERY_TICKS));
    if traded.is_empty() && !is_hour && !is_harvest {
        return;
    }
    world.resource_scope(|world, mut market: Mut<Market>| {
        world.resource_scope(|world, map: Mut<RoadMap>| {
            let mut houses = world.resource_mut::<HouseNet>();
            for ((node, good), Dealt { loads, silver }) in traded {
                let slug = &map.0.node(node).slug;
                let Some(store) = market.store_mut(slug, good) else { continue };
                // Caravans that come in the same tick do not know of each other: what they take beyond what there is, the country makes
                // up for; and it takes what does not find room.
                give(&mut houses, &good.asset(), store.move_loads(loads), slug);
                give(&mut houses, &SILVER.into(), -silver, slug);
            }
            if is_harvest {
                for (slug, good, loads) in market.harvest() {
                    give(&mut houses, &good.asset(), loads, &slug);
                }
            }
            if is_hour {
                market.tell_rates(&map.0);
            }
        });
    });
}

/// So much of an asset comes to a node's market, or leaves it, below nothing, on the books: from and to whoever is no player.
pub(super) fn give(houses: &mut HouseNet, asset: &Name, amount: i64, node: &str) {
    let (country, market) = (Name::from(COUNTRY), house_of(node));
    let (from, to) = if amount > 0 { (country, market) } else { (market, country) };
    houses.give(asset.clone(), amount.unsigned_abs(), from, to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travellers_tell_the_average_and_scouts_what_is_dearest() {
        let (mut market, roads) = (Market::default(), Roads::shipped());
        market.follow(&Lore::shipped(), &roads);
        assert_eq!(market.hour, 1, "they were told nothing before");
        assert!(market.wanted.is_some(), "some nodes want something");
        market.tell_rates(&roads);
        assert_eq!(market.hour, 1, "nothing has moved");
        let wolfsden = roads.nodes.iter().position(|node| node.name == "Wolfsden").unwrap();
        market.store_mut("wolfsden", Good::Glass).unwrap().move_loads(-10_000);
        market.tell_rates(&roads);
        assert_eq!(market.hour, 2);
        assert_eq!(market.wanted, Some(Wanted { good: Good::Glass, node: NodeId(wolfsden as u16) }));
    }
}
