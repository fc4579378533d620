//! skills.toml, factions.toml, origins.toml: who people are and what they can do.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{Checker, Spanned};

use super::ids::{FactionId, OriginId, SkillId};

/// Most bytes of what people call something.
pub(super) const WORDS_BYTES_MAX: usize = 40;
/// Highest level that any skill has.
const LEVEL_MAX: i64 = 10;
/// Most silver that anybody begins with.
const SILVER_MAX: i64 = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkillFile {
    skill: Vec<SkillRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkillRow {
    id: Spanned<String>,
    name: Spanned<String>,
    most: Spanned<i64>,
    #[serde(default)]
    needs: Vec<Spanned<String>>,
}

/// Something to be good at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skill {
    /// What people call it.
    pub name: String,
    /// The highest level.
    pub most: u8,
    /// What one must have learned before.
    pub needs: Vec<SkillId>,
}

pub(super) fn skills(check: &mut Checker<'_>) -> BTreeMap<SkillId, Skill> {
    let Some(SkillFile { skill: rows }) = check.parse::<SkillFile>() else { return BTreeMap::new() };
    check.ids("skill", rows.iter().map(|row| &row.id));
    let all = || rows.iter().map(|row| row.id.get_ref().as_str());
    let mut skills = BTreeMap::new();
    for SkillRow { id, name, most, needs } in &rows {
        let key = |key: &str| format!("skill.{}.{key}", id.get_ref());
        check.words(&key("name"), name, WORDS_BYTES_MAX);
        let most = check.whole(&key("most"), most, 1..=LEVEL_MAX) as u8;
        let mut needed = Vec::new();
        for need in needs {
            let known = all().find(|id| id == need.get_ref()).and_then(SkillId::read);
            needed.extend(check.known(&key("needs"), need, "a skill", known, all()));
        }
        let id = SkillId::read(id.get_ref());
        skills.extend(id.map(|id| (id, Skill { name: name.get_ref().clone(), most, needs: needed })));
    }
    let steps = rows.iter().flat_map(|row| row.needs.iter().map(|need| (row.id.get_ref().as_str(), need)));
    check.no_cycle(|id| format!("skill.{id}.needs"), steps);
    skills
}

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
            fought.extend(check.known(&key("foes"), foe, "a faction", known, all()));
        }
        let id = FactionId::read(id.get_ref());
        factions.extend(id.map(|id| (id, Faction { name: name.get_ref().clone(), foes: fought })));
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
}

pub(super) fn origins(
    check: &mut Checker<'_>,
    skills: &BTreeMap<SkillId, Skill>,
    factions: &BTreeMap<FactionId, Faction>,
) -> Option<(OriginId, BTreeMap<OriginId, Origin>)> {
    let OriginFile { usual, origin: rows } = check.parse::<OriginFile>()?;
    check.ids("origin", rows.iter().map(|row| &row.id));
    let mut origins = BTreeMap::new();
    for OriginRow { id, name, silver, faction, skills: learned } in &rows {
        let key = |key: &str| format!("origin.{}.{key}", id.get_ref());
        check.words(&key("name"), name, WORDS_BYTES_MAX);
        let mut origin = Origin {
            name: name.get_ref().clone(),
            silver: check.whole(&key("silver"), silver, 0..=SILVER_MAX).cast_unsigned(),
            faction: None,
            skills: BTreeMap::new(),
        };
        // What is wrong with the other file is told there, and not again by everything that rests on it.
        if let (Some(faction), false) = (faction, factions.is_empty()) {
            let known = FactionId::read(faction.get_ref()).filter(|id| factions.contains_key(id));
            origin.faction = check.known(&key("faction"), faction, "a faction", known, factions.keys());
        }
        for (skill, level) in learned.iter().filter(|_| !skills.is_empty()) {
            let known = SkillId::read(skill.get_ref()).and_then(|id| Some((skills.get(&id)?.most, id)));
            let Some((most, id)) = check.known(&key("skills"), skill, "a skill", known, skills.keys()) else {
                continue;
            };
            let level = check.whole(&key("skills"), level, 1..=i64::from(most)) as u8;
            if origin.skills.insert(id, level).is_some() {
                let found = format!("{:?} twice", skill.get_ref());
                check.wrong(skill, &key("skills"), found, "each skill once", "take one out");
            }
        }
        let id = OriginId::read(id.get_ref());
        origins.extend(id.map(|id| (id, origin)));
    }
    let known = OriginId::read(usual.get_ref()).filter(|id| origins.contains_key(id));
    let usual = check.known("usual", &usual, "an origin", known, origins.keys());
    usual.map(|usual| (usual, origins))
}
