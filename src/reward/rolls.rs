//! Loot: from a table to amounts of assets. What opens by itself is opened here, so nothing of it is left in a plan.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::name::Name;
use super::tables::{BOX_DEPTH_MAX, Drop, RewardTables};

/// Of how many chains of boxes it is told how much of one asset came out of them; the rest is told without its boxes.
const CHAINS_TOLD_MAX: usize = 16;

/// A chain of boxes: the last of them, and the chain that it came out of.
type Path = Option<usize>;

/// So much of an asset out of a house, in the order in which it first came out.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) house: Name,
    pub(super) asset: Name,
    pub(super) amount: u64,
    /// Of that, what came out of which boxes, the outermost first.
    pub(super) out_of: Vec<(Vec<Name>, u64)>,
}

/// What has been drawn so far.
pub(super) struct Rolls<'a> {
    tables: &'a RewardTables,
    chance: &'a mut Chance,
    chains: Vec<(Path, Name)>,
    chain_of: BTreeMap<(Path, Name), usize>,
    order: Vec<(Name, Name)>,
    amounts: BTreeMap<(Name, Name), BTreeMap<Path, u64>>,
    pub(super) steps: u64,
}

impl<'a> Rolls<'a> {
    pub(super) fn new(tables: &'a RewardTables, chance: &'a mut Chance) -> Self {
        let (chains, chain_of, order, amounts) = Default::default();
        Self { tables, chance, chains, chain_of, order, amounts, steps: 0 }
    }

    /// Rolls a table.
    pub(super) fn table(&mut self, table: &Name, rolls: u64) {
        self.roll(table, rolls, None, 1);
    }

    /// Opens so many boxes, whether they would open by themselves or not.
    pub(super) fn open(&mut self, item: &Name, amount: u64) {
        self.open_at(item, amount, None, 1);
    }

    fn open_at(&mut self, item: &Name, amount: u64, path: Path, depth: usize) {
        let rule = self.tables.box_rule(item).expect("who opens has looked");
        let chain = *self.chain_of.entry((path, item.clone())).or_insert_with(|| {
            self.chains.push((path, item.clone()));
            self.chains.len() - 1
        });
        self.roll(&rule.table, amount * u64::from(rule.rolls), Some(chain), depth);
    }

    fn roll(&mut self, table: &Name, rolls: u64, path: Path, depth: usize) {
        assert!(depth <= BOX_DEPTH_MAX, "checked tables never lie deeper in one another");
        let loot = self.tables.loot(table).expect("checked tables name no table that is not there");
        for _ in 0..rolls {
            self.steps += 1;
            for drop in &loot.table.always {
                self.drop(drop, &loot.table.house, path, depth);
            }
            if let Some(total) = loot.sums.last() {
                let drawn = self.chance.below(*total);
                let row = loot.sums.partition_point(|sum| *sum <= drawn);
                self.drop(&loot.table.rows[row].drop, &loot.table.house, path, depth);
            }
        }
    }

    fn drop(&mut self, drop: &Drop, house: &Name, path: Path, depth: usize) {
        self.steps += 1;
        match drop {
            Drop::Nothing => {}
            Drop::Table { table, rolls } => self.roll(table, u64::from(*rolls), path, depth + 1),
            Drop::Asset { asset, least, most } => {
                let amount = self.chance.between(*least..=*most);
                if self.tables.box_rule(asset).is_some_and(|rule| rule.opens_itself) {
                    self.open_at(asset, amount, path, depth + 1);
                } else if amount > 0 {
                    self.keep(house, asset, amount, path);
                }
            }
        }
    }

    fn keep(&mut self, house: &Name, asset: &Name, amount: u64, path: Path) {
        let key = (house.clone(), asset.clone());
        let paths = self.amounts.entry(key).or_insert_with_key(|key| {
            self.order.push(key.clone());
            BTreeMap::new()
        });
        let is_told = paths.len() < CHAINS_TOLD_MAX || paths.contains_key(&path);
        *paths.entry(path.filter(|_| is_told)).or_default() += amount;
    }

    /// All that was drawn.
    pub(super) fn finish(mut self) -> Vec<Drawn> {
        let order = std::mem::take(&mut self.order);
        let drawn = order.into_iter().map(|key| {
            let paths = &self.amounts[&key];
            let amount = paths.values().sum();
            let out_of = paths.iter().map(|(path, amount)| (self.names(*path), *amount)).collect();
            let (house, asset) = key;
            Drawn { house, asset, amount, out_of }
        });
        drawn.collect()
    }

    fn names(&self, mut path: Path) -> Vec<Name> {
        let mut names = Vec::new();
        while let Some(chain) = path {
            let (outer, item) = &self.chains[chain];
            names.push(item.clone());
            path = *outer;
        }
        names.reverse();
        names
    }
}
