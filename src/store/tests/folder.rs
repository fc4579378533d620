//! One process at a time, nobody else's eyes, and what is fixed at creation.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::config::{FilePlace, Origin};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn run_info() -> RunInfo {
    RunInfo {
        pid: 4_242,
        shards: vec!["127.0.0.1:5000".parse().unwrap(), "[::1]:5001".parse().unwrap()],
        http: Some("127.0.0.1:8080".parse().unwrap()),
    }
}

#[test]
fn a_save_is_had_by_one_at_a_time_and_the_refusal_names_the_process() {
    let place = place();
    let store = open(&place.folder);
    let error = open_error(&place.folder);
    assert!(matches!(error, StoreError::Locked { pid: None, .. }) && error.is_usage(), "{error}");
    let run = RunFile::write(store.folder(), &run_info()).unwrap();
    assert_eq!(
        open_error(&place.folder).to_string(),
        format!(
            "{}: this save is in use by process 4242; stop that process, or choose another world with --name",
            place.folder.display()
        )
    );
    drop(store);
    assert!(
        matches!(open_error(&place.folder), StoreError::Locked { .. }),
        "run.json keeps the lock as well"
    );
    drop(run);
    open(&place.folder);
}

/// Rule A11: scripts find a running world through `run.json`, whose form is fixed.
#[test]
fn run_json_says_where_the_world_runs_until_it_ends() {
    let place = place();
    let store = open(&place.folder);
    let file = place.folder.join("run.json");
    assert_eq!(RunInfo::read(&place.folder).unwrap(), None);
    let run = RunFile::write(store.folder(), &run_info()).unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        r#"{"pid":4242,"shards":["127.0.0.1:5000","[::1]:5001"],"http":"127.0.0.1:8080"}"#
    );
    assert_eq!(RunInfo::read(&place.folder).unwrap(), Some(run_info()));
    assert_eq!(mode(&file), 0o600);
    assert!(!place.folder.join("run.json.tmp").exists());
    drop(run);
    assert!(!file.exists());
    let run = RunFile::write(store.folder(), &RunInfo { http: None, ..run_info() }).unwrap();
    assert!(fs::read_to_string(&file).unwrap().ends_with(r#","http":null}"#));
    drop((run, store));
    // A process that is killed leaves its file; whoever opens the save next clears it away.
    fs::write(&file, r#"{"pid":1,"shards":[],"http":null}"#).unwrap();
    let _store = open(&place.folder);
    assert!(!file.exists());
}

/// Rule H3: save, key and token files are for their owner alone.
#[test]
fn every_file_of_a_save_has_mode_0600() {
    let place = place();
    let mut store = open(&place.folder);
    store.save_image(&image(1, 10)).unwrap();
    store.reserve("tick", 100).unwrap();
    let _run = RunFile::write(store.folder(), &run_info()).unwrap();
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&place.folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["lock", "run.json", "world.db", "world.db-shm", "world.db-wal"]);
    assert_eq!(mode(&place.folder), 0o700);
}

#[test]
fn a_copied_save_with_a_loose_mode_is_tightened() {
    let place = place();
    drop(open(&place.folder));
    let file = place.folder.join("world.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    open(&place.folder);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_world_is_created_once_and_keeps_its_secret() {
    let place = place();
    let (store, created) = Store::create_or_open(&place.folder, &identity()).unwrap();
    drop(store);
    assert!(created.is_new);
    assert_eq!(
        (created.seed, created.grid, created.size_m),
        (7, GridSize { columns: 5, rows: 4 }, [1_000.0, 800.5])
    );
    let (_store, opened) = Store::create_or_open(&place.folder, &identity()).unwrap();
    assert_eq!(opened, WorldRecord { is_new: false, ..created.clone() });
    let other = super::place();
    let (_store, other) = Store::create_or_open(&other.folder, &identity()).unwrap();
    assert_ne!(other.secret, created.secret, "each world has its own");
}

#[test]
fn seeds_of_all_64_bits_are_kept() {
    for seed in [0, u64::MAX, 1 << 63] {
        let place = place();
        let asked = WorldIdentity { seed: Sourced::flag("--seed", seed), ..identity() };
        drop(Store::create_or_open(&place.folder, &asked).unwrap());
        assert_eq!(Store::create_or_open(&place.folder, &asked).unwrap().1.seed, seed);
    }
}

#[test]
fn what_is_fixed_at_creation_is_refused_as_a_flag_and_ignored_elsewhere() {
    let place = place();
    drop(open(&place.folder));
    let folder = place.folder.display();
    let tail = "which is fixed; leave {flag} out, or create another world with --name";
    let refused = |asked: WorldIdentity| {
        let error = Store::create_or_open(&place.folder, &asked).unwrap_err();
        assert!(error.is_usage());
        error.to_string()
    };
    assert_eq!(
        refused(WorldIdentity { seed: Sourced::flag("--seed", 8), ..identity() }),
        format!("--seed is 8, but {folder} was created with 7, {}", tail.replace("{flag}", "--seed"))
    );
    let grid = GridSize { columns: 4, rows: 5 };
    assert_eq!(
        refused(WorldIdentity { grid: Sourced::flag("--grid", grid), ..identity() }),
        format!("--grid is 4x5, but {folder} was created with 5x4, {}", tail.replace("{flag}", "--grid"))
    );
    let line = Origin::File(FilePlace { file: "w.toml".into(), line: 1, column: 1 });
    let asked = WorldIdentity {
        seed: Sourced { value: 9, origin: line.clone() },
        size_m: Sourced { value: [1.0, 1.0], origin: line },
        ..identity()
    };
    let (_store, record) = Store::create_or_open(&place.folder, &asked).unwrap();
    assert_eq!((record.seed, record.size_m), (7, [1_000.0, 800.5]), "the save says what the world is");
}

/// A start that is refused after it created a save takes it back, and touches nothing that was there before.
#[test]
fn what_a_refused_start_created_is_gone_and_what_was_there_stays() {
    let place = place();
    let saves = place.folder.parent().unwrap().join("saves");
    let folder = saves.join("world");
    let start = |keep: bool| {
        let (store, record) = Store::create_or_open(&folder, &identity()).unwrap();
        let unused = store.unused();
        fs::write(folder.join("admin.token"), "made by the start").unwrap();
        drop(store);
        if keep {
            unused.keep();
        }
        record.is_new
    };
    assert!(start(false));
    assert!(!saves.exists(), "neither the save nor the folder of saves is left");

    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("notes"), "somebody's own").unwrap();
    assert!(start(false));
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["admin.token", "lock", "notes"], "no world is left in a folder that was there");

    assert!(start(true), "nothing of the refused start was fixed");
    assert!(!start(false), "the world that ran is there");
    assert!(folder.join("world.db").exists(), "and a later refused start leaves it");
}

/// A place where no save can be is wrong usage, and the flag is named.
#[test]
fn a_folder_of_saves_that_is_none_is_wrong_usage() {
    let place = place();
    let file = place.folder.parent().unwrap().join("file");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "not a folder").unwrap();
    for folder in [file.join("world"), file.clone(), file.join("deeper/world")] {
        let error = open_error(&folder);
        assert!(matches!(error, StoreError::NoFolder { .. }) && error.is_usage(), "{error}");
        assert!(error.to_string().contains("--saves"), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a folder");
}
