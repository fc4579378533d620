//! H1: a game system that panics or hangs is named by tick, cell and system; nothing of the tick is saved; the
//! process ends with another exit code than 0.
//!
//! Each case runs a world in a child process: this test binary again, with the fault in an environment variable.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use terrane::cli;
use terrane::driver::WorldServer;
use terrane::prelude::*;

const FAULT: &str = "TERRANE_TEST_FAULT";
const SAVES: &str = "TERRANE_TEST_SAVES";

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

fn faulty_system(context: Res<TickContext>, mut things: Query<(&Position, &mut Thing)>) {
    for (position, mut thing) in &mut things {
        thing.number += 1;
        if context.tick.0 < 30 || position.0.x < 500.0 {
            continue;
        }
        match std::env::var(FAULT).as_deref() {
            Ok("panic") => panic!("the thing broke"),
            Ok("hang") => loop {
                std::thread::sleep(Duration::from_millis(50));
            },
            _ => {}
        }
    }
}

/// Not a test of its own: the world that the cases below run in a child process.
#[test]
#[ignore = "run by the other tests of this file, as a child process"]
fn child_world() {
    let Ok(saves) = std::env::var(SAVES) else { return };
    let args =
        ["terrane", "--saves", &saves, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--hz", "60"];
    let exit = WorldServer::from_command(cli::parse(args))
        .add_cell_plugins(Faulty)
        .setup(|builder, _, _| {
            Ok(builder.populate(|world| {
                for x in [100.0, 700.0] {
                    let place = Vec3::new(x, 100.0, 0.0);
                    world.spawn(SpawnRequest::new(NetId::WORLD, place, Thing::default()));
                }
            }))
        })
        .run();
    std::process::exit(if exit == AppExit::Success { 0 } else { 1 });
}

fn start(fault: &str, saves: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a test knows itself"))
        .args(["--exact", "child_world", "--ignored", "--nocapture"])
        .env(FAULT, fault)
        .env(SAVES, saves)
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

fn http_address(saves: &Path) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(saves.join("world/run.json")).ok()?;
    let run: serde_json::Value = serde_json::from_str(&text).ok()?;
    run["http"].as_str()?.parse().ok()
}

fn status_of_healthz(address: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let saves = parent.path().join("saves");
    (parent, saves)
}

#[test]
fn a_panicking_system_is_named_with_tick_and_cell_and_the_process_fails() {
    let (_parent, saves) = folder();
    let (code, text) = wait(start("panic", &saves));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("faulty_system"), "the system is named: {text}");
    assert!(text.contains("w0/3,0@0"), "the cell is named: {text}");
    assert!(text.contains("tick 30"), "the tick is named: {text}");
    assert!(text.contains("the thing broke"), "the reason is told: {text}");
    assert!(!saves.join("world/run.json").exists(), "run.json is removed at the end");
}

#[test]
fn a_hanging_system_turns_healthz_503_and_is_named() {
    let (_parent, saves) = folder();
    let mut child = start("hang", &saves);
    let mut seen = Vec::new();
    for _ in 0..300 {
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = http_address(&saves).and_then(status_of_healthz) {
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
