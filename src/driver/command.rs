//! The binary of a world: arguments in, exit code out.

use std::io::Write;
use std::num::NonZeroU8;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bevy_app::{AppExit, Plugin, Plugins};

use crate::cli::{self, CliError, ClientMode, ClientOptions, Command, ExitCode, RulesOptions, TokenOptions};
use crate::client::console::{Done, Verb};
use crate::client::mirror::MirrorEntity;
use crate::client::{As, ClientFailure, ClientGame, ClientTarget, Player, run_repl, run_script};
use crate::config::{Settings, config_file};
use crate::http::AdminToken;
use crate::net::{Authentication, Identity, SecretKey, issue_token};
use crate::reference::Reference;
use crate::replication::Schema;
use crate::server::{ServerBuilder, WorldSettings};
use crate::store::Store;
use crate::telemetry::WatchdogSettings;

use super::ask::ask_why;
use super::error::RunError;
use super::moderation::{as_json, moderate};
use super::operator::operate;
use super::reference::{export_to, reload};
use super::run::{BotsRequest, InProcessPlayers, MakeBots, run, world_settings};
use super::saving::as_world_image;
use super::setup::{Setup, set_up};

/// A game as a program: every command of the command line, around the game's plugins.
///
/// ```no_run
/// use terrane::prelude::*;
/// # #[derive(Component, Clone, Default, Replicate)]
/// # struct Lamp { #[sync(broadcast)] lit: bool }
/// struct Lamps;
/// impl Plugin for Lamps {
///     fn build(&self, app: &mut App) { app.replicate::<Lamp>(); }
/// }
///
/// fn main() -> AppExit {
///     WorldServer::from_args().add_cell_plugins(Lamps).run()
/// }
/// ```
pub struct WorldServer {
    command: Result<Command, CliError>,
    builder: ServerBuilder,
    setup: Option<Setup>,
    bots: Option<MakeBots>,
    client: RunClient,
    watchdog: Option<WatchdogSettings>,
}

impl std::fmt::Debug for WorldServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorldServer").field("command", &self.command).finish_non_exhaustive()
    }
}

impl WorldServer {
    /// A game whose command line is the process's.
    #[must_use]
    pub fn from_args() -> Self {
        Self::from_command(cli::parse(std::env::args_os()))
    }

    /// A game with a command line of the caller's.
    #[must_use]
    pub fn from_command(command: Result<Command, CliError>) -> Self {
        Self {
            command,
            builder: ServerBuilder::default(),
            setup: None,
            bots: None,
            client: client_of(|_| Ok(PlainConsole)),
            watchdog: None,
        }
    }

    /// Names the world of this game where neither `--name` nor the configuration file does: `world` otherwise. Two
    /// games in one folder then have a save each.
    #[must_use]
    pub fn named(mut self, world: &str) -> Self {
        if let Ok(Command::Run(options)) = &mut self.command {
            options.name_default = Some(world.to_owned());
        }
        self
    }

    /// Says when a tick counts as hanging, and when it ends the process: a second and thirty, or more where ticks
    /// are long, unless told otherwise ([`WatchdogSettings::for_tick`]).
    #[must_use]
    pub fn watchdog(mut self, settings: WatchdogSettings) -> Self {
        self.watchdog = Some(settings);
        self
    }

    /// Adds a plugin of the game, built once in every cell.
    #[must_use]
    pub fn add_cell_plugins(mut self, plugin: impl Plugin) -> Self {
        self.builder = self.builder.add_cell_plugins(plugin);
        self
    }

    /// Adds plugins to the node.
    #[must_use]
    pub fn add_plugins<M>(mut self, plugins: impl Plugins<M>) -> Self {
        self.builder = self.builder.add_plugins(plugins);
        self
    }

    /// Declares the game's reference data, which are read beside the configuration file before a world runs
    /// ([`ServerBuilder::reference`]).
    #[must_use]
    pub fn reference<R: Reference>(mut self) -> Self {
        self.builder = self.builder.reference::<R>();
        self
    }

    /// Adds what depends on the configuration, before a world runs: published data, avatars, NPCs. What is sent is registered
    /// before, since the client of this program is made of the game without settings; a setup that does it is warned of. An
    /// error ends the program with exit code 2 and this text. `terrane config check` calls it too, and forgets the outcome.
    #[must_use]
    pub fn setup(
        mut self,
        setup: impl FnOnce(ServerBuilder, &Settings, &WorldSettings) -> Result<ServerBuilder, String> + 'static,
    ) -> Self {
        self.setup = Some(Box::new(setup));
        self
    }

    /// Says who plays when `--bots` asks for players inside the process.
    #[must_use]
    pub fn bots<B: InProcessPlayers + 'static>(
        mut self,
        make: impl Fn(BotsRequest<'_>) -> B + 'static,
    ) -> Self {
        self.bots = Some(Box::new(move |request| Box::new(make(request))));
        self
    }

    /// Says how the game talks at a console: its verbs and its names for things. It is told the configuration file, if
    /// there is one. An error ends the program with exit code 2 and this text.
    #[must_use]
    pub fn console<G: ClientGame>(
        mut self,
        console: impl FnOnce(Option<&Path>) -> Result<G, String> + 'static,
    ) -> Self {
        self.client = client_of(console);
        self
    }

    /// Does what the command line says.
    #[must_use]
    pub fn run(self) -> AppExit {
        let Self { command, builder, setup, bots, client, watchdog } = self;
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                error.print();
                return exit(error.exit_code());
            }
        };
        match command {
            Command::Run(options) => finish(run(builder, setup, bots, watchdog, &options)),
            Command::ConfigCheck(options) => {
                let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
                let reference = builder.reference_kind();
                let named_files = |settings: &Settings| check_named_files(builder, setup, settings);
                let checked = cli::config_check(&options, reference, named_files, &mut out, &mut err);
                exit(checked.unwrap_or(ExitCode::CheckFailed))
            }
            Command::ConfigExport(options) => match export_to(builder.reference_kind(), &options) {
                Ok(done) => {
                    eprintln!("{done}");
                    AppExit::Success
                }
                Err(error) => finish(Err(error)),
            },
            Command::ConfigReload(options) => match reload(&options) {
                Ok(outcome) => {
                    let said = match serde_json::to_string(&outcome) {
                        Ok(json) if options.json => say(&json),
                        _ => {
                            eprintln!("{}", outcome.text);
                            AppExit::Success
                        }
                    };
                    if outcome.done { said } else { exit(ExitCode::CheckFailed) }
                }
                Err(error) => finish(Err(RunError::Game(error.to_string()))),
            },
            Command::Token(options) => finish(print_token(&options)),
            Command::Why(options) => match ask_why(&options) {
                Ok(answer) => say(answer.trim_end()),
                Err(error) => finish(Err(RunError::Game(error.to_string()))),
            },
            Command::Moderate(kind, options) => match moderate(kind, &options) {
                Ok(outcome) => {
                    let said = if options.json {
                        say(&as_json(kind, &options, &outcome).to_string())
                    } else {
                        eprintln!("{}", outcome.text);
                        AppExit::Success
                    };
                    if outcome.done { said } else { exit(ExitCode::CheckFailed) }
                }
                Err(error) => finish(Err(RunError::Game(error.to_string()))),
            },
            // What the game has in the store is handed on here.
            Command::Operate(command) => operate(&command, &builder.game_store()),
            Command::Rules(options) => match print_rules(&builder, &options) {
                Ok(exit) => exit,
                Err(error) => finish(Err(error)),
            },
            Command::Client(options) => {
                let schema = match builder.learn() {
                    Ok(game) => Arc::new(game.schema.clone()),
                    Err(error) => return finish(Err(error.into())),
                };
                match client(&options, schema) {
                    Ok(()) => AppExit::Success,
                    Err(failure) => {
                        eprintln!("error: {failure}");
                        NonZeroU8::new(failure.exit_code()).map_or(AppExit::Success, AppExit::Error)
                    }
                }
            }
        }
    }
}

/// Drives a client as the options say.
type RunClient = Box<dyn FnOnce(&ClientOptions, Arc<Schema>) -> Result<(), ClientFailure>>;

fn client_of<G: ClientGame>(console: impl FnOnce(Option<&Path>) -> Result<G, String> + 'static) -> RunClient {
    Box::new(move |options, schema| {
        let game = console(config_file(options.config.as_deref())).map_err(ClientFailure::Usage)?;
        let player = match (&options.player, &options.token) {
            (Some(player), _) => As::Player(player.clone()),
            (None, Some(file)) => As::Token(file.clone()),
            (None, None) => As::Anybody,
        };
        let target = ClientTarget::new(options.server, player);
        match &options.mode {
            ClientMode::Repl => run_repl(&target, schema, game),
            ClientMode::Script { file } => run_script(&target, schema, game, file),
        }
    })
}

/// The console of a game that has said nothing of it: the engine's own commands, and names as they are.
#[derive(Clone, Copy)]
struct PlainConsole;

impl ClientGame for PlainConsole {
    type Command = Never;
    const VERBS: &'static [Verb] = &[];
    fn parse(&self, _: &str, _: &str) -> Option<Result<Never, String>> {
        None
    }
    fn run(&self, _: &mut Player, command: &Never) -> Result<Done, String> {
        match *command {}
    }
    fn name(&self, _: &Schema, entity: &MirrorEntity) -> Option<String> {
        Some(entity.net_id().to_string())
    }
}

/// A command that no line ever is.
#[derive(Clone, Debug, PartialEq)]
enum Never {}

fn finish(outcome: Result<(), RunError>) -> AppExit {
    match outcome {
        Ok(()) => AppExit::Success,
        Err(error) => {
            eprintln!("error: {error}");
            exit(error.exit_code())
        }
    }
}

pub(super) fn exit(code: ExitCode) -> AppExit {
    NonZeroU8::new(code.code()).map_or(AppExit::Success, AppExit::Error)
}

/// Writes an answer to stdout. Whoever closes the other end has read enough.
pub(super) fn say(answer: &str) -> AppExit {
    match writeln!(std::io::stdout().lock(), "{answer}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => finish(Err(error.into())),
        _ => AppExit::Success,
    }
}

/// Prints the game's rules; not a success when something breaks one.
fn print_rules(builder: &ServerBuilder, options: &RulesOptions) -> Result<AppExit, RunError> {
    let image = match &options.save {
        Some(save) => Store::read_newest_image(save)?.map(as_world_image),
        None => None,
    };
    if let (Some(save), None) = (&options.save, &image) {
        return Err(RunError::Game(format!(
            "{} holds no image of a world yet, so nothing can be measured: leave it out, or let the world run",
            save.display()
        )));
    }
    let rules = builder.rules(image.as_ref())?;
    let text = if options.json {
        serde_json::to_string(&rules).map_err(|error| RunError::Game(error.to_string()))?
    } else {
        rules.to_string()
    };
    let said = say(text.trim_end());
    Ok(if rules.has_errors() { exit(ExitCode::CheckFailed) } else { said })
}

#[expect(clippy::disallowed_methods, reason = "a token says until when it can be used")]
fn print_token(options: &TokenOptions) -> Result<(), RunError> {
    let key = SecretKey::load(&options.key_file)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let identity = Identity { role: options.role, ..Identity::player(options.player.clone()) };
    let expires = Duration::from_secs(options.expires_s);
    // Any shard will do: the client tries them in this order.
    let shards: Vec<_> = (0..options.shards)
        .filter_map(|shard| options.public.port().checked_add(shard))
        .map(|port| std::net::SocketAddr::new(options.public.ip(), port))
        .collect();
    let token = issue_token(&Authentication::Secured(key), &identity, &shards, now, expires)
        .map_err(|error| RunError::Game(error.to_string()))?;
    match writeln!(std::io::stdout(), "{}", token.to_text()) {
        // Whoever reads no further has what they wanted.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(RunError::System(error)),
        _ => Ok(()),
    }
}

/// What a world with these settings would refuse of the files that they name, and of the game's own.
fn check_named_files(builder: ServerBuilder, setup: Option<Setup>, settings: &Settings) -> Vec<String> {
    let network = &settings.network;
    let key = network.key_file.as_deref().map(SecretKey::load).transpose().map_err(|error| error.to_string());
    let token = network.admin_token_file.as_deref().map(AdminToken::from_file).transpose();
    let game = set_up(builder, setup, settings, &world_settings(settings, 0)).map(drop);
    [key.err(), token.err().map(|error| error.to_string()), game.err().map(|error| error.to_string())]
        .into_iter()
        .flatten()
        .collect()
}
