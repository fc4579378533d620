//! Images, and what is kept of players, on their way to a store that works or not.

use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::config::{GridSize, RunOptions, Settings, Sourced, WorldConfig};
use crate::driver::run::open_store;
use crate::ids::PlayerId;
use crate::players::{ComponentRow, PlayerRequest, Profile, ProfileSave, RowsSave};
use crate::reward::{
    AssetClass, Claim, ClaimKey, CommitBatch, Holdings, PlanContext, PlanRequest, RewardTables, Submission,
    plan,
};
use crate::server::{ServerBuilder, WorldSettings};
use crate::store::{PlayerWork, Retention, WorldIdentity};

/// A world that is saved, without its network.
struct Stage {
    folder: std::path::PathBuf,
    server: Server,
    saving: Saving,
    readiness: Readiness,
    orders: Orders,
    now: TickNumber,
    /// Ticks whose images were told to be durable.
    told: Vec<u64>,
    parent: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::of(ServerBuilder::default())
    }

    fn of(game: ServerBuilder) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("north");
        let identity = WorldIdentity {
            name: "north".into(),
            seed: Sourced::default_of(7),
            grid: Sourced::default_of(GridSize { columns: 1, rows: 1 }),
            size_m: Sourced::default_of([100.0, 100.0]),
            secret: None,
        };
        let store = Store::create_or_open(&folder, &identity).unwrap().0;
        let mut server = game.build(WorldSettings::default(), None).unwrap();
        let saving = Saving::start(store, &mut server, 1_000_000, TickNumber(1)).unwrap();
        let (readiness, orders, told) = (Readiness::default(), Orders::default(), Vec::new());
        Self { folder, server, saving, readiness, orders, now: TickNumber(0), told, parent }
    }

    /// A tick in which these leave, and of which there is an image or not.
    fn tick(&mut self, leave: &[&str], image: bool) {
        let requests = leave.iter().map(|name| PlayerRequest::Save(save_of(name))).collect();
        self.hand_over(requests, image);
    }

    fn hand_over(&mut self, players: Vec<PlayerRequest>, image: bool) {
        self.now.0 += 1;
        let image = image.then(|| world_image(self.now));
        let mut output = TickOutput { players, image, ..TickOutput::default() };
        self.saving.hand_over(&mut output, &self.server);
    }

    /// Waits until the store has answered everything.
    fn wait(&mut self) {
        let mut input = TickInput { tick: self.now, ..TickInput::default() };
        self.saving.wait(&mut input, &self.readiness);
        self.told.extend(input.images_saved.iter().map(|tick| tick.0));
    }

    /// Takes what the store answers, as a tick that waits for nothing does, until so much of players is durable.
    fn take_until_durable(&mut self, count: u64) {
        while self.saving.players.durable() < count {
            let mut input = TickInput { tick: self.now, ..TickInput::default() };
            self.saving.fill(&mut input, &self.readiness, &self.orders);
            std::thread::yield_now();
        }
    }

    /// The same, until the store has done what is under way.
    fn take_until_idle(&mut self) {
        while self.saving.players.is_under_way() {
            let mut input = TickInput { tick: self.now, ..TickInput::default() };
            self.saving.fill(&mut input, &self.readiness, &self.orders);
            std::thread::yield_now();
        }
    }

    /// What of players is under way.
    fn sent(&self) -> Vec<String> {
        let kind = |work: &PlayerWork| match work {
            PlayerWork::Request(PlayerRequest::SaveRows(save)) => format!("{} rows", save.rows.len()),
            PlayerWork::Request(PlayerRequest::Save(_)) => "a profile".into(),
            PlayerWork::Request(PlayerRequest::Commit(_)) => "plans".into(),
            other => format!("{other:?}"),
        };
        self.saving.players.under_way().iter().map(kind).collect()
    }

    /// Lets the store refuse everything that would go into this table, from now on and for good.
    fn refuse(&self, table: &str) {
        let sql = format!(
            "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        );
        meddle(&self.folder, &sql);
    }

    fn allow(&self, table: &str) {
        meddle(&self.folder, &format!("DROP TRIGGER refuse_{table}"));
    }
}

fn world_image(tick: TickNumber) -> WorldImage {
    let bytes = Bytes::from_static(b"a world");
    WorldImage { tick, now_ms: tick.0 * 50, fingerprint: tick.0, entities: 1, counters: Vec::new(), bytes }
}

fn save_of(name: &str) -> ProfileSave {
    let profile = Profile { avatar: Some(name.as_bytes().to_vec()), ..Profile::default() };
    ProfileSave { player: PlayerId::new(name).unwrap(), profile, is_of_image: false, rows: 0 }
}

fn meddle(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("world.db")).unwrap().execute_batch(sql).unwrap();
}

/// The images on the disk by their ticks, and the players of whom there is a profile.
fn on_disk(folder: &Path) -> (Vec<u64>, Vec<String>) {
    let file = rusqlite::Connection::open(folder.join("world.db")).unwrap();
    let mut images = file.prepare("SELECT tick FROM image ORDER BY tick").unwrap();
    let images = images.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    let mut players = file.prepare("SELECT name FROM player ORDER BY name").unwrap();
    let players = players.query_map([], |row| row.get(0)).unwrap();
    (images.map(|tick| tick.unwrap().cast_unsigned()).collect(), players.map(Result::unwrap).collect())
}

/// D5, A9: the image that no longer holds somebody is not durable before the profile is, also when writing it was given up.
#[test]
fn an_image_waits_for_the_profiles_of_those_who_left_before_it() {
    let mut stage = Stage::new();
    stage.tick(&[], true);
    stage.wait();
    stage.refuse("player");
    stage.tick(&["bob"], true);
    stage.wait();
    stage.tick(&[], false);
    stage.wait();
    assert_eq!(on_disk(&stage.folder), (vec![1], vec![]), "bob is still in the image before");
    stage.allow("player");
    stage.tick(&[], false);
    stage.wait();
    assert_eq!(on_disk(&stage.folder), (vec![1, 2], vec!["bob".into()]));
    assert_eq!(stage.told, [1, 2]);
}

/// A batch that is under way holds up the saves behind it, and with them the image; those who leave later do not.
#[test]
fn an_image_does_not_wait_for_those_who_leave_after_it() {
    let mut stage = Stage::new();
    stage.tick(&["alice"], false);
    stage.tick(&["bob"], true);
    assert_eq!(stage.saving.under_way, 0, "bob waits behind alice, and the image for bob");
    stage.take_until_durable(1);
    stage.tick(&["carol"], false);
    assert_eq!(stage.saving.under_way, 0, "bob is on his way");
    stage.take_until_durable(3);
    stage.tick(&["dave"], false);
    assert_eq!(
        (stage.saving.under_way, stage.saving.players.is_under_way()),
        (1, true),
        "dave is not waited for"
    );
    stage.wait();
    assert_eq!(on_disk(&stage.folder).0, [2]);
}

/// Somebody leaves in every tick, and every image gets its turn.
#[test]
fn images_do_not_starve_while_players_leave_in_every_tick() {
    let mut stage = Stage::new();
    for number in 1..=40u64 {
        stage.tick(&[&format!("player {number}")], number == 1);
        if stage.saving.under_way > 0 {
            assert!(number > 1 && stage.saving.players.durable() < number);
            return;
        }
        stage.take_until_durable(stage.saving.players.durable() + 1);
    }
    panic!("the image of tick 1 never went out");
}

#[test]
fn the_last_image_is_not_written_when_what_is_kept_of_players_is_lost() {
    let mut stage = Stage::new();
    stage.tick(&[], true);
    stage.wait();
    stage.refuse("player");
    let mut output =
        TickOutput { players: vec![PlayerRequest::Save(save_of("bob"))], ..TickOutput::default() };
    stage.saving.take_last(&mut output);
    let error = stage.saving.finish(Some(world_image(TickNumber(2)))).unwrap_err();
    assert!(matches!(error, StoreError::PlayersLost { unwritten: 1 }), "{error}");
    assert!(error.to_string().contains("image"), "{error}");
    assert_eq!(on_disk(&stage.folder), (vec![1], vec![]));
    drop(stage.parent);
}

/// D5: an image that still waits for players when the world ends is not written either when they are lost, whether there is a
/// last image or, after a panic, none.
#[test]
fn an_image_that_waits_for_what_is_lost_is_not_written_at_the_end() {
    for last in [None, Some(world_image(TickNumber(3)))] {
        let mut stage = Stage::new();
        stage.tick(&[], true);
        stage.wait();
        stage.refuse("player");
        stage.tick(&["bob"], true);
        let error = stage.saving.finish(last).unwrap_err();
        assert!(matches!(error, StoreError::PlayersLost { unwritten: 1 }), "{error}");
        assert_eq!(on_disk(&stage.folder), (vec![1], vec![]), "bob is still in the image before");
        drop(stage.parent);
    }
}

/// After a panic there is no last image, but what earlier ticks have handed over is written: profiles, and an image that
/// waits for them.
#[test]
fn what_earlier_ticks_handed_over_is_written_without_a_last_image() {
    let mut stage = Stage::new();
    stage.tick(&["alice"], false);
    stage.tick(&["bob"], true);
    stage.saving.finish(None).unwrap();
    assert_eq!(on_disk(&stage.folder), (vec![2], vec!["alice".into(), "bob".into()]));
    drop(stage.parent);
}

/// E5: what cannot be saved stays told while other things work, and ends when that very thing works again.
#[test]
fn a_trouble_lasts_until_the_same_kind_of_thing_works_again() {
    let mut stage = Stage::new();
    let load = |number| PlayerRequest::Load { number, player: PlayerId::new("bob").unwrap() };
    let degraded = |stage: &Stage| stage.readiness.degraded();
    stage.refuse("image");
    stage.tick(&[], true);
    stage.wait();
    let told = degraded(&stage).expect("the image was refused");
    assert!(!told.contains("log"), "players have none: {told}");
    stage.hand_over(vec![load(1)], false);
    stage.wait();
    assert_eq!(degraded(&stage).as_ref(), Some(&told), "a look-up says nothing of images");

    stage.refuse("player");
    stage.tick(&["bob"], false);
    stage.wait();
    stage.saving.reserve(counter::SESSION_EPOCH, stage.saving.reserved_epoch + 1);
    stage.hand_over(vec![load(2)], false);
    stage.wait();
    assert_eq!(
        degraded(&stage).as_ref(),
        Some(&told),
        "nor does anything else, nor is it told in other words"
    );

    stage.allow("player");
    stage.tick(&[], false);
    stage.wait();
    assert_eq!(degraded(&stage), Some(told), "images are still refused");
    stage.allow("image");
    stage.tick(&[], true);
    stage.wait();
    assert_eq!(degraded(&stage), None);
}

/// Look-ups alone that fail are a trouble of their own; profiles that cannot be written outlast them.
#[test]
fn what_is_not_written_of_players_outlasts_look_ups_that_work() {
    let mut troubles = Troubles::default();
    troubles.begin(Trouble::LookUps);
    let read = troubles.text().expect("a trouble");
    troubles.begin(Trouble::Players);
    let written = troubles.text().expect("a trouble");
    assert_ne!(read, written);
    troubles.end(Trouble::LookUps);
    assert_eq!(troubles.text(), Some(written));
    troubles.begin(Trouble::LookUps);
    troubles.end(Trouble::Players);
    assert_eq!(troubles.text(), None, "what writes can be read");
}

/// E2, F5: plans go to the store in their place among everything that is kept of players, and what came of each is told to the
/// next tick: who is looked up behind them has what they brought.
#[test]
fn plans_are_carried_out_in_their_order_and_told_to_the_next_tick() {
    let tables = RewardTables::builder().asset("silver", AssetClass::Currency { cap: 100 }).build().unwrap();
    let mut stage = Stage::of(ServerBuilder::default().rewards(tables.clone()));
    let alice = PlayerId::new("alice").unwrap();
    let planned = |number: u64, key: u128| {
        let claim = Claim::new(&alice, ClaimKey(key << 80), b"a gift");
        let context =
            PlanContext::new(Arc::new(tables.clone()), 1, &claim, 0).with(&alice, Holdings::default());
        let request = PlanRequest::new("gift", &alice).grant("silver", 60, "mint");
        Submission { number, plan: Arc::new(plan(&context, &claim, &request).unwrap()) }
    };
    let plans = vec![planned(1, 1), planned(2, 2), planned(3, 1)];
    let look_up = |number| PlayerRequest::Load { number, player: alice.clone() };
    let batch = CommitBatch { tick: TickNumber(1), now_ms: 1, plans };
    stage.hand_over(vec![look_up(1), PlayerRequest::Commit(batch), look_up(2)], false);
    stage.wait();
    let mut input = TickInput { tick: stage.now, ..TickInput::default() };
    stage.saving.fill(&mut input, &stage.readiness, &stage.orders);
    let silver: Vec<u64> =
        input.profiles.iter().map(|found| found.holdings.amount(&"silver".into())).collect();
    assert_eq!(silver, [0, 60], "before and behind the plans");
    let told: Vec<_> =
        input.plans.iter().map(|told| (told.number, told.result.is_ok(), told.is_repeat)).collect();
    assert_eq!(
        told,
        [(1, true, false), (2, false, false), (3, true, true)],
        "done, over the cap, done before"
    );
    assert_eq!(input.plans[0].result, input.plans[2].result, "the first summary again");
    assert_eq!(input.value_refused, None);
}

/// E3: ten thousand rows do not hold up what comes in between: plans go to the store in the next batch, in front of the one chunk
/// that goes with it, and every row gets its turn.
#[test]
fn many_rows_hold_up_nobody() {
    const ROWS: usize = 10_000;
    let tables = RewardTables::builder().asset("silver", AssetClass::Currency { cap: 100 }).build().unwrap();
    let mut stage = Stage::of(ServerBuilder::default().rewards(tables.clone()));
    let alice = PlayerId::new("alice").unwrap();
    let row = |number: usize| ComponentRow {
        player: PlayerId::new(&format!("player {}", number / 10)).unwrap(),
        component: format!("C{}", number % 10),
        base: 0,
        version: 1,
        data: Some(vec![7; 100]),
    };
    let save = RowsSave { is_immediate: false, rows: (0..ROWS).map(row).collect() };
    stage.hand_over(vec![PlayerRequest::SaveRows(save)], false);
    assert_eq!(stage.sent(), ["200 rows"]);
    let claim = Claim::new(&alice, ClaimKey(1 << 80), b"a gift");
    let context = PlanContext::new(Arc::new(tables.clone()), 1, &claim, 0).with(&alice, Holdings::default());
    let request = PlanRequest::new("gift", &alice).grant("silver", 60, "mint");
    let plans = vec![Submission { number: 1, plan: Arc::new(plan(&context, &claim, &request).unwrap()) }];
    let batch = CommitBatch { tick: TickNumber(1), now_ms: 1, plans };
    stage.hand_over(vec![PlayerRequest::Save(save_of("bob")), PlayerRequest::Commit(batch)], true);
    assert_eq!(stage.sent(), ["200 rows"], "the one that was under way");
    stage.take_until_idle();
    stage.hand_over(Vec::new(), false);
    assert_eq!(stage.sent(), ["a profile", "plans", "200 rows"]);
    stage.take_until_durable(2);
    assert!(!stage.saving.players.is_empty(), "most rows wait");
    stage.hand_over(Vec::new(), false);
    assert_eq!(stage.saving.under_way, 1, "the image waits for bob's profile, and not for rows");
    stage.wait();
    let file = rusqlite::Connection::open(stage.folder.join("world.db")).unwrap();
    let count: i64 = file.query_row("SELECT count(*) FROM component_row", [], |row| row.get(0)).unwrap();
    assert_eq!((count, stage.saving.stats().rows_saved()), (ROWS as i64, ROWS as u64));
}

/// F11: how long claims and history are kept is for the operator to say, and the store goes by it.
#[test]
fn a_save_keeps_claims_and_history_as_long_as_its_world_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let text = "[save]\nclaims_kept_s = 90\nhistory_kept_s = 7200\n".to_owned();
    let file = WorldConfig::parse(Path::new("world.toml"), text).unwrap();
    let options = RunOptions { saves: Some(parent.path().to_owned()), ..RunOptions::default() };
    let mut settings = Settings::resolve(&options, Some(&file)).unwrap();
    let (unused, store, _) = open_store(&mut settings).unwrap();
    let kept = Retention { claims_ms: 90_000, changelog_ms: 7_200_000, ledger_ms: 7_200_000 };
    assert_eq!(store.retention(), kept);
    drop(unused);
}
