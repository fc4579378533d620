//! Whose bounties the nodes have paid, so that none is paid to a player twice, nor for what was bought where it is handed in; and a list
//! of all of the game's own tables in the save.

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

/// The same, for who bought at the node itself.
pub(super) const BOUGHT_HERE: &str =
    "you bought that good here a while ago: a bounty is for what comes from elsewhere";

/// Who has bought a good at a node brings it no bounty of that good for so long, ms.
pub(super) const BOUGHT_MS: u64 = 30 * 60 * 1_000;
/// Among so many of the player's newest changes it is looked for. More of them take half of that time at the rate of trades.
const CHANGES_LOOKED_AT: i64 = 8_192;

/// A player is paid a node's bounty: once while it stands, and for goods that come from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBounty {
    pub(super) market: Name,
    pub(super) period: u64,
    pub(super) player: PlayerId,
    pub(super) good: Name,
    /// When it was asked for, ms since 1970.
    pub(super) now_ms: u64,
}

impl TakeBounty {
    /// What a plan calls it.
    pub(super) const KIND: &str = "take_bounty";

    /// Whether the ledger says that the player bought of that good at this node a while ago.
    fn is_bought_here(&self, tx: &mut GameTransaction<'_>) -> Result<bool, KindRefusal> {
        let since_ms = i64::try_from(self.now_ms.saturating_sub(BOUGHT_MS)).unwrap_or(i64::MAX);
        let bought = tx.query(
            "SELECT 1 FROM account
             JOIN changelog ON changelog.account = account.id AND changelog.data_version > account.data_version - ?5
             JOIN claim ON claim.id = changelog.claim AND claim.use_case = 'buy' AND claim.now_ms > ?4
             JOIN ledger ON ledger.claim = claim.id
             JOIN asset ON asset.id = ledger.asset AND asset.name = ?2
             JOIN account AS house ON house.id = ledger.from_account AND house.kind = 'house' AND house.name = ?3
             WHERE account.kind = 'player' AND account.name = ?1 LIMIT 1",
            &[
                self.player.as_str().into(),
                self.good.as_str().into(),
                self.market.as_str().into(),
                since_ms.into(),
                CHANGES_LOOKED_AT.into(),
            ],
        )?;
        Ok(!bought.is_empty())
    }
}

impl MutationKind for TakeBounty {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        if data.is_bought_here(tx)? {
            return Err(KindRefusal::new(BOUGHT_HERE));
        }
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
    use super::super::carrier::Carrier;
    use super::*;

    /// E9, F11: a bounty is paid to a player once, also around the moment at which the node asks for something else, in whatever
    /// order claims come to the store.
    #[test]
    fn a_bounty_is_paid_once_also_when_the_next_one_is_up_already() {
        let mut carrier = Carrier::new();
        let mut takes = |name: &str, period: u64| carrier.carry(bounty(name, period, 1));
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

    /// E9: a bounty is for goods that come from elsewhere: who bought of them at the node itself, however many trades ago, is paid
    /// none for a while; who bought other goods there, or these at another node, is.
    #[test]
    fn who_bought_at_the_node_itself_is_paid_no_bounty_for_it() {
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
        let refused = carrier.carry(bounty("alice", 1, 5_000)).unwrap_err();
        assert!(matches!(&refused, PlanRefusal::Game { reason, .. } if reason == BOUGHT_HERE), "{refused}");
        assert!(carrier.carry(bounty("bob", 1, 5_000)).is_ok());
        assert!(carrier.carry(bounty("carol", 1, 5_000)).is_ok());
        assert!(carrier.carry(bounty("alice", 1, 4_999 + BOUGHT_MS)).is_err());
        assert!(carrier.carry(bounty("alice", 1, 5_000 + BOUGHT_MS)).is_ok(), "that is long ago");
    }

    fn bounty(name: &str, period: u64, now_ms: u64) -> PlanRequest {
        let player = PlayerId::new(name).unwrap();
        let (market, good) = ("market/town".into(), "salt".into());
        let taken = TakeBounty { market, period, player: player.clone(), good, now_ms };
        PlanRequest::new("bounty", &player).game(TakeBounty::KIND, &taken).grant(
            super::super::SILVER,
            5,
            "bandits",
        )
    }
}
