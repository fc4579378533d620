//! How much a player can still take, from battle to battle: whoever is beaten again and again may die of it.

use crate::prelude::*;

/// What is left of somebody's strength: each defeat takes some, and it comes back by itself.
pub(in super::super) const VIGOUR: &str = "vigour";
/// So much somebody has who was not beaten lately.
pub const VIGOUR_MAX: u64 = 3;
/// How long it takes until an injury has healed.
pub(in super::super) const VIGOUR_MS: u64 = 10 * 60 * 1_000;
/// A character that is beaten dies so often, for each injury that it had before.
const DEATH_SHARE: f32 = 0.05;

/// How much vigour was left when it was counted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vigour {
    left: u64,
    /// Milliseconds of the world's calendar.
    as_of_ms: u64,
}

impl Default for Vigour {
    fn default() -> Self {
        Self { left: VIGOUR_MAX, as_of_ms: 0 }
    }
}

impl Vigour {
    /// That of these holdings.
    #[must_use]
    pub fn held(holdings: &Holdings) -> Self {
        let vigour = VIGOUR.into();
        // A pool that was never counted is full.
        let counted_ms = holdings.clocks.get(&vigour).copied();
        counted_ms.map_or_else(Self::default, |as_of_ms| Self { left: holdings.amount(&vigour), as_of_ms })
    }

    /// Injuries that have not healed at this time, milliseconds of the world's calendar.
    #[must_use]
    pub fn injuries(&self, now_ms: u64) -> u64 {
        let healed = now_ms.saturating_sub(self.as_of_ms) / VIGOUR_MS;
        VIGOUR_MAX.saturating_sub(self.left.saturating_add(healed))
    }
}

/// Whether a character that had so many injuries and is beaten once more dies of it.
pub(in super::super) fn dies(injuries: u64, chance: &mut Random) -> bool {
    chance.chance(DEATH_SHARE * injuries as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::caravan::Lore;
    use crate::reward::Lot;

    proptest! {
        /// E2: what players are shown of their injuries is at every moment what the planner counts.
        #[test]
        fn injuries_are_what_the_pool_lacks(left in 0..=VIGOUR_MAX, counted in any::<Option<u32>>(), now in any::<u32>()) {
            let lore = Lore::shipped();
            let class = lore.reward_tables().asset(&VIGOUR.into()).expect("it is an asset");
            let mut holdings = Holdings::default();
            let counted = counted.map(|counted| u64::from(counted.min(now)));
            if let Some(counted_ms) = counted {
                holdings.set(&VIGOUR.into(), Lot::PLAIN, left);
                holdings.clocks.insert(VIGOUR.into(), counted_ms);
            }
            let now_ms = u64::from(now);
            let lacks = VIGOUR_MAX - holdings.pool_at(&VIGOUR.into(), class, now_ms);
            prop_assert_eq!(Vigour::held(&holdings).injuries(now_ms), lacks);
        }
    }

    /// E2: who has no injury does not die, and the more there are the oftener.
    #[test]
    fn who_was_not_injured_does_not_die() {
        let mut chance = Random::named(6, "deaths");
        let deaths =
            [0, 1, VIGOUR_MAX].map(|injuries| (0..10_000).filter(|_| dies(injuries, &mut chance)).count());
        assert_eq!(deaths[0], 0);
        assert!((400..600).contains(&deaths[1]) && (1_350..1_650).contains(&deaths[2]), "{deaths:?}");
    }
}
