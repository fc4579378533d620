//! Failures that are no plan's own: in the middle, for good, on a full disk.

use std::time::Duration;

use super::*;
use crate::protocol::codec;
use crate::store::game::{GamePlugin, GameStore, GameTransaction, KindRefusal, MutationKind};

/// No test waits this long; one that would is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// From now on a row of the ledger with 13 of something fails, in a way that is no constraint's.
const HOSTILE: &str = "CREATE TRIGGER hostile BEFORE INSERT ON ledger WHEN NEW.amount = 13
    BEGIN SELECT abs(NEW.amount - 9223372036854775807 - 14); END";

fn grant(number: u64, to: &Account, amount: u64) -> MutationPlan {
    plan(number, &[(to.clone(), 0)], vec![moves("coin", &market(), to, amount)])
}

fn coins(store: &mut Store, of: &Account) -> u64 {
    holdings(store, of).amount(&"coin".into())
}

/// D5, F5: an error that is no plan's own voids the whole batch, also what was done before it; the next try does each once.
#[test]
fn an_error_in_the_middle_voids_the_batch_and_the_retry_does_each_once() {
    let place = place();
    let mut store = store(&place);
    let carol = Account::Player(PlayerId::new("carol").unwrap());
    let all = batch([grant(1, &alice(), 5), grant(2, &bob(), 13), grant(3, &carol, 7)]);
    meddle(&place.folder, HOSTILE);
    for _ in 0..2 {
        let error = store.commit(&all).unwrap_err();
        assert!(error.to_string().contains("integer overflow"), "{error}");
        store.close_after(&error);
        assert_eq!(number(&mut store, "SELECT count(*) FROM account"), 0, "nothing is half there");
        assert_eq!(number(&mut store, "SELECT count(*) FROM claim"), 0);
    }
    meddle(&place.folder, "DROP TRIGGER hostile");
    let first = store.commit(&all).unwrap();
    assert!(first.iter().all(|outcome| outcome.result.is_ok() && !outcome.is_repeat));
    // The answer is lost, say: asked again, each is there, and was done by who asks. To others it is a repeat.
    assert_eq!(store.commit(&all).unwrap(), first);
    let others = batch(all.plans.iter().map(|submission| MutationPlan::clone(&submission.plan)));
    for (first, again) in first.iter().zip(&store.commit(&others).unwrap()) {
        assert_eq!((again.is_repeat, &again.result), (true, &first.result));
    }
    assert_eq!(
        [coins(&mut store, &alice()), coins(&mut store, &bob()), coins(&mut store, &carol)],
        [5, 13, 7]
    );
    check_books(&mut store);
}

/// E6: a plan that fails for good hinders no other; it waits for an operator, who has it tried again or discards it.
#[test]
fn a_plan_that_fails_for_good_waits_for_an_operator() {
    let place = place();
    let store = store(&place);
    meddle(&place.folder, HOSTILE);
    let handle = store.start().unwrap();
    let all = [grant(1, &alice(), 5), grant(2, &bob(), 13), grant(3, &alice(), 7), grant(4, &bob(), 13)];
    let mut waiting = Vec::new();
    for round in 0..2 {
        let all = batch(all.clone());
        handle.try_request(asked(all.clone())).unwrap();
        let outcomes = told(handle.wait_result(STUCK));
        let numbers = all.plans.iter().map(|submission| submission.number);
        assert!(outcomes.iter().map(|outcome| outcome.number).eq(numbers), "in their order");
        assert!(outcomes[0].result.is_ok() && outcomes[2].result.is_ok(), "{outcomes:?}");
        assert_eq!(outcomes[0].is_repeat, round > 0);
        waiting = [1, 3]
            .map(|at: usize| match outcomes[at].result {
                Err(PlanRefusal::Compensation { number }) => number,
                ref other => panic!("{other:?}"),
            })
            .to_vec();
    }
    assert_eq!((handle.stats().plans_committed(), handle.stats().plans_repeated()), (2, 2));
    handle.finish(None).unwrap();

    let mut store = open(&place.folder);
    let rows = store.compensations().unwrap();
    assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), waiting, "each once");
    assert_eq!((rows[0].attempts, rows[0].made_ms), (2, NOW_MS));
    assert!(
        rows[0].error.contains("integer overflow") && rows[0].reference.starts_with("player bob 0"),
        "{rows:?}"
    );
    let told = ordered(&mut store, CompensationVerb::Retry, waiting[0]);
    assert!(!told.done && told.text.contains("integer overflow"), "it fails as before: {told:?}");
    let rows = store.compensations().unwrap();
    assert_eq!((rows.len(), rows[0].attempts), (2, 3), "and still waits");
    meddle(&place.folder, "DROP TRIGGER hostile");
    store.database.close();
    let told = ordered(&mut store, CompensationVerb::Retry, waiting[0]);
    assert!(told.done && told.outcome.is_some_and(|outcome| outcome.result.is_ok() && !outcome.is_repeat));
    assert!(!ordered(&mut store, CompensationVerb::Retry, waiting[0]).done, "it waits no more");
    assert!(ordered(&mut store, CompensationVerb::Discard, waiting[1]).done);
    assert!(!ordered(&mut store, CompensationVerb::Discard, waiting[1]).done);
    let records: Vec<String> =
        store.audit_rows(9).unwrap().into_iter().map(|row| format!("{}: {}", row.what, row.detail)).collect();
    assert_eq!(records.len(), 3, "each order that found something is recorded: {records:?}");
    assert!(records[0].starts_with("compensation discard: why: ") && records[2].contains("integer overflow"));
    assert_eq!((coins(&mut store, &alice()), coins(&mut store, &bob())), (12, 13));
    check_books(&mut store);
}

/// D5, E5: on a full disk plans are tried again and again, then stay with their sender, all of them; when there is room they are
/// carried out, each once.
#[test]
fn on_a_full_disk_plans_stay_with_their_sender() {
    let place = place();
    let mut store = store(&place);
    let pages_max = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(u32::MAX - 1));
    store.database.pages_max = Some(pages_max.clone());
    let handle = store.start().unwrap();
    pages_max.store(1, Ordering::Relaxed);
    let all = batch((0..200).map(|number| {
        let to = Account::Player(PlayerId::new(&format!("player{number}")).unwrap());
        grant(number, &to, 5)
    }));
    handle.try_request(asked(all.clone())).unwrap();
    for attempt in 1..=5 {
        match handle.wait_result(STUCK) {
            Some(StoreResult::Failed { asked, attempt: told, retry_in_ms, retryable: true, message }) => {
                assert_eq!((asked, told), (Asked::Players, attempt));
                assert_eq!(retry_in_ms.is_none(), attempt == 5, "given up after the last");
                assert!(message.contains("full"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    pages_max.store(u32::MAX - 1, Ordering::Relaxed);
    handle.try_request(asked(all)).unwrap();
    let outcomes = told(handle.wait_result(STUCK));
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok() && !outcome.is_repeat));
    handle.finish(None).unwrap();
    let mut store = open(&place.folder);
    assert_eq!(number(&mut store, "SELECT count(*) FROM holding WHERE account > 0 AND amount = 5"), 200);
    assert_eq!(store.compensations().unwrap(), []);
    check_books(&mut store);
}

/// D5: a batch that is durable though its COMMIT was told as a failure is asked for again by the thread, together or one by one: whoever
/// waits hears that it is done now, for the first time, and of each thing once.
#[test]
fn what_is_durable_though_its_answer_was_lost_is_told_as_done() {
    let place = place();
    let mut store = store(&place);
    store.database.answers_lost = 2;
    let handle = store.start().unwrap();
    // One key twice: the second is a repeat of the first, now as ever.
    handle
        .try_request(asked(batch([grant(1, &alice(), 5), grant(2, &bob(), 7), grant(1, &alice(), 5)])))
        .unwrap();
    let failed = |answer| matches!(answer, Some(StoreResult::Failed { .. }));
    assert!(failed(handle.wait_result(STUCK)) && failed(handle.wait_result(STUCK)));
    let outcomes = told(handle.wait_result(STUCK));
    assert_eq!(outcomes.iter().map(|outcome| outcome.is_repeat).collect::<Vec<_>>(), [false, false, true]);
    handle.finish(None).unwrap();
    assert_eq!(coins(&mut open(&place.folder), &alice()), 5);
    // Apart, after a failure that passes: what was done before it is not told as a repeat either.
    let mut store = open(&place.folder);
    let all = batch([grant(3, &alice(), 1), grant(4, &bob(), 1)]);
    let first = store.commit_apart(&all).unwrap();
    assert!(first.iter().all(|outcome| outcome.result.is_ok() && !outcome.is_repeat));
    for (again, first) in store.commit_apart(&all).unwrap().iter().zip(&first) {
        assert_eq!((again.is_repeat, &again.result), (false, &first.result));
    }
    check_books(&mut store);
}

/// E6: an operator's order whose answer is lost to a failure is carried out once, and told as what it is.
#[test]
fn an_order_whose_answer_was_lost_is_told_as_done() {
    let place = place();
    let mut store = store(&place);
    meddle(&place.folder, HOSTILE);
    let outcomes = store.commit_apart(&batch([grant(1, &bob(), 13), grant(2, &bob(), 13)])).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.result.is_err()));
    meddle(&place.folder, "DROP TRIGGER hostile");
    store.database.close();
    let numbers: Vec<u64> = store.compensations().unwrap().iter().map(|row| row.number).collect();
    for (verb, number, ticket) in
        [(CompensationVerb::Retry, numbers[0], 1), (CompensationVerb::Discard, numbers[1], 2)]
    {
        let (why, by) = (String::new(), "operator".into());
        let order = CompensationOrder { ticket, verb, number, why, by, tick: TickNumber(9), now_ms: NOW_MS };
        store.database.answers_lost = 1;
        assert!(store.order_compensation(&order).unwrap_err().is_retryable());
        let done = store.order_compensation(&order).unwrap();
        assert!(done.done, "{done:?}");
        let outcome = done.outcome.map(|outcome| outcome.is_repeat);
        assert_eq!(outcome, (verb == CompensationVerb::Retry).then_some(false));
        assert!(!store.order_compensation(&CompensationOrder { ticket: 9, ..order }).unwrap().done);
    }
    assert_eq!((coins(&mut store, &bob()), store.audit_rows(9).unwrap().len()), (13, 2));
    check_books(&mut store);
}

/// C4, D5: a claim whose row is damaged was fulfilled all the same: whoever asks for it again is told so, and nobody else is held up.
#[test]
fn a_claim_that_cannot_be_read_holds_up_nobody() {
    let place = place();
    let mut store = store(&place);
    let first = grant(1, &alice(), 5);
    done(&mut store, first.clone());
    for damage in [
        "substr(summary, 1, 9)",
        "CAST(summary || x'00' AS BLOB)",
        "x''",
        "CAST(x'63' || substr(summary, 2) AS BLOB)",
        // Of the number in it another one.
        "CAST(substr(summary, 1, length(summary) - 3) || x'000000' AS BLOB)",
    ] {
        meddle(&place.folder, "CREATE TABLE whole AS SELECT id, summary FROM claim");
        meddle(&place.folder, &format!("UPDATE claim SET summary = {damage} WHERE id = 1"));
        let find = PlayerWork::Request(PlayerRequest::FindClaim { number: 8, claim: first.claim.clone() });
        let both = PlayerWork::Request(PlayerRequest::Commit(batch([first.clone(), grant(2, &bob(), 1)])));
        let told = store.carry_out(&[find, both]).unwrap();
        let is_told = |result: &Result<_, PlanRefusal>| matches!(result, Err(PlanRefusal::Unreadable { .. }));
        assert!(told.claims[0].found.as_ref().is_some_and(|found| is_told(&found.result)), "{damage}");
        assert!(is_told(&told.plans[0].result) && told.plans[1].result.is_ok(), "{damage}: {:?}", told.plans);
        meddle(
            &place.folder,
            "UPDATE claim SET summary = whole.summary FROM whole WHERE whole.id = claim.id",
        );
        meddle(&place.folder, "DROP TABLE whole");
    }
    assert_eq!((coins(&mut store, &alice()), coins(&mut store, &bob())), (5, 1));
    check_books(&mut store);
}

/// C4: what came of a claim before there were sums is read as ever, and told to whoever asks again.
#[test]
fn a_summary_without_a_sum_is_read_as_ever() {
    let place = place();
    let mut store = store(&place);
    let first = grant(1, &alice(), 5);
    done(&mut store, first.clone());
    // Of the form before, which has the same behind its first byte, without the eight of the sum.
    meddle(
        &place.folder,
        "UPDATE claim SET summary = CAST(x'01' || substr(summary, 10) AS BLOB) WHERE id = 1",
    );
    let outcome = store.commit(&batch([first])).unwrap().remove(0);
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert_eq!(coins(&mut store, &alice()), 5);
}

/// D5: after a failed sync what is read back proves nothing: the log is written anew before anything rests on it, also by the next
/// process. Where nothing is in doubt it is left alone.
#[test]
fn after_a_failed_sync_the_log_is_written_anew_before_anything_rests_on_it() {
    let place = place();
    let mut store = store(&place);
    done(&mut store, grant(1, &alice(), 5));
    // Somebody else reads, so that the log stays when the store closes it.
    let reader = rusqlite::Connection::open(place.folder.join("world.db")).unwrap();
    let moment = reader.unchecked_transaction().unwrap();
    moment.query_row("SELECT count(*) FROM claim", [], |_| Ok(())).unwrap();
    let log = place.folder.join("world.db-wal");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let age = || {
        let times = std::fs::FileTimes::new().set_modified(long_ago);
        std::fs::File::options().write(true).open(&log).unwrap().set_times(times).unwrap();
    };
    let is_new = || std::fs::metadata(&log).unwrap().modified().unwrap() > long_ago;
    let failed = |code| StoreError::Sqlite {
        file: place.folder.join("world.db"),
        doing: "test it",
        source: rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None),
    };
    let before = std::fs::read(&log).unwrap();
    for (code, expected) in [
        (rusqlite::ffi::SQLITE_FULL, false),
        (rusqlite::ffi::SQLITE_BUSY, false),
        (rusqlite::ffi::SQLITE_IOERR_FSYNC, true),
        (rusqlite::ffi::SQLITE_IOERR_WRITE, true),
    ] {
        age();
        store.close_after(&failed(code));
        assert_eq!(coins(&mut store, &alice()), 5);
        assert_eq!(is_new(), expected, "after error {code}");
        age();
        assert_eq!(coins(&mut store, &alice()), 5);
        assert!(!is_new(), "once, after error {code}");
    }
    assert_eq!(std::fs::read(&log).unwrap(), before, "byte by byte");
    drop(store);
    age();
    let mut store = Store::open(&place.folder).unwrap();
    assert!(is_new(), "whoever wrote it may have died of it");
    drop(moment);
    let again = one(&mut store, grant(1, &alice(), 5));
    assert!(again.is_repeat);
    check_books(&mut store);
}

/// Statements are prepared once: a second batch of the same kinds of plans prepares none.
#[test]
fn statements_are_prepared_once() {
    let place = place();
    let mut store = store(&place);
    store.adopt_game(crate::store::game::GameStore::default().plugin(super::game::shop())).unwrap();
    meddle(&place.folder, "INSERT INTO game_shop_stock VALUES ('silk', 300, 0)");
    let mut asked = Vec::new();
    for round in 0..4 {
        let plans = (0..5).map(|at| {
            let version = round * 5 + at;
            let game = Mutation::Game {
                kind: "take_stock".into(),
                data: crate::protocol::codec::encode(&("silk", 1u32)),
            };
            let mutations = vec![
                moves_lot("coin", Lot::PLAIN, &market(), &alice(), 2, Some(1_000)),
                moves("coin", &alice(), &market(), 1),
                moves_lot("sword", Lot { expires_ms: 0, instance: 1 }, &market(), &alice(), 1, None),
                moves_lot("sword", Lot { expires_ms: 0, instance: 1 }, &alice(), &market(), 1, None),
                Mutation::PoolClock { account: alice(), asset: "stamina".into(), as_of_ms: 5 },
                Mutation::Slots { account: alice(), most: 5 },
                Mutation::Outbox { kind: "mail".into(), payload: vec![] },
                game,
            ];
            plan(version, &[(alice(), version)], mutations)
        });
        let outcomes = store.commit(&batch(plans)).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{outcomes:?}");
        asked.push(store.database.fence().asked.load(Ordering::Relaxed));
    }
    assert!(asked[0] > 100);
    for batches in asked[1..].windows(2) {
        assert_eq!(batches[1] - batches[0], 2, "BEGIN and COMMIT are all that is prepared anew");
    }
    check_books(&mut store);
}

/// F5, D5: a game's kind of change that panics costs its own plan, which waits for an operator, and nothing else: the store goes on.
#[test]
fn a_kind_of_change_that_panics_costs_its_plan_and_nothing_else() {
    struct Buggy;
    impl MutationKind for Buggy {
        const NAME: &'static str = "buggy";
        type Data = u32;
        fn carry_out(tx: &mut GameTransaction<'_>, divisor: u32) -> Result<(), KindRefusal> {
            tx.execute("INSERT INTO game_bugs_seen VALUES (?1)", &[divisor.into()])?;
            let _ = 1_000_u32.checked_div(divisor).expect("nobody divides by nothing");
            Ok(())
        }
    }
    let place = place();
    let mut store = store(&place);
    let plugin = GamePlugin::new("bugs")
        .migration("seen", "CREATE TABLE game_bugs_seen (divisor INTEGER NOT NULL) STRICT")
        .kind::<Buggy>();
    store.adopt_game(GameStore::default().plugin(plugin)).unwrap();
    let handle = store.start().unwrap();
    let divides = |number: u64, to: &Account, divisor: u32| {
        let mut plan = grant(number, to, 5);
        plan.mutations.push(Mutation::Game { kind: "buggy".into(), data: codec::encode(&divisor) });
        plan
    };
    handle.try_request(asked(batch([divides(1, &alice(), 3), divides(2, &bob(), 0)]))).unwrap();
    let outcomes = told(handle.wait_result(STUCK));
    assert!(outcomes[0].result.is_ok(), "{outcomes:?}");
    assert!(matches!(outcomes[1].result, Err(PlanRefusal::Compensation { .. })), "{outcomes:?}");
    handle.try_request(asked(batch([grant(3, &bob(), 7)]))).unwrap();
    assert!(told(handle.wait_result(STUCK))[0].result.is_ok(), "the thread goes on");
    handle.finish(None).unwrap();
    let mut store = open(&place.folder);
    assert!(store.compensations().unwrap()[0].error.contains("nobody divides by nothing"));
    assert_eq!((coins(&mut store, &alice()), coins(&mut store, &bob())), (5, 7));
    assert_eq!(number(&mut store, "SELECT count(*) FROM game_bugs_seen"), 1, "nothing of it is half there");
    check_books(&mut store);
}

/// E6, F11: what waits for an operator can be tried again however long it has waited; and what was carried out in the meantime, as
/// somebody asked again, waits no more.
#[test]
fn what_waits_for_an_operator_does_not_age_and_is_done_once() {
    const LATER_MS: u64 = NOW_MS + 90 * 24 * 3_600_000;
    let place = place();
    let mut store = store(&place);
    meddle(&place.folder, HOSTILE);
    let plans = [grant(1, &alice(), 13), grant(2, &bob(), 13)];
    let outcomes = store.commit_apart(&batch(plans.clone())).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome.result, Err(PlanRefusal::Compensation { .. }))));
    meddle(&place.folder, "DROP TRIGGER hostile");
    store.database.close();
    // Bob asks again; alice has gone to sleep for three months.
    assert!(one(&mut store, plans[1].clone()).result.is_ok());
    let waiting = store.compensations().unwrap();
    assert_eq!(waiting.len(), 1, "what was carried out is not made good: {waiting:?}");
    let told = ordered_at(&mut store, CompensationVerb::Retry, waiting[0].number, LATER_MS);
    assert!(told.done, "{told:?}");
    assert_eq!((coins(&mut store, &alice()), coins(&mut store, &bob())), (13, 13));
    assert!(store.compensations().unwrap().is_empty());
    check_books(&mut store);
}
