//! Saves that are looked through, copied and counted while their worlds go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::ids::PlayerId;
use crate::players::{PlayerRequest, Profile, ProfileSave};
use crate::store::operator::{back_up, figures};

/// Set when it is dropped, however that comes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes all the time, as a running world does, until it is told to stop; gives how often.
fn while_written<T>(store: Store, work: impl FnOnce(&Arc<AtomicU64>) -> T) -> (T, Store) {
    let (stop, written) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut store = store;
            let mut version = 0;
            while !stop.load(Ordering::Relaxed) {
                let profile = Profile { version, avatar: Some(noise(version, 5_000)), ..Profile::default() };
                let player = PlayerId::new("writer").unwrap();
                let save = ProfileSave { player, profile, is_of_image: false, rows: 0 };
                store.carry_out(&[PlayerWork::Request(PlayerRequest::Save(save))]).unwrap();
                version += 1;
                written.store(version, Ordering::Relaxed);
            }
            store
        });
        let ends = Ends(&stop);
        let done = work(&written);
        drop(ends);
        (done, writer.join().unwrap())
    })
}

/// Waits until the world has written once more.
fn wait_for_a_write(written: &AtomicU64) {
    let before = written.load(Ordering::Relaxed);
    while written.load(Ordering::Relaxed) == before {
        std::thread::yield_now();
    }
}

/// E12: a world that writes all the time is looked through as of one moment, by a copy that is gone afterwards, also where it was
/// interrupted; and its log can begin anew.
#[test]
fn a_running_world_is_verified_through_a_copy() {
    let place = good(Past::Whole);
    let store = open(&place.folder);
    let names = names_in(&place.folder);
    let (_, store) = while_written(store, |written| {
        for _ in 0..3 {
            wait_for_a_write(written);
            let found = verified(&place.folder);
            assert!(found.ok && found.live, "{:?}", found.problems);
            assert_eq!(names_in(&place.folder), names, "the copy is gone");
        }
        for stopped_at in [0, 3, 9] {
            let told = AtomicU64::new(0);
            let watch = Watch::new(move |_| told.fetch_add(1, Ordering::Relaxed) < stopped_at);
            let error = verify(&place.folder, &game(), &watch).unwrap_err();
            assert!(matches!(error, StoreError::Interrupted { .. }) && error.is_usage(), "{error}");
            assert_eq!(names_in(&place.folder), names, "the copy is gone");
        }
    });
    let mut store = store;
    store.database.checkpoint();
    let log = fs::metadata(place.folder.join("world.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "no reader is left that the log has to be kept for");
    assert!(figures(&place.folder, &Watch::nobody()).unwrap().live);
}

/// E12: while a world is looked through for long, its log begins anew: only the copying holds it.
#[test]
fn a_long_look_does_not_hold_the_log() {
    let place = good(Past::Whole);
    let store = std::sync::Mutex::new(open(&place.folder));
    let folder = place.folder.clone();
    let checked = Arc::new(AtomicBool::new(false));
    let (seen, store) = (checked.clone(), Arc::new(store));
    let writer = store.clone();
    let watch = Watch::new(move |progress| {
        if progress.doing == "looking at claims" && !seen.swap(true, Ordering::Relaxed) {
            let mut store = writer.lock().unwrap();
            store.reserve("anything", 5).unwrap();
            store.database.checkpoint();
            assert_eq!(fs::metadata(folder.join("world.db-wal")).unwrap().len(), 0);
        }
        true
    });
    assert!(verify(&place.folder, &game(), &watch).unwrap().ok);
    assert!(checked.load(Ordering::Relaxed));
}

/// E12: a stopped save is looked through where it is, under its lock, and stays as it is to the byte; its log as well.
#[test]
fn looking_changes_nothing() {
    let place = good(Past::Whole);
    let mut store = open(&place.folder);
    store.reserve("anything", 5).unwrap();
    // As a process that was killed leaves it: with a log.
    let killed = self::place();
    fs::create_dir_all(&killed.folder).unwrap();
    for name in ["world.db", "world.db-wal"] {
        fs::copy(place.folder.join(name), killed.folder.join(name)).unwrap();
    }
    fs::write(killed.folder.join("run.json"), "{}").unwrap();
    let bytes = |name: &str| fs::read(killed.folder.join(name)).unwrap();
    let before = (bytes("world.db"), bytes("world.db-wal"));
    assert!(before.1.len() > 4_096);
    assert!(verified(&killed.folder).ok);
    let seen = figures(&killed.folder, &Watch::nobody()).unwrap();
    assert!(!seen.live && seen.players == 2 && seen.claims > 100 && seen.images == 2, "{seen:?}");
    assert!((before.0 == bytes("world.db")) && before.1 == bytes("world.db-wal"));
    assert!(killed.folder.join("run.json").exists());
    drop(store);
    for missing in [killed.folder.join("none"), killed.folder.join("world.db")] {
        let error = verify(&missing, &game(), &Watch::nobody()).unwrap_err();
        assert!(error.is_usage(), "{error}");
    }
    fs::write(killed.folder.join("world.db"), "no save").unwrap();
    let error = verify(&killed.folder, &game(), &Watch::nobody()).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("no SQLite file"), "{error}");
}

/// E12: a backup of a world that writes all the time is whole, private, holds what is a world's and nothing of a process's; it is
/// not made over something, and an interrupted one leaves nothing.
#[test]
fn a_backup_of_a_running_world_is_one_moment_of_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = good(Past::Whole);
    let store = open(&place.folder);
    fs::write(place.folder.join("admin.token"), "a secret of this process").unwrap();
    let parent = place.folder.parent().unwrap().join("backups");
    let ((), mut store) = while_written(store, |written| {
        wait_for_a_write(written);
        let to = parent.join("one");
        let (pages, goes_on) = (AtomicU64::new(0), written.clone());
        let watch = Watch::new(move |progress| {
            assert!(progress.done >= pages.swap(progress.done, Ordering::Relaxed), "it never begins anew");
            wait_for_a_write(&goes_on);
            true
        });
        let made = back_up(&place.folder, &to, 42, &watch).unwrap();
        assert!(made.live && made.bytes > 100_000, "{made:?}");
        assert_eq!((names_in(&parent), names_in(&to)), (vec!["one".into()], vec!["world.db".into()]));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&to), mode(&to.join("world.db"))), (0o700, 0o600));
        for taken in [&to, &place.folder, &to.join("world.db")] {
            let error = back_up(&place.folder, taken, 42, &Watch::nobody()).unwrap_err();
            assert!(matches!(error, StoreError::Taken { .. }) && error.is_usage(), "{error}");
        }
        let watch = Watch::new(|_| false);
        let error = back_up(&place.folder, &parent.join("two"), 42, &watch).unwrap_err();
        assert!(matches!(error, StoreError::Interrupted { .. }), "{error}");
        assert_eq!(names_in(&parent), ["one"]);
    });
    let last = figures(&place.folder, &Watch::nobody()).unwrap().last_backup.unwrap();
    assert!(last.at_ms == 42 && last.to.ends_with("backups/one"));
    let copy = parent.join("one");
    let found = verified(&copy);
    assert!(found.ok && !found.live, "{:?}", found.problems);
    let mut copied = open(&copy);
    assert_eq!(copied.newest_image().unwrap(), store.newest_image().unwrap());
    // It is a world of its own: both go on.
    copied.save_image(&image(9, 100)).unwrap();
    store.save_image(&image(8, 100)).unwrap();
}
