//! Bounties: what a node asks for in these minutes. It pays each player for it once, for loads that come from elsewhere.

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::reward::Name;
use crate::store::MutationSummary;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

use super::elsewhere::FromElsewhere;
use super::goods::Good;
use super::outcome::found;
use super::purse::{Purse, SILVER, with_strongbox};
use super::roads::NodeId;
use super::stock::MoveStock;
use super::trade::{TradeRefusal, here};

/// Loads that a bounty asks for.
pub const BOUNTY_LOADS: u16 = 3;
/// How often a node asks for something else.
const BOUNTY_EVERY_MS: u64 = 5 * 60 * 1_000;

/// Purposes of chance.
const BOUNTY: u32 = 7;

/// The house that bounties are out of.
pub(super) const GIVEN_OUT: &str = "bandits";

/// A reason, in words for players.
pub(super) const HAD_ALREADY: &str =
    "the bounty of this node was paid to you: it asks for something else soon";

/// Hand in what the node's bounty asks for. It is for goods from elsewhere: who bought of them at this node a while ago is paid none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Bounty, refusal = TradeRefusal, rate = 2, burst = 5, coalesce = none,
    durability = immediate)]
pub struct HandIn;

/// What a bounty brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounty {
    /// What and how much: the silver, and what was in the strongbox.
    pub found: Vec<(String, u64)>,
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

pub(super) fn hand_in(_: &HandIn, _: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, TradeRefusal> {
    let here = here(context)?;
    let period = bounty_period(context.tick.now_ms);
    let good = asked_for(context.tick.seed, here.node, period);
    let silver = 2 * u64::from(here.lore.usual_price(good)) * u64::from(BOUNTY_LOADS);
    let taken = TakeBounty { market: here.market.clone(), period, player: context.player.clone() };
    let request = context
        .request("bounty")
        .game(TakeBounty::KIND, &taken)
        .game(FromElsewhere::KIND, &here.handed_in_here(good))
        .pay(good.asset(), BOUNTY_LOADS.into(), here.market.clone())
        .game(MoveStock::KIND, &here.brought(good, BOUNTY_LOADS)?)
        .grant(SILVER, silver, here.market.clone());
    Ok(with_strongbox(request, GIVEN_OUT))
}

pub(super) fn handed_in(
    _: &HandIn,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Bounty, TradeRefusal> {
    let summary = outcome.map_err(TradeRefusal::from)?;
    Ok(Bounty { found: found(summary) })
}

/// A player is paid a node's bounty: once while it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBounty {
    pub(super) market: Name,
    pub(super) period: u64,
    pub(super) player: PlayerId,
}

impl TakeBounty {
    /// What a plan calls it.
    pub(super) const KIND: &str = "take_bounty";
}

impl MutationKind for TakeBounty {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        let period = i64::try_from(data.period).unwrap_or(i64::MAX);
        let market = data.market.as_str();
        // Who asked for it just before the node asked for something else may be paid just after; later, nobody is: of the bounties
        // before it is not known any more who had them.
        let newest = tx.query(
            "SELECT coalesce(max(period), 0) FROM game_caravan_bounty WHERE market = ?1",
            &[market.into()],
        )?;
        let newest = newest.first().and_then(|row| row.first()?.integer()).unwrap_or(0);
        if period < newest - 1 {
            return Err(KindRefusal::new(HAD_ALREADY));
        }
        tx.execute(
            "DELETE FROM game_caravan_bounty WHERE market = ?1 AND period < ?2 - 1",
            &[market.into(), newest.max(period).into()],
        )?;
        let taken = tx.execute(
            "INSERT INTO game_caravan_bounty (market, period, player) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            &[market.into(), period.into(), data.player.as_str().into()],
        )?;
        if taken == 1 { Ok(()) } else { Err(KindRefusal::new(HAD_ALREADY)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::carrier::Carrier;
    use super::*;

    /// E9, F11: a bounty is paid to a player once, also around the moment at which the node asks for something else, in whatever
    /// order claims come to the store.
    #[test]
    fn a_bounty_is_paid_once_also_when_the_next_one_is_up_already() {
        let mut carrier = Carrier::new();
        let mut takes = |name: &str, period: u64| carrier.carry(bounty(name, period));
        assert!(takes("alice", 7).is_ok());
        assert!(takes("bob", 8).is_ok(), "the next one is up");
        assert!(takes("alice", 7).is_err(), "alice was paid for that");
        assert!(takes("carol", 7).is_ok(), "carol asked for it just before");
        assert!(takes("carol", 7).is_err());
        assert!(takes("alice", 8).is_ok() && takes("bob", 10).is_ok());
        for name in ["alice", "bob", "carol", "dora"] {
            assert!(takes(name, 7).is_err(), "of that nothing is known any more");
        }
    }

    fn bounty(name: &str, period: u64) -> PlanRequest {
        let player = PlayerId::new(name).unwrap();
        let taken = TakeBounty { market: "market/town".into(), period, player: player.clone() };
        PlanRequest::new("bounty", &player).game(TakeBounty::KIND, &taken).grant(
            super::super::SILVER,
            5,
            "bandits",
        )
    }
}
