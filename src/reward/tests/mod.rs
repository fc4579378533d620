//! The planner against naive oracles, and the tables' faults.

mod chances;
mod cost;
mod faults;
mod naive;
mod pools;
mod random;
mod rules;
mod units;

use std::sync::Arc;

use super::*;
use crate::ids::PlayerId;

/// 2026, more or less: a time at which something may have expired.
const NOW_MS: u64 = 1_780_000_000_000;

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a name")
}

fn account(name: &str) -> Account {
    Account::Player(player(name))
}

fn claim(who: &Account, key: u128) -> Claim {
    Claim::new(who.clone(), ClaimKey(key), b"what is asked for")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// Holdings from what is held for good and of no kind of its own.
fn holding(amounts: &[(&str, u64)]) -> Holdings {
    let mut holdings = Holdings { version: 7, ..Holdings::default() };
    for (asset, amount) in amounts {
        holdings.set(&name(asset), Lot::PLAIN, *amount);
    }
    holdings
}

fn until(expires_ms: u64) -> Lot {
    Lot { expires_ms, instance: 0 }
}

fn item(stack_max: u32, expires_after_ms: Option<u64>) -> AssetClass {
    AssetClass::Item { stack_max, is_single: false, expires_after_ms }
}

/// What alice claims under a key, holding this.
fn plan_of(
    tables: &Arc<RewardTables>,
    key: u128,
    holdings: Holdings,
    request: &PlanRequest,
) -> Result<MutationPlan, PlanRefusal> {
    let claim = claim(&request.claimant, key);
    let context = PlanContext::new(tables.clone(), NOW_MS, &claim, 11);
    plan(&context.with(request.claimant.clone(), holdings), &claim, request)
}

/// Assets of all classes, and boxes within boxes whose content is fixed.
fn shop() -> RewardTables {
    use tables::{Drop, LootTable};
    let opening = |table, opens_itself| tables::BoxRule { table: name(table), rolls: 1, opens_itself };
    RewardTables::builder()
        .asset("coin", AssetClass::Currency { cap: 100 })
        .asset("xp", AssetClass::Currency { cap: 1 << 40 })
        .asset("bread", item(10, None))
        .asset("milk", item(4, Some(1_000)))
        .asset("sword", AssetClass::Item { stack_max: 1, is_single: true, expires_after_ms: None })
        .asset("torch", AssetClass::Item { stack_max: 1, is_single: true, expires_after_ms: Some(60_000) })
        .asset("stamina", AssetClass::Pool { cap: 10, regen_ms: 100 })
        .asset("flight", AssetClass::Unlock)
        .asset("crate", item(5, None))
        .asset("purse", item(5, None))
        .asset("parcel", item(5, None))
        .loot(
            "crate",
            LootTable::of("wares").always(Drop::some("bread", 3..=3)).always(Drop::some("purse", 2..=2)),
        )
        .loot("purse", LootTable::of("mint").always(Drop::some("coin", 5..=5)))
        .loot(
            "parcel",
            LootTable::of("wares")
                .always(Drop::some("purse", 1..=1))
                .always(Drop::some("milk", 2..=2))
                .always(Drop::some("sword", 1..=1))
                .always(Drop::table("purse", 2))
                .always(Drop::some("stamina", 1..=1)),
        )
        .loot(
            "feast",
            LootTable::of("wares").always(Drop::table("crate", 2)).always(Drop::some("parcel", 1..=1)),
        )
        .opens("crate", opening("crate", false))
        .opens("purse", opening("purse", true))
        .opens("parcel", opening("parcel", true))
        .slots(6)
        .build()
        .expect("good tables")
}
