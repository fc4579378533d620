//! Collects tables and checks them: each by itself here, how they lead to one another in `graph`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

use xxhash_rust::xxh3::xxh3_64;

use super::graph::{self, Worst};
use super::{
    AMOUNT_MAX, BoxRule, CheckedLoot, Drop, LOOT_ROWS_MAX, LootTable, ROLL_CHANGES_MAX, ROLLS_MAX,
    RewardTables, SLOTS_DEFAULT, STEPS_MAX, TablesError,
};
use crate::protocol::codec;
use crate::reward::asset::AssetClass;
use crate::reward::name::Name;

/// The store keeps amounts and times in 63 bits and a sign.
const STORED_MAX: u64 = i64::MAX as u64;

/// Collects tables; [`build`](Self::build) checks them.
#[must_use = "tables are checked and made by `build`"]
#[derive(Clone, Debug)]
pub struct TablesBuilder {
    pub(super) assets: BTreeMap<Name, AssetClass>,
    pub(super) loot: BTreeMap<Name, LootTable>,
    pub(super) boxes: BTreeMap<Name, BoxRule>,
    slots: u64,
    faults: Vec<TablesError>,
}

impl Default for TablesBuilder {
    fn default() -> Self {
        let (assets, loot, boxes) = Default::default();
        Self { assets, loot, boxes, slots: SLOTS_DEFAULT, faults: Vec::new() }
    }
}

fn insert<T>(
    into: &mut BTreeMap<Name, T>,
    faults: &mut Vec<TablesError>,
    what: &'static str,
    name: Name,
    value: T,
) {
    match into.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(place) => faults.push(TablesError::Twice { what, name: place.key().clone() }),
    }
}

impl TablesBuilder {
    /// Defines an asset.
    pub fn asset(mut self, name: impl Into<Name>, class: AssetClass) -> Self {
        insert(&mut self.assets, &mut self.faults, "asset", name.into(), class);
        self
    }

    /// Defines a loot table.
    pub fn loot(mut self, name: impl Into<Name>, table: LootTable) -> Self {
        insert(&mut self.loot, &mut self.faults, "loot table", name.into(), table);
        self
    }

    /// Makes an item a box.
    pub fn opens(mut self, name: impl Into<Name>, rule: BoxRule) -> Self {
        insert(&mut self.boxes, &mut self.faults, "box", name.into(), rule);
        self
    }

    /// Sets how many slots a player has of whom nothing else is said.
    pub fn slots(mut self, slots: u64) -> Self {
        self.slots = slots;
        self
    }

    /// Checks all of it. Costs O(rows × tables / 64).
    ///
    /// # Errors
    /// All that is wrong, in the order assets, loot tables, boxes, how they lead to one another.
    pub fn build(mut self) -> Result<RewardTables, Vec<TablesError>> {
        let mut faults = std::mem::take(&mut self.faults);
        range(&mut faults, "the slots of a player", self.slots, 1..=STORED_MAX);
        for (name, class) in &self.assets {
            check_class(name, class, &mut faults);
        }
        for (name, table) in &self.loot {
            self.check_table(name, table, &mut faults);
        }
        for (name, rule) in &self.boxes {
            self.check_box(name, rule, &mut faults);
        }
        let worst = graph::check(&self, &mut faults);
        self.check_worst(&worst, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let version = xxh3_64(&codec::encode(&(&self.assets, &self.loot, &self.boxes, self.slots)));
        let checked = self.loot.into_iter().map(|(name, table)| {
            let sums = table.rows.iter().scan(0, |sum, row| {
                *sum += u64::from(row.weight);
                Some(*sum)
            });
            let (sums, worst) = (sums.collect(), worst[&name]);
            (name, CheckedLoot { table, sums, worst })
        });
        let loot = checked.collect();
        Ok(RewardTables { assets: self.assets, loot, boxes: self.boxes, slots: self.slots, version })
    }

    fn check_table(&self, name: &Name, table: &LootTable, faults: &mut Vec<TablesError>) {
        let place = |what: &str| format!("the number of {what} of the loot table `{name}`");
        range(faults, &place("rows"), table.rows.len() as u64, 0..=LOOT_ROWS_MAX as u64);
        range(faults, &place("things always dropped"), table.always.len() as u64, 0..=LOOT_ROWS_MAX as u64);
        if table.rows.is_empty() && table.always.is_empty() {
            range(faults, &place("rows"), 0, 1..=LOOT_ROWS_MAX as u64);
        }
        if !table.rows.is_empty() {
            let total = table.rows.iter().map(|row| u64::from(row.weight)).sum();
            range(faults, &format!("the sum of the weights of the loot table `{name}`"), total, 1..=u64::MAX);
        }
        for (number, drop) in table.always.iter().enumerate() {
            self.check_drop(
                &format!("drop {} of all rolls of the loot table `{name}`", number + 1),
                drop,
                faults,
            );
        }
        for (number, row) in table.rows.iter().enumerate() {
            self.check_drop(&format!("row {} of the loot table `{name}`", number + 1), &row.drop, faults);
        }
    }

    fn check_drop(&self, place: &str, drop: &Drop, faults: &mut Vec<TablesError>) {
        match drop {
            Drop::Nothing => {}
            Drop::Asset { asset, least, most } => {
                let class = self.assets.get(asset);
                if class.is_none() {
                    faults.push(dangling(place, "asset", asset));
                }
                let highest = if class == Some(&AssetClass::Unlock) { 1 } else { AMOUNT_MAX };
                range(faults, &format!("the most of {place}"), *most, 1..=highest);
                range(faults, &format!("the least of {place}"), *least, 0..=*most);
            }
            Drop::Table { table, rolls } => {
                if !self.loot.contains_key(table) {
                    faults.push(dangling(place, "loot table", table));
                }
                check_rolls(place, *rolls, faults);
            }
        }
    }

    fn check_box(&self, name: &Name, rule: &BoxRule, faults: &mut Vec<TablesError>) {
        let place = format!("the box `{name}`");
        match self.assets.get(name) {
            None => faults.push(dangling(&place, "asset", name)),
            Some(AssetClass::Item { .. }) => {}
            Some(_) => faults.push(TablesError::NoItem(name.clone())),
        }
        if !self.loot.contains_key(&rule.table) {
            faults.push(dangling(&place, "loot table", &rule.table));
        }
        check_rolls(&place, rule.rolls, faults);
    }

    /// What could not even be rolled once, or opened once.
    fn check_worst(&self, worst: &BTreeMap<Name, Worst>, faults: &mut Vec<TablesError>) {
        let mut check = |what: &str, name: &Name, worst: &Worst, rolls: u32| {
            let place = |which: &str| format!("the {which} of {what} `{name}` in the worst case");
            let changes = worst.changes(u64::from(rolls));
            range(faults, &place("changes"), changes, 0..=ROLL_CHANGES_MAX as u64);
            range(faults, &place("rolls and drops"), worst.steps(u64::from(rolls)), 0..=STEPS_MAX);
        };
        for (name, of_table) in worst {
            check("one roll of the loot table", name, of_table, 1);
        }
        for (name, rule) in &self.boxes {
            if let Some(of_table) = worst.get(&rule.table) {
                check("one box", name, of_table, rule.rolls);
            }
        }
    }
}

fn check_class(name: &Name, class: &AssetClass, faults: &mut Vec<TablesError>) {
    let place = |what: &str| format!("{what} of the asset `{name}`");
    match class {
        AssetClass::Currency { cap } => range(faults, &place("the cap"), *cap, 1..=STORED_MAX),
        AssetClass::Pool { cap, regen_ms } => {
            range(faults, &place("the cap"), *cap, 1..=STORED_MAX);
            range(faults, &place("the milliseconds per one more"), *regen_ms, 1..=STORED_MAX);
        }
        AssetClass::Item { stack_max, is_single, expires_after_ms } => {
            let highest = if *is_single { 1 } else { u64::from(u32::MAX) };
            range(faults, &place("the stack"), u64::from(*stack_max), 1..=highest);
            if let Some(after_ms) = expires_after_ms {
                range(faults, &place("the milliseconds until the end"), *after_ms, 1..=STORED_MAX);
            }
        }
        AssetClass::Unlock => {}
    }
}

fn check_rolls(place: &str, rolls: u32, faults: &mut Vec<TablesError>) {
    range(faults, &format!("the number of rolls of {place}"), u64::from(rolls), 1..=u64::from(ROLLS_MAX));
}

fn dangling(place: &str, what: &'static str, name: &Name) -> TablesError {
    TablesError::Dangling { place: place.to_owned(), what, name: name.clone() }
}

fn range(faults: &mut Vec<TablesError>, place: &str, found: u64, expected: RangeInclusive<u64>) {
    if !expected.contains(&found) {
        let expected = match (*expected.start(), *expected.end()) {
            (least, u64::MAX) => format!("{least} or more"),
            (least, most) if least == most => format!("{least}"),
            (least, most) => format!("{least} to {most}"),
        };
        faults.push(TablesError::Range { place: place.to_owned(), found, expected });
    }
}
