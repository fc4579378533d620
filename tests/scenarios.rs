//! Every file of `tests/scenarios/` is a test: in lockstep on several layouts, and over sockets as people run it.

#[path = "support/paced.rs"]
mod paced;
#[path = "support/stages.rs"]
mod stages;
mod support;

use std::path::{Path, PathBuf};

use paced::PacedWorld;
use stages::{Lockstep, sanctions};
use terrane::caravan::Roads;
use terrane::caravan::console::CaravanConsole;
use terrane::client::reach::{As, ClientTarget};
use terrane::client::script::{Progress, Script};
use terrane::client::{Console, run_script};
use terrane::net::{Authentication, Identity, SecretKey, issue_token};
use terrane::prelude::*;

const NPCS: u64 = 150;

/// Files and their texts, by name.
fn scenarios() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = folder
        .read_dir()
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("scenarios are text");
        (file.file_name().expect("a name").to_string_lossy().into_owned(), text)
    };
    files.into_iter().map(read).collect()
}

fn settings(grid: [u32; 2]) -> WorldSettings {
    WorldSettings { grid, ..WorldSettings::default() }
}

/// A4, A13, C5: whatever the layout, every scenario goes as its file says, and is told alike.
#[test]
fn every_scenario_holds_on_every_layout() {
    let all = scenarios();
    assert!(all.len() >= 12, "only {} files", all.len());
    for (file, text) in all {
        let [one, many] = [[1, 1], [4, 4]].map(|grid| {
            let mut stage = Lockstep::new(settings(grid), NPCS);
            let (progress, told) = stage.run(&file, &text);
            assert_eq!(progress, Progress::Done, "{file} on {grid:?}: {told:#?}");
            if file == "over_the_border.txt" {
                assert_eq!(stage.last.handovers > 0, grid == [4, 4], "{grid:?}: {:?}", stage.last.handovers);
            }
            told
        });
        assert_eq!(one, many, "{file}: players are told the same on every layout");
    }
}

/// What a line would be if it expected the opposite.
fn opposite(line: &str) -> Option<String> {
    let rest = line.strip_prefix("expect ")?;
    let (what, text) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(match what {
        "done" => "expect refused".into(),
        "refused" => "expect done".into(),
        "said" => format!("expect unsaid {text}"),
        "unsaid" => format!("expect said {text}"),
        "see" => format!("expect gone {}", text.split(" within ").next().unwrap_or(text)),
        "gone" => format!("expect see {text}"),
        "told" => format!("expect hidden {}", text.split(" = ").next().unwrap_or(text)),
        "hidden" => format!("expect told {text}"),
        "moved" => "expect moved 5000".into(),
        "begun" => "expect resumed".into(),
        "resumed" => "expect begun".into(),
        "health" => "expect health draining".into(),
        _ => return None,
    })
}

/// A13: no expectation holds by itself: of every kind in every scenario the last, turned into its opposite, fails in its line.
#[test]
fn the_opposite_of_what_a_scenario_expects_fails_in_that_line() {
    let mut turned = 0;
    for (file, text) in scenarios() {
        let lines: Vec<&str> = text.lines().collect();
        let kind_of = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        let mut kinds = std::collections::BTreeSet::new();
        for place in (0..lines.len()).rev() {
            let Some(other) = opposite(lines[place]) else { continue };
            if !kinds.insert(kind_of(lines[place])) {
                continue;
            }
            // What is not there yet is no opposite of what comes.
            let mut lines: Vec<&str> = lines[..place].to_vec();
            lines.extend(["wait 1", &other]);
            let (progress, _) = Lockstep::new(settings([2, 2]), NPCS).run(&file, &lines.join("\n"));
            let Progress::Failed(what) = progress else { panic!("{file}:{}: {other} holds", place + 1) };
            assert!(what.starts_with(&format!("{file}:{}: expected ", place + 2)), "{file}: {other}: {what}");
            turned += 1;
        }
    }
    assert!(turned > 40, "only {turned}");
}

/// A13: the same over sockets, each in a world of its own. Those with a role come with connect tokens.
#[test]
fn every_scenario_holds_over_sockets() {
    std::thread::scope(|scope| {
        for (file, text) in scenarios() {
            scope.spawn(move || over_sockets(&file, &text));
        }
    });
}

fn over_sockets(file: &str, text: &str) {
    let game = CaravanConsole::new(Roads::shipped());
    let script = Script::parse(&Console::new(game.clone()), file, text).expect("a sound script");
    let has_roles = script.cast().iter().any(|actor| actor.role != Role::Player);
    let key = has_roles.then(|| SecretKey::new(*b"a key for tests, thirty-two long"));
    let settings = WorldSettings { npcs: Some(NPCS), ..settings([4, 4]) };
    let world = PacedWorld::start(settings, 1, key.clone(), |server| server.set_sanctions(sanctions()));
    let folder = tempfile::tempdir().expect("a folder");
    let server = world.addresses[0];
    let tester = PlayerId::new("tester").expect("a name");
    let player = match &key {
        None => As::Player(tester),
        Some(key) => {
            for actor in script.cast() {
                let player = actor.name.clone().unwrap_or_else(|| tester.clone());
                let path = folder.path().join(format!("{player}.token"));
                let identity = Identity { role: actor.role, ..Identity::player(player) };
                std::fs::write(path, token(key, &identity, server)).expect("written");
            }
            As::Token(folder.path().join("tester.token"))
        }
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(file);
    assert_eq!(
        run_script(&ClientTarget::new(server, player), paced::schema(), game, &path),
        Ok(()),
        "{file}"
    );
}

#[expect(clippy::disallowed_methods, reason = "tokens are good for a time by the calendar")]
fn token(key: &SecretKey, identity: &Identity, server: std::net::SocketAddr) -> String {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let authentication = Authentication::Secured(key.clone());
    issue_token(&authentication, identity, &[server], now, Duration::from_secs(60))
        .expect("a token")
        .to_text()
}
