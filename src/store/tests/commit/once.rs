//! Once and not twice, and what is told of it.

use super::*;

/// F6, F8: the summary tells what the rows say; each player gets one version however many changes there are, houses none.
#[test]
fn a_summary_tells_the_rows_that_changed() {
    let place = place();
    let mut store = store(&place);
    let (coin, sword) = (Name::from("coin"), Name::from("sword"));
    let one_sword = Lot { expires_ms: 0, instance: u64::MAX };
    let mutations = vec![
        moves("coin", &market(), &alice(), 30),
        moves("coin", &alice(), &market(), 10),
        moves_lot("sword", one_sword, &market(), &alice(), 1, None),
        moves("coin", &alice(), &bob(), 5),
        Mutation::PoolClock { account: alice(), asset: "stamina".into(), as_of_ms: 9 },
        Mutation::Slots { account: alice(), most: 1 },
        Mutation::Outbox { kind: "mail".into(), payload: vec![1, 2] },
    ];
    let summary = done(&mut store, plan(1, &[(alice(), 0), (bob(), 0)], mutations));
    let changed = |account: Account, asset: &Name, lot, delta, amount| ChangedHolding {
        account,
        asset: asset.clone(),
        lot,
        delta,
        amount,
    };
    assert_eq!(
        summary.holdings(),
        [
            changed(market(), &coin, Lot::PLAIN, -20, -20),
            changed(alice(), &coin, Lot::PLAIN, 15, 15),
            changed(market(), &sword, Lot::PLAIN, -1, -1),
            changed(alice(), &sword, one_sword, 1, 1),
            changed(bob(), &coin, Lot::PLAIN, 5, 5),
        ]
    );
    assert_eq!(summary.versions(), [(alice(), 1), (bob(), 1)]);
    assert_eq!((summary.outbox(), summary.tick(), summary.now_ms()), (1, TickNumber(5), NOW_MS));
    assert_eq!(summary.domains().to_string(), "currencies items pools outbox");
    check_books(&mut store);

    let mut settled = Holdings::default();
    assert_eq!(summary.settle(&alice(), &mut settled), Settling::Settled);
    assert_eq!(settled, holdings(&mut store, &alice()));
    assert_eq!(settled.clocks[&Name::from("stamina")], 9);
    assert_eq!(summary.settle(&alice(), &mut settled), Settling::Known, "it counts once");
    assert_eq!(settled, holdings(&mut store, &alice()));
    let mut stale = Holdings::default();
    let next = done(&mut store, plan(2, &[(alice(), 1)], vec![moves("coin", &alice(), &market(), 1)]));
    assert_eq!(next.settle(&alice(), &mut stale), Settling::Missed);
    assert_eq!(stale, Holdings::default());
}

/// F11: a repeated claim changes nothing and returns the first result, whatever plan it comes with; anything else under its key
/// is refused.
#[test]
fn ten_thousand_repeats_change_nothing_and_return_the_first_result() {
    let place = place();
    let mut store = store(&place);
    let grant = |version| plan(1, &[(alice(), version)], vec![moves("coin", &market(), &alice(), 30)]);
    let first = done(&mut store, grant(0));
    let before = number(&mut store, "SELECT total_changes()");
    for round in 0..10 {
        let outcomes = store.commit(&batch((0..1_000).map(grant))).unwrap();
        for outcome in outcomes {
            assert!(outcome.is_repeat, "round {round}");
            assert_eq!(outcome.result.as_ref(), Ok(&first));
        }
    }
    assert_eq!(number(&mut store, "SELECT total_changes()"), before, "not a row was touched");
    let other = plan(1, &[(alice(), 1)], vec![moves("coin", &market(), &alice(), 31)]);
    assert_eq!(refused(&mut store, other), PlanRefusal::KeyReused);
    let of_bob = plan(1, &[(bob(), 0)], vec![moves("coin", &market(), &bob(), 31)]);
    done(&mut store, of_bob);
    assert_eq!(holdings(&mut store, &alice()).amount(&"coin".into()), 30);

    drop(store);
    let mut store = open(&place.folder);
    let again = one(&mut store, grant(1));
    assert_eq!((again.is_repeat, again.result), (true, Ok(first.clone())), "also after a restart");
    check_books(&mut store);
}

/// C4: what came of a claim can be looked up, without asking for it again.
#[test]
fn a_claim_can_be_looked_up() {
    let place = place();
    let mut store = store(&place);
    let made = plan(1, &[(alice(), 0)], vec![moves("coin", &market(), &alice(), 30)]);
    let find = |store: &mut Store, claim: &Claim| {
        let work = PlayerWork::Request(PlayerRequest::FindClaim { number: 8, claim: claim.clone() });
        let mut done = store.carry_out(&[work]).unwrap();
        assert_eq!(done.claims[0].number, 8);
        done.claims.remove(0).found
    };
    assert_eq!(find(&mut store, &made.claim), None);
    let summary = done(&mut store, made.clone());
    let found = PlanOutcome { number: 8, result: Ok(summary), is_repeat: true, conflicts: 0 };
    assert_eq!(find(&mut store, &made.claim), Some(found));
    let other = Claim { request: 1, ..made.claim.clone() };
    assert_eq!(find(&mut store, &other).unwrap().result, Err(PlanRefusal::KeyReused));
    let of_bob = Claim { account: bob(), ..made.claim };
    assert_eq!(find(&mut store, &of_bob), None);
}

/// C4: a key older than claims are kept is refused, since nobody can know what came of it; one that is named never is.
#[test]
fn a_key_from_before_what_is_remembered_is_refused() {
    let place = place();
    let mut store = store(&place);
    store.set_retention(Retention { claims_ms: 1_000, ..Retention::default() });
    let mut grant = plan(0, &[(alice(), 0)], vec![moves("coin", &market(), &alice(), 30)]);
    grant.claim.key = ActionId::new(ActionId::order_at(NOW_MS - 1_001), 1).into();
    assert_eq!(refused(&mut store, grant.clone()), PlanRefusal::TooOld);
    for key in
        [ActionId::new(ActionId::order_at(NOW_MS - 1_000), 1).into(), ClaimKey::named("quest", b"ring")]
    {
        grant.claim.key = key;
        done(&mut store, grant.clone());
    }
    check_books(&mut store);
}
