//! What a node asks for is to come from elsewhere: a bounty or an errand that paid for what was bought where it is handed in would pay
//! for nothing.

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::reward::Name;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

/// A reason, in words for players.
pub(super) const BOUGHT_HERE: &str =
    "you bought that good here a while ago: what is asked for is to come from elsewhere";

/// What somebody has bought at a node is not asked for there for so long, ms.
pub(super) const BOUGHT_MS: u64 = 30 * 60 * 1_000;
/// Among so many of the player's newest changes it is looked for. More of them take half of that time at the rate of trades.
const CHANGES_LOOKED_AT: i64 = 8_192;

/// What a player hands in at a node was not bought there: the whole plan is refused otherwise. The look takes a step for each of the
/// player's changes in that time, some thousands at most, so whatever else may be against a plan comes before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromElsewhere {
    pub(super) market: Name,
    pub(super) player: PlayerId,
    pub(super) good: Name,
}

impl FromElsewhere {
    /// What a plan calls it.
    pub(super) const KIND: &str = "from_elsewhere";
}

impl MutationKind for FromElsewhere {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        let since_ms = i64::try_from(tx.now_ms().saturating_sub(BOUGHT_MS)).unwrap_or(i64::MAX);
        // From the newest on: who asks again and again for what is refused has mostly bought just now.
        let bought = tx.first(
            "SELECT 1 FROM account
             JOIN changelog ON changelog.account = account.id AND changelog.data_version > account.data_version - ?5
             JOIN claim ON claim.id = changelog.claim AND claim.use_case = 'buy' AND claim.now_ms > ?4
             JOIN ledger ON ledger.claim = claim.id
             JOIN asset ON asset.id = ledger.asset AND asset.name = ?2
             JOIN account AS house ON house.id = ledger.from_account AND house.kind = 'house' AND house.name = ?3
             WHERE account.kind = 'player' AND account.name = ?1 ORDER BY changelog.data_version DESC LIMIT 1",
            &[
                data.player.as_str().into(),
                data.good.as_str().into(),
                data.market.as_str().into(),
                since_ms.into(),
                CHANGES_LOOKED_AT.into(),
            ],
        )?;
        if bought.is_none() { Ok(()) } else { Err(KindRefusal::new(BOUGHT_HERE)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::carrier::Carrier;
    use super::*;

    fn hands_in(name: &str) -> PlanRequest {
        let player = PlayerId::new(name).unwrap();
        let (market, good) = ("market/town".into(), "salt".into());
        let from = FromElsewhere { market, player: player.clone(), good };
        PlanRequest::new("hands-in", &player).game(FromElsewhere::KIND, &from).grant(
            super::super::SILVER,
            5,
            "guild",
        )
    }

    /// E9: what is asked for comes from elsewhere: who bought of it at the node itself, however many trades ago, is paid nothing for it
    /// for a while; who bought other goods there, or these at another node, is.
    #[test]
    fn who_bought_at_the_node_itself_is_not_paid_for_bringing_it() {
        let mut carrier = Carrier::new();
        let buy = |name: &str, good: &'static str, market: &'static str| {
            let player = PlayerId::new(name).unwrap();
            PlanRequest::new("buy", &player).grant(good, 3, market)
        };
        carrier.now_ms = 5_000;
        for (name, good, market) in [
            ("alice", "salt", "market/town"),
            ("bob", "salt", "market/port"),
            ("carol", "iron", "market/town"),
        ] {
            assert!(carrier.carry(buy(name, good, market)).is_ok());
        }
        for _ in 0..50 {
            assert!(carrier.carry(buy("alice", "wine", "market/town")).is_ok());
        }
        let refused = carrier.carry(hands_in("alice")).unwrap_err();
        assert!(matches!(&refused, PlanRefusal::Game { reason, .. } if reason == BOUGHT_HERE), "{refused}");
        assert!(carrier.carry(hands_in("bob")).is_ok());
        assert!(carrier.carry(hands_in("carol")).is_ok());
        carrier.now_ms = 4_999 + BOUGHT_MS;
        assert!(carrier.carry(hands_in("alice")).is_err());
        carrier.now_ms = 5_000 + BOUGHT_MS;
        assert!(carrier.carry(hands_in("alice")).is_ok(), "that is long ago");
    }
}
