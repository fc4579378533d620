//! What there is to become, to learn and to wear: everybody is told, so that nobody has to guess what it is called.

use std::fmt;

use bevy_ecs::change_detection::DetectChanges;

use crate::client::Player;
use crate::prelude::*;
use crate::protocol::codec;
use crate::reward::Name;

use super::super::lore::{AttributeId, ItemId, Lore, OriginId, SkillId, Slot};

/// What the lists take at most, bytes: of more rows than fit the first by name are told.
const ORIGINS_BYTES_MAX: usize = 256;
const SKILLS_BYTES_MAX: usize = 320;
const ATTRIBUTES_BYTES_MAX: usize = 128;
const GEAR_BYTES_MAX: usize = 320;
/// What the length of a list takes of them.
const LENGTH_BYTES: usize = 5;
/// What the names in a refusal take at most, bytes: it has room for them and for what else it says.
const KNOWN_BYTES_MAX: usize = 300;

/// What the files say there is for characters, by name.
#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Handbook {
    /// Origins, the silver that one begins with, and points to learn with.
    #[sync(broadcast, max_bytes = 256)]
    pub origins: Vec<(OriginId, u64, u8)>,
    /// Skills, their highest level, and what must be learned before.
    #[sync(broadcast, max_bytes = 320)]
    pub skills: Vec<(SkillId, u8, Vec<SkillId>)>,
    /// Attributes, and their highest level.
    #[sync(broadcast, max_bytes = 128)]
    pub attributes: Vec<(AttributeId, u8)>,
    /// What is worn, and where; what mends, and how many of the wounded.
    #[sync(broadcast, max_bytes = 320)]
    pub gear: Vec<(ItemId, Slot, u32)>,
}

/// As many rows as fit.
fn fitting<R: Serialize>(rows: impl Iterator<Item = R>, bytes_max: usize) -> Vec<R> {
    let mut left = bytes_max - LENGTH_BYTES;
    let mut fits = |row: &R| {
        let rest = left.checked_sub(codec::encode(row).len());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    rows.take_while(|row| fits(row)).collect()
}

impl Handbook {
    /// Of these files.
    #[must_use]
    pub fn of(lore: &Lore) -> Self {
        let origins = lore.origins().iter().map(|(id, origin)| (id.clone(), origin.silver, origin.points));
        let skills = lore.skills().iter().map(|(id, skill)| (id.clone(), skill.most, skill.needs.clone()));
        let attributes = lore.attributes().iter().map(|(id, attribute)| (id.clone(), attribute.most));
        let gear = lore.items().iter().filter(|(_, item)| item.slot != Slot::None || item.heals > 0);
        let gear = gear.map(|(id, item)| (id.clone(), item.slot, item.heals));
        Self {
            origins: fitting(origins, ORIGINS_BYTES_MAX),
            skills: fitting(skills, SKILLS_BYTES_MAX),
            attributes: fitting(attributes, ATTRIBUTES_BYTES_MAX),
            gear: fitting(gear, GEAR_BYTES_MAX),
        }
    }
}

/// Writes it anew when the files have changed.
pub(in super::super) fn write_handbook(
    lore: Res<Published<Lore>>,
    mut handbook: ResMut<Handbook>,
    mut has_begun: Local<bool>,
) {
    if lore.is_changed() || !std::mem::replace(&mut *has_begun, true) {
        let now = Handbook::of(&lore);
        if *handbook != now {
            *handbook = now;
        }
    }
}

/// What somebody wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Where characters may come from.
    Origins,
    /// What there is to learn.
    Skills,
    /// What can be worn, and what mends the wounded.
    Gear,
}

impl About {
    /// What a player has been told of it, a line each.
    #[must_use]
    pub fn tell(self, player: &Player) -> String {
        let schema = player.schema();
        let handbook = player.view().entities().find_map(|entity| entity.component::<Handbook>(schema));
        handbook.map_or_else(|| "you know of nothing yet".to_owned(), |handbook| self.of(&handbook))
    }

    fn of(self, Handbook { origins, skills, attributes, gear }: &Handbook) -> String {
        let lines: Vec<String> = match self {
            Self::Origins => {
                let lines = origins.iter();
                lines.map(|(id, silver, points)| format!("{id}: {silver} silver, {points} points")).collect()
            }
            Self::Skills => {
                let skills = skills.iter().map(|(id, most, needs)| {
                    let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
                    let after = if needs.is_empty() { "" } else { ", after " };
                    format!("skill {id}: up to level {most}{after}{}", needs.join(" and "))
                });
                let attributes = attributes.iter();
                skills
                    .chain(attributes.map(|(id, most)| format!("attribute {id}: up to level {most}")))
                    .collect()
            }
            Self::Gear => {
                let lines = gear.iter().map(|(id, slot, heals)| match slot {
                    Slot::None => format!("{id}: mends {heals} of the wounded"),
                    slot => format!("{id}: worn, {slot}"),
                });
                lines.collect()
            }
        };
        lines.join("\n")
    }
}

/// Names that there are, for whoever named something else: as many as a refusal has room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    names: Vec<Name>,
    are_all: bool,
}

impl Known {
    pub(super) fn of<'n>(all: impl Iterator<Item = &'n Name> + Clone) -> Self {
        let names: Vec<Name> = fitting(all.clone().cloned(), KNOWN_BYTES_MAX);
        let are_all = names.len() == all.count();
        Self { names, are_all }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names.iter().enumerate() {
            write!(f, "{}{name}", if place == 0 { ": there are " } else { ", " })?;
        }
        f.write_str(if self.are_all || self.names.is_empty() { "" } else { ", …" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A newcomer finds out what there is: all of the files that come with the game is told, with what one wants to know of it.
    #[test]
    fn everything_in_the_files_that_come_with_the_game_is_told() {
        let lore = Lore::shipped();
        let handbook = Handbook::of(&lore);
        let lengths = [handbook.origins.len(), handbook.skills.len(), handbook.attributes.len()];
        assert_eq!(lengths, [lore.origins().len(), lore.skills().len(), lore.attributes().len()]);
        for (about, line) in [
            (About::Origins, "trader: 700 silver, 1 points"),
            (About::Skills, "skill riding: up to level 5"),
            (About::Skills, "skill command: up to level 3, after fighting and letters"),
            (About::Skills, "attribute presence: up to level 10"),
            (About::Gear, "sabre: worn, hand"),
            (About::Gear, "bandage: mends 1 of the wounded"),
        ] {
            let told = about.of(&handbook);
            assert!(told.lines().any(|told| told == line), "{line}\n{told}");
        }
        assert!(!About::Gear.of(&handbook).contains("relic"), "nobody wears one");
    }

    /// However much the files say, what is told of it is bounded, and a refusal says that there is more.
    #[test]
    fn what_is_told_is_bounded() {
        let names: Vec<Name> =
            (100..400).map(|number| Name::new(&format!("a-name-that-is-long-{number}")).unwrap()).collect();
        let rows = names.iter().map(|name| (OriginId::new(name.as_str()).unwrap(), u64::MAX, u8::MAX));
        let origins = fitting(rows, ORIGINS_BYTES_MAX);
        let bytes = codec::encode(&origins).len();
        assert!(bytes <= ORIGINS_BYTES_MAX && origins.len() > 5, "{bytes} bytes of {}", origins.len());
        let known = Known::of(names.iter());
        assert!(codec::encode(&known).len() <= KNOWN_BYTES_MAX + 1);
        assert!(known.to_string().ends_with("-111, …"), "{known}");
        assert_eq!(Known::of(names[..2].iter()).to_string().matches("a-name").count(), 2);
        assert_eq!(Known::default().to_string(), "");
    }
}
