//! Everything a world is told, resolved: flags over file over defaults, checked, with units in the names.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::check::Checker;
use super::error::{ConfigError, Origin, Problem, Sourced};
use super::file::WorldConfig;
use super::key::{self, Key};
use super::options::{RunOptions, config_file};
use super::values::{GridSize, HttpListen, LogLevel, ReportFormat};
use crate::limits::{
    CLAIMS_KEPT_S_DEFAULT, CLIENTS_PER_SHARD_MAX, HISTORY_KEPT_S_DEFAULT, PERIODIC_EVERY_S_DEFAULT,
    REPLIES_KEPT_S_DEFAULT, VIEW_ENTITIES_MAX,
};
use crate::net::NetLimits;

/// The configuration of one run of one world: every value checked, alone and against the others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read, if one was.
    pub config_file: Option<PathBuf>,
    /// Which world, and what is fixed when it is created.
    pub world: WorldChoice,
    /// Sockets and who may use them.
    pub network: NetworkSettings,
    /// How this run goes.
    pub run: RunSettings,
    /// Radii, speeds and margins.
    pub space: SpaceSettings,
    /// What becomes of players whose connection is lost.
    pub session: SessionSettings,
    /// When the world is saved.
    pub save: SaveSettings,
    /// What is allowed but unwise; told at start, one line each.
    pub warnings: Vec<Problem>,
}

/// Which world, and what is fixed when it is created: those keep who set them, because an existing save
/// refuses another value only where the command line insists on it.
#[derive(Clone, Debug)]
pub struct WorldChoice {
    /// The folder of all saves.
    pub saves: PathBuf,
    /// The world's name, and that of its folder.
    pub name: String,
    /// Seed of everything drawn at random.
    pub seed: Sourced<u64>,
    /// The initial cells.
    pub grid: Sourced<GridSize>,
    /// Width and depth of the world in metres.
    pub size_m: Sourced<[f32; 2]>,
}

impl WorldChoice {
    /// The world's own folder: `saves/NAME`.
    #[must_use]
    pub fn save_folder(&self) -> PathBuf {
        self.saves.join(&self.name)
    }

    /// Width and depth of one initial cell in metres.
    #[must_use]
    pub fn cell_size_m(&self) -> [f32; 2] {
        let [width, depth] = self.size_m.value;
        [width / self.grid.value.columns as f32, depth / self.grid.value.rows as f32]
    }
}

/// Sockets and who may use them.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Shard *i* listens on the port of this address + *i*; port 0: any free consecutive range.
    pub listen: SocketAddr,
    /// Where players reach shard 0, if that is not `listen`.
    pub public: Option<SocketAddr>,
    /// Sockets, threads and netcode servers; at least one, and enough for `players_max`.
    pub shards: usize,
    /// Most players at a time.
    pub players_max: usize,
    /// What clients may take.
    pub limits: NetLimits,
    /// Where the HTTP side listens; `None`: nowhere.
    pub http: Option<SocketAddr>,
    /// The key of connect tokens; present whenever an address is not loopback.
    pub key_file: Option<PathBuf>,
    /// The operator's token; present whenever an address is not loopback.
    pub admin_token_file: Option<PathBuf>,
}

impl NetworkSettings {
    /// Whether connections must be authenticated: whenever something listens beyond loopback, or a key is given.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.key_file.is_some()
    }
}

/// What moves the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The wall clock, `hz` times a second.
    Paced,
    /// Each other: as fast as the machine can, every tick waiting for the answers to the one before.
    Lockstep,
}

/// How this run goes.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Threads that run cells and views.
    pub threads: usize,
    /// Ticks a second; 1 / hz is the world's constant time step.
    pub hz: u32,
    /// Stop after so many ticks of this run.
    pub ticks_max: Option<u64>,
    /// What moves the ticks.
    pub pace: Pace,
    /// NPCs that exist, whatever the save holds.
    pub npcs: usize,
    /// Players inside the process.
    pub bots: usize,
    /// Audit views every so many ticks.
    pub audit_every_ticks: Option<u32>,
    /// What the log shows.
    pub log: LogLevel,
    /// The report at the end.
    pub report: Option<ReportFormat>,
}

impl RunSettings {
    /// The constant time step in seconds.
    #[must_use]
    pub fn step_s(&self) -> f32 {
        1.0 / self.hz as f32
    }
}

/// Radii, speeds and margins.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceSettings {
    /// An entity nearer than this comes into view.
    pub enter_radius_m: f32,
    /// An entity farther than this goes out of view; above the enter radius.
    pub leave_radius_m: f32,
    /// No entity moves faster.
    pub top_speed_m_s: f32,
    /// How far from its carrier an attached entity may be.
    pub attach_reach_m: f32,
    /// How far beyond a border ghosts reach: at least leave radius + one step + attach reach.
    pub ghost_margin_m: f32,
    /// Most entities in one view.
    pub view_entities_max: usize,
    /// Beyond how many metres an entity is told only every so many ticks, ascending; at most
    /// [`TIERS_MAX`](crate::limits::TIERS_MAX) pairs.
    pub tiers: Vec<(f32, u32)>,
    /// Bytes of updates that a player is sent per tick on average; `None`: as much as one update takes.
    pub client_bytes_per_tick: Option<u32>,
    /// Edge of the buckets that the R-tree indexes.
    pub bucket_m: f32,
}

/// What becomes of players whose connection is lost, and of those who left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Seconds of world time for which they stay in the world and may come back as if nothing had been.
    pub grace_s: u32,
    /// Seconds of world time after they left for which the answers to their actions are remembered.
    pub replies_kept_s: u32,
}

/// When the world is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveSettings {
    /// Seconds between two images of the world.
    pub image_every_s: u32,
    /// Seconds between two scans for components of durability `periodic` that changed.
    pub periodic_every_s: u32,
    /// How long claims are kept whose keys clients chose: so long a repeat gets the first result.
    pub claims_kept_s: u32,
    /// How long single rows of ledger and changelog are kept.
    pub history_kept_s: u32,
}

impl Settings {
    /// Reads the file that the options name (the default one may be missing) and resolves everything.
    ///
    /// # Errors
    /// As [`WorldConfig::load`] and [`Settings::resolve`].
    pub fn load(options: &RunOptions) -> Result<Self, ConfigError> {
        let file = config_file(options.config.as_deref()).map(WorldConfig::load).transpose()?;
        Self::resolve(options, file.as_ref())
    }

    /// Merges flags over file over defaults and checks the outcome.
    ///
    /// # Errors
    /// Every value that is wrong alone or against another, each with its place.
    pub fn resolve(options: &RunOptions, file: Option<&WorldConfig>) -> Result<Self, ConfigError> {
        let keys = file.map(|file| file.keys.clone()).unwrap_or_default();
        let mut check = Checker::after(file.map(|file| file.unreadable.clone()).unwrap_or_default());
        // One line a key: its flag, its place in the file, its default.
        macro_rules! set {
            ($key:ident, $flag:expr, $in_file:expr) => {
                given(&key::$key, $flag, file.and_then(|file| file.sourced(&$in_file)))
            };
            ($key:ident, $flag:expr, $in_file:expr, $default:expr) => {
                set!($key, $flag, $in_file).unwrap_or_else(|| Sourced::default_of($default))
            };
        }

        let hz = check.whole(&key::HZ, set!(HZ, options.hz, keys.hz, 20));
        let seed = set!(SEED, options.seed, keys.seed, 1);
        let grid = set!(GRID, options.grid, keys.grid, GridSize { columns: 5, rows: 5 });
        let size_m = set!(SIZE_M, None, keys.size_m, [1_000.0; 2]);
        let name_default = options.name_default.clone().unwrap_or_else(|| "world".to_owned());
        let name = set!(NAME, options.name.clone(), keys.name, name_default);
        let saves = set!(SAVES, options.saves.clone(), keys.saves, PathBuf::from("saves"));
        check.name(&name);
        check.path(&key::SAVES, Some(&saves));
        check.grid(&grid);
        check.size(&size_m);

        let listen =
            set!(LISTEN, options.listen, keys.listen, SocketAddr::from((Ipv4Addr::LOCALHOST, 5_000)));
        let public = set!(PUBLIC, options.public, keys.public);
        let http_default = HttpListen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 8_080)));
        let http = set!(HTTP, options.http, keys.http, http_default);
        let key_file = set!(KEY_FILE, options.key_file.clone(), keys.key_file);
        let admin_token_file =
            set!(ADMIN_TOKEN_FILE, options.admin_token_file.clone(), keys.admin_token_file);
        let players =
            check.whole(&key::MAX_PLAYERS, set!(MAX_PLAYERS, options.max_players, keys.max_players, 1_000));
        let shards_enough = players.value.div_ceil(CLIENTS_PER_SHARD_MAX as u64);
        let shards = check.whole(&key::SHARDS, set!(SHARDS, options.shards, keys.shards, shards_enough));
        check.path(&key::KEY_FILE, key_file.as_ref());
        check.path(&key::ADMIN_TOKEN_FILE, admin_token_file.as_ref());
        check.players_fit(&players, &shards);
        check.ports_fit(&listen, &shards);
        check.public(&listen, public.as_ref());
        check.secured(&listen, public.as_ref(), &http, key_file.as_ref(), admin_token_file.as_ref());

        let defaults = NetLimits::default();
        let per_address = set!(CONNECTIONS_PER_ADDRESS, None, keys.network.connections_per_address)
            .map(|most| check.whole(&key::CONNECTIONS_PER_ADDRESS, most));
        let client_bytes_per_s = check.whole(
            &key::CLIENT_BYTES_PER_S,
            set!(
                CLIENT_BYTES_PER_S,
                None,
                keys.network.client_bytes_per_s,
                u64::from(defaults.client_bytes_per_s)
            ),
        );
        let client_messages_per_s = check.whole(
            &key::CLIENT_MESSAGES_PER_S,
            set!(
                CLIENT_MESSAGES_PER_S,
                None,
                keys.network.client_messages_per_s,
                u64::from(defaults.client_messages_per_s)
            ),
        );
        let reconnect_token_s = check.whole(
            &key::RECONNECT_TOKEN_S,
            set!(RECONNECT_TOKEN_S, None, keys.network.reconnect_token_s, defaults.reconnect_token.as_secs()),
        );
        let login_s =
            check.whole(&key::LOGIN_S, set!(LOGIN_S, None, keys.network.login_s, defaults.login.as_secs()));

        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(256) as u64;
        let threads = check.whole(&key::THREADS, set!(THREADS, options.threads, keys.threads, cores));
        let ticks = set!(TICKS, options.ticks, keys.ticks).map(|ticks| check.whole(&key::TICKS, ticks));
        let fast = set!(FAST, options.fast.then_some(true), keys.fast, false);
        let npcs = check.whole(&key::NPCS, set!(NPCS, options.npcs, keys.npcs, 0));
        let bots = check.whole(&key::BOTS, set!(BOTS, options.bots, keys.bots, 0));
        let audit_every = set!(AUDIT_EVERY, options.audit_every, keys.audit_every)
            .map(|every| check.whole(&key::AUDIT_EVERY, every));
        let log = set!(LOG, options.log, keys.log, LogLevel::Info);
        let report = set!(REPORT, options.report, keys.report);

        let enter = set!(ENTER_RADIUS_M, None, keys.space.enter_radius_m, 50.0);
        let leave = set!(LEAVE_RADIUS_M, None, keys.space.leave_radius_m, 55.0);
        let top_speed = set!(TOP_SPEED_M_S, None, keys.space.top_speed_m_s, 10.0);
        let reach = set!(ATTACH_REACH_M, None, keys.space.attach_reach_m, 2.0);
        let margin = set!(GHOST_MARGIN_M, None, keys.space.ghost_margin_m);
        let bucket = set!(BUCKET_M, None, keys.space.bucket_m, 25.0);
        let view_default = VIEW_ENTITIES_MAX as u64;
        let view = check.whole(
            &key::VIEW_ENTITIES,
            set!(VIEW_ENTITIES, None, keys.space.view_entities_max, view_default),
        );
        let tiers = set!(TIERS, None, keys.space.tiers);
        let client_bytes = set!(CLIENT_BYTES, None, keys.space.client_bytes_per_tick);
        let client_bytes = client_bytes.map(|bytes| check.whole(&key::CLIENT_BYTES, bytes));
        if let Some(tiers) = &tiers {
            check.tiers(tiers);
        }
        let enter = check.number(&key::ENTER_RADIUS_M, enter);
        let leave = check.number(&key::LEAVE_RADIUS_M, leave);
        let top_speed = check.number(&key::TOP_SPEED_M_S, top_speed);
        let reach = check.number(&key::ATTACH_REACH_M, reach);
        let margin = margin.map(|margin| check.number(&key::GHOST_MARGIN_M, margin));
        let bucket = check.number(&key::BUCKET_M, bucket);
        check.hysteresis(&enter, &leave);
        let ghost_margin_m = check.ghost_margin(&leave, &top_speed, &reach, &hz, margin.as_ref());

        let grace_s = check.whole(&key::GRACE_S, set!(GRACE_S, None, keys.session.grace_s, 30));
        let kept_default = u64::from(REPLIES_KEPT_S_DEFAULT);
        let replies_kept_s = check.whole(
            &key::REPLIES_KEPT_S,
            set!(REPLIES_KEPT_S, None, keys.session.replies_kept_s, kept_default),
        );
        let image_every_s =
            check.whole(&key::IMAGE_EVERY_S, set!(IMAGE_EVERY_S, None, keys.save.image_every_s, 30));
        let periodic_default = u64::from(PERIODIC_EVERY_S_DEFAULT);
        let periodic_every_s = check.whole(
            &key::PERIODIC_EVERY_S,
            set!(PERIODIC_EVERY_S, None, keys.save.periodic_every_s, periodic_default),
        );
        let claims_default = u64::from(CLAIMS_KEPT_S_DEFAULT);
        let claims_kept_s = check
            .whole(&key::CLAIMS_KEPT_S, set!(CLAIMS_KEPT_S, None, keys.save.claims_kept_s, claims_default));
        let history_default = u64::from(HISTORY_KEPT_S_DEFAULT);
        let history_kept_s = check.whole(
            &key::HISTORY_KEPT_S,
            set!(HISTORY_KEPT_S, None, keys.save.history_kept_s, history_default),
        );

        let mut settings = Settings {
            config_file: file.map(|file| file.file().to_owned()),
            world: WorldChoice { saves: saves.value, name: name.value, seed, grid, size_m },
            network: NetworkSettings {
                listen: listen.value,
                public: public.map(|public| public.value),
                shards: shards.value as usize,
                players_max: players.value as usize,
                limits: NetLimits {
                    connections_per_address: per_address.map(|most| most.value as u32),
                    client_bytes_per_s: client_bytes_per_s.value as u32,
                    client_messages_per_s: client_messages_per_s.value as u32,
                    reconnect_token: Duration::from_secs(reconnect_token_s.value),
                    login: Duration::from_secs(login_s.value),
                },
                http: http.value.address(),
                key_file: key_file.map(|file| file.value),
                admin_token_file: admin_token_file.map(|file| file.value),
            },
            run: RunSettings {
                threads: threads.value as usize,
                hz: hz.value as u32,
                ticks_max: ticks.map(|ticks| ticks.value),
                pace: if fast.value { Pace::Lockstep } else { Pace::Paced },
                npcs: npcs.value as usize,
                bots: bots.value as usize,
                audit_every_ticks: audit_every.map(|every| every.value as u32),
                log: log.value,
                report: report.map(|report| report.value),
            },
            space: SpaceSettings {
                enter_radius_m: enter.value,
                leave_radius_m: leave.value,
                top_speed_m_s: top_speed.value,
                attach_reach_m: reach.value,
                ghost_margin_m,
                view_entities_max: view.value as usize,
                tiers: tiers.map_or_else(Vec::new, |tiers| tiers.value),
                client_bytes_per_tick: client_bytes.map(|bytes| bytes.value as u32),
                bucket_m: bucket.value,
            },
            session: SessionSettings {
                grace_s: grace_s.value as u32,
                replies_kept_s: replies_kept_s.value as u32,
            },
            save: SaveSettings {
                image_every_s: image_every_s.value as u32,
                periodic_every_s: periodic_every_s.value as u32,
                claims_kept_s: claims_kept_s.value as u32,
                history_kept_s: history_kept_s.value as u32,
            },
            warnings: Vec::new(),
        };
        check.finish()?;
        settings.warnings = check_advice(&settings, &hz);
        Ok(settings)
    }

    /// Takes over what an existing save fixed at its creation, and looks at the cells again with it.
    pub fn adopt(&mut self, seed: u64, grid: GridSize, size_m: [f32; 2]) {
        self.world.seed = Sourced { value: seed, origin: Origin::Save };
        self.world.grid = Sourced { value: grid, origin: Origin::Save };
        self.world.size_m = Sourced { value: size_m, origin: Origin::Save };
        self.warnings.retain(|warning| warning.key != key::GRID.path);
        self.warnings.extend(super::check::cell_edge_advice(&self.world, &self.space));
    }
}

/// What is allowed but unwise.
fn check_advice(settings: &Settings, hz: &Sourced<u64>) -> Vec<Problem> {
    let mut warnings = Vec::new();
    warnings.extend(super::check::hz_advice(hz));
    warnings.extend(super::check::cell_edge_advice(&settings.world, &settings.space));
    warnings
}

/// The flag if it was given, else the file's value.
fn given<T>(key: &Key, flag: Option<T>, in_file: Option<Sourced<T>>) -> Option<Sourced<T>> {
    match (flag, key.flag) {
        (Some(value), Some(name)) => Some(Sourced::flag(name, value)),
        _ => in_file,
    }
}
