//! Whose bounties the nodes have paid, so that none is paid to a player twice; and a list of all of the game's own tables in the save.

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::reward::Name;
use crate::store::game::{GamePlugin, GameTransaction, KindRefusal, MutationKind};

use super::almanac::{self, KeepPrices};
use super::campaign::{KeepBattle, KeepRounds, SEPARATE_ROWS, TABLES as BATTLE_TABLES};
use super::elsewhere::FromElsewhere;
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
        .migration(
            "what comes back gives back what it used of a quota",
            "ALTER TABLE game_caravan_stock RENAME COLUMN traded TO taken; UPDATE game_caravan_stock SET taken = 0",
        )
        .kind::<MoveStock>()
        .kind::<CountStores>()
        .kind::<KeepPrices>()
        .kind::<TakeBounty>()
        .kind::<FromElsewhere>()
        .kind::<KeepBattle>()
        .kind::<KeepRounds>()
        .kind::<FinishErrand>()
        .kind::<EndCharacter>()
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
