//! The words for characters and what they wear at a console.

use crate::client::Player;
use crate::client::console::{Done, Verb};
use crate::ids::PlayerId;

use super::super::lore::{AttributeId, ItemId, OriginId, SkillId, Slot};
use super::{About, Character, CreateCharacter, DeleteCharacter, Learn, Outfit, Study, TakeOff, Treat, Wear};

/// A line about who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeopleCommand {
    /// Become somebody.
    Create(CreateCharacter),
    /// Be nobody in particular again.
    Delete(PlayerId),
    /// Learn something.
    Learn(Study),
    /// Put something on.
    Wear(ItemId),
    /// Take something off.
    TakeOff(Slot),
    /// Mend wounded with so many of that.
    Treat(u16, ItemId),
    /// Tell who one is, and what one wears.
    Character,
    /// Tell what there is.
    Known(About),
}

pub(in super::super) const VERBS: [Verb; 10] = [
    Verb {
        usage: "create ORIGIN [SKILL LEVELS …]",
        does: "be a character of that origin, with levels of skills besides for its points",
    },
    Verb { usage: "delete NAME", does: "give up your character, which is called as you are, and all it has" },
    Verb { usage: "learn skill|attribute NAME", does: "learn a level of it, for points" },
    Verb { usage: "wear ITEM", does: "put on something out of your pack" },
    Verb { usage: "takeoff hand|body|head|beast", does: "put what you wear there into your pack" },
    Verb { usage: "treat COUNT ITEM", does: "mend wounded with bandages and the like, wherever you are" },
    Verb { usage: "character", does: "tell who you are, and what you wear" },
    Verb { usage: "origins", does: "tell where characters may come from" },
    Verb { usage: "skills", does: "tell what there is to learn" },
    Verb { usage: "gear", does: "tell what can be worn, and what mends the wounded" },
];

impl PeopleCommand {
    /// What a line says, if it is one of these.
    pub(in super::super) fn parse(verb: &str, rest: &str) -> Option<Result<Self, String>> {
        let told = |error: &dyn std::fmt::Display| format!("{verb}: {error}");
        let alone = |command| {
            let is_alone = rest.is_empty();
            is_alone
                .then_some(command)
                .ok_or_else(|| format!("{verb} {rest}: expected nothing after `{verb}`"))
        };
        Some(match verb {
            "create" => parse_create(rest),
            "delete" if rest.is_empty() => {
                Err("delete: expected the name of your character, to be sure".into())
            }
            "delete" => PlayerId::new(rest).map(Self::Delete).map_err(|error| told(&error)),
            "learn" => parse_study(rest).map(Self::Learn),
            "wear" if rest.is_empty() => {
                Err("wear: expected an item, such as those of which `gear` tells".into())
            }
            "wear" => ItemId::new(rest).map(Self::Wear).map_err(|error| told(&error)),
            "takeoff" => rest.parse().map(Self::TakeOff).map_err(|error: String| told(&error)),
            "treat" => parse_treat(rest),
            "character" => alone(Self::Character),
            "origins" => alone(Self::Known(About::Origins)),
            "skills" => alone(Self::Known(About::Skills)),
            "gear" => alone(Self::Known(About::Gear)),
            _ => return None,
        })
    }

    /// Does what it says.
    pub(in super::super) fn run(&self, player: &mut Player) -> Result<Done, String> {
        let asked = match self {
            Self::Create(create) => player.act(create),
            Self::Delete(name) => player.act(&DeleteCharacter { name: name.clone() }),
            Self::Learn(what) => player.act(&Learn { what: what.clone() }),
            Self::Wear(item) => player.act(&Wear { item: item.clone() }),
            Self::TakeOff(slot) => player.act(&TakeOff { slot: *slot }),
            Self::Treat(count, item) => player.act(&Treat { item: item.clone(), count: *count }),
            Self::Character => return Ok(Done::Said(Self::tell(player))),
            Self::Known(about) => return Ok(Done::Said(about.tell(player))),
        };
        asked.map(Done::Asked).map_err(|error| error.to_string())
    }

    /// Who a player is, and what it wears.
    #[must_use]
    pub fn tell(player: &Player) -> String {
        let schema = player.schema();
        let Some(own) = player.avatar().and_then(|avatar| player.view().get(avatar)) else {
            return "you see nobody yet".to_owned();
        };
        let mut text = own.component::<Character>(schema).unwrap_or_default().to_string();
        let outfit = own.component::<Outfit>(schema).unwrap_or_default().to_string();
        if !outfit.is_empty() {
            text.push_str(&format!("; wears {outfit}"));
        }
        text
    }
}

fn parse_create(rest: &str) -> Result<PeopleCommand, String> {
    let mut words = rest.split_whitespace();
    let origin = words
        .next()
        .ok_or("create: expected where you come from, one of the `origins`: create trader haggling 1")?;
    let origin = OriginId::new(origin).map_err(|error| format!("create: {error}"))?;
    let mut skills = Vec::new();
    while let Some(word) = words.next() {
        let skill = SkillId::new(word).map_err(|error| format!("create: {error}"))?;
        let levels = words.next().and_then(|levels| levels.parse::<u8>().ok());
        let levels = levels.ok_or_else(|| format!("create: expected how many levels of {skill}"))?;
        skills.push((skill, levels));
    }
    Ok(PeopleCommand::Create(CreateCharacter { origin, skills }))
}

fn parse_study(rest: &str) -> Result<Study, String> {
    let (kind, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let name = name.trim();
    let study = match kind {
        "skill" => SkillId::new(name).map(Study::Skill),
        "attribute" => AttributeId::new(name).map(Study::Attribute),
        _ => {
            return Err(format!(
                "learn {rest}: expected `skill` or `attribute`, and a name: `skills` tells all"
            ));
        }
    };
    study.map_err(|error| format!("learn {kind}: {error}"))
}

fn parse_treat(rest: &str) -> Result<PeopleCommand, String> {
    let (count, item) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let count = count.parse().map_err(|_| format!("treat: `{count}` is no number: treat 2 bandage"))?;
    let item = ItemId::new(item.trim()).map_err(|error| format!("treat: {error}"))?;
    Ok(PeopleCommand::Treat(count, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line says what to do, or what is wrong with it and what is expected.
    #[test]
    fn lines_are_read_or_told_what_is_wrong() {
        let read = |line: &str| {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            PeopleCommand::parse(verb, rest)
        };
        let skill = |name: &str| SkillId::new(name).unwrap();
        let (origin, skills) =
            (OriginId::new("soldier").unwrap(), vec![(skill("riding"), 1), (skill("healing"), 2)]);
        let create = PeopleCommand::Create(CreateCharacter { origin, skills });
        assert_eq!(read("create soldier riding 1 healing 2"), Some(Ok(create)));
        assert_eq!(
            read("delete Ann of York"),
            Some(Ok(PeopleCommand::Delete(PlayerId::new("Ann of York").unwrap())))
        );
        assert_eq!(read("takeoff head"), Some(Ok(PeopleCommand::TakeOff(Slot::Head))));
        assert_eq!(read("learn skill riding"), Some(Ok(PeopleCommand::Learn(Study::Skill(skill("riding"))))));
        assert_eq!(read("origins"), Some(Ok(PeopleCommand::Known(About::Origins))));
        assert_eq!(read("dance"), None);
        for (line, wrong) in [
            ("create", "expected where you come from"),
            ("create trader riding", "expected how many levels of riding"),
            ("create Trader", "`Trader` is no name"),
            ("delete", "expected the name of your character"),
            ("learn riding", "expected `skill` or `attribute`"),
            ("takeoff nose", "expected hand, body, head or beast"),
            ("treat many bandage", "`many` is no number"),
            ("character now", "expected nothing after"),
            ("gear all", "expected nothing after `gear`"),
            ("wear", "`gear` tells"),
        ] {
            let told = read(line).and_then(Result::err).unwrap_or_default();
            assert!(told.contains(wrong), "{line}: {told}");
        }
    }
}
