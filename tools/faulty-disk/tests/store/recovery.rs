//! The disk fails while a save is made, opened after a crash, or brought up to date.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::Connection;
use terrane::config::{GridSize, Sourced};
use terrane::ids::TickNumber;
use terrane::store::{Store, WorldIdentity};

use crate::books::{Books, faults};
use crate::cases::{farewell, kinds_of_plans};
use crate::check::{Asked, check};
use crate::failing::{faults as ways_to_fail, for_each};
use crate::save::{
    BASE, Place, Step, Told, account, assets, batch, carry_out, files_in, game, house, identity, image,
    moves, open, plan,
};

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

const OF_VERSION_2: &[u8] = include_bytes!("../../../../src/store/tests/golden/version_2.db");

fn open_old(folder: &Path) -> Result<Store, terrane::store::StoreError> {
    let identity = WorldIdentity {
        name: "old".into(),
        grid: Sourced::default_of(GridSize { columns: 2, rows: 2 }),
        size_m: Sourced::default_of([1_000.0, 1_000.0]),
        ..identity()
    };
    let (mut store, _) = Store::create_or_open(folder, &identity)?;
    store.adopt_assets(&assets())?;
    store.adopt_game(game())?;
    Ok(store)
}

/// D5, D6: whichever call fails while an old file is brought up to date, it is of one version or the other, and the next start
/// brings it up to date with everything that was in it.
#[test]
fn an_old_file_is_brought_up_to_date_whichever_call_fails_before() {
    let files = BTreeMap::from([("world.db".to_owned(), OF_VERSION_2.to_owned())]);
    let healthy = Place::with(&files);
    drop(open_old(&healthy.folder).unwrap());
    for_each(&ways_to_fail(|call| healthy.disk.calls(call)), |fault| {
        let place = Place::with(&files);
        place.disk.fail(*fault);
        drop(open_old(&place.folder));
        place.disk.heal();
        let mut store = open_old(&place.folder).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let old = store.newest_image().unwrap().expect("it holds an image");
        assert_eq!((old.tick, old.entities.len()), (TickNumber(759), 1_639), "{fault:?}");
        assert_eq!(
            (store.sanctions().unwrap().len(), store.audit_rows(9).unwrap().len()),
            (1, 1),
            "{fault:?}"
        );
        let first = plan(1, &["alice"], vec![moves("coin", &house("market"), &account("alice"), 5)]);
        assert!(store.commit(&batch([first])).unwrap()[0].result.is_ok(), "{fault:?}");
        store.save_image(&image(800)).unwrap();
        let save = Connection::open(place.folder.join("world.db")).unwrap();
        assert_eq!(faults(&save).unwrap(), Vec::<String>::new(), "{fault:?}");
    });
}
