//! Players trade at the nodes: they buy and sell out of what a node has in store, as long as its quota lasts.
//!
//! A load costs what it costs once the trade is done, so that nobody gains by buying and selling again; and the more of a node's quota
//! is used up, the more it keeps of a trade for itself. Silver, goods, stock and quota change together or not at all.

use std::fmt;

use crate::prelude::*;
use crate::reward::Name;
use crate::store::MutationSummary;

use super::bounty::HAD_ALREADY;
use super::elsewhere::{BOUGHT_HERE, FromElsewhere};
use super::goods::Good;
use super::lore::Lore;
use super::market::{Prices, house_of, unwritten};
use super::objection::{Objection, Told, quotas_begin_in_s};
use super::outcome::left;
use super::purse::{Purse, SILVER};
use super::roads::{NodeId, Roads};
use super::shelf::{Store, Way, quota_period};
use super::stock::{MoveStock, Moved};

/// So near to a node one trades there, m.
pub const TRADE_REACH_M: f32 = 30.0;
/// Most loads in one trade.
pub const LOADS_MAX: u16 = 50;

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

/// How things stand after a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traded {
    /// Silver that one owns.
    pub silver: u64,
    /// Loads of the good that one owns.
    pub loads: u64,
    /// What a load was, silver.
    pub price: u32,
    /// Loads that the node has.
    pub stock: u32,
    /// Loads of the good that the quota of this period still lets players buy after a purchase, or sell after a sale.
    pub quota_left: u32,
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
    SoldOut {
        /// How many it has.
        left: u32,
    },
    /// The node has no room for so many loads.
    StoreFull {
        /// For how many it has.
        room: u32,
    },
    /// The node does not sell so many loads more to players in this period, or buy so many from them.
    QuotaUsed {
        /// How many it does.
        left: u32,
        /// When the quota begins anew, seconds from now.
        opens_in_s: u32,
    },
    /// The bounty was paid to this player already.
    HadAlready,
    /// The player bought of the good at this very node a while ago.
    BoughtHere,
    /// Silver or goods do not suffice, or there is no room for them.
    Value(PlanRefusal),
}

impl fmt::Display for TradeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => write!(f, "there is no trade node within {TRADE_REACH_M} m"),
            Self::Loads => write!(f, "a trade is of 1 to {LOADS_MAX} loads"),
            Self::Price { silver } => Objection::Price { silver: *silver }.fmt(f),
            Self::SoldOut { left } => Objection::SoldOut { left: *left }.fmt(f),
            Self::StoreFull { room } => Objection::Full { room: *room }.fmt(f),
            Self::QuotaUsed { left, opens_in_s } => {
                Objection::Quota { left: *left, opens_in_s: *opens_in_s }.fmt(f)
            }
            Self::HadAlready => f.write_str(HAD_ALREADY),
            Self::BoughtHere => f.write_str(BOUGHT_HERE),
            Self::Value(why) => Told(why).fmt(f),
        }
    }
}

impl From<Objection> for TradeRefusal {
    fn from(why: Objection) -> Self {
        match why {
            Objection::SoldOut { left } => Self::SoldOut { left },
            Objection::Full { room } => Self::StoreFull { room },
            Objection::Quota { left, opens_in_s } => Self::QuotaUsed { left, opens_in_s },
            Objection::Price { silver } => Self::Price { silver },
        }
    }
}

impl From<&PlanRefusal> for TradeRefusal {
    fn from(why: &PlanRefusal) -> Self {
        let PlanRefusal::Game { reason, .. } = why else { return Self::Value(why.clone()) };
        match Objection::told_in(reason) {
            Some(objection) => objection.into(),
            None if reason == HAD_ALREADY => Self::HadAlready,
            None if reason == BOUGHT_HERE => Self::BoughtHere,
            None => Self::Value(why.clone()),
        }
    }
}

/// The house that keeps a node's goods and silver, and the name of its store.
#[must_use]
pub fn market_of(roads: &Roads, node: NodeId) -> Name {
    house_of(&roads.node(node).slug)
}

/// The node where the caller is, and its house; none far from any.
pub(super) fn node_here(context: &AskContext<'_>) -> Option<(NodeId, Name)> {
    here(context).ok().map(|here| (here.node, here.market))
}

/// The node where somebody is who trades.
pub(super) struct Here<'c> {
    pub(super) node: NodeId,
    pub(super) market: Name,
    prices: &'c Prices,
    pub(super) lore: &'c Lore,
    context: &'c AskContext<'c>,
}

/// The node where the caller is.
pub(super) fn here<'c>(context: &'c AskContext<'c>) -> Result<Here<'c>, TradeRefusal> {
    let published =
        (context.published::<Roads>(), context.published::<Prices>(), context.published::<Lore>());
    let (Some(roads), Some(prices), Some(lore)) = published else { return Err(TradeRefusal::NoNode) };
    let node = roads.nearest(context.position.truncate(), TRADE_REACH_M).ok_or(TradeRefusal::NoNode)?;
    Ok(Here { node, market: market_of(roads, node), prices, lore, context })
}

impl Here<'_> {
    fn store(&self, good: Good) -> Result<&Store, TradeRefusal> {
        self.prices.store(self.node, good).ok_or(TradeRefusal::NoNode)
    }

    fn period(&self) -> u64 {
        quota_period(self.context.tick.now_ms)
    }

    /// The node lets players move so many loads more this way in this period, or not.
    fn check_quota(&self, store: &Store, loads: u16, way: Way) -> Result<(), TradeRefusal> {
        let left = store.quota_left(self.period(), way);
        if u32::from(loads) <= left {
            return Ok(());
        }
        Err(Objection::Quota { left, opens_in_s: quotas_begin_in_s(self.context.tick.now_ms) }.into())
    }

    /// So many loads come into the node's store, or leave it, below nothing.
    fn moves(&self, good: Good, loads: i32) -> Result<MoveStock, TradeRefusal> {
        let terms = self.store(good)?.terms;
        let unwritten = unwritten(self.context, &self.market, good);
        Ok(MoveStock::new(self.market.clone(), good, loads, terms).beside(unwritten))
    }

    /// The same of a trade at this price: it counts against the quota, and is off when others were first and a load is dearer by then,
    /// or brings less.
    fn trades(&self, good: Good, loads: i32, silver: u32) -> Result<MoveStock, TradeRefusal> {
        Ok(self.moves(good, loads)?.at(silver, self.period()))
    }

    /// So many loads come in that the node has asked for: whatever its quota.
    pub(super) fn brought(&self, good: Good, loads: u16) -> Result<MoveStock, TradeRefusal> {
        self.moves(good, loads.into())
    }

    /// What the caller hands in of a good was not bought here.
    pub(super) fn handed_in_here(&self, good: Good) -> FromElsewhere {
        let (market, player) = (self.market.clone(), self.context.player.clone());
        FromElsewhere { market, player, good: good.asset() }
    }
}

fn checked(loads: u16) -> Result<u16, TradeRefusal> {
    if (1..=LOADS_MAX).contains(&loads) { Ok(loads) } else { Err(TradeRefusal::Loads) }
}

pub(super) fn buy(buy: &Buy, _: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, TradeRefusal> {
    let (loads, here) = (checked(buy.loads)?, here(context)?);
    let store = here.store(buy.good)?;
    let left = store.for_sale();
    if left < loads.into() {
        return Err(TradeRefusal::SoldOut { left });
    }
    here.check_quota(store, loads, Way::Out)?;
    let silver = store.terms.asked_of_players(store.loads, loads.into(), store.quota_used(here.period()));
    if silver > buy.at_most {
        return Err(TradeRefusal::Price { silver });
    }
    Ok(context
        .request("buy")
        .pay(SILVER, u64::from(loads) * u64::from(silver), here.market.clone())
        .grant(buy.good.asset(), loads.into(), here.market.clone())
        .game(MoveStock::KIND, &here.trades(buy.good, -i32::from(loads), silver)?))
}

pub(super) fn sell(sell: &Sell, _: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, TradeRefusal> {
    let (loads, here) = (checked(sell.loads)?, here(context)?);
    let store = here.store(sell.good)?;
    let room = store.room();
    if room < loads.into() {
        return Err(TradeRefusal::StoreFull { room });
    }
    here.check_quota(store, loads, Way::In)?;
    let silver = store.terms.given_to_players(store.loads, loads.into(), store.quota_used(here.period()));
    if silver < sell.at_least {
        return Err(TradeRefusal::Price { silver });
    }
    Ok(context
        .request("sell")
        .pay(sell.good.asset(), loads.into(), here.market.clone())
        .grant(SILVER, u64::from(loads) * u64::from(silver), here.market.clone())
        .game(MoveStock::KIND, &here.trades(sell.good, loads.into(), silver)?))
}

pub(super) fn traded(
    good: Good,
    loads: u16,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Traded, TradeRefusal> {
    let summary = outcome.map_err(TradeRefusal::from)?;
    let of_player = summary.holdings().iter().filter(|held| held.account.player().is_some());
    let paid = of_player.filter(|held| held.asset == SILVER.into()).map(|held| held.delta);
    let price = paid.sum::<i64>().unsigned_abs() / u64::from(loads.max(1));
    let after = summary.told::<Moved>(MoveStock::KIND).pop();
    Ok(Traded {
        silver: left(summary, &SILVER.into()),
        loads: left(summary, &good.asset()),
        price: u32::try_from(price).unwrap_or(u32::MAX),
        stock: after.as_ref().map_or(0, |after| after.loads),
        quota_left: after.as_ref().map_or(0, |after| after.quota_left),
    })
}
