//! Experience makes levels, levels give points, and points are what one learns with.

use std::collections::BTreeMap;
use std::fmt;

use crate::cell::pool::NodeContext;
use crate::prelude::*;
use crate::reward::Name;
use crate::store::MutationSummary;
use crate::value::Book;

use super::super::lore::{AttributeId, Lore, SkillId};
use super::super::objection::Told;
use super::super::outcome::left;
use super::character::{
    Attributes, CHARACTER, Character, EXPERIENCE, LEVEL, LIVES, POINTS, Skills, attribute_asset, skill_asset,
};
use super::handbook::Known;

/// The highest level.
pub const LEVEL_MAX: u64 = 20;
/// Points that each level brings.
const POINTS_A_LEVEL: u64 = 2;
/// What a level of a skill costs, points.
const SKILL_POINTS: u64 = 1;
/// What one of an attribute costs: people change less easily than they learn.
const ATTRIBUTE_POINTS: u64 = 2;
/// The house that experience and levels come from, and to which points go.
pub(super) const SCHOOL: &str = "school";
/// A level that did not come is asked for again after so many ticks.
const ASKS_AGAIN_TICKS: u64 = 200;

/// Experience with which a level is reached: each takes 50 more than the one before.
#[must_use]
pub const fn experience_of(level: u64) -> u64 {
    25 * level * level.saturating_sub(1)
}

/// The level that somebody of this experience has, from 1 to [`LEVEL_MAX`].
#[must_use]
pub fn level_of(experience: u64) -> u64 {
    (1..=LEVEL_MAX).take_while(|&level| experience_of(level) <= experience).last().unwrap_or(1)
}

/// Adds experience to what somebody is given, if it has a character.
pub(in super::super) fn with_experience(
    request: PlanRequest,
    holdings: &Holdings,
    amount: u64,
) -> PlanRequest {
    let has_one = holdings.amount(&CHARACTER.into()) > 0;
    if has_one && amount > 0 { request.grant(EXPERIENCE, amount, SCHOOL) } else { request }
}

/// The next level that somebody has lived through enough for.
fn due(holdings: &Holdings) -> Option<u64> {
    let next = 2 + holdings.amount(&LEVEL.into());
    let has_one = holdings.amount(&CHARACTER.into()) > 0;
    let is_due = has_one && next <= level_of(holdings.amount(&EXPERIENCE.into()));
    is_due.then_some(next)
}

/// Levels that were asked for: which, and in which tick.
#[derive(Debug, Default)]
pub(in super::super) struct Advanced(BTreeMap<PlayerId, (u64, u64)>);

/// Gives everybody the level that it has lived through enough for: each once in a life.
pub(in super::super) fn advance(
    mut rewards: RewardsOfNode,
    book: Res<Book>,
    context: Res<NodeContext>,
    mut advanced: Local<Advanced>,
) {
    let now = context.0.tick.0;
    if !now.is_multiple_of(u64::from(context.0.hz)) {
        return;
    }
    advanced.0.retain(|player, (level, asked)| {
        now < *asked + ASKS_AGAIN_TICKS && book.get(player).and_then(due) == Some(*level)
    });
    for (player, holdings) in book.players() {
        let Some(level) = due(holdings).filter(|_| !advanced.0.contains_key(player)) else { continue };
        let life = holdings.amount(&LIVES.into());
        let key = ClaimKey::named("level", format!("{} {life} {level}", player.as_str()).as_bytes());
        // Whoever has lost its character in the meantime has no experience either, and gets nothing.
        let lived = experience_of(level);
        let request = PlanRequest::new("level", player)
            .pay(EXPERIENCE, lived, SCHOOL)
            .grant(EXPERIENCE, lived, SCHOOL)
            .grant(LEVEL, 1, SCHOOL)
            .grant(POINTS, POINTS_A_LEVEL, SCHOOL);
        rewards.ask(NetId::WORLD, key, request);
        advanced.0.insert(player.clone(), (level, now));
    }
}

/// What to learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Study {
    /// A level of a skill.
    Skill(SkillId),
    /// To have more of an attribute.
    Attribute(AttributeId),
}

/// Learn something, for points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Learned, refusal = LearnRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct Learn {
    /// What.
    pub what: Study,
}

/// What one has after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// The level of what was learned.
    pub level: u64,
    /// Points that are left.
    pub points: u64,
}

/// Why nothing is learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearnRefusal {
    /// Only a character learns.
    NoCharacter,
    /// There is nothing of that name to learn.
    Unknown {
        /// What there is of its kind.
        known: Known,
    },
    /// There is no more of it to learn.
    Highest {
        /// The highest level.
        most: u8,
    },
    /// Something else must be learned before.
    Needs {
        /// What.
        skill: SkillId,
    },
    /// The points do not suffice.
    Points {
        /// How many there are.
        has: u64,
        /// How many are needed.
        needs: u64,
    },
    /// It cannot be kept now.
    Value(PlanRefusal),
}

impl fmt::Display for LearnRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCharacter => f.write_str("you have no character to learn with: create one"),
            Self::Unknown { known } => write!(f, "there is nothing of that name to learn{known}"),
            Self::Highest { most } => write!(f, "level {most} is the highest of it"),
            Self::Needs { skill } => write!(f, "learn {skill} before"),
            Self::Points { has, needs } => write!(f, "you have {has} points and need {needs}"),
            Self::Value(why) => Told(why).fmt(f),
        }
    }
}

impl Study {
    /// What it is called in the save, and what it costs.
    fn asset_and_points(&self) -> (Name, u64) {
        match self {
            Self::Skill(id) => (skill_asset(id), SKILL_POINTS),
            Self::Attribute(id) => (attribute_asset(id), ATTRIBUTE_POINTS),
        }
    }
}

pub(in super::super) fn learn(
    learn: &Learn,
    _: &Character,
    context: &AskContext<'_>,
) -> Result<PlanRequest, LearnRefusal> {
    let (lore, holdings) = (context.published::<Lore>(), context.holdings);
    let lore = lore.ok_or_else(|| LearnRefusal::Unknown { known: Known::default() })?;
    if holdings.amount(&CHARACTER.into()) == 0 {
        return Err(LearnRefusal::NoCharacter);
    }
    let (has, most) = match &learn.what {
        Study::Skill(id) => {
            let skill = lore.skills().get(id).ok_or_else(|| LearnRefusal::Unknown {
                known: Known::of(lore.skills().keys().map(SkillId::name)),
            })?;
            let skills = Skills::held(holdings);
            if let Some(needed) = skill.needs.iter().find(|needed| skills.level(needed) == 0) {
                return Err(LearnRefusal::Needs { skill: needed.clone() });
            }
            (skills.level(id), skill.most)
        }
        Study::Attribute(id) => {
            let attribute = lore.attributes().get(id).ok_or_else(|| LearnRefusal::Unknown {
                known: Known::of(lore.attributes().keys().map(AttributeId::name)),
            })?;
            (Attributes::held(holdings).level(id), attribute.most)
        }
    };
    if has >= most {
        return Err(LearnRefusal::Highest { most });
    }
    let (asset, points) = learn.what.asset_and_points();
    Ok(context.request("learn").pay(POINTS, points, SCHOOL).grant(asset, 1, SCHOOL))
}

pub(in super::super) fn learned(
    learn: &Learn,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Learned, LearnRefusal> {
    let (asset, _) = learn.what.asset_and_points();
    let summary = outcome.map_err(|why| match why {
        PlanRefusal::TooLittle { asset, has, needs, .. } if asset.as_str() == POINTS => {
            LearnRefusal::Points { has: *has, needs: *needs }
        }
        // Another level of it was learned in the same moment.
        PlanRefusal::OverCap { cap, .. } => {
            LearnRefusal::Highest { most: u8::try_from(*cap).unwrap_or(u8::MAX) }
        }
        why => LearnRefusal::Value(why.clone()),
    })?;
    Ok(Learned { level: left(summary, &asset), points: left(summary, &POINTS.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E10: levels follow from experience, each takes more than the one before, and there is a highest.
    #[test]
    fn every_level_takes_more_than_the_one_before_and_there_is_a_highest() {
        assert_eq!((level_of(0), level_of(49), level_of(50), level_of(149), level_of(150)), (1, 1, 2, 2, 3));
        for level in 1..LEVEL_MAX {
            let (this, next) = (experience_of(level), experience_of(level + 1));
            assert_eq!(next - this, 50 * level);
            assert_eq!((level_of(this), level_of(next - 1), level_of(next)), (level, level, level + 1));
        }
        assert_eq!(level_of(u64::MAX / 1_000), LEVEL_MAX);
    }
}
