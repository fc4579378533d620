//! A character begins and ends, each in one plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::prelude::*;
use crate::reward::{AssetClass, Name, Part, Pick};
use crate::store::MutationSummary;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

use super::super::campaign::Campaign;
use super::super::lore::{Lore, Origin, OriginId, SkillId};
use super::super::objection::Told;
use super::super::outcome::left;
use super::super::purse::SILVER;
use super::character::{
    CHARACTER, Character, EXPERIENCE, FRESH_STARTS, GIFT, LEVEL, LIVES, POINTS, attribute_asset,
    origin_asset, skill_asset,
};
use super::handbook::Known;
use super::learn::SCHOOL;

/// The house that characters get from what they begin with, and leave to what they had.
const TREASURY: &str = "treasury";
/// The house that a character goes back to.
const LIMBO: &str = "limbo";

/// Become somebody: with an origin, and with skills besides for the points that it gives. What is not spent is kept for later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Created, refusal = CharacterRefusal, rate = 2, burst = 8, coalesce = none,
    durability = immediate)]
pub struct CreateCharacter {
    /// Where it comes from.
    pub origin: OriginId,
    /// Levels of skills that it has besides those of its origin, a point each.
    pub skills: Vec<(SkillId, u8)>,
}

/// Be nobody in particular again. Everything that the player has goes back to where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), refusal = CharacterRefusal, rate = 2, burst = 8, coalesce = none,
    durability = immediate)]
pub struct DeleteCharacter {
    /// The character's name, which is the player's: nobody does this by mistake.
    pub name: PlayerId,
}

/// What a character begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Silver.
    pub silver: u64,
    /// Points to learn with.
    pub points: u64,
}

/// Why no character begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CharacterRefusal {
    /// There is no such origin.
    UnknownOrigin {
        /// Which there are.
        known: Known,
    },
    /// There is no such skill.
    UnknownSkill {
        /// Which.
        skill: SkillId,
        /// Which there are.
        known: Known,
    },
    /// A skill is named twice, or no level of it is asked for.
    Twice {
        /// Which.
        skill: SkillId,
    },
    /// A skill does not go so far.
    Highest {
        /// Which.
        skill: SkillId,
        /// The highest level.
        most: u8,
    },
    /// Something else must be learned before.
    Needs {
        /// For what.
        skill: SkillId,
        /// What.
        needs: SkillId,
    },
    /// The origin does not give so many points.
    Points {
        /// How many it gives.
        has: u64,
        /// How many are needed.
        needs: u64,
    },
    /// Whoever comes from there begins with less silver than the player was given, and the rest is spent.
    GiftSpent {
        /// How much must be given back.
        needs: u64,
        /// How much there is.
        has: u64,
    },
    /// The player has a character.
    HasOne,
    /// The player has none.
    HasNone,
    /// The name is not that of the character.
    Name,
    /// It is in a battle.
    Fighting,
    /// The player has begun anew too often for now.
    TooSoon,
    /// What the player begins with has not come, or something else came in between: ask again.
    AskAgain,
    /// There is no room for what it begins with, or it cannot be kept now.
    Value(PlanRefusal),
}

impl fmt::Display for CharacterRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOrigin { known } => write!(f, "there is no such origin{known}"),
            Self::UnknownSkill { skill, known } => write!(f, "there is no skill {skill}{known}"),
            Self::Twice { skill } => write!(f, "name {skill} once, with one level or more"),
            Self::Highest { skill, most } => write!(f, "level {most} is the highest of {skill}"),
            Self::Needs { skill, needs } => write!(f, "nobody learns {skill} without {needs}"),
            Self::Points { has, needs } => {
                write!(f, "your origin gives {has} points, and you need {needs}")
            }
            Self::GiftSpent { needs, has } => {
                write!(
                    f,
                    "who comes from there gives back {needs} silver of what you were given, and you have {has}"
                )
            }
            Self::HasOne => f.write_str("you have a character: delete it before you create another"),
            Self::HasNone => f.write_str("you have no character"),
            Self::Name => f.write_str("that is not its name: say whom you want to delete"),
            Self::Fighting => f.write_str("you are in a battle: fight it, or flee"),
            Self::TooSoon => f.write_str("you have begun anew too often: wait an hour"),
            Self::AskAgain => f.write_str("something came in between: ask again"),
            Self::Value(why) => Told(why).fmt(f),
        }
    }
}

/// The levels that a character begins with, and the points that are left.
fn learned(
    lore: &Lore,
    origin: &Origin,
    wishes: &[(SkillId, u8)],
) -> Result<(BTreeMap<SkillId, u8>, u64), CharacterRefusal> {
    let mut levels = origin.skills.clone();
    let (mut seen, mut needs) = (BTreeSet::new(), 0);
    for (id, wished) in wishes {
        let unknown = || {
            let known = Known::of(lore.skills().keys().map(SkillId::name));
            CharacterRefusal::UnknownSkill { skill: id.clone(), known }
        };
        let skill = lore.skills().get(id).ok_or_else(unknown)?;
        if *wished == 0 || !seen.insert(id) {
            return Err(CharacterRefusal::Twice { skill: id.clone() });
        }
        let level = levels.entry(id.clone()).or_default();
        *level = level.saturating_add(*wished);
        if *level > skill.most {
            return Err(CharacterRefusal::Highest { skill: id.clone(), most: skill.most });
        }
        needs += u64::from(*wished);
    }
    for (id, _) in wishes {
        let needed = lore.skills()[id].needs.iter().find(|needed| !levels.contains_key(needed));
        if let Some(needs) = needed {
            return Err(CharacterRefusal::Needs { skill: id.clone(), needs: needs.clone() });
        }
    }
    let has = u64::from(origin.points);
    let left = has.checked_sub(needs).ok_or(CharacterRefusal::Points { has, needs })?;
    Ok((levels, left))
}

pub(in super::super) fn create(
    create: &CreateCharacter,
    _: &Character,
    context: &AskContext<'_>,
) -> Result<PlanRequest, CharacterRefusal> {
    let (lore, holdings) = (context.published::<Lore>().ok_or(CharacterRefusal::AskAgain)?, context.holdings);
    let unknown =
        || CharacterRefusal::UnknownOrigin { known: Known::of(lore.origins().keys().map(OriginId::name)) };
    let origin = lore.origins().get(&create.origin).ok_or_else(unknown)?;
    let (levels, points) = learned(lore, origin, &create.skills)?;
    if holdings.amount(&CHARACTER.into()) > 0 {
        return Err(CharacterRefusal::HasOne);
    }
    if holdings.version == 0 {
        return Err(CharacterRefusal::AskAgain);
    }
    let mut request = context
        .request("create-character")
        .grant(CHARACTER, 1, LIMBO)
        .pay(FRESH_STARTS, 1, LIMBO)
        .grant(LIVES, 1, LIMBO)
        .grant(origin_asset(&create.origin), 1, LIMBO);
    // Of what an earlier one lived through something may have come after it had gone.
    for stray in [EXPERIENCE, LEVEL, POINTS] {
        let held = holdings.amount(&stray.into());
        if held > 0 {
            request = request.pay(stray, held, SCHOOL);
        }
    }
    for (id, level) in &levels {
        request = request.grant(skill_asset(id), (*level).into(), SCHOOL);
    }
    for (id, level) in &origin.attributes {
        request = request.grant(attribute_asset(id), (*level).into(), SCHOOL);
    }
    if points > 0 {
        request = request.grant(POINTS, points, SCHOOL);
    }
    // What everybody is given who comes for the first time is part of what the first character begins with.
    let given = holdings.amount(&GIFT.into());
    if given > 0 {
        request = request.pay(GIFT, given, TREASURY);
    }
    let (too_much, has) = (given.saturating_sub(origin.silver), holdings.amount(&SILVER.into()));
    if too_much > has {
        return Err(CharacterRefusal::GiftSpent { needs: too_much, has });
    }
    if origin.silver > given {
        request = request.grant(SILVER, origin.silver - given, TREASURY);
    } else if too_much > 0 {
        request = request.pay(SILVER, too_much, TREASURY);
    }
    for (good, loads) in &origin.goods {
        request = request.grant(good.asset(), (*loads).into(), TREASURY);
    }
    for (item, count) in &origin.items {
        request = request.grant(item.name().clone(), (*count).into(), TREASURY);
    }
    Ok(request)
}

pub(in super::super) fn created(
    _: &CreateCharacter,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Created, CharacterRefusal> {
    let summary = outcome.map_err(|why| match why {
        PlanRefusal::AlreadyHas { asset, .. } if asset.as_str() == CHARACTER => CharacterRefusal::HasOne,
        PlanRefusal::TooLittle { asset, .. } if asset.as_str() == FRESH_STARTS => CharacterRefusal::TooSoon,
        // Something was spent in the same moment.
        PlanRefusal::TooLittle { .. } => CharacterRefusal::AskAgain,
        why => CharacterRefusal::Value(why.clone()),
    })?;
    Ok(Created { silver: left(summary, &SILVER.into()), points: left(summary, &POINTS.into()) })
}

pub(in super::super) fn delete(
    delete: &DeleteCharacter,
    campaign: &Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, CharacterRefusal> {
    let (lore, holdings) = (context.published::<Lore>().ok_or(CharacterRefusal::AskAgain)?, context.holdings);
    if holdings.amount(&CHARACTER.into()) == 0 {
        return Err(CharacterRefusal::HasNone);
    }
    if delete.name != *context.player {
        return Err(CharacterRefusal::Name);
    }
    if campaign.is_fighting() {
        return Err(CharacterRefusal::Fighting);
    }
    let request = context.request("delete-character");
    Ok(leave_all(request, lore.reward_tables(), holdings, context.player, context.tick.now_ms))
}

/// A character goes, with all that its player holds at this time, milliseconds of the world's calendar.
pub(in super::super) fn leave_all(
    mut request: PlanRequest,
    tables: &RewardTables,
    holdings: &Holdings,
    player: &PlayerId,
    now_ms: u64,
) -> PlanRequest {
    let mut kept = Vec::new();
    for ((asset, lot), amount) in &holdings.lots {
        // What fills up by itself stays, or it would be full again. What the files do not know any more goes as well, or the next
        // character would come from there too. What has expired leaves by itself.
        let class = tables.asset(asset);
        if asset.as_str() == LIVES || matches!(class, Some(AssetClass::Pool { .. })) {
            kept.push(asset.clone());
        } else if !lot.is_expired(now_ms) {
            let to = Account::house(if asset.as_str() == SILVER { TREASURY } else { LIMBO });
            let (asset, amount, non_stackable) = (asset.clone(), *amount, lot.instance != 0);
            request = request.part(Part::Consume { asset, amount, pick: Pick::Lot(*lot), non_stackable, to });
        }
    }
    request.game(EndCharacter::KIND, &EndCharacter { player: player.clone(), kept })
}

pub(in super::super) fn deleted(
    _: &DeleteCharacter,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<(), CharacterRefusal> {
    outcome.map(|_| ()).map_err(|why| match why {
        PlanRefusal::TooLittle { .. } | PlanRefusal::NotHeld { .. } => CharacterRefusal::AskAgain,
        PlanRefusal::Game { reason, .. } if reason == NOT_ALL => CharacterRefusal::AskAgain,
        why => CharacterRefusal::Value(why.clone()),
    })
}

const NOT_ALL: &str = "that is not all there is";

/// A character goes: with all that its player has, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndCharacter {
    player: PlayerId,
    /// What stays, since it is the player's and not the character's.
    kept: Vec<Name>,
}

impl EndCharacter {
    /// What a plan calls it.
    pub(in super::super) const KIND: &str = "end_character";
}

impl MutationKind for EndCharacter {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self { player, kept }: Self) -> Result<(), KindRefusal> {
        // What came between the asking and now is in no part of the plan.
        let left = tx.query(
            "SELECT asset.name FROM holding
             JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
             WHERE account.kind = 'player' AND account.name = ?1 AND holding.amount > 0",
            &[player.as_str().into()],
        )?;
        let names = left.iter().filter_map(|row| row.first()?.text());
        for name in names {
            if name != LIVES && name != FRESH_STARTS && !kept.iter().any(|kept| kept.as_str() == name) {
                return Err(KindRefusal::new(NOT_ALL));
            }
        }
        // The errands that were done were the character's.
        tx.execute("DELETE FROM game_caravan_errand WHERE player = ?1", &[player.as_str().into()])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::carrier::Carrier;
    use super::*;

    /// E2: what came to a player after it had asked for its character's end is in no part of the plan: the store finds it, and all
    /// stays. What is the player's own stays anyway.
    #[test]
    fn what_a_plan_leaves_behind_keeps_the_character() {
        let mut carrier = Carrier::new();
        let player = PlayerId::new("anna").unwrap();
        let request = |use_case: &'static str| PlanRequest::new(use_case, &player);
        let begin =
            request("begin").grant(CHARACTER, 1, LIMBO).grant(SILVER, 9, TREASURY).grant(LIVES, 1, LIMBO);
        assert!(carrier.carry(begin).is_ok());
        let end = EndCharacter { player: player.clone(), kept: Vec::new() };
        let end =
            request("end").pay(CHARACTER, 1, LIMBO).pay(SILVER, 9, TREASURY).game(EndCharacter::KIND, &end);
        assert!(carrier.carry(request("gift").grant("salt", 3, TREASURY)).is_ok());
        let left = carrier.carry(end.clone()).unwrap_err();
        assert_eq!(
            deleted(&DeleteCharacter { name: PlayerId::new("anna").unwrap() }, Err(&left)),
            Err(CharacterRefusal::AskAgain)
        );
        assert_eq!(
            carrier.bank.holdings(&Account::from(&player)).amount(&SILVER.into()),
            9,
            "it is refused as a whole"
        );
        assert!(carrier.carry(request("sell").pay("salt", 3, TREASURY)).is_ok());
        assert!(carrier.carry(end).is_ok());
        let held = carrier.bank.holdings(&Account::from(&player));
        assert_eq!(held.lots.keys().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [LIVES]);
        assert_eq!(carrier.bank.conservation(), Vec::<String>::new());
    }
}
