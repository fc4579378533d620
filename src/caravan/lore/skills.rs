//! skills.toml: what people can be good at, what they are made of, and what either does.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::reference::{Checker, Spanned};

use super::add_once;
use super::ids::{AttributeId, SkillId};
use super::people::WORDS_BYTES_MAX;

/// Highest level of any skill or attribute.
const LEVEL_MAX: i64 = 10;
/// Most that one level of it does.
const EACH_MAX: i64 = 100;

/// What a skill or an attribute makes better. Each is a rule of the game; [`Talents`](super::super::Talents) adds up what somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Percent that one's own blows are harder.
    Force,
    /// Percent that the blows of one's hands are harder.
    Command,
    /// Points more that one can take in a battle.
    Health,
    /// Percent of tries to flee that succeed more often.
    Escape,
    /// Percent of the fallen who are only hurt, more.
    Mercy,
    /// Percent less silver for mending.
    Mending,
    /// Percent less silver for hiring.
    Wages,
    /// Percent more silver for errands.
    Pay,
    /// Weight that slows nobody, kg more.
    Load,
}

/// Effects and how much one level does of each.
pub type Effects = BTreeMap<Effect, u32>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    skill: Vec<SkillRow>,
    attribute: Vec<AttributeRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkillRow {
    id: Spanned<String>,
    name: Spanned<String>,
    most: Spanned<i64>,
    #[serde(default)]
    needs: Vec<Spanned<String>>,
    effects: Spanned<Vec<(Effect, Spanned<i64>)>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeRow {
    id: Spanned<String>,
    name: Spanned<String>,
    most: Spanned<i64>,
    effects: Spanned<Vec<(Effect, Spanned<i64>)>>,
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
    /// What one level of it does.
    pub effects: Effects,
}

/// Something that people are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// What people call it.
    pub name: String,
    /// The highest level.
    pub most: u8,
    /// What one level of it does.
    pub effects: Effects,
}

/// Skills and attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Abilities {
    pub(super) skills: BTreeMap<SkillId, Skill>,
    pub(super) attributes: BTreeMap<AttributeId, Attribute>,
}

pub(super) fn read(check: &mut Checker<'_>) -> Abilities {
    let Some(File { skill: rows, attribute }) = check.parse::<File>() else { return Abilities::default() };
    check.ids("skill", rows.iter().map(|row| &row.id));
    let all = || rows.iter().map(|row| row.id.get_ref().as_str());
    let mut abilities = Abilities::default();
    for SkillRow { id, name, most, needs, effects: does } in &rows {
        let key = |key: &str| format!("skill.{}.{key}", id.get_ref());
        check.words(&key("name"), name, WORDS_BYTES_MAX);
        let most = check.whole(&key("most"), most, 1..=LEVEL_MAX) as u8;
        let mut needed = Vec::new();
        for need in needs {
            let known = all().find(|id| id == need.get_ref()).and_then(SkillId::read);
            let known = check.known(&key("needs"), need, "a skill", known, all());
            add_once(check, &key("needs"), need, "skill", (&mut needed, known));
        }
        let effects = effects(check, &key("effects"), does);
        let skill = Skill { name: name.get_ref().clone(), most, needs: needed, effects };
        abilities.skills.extend(SkillId::read(id.get_ref()).map(|id| (id, skill)));
    }
    let steps = rows.iter().flat_map(|row| row.needs.iter().map(|need| (row.id.get_ref().as_str(), need)));
    check.no_cycle(|id| format!("skill.{id}.needs"), steps);
    check.ids("attribute", attribute.iter().map(|row| &row.id));
    for AttributeRow { id, name, most, effects: does } in &attribute {
        let key = |key: &str| format!("attribute.{}.{key}", id.get_ref());
        check.words(&key("name"), name, WORDS_BYTES_MAX);
        let most = check.whole(&key("most"), most, 1..=LEVEL_MAX) as u8;
        let effects = effects(check, &key("effects"), does);
        let attribute = Attribute { name: name.get_ref().clone(), most, effects };
        abilities.attributes.extend(AttributeId::read(id.get_ref()).map(|id| (id, attribute)));
    }
    if !check.is_fine() {
        // What is wrong here is not told again of origins that lack what a skill should not have needed.
        abilities.skills.values_mut().for_each(|skill| skill.needs.clear());
    }
    abilities
}

/// What something does: it does something.
fn effects(check: &mut Checker<'_>, key: &str, does: &Spanned<Vec<(Effect, Spanned<i64>)>>) -> Effects {
    let mut effects = Effects::new();
    for (effect, each) in does.get_ref() {
        let much = check.whole(key, each, 1..=EACH_MAX) as u32;
        if effects.insert(*effect, much).is_some() {
            check.wrong(each, key, "of one effect twice", "each effect once", "take one out");
        }
    }
    if effects.is_empty() {
        check.wrong(does, key, "empty", "at least one effect, or nobody had anything of it", "add one");
    }
    effects
}
