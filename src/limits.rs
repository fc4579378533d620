//! The bounds of everything, in one place; where one bound rests on another, the compiler checks it.

/// Most bytes of a player's name.
pub const PLAYER_NAME_BYTES_MAX: usize = 32;

/// Most bytes that netcode carries in one packet; more is sliced into several.
pub const NETCODE_PAYLOAD_BYTES_MAX: usize = 1_200;

/// Most bytes of one state update. A message of 1,199 or 1,200 bytes makes renet send an extra empty packet.
pub const UPDATE_BYTES_MAX: usize = 1_150;

/// Most bytes of a record that cannot fit one update and travels as a sliced reliable message instead.
pub const RECORD_BYTES_MAX: usize = 4_800;

/// Most state updates a session is sent in one tick while its first view is filled.
pub const FIRST_SYNC_UPDATES_PER_TICK_MAX: usize = 4;

/// Most entities in one player's view.
pub const VIEW_ENTITIES_MAX: usize = 256;

/// Most aliases of one session: its view, what waits for the ack of a leave, and room for churn.
pub const ALIASES_MAX: usize = 4_096;

/// Most top-level replicated fields of one entity, position included: one bit each in a mask of 64, of which
/// the topmost are for what happens to all of them.
pub const FIELDS_PER_ENTITY_MAX: usize = 61;

/// Most sent fields of one component, and of one nested value: a mask of either fits 32 bits.
pub const SENT_FIELDS_MAX: usize = 32;

/// How many structs and enums with policies may lie within one another in a field; what lies deeper is left out.
pub const NODE_LEVELS_MAX: usize = 16;

/// Most kinds of components that a game may register for replication: one bit each in a `u64`.
pub const COMPONENT_KINDS_MAX: usize = 64;

/// Most bytes of one encoded field unless it declares another maximum.
pub const FIELD_BYTES_MAX_DEFAULT: usize = 512;

/// Most bytes of one field in a save: no blob in SQLite is longer, so what was saved can be loaded.
pub const SAVED_FIELD_BYTES_MAX: usize = 1_000_000_000;

/// Updates that may be in flight to one session: an older one without an answer counts as lost.
pub const UPDATES_IN_FLIGHT_MAX: usize = 32;

/// For how many ticks something may wait in full updates before an audit calls it late, and the longest that a component
/// may ask for.
pub const PENDING_TICKS_MAX: u16 = 200;

/// Most times as fast as usual that a component's changes may come to their turn.
pub const URGENCY_PRIORITY_MAX: u8 = 8;

/// Most distance tiers of a world.
pub const TIERS_MAX: usize = 4;

/// Most ticks between two turns of what is far.
pub const TIER_TICKS_MAX: u32 = 40;

/// Smallest budget of updates, bytes per player and tick: with it a full update goes out every eighth tick or so.
pub const CLIENT_BYTES_PER_TICK_MIN: u32 = 150;

/// Most bytes of one event to a player, as that player sees it.
pub const EVENT_BYTES_MAX: usize = 512;

/// Most events that the systems of one cell, or of the node, may send in one tick; what is more is not sent, and counted.
pub const EVENTS_PER_CELL_MAX: usize = 1_024;

/// Bytes of reliable events that one session is sent in a tick; what is more waits.
pub const EVENT_BYTES_PER_TICK_MAX: usize = 1_024;

/// Bytes of reliable events that may wait for one session; what is more is dropped and counted.
pub const EVENT_BYTES_WAITING_MAX: usize = 32 * 1_024;

/// Steps of the world's position lattice in one metre.
pub const LATTICE_STEPS_PER_M: f32 = 128.0;

/// How far from an update's reference point a position can be told by its low 16 bits.
pub const LATTICE_REACH_M: f32 = 65_536.0 / LATTICE_STEPS_PER_M / 2.0;

/// Largest leave radius: beyond it the low bits of a position would name two places.
pub const LEAVE_RADIUS_M_MAX: f32 = 252.0;

/// Largest world edge: every lattice position fits an `i32` and an `f32` still resolves a centimetre.
pub const WORLD_EDGE_M_MAX: f32 = 65_536.0;

/// Most initial cells of a world: beyond it the fixed cost of empty cells alone fills a tick.
pub const GRID_CELLS_MAX: u64 = 4_096;

/// How often a cell of the grid may be halved in both directions.
pub const CELL_DEPTH_MAX: u8 = 16;

/// Most ticks per second of world time.
pub const HZ_MAX: u16 = 120;

/// Most threads that run cells and sessions.
pub const THREADS_MAX: usize = 256;

/// Highest and, below zero, lowest place of the world: as its edge, what would go beyond stands there. An update's
/// reference point reaches twice as far, and an `f32` still resolves a centimetre.
pub const HEIGHT_M_MAX: f32 = 65_536.0;

/// Most addresses in one connect token, netcode's own limit: no more shards can be named to a client.
pub const TOKEN_ADDRESSES_MAX: usize = 32;

/// Clients that one netcode server can hold.
pub const CLIENTS_PER_SHARD_MAX: usize = 1_024;

/// Most bytes of a message a client may send.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = 1_024;

/// Most actions of one session that are taken in one tick; the rest waits, bounded, for the next.
pub const ACTIONS_PER_TICK_MAX: usize = 32;

/// Most messages of one session that may wait between its shard and the tick.
pub const CLIENT_QUEUE_MAX: usize = 256;

/// Most joins admitted in one tick; the rest waits for the next and is told so.
pub const JOINS_PER_TICK_MAX: usize = 64;

/// Most bytes of the answer to an action.
pub const REPLY_BYTES_MAX: usize = 4_096;

/// Most bytes of what a game says when it refuses an action, as text and encoded each.
pub const REFUSAL_BYTES_MAX: usize = 512;

/// Most players in one party.
pub const PARTY_MEMBERS_MAX: usize = 32;

/// Most invitations to parties that one player may have.
pub const INVITATIONS_MAX: usize = 8;

/// For how long a member of a party may stay away before it is none any more, seconds of world time.
pub const PARTY_AWAY_S_MAX: u64 = 30 * 24 * 3_600;

/// How long an invitation to a party can be taken, seconds of world time.
pub const INVITATION_S: f32 = 60.0;

/// Answers to valueless actions that a session remembers, oldest forgotten first.
pub const REPLIES_REMEMBERED_MAX: usize = 1_024;

/// Most bytes of such answers that are remembered of one player, oldest forgotten first.
pub const REPLY_BYTES_REMEMBERED_MAX: usize = 1 << 16;

/// Players not in the world whose answers are remembered; who left first is forgotten first.
pub const PLAYERS_REMEMBERED_MAX: usize = 4_096;

/// Most bytes of what is remembered of them together: of 4,096 players with 16 KiB each.
pub const DEPARTED_BYTES_MAX: usize = 64 << 20;

/// How long after leaving a player's answers are remembered unless the world says otherwise, in seconds of world time.
pub const REPLIES_KEPT_S_DEFAULT: u32 = 24 * 3_600;

/// The shortest time for which they are: a client that lost its connection needs some to say again what was not answered.
pub const REPLIES_KEPT_S_MIN: u32 = 60;

/// The longest.
pub const REPLIES_KEPT_S_MAX: u32 = 30 * 24 * 3_600;

/// Most bytes of lasting messages that a session keeps for a client that has not confirmed them: many times what is
/// unconfirmed on a long round trip.
pub const LASTING_BYTES_MAX: usize = 128 * 1_024;

/// Bytes of lasting messages that go to one client in a tick, one message more at most: far more than a tick makes, and
/// little enough for the network to take what a resumed session has to say again.
pub const LASTING_BYTES_PER_TICK_MAX: usize = 16 * 1_024;

/// Longest time that a session may wait for a lost connection to come back, s.
pub const GRACE_S_MAX: u32 = 3_600;

/// Rows of components that are written in one transaction, and that a scan for what changed hands over in a tick.
pub const ROWS_PER_CHUNK: usize = 200;
/// Most seconds between two scans for what changed.
pub const PERIODIC_EVERY_S_MAX: u32 = 3_600;
/// Seconds between two scans for what changed, unless a world says otherwise.
pub const PERIODIC_EVERY_S_DEFAULT: u32 = 30;

/// For how long at least claims whose keys clients chose are kept: as long as a client may need to come back.
pub const CLAIMS_KEPT_S_MIN: u32 = 60;

/// For how long they are kept, unless told otherwise.
pub const CLAIMS_KEPT_S_DEFAULT: u32 = 24 * 3_600;

/// For how long at most.
pub const CLAIMS_KEPT_S_MAX: u32 = 365 * 24 * 3_600;

/// For how long at least single rows of ledger and changelog are kept.
pub const HISTORY_KEPT_S_MIN: u32 = 3_600;

/// For how long they are kept, unless told otherwise.
pub const HISTORY_KEPT_S_DEFAULT: u32 = 30 * 24 * 3_600;

/// For how long at most.
pub const HISTORY_KEPT_S_MAX: u32 = 10 * 365 * 24 * 3_600;

/// Most seconds of world time that a player waits for its profile before it is refused and may try again.
pub const PROFILE_WAIT_S: u64 = 20;

/// Most bytes of what an operator writes about a player: it is told to that player.
pub const WHY_BYTES_MAX: usize = 200;

const _: () =
    assert!(REPLIES_KEPT_S_MIN < REPLIES_KEPT_S_DEFAULT && REPLIES_KEPT_S_DEFAULT < REPLIES_KEPT_S_MAX);
const _: () = assert!(DEPARTED_BYTES_MAX > 100 * REPLY_BYTES_REMEMBERED_MAX);
const _: () = assert!(RECORD_BYTES_MAX < REPLY_BYTES_REMEMBERED_MAX);
const _: () = assert!(UPDATE_BYTES_MAX + 32 < NETCODE_PAYLOAD_BYTES_MAX);
const _: () = assert!(CLIENT_MESSAGE_BYTES_MAX < NETCODE_PAYLOAD_BYTES_MAX);
const _: () = assert!(COMPONENT_KINDS_MAX <= 64);
const _: () = assert!(LASTING_BYTES_PER_TICK_MAX > EVENT_BYTES_PER_TICK_MAX + RECORD_BYTES_MAX);
const _: () = assert!(LASTING_BYTES_MAX > 2 * EVENT_BYTES_WAITING_MAX);
const _: () = assert!(ALIASES_MAX >= 4 * VIEW_ENTITIES_MAX && ALIASES_MAX <= u16::MAX as usize);
const _: () = assert!(UPDATES_IN_FLIGHT_MAX <= 64, "an ack carries 64 bits");
const _: () = assert!(WORLD_EDGE_M_MAX * LATTICE_STEPS_PER_M < i32::MAX as f32);
const _: () = assert!(
    GRID_CELLS_MAX << CELL_DEPTH_MAX <= u32::MAX as u64,
    "columns of the smallest cells are counted in 32 bits"
);
const _: () = assert!(HEIGHT_M_MAX <= WORLD_EDGE_M_MAX, "the lattice and the reference points hold it");
