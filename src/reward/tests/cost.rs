//! What planning costs, counted.

use super::super::chance::Chance;
use super::super::planner::plan_with;
use super::tables::{
    BOX_DEPTH_MAX, BoxRule, Drop, LOOT_ROWS_MAX, LootTable, MUTATIONS_MAX, ROLLS_MAX, STEPS_MAX,
    TablesBuilder, TablesError,
};
use super::*;

fn level(number: usize) -> Name {
    name(&format!("level{number}"))
}

/// Tables one in the other, each rolled so often by the one above, with the largest that may be at the bottom.
fn tower(depth: usize, rolls: u32) -> TablesBuilder {
    let coin = Drop::some("coin", 1..=1_000);
    let bottom =
        (0..LOOT_ROWS_MAX).fold(LootTable::of("wild"), |table, row| table.row(1 + row as u32, coin.clone()));
    let tables =
        RewardTables::builder().asset("coin", AssetClass::Currency { cap: 1 << 50 }).loot("level0", bottom);
    (1..depth).fold(tables, |tables, number| {
        let above = LootTable::of("wild")
            .row(3, Drop::Table { table: level(number - 1), rolls })
            .row(1, Drop::Nothing);
        tables.loot(level(number), above)
    })
}

fn asked(tables: &Arc<RewardTables>, request: &PlanRequest) -> (Result<MutationPlan, PlanRefusal>, u64) {
    let claim = claim(&request.claimant, 9);
    let context = PlanContext::new(tables.clone(), NOW_MS, &claim, 1)
        .with(account("alice"), holding(&[("coin", 1_000)]));
    let mut chance = Chance::new(context.seed);
    let made = plan_with(&context, &claim, request, &mut chance);
    (made, chance.asked)
}

/// F4: what could come to more rolls than the bound is refused before the first of them, and what is not refused stays below it.
#[test]
fn what_planning_costs_is_bounded_whatever_the_tables_say() {
    let mut most_asked = 0;
    for depth in 1..=BOX_DEPTH_MAX {
        for rolls in [1, 2, 3, 10, 40, ROLLS_MAX] {
            let tables = match tower(depth, rolls).build() {
                Ok(tables) => Arc::new(tables),
                Err(faults) => {
                    assert!(
                        u64::from(rolls).saturating_pow(depth as u32 - 1) > STEPS_MAX / 8,
                        "{rolls} at {depth}: {faults:?}"
                    );
                    continue;
                }
            };
            for times in [1, 10, 1_000, STEPS_MAX as u32, u32::MAX] {
                let table = level(depth - 1);
                let request =
                    PlanRequest::new("hunt", account("alice")).loot(&table, times).loot(&table, times);
                let (made, asked) = asked(&tables, &request);
                // A step asks once for the row and once for the amount.
                assert!(asked <= 2 * STEPS_MAX, "chance was asked {asked} times");
                let worst = 2 * u128::from(times) * u128::from(rolls).pow(depth as u32 - 1);
                match made {
                    Ok(plan) => {
                        most_asked = most_asked.max(asked);
                        assert!(
                            worst <= u128::from(STEPS_MAX) && plan.lines.len() == 1,
                            "{}",
                            plan.lines.len()
                        );
                    }
                    Err(PlanRefusal::TooManyRolls { steps, most }) => {
                        assert!(steps > most && worst * 16 > u128::from(STEPS_MAX), "{steps} for {worst}");
                        let of_first = asked == 0 || worst <= 2 * u128::from(STEPS_MAX);
                        assert!(of_first, "refused before it is rolled");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(most_asked >= 1_000, "the bound was come near to: {most_asked}");
}

/// F4: a request whose worst case is larger than a plan may be is refused, however lucky its roll would have been.
#[test]
fn what_could_come_to_more_changes_than_a_plan_holds_is_refused_before_it_is_rolled() {
    let sword = AssetClass::Item { stack_max: 1, is_single: true, expires_after_ms: None };
    let rare = LootTable::of("wild").row(1, Drop::some("sword", 1..=2)).row(u32::MAX, Drop::Nothing);
    let tables = RewardTables::builder().asset("sword", sword).loot("rare", rare).slots(1_000).build();
    let tables = Arc::new(tables.expect("good tables"));
    let hunt = |rolls| PlanRequest::new("hunt", account("alice")).loot("rare", rolls);
    // Two changes a roll, and the look at the slots.
    let rolls_max = (MUTATIONS_MAX as u32 - 1) / 2;
    assert!(asked(&tables, &hunt(rolls_max)).0.is_ok());
    let (refused, asked_for) = asked(&tables, &hunt(rolls_max + 1));
    assert_eq!((refused.unwrap_err(), asked_for), (PlanRefusal::TooLarge { changes: 257, most: 256 }, 0));
    let swords = |amount| PlanRequest::new("arm", account("alice")).grant("sword", amount, "smith");
    assert_eq!(asked(&tables, &swords(255)).0.expect("planned").mutations.len(), 256);
    assert!(matches!(asked(&tables, &swords(256)).0, Err(PlanRefusal::TooLarge { .. })));
    assert!(matches!(asked(&tables, &swords(1 << 40)).0, Err(PlanRefusal::TooLarge { .. })));
}

/// What drops a thousand times is granted as one amount, so it is one change.
#[test]
fn many_rolls_of_few_things_are_few_changes() {
    let tables = Arc::new(tower(2, ROLLS_MAX).build().expect("good tables"));
    let (made, asked) = asked(&tables, &PlanRequest::new("hunt", account("alice")).loot("level1", 5));
    let plan = made.expect("planned");
    assert!(asked > 3_000 && plan.mutations.len() == 1, "{asked}: {:?}", plan.mutations);
}

/// Of many rows one comes, so as many changes are reckoned with as rolls, and never more than there are things.
#[test]
fn what_is_reckoned_with_is_no_more_than_can_come() {
    let assets: Vec<Name> = (0..300).map(|number| name(&format!("a{number}"))).collect();
    let row = |table: LootTable, asset: &Name| {
        table.row(1, Drop::Asset { asset: asset.clone(), least: 1, most: 1 })
    };
    let tables =
        assets.iter().fold(RewardTables::builder(), |tables, asset| tables.asset(asset, AssetClass::Unlock));
    let tables = tables.loot("any", assets.iter().fold(LootTable::of("wild"), row));
    let tables = tables
        .loot("pair", LootTable::of("wild").always(Drop::table("any", 2)).row(1, Drop::table("few", 99)));
    let tables = tables.loot("few", assets[..3].iter().fold(LootTable::of("wild"), row));
    let tables = Arc::new(tables.build().expect("good tables"));
    let hunt = |table: &'static str, rolls| {
        asked(&tables, &PlanRequest::new("hunt", account("alice")).loot(table, rolls)).0
    };
    assert!(hunt("any", 255).is_ok() && hunt("few", 8_000).is_ok() && hunt("pair", 51).is_ok());
    let refused = |changes| Err(PlanRefusal::TooLarge { changes, most: 256 });
    assert_eq!((hunt("any", 256), hunt("pair", 52)), (refused(257), refused(260)));
}

/// What could not even be rolled once is a fault of the tables, and told when they are made.
#[test]
fn a_table_that_no_plan_could_hold_is_no_table() {
    let rule = BoxRule { table: name("level1"), rolls: 1_000, opens_itself: true };
    let tables = tower(2, 2).asset("trunk", item(1, None)).opens("trunk", rule);
    // 1,000 rolls of 2 rolls that drop something.
    assert!(tables.clone().build().is_ok());
    let ten = LootTable::of("wild").always(Drop::some("trunk", 1..=10));
    let faults = tables.loot("ten", ten).build().unwrap_err();
    assert!(
        matches!(&faults[..], [TablesError::Range { place, found, expected }]
            if place.contains("`ten`") && place.contains("rolls and drops") && *found > STEPS_MAX && expected == "0 to 16384"),
        "{faults:?}"
    );
}
