//! What a character and what it wears come to: the one place at which rules ask for it.

use std::collections::BTreeMap;

use crate::prelude::*;

use super::super::lore::{Effect, Lore};
use super::character::{Attributes, Character, Skills};
use super::gear::{Outfit, Worn};

/// Whatever is learned, no price falls below this share of it, percent.
const PRICE_PERCENT_MIN: u32 = 30;

/// What somebody can do better than somebody who is nobody in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Talents {
    effects: BTreeMap<Effect, u32>,
    /// What weapons add to a blow.
    pub attack: u32,
    /// What clothes take off a blow.
    pub defence: u32,
}

impl Talents {
    /// Those of an avatar.
    #[must_use]
    pub fn of(lore: &Lore, character: &Character, outfit: &Outfit) -> Self {
        Self::sum(lore, &character.skills, &character.attributes, &outfit.worn)
    }

    /// Those of whoever holds this.
    #[must_use]
    pub fn held(lore: &Lore, holdings: &Holdings) -> Self {
        Self::sum(lore, &Skills::held(holdings), &Attributes::held(holdings), &Worn::held(holdings))
    }

    /// What is learned, what one is made of and what is worn, added up: each level counts.
    fn sum(lore: &Lore, skills: &Skills, attributes: &Attributes, worn: &Worn) -> Self {
        let mut talents = Self::default();
        // What the files have no more does nothing.
        let skills = skills.iter().filter_map(|(id, level)| Some((&lore.skills().get(id)?.effects, level)));
        let attributes =
            attributes.iter().filter_map(|(id, level)| Some((&lore.attributes().get(id)?.effects, level)));
        for (effects, level) in skills.chain(attributes) {
            for (&effect, each) in effects {
                *talents.effects.entry(effect).or_default() += each * u32::from(level);
            }
        }
        for (_, _, item) in worn.by_slot(lore) {
            talents.attack += item.attack;
            talents.defence += item.defence;
            *talents.effects.entry(Effect::Load).or_default() += item.load_kg;
        }
        talents
    }

    /// So much of one effect alone.
    #[cfg(test)]
    pub(in super::super) fn with(effect: Effect, much: u32) -> Self {
        Self { effects: [(effect, much)].into(), ..Self::default() }
    }

    /// What is worn alone.
    #[cfg(test)]
    pub(in super::super) fn in_gear(attack: u32, defence: u32) -> Self {
        Self { attack, defence, ..Self::default() }
    }

    /// How much there is of an effect, in its own unit.
    #[must_use]
    pub fn of_effect(&self, effect: Effect) -> u32 {
        self.effects.get(&effect).copied().unwrap_or(0)
    }

    /// One and so many hundredths more.
    #[must_use]
    pub fn factor(&self, effect: Effect) -> f32 {
        1.0 + self.share(effect)
    }

    /// So many hundredths.
    #[must_use]
    pub fn share(&self, effect: Effect) -> f32 {
        self.of_effect(effect) as f32 / 100.0
    }

    /// A price that is lower by so many percent, rounded up, silver.
    #[must_use]
    pub fn cheaper(&self, effect: Effect, silver: u64) -> u64 {
        let percent = 100_u32.saturating_sub(self.of_effect(effect)).max(PRICE_PERCENT_MIN);
        (silver * u64::from(percent)).div_ceil(100)
    }

    /// Pay that is higher by so many percent, silver.
    #[must_use]
    pub fn dearer(&self, effect: Effect, silver: u64) -> u64 {
        silver + silver * u64::from(self.of_effect(effect)) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::{Lot, Name};

    fn holding(what: &[(&str, u64)]) -> Holdings {
        let mut holdings = Holdings::default();
        for (asset, amount) in what {
            holdings.set(&Name::new(asset).unwrap(), Lot::PLAIN, *amount);
        }
        holdings
    }

    /// E10: each level of each skill and attribute and everything that is worn counts; what the files do not know does nothing.
    #[test]
    fn every_level_and_everything_worn_counts() {
        let lore = Lore::shipped();
        let nobody = Talents::held(&lore, &holding(&[("silver", 500), ("spear", 1)]));
        assert_eq!(nobody, Talents::default(), "what is in the pack does nothing");
        let held = [
            ("skill/fighting", 2),
            ("skill/haggling", 3),
            ("skill/flying", 9),
            ("trait/strength", 3),
            ("worn/spear", 1),
            ("worn/leather", 1),
            ("worn/packframe", 1),
            ("worn/cloak", 1),
        ];
        let somebody = Talents::held(&lore, &holding(&held));
        assert_eq!((somebody.attack, somebody.defence), (6, 4));
        assert_eq!(somebody.of_effect(Effect::Force), 2 * 15 + 3 * 5);
        assert_eq!(somebody.of_effect(Effect::Load), 80 + 3 * 15);
        assert_eq!(somebody.of_effect(Effect::Escape), 0);
        assert_eq!((somebody.cheaper(Effect::Wages, 100), somebody.cheaper(Effect::Mending, 100)), (85, 100));
        assert_eq!(somebody.cheaper(Effect::Wages, 15), 13, "rounded up: 12.75");
        let all = Talents { effects: [(Effect::Wages, 500)].into(), ..Talents::default() };
        assert_eq!(all.cheaper(Effect::Wages, 100), 30, "nothing is free");
    }

    /// E7: every skill and attribute that comes with the game does something, and of everything to wear something counts.
    #[test]
    fn everything_in_the_files_that_comes_with_the_game_does_something() {
        let lore = Lore::shipped();
        for id in lore.skills().keys() {
            let talents = Talents::held(&lore, &holding(&[(&format!("skill/{id}"), 1)]));
            assert_ne!(talents, Talents::default(), "{id}");
        }
        for id in lore.attributes().keys() {
            let talents = Talents::held(&lore, &holding(&[(&format!("trait/{id}"), 1)]));
            assert_ne!(talents, Talents::default(), "{id}");
        }
        for (id, item) in lore.items() {
            let talents = Talents::held(&lore, &holding(&[(&format!("worn/{id}"), 1)]));
            let does_something = talents != Talents::default() || item.heals > 0 || item.opens.is_some();
            // A relic is a rarity, and shown in the purse.
            assert!(does_something || id.name().as_str() == super::super::super::RELIC, "{id}");
        }
    }
}
