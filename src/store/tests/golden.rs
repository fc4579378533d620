//! Files that older programs left, kept byte by byte.

use super::*;
use crate::ids::PlayerId;
use crate::players::{ComponentRow, Found, PlayerRequest, RowsSave, SanctionKind};
use crate::store::schema::MIGRATIONS;

/// A save as one of these files.
fn golden(bytes: &[u8]) -> Place {
    let place = place();
    std::fs::create_dir_all(&place.folder).unwrap();
    std::fs::write(place.folder.join("world.db"), bytes).unwrap();
    place
}

fn identity_of_old() -> WorldIdentity {
    WorldIdentity {
        name: "old".into(),
        grid: Sourced::default_of(GridSize { columns: 2, rows: 2 }),
        size_m: Sourced::default_of([1_000.0, 1_000.0]),
        ..identity()
    }
}

/// Opens a file of an older version: it is brought up to date, everything in it that stood in both is as it was, value can
/// change hands in it, and so can rows be written. `coins`: how many alice held.
fn goes_on(bytes: &[u8], coins: u64) {
    let place = golden(bytes);
    for round in coins..coins + 2 {
        let (mut store, record) = Store::create_or_open(&place.folder, &identity_of_old()).unwrap();
        assert_eq!((record.name.as_str(), record.seed, record.is_new), ("old", 7, false));
        let version: i64 = store
            .database
            .connection()
            .unwrap()
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, MIGRATIONS.len() as i64);
        let image = store.newest_image().unwrap().expect("it holds an image");
        assert_eq!((image.tick, image.entities.len()), (TickNumber(759), 1_639));
        assert_eq!(store.counter(counter::WORLD_SPAWNS).unwrap(), 30_019);
        let sanctions = store.sanctions().unwrap();
        assert_eq!((sanctions[0].player.as_str(), sanctions[0].kind), ("mallory", SanctionKind::Ban));
        assert_eq!(store.audit_rows(9).unwrap().len(), 1);
        let player = PlayerId::new("alice").unwrap();
        let load = PlayerWork::Request(PlayerRequest::Load { number: 1, player: player.clone() });
        let answer = store.carry_out(&[load]).unwrap().profiles.remove(0);
        let Found::Profile(profile) = answer.found else { panic!("{answer:?}") };
        assert_eq!((profile.version, profile.avatar.unwrap().len()), (1, 105));
        assert_eq!(answer.holdings.version, round);
        assert_eq!(answer.rows.len() as u64, round - coins, "the row of the round before");
        commit::grant_alice(&mut store, round);
        let data = Some(vec![1, 2, 3]);
        let row = ComponentRow { player, component: "Mood".into(), base: 1, version: round + 1, data };
        let save = RowsSave { is_immediate: true, rows: vec![row] };
        let done = store.carry_out(&[PlayerWork::Request(PlayerRequest::SaveRows(save))]).unwrap();
        assert_eq!(done.rows, 1);
    }
}

/// D6: a file of version 2, as a world left it in which alice was and mallory was banned.
#[test]
fn a_file_of_version_2_goes_on() {
    goes_on(include_bytes!("golden/version_2.db"), 0);
}

/// D6: the same of version 3, in which alice has been granted a coin.
#[test]
fn a_file_of_version_3_goes_on() {
    goes_on(include_bytes!("golden/version_3.db"), 1);
}

/// D6: the same of version 4, which knows nothing of reference data.
#[test]
fn a_file_of_version_4_goes_on() {
    goes_on(include_bytes!("golden/version_4.db"), 1);
}
