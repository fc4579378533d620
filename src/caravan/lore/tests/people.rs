//! What may be wrong with skills, attributes, factions and origins.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "skills.toml",
        "needs = [\"riding\"]",
        "needs = [\"flying\"]",
        "skills.toml:12:10: skill.caravanning.needs is \"flying\", which there is not; expected a skill: riding, caravanning, \
         haggling, letters, fighting, command; correct the name, or add what it names",
    ),
    (
        "skills.toml",
        "most = 5                  # the highest level",
        "most = 5\nneeds = [\"caravanning\"]",
        "skills.toml:13:10: skill.caravanning.needs is \"riding\", which leads back to it (caravanning → riding → \
         caravanning); expected nothing that leads back; take one of these steps out",
    ),
    (
        "skills.toml",
        "most = 5 ",
        "most = 11 ",
        "skills.toml:6:8: skill.riding.most is 11; expected a whole number from 1 to 10; correct it",
    ),
    (
        "skills.toml",
        "name = \"Riding\"",
        "name = \" \"",
        "skills.toml:5:8: skill.riding.name is \" \"; expected 1 to 40 bytes of text on one line; correct it",
    ),
    (
        "factions.toml",
        "foes = [\"wardens\"]",
        "foes = [\"pirates\"]",
        "factions.toml:11:9: faction.smugglers.foes is \"pirates\", which there is not; expected a faction: wardens, \
         smugglers, guilds, bandits; correct the name, or add what it names",
    ),
    (
        "factions.toml",
        "foes = [\"wardens\"]",
        "foes = [\"smugglers\"]",
        "factions.toml:11:9: faction.smugglers.foes is the faction itself; expected another faction; take it out",
    ),
    (
        "factions.toml",
        "name = \"the Guilds\"",
        "name = \"\"",
        "factions.toml:15:8: faction.guilds.name is \"\"; expected 1 to 40 bytes of text on one line; correct it",
    ),
    (
        "origins.toml",
        "usual = \"wanderer\"",
        "usual = \"beggar\"",
        "origins.toml:3:9: usual is \"beggar\", which there is not; expected an origin: drover, runner, soldier, trader, \
         wanderer; correct the name, or add what it names",
    ),
    (
        "origins.toml",
        "silver = 500",
        "silver = -1",
        "origins.toml:8:10: origin.wanderer.silver is -1; expected a whole number from 0 to 100000; correct it",
    ),
    (
        "origins.toml",
        "name = \"Wanderer\"",
        "name = \"\"",
        "origins.toml:7:8: origin.wanderer.name is \"\"; expected 1 to 40 bytes of text on one line; correct it",
    ),
    (
        "origins.toml",
        "faction = \"guilds\"",
        "faction = \"guild\"",
        "origins.toml:13:11: origin.trader.faction is \"guild\", which there is not; expected a faction: bandits, guilds, \
         smugglers, wardens; correct the name, or add what it names",
    ),
    (
        "origins.toml",
        "[\"letters\", 1]",
        "[\"letters\", 4]",
        "origins.toml:15:40: origin.trader.skills is 4; expected a whole number from 1 to 3; correct it",
    ),
    (
        "origins.toml",
        "[\"letters\", 1]",
        "[\"haggling\", 1]",
        "origins.toml:15:29: origin.trader.skills is \"haggling\" twice; expected each skill once; take one out",
    ),
    (
        "origins.toml",
        "[\"letters\", 1]",
        "[\"spelling\", 1]",
        "origins.toml:15:29: origin.trader.skills is \"spelling\", which there is not; expected a skill: caravanning, \
         command, fighting, haggling, letters, riding; correct the name, or add what it names",
    ),
    ("skills.toml", "effects = [[\"escape\", 6]]", "effects = []", "?"),
    ("skills.toml", "effects = [[\"escape\", 6]]", "effects = [[\"escape\", 0]]", "?"),
    ("skills.toml", "effects = [[\"escape\", 6]]", "effects = [[\"escape\", 6], [\"escape\", 7]]", "?"),
    ("skills.toml", "[\"mending\", 12]", "[\"mendacity\", 12]", "?"),
    ("skills.toml", "id = \"agility\"", "id = \"strength\"", "?"),
    ("skills.toml", "name = \"Agility\"\nmost = 10", "name = \"Agility\"\nmost = 0", "?"),
    ("factions.toml", "id = \"guilds\"", "id = \"leagues\"", "?"),
    ("origins.toml", "[\"presence\", 4]", "[\"beauty\", 4]", "?"),
    ("origins.toml", "[\"presence\", 4]", "[\"presence\", 11]", "?"),
    ("origins.toml", "points = 3", "points = 21", "?"),
    ("origins.toml", "[\"salt\", 2]", "[\"sand\", 2]", "?"),
    ("origins.toml", "[\"saddlebags\", 1]", "[\"wings\", 1]", "?"),
    ("origins.toml", "[\"saddlebags\", 1]", "[\"saddlebags\", 11]", "?"),
    ("origins.toml", "[[\"riding\", 2], [\"caravanning\", 1]]", "[[\"caravanning\", 1]]", "?"),
];
