//! loot.toml: what is found where; with items and goods it makes the tables that rewards are planned with.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{Checker, ReferenceTable, Spanned};
use crate::reward::tables::{AMOUNT_MAX, BoxRule, Drop, LootTable, ROLLS_MAX};
use crate::reward::{AssetClass, Name};

use super::super::campaign::Band;
use super::super::errands::ERRANDS;
use super::super::goods::Good;
use super::super::hands::{Hand, RENOWN, WOUNDED, WOUNDED_MS};
use super::super::purse::{RELIC, SILVER, STRONGBOX};
use super::characters;
use super::goods;
use super::ids::ItemId;
use super::items::ReadItem;

/// Loads of one good that one slot of a pack holds.
pub(super) const LOADS_PER_SLOT: u32 = 20;
/// People that one slot holds.
const HANDS_PER_SLOT: u32 = 10;
/// Slots of a player's pack.
pub(super) const SLOTS: u64 = 24;
/// More silver than that nobody can own.
const SILVER_MAX: u64 = 1_000_000_000;
/// Highest weight of a row.
const WEIGHT_MAX: i64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    loot: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Spanned<String>,
    house: Spanned<String>,
    #[serde(default)]
    always: Vec<Spanned<Find>>,
    #[serde(default)]
    row: Vec<Spanned<Weighed>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Find {
    asset: Option<Spanned<String>>,
    least: Option<Spanned<i64>>,
    most: Option<Spanned<i64>>,
    table: Option<Spanned<String>>,
    rolls: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighed {
    weight: Spanned<i64>,
    asset: Option<Spanned<String>>,
    least: Option<Spanned<i64>>,
    most: Option<Spanned<i64>>,
    table: Option<Spanned<String>>,
    rolls: Option<Spanned<i64>>,
}

impl Weighed {
    fn find(&self) -> Find {
        let Self { asset, least, most, table, rolls, .. } = self;
        Find {
            asset: asset.clone(),
            least: least.clone(),
            most: most.clone(),
            table: table.clone(),
            rolls: rolls.clone(),
        }
    }
}

/// What the rules of the game give, whatever the files say.
pub(super) fn is_games_own(name: &str) -> bool {
    [SILVER, RENOWN, ERRANDS, WOUNDED].contains(&name)
        || characters::is_own(name)
        || Hand::ALL.iter().any(|hand| hand.asset().as_str() == name)
}

/// Whether what a save has under this name can only be an item: neither a good nor what the game gives by itself, nor a part of what a
/// player is, whose names have a `/`.
pub(in super::super) fn is_item(name: &str) -> bool {
    !name.contains('/') && !is_games_own(name) && goods::named(name).is_none()
}

/// Whether there is an asset of this name.
fn is_asset(items: &BTreeMap<ItemId, ReadItem>, name: &str) -> bool {
    let is_item = || ItemId::read(name).is_some_and(|id| items.contains_key(&id));
    name == SILVER || goods::named(name).is_some() || is_item()
}

/// The tables that rewards are planned with; `None` when something is wrong, which is told.
pub(super) fn read(
    check: &mut Checker<'_>,
    of_items: &mut Checker<'_>,
    items: &BTreeMap<ItemId, ReadItem>,
    of_people: Vec<(Name, AssetClass)>,
) -> Option<RewardTables> {
    let File { loot: rows } = check.parse::<File>()?;
    check.ids("loot", rows.iter().map(|row| &row.id));
    let names: Vec<&str> = rows.iter().map(|row| row.id.get_ref().as_str()).collect();
    let mut tables = assets(items);
    for (asset, class) in of_people {
        tables = tables.asset(asset, class);
    }
    for row in &rows {
        let key = |key: &str| format!("loot.{}.{key}", row.id.get_ref());
        let Ok(house) = Name::new(row.house.get_ref()) else {
            let expected = "lower-case letters, digits and `_-.:/`, which the save keeps";
            check.wrong(
                &row.house,
                &key("house"),
                format_args!("{:?}", row.house.get_ref()),
                expected,
                "correct it",
            );
            continue;
        };
        let mut table = LootTable::of(house);
        for find in &row.always {
            match drop_of(check, &key("always"), find.span(), find.get_ref(), &names, items) {
                Some(Drop::Nothing) => {
                    let expected = "an `asset` or a `table`";
                    check.wrong(find, &key("always"), "without either", expected, "name one, or take it out");
                }
                drop => table.always.extend(drop),
            }
        }
        let mut sum = 0;
        for weighed in &row.row {
            let weight = check.whole(&key("row.weight"), &weighed.get_ref().weight, 0..=WEIGHT_MAX);
            sum += weight;
            let drop = drop_of(check, &key("row"), weighed.span(), &weighed.get_ref().find(), &names, items);
            table = table.row(weight as u32, drop.unwrap_or(Drop::Nothing));
        }
        if row.row.is_empty() && row.always.is_empty() {
            check.wrong(&row.id, &key("row"), "empty, and so is `always`", "something to find", "add a row");
        } else if sum == 0 && !row.row.is_empty() {
            check.wrong(
                &row.id,
                &key("row"),
                "of no weight at all",
                "a row with a weight above 0",
                "give it one",
            );
        }
        if let Ok(id) = Name::new(row.id.get_ref()) {
            tables = tables.loot(id, table);
        }
    }
    let steps = rows.iter().flat_map(|row| {
        let always = row.always.iter().filter_map(|find| find.get_ref().table.as_ref());
        let drawn = row.row.iter().filter_map(|weighed| weighed.get_ref().table.as_ref());
        always.chain(drawn).map(|table| (row.id.get_ref().as_str(), table))
    });
    check.no_cycle(|id| format!("loot.{id}.table"), steps);
    for (id, read) in items {
        let Some(opens) = &read.opens else { continue };
        let known = names.iter().find(|name| *name == opens.get_ref());
        let key = format!("item.{id}.opens");
        of_items.known(&key, opens, "a table of loot.toml", known, &names);
        if let Ok(table) = Name::new(opens.get_ref()) {
            tables = tables.opens(id.name().clone(), BoxRule { table, rolls: 1, opens_itself: true });
        }
    }
    if !items.is_empty() {
        for needed in [STRONGBOX, RELIC].into_iter().filter(|name| !is_asset(items, name)) {
            let found = format!("without {needed}");
            of_items.wrong_at(0..0, "item", found, "what the rules of the game name", "add it");
        }
    }
    for band in Band::ALL.into_iter().filter(|band| !names.contains(&band.name())) {
        let found = format!("without {}", band.name());
        check.wrong_at(0..0, "loot", found, "what those leave who lie in wait on the roads", "add it");
    }
    if !check.is_fine() || !of_items.is_fine() {
        return None;
    }
    // What is left is how they lead to one another.
    match tables.build() {
        Ok(tables) => Some(tables),
        Err(faults) => {
            for fault in faults {
                check.wrong_at(0..0, "loot", "not to be used", "tables that end", fault);
            }
            None
        }
    }
}

/// Silver, goods and items, and what the rules of the game give besides: fame and people.
fn assets(items: &BTreeMap<ItemId, ReadItem>) -> crate::reward::tables::TablesBuilder {
    let count = || AssetClass::Currency { cap: SILVER_MAX };
    let mut tables = RewardTables::builder()
        .asset(SILVER, count())
        .asset(RENOWN, count())
        .asset(ERRANDS, count())
        .slots(SLOTS);
    let people =
        |expires_after_ms| AssetClass::Item { stack_max: HANDS_PER_SLOT, is_single: false, expires_after_ms };
    tables = tables.asset(WOUNDED, people(Some(WOUNDED_MS)));
    for hand in Hand::ALL {
        tables = tables.asset(hand.asset(), people(None));
    }
    let loads = AssetClass::Item { stack_max: LOADS_PER_SLOT, is_single: false, expires_after_ms: None };
    for good in Good::ALL {
        tables = tables.asset(good.asset(), loads.clone());
    }
    for (id, ReadItem { item, .. }) in items {
        let (stack_max, is_single) = (item.stack, item.single);
        let class = AssetClass::Item { stack_max, is_single, expires_after_ms: None };
        tables = tables.asset(id.name().clone(), class);
    }
    tables
}

/// Whether none of these is said where it means nothing; what is said is told.
fn is_without<const N: usize>(
    check: &mut Checker<'_>,
    key: &str,
    keys: [(&str, &Option<Spanned<i64>>); N],
    of: &str,
    expected: &str,
) -> bool {
    for (name, number) in keys {
        if let Some(number) = number {
            let found = format!("{}, of {of}", number.get_ref());
            check.wrong(number, &format!("{key}.{name}"), found, expected, "leave it out");
        }
    }
    keys.iter().all(|(_, number)| number.is_none())
}

/// What is found; `None` when it cannot be told.
fn drop_of(
    check: &mut Checker<'_>,
    key: &str,
    place: std::ops::Range<usize>,
    find: &Find,
    tables: &[&str],
    items: &BTreeMap<ItemId, ReadItem>,
) -> Option<Drop> {
    let one = Spanned::new(0..0, 1);
    let part = |part: &str| format!("{key}.{part}");
    match (&find.asset, &find.table) {
        (Some(_), Some(_)) => {
            let found = "of an asset and of a table";
            check.wrong_at(place, key, found, "one of them", "make two of it, or take one out");
            None
        }
        (None, None) => {
            let keys = [("least", &find.least), ("most", &find.most), ("rolls", &find.rolls)];
            let expected = "an `asset` or a `table` beside it";
            is_without(check, key, keys, "nothing", expected).then_some(Drop::Nothing)
        }
        (Some(asset), None) => {
            let expected = "a `table` in the place of the `asset`";
            is_without(check, key, [("rolls", &find.rolls)], "an asset", expected);
            let most = find.most.as_ref().or(find.least.as_ref()).unwrap_or(&one);
            let most = check.whole(&part("most"), most, 1..=AMOUNT_MAX.cast_signed());
            let least = find.least.as_ref().unwrap_or(&one);
            check.at_most(&part("least"), least, "most", most);
            let least = check.whole(&part("least"), least, 0..=AMOUNT_MAX.cast_signed());
            // What is wrong with items is told there.
            if items.is_empty() {
                return None;
            }
            let there = is_asset(items, asset.get_ref()).then(|| Name::new(asset.get_ref()).ok()).flatten();
            let all = [SILVER.to_owned()].into_iter().chain(goods::names());
            let all = all.chain(items.keys().map(ToString::to_string));
            let asset = check.known(&part("asset"), asset, "silver, a good or an item", there, all)?;
            Some(Drop::Asset { asset, least: least.cast_unsigned(), most: most.cast_unsigned() })
        }
        (None, Some(table)) => {
            let keys = [("least", &find.least), ("most", &find.most)];
            is_without(check, key, keys, "a table", "an `asset` in the place of the `table`");
            let rolls = find.rolls.as_ref().unwrap_or(&one);
            let rolls = check.whole(&part("rolls"), rolls, 1..=i64::from(ROLLS_MAX)) as u32;
            let there = tables.iter().find(|name| *name == table.get_ref());
            let there = there.and_then(|name| Name::new(name).ok());
            let table = check.known(&part("table"), table, "a loot table", there, tables)?;
            Some(Drop::Table { table, rolls })
        }
    }
}

/// The loot tables as rows.
pub(super) fn table(rewards: &RewardTables) -> ReferenceTable {
    let tables = rewards.loot_tables();
    tables.fold(ReferenceTable::new("loot"), |table, (name, loot)| table.row(name.as_str(), loot))
}
