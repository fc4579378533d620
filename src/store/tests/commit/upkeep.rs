//! The outbox, and what is forgotten.

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn at(store: &mut Store, now_ms: u64, plan: MutationPlan) -> PlanOutcome {
    store.commit(&CommitBatch { now_ms, ..batch([plan]) }).unwrap().remove(0)
}

/// A plan whose key was made at this time.
fn grant(now_ms: u64, number: u64, version: u64, mutation: Mutation) -> MutationPlan {
    let mut plan = plan(number, &[(alice(), version)], vec![mutation]);
    plan.claim.key = ActionId::new(ActionId::order_at(now_ms) + number, 7).into();
    plan
}

/// F11, C4: what is old is forgotten little by little, and the books are right at every step; an old claim is refused, a named one
/// is remembered for good.
#[test]
fn what_is_old_is_forgotten_and_the_books_stay_right() {
    let place = place();
    let mut store = store(&place);
    store.set_retention(Retention {
        claims_ms: 24 * HOUR_MS,
        changelog_ms: 48 * HOUR_MS,
        ledger_ms: 36 * HOUR_MS,
    });
    let mut plans = Vec::new();
    for number in 0..100 {
        let now_ms = NOW_MS + number * HOUR_MS;
        let wine = Lot { expires_ms: 1 + number % 3, instance: 0 };
        let mutation = match number % 4 {
            0 => moves("coin", &market(), &alice(), 3),
            1 => moves_lot("wine", wine, &market(), &alice(), 2, None),
            2 => moves("coin", &alice(), &Account::house("inn"), 1),
            _ => moves_lot(
                "wine",
                Lot { expires_ms: 1 + (number - 2) % 3, ..wine },
                &alice(),
                &market(),
                1,
                None,
            ),
        };
        let mut plan = grant(now_ms, number, number, mutation);
        if number == 7 {
            plan.claim.key = ClaimKey::named("quest", b"ring");
        }
        assert!(at(&mut store, now_ms, plan.clone()).result.is_ok(), "{number}");
        plans.push(plan);
    }
    let before = holdings(&mut store, &alice());
    let now_ms = NOW_MS + 99 * HOUR_MS;
    let mut all = Tidied::default();
    for _ in 0..60 {
        let tidied = store.tidy(now_ms, 7).unwrap();
        assert!(tidied.claims <= 7 && tidied.ledger <= 7, "a little at a time: {tidied:?}");
        all.claims += tidied.claims;
        all.changelog += tidied.changelog;
        all.ledger += tidied.ledger;
        all.removed += tidied.removed;
        check_books(&mut store);
    }
    // Those of the hours 0 to 74, 62 and 50, but for the named claim; which keeps its row, as everything younger does.
    assert_eq!(all, Tidied { claims: 74, changelog: 51, ledger: 63, removed: 50 });
    assert_eq!(number(&mut store, "SELECT count(*) FROM ledger"), 37);
    assert_eq!(holdings(&mut store, &alice()), before);
    for (number, plan) in plans.iter().enumerate() {
        let outcome = at(&mut store, now_ms, plan.clone());
        match number == 7 || number >= 75 {
            true => assert!(outcome.is_repeat && outcome.result.is_ok(), "{number}: {outcome:?}"),
            false => assert_eq!(outcome.result, Err(PlanRefusal::TooOld), "{number}"),
        }
    }
    // Kept for longer from now on: what is forgotten is forgotten nevertheless.
    drop(store);
    let mut store = open(&place.folder);
    store.set_retention(Retention { claims_ms: 1_000 * HOUR_MS, ..Retention::default() });
    assert_eq!(at(&mut store, now_ms, plans[10].clone()).result, Err(PlanRefusal::TooOld));
    check_books(&mut store);
}

/// C8: what is to be delivered is told until it is said to be delivered, ever more slowly; after the last try it waits for an
/// operator. It is written with its plan or not at all.
#[test]
fn the_outbox_is_told_until_it_is_delivered() {
    let place = place();
    let mut store = store(&place);
    let mail = |text: &[u8]| Mutation::Outbox { kind: "mail".into(), payload: text.to_vec() };
    done(&mut store, plan(1, &[(alice(), 0)], vec![mail(b"one"), mail(b"two")]));
    refused(
        &mut store,
        plan(2, &[(alice(), 1)], vec![mail(b"three"), moves("coin", &alice(), &market(), 1)]),
    );
    let turn = |store: &mut Store, now_ms, done: &[u64], failed: &[u64]| {
        let failed = failed.iter().map(|id| (*id, "no route".to_owned())).collect();
        store.outbox(&OutboxWork { now_ms, done: done.to_vec(), failed, wanted: 9 }).unwrap()
    };
    assert_eq!(turn(&mut store, NOW_MS - 1, &[], &[]), []);
    let due = turn(&mut store, NOW_MS, &[], &[]);
    let texts: Vec<&[u8]> = due.iter().map(|delivery| &delivery.payload[..]).collect();
    assert_eq!(texts, [b"one", b"two"]);
    assert_eq!(due, turn(&mut store, NOW_MS, &[], &[]), "at least once");
    let [one, two] = [due[0].id, due[1].id];
    for _ in 0..2 {
        // As after a commit that was told as a failure: the second time it changes nothing.
        assert_eq!(turn(&mut store, NOW_MS, &[one], &[two]), []);
    }

    let mut now_ms = NOW_MS;
    let mut waits = Vec::new();
    for attempt in 1..DELIVERY_ATTEMPTS_MAX {
        let from_ms = now_ms;
        let due = loop {
            now_ms += 500;
            let due = turn(&mut store, now_ms, &[], &[]);
            if !due.is_empty() {
                break due;
            }
        };
        assert_eq!((due[0].id, due[0].attempts), (two, attempt));
        waits.push((now_ms - from_ms) / 1_000);
        assert_eq!(turn(&mut store, now_ms, &[], &[two]), []);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    assert_eq!(turn(&mut store, u64::MAX / 4, &[], &[]), [], "it is not tried any more");
    let rows = store.compensations().unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.kind, row.attempts, &row.error[..]), (CompensationKind::Outbox, 10, "no route"));
    assert_eq!(row.reference, two.to_string());
    assert!(ordered_at(&mut store, CompensationVerb::Retry, row.number, now_ms).done);
    let due = turn(&mut store, now_ms, &[], &[]);
    assert_eq!((due[0].id, due[0].attempts), (two, 0));
    assert_eq!(turn(&mut store, now_ms, &[two], &[]), []);
    assert_eq!(number(&mut store, "SELECT count(*) FROM outbox"), 0);

    done(&mut store, plan(3, &[(alice(), 1)], vec![mail(b"four")]));
    let four = turn(&mut store, now_ms, &[], &[])[0].id;
    assert!(four > two, "a number is never given to another");
    for _ in 0..DELIVERY_ATTEMPTS_MAX {
        turn(&mut store, now_ms, &[], &[four]);
        now_ms += 1_000_000;
    }
    let waiting = store.compensations().unwrap()[0].number;
    assert!(ordered(&mut store, CompensationVerb::Discard, waiting).done);
    assert_eq!(number(&mut store, "SELECT count(*) FROM outbox"), 0);
    check_books(&mut store);
}

/// The store keeps itself: what is old is forgotten and the log begins anew while plans come in, without being asked.
#[test]
fn the_thread_forgets_what_is_old_while_plans_come_in() {
    let place = place();
    let mut store = store(&place);
    store.set_retention(Retention { claims_ms: HOUR_MS, changelog_ms: HOUR_MS, ledger_ms: HOUR_MS });
    let handle = store.start().unwrap();
    for tick in 0..60 {
        let now_ms = NOW_MS + tick * HOUR_MS / 10;
        let plans = (0..50).map(|at| {
            let number = tick * 50 + at;
            let plan = grant(now_ms, number, number, moves("coin", &market(), &alice(), 1));
            Submission { number, plan: plan.into() }
        });
        let batch = CommitBatch { tick: TickNumber(tick), now_ms, plans: plans.collect() };
        handle.try_request(asked(batch)).unwrap();
        assert_eq!(told(handle.wait_result(std::time::Duration::from_secs(60))).len(), 50);
    }
    handle.finish(None).unwrap();
    let mut store = open(&place.folder);
    let kept = number(&mut store, "SELECT count(*) FROM claim");
    assert!((500..=1_600).contains(&kept), "{kept} of 3,000 claims are kept");
    assert!(number(&mut store, "SELECT count(*) FROM ledger") <= 1_600);
    assert_eq!(holdings(&mut store, &alice()).amount(&"coin".into()), 3_000);
    let log = std::fs::metadata(place.folder.join("world.db-wal")).map_or(0, |log| log.len());
    assert!(log < 8 << 20, "the log has {log} bytes");
    check_books(&mut store);
}

/// E6: plans of many movements are summed up as fast as they come in, and what is too new is left alone.
#[test]
fn plans_of_many_movements_are_summed_up_as_fast_as_they_come() {
    let place = place();
    let mut store = store(&place);
    store.set_retention(Retention { ledger_ms: 10 * HOUR_MS, ..Retention::default() });
    for number in 0..60 {
        let now_ms = NOW_MS + number * HOUR_MS;
        let mut plan = grant(now_ms, number, number, moves("coin", &market(), &alice(), 3));
        plan.mutations.extend([moves("wine", &market(), &alice(), 2), moves("coin", &alice(), &market(), 1)]);
        assert!(at(&mut store, now_ms, plan).result.is_ok(), "{number}");
        // As often as plans come in, with room for twice as many.
        store.tidy(now_ms, 2).unwrap();
    }
    let old = "SELECT count(*) FROM ledger JOIN claim ON claim.id = claim WHERE now_ms < ";
    let limit_ms = NOW_MS + 49 * HOUR_MS;
    assert_eq!(number(&mut store, &format!("{old}{limit_ms}")), 0);
    assert_eq!(number(&mut store, "SELECT count(*) FROM ledger"), 33, "eleven plans are too new");
    check_books(&mut store);
}
