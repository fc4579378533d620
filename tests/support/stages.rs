//! Where the actors of a script play in tests: a world in lockstep.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::time::Duration;

use terrane::caravan::Roads;
use terrane::caravan::console::CaravanConsole;
use terrane::client::script::{Actor, Progress, Script, ScriptRun, Stage};
use terrane::client::{Console, Player};
use terrane::players::{Sanction, SanctionKind};
use terrane::prelude::*;
use terrane::server::TickReport;
use terrane::testing::{ClientId, TestWorld};

use crate::support::caravan_world;

/// Longest that a script may take, ticks.
const TICKS_MAX: u32 = 4_000;

/// What is written of players before a scenario begins: Maud may not speak.
pub fn sanctions() -> Vec<Sanction> {
    let player = PlayerId::new("maud").expect("a name");
    let (why, by) = ("it is her day of silence".to_owned(), "the town crier".to_owned());
    vec![Sanction { player, kind: SanctionKind::Mute, why, since_ms: 0, until_ms: None, by }]
}

/// The shipped game, ticked by hand.
pub struct Lockstep {
    pub world: TestWorld,
    /// By place in the cast.
    clients: Vec<Option<ClientId>>,
    pub last: TickReport,
}

impl Lockstep {
    pub fn new(settings: WorldSettings, npcs: u64) -> Self {
        let mut world = caravan_world(settings, npcs);
        world.server_mut().set_sanctions(sanctions());
        Self { world, clients: Vec::new(), last: TickReport::default() }
    }

    /// Runs a script; gives how it ended and what was said. Who has no name in it is called tester.
    pub fn run(&mut self, file: &str, text: &str) -> (Progress, Vec<String>) {
        let game = CaravanConsole::new(Roads::shipped());
        let script = Script::parse(&Console::new(game.clone()), file, text).expect("a sound script");
        let mut run = ScriptRun::new(&script, &game);
        let mut told = Vec::new();
        for tick in 0..TICKS_MAX {
            self.last = self.world.tick().report;
            let progress = run.step(self, Duration::from_millis(50) * tick);
            told.extend(run.told());
            if progress != Progress::Running {
                return (progress, told);
            }
        }
        panic!("the script never ends: {told:?}");
    }
}

impl Stage for Lockstep {
    fn enter(&mut self, actor: usize, who: &Actor) -> Result<(), String> {
        let name = who.name.as_ref().map_or("tester", PlayerId::as_str);
        let client = self.world.connect_as(name, who.role);
        self.clients.resize(self.clients.len().max(actor + 1), None);
        self.clients[actor] = Some(client);
        Ok(())
    }

    fn leave(&mut self, actor: usize) {
        let client = self.clients[actor].take().expect("who leaves was in");
        self.world[client].leave();
    }

    fn cut(&mut self, actor: usize, who: &Actor) {
        let client = self.clients[actor].expect("who is cut was in");
        self.world.cut(client, 5);
        self.world.reconnect_as(client, who.role);
    }

    fn player(&mut self, actor: usize) -> &mut Player {
        let client = self.clients[actor].expect("who has lines has come in");
        &mut self.world[client]
    }
}
