//! A client that a person or a script drives.

#[path = "support/paced.rs"]
mod paced;
#[path = "support/stages.rs"]
mod stages;
mod support;

use std::path::{Path, PathBuf};

use paced::PacedWorld;
use terrane::caravan::Roads;
use terrane::caravan::console::CaravanConsole;
use terrane::client::reach::{As, ClientFailure, ClientTarget};
use terrane::client::script::{Progress, Script};
use terrane::client::{Console, repl, run_script};
use terrane::prelude::*;

use stages::Lockstep;

fn console() -> Console<CaravanConsole> {
    Console::new(CaravanConsole::new(Roads::shipped()))
}

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(name)
}

/// Runs a script in lockstep, with a world to itself; gives how it ended and what was said.
fn run_in_lockstep(file: &str, text: &str) -> (Progress, Vec<String>) {
    Lockstep::new(WorldSettings::default(), 200).run(file, text)
}

fn wrong(text: &str) -> String {
    Script::parse(&console(), "s.txt", text).expect_err("a wrong script")
}

/// A13: a script says what a player does and what must come of it.
#[test]
fn the_sample_scenario_holds_in_lockstep() {
    let text = std::fs::read_to_string(scenario("a_walk.txt")).expect("the file is there");
    let (progress, told) = run_in_lockstep("a_walk.txt", &text);
    assert_eq!(progress, Progress::Done, "{told:#?}");
    let told = told.join("\n");
    assert!(told.contains("walking E (90°) at 6 m/s"), "{told}");
    assert!(told.contains("tester: \"hello there\""), "{told}");
    assert!(told.contains("tester to the party: \"where are you\""), "{told}");
    assert!(told.contains("refused: you are in no party"), "{told}");
    assert!(told.contains("refused: the next coach leaves in"), "{told}");
}

/// A13: what does not come true is told by line, with what was seen instead.
#[test]
fn what_does_not_come_true_is_told_by_line_with_what_was_seen() {
    let failed = |text: &str| match run_in_lockstep("s.txt", text).0 {
        Progress::Failed(what) => what,
        other => panic!("{text}: {other:?}"),
    };
    let timeout = "timeout 0.5\n";
    let what = failed(&format!("{timeout}expect see Nobody within 3"));
    assert!(what.starts_with("s.txt:2: expected to see Nobody within 3 m; saw "), "{what}");
    assert!(what.ends_with("(after 0.5 s)"), "{what}");
    assert_eq!(
        failed(&format!("{timeout}say hi\nexpect done\nexpect said ho")),
        "s.txt:4: expected to hear \"ho\"; heard tester: \"hi\" (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}expect refused")),
        "s.txt:2: expected the last action to be refused; there is no answer (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}say hi\nexpect refused")),
        "s.txt:3: expected the last action to be refused; it was done (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}stop\n\nexpect moved 3")),
        "s.txt:4: expected to have moved 3 m; moved 0.00 m (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}leave\nexpect refused full")),
        "s.txt:3: expected the last action to be refused for \"full\"; it was done (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}join none\nexpect done\nleave\nexpect refused full")),
        "s.txt:5: expected the last action to be refused for \"full\"; it was refused: you are in no party (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}say hi\nexpect said hi\nexpect unsaid hi")),
        "s.txt:4: expected not to hear \"hi\"; heard tester: \"hi\" (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}expect told tester: Walker.name = bob")),
        "s.txt:2: expected to be told Walker.name of tester, bob; it is \"tester\" (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}expect hidden tester: Walker.name")),
        "s.txt:2: expected Walker.name of tester to be hidden; it is \"tester\" (after 0.5 s)"
    );
    let what = failed(&format!("{timeout}expect told tester: Walker.wings"));
    assert!(
        what.starts_with("s.txt:2: expected to be told Walker.wings of tester; tester has only\n"),
        "{what}"
    );
    assert_eq!(
        failed(&format!("{timeout}expect resumed")),
        "s.txt:2: expected to have gone on with its session; it began one (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}expect begun\ncut\nexpect begun")),
        "s.txt:4: expected to have begun a session; it went on with one (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}expect ended banned")),
        "s.txt:2: expected the connection to end for \"banned\"; it goes on (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}as bob\nme\nas bob on phone\nme\nas bob\nexpect ended banned")),
        "s.txt:7: expected the connection to end for \"banned\"; it ended: this player has connected from another place \
         (after 0.5 s)"
    );
    assert_eq!(
        failed(&format!("{timeout}as bob\nme\nas bob on phone\nme\nwait 1\nas bob\nme")),
        "s.txt:5: [bob] the connection is over: this player has connected from another place"
    );
    assert_eq!(
        failed(&format!("{timeout}expect health draining")),
        "s.txt:2: expected the world to be draining; it is normal (after 0.5 s)"
    );
    let what = failed(&format!("{timeout}expect gone TESTER"));
    assert_eq!(what, "s.txt:2: expected TESTER to be gone; tester is 0.0 m away (after 0.5 s)");
}

/// A script is understood whole before anything is done, and every wrong line is told.
#[test]
fn every_wrong_line_is_told_with_what_was_expected() {
    assert_eq!(
        wrong("# fine\nwalk up\nme\nfly"),
        "s.txt:2: walk: `up` is no direction: expected n, ne, east … or degrees clockwise from north\n\
         s.txt:4: there is no command `fly`: `help` tells those there are"
    );
    for (line, message) in [
        ("walk", "walk: expected a direction, n, ne, east … or degrees clockwise from north"),
        ("walk n fast", "walk: `fast` is no speed: expected 0 to 6 m/s"),
        ("walk n 3 4", "walk: `4` is too much: expected a direction and a speed"),
        ("stop it", "stop it: expected nothing after `stop`"),
        ("say", "say: expected what to say"),
        ("party", "party: expected what to say"),
        ("join 65", "join 65: expected a party, 1 to 64, or `none`"),
        ("scout", "scout : expected `out` or `home`"),
        ("appoint king bob", "appoint king: expected `gm` or `player`, and a name"),
        ("look far", "look far: expected a whole number"),
        ("find", "find: expected a name"),
        ("wait", "wait : expected seconds, 0 to 3600"),
        ("wait -1", "wait -1: expected seconds, 0 to 3600"),
        ("timeout x", "timeout x: expected seconds, 0 to 3600"),
        ("quit now", "quit now: expected nothing after `quit`"),
        (
            "expect",
            "`expect ` is no expectation: expected see NAME [within M], gone NAME, said TEXT, unsaid TEXT, \
             told NAME: FIELD [= VALUE], hidden NAME: FIELD, done, refused [TEXT], moved M, begun, resumed, \
             ended TEXT or health TEXT",
        ),
        ("expect see", "expect see: expected a text behind it"),
        ("expect see Bob within reach", "expect see: `reach` is no distance: expected metres, 0 or more"),
        ("expect moved -1", "expect moved: `-1` is no distance: expected metres, 0 or more"),
        ("expect done twice", "expect done: expected nothing behind it"),
        ("expect resumed it", "expect resumed: expected nothing behind it"),
        ("expect ended", "expect ended: expected a text behind it"),
        ("cut it", "cut it: expected nothing after `cut`"),
        ("as bob on a/b", "as: `a/b` names no device: expected letters and digits"),
        ("expect unsaid", "expect unsaid: expected a text behind it"),
        ("expect told Caravan", "expect told: expected a name and a field, as in `Caravan: Caravan.route`"),
        (
            "expect hidden Caravan: x",
            "expect hidden: expected a name and a field, as in `Caravan: Caravan.route`",
        ),
        ("as", "as: "),
        ("as ann gm\nas ann admin", "as ann admin: that player came in with another role"),
        ("away now", "away now: expected nothing after `away`"),
        ("back", "back: expected `away` before it"),
        ("away\nsay hi", "say: who is away can do nothing: expected `back` before it"),
    ] {
        let (told, number) = (wrong(line), line.lines().count());
        assert!(told.starts_with(&format!("s.txt:{number}: {message}")), "{line}: {told}");
        assert_eq!(told.ends_with(message), line != "as", "{line}: {told}");
    }
}

fn target(world: &PacedWorld, player: &str) -> ClientTarget {
    ClientTarget::new(world.addresses[0], As::Player(PlayerId::new(player).expect("a name")))
}

/// A13: the same over sockets, as `terrane client … script FILE` does it; a failure names file and line.
#[test]
fn the_sample_scenario_holds_over_sockets() {
    let settings = WorldSettings { npcs: Some(100), ..WorldSettings::default() };
    let world = PacedWorld::start(settings, 1, None, |_| {});
    let run = |file: &Path| {
        let game = CaravanConsole::new(Roads::shipped());
        run_script(&target(&world, "tester"), paced::schema(), game, file)
    };
    assert_eq!(run(&scenario("a_walk.txt")), Ok(()));

    let missing = run(Path::new("no/such.txt")).unwrap_err();
    assert!(missing.to_string().starts_with("no/such.txt: cannot be read"), "{missing}");
    assert_eq!(missing.exit_code(), 2);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.txt");
    std::fs::write(&file, "say hi\ntimeout 0.1\nexpect refused\n").expect("written");
    let failure = run(&file).unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    assert!(failure.to_string().contains("wrong.txt:3: expected the last action to be refused"), "{failure}");
}

/// A13: a person's lines are carried out one after the other, and the end of them is the end.
#[test]
fn a_person_at_a_terminal_is_answered() {
    let settings = WorldSettings { npcs: Some(100), ..WorldSettings::default() };
    let world = PacedWorld::start(settings, 1, None, |_| {});
    let mut player = target(&world, "anna").connect(paced::schema()).expect("a socket");
    let input = "help\nme\nfly\nsay good evening\nwait 0.3\nwho\nstats\n";
    let lines = repl::read_lines(std::io::Cursor::new(input));
    let mut out = Vec::new();
    repl::drive(&mut player, &mut console(), &lines, &mut out).expect("nothing ends it but the lines");
    let out = String::from_utf8(out).expect("text");
    for expected in [
        "anna at (",
        "walk DIR|DEGREES [SPEED]",
        "there is no command `fly`: `help` tells those there are",
        " ms: say good evening",
        "anna: \"good evening\"",
        "0 decode errors",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}

/// What cannot be is refused before anything is sent, and where nobody listens that is said.
#[test]
fn a_client_that_cannot_connect_says_why() {
    let far = ClientTarget::new("192.0.2.1:5000".parse().expect("an address"), As::Anybody);
    let failure = far.connect(paced::schema()).unwrap_err();
    assert!(matches!(&failure, ClientFailure::Usage(text) if text.contains("--token FILE")), "{failure}");
    let no_file = ClientTarget { player: As::Token("no/such".into()), ..far };
    assert!(matches!(no_file.connect(paced::schema()), Err(ClientFailure::Usage(_))));
}
