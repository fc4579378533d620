//! Where a script's actors play: each a client of its own, moved by the clock of the wall.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::Role;
use crate::replication::Schema;

use super::super::console::{ClientGame, Console};
use super::super::player::Player;
use super::super::reach::{As, ClientFailure, ClientTarget, Clock, leave};
use super::{Actor, Progress, Script, ScriptRun};

/// How long to wait while nobody is in.
const NOBODY_IN: Duration = Duration::from_millis(20);

/// Where the actors of a script come in and go. They are called by their place in the [cast](Script::cast).
pub trait Stage {
    /// Lets an actor begin to come in, for the first time or again.
    ///
    /// # Errors
    /// When there is no way in for it: says why.
    fn enter(&mut self, actor: usize, who: &Actor) -> Result<(), String>;

    /// Lets an actor leave.
    fn leave(&mut self, actor: usize);

    /// Breaks an actor's connection without a goodbye; from then on it is on its way back.
    fn cut(&mut self, actor: usize, who: &Actor);

    /// The client of an actor who has begun to come in and has not left.
    fn player(&mut self, actor: usize) -> &mut Player;
}

/// Clients of a world over the network.
struct Connected {
    target: ClientTarget,
    schema: Arc<Schema>,
    /// By place in the cast, each with its clock.
    players: Vec<Option<(Player, Clock)>>,
}

impl Connected {
    /// As whom an actor connects.
    fn target_of(&self, who: &Actor) -> Result<ClientTarget, String> {
        let Some(name) = &who.name else { return Ok(self.target.clone()) };
        let player = match &self.target.player {
            As::Token(file) => {
                let device = who.device.as_ref().map(|device| format!(".{device}")).unwrap_or_default();
                As::Token(file.with_file_name(format!("{name}{device}.token")))
            }
            As::Anybody | As::Player(_) if who.role != Role::Player => {
                return Err(format!(
                    "{name} needs a role, which a connect token gives: run the script with --token FILE, with a file \
                     `{name}.token` beside it"
                ));
            }
            As::Anybody | As::Player(_) => As::Player(name.clone()),
        };
        Ok(ClientTarget { player, ..self.target.clone() })
    }
}

impl Connected {
    /// Sleeps until the next tick of everybody who is in, and lets them tick.
    fn tick(&mut self) {
        let mut is_empty = true;
        for (player, clock) in self.players.iter_mut().flatten() {
            clock.tick(player);
            is_empty = false;
        }
        if is_empty {
            std::thread::sleep(NOBODY_IN);
        }
    }
}

impl Stage for Connected {
    fn enter(&mut self, actor: usize, who: &Actor) -> Result<(), String> {
        let target = self.target_of(who)?;
        let player = target.connect(self.schema.clone()).map_err(|failure| failure.to_string())?;
        self.players[actor] = Some((player, Clock::start()));
        Ok(())
    }

    fn leave(&mut self, actor: usize) {
        if let Some((mut player, mut clock)) = self.players[actor].take() {
            leave(&mut player, &mut clock);
        }
    }

    fn cut(&mut self, actor: usize, _who: &Actor) {
        self.player(actor).cut(Duration::ZERO);
    }

    fn player(&mut self, actor: usize) -> &mut Player {
        &mut self.players[actor].as_mut().expect("who has lines has come in").0
    }
}

/// Carries out a script file; what there is to say goes to stdout.
///
/// # Errors
/// [`ClientFailure::Usage`] when the file cannot be read or understood, before anything is done;
/// [`ClientFailure::Failed`] when it does not go as the script expects.
pub fn run_script<G: ClientGame>(
    target: &ClientTarget,
    schema: Arc<Schema>,
    game: G,
    file: &Path,
) -> Result<(), ClientFailure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ClientFailure::Usage(format!("{name}: cannot be read: {error}")))?;
    let script = Script::parse(&Console::new(game.clone()), &name, &text).map_err(ClientFailure::Usage)?;
    let players = script.cast().iter().map(|_| None).collect();
    let mut stage = Connected { target: target.clone(), schema, players };
    let mut run = ScriptRun::new(&script, &game);
    let clock = Clock::start();
    let progress = loop {
        let progress = run.step(&mut stage, clock.elapsed());
        for line in run.told() {
            println!("{line}");
        }
        if progress != Progress::Running {
            break progress;
        }
        stage.tick();
    };
    (0..stage.players.len()).for_each(|actor| stage.leave(actor));
    match progress {
        Progress::Failed(what) => Err(ClientFailure::Failed(what)),
        Progress::Running | Progress::Done => Ok(()),
    }
}
