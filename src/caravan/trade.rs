//! Players trade at the nodes: they buy and sell at the posted price, out of what a node has in store, and hand in what its bounty
//! asks for.

use std::fmt;

use crate::prelude::*;
use crate::reward::Name;
use crate::store::MutationSummary;

use super::goods::Good;
use super::lore::Lore;
use super::market::Prices;
use super::purse::{Purse, SILVER, STRONGBOX};
use super::roads::{NodeId, Roads};
use super::stores::{GIVEN_OUT, HAD_ALREADY, MoveStock, SOLD_OUT, STORE_FULL, TakeBounty};

/// So near to a node one trades there, m.
pub const TRADE_REACH_M: f32 = 30.0;
/// Most loads in one trade.
pub const LOADS_MAX: u16 = 50;
/// Loads that a bounty asks for.
pub const BOUNTY_LOADS: u16 = 3;
/// How often a node asks for something else.
const BOUNTY_EVERY_MS: u64 = 5 * 60 * 1_000;

/// Purposes of chance.
const BOUNTY: u32 = 7;

/// Buy loads of a good at the node where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Traded, refusal = TradeRefusal, rate = 10, burst = 20, coalesce = none,
    durability = immediate)]
pub struct Buy {
    /// Which.
    pub good: Good,
    /// How many loads.
    pub loads: u16,
    /// Most that a load may cost, silver: prices move while one thinks.
    pub at_most: u32,
}

/// Sell loads of a good at the node where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Traded, refusal = TradeRefusal, rate = 10, burst = 20, coalesce = none,
    durability = immediate)]
pub struct Sell {
    /// Which.
    pub good: Good,
    /// How many loads.
    pub loads: u16,
    /// Least that a load must bring, silver.
    pub at_least: u32,
}

/// Hand in what the node's bounty asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Bounty, refusal = TradeRefusal, rate = 2, burst = 5, coalesce = none,
    durability = immediate)]
pub struct HandIn;

/// What one owns after a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traded {
    /// Silver.
    pub silver: u64,
    /// Loads of the good.
    pub loads: u64,
}

/// What a bounty brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounty {
    /// What and how much: the silver, and what was in the strongbox.
    pub found: Vec<(String, u64)>,
}

/// Why a trade does not come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TradeRefusal {
    /// There is no node near enough.
    NoNode,
    /// That many loads are no trade.
    Loads,
    /// The price is another one now.
    Price {
        /// What a load costs, silver.
        silver: u32,
    },
    /// The node has not so many loads left.
    SoldOut,
    /// The node has no room for so many loads.
    StoreFull,
    /// The bounty was paid to this player already.
    HadAlready,
    /// Silver or goods do not suffice, or there is no room for them.
    Value(PlanRefusal),
}

impl fmt::Display for TradeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => write!(f, "there is no trade node within {TRADE_REACH_M} m"),
            Self::Loads => write!(f, "a trade is of 1 to {LOADS_MAX} loads"),
            Self::Price { silver } => write!(f, "a load costs {silver} silver now"),
            Self::SoldOut => f.write_str(SOLD_OUT),
            Self::StoreFull => f.write_str(STORE_FULL),
            Self::HadAlready => f.write_str(HAD_ALREADY),
            Self::Value(why) => why.fmt(f),
        }
    }
}

impl From<&PlanRefusal> for TradeRefusal {
    fn from(why: &PlanRefusal) -> Self {
        match why {
            PlanRefusal::Game { reason, .. } if reason == SOLD_OUT => Self::SoldOut,
            PlanRefusal::Game { reason, .. } if reason == STORE_FULL => Self::StoreFull,
            PlanRefusal::Game { reason, .. } if reason == HAD_ALREADY => Self::HadAlready,
            why => Self::Value(why.clone()),
        }
    }
}

/// The house that keeps a node's goods and silver, and the name of its store.
#[must_use]
pub fn market_of(roads: &Roads, node: NodeId) -> Name {
    let name = &roads.nodes[usize::from(node.0)].slug;
    Name::new(&format!("market/{name}")).expect("a map's names were checked")
}

/// What a node asks for in these minutes.
#[must_use]
pub fn asked_for(seed: u64, node: NodeId, period: u64) -> Good {
    let mut chance = Random::new(seed, NetId(u64::from(node.0)), TickNumber(period), BOUNTY);
    Good::ALL[chance.below(Good::ALL.len())]
}

/// The number of the minutes in which this moment lies.
#[must_use]
pub fn bounty_period(now_ms: u64) -> u64 {
    now_ms / BOUNTY_EVERY_MS
}

/// The node where the caller is, and its house; none far from any.
pub(super) fn node_here(context: &AskContext<'_>) -> Option<(NodeId, Name)> {
    here(context).ok().map(|here| (here.node, here.market))
}

/// The node where somebody is who trades.
pub(super) struct Here<'c> {
    pub(super) node: NodeId,
    pub(super) slug: &'c str,
    pub(super) market: Name,
    prices: &'c Prices,
    pub(super) lore: &'c Lore,
}

/// The node where the caller is.
pub(super) fn here<'c>(context: &'c AskContext<'_>) -> Result<Here<'c>, TradeRefusal> {
    let published =
        (context.published::<Roads>(), context.published::<Prices>(), context.published::<Lore>());
    let (Some(roads), Some(prices), Some(lore)) = published else { return Err(TradeRefusal::NoNode) };
    let node = roads.nearest(context.position.truncate(), TRADE_REACH_M).ok_or(TradeRefusal::NoNode)?;
    Ok(Here { node, slug: &roads.node(node).slug, market: market_of(roads, node), prices, lore })
}

fn checked(loads: u16) -> Result<u64, TradeRefusal> {
    if (1..=LOADS_MAX).contains(&loads) { Ok(loads.into()) } else { Err(TradeRefusal::Loads) }
}

pub(super) fn buy(buy: &Buy, _: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, TradeRefusal> {
    let (loads, Here { slug, market, prices, lore, .. }) = (checked(buy.loads)?, here(context)?);
    let silver = prices.of_good(buy.good);
    if silver > buy.at_most {
        return Err(TradeRefusal::Price { silver });
    }
    Ok(context
        .request("buy")
        .pay(SILVER, loads * u64::from(silver), market.clone())
        .grant(buy.good.asset(), loads, market.clone())
        .game(MoveStock::KIND, &MoveStock::taken(market, buy.good, buy.loads, lore.stock(slug, buy.good))))
}

pub(super) fn sell(sell: &Sell, _: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, TradeRefusal> {
    let (loads, Here { slug, market, prices, lore, .. }) = (checked(sell.loads)?, here(context)?);
    let silver = prices.of_good(sell.good);
    if silver < sell.at_least {
        return Err(TradeRefusal::Price { silver });
    }
    Ok(context
        .request("sell")
        .pay(sell.good.asset(), loads, market.clone())
        .grant(SILVER, loads * u64::from(silver), market.clone())
        .game(
            MoveStock::KIND,
            &MoveStock::brought(market, sell.good, sell.loads, lore.stock(slug, sell.good)),
        ))
}

pub(super) fn hand_in(_: &HandIn, _: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, TradeRefusal> {
    let Here { node, slug, market, lore, .. } = here(context)?;
    let period = bounty_period(context.tick.now_ms);
    let good = asked_for(context.tick.seed, node, period);
    let silver = 2 * u64::from(lore.usual_price(good)) * u64::from(BOUNTY_LOADS);
    let taken = TakeBounty { market: market.clone(), period, player: context.player.clone() };
    Ok(context
        .request("bounty")
        .game(TakeBounty::KIND, &taken)
        .pay(good.asset(), BOUNTY_LOADS.into(), market.clone())
        .game(
            MoveStock::KIND,
            &MoveStock::brought(market.clone(), good, BOUNTY_LOADS, lore.stock(slug, good)),
        )
        .grant(SILVER, silver, market)
        .grant(STRONGBOX, 1, GIVEN_OUT))
}

pub(super) fn left(summary: &MutationSummary, asset: &Name) -> u64 {
    let of_player = summary.holdings().iter().filter(|held| held.account.player().is_some());
    let amounts = of_player.filter(|held| held.asset == *asset).map(|held| held.amount);
    amounts.sum::<i64>().unsigned_abs()
}

/// What the claimant may be shown of what it received: what and how much.
pub(super) fn found(summary: &MutationSummary) -> Vec<(String, u64)> {
    let shown = summary.release(&summary.claim().account);
    shown.lines().iter().map(|line| (line.asset.to_string(), line.amount)).collect()
}

pub(super) fn traded(
    good: Good,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Traded, TradeRefusal> {
    let summary = outcome.map_err(TradeRefusal::from)?;
    Ok(Traded { silver: left(summary, &SILVER.into()), loads: left(summary, &good.asset()) })
}

pub(super) fn handed_in(
    _: &HandIn,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Bounty, TradeRefusal> {
    let summary = outcome.map_err(TradeRefusal::from)?;
    Ok(Bounty { found: found(summary) })
}
