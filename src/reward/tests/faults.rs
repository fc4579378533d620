//! What is wrong with tables is told, all of it.

use super::tables::{
    AMOUNT_MAX, BOX_DEPTH_MAX, BoxRule, Drop, LOOT_ROWS_MAX, LootTable, ROLLS_MAX, TablesBuilder, TablesError,
};
use super::*;

const COIN: AssetClass = AssetClass::Currency { cap: 1_000 };

fn faults(tables: TablesBuilder) -> Vec<String> {
    tables.build().err().unwrap_or_default().iter().map(TablesError::to_string).collect()
}

fn opens(table: &str, opens_itself: bool) -> BoxRule {
    BoxRule { table: name(table), rolls: 1, opens_itself }
}

fn drops(asset: &'static str) -> LootTable {
    LootTable::of("wild").always(Drop::some(asset, 1..=1))
}

fn leads_to(tables: &[&'static str]) -> LootTable {
    tables.iter().fold(LootTable::of("wild"), |table, to| table.row(1, Drop::table(*to, 1)))
}

#[test]
fn good_tables_have_no_faults_and_a_version_of_their_content() {
    let tables = shop();
    assert_eq!(tables.version(), shop().version());
    assert_eq!((tables.assets().len(), tables.slots()), (11, 6));
    assert!(tables.box_rule(&name("purse")).is_some_and(|rule| rule.opens_itself));
    assert_eq!(tables.loot_table(&name("feast")).map(|table| table.always.len()), Some(2));
    let one = |cap, slots, weight| {
        let loot = LootTable::of("wild").row(weight, Drop::some("coin", 1..=1));
        let tables = RewardTables::builder().asset("coin", AssetClass::Currency { cap }).loot("wild", loot);
        tables.slots(slots).build().expect("good tables").version()
    };
    let versions = [one(5, 9, 1), one(6, 9, 1), one(5, 8, 1), one(5, 9, 2)];
    assert_eq!(versions[0], one(5, 9, 1));
    let different: std::collections::BTreeSet<_> = versions.into_iter().collect();
    assert_eq!(different.len(), 4, "whatever is changed changes the version");
    assert_eq!(RewardTables::default().slots(), tables::SLOTS_DEFAULT);
}

/// F4: boxes and tables that lead back to themselves are refused, those that open themselves as those that do not.
#[test]
fn whatever_leads_back_to_itself_is_named_with_its_chain() {
    let base = || {
        RewardTables::builder().asset("trunk", item(1, None)).asset("bag", item(1, None)).asset("coin", COIN)
    };
    let told = faults(base().loot("a", leads_to(&["a"])));
    assert_eq!(
        told,
        [
            "loot table `a` → loot table `a`: boxes and loot tables must not lead back to themselves; break the chain"
        ]
    );
    for opens_itself in [false, true] {
        let tables = base().loot("a", drops("trunk")).opens("trunk", opens("a", opens_itself));
        assert!(faults(tables)[0].starts_with("loot table `a` → box `trunk` → loot table `a`: "));
        let tables = base()
            .loot("top", leads_to(&["a"]))
            .loot("a", drops("trunk"))
            .loot("b", leads_to(&["c"]))
            .loot("c", drops("bag"))
            .loot("fine", drops("coin"))
            .opens("trunk", opens("b", opens_itself))
            .opens("bag", opens("a", !opens_itself));
        let told = faults(tables);
        assert_eq!(told.len(), 1, "{told:?}");
        let chain =
            "loot table `a` → box `trunk` → loot table `b` → loot table `c` → box `bag` → loot table `a`: ";
        assert!(told[0].starts_with(chain), "{told:?}");
    }
    // Two that have nothing to do with each other are told both, and one that leads into a cycle is none.
    let tables =
        base().loot("a", leads_to(&["b"])).loot("b", leads_to(&["a"])).loot("c", leads_to(&["c", "a"]));
    let told = faults(tables);
    assert_eq!(told.len(), 2, "{told:?}");
}

/// F4: eight within one another are possible, nine are not, and of a longer chain it is told once.
#[test]
fn what_lies_too_deep_is_refused() {
    let nested = |depth: usize| {
        let tables = RewardTables::builder().asset("coin", COIN).loot("t0", drops("coin"));
        (1..depth).fold(tables, |tables, number| {
            let item = name(&format!("box{number}"));
            let below = BoxRule { table: name(&format!("t{}", number - 1)), rolls: 1, opens_itself: true };
            let drop = Drop::Asset { asset: item.clone(), least: 1, most: 1 };
            let tables = tables.asset(&item, super::item(1, None)).opens(&item, below);
            tables.loot(name(&format!("t{number}")), LootTable::of("wild").always(drop))
        })
    };
    let tables = Arc::new(nested(BOX_DEPTH_MAX).build().expect("deep, and not too deep"));
    let top = name(&format!("t{}", BOX_DEPTH_MAX - 1));
    let plan = plan_of(&tables, 1, holding(&[]), &PlanRequest::new("open", account("alice")).loot(&top, 1));
    assert_eq!(plan.expect("planned").lines[0].out_of.len(), BOX_DEPTH_MAX - 1);
    for depth in [BOX_DEPTH_MAX + 1, BOX_DEPTH_MAX + 5, 5_000] {
        let told = faults(nested(depth));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("loot table `t8` → box `box8`") && told[0].contains("at most 8 deep"),
            "{told:?}"
        );
    }
}

#[test]
fn whatever_is_named_must_be_there_and_nothing_twice() {
    let tables = RewardTables::builder()
        .asset("coin", COIN)
        .asset("coin", COIN)
        .loot("a", drops("dust"))
        .loot("a", drops("coin"))
        .loot("b", leads_to(&["nowhere"]))
        .opens("dust", opens("nowhere", false))
        .opens("coin", opens("a", false))
        .opens("coin", opens("a", true));
    assert_eq!(
        faults(tables),
        [
            "the asset `coin` is defined twice: leave one out",
            "the loot table `a` is defined twice: leave one out",
            "the box `coin` is defined twice: leave one out",
            "drop 1 of all rolls of the loot table `a` names the asset `dust`, which is not there: define it, or correct the name",
            "row 1 of the loot table `b` names the loot table `nowhere`, which is not there: define it, or correct the name",
            "the box `coin` is no item that is stacked or single: only items can be boxes",
            "the box `dust` names the asset `dust`, which is not there: define it, or correct the name",
            "the box `dust` names the loot table `nowhere`, which is not there: define it, or correct the name",
        ]
    );
}

#[test]
fn every_number_out_of_its_range_is_told_with_place_and_range() {
    let too_many = (0..=LOOT_ROWS_MAX).fold(LootTable::of("wild"), |table, _| table.row(1, Drop::Nothing));
    let tables = RewardTables::builder()
        .asset("coin", AssetClass::Currency { cap: 0 })
        .asset("gem", AssetClass::Currency { cap: u64::MAX })
        .asset("mana", AssetClass::Pool { cap: 1, regen_ms: 0 })
        .asset("dust", AssetClass::Item { stack_max: 0, is_single: false, expires_after_ms: Some(0) })
        .asset("sword", AssetClass::Item { stack_max: 2, is_single: true, expires_after_ms: None })
        .asset("flight", AssetClass::Unlock)
        .loot("empty", LootTable::of("wild"))
        .loot("full", too_many)
        .loot("light", LootTable::of("wild").row(0, Drop::Nothing).row(0, Drop::Nothing))
        .loot(
            "odd",
            LootTable::of("wild")
                .row(1, Drop::Asset { asset: name("gem"), least: 3, most: 2 })
                .row(1, Drop::some("gem", 1..=AMOUNT_MAX + 1))
                .row(1, Drop::some("flight", 1..=2))
                .row(1, Drop::some("gem", 0..=0))
                .row(1, Drop::table("light", 0))
                .always(Drop::table("light", ROLLS_MAX + 1)),
        )
        .loot("swords", LootTable::of("wild").always(Drop::some("sword", 1..=129)))
        .slots(0);
    let told = faults(tables);
    let expected = [
        "the slots of a player is 0: expected 1 to 9223372036854775807",
        "the cap of the asset `coin` is 0: expected 1 to 9223372036854775807",
        "the stack of the asset `dust` is 0: expected 1 to 4294967295",
        "the milliseconds until the end of the asset `dust` is 0: expected 1 to 9223372036854775807",
        "the cap of the asset `gem` is 18446744073709551615: expected 1 to 9223372036854775807",
        "the milliseconds per one more of the asset `mana` is 0: expected 1 to 9223372036854775807",
        "the stack of the asset `sword` is 2: expected 1",
        "the number of rows of the loot table `empty` is 0: expected 1 to 4096",
        "the number of rows of the loot table `full` is 4097: expected 0 to 4096",
        "the sum of the weights of the loot table `light` is 0: expected 1 or more",
        "the number of rolls of drop 1 of all rolls of the loot table `odd` is 1001: expected 1 to 1000",
        "the least of row 1 of the loot table `odd` is 3: expected 0 to 2",
        "the most of row 2 of the loot table `odd` is 1099511627777: expected 1 to 1099511627776",
        "the most of row 3 of the loot table `odd` is 2: expected 1",
        "the most of row 4 of the loot table `odd` is 0: expected 1 to 1099511627776",
        "the number of rolls of row 5 of the loot table `odd` is 0: expected 1 to 1000",
        "the changes of one roll of the loot table `swords` in the worst case is 129: expected 0 to 128",
    ];
    assert_eq!(told, expected);
}
