//! What trade nodes have in store, and whose bounties they have paid: the game's own tables in the save.
//!
//! Goods themselves move between accounts, as all value does. The tables say how many loads there are to move.

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::reward::Name;
use crate::store::game::{GamePlugin, GameTransaction, KindRefusal, MutationKind, SqlValue};

use super::campaign::{KeepBattle, KeepRounds};
use super::errands::FinishErrand;
use super::goods::Good;
use super::lore::Stock;
use super::people::EndCharacter;

/// The house that bounties are out of.
pub(super) const GIVEN_OUT: &str = "bandits";

/// Reasons, in words for players.
pub(super) const SOLD_OUT: &str = "the node has not so many loads left";
pub(super) const STORE_FULL: &str = "the node has no room for so many loads";
pub(super) const HAD_ALREADY: &str =
    "the bounty of this node was paid to you: it asks for something else soon";

/// Loads come into a store or leave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveStock {
    market: Name,
    good: Name,
    /// Below nothing where they leave.
    loads: i32,
    /// What is in a store that opens now.
    opening: u32,
    /// Most that the store takes.
    most: u32,
}

impl MoveStock {
    /// What a plan calls it.
    pub(super) const KIND: &str = "move_stock";

    pub(super) fn taken(market: Name, good: Good, loads: u16, stock: Stock) -> Self {
        Self { loads: -i32::from(loads), ..Self::brought(market, good, loads, stock) }
    }

    pub(super) fn brought(market: Name, good: Good, loads: u16, stock: Stock) -> Self {
        let Stock { opening, most, .. } = stock;
        Self { market, good: good.asset(), loads: loads.into(), opening, most }
    }
}

impl MutationKind for MoveStock {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        let (market, good) = (SqlValue::from(data.market.as_str()), SqlValue::from(data.good.as_str()));
        // A store opens when somebody first asks for it: a map may grow.
        tx.execute(
            "INSERT INTO game_caravan_stock (market, good, loads, opened) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
            &[market.clone(), good.clone(), data.opening.into()],
        )?;
        let moved = tx.execute(
            // What lies in a store that holds less now may leave it.
            "UPDATE game_caravan_stock SET loads = loads + ?3
             WHERE market = ?1 AND good = ?2 AND loads + ?3 >= 0 AND (?3 < 0 OR loads + ?3 <= ?4)",
            &[market, good, data.loads.into(), data.most.into()],
        )?;
        match moved {
            1 => Ok(()),
            _ if data.loads < 0 => Err(KindRefusal::new(SOLD_OUT)),
            _ => Err(KindRefusal::new(STORE_FULL)),
        }
    }

    /// What a store has beyond what it opened with, its house has taken in.
    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let wrong = tx.query(
            "SELECT stock.market, stock.good, stock.loads, stock.opened + coalesce((
                 SELECT holding.amount FROM holding
                 JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
                 WHERE account.kind = 'house' AND account.name = stock.market AND asset.name = stock.good), 0) AS wanted
             FROM game_caravan_stock AS stock WHERE stock.loads <> wanted",
            &[],
        )?;
        let tell = |row: &Vec<SqlValue>| match &row[..] {
            [market, good, loads, wanted] => {
                let text = |value: &SqlValue| value.text().unwrap_or("?").to_owned();
                let number = |value: &SqlValue| value.integer().unwrap_or(0);
                format!(
                    "game_caravan_stock {} {}: {} loads are there, {} should be",
                    text(market),
                    text(good),
                    number(loads),
                    number(wanted)
                )
            }
            _ => "game_caravan_stock: unreadable".to_owned(),
        };
        Ok(wrong.iter().map(tell).collect())
    }
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
        .migration(
            "battles that were fought",
            "CREATE TABLE game_caravan_battle (
                 id INTEGER PRIMARY KEY, player TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL, band TEXT NOT NULL,
                 result TEXT NOT NULL, rounds INTEGER NOT NULL, fallen INTEGER NOT NULL, wounded INTEGER NOT NULL) STRICT",
        )
        .migration(
            "rounds of battles",
            "CREATE TABLE game_caravan_round (
                 id INTEGER PRIMARY KEY, avatar INTEGER NOT NULL, begun INTEGER NOT NULL, round INTEGER NOT NULL,
                 doing TEXT NOT NULL, felled INTEGER NOT NULL, foes INTEGER NOT NULL, fallen INTEGER NOT NULL,
                 health INTEGER NOT NULL) STRICT",
        )
        .migration(
            "errands that were done",
            "CREATE TABLE game_caravan_errand (player TEXT PRIMARY KEY, done INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        )
        .kind::<MoveStock>()
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
