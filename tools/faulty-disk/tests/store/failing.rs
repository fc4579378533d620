//! One call after the other fails, once or for good, and the process ends with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use terrane_faulty_disk::{Call, Done, Fault};

use crate::cases::{kinds_of_plans, kinds_of_writes};
use crate::check::{Asked, check};
use crate::rounds;
use crate::save::{BASE, Place, Step, Told, carry_out, open};

/// Cases that are looked at at the same time: most of their time is waiting for files.
const AT_ONCE: usize = 4;

/// Does something with each, several at a time.
pub(crate) fn for_each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(one);
                }
            });
        }
    });
}

/// The calls of one kind to look at, of so many: all of the first, where things begin and end, then ever fewer.
fn numbers(calls: u64) -> impl Iterator<Item = u64> {
    let step = |number: u64| if rounds() > 1 { 1 } else { 1 + number / 8 };
    let next = move |number: &u64| Some(number + step(*number)).filter(|next| *next < calls);
    std::iter::successors(Some(1), next)
        .filter(move |number| *number < calls)
        .chain((calls > 0).then_some(calls))
}

/// Every way in which the calls that a healthy run has made can fail.
pub(crate) fn faults(calls: impl Fn(Call) -> u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for call in Call::ALL {
        for nth in numbers(calls(call)) {
            let codes = call.codes();
            let code = codes[nth as usize % codes.len()];
            for done in call.ways() {
                faults.push(Fault { call, nth, times: 1, code, done: *done });
            }
            // Of what fails for good nothing is done.
            faults.push(Fault { call, nth, times: u64::MAX, code, done: Done::Nothing });
        }
    }
    faults
}

/// Carries steps out on a disk that fails so, and looks at what is there.
fn fails(name: &str, steps: &[Step], fault: Option<Fault>) -> Place {
    let place = Place::with(&BASE.files);
    let mut store = open(&place.folder).unwrap();
    place.disk.begin_anew();
    if let Some(fault) = fault {
        place.disk.fail(fault);
    }
    let mut told = Told::new();
    let done = carry_out(&mut store, steps, &mut told, |_| {});
    drop(store);
    let what = format!("{name}, {fault:?}");
    let hits = place.disk.heal();
    assert_eq!(fault.is_some(), hits > 0, "{what}: what should fail is a call that is made");
    if let Err(error) = &done {
        assert!(error.is_retryable(), "{what}: {error} passes when the disk is mended");
    }
    if fault.is_some() {
        check(&place.folder, Asked { base: &BASE, steps, told: &told }, &what);
    }
    place
}

fn every_call_fails(cases: &[(&str, Vec<Step>)]) {
    for (name, steps) in cases {
        let healthy = fails(name, steps, None);
        let faults = faults(|call| healthy.disk.calls(call));
        assert!(faults.len() > 20, "{name}: only {} faults", faults.len());
        for_each(&faults, |fault| drop(fails(name, steps, Some(*fault))));
    }
}

/// D5, F11: whichever call to the disk fails while plans are carried out, once or for good, and the process with it: what was told is
/// there, nothing is half there, and whoever asks again gets the same answer.
#[test]
fn plans_of_every_kind_are_whole_or_absent_whichever_call_fails() {
    every_call_fails(&kinds_of_plans());
}

/// D5: the same of profiles, sanctions, records, images, counters, the outbox, and forgetting.
#[test]
fn writes_of_every_kind_are_whole_or_absent_whichever_call_fails() {
    every_call_fails(&kinds_of_writes());
}
