//! Every key of the file, its flag, and what its value may be: one table for parsing, checks and messages.

use std::fmt;

use super::values::{ADDRESS, ADDRESS_OR_OFF};
use crate::limits::{
    CLAIMS_KEPT_S_MAX, CLAIMS_KEPT_S_MIN, CLIENT_BYTES_PER_TICK_MIN, CLIENTS_PER_SHARD_MAX, GRACE_S_MAX,
    GRID_CELLS_MAX, HISTORY_KEPT_S_MAX, HISTORY_KEPT_S_MIN, HZ_MAX, LEAVE_RADIUS_M_MAX, PERIODIC_EVERY_S_MAX,
    REPLIES_KEPT_S_MAX, REPLIES_KEPT_S_MIN, THREADS_MAX, TOKEN_ADDRESSES_MAX, UPDATE_BYTES_MAX,
    VIEW_ENTITIES_MAX, WORLD_EDGE_M_MAX,
};

/// What a key's value may be, without regard to other keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expected {
    /// A whole number, both ends allowed.
    Whole(u64, u64),
    /// A finite number of some unit, both ends allowed.
    Number(f32, f32, &'static str),
    /// Anything else, in words.
    Text(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Expected::Number(min, max, unit) => write!(f, "a number from {min} to {max} ({unit})"),
            Expected::Text(text) => f.write_str(text),
        }
    }
}

/// One key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// Dotted path in the file.
    pub(super) path: &'static str,
    /// The flag that sets it too.
    pub(super) flag: Option<&'static str>,
    /// What it may be.
    pub(super) expected: Expected,
}

const fn key(path: &'static str, flag: &'static str, expected: Expected) -> Key {
    Key { path, flag: Some(flag), expected }
}

const fn file_key(path: &'static str, expected: Expected) -> Key {
    Key { path, flag: None, expected }
}

const PATH: Expected = Expected::Text("a path in quotes");

/// Most shards: each has a thread and a port of its own, and a connect token names no more ports.
const SHARDS_MAX: u64 = TOKEN_ADDRESSES_MAX as u64;
/// The shortest world edge, in metres.
pub(super) const WORLD_EDGE_M_MIN: f32 = 1.0;

// The texts below repeat these numbers.
const _: () = assert!(WORLD_EDGE_M_MAX == 65_536.0 && WORLD_EDGE_M_MIN == 1.0);
const _: () = assert!(GRID_CELLS_MAX == 4_096);

pub(super) const NAME: Key = key(
    "name",
    "--name",
    Expected::Text("1 to 64 letters, digits, \"-\", \"_\" or \".\", not beginning with \".\" or \"-\""),
);
pub(super) const SAVES: Key = key("saves", "--saves", PATH);
pub(super) const LISTEN: Key = key("listen", "--listen", Expected::Text(ADDRESS));
pub(super) const PUBLIC: Key = key("public", "--public", Expected::Text(ADDRESS));
pub(super) const SHARDS: Key = key("shards", "--shards", Expected::Whole(1, SHARDS_MAX));
pub(super) const MAX_PLAYERS: Key =
    key("max_players", "--max-players", Expected::Whole(1, SHARDS_MAX * CLIENTS_PER_SHARD_MAX as u64));
pub(super) const HTTP: Key = key("http", "--http", Expected::Text(ADDRESS_OR_OFF));
pub(super) const KEY_FILE: Key = key("key_file", "--key-file", PATH);
pub(super) const ADMIN_TOKEN_FILE: Key = key("admin_token_file", "--admin-token-file", PATH);
pub(super) const THREADS: Key = key("threads", "--threads", Expected::Whole(1, THREADS_MAX as u64));
pub(super) const HZ: Key = key("hz", "--hz", Expected::Whole(1, HZ_MAX as u64));
pub(super) const SEED: Key = key("seed", "--seed", Expected::Whole(0, u64::MAX));
pub(super) const GRID: Key = key(
    "grid",
    "--grid",
    Expected::Text("columns and rows, at least 1 each and at most 4096 cells together, such as [5, 5]"),
);
pub(super) const SIZE_M: Key =
    file_key("size_m", Expected::Text("width and depth in metres, 1 to 65536 each, such as [1000, 1000]"));
pub(super) const TICKS: Key = key("ticks", "--ticks", Expected::Whole(1, u64::MAX));
pub(super) const FAST: Key = key("fast", "--fast", Expected::Text("true or false"));
pub(super) const NPCS: Key = key("npcs", "--npcs", Expected::Whole(0, 1_000_000));
pub(super) const BOTS: Key = key("bots", "--bots", Expected::Whole(0, 65_536));
pub(super) const AUDIT_EVERY: Key = key("audit_every", "--audit-every", Expected::Whole(1, u32::MAX as u64));
pub(super) const LOG: Key =
    key("log", "--log", Expected::Text("\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\""));
pub(super) const REPORT: Key = key("report", "--report", Expected::Text("\"json\""));
pub(super) const ENTER_RADIUS_M: Key =
    file_key("space.enter_radius_m", Expected::Number(1.0, LEAVE_RADIUS_M_MAX, "metres"));
pub(super) const LEAVE_RADIUS_M: Key =
    file_key("space.leave_radius_m", Expected::Number(1.0, LEAVE_RADIUS_M_MAX, "metres"));
pub(super) const TOP_SPEED_M_S: Key =
    file_key("space.top_speed_m_s", Expected::Number(0.1, 1_000.0, "metres per second"));
pub(super) const ATTACH_REACH_M: Key =
    file_key("space.attach_reach_m", Expected::Number(0.0, 64.0, "metres"));
pub(super) const GHOST_MARGIN_M: Key =
    file_key("space.ghost_margin_m", Expected::Number(1.0, 1_024.0, "metres"));
pub(super) const VIEW_ENTITIES: Key =
    file_key("space.view_entities_max", Expected::Whole(1, VIEW_ENTITIES_MAX as u64));
pub(super) const TIERS: Key = file_key(
    "space.tiers",
    Expected::Text("up to 4 pairs of metres and ticks, both ascending, such as [[30, 2], [45, 4]]"),
);
pub(super) const CLIENT_BYTES: Key = file_key(
    "space.client_bytes_per_tick",
    Expected::Whole(CLIENT_BYTES_PER_TICK_MIN as u64, UPDATE_BYTES_MAX as u64),
);
pub(super) const BUCKET_M: Key = file_key("space.bucket_m", Expected::Number(1.0, 1_000.0, "metres"));
pub(super) const GRACE_S: Key = file_key("session.grace_s", Expected::Whole(0, GRACE_S_MAX as u64));
pub(super) const REPLIES_KEPT_S: Key =
    file_key("session.replies_kept_s", Expected::Whole(REPLIES_KEPT_S_MIN as u64, REPLIES_KEPT_S_MAX as u64));
pub(super) const CONNECTIONS_PER_ADDRESS: Key =
    file_key("network.connections_per_address", Expected::Whole(1, 65_536));
pub(super) const CLIENT_BYTES_PER_S: Key =
    file_key("network.client_bytes_per_s", Expected::Whole(16_384, 16_777_216));
pub(super) const CLIENT_MESSAGES_PER_S: Key =
    file_key("network.client_messages_per_s", Expected::Whole(200, 100_000));
pub(super) const RECONNECT_TOKEN_S: Key = file_key("network.reconnect_token_s", Expected::Whole(30, 86_400));
pub(super) const LOGIN_S: Key = file_key("network.login_s", Expected::Whole(60, 31_536_000));
pub(super) const IMAGE_EVERY_S: Key = file_key("save.image_every_s", Expected::Whole(1, 86_400));
pub(super) const PERIODIC_EVERY_S: Key =
    file_key("save.periodic_every_s", Expected::Whole(1, PERIODIC_EVERY_S_MAX as u64));
pub(super) const CLAIMS_KEPT_S: Key =
    file_key("save.claims_kept_s", Expected::Whole(CLAIMS_KEPT_S_MIN as u64, CLAIMS_KEPT_S_MAX as u64));
pub(super) const HISTORY_KEPT_S: Key =
    file_key("save.history_kept_s", Expected::Whole(HISTORY_KEPT_S_MIN as u64, HISTORY_KEPT_S_MAX as u64));

/// Every key there is.
pub(super) const ALL: &[Key] = &[
    NAME,
    SAVES,
    LISTEN,
    PUBLIC,
    SHARDS,
    MAX_PLAYERS,
    HTTP,
    KEY_FILE,
    ADMIN_TOKEN_FILE,
    THREADS,
    HZ,
    SEED,
    GRID,
    SIZE_M,
    TICKS,
    FAST,
    NPCS,
    BOTS,
    AUDIT_EVERY,
    LOG,
    REPORT,
    ENTER_RADIUS_M,
    LEAVE_RADIUS_M,
    TOP_SPEED_M_S,
    ATTACH_REACH_M,
    GHOST_MARGIN_M,
    VIEW_ENTITIES,
    TIERS,
    CLIENT_BYTES,
    BUCKET_M,
    GRACE_S,
    REPLIES_KEPT_S,
    CONNECTIONS_PER_ADDRESS,
    CLIENT_BYTES_PER_S,
    CLIENT_MESSAGES_PER_S,
    RECONNECT_TOKEN_S,
    LOGIN_S,
    IMAGE_EVERY_S,
    PERIODIC_EVERY_S,
    CLAIMS_KEPT_S,
    HISTORY_KEPT_S,
];

/// What is expected at a dotted path of the file; a table of the file expects a table.
pub(super) fn expected_at(path: &str) -> Option<String> {
    if let Some(key) = ALL.iter().find(|key| key.path == path) {
        return Some(key.expected.to_string());
    }
    let table = format!("{path}.");
    ALL.iter().any(|key| key.path.starts_with(&table)).then(|| format!("a table of keys under [{path}]"))
}

/// The keys that stand beside `path` in its table, for whoever wrote one that does not exist.
pub(super) fn siblings_of(path: &str) -> String {
    let prefix = path.rsplit_once('.').map_or(String::new(), |(table, _)| format!("{table}."));
    let mut names: Vec<&str> = ALL
        .iter()
        .filter_map(|key| key.path.strip_prefix(&prefix))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    names.dedup();
    names.join(", ")
}
