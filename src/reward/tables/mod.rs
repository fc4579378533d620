//! The tables that rewards are planned with: assets, loot, boxes. Checked when they are made, read-only from then on.

mod builder;
mod fault;
pub(super) mod graph;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use builder::TablesBuilder;
pub use fault::TablesError;
pub(super) use graph::Worst;

use super::asset::AssetClass;
use super::name::Name;

/// How deep loot tables and boxes may lie in one another.
pub const BOX_DEPTH_MAX: usize = 8;
/// Most changes of one plan.
pub const MUTATIONS_MAX: usize = 256;
/// Most changes that one roll of a loot table, or the opening of one box, may come to in the worst case: the rest of a plan
/// is for what is paid and for what expired.
pub const ROLL_CHANGES_MAX: usize = 128;
/// Most rolls and drops that the chances of one plan may come to in the worst case: what planning costs.
pub const STEPS_MAX: u64 = 16_384;
/// Most of anything in one grant: sums of a plan stay far below what 63 bits hold.
pub const AMOUNT_MAX: u64 = 1 << 40;
/// Most rows of one loot table, and most that it always drops.
pub const LOOT_ROWS_MAX: usize = 4_096;
/// Most rolls of one row or box.
pub const ROLLS_MAX: u32 = 1_000;
/// Slots of a player unless the tables say otherwise.
pub const SLOTS_DEFAULT: u64 = 64;

const _: () = assert!(ROLL_CHANGES_MAX < MUTATIONS_MAX);
const _: () =
    assert!((STEPS_MAX as u128 + MUTATIONS_MAX as u128) * (AMOUNT_MAX as u128) < i64::MAX as u128 / 256);
const _: () = assert!((LOOT_ROWS_MAX as u128) * (u32::MAX as u128) < u64::MAX as u128);

/// One row of a loot table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LootRow {
    /// How likely it is, beside the weights of the other rows.
    pub weight: u32,
    /// What comes out of it.
    pub drop: Drop,
}

/// What comes out of a row of a loot table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Drop {
    /// Nothing.
    Nothing,
    /// So much of an asset, drawn evenly between the two, both included.
    Asset {
        /// What.
        asset: Name,
        /// Least.
        least: u64,
        /// Most.
        most: u64,
    },
    /// Another table is rolled so often.
    Table {
        /// Which.
        table: Name,
        /// How often.
        rolls: u32,
    },
}

impl Drop {
    /// So much of an asset.
    #[must_use]
    pub fn some(asset: impl Into<Name>, amounts: RangeInclusive<u64>) -> Self {
        Self::Asset { asset: asset.into(), least: *amounts.start(), most: *amounts.end() }
    }

    /// So many rolls of another table.
    #[must_use]
    pub fn table(table: impl Into<Name>, rolls: u32) -> Self {
        Self::Table { table: table.into(), rolls }
    }
}

/// A loot table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LootTable {
    /// The house that gives what it drops.
    pub house: Name,
    /// Always dropped, with every roll.
    pub always: Vec<Drop>,
    /// One of these is drawn with every roll.
    pub rows: Vec<LootRow>,
}

impl LootTable {
    /// A table that drops nothing yet, out of a house.
    #[must_use]
    pub fn of(house: impl Into<Name>) -> Self {
        Self { house: house.into(), always: Vec::new(), rows: Vec::new() }
    }

    /// With something that every roll drops.
    #[must_use]
    pub fn always(mut self, drop: Drop) -> Self {
        self.always.push(drop);
        self
    }

    /// With one more row.
    #[must_use]
    pub fn row(mut self, weight: u32, drop: Drop) -> Self {
        self.rows.push(LootRow { weight, drop });
        self
    }
}

/// An item that holds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxRule {
    /// The loot table that is rolled for each.
    pub table: Name,
    /// How often.
    pub rolls: u32,
    /// Whether it opens by itself as soon as it is granted: then nobody ever holds it.
    pub opens_itself: bool,
}

/// A loot table with what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckedLoot {
    pub(super) table: LootTable,
    /// The sum of the weights up to each row, that row included.
    pub(super) sums: Vec<u64>,
    /// What one roll comes to at most.
    pub(super) worst: Worst,
}

/// All tables, checked. There is no way to one but [`RewardTables::builder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardTables {
    assets: BTreeMap<Name, AssetClass>,
    loot: BTreeMap<Name, CheckedLoot>,
    boxes: BTreeMap<Name, BoxRule>,
    slots: u64,
    version: u64,
}

impl Default for RewardTables {
    fn default() -> Self {
        Self::builder().build().expect("nothing is wrong with nothing")
    }
}

impl RewardTables {
    /// Collects tables.
    pub fn builder() -> TablesBuilder {
        TablesBuilder::default()
    }

    /// A hash of all that they say: the same for the same tables, in whatever order they were defined.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Slots of a player of whom nothing else is said.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// What an asset is.
    #[must_use]
    pub fn asset(&self, name: &Name) -> Option<&AssetClass> {
        self.assets.get(name)
    }

    /// All assets, by name.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = (&Name, &AssetClass)> {
        self.assets.iter()
    }

    /// A loot table.
    #[must_use]
    pub fn loot_table(&self, name: &Name) -> Option<&LootTable> {
        self.loot.get(name).map(|checked| &checked.table)
    }

    /// All loot tables, by name.
    pub fn loot_tables(&self) -> impl ExactSizeIterator<Item = (&Name, &LootTable)> {
        self.loot.iter().map(|(name, checked)| (name, &checked.table))
    }

    /// What a box holds, if the asset is one.
    #[must_use]
    pub fn box_rule(&self, name: &Name) -> Option<&BoxRule> {
        self.boxes.get(name)
    }

    pub(super) fn loot(&self, name: &Name) -> Option<&CheckedLoot> {
        self.loot.get(name)
    }
}
