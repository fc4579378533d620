//! Files of other versions, other programs and other steps.

use std::fs;

use crate::store::database::Database;
use crate::store::schema::{MIGRATIONS, Migration};

use super::*;

/// Rule D6: a newer file is refused with both versions named, and left alone.
#[test]
fn a_newer_schema_is_refused_naming_both_versions() {
    let place = place();
    drop(open(&place.folder));
    let file = place.folder.join("world.db");
    let newer = MIGRATIONS.len() + 1;
    meddle(&place.folder, &format!("PRAGMA user_version = {newer}; PRAGMA wal_checkpoint(TRUNCATE)"));
    let before = fs::read(&file).unwrap();
    let error = open_error(&place.folder);
    assert_eq!(
        error.to_string(),
        format!(
            "{}: schema version {newer}, but this program knows versions up to {}; run it with the newer program \
             that wrote it",
            file.display(),
            MIGRATIONS.len()
        )
    );
    assert!(error.is_usage());
    assert!(fs::read(&file).unwrap() == before, "not a byte of it was changed");
}

#[test]
fn a_file_made_by_other_steps_is_refused() {
    for change in
        ["UPDATE migration SET hash = '0' WHERE version = 1", "DELETE FROM migration WHERE version = 1"]
    {
        let place = place();
        drop(open(&place.folder));
        meddle(&place.folder, change);
        let error = open_error(&place.folder);
        assert!(matches!(error, StoreError::MigrationChanged { version: 1, .. }), "{error}");
        assert!(error.to_string().contains(MIGRATIONS[0].name), "{error}");
    }
}

/// Rule D6: an older file goes through the steps it lacks, in order and once, and keeps what it held.
#[test]
fn an_older_file_goes_through_the_steps_it_lacks() {
    const FIRST: Migration = Migration { name: "first", sql: "CREATE TABLE a (x INTEGER) STRICT;" };
    const SECOND: Migration =
        Migration { name: "second", sql: "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 5;" };
    const THIRD: Migration = Migration { name: "third", sql: "UPDATE a SET y = y + x;" };
    const BROKEN: Migration = Migration { name: "broken", sql: "UPDATE a SET y = 0; SELECT nonsense;" };
    const EDITED: Migration = Migration { name: "first", sql: "CREATE TABLE a (x INTEGER, z TEXT) STRICT;" };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.db");
    let open = |steps: &[Migration]| Database::create_or_open_with(file.clone(), steps);
    let y = |database: &mut Database| {
        let connection = database.connection().unwrap();
        connection.query_row("SELECT y FROM a", [], |row| row.get::<_, i64>(0)).unwrap()
    };

    open(&[FIRST]).unwrap().connection().unwrap().execute("INSERT INTO a (x) VALUES (2)", []).unwrap();
    assert!(matches!(open(&[FIRST, SECOND, BROKEN]), Err(StoreError::Sqlite { .. })));
    // The step before the broken one is done and stays; of the broken one nothing does.
    let mut database = open(&[FIRST, SECOND]).unwrap();
    assert_eq!(y(&mut database), 5);
    drop(database);
    for _ in 0..2 {
        assert_eq!(y(&mut open(&[FIRST, SECOND, THIRD]).unwrap()), 7, "a step is gone through once");
    }
    assert!(matches!(open(&[FIRST, SECOND]), Err(StoreError::NewerSchema { found: 3, known: 2, .. })));
    assert!(matches!(
        open(&[EDITED, SECOND, THIRD]),
        Err(StoreError::MigrationChanged { version: 1, name: "first", .. })
    ));
}

#[test]
fn files_of_other_programs_are_refused_and_left_alone() {
    let text: &[u8] =
        b"this is a diary and not a database, whatever its name says ............................";
    let place_of_text = place();
    fs::create_dir_all(&place_of_text.folder).unwrap();
    fs::write(place_of_text.folder.join("world.db"), text).unwrap();
    let error = open_error(&place_of_text.folder);
    assert!(matches!(error, StoreError::NotASave { .. }) && error.is_usage(), "{error}");
    assert_eq!(fs::read(place_of_text.folder.join("world.db")).unwrap(), text);

    let place_of_other = place();
    fs::create_dir_all(&place_of_other.folder).unwrap();
    meddle(&place_of_other.folder, "CREATE TABLE recipe (name TEXT); PRAGMA user_version = 1");
    let before = fs::read(place_of_other.folder.join("world.db")).unwrap();
    let error = open_error(&place_of_other.folder);
    assert!(error.to_string().contains("application id is 0x0"), "{error}");
    assert!(fs::read(place_of_other.folder.join("world.db")).unwrap() == before);
}

#[test]
fn the_file_is_durable_and_strict() {
    let place = place();
    let mut store = open(&place.folder);
    let connection = store.database.connection().unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(text("PRAGMA journal_mode"), "wal");
    assert_eq!(number("PRAGMA synchronous"), 2, "FULL: a commit that was answered survives a power loss");
    assert_eq!(number("PRAGMA foreign_keys"), 1);
    let loose = "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND strict = 0";
    assert_eq!(number(loose), 0);
}

#[test]
fn a_save_without_its_world_is_not_taken_for_a_new_one() {
    let place = place();
    open(&place.folder).reserve("tick", 5).unwrap();
    meddle(&place.folder, "DELETE FROM world");
    let error = open_error(&place.folder);
    assert!(error.to_string().contains("it holds images or counters but no world"), "{error}");
}

/// A file that lost all its bytes is no new world: nobody may find an empty one in place of theirs.
#[test]
fn an_empty_file_is_refused_and_stays() {
    let place = place();
    drop(open(&place.folder));
    let file = place.folder.join("world.db");
    std::fs::write(&file, b"").unwrap();
    let error = open_error(&place.folder);
    assert!(matches!(error, StoreError::NotASave { .. }) && error.is_usage(), "{error}");
    assert!(error.to_string().contains("it is empty"), "{error}");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
}

/// A start that is killed before the tables are there leaves a file under another name: the next one begins anew. A
/// log without its file is what is left of a save, and stays.
#[test]
fn a_start_that_was_cut_short_is_begun_anew() {
    let place = place();
    std::fs::create_dir_all(&place.folder).unwrap();
    for ending in [".new", ".new-wal", ".new-shm"] {
        std::fs::write(place.folder.join(format!("world.db{ending}")), b"half of someth").unwrap();
    }
    drop(open(&place.folder));
    assert!(!place.folder.join("world.db.new").exists());

    std::fs::remove_file(place.folder.join("world.db")).unwrap();
    std::fs::write(place.folder.join("world.db-wal"), b"the last commits").unwrap();
    let error = open_error(&place.folder);
    assert!(matches!(error, StoreError::NotASave { .. }) && error.is_usage(), "{error}");
    assert!(place.folder.join("world.db-wal").exists());
}

/// What is left of a file says that it is damaged and what to do, and never that the disk might be full.
#[test]
fn a_truncated_file_is_told_as_damaged() {
    let place = place();
    let mut store = open(&place.folder);
    store.save_image(&image(1, 200_000)).unwrap();
    drop(store);
    let file = place.folder.join("world.db");
    let whole = std::fs::read(&file).unwrap();
    for length in [100, 4_096, whole.len() / 2] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let opened = Store::create_or_open(&place.folder, &identity());
        let error = opened.and_then(|(mut store, _)| store.newest_image()).expect_err("parts are missing");
        let text = error.to_string();
        assert!(text.contains("restore a backup") && !text.contains("free space"), "{length} bytes: {text}");
        assert_eq!(std::fs::metadata(&file).unwrap().len(), length as u64, "it stays as it is");
    }
}
