//! The flags of a run, as the command line gave them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::values::{GridSize, HttpListen, LogLevel, ReportFormat, parse_address, parse_whole};

/// The configuration file of a run that names none. It may be missing: then the defaults hold.
pub const CONFIG_FILE_DEFAULT: &str = "assets/config/world.toml";

/// The configuration file of a command: the one that was named, else the default one if it exists.
#[must_use]
pub fn config_file(named: Option<&Path>) -> Option<&Path> {
    let default = Path::new(CONFIG_FILE_DEFAULT);
    named.or_else(|| default.exists().then_some(default))
}

/// What the command line says about a run. Everything is optional: the file and the defaults fill the rest.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunOptions {
    /// Read the world's configuration from this TOML file [default: assets/config/world.toml].
    ///
    /// Each of the flags below but this one is also a key of that file; flags win.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Keep the saves of all worlds in this folder [default: saves].
    #[arg(long, value_name = "DIR")]
    pub saves: Option<PathBuf>,

    /// Run the world of this name: its save is the folder DIR/NAME [default: world].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Listen for players at this UDP address; shard i listens on PORT + i, port 0 picks a free range
    /// [default: 127.0.0.1:5000].
    #[arg(long, value_name = "ADDR", value_parser = parse_address, help_heading = "Network")]
    pub listen: Option<SocketAddr>,

    /// The address that players reach the first shard at, where it differs from --listen.
    #[arg(long, value_name = "ADDR", value_parser = parse_address, help_heading = "Network")]
    pub public: Option<SocketAddr>,

    /// Spread players over N sockets with a thread each [default: one for each 1024 of --max-players].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "Network")]
    pub shards: Option<u64>,

    /// Admit at most N players at a time [default: 1000].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "Network")]
    pub max_players: Option<u64>,

    /// Serve health, metrics and the API at this TCP address; port 0 picks a free one
    /// [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR|off", help_heading = "Network")]
    pub http: Option<HttpListen>,

    /// The key that connect tokens are made and checked with (mode 0600); needed for any address that is
    /// not loopback.
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub key_file: Option<PathBuf>,

    /// The token that the HTTP side asks of an operator (mode 0600); needed for any address that is not
    /// loopback, made in the save otherwise.
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub admin_token_file: Option<PathBuf>,

    /// Run cells and views on N threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "Tick")]
    pub threads: Option<u64>,

    /// Run N ticks a second, 20 to 30 advised [default: 20].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "Tick")]
    pub hz: Option<u64>,

    /// Stop after N ticks.
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "Tick")]
    pub ticks: Option<u64>,

    /// Run in lockstep, as fast as the machine can, with a clock that counts ticks.
    #[arg(long, help_heading = "Tick")]
    pub fast: bool,

    /// The world's seed, fixed when the world is created [default: 1].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "World")]
    pub seed: Option<u64>,

    /// The world's initial cells, columns x rows, fixed when the world is created [default: 5x5].
    #[arg(long, value_name = "NxM", help_heading = "World")]
    pub grid: Option<GridSize>,

    /// Let N NPCs exist, also after a resume: missing ones are spawned, surplus ones removed [default: 0].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "World")]
    pub npcs: Option<u64>,

    /// Let N players play inside the process, through full encode and decode [default: 0].
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "World")]
    pub bots: Option<u64>,

    /// Every N ticks, compare what players hold with what they should hold; off unless given.
    #[arg(long, value_name = "N", value_parser = parse_whole, help_heading = "Output")]
    pub audit_every: Option<u64>,

    /// Log to stderr what is at least this serious [default: info].
    #[arg(long, value_name = "LEVEL", help_heading = "Output")]
    pub log: Option<LogLevel>,

    /// At the end, write a report of the run to stdout.
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub report: Option<ReportFormat>,

    /// The name of the world where neither flag nor file gives one: the game's own, `world` for none.
    #[arg(skip)]
    pub name_default: Option<String>,
}
