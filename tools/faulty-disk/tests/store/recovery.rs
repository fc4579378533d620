//! The disk fails while a save is made, or opened after a crash.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rusqlite::Connection;

use crate::books::{Books, faults};
use crate::cases::{farewell, kinds_of_plans};
use crate::check::{Asked, check};
use crate::failing::{faults as ways_to_fail, for_each};
use crate::save::{BASE, Place, Step, Told, account, batch, carry_out, files_in, house, moves, open, plan};

/// What a process left that was killed: everything is in the write-ahead log.
struct Left {
    files: BTreeMap<String, Vec<u8>>,
    steps: Vec<Step>,
    told: Told,
}

static LEFT: LazyLock<Left> = LazyLock::new(|| {
    let mut steps: Vec<Step> = kinds_of_plans().into_iter().flat_map(|(_, steps)| steps).collect();
    steps.push(farewell(4, vec![]));
    let place = Place::with(&BASE.files);
    let mut store = open(&place.folder).unwrap();
    let mut told = Told::new();
    carry_out(&mut store, &steps, &mut told, |_| {}).unwrap();
    let files = files_in(&place.folder);
    assert!(files["world.db-wal"].len() > 50_000, "there is much to recover");
    Left { files, steps, told }
});

/// D3, D5: whichever call fails while a save is opened after a crash, the next start finds everything.
#[test]
fn a_start_after_a_crash_finds_everything_whichever_call_fails_before() {
    let asked = Asked { base: &BASE, steps: &LEFT.steps, told: &LEFT.told };
    let healthy = Place::with(&LEFT.files);
    drop(open(&healthy.folder).unwrap());
    for_each(&ways_to_fail(|call| healthy.disk.calls(call)), |fault| {
        let place = Place::with(&LEFT.files);
        place.disk.fail(*fault);
        drop(open(&place.folder));
        place.disk.heal();
        check(&place.folder, asked, &format!("after a crash, {fault:?}"));
    });
}

/// D1, D5: whichever call fails while a save is made, the next start has a whole one.
#[test]
fn a_save_that_could_not_be_made_is_made_by_the_next_start() {
    let healthy = Place::empty();
    drop(open(&healthy.folder).unwrap());
    for_each(&ways_to_fail(|call| healthy.disk.calls(call)), |fault| {
        let place = Place::empty();
        place.disk.fail(*fault);
        let first = open(&place.folder);
        let is_made = first.is_ok();
        drop(first);
        assert!(place.disk.heal() > 0 || is_made, "{fault:?}: nothing failed");
        let mut store = open(&place.folder).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(store.newest_image().unwrap(), None);
        let first = plan(1, &["alice"], vec![moves("coin", &house("market"), &account("alice"), 5)]);
        let outcome = store.commit(&batch([first.clone()])).unwrap().remove(0);
        assert!(outcome.result.is_ok() && !outcome.is_repeat, "{fault:?}: {outcome:?}");
        let save = Connection::open(place.folder.join("world.db")).unwrap();
        assert_eq!(Books::read(&save).unwrap(), Books::of([&first]), "{fault:?}");
        assert_eq!(faults(&save).unwrap(), Vec::<String>::new(), "{fault:?}");
    });
}
