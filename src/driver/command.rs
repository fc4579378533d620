//! The binary of a world: arguments in, exit code out.

use std::num::NonZeroU8;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bevy_app::{AppExit, Plugin, Plugins};

use crate::cli::{self, CliError, Command, ExitCode, TokenOptions};
use crate::config::Settings;
use crate::net::{Authentication, Identity, SecretKey, issue_token, loopback::LoopbackPort};
use crate::replication::Schema;
use crate::server::{ServerBuilder, WorldSettings};

use super::run::{InProcessPlayers, MakeBots, RunError, Setup, run};

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
        Self { command, builder: ServerBuilder::default(), setup: None, bots: None }
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

    /// Adds what depends on the configuration, before a world runs: published data, avatars, NPCs. An error ends
    /// the program with exit code 2 and this text.
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
        make: impl Fn(LoopbackPort, std::sync::Arc<Schema>, u64, u64) -> B + 'static,
    ) -> Self {
        self.bots =
            Some(Box::new(move |port, schema, count, seed| Box::new(make(port, schema, count, seed))));
        self
    }

    /// Does what the command line says.
    #[must_use]
    pub fn run(self) -> AppExit {
        let Self { command, builder, setup, bots } = self;
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                error.print();
                return exit(error.exit_code());
            }
        };
        match command {
            Command::Run(options) => finish(run(builder, setup, bots, &options)),
            Command::ConfigCheck(options) => {
                let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
                exit(cli::config_check(&options, &mut out, &mut err).unwrap_or(ExitCode::CheckFailed))
            }
            Command::Token(options) => finish(print_token(&options)),
            Command::Client(options) => {
                let schema = match builder.learn() {
                    Ok(game) => game.schema.clone(),
                    Err(error) => return finish(Err(error.into())),
                };
                let _ = (options, schema);
                exit(ExitCode::Usage)
            }
        }
    }
}

fn finish(outcome: Result<(), RunError>) -> AppExit {
    match outcome {
        Ok(()) => AppExit::Success,
        Err(error) => {
            eprintln!("error: {error}");
            exit(error.exit_code())
        }
    }
}

fn exit(code: ExitCode) -> AppExit {
    NonZeroU8::new(code.code()).map_or(AppExit::Success, AppExit::Error)
}

fn print_token(options: &TokenOptions) -> Result<(), RunError> {
    let key = SecretKey::load(&options.key_file)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let identity = Identity { role: options.role, ..Identity::player(options.player.clone()) };
    let expires = Duration::from_secs(options.expires_s);
    let token = issue_token(&Authentication::Secured(key), &identity, &[options.public], now, expires)
        .map_err(|error| RunError::Game(error.to_string()))?;
    println!("{}", token.to_text());
    Ok(())
}
