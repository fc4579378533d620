//! Whose bounties the nodes have paid, so that none is paid to a player twice; and a list of all of the game's own tables in the save.

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::reward::Name;
use crate::store::game::{GamePlugin, GameTransaction, KindRefusal, MutationKind};

use super::almanac::{self, KeepPrices};
use super::campaign::{KeepBattle, KeepRounds, SEPARATE_ROWS, TABLES as BATTLE_TABLES};
use super::errands::FinishErrand;
use super::people::EndCharacter;
use super::stock::{CountStores, MoveStock};

/// The house that bounties are out of.
pub(super) const GIVEN_OUT: &str = "bandits";

/// A reason, in words for players.
pub(super) const HAD_ALREADY: &str =
    "the bounty of this node was paid to you: it asks for something else soon";

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

/// The tables and kinds.
pub(super) fn plugin() -> GamePlugin {
    GamePlugin::new("caravan")
        .migration(
            "stores of trade nodes",
            "CREATE TABLE game_caravan_stock (
                 market TEXT NOT NULL, good TEXT NOT NULL, loads INTEGER NOT NULL CHECK (loads >= 0), opened INTEGER NOT NULL,
                 PRIMARY KEY (market, good)) STRICT, WITHOUT ROWID",
        )
        .migration(
            "bounties that were paid",
            "CREATE TABLE game_caravan_bounty (
                 market TEXT NOT NULL, period INTEGER NOT NULL, player TEXT NOT NULL,
                 PRIMARY KEY (market, period, player)) STRICT, WITHOUT ROWID",
        )
        .migration(BATTLE_TABLES[0].0, BATTLE_TABLES[0].1)
        .migration(BATTLE_TABLES[1].0, BATTLE_TABLES[1].1)
        .migration(
            "errands that were done",
            "CREATE TABLE game_caravan_errand (player TEXT PRIMARY KEY, done INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        )
        .migration(
            "stores are counted by the ledger, and have a quota",
            "ALTER TABLE game_caravan_stock RENAME TO game_caravan_stock_before;
             CREATE TABLE game_caravan_stock (
                 market TEXT NOT NULL, good TEXT NOT NULL, opened INTEGER NOT NULL, period INTEGER NOT NULL DEFAULT 0,
                 traded INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (market, good)) STRICT, WITHOUT ROWID;
             INSERT INTO game_caravan_stock (market, good, opened) SELECT market, good, opened FROM game_caravan_stock_before;
             DROP TABLE game_caravan_stock_before",
        )
        .migration("prices from hour to hour", almanac::TABLE)
        .migration(SEPARATE_ROWS.0, SEPARATE_ROWS.1)
        .kind::<MoveStock>()
        .kind::<CountStores>()
        .kind::<KeepPrices>()
        .kind::<TakeBounty>()
        .kind::<KeepBattle>()
        .kind::<KeepRounds>()
        .kind::<FinishErrand>()
        .kind::<EndCharacter>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::reward::{Claim, CommitBatch, PlanContext, Submission, plan};
    use crate::store::Bank;
    use crate::store::game::GameStore;

    /// E9, F11: a bounty is paid to a player once, also around the moment at which the node asks for something else, in whatever
    /// order claims come to the store.
    #[test]
    fn a_bounty_is_paid_once_also_when_the_next_one_is_up_already() {
        let bank = Bank::new(
            super::super::Lore::shipped().reward_tables().assets(),
            GameStore::default().plugin(plugin()),
        );
        let mut number = 0;
        let mut takes = |name: &str, period: u64| {
            number += 1;
            let player = PlayerId::new(name).unwrap();
            let taken = TakeBounty { market: "market/town".into(), period, player: player.clone() };
            let request = PlanRequest::new("bounty", &player).game(TakeBounty::KIND, &taken).grant(
                super::super::SILVER,
                5,
                "bandits",
            );
            let claim = Claim::new(&player, ClaimKey(number), b"bounty");
            let context = PlanContext::new(
                Arc::new(super::super::Lore::shipped().reward_tables().clone()),
                1,
                &claim,
                0,
            );
            let context = context.with(&player, Holdings::default());
            let plan = Arc::new(plan(&context, &claim, &request).unwrap());
            let plans = vec![Submission { number: 1, plan }];
            bank.commit(&CommitBatch { tick: TickNumber(1), now_ms: 1, plans }).remove(0).result
        };
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
}
