//! The commands that lay a world open, as processes: `why` of a running one, `rules` of any.
#![expect(clippy::disallowed_methods, reason = "a world on sockets is paced by the clock of the wall")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use terrane::store::RunInfo;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn terrane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_terrane"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = terrane(arguments).output().expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// Ends with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A person at a client.
struct Person {
    _process: Process,
    says: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Person {
    fn join(shard: &str, name: &str) -> Self {
        let mut child = terrane(&["client", "--server", shard, "--player", name, "repl"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary is built");
        let says = child.stdin.take().expect("a pipe");
        let hears = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { _process: Process(child), says, hears }
    }

    /// Says a line until something with `wanted` in it is heard.
    fn ask(&mut self, line: &str, wanted: &str) -> String {
        let until = Instant::now() + PATIENCE;
        writeln!(self.says, "{line}").expect("the client listens");
        while Instant::now() < until {
            let mut heard = String::new();
            assert!(self.hears.read_line(&mut heard).expect("text") > 0, "the client has ended");
            if heard.contains(wanted) {
                return heard;
            }
            if heard.starts_with("nobody in view") {
                std::thread::sleep(Duration::from_millis(100));
                writeln!(self.says, "{line}").expect("the client listens");
            }
        }
        panic!("{line}: nothing with {wanted:?} in it is heard");
    }
}

fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(found) = ready() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not come");
}

/// C9, B7: a world in a process of its own is asked, and any save of the game, running or not, is measured.
#[test]
fn a_running_world_says_why_and_any_save_its_rules() {
    let saves = tempfile::tempdir().expect("a folder");
    let save = saves.path().join("asked");
    let folder = save.to_str().expect("text");
    let (code, _, err) = output(&["why", folder, "--player", "ann", "--entity", "1"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("no world runs in") && err.contains("--name asked"), "{err}");

    let start = |more: &[&str]| {
        let mut world = terrane(&["--saves", saves.path().to_str().expect("text"), "--name", "asked"]);
        world.args(["--listen", "127.0.0.1:0", "--npcs", "60", "--log", "warn"]).args(more);
        Process(world.stderr(Stdio::null()).spawn().expect("the binary is built"))
    };
    let runs = || RunInfo::read(&save).expect("a run.json, or none");
    let mut world = start(&["--http", "127.0.0.1:0"]);
    let info = wait_for("the world", runs);
    let mut ann = Person::join(&info.shards[0].to_string(), "ann");
    let named = ann.ask("show ann", "named #");
    let avatar = named.trim().trim_start_matches("named #").to_owned();

    let (code, out, err) = output(&["why", folder, "--player", "ann", "--entity", &avatar]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.contains("which is what is looked at")
            && out.contains("relevant wherever it is: the avatar of somebody in the player's party")
            && out.contains(", the player's own"),
        "{out}"
    );
    assert!(out.trim_end().lines().last().is_some_and(|last| last.starts_with("seen; ")), "{out}");

    let secret =
        ["why", folder, "--player", "ann", "--entity", &avatar, "--field", "Campaign.next_coach", "--json"];
    let (code, out, _) = output(&secret);
    assert_eq!(code, Some(0), "an answer is an answer");
    let answer: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    assert_eq!(out.trim_end().lines().count(), 1);
    assert_eq!(answer["result"]["hidden_by"], serde_json::json!(["field"]));

    for (wrong, expected) in [
        (["why", folder, "--player", "bob", "--entity", "1"].as_slice(), "no player `bob` is in the world"),
        (
            &["why", folder, "--player", "ann", "--entity", "1"],
            "nothing in the world is named #0000000000000001",
        ),
        (
            &["why", folder, "--player", "ann", "--entity", &avatar, "--field", "Walker.nam"],
            "it has name, heading",
        ),
        (
            &["why", folder, "--player", "ann", "--entity", &avatar, "--field", "Walker"],
            "expected Component.field",
        ),
        (&["why", folder, "--player", "ann", "--entity", "xyz"], "hexadecimal digits"),
        (&["why", folder, "--player", "ann"], "--entity"),
    ] {
        let (code, out, err) = output(wrong);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}: {err}");
        assert!(err.contains(expected), "{wrong:?}: {expected:?} is not in {err}");
    }
    drop(ann);

    // A save that has an image is measured while its world runs; one that has none says so.
    let (code, _, err) = output(&["rules", folder]);
    assert!(code == Some(2) && err.contains("no image of a world yet"), "{err}");
    let pid = world.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    assert!(world.0.wait().expect("it ends").success(), "a world that is asked to end saves itself");
    let world = start(&["--http", "off"]);
    wait_for("the world", runs);
    let (code, _, err) = output(&["why", folder, "--player", "ann", "--entity", "1"]);
    assert!(code == Some(2) && err.contains("--http off"), "{err}");
    let (code, out, err) = output(&["rules", folder, "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "the shipped game breaks no rule");
    let rules: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    let components = rules["components"].as_array().expect("a list");
    let caravan = components.iter().find(|component| component["name"] == "Caravan").expect("caravans");
    assert_eq!(caravan["measured"]["count"], 60);
    assert!(caravan["fields"][0]["measured"]["mean"].as_f64().is_some_and(|mean| mean > 10.0), "{caravan}");
    drop(world);

    let (code, out, _) = output(&["rules"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("Market (everyone, node-wide)") && out.contains("action Steer"), "{out}");
    let (code, _, err) = output(&["rules", Path::new(folder).join("nothing").to_str().expect("text")]);
    assert!(code == Some(2) && err.contains("not the save of a world"), "{err}");
}

/// The shipped game has a use for every policy, and breaks no rule.
#[test]
fn the_shipped_game_uses_every_policy_and_breaks_no_rule() {
    let (code, out, err) = output(&["rules", "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let rules: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    let flags: Vec<&str> =
        rules["flags"].as_array().expect("a list").iter().filter_map(|flag| flag["rule"].as_str()).collect();
    assert!(flags.is_empty(), "nothing to flag: {flags:?}");
}
