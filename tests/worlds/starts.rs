//! How the shipped program starts, and how it refuses to: exit codes, what is told, and what is left behind.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A folder of its own, far from the program's files, for one test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the folder can be written to");
    }

    /// A file that its owner alone may read.
    fn write_private(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(name, text);
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path().join(name), mode).expect("it is ours");
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_terrane"));
        command.args(line.split_whitespace()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs it here to its end.
    fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the binary is built with its tests")
    }

    /// Runs it, expects this exit code, and gives what went to stderr.
    #[track_caller]
    fn ends(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "terrane {line}\n{text}");
        text
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

const FREE: &str = "--listen 127.0.0.1:0 --http off";

/// Exit code 2 means that nothing was done: whatever a start is refused for, no save is left that would fix seed,
/// grid and size, and the next start may choose others.
#[test]
fn a_refused_start_leaves_no_save_and_says_what_to_do() {
    let place = Place::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp_port = udp.local_addr().unwrap().port();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_port = tcp.local_addr().unwrap().port();
    place.write_private("key", &"ab".repeat(32));
    place.write_private("token", "0123456789abcdef0123456789abcdef");
    place.write_private("short", "short");
    place.write("small.toml", "size_m = [100, 100]\ngrid = [1, 1]\n");
    std::fs::create_dir(place.path().join("other")).unwrap();
    place.write("other/world.toml", "hz = 20\n");
    place.write("other/roads.toml", "road = [[\"a\", \"b\"]]\nnode = []\n");
    let secured = "--key-file key --admin-token-file token --http off";
    let cases = [
        (format!("--listen 127.0.0.1:{udp_port} --http off"), "stop what uses it"),
        (format!("--listen 127.0.0.1:0 --http 127.0.0.1:{tcp_port}"), "stop what uses it"),
        (format!("--listen 192.0.2.1:5000 {secured}"), "this machine has no such address"),
        (format!("{FREE} --key-file none"), "none: cannot open it"),
        ("--listen 127.0.0.1:0 --http 127.0.0.1:0 --admin-token-file none".into(), "check its path"),
        ("--listen 127.0.0.1:0 --http 127.0.0.1:0 --admin-token-file short".into(), "one line of 16"),
        (format!("{FREE} --public 127.0.0.1:6000"), "expected a fixed port in listen"),
        (format!("{FREE} --config small.toml"), "put a roads.toml"),
        (format!("{FREE} --config other/world.toml"), "other/roads.toml:1"),
        (format!("{FREE} --config none.toml"), "none.toml: cannot be read"),
        (format!("{FREE} --npcs -1"), "expected a whole number from 0 on"),
        ("--listen 0.0.0.0:0 --http off".into(), "--public"),
    ];
    for (line, told) in cases {
        let text = place.ends(2, &format!("--log warn --seed 1 --ticks 1 {line}"));
        assert!(text.contains(told), "{line}: {text}");
        assert!(!place.path().join("saves").exists(), "{line}: nothing may be left");
    }
    let output = place.run(&format!("{FREE} --fast --ticks 5 --seed 9 --grid 2x2 --report json"));
    assert_eq!(
        (output.status.code(), &report(&output)["cells"]),
        (Some(0), &4.into()),
        "{}",
        stderr(&output)
    );
}

/// A start that is refused does not touch the world that was there before.
#[test]
fn a_refused_start_leaves_an_older_save_as_it_was() {
    let place = Place::new();
    let first = place.run(&format!("{FREE} --fast --ticks 5 --npcs 3 --seed 9 --report json"));
    place.ends(2, &format!("{FREE} --fast --ticks 5 --key-file none"));
    let output = place.run(&format!("{FREE} --fast --ticks 5 --npcs 3 --seed 9 --report json"));
    assert!(stderr(&output).contains("goes on at tick 6"), "{}", stderr(&output));
    assert_eq!(report(&output)["entities"], report(&first)["entities"]);
}

/// A configuration anywhere runs, its own map is the one of the world and of the bots, and `config check` refuses
/// what a run would.
#[test]
fn a_configuration_anywhere_runs_with_its_own_map_or_the_games() {
    let place = Place::new();
    place.write("mini.toml", "npcs = 20\nlisten = \"127.0.0.1:0\"\nhttp = \"off\"\n");
    place.ends(0, "config check mini.toml");
    place.ends(0, "--config mini.toml --fast --ticks 20 --bots 2");

    // A world too small for the map that comes with the game.
    place.write(
        "roads.toml",
        "road = [[\"a\", \"b\"]]\n[[node]]\nname = \"a\"\nx = 60\ny = 60\n[[node]]\nname = \"b\"\nx = 90\ny = 60\n",
    );
    place
        .write("mini.toml", "size_m = [150, 150]\ngrid = [1, 1]\nlisten = \"127.0.0.1:0\"\nhttp = \"off\"\n");
    place.ends(0, "config check mini.toml");
    let output = place
        .run("--config mini.toml --name small --fast --ticks 400 --bots 2 --audit-every 10 --report json");
    let told = report(&output);
    assert_eq!((output.status.code(), &told["bots_lost"]), (Some(0), &0.into()), "{}", stderr(&output));

    place.write("roads.toml", "road = [[\"a\", \"c\"]]\nnode = []\n");
    for line in ["config check mini.toml", "--config mini.toml --name other --ticks 1"] {
        assert!(place.ends(2, line).contains("roads.toml:1"), "{line}");
    }
    std::fs::remove_file(place.path().join("roads.toml")).unwrap();
    place.write("mini.toml", "key_file = \"none.key\"\n");
    assert!(place.ends(2, "config check mini.toml").contains("none.key"));
}

/// A13, C5: bots leave the world and come back to what they had; none is lost by it, and the game comes to the same end on every layout.
#[test]
fn bots_leave_and_return_and_the_end_is_the_same_on_every_layout() {
    let ends = ["1x1", "2x2"].map(|grid| {
        let place = Place::new();
        let output = place.run(&format!(
            "{FREE} --fast --ticks 2700 --npcs 30 --bots 12 --grid {grid} --audit-every 20 --report json"
        ));
        let told = report(&output);
        let count = |name: &str| told[name].as_u64().unwrap_or_default();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(
            (count("bots_lost"), count("bots_audit_failures"), count("bots_decode_errors")),
            (0, 0, 0)
        );
        assert!(count("bots_left") >= 10 && count("bots_returned") >= 10, "{grid}: {told}");
        assert!(count("bots_returned") <= count("bots_left"), "{grid}: {told}");
        told["fingerprint"].clone()
    });
    assert!(!ends[0].is_null());
    assert_eq!(ends[0], ends[1]);
}

/// What was fixed when the world was created: a flag insists and is refused, a file is told once, by key.
#[test]
fn a_file_that_asks_for_another_seed_or_grid_is_told_once_by_key() {
    let place = Place::new();
    place.ends(0, &format!("{FREE} --fast --ticks 1 --seed 3 --grid 4x4"));
    place.write("w.toml", "seed = 5\ngrid = [2, 2]\n");
    let text = place.ends(0, &format!("{FREE} --fast --ticks 1 --log warn --config w.toml"));
    assert_eq!(text.matches("w.toml:1:8: seed = 5 has no effect").count(), 1, "{text}");
    assert_eq!(text.matches("w.toml:2:8: grid = 2x2 has no effect").count(), 1, "{text}");
    assert_eq!(text.matches("has no effect").count(), 2, "{text}");
    assert!(!text.contains('\u{1b}'), "no colours where nobody sees them: {text:?}");
    assert!(text.contains("http off"), "the ready line names what is off: {text}");
    assert!(place.ends(2, &format!("{FREE} --ticks 1 --seed 5")).contains("--seed is 5"));
}

#[test]
fn a_place_that_cannot_hold_saves_is_wrong_usage() {
    let place = Place::new();
    place.write("file", "");
    for saves in ["file", "file/deeper", "/proc/nowhere"] {
        let text = place.ends(2, &format!("{FREE} --ticks 1 --saves {saves}"));
        assert!(text.contains("name a folder that can be written to with --saves"), "{saves}: {text}");
    }
}

#[test]
fn a_copied_save_is_the_world_of_its_folder() {
    let place = Place::new();
    place.ends(0, &format!("{FREE} --fast --ticks 3 --name one"));
    let saves = place.path().join("saves");
    std::fs::create_dir(saves.join("two")).unwrap();
    std::fs::copy(saves.join("one/world.db"), saves.join("two/world.db")).unwrap();
    let output = place.run(&format!("{FREE} --fast --ticks 3 --name two --report json"));
    assert_eq!(report(&output)["world"], "two", "{}", stderr(&output));
}

/// Whoever reads only the beginning of what is printed does not see the program panic.
#[test]
fn a_reader_that_closes_early_is_no_fault() {
    let place = Place::new();
    place.write_private("key", &"ab".repeat(32));
    let mut token = place.command("token --player ann --public 127.0.0.1:5000 --key-file key");
    let mut child = token.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}
