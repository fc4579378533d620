//! What is mended, and what is not.

use super::planted::without_index;
use super::*;
use crate::store::operator::Repaired;

#[track_caller]
fn repaired(folder: &Path) -> Repaired {
    repair(folder, &game(), false, NOW_MS, &Watch::nobody()).unwrap()
}

/// E12: each fault that can be mended for certain is, after a backup; a dry run says the same and changes nothing; each step is
/// recorded, and nothing is wrong afterwards.
#[test]
fn what_can_be_mended_is_and_nothing_is_wrong_afterwards() {
    let coin = "(SELECT id FROM asset WHERE name = 'coin')";
    let faults = [
        ("balance", format!("UPDATE holding SET amount = amount + 5 WHERE account > 0 AND asset = {coin}")),
        ("balance", format!("DELETE FROM holding WHERE asset = {coin} AND account IN (1, -1)")),
        ("orphan", "INSERT INTO holding SELECT 1, id, 0, 777, 1 FROM asset WHERE name = 'sword'".into()),
        ("balance", format!("UPDATE holding SET amount = -7 WHERE account = 1 AND asset = {coin}")),
        ("image", "UPDATE image_part SET bytes = x'00' WHERE image = (SELECT max(id) FROM image)".into()),
        ("counter", "UPDATE counter SET value = 1 WHERE name = 'world_spawns'".into()),
        ("schema", "DROP INDEX outbox_next; DROP INDEX changelog_claim".into()),
    ];
    for past in [Past::Whole, Past::Half] {
        let good = good(past);
        for (kind, plant) in &faults {
            let place = copy_of(&good);
            tamper(&place.folder, plant);
            let before = fs::read(place.folder.join("world.db")).unwrap();
            let dry = repair(&place.folder, &game(), true, NOW_MS, &Watch::nobody()).unwrap();
            assert!(dry.ok && dry.dry_run && dry.backup.is_none(), "{plant}: {:#?}", dry.left);
            assert!(fs::read(place.folder.join("world.db")).unwrap() == before, "a dry run changes nothing");
            let done = repaired(&place.folder);
            assert!(done.ok && done.left.is_empty(), "{plant}: {:#?}", done.left);
            assert_eq!(done.mended, dry.mended);
            assert!(
                done.mended.iter().any(|mended| mended.problem.kind.name() == *kind),
                "{:#?}",
                done.mended
            );
            let records = open(&place.folder).audit_rows(99).unwrap();
            assert_eq!(records.len(), done.mended.len(), "each step is recorded");
            assert!(records.iter().all(|row| row.what == "repair" && row.who == "operator"));
            let found = verified(&place.folder);
            assert!(found.ok, "{plant}: {:#?}", found.problems);
            let backup = done.backup.expect("it was changed");
            assert!(!verified(&backup).ok, "it is as it was before");
            let again = repaired(&place.folder);
            assert!(again.ok && again.mended.is_empty() && again.backup.is_none());
        }
    }
}

/// E12: an index that lost rows is made anew, and what it hid is seen.
#[test]
fn an_index_is_made_anew_from_its_table() {
    let place = copy_of(&good(Past::Whole));
    without_index(&place.folder, "outbox_next", "UPDATE outbox SET next_ms = next_ms + 7");
    // What reads through this one does not see what happened of late, and believes nothing.
    tamper(
        &place.folder,
        "CREATE TABLE aside AS SELECT * FROM changelog WHERE claim > 100; DELETE FROM changelog WHERE claim > 100",
    );
    without_index(
        &place.folder,
        "changelog_claim",
        "DROP TRIGGER changelog_raises_the_version; INSERT INTO changelog SELECT * FROM aside; DROP TABLE aside",
    );
    tamper(
        &place.folder,
        "UPDATE holding SET amount = amount + 5 WHERE account = 1 AND instance = 0 AND amount > 5",
    );
    let done = repaired(&place.folder);
    assert!(done.ok, "{:#?}", done.left);
    assert!(verified(&place.folder).ok);
}

/// E12: what could be mended in more than one way is named and left.
#[test]
fn what_cannot_be_mended_for_certain_is_left_and_named() {
    let good = good(Past::Whole);
    for plant in [
        // The amounts are right, and the ledger is wrong: nothing may follow it.
        "DELETE FROM ledger WHERE claim = (SELECT max(claim) FROM ledger)",
        "UPDATE account SET data_version = data_version + 1 WHERE id = 2",
        "UPDATE player SET avatar = x'010204' WHERE name = 'bob'",
        "UPDATE game_shop_stock SET amount = -3",
        "DROP INDEX claim_key; INSERT INTO claim (account, key, request, plan_hash, use_case, tick, now_ms, summary)
            SELECT account, key, request, plan_hash, use_case, tick, now_ms, summary FROM claim ORDER BY id DESC LIMIT 1",
        "DELETE FROM image_part",
    ] {
        let place = copy_of(&good);
        tamper(&place.folder, plant);
        let dump = || {
            text(&place.folder, "SELECT (SELECT group_concat(account || asset || expires_ms || instance || amount) FROM holding)")
        };
        let (before, found) = (dump(), verified(&place.folder).problems);
        let done = repaired(&place.folder);
        assert!(!done.ok && done.mended.is_empty(), "{plant}: {:#?}", done.mended);
        assert_eq!(done.left, found, "{plant}");
        assert_eq!(dump(), before, "{plant}: nobody's amounts are touched");
    }
}

/// E12: files of processes that are gone are removed, those of one that runs are not; a save that a process has is refused.
#[test]
fn leftovers_are_removed_and_a_running_world_is_refused() {
    let place = good(Past::Whole);
    let left = ["run.json", "run.json.tmp", "world.db.new", "world.db.new-wal", "world.db.copy-4294967295"];
    let kept = format!("world.db.copy-{}", std::process::id());
    for name in left.into_iter().chain([&kept[..], "notes.txt"]) {
        fs::write(place.folder.join(name), "{}").unwrap();
    }
    let dry = repair(&place.folder, &game(), true, NOW_MS, &Watch::nobody()).unwrap();
    let mut files: Vec<String> =
        dry.files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect();
    files.sort();
    let mut expected = left;
    expected.sort_unstable();
    assert_eq!(files, expected);
    assert!(place.folder.join("run.json").exists(), "a dry run removes nothing");
    let done = repaired(&place.folder);
    assert!(done.ok && done.backup.is_none() && done.files.len() == 5);
    let names = names_in(&place.folder);
    assert!(names.contains(&kept) && names.contains(&"notes.txt".into()), "{names:?}");
    assert!(left.iter().all(|name| !names.contains(&(*name).to_owned())), "{names:?}");

    let _running = open(&place.folder);
    let error = repair(&place.folder, &game(), false, NOW_MS, &Watch::nobody()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }) && error.is_usage(), "{error}");
}
