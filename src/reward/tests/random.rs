//! Random tables, holdings and requests: what holds for every plan.

use std::collections::BTreeMap;

use super::super::chance::Chance;
use super::naive::{Ledger, check_lines, domains};
use super::tables::{BoxRule, Drop, LootTable};
use super::*;

const ASSETS: usize = 9;
const TABLES: usize = 5;

fn nth(what: &str, number: usize) -> Name {
    name(&format!("{what}{number}"))
}

fn some_class(chance: &mut Chance) -> AssetClass {
    match chance.below(5) {
        0 => AssetClass::Currency { cap: chance.between(1..=1_000) },
        1 => AssetClass::Pool { cap: chance.between(1..=50), regen_ms: chance.between(1..=5_000) },
        2 => AssetClass::Unlock,
        kind => AssetClass::Item {
            stack_max: if kind == 3 { 1 } else { 1 + chance.below(20) as u32 },
            is_single: kind == 3,
            expires_after_ms: (chance.below(2) == 0).then(|| chance.between(1..=100_000)),
        },
    }
}

fn some_drop(chance: &mut Chance, classes: &[AssetClass], table: usize) -> Drop {
    match chance.below(5) {
        0 if chance.below(2) == 0 => Drop::Nothing,
        1 if table > 0 => Drop::Table {
            table: nth("t", chance.below(table as u64) as usize),
            rolls: 1 + chance.below(3) as u32,
        },
        _ => {
            // What may be boxes are the first assets, and hold tables of lower numbers than their own.
            let lower = if chance.below(2) == 0 { table } else { 0 };
            let asset = match chance.below((lower + ASSETS - TABLES) as u64) as usize {
                asset if asset < lower => asset,
                other => TABLES + other - lower,
            };
            let most = if classes[asset] == AssetClass::Unlock { 1 } else { chance.between(1..=6) };
            Drop::Asset { asset: nth("a", asset), least: chance.between(0..=most), most }
        }
    }
}

/// Tables as they could be; defined from the first to the last, or from the last to the first.
fn some_tables(seed: u64, backwards: bool) -> Option<RewardTables> {
    let mut chance = Chance::new(seed);
    let mut classes: Vec<_> = (0..ASSETS).map(|_| some_class(&mut chance)).collect();
    let mut steps: Vec<Box<dyn Fn(tables::TablesBuilder) -> tables::TablesBuilder>> = Vec::new();
    for number in 0..TABLES {
        if chance.below(5) > 0 {
            classes[number] = item(3, None);
            let rule = BoxRule {
                table: nth("t", number),
                rolls: 1 + chance.below(2) as u32,
                opens_itself: chance.below(4) > 0,
            };
            steps.push(Box::new(move |tables| tables.opens(nth("a", number), rule.clone())));
        }
        let mut table = LootTable::of("wild");
        for _ in 0..chance.below(3) {
            table = table.always(some_drop(&mut chance, &classes, number));
        }
        for _ in 0..chance.between(1..=4) {
            table = table.row(1 + chance.below(9) as u32, some_drop(&mut chance, &classes, number));
        }
        steps.push(Box::new(move |tables| tables.loot(nth("t", number), table.clone())));
    }
    for (number, class) in classes.into_iter().enumerate() {
        steps.push(Box::new(move |tables| tables.asset(nth("a", number), class.clone())));
    }
    if backwards {
        steps.reverse();
    }
    steps.iter().fold(RewardTables::builder(), |tables, step| step(tables)).slots(12).build().ok()
}

fn some_holdings(chance: &mut Chance, tables: &RewardTables) -> Holdings {
    let mut holdings = Holdings { version: chance.below(100), ..Holdings::default() };
    for (asset, class) in tables.assets() {
        match class {
            _ if chance.below(2) == 0 => continue,
            AssetClass::Item { is_single, expires_after_ms, .. } => {
                for _ in 0..chance.between(1..=3) {
                    let expires_ms =
                        if expires_after_ms.is_some() { NOW_MS - 500 + chance.below(1_000) } else { 0 };
                    let instance = if *is_single { chance.between(1..=u64::MAX - 1) } else { 0 };
                    let amount = if *is_single { 1 } else { chance.between(1..=30) };
                    holdings.set(asset, Lot { expires_ms, instance }, amount);
                }
            }
            _ => holdings.set(asset, Lot::PLAIN, chance.between(1..=class.cap().expect("bounded"))),
        }
        if matches!(class, AssetClass::Pool { .. }) && chance.below(2) == 0 {
            holdings.clocks.insert(asset.clone(), NOW_MS - chance.below(200_000));
        }
    }
    holdings
}

fn some_part(chance: &mut Chance, tables: &RewardTables) -> Part {
    let asset = nth("a", chance.below(ASSETS as u64) as usize);
    let most = [1, 5, 40][chance.below(3) as usize];
    let amount = chance.between(1..=most);
    let overflow = if chance.below(4) == 0 { Overflow::Refuse } else { Overflow::Clip };
    let accounts = [account("alice"), account("bob"), Account::house("town")];
    let [to, from] = [3, 2].map(|bound| accounts[chance.below(bound) as usize].clone());
    match chance.below(9) {
        0 | 1 => {
            let non_stackable = tables.asset(&asset).is_some_and(AssetClass::is_single);
            Part::Consume {
                asset,
                amount: 1 + amount / 8,
                pick: Pick::Any,
                non_stackable,
                to: Account::house("town"),
            }
        }
        2 | 3 => Part::Grant { asset, amount, from: Account::house("mint"), to, overflow },
        4 | 5 => Part::Loot {
            table: nth("t", chance.below(TABLES as u64) as usize),
            rolls: amount as u32,
            to,
            overflow,
        },
        6 => Part::Give { asset, amount: 1 + amount / 8, pick: Pick::Any, from, to },
        7 => Part::Open {
            asset: nth("a", chance.below(TABLES as u64) as usize),
            amount: 1 + amount / 20,
            overflow,
        },
        _ => Part::Outbox { kind: name("mail"), payload: amount.to_le_bytes().to_vec() },
    }
}

struct Case {
    context: PlanContext,
    claim: Claim,
    request: PlanRequest,
}

fn some_case(number: u64, backwards: bool) -> Option<Case> {
    let tables = Arc::new(some_tables(number, backwards)?);
    let mut chance = Chance::new(!number);
    let alice = account("alice");
    let claim = claim(&alice, u128::from(number));
    let mut context = PlanContext::new(tables.clone(), NOW_MS, &claim, 5);
    for who in ["alice", "bob"] {
        context = context.with(account(who), some_holdings(&mut chance, &tables));
    }
    let mut request = PlanRequest::new("anything", alice);
    for _ in 0..chance.between(1..=4) {
        request = request.part(some_part(&mut chance, &tables));
    }
    Some(Case { context, claim, request })
}

/// F3, F4, F9: the same input has the same bytes, also of tables that were defined in another order; and of every plan nothing is
/// made or lost, nobody is below nothing or beyond a cap or out of slots, what expires does so to the millisecond, what opens
/// itself is held by nobody, and what it says of itself is so.
#[test]
fn ten_thousand_random_plans_are_the_same_again_and_keep_every_promise() {
    let (mut planned, mut changes, mut boxed, mut nested) = (0, 0, 0, 0);
    let mut refused: BTreeMap<String, u32> = BTreeMap::new();
    let mut cases = 0;
    for number in 0.. {
        let Some(case) = some_case(number, false) else { continue };
        let again = some_case(number, true).expect("the same tables");
        cases += 1;
        let made = plan(&case.context, &case.claim, &case.request);
        let made_again = plan(&again.context, &again.claim, &again.request);
        assert_eq!(made, made_again, "case {number}");
        match &made {
            Ok(plan) => {
                assert_eq!(plan.to_bytes(), made_again.expect("equal").to_bytes(), "case {number}");
                planned += 1;
                changes += plan.mutations.len();
                boxed += plan.lines.iter().filter(|line| !line.out_of.is_empty()).count();
                nested += plan.lines.iter().filter(|line| line.out_of.len() > 1).count();
                check(&case, plan);
            }
            Err(refusal) => {
                assert!(!matches!(refusal, PlanRefusal::Unknown { what, .. } if what != "box"), "{refusal}");
                let kind = format!("{refusal:?}");
                *refused.entry(kind.split([' ', '{']).next().expect("a name").to_owned()).or_default() += 1;
            }
        }
        if cases == 10_000 {
            break;
        }
    }
    assert!(planned >= 3_000 && changes >= 15_000, "{planned} plans of {changes} changes");
    assert!(boxed >= 500 && nested >= 100, "{boxed} lines out of boxes, {nested} out of boxes in boxes");
    for kind in ["TooLittle", "OverCap", "NoRoom", "TooLarge", "AlreadyHas", "Senseless", "Unknown"] {
        assert!(refused.get(kind).is_some_and(|times| *times >= 50), "{kind} is rare: {refused:?}");
    }
}

fn check(case: &Case, plan: &MutationPlan) {
    let (tables, request) = (&case.context.tables, &case.request);
    let before = Ledger::of(&case.context);
    let mut after = before.clone();
    after.carry_out(tables, plan);
    for (asset, _) in tables.assets() {
        assert_eq!(before.total(asset), after.total(asset), "{asset}: what one gives another receives");
    }
    check_lines(plan);
    assert_eq!(plan.domains, domains(tables, plan), "{}", plan.domains);
    assert!(plan.mutations.len() <= tables::MUTATIONS_MAX);
    assert_eq!((plan.tables, plan.now_ms, &plan.claim), (tables.version(), NOW_MS, &case.claim));
    let takes_part: Vec<_> = plan.participants.iter().map(|one| one.account.clone()).collect();
    let mut expected: Vec<_> = request.players().into_iter().map(Account::Player).collect();
    expected.sort_by_key(|account| *account != request.claimant);
    assert_eq!(takes_part, expected, "who claims first, everybody once");
    for one in &plan.participants {
        assert_eq!(one.version, case.context.holdings[&one.account].version, "the version that was frozen");
        let holdings = &after.players[&one.account];
        let lots = &mut holdings.lots.keys();
        assert!(lots.all(|(_, lot)| !lot.is_expired(NOW_MS)), "what has expired is taken away");
        let receives = |change: &Mutation| match change {
            Mutation::Transfer { to, asset, .. } => {
                *to == one.account && matches!(tables.asset(asset), Some(AssetClass::Item { .. }))
            }
            _ => false,
        };
        let checks =
            |change: &&Mutation| matches!(change, Mutation::Slots { account, .. } if *account == one.account);
        let expected = usize::from(plan.mutations.iter().any(receives));
        assert_eq!(
            plan.mutations.iter().filter(checks).count(),
            expected,
            "whoever receives items is checked, once"
        );
    }
    let first_check = plan.mutations.iter().position(|change| matches!(change, Mutation::Slots { .. }));
    let behind = &plan.mutations[first_check.unwrap_or(plan.mutations.len())..];
    assert!(
        behind.iter().all(|change| matches!(change, Mutation::Slots { .. })),
        "slots are checked in the end"
    );
    let mut instances = std::collections::BTreeSet::new();
    for change in &plan.mutations {
        let Mutation::Transfer { asset, lot, from, to, amount, .. } = change else { continue };
        if from.player().is_some() || *from == Account::house(REGENERATION_HOUSE) {
            continue;
        }
        let class = tables.asset(asset).expect("granted, so known");
        let opens = tables.box_rule(asset).is_some_and(|rule| rule.opens_itself);
        assert!(!opens, "{asset} opens itself, and is granted to {to}");
        assert_eq!(lot.expires_ms, class.expires_ms(NOW_MS), "{asset}");
        assert_eq!(lot.instance != 0, class.is_single(), "{asset}: what is single has an instance");
        assert!(lot.instance == 0 || (*amount == 1 && instances.insert(*lot)), "{asset}: each has its own");
    }
}

/// F2, F3: what chance draws is the claim's: neither time nor holdings change it, and another key draws something else.
#[test]
fn a_repeated_claim_never_rolls_differently_and_another_key_does() {
    let table = (1..=200u64)
        .fold(LootTable::of("wild"), |table, amount| table.row(1, Drop::some("coin", amount..=amount)));
    let tables =
        RewardTables::builder().asset("coin", AssetClass::Currency { cap: 1 << 40 }).loot("wild", table);
    let tables = Arc::new(tables.build().expect("good tables"));
    let alice = account("alice");
    let request = PlanRequest::new("hunt", alice.clone()).loot("wild", 3);
    let drawn = |key: u128, secret: u64, held: u64, now_ms: u64| {
        let claim = claim(&alice, key);
        let context = PlanContext::new(tables.clone(), now_ms, &claim, secret);
        let plan = plan(&context.with(alice.clone(), holding(&[("coin", held)])), &claim, &request)
            .expect("planned");
        plan.lines.iter().map(|line| line.amount).sum::<u64>()
    };
    let mut different = 0;
    for key in 0..500 {
        let first = drawn(key, 1, 1, NOW_MS);
        for (held, later_ms) in [(1, 0), (77, 0), (1, 3_600_000), (1_000_000, 86_400_000)] {
            assert_eq!(drawn(key, 1, held, NOW_MS + later_ms), first, "key {key} was rolled again");
        }
        different += usize::from(drawn(key + 1_000, 1, 1, NOW_MS) != first);
        different += usize::from(drawn(key, 2, 1, NOW_MS) != first);
    }
    assert!(different >= 980, "{different} of 1,000 other keys and secrets drew something else");
}
