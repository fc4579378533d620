//! The shipped game on a disk that fails and in a process that ends: what its players did, as they did it, is carried out again on
//! such a disk, use case by use case.
//!
//! What a save must hold after so many batches is what a healthy run holds after them, table by table. So after any failure a save is
//! one of those, no older than what was told; and asked again for everything it comes to the same end with the same answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rusqlite::Connection;
use rusqlite::types::Value;
use terrane::caravan::bots::{BotBrain, BotMap, BotProfile};
use terrane::caravan::lore::{ItemId, Slot};
use terrane::caravan::{DeleteCharacter, Roads, TakeOff, Treat, caravan_game};
use terrane::client::player::Player;
use terrane::ids::PlayerId;
use terrane::prelude::*;
use terrane::reward::{AssetClass, CommitBatch, MutationPlan, Name, Submission};
use terrane::store::game::GameStore;
use terrane::store::operator::{Watch, verify};
use terrane::store::{PlanOutcome, Store, StoreError};
use terrane::testing::TestWorld;
use terrane_faulty_disk::Disk;

use crate::ending::{ends, wanted};
use crate::failing::{faults, for_each};
use crate::save::{Place, files_in, identity};

/// All that the game asks the store for, as its claims call it.
const USE_CASES: [&str; 20] = [
    "count",
    "welcome",
    "create-character",
    "delete-character",
    "level",
    "learn",
    "wear",
    "take-off",
    "treat",
    "buy",
    "sell",
    "bounty",
    "hire",
    "pay-off",
    "mend",
    "errand",
    "battle",
    "rounds",
    "prices",
    "netting",
];
/// Players, and how long they play at most until all of it has happened.
const PLAYERS: u64 = 40;
const TICKS_MAX: u64 = 12_500;

/// Every table, row by row.
type Dump = BTreeMap<String, Vec<String>>;

/// What was played, and what a healthy save holds of it.
struct Played {
    assets: BTreeMap<Name, AssetClass>,
    game: GameStore,
    batches: Vec<CommitBatch>,
    /// What was told of each batch.
    told: Vec<Vec<PlanOutcome>>,
    /// Of each use case the batch in which it was carried out first, the files before it, and what the save holds from there on
    /// after each of the batches that are looked at.
    cases: BTreeMap<&'static str, Case>,
}

struct Case {
    first: usize,
    files: BTreeMap<String, Vec<u8>>,
    dumps: Vec<Dump>,
}

/// Batches of a case: the one with the use case, and another one upon it.
const BATCHES: usize = 2;

fn roads() -> Roads {
    Roads::shipped()
}

/// Lets bots play until each use case was committed.
fn play() -> (TestWorld, Vec<CommitBatch>) {
    let settings = WorldSettings { npcs: Some(60), ..WorldSettings::default() };
    let mut world = TestWorld::new(caravan_game(ServerBuilder::default(), roads()), settings);
    world.players_mut().keep_batches();
    let map = Arc::new(BotMap::shipped());
    let clients: Vec<_> = (0..PLAYERS).map(|number| world.connect(name_of(number).as_str())).collect();
    let mut brains: Vec<_> =
        (0..PLAYERS).map(|number| BotBrain::new(BotProfile::Trade, map.clone(), 7, number)).collect();
    let mut missing: BTreeSet<&str> = USE_CASES.into();
    let (mut seen, mut stands) = (0, false);
    for tick in 1..=TICKS_MAX {
        for (brain, &client) in brains.iter_mut().zip(&clients) {
            brain.think(&mut world[client], tick);
        }
        for (number, &client) in clients.iter().enumerate() {
            do_what_bots_do_not(&mut world[client], number as u64, tick + 7 * number as u64);
        }
        world.tick();
        let batches = world.players().batches();
        for submission in batches[seen..].iter().flat_map(|batch| &batch.plans) {
            let name = submission.plan.use_case.as_str();
            assert!(USE_CASES.contains(&name), "{name} is to be carried out on failing disks too");
        }
        seen = batches.len();
        if tick.is_multiple_of(50) {
            // What was only asked for, and refused, is not there.
            for row in world.players().bank().query("SELECT DISTINCT use_case FROM claim") {
                missing.remove(row[0].as_str());
            }
            // An errand goes with its character: one is to be there at the end.
            stands = !world.players().bank().query("SELECT player FROM game_caravan_errand").is_empty();
            if missing.is_empty() && stands {
                break;
            }
        }
    }
    assert!(missing.is_empty() && stands, "in {TICKS_MAX} ticks nobody came to: {missing:?}");
    let batches = world.players().batches().to_vec();
    (world, batches)
}

fn name_of(number: u64) -> PlayerId {
    PlayerId::new(&format!("bot {number}")).expect("a name")
}

/// Whatever is refused here happens another time.
fn do_what_bots_do_not(player: &mut Player, number: u64, turn: u64) {
    if turn.is_multiple_of(50) {
        let _ = player.act(&Treat { item: ItemId::new("bandage").expect("a name"), count: 1 });
    }
    if turn.is_multiple_of(300) {
        let slots = [Slot::Hand, Slot::Body, Slot::Head, Slot::Beast];
        let _ = player.act(&TakeOff { slot: slots[(turn / 300) as usize % slots.len()] });
    }
    // Half of them keep theirs, and what they have: who begins anew has little to trade with.
    if turn.is_multiple_of(2_500) && number % 2 == 1 {
        let _ = player.act(&DeleteCharacter { name: name_of(number) });
    }
}

static PLAYED: LazyLock<Played> = LazyLock::new(|| {
    let (world, batches) = play();
    let server = world.server();
    let assets = server.reward_tables().assets().map(|(name, class)| (name.clone(), class.clone())).collect();
    let mut played = Played {
        assets,
        game: server.game_store().clone(),
        batches,
        told: Vec::new(),
        cases: BTreeMap::new(),
    };
    let place = Place::empty();
    let mut store = Some(played.open(&place.folder).unwrap());
    let mut after = Vec::new();
    for at in 0..played.batches.len() {
        // The use cases that may be carried out in this batch for the first time.
        let plans = &played.batches[at].plans;
        let here = |name: &&str| plans.iter().any(|it| it.plan.use_case.as_str() == *name);
        let new: Vec<&str> =
            USE_CASES.into_iter().filter(here).filter(|name| !played.cases.contains_key(name)).collect();
        let before = (!new.is_empty()).then(|| {
            drop(store.take());
            (files_in(&place.folder), dump(&place.folder))
        });
        let store = store.get_or_insert_with(|| played.open(&place.folder).unwrap());
        let told = store.commit(&played.batches[at]).unwrap();
        if let Some((files, dump)) = before {
            let is_done = |number: u64| told.iter().any(|it| it.number == number && it.result.is_ok());
            for name in new {
                let mut plans = plans.iter().filter(|it| it.plan.use_case.as_str() == name);
                if plans.any(|it| is_done(it.number)) {
                    let case = Case { first: at, files: files.clone(), dumps: vec![dump.clone()] };
                    played.cases.insert(name, case);
                }
            }
        }
        after.push(told);
        for case in played.cases.values_mut().filter(|case| case.dumps.len() <= BATCHES) {
            case.dumps.push(dump(&place.folder));
        }
    }
    assert_eq!(played.cases.len(), USE_CASES.len(), "each was carried out");
    played.told = after;
    played
});

impl Played {
    fn open(&self, folder: &Path) -> Result<Store, StoreError> {
        let (mut store, _) = Store::create_or_open(folder, &identity())?;
        store.adopt_assets(&self.assets)?;
        store.adopt_game(self.game.clone())?;
        Ok(store)
    }

    /// The batches of a case, and what was told of them.
    fn batches_of(&self, case: &Case) -> impl Iterator<Item = (&CommitBatch, &Vec<PlanOutcome>)> {
        let range = case.first..(case.first + case.dumps.len() - 1);
        self.batches[range.clone()].iter().zip(&self.told[range])
    }

    /// Carries the case's batches out until one fails; gives how many were told as done.
    fn carry_out(&self, case: &Case, store: &mut Store) -> usize {
        let mut done = 0;
        for (batch, told) in self.batches_of(case) {
            match store.commit(batch) {
                Ok(outcomes) => assert_eq!(&outcomes, told),
                Err(error) => {
                    assert!(error.is_retryable(), "{error} passes when the disk is mended");
                    break;
                }
            }
            done += 1;
        }
        done
    }

    /// Looks at a save in which so many batches of the case were told as done, and asks again for all of them.
    fn check(&self, case: &Case, folder: &Path, done: usize, what: &str) {
        let mut store = self.open(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = dump(folder);
        let at = case.dumps.iter().position(|dump| *dump == found);
        let at = at
            .unwrap_or_else(|| panic!("{what}: something is half there: {}", difference(case, done, &found)));
        assert!(at >= done, "{what}: {done} batches were told as done, and {at} are there");
        for (place, (batch, told)) in self.batches_of(case).enumerate() {
            let again = store.commit(batch).unwrap_or_else(|error| panic!("{what}: {error}"));
            for (again, told) in again.iter().zip(told) {
                // Only what was refused is planned anew.
                let is_repeat = place < at && told.result.is_ok();
                assert_eq!(again.is_repeat, is_repeat || told.is_repeat, "{what}: {again:?}");
                assert_eq!(again.result.is_ok(), told.result.is_ok(), "{what}: {again:?}");
                if told.result.is_ok() {
                    assert_eq!(again.result, told.result, "{what}: asked again, it is told the same");
                }
            }
        }
        drop(store);
        assert_eq!(dump(folder), case.dumps[case.dumps.len() - 1], "{what}: asked again");
        let verified = verify(folder, &self.game, &Watch::nobody()).unwrap();
        assert!(verified.problems.is_empty(), "{what}: {:?}", verified.problems);
    }
}

/// The tables in which something is otherwise than after so many batches.
fn difference(case: &Case, done: usize, found: &Dump) -> String {
    let wanted = &case.dumps[done];
    let tables = wanted.keys().filter(|table| wanted.get(*table) != found.get(*table));
    tables.cloned().collect::<Vec<_>>().join(", ")
}

fn dump(folder: &Path) -> Dump {
    let save = Connection::open(folder.join("world.db")).unwrap();
    let mut tables = save
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let rows_of = |table: String| {
        let mut all = save.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = all.column_count();
        let mut rows: Vec<String> = all
            .query_map([], |row| {
                let values: Vec<Value> = (0..columns).map(|at| row.get(at)).collect::<Result<_, _>>()?;
                Ok(format!("{values:?}"))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        rows.sort_unstable();
        (table, rows)
    };
    tables.into_iter().map(rows_of).collect()
}

/// D5, F11, E2: whichever call to the disk fails while a player's use case is carried out, once or for good, and the process with it.
#[test]
fn every_use_case_of_the_game_is_whole_or_absent_whichever_call_fails() {
    for (name, case) in &PLAYED.cases {
        let begin = |fault| {
            let place = Place::with(&case.files);
            let mut store = PLAYED.open(&place.folder).unwrap();
            place.disk.begin_anew();
            if let Some(fault) = fault {
                place.disk.fail(fault);
            }
            let done = PLAYED.carry_out(case, &mut store);
            drop(store);
            let hits = place.disk.heal();
            assert_eq!(fault.is_some(), hits > 0, "{name}: {fault:?}");
            // What a look at it calls for is not to fail.
            if fault.is_some() {
                PLAYED.check(case, &place.folder, done, &format!("{name}, {fault:?}"));
            }
            place
        };
        let healthy = begin(None);
        let faults = faults(|call| healthy.disk.calls(call));
        assert!(faults.len() > 20, "{name}: only {} faults", faults.len());
        for_each(&faults, |fault| drop(begin(Some(*fault))));
    }
}

/// Batches as another process can read them: tick, time, and plans with their numbers.
type Written = Vec<(u64, u64, Vec<(u64, MutationPlan)>)>;

fn write_batches<'b>(batches: impl Iterator<Item = &'b CommitBatch>, folder: &Path) {
    let plans = |batch: &CommitBatch| {
        batch.plans.iter().map(|submission| (submission.number, (*submission.plan).clone())).collect()
    };
    let written: Written = batches.map(|batch| (batch.tick.0, batch.now_ms, plans(batch))).collect();
    std::fs::write(folder.join("batches"), serde_json::to_vec(&written).unwrap()).unwrap();
}

fn read_batches(folder: &Path) -> Vec<CommitBatch> {
    let bytes = std::fs::read(folder.join("batches")).expect("they are left there");
    let written: Written = serde_json::from_slice(&bytes).expect("as they were written");
    let submission = |(number, plan)| Submission { number, plan: Arc::new(plan) };
    let batch = |(tick, now_ms, plans): (u64, u64, Vec<_>)| {
        let plans = plans.into_iter().map(submission).collect();
        CommitBatch { tick: TickNumber(tick), now_ms, plans }
    };
    written.into_iter().map(batch).collect()
}

/// Not a test: the process that ends, started by the other one.
#[test]
#[ignore = "the other test runs it in a process of its own"]
fn a_process_that_ends() {
    let Some((folder, point)) = wanted() else { return };
    let folder = folder.as_path();
    let batches = read_batches(folder);
    let disk = Disk::below(folder);
    let game = caravan_game(ServerBuilder::default(), roads());
    let (mut store, _) = Store::create_or_open(folder, &identity()).unwrap();
    store.adopt_assets(terrane::caravan::Lore::shipped().reward_tables().assets()).unwrap();
    store.adopt_game(game.game_store()).unwrap();
    disk.crash(point);
    for (at, batch) in batches.iter().enumerate() {
        store.commit(batch).expect("it is done, or the process ends");
        std::fs::write(folder.join("done"), (at + 1).to_string()).expect("it is ours");
    }
}

/// D4, F11, E2: the same, wherever the process ends: at each write and sync of the log, before it and after it.
#[test]
fn every_use_case_of_the_game_is_whole_or_absent_wherever_the_process_ends() {
    let all: Vec<(&str, &Case)> = PLAYED.cases.iter().map(|(name, case)| (*name, case)).collect();
    for_each(&all, |(name, case)| {
        let mut ended = 0;
        for point in ["log write before", "log write after", "log sync before", "log sync after"] {
            let mut nth = 1;
            loop {
                let place = Place::with(&case.files);
                write_batches(PLAYED.batches_of(case).map(|(batch, _)| batch), &place.folder);
                let at = format!("{point} {nth}");
                let has_ended = ends("caravan::a_process_that_ends", &place.folder, &at);
                let done = std::fs::read_to_string(place.folder.join("done")).unwrap_or_default();
                let what = format!("{name}, {at}");
                PLAYED.check(case, &place.folder, done.parse().unwrap_or(0), &what);
                if !has_ended {
                    break;
                }
                ended += 1;
                // Every one of the first, then ever fewer.
                nth += 1 + nth / 4;
            }
        }
        assert!(ended > 4, "{name}: only {ended} ended before");
    });
}

/// E12, F8: what is changed behind the game's back is named, in its own tables and in what its players hold.
#[test]
fn what_is_changed_in_the_save_of_a_played_game_is_named() {
    let place = Place::empty();
    let mut store = PLAYED.open(&place.folder).unwrap();
    for batch in &PLAYED.batches {
        store.commit(batch).unwrap();
    }
    drop(store);
    let files = files_in(&place.folder);
    let guards = "FROM asset WHERE name = 'guard'";
    let planted = [
        ("UPDATE game_caravan_stock SET opened = 0".to_owned(), "which is less than nothing"),
        ("DELETE FROM game_caravan_stock".to_owned(), "and there is no such store"),
        ("UPDATE game_caravan_errand SET done = done + 1".to_owned(), "game_caravan_errand bot "),
        (
            format!(
                "UPDATE holding SET amount = amount + 1 WHERE account > 0 AND asset = (SELECT id {guards})"
            ),
            "guard",
        ),
        (format!("DELETE FROM ledger WHERE asset = (SELECT id {guards})"), "guard"),
        ("UPDATE claim SET plan_hash = plan_hash + 1 WHERE use_case = 'battle'".to_owned(), "claim"),
    ];
    for (sql, named) in planted {
        let place = Place::with(&files);
        let save = Connection::open(place.folder.join("world.db")).unwrap();
        let changed = save.execute(&sql, []).unwrap();
        assert!(changed > 0, "{sql}: there is something to change");
        drop(save);
        let found = verify(&place.folder, &PLAYED.game, &Watch::nobody()).unwrap();
        let told: Vec<String> = found.problems.iter().map(|problem| format!("{problem:?}")).collect();
        assert!(!found.ok && told.iter().any(|problem| problem.contains(named)), "{sql}: {told:#?}");
    }
}
