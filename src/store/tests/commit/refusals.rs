//! Plans that are not valid any more, or never were.

use super::*;

fn coins(from: &Account, to: &Account, amount: u64, cap: Option<u64>) -> Mutation {
    moves_lot("coin", Lot::PLAIN, from, to, amount, cap)
}

/// F3, F5: what cannot be is refused with its reason, alone, and leaves nothing behind, no name either.
#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let place = place();
    let mut store = store(&place);
    let lot = |expires_ms, instance| Lot { expires_ms, instance };
    done(
        &mut store,
        plan(
            1,
            &[(alice(), 0)],
            vec![
                coins(&market(), &alice(), 40, Some(1_000)),
                moves_lot("wine", lot(9, 0), &market(), &alice(), 11, None),
                moves_lot("sword", lot(0, 5), &market(), &alice(), 1, None),
                moves("map", &market(), &alice(), 1),
            ],
        ),
    );
    let before = holdings(&mut store, &alice());
    let (coin, wine, sword, map) =
        (Name::from("coin"), Name::from("wine"), Name::from("sword"), Name::from("map"));
    let too_little = |asset: &Name, has, needs| PlanRefusal::TooLittle {
        account: alice(),
        asset: asset.clone(),
        has,
        needs,
    };
    let not_held = |asset: &Name| PlanRefusal::NotHeld { account: alice(), asset: asset.clone() };
    let cases = [
        (vec![coins(&alice(), &market(), 41, None)], too_little(&coin, 40, 41)),
        (vec![moves("wine", &alice(), &market(), 1)], too_little(&wine, 0, 1)),
        (vec![moves_lot("wine", lot(9, 0), &alice(), &market(), 12, None)], too_little(&wine, 11, 12)),
        (vec![moves_lot("wine", lot(8, 0), &alice(), &market(), 1, None)], not_held(&wine)),
        (vec![moves_lot("sword", lot(0, 6), &alice(), &market(), 1, None)], not_held(&sword)),
        (
            vec![coins(&market(), &alice(), 11, Some(50))],
            PlanRefusal::OverCap { account: alice(), asset: coin.clone(), cap: 50 },
        ),
        (
            vec![moves_lot("map", Lot::PLAIN, &market(), &alice(), 1, Some(1))],
            PlanRefusal::AlreadyHas { account: alice(), asset: map },
        ),
        (
            // 2 slots of wine, one of the sword, and one more.
            vec![moves("wine", &market(), &alice(), 1), Mutation::Slots { account: alice(), most: 3 }],
            PlanRefusal::NoRoom { account: alice(), most: 3, needs: 4 },
        ),
        (
            vec![moves("gem", &market(), &alice(), 1)],
            PlanRefusal::Unknown { what: "asset".into(), name: "gem".into() },
        ),
        (
            vec![Mutation::Game { kind: "sell".into(), data: vec![] }],
            PlanRefusal::Unknown { what: "kind of change".into(), name: "sell".into() },
        ),
    ];
    let count = cases.len();
    for (number, (mutations, refusal)) in (10..).zip(cases) {
        // First something that is possible, at houses that nobody knows yet.
        let mutations = [
            vec![coins(&Account::house("new"), &alice(), 1, None), coins(&alice(), &market(), 1, None)],
            mutations,
        ];
        let bad = plan(number, &[(alice(), 1)], mutations.concat());
        assert_eq!(refused(&mut store, bad), refusal);
    }
    assert_eq!(count, 10);
    assert_eq!(holdings(&mut store, &alice()), before);
    assert_eq!(number(&mut store, "SELECT count(*) FROM account WHERE name = 'new'"), 0);
    check_books(&mut store);
}

/// F5: a plan that no planner would make is refused as such.
#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let place = place();
    let mut store = store(&place);
    let sword = Lot { expires_ms: 0, instance: 5 };
    let give_sword = |to: &Account| moves_lot("sword", sword, &market(), to, 1, None);
    done(&mut store, plan(1, &[(alice(), 0)], vec![give_sword(&alice())]));
    let both = [(alice(), 1), (bob(), 0)];
    for (number, (participants, mutation)) in (10..).zip([
        (&both[..], coins(&market(), &alice(), 0, None)),
        (&both[..], coins(&market(), &alice(), u64::MAX, None)),
        (&both[..], coins(&alice(), &alice(), 1, None)),
        (&both[..], coins(&market(), &market(), 1, None)),
        (&both[..1], coins(&market(), &bob(), 1, None)),
        (&both[..1], Mutation::Slots { account: bob(), most: 1 }),
        (&both[..1], Mutation::PoolClock { account: bob(), asset: "stamina".into(), as_of_ms: 1 }),
        (&[(alice(), 1), (alice(), 1)], coins(&market(), &alice(), 1, None)),
        (&both[..], moves_lot("coin", Lot { expires_ms: u64::MAX, instance: 0 }, &market(), &bob(), 1, None)),
        // One of its kind can be in one place alone.
        (&both[..], give_sword(&bob())),
        (&both[..], give_sword(&alice())),
    ]) {
        let refusal = refused(&mut store, plan(number, participants, vec![mutation.clone()]));
        assert!(matches!(refusal, PlanRefusal::Invalid { .. }), "{mutation:?}: {refusal}");
    }
    assert_eq!(number(&mut store, "SELECT count(*) FROM claim"), 1);
    assert_eq!(holdings(&mut store, &bob()), Holdings::default());
    check_books(&mut store);
}

/// F3: a pool whose filling was counted after the plan was made is not counted again by it; a clock that stood still meanwhile
/// does not matter to it.
#[test]
fn what_filled_up_is_counted_once() {
    let place = place();
    let mut store = store(&place);
    let regenerate = |number, version, as_of_ms| {
        plan(
            number,
            &[(alice(), version)],
            vec![
                moves_lot("stamina", Lot::PLAIN, &Account::house("regeneration"), &alice(), 5, Some(100)),
                Mutation::PoolClock { account: alice(), asset: "stamina".into(), as_of_ms },
            ],
        )
    };
    done(&mut store, regenerate(1, 0, 5_000));
    done(&mut store, plan(2, &[(alice(), 1)], vec![coins(&market(), &alice(), 1, None)]));
    // Made from version 1, after which only coins changed.
    let outcome = one(&mut store, regenerate(3, 1, 10_000));
    assert!(outcome.result.is_ok() && outcome.conflicts == 1, "{outcome:?}");
    // Made from version 2: what it counts is counted.
    let outcome = one(&mut store, regenerate(4, 2, 10_000));
    let overtaken = PlanRefusal::Overtaken { account: alice(), asset: "stamina".into() };
    assert_eq!((outcome.result, outcome.conflicts), (Err(overtaken), 1));
    assert_eq!(holdings(&mut store, &alice()).amount(&"stamina".into()), 10);
    check_books(&mut store);
}

/// D5: the tables themselves keep players from being below nothing and claims from being there twice, whoever writes.
#[test]
fn the_tables_refuse_what_must_never_be() {
    let place = place();
    let mut store = store(&place);
    done(&mut store, plan(1, &[(alice(), 0)], vec![coins(&market(), &alice(), 5, None)]));
    let connection = store.database.connection().unwrap();
    for sql in [
        "UPDATE holding SET amount = -1 WHERE account > 0",
        "INSERT INTO claim SELECT 99, account, key, request, plan_hash, use_case, tick, now_ms, summary FROM claim",
        "INSERT INTO changelog SELECT account, data_version, claim, domains FROM changelog",
        "INSERT INTO changelog SELECT account, data_version + 2, claim, domains FROM changelog",
        "INSERT INTO holding VALUES (77, 1, 0, 0, 5)",
        "UPDATE ledger SET amount = 6",
        "UPDATE ledger SET amount = -5",
        "INSERT INTO ledger SELECT claim, 9, asset, 0, 0, from_account, from_account, 5 FROM ledger",
        "DELETE FROM claim",
        "DELETE FROM account",
        "UPDATE account SET kind = 'house' WHERE id > 0",
    ] {
        let error = connection.execute(sql, []).expect_err(sql);
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{sql}: {error}"
        );
    }
    check_books(&mut store);
}
