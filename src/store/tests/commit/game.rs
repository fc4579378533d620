//! A game's own tables and kinds of change.

use super::*;
use crate::protocol::codec;
use crate::store::game::{GamePlugin, GameStore, GameTransaction, KindRefusal, MutationKind};

/// Takes from a finite stock.
struct TakeStock;

impl MutationKind for TakeStock {
    const NAME: &'static str = "take_stock";
    type Data = (String, u32);

    fn carry_out(tx: &mut GameTransaction<'_>, (good, amount): Self::Data) -> Result<(), KindRefusal> {
        let taken = tx.execute(
            "UPDATE game_shop_stock SET amount = amount - ?2, sold = sold + ?2 WHERE good = ?1 AND amount >= ?2",
            &[good.into(), amount.into()],
        )?;
        if taken == 1 { Ok(()) } else { Err(KindRefusal::new("sold out")) }
    }

    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let wrong = tx.query("SELECT good FROM game_shop_stock WHERE amount + sold <> 300", &[])?;
        Ok(wrong.iter().filter_map(|row| Some(format!("game_shop_stock {}", row[0].text()?))).collect())
    }
}

/// Runs whatever SQL it is given, as a game that means harm would.
struct Anything;

impl MutationKind for Anything {
    const NAME: &'static str = "anything";
    type Data = String;

    fn carry_out(tx: &mut GameTransaction<'_>, sql: String) -> Result<(), KindRefusal> {
        if sql.starts_with("SELECT") {
            tx.query(&sql, &[]).map(drop)
        } else {
            tx.execute(&sql, &[]).map(drop)
        }
    }

    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        tx.execute("UPDATE game_shop_stock SET amount = 1", &[]).map(|_| Vec::new())
    }
}

const STOCK: &str =
    "CREATE TABLE game_shop_stock (good TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0),
    sold INTEGER NOT NULL) STRICT";

pub(in crate::store::tests) fn shop() -> GamePlugin {
    GamePlugin::new("shop").migration("stock", STOCK).kind::<TakeStock>()
}

pub(super) fn stock(store: &mut Store) -> i64 {
    number(store, "SELECT amount FROM game_shop_stock WHERE good = 'silk'")
}

fn takes(amount: u32) -> Mutation {
    Mutation::Game { kind: "take_stock".into(), data: codec::encode(&("silk", amount)) }
}

fn store_with(place: &Place, plugin: GamePlugin) -> Store {
    let mut store = store(place);
    store.adopt_game(GameStore::default().plugin(plugin)).unwrap();
    meddle(&place.folder, "INSERT INTO game_shop_stock VALUES ('silk', 1, 299)");
    store
}

/// E9, F3: of two players after the last unit one gets it, and the other is told and has paid nothing.
#[test]
fn the_last_unit_is_sold_once() {
    let place = place();
    let mut store = store_with(&place, shop());
    let coins = |to: &Account| moves("coin", &market(), to, 10);
    store
        .commit(&batch([
            plan(1, &[(alice(), 0)], vec![coins(&alice())]),
            plan(2, &[(bob(), 0)], vec![coins(&bob())]),
        ]))
        .unwrap();
    let buy = |number, who: &Account| {
        plan(number, &[(who.clone(), 1)], vec![moves("coin", who, &market(), 7), takes(1)])
    };
    let outcomes = store.commit(&batch([buy(3, &alice()), buy(4, &bob())])).unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap().domains().to_string(), "currencies game");
    let sold_out = PlanRefusal::Game { kind: "take_stock".into(), reason: "sold out".into() };
    assert_eq!(outcomes[1].result, Err(sold_out));
    let coins = |store: &mut Store, who| holdings(store, &who).amount(&"coin".into());
    assert_eq!((coins(&mut store, alice()), coins(&mut store, bob()), stock(&mut store)), (3, 10, 0));
    check_books(&mut store);
    assert_eq!(store.conservation().unwrap(), Vec::<String>::new());
    meddle(&place.folder, "UPDATE game_shop_stock SET sold = 5");
    assert_eq!(store.conservation().unwrap(), ["take_stock: game_shop_stock silk"]);
}

/// F5, F12: a game's SQL writes its own tables and nothing else, by whatever way it tries; it may read.
#[test]
fn a_games_sql_cannot_touch_what_is_not_its_own() {
    let place = place();
    let plugin = shop().kind::<Anything>().migration(
        "a trap",
        "CREATE TABLE game_shop_trap (x INTEGER) STRICT;
         CREATE TRIGGER game_shop_springs AFTER INSERT ON game_shop_trap
             BEGIN UPDATE holding SET amount = 500 WHERE account > 0; END",
    );
    let mut store = store_with(&place, plugin);
    done(&mut store, plan(1, &[(alice(), 0)], vec![moves("coin", &market(), &alice(), 10)]));
    let runs = |store: &mut Store, number, sql: &str| {
        let anything = Mutation::Game { kind: "anything".into(), data: codec::encode(sql) };
        one(store, plan(number, &[(alice(), 1)], vec![moves("coin", &market(), &alice(), 1), anything]))
            .result
    };
    for (number, sql) in (10..).zip([
        "UPDATE holding SET amount = 500 WHERE account > 0",
        "DELETE FROM claim",
        "DELETE FROM sqlite_sequence WHERE name = 'outbox'",
        "INSERT INTO game_shop_trap VALUES (1)",
        "UPDATE game_migration SET hash = ''",
        "SAVEPOINT plan",
        "RELEASE plan",
        "ROLLBACK",
        "COMMIT",
        "PRAGMA foreign_keys = 0",
        "ATTACH ':memory:' AS other",
        "DROP TABLE game_shop_stock",
        "CREATE TABLE game_shop_more (x)",
        "CREATE TEMP TABLE game_shop_more (x)",
        // The engine's own words do not open the fence either.
        "RELEASE plan",
    ]) {
        let result = runs(&mut store, number, sql);
        assert!(matches!(result, Err(PlanRefusal::Game { .. })), "{sql}: {result:?}");
    }
    assert!(runs(&mut store, 50, "SELECT * FROM holding").is_ok());
    assert!(runs(&mut store, 51, "UPDATE game_shop_stock SET sold = 1").is_ok());
    let refused = runs(&mut store, 52, "UPDATE game_shop_stock SET amount = -1");
    assert!(matches!(refused, Err(PlanRefusal::Game { .. })), "a constraint is a refusal: {refused:?}");
    assert_eq!(holdings(&mut store, &alice()).amount(&"coin".into()), 12);
    check_books(&mut store);
    let wrong = store.conservation().unwrap();
    assert!(
        wrong.iter().any(|what| what.starts_with("anything: ") && what.contains("not authorized")),
        "{wrong:?}"
    );
    assert_eq!(stock(&mut store), 1, "a check changes nothing");
}

/// F5: a game's SQL that ends the transaction voids it: nothing is half there.
#[test]
fn a_games_sql_that_ends_the_transaction_voids_the_batch() {
    let place = place();
    let mut store = store_with(&place, shop().kind::<Anything>());
    let sql = "INSERT OR ROLLBACK INTO game_shop_stock VALUES ('silk', 1, 1)";
    let anything = Mutation::Game { kind: "anything".into(), data: codec::encode(sql) };
    let good = plan(1, &[(alice(), 0)], vec![moves("coin", &market(), &alice(), 10)]);
    let bad = plan(2, &[(bob(), 0)], vec![anything]);
    let error = store.commit(&batch([good.clone(), bad])).unwrap_err();
    assert!(error.to_string().contains("ended the transaction") && !error.is_retryable(), "{error}");
    store.close_after(&error);
    assert_eq!(holdings(&mut store, &alice()), Holdings::default());
    done(&mut store, good);
    check_books(&mut store);
}

/// D6, H4: a plugin's steps are gone through once, in order; a file of other or newer ones is refused, and so is a step that
/// touches something else.
#[test]
fn a_plugins_steps_are_numbered_and_its_own() {
    let place = place();
    let mut store = store(&place);
    let adopt = |store: &mut Store, plugin| store.adopt_game(GameStore::default().plugin(plugin));
    let second = "ALTER TABLE game_shop_stock ADD COLUMN price INTEGER NOT NULL DEFAULT 3;
                  CREATE INDEX game_shop_price ON game_shop_stock (price)";
    adopt(&mut store, shop()).unwrap();
    meddle(&place.folder, "INSERT INTO game_shop_stock VALUES ('silk', 1, 299)");
    for _ in 0..2 {
        adopt(&mut store, shop().migration("prices", second)).unwrap();
    }
    assert_eq!(number(&mut store, "SELECT price FROM game_shop_stock"), 3);
    let told = |result: Result<(), StoreError>| {
        let error = result.expect_err("it is refused");
        assert!(matches!(&error, StoreError::GameTables { plugin, .. } if plugin == "shop"), "{error}");
        error.to_string()
    };
    assert!(told(adopt(&mut store, shop())).contains("gone through 2 steps, and this program knows 1"));
    let edited = GamePlugin::new("shop")
        .migration("stock", "CREATE TABLE game_shop_stock (x)")
        .migration("prices", second);
    assert!(told(adopt(&mut store, edited)).contains("step 1 (stock) was made by other SQL"));
    for sql in [
        "CREATE TABLE shop_stock (x)",
        "CREATE TABLE game_shop_a (x); DROP TABLE ledger",
        "CREATE TABLE game_shop_a (x); UPDATE holding SET amount = 5",
        "CREATE TABLE game_shop_a (x); CREATE TRIGGER game_shop_t AFTER INSERT ON ledger BEGIN DELETE FROM game_shop_a; END",
        "CREATE TABLE game_shop_a (x); PRAGMA user_version = 99",
        "CREATE TABLE game_shop_a (x); COMMIT; DROP TABLE claim",
        "CREATE TABLE game_shop_a (x INTEGER REFERENCES claim (id))",
        "CREATE TABLE game_shop_a (x); ALTER TABLE game_shop_a RENAME TO holding_b",
    ] {
        let text = told(adopt(&mut store, shop().migration("prices", second).migration("more", sql)));
        assert!(text.contains("step 3 (more)"), "{sql}: {text}");
        let there = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'game_shop_a%'";
        assert_eq!(number(&mut store, there), 0, "nothing of it stays: {sql}");
    }
    check_books(&mut store);
}

/// What is not the data of a kind is refused, and does not panic.
#[test]
fn data_of_another_kind_is_refused() {
    let place = place();
    let mut store = store_with(&place, shop());
    let bad = Mutation::Game { kind: "take_stock".into(), data: vec![255; 9] };
    let refusal = refused(&mut store, plan(1, &[(alice(), 0)], vec![bad]));
    assert!(matches!(refusal, PlanRefusal::Game { .. }), "{refusal}");
}

/// Tells so many bytes of itself.
struct Tells;

impl MutationKind for Tells {
    const NAME: &'static str = "tells";
    type Data = u32;

    fn carry_out(tx: &mut GameTransaction<'_>, bytes: u32) -> Result<(), KindRefusal> {
        tx.tell(&"left")?;
        tx.tell(&"x".repeat(bytes as usize))
    }
}

/// E9, F3: what a change tells of itself stands in the plan's summary, also in a repeat's after a restart; more than may be is refused
/// with the whole plan.
#[test]
fn what_a_change_tells_is_told_again() {
    let place = place();
    let open = || {
        let mut store = store(&place);
        store.adopt_game(GameStore::default().plugin(shop().kind::<Tells>())).unwrap();
        store
    };
    let tells = |bytes: u32| Mutation::Game { kind: "tells".into(), data: codec::encode(&bytes) };
    let told = |summary: &MutationSummary| summary.told::<String>("tells");
    let mut store = open();
    let first = done(&mut store, plan(1, &[(alice(), 0)], vec![tells(3)]));
    assert_eq!(told(&first), ["left", "xxx"]);
    assert_eq!(first.told::<String>("take_stock"), Vec::<String>::new(), "that one told nothing");
    let bytes = u32::try_from(crate::store::game::TOLD_BYTES_MAX).unwrap();
    let refusal = refused(&mut store, plan(2, &[(alice(), 1)], vec![tells(bytes)]));
    assert!(matches!(refusal, PlanRefusal::Game { .. }), "{refusal}");
    // Of another type it is nothing, not the first bytes of it.
    assert_eq!(first.told::<u8>("tells"), [] as [u8; 0]);
    // All changes of a plan together tell no more than can be read again.
    let many = |count: usize| vec![tells(bytes - 32); count];
    let most = crate::store::game::TOLD_BY_PLAN_BYTES_MAX / bytes as usize;
    let refusal = refused(&mut store, plan(3, &[(alice(), 1)], many(most + 1)));
    assert!(matches!(refusal, PlanRefusal::Invalid { .. }), "{refusal}");
    let largest = done(&mut store, plan(4, &[(alice(), 1)], many(most)));
    assert_eq!(told(&largest).len(), 2 * most);
    drop(store);
    let again = one(&mut open(), plan(4, &[(alice(), 1)], many(most)));
    assert_eq!(again.result.as_deref(), Ok(&*largest));
    let again = one(&mut open(), plan(1, &[(alice(), 0)], vec![tells(3)]));
    assert!(again.is_repeat);
    assert_eq!(told(again.result.as_ref().unwrap()), ["left", "xxx"]);
}
