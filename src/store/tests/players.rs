//! Profiles, sanctions and records, in real files.

use super::*;
use crate::ids::PlayerId;
use crate::players::{
    AuditRow, Found, PlayerRequest, Profile, ProfileAnswer, ProfileSave, Sanction, SanctionChange,
    SanctionKind,
};

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}

fn save(name: &str, version: u64, avatar: &[u8]) -> PlayerWork {
    let avatar = Some(avatar.to_vec());
    let profile = Profile { version, first_seen_ms: 1, last_seen_ms: 2, avatar };
    PlayerWork::Request(PlayerRequest::Save(ProfileSave {
        player: player(name),
        profile,
        is_of_image: false,
        rows: 0,
    }))
}

fn load(number: u64, name: &str) -> PlayerWork {
    PlayerWork::Request(PlayerRequest::Load { number, player: player(name) })
}

fn found(store: &mut Store, name: &str) -> Found {
    let done = store.carry_out(&[load(7, name)]).unwrap();
    let [ProfileAnswer { number: 7, found, .. }] = &done.profiles[..] else { panic!("{done:?}") };
    found.clone()
}

fn known(store: &mut Store, name: &str) -> Profile {
    match found(store, name) {
        Found::Profile(profile) => profile,
        other => panic!("{other:?}"),
    }
}

/// D2: a save replaces the version that it rests on and nothing else; said again, as after an answer that was lost, it
/// changes nothing and is no conflict.
#[test]
fn a_profile_is_replaced_by_what_rests_on_it_alone() {
    let place = place();
    let mut store = open(&place.folder);
    assert_eq!(found(&mut store, "alice"), Found::Nobody);
    let first = store.carry_out(&[save("alice", 0, b"one")]).unwrap();
    assert_eq!((first.saved, first.conflicts.len()), (1, 0));
    assert_eq!(known(&mut store, "alice").version, 1);
    let again = store.carry_out(&[save("alice", 0, b"one")]).unwrap();
    assert_eq!((again.saved, again.conflicts.len()), (1, 0), "the very same is there");
    for (version, avatar) in [(0, b"new"), (2, b"new"), (7, b"new")] {
        let done = store.carry_out(&[save("alice", version, avatar)]).unwrap();
        assert_eq!((done.saved, done.conflicts), (0, vec![player("alice")]), "resting on {version}");
    }
    let batch = [save("alice", 1, b"two"), load(3, "alice"), PlayerWork::Mark(9)];
    let done = store.carry_out(&batch).unwrap();
    let expected = Profile { version: 2, first_seen_ms: 1, last_seen_ms: 2, avatar: Some(b"two".to_vec()) };
    assert_eq!(done.profiles[0].found, Found::Profile(expected.clone()), "in the order of the batch");
    assert_eq!(done.marks, [9]);
    drop(store);
    assert_eq!(known(&mut open(&place.folder), "alice"), expected, "it is durable");
}

/// D1: a row that was damaged, or is a newer program's, is told as such and hinders nobody else; nothing writes over it.
#[test]
fn a_profile_that_makes_no_sense_is_unreadable_and_stays() {
    let place = place();
    for (sql, told) in [
        ("UPDATE player SET avatar = x'00' WHERE name = 'alice'", "checksum"),
        ("UPDATE player SET last_seen_ms = 99 WHERE name = 'alice'", "checksum"),
        ("UPDATE player SET form = 2 WHERE name = 'alice'", "form 2 of a newer program"),
    ] {
        let mut store = open(&place.folder);
        store.carry_out(&[save("alice", 0, b"a"), save("bob", 0, b"b")]).unwrap();
        drop(store);
        meddle(&place.folder, sql);
        let mut store = open(&place.folder);
        match found(&mut store, "alice") {
            Found::Unreadable(why) => assert!(why.contains(told), "{why}"),
            other => panic!("{sql}: {other:?}"),
        }
        assert_eq!(known(&mut store, "bob").avatar.as_deref(), Some(&b"b"[..]));
        let done = store.carry_out(&[save("alice", 0, b"empty")]).unwrap();
        assert_eq!(done.conflicts, [player("alice")], "nobody begins empty over it");
        drop(store);
        meddle(&place.folder, "DELETE FROM player");
    }
}

/// H3: sanctions are one of a kind for each player; what was done stays written.
#[test]
fn sanctions_are_kept_by_kind_and_records_for_good() {
    let place = place();
    let mut store = open(&place.folder);
    let sanction = |kind, why: &str, until_ms| Sanction {
        player: player("alice"),
        kind,
        why: why.into(),
        since_ms: 5,
        until_ms,
        by: "operator".into(),
    };
    let set = |sanction: &Sanction| {
        PlayerWork::Request(PlayerRequest::Sanction(SanctionChange::Set(sanction.clone())))
    };
    let (ban, longer) = (sanction(SanctionKind::Ban, "a", Some(9)), sanction(SanctionKind::Ban, "b", None));
    let mute = sanction(SanctionKind::Mute, "c", None);
    let row = AuditRow {
        tick: TickNumber(3),
        now_ms: 4,
        who: "operator".into(),
        what: "ban".into(),
        target: "alice".into(),
        detail: "b".into(),
    };
    store.carry_out(&[set(&ban), set(&mute), set(&longer), PlayerWork::Audit(row.clone())]).unwrap();
    assert_eq!(store.sanctions().unwrap(), [longer, mute.clone()]);
    let lift = SanctionChange::Lift { player: player("alice"), kind: SanctionKind::Ban };
    store.carry_out(&[PlayerWork::Request(PlayerRequest::Sanction(lift))]).unwrap();
    assert_eq!(store.sanctions().unwrap(), [mute]);
    assert_eq!(store.audit_rows(9).unwrap(), [row]);
    drop(store);
    let connection = rusqlite::Connection::open(place.folder.join("world.db")).unwrap();
    for sql in ["DELETE FROM audit", "UPDATE audit SET who = 'nobody'"] {
        assert!(connection.execute(sql, []).unwrap_err().to_string().contains("stays written"));
    }
}

/// H3, D2: a commit that was told as a failure and is durable all the same is not made again: what is asked for once more, in
/// whatever batches, is done once and is no conflict.
#[test]
fn what_was_committed_without_an_answer_is_not_written_again() {
    let place = place();
    let row = |detail: &str| AuditRow {
        tick: TickNumber(3),
        now_ms: 4,
        who: "gm".into(),
        what: "Holiday".into(),
        target: String::new(),
        detail: detail.into(),
    };
    let audit = |detail| PlayerWork::Audit(row(detail));
    let details = |store: &mut Store| -> Vec<String> {
        store.audit_rows(9).unwrap().into_iter().rev().map(|row| row.detail).collect()
    };
    // Two saves of one player, and the very same done twice on purpose.
    let first =
        [audit("a"), audit("a"), save("alice", 0, b"one"), load(3, "alice"), save("alice", 1, b"two")];
    let second = [PlayerWork::Mark(9), audit("a"), audit("b"), save("bob", 0, b"b")];
    for run in 1..=2 {
        // Another run of the same world numbers anew.
        let mut store = open(&place.folder);
        store.database.answers_lost = 1;
        assert!(store.carry_out_after(0, &first).unwrap_err().is_retryable());
        let done = store.carry_out_after(0, &first).unwrap();
        assert_eq!((done.saved, done.profiles.len()), (2, 1));
        if run == 1 {
            assert_eq!(done.conflicts, []);
            assert_eq!(known(&mut store, "alice").avatar.as_deref(), Some(&b"two"[..]));
        }
        // Given up, and asked for again together with what has come since.
        store.database.answers_lost = 1;
        assert!(store.carry_out_after(4, &second[..2]).is_err());
        let done = store.carry_out_after(4, &second).unwrap();
        assert_eq!((done.marks, done.saved), (vec![9], 1));
        assert_eq!(details(&mut store), ["a", "a", "a", "b"].repeat(run));
    }
    // Over the thread, which tries again by itself.
    let mut store = open(&place.folder);
    store.database.answers_lost = 2;
    let handle = store.start().unwrap();
    handle.try_request(StoreRequest::Players { after: 0, batch: vec![audit("c")] }).unwrap();
    let results = handle.finish(None).unwrap();
    assert_eq!(results.iter().filter(|result| matches!(result, StoreResult::Failed { .. })).count(), 2);
    assert_eq!(details(&mut open(&place.folder)).pop(), Some("c".into()));
    assert_eq!(details(&mut open(&place.folder)).len(), 9);
}
