//! roads.toml and stocks.toml: the nodes, and what they trade in.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{Checker, ReferenceTable, ReferenceText, Spanned};

use super::super::goods::Good;
use super::super::roads::{EVERYWHERE, RoadError, Roads};
use super::{add_once, goods};

/// Most loads of a good that a store may hold.
const LOADS_MAX: i64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    usual: Usual,
    #[serde(default)]
    node: Vec<NodeRow>,
    #[serde(default)]
    stock: Vec<StockRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usual {
    opening: Spanned<i64>,
    most: Spanned<i64>,
    quota: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeRow {
    name: Spanned<String>,
    #[serde(default)]
    produces: Vec<Spanned<String>>,
    #[serde(default)]
    wants: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StockRow {
    node: Spanned<String>,
    good: Spanned<String>,
    opening: Spanned<i64>,
    most: Spanned<i64>,
    quota: Spanned<i64>,
}

/// How a node trades in a good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stock {
    /// Loads in the store when it opens.
    pub opening: u32,
    /// Most loads that the store takes.
    pub most: u32,
    /// Loads that it buys and sells in each period.
    pub quota: u32,
}

/// What a node makes and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Goods that come from there.
    pub produces: Vec<Good>,
    /// Goods that are wanted there.
    pub wants: Vec<Good>,
}

/// Of all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stocks {
    usual: Stock,
    /// By the node's name in the save.
    by_node: BTreeMap<String, BTreeMap<Good, Stock>>,
    demands: BTreeMap<String, Demand>,
}

impl Stocks {
    pub(super) fn of(&self, node: &str, good: Good) -> Stock {
        self.by_node.get(node).and_then(|goods| goods.get(&good)).copied().unwrap_or(self.usual)
    }

    pub(super) fn demand(&self, node: &str) -> Option<&Demand> {
        self.demands.get(node)
    }
}

/// The map, checked but for the size of the world.
pub(super) fn roads(file: &ReferenceText, check: &mut Checker<'_>) -> Option<Roads> {
    match Roads::parse(file.shown(), file.text(), EVERYWHERE) {
        Ok(roads) => Some(roads),
        Err(RoadError::Invalid { line, problem, .. }) => {
            let before = file.text().split_inclusive('\n').take(line - 1).map(str::len).sum();
            // Its own words end with what to do.
            let (found, fix) = problem.rsplit_once(": ").unwrap_or((&problem, "correct it"));
            check.wrong_at(before..before, "", found, "", fix);
            None
        }
        Err(RoadError::Unreadable { detail, .. }) => {
            check.wrong_at(0..0, "", detail, "", "correct it");
            None
        }
    }
}

fn stock(check: &mut Checker<'_>, key: &str, [opening, most, quota]: [&Spanned<i64>; 3]) -> Stock {
    let part = |part: &str| format!("{key}.{part}");
    let most = check.whole(&part("most"), most, 1..=LOADS_MAX);
    check.at_most(&part("opening"), opening, "most", most);
    Stock {
        opening: check.whole(&part("opening"), opening, 0..=LOADS_MAX) as u32,
        most: most as u32,
        quota: check.whole(&part("quota"), quota, 1..=LOADS_MAX) as u32,
    }
}

fn listed(check: &mut Checker<'_>, key: &str, names: &[Spanned<String>]) -> Vec<Good> {
    let mut listed = Vec::new();
    for name in names {
        let good = check.known(key, name, "a good", goods::named(name.get_ref()), goods::names());
        add_once(check, key, name, "good", (&mut listed, good));
    }
    listed
}

/// Without a map that the file speaks of, only what is usual is taken.
pub(super) fn read(check: &mut Checker<'_>, roads: Option<&Roads>) -> Option<Stocks> {
    let file = check.parse::<File>()?;
    let usual = stock(check, "usual", [&file.usual.opening, &file.usual.most, &file.usual.quota]);
    let mut stocks = Stocks { usual, by_node: BTreeMap::new(), demands: BTreeMap::new() };
    let Some(roads) = roads else { return Some(stocks) };
    let slug = |name: &Spanned<String>| {
        let node = roads.nodes.iter().find(|node| node.name == *name.get_ref());
        node.map(|node| node.slug.clone())
    };
    let names = || roads.nodes.iter().map(|node| &node.name);
    for NodeRow { name, produces, wants } in &file.node {
        let key = |key: &str| format!("node.{}.{key}", name.get_ref());
        let node = check.known(&key("name"), name, "a node of roads.toml", slug(name), names());
        let produces = listed(check, &key("produces"), produces);
        let wanted = listed(check, &key("wants"), wants);
        for name in wants {
            if goods::named(name.get_ref()).is_some_and(|good| produces.contains(&good)) {
                let expected = "what it does not make itself";
                check.wrong(
                    name,
                    &key("wants"),
                    format_args!("{:?}", name.get_ref()),
                    expected,
                    "take it out",
                );
            }
        }
        let Some(node) = node else { continue };
        if stocks.demands.insert(node, Demand { produces, wants: wanted }).is_some() {
            check.wrong(name, &key("name"), "there twice", "one [[node]] of each name", "make one of them");
        }
    }
    for row in &file.stock {
        let key = format!("stock.{}.{}", row.node.get_ref(), row.good.get_ref());
        let node =
            check.known(&format!("{key}.node"), &row.node, "a node of roads.toml", slug(&row.node), names());
        let good = goods::named(row.good.get_ref());
        let good = check.known(&format!("{key}.good"), &row.good, "a good", good, goods::names());
        let stock = stock(check, &key, [&row.opening, &row.most, &row.quota]);
        let (Some(node), Some(good)) = (node, good) else { continue };
        if stocks.by_node.entry(node).or_default().insert(good, stock).is_some() {
            let expected = "one [[stock]] of each node and good";
            check.wrong(&row.node, &key, "there twice", expected, "make one of them");
        }
    }
    Some(stocks)
}

/// The nodes as rows.
pub(super) fn nodes(roads: &Roads, stocks: &Stocks) -> ReferenceTable {
    #[derive(Serialize)]
    struct Node<'a> {
        name: &'a str,
        x: f32,
        y: f32,
        neighbours: Vec<&'a str>,
        #[serde(flatten)]
        demand: Demand,
    }
    roads.nodes.iter().fold(ReferenceTable::new("node"), |table, node| {
        let neighbours = node.neighbours.iter().map(|&id| roads.node(id).slug.as_str()).collect();
        let demand = stocks.demand(&node.slug).cloned().unwrap_or_default();
        let row = Node { name: &node.name, x: node.place.x, y: node.place.y, neighbours, demand };
        table.row(&node.slug, &row)
    })
}

/// The stores of all nodes as rows.
pub(super) fn table(roads: &Roads, stocks: &Stocks) -> ReferenceTable {
    let stores = roads.nodes.iter().flat_map(|node| Good::ALL.map(|good| (node, good)));
    stores.fold(ReferenceTable::new("stock"), |table, (node, good)| {
        table.row(&format!("{}/{}", node.slug, good.asset()), &stocks.of(&node.slug, good))
    })
}
