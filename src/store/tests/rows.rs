//! Rows of components, in real files.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::PlayerId;
use crate::limits::ROWS_PER_CHUNK;
use crate::players::{ComponentRow, Found, PlayerRequest, Profile, ProfileAnswer, ProfileSave, RowsSave};

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).unwrap()
}

fn row(name: &str, component: &str, (base, version): (u64, u64), data: &[u8]) -> ComponentRow {
    ComponentRow {
        player: player(name),
        component: component.into(),
        base,
        version,
        data: (!data.is_empty()).then(|| data.to_vec()),
    }
}

fn rows(rows: &[ComponentRow]) -> PlayerWork {
    PlayerWork::Request(PlayerRequest::SaveRows(RowsSave { is_immediate: false, rows: rows.to_vec() }))
}

fn profile(name: &str, version: u64, of_image: Option<u64>) -> PlayerWork {
    let profile = Profile { version, avatar: Some(vec![version as u8]), ..Profile::default() };
    let (is_of_image, rows) = (of_image.is_some(), of_image.unwrap_or(1_000));
    PlayerWork::Request(PlayerRequest::Save(ProfileSave { player: player(name), profile, is_of_image, rows }))
}

fn found(store: &mut Store, name: &str) -> ProfileAnswer {
    let load = PlayerWork::Request(PlayerRequest::Load { number: 1, player: player(name) });
    store.carry_out(&[load]).unwrap().profiles.remove(0)
}

fn rows_of(store: &mut Store, name: &str) -> Vec<ComponentRow> {
    found(store, name).rows
}

/// E3, D4: a row takes the place of an older one, on the profile that is there and no other, and is durable; a profile takes
/// the place of all, or, from an image, of those that are no newer.
#[test]
fn a_row_counts_on_its_profile_and_gives_way_to_what_is_newer() {
    let place = place();
    let mut store = open(&place.folder);
    let [first, second] = [row("alice", "Mood", (0, 1), b"a"), row("alice", "Mood", (0, 3), b"b")];
    let quest = row("alice", "Quest", (0, 2), b"");
    let done = store
        .carry_out(&[rows(&[first.clone(), quest.clone()]), rows(std::slice::from_ref(&second))])
        .unwrap();
    assert_eq!(done.rows, 3);
    let done = store.carry_out(&[rows(&[first, row("alice", "Mood", (7, 9), b"x")])]).unwrap();
    assert_eq!(done.rows, 0, "older, and on a profile that there is not");
    drop(store);
    let mut store = open(&place.folder);
    let answer = found(&mut store, "alice");
    assert_eq!((answer.found, answer.rows), (Found::Nobody, vec![second.clone(), quest]));
    assert_eq!(rows_of(&mut store, "bob"), []);

    store.carry_out(&[profile("alice", 0, Some(2))]).unwrap();
    assert_eq!(rows_of(&mut store, "alice"), [ComponentRow { base: 1, ..second }], "newer than the image");
    store.carry_out(&[rows(&[row("alice", "Quest", (1, 4), b"q")]), profile("alice", 1, None)]).unwrap();
    assert_eq!(rows_of(&mut store, "alice"), [], "it holds them");
    let done = store.carry_out(&[rows(&[row("alice", "Quest", (1, 5), b"late")])]).unwrap();
    assert_eq!((done.rows, rows_of(&mut store, "alice")), (0, vec![]));
    // What is not written for another one that stands there takes nothing away.
    store.carry_out(&[rows(&[row("alice", "Quest", (2, 1), b"r")]), profile("alice", 1, Some(9))]).unwrap();
    assert_eq!(rows_of(&mut store, "alice").len(), 1);
}

/// D1: a row that was damaged, or is a newer program's, keeps its player out and stays.
#[test]
fn a_row_that_makes_no_sense_is_unreadable_and_stays() {
    let place = place();
    for (sql, told) in [
        ("UPDATE component_row SET data = x'00' WHERE player = 'alice'", "the checksum of its `Mood`"),
        ("UPDATE component_row SET version = 99 WHERE player = 'alice'", "checksum"),
        ("UPDATE component_row SET form = 2 WHERE player = 'alice'", "form 2 of a newer program"),
    ] {
        let mut store = open(&place.folder);
        store
            .carry_out(&[rows(&[row("alice", "Mood", (0, 1), b"a"), row("bob", "Mood", (0, 1), b"b")])])
            .unwrap();
        drop(store);
        meddle(&place.folder, sql);
        let mut store = open(&place.folder);
        match found(&mut store, "alice").found {
            Found::Unreadable(why) => assert!(why.contains(told), "{why}"),
            other => panic!("{sql}: {other:?}"),
        }
        assert_eq!(rows_of(&mut store, "bob").len(), 1);
        if told.contains("form") {
            let done = store.carry_out(&[rows(&[row("alice", "Mood", (0, 9), b"over it")])]).unwrap();
            assert_eq!(done.rows, 0, "nobody writes over what a newer program wrote");
        }
        drop(store);
        meddle(&place.folder, "DELETE FROM component_row");
    }
}

/// D2: a commit that was told as a failure and is durable all the same is not made again.
#[test]
fn rows_that_were_committed_without_an_answer_are_written_once() {
    let place = place();
    let mut store = open(&place.folder);
    let batch = [
        profile("alice", 0, None),
        rows(&[row("alice", "Mood", (1, 1), b"a")]),
        profile("alice", 1, None),
        rows(&[row("alice", "Mood", (2, 1), b"b")]),
    ];
    store.database.answers_lost = 1;
    assert!(store.carry_out_after(0, &batch[..2]).is_err());
    let done = store.carry_out_after(0, &batch).unwrap();
    assert_eq!((done.saved, done.conflicts.len()), (2, 0));
    assert_eq!(rows_of(&mut store, "alice"), [row("alice", "Mood", (2, 1), b"b")]);
}

#[test]
fn a_chunk_is_one_request_and_all_of_it_is_written() {
    let place = place();
    let mut store = open(&place.folder);
    let chunk: Vec<ComponentRow> = (0..ROWS_PER_CHUNK)
        .map(|number| row(&format!("player {}", number / 4), &format!("C{}", number % 4), (0, 1), b"value"))
        .collect();
    assert_eq!(store.carry_out(&[rows(&chunk)]).unwrap().rows, ROWS_PER_CHUNK as u64);
    assert_eq!(rows_of(&mut store, "player 49").len(), 4);
}

/// What is asked of the store, by numbers: (player, component, base, version), or (player, version it rests on, of an image).
#[derive(Clone, Debug)]
enum Ask {
    Row(u8, u8, u64, u64),
    Profile(u8, u64, Option<u64>),
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask = prop_oneof![
        3 => (0..2u8, 0..2u8, 0..4u64, 1..6u64).prop_map(|(who, what, base, version)| Ask::Row(who, what, base, version)),
        1 => (0..2u8, 0..4u64, proptest::option::of(0..6u64)).prop_map(|(who, version, of)| Ask::Profile(who, version, of)),
    ];
    proptest::collection::vec(ask, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// D3, E3: whatever is asked in whatever order, the tables hold what the two rules say that rows are compared by.
    #[test]
    fn the_tables_keep_of_rows_what_the_rules_say(asks in asks()) {
        let place = place();
        let mut store = open(&place.folder);
        let mut kept: BTreeMap<(PlayerId, String), ComponentRow> = BTreeMap::new();
        let mut versions = [0u64; 2];
        for (number, ask) in asks.into_iter().enumerate() {
            let work = match ask {
                Ask::Row(who, what, base, version) => {
                    let data = (number as u64).to_le_bytes();
                    let row = row(&format!("player {who}"), &format!("C{what}"), (base, version), &data);
                    let key = (row.player.clone(), row.component.clone());
                    let is_newest = kept.get(&key).is_none_or(|there| row.replaces(there));
                    if base == versions[usize::from(who)] && is_newest {
                        kept.insert(key, row.clone());
                    }
                    rows(&[row])
                }
                Ask::Profile(who, version, of_image) => {
                    let work = profile(&format!("player {who}"), version, of_image);
                    let PlayerWork::Request(PlayerRequest::Save(save)) = work.clone() else { unreachable!() };
                    if version == versions[usize::from(who)] {
                        versions[usize::from(who)] += 1;
                        let of_player = kept.extract_if(.., |(player, _), _| *player == save.player);
                        let after: Vec<_> = of_player.filter_map(|(key, row)| Some((key, row.after(&save)?))).collect();
                        kept.extend(after);
                    }
                    work
                }
            };
            store.carry_out(&[work]).unwrap();
            for who in 0..2 {
                let name = format!("player {who}");
                let expected: Vec<ComponentRow> =
                    kept.values().filter(|row| row.player.as_str() == name).cloned().collect();
                prop_assert_eq!(rows_of(&mut store, &name), expected);
            }
        }
    }
}
