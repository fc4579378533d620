//! All of the game's own tables in the save, as one version of it after the other made them, and the kinds of changes that plans make to
//! them.

use crate::store::game::GamePlugin;

use super::almanac::{self, KeepPrices};
use super::bounty::TakeBounty;
use super::campaign::{KeepBattle, KeepRounds, SEPARATE_ROWS, TABLES as BATTLE_TABLES};
use super::elsewhere::FromElsewhere;
use super::errands::FinishErrand;
use super::people::EndCharacter;
use super::stock::{CountStores, MoveStock};

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
