//! What may stand on the command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::exit::CliError;
use super::operate::{
    BackupOptions, CompensationsOptions, OperatorCommand, RanksOptions, RepairOptions, StatsOptions,
    VerifyOptions,
};
use crate::config::{RunOptions, parse_address};
use crate::ids::{FieldName, NetId, PlayerId, Role};
use crate::limits::WHY_BYTES_MAX;
use crate::players::OrderKind;

/// Seconds that a connect token can be used for, unless told otherwise.
const TOKEN_EXPIRES_S_DEFAULT: u64 = 300;
/// Most seconds that a connect token can be used for: a year.
const TOKEN_EXPIRES_S_MAX: u64 = 366 * 24 * 3_600;

/// What a world binary was asked to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run a world.
    Run(Box<RunOptions>),
    /// Check a configuration file: [`config_check`](super::config_check).
    ConfigCheck(ConfigCheckOptions),
    /// Write the reference data as JSON.
    ConfigExport(ConfigExportOptions),
    /// Let a running world read its reference data again.
    ConfigReload(ConfigReloadOptions),
    /// Make a connect token.
    Token(TokenOptions),
    /// Be a client that a person or a script drives.
    Client(ClientOptions),
    /// Ask a running world why a player sees something or not.
    Why(WhyOptions),
    /// Print the rules of the game: who is told what, and who may do what.
    Rules(RulesOptions),
    /// Order something about a player of a live or stopped world.
    Moderate(OrderKind, ModerateOptions),
    /// Work on a save.
    Operate(OperatorCommand),
}

/// Runs one seamless world, or works on one.
///
/// Without a command a world is run: the flags of `run` may stand alone.
/// Exit codes: 0 fine, 1 a check failed, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "terrane", version, args_conflicts_with_subcommands = true, max_term_width = 110)]
#[command(allow_negative_numbers = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Run a world until SIGINT, SIGTERM or --ticks; this is also what happens without a command.
    #[command(allow_negative_numbers = true)]
    Run(Box<RunOptions>),
    /// Look after configuration files.
    #[command(subcommand)]
    Config(ConfigSub),
    /// Make a connect token for a player, and print it.
    Token(TokenOptions),
    /// Connect to a world as a client that a person or a script drives.
    Client(ClientOptions),
    /// Ask the world that runs in a save why a player sees an entity or a field, or does not.
    Why(WhyOptions),
    /// Print who is told what and who may do what, and what of it breaks a rule: exit 1 when something does.
    Rules(RulesOptions),
    /// Send a player away, who may come back: exit 1 when it is not in the world.
    Kick(ModerateOptions),
    /// Send a player away and do not let it in, for a time or for good; it need never have been here.
    Ban(TimedModerateOptions),
    /// Let a banned player in again: exit 1 when it is not banned.
    Unban(ModerateOptions),
    /// Let a player not speak, for a time or for good.
    Mute(TimedModerateOptions),
    /// Let a player speak again: exit 1 when it is not muted.
    Unmute(ModerateOptions),
    /// Look through a save for what cannot be: exit 1 when something is wrong.
    Verify(VerifyOptions),
    /// Copy a save, of a world that runs or not, into a new folder that can be run.
    Backup(BackupOptions),
    /// List, retry or discard what failed for good.
    Compensations(CompensationsOptions),
    /// Count what is in a save.
    Stats(StatsOptions),
    /// Say who holds most of what.
    Ranks(RanksOptions),
    /// Mend what can be mended for certain in the save of a world that does not run, and name the rest: exit 1 when something is left.
    Repair(RepairOptions),
}

#[derive(Debug, Subcommand)]
enum ConfigSub {
    /// Check a file whole, with the game's reference data beside it: exit 0 if a world would run with it, else 2 with file, line and
    /// key.
    Check(ConfigCheckOptions),
    /// Write the game's reference data as JSON, one file a kind.
    Export(ConfigExportOptions),
    /// Let the world that runs in a save read its reference data again: exit 1 when none runs, 2 when a file is wrong.
    Reload(ConfigReloadOptions),
}

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct ConfigCheckOptions {
    /// The TOML file: a world's configuration, or one of the game's reference data.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Also write the outcome to stdout, as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// Whereto what is written.
#[derive(Clone, Debug, Args)]
pub struct ConfigExportOptions {
    /// The folder; it is made if it is not there, and files of an earlier export are replaced.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The world's configuration, for the game's files beside it [default: assets/config/world.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which world.
#[derive(Clone, Debug, Args)]
pub struct ConfigReloadOptions {
    /// The save of the world: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// The token to show a world that was given one [default: SAVE/admin.token].
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Print the outcome as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// What a connect token is to say.
#[derive(Clone, Debug, Args)]
pub struct TokenOptions {
    /// The player it lets in.
    #[arg(long, value_name = "PLAYER", value_parser = PlayerId::new)]
    pub player: PlayerId,
    /// The address of the world's first shard as players reach it: the world's --public, else its --listen.
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub public: SocketAddr,
    /// How many shards the world has; they are on the ports from there on.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub shards: u16,
    /// The world's key file.
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// What the player may do beyond playing.
    #[arg(long, value_name = "ROLE", value_enum, default_value_t = Role::Player)]
    pub role: Role,
    /// Seconds that it can be used for, at most a year.
    #[arg(
        long = "expires",
        value_name = "SECONDS",
        default_value_t = TOKEN_EXPIRES_S_DEFAULT,
        value_parser = clap::value_parser!(u64).range(1..=TOKEN_EXPIRES_S_MAX),
    )]
    pub expires_s: u64,
}

/// Who connects where.
#[derive(Clone, Debug, Args)]
pub struct ClientOptions {
    /// The address of a shard of the world.
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub server: SocketAddr,
    /// The player to be; a world on loopback without a key file takes anybody's word for it.
    #[arg(long, value_name = "PLAYER", value_parser = PlayerId::new, conflicts_with = "token")]
    pub player: Option<PlayerId>,
    /// A file with a connect token; it names the player.
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// The world's configuration, for the names that the game's files beside it give to places
    /// [default: assets/config/world.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Who drives it.
    #[command(subcommand)]
    pub mode: ClientMode,
}

/// What is asked of a running world.
#[derive(Clone, Debug, Args)]
pub struct WhyOptions {
    /// The save of the world: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// Who looks: a player who is in the world.
    #[arg(long, value_name = "PLAYER", value_parser = PlayerId::new)]
    pub player: PlayerId,
    /// At what: the name of an entity, up to 16 hexadecimal digits.
    #[arg(long, value_name = "ENTITY")]
    pub entity: NetId,
    /// At which of its fields, as Component.field; all of them are told without.
    #[arg(long, value_name = "FIELD")]
    pub field: Option<FieldName>,
    /// The token to show, where the world was given one [default: SAVE/admin.token].
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Print the answer as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// Whom an order is about.
#[derive(Clone, Debug, Args)]
pub struct ModerateOptions {
    /// The save of the world, running or not: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// The player.
    #[arg(long, value_name = "PLAYER", value_parser = PlayerId::new)]
    pub player: PlayerId,
    /// Why: told to the player, and kept in the save for good.
    #[arg(long, value_name = "TEXT", value_parser = parse_why)]
    pub why: String,
    /// For how long.
    #[arg(skip)]
    pub for_s: Option<u64>,
    /// The token to show a running world that was given one [default: SAVE/admin.token].
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Print the outcome as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// As [`ModerateOptions`], for a time.
#[derive(Clone, Debug, Args)]
struct TimedModerateOptions {
    #[command(flatten)]
    order: ModerateOptions,
    /// For how long, such as 90s, 30m, 12h or 7d; for good without.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration_s)]
    for_s: Option<u64>,
}

impl TimedModerateOptions {
    fn order(self) -> ModerateOptions {
        ModerateOptions { for_s: self.for_s, ..self.order }
    }
}

pub(super) fn parse_why(text: &str) -> Result<String, String> {
    let why = text.trim();
    let is_text = !why.is_empty() && why.len() <= WHY_BYTES_MAX && !why.chars().any(char::is_control);
    is_text.then(|| why.to_owned()).ok_or_else(|| format!("expected 1 to {WHY_BYTES_MAX} bytes of text"))
}

/// Most days that something is ordered for: longer is for good.
const DAYS_MAX: u64 = 36_500;

fn parse_duration_s(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("expected a number with s, m, h or d behind it, from 1s to {DAYS_MAX}d, such as 12h");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let unit_s: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = if is_number { number.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    let seconds = number.checked_mul(unit_s).filter(|seconds| (1..=DAYS_MAX * 86_400).contains(seconds));
    seconds.ok_or_else(wrong)
}

/// Whose rules.
#[derive(Clone, Debug, Args)]
pub struct RulesOptions {
    /// A save of this game, of which the bytes are measured: saves/NAME. It may be running.
    #[arg(value_name = "SAVE")]
    pub save: Option<PathBuf>,
    /// Print the rules as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// What a script has besides the console's commands.
const SCRIPT_LINES: &str = "\
Lines of a script: the console's commands (`help` tells them), # comments, and
  as NAME [gm|admin]         lines behind it are this player's, who comes in with the first of them
  away, back                 leave the world, come in again
  wait S, timeout S          let S seconds pass; give expectations S seconds to come true (5)
  expect see NAME [within M] somebody of that name is in view; NAME* is any name that begins so
  expect gone NAME           nobody of that name is
  expect said|unsaid TEXT    something with TEXT in it was heard, or nothing was
  expect told NAME: FIELD [= VALUE]
                             the player is told that field, as Component.field
  expect hidden NAME: FIELD  the player is not told it
  expect done                the last action was done
  expect refused [TEXT]      it was refused, for a reason with TEXT in it
  expect moved M             the avatar is M metres from where it was at the last command
It ends with 0 when everything came true, with 1 at the first line that did not.";

/// Who drives the client.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ClientMode {
    /// A person: commands are read from stdin, line by line.
    Repl,
    /// A script: the same commands, read from a file, and what is expected to come of them.
    #[command(after_help = SCRIPT_LINES)]
    Script {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Reads a command line; the first argument is the program's name.
///
/// # Errors
/// [`CliError::Usage`] when it is wrong; [`CliError::Help`] when help or the version was asked for, which is
/// exit code 0 all the same.
pub fn parse<I>(args: I) -> Result<Command, CliError>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let cli = Cli::try_parse_from(args)
        .map_err(|error| if error.use_stderr() { CliError::Usage(error) } else { CliError::Help(error) })?;
    Ok(match cli.command {
        None => Command::Run(Box::new(cli.run)),
        Some(Sub::Run(options)) => Command::Run(options),
        Some(Sub::Config(ConfigSub::Check(options))) => Command::ConfigCheck(options),
        Some(Sub::Config(ConfigSub::Export(options))) => Command::ConfigExport(options),
        Some(Sub::Config(ConfigSub::Reload(options))) => Command::ConfigReload(options),
        Some(Sub::Token(options)) => Command::Token(options),
        Some(Sub::Client(options)) => Command::Client(options),
        Some(Sub::Why(options)) => Command::Why(options),
        Some(Sub::Rules(options)) => Command::Rules(options),
        Some(Sub::Kick(options)) => Command::Moderate(OrderKind::Kick, options),
        Some(Sub::Ban(options)) => Command::Moderate(OrderKind::Ban, options.order()),
        Some(Sub::Unban(options)) => Command::Moderate(OrderKind::Unban, options),
        Some(Sub::Mute(options)) => Command::Moderate(OrderKind::Mute, options.order()),
        Some(Sub::Unmute(options)) => Command::Moderate(OrderKind::Unmute, options),
        Some(Sub::Verify(options)) => Command::Operate(OperatorCommand::Verify(options)),
        Some(Sub::Backup(options)) => Command::Operate(OperatorCommand::Backup(options)),
        Some(Sub::Compensations(options)) => Command::Operate(OperatorCommand::Compensations(options)),
        Some(Sub::Stats(options)) => Command::Operate(OperatorCommand::Stats(options)),
        Some(Sub::Ranks(options)) => Command::Operate(OperatorCommand::Ranks(options)),
        Some(Sub::Repair(options)) => Command::Operate(OperatorCommand::Repair(options)),
    })
}

#[cfg(test)]
pub(super) fn clap_command() -> clap::Command {
    use clap::CommandFactory;
    Cli::command()
}
