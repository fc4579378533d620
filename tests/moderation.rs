//! Players of real processes: what operators order about them, of a world that runs and of one that does not, and what a
//! killed process leaves of them.
//!
//! The world runs in a child process: this test binary again.

#[path = "support/child_world.rs"]
mod child_world;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use child_world::{World, wait_for};
use terrane::cli;
use terrane::client::Player;
use terrane::driver::WorldServer;
use terrane::prelude::*;
use terrane::replication::Schema;
use terrane::store::Store;

const SAVES: &str = "TERRANE_TEST_SAVES";
/// Further flags, by blanks.
const FLAGS: &str = "TERRANE_TEST_FLAGS";

/// For how many ticks it has been in the world.
#[derive(Component, Clone, Default, Replicate)]
struct Age {
    #[sync(broadcast)]
    ticks: u32,
}

#[derive(Debug)]
struct Ages;

impl Plugin for Ages {
    fn build(&self, app: &mut App) {
        app.replicate::<Age>().add_systems(Simulate, |mut ages: Query<&mut Age>| {
            ages.iter_mut().for_each(|mut age| age.ticks += 1);
        });
    }
}

/// Not a test of its own: the world that the cases below run in a child process.
#[test]
#[ignore = "run by the other tests of this file, as a child process"]
fn child_world() {
    let Ok(saves) = std::env::var(SAVES) else { return };
    let args = ["terrane", "--saves", &saves, "--listen", "127.0.0.1:0"];
    let flags = std::env::var(FLAGS).unwrap_or_default();
    let exit = WorldServer::from_command(cli::parse(args.into_iter().chain(flags.split_whitespace())))
        .add_cell_plugins(Ages)
        .setup(|builder, _, _| {
            Ok(builder
                .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(100.0, 100.0, 0.0), Age::default())))
        })
        .run();
    std::process::exit(match exit {
        AppExit::Success => 0,
        AppExit::Error(code) => i32::from(code.get()),
    });
}

/// The world below that folder, with these flags.
fn start(saves: &Path, flags: &str) -> World {
    World::start(saves, &[(SAVES, saves.to_str().expect("text")), (FLAGS, flags)])
}

/// What the world's clients must know.
fn schema() -> Arc<Schema> {
    let game = ServerBuilder::default().add_cell_plugins(Ages).learn().expect("sound");
    Arc::new(game.schema.clone())
}

fn end_of(player: &mut Player) -> String {
    wait_for("the end", || {
        player.tick(Duration::from_millis(10));
        player.ended().map(ToString::to_string)
    })
}

/// (exit code, stdout, stderr) of a command on a save.
fn terrane(save: &Path, command: &str, player: &str, further: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_terrane"))
        .arg(command)
        .arg(save)
        .args(["--player", player, "--why", "they know why"])
        .args(further)
        .output()
        .expect("the binary is built");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// The status of a POST, with these further headers.
fn post(address: SocketAddr, headers: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "POST /api/moderate HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// H3: a live world carries orders out at once and for good, a stopped one finds them when it starts; exit codes tell.
#[test]
fn players_are_kicked_banned_and_muted_in_live_and_stopped_worlds() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let saves = parent.path().join("saves");
    let world = start(&saves, "--http 127.0.0.1:0");
    let save = world.save.clone();
    let mut alice = world.joined("alice", schema());
    let (code, _, told) = terrane(&save, "kick", "alice", &[]);
    assert_eq!((code, told.trim()), (Some(0), "alice was sent away"));
    assert!(end_of(&mut alice).contains("removed from this world: they know why"));
    let mut alice = world.joined("alice", schema());
    let (code, out, told) = terrane(&save, "ban", "alice", &["--for", "1h", "--json"]);
    assert_eq!(code, Some(0), "{told}");
    let answer: serde_json::Value = serde_json::from_str(out.trim()).expect("one object");
    assert_eq!(
        (&answer["what"], &answer["player"], &answer["done"], &answer["live"]),
        (&"ban".into(), &"alice".into(), &true.into(), &true.into())
    );
    assert!(end_of(&mut alice).contains("banned from this world until"));
    assert!(end_of(&mut world.join("alice", schema())).contains("they know why"));
    assert_eq!(terrane(&save, "mute", "bob", &[]).0, Some(0), "who has never been here too");
    assert_eq!(terrane(&save, "unban", "alice", &[]).0, Some(0));
    drop(world.joined("alice", schema()));
    let (code, _, told) = terrane(&save, "kick", "nobody", &[]);
    assert_eq!((code, told.trim()), (Some(1), "nobody is not in the world"));

    let order = r#"{"what": "kick", "player": "alice", "why": "because"}"#;
    assert_eq!(post(world.http(), "", order), 401, "without the token");
    let token = std::fs::read_to_string(save.join("admin.token")).expect("it is in the save");
    let token = format!("Authorization: Bearer {}\r\n", token.trim());
    assert_eq!(post(world.http(), &format!("{token}Origin: http://evil.example\r\n"), order), 403);
    for wrong in [
        "",
        "{}",
        r#"{"what": "kick", "player": "", "why": "x"}"#,
        r#"{"what": "kick", "player": "a", "why": " "}"#,
    ] {
        assert_eq!(post(world.http(), &token, wrong), 400, "{wrong}");
    }
    world.drain();

    let (code, out, _) = terrane(&save, "ban", "carol", &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(out.trim()).expect("one object");
    assert_eq!((code, &answer["live"]), (Some(0), &false.into()));
    assert_eq!(terrane(&save, "kick", "carol", &[]).0, Some(1), "nobody is in a world that does not run");
    assert_eq!(terrane(&save, "unban", "dave", &[]).0, Some(1));
    assert_eq!(terrane(&save, "ban", "dave", &["--for", "soon"]).0, Some(2));
    assert_eq!(terrane(&parent.path().join("none"), "ban", "dave", &[]).0, Some(2));
    let mut store = Store::open(&save).expect("it is stopped");
    let what: Vec<String> = store.audit_rows(99).unwrap().into_iter().rev().map(|row| row.what).collect();
    assert_eq!(what, ["kick", "ban", "mute", "unban", "kick", "ban"]);
    drop(store);
    let world = start(&saves, "--http off");
    assert!(end_of(&mut world.join("carol", schema())).contains("banned from this world: they know why"));
    let (code, _, told) = terrane(&save, "unban", "carol", &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--http off"), "{told}");
}

/// D1, D3: after `kill -9` a player finds the avatar that the newest image, or its profile, holds, and there is one of it.
#[test]
fn a_killed_process_gives_every_player_one_avatar_back() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let saves = parent.path().join("saves");
    let config = parent.path().join("world.toml");
    std::fs::write(&config, "hz = 20\nhttp = \"off\"\n[save]\nimage_every_s = 1\n").expect("it is ours");
    let flags = format!("--config {}", config.display());
    let age = |player: &mut Player, least: u32| {
        wait_for("an age", || {
            player.tick(Duration::from_millis(10));
            let schema = player.schema().clone();
            let avatar = player.view().get(player.avatar()?)?;
            let age = avatar.component::<Age>(&schema)?.ticks;
            (age >= least).then_some(age)
        })
    };
    let mut world = start(&saves, &flags);
    let mut left = world.joined("left", schema());
    age(&mut left, 30);
    left.leave();
    let mut stayed = world.joined("stayed", schema());
    age(&mut stayed, 70);
    world.child.kill().expect("it is our child");
    world.child.wait().expect("it is dead");
    drop(world);
    let world = start(&saves, &flags);
    for (name, least) in [("stayed", 20), ("left", 30)] {
        let mut player = world.joined(name, schema());
        assert!(age(&mut player, 1) >= least, "{name} begins where it was");
        let same = player.view().entities().count();
        assert!(same <= 2, "one avatar for each: {same}");
        player.leave();
    }
    world.drain();
}
