//! What each part does, and why some are refused.

use std::collections::BTreeMap;

use super::naive::Ledger;
use super::tables::{Drop, LootTable};
use super::*;

fn ask() -> PlanRequest {
    PlanRequest::new("anything", account("alice"))
}

fn amounts(plan: &MutationPlan) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for line in &plan.lines {
        *sums.entry(line.asset.as_str()).or_default() += line.amount;
    }
    sums
}

/// F4, F12: a chain of boxes that open themselves loses nothing that lies in it, at whatever depth, and each amount knows out of
/// which boxes it came. Once a box in a box was opened and its content dropped.
#[test]
fn nothing_that_lies_in_nested_boxes_is_lost() {
    let tables = Arc::new(shop());
    let plan = plan_of(&tables, 1, holding(&[]), &ask().loot("feast", 1)).expect("planned");
    // 2 crates' worth: 6 bread, 4 purses. A parcel: a purse, 2 milk, a sword, 2 purses' worth, stamina that is full already.
    assert_eq!(amounts(&plan), BTreeMap::from([("bread", 6), ("coin", 35), ("milk", 2), ("sword", 1)]));
    let coins = plan.lines.iter().filter(|line| line.asset == name("coin"));
    let coins: Vec<(Vec<&str>, u64)> =
        coins.map(|line| (line.out_of.iter().map(Name::as_str).collect(), line.amount)).collect();
    assert_eq!(coins, [(vec!["purse"], 20), (vec!["parcel"], 10), (vec!["parcel", "purse"], 5)]);
    let mut held = Ledger::alone(&tables, holding(&[]), &plan);
    let sword = held.lots.keys().find(|(asset, _)| *asset == name("sword")).expect("granted").clone();
    held.set(&sword.0, sword.1, 0);
    held.set(&name("milk"), until(NOW_MS + 1_000), 0);
    assert_eq!(held.lots, holding(&[("bread", 6), ("coin", 35), ("stamina", 10)]).lots);
}

/// F7: what is displayed is projected from the plan, each player's own lines.
#[test]
fn what_is_displayed_is_what_the_plan_says_of_the_player() {
    let tables = Arc::new(shop());
    let request = ask().grant("purse", 3, "quest").grant("bread", 4, "quest");
    let plan = plan_of(&tables, 5, holding(&[]), &request).expect("planned");
    let shown = DisplayReward::of(&plan, &account("alice"));
    assert_eq!((shown.key(), shown.lines().len()), (ClaimKey(5), plan.lines.len()));
    assert_eq!((shown.amount(&name("coin")), shown.amount(&name("bread"))), (15, 4));
    assert!(DisplayReward::of(&plan, &account("bob")).lines().is_empty());
}

/// F10: what leaves makes room for what comes, in whatever order it is asked for; and what does not fit is refused or left out.
#[test]
fn slots_are_counted_net_and_what_is_too_much_is_refused_or_left_out() {
    let tables = Arc::new(shop());
    // Six slots: 50 bread take five, 5 crates one.
    let full = || holding(&[("bread", 50), ("crate", 5)]);
    let refusal = plan_of(&tables, 1, full(), &ask().grant("bread", 1, "town")).unwrap_err();
    assert_eq!(refusal, PlanRefusal::NoRoom { account: account("alice"), most: 6, needs: 7 });
    let swap = ask().grant("milk", 4, "town").pay("crate", 5, "town");
    let plan = plan_of(&tables, 1, full(), &swap).expect("a slot for a slot");
    assert_eq!(plan.mutations.last(), Some(&Mutation::Slots { account: account("alice"), most: 6 }));
    let clipped = |asset: &str, amount| {
        let (asset, from, to) = (name(asset), Account::house("town"), account("alice"));
        ask().pay("crate", 3, "town").part(Part::Grant { asset, amount, from, to, overflow: Overflow::Clip })
    };
    let clip =
        |asset: &str, amount, held| plan_of(&tables, 1, held, &clipped(asset, amount)).expect("planned");
    // 2 crates are left in their slot, which takes 3 more.
    assert_eq!(amounts(&clip("crate", 9, full())), BTreeMap::from([("crate", 3)]));
    assert_eq!(amounts(&clip("milk", 9, full())), BTreeMap::new());
    assert_eq!(
        amounts(&clip("sword", 9, holding(&[("bread", 31), ("crate", 5)]))),
        BTreeMap::from([("sword", 1)])
    );
    // Of what opens itself too: what is in it is left out, and nothing else.
    let plan = clip("parcel", 1, full());
    assert_eq!(amounts(&plan), BTreeMap::from([("coin", 15)]));
    // Slots that expire in this moment are free.
    let mut old = holding(&[("bread", 50)]);
    old.set(&name("milk"), until(NOW_MS), 4);
    let plan = plan_of(&tables, 1, old, &ask().grant("bread", 10, "town")).expect("the milk has gone");
    assert!(
        matches!(&plan.mutations[0], Mutation::Transfer { to, amount: 4, .. } if *to == Account::house(EXPIRED_HOUSE))
    );
    // Fewer slots than are used: a swap is possible all the same, and no more than that.
    let more = holding(&[("bread", 80)]);
    assert!(
        plan_of(&tables, 1, more.clone(), &ask().pay("bread", 10, "town").grant("milk", 1, "town")).is_ok()
    );
    let refusal = plan_of(&tables, 1, more, &ask().grant("milk", 1, "town")).unwrap_err();
    assert_eq!(refusal, PlanRefusal::NoRoom { account: account("alice"), most: 8, needs: 9 });
}

/// F2: what expires does so so many milliseconds after the moment that was frozen; what expires first is taken first, and what
/// has expired is not there.
#[test]
fn what_expires_first_is_taken_first_and_grants_end_to_the_millisecond() {
    let tables = Arc::new(shop());
    let milk = name("milk");
    let mut held = holding(&[("milk", 1)]);
    for (expires_ms, amount) in [(NOW_MS - 1, 4), (NOW_MS + 9, 1), (NOW_MS + 5, 1)] {
        held.set(&milk, until(expires_ms), amount);
    }
    let plan = plan_of(&tables, 1, held.clone(), &ask().pay("milk", 3, "cat").grant("milk", 2, "cow"))
        .expect("planned");
    let moved = plan.mutations.iter().filter_map(|change| match change {
        Mutation::Transfer { lot, amount, .. } => Some((lot.expires_ms, *amount)),
        _ => None,
    });
    let expected = [(NOW_MS - 1, 4), (NOW_MS + 5, 1), (NOW_MS + 9, 1), (0, 1), (NOW_MS + 1_000, 2)];
    assert_eq!(moved.collect::<Vec<_>>(), expected);
    let refusal = plan_of(&tables, 1, held.clone(), &ask().pay("milk", 4, "cat")).unwrap_err();
    assert_eq!(
        refusal,
        PlanRefusal::TooLittle { account: account("alice"), asset: milk.clone(), has: 3, needs: 4 }
    );
    let pick = |lot| {
        let (asset, to) = (milk.clone(), Account::house("cat"));
        ask().part(Part::Consume { asset, amount: 1, pick: Pick::Lot(lot), non_stackable: false, to })
    };
    assert!(plan_of(&tables, 1, held.clone(), &pick(until(NOW_MS + 9))).is_ok());
    for lot in [until(NOW_MS - 1), until(NOW_MS + 6)] {
        let refusal = plan_of(&tables, 1, held.clone(), &pick(lot)).unwrap_err();
        assert_eq!(refusal, PlanRefusal::NotHeld { account: account("alice"), asset: milk.clone() });
    }
}

/// F10, F12: of what the tables do not name any more its holder may be rid, lot by lot; it goes nowhere else, and nobody comes to it.
#[test]
fn what_no_table_names_any_more_can_be_given_back_and_nothing_else() {
    let tables = Arc::new(shop());
    let (retired, lot) = (name("rose"), Lot { expires_ms: 0, instance: 9 });
    let mut held = holding(&[("bread", 1)]);
    held.set(&retired, Lot::PLAIN, 3);
    held.set(&retired, lot, 1);
    let give_back = |lot, amount| {
        let (asset, to) = (retired.clone(), Account::house("town"));
        ask().part(Part::Consume { asset, amount, pick: Pick::Lot(lot), non_stackable: false, to })
    };
    for (lot, amount) in [(Lot::PLAIN, 3), (lot, 1)] {
        let plan = plan_of(&tables, 1, held.clone(), &give_back(lot, amount)).expect("it is held");
        assert!(matches!(&plan.mutations[..], [Mutation::Transfer { asset, lot: of, amount: sum, .. }]
            if (asset, *of, *sum) == (&retired, lot, amount)));
    }
    let refusal = plan_of(&tables, 1, held.clone(), &give_back(Lot::PLAIN, 4)).unwrap_err();
    assert!(matches!(refusal, PlanRefusal::TooLittle { has: 3, needs: 4, .. }), "{refusal}");
    let bob = Part::Give {
        asset: retired.clone(),
        amount: 1,
        pick: Pick::Lot(Lot::PLAIN),
        from: account("alice"),
        to: account("bob"),
    };
    for request in [
        ask().pay("rose", 1, "town"),
        ask().grant("rose", 1, "town"),
        ask().part(bob),
        give_back(until(NOW_MS + 1), 1),
    ] {
        let refusal = plan_of(&tables, 1, held.clone(), &request).unwrap_err();
        assert!(matches!(&refusal, PlanRefusal::Unknown { .. }), "{refusal}");
    }
}

/// F10: what is single keeps its instance when it is given, is named by it when it is paid, and a request that takes it for
/// something stacked is refused.
#[test]
fn what_is_single_is_moved_whole_and_told_apart() {
    let tables = Arc::new(shop());
    let sword = name("sword");
    let [first, second] = [3, 8].map(|instance| Lot { expires_ms: 0, instance });
    let mut held = holding(&[]);
    held.set(&sword, first, 1);
    held.set(&sword, second, 1);
    let paid =
        plan_of(&tables, 1, held.clone(), &ask().pay_single("sword", second, "smith")).expect("planned");
    assert!(matches!(&paid.mutations[..], [Mutation::Transfer { lot, amount: 1, .. }] if *lot == second));
    let refusal = plan_of(&tables, 1, held.clone(), &ask().pay("sword", 1, "smith")).unwrap_err();
    assert!(
        matches!(&refusal, PlanRefusal::Senseless { why } if why.starts_with("part 1: sword")),
        "{refusal}"
    );
    let refusal = plan_of(&tables, 1, held.clone(), &ask().pay_single("bread", first, "smith")).unwrap_err();
    assert!(matches!(refusal, PlanRefusal::Senseless { .. }));

    let bob = player("bob");
    let request = ask().give("sword", 2, &bob).grant("sword", 2, "smith");
    let claim = claim(&account("alice"), 4);
    let context = PlanContext::new(tables.clone(), NOW_MS, &claim, 1).with(account("alice"), held);
    let unknown = plan(&context, &claim, &request).unwrap_err();
    assert_eq!(unknown, PlanRefusal::Unknown { what: "participant".into(), name: "player bob".into() });
    let made = plan(&context.with(&bob, holding(&[])), &claim, &request).expect("planned");
    let of = |who: &str| -> Vec<Lot> {
        made.lines.iter().filter(|line| line.account == account(who)).map(|line| line.lot).collect()
    };
    assert_eq!(of("bob"), [first, second]);
    let granted = of("alice");
    assert!(
        granted.len() == 2 && granted[0] != granted[1] && granted.iter().all(|lot| lot.instance != 0),
        "{granted:?}"
    );
}

/// C8, F9: what the game changes itself and what is delivered afterwards stand in the plan where they were asked for.
#[test]
fn changes_of_the_games_own_and_side_effects_keep_their_place() {
    let tables = Arc::new(shop());
    let request = ask().game("stock", &3u8).grant("coin", 1, "town").deliver("mail", &"bought");
    let plan = plan_of(&tables, 1, holding(&[]), &request).expect("planned");
    let [Mutation::Game { kind, .. }, Mutation::Transfer { .. }, Mutation::Outbox { .. }] =
        &plan.mutations[..]
    else {
        panic!("{:?}", plan.mutations)
    };
    assert_eq!(kind, &name("stock"));
    assert_eq!(plan.domains, AffectedDomains::GAME | AffectedDomains::CURRENCIES | AffectedDomains::OUTBOX);
}

/// F11: what is had already, is too much, or leads nowhere is refused for what it is.
#[test]
fn a_refusal_says_why() {
    let tables = Arc::new(shop());
    let refuse = |held: Holdings, request: PlanRequest| plan_of(&tables, 1, held, &request).unwrap_err();
    let (who, flight) = (account("alice"), name("flight"));
    let once = ask().grant("flight", 1, "tower");
    assert!(plan_of(&tables, 1, holding(&[]), &once).is_ok());
    assert_eq!(
        refuse(holding(&[("flight", 1)]), once.clone()),
        PlanRefusal::AlreadyHas { account: who.clone(), asset: flight.clone() }
    );
    assert_eq!(
        refuse(holding(&[]), once.clone().grant("flight", 1, "tower")),
        PlanRefusal::AlreadyHas { account: who.clone(), asset: flight }
    );
    assert_eq!(
        refuse(holding(&[("coin", 95)]), ask().grant("coin", 6, "mint")),
        PlanRefusal::OverCap { account: who.clone(), asset: name("coin"), cap: 100 }
    );
    for (request, word) in [
        (ask().grant("dust", 1, "mint"), "asset"),
        (ask().pay("dust", 1, "mint"), "asset"),
        (ask().loot("dust", 1), "loot table"),
        (ask().open("bread", 1), "box"),
    ] {
        let refusal = refuse(holding(&[]), request);
        assert!(matches!(&refusal, PlanRefusal::Unknown { what, .. } if what == word), "{refusal}");
    }
    let (town, coin) = (Account::house("town"), name("coin"));
    let pay_to =
        |to| Part::Consume { asset: coin.clone(), amount: 1, pick: Pick::Any, non_stackable: false, to };
    let grant_from =
        |from, to| Part::Grant { asset: coin.clone(), amount: 1, from, to, overflow: Overflow::Clip };
    for request in [
        ask().grant("coin", 0, "mint"),
        ask().pay("coin", 0, "mint"),
        ask().loot("purse", 0),
        ask().open("crate", 0),
        ask().grant("coin", tables::AMOUNT_MAX + 1, "mint"),
        ask().give("coin", 1, &player("alice")),
        ask().part(pay_to(who.clone())),
        ask().part(grant_from(who.clone(), who.clone())),
        ask().part(grant_from(town.clone(), town.clone())),
        PlanRequest::new("rent", town.clone()).pay("coin", 1, "mint"),
    ] {
        let refusal = plan_of(&tables, 1, holding(&[("coin", 5)]), &request).unwrap_err();
        assert!(matches!(refusal, PlanRefusal::Senseless { .. }), "{request:?}: {refusal}");
    }
    let another = claim(&account("bob"), 1);
    let context = PlanContext::new(tables.clone(), NOW_MS, &another, 1);
    assert!(matches!(plan(&context, &another, &once), Err(PlanRefusal::Senseless { .. })));
}

/// A house may claim for others, and houses have neither caps nor slots.
#[test]
fn a_house_that_claims_takes_no_part_itself() {
    let tables = Arc::new(shop());
    let town = Account::house("town");
    let to = |to: Account, amount| Part::Grant {
        asset: name("coin"),
        amount,
        from: Account::house("mint"),
        to,
        overflow: Overflow::Refuse,
    };
    let request =
        PlanRequest::new("wages", town.clone()).part(to(town.clone(), 1_000)).part(to(account("bob"), 10));
    let claim = claim(&town, 3);
    let context = PlanContext::new(tables.clone(), NOW_MS, &claim, 1).with(account("bob"), holding(&[]));
    let plan = plan(&context, &claim, &request).expect("planned");
    assert_eq!(plan.participants, [Participant { account: account("bob"), version: 7 }]);
    assert!(matches!(&plan.mutations[0], Mutation::Transfer { cap: None, amount: 1_000, .. }));
    assert_eq!(plan.lines.len(), 1);
}

/// More lots than a plan can take away at once expire one plan after the other; what is left can be neither paid nor clung to.
#[test]
fn what_has_expired_in_great_numbers_leaves_plan_by_plan() {
    let tables = RewardTables::builder()
        .asset("berry", item(1, Some(1)))
        .loot("bush", LootTable::of("wild").always(Drop::some("berry", 1..=1)));
    let tables = Arc::new(tables.slots(1_000).build().expect("good tables"));
    let mut held = Holdings::default();
    for age in 0..150 {
        held.set(&name("berry"), until(NOW_MS - age), 1);
    }
    let mut plans = 0;
    while held.lots.keys().any(|(_, lot)| lot.is_expired(NOW_MS)) {
        let refusal =
            plan_of(&tables, plans, held.clone(), &ask().pay("berry", 1 + plans as u64, "town")).unwrap_err();
        assert!(matches!(refusal, PlanRefusal::TooLittle { .. }), "{refusal}");
        let plan = plan_of(&tables, plans, held.clone(), &ask().loot("bush", 1)).expect("planned");
        held = Ledger::alone(&tables, held, &plan);
        plans += 1;
    }
    assert_eq!((plans, held.amount(&name("berry"))), (3, 3));
}
