//! Who lies in wait on the roads, for whom, and how strong it is.

use std::fmt;

use crate::prelude::*;

use super::super::lore::{FactionId, Lore};

/// The faction of those who live by robbing.
const ROBBERS: &str = "bandits";

/// Who lies in wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Band {
    /// A few with knives.
    #[default]
    Cutpurses,
    /// Some with bows.
    Bandits,
    /// Many, and armed.
    Raiders,
    /// Wardens.
    Patrol,
    /// Smugglers.
    Gang,
    /// People of the guilds.
    Escort,
}

impl Band {
    /// All kinds.
    pub const ALL: [Band; 6] =
        [Band::Cutpurses, Band::Bandits, Band::Raiders, Band::Patrol, Band::Gang, Band::Escort];

    /// What it is called, in the save too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Band::Cutpurses => "cutpurses",
            Band::Bandits => "bandits",
            Band::Raiders => "raiders",
            Band::Patrol => "patrol",
            Band::Gang => "gang",
            Band::Escort => "escort",
        }
    }

    /// The faction whose people they are.
    #[must_use]
    pub const fn faction(self) -> &'static str {
        match self {
            Band::Cutpurses | Band::Bandits | Band::Raiders => ROBBERS,
            Band::Patrol => "wardens",
            Band::Gang => "smugglers",
            Band::Escort => "guilds",
        }
    }

    /// How likely it attacks somebody of this faction, by weight. Nobody attacks its own people; robbers attack all others, and those
    /// whom their faction counts among its foes twice as often; everybody else attacks such foes alone.
    fn weight(self, lore: &Lore, faction: Option<&FactionId>) -> usize {
        let is_named = |id: &FactionId| id.name().as_str() == self.faction();
        if faction.is_some_and(is_named) {
            return 0;
        }
        let own = lore.factions().iter().find(|(id, _)| is_named(id)).map(|(_, own)| own);
        let is_foe = own.zip(faction).is_some_and(|(own, faction)| own.foes.contains(faction));
        match (self.faction() == ROBBERS, is_foe) {
            (true, true) => 2,
            (true, false) | (false, true) => 1,
            (false, false) => 0,
        }
    }

    /// One of those that attack somebody of this faction; `None` if nobody does.
    pub(super) fn against(lore: &Lore, faction: Option<&FactionId>, chance: &mut Random) -> Option<Band> {
        let lots =
            Band::ALL.into_iter().flat_map(|band| std::iter::repeat_n(band, band.weight(lore, faction)));
        let lots: Vec<Band> = lots.collect();
        (!lots.is_empty()).then(|| lots[chance.below(lots.len())])
    }

    /// How hard one of them strikes.
    pub(super) const fn strength(self) -> f32 {
        match self {
            Band::Cutpurses => 2.0,
            Band::Bandits | Band::Gang | Band::Escort => 3.0,
            Band::Raiders | Band::Patrol => 4.0,
        }
    }

    /// What somebody who has a character learns by beating it; half of it by any other end.
    #[must_use]
    pub const fn experience(self) -> u64 {
        2 * self.fame()
    }

    /// The fame of beating it.
    #[must_use]
    pub const fn fame(self) -> u64 {
        match self {
            Band::Cutpurses => 4,
            Band::Bandits => 10,
            Band::Raiders => 25,
            Band::Patrol => 15,
            Band::Gang | Band::Escort => 12,
        }
    }

    /// How many they are.
    pub(super) fn size(self, chance: &mut Random) -> u16 {
        let (least, most) = match self {
            Band::Cutpurses => (2, 4),
            Band::Bandits => (3, 7),
            Band::Raiders => (6, 12),
            Band::Patrol => (3, 6),
            Band::Gang | Band::Escort => (3, 8),
        };
        (least + chance.below(most - least + 1)) as u16
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E10: whom a band attacks follows from the factions: nobody its own, robbers everybody else, others their foes alone.
    #[test]
    fn whom_a_band_attacks_follows_from_the_factions() {
        let lore = Lore::shipped();
        let against = |faction: Option<&str>| {
            let faction = faction.and_then(|name| FactionId::new(name).ok());
            let weight = |band: &Band| band.weight(&lore, faction.as_ref());
            Band::ALL.iter().map(weight).collect::<Vec<_>>()
        };
        assert_eq!(against(None), [1, 1, 1, 0, 0, 0]);
        assert_eq!(against(Some("wardens")), [2, 2, 2, 0, 1, 0]);
        assert_eq!(against(Some("smugglers")), [1, 1, 1, 1, 0, 0]);
        assert_eq!(against(Some("guilds")), [2, 2, 2, 0, 0, 0]);
        assert_eq!(against(Some("bandits")), [0, 0, 0, 1, 0, 1]);
        let mut chance = Random::named(1, "bands");
        let outlaw = FactionId::new("bandits").unwrap();
        for _ in 0..200 {
            let band = Band::against(&lore, Some(&outlaw), &mut chance);
            assert!(matches!(band, Some(Band::Patrol | Band::Escort)), "{band:?}");
        }
    }
}
