//! What operators do with the saves of real processes: verify, backup, compensations, stats, ranks and repair, of a world that runs and of
//! one that does not.
//!
//! The world runs in a child process: this test binary again.

#[path = "support/child_world.rs"]
mod child_world;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use child_world::{World, wait_for};
use serde_json::Value;
use terrane::cli;
use terrane::client::Player;
use terrane::driver::WorldServer;
use terrane::prelude::*;
use terrane::replication::Schema;
use terrane::reward::{
    AffectedDomains, AssetClass, Claim, ClaimKey, CommitBatch, Lot, Mutation, MutationPlan, Name,
    Participant, Submission,
};
use terrane::store::Store;

const SAVES: &str = "TERRANE_TEST_OPERATOR_SAVES";

/// What a player shows of what it holds.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Purse {
    #[sync(broadcast)]
    silver: Settled<u64>,
}

impl Settles for Purse {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.silver, holdings.amount(&"silver".into()));
    }
}

#[derive(Debug)]
struct Purses;

impl Plugin for Purses {
    fn build(&self, app: &mut App) {
        app.replicate::<Purse>().settles::<Purse>();
    }
}

/// Not a test of its own: the world that the cases below run in a child process.
#[test]
#[ignore = "run by the other tests of this file, as a child process"]
fn child_world() {
    let Ok(saves) = std::env::var(SAVES) else { return };
    let args = ["terrane", "--saves", &saves, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let exit = WorldServer::from_command(cli::parse(args))
        .add_cell_plugins(Purses)
        .setup(|builder, _, _| {
            Ok(builder
                .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(100.0, 100.0, 0.0), Purse::default())))
        })
        .run();
    std::process::exit(match exit {
        AppExit::Success => 0,
        AppExit::Error(code) => i32::from(code.get()),
    });
}

/// The world below that folder.
fn start(saves: &Path) -> World {
    World::start(saves, &[(SAVES, saves.to_str().expect("text"))])
}

/// What the world's clients must know.
fn schema() -> Arc<Schema> {
    let game = ServerBuilder::default().add_cell_plugins(Purses).learn().expect("sound");
    Arc::new(game.schema.clone())
}

fn silver_of(player: &mut Player) -> Option<u64> {
    player.tick(Duration::from_millis(10));
    let schema = player.schema().clone();
    let avatar = player.view().get(player.avatar()?)?;
    Some(*avatar.component::<Purse>(&schema)?.silver)
}

/// (exit code, stdout, stderr) of a command.
fn terrane(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_terrane")).args(arguments).output().expect("the binary is built");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// The same, with `--json`: the exit code and the one object.
#[track_caller]
fn asked(arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = terrane(&[arguments, &["--json"]].concat());
    assert_eq!(out.trim_end().lines().count(), 1, "{arguments:?}: one line: {out}{err}");
    (code, serde_json::from_str(&out).expect("one JSON object"))
}

fn silver(amount: u64, number: u64) -> Submission {
    let alice = Account::Player(PlayerId::new("alice").expect("a name"));
    let transfer = Mutation::Transfer {
        asset: "silver".into(),
        lot: Lot::PLAIN,
        from: Account::house("mint"),
        to: alice.clone(),
        amount,
        cap: None,
    };
    let plan = MutationPlan {
        use_case: "gift".into(),
        claim: Claim::new(alice.clone(), ClaimKey::named("gift", &number.to_le_bytes()), b"gift"),
        tables: 1,
        now_ms: 1_800_000_000_000,
        participants: vec![Participant { account: alice, version: 0 }],
        mutations: vec![transfer],
        domains: AffectedDomains::CURRENCIES,
        lines: Vec::new(),
    };
    Submission { number, plan: Arc::new(plan) }
}

/// A save in which alice has 5 silver, and two gifts of 13 wait for an operator.
fn prepare(save: &Path) {
    let mut store = Store::open(save).expect("it is stopped");
    let class = AssetClass::Currency { cap: 1_000 };
    store.adopt_assets([(&Name::from("silver"), &class)]).expect("it is written");
    let batch = |plans| CommitBatch { tick: terrane::ids::TickNumber(1), now_ms: 1_800_000_000_000, plans };
    assert!(store.commit(&batch(vec![silver(5, 1)])).expect("it is written")[0].result.is_ok());
    let file = rusqlite::Connection::open(save.join("world.db")).expect("it is there");
    file.execute_batch(
        "CREATE TRIGGER hostile BEFORE INSERT ON ledger WHEN NEW.amount = 13
             BEGIN SELECT abs(NEW.amount - 9223372036854775807 - 14); END",
    )
    .expect("it is ours");
    let outcomes = store.commit_apart(&batch(vec![silver(13, 2), silver(13, 3)])).expect("they are kept");
    assert!(outcomes.iter().all(|outcome| outcome.result.is_err()));
    file.execute_batch("DROP TRIGGER hostile").expect("it is ours");
}

/// E6, E12, H4: a live world is verified, counted and copied while it runs, and what failed in it for good is tried again by its own
/// store, so that who is in it sees what it got; the copy runs as a world of its own.
#[test]
fn a_live_world_is_verified_copied_counted_and_compensated() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let saves = parent.path().join("saves");
    let world = start(&saves);
    let save = world.save.clone();
    world.drain();
    prepare(&save);
    let folder = save.to_str().expect("text");

    let (code, list) = asked(&["compensations", folder, "list"]);
    let waiting = list["compensations"].as_array().expect("a list");
    assert_eq!((code, waiting.len(), &waiting[0]["kind"]), (Some(0), 2, &"plan".into()), "{list}");
    let ids: Vec<String> = waiting.iter().map(|waits| waits["number"].to_string()).collect();

    let world = start(&saves);
    let mut alice = world.joined("alice", schema());
    wait_for("5 silver", || (silver_of(&mut alice)? == 5).then_some(()));
    let (code, stats) = asked(&["stats", folder]);
    assert_eq!(
        (code, &stats["live"], &stats["compensations"]),
        (Some(0), &true.into(), &2.into()),
        "{stats}"
    );
    wait_for("somebody online", || (asked(&["stats", folder]).1["online"] == 1).then_some(()));
    assert_eq!(stats["assets"][0]["circulating"], 5);
    let (code, ranks) = asked(&["ranks", folder, "--top", "1"]);
    let best = serde_json::json!({ "name": "silver", "best": [["alice", 5]] });
    assert!(code == Some(0) && ranks["assets"].as_array().expect("a list").contains(&best), "{ranks}");
    let (code, none) = asked(&["ranks", folder, "--asset", "gold"]);
    assert_eq!(code, Some(1), "{none}");
    assert_eq!(stats["houses"][0]["holds"], serde_json::json!([["silver", -5]]));

    let (code, done) = asked(&["compensations", folder, "retry", &ids[0]]);
    assert_eq!((code, &done["done"], &done["live"]), (Some(0), &true.into(), &true.into()), "{done}");
    wait_for("18 silver", || (silver_of(&mut alice)? == 18).then_some(()));
    let (code, again) = asked(&["compensations", folder, "retry", &ids[0]]);
    assert_eq!((code, &again["done"]), (Some(1), &false.into()), "it waits no more: {again}");
    assert_eq!(terrane(&["compensations", folder, "discard", &ids[1]]).0, Some(2), "not without a reason");
    let why = "paid out by hand";
    let (code, _, told) = terrane(&["compensations", folder, "discard", &ids[1], "--why", why]);
    assert!(code == Some(0) && told.contains("is discarded"), "{told}");

    let copy = parent.path().join("backups").join("monday");
    let dest = copy.to_str().expect("text");
    let (code, backup) = asked(&["backup", folder, dest]);
    assert_eq!((code, &backup["live"]), (Some(0), &true.into()), "{backup}");
    let (code, _, told) = terrane(&["backup", folder, dest]);
    assert!(code == Some(2) && told.contains("already"), "{told}");
    let (code, verified) = asked(&["verify", folder]);
    assert_eq!(
        (code, &verified["ok"], &verified["live"]),
        (Some(0), &true.into(), &true.into()),
        "{verified}"
    );
    assert_eq!(verified["totals"]["claims"], 2);
    let (code, _, told) = terrane(&["repair", folder]);
    assert!(code == Some(2) && told.contains("in use by process"), "{told}");
    drop(alice);
    world.drain();

    let (code, verified) = asked(&["verify", dest]);
    assert_eq!((code, &verified["live"]), (Some(0), &false.into()), "{verified}");
    std::fs::create_dir(parent.path().join("again")).expect("it is ours");
    std::fs::rename(&copy, parent.path().join("again").join("world")).expect("it is ours");
    let restored = start(&parent.path().join("again"));
    let mut alice = restored.joined("alice", schema());
    wait_for("18 silver", || (silver_of(&mut alice)? == 18).then_some(()));
    drop(alice);
    restored.drain();

    let mut store = Store::open(&save).expect("it is stopped");
    let records: Vec<String> =
        store.audit_rows(9).unwrap().into_iter().map(|row| format!("{} {}", row.what, row.detail)).collect();
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records[0].starts_with("compensation discard paid out by hand: "), "{records:?}");
    assert!(records[1].starts_with("compensation retry the plan of player alice"), "{records:?}");
}

/// E6, E12, H4: the same of a world that does not run; what is wrong with it is named, mended and gone.
#[test]
fn a_stopped_world_is_verified_repaired_and_compensated() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let saves = parent.path().join("saves");
    let world = start(&saves);
    let save = world.save.clone();
    world.drain();
    prepare(&save);
    let folder = save.to_str().expect("text");
    let (code, done) = asked(&["compensations", folder, "retry", "1"]);
    assert_eq!((code, &done["done"], &done["live"]), (Some(0), &true.into(), &false.into()), "{done}");
    let (code, done) = asked(&["compensations", folder, "discard", "2", "--why", "enough"]);
    assert_eq!((code, &done["done"]), (Some(0), &true.into()), "{done}");
    assert_eq!(terrane(&["compensations", folder, "retry", "2"]).0, Some(1));
    let (_, _, told) = terrane(&["compensations", folder, "list"]);
    assert!(told.contains("nothing waits"), "{told}");

    rusqlite::Connection::open(save.join("world.db"))
        .and_then(|file| file.execute_batch("UPDATE holding SET amount = 500 WHERE account > 0"))
        .expect("it is ours");
    let (code, found) = asked(&["verify", folder]);
    assert_eq!((code, &found["ok"]), (Some(1), &false.into()));
    let of_kind = |found: &Value, kind: &str| {
        let problems = found["problems"].as_array().expect("a list");
        problems.iter().find(|problem| problem["kind"] == kind).cloned().expect("it is named")
    };
    let balance = of_kind(&found, "balance");
    assert_eq!(
        (&balance["table"], &balance["key"]),
        (&"holding".into(), &"account=1 asset=1 expires_ms=0 instance=0".into())
    );
    assert_eq!(of_kind(&found, "conservation")["key"], "asset=1");
    let (code, _, told) = terrane(&["verify", folder]);
    assert!(
        code == Some(1) && told.contains("player alice holds 500 of silver, and the ledger comes to 18"),
        "{told}"
    );

    let (code, dry) = asked(&["repair", folder, "--dry-run"]);
    assert_eq!((code, &dry["ok"], &dry["backup"]), (Some(0), &true.into(), &Value::Null), "{dry}");
    assert_eq!(asked(&["verify", folder]).0, Some(1), "a dry run mends nothing");
    let (code, done) = asked(&["repair", folder]);
    assert_eq!((code, &done["ok"]), (Some(0), &true.into()), "{done}");
    let backup = done["backup"].as_str().expect("it was made");
    assert_eq!((asked(&["verify", backup]).0, asked(&["verify", folder]).0), (Some(1), Some(0)));
    let (code, stats) = asked(&["stats", folder]);
    assert_eq!((code, &stats["assets"][0]["circulating"]), (Some(0), &18.into()));

    let none = parent.path().join("none");
    let none = none.to_str().expect("text");
    for arguments in [
        &["verify", none][..],
        &["stats", none],
        &["repair", none],
        &["backup", none, "anywhere"],
        &["compensations", none, "list"],
        &["compensations", none, "retry", "1"],
    ] {
        let (code, out, err) = terrane(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains("not the save of a world"), "{arguments:?}: {err}");
    }
    let (code, answer) = asked(&["verify", none]);
    assert!(code == Some(2) && answer["ok"] == false && answer["error"].is_string(), "{answer}");
}
