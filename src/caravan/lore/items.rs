//! items.toml: what there is to own besides silver and goods.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::prelude::*;
use crate::reference::{Checker, Spanned};

use super::ids::{ItemId, LootId};
use super::people::WORDS_BYTES_MAX;
use super::{goods, loot};

/// Most of what an item does in battle.
const STRENGTH_MAX: i64 = 100;
/// Most that an item lets a beast carry more, kg.
const LOAD_KG_MAX: i64 = 500;
/// Most of the wounded that one item mends.
const HEALS_MAX: i64 = 10;
/// Most items in one slot of a pack.
const STACK_MAX: i64 = 1_000;

/// Where an item is worn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// It is only carried.
    #[default]
    None,
    /// In the hand.
    Hand,
    /// On the body.
    Body,
    /// On the head.
    Head,
    /// By a beast.
    Beast,
}

impl Slot {
    /// Those where something is worn.
    pub const WORN: [Slot; 4] = [Slot::Hand, Slot::Body, Slot::Head, Slot::Beast];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Slot::None => "none",
            Slot::Hand => "hand",
            Slot::Body => "body",
            Slot::Head => "head",
            Slot::Beast => "beast",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Slot {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Slot::WORN.into_iter().find(|slot| slot.name() == text);
        found.ok_or_else(|| {
            format!("`{text}` is nothing to wear things on: expected hand, body, head or beast")
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    item: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Spanned<String>,
    name: Spanned<String>,
    #[serde(default)]
    slot: Slot,
    stack: Option<Spanned<i64>>,
    #[serde(default)]
    single: bool,
    attack: Option<Spanned<i64>>,
    defence: Option<Spanned<i64>>,
    load_kg: Option<Spanned<i64>>,
    breaks: Option<Spanned<i64>>,
    heals: Option<Spanned<i64>>,
    opens: Option<Spanned<String>>,
}

/// Something to own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What people call it.
    pub name: String,
    /// Where it is worn.
    pub slot: Slot,
    /// So many lie in one slot of a pack.
    pub stack: u32,
    /// Each is one of its kind.
    pub single: bool,
    /// What it adds to a blow.
    pub attack: u32,
    /// What it takes off a blow.
    pub defence: u32,
    /// What a beast carries more with it, kg.
    pub load_kg: u32,
    /// How often of a hundred times it is lost when who wears it is beaten.
    pub breaks: u32,
    /// How many of the wounded are on their feet again with it.
    pub heals: u32,
    /// The table of what is in it, if it is a box.
    pub opens: Option<LootId>,
}

/// An item whose box has not been looked into yet.
pub(super) struct ReadItem {
    pub(super) item: Item,
    pub(super) opens: Option<Spanned<String>>,
}

pub(super) fn read(check: &mut Checker<'_>) -> BTreeMap<ItemId, ReadItem> {
    let Some(File { item: rows }) = check.parse::<File>() else { return BTreeMap::new() };
    check.ids("item", rows.iter().map(|row| &row.id));
    let mut items = BTreeMap::new();
    for row in rows {
        let key = |key: &str| format!("item.{}.{key}", row.id.get_ref());
        let id = row.id.get_ref();
        if loot::is_games_own(id) || goods::named(id).is_some() {
            let (expected, fix) =
                ("a name that neither a good has nor what the game gives by itself", "rename it");
            check.wrong(&row.id, &key("id"), format_args!("{id:?}"), expected, fix);
        }
        check.words(&key("name"), &row.name, WORDS_BYTES_MAX);
        let mut number = |name: &str, value: &Option<Spanned<i64>>, least: i64, most: i64| {
            value.as_ref().map_or(least, |value| check.whole(&key(name), value, least..=most)) as u32
        };
        let item = Item {
            name: row.name.get_ref().clone(),
            slot: row.slot,
            stack: number("stack", &row.stack, 1, STACK_MAX),
            single: row.single,
            attack: number("attack", &row.attack, 0, STRENGTH_MAX),
            defence: number("defence", &row.defence, 0, STRENGTH_MAX),
            load_kg: number("load_kg", &row.load_kg, 0, LOAD_KG_MAX),
            breaks: number("breaks", &row.breaks, 0, 100),
            heals: number("heals", &row.heals, 0, HEALS_MAX),
            opens: row.opens.as_ref().and_then(|opens| LootId::read(opens.get_ref())),
        };
        if let (true, Some(stack)) = (row.single && item.stack > 1, &row.stack) {
            let expected = "1, since each is one of its kind";
            check.wrong(stack, &key("stack"), item.stack, expected, "leave it out, or take out `single`");
        }
        let is_worn_by = |slots: &[Slot]| slots.contains(&row.slot);
        for (name, value, slots, worn) in [
            ("attack", &row.attack, &[Slot::Hand][..], "`slot` to be hand"),
            (
                "defence",
                &row.defence,
                &[Slot::Hand, Slot::Body, Slot::Head],
                "`slot` to be hand, body or head",
            ),
            ("load_kg", &row.load_kg, &[Slot::Beast], "`slot` to be beast"),
            (
                "breaks",
                &row.breaks,
                &[Slot::Hand, Slot::Body, Slot::Head, Slot::Beast],
                "`slot` to be hand, body, head or beast",
            ),
        ] {
            if let Some(value) = value.as_ref().filter(|_| !is_worn_by(slots)) {
                let found = format!("{}, where nobody wears it", value.get_ref());
                check.wrong(value, &key(name), found, worn, "name the slot, or leave this out");
            }
        }
        if let (true, Some(heals)) = (row.single || row.slot != Slot::None, &row.heals) {
            let expected = "what is neither worn nor single to have it";
            check.wrong(heals, &key("heals"), heals.get_ref(), expected, "leave it out");
        }
        if let (true, true) = (row.single, row.slot != Slot::None) {
            let expected = "what is not worn, since what is worn is like all others of its kind";
            check.wrong(&row.id, &key("single"), true, expected, "leave out this or the slot");
        }
        let id = ItemId::read(id);
        items.extend(id.map(|id| (id, ReadItem { item, opens: row.opens })));
    }
    items
}
