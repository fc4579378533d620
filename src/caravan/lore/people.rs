//! factions.toml, origins.toml: who has a say, and where people come from.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{Checker, Spanned};

use super::super::campaign::Band;
use super::super::goods::Good;
use super::add_once;
use super::ids::{AttributeId, FactionId, ItemId, OriginId, SkillId};
use super::items::ReadItem;
use super::loot::{LOADS_PER_SLOT, SLOTS};
use super::skills::Abilities;

/// Most bytes of what people call something.
pub(super) const WORDS_BYTES_MAX: usize = 40;
/// Most silver that anybody begins with.
const SILVER_MAX: i64 = 100_000;
/// Most points for learning that anybody begins with.
const POINTS_MAX: i64 = 20;
/// Most loads of one good that anybody begins with.
const LOADS_MAX: i64 = 20;
/// Most of one item that anybody begins with.
const ITEMS_MAX: i64 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactionFile {
    faction: Vec<FactionRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactionRow {
    id: Spanned<String>,
    name: Spanned<String>,
    #[serde(default)]
    foes: Vec<Spanned<String>>,
}

/// Who has a say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Faction {
    /// What people call it.
    pub name: String,
    /// Whom it fights.
    pub foes: Vec<FactionId>,
}

pub(super) fn factions(check: &mut Checker<'_>) -> BTreeMap<FactionId, Faction> {
    let Some(FactionFile { faction: rows }) = check.parse::<FactionFile>() else { return BTreeMap::new() };
    check.ids("faction", rows.iter().map(|row| &row.id));
    let all = || rows.iter().map(|row| row.id.get_ref().as_str());
    let mut factions = BTreeMap::new();
    for FactionRow { id, name, foes } in &rows {
        let key = |key: &str| format!("faction.{}.{key}", id.get_ref());
        check.words(&key("name"), name, WORDS_BYTES_MAX);
        let mut fought = Vec::new();
        for foe in foes {
            if foe.get_ref() == id.get_ref() {
                check.wrong(foe, &key("foes"), "the faction itself", "another faction", "take it out");
            }
            let known = all().find(|id| id == foe.get_ref()).and_then(FactionId::read);
            let known = check.known(&key("foes"), foe, "a faction", known, all());
            add_once(check, &key("foes"), foe, "faction", (&mut fought, known));
        }
        let id = FactionId::read(id.get_ref());
        factions.extend(id.map(|id| (id, Faction { name: name.get_ref().clone(), foes: fought })));
    }
    let mut needed: Vec<&str> = Band::ALL.iter().filter_map(|band| band.faction()).collect();
    needed.dedup();
    for needed in needed.into_iter().filter(|needed| !all().any(|id| id == *needed)) {
        let found = format!("without {needed}");
        check.wrong_at(0..0, "faction", found, "whoever sends bands out on the roads", "add it");
    }
    factions
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginFile {
    usual: Spanned<String>,
    origin: Vec<OriginRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginRow {
    id: Spanned<String>,
    name: Spanned<String>,
    silver: Spanned<i64>,
    faction: Option<Spanned<String>>,
    #[serde(default)]
    skills: Vec<(Spanned<String>, Spanned<i64>)>,
    #[serde(default)]
    attributes: Vec<(Spanned<String>, Spanned<i64>)>,
    points: Option<Spanned<i64>>,
    #[serde(default)]
    goods: Vec<(Spanned<String>, Spanned<i64>)>,
    #[serde(default)]
    items: Vec<(Spanned<String>, Spanned<i64>)>,
}

/// Where somebody comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// What people call it.
    pub name: String,
    /// Silver that one begins with.
    pub silver: u64,
    /// Whose side one begins on.
    pub faction: Option<FactionId>,
    /// What one has learned.
    pub skills: BTreeMap<SkillId, u8>,
    /// What one is made of.
    pub attributes: BTreeMap<AttributeId, u8>,
    /// What one may learn besides, points.
    pub points: u8,
    /// Loads of goods that one begins with.
    pub goods: BTreeMap<Good, u16>,
    /// Items that one begins with.
    pub items: BTreeMap<ItemId, u16>,
}

/// What origins name, from other files. One that could not be read is empty, and nothing is told of it again.
pub(super) struct Named<'a> {
    pub(super) abilities: &'a Abilities,
    pub(super) factions: &'a BTreeMap<FactionId, Faction>,
    pub(super) items: &'a BTreeMap<ItemId, ReadItem>,
}

/// Reads pairs of a name and a number, each name once.
fn pairs<K: Ord + Clone + std::fmt::Display>(
    check: &mut Checker<'_>,
    key: &str,
    what: &str,
    rows: &[(Spanned<String>, Spanned<i64>)],
    all: &[(K, i64)],
) -> BTreeMap<K, i64> {
    let mut read = BTreeMap::new();
    let kind = what.split(' ').next_back().unwrap_or(what);
    for (name, number) in rows.iter().filter(|_| !all.is_empty()) {
        let known = all.iter().find(|(id, _)| id.to_string() == *name.get_ref()).cloned();
        let names = all.iter().map(|(id, _)| id);
        let Some((id, most)) = check.known(key, name, what, known, names) else { continue };
        let number = check.whole(key, number, 1..=most);
        if read.insert(id, number).is_some() {
            let found = format!("{:?} twice", name.get_ref());
            check.wrong(name, key, found, format!("each {kind} once"), "take one out");
        }
    }
    read
}

fn narrow<K: Ord, N: TryFrom<i64>>(pairs: BTreeMap<K, i64>) -> BTreeMap<K, N> {
    // Each was brought into its range.
    pairs.into_iter().filter_map(|(key, number)| Some((key, N::try_from(number).ok()?))).collect()
}

/// Slots of a pack that what one begins with takes, as the planner counts them. A box opens at once and takes none.
fn slots_of(origin: &Origin, items: &BTreeMap<ItemId, ReadItem>) -> u64 {
    let of_goods = origin.goods.values().map(|loads| u64::from(*loads).div_ceil(LOADS_PER_SLOT.into()));
    let kept = origin.items.iter().filter_map(|(id, count)| Some((items.get(id)?, *count)));
    let kept = kept.filter(|(read, _)| read.opens.is_none());
    let of_items = kept.map(|(read, count)| u64::from(count).div_ceil(read.item.stack.into()));
    of_goods.chain(of_items).sum()
}

pub(super) fn origins(
    check: &mut Checker<'_>,
    Named { abilities, factions, items }: &Named<'_>,
) -> Option<(OriginId, BTreeMap<OriginId, Origin>)> {
    let OriginFile { usual, origin: rows } = check.parse::<OriginFile>()?;
    check.ids("origin", rows.iter().map(|row| &row.id));
    let skills: Vec<_> = abilities.skills.iter().map(|(id, skill)| (id.clone(), skill.most.into())).collect();
    let attributes: Vec<_> =
        abilities.attributes.iter().map(|(id, attribute)| (id.clone(), attribute.most.into())).collect();
    let goods: Vec<_> = Good::ALL.into_iter().map(|good| (good, LOADS_MAX)).collect();
    let all_items: Vec<_> = items.keys().map(|id| (id.clone(), ITEMS_MAX)).collect();
    let mut origins = BTreeMap::new();
    for row in &rows {
        let key = |key: &str| format!("origin.{}.{key}", row.id.get_ref());
        check.words(&key("name"), &row.name, WORDS_BYTES_MAX);
        let silver = check.whole(&key("silver"), &row.silver, 0..=SILVER_MAX).cast_unsigned();
        // What is wrong with the other file is told there, and not again by everything that rests on it.
        let mut of_faction = None;
        if let (Some(faction), false) = (&row.faction, factions.is_empty()) {
            let known = FactionId::read(faction.get_ref()).filter(|id| factions.contains_key(id));
            of_faction = check.known(&key("faction"), faction, "a faction", known, factions.keys());
        }
        let origin = Origin {
            name: row.name.get_ref().clone(),
            silver,
            faction: of_faction,
            skills: narrow(pairs(check, &key("skills"), "a skill", &row.skills, &skills)),
            attributes: narrow(pairs(
                check,
                &key("attributes"),
                "an attribute",
                &row.attributes,
                &attributes,
            )),
            points: row
                .points
                .as_ref()
                .map_or(0, |points| check.whole(&key("points"), points, 0..=POINTS_MAX))
                as u8,
            goods: narrow(pairs(check, &key("goods"), "a good", &row.goods, &goods)),
            items: narrow(pairs(check, &key("items"), "an item", &row.items, &all_items)),
        };
        let slots = slots_of(&origin, items);
        if slots > SLOTS {
            let found = format!("what takes {slots} slots, with its goods");
            let expected = format!("what the {SLOTS} slots of a pack take, or nobody could begin with it");
            check.wrong(&row.id, &key("items"), found, expected, "take something out");
        }
        for need in origin
            .skills
            .keys()
            .filter_map(|skill| abilities.skills.get(skill))
            .flat_map(|skill| &skill.needs)
        {
            if !origin.skills.contains_key(need) {
                let found = format!("without {need}, which another of them needs");
                check.wrong(&row.id, &key("skills"), found, "what is needed too", "add it");
            }
        }
        origins.extend(OriginId::read(row.id.get_ref()).map(|id| (id, origin)));
    }
    // Whoever has been given nothing at all is nobody that the save knows, and could become nobody either.
    for row in rows.iter().filter(|row| row.id.get_ref() == usual.get_ref() && *row.silver.get_ref() == 0) {
        let key = format!("origin.{}.silver", row.id.get_ref());
        check.wrong(
            &row.silver,
            &key,
            0,
            "at least 1, since that is what new players are given",
            "correct it",
        );
    }
    let known = OriginId::read(usual.get_ref()).filter(|id| origins.contains_key(id));
    let usual = check.known("usual", &usual, "an origin", known, origins.keys());
    usual.map(|usual| (usual, origins))
}
