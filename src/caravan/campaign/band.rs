//! Whom a player fights: those who lie in wait on the roads, for whom, and how strong they are; or the people of another player.

use std::fmt;

use crate::prelude::*;

use super::super::lore::{FactionId, Lore};

/// The faction of those who live by robbing.
const ROBBERS: &str = "bandits";

/// Whom a player fights.
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
    /// Another player and its people: nobody lies in wait, they were met.
    Rivals,
}

impl Band {
    /// All kinds that lie in wait.
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
            Band::Rivals => "rivals",
        }
    }

    /// The faction whose people they are, and the house that their loot comes from and goes to; `None` of those who are of any: between
    /// players nothing changes hands.
    #[must_use]
    pub const fn faction(self) -> Option<&'static str> {
        match self {
            Band::Cutpurses | Band::Bandits | Band::Raiders => Some(ROBBERS),
            Band::Patrol => Some("wardens"),
            Band::Gang => Some("smugglers"),
            Band::Escort => Some("guilds"),
            Band::Rivals => None,
        }
    }

    /// How likely it attacks somebody of this faction, by weight. Nobody attacks its own people; robbers attack all others, and those
    /// whom their faction counts among its foes twice as often; everybody else attacks such foes alone.
    fn weight(self, lore: &Lore, faction: Option<&FactionId>) -> usize {
        let Some(own) = self.faction() else { return 0 };
        let is_named = |id: &FactionId| id.name().as_str() == own;
        if faction.is_some_and(is_named) {
            return 0;
        }
        let own_id = lore.factions().keys().find(|id| is_named(id));
        match (own == ROBBERS, own_id.zip(faction).is_some_and(|(own, other)| is_foe(lore, own, other))) {
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

    /// How hard one of them strikes; of a player's people it depends on who they are.
    pub(super) const fn strength(self) -> f32 {
        match self {
            Band::Cutpurses => 2.0,
            Band::Bandits | Band::Gang | Band::Escort | Band::Rivals => 3.0,
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
            Band::Rivals => 3,
            Band::Cutpurses => 4,
            Band::Bandits => 10,
            Band::Raiders => 25,
            Band::Patrol => 15,
            Band::Gang | Band::Escort => 12,
        }
    }

    /// Whether a battle with them that cost nobody of one's own people is worth telling of. Two players could have as many of those
    /// as they like.
    pub(super) const fn counts_without_loss(self) -> bool {
        !matches!(self, Band::Rivals)
    }

    /// How many they are.
    pub(super) fn size(self, chance: &mut Random) -> u16 {
        let (least, most) = match self {
            Band::Cutpurses => (2, 4),
            Band::Bandits => (3, 7),
            Band::Raiders => (6, 12),
            Band::Patrol => (3, 6),
            Band::Gang | Band::Escort | Band::Rivals => (3, 8),
        };
        (least + chance.below(most - least + 1)) as u16
    }
}

/// Whether a faction counts another among its foes.
fn is_foe(lore: &Lore, own: &FactionId, other: &FactionId) -> bool {
    lore.factions().get(own).is_some_and(|own| own.foes.contains(other))
}

/// Whether people of these two sides fight where they meet: one counts the other among its foes. Who is on no side has none.
pub(super) fn are_at_odds(lore: &Lore, one: Option<&FactionId>, other: Option<&FactionId>) -> bool {
    one.zip(other).is_some_and(|(one, other)| is_foe(lore, one, other) || is_foe(lore, other, one))
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

    /// E10: two sides fight where they meet if either counts the other among its foes; nobody fights its own people or without a side.
    #[test]
    fn sides_are_at_odds_if_either_has_the_other_among_its_foes() {
        let lore = Lore::shipped();
        let at_odds = |one: Option<&str>, other: Option<&str>| {
            let [one, other] = [one, other].map(|name| name.and_then(|name| FactionId::new(name).ok()));
            let both = are_at_odds(&lore, one.as_ref(), other.as_ref());
            assert_eq!(both, are_at_odds(&lore, other.as_ref(), one.as_ref()), "{one:?} {other:?}");
            both
        };
        assert!(at_odds(Some("wardens"), Some("smugglers")) && at_odds(Some("guilds"), Some("bandits")));
        assert!(!at_odds(Some("wardens"), Some("guilds")) && !at_odds(Some("smugglers"), Some("bandits")));
        assert!(!at_odds(Some("bandits"), Some("bandits")) && !at_odds(None, Some("bandits")));
        assert!(!at_odds(None, None) && !at_odds(Some("nobody"), Some("wardens")));
    }
}
