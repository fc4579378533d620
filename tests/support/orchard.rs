//! A second game, whole: an orchard whose trees bear so many apples and no more. It has a table of its own (the trees), a
//! currency of its own (coins), a reward of its own (what lies under a tree), and letters to its owner.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use terrane::prelude::*;
use terrane::reward::tables::{Drop, LootTable};
use terrane::reward::{AssetClass, Name};
use terrane::store::MutationSummary;
use terrane::store::game::{GamePlugin, GameTransaction, KindRefusal, MutationKind};

/// Apples on the first tree when the world begins. The others have more.
pub const APPLES: u64 = 40;
/// Trees, by their numbers from 1 on.
pub const TREES: u32 = 3;

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Picker {
    #[sync(broadcast)]
    pub coins: Settled<u64>,
    #[sync(broadcast)]
    pub apples: Settled<u64>,
}

impl Settles for Picker {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.coins, holdings.amount(&"coin".into()));
        pen.write(&mut self.apples, holdings.amount(&"apple".into()));
    }
}

/// What was changed: coins and apples afterwards, and the number of this change among all of the player's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub coins: Option<i64>,
    pub apples: Option<i64>,
    pub version: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Receipt, refusal = String, rate = 1000, burst = 1000, coalesce = none, durability = immediate)]
pub struct Pick {
    pub tree: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Receipt, refusal = String, rate = 1000, burst = 1000, coalesce = none, durability = immediate)]
pub struct Sell {
    pub apples: u64,
}

/// Takes an apple from a tree: the game's own kind of change, on its own table.
pub struct TakeApple;

impl MutationKind for TakeApple {
    const NAME: &'static str = "take_apple";
    type Data = u32;
    fn carry_out(tx: &mut GameTransaction<'_>, tree: u32) -> Result<(), KindRefusal> {
        let take = "UPDATE game_orchard_tree SET apples = apples - 1, picked = picked + 1 WHERE id = ?1 AND apples > 0";
        if tx.execute(take, &[tree.into()])? == 1 {
            Ok(())
        } else {
            Err(KindRefusal::new("the tree is bare"))
        }
    }
    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let wrong = tx.query("SELECT id FROM game_orchard_tree WHERE apples + picked <> bears", &[])?;
        Ok(wrong.iter().map(|row| format!("game_orchard_tree {row:?}: apples are lost")).collect())
    }
}

fn receipt(outcome: Result<&MutationSummary, &PlanRefusal>) -> Result<Receipt, String> {
    let summary = outcome.map_err(ToString::to_string)?;
    let of = |asset: &'static str| {
        let held = summary
            .holdings()
            .iter()
            .find(|held| held.account.player().is_some() && held.asset == Name::from(asset));
        held.map(|held| held.amount)
    };
    Ok(Receipt { coins: of("coin"), apples: of("apple"), version: summary.versions()[0].1 })
}

struct Pickers;

impl Plugin for Pickers {
    fn build(&self, app: &mut App) {
        app.replicate::<Picker>()
            .settles::<Picker>()
            .add_immediate_action::<Pick, Picker>(
                |pick, _, context| {
                    let request =
                        context.request("pick").game("take_apple", &pick.tree).grant("apple", 1, "trees");
                    Ok(request.loot("under-a-tree", 1).deliver("letter", &pick.tree))
                },
                |_, outcome| receipt(outcome),
            )
            .add_immediate_action::<Sell, Picker>(
                |sell, _, context| {
                    Ok(context.request("sell").pay("apple", sell.apples, "market").grant(
                        "coin",
                        3 * sell.apples,
                        "mint",
                    ))
                },
                |_, outcome| receipt(outcome),
            );
    }
}

/// The node's part: the table of the trees, and whoever takes the letters.
pub struct Orchard<F>(pub F);

impl<F: Fn(u64) -> Result<(), String> + Clone + Send + Sync + 'static> Plugin for Orchard<F> {
    fn build(&self, app: &mut App) {
        let trees = GamePlugin::new("orchard")
            .migration("trees", "CREATE TABLE game_orchard_tree (id INTEGER PRIMARY KEY, bears INTEGER NOT NULL, \
                 apples INTEGER NOT NULL CHECK (apples >= 0), picked INTEGER NOT NULL DEFAULT 0) STRICT")
            .migration("planted", "INSERT INTO game_orchard_tree (id, bears, apples) VALUES (1, 40, 40), (2, 9000, 9000), (3, 90000, 90000)")
            .kind::<TakeApple>();
        let owner = self.0.clone();
        app.game_tables(trees).delivers("letter", move |letter: &terrane::store::Delivery| owner(letter.id));
    }
}

pub fn tables() -> RewardTables {
    let item = |stack_max| AssetClass::Item { stack_max, is_single: false, expires_after_ms: None };
    let under = LootTable::of("ground").row(3, Drop::some("coin", 1..=2)).row(1, Drop::some("apple", 1..=1));
    let tables = RewardTables::builder()
        .asset("coin", AssetClass::Currency { cap: 1_000_000 })
        .asset("apple", item(100));
    tables.loot("under-a-tree", under).build().expect("sound")
}

/// Adds the game to a world; `owner` is told the number of each letter.
pub fn orchard(
    builder: ServerBuilder,
    owner: impl Fn(u64) -> Result<(), String> + Clone + Send + Sync + 'static,
) -> ServerBuilder {
    builder.add_cell_plugins(Pickers).add_plugins(Orchard(owner)).rewards(tables()).avatars(|request| {
        let owned = Subject::owned_by(request.player.clone());
        SpawnRequest::new(NetId::WORLD, Vec3::splat(10.0), (Picker::default(), owned))
    })
}
