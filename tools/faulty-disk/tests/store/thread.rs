//! The store thread on a disk that fails: it goes on by itself.

use std::time::Duration;

use rusqlite::Connection;
use terrane::store::{PlayersDone, StoreHandle, StoreRequest, StoreResult};
use terrane_faulty_disk::{Call, Done, Fault};

use crate::cases::{delivers, farewell, kinds_of_plans};
use crate::check::{Asked, check};
use crate::failing::{faults, for_each};
use crate::rounds;
use crate::save::{BASE, PLAYERS, Place, Step, Told, commits, grant, image, open, relieve};

/// No test waits this long; one that would is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// What a store thread is asked for; `None`: it is not, it does so by itself.
fn request(step: &Step, after: u64) -> Option<StoreRequest> {
    Some(match step {
        Step::Players(works) => StoreRequest::Players { after, batch: works.clone() },
        Step::Image(image) => StoreRequest::SaveImage(image.clone()),
        Step::Reserve(up_to) => StoreRequest::Reserve { counter: "tick".into(), up_to: *up_to },
        Step::Outbox(work) => StoreRequest::Outbox(work.clone()),
        Step::Tidy | Step::Relieve => return None,
    })
}

/// Asks a store thread for one step after the other, each until it is done. What it gives up is asked for again after `mend`.
pub(crate) fn ask(
    handle: &StoreHandle,
    steps: &[Step],
    what: &str,
    mut mend: impl FnMut(),
    mut tell: impl FnMut(u64),
) -> Told {
    let mut told = Told::new();
    let mut after = 0;
    for (at, step) in steps.iter().enumerate() {
        let Some(request) = request(step, after) else {
            if matches!(step, Step::Relieve) {
                // As the thread does it: while it is idle.
                relieve(handle.folder().path());
            }
            told.insert(at, PlayersDone::default());
            tell(at as u64);
            continue;
        };
        handle.try_request(request.clone()).expect("there is room in the queue");
        let done = loop {
            match handle.wait_result(STUCK) {
                Some(StoreResult::Failed { retry_in_ms: Some(_), retryable: true, .. }) => {}
                Some(StoreResult::Failed { retry_in_ms: None, retryable: true, .. }) => {
                    mend();
                    handle.try_request(request.clone()).expect("there is room in the queue");
                }
                Some(StoreResult::Players(done)) => break done,
                Some(StoreResult::ImageSaved { .. } | StoreResult::Reserved { .. } | StoreResult::Due(_)) => {
                    break PlayersDone::default();
                }
                other => panic!("{what}: step {at}: {other:?}"),
            }
        };
        after += step.writes();
        told.insert(at, done);
        tell(at as u64);
    }
    told
}

/// A little of everything.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = kinds_of_plans().into_iter().flat_map(|(_, steps)| steps).step_by(3).collect();
    steps.extend([farewell(5, vec![]), Step::Reserve(70), delivers(), Step::Image(image(4))]);
    steps.push(commits([grant(40, "bob")]));
    steps
}

/// Asks for everything on a disk that fails so, and looks at what is there.
fn goes_on(steps: &[Step], fault: Option<Fault>) -> Place {
    let place = Place::with(&BASE.files);
    let store = open(&place.folder).unwrap();
    place.disk.begin_anew();
    if let Some(fault) = fault {
        place.disk.fail(fault);
    }
    let handle = store.start().unwrap();
    let what = format!("{fault:?}");
    let mut is_mended = false;
    let mend = || {
        assert!(fault.is_some_and(|fault| fault.times > 1), "{what}: one failure is got over without help");
        is_mended = place.disk.heal() > 0;
        assert!(is_mended, "{what}: it gave up on a disk that does not fail");
    };
    let told = ask(&handle, steps, &what, mend, |_| {});
    assert_eq!(told.len(), steps.len());
    assert_eq!(handle.stats().failures_in_row(), 0);
    handle.finish(None).unwrap_or_else(|error| panic!("{what}: {error}"));
    place.disk.heal();
    if fault.is_some() {
        check(&place.folder, Asked { base: &BASE, steps, told: &told }, &what);
    }
    place
}

/// D5: a single call that fails, of any kind and at any time, is got over by the store thread without help; everything is done once.
#[test]
fn the_store_thread_gets_over_every_single_failure_by_itself() {
    let steps = steps();
    let healthy = goes_on(&steps, None);
    let once: Vec<Fault> =
        faults(|call| healthy.disk.calls(call)).into_iter().filter(|fault| fault.times == 1).collect();
    for_each(&once, |fault| drop(goes_on(&steps, Some(*fault))));
}

/// D5: a disk that fails for good makes the store thread give up what it is asked for, again and again, but not itself: as soon as the
/// disk is mended, everything is done, once.
#[test]
fn the_store_thread_goes_on_when_a_disk_that_failed_for_good_is_mended() {
    let steps = steps();
    let healthy = goes_on(&steps, None);
    let for_good = Call::ALL.into_iter().flat_map(|call| {
        let calls = healthy.disk.calls(call);
        [1, calls / 2, calls].map(|nth| Fault { nth, ..Fault::from_then_on(call, nth) })
    });
    let faults: Vec<Fault> = for_good.filter(|fault| fault.nth > 0).collect();
    assert!(faults.len() > 15 && faults.iter().all(|fault| fault.done == Done::Nothing));
    for_each(&faults, |fault| drop(goes_on(&steps, Some(*fault))));
}

/// D5, E5: what the store thread does by itself while plans come in, forgetting what is old and moving its log into the file, may fail as
/// well: nothing is lost of it, and no plan fails for it.
#[test]
fn upkeep_that_fails_costs_no_plan() {
    let mut steps: Vec<Step> = (0..5)
        .map(|batch| {
            let grant = |at: u64| grant(1_000 + batch * 210 + at, PLAYERS[at as usize % PLAYERS.len()]);
            commits((0..210).map(grant))
        })
        .collect();
    let before = goes_on(&steps[..2], None);
    // It is the thread that forgets; this lets the checks know that something is forgotten.
    steps.push(Step::Tidy);
    let healthy = goes_on(&steps, None);
    let save = Connection::open(healthy.folder.join("world.db")).unwrap();
    let forgotten: i64 =
        save.query_row("SELECT count(*) FROM claim WHERE key IS NULL", [], |row| row.get(0)).unwrap();
    assert!(forgotten > 0, "something is forgotten");
    let mut faults = Vec::new();
    for call in [Call::Read, Call::Write, Call::Sync, Call::ShmLock] {
        let (first, last) = (before.disk.calls(call), healthy.disk.calls(call));
        let parts = 3 * rounds();
        let some = (1..=parts).map(|part| first + (last - first) * part / parts);
        faults.extend(some.filter(|nth| *nth > 0).map(|nth| Fault::once(call, nth)));
    }
    for_each(&faults, |fault| drop(goes_on(&steps, Some(*fault))));
}
