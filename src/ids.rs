//! The names of things: entities, players, sessions, ticks and cells.
//!
//! Every id is a newtype, so that a slot can never be taken for a row. None of them says anything about
//! memory layout to the outside: what leaves the process is a [`NetId`], a [`PlayerId`] or an [`Alias`].

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bevy_ecs::prelude::Component;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::limits::PLAYER_NAME_BYTES_MAX;

/// The number of a tick since the world was created. It never runs backwards, also not over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TickNumber(pub u64);

impl fmt::Display for TickNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names an entity everywhere outside its cell's world: on the wire, in saves, in messages and in game data.
///
/// It is a keyed hash of who spawned it and how many that spawner had spawned before, so it is the same on
/// every cell layout and tells its holder nothing. Zero is never given out.
///
/// In the codec's bytes it always takes eight, so that one can be blanked where it stands; for people it is a
/// number.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[component(immutable)]
pub struct NetId(pub u64);

impl NetId {
    /// The spawner of what nobody in the world spawned: the population, avatars.
    pub const WORLD: NetId = NetId(0);

    /// The id of the `counter`-th entity spawned by `spawner` in the world with this secret.
    #[must_use]
    pub fn derive(world_secret: u64, spawner: NetId, counter: u64) -> NetId {
        let mut key = [0u8; 16];
        key[..8].copy_from_slice(&spawner.0.to_le_bytes());
        key[8..].copy_from_slice(&counter.to_le_bytes());
        NetId(xxh3_64_with_seed(&key, world_secret).max(1))
    }

    /// The id of node-wide state of that name in the world with this secret.
    #[must_use]
    pub fn of_global(world_secret: u64, name: &str) -> NetId {
        NetId(xxh3_64_with_seed(name.as_bytes(), world_secret).max(1))
    }
}

thread_local! {
    /// How many ids this thread has serialised into bytes.
    static SERIALISED: Cell<u64> = const { Cell::new(0) };
    /// Whether the next byte that is written is the first of an id.
    static BEGINS: Cell<bool> = const { Cell::new(false) };
}

/// How many ids this thread has serialised into bytes: a difference tells that there was one in a value, whatever
/// its type.
pub(crate) fn net_ids_serialised() -> u64 {
    SERIALISED.get()
}

/// Whether the byte about to be written is the first of an id. Asked once per id: the answer is forgotten.
pub(crate) fn net_id_begins() -> bool {
    BEGINS.take()
}

impl Serialize for NetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_u64(self.0);
        }
        SERIALISED.set(SERIALISED.get().wrapping_add(1));
        BEGINS.set(true);
        let done = self.0.to_le_bytes().serialize(serializer);
        BEGINS.set(false);
        done
    }
}

impl<'de> Deserialize<'de> for NetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(NetId);
        }
        <[u8; 8]>::deserialize(deserializer).map(|bytes| NetId(u64::from_le_bytes(bytes)))
    }
}

impl fmt::Display for NetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:016x}", self.0)
    }
}

/// Why a text is not a [`NetId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no entity: expected its name, up to 16 hexadecimal digits such as 3f07c2d1a94be650")]
pub struct NetIdError(String);

/// As it is printed: up to 16 hexadecimal digits, with or without `#` or `0x` before them.
impl FromStr for NetId {
    type Err = NetIdError;
    fn from_str(text: &str) -> Result<Self, NetIdError> {
        let digits = text.strip_prefix('#').or_else(|| text.strip_prefix("0x")).unwrap_or(text);
        let is_hex = (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = if is_hex { u64::from_str_radix(digits, 16).ok() } else { None };
        id.map(NetId).ok_or_else(|| NetIdError(text.to_owned()))
    }
}

/// A field as people name it: `Caravan.purse`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldName {
    /// Name of the component's type.
    pub component: String,
    /// Name of the field.
    pub field: String,
}

/// Why a text is not a [`FieldName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldNameError {
    /// It names a component alone, or nothing.
    #[error("`{0}` is no field: expected Component.field, such as Caravan.purse")]
    NoField(String),
    /// It names a part of a field.
    #[error("`{0}` lies within a field: ask for Component.field, and it is told what within it is hidden")]
    Within(String),
}

impl FromStr for FieldName {
    type Err = FieldNameError;
    fn from_str(text: &str) -> Result<Self, FieldNameError> {
        match text.split_once('.') {
            Some((_, field)) if field.contains('.') => Err(FieldNameError::Within(text.to_owned())),
            Some((component, field)) if !component.is_empty() && !field.is_empty() => {
                Ok(Self { component: component.to_owned(), field: field.to_owned() })
            }
            _ => Err(FieldNameError::NoField(text.to_owned())),
        }
    }
}

/// The name of a player's account: 1 to 32 bytes of printable UTF-8 without blanks at its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlayerId(Arc<str>);

/// Why a text is not a [`PlayerId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayerIdError {
    /// The name is empty or longer than the limit.
    #[error("a player name has 1 to {max} bytes, this one has {0}: choose another", max = PLAYER_NAME_BYTES_MAX)]
    Length(usize),
    /// The name holds a control character, or begins or ends with a blank.
    #[error("a player name is printable text without blanks at its ends: choose another")]
    Unprintable,
}

impl PlayerId {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// When it is empty, too long, unprintable or padded with blanks.
    pub fn new(name: &str) -> Result<Self, PlayerIdError> {
        if name.is_empty() || name.len() > PLAYER_NAME_BYTES_MAX {
            return Err(PlayerIdError::Length(name.len()));
        }
        if name.trim() != name || name.chars().any(char::is_control) {
            return Err(PlayerIdError::Unprintable);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PlayerId {
    type Error = PlayerIdError;
    fn try_from(name: String) -> Result<Self, PlayerIdError> {
        Self::new(&name)
    }
}

impl From<PlayerId> for String {
    fn from(player: PlayerId) -> String {
        player.0.as_ref().to_owned()
    }
}

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a player may do beyond playing. Carried by the connect token.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
pub enum Role {
    /// An ordinary player.
    #[default]
    Player,
    /// A game master: may call what is declared for GMs.
    Gm,
    /// An operator: may call everything.
    Admin,
}

/// A group of players who travel together and share what is the party's. No party has the number 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartyId(pub u64);

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {}", self.0)
    }
}

/// A side: players and things that belong together for longer than a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TeamId(pub u32);

impl fmt::Display for TeamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "team {}", self.0)
    }
}

/// A label that a game puts on entities for its sync policies to ask about; what it means the game knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag(pub u16);

/// The name of a number that a game keeps about a viewer for its sync policies to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FactKey(pub u16);

/// One connection of a transport, from its first packet to its end; random, never reused by intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

/// What a client calls itself over all its connections: a random number, which tells two devices of one player apart from
/// one that comes back. Nothing is granted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId(pub u64);

/// A player's presence in the world. `epoch` grows with every session of the world: a message that carries an
/// older one belongs to a session that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// Dense index, reused after the session ended.
    pub index: u32,
    /// Unique within the world's life.
    pub epoch: u32,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}.{}", self.index, self.epoch)
    }
}

/// A client-chosen name of an action. One id is answered exactly once. Its upper 64 bits grow from one action of a client
/// to the next, so that it can be told which ids are older than what is remembered; the lower 64 are random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionId(pub u128);

impl ActionId {
    /// An id of this order.
    #[must_use]
    pub fn new(order: u64, random: u64) -> Self {
        Self(u128::from(order) << 64 | u128::from(random))
    }

    /// Its place among the ids of one client: the upper half.
    #[must_use]
    pub fn order(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The order of ids that are made at this time, milliseconds since 1970: clients begin there, or above what they used.
    /// 65,536 actions of one millisecond keep their order.
    #[must_use]
    pub fn order_at(unix_ms: u64) -> u64 {
        unix_ms.saturating_mul(1 << 16)
    }

    /// The last id of an order.
    #[must_use]
    pub fn last_of(order: u64) -> Self {
        Self::new(order, u64::MAX)
    }
}

/// The short name of an entity within one view: what the wire carries instead of a [`NetId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(pub u16);

/// The place of an entity in the node's [`Rows`](crate::replication::Rows), from its birth to its death and
/// whichever cell owns it. Row 0 belongs to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub u32);

impl Row {
    /// The row of no entity: nothing there ever changes and it is nowhere.
    pub const NONE: Row = Row(0);

    /// As an index into a column.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One of the resources that hold a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotIndex(pub u32);

impl SlotIndex {
    /// As an index into a table of slots.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A cell: leaf `(cx, cy)` of the quadtree at `depth` below one cell of the world's grid, printed `w0/3,4@2`.
///
/// `cx` and `cy` count leaves of that depth from the world's south-west corner, so a path is not needed: the
/// parent is `(cx / 2, cy / 2)` at `depth - 1`, and grid cells have depth 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId {
    /// The world, always 0 in a process of one world.
    pub world: u16,
    /// How often the grid cell was halved.
    pub depth: u8,
    /// Column at this depth.
    pub cx: u32,
    /// Row at this depth.
    pub cy: u32,
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}/{},{}@{}", self.world, self.cx, self.cy, self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_printed_by_world_leaf_and_depth() {
        assert_eq!(CellId { world: 0, depth: 2, cx: 3, cy: 4 }.to_string(), "w0/3,4@2");
    }

    #[test]
    fn net_ids_differ_by_secret_spawner_and_counter() {
        let base = NetId::derive(1, NetId(2), 3);
        assert_eq!(base, NetId::derive(1, NetId(2), 3));
        assert_ne!(base, NetId::derive(2, NetId(2), 3));
        assert_ne!(base, NetId::derive(1, NetId(3), 3));
        assert_ne!(base, NetId::derive(1, NetId(2), 4));
    }

    #[test]
    fn an_entitys_name_is_read_as_it_is_printed() {
        let name = NetId(0x00ff_00ab_1234_5678);
        assert_eq!(name.to_string().parse(), Ok(name));
        for text in ["00ff00ab12345678", "0xff00ab12345678", "FF00AB12345678"] {
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
        for text in ["", "#", "0x", "+1", "12345678901234567", "xyz", "##1", "1 "] {
            assert_eq!(text.parse::<NetId>(), Err(NetIdError(text.to_owned())));
        }
    }

    #[test]
    fn player_names_are_bounded_and_printable() {
        assert!(PlayerId::new("alice").is_ok());
        assert_eq!(PlayerId::new(""), Err(PlayerIdError::Length(0)));
        assert_eq!(PlayerId::new(&"x".repeat(33)), Err(PlayerIdError::Length(33)));
        assert_eq!(PlayerId::new("a\nb"), Err(PlayerIdError::Unprintable));
        assert_eq!(PlayerId::new(" a"), Err(PlayerIdError::Unprintable));
    }
}
