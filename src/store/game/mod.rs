//! A game's own tables and kinds of change, carried out in the same transaction as the rest of a plan.
//!
//! A plugin names its tables `game_PLUGIN_…`, makes them by numbered migrations, and writes their rows by [`MutationKind`]s alone.
//! It can read the engine's tables and write none of them. No type of SQLite's is seen here.
//!
//! ```
//! use serde::Deserialize;
//! use terrane::store::game::{GamePlugin, GameStore, GameTransaction, KindRefusal, MutationKind};
//!
//! /// Takes from the stock of a shop.
//! #[derive(Deserialize)]
//! struct Take {
//!     good: String,
//!     amount: u32,
//! }
//!
//! struct TakeStock;
//!
//! impl MutationKind for TakeStock {
//!     const NAME: &'static str = "take_stock";
//!     type Data = Take;
//!     fn carry_out(tx: &mut GameTransaction<'_>, data: Take) -> Result<(), KindRefusal> {
//!         let taken = tx.execute(
//!             "UPDATE game_shop_stock SET amount = amount - ?2 WHERE good = ?1 AND amount >= ?2",
//!             &[data.good.into(), data.amount.into()],
//!         )?;
//!         if taken == 1 { Ok(()) } else { Err(KindRefusal::new("sold out")) }
//!     }
//! }
//!
//! let shop = GamePlugin::new("shop")
//!     .migration("stocks", "CREATE TABLE game_shop_stock (good TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT")
//!     .kind::<TakeStock>();
//! let game = GameStore::default().plugin(shop);
//! # let _ = game;
//! ```

mod migrate;
mod transaction;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

pub(super) use self::migrate::conservation;
pub use self::transaction::{GameTransaction, SqlValue};
use super::fence::prefix_of;
use crate::protocol::codec;
use crate::reward::Name;

/// Most bytes of the data of one change of a game's kind.
pub const KIND_DATA_BYTES_MAX: usize = 1 << 16;

/// Most bytes that one change of a game's kind may tell of itself.
pub const TOLD_BYTES_MAX: usize = 1 << 14;
/// Most bytes that all changes of one plan may tell.
pub const TOLD_BY_PLAN_BYTES_MAX: usize = 1 << 18;

/// Why a change of a game's kind is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindRefusal(String);

impl KindRefusal {
    /// For this reason, in words for players.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0
    }
}

/// A kind of change of a game's own tables.
pub trait MutationKind: 'static {
    /// What a plan calls it. Unique over all plugins.
    const NAME: &'static str;
    /// What there is to do, as [`PlanRequest::game`](crate::reward::PlanRequest::game) encodes it.
    type Data: DeserializeOwned;

    /// Does it. What is refused undoes the whole plan; it must not depend on anything but the data and the tables.
    ///
    /// # Errors
    /// When it is not possible as things are.
    fn carry_out(tx: &mut GameTransaction<'_>, data: Self::Data) -> Result<(), KindRefusal>;

    /// Looks at what this kind has written all along, and tells what is wrong with it: each with the table and key.
    ///
    /// # Errors
    /// When it cannot be looked at.
    fn conservation(_tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        Ok(Vec::new())
    }
}

type CarryOut = fn(&mut GameTransaction<'_>, &[u8]) -> Result<(), KindRefusal>;
type Conservation = fn(&mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal>;

/// A registered kind.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    /// Prefix of the tables that it may write.
    pub(super) prefix: String,
    pub(super) carry_out: CarryOut,
    pub(super) conservation: Conservation,
}

/// One step of a plugin's tables. One that was once released is never edited: another one follows it.
#[derive(Clone, Debug)]
struct GameMigration {
    name: &'static str,
    sql: &'static str,
}

/// The tables and kinds of one plugin.
#[derive(Clone, Debug)]
pub struct GamePlugin {
    name: Name,
    migrations: Vec<GameMigration>,
    kinds: Vec<(Name, Kind)>,
}

impl GamePlugin {
    /// A plugin of this name: lower-case letters and digits, the name of its tables among others.
    ///
    /// # Panics
    /// When it is another name.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        assert!(
            name.bytes().all(is_fit),
            "`{name}` is no name of a plugin: lower-case letters and digits make one"
        );
        Self { name: name.into(), migrations: Vec::new(), kinds: Vec::new() }
    }

    /// The next step of its tables: SQL that makes or changes `game_PLUGIN_…` and touches nothing else.
    #[must_use]
    pub fn migration(mut self, name: &'static str, sql: &'static str) -> Self {
        self.migrations.push(GameMigration { name, sql });
        self
    }

    /// A kind of change of those tables.
    #[must_use]
    pub fn kind<K: MutationKind>(mut self) -> Self {
        let carry_out: CarryOut = |tx, bytes| {
            let data = codec::decode_prefix::<K::Data, KIND_DATA_BYTES_MAX>("data of a change", bytes);
            let (data, _) = data.map_err(|error| KindRefusal::new(error.to_string()))?;
            K::carry_out(tx, data)
        };
        let kind = Kind { prefix: prefix_of(self.name.as_str()), carry_out, conservation: K::conservation };
        self.kinds.push((K::NAME.into(), kind));
        self
    }
}

/// What a game has in the store beside the engine's tables.
#[derive(Clone, Debug, Default)]
pub struct GameStore {
    plugins: Vec<GamePlugin>,
    kinds: BTreeMap<Name, Kind>,
}

impl GameStore {
    /// With a plugin's tables and kinds.
    ///
    /// # Panics
    /// When there is a plugin of this name already, or a kind of the name of one of its kinds.
    #[must_use]
    pub fn plugin(mut self, plugin: GamePlugin) -> Self {
        let is_new = self.plugins.iter().all(|known| known.name != plugin.name);
        assert!(is_new, "two plugins have tables under the name `{}`", plugin.name);
        for (name, kind) in &plugin.kinds {
            let twice = self.kinds.insert(name.clone(), kind.clone());
            assert!(twice.is_none(), "two kinds of change are called `{name}`");
        }
        self.plugins.push(plugin);
        self
    }

    pub(super) fn kind(&self, name: &Name) -> Option<&Kind> {
        self.kinds.get(name)
    }
}
