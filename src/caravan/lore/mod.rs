//! The numbers of the game, from the files in `assets/config`: who there is, what there is, what it costs, where it is found.
//!
//! Cells, the node and actions read them as `Published<Lore>`; operators change the files while a world runs.

mod characters;
mod goods;
mod ids;
mod items;
mod loot;
mod people;
mod skills;
mod stocks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{
    Checker, Problem, Reference, ReferenceFile, ReferenceFiles, ReferenceTable, Spanned, finish_all,
};

pub use goods::GoodInfo;
pub use ids::{AttributeId, FactionId, ItemId, LootId, OriginId, SkillId};
pub use items::{Item, Slot};
pub(super) use loot::is_item;
pub use people::{Faction, Origin};
pub use skills::{Attribute, Effect, Effects, Skill};
pub use stocks::{Demand, Stock};

use super::goods::Good;
use super::roads::Roads;
use skills::Abilities;
use stocks::Stocks;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(ReferenceFile { name: $name, shipped: include_str!(concat!("../../../assets/config/", $name)) }),*]
    };
}

/// Adds what a name stands for to a list that has each once.
fn add_once<T: PartialEq>(
    check: &mut Checker<'_>,
    key: &str,
    name: &Spanned<String>,
    each: &str,
    (list, found): (&mut Vec<T>, Option<T>),
) {
    let Some(found) = found else { return };
    if list.contains(&found) {
        let twice = format!("{:?} twice", name.get_ref());
        check.wrong(name, key, twice, format!("each {each} once"), "take one out");
    } else {
        list.push(found);
    }
}

/// All of it, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Lore {
    goods: BTreeMap<Good, GoodInfo>,
    abilities: Abilities,
    factions: BTreeMap<FactionId, Faction>,
    origins: BTreeMap<OriginId, Origin>,
    usual_origin: OriginId,
    items: BTreeMap<ItemId, Item>,
    stocks: Stocks,
    rewards: RewardTables,
    roads: Roads,
}

impl Lore {
    /// What comes with the game.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn shipped() -> Self {
        let told = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        Self::read(&ReferenceFiles::shipped(Self::FILES))
            .unwrap_or_else(|problems| panic!("{}", told(problems).join("\n")))
    }

    /// A good. Every one is there.
    #[must_use]
    pub fn good(&self, good: Good) -> &GoodInfo {
        &self.goods[&good]
    }

    /// What a load costs where there is neither want nor plenty, silver.
    #[must_use]
    pub fn usual_price(&self, good: Good) -> u32 {
        self.good(good).price
    }

    /// How a node trades in a good; `node` is its name in the save. A node of which nothing is said trades as usual.
    #[must_use]
    pub fn stock(&self, node: &str, good: Good) -> Stock {
        self.stocks.of(node, good)
    }

    /// What a node makes and what it lacks; nothing of one of which nothing is said.
    #[must_use]
    pub fn demand(&self, node: &str) -> Option<&Demand> {
        self.stocks.demand(node)
    }

    /// All skills.
    #[must_use]
    pub fn skills(&self) -> &BTreeMap<SkillId, Skill> {
        &self.abilities.skills
    }

    /// All attributes.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<AttributeId, Attribute> {
        &self.abilities.attributes
    }

    /// All factions.
    #[must_use]
    pub fn factions(&self) -> &BTreeMap<FactionId, Faction> {
        &self.factions
    }

    /// All origins.
    #[must_use]
    pub fn origins(&self) -> &BTreeMap<OriginId, Origin> {
        &self.origins
    }

    /// Where those come from who have not chosen.
    #[must_use]
    pub fn usual_origin(&self) -> &Origin {
        &self.origins[&self.usual_origin]
    }

    /// All items but silver and goods.
    #[must_use]
    pub fn items(&self) -> &BTreeMap<ItemId, Item> {
        &self.items
    }

    /// Assets, loot and boxes.
    #[must_use]
    pub fn reward_tables(&self) -> &RewardTables {
        &self.rewards
    }
}

impl Reference for Lore {
    const FILES: &'static [ReferenceFile] = files![
        "roads.toml",
        "goods.toml",
        "skills.toml",
        "factions.toml",
        "origins.toml",
        "items.toml",
        "loot.toml",
        "stocks.toml",
    ];

    fn read(files: &ReferenceFiles) -> Result<Self, Vec<Problem>> {
        let [
            mut of_roads,
            mut of_goods,
            mut of_skills,
            mut of_factions,
            mut of_origins,
            mut of_items,
            mut of_loot,
            mut of_stocks,
        ] = ["roads", "goods", "skills", "factions", "origins", "items", "loot", "stocks"]
            .map(|name| files.check(&format!("{name}.toml")));
        let roads = stocks::roads(files.text("roads.toml"), &mut of_roads);
        let goods = goods::read(&mut of_goods);
        let abilities = skills::read(&mut of_skills);
        let factions = people::factions(&mut of_factions);
        let items = items::read(&mut of_items);
        let named = people::Named { abilities: &abilities, factions: &factions, items: &items };
        let origins = people::origins(&mut of_origins, &named);
        let beginnings = origins.iter().flat_map(|(_, origins)| origins.keys());
        let own = characters::assets(&abilities, beginnings, &items);
        let rewards = loot::read(&mut of_loot, &mut of_items, &items, own);
        // What comes with the game speaks of its own map alone.
        let is_own_map = files.text("roads.toml").is_shipped() || !files.text("stocks.toml").is_shipped();
        let stocks = stocks::read(&mut of_stocks, roads.as_ref().filter(|_| is_own_map));
        finish_all([of_roads, of_goods, of_skills, of_factions, of_origins, of_items, of_loot, of_stocks])?;
        let (Some(roads), Some((usual_origin, origins)), Some(rewards), Some(stocks)) =
            (roads, origins, rewards, stocks)
        else {
            unreachable!("what is missing was told")
        };
        let items = items.into_iter().map(|(id, item)| (id, item.item)).collect();
        Ok(Self { goods, abilities, factions, origins, usual_origin, items, stocks, rewards, roads })
    }

    fn tables(&self) -> Vec<ReferenceTable> {
        fn table<'a, I: ToString + 'a, R: Serialize + 'a>(
            kind: &'static str,
            rows: impl IntoIterator<Item = (I, &'a R)>,
        ) -> ReferenceTable {
            rows.into_iter()
                .fold(ReferenceTable::new(kind), |table, (id, row)| table.row(&id.to_string(), row))
        }
        vec![
            table("good", self.goods.iter().map(|(good, info)| (good.asset(), info))),
            table("skill", self.skills()),
            table("attribute", self.attributes()),
            table("faction", &self.factions),
            table("origin", &self.origins),
            table("item", &self.items),
            loot::table(&self.rewards),
            stocks::nodes(&self.roads, &self.stocks),
            stocks::table(&self.roads, &self.stocks),
        ]
    }

    fn rewards(&self) -> Option<RewardTables> {
        Some(self.rewards.clone())
    }

    fn follows(&self, before: &Self) -> Result<(), String> {
        if self.roads == before.roads {
            return Ok(());
        }
        Err("roads.toml says other than when the world began, and the map of a running world stays: put it back, or start the \
             world again"
            .into())
    }
}
