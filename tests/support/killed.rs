//! A world in a process of its own, which is killed, and players who stay: after each kill they come back by themselves and ask again
//! for what was not answered.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "processes are started, killed and waited for in real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use terrane::client::reconnect::{UdpDial, UdpWay};
use terrane::client::{Player, Reconnect, ReconnectPolicy};
use terrane::ids::ActionId;
use terrane::net::Conditions;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::replication::Schema;
use terrane::store::operator::{Watch, verify};

use super::orchard::{APPLES, Pick, Picker, Receipt, Sell, TREES, orchard as game};

/// Where the world of the other process is to be.
const FOLDER: &str = "TERRANE_KILLED_WORLD";
/// What else it is told.
const ORDERS: &str = "TERRANE_KILLED_WORLD_ORDERS";
/// Where it is to listen.
const LISTEN: &str = "TERRANE_KILLED_WORLD_LISTEN";
pub const PLAYERS: usize = 6;
/// How many actions of each player are under way all the time.
const UNDER_WAY: usize = 4;
/// How long is waited for what must come, before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the test orders the other process to do, beside running the world.
pub fn wanted_orders() -> String {
    std::env::var(ORDERS).unwrap_or_default()
}

/// The folder of the world that this process is to run, if it is to.
pub fn wanted_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs the world of the other process to its end.
pub fn run_world(folder: &Path) {
    let listen = std::env::var(LISTEN).expect("said together with the folder");
    let config = folder.join("world.toml");
    let letters = folder.join("letters");
    let owner = move |letter: u64| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&letters);
        file.and_then(|mut file| file.write_all(format!("{letter}\n").as_bytes()))
            .map_err(|why| why.to_string())
    };
    let saves = folder.join("saves");
    let line = [
        "orchard", "run", "--name", "orchard", "--http", "off", "--hz", "60", "--grid", "1x1", "--log",
        "error",
    ];
    let paths =
        [("--config", config.as_os_str()), ("--saves", saves.as_os_str()), ("--listen", listen.as_ref())];
    let line = line.into_iter().map(Into::into);
    let line = line.chain(paths.into_iter().flat_map(|(flag, value)| [flag.into(), value.to_owned()]));
    let ended = WorldServer::from_command(terrane::cli::parse(line))
        .setup(move |builder, _, _| Ok(game(builder, owner)))
        .run();
    assert!(ended.is_success(), "{ended:?}");
}

/// The world in its process.
pub struct World {
    process: Child,
    address: SocketAddr,
}

impl World {
    /// Starts it, or starts it again, and waits until it says where it is; `None` when it ends before that. `orders` is for
    /// [`wanted_orders`].
    fn start(folder: &Path, listen: &str, orders: &str) -> Option<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("it is ours");
        let mut process = Command::new(std::env::current_exe().expect("this is a program"))
            .args(["--ignored", "--exact", "the_world", "--nocapture"])
            .env(FOLDER, folder)
            .env(LISTEN, listen)
            .env(ORDERS, orders)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it runs");
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(folder.join("saves/orchard/run.json")).unwrap_or_default();
            let info: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            if info["pid"] == process.id() {
                let address =
                    info["shards"][0].as_str().and_then(|text| text.parse().ok()).expect("an address");
                return Some(Self { process, address });
            }
            if process.try_wait().expect("it is ours").is_some() {
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "the world does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has ended by itself.
    fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("it is ours").is_some()
    }

    fn kill(mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it is ours");
    }

    /// Ends it in order.
    fn end(mut self) {
        let kill = Command::new("kill").arg(self.process.id().to_string()).status().expect("there is a kill");
        assert!(kill.success());
        assert!(self.process.wait().expect("it is ours").success(), "it ends in order");
    }
}

/// A player, and what it was told.
pub struct Witness {
    pub player: Player,
    random: Xoshiro256PlusPlus,
    pub asked: BTreeMap<ActionId, u32>,
    pub receipts: BTreeMap<ActionId, Receipt>,
    pub refused: BTreeSet<ActionId>,
}

impl Witness {
    pub fn new(number: u64, address: SocketAddr, schema: &Arc<Schema>) -> Self {
        let name = PlayerId::new(&format!("picker {number}")).expect("a name");
        let way = UdpWay::Open { server: address, player: name };
        let mut dial = UdpDial::new(way, schema.hash(), terrane::VERSION, Conditions::default());
        let first = dial.first().expect("a socket");
        let policy = ReconnectPolicy {
            longest_wait: Duration::from_millis(200),
            from_the_start: true,
            ..ReconnectPolicy::default()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let player = Player::new(first, schema.clone(), number ^ now.as_nanos() as u64)
            .begun_at(now)
            .with_reconnect(Reconnect::new(dial, policy, number));
        let (asked, receipts, refused) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { player, random: Xoshiro256PlusPlus::seed_from_u64(number), asked, receipts, refused }
    }

    /// Lets time pass; gives how many answers came.
    pub fn turn(&mut self, elapsed: Duration, asks: bool) -> usize {
        self.player.receive(elapsed);
        assert_eq!(self.player.ended(), None, "it comes back whatever happens");
        let mut came = 0;
        for reply in self.player.replies() {
            came += 1;
            match &reply.result {
                Ok(bytes) => {
                    let receipt = codec::decode::<Receipt, 64>("receipt", bytes).expect("a receipt");
                    assert!(self.receipts.insert(reply.id, receipt).is_none(), "one answer to each");
                }
                Err(_) => assert!(self.refused.insert(reply.id), "one answer to each"),
            }
        }
        while asks && self.player.welcome().is_some() && self.player.unanswered() < UNDER_WAY {
            let tree = 1 + self.random.next_u32() % TREES;
            let asked = match self.random.next_u32() % 4 {
                0 => self
                    .player
                    .act(&Sell { apples: 1 + u64::from(self.random.next_u32() % 3) })
                    .map(|id| (id, 0)),
                _ => self.player.act(&Pick { tree }).map(|id| (id, tree)),
            };
            match asked {
                Ok((id, tree)) => drop(self.asked.insert(id, tree)),
                Err(_) => break,
            }
        }
        self.player.send();
        came
    }

    /// What must hold once everything is answered.
    pub fn check(&self) {
        let answered: BTreeSet<ActionId> = self.receipts.keys().chain(&self.refused).copied().collect();
        assert_eq!(answered, self.asked.keys().copied().collect(), "each is answered");
        // A change that was done twice, or done and never told, takes a number that nobody was told.
        let mut by_version: Vec<&Receipt> = self.receipts.values().collect();
        by_version.sort_by_key(|receipt| receipt.version);
        let versions: Vec<u64> = by_version.iter().map(|receipt| receipt.version).collect();
        assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>(), "each is done once");
        // What it shows is what the last change of each left.
        let last = |of: fn(&Receipt) -> Option<i64>| {
            by_version.iter().rev().find_map(|receipt| of(receipt)).unwrap_or(0)
        };
        let avatar = self.player.avatar().expect("in");
        let shown = self
            .player
            .view()
            .get(avatar)
            .and_then(|entity| entity.component::<Picker>(self.player.schema()));
        let shown = shown.expect("its own avatar");
        let held = (*shown.coins as i64, *shown.apples as i64);
        assert_eq!(held, (last(|receipt| receipt.coins), last(|receipt| receipt.apples)));
    }
}

/// A world that is killed under its players, and what they know.
pub struct Siege {
    folder: tempfile::TempDir,
    world: Option<World>,
    address: SocketAddr,
    pub witnesses: Vec<Witness>,
    clock: Instant,
    /// How often something was durable when the world ended of which nobody had been told.
    pub caught: u64,
}

impl Siege {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("world.toml"), "[save]\nimage_every_s = 1\n").expect("it is ours");
        let learnt = game(ServerBuilder::default(), |_| Ok(())).learn().expect("a sound game");
        let schema = Arc::new(learnt.schema.clone());
        let world = World::start(folder.path(), "127.0.0.1:0", "").expect("it starts");
        let address = world.address;
        let witnesses = (0..PLAYERS as u64).map(|number| Witness::new(number, address, &schema)).collect();
        Self { folder, world: Some(world), address, witnesses, clock: Instant::now(), caught: 0 }
    }

    /// Lets a moment pass; gives how many answers came.
    pub fn turn(&mut self, asks: bool) -> usize {
        std::thread::sleep(Duration::from_millis(3));
        let elapsed = self.clock.elapsed();
        self.clock += elapsed;
        self.witnesses.iter_mut().map(|witness| witness.turn(elapsed, asks)).sum()
    }

    /// Plays until so many answers have come, or the world has ended by itself: then `false`.
    pub fn play(&mut self, answers: usize) -> bool {
        let (mut came, began) = (0, Instant::now());
        while came < answers {
            came += self.turn(true);
            if self.world.as_mut().is_some_and(World::has_ended) {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "the world answers");
        }
        true
    }

    /// How much is asked and not answered.
    pub fn under_way(&self) -> usize {
        self.witnesses.iter().map(|witness| witness.player.unanswered()).sum()
    }

    /// Kills the world, if it is still there, and starts it again; `false` when it ends while it starts.
    pub fn kill_and_start(&mut self, orders: &str) -> bool {
        if let Some(world) = self.world.take() {
            world.kill();
        }
        let claims = self.look();
        let told: usize = self.witnesses.iter().map(|witness| witness.receipts.len()).sum();
        assert!(claims >= told, "{told} were acknowledged, and {claims} are there");
        self.caught += u64::from(claims > told);
        self.world = World::start(self.folder.path(), &self.address.to_string(), orders);
        // They would find out by its silence.
        self.witnesses.iter_mut().for_each(|witness| witness.player.cut(Duration::ZERO));
        self.world.is_some()
    }

    fn letters(&self) -> BTreeSet<u64> {
        let text = std::fs::read_to_string(self.folder.path().join("letters")).unwrap_or_default();
        text.lines().map(|line| line.parse().expect("a number")).collect()
    }

    /// How many apples were picked from that tree, or from all.
    fn picked(&self, tree: Option<u32>) -> usize {
        let of_tree = |witness: &Witness, id: &ActionId| {
            let asked = witness.asked[id];
            tree.map_or(asked > 0, |tree| asked == tree)
        };
        let of = |witness: &Witness| witness.receipts.keys().filter(|id| of_tree(witness, id)).count();
        self.witnesses.iter().map(of).sum()
    }

    /// Lets everything be answered, ends the world in order, and looks at everything.
    pub fn end_and_check(mut self) {
        let is_done = |witness: &Witness| witness.player.unanswered() == 0 && witness.player.is_complete();
        let began = Instant::now();
        while !self.witnesses.iter().all(is_done) {
            self.turn(false);
            assert!(began.elapsed() < PATIENCE, "everything is answered");
        }
        for _ in 0..30 {
            self.turn(false);
        }
        self.witnesses.iter().for_each(Witness::check);
        assert!(self.picked(Some(1)) <= APPLES as usize, "no more than the tree bore");
        let wanted = self.picked(None);
        assert!(wanted > 100 && self.witnesses.iter().any(|witness| !witness.refused.is_empty()));
        // Letters are delivered in the end, at least once each.
        let began = Instant::now();
        while self.letters().len() < wanted {
            self.turn(false);
            assert!(began.elapsed() < PATIENCE, "{} of {wanted} letters are there", self.letters().len());
        }
        assert_eq!(self.letters().len(), wanted, "none of what was never done");
        self.world.take().expect("it runs").end();
        assert_eq!(self.look(), wanted + self.sold(), "each is there once");
    }

    /// How many changes were acknowledged that picked no apple.
    fn sold(&self) -> usize {
        let of = |witness: &Witness| witness.receipts.keys().filter(|id| witness.asked[id] == 0).count();
        self.witnesses.iter().map(of).sum()
    }

    /// Looks through the save of the world that has ended: nothing is wrong with it. Gives how many claims are in it.
    fn look(&self) -> usize {
        let tables = game(ServerBuilder::default(), |_| Ok(())).game_store();
        let found = verify(&self.folder.path().join("saves/orchard"), &tables, &Watch::nobody());
        let found = found.expect("it can be read");
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        found.totals.claims as usize
    }
}
