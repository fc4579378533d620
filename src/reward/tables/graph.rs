//! How loot tables and boxes lead to one another: never back, not too deep, and what that comes to in the worst case.

use std::collections::{BTreeMap, BTreeSet};

use super::builder::TablesBuilder;
use super::{BOX_DEPTH_MAX, Drop, LootTable, TablesError};
use crate::reward::asset::AssetClass;
use crate::reward::name::Name;

/// What one roll of a table comes to at most. Amounts of one asset out of one house are granted together however often they
/// drop, so beside how many could drop it counts how many different ones there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::reward) struct Worst {
    /// Changes by what is stacked.
    stacked: u64,
    /// Changes by what is single: one each.
    singles: u64,
    /// Changes by everything stacked that can come out at all, each once.
    distinct: u64,
    /// Rolls and drops.
    steps: u64,
}

impl Worst {
    /// Most changes of so many rolls.
    pub(in crate::reward) fn changes(&self, rolls: u64) -> u64 {
        let stacked = rolls.saturating_mul(self.stacked).min(self.distinct);
        stacked.saturating_add(rolls.saturating_mul(self.singles))
    }

    /// Most rolls and drops of so many rolls.
    pub(in crate::reward) fn steps(&self, rolls: u64) -> u64 {
        rolls.saturating_mul(self.steps)
    }

    fn times(&self, rolls: u64) -> Self {
        Self {
            stacked: rolls.saturating_mul(self.stacked).min(self.distinct),
            singles: rolls.saturating_mul(self.singles),
            distinct: self.distinct,
            steps: self.steps(rolls).saturating_add(1),
        }
    }
}

/// Changes by an amount of this class: what is in a pool is counted first, which takes two more.
pub(in crate::reward) fn changes_of(class: &AssetClass) -> u64 {
    if matches!(class, AssetClass::Pool { .. }) { 3 } else { 1 }
}

/// A table that a table leads to, with the box that it lies in.
type Edge<'a> = (Option<&'a Name>, usize);

struct Graph<'a> {
    names: Vec<&'a Name>,
    children: Vec<BTreeSet<Edge<'a>>>,
}

impl<'a> Graph<'a> {
    fn new(tables: &'a TablesBuilder) -> Self {
        let names: Vec<&Name> = tables.loot.keys().collect();
        let number: BTreeMap<&Name, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        let edge = |drop: &'a Drop| -> Option<Edge<'a>> {
            match drop {
                Drop::Nothing => None,
                Drop::Table { table, .. } => Some((None, *number.get(table)?)),
                Drop::Asset { asset, .. } => {
                    let rule = tables.boxes.get(asset)?;
                    Some((Some(asset), *number.get(&rule.table)?))
                }
            }
        };
        let children = tables.loot.values().map(|table| drops(table).filter_map(edge).collect()).collect();
        Self { names, children }
    }

    /// The tables in such an order that each comes after all it leads to, and those that are in or above a cycle, which have
    /// no place in it.
    fn order(&self) -> (Vec<usize>, BTreeSet<usize>) {
        let mut parents = vec![Vec::new(); self.names.len()];
        for (parent, children) in self.children.iter().enumerate() {
            for (_, child) in children {
                parents[*child].push(parent);
            }
        }
        let mut left: Vec<usize> = self.children.iter().map(BTreeSet::len).collect();
        let mut order: Vec<usize> = (0..left.len()).filter(|table| left[*table] == 0).collect();
        let mut next = 0;
        while let Some(&done) = order.get(next) {
            next += 1;
            for &parent in &parents[done] {
                left[parent] -= 1;
                if left[parent] == 0 {
                    order.push(parent);
                }
            }
        }
        let rest = (0..left.len()).filter(|table| left[*table] > 0).collect();
        (order, rest)
    }

    /// A chain in words, from a table along edges.
    fn chain(&self, from: usize, edges: &[Edge<'_>]) -> String {
        let mut text = format!("loot table `{}`", self.names[from]);
        for (out_of, table) in edges {
            if let Some(item) = out_of {
                text += &format!(" → box `{item}`");
            }
            text += &format!(" → loot table `{}`", self.names[*table]);
        }
        text
    }

    /// One cycle for every edge that leads back to where a walk in depth came from.
    fn cycles(&self, rest: &BTreeSet<usize>, faults: &mut Vec<TablesError>) {
        let mut done = BTreeSet::new();
        for &first in rest {
            // The edges that led here, each with those that lead on and have not been gone yet.
            let mut walk = vec![((None, first), self.children[first].iter())];
            let mut places = BTreeMap::from([(first, 0)]);
            while let Some(((_, table), onwards)) = walk.last_mut() {
                let table = *table;
                let Some(edge) = onwards.next().filter(|_| !done.contains(&table)) else {
                    done.insert(table);
                    places.remove(&table);
                    walk.pop();
                    continue;
                };
                if let Some(&begin) = places.get(&edge.1) {
                    let edges: Vec<Edge<'_>> =
                        walk[begin + 1..].iter().map(|(edge, _)| *edge).chain([*edge]).collect();
                    faults.push(TablesError::Cycle { chain: self.chain(edge.1, &edges) });
                } else if rest.contains(&edge.1) {
                    places.insert(edge.1, walk.len());
                    walk.push((*edge, self.children[edge.1].iter()));
                }
            }
        }
    }
}

fn drops(table: &LootTable) -> impl Iterator<Item = &Drop> {
    table.always.iter().chain(table.rows.iter().map(|row| &row.drop))
}

/// Tells cycles and chains that are too long, and what each table that leads into no cycle comes to in the worst case.
pub(super) fn check(tables: &TablesBuilder, faults: &mut Vec<TablesError>) -> BTreeMap<Name, Worst> {
    let graph = Graph::new(tables);
    let (order, rest) = graph.order();
    graph.cycles(&rest, faults);
    let mut depths: Vec<(usize, Vec<Edge<'_>>)> = vec![(0, Vec::new()); graph.names.len()];
    for &table in &order {
        let deepest = graph.children[table].iter().max_by_key(|(_, child)| depths[*child].0);
        let (depth, chain) = match deepest {
            Some(edge) => {
                let (below, chain) = &depths[edge.1];
                (below + 1, [*edge].into_iter().chain(chain.iter().copied()).take(BOX_DEPTH_MAX).collect())
            }
            None => (1, Vec::new()),
        };
        // What lies above one that is too deep is too deep for the same reason.
        if depth == BOX_DEPTH_MAX + 1 {
            faults.push(TablesError::TooDeep { chain: graph.chain(table, &chain) });
        }
        depths[table] = (depth, chain);
    }
    worst_cases(tables, &graph, &order)
}

fn worst_cases(tables: &TablesBuilder, graph: &Graph<'_>, order: &[usize]) -> BTreeMap<Name, Worst> {
    // What can come out of a table, one bit for each (house, asset), and each bit's changes.
    let mut bits: BTreeMap<(&Name, &Name), usize> = BTreeMap::new();
    let mut changes = Vec::new();
    let mut outcomes: Vec<Vec<u64>> = vec![Vec::new(); graph.names.len()];
    let mut worst: BTreeMap<Name, Worst> = BTreeMap::new();
    for &at in order {
        let table = &tables.loot[graph.names[at]];
        let mut outcome: Vec<u64> = Vec::new();
        for (_, child) in &graph.children[at] {
            for (word, of_child) in outcomes[*child].iter().enumerate() {
                outcome.resize(outcome.len().max(word + 1), 0);
                outcome[word] |= of_child;
            }
        }
        for drop in drops(table) {
            let Drop::Asset { asset, .. } = drop else { continue };
            let Some(class) = stacked(tables, asset) else { continue };
            let bit = *bits.entry((&table.house, asset)).or_insert_with(|| {
                changes.push(changes_of(class));
                changes.len() - 1
            });
            outcome.resize(outcome.len().max(bit / 64 + 1), 0);
            outcome[bit / 64] |= 1 << (bit % 64);
        }
        let is_in = |bit: &usize| outcome.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1);
        let distinct = (0..changes.len()).filter(is_in).map(|bit| changes[bit]).sum();
        let of_drop = |drop: &Drop| worst_of_drop(tables, drop, &worst);
        let mut sum = Worst { distinct, steps: 1, ..Worst::default() };
        let mut row = Worst::default();
        for drop in &table.always {
            let drop = of_drop(drop);
            sum.stacked = sum.stacked.saturating_add(drop.stacked);
            sum.singles = sum.singles.saturating_add(drop.singles);
            sum.steps = sum.steps.saturating_add(drop.steps);
        }
        for drop in table.rows.iter().map(|row| of_drop(&row.drop)) {
            row.stacked = row.stacked.max(drop.stacked);
            row.singles = row.singles.max(drop.singles);
            row.steps = row.steps.max(drop.steps);
        }
        sum.stacked = sum.stacked.saturating_add(row.stacked).min(distinct);
        sum.singles = sum.singles.saturating_add(row.singles);
        sum.steps = sum.steps.saturating_add(row.steps);
        worst.insert(graph.names[at].clone(), sum);
        outcomes[at] = outcome;
    }
    worst
}

/// The class of an asset that is granted, and not one by one.
fn stacked<'a>(tables: &'a TablesBuilder, asset: &Name) -> Option<&'a AssetClass> {
    let opens_itself = tables.boxes.get(asset).is_some_and(|rule| rule.opens_itself);
    tables.assets.get(asset).filter(|class| !opens_itself && !class.is_single())
}

fn worst_of_drop(tables: &TablesBuilder, drop: &Drop, worst: &BTreeMap<Name, Worst>) -> Worst {
    let none = Worst { steps: 1, ..Worst::default() };
    match drop {
        Drop::Nothing => none,
        // What is not there was told already.
        Drop::Table { table, rolls } => worst.get(table).map_or(none, |of| of.times(u64::from(*rolls))),
        Drop::Asset { asset, most, .. } => match (tables.boxes.get(asset), stacked(tables, asset)) {
            (Some(rule), _) if rule.opens_itself => {
                let rolls = most.saturating_mul(u64::from(rule.rolls));
                worst.get(&rule.table).map_or(none, |of| of.times(rolls))
            }
            (_, Some(class)) => Worst { stacked: changes_of(class), ..none },
            (_, None) => Worst { singles: *most, ..none },
        },
    }
}
