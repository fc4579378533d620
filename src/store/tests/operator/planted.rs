//! Faults planted one by one: each is named.

use super::faults::{FAULTS, Fault, OF_THE_PAST};
use super::*;
use crate::store::operator::{PROBLEMS_LISTED, balances_of};
use ProblemKind as K;

fn is_named(found: &[Problem], fault: &Fault, key: &str) -> bool {
    found
        .iter()
        .any(|problem| problem.kind == fault.kind && problem.table == fault.table && problem.key == key)
}

/// E12, F8, F11: of a good save nothing is said, whatever of its past is summed up; of each fault that is planted in it, what it is,
/// in which table and under which key.
#[test]
fn every_planted_fault_is_named_with_its_table_and_key() {
    for past in [Past::Whole, Past::Half] {
        let good = good(past);
        let nothing = verified(&good.folder);
        assert!(
            nothing.ok && !nothing.live && nothing.problems.is_empty(),
            "{past:?}: {:?}",
            nothing.problems
        );
        let totals = &nothing.totals;
        assert_eq!((totals.images, totals.profiles, totals.houses), (2, 2, 2));
        assert!(totals.claims > 100 && totals.holdings > 20 && totals.ledger > 100, "{totals:?}");
        assert!(totals.assets.iter().all(|asset| asset.players == -asset.houses), "{totals:?}");
        assert_eq!(totals.opening > 0, past == Past::Half);

        let faults: Vec<&Fault> = match past {
            Past::Whole => FAULTS.iter().collect(),
            Past::Half => FAULTS.iter().chain(OF_THE_PAST).collect(),
        };
        for fault in faults {
            let place = copy_of(&good);
            let key = text(&place.folder, fault.key);
            tamper(&place.folder, fault.plant);
            let found = verified(&place.folder);
            assert!(
                !found.ok && is_named(&found.problems, fault, &key),
                "{past:?}, {}: {:?} of {} {key} is not in {:#?}",
                fault.what,
                fault.kind,
                fault.table,
                found.problems
            );
        }
    }
}

/// E12: an index that does not hold what its table does, and triggers that were exchanged or taken away.
#[test]
fn what_was_done_to_indexes_and_triggers_is_named() {
    let good = good(Past::Whole);
    let place = copy_of(&good);
    without_index(&place.folder, "outbox_next", "UPDATE outbox SET next_ms = next_ms + 7");
    let found = verified(&place.folder).problems;
    assert_eq!(
        (found[0].kind, &found[0].table[..], &found[0].key[..]),
        (K::Index, "outbox", "index=outbox_next")
    );

    for (sql, expected) in [
        ("DROP TRIGGER changelog_raises_the_version", "is missing"),
        (
            "DROP TRIGGER ledger_is_not_changed;
             CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger BEGIN SELECT 1; END",
            "another one",
        ),
    ] {
        let place = copy_of(&good);
        meddle(&place.folder, sql);
        let found = verified(&place.folder).problems;
        assert_eq!((found.len(), found[0].kind), (1, K::Schema), "{found:?}");
        assert!(found[0].key.starts_with("trigger=") && found[0].detail.contains(expected), "{found:?}");
    }
}

/// Changes rows behind the back of an index.
pub(super) fn without_index(folder: &Path, index: &str, sql: &str) {
    let file = folder.join("world.db");
    let connection = Connection::open(&file).unwrap();
    let saved: (String, i64, String) = connection
        .query_row("SELECT tbl_name, rootpage, sql FROM sqlite_schema WHERE name = ?1", [index], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    connection.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index]).unwrap();
    drop(connection);
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    connection
        .execute(
            "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, ?4)",
            rusqlite::params![index, saved.0, saved.1, saved.2],
        )
        .unwrap();
}

/// E12: whatever bytes of the file are lost, that is said, or that it is no save any more; nothing panics.
#[test]
fn lost_pages_are_said_to_be_lost() {
    let good = good(Past::Whole);
    let bytes = fs::read(good.folder.join("world.db")).unwrap();
    let pages = bytes.len() / 4_096;
    let mut found = 0;
    for page in (1..pages).step_by(pages / 40) {
        let place = copy_of(&good);
        let mut torn = bytes.clone();
        torn[page * 4_096..][..4_096].copy_from_slice(&noise(page as u64, 4_096));
        fs::write(place.folder.join("world.db"), torn).unwrap();
        match verify(&place.folder, &game(), &Watch::nobody()) {
            Ok(verified) => found += u32::from(!verified.ok),
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
        }
    }
    assert!(found > 20, "only {found} were found");
    // A file that ends early.
    let place = copy_of(&good);
    fs::write(place.folder.join("world.db"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(!verify(&place.folder, &game(), &Watch::nobody()).is_ok_and(|verified| verified.ok));
}

/// E12: the list of problems is bounded, and what is not listed is counted.
#[test]
fn many_problems_are_counted_and_some_are_listed() {
    let place = copy_of(&good(Past::Whole));
    tamper(
        &place.folder,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO holding SELECT 1, 3, 0, 1000 + i, 1 FROM n",
    );
    let found = verified(&place.folder);
    assert_eq!(found.problems.len(), PROBLEMS_LISTED);
    assert!(found.problems_more > 700, "{}", found.problems_more);
}

/// E12: what the memory does not hold at once is added up in parts, and comes to the same.
#[test]
fn the_ledger_is_added_up_in_parts_and_comes_to_the_same() {
    let place = copy_of(&good(Past::Half));
    let sums = |places_max| {
        let connection = Connection::open(place.folder.join("world.db")).unwrap();
        let mut found = balances_of(&connection, places_max).unwrap();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    };
    assert_eq!(sums(3), [], "nothing is wrong with it");
    tamper(&place.folder, "UPDATE holding SET amount = amount + 1 WHERE instance = 0 AND amount > 0");
    let at_once = sums(1 << 19);
    assert!(at_once.len() > 8, "{at_once:?}");
    assert_eq!(sums(3), at_once);
}
