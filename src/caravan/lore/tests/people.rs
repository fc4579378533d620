//! What may be wrong with skills, attributes, factions and origins.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "skills.toml",
        "needs = [\"riding\"]",
        "needs = [\"flying\"]",
        "skills.toml:17:10: skill.caravanning.needs is \"flying\", which there is not; expected a skill: riding, caravanning, \
         haggling, letters, fighting, command, healing; correct the name, or add what it names",
    ),
    (
        "skills.toml",
        "most = 5                  # the highest level",
        "most = 5\nneeds = [\"caravanning\"]",
        "skills.toml:18:10: skill.caravanning.needs is \"riding\", which leads back to it (caravanning → riding → \
         caravanning); expected nothing that leads back; take one of these steps out",
    ),
    (
        "skills.toml",
        "most = 5 ",
        "most = 11 ",
        "skills.toml:10:8: skill.riding.most is 11; expected a whole number from 1 to 10; correct it",
    ),
    (
        "skills.toml",
        "name = \"Riding\"",
        "name = \" \"",
        "skills.toml:9:8: skill.riding.name is \" \"; expected 1 to 40 bytes of text on one line; correct it",
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
        "origins.toml:3:9: usual is \"beggar\", which there is not; expected an origin: drover, outlaw, runner, soldier, trader, \
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
        "silver = 500",
        "silver = 0",
        "origins.toml:8:10: origin.wanderer.silver is 0; expected at least 1, since that is what new players are given; \
         correct it",
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
        "origins.toml:15:11: origin.trader.faction is \"guild\", which there is not; expected a faction: bandits, guilds, \
         smugglers, wardens; correct the name, or add what it names",
    ),
    (
        "origins.toml",
        "[\"letters\", 1]",
        "[\"letters\", 4]",
        "origins.toml:17:40: origin.trader.skills is 4; expected a whole number from 1 to 3; correct it",
    ),
    (
        "origins.toml",
        "[\"letters\", 1]",
        "[\"haggling\", 1]",
        "origins.toml:17:29: origin.trader.skills is \"haggling\" twice; expected each skill once; take one out",
    ),
    (
        "origins.toml",
        "[\"letters\", 1]",
        "[\"spelling\", 1]",
        "origins.toml:17:29: origin.trader.skills is \"spelling\", which there is not; expected a skill: caravanning, \
         command, fighting, haggling, healing, letters, riding; correct the name, or add what it names",
    ),
    (
        "skills.toml",
        "effects = [[\"escape\", 6]]",
        "effects = []",
        "skills.toml:11:11: skill.riding.effects is empty; expected at least one effect, or nobody had anything of it; \
         add one",
    ),
    (
        "skills.toml",
        "effects = [[\"escape\", 6]]",
        "effects = [[\"escape\", 0]]",
        "skills.toml:11:23: skill.riding.effects is 0; expected a whole number from 1 to 100; correct it",
    ),
    (
        "skills.toml",
        "effects = [[\"escape\", 6]]",
        "effects = [[\"escape\", 6], [\"escape\", 7]]",
        "skills.toml:11:38: skill.riding.effects is of one effect twice; expected each effect once; take one out",
    ),
    (
        "skills.toml",
        "[\"mending\", 12]",
        "[\"mendacity\", 12]",
        "skills.toml:49:27: skill.healing.effects is \"mendacity\"; expected one of `force`, `command`, `health`, \
         `escape`, `mercy`, `mending`, `wages`, `pay`, `load`; correct it",
    ),
    (
        "skills.toml",
        "id = \"agility\"",
        "id = \"strength\"",
        "skills.toml:66:6: attribute.strength is there twice, first in line 54; expected one attribute of each id; rename \
         one or remove it\n\
         origins.toml (that of the game):9:51: origin.wanderer.attributes is \"agility\", which there is not; expected an \
         attribute: endurance, presence, strength; correct the name, or add what it names\n\
         origins.toml (that of the game):18:51: origin.trader.attributes is \"agility\", which there is not; expected an \
         attribute: endurance, presence, strength; correct the name, or add what it names\n\
         origins.toml (that of the game):27:51: origin.drover.attributes is \"agility\", which there is not; expected an \
         attribute: endurance, presence, strength; correct the name, or add what it names\n\
         origins.toml (that of the game):37:51: origin.soldier.attributes is \"agility\", which there is not; expected an \
         attribute: endurance, presence, strength; correct the name, or add what it names\n\
         origins.toml (that of the game):46:51: origin.runner.attributes is \"agility\", which there is not; expected an \
         attribute: endurance, presence, strength; correct the name, or add what it names\n\
         origins.toml (that of the game):55:51: origin.outlaw.attributes is \"agility\", which there is not; expected an \
         attribute: endurance, presence, strength; correct the name, or add what it names",
    ),
    (
        "skills.toml",
        "name = \"Agility\"\nmost = 10",
        "name = \"Agility\"\nmost = 11",
        "skills.toml:68:8: attribute.agility.most is 11; expected a whole number from 1 to 10; correct it",
    ),
    (
        "factions.toml",
        "id = \"guilds\"",
        "id = \"leagues\"",
        "factions.toml:1:1: faction is without guilds; expected whoever sends bands out on the roads; add it\n\
         factions.toml:21:20: faction.bandits.foes is \"guilds\", which there is not; expected a faction: wardens, \
         smugglers, leagues, bandits; correct the name, or add what it names\n\
         origins.toml (that of the game):15:11: origin.trader.faction is \"guilds\", which there is not; expected a \
         faction: bandits, leagues, smugglers, wardens; correct the name, or add what it names",
    ),
    (
        "origins.toml",
        "[\"presence\", 4]",
        "[\"beauty\", 4]",
        "origins.toml:18:67: origin.trader.attributes is \"beauty\", which there is not; expected an attribute: agility, \
         endurance, presence, strength; correct the name, or add what it names",
    ),
    (
        "origins.toml",
        "[\"presence\", 4]",
        "[\"presence\", 11]",
        "origins.toml:18:79: origin.trader.attributes is 11; expected a whole number from 1 to 10; correct it",
    ),
    (
        "origins.toml",
        "points = 3",
        "points = 21",
        "origins.toml:10:10: origin.wanderer.points is 21; expected a whole number from 0 to 20; correct it",
    ),
    (
        "origins.toml",
        "[\"salt\", 2]",
        "[\"sand\", 2]",
        "origins.toml:20:11: origin.trader.goods is \"sand\", which there is not; expected a good: salt, iron, glass, \
         wine, silk; correct the name, or add what it names",
    ),
    (
        "origins.toml",
        "[\"saddlebags\", 1]",
        "[\"wings\", 1]",
        "origins.toml:29:11: origin.drover.items is \"wings\", which there is not; expected an item: bandage, helmet, \
         knife, leather, mail, packframe, relic, sabre, saddlebags, spear, strongbox; correct the name, or add what it \
         names",
    ),
    (
        "origins.toml",
        "[\"saddlebags\", 1]",
        "[\"saddlebags\", 11]",
        "origins.toml:29:25: origin.drover.items is 11; expected a whole number from 1 to 10; correct it",
    ),
    (
        "origins.toml",
        "[[\"riding\", 2], [\"caravanning\", 1]]",
        "[[\"caravanning\", 1]]",
        "origins.toml:23:6: origin.drover.skills is without riding, which another of them needs; expected what is needed \
         too; add it",
    ),
    (
        "skills.toml",
        "needs = [\"riding\"]",
        "needs = [\"riding\", \"riding\"]",
        "skills.toml:17:20: skill.caravanning.needs is \"riding\" twice; expected each skill once; take one out",
    ),
    (
        "skills.toml",
        "id = \"letters\"",
        "id = \"Letters\"",
        "skills.toml:27:6: skill.id is \"Letters\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, which the \
         save keeps; correct it\n\
         skills.toml:42:22: skill.command.needs is \"letters\", which there is not; expected a skill: riding, \
         caravanning, haggling, Letters, fighting, command, healing; correct the name, or add what it names\n\
         origins.toml (that of the game):17:29: origin.trader.skills is \"letters\", which there is not; expected a \
         skill: caravanning, command, fighting, haggling, healing, riding; correct the name, or add what it names",
    ),
    (
        "skills.toml",
        "id = \"letters\"",
        "id = \"haggling\"",
        "skills.toml:27:6: skill.haggling is there twice, first in line 21; expected one skill of each id; rename one or \
         remove it\n\
         skills.toml:42:22: skill.command.needs is \"letters\", which there is not; expected a skill: riding, \
         caravanning, haggling, haggling, fighting, command, healing; correct the name, or add what it names\n\
         origins.toml (that of the game):17:29: origin.trader.skills is \"letters\", which there is not; expected a \
         skill: caravanning, command, fighting, haggling, healing, riding; correct the name, or add what it names",
    ),
    (
        "skills.toml",
        "name = \"Strength\"",
        "name = \"\"",
        "skills.toml:55:8: attribute.strength.name is \"\"; expected 1 to 40 bytes of text on one line; correct it",
    ),
    (
        "skills.toml",
        "effects = [[\"force\", 5], [\"load\", 15]]",
        "effects = []",
        "skills.toml:57:11: attribute.strength.effects is empty; expected at least one effect, or nobody had anything of \
         it; add one",
    ),
    (
        "skills.toml",
        "[\"load\", 15]",
        "[\"load\", 101]",
        "skills.toml:57:35: attribute.strength.effects is 101; expected a whole number from 1 to 100; correct it",
    ),
    (
        "skills.toml",
        "[\"load\", 15]",
        "[\"force\", 15]",
        "skills.toml:57:36: attribute.strength.effects is of one effect twice; expected each effect once; take one out",
    ),
    (
        "factions.toml",
        "foes = [\"smugglers\", \"bandits\"]",
        "foes = [\"smugglers\", \"smugglers\"]",
        "factions.toml:6:22: faction.wardens.foes is \"smugglers\" twice; expected each faction once; take one out",
    ),
    (
        "factions.toml",
        "id = \"bandits\"\nname = \"the Bandits\"\nfoes = [\"wardens\", \"guilds\"]",
        "id = \"bandits\"\nname = \"the Bandits\"\n\n[[faction]]\nid = \"bandits\"\nname = \"others\"",
        "factions.toml:23:6: faction.bandits is there twice, first in line 19; expected one faction of each id; rename \
         one or remove it",
    ),
    (
        "factions.toml",
        "id = \"bandits\"\nname = \"the Bandits\"",
        "id = \"bandits\"\nname = \"the Bandits\"\n\n[[faction]]\nid = \"The Others\"\nname = \"others\"",
        "factions.toml:23:6: faction.id is \"The Others\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, which \
         the save keeps; correct it",
    ),
    (
        "origins.toml",
        "id = \"drover\"",
        "id = \"trader\"",
        "origins.toml:23:6: origin.trader is there twice, first in line 13; expected one origin of each id; rename one or \
         remove it",
    ),
    (
        "origins.toml",
        "id = \"drover\"",
        "id = \"drover of oxen\"",
        "origins.toml:23:6: origin.id is \"drover of oxen\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, \
         which the save keeps; correct it",
    ),
    (
        "origins.toml",
        "[\"presence\", 4]",
        "[\"agility\", 4]",
        "origins.toml:18:67: origin.trader.attributes is \"agility\" twice; expected each attribute once; take one out",
    ),
    (
        "origins.toml",
        "[[\"salt\", 2]]",
        "[[\"salt\", 21]]",
        "origins.toml:20:19: origin.trader.goods is 21; expected a whole number from 1 to 20; correct it",
    ),
    (
        "origins.toml",
        "[[\"salt\", 2]]",
        "[[\"salt\", 2], [\"salt\", 1]]",
        "origins.toml:20:24: origin.trader.goods is \"salt\" twice; expected each good once; take one out",
    ),
    (
        "origins.toml",
        "[[\"saddlebags\", 1]]",
        "[[\"saddlebags\", 1], [\"saddlebags\", 1]]",
        "origins.toml:29:30: origin.drover.items is \"saddlebags\" twice; expected each item once; take one out",
    ),
    (
        "origins.toml",
        "[[\"saddlebags\", 1]]",
        "[[\"saddlebags\", 10], [\"spear\", 10], [\"mail\", 3], [\"bandage\", 10], [\"strongbox\", 10]]\ngoods = [[\"salt\", 20]]",
        "origins.toml:23:6: origin.drover.items is what takes 25 slots, with its goods; expected what the 24 slots of a \
         pack take, or nobody could begin with it; take something out",
    ),
];
