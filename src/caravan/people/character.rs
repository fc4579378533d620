//! What a character is, as the save says.

use std::collections::BTreeMap;
use std::fmt;

use crate::prelude::*;
use crate::reward::{Lot, Name};

use super::super::lore::{AttributeId, FactionId, Lore, OriginId, SkillId};
use super::super::travel::for_owner;
use super::learn::experience_of;
use super::vigour::Vigour;

/// That a player has a character. There is one at most.
pub(in super::super) const CHARACTER: &str = "character";
/// What has been lived through.
pub(in super::super) const EXPERIENCE: &str = "experience";
/// Levels beyond the first.
pub(in super::super) const LEVEL: &str = "level";
/// What may be learned.
pub(in super::super) const POINTS: &str = "points";
/// How many characters a player has had. It stays when one goes, so that what happens once in a life happens once in each.
pub(in super::super) const LIVES: &str = "lives";
/// Silver that a player was given when it came for the first time, until its first character begins, which begins with it: whatever the
/// files say by then.
pub(in super::super) const GIFT: &str = "gift";
/// How often one may begin anew: it fills up with time.
pub(in super::super) const FRESH_STARTS: &str = "fresh-starts";

const OF_ORIGIN: &str = "origin/";
const OF_SKILL: &str = "skill/";
const OF_ATTRIBUTE: &str = "trait/";

fn asset(prefix: &str, id: &Name) -> Name {
    Name::new(&format!("{prefix}{id}")).expect("ids of files are shorter than names may be")
}

/// That one comes from there.
pub(in super::super) fn origin_asset(id: &OriginId) -> Name {
    asset(OF_ORIGIN, id.name())
}

/// Levels of a skill.
pub(in super::super) fn skill_asset(id: &SkillId) -> Name {
    asset(OF_SKILL, id.name())
}

/// Levels of an attribute.
pub(in super::super) fn attribute_asset(id: &AttributeId) -> Name {
    asset(OF_ATTRIBUTE, id.name())
}

/// What is held of assets whose names begin like this: the rest of each name, and how much.
pub(super) fn held_of<'h>(
    holdings: &'h Holdings,
    prefix: &'static str,
) -> impl Iterator<Item = (&'h str, u64)> + use<'h> {
    let all = holdings.lots.range((Name::from(prefix), Lot::PLAIN)..);
    all.map_while(move |((name, _), amount)| Some((name.as_str().strip_prefix(prefix)?, *amount)))
}

/// Levels of skills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skills(BTreeMap<SkillId, u8>);

/// Levels of attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes(BTreeMap<AttributeId, u8>);

macro_rules! levels {
    ($levels:ident, $id:ident, $prefix:ident) => {
        impl $levels {
            /// Those of these holdings.
            #[must_use]
            pub fn held(holdings: &Holdings) -> Self {
                let levels = held_of(holdings, $prefix);
                let levels = levels.filter_map(|(name, amount)| Some(($id::new(name).ok()?, amount)));
                Self(levels.map(|(id, amount)| (id, u8::try_from(amount).unwrap_or(u8::MAX))).collect())
            }

            /// The level of one; 0 of what one has not.
            #[must_use]
            pub fn level(&self, id: &$id) -> u8 {
                self.0.get(id).copied().unwrap_or(0)
            }

            /// All of them, by id.
            pub fn iter(&self) -> impl Iterator<Item = (&$id, u8)> {
                self.0.iter().map(|(id, level)| (id, *level))
            }
        }
    };
}

levels!(Skills, SkillId, OF_SKILL);
levels!(Attributes, AttributeId, OF_ATTRIBUTE);

/// A player's character. Everybody who sees it is told where it comes from; what it can do, its player alone.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Character {
    /// Id of its origin; empty without a character.
    #[sync(broadcast, max_bytes = 48)]
    pub origin: Settled<String>,
    /// Its level, from 1; 0 without a character.
    #[sync(custom = for_owner, max_bytes = 9)]
    pub level: Settled<u64>,
    /// What it has lived through.
    #[sync(custom = for_owner, max_bytes = 9)]
    pub experience: Settled<u64>,
    /// How many points it may still learn with.
    #[sync(custom = for_owner, max_bytes = 9)]
    pub points: Settled<u64>,
    /// What it is made of.
    #[sync(custom = for_owner, max_bytes = 256)]
    pub attributes: Settled<Attributes>,
    /// What it is good at.
    #[sync(custom = for_owner, max_bytes = 256)]
    pub skills: Settled<Skills>,
    /// What defeats have left of its strength.
    #[sync(custom = for_owner, max_bytes = 18)]
    pub vigour: Settled<Vigour>,
}

impl Character {
    /// Where it comes from; `None` without a character.
    #[must_use]
    pub fn origin_id(&self) -> Option<OriginId> {
        OriginId::new(&self.origin).ok()
    }

    /// Whose side it is on.
    #[must_use]
    pub fn faction<'l>(&self, lore: &'l Lore) -> Option<&'l FactionId> {
        lore.origins().get(&self.origin_id()?)?.faction.as_ref()
    }
}

impl Settles for Character {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        let has_one = holdings.amount(&CHARACTER.into()) > 0;
        let origin = held_of(holdings, OF_ORIGIN).next().map_or("", |(name, _)| name);
        pen.write(&mut self.origin, origin.to_owned());
        pen.write(&mut self.level, if has_one { 1 + holdings.amount(&LEVEL.into()) } else { 0 });
        pen.write(&mut self.experience, holdings.amount(&EXPERIENCE.into()));
        pen.write(&mut self.points, holdings.amount(&POINTS.into()));
        pen.write(&mut self.attributes, Attributes::held(holdings));
        pen.write(&mut self.skills, Skills::held(holdings));
        pen.write(&mut self.vigour, Vigour::held(holdings));
    }
}

impl fmt::Display for Character {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin.is_empty() {
            return f.write_str("nobody in particular");
        }
        let (origin, level, points) = (&self.origin, &self.level, &self.points);
        write!(f, "{origin} of level {level}, {} experience", self.experience)?;
        write!(f, " of {}, {points} points", experience_of(**level + 1))?;
        for (id, level) in self.attributes.iter() {
            write!(f, ", {id} {level}")?;
        }
        for (id, level) in self.skills.iter() {
            write!(f, ", {id} {level}")?;
        }
        Ok(())
    }
}
