//! H1: a game system that panics or hangs is named by tick, cell and system; nothing of the tick is saved; the
//! process ends with another exit code than 0.
//!
//! Each case runs a world in a child process: this test binary again, with the fault in an environment variable.
#![expect(clippy::disallowed_methods, reason = "tests of processes wait in real time")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use terrane::cli;
use terrane::client::Connection;
use terrane::config::{Settings, WorldConfig};
use terrane::driver::WorldServer;
use terrane::ids::PlayerId;
use terrane::net::Conditions;
use terrane::prelude::*;
use terrane::store::{Store, WorldIdentity};
use terrane::telemetry::WatchdogSettings;

const FAULT: &str = "TERRANE_TEST_FAULT";
const SAVES: &str = "TERRANE_TEST_SAVES";
/// Further flags, by blanks.
const FLAGS: &str = "TERRANE_TEST_FLAGS";
/// In which tick it goes wrong, where not in tick 30.
const FAULT_TICK: &str = "TERRANE_TEST_FAULT_TICK";
/// After how many milliseconds a tick that hangs ends the process, where not after the usual time.
const FATAL_MS: &str = "TERRANE_TEST_FATAL_MS";
/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Component, Clone, Default, Replicate)]
struct Thing {
    #[sync(broadcast)]
    number: u32,
}

struct Faulty;

impl Plugin for Faulty {
    fn build(&self, app: &mut App) {
        app.replicate::<Thing>().add_systems(Simulate, faulty_system);
    }
}

fn fault_tick() -> u64 {
    std::env::var(FAULT_TICK).map_or(30, |tick| tick.parse().expect("a number"))
}

fn faulty_system(context: Res<TickContext>, mut things: Query<(&Position, &mut Thing)>) {
    for (position, mut thing) in &mut things {
        thing.number += 1;
        if context.tick.0 < fault_tick() || position.0.x < 500.0 {
            continue;
        }
        match std::env::var(FAULT).as_deref() {
            Ok("panic") => panic!("the thing broke"),
            Ok("hang") => loop {
                std::thread::sleep(Duration::from_millis(50));
            },
            // A world that was resumed: every tick has happened once, and none by half.
            Ok("count") => {
                assert_eq!(u64::from(thing.number), context.tick.0, "ticks that {position:?} has seen")
            }
            _ => {}
        }
    }
}

/// Not a test of its own: the world that the cases below run in a child process.
#[test]
#[ignore = "run by the other tests of this file, as a child process"]
fn child_world() {
    let Ok(saves) = std::env::var(SAVES) else { return };
    let args = ["terrane", "--saves", &saves, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let flags = std::env::var(FLAGS).unwrap_or_default();
    let mut server = WorldServer::from_command(cli::parse(args.into_iter().chain(flags.split_whitespace())));
    if let Ok(fatal_ms) = std::env::var(FATAL_MS) {
        let fatal_after = Duration::from_millis(fatal_ms.parse().expect("a number"));
        server = server.watchdog(WatchdogSettings { unhealthy_after: fatal_after / 2, fatal_after });
    }
    let exit = server
        .add_cell_plugins(Faulty)
        .setup(|builder, _, _| {
            let builder = builder
                .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(100.0, 100.0, 0.0), Thing::default()));
            Ok(builder.populate(|world| {
                for x in [100.0, 700.0] {
                    let place = Vec3::new(x, 100.0, 0.0);
                    world.spawn(SpawnRequest::new(NetId::WORLD, place, Thing::default()));
                }
            }))
        })
        .run();
    std::process::exit(match exit {
        AppExit::Success => 0,
        AppExit::Error(code) => i32::from(code.get()),
    });
}

fn start(fault: &str, saves: &Path, flags: &str) -> Child {
    start_with(fault, saves, flags, &[])
}

fn start_with(fault: &str, saves: &Path, flags: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().expect("a test knows itself"))
        .args(["--exact", "child_world", "--ignored", "--nocapture"])
        .env(FAULT, fault)
        .env(SAVES, saves)
        .env(FLAGS, flags)
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test binary starts again")
}

fn wait(mut child: Child) -> (Option<i32>, String) {
    let mut text = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
    (child.wait().expect("it ended").code(), text)
}

/// What run.json says, once it is there.
fn run_info(saves: &Path) -> Option<serde_json::Value> {
    serde_json::from_str(&std::fs::read_to_string(saves.join("world/run.json")).ok()?).ok()
}

fn http_address(saves: &Path) -> Option<SocketAddr> {
    run_info(saves)?["http"].as_str()?.parse().ok()
}

/// Asks again and again until there is an answer.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn status_of(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let saves = parent.path().join("saves");
    (parent, saves)
}

/// Sends a signal by its name, as an operator would.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
}

#[test]
fn a_panicking_system_is_named_with_tick_and_cell_and_the_process_fails() {
    let (_parent, saves) = folder();
    let (code, text) = wait(start("panic", &saves, "--hz 60"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("faulty_system"), "the system is named: {text}");
    assert!(text.contains("w0/3,0@0"), "the cell is named: {text}");
    assert!(text.contains("tick 30"), "the tick is named: {text}");
    assert!(text.contains("the thing broke"), "the reason is told: {text}");
    assert!(!saves.join("world/run.json").exists(), "run.json is removed at the end");
}

/// H1: the tick that panics asks for an image itself, of the state before its systems run. Neither that one nor
/// anything of the tick is in the save, and the world that goes on from it has seen every tick once.
#[test]
fn nothing_of_a_tick_that_panics_is_in_the_save() {
    let (parent, saves) = folder();
    let config = parent.path().join("world.toml");
    std::fs::write(&config, "hz = 10\n[save]\nimage_every_s = 1\n").unwrap();
    let flags = format!("--fast --config {}", config.display());
    // Images are made in ticks 11, 21 and 31.
    let (code, text) = wait(start_with("panic", &saves, &flags, &[(FAULT_TICK, "31")]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("tick 31"), "{text}");

    let settings =
        Settings::resolve(&Default::default(), Some(&WorldConfig::load(&config).unwrap())).unwrap();
    let folder = saves.join("world");
    let (mut store, record) =
        Store::create_or_open(&folder, &WorldIdentity::from(&settings.world)).expect("the save is whole");
    assert!(!record.is_new);
    let image = store.newest_image().expect("it is whole").expect("ten ticks are a second");
    assert_eq!(image.tick.0, 21, "the image before the tick that panicked");
    drop(store);

    let (code, text) = wait(start("count", &saves, &format!("{flags} --ticks 40")));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("goes on at tick 21"), "{text}");
}

#[test]
fn a_hanging_system_turns_healthz_503_and_is_named() {
    let (_parent, saves) = folder();
    let mut child = start("hang", &saves, "--hz 60");
    let mut seen = Vec::new();
    for _ in 0..300 {
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = http_address(&saves).and_then(|address| status_of(address, "/healthz")) {
            seen.push(status);
            if status == 503 {
                break;
            }
        }
    }
    child.kill().expect("the child of this test");
    let (_, text) = wait(child);
    assert_eq!(seen.last(), Some(&503), "{seen:?} {text}");
    assert!(text.contains("faulty_system"), "the system is named: {text}");
    assert!(text.contains("w0/3,0@0"), "the cell is named: {text}");
    assert!(text.contains("tick 30"), "the tick is named: {text}");
}

/// H1: a tick that never ends ends the process, which leaves no run.json to look for it by.
#[test]
fn a_system_that_hangs_for_too_long_ends_the_process_with_a_failure() {
    let (_parent, saves) = folder();
    let (code, text) = wait(start_with("hang", &saves, "--hz 60", &[(FATAL_MS, "1000")]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("giving up: tick 30"), "{text}");
    assert!(text.contains("faulty_system"), "the system is named: {text}");
    assert!(saves.join("world/world.db").exists(), "the world was there");
    assert!(!saves.join("world/run.json").exists(), "run.json is gone");
}

/// The first signal drains, which waits for a player who does not listen; the second ends the process at once.
#[test]
fn a_second_signal_does_not_wait_for_the_drain() {
    let (_parent, saves) = folder();
    let mut child = start("none", &saves, "--hz 60");
    let info = wait_for("run.json", || run_info(&saves));
    let server: SocketAddr = info["shards"][0].as_str().expect("a shard").parse().expect("an address");
    let http = http_address(&saves).expect("HTTP is on");
    let schema = ServerBuilder::default().add_cell_plugins(Faulty).learn().expect("sound").schema.hash();
    let alice = PlayerId::new("alice").expect("a name");
    let mut client =
        Connection::open(server, alice, schema, terrane::VERSION, Conditions::default()).unwrap();
    wait_for("the welcome", || {
        client.update(Duration::from_millis(10));
        client.poll();
        client.flush();
        (client.epoch() > 0).then_some(())
    });
    signal(&child, "INT");
    wait_for("the drain", || (status_of(http, "/readyz") == Some(503)).then_some(()));
    assert_eq!(child.try_wait().expect("it is our child"), None, "the drain waits for alice");
    signal(&child, "INT");
    let (code, text) = wait(child);
    assert_eq!(code, Some(130), "{text}");
}

/// A game that says nothing of NPCs does not ignore the flag: it would be a world that is not as asked for.
#[test]
fn npcs_for_a_game_without_any_are_refused() {
    let (_parent, saves) = folder();
    let (code, text) = wait(start("none", &saves, "--npcs 7 --ticks 1"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--npcs 7: this game has no NPCs"), "{text}");
    assert!(!saves.exists(), "nothing is left");
    let (code, text) = wait(start("none", &saves, "--npcs 0 --ticks 1"));
    assert_eq!(code, Some(0), "{text}");
}
