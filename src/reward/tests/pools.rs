//! Pools against a loop that waits millisecond by millisecond.

use super::super::chance::Chance;
use super::super::pool::{Filled, filled};
use super::*;

/// What is held after so many milliseconds, and since when something is begun.
fn wait(cap: u64, regen_ms: u64, mut held: u64, counted_ms: u64, now_ms: u64) -> (u64, u64) {
    let mut since_ms = counted_ms;
    for at_ms in counted_ms..now_ms {
        let then_ms = at_ms + 1;
        if held >= cap {
            since_ms = then_ms;
        } else if then_ms - since_ms == regen_ms {
            held += 1;
            since_ms = then_ms;
        }
    }
    (held, if held >= cap { now_ms } else { since_ms })
}

/// F11: stamina fills up as if somebody had waited for it.
#[test]
fn a_pool_fills_up_as_by_waiting_for_every_millisecond() {
    let mut chance = Chance::new(6);
    for _ in 0..3_000 {
        let (cap, regen_ms) = (chance.between(1..=20), chance.between(1..=40));
        let held = chance.between(0..=cap + 2);
        let (counted_ms, passed_ms) = (chance.between(1_000..=2_000), chance.between(0..=600));
        let now_ms = counted_ms + passed_ms;
        let Filled { gained, as_of_ms } = filled(cap, regen_ms, held, Some(counted_ms), now_ms);
        let expected =
            if held >= cap { (held, now_ms) } else { wait(cap, regen_ms, held, counted_ms, now_ms) };
        assert_eq!(
            (held + gained, as_of_ms),
            expected,
            "{held} of {cap}, one in {regen_ms} ms, for {passed_ms} ms"
        );
    }
}

/// However often it is counted in between, it comes to the same.
#[test]
fn counting_a_pool_more_often_neither_makes_nor_loses_any() {
    let mut chance = Chance::new(7);
    for _ in 0..500 {
        let (cap, regen_ms) = (chance.between(5..=20), chance.between(1..=40));
        let (mut held, mut counted_ms) = (0, 1_000);
        for _ in 0..20 {
            let now_ms = counted_ms + chance.below(30);
            let part = filled(cap, regen_ms, held, Some(counted_ms), now_ms);
            held += part.gained;
            counted_ms = part.as_of_ms;
            let whole = filled(cap, regen_ms, 0, Some(1_000), now_ms);
            assert_eq!((held, counted_ms), (whole.gained, whole.as_of_ms));
        }
    }
}

#[test]
fn a_pool_that_was_never_counted_is_full_and_a_calendar_put_back_takes_nothing() {
    assert_eq!(filled(10, 100, 0, None, NOW_MS), Filled { gained: 10, as_of_ms: NOW_MS });
    assert_eq!(filled(10, 100, 4, Some(NOW_MS + 50), NOW_MS), Filled { gained: 0, as_of_ms: NOW_MS + 50 });
    let far = filled(u64::MAX >> 1, 1, 0, Some(0), u64::MAX);
    assert_eq!(far, Filled { gained: u64::MAX >> 1, as_of_ms: u64::MAX });
}

/// F11: a pool is spent in the same pipeline: first what has filled up is counted, with the clock that makes the next plan go on.
#[test]
fn a_pool_is_counted_before_it_is_spent() {
    let tables = Arc::new(shop());
    let mut held = holding(&[("stamina", 2)]);
    held.clocks.insert(name("stamina"), NOW_MS - 350);
    let pay = |amount| PlanRequest::new("run", account("alice")).pay("stamina", amount, "road");
    let stamina = name("stamina");
    let [alice, nature, road] =
        [account("alice"), Account::house(REGENERATION_HOUSE), Account::house("road")];
    let plan = plan_of(&tables, 1, held.clone(), &pay(4)).expect("2 and 3 that filled up");
    let (asset, lot) = (stamina.clone(), Lot::PLAIN);
    assert_eq!(
        plan.mutations,
        [
            Mutation::PoolClock { account: alice.clone(), asset: stamina.clone(), as_of_ms: NOW_MS - 50 },
            Mutation::Transfer {
                asset: asset.clone(),
                lot,
                from: nature,
                to: alice.clone(),
                amount: 3,
                cap: Some(10)
            },
            Mutation::Transfer { asset, lot, from: alice.clone(), to: road, amount: 4, cap: None },
        ]
    );
    assert_eq!(plan.domains, AffectedDomains::POOLS);
    assert!(plan.lines.is_empty(), "what fills up by itself is no reward");
    let refusal = plan_of(&tables, 2, held.clone(), &pay(6)).unwrap_err();
    assert_eq!(refusal, PlanRefusal::TooLittle { account: alice, asset: stamina.clone(), has: 5, needs: 6 });
    assert_eq!(held.pool_at(&stamina, tables.asset(&stamina).expect("known"), NOW_MS), 5);
    // Twice in one plan it is counted once.
    let plan = plan_of(&tables, 3, held, &pay(2).pay("stamina", 2, "river")).expect("planned");
    assert_eq!(plan.mutations.len(), 4, "{:?}", plan.mutations);
}

/// What a grant or a gift fills after something was counted has one clock in the plan, which stands where it is full.
#[test]
fn a_pool_that_is_counted_and_then_filled_has_one_clock() {
    let tables = Arc::new(shop());
    let mut held = holding(&[("stamina", 8)]);
    held.clocks.insert(name("stamina"), NOW_MS - 160);
    let mut friend = holding(&[("stamina", 5)]);
    friend.clocks.insert(name("stamina"), NOW_MS);
    let (asset, alice, bob) = (name("stamina"), account("alice"), account("bob"));
    let given = Part::Give { asset, amount: 1, pick: Pick::Any, from: bob.clone(), to: alice.clone() };
    let ask = PlanRequest::new("drink", alice.clone());
    for request in [ask.clone().grant("stamina", 1, "inn"), ask.part(given)] {
        let claim = claim(&alice, 1);
        let context = PlanContext::new(tables.clone(), NOW_MS, &claim, 1);
        let context = context.with(alice.clone(), held.clone()).with(bob.clone(), friend.clone());
        let plan = plan(&context, &claim, &request).expect("planned");
        let clocks = plan.mutations.iter().filter(|change| matches!(change, Mutation::PoolClock { .. }));
        let (account, asset) = (alice.clone(), name("stamina"));
        let expected = Mutation::PoolClock { account, asset, as_of_ms: NOW_MS };
        assert_eq!(clocks.collect::<Vec<_>>(), [&expected]);
    }
}

/// One that a grant filled stands still from then on, so that what was begun before is not counted twice.
#[test]
fn a_pool_that_a_grant_fills_begins_anew() {
    let tables = Arc::new(shop());
    let mut held = holding(&[("stamina", 8)]);
    held.clocks.insert(name("stamina"), NOW_MS - 60);
    let drink = PlanRequest::new("drink", account("alice")).grant("stamina", 2, "inn");
    let plan = plan_of(&tables, 1, held.clone(), &drink).expect("planned");
    let clock = Mutation::PoolClock { account: account("alice"), asset: name("stamina"), as_of_ms: NOW_MS };
    assert_eq!(plan.mutations.iter().filter(|change| **change == clock).count(), 1, "{:?}", plan.mutations);
    let refusal = plan_of(&tables, 1, held, &drink.grant("stamina", 1, "inn")).unwrap_err();
    assert_eq!(refusal, PlanRefusal::OverCap { account: account("alice"), asset: name("stamina"), cap: 10 });
}
