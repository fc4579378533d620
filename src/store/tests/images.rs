//! Images come back as they were written, or not at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

fn any_image() -> impl Strategy<Value = Image> {
    let len = prop_oneof![
        4 => 0usize..5_000,
        1 => (0usize..3, 0usize..3).prop_map(|(parts, more)| (parts * PART_BYTES_MAX + more).saturating_sub(1)),
    ];
    let counters = proptest::collection::vec((".{0,12}", 0..=i64::MAX as u64), 0..6);
    (any::<[u64; 4]>(), counters, len).prop_map(
        |([tick, now_ms, fingerprint, entity_count], counters, len)| {
            let entities = noise(fingerprint, len);
            Image { tick: TickNumber(tick), now_ms, fingerprint, counters, entities, entity_count }
        },
    )
}

#[test]
fn any_image_is_read_back_as_it_was_written() {
    let place = place();
    let store = RefCell::new(open(&place.folder));
    TestRunner::new(Config::with_cases(64))
        .run(&any_image(), |image| {
            let mut store = store.borrow_mut();
            store.save_image(&image).unwrap();
            prop_assert_eq!(store.newest_image().unwrap(), Some(image));
            Ok(())
        })
        .unwrap();
}

#[test]
fn images_outlive_the_process_and_the_two_newest_are_kept() {
    let place = place();
    let mut store = open(&place.folder);
    assert_eq!(store.newest_image().unwrap(), None, "a new world has no image");
    for tick in 1..=5 {
        store.save_image(&image(tick, 3 * PART_BYTES_MAX / 2)).unwrap();
    }
    store.save_image(&image(5, 100)).unwrap();
    drop(store);
    let (mut store, record) = Store::create_or_open(&place.folder, &identity()).unwrap();
    assert!(!record.is_new);
    assert_eq!(store.newest_image().unwrap(), Some(image(5, 100)), "the last writing of a tick counts");
    let connection = store.database.connection().unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT group_concat(tick) = '4,5' FROM (SELECT tick FROM image ORDER BY id)"), 1);
    assert_eq!(count("SELECT count(*) FROM image_part"), 2 + 1, "parts go with their image");
    assert_eq!(count("SELECT count(*) FROM image_counter"), 2 * 2, "and so do counters");
}

/// Each of these is what a failing disk or a stray tool may leave of the image `?`.
const DAMAGES: &[&str] = &[
    "UPDATE image_part SET bytes = zeroblob(length(bytes)) WHERE image = ? AND part = 1",
    "UPDATE image_part SET bytes = substr(bytes, 2) WHERE image = ? AND part = 1",
    "UPDATE image_part SET part = 2 WHERE image = ? AND part = 1",
    "DELETE FROM image_part WHERE image = ? AND part = 0",
    "DELETE FROM image_part WHERE image = ?",
    "INSERT INTO image_part VALUES (?, 2, x'00')",
    "UPDATE image SET tick = tick + 1 WHERE id = ?",
    "UPDATE image SET now_ms = now_ms + 1 WHERE id = ?",
    "UPDATE image SET fingerprint = fingerprint + 1 WHERE id = ?",
    "UPDATE image SET entities = entities + 1 WHERE id = ?",
    "UPDATE image SET checksum = checksum + 1 WHERE id = ?",
    "UPDATE image SET complete = 0 WHERE id = ?",
    "UPDATE image_counter SET value = value + 1 WHERE image = ? AND position = 0",
    "DELETE FROM image_counter WHERE image = ? AND position = 1",
];

#[test]
fn a_damaged_newest_image_falls_back_to_the_one_before() {
    let place = place();
    let mut tick = 0;
    for damage in DAMAGES {
        let mut store = open(&place.folder);
        for _ in 0..2 {
            tick += 1;
            store.save_image(&image(tick, PART_BYTES_MAX + 10)).unwrap();
        }
        drop(store);
        meddle(&place.folder, &damage.replace('?', "(SELECT max(id) FROM image)"));

        let mut store = open(&place.folder);
        let before = image(tick - 1, PART_BYTES_MAX + 10);
        assert_eq!(store.newest_image().unwrap(), Some(before.clone()), "after {damage}");
        // The next image must not push out the one that just saved the world.
        store.save_image(&image(tick + 1, 10)).unwrap();
        drop(store);
        meddle(&place.folder, "UPDATE image SET complete = 0 WHERE id = (SELECT max(id) FROM image)");
        assert_eq!(open(&place.folder).newest_image().unwrap(), Some(before), "after {damage} and another");
        tick += 1;
    }
}

#[test]
fn a_world_never_starts_empty_over_images_that_cannot_be_read() {
    for damage in ["UPDATE image SET checksum = checksum + 1", "DELETE FROM image"] {
        let place = place();
        let mut store = open(&place.folder);
        store.save_image(&image(1, 100)).unwrap();
        store.save_image(&image(2, 100)).unwrap();
        drop(store);
        meddle(&place.folder, damage);
        let error = open(&place.folder).newest_image().unwrap_err();
        assert!(matches!(error, StoreError::NoReadableImage { written: 2, .. }), "{error}");
        assert!(!error.is_usage() && !error.is_retryable());
    }
}

/// Whatever single byte of the file is wrong: what comes back was written, or an error does.
#[test]
fn a_flipped_byte_never_makes_another_world() {
    let place = place();
    let mut store = open(&place.folder);
    let images = [image(1, 9_000), image(2, 9_000)];
    for image in &images {
        store.save_image(image).unwrap();
    }
    drop(store);
    let file = place.folder.join("world.db");
    let sound = fs::read(&file).unwrap();
    let (mut newest, mut older, mut refused) = (0, 0, 0);
    for round in 0..600u64 {
        let dice = noise(round, 16);
        let offset = u64::from_le_bytes(dice[..8].try_into().unwrap()) as usize % sound.len();
        let mut damaged = sound.clone();
        damaged[offset] ^= dice[8].max(1);
        fs::write(&file, &damaged).unwrap();
        match Store::create_or_open(&place.folder, &identity())
            .and_then(|(mut store, _)| store.newest_image())
        {
            Ok(Some(image)) if image == images[1] => newest += 1,
            Ok(Some(image)) if image == images[0] => older += 1,
            Ok(other) => panic!("byte {offset} ^ {}: {:?}", dice[8], other.map(|image| image.tick)),
            Err(_) => refused += 1,
        }
        for rest in ["world.db-wal", "world.db-shm"] {
            drop(fs::remove_file(place.folder.join(rest)));
        }
    }
    assert!(
        newest > 50 && older > 20 && refused > 0,
        "{newest} {older} {refused}: the flips reach all parts"
    );
}

#[test]
fn counters_never_run_backwards() {
    let place = place();
    let store = RefCell::new(open(&place.folder));
    let oracle = RefCell::new(BTreeMap::<String, u64>::new());
    let step = ("[abc]", prop_oneof![0u64..50, Just(i64::MAX as u64)], any::<bool>());
    TestRunner::new(Config::with_cases(100))
        .run(&step, |(name, value, by_image)| {
            let (mut store, mut oracle) = (store.borrow_mut(), oracle.borrow_mut());
            let held = oracle.entry(name.clone()).or_default();
            *held = value.max(*held);
            if by_image {
                let counters = vec![(name.clone(), value)];
                store.save_image(&Image { counters, ..image(1, 10) }).unwrap();
            } else {
                prop_assert_eq!(store.reserve(&name, value).unwrap(), *held);
            }
            prop_assert_eq!(store.counter(&name).unwrap(), *held);
            Ok(())
        })
        .unwrap();
    drop(store);
    let mut store = open(&place.folder);
    for (name, value) in oracle.into_inner() {
        assert_eq!(store.counter(&name).unwrap(), value, "also over a restart");
    }
    assert_eq!(store.counter("never reserved").unwrap(), 0);
    let error = store.reserve("a", 1 << 63).unwrap_err();
    assert!(matches!(error, StoreError::CounterTooLarge { .. }), "{error}");
    let counters = vec![("a".into(), 1 << 63)];
    assert!(store.save_image(&Image { counters, ..image(9, 10) }).is_err());
}
