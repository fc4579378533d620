//! Reference data in worlds: exchanged at a tick's edge, refused where they are wrong, written into the save, and looked after by
//! commands.
#![expect(clippy::disallowed_methods, reason = "tests of processes wait in real time")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::caravan_world;
use terrane::action::kinds::reason_of;
use terrane::caravan::{Buy, Good, Lore, Market, Purse, Quotes, Roads, Store as Shelf, TradeRefusal, Traded};
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::reference::{Reference, ReferenceFiles, ReferenceKind};
use terrane::store::{RunInfo, Store};
use terrane::testing::{ClientId, TestWorld};
use terrane::value::Desk;

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn files() -> ReferenceFiles {
    ReferenceFiles::shipped(Lore::FILES)
}

/// The files with another price of salt.
fn with_salt_at(silver: u32) -> ReferenceFiles {
    let goods = files().text("goods.toml").text().replacen("price = 8 ", &format!("price = {silver} "), 1);
    files().with("goods.toml", goods)
}

/// A world in which alice stands at a node and has silver.
fn world_of_alice() -> (TestWorld, ClientId) {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let alice = world.connect("anna");
    world.run(20);
    (world, alice)
}

/// What salt costs where a client is, as it is told.
fn salt(world: &TestWorld, client: ClientId) -> u32 {
    quotes(world, client).goods[&Good::Salt].silver
}

fn quotes(world: &TestWorld, client: ClientId) -> Quotes {
    let avatar = world[client].avatar().expect("she is in");
    world.component(client, avatar).expect("she sees what she is quoted")
}

/// What the node where she is has of salt.
fn shelf(world: &TestWorld, client: ClientId) -> Shelf {
    let node = quotes(world, client).node.expect("she is at one");
    let roads = Roads::shipped();
    let slug = &roads.node(node).slug;
    *world.server().node().resource::<Market>().store(slug, Good::Salt).expect("every node has one")
}

fn silver(world: &TestWorld, client: ClientId) -> u64 {
    let avatar = world[client].avatar().expect("she is in");
    *world.component::<Purse>(client, avatar).expect("she sees her purse").silver
}

fn written(world: &TestWorld) -> String {
    let rows = world.players().bank().query(
        "SELECT version, (SELECT count(*) FROM reference), (SELECT count(DISTINCT version) FROM reference) FROM reference_version",
    );
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row[1].as_str(), row[2].as_str()), ("151", "1"), "all rows are of one version");
    row[0].clone()
}

/// E7: what is ordered in the tick in which new prices come is done at them; what was under way is done at the price at which it
/// was planned.
#[test]
fn a_reload_changes_quotes_in_the_next_tick_and_what_is_under_way_keeps_its_version() {
    let (mut world, alice) = world_of_alice();
    let price = |world: &TestWorld, loads: u32| {
        let shelf = shelf(world, alice);
        shelf.terms.asked_of_players(shelf.loads, loads, shelf.taken.unsigned_abs())
    };
    let (cheap, first_told) = (price(&world, 2), salt(&world, alice));
    assert_eq!((shelf(&world, alice).terms.usual, silver(&world, alice)), (8, 500));
    let first = world.server().reference().expect("the game has some").version();
    assert_eq!(written(&world), first.to_string(), "after the start");
    let buy = |at_most| Buy { good: Good::Salt, loads: 2, at_most };

    // The store takes its time: the purchase is under way when the price changes.
    world.players_mut().set_delay_ticks(5);
    let planned = |world: &TestWorld| world.server().node().resource::<Desk>().counts.planned;
    let before = planned(&world);
    let old = world[alice].act(&buy(cheap)).expect("it is sent");
    while planned(&world) == before {
        world.tick();
    }
    let second = world.reload(with_salt_at(20)).expect("it is sound");
    world.tick();
    assert_eq!(world.server().reference().map(|reference| reference.version()), Some(second));
    assert_eq!((written(&world), reference_reloads(world.server().node())), (second.to_string(), 1));
    let told = salt(&world, alice);
    assert!(
        told * 8 / 20 == first_told && told > first_told,
        "the new price is told in the very tick: {told}"
    );
    let costs = price(&world, 2);
    let dear = world[alice].act(&buy(costs - 1)).expect("it is sent");
    let new = world[alice].act(&buy(costs)).expect("it is sent");
    world.run(30);
    // A refusal overtakes what waits for the store.
    let mut results: BTreeMap<_, _> = world[alice].replies().map(|reply| (reply.id, reply.result)).collect();
    let [old, dear, new] = [old, dear, new].map(|id| results.remove(&id).expect("it is answered"));
    let traded = |result: &Result<Vec<u8>, _>| {
        let bytes = result.as_ref().expect("it is done");
        let Traded { silver, loads, price, .. } =
            codec::decode::<Traded, 64>("an answer", bytes).expect("an answer");
        (silver, loads, price)
    };
    let left = 500 - 2 * u64::from(cheap);
    assert_eq!(traded(&old), (left, 2, cheap), "planned at the old price");
    let reason = reason_of::<Buy>(dear.as_ref().expect_err("it costs more"));
    assert_eq!(reason, Some(TradeRefusal::Price { silver: costs }));
    assert_eq!(traded(&new), (left - 2 * u64::from(costs), 4, costs));
    // What was bought for is what the tables of rewards say, too.
    let rewards = world.server().reference().and_then(|reference| reference.rewards().cloned());
    assert_eq!(
        rewards.as_ref().map(|rewards| rewards.version()),
        Some(world.server().reward_tables().version())
    );
}

/// E7: a bad file changes nothing, and every one of its faults is told.
#[test]
fn a_bad_reload_keeps_what_there_was() {
    let (mut world, alice) = world_of_alice();
    let first = world.server().reference().expect("the game has some").version();
    let before = salt(&world, alice);
    let told = world.reload(with_salt_at(0)).expect_err("salt is not free");
    assert_eq!(
        told,
        "goods.toml:6:9: good.salt.price is 0; expected a whole number from 1 to 100000; correct it"
    );
    world.run(2);
    assert_eq!((salt(&world, alice), written(&world)), (before, first.to_string()));
    assert_eq!(reference_reloads(world.server().node()), 0);
}

/// E7: how many loads a node trades and what is found in a box follow the files, in the same tick as prices.
#[test]
fn stores_and_boxes_follow_the_files() {
    let (mut world, alice) = world_of_alice();
    let stocks = files().text("stocks.toml").text().replace("quota = 200", "quota = 1");
    let loot = files().text("loot.toml").text().replacen("most = 60", "most = 61", 1);
    let before = world.server().reward_tables().version();
    world.reload(files().with("stocks.toml", stocks).with("loot.toml", loot)).expect("it is sound");
    world[alice].act(&Buy { good: Good::Glass, loads: 2, at_most: 100 }).expect("it is sent");
    world.run(5);
    let results: Vec<_> = world[alice].replies().map(|reply| reply.result).collect();
    let reason = reason_of::<Buy>(results[0].as_ref().expect_err("it trades one load"));
    assert!(matches!(reason, Some(TradeRefusal::QuotaUsed { left: 1, .. })), "{reason:?}");
    assert_ne!(world.server().reward_tables().version(), before);
}

/// E7, A13: what is exchanged comes through the tick's input alone, so the same inputs lead to the same world on every layout.
#[test]
fn a_reload_is_the_same_on_every_layout() {
    let play = |grid| {
        let mut world = caravan_world(WorldSettings { grid, ..WorldSettings::default() }, 60);
        world.run(40);
        world.reload(with_salt_at(20)).expect("it is sound");
        world.run(80).report.fingerprint
    };
    assert_eq!(play([1, 1]), play([3, 3]));
}

/// A folder with the game's configuration, of which files can be changed.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = "npcs = 5\nlisten = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nhz = 20\n";
        std::fs::write(folder.path().join("world.toml"), config).expect("it is written");
        let place = Self { folder };
        for file in Lore::FILES {
            place.write(file.name, file.shipped);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // As editors do: whoever reads meanwhile finds the old file or the new one.
        let beside = self.path("beside");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, self.path(name)))
            .expect("written");
    }

    fn salt_at(&self, silver: u32) {
        self.write("goods.toml", with_salt_at(silver).text("goods.toml").text());
    }

    fn save(&self) -> PathBuf {
        self.path("saves/world")
    }

    fn run(&self, args: &[&str]) -> Output {
        let output =
            Command::new(env!("CARGO_BIN_EXE_terrane")).args(args).current_dir(self.folder.path()).output();
        output.expect("the binary is built with its tests")
    }

    fn start(&self) -> World {
        let child = Command::new(env!("CARGO_BIN_EXE_terrane"))
            .args(["--config", "world.toml", "--report", "json"])
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(self.path("log")).expect("a log"))
            .spawn()
            .expect("the binary is built with its tests");
        let (save, pid) = (self.save(), child.id());
        wait_for("run.json", || RunInfo::read(&save).ok().flatten().filter(|info| info.pid == pid));
        World { child }
    }

    /// The version that the save says, and what salt costs there.
    fn written(&self) -> (String, u32) {
        let version = wait_for("the save", || {
            let mut store = Store::open(&self.save()).ok()?;
            store.reference_version().ok()?
        });
        let loaded = ReferenceKind::of::<Lore>().load(Some(self.folder.path())).expect("it is sound");
        assert_eq!(version, loaded.version().to_string());
        (version, loaded.data::<Lore>().expect("it is lore").usual_price(Good::Salt))
    }
}

/// A running world; killed with the test.
struct World {
    child: Child,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl World {
    /// Ends it in order, and gives its report.
    fn drain(mut self) -> Value {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there").success());
        let mut report = String::new();
        let mut stdout = self.child.stdout.take().expect("it is piped");
        std::io::Read::read_to_string(&mut stdout, &mut report).expect("a report");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        serde_json::from_str(report.lines().last().expect("a report")).expect("a line of JSON")
    }
}

fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it is text")
}

const FREE_SALT: &str =
    "goods.toml:6:9: good.salt.price is 0; expected a whole number from 1 to 100000; correct it";

/// E7: `config check` finds what is wrong with the files beside a configuration, named by it or by themselves; `config export` writes
/// them as JSON.
#[test]
fn files_are_checked_and_exported_by_command() {
    let place = Place::new();
    for file in ["world.toml", "loot.toml", "roads.toml"] {
        let checked = place.run(&["config", "check", file]);
        assert_eq!(checked.status.code(), Some(0), "{file}: {}", text(&checked.stderr));
    }
    let exported = place.run(&["config", "export", "out", "--config", "world.toml"]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    let goods = std::fs::read_to_string(place.path("out/good.json")).expect("it is written");
    let goods: Value = serde_json::from_str(&goods).expect("it is JSON");
    let version = ReferenceKind::of::<Lore>().load(None).expect("it is sound").version().to_string();
    assert_eq!((goods["kind"].as_str(), goods["version"].as_str()), (Some("good"), Some(version.as_str())));
    assert_eq!(goods["rows"]["salt"]["price"], 8);
    assert_eq!(std::fs::read_dir(place.path("out")).expect("a folder").count(), 9);

    place.salt_at(0);
    for file in ["world.toml", "goods.toml", "loot.toml"] {
        let checked = place.run(&["config", "check", file, "--json"]);
        assert_eq!(checked.status.code(), Some(2), "{file}");
        assert_eq!(text(&checked.stderr), format!("error: {FREE_SALT}\n"), "{file}");
        let json: Value = serde_json::from_slice(&checked.stdout).expect("it is JSON");
        assert_eq!(
            (json["ok"].as_bool(), json["problems"][0]["key"].as_str()),
            (Some(false), Some("good.salt.price"))
        );
    }
    place.write("world.toml", "npcs = -1\n");
    let checked = place.run(&["config", "check", "world.toml"]);
    let told = text(&checked.stderr);
    assert!(told.contains("npcs") && told.contains(FREE_SALT), "all of it at once: {told}");
    let missing = place.run(&["config", "check", "elsewhere/goods.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("there is no such file"));
    let exported = place.run(&["config", "export", "out", "--config", "goods.toml"]);
    assert_eq!(exported.status.code(), Some(2));
    assert!(text(&exported.stderr).contains(FREE_SALT));
}

/// E7: a world does not start with a bad file, and leaves nothing behind.
#[test]
fn a_world_does_not_start_with_a_bad_file() {
    let place = Place::new();
    place.salt_at(0);
    place.write("skills.toml", "");
    let run = place.run(&["--config", "world.toml", "--ticks", "1"]);
    assert_eq!(run.status.code(), Some(2));
    let told = text(&run.stderr);
    assert!(
        told.contains(FREE_SALT) && told.contains("skills.toml:1:1: the file is without `skill`"),
        "{told}"
    );
    assert!(!place.save().exists());
}

/// E7: a running world follows a file that changes, and an order; a bad file is refused to whoever ordered it and in the log, and
/// what there was stays, in the world and in the save.
#[test]
fn a_running_world_follows_its_files_and_refuses_bad_ones() {
    let place = Place::new();
    let world = place.start();
    let reload = || place.run(&["config", "reload", "saves/world", "--json"]);
    let outcome = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).expect("it is JSON") };
    let unchanged = reload();
    assert_eq!(unchanged.status.code(), Some(0), "{}", text(&unchanged.stderr));
    let first = outcome(&unchanged)["version"].as_str().expect("a version").to_owned();
    assert!(outcome(&unchanged)["text"].as_str().is_some_and(|text| text.contains("say nothing new")));

    // By order, at once.
    place.salt_at(20);
    let changed = reload();
    assert_eq!(changed.status.code(), Some(0), "{}", text(&changed.stderr));
    let second = outcome(&changed)["version"].as_str().expect("a version").to_owned();
    assert_ne!(first, second);

    // A bad one: told with file, line and key, and nothing changes.
    place.salt_at(0);
    let refused = reload();
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(told.contains(FREE_SALT) && told.contains(&format!("version {second} stays")), "{told}");
    wait_for("the log", || {
        std::fs::read_to_string(place.path("log")).ok().filter(|log| log.contains(FREE_SALT))
    });

    // By itself.
    place.salt_at(30);
    let expected = ReferenceKind::of::<Lore>().load(Some(place.folder.path())).expect("sound").version();
    let in_log = format!("version {expected} takes the place of {second}");
    wait_for("the file to be seen", || {
        std::fs::read_to_string(place.path("log")).ok().filter(|log| log.contains(&in_log))
    });
    let report = world.drain();
    assert_eq!(report["reloads"], 2, "{report}");
    assert_eq!(place.written(), (expected.to_string(), 30));

    let stopped = reload();
    assert_eq!(stopped.status.code(), Some(1), "nothing runs there");
    assert_eq!(outcome(&stopped)["version"].as_str(), Some(expected.to_string().as_str()));

    // Started again with another file: it is written before the first tick.
    place.salt_at(8);
    place.start().drain();
    assert_eq!(place.written(), (first, 8));
    assert_eq!(place.run(&["verify", "saves/world"]).status.code(), Some(0));
}
