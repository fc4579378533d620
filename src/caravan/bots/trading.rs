//! What bots trade: they hand in what is asked for at a node, sell some of what they have, or buy something.

use crate::action::kinds::reason_of;
use crate::client::{Player, Reply};
use crate::ids::ActionId;
use crate::prelude::*;
use crate::protocol::messages::ActionRefusal;

use super::super::{
    BOUNTY_LOADS, Board, Buy, Good, HandIn, LOADS_MAX, Market, Purse, Sell, TRADE_REACH_M, TradeRefusal,
};
use super::BotMap;

/// Trades whose answers are waited for; what is asked for beyond is not counted.
const ASKED_MAX: usize = 64;

/// What came of a bot's trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradedByBot {
    /// They were done: what they moved is kept for good.
    pub done: u64,
    /// The game refused them: a price, an empty store, too little silver.
    pub refused: u64,
    /// The world could not keep anything at that time, and said so.
    pub not_kept: u64,
}

/// What one bot knows of its trades.
#[derive(Clone, Debug, Default)]
pub(super) struct Trading {
    /// The bounty that it handed in last: the node, and in which minutes.
    handed_in: Option<(usize, u64)>,
    asked: Vec<ActionId>,
    traded: TradedByBot,
}

impl Trading {
    /// Trades, if it is at a node. What the connection does not take now, another turn does.
    pub(super) fn trade(&mut self, player: &mut Player, map: &BotMap, place: Vec2, chance: &mut Random) {
        let near = map.places.iter().position(|node| node.distance(place) < TRADE_REACH_M);
        let schema = player.schema().clone();
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let (Some(node), Some(purse)) = (near, own.and_then(|own| own.component::<Purse>(&schema))) else {
            return;
        };
        let board = player.view().entities().find_map(|entity| entity.component::<Board>(&schema));
        let asked = board.and_then(|board| Some((board.period, *board.asked.get(node)?)));
        let market = player.view().entities().find_map(|entity| entity.component::<Market>(&schema));
        let price = |good: Good| market.as_ref()?.prices.get(&good).map(|price| price.silver);
        let held: Vec<(Good, u16)> = purse.goods.iter().collect();
        let id = match asked {
            Some((period, good))
                if purse.goods.loads(good) >= BOUNTY_LOADS && self.handed_in != Some((node, period)) =>
            {
                self.handed_in = Some((node, period));
                player.act(&HandIn)
            }
            _ if !held.is_empty() && chance.chance(0.4) => {
                let (good, loads) = held[chance.below(held.len())];
                let loads = 1 + chance.below(usize::from(loads.min(LOADS_MAX))) as u16;
                player.act(&Sell { good, loads, at_least: price(good).map_or(0, |silver| silver / 2) })
            }
            _ => {
                let any = Good::ALL[chance.below(Good::ALL.len())];
                let good = asked.filter(|_| chance.chance(0.5)).map_or(any, |(_, good)| good);
                let loads = 1 + chance.below(2 * usize::from(BOUNTY_LOADS)) as u16;
                player.act(&Buy {
                    good,
                    loads,
                    at_most: price(good).map_or(u32::MAX, |silver| silver * 3 / 2),
                })
            }
        };
        if self.asked.len() < ASKED_MAX {
            self.asked.extend(id.ok());
        }
    }

    /// Counts what came of a trade, if the answer is to one.
    pub(super) fn hear(&mut self, reply: &Reply) {
        let Some(place) = self.asked.iter().position(|id| *id == reply.id) else { return };
        self.asked.swap_remove(place);
        let traded = &mut self.traded;
        *match &reply.result {
            Ok(_) => &mut traded.done,
            Err(refusal) if is_not_kept(refusal) => &mut traded.not_kept,
            Err(_) => &mut traded.refused,
        } += 1;
    }

    pub(super) fn traded(&self) -> TradedByBot {
        self.traded
    }
}

/// Whether the world refused it because it could keep nothing. All trades are refused for reasons of the same type.
fn is_not_kept(refusal: &ActionRefusal) -> bool {
    let reason = reason_of::<Buy>(refusal);
    matches!(reason, Some(TradeRefusal::Value(PlanRefusal::Degraded { .. })))
}
