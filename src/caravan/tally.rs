//! The market hears what the save says of its stores: all of them when a world begins, and from then on what is committed.

use std::collections::BTreeSet;

use crate::cell::pool::NodeContext;
use crate::prelude::*;
use crate::store::MutationSummary;

use super::goods::Good;
use super::market::{Market, give, house_of, node_of};
use super::stock::{CountStores, Counted, MoveStock, Moved, OpenStore};

/// Nodes whose stores are counted with one plan.
const NODES_AT_ONCE: usize = 40;
/// What the store did not do is asked for again after so many ticks.
const ASKS_AGAIN_TICKS: u64 = 200;

/// The nodes whose stores the save has not told of yet in this life of the world, and what was asked of it.
#[derive(Resource, Debug, Default)]
pub(super) struct Uncounted {
    nodes: Option<BTreeSet<String>>,
    /// When it was asked last.
    asked: Option<u64>,
    under_way: BTreeSet<ClaimKey>,
}

/// Has all stores opened that are new, and counted. Until they are, the market goes by what it knew when the world was saved.
pub(super) fn count_stores(
    mut rewards: RewardsOfNode,
    context: Res<NodeContext>,
    market: Res<Market>,
    mut uncounted: ResMut<Uncounted>,
) {
    let (now, now_ms) = (context.0.tick.0, context.0.now_ms);
    let Uncounted { nodes, asked, under_way } = &mut *uncounted;
    for outcome in rewards.outcomes() {
        under_way.remove(&outcome.claim.key);
    }
    let nodes = nodes.get_or_insert_with(|| market.stores.keys().cloned().collect());
    let is_early = asked.is_some_and(|asked| now < asked + ASKS_AGAIN_TICKS);
    if nodes.is_empty() || !under_way.is_empty() || is_early {
        return;
    }
    *asked = Some(now);
    let all: Vec<&String> = nodes.iter().collect();
    for (number, some) in all.chunks(NODES_AT_ONCE).enumerate() {
        let stores = some.iter().flat_map(|node| {
            let stores = market.stores.get(*node).into_iter().flatten();
            stores.map(|(good, store)| OpenStore::new(house_of(node), *good, store.terms.rest))
        });
        // At another moment it is another count.
        let key = ClaimKey::dated(now_ms, "count", &crate::protocol::codec::encode(&(now, number)));
        let request = PlanRequest::new("count", Account::house("clerks"));
        rewards.ask(NetId::WORLD, key, request.game(CountStores::KIND, &CountStores(stores.collect())));
        under_way.insert(key);
    }
}

/// Hears what was committed: of players' trades, of what was written of the others', and of counts.
pub(super) fn hear_of_stores(
    committed: Res<Committed>,
    mut houses: ResMut<HouseNet>,
    mut market: ResMut<Market>,
    mut uncounted: ResMut<Uncounted>,
) {
    for summary in committed.iter() {
        for counted in summary.told::<Vec<Counted>>(CountStores::KIND).into_iter().flatten() {
            let Some((node, good)) = store_of(counted.market.as_str(), counted.good.as_str()) else {
                continue;
            };
            let Some(store) = market.store_mut(node, good) else { continue };
            let made_up = store.count(counted.loads);
            (store.period, store.taken) = (counted.period, counted.taken);
            give(&mut houses, &counted.good, made_up, node);
            if let Some(nodes) = &mut uncounted.nodes {
                nodes.remove(node);
            }
        }
        hear_of_one(summary, &mut houses, &mut market);
    }
}

fn hear_of_one(summary: &MutationSummary, houses: &mut HouseNet, market: &mut ResMut<'_, Market>) {
    let is_known = HouseNet::is_net(summary);
    for changed in summary.holdings() {
        let Account::House(house) = &changed.account else { continue };
        let Some((node, good)) = store_of(house.as_str(), changed.asset.as_str()) else { continue };
        let Some(store) = market.store_mut(node, good) else { continue };
        // What a caravan took in the moment in which a player bought it, the country makes up for.
        let made_up = store.hear(changed.delta, is_known);
        give(houses, &changed.asset, made_up, node);
    }
    for moved in summary.told::<Moved>(MoveStock::KIND) {
        let Some((node, good)) = store_of(moved.market.as_str(), moved.good.as_str()) else { continue };
        let Some(store) = market.store_mut(node, good) else { continue };
        (store.period, store.taken) = (moved.period, moved.taken);
    }
}

/// The node and the good of a house's goods.
fn store_of<'n>(house: &'n str, asset: &str) -> Option<(&'n str, Good)> {
    let good = Good::ALL.into_iter().find(|good| good.asset().as_str() == asset)?;
    Some((node_of(house)?, good))
}
