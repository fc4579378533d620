//! The game of `docs/tutorial.md` after each of its steps: all of it compiles, and its tests run.

#![allow(dead_code, unreachable_pub, reason = "the programs of the steps are compiled and not started")]

use std::path::Path;
use std::time::Duration;

use terrane::client::script::{Actor, Progress, Script, ScriptRun, Stage};
use terrane::client::{Console, Player};
use terrane::prelude::*;
use terrane::testing::{ClientId, TestWorld};
use terrane_tutorial::{Step, steps};

include!(concat!(env!("OUT_DIR"), "/steps.rs"));

/// After which step the template is what the reader has.
const TEMPLATE_STEP: usize = 2;
/// What the template's manifest says instead of where the reader has Terrane.
const TEMPLATE_PATH: &str = "path = \"../..\"";

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn tutorial() -> Vec<Step> {
    steps(&read("docs/tutorial.md")).expect("each block says where it belongs")
}

/// H4: a game begins with a folder that can be copied; how it came about is the tutorial's to tell.
#[test]
fn the_template_is_what_the_tutorial_has_after_its_second_step() {
    let step = &tutorial()[TEMPLATE_STEP - 1];
    for (file, text) in &step.files {
        let text = text.replace("path = \"../terrane\"", TEMPLATE_PATH);
        assert_eq!(
            read(&format!("tools/template/{file}")),
            text,
            "tools/template/{file}, and {}",
            step.title
        );
    }
    let sources = ["src/lib.rs", "src/main.rs", "tests/quarry.rs", "Cargo.toml"];
    assert!(sources.iter().all(|source| step.files.contains_key(*source)), "{:?}", step.files.keys());
    let manifest = read("tools/template/Cargo.toml");
    assert_eq!(manifest.matches(TEMPLATE_PATH).count(), 1, "one line is the reader's to change");
    assert!(!manifest.contains("workspace"), "what is copied out of the workspace must not lean on it");
}

/// What the manifest asks for is what the steps are compiled with.
#[test]
fn the_manifest_names_the_versions_that_terrane_has() {
    let own = read("Cargo.toml");
    let last = tutorial().pop().expect("it has steps");
    let asked: Vec<&str> =
        last.files["Cargo.toml"].lines().filter(|line| line.contains(" = { version")).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    for line in asked {
        assert!(own.lines().any(|of_own| of_own == line), "{line}: Cargo.toml says something else");
    }
}

/// Each step is a whole program with everything that its blocks name; that it compiles is that this test is built.
#[test]
fn every_step_is_compiled() {
    let steps = tutorial();
    assert_eq!(steps.len(), STEPS, "the modules are those of another text");
    for step in steps {
        assert!(
            step.files.contains_key("src/lib.rs") && step.files.contains_key("src/main.rs"),
            "{}",
            step.title
        );
    }
}

/// The last step's game, ticked by hand.
struct Lockstep {
    world: TestWorld,
    clients: Vec<Option<ClientId>>,
}

impl Stage for Lockstep {
    fn enter(&mut self, actor: usize, who: &Actor) -> Result<(), String> {
        let name = who.name.as_ref().map_or("somebody", PlayerId::as_str);
        self.clients.resize(self.clients.len().max(actor + 1), None);
        self.clients[actor] = Some(self.world.connect(name));
        Ok(())
    }
    fn leave(&mut self, actor: usize) {
        let client = self.clients[actor].take().expect("who leaves was in");
        self.world[client].leave();
    }
    fn cut(&mut self, _: usize, _: &Actor) {
        unreachable!("the script cuts nobody off");
    }
    fn player(&mut self, actor: usize) -> &mut Player {
        &mut self.world[self.clients[actor].expect("who has lines has come in")]
    }
}

/// A13, H4: what the last step says of playing comes true line by line.
#[test]
fn the_script_of_the_last_step_goes_as_it_says() {
    use step_4::quarry::{Quarry, console::QuarryConsole, open};
    let last = tutorial().pop().expect("it has steps");
    let console = Console::new(QuarryConsole);
    let script = Script::parse(&console, "play.txt", &last.files["play.txt"]).expect("a sound script");
    let game = open(ServerBuilder::default().add_cell_plugins(Quarry));
    let world = TestWorld::new(game, WorldSettings::default());
    let mut stage = Lockstep { world, clients: Vec::new() };
    let mut run = ScriptRun::new(&script, &QuarryConsole);
    for tick in 0..1_000 {
        stage.world.tick();
        match run.step(&mut stage, Duration::from_millis(50) * tick) {
            Progress::Running => {}
            Progress::Done => return,
            Progress::Failed(why) => panic!("{why}"),
        }
    }
    panic!("the script never ends");
}
