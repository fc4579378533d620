//! What may be wrong with loot and stocks, and with the ids of goods and items.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "loot.toml",
        "house = \"bandits\" ",
        "house = \"The Band\" ",
        "loot.toml:6:9: loot.strongbox.house is \"The Band\"; expected lower-case letters, digits and `_-.:/`, which the \
         save keeps; correct it",
    ),
    (
        "loot.toml",
        "{ weight = 70 }",
        "{ weight = -1 }",
        "loot.toml:9:16: loot.strongbox.row.weight is -1; expected a whole number from 0 to 1000000; correct it",
    ),
    (
        "loot.toml",
        "asset = \"silk\"",
        "asset = \"velvet\"",
        "loot.toml:10:28: loot.strongbox.row.asset is \"velvet\", which there is not; expected silver, a good or an item: \
         silver, salt, iron, glass, wine, silk, bandage, helmet, knife, leather, mail, packframe, …; correct the name, or \
         add what it names",
    ),
    (
        "loot.toml",
        "least = 1, most = 2 },\n    { weight = 5, ",
        "least = 3, most = 2 },\n    { weight = 5, ",
        "loot.toml:10:44: loot.strongbox.row.least is 3; expected at most `most`, 2; lower it, or raise the other",
    ),
    (
        "loot.toml",
        "least = 10, most = 60",
        "least = 0, most = 0",
        "loot.toml:7:49: loot.strongbox.always.most is 0; expected a whole number from 1 to 1099511627776; correct it",
    ),
    (
        "loot.toml",
        "id = \"escort\"",
        "id = \"convoy\"",
        "loot.toml:1:1: loot is without escort; expected what those leave who lie in wait on the roads; add it",
    ),
    (
        "loot.toml",
        "asset = \"silver\", least = 10, most = 60",
        "",
        "loot.toml:7:11: loot.strongbox.always is without either; expected an `asset` or a `table`; name one, or take it out",
    ),
    (
        "loot.toml",
        "{ weight = 5, asset = \"relic\" }",
        "{ weight = 5, asset = \"relic\", table = \"armour\" }",
        "loot.toml:11:5: loot.strongbox.row is of an asset and of a table; expected one of them; make two of it, or take \
         one out",
    ),
    (
        "loot.toml",
        "table = \"provisions\", rolls = 2",
        "table = \"provisions\", rolls = 0",
        "loot.toml:54:89: loot.chief.always.rolls is 0; expected a whole number from 1 to 1000; correct it",
    ),
    (
        "loot.toml",
        "table = \"provisions\" }",
        "table = \"rations\" }",
        "loot.toml:46:28: loot.bandit.row.table is \"rations\", which there is not; expected a loot table: strongbox, \
         provisions, weapons, armour, bandit, chief, cutpurses, bandits, raiders, patrol, gang, escort; correct the name, or add what it names",
    ),
    (
        "loot.toml",
        "{ weight = 3 },",
        "{ weight = 3, table = \"chief\" },",
        "loot.toml:19:27: loot.provisions.table is \"chief\", which leads back to it (provisions → chief → provisions); \
         expected nothing that leads back; take one of these steps out",
    ),
    (
        "loot.toml",
        "{ weight = 6, asset = \"knife\" },\n    { weight = 3, asset = \"spear\" },\n    { weight = 1, asset = \"sabre\" },",
        "",
        "loot.toml:23:6: loot.weapons.row is empty, and so is `always`; expected something to find; add a row",
    ),
    (
        "loot.toml",
        "{ weight = 6, asset = \"knife\" },\n    { weight = 3, asset = \"spear\" },\n    { weight = 1, asset = \"sabre\" },",
        "{ weight = 0, asset = \"knife\" }",
        "loot.toml:23:6: loot.weapons.row is of no weight at all; expected a row with a weight above 0; give it one",
    ),
    (
        "loot.toml",
        "asset = \"silk\", least = 1, most = 2",
        "asset = \"strongbox\"",
        "loot.toml:1:1: loot is not to be used; expected tables that end; loot table `strongbox` → box `strongbox` → loot \
         table `strongbox`: boxes and loot tables must not lead back to themselves; break the chain",
    ),
    (
        "stocks.toml",
        "opening = 500\nmost = 1000",
        "opening = 1001\nmost = 1000",
        "stocks.toml:5:11: usual.opening is 1001; expected at most `most`, 1000; lower it, or raise the other",
    ),
    (
        "stocks.toml",
        "opening = 800",
        "opening = -1",
        "stocks.toml:92:11: stock.Saltmouth.salt.opening is -1; expected a whole number from 0 to 1000000; correct it",
    ),
    (
        "stocks.toml",
        "most = 1600",
        "most = 1000001",
        "stocks.toml:93:8: stock.Saltmouth.salt.most is 1000001; expected a whole number from 1 to 1000000; correct it",
    ),
    (
        "stocks.toml",
        "quota = 300",
        "quota = 0",
        "stocks.toml:94:9: stock.Saltmouth.salt.quota is 0; expected a whole number from 1 to 1000000; correct it",
    ),
    (
        "stocks.toml",
        "name = \"Frostgate\"",
        "name = \"Sunhill\"",
        "stocks.toml:86:8: node.Sunhill.name is \"Sunhill\", which there is not; expected a node of roads.toml: Saltmouth, \
         Eastgate, Thornwick, Highmill, Greycairn, Lowbridge, Crossways, Fairhold, Wolfsden, Reedham, Stonewell, Oldmarket, \
         …; correct the name, or add what it names",
    ),
    (
        "stocks.toml",
        "name = \"Eastgate\"",
        "name = \"Saltmouth\"",
        "stocks.toml:15:8: node.Saltmouth.name is there twice; expected one [[node]] of each name; make one of them",
    ),
    (
        "stocks.toml",
        "wants = [\"silk\"]",
        "wants = [\"salt\"]",
        "stocks.toml:12:10: node.Saltmouth.wants is \"salt\"; expected what it does not make itself; take it out",
    ),
    (
        "stocks.toml",
        "wants = [\"silk\"]",
        "wants = [\"silk\", \"silk\"]",
        "stocks.toml:12:18: node.Saltmouth.wants is \"silk\" twice; expected each good once; take one out",
    ),
    (
        "stocks.toml",
        "produces = [\"salt\"]",
        "produces = [\"sand\"]",
        "stocks.toml:11:13: node.Saltmouth.produces is \"sand\", which there is not; expected a good: salt, iron, glass, wine, \
         silk; correct the name, or add what it names",
    ),
    (
        "stocks.toml",
        "node = \"Saltmouth\"",
        "node = \"Sunhill\"",
        "stocks.toml:90:8: stock.Sunhill.salt.node is \"Sunhill\", which there is not; expected a node of roads.toml: \
         Saltmouth, Eastgate, Thornwick, Highmill, Greycairn, Lowbridge, Crossways, Fairhold, Wolfsden, Reedham, Stonewell, \
         Oldmarket, …; correct the name, or add what it names",
    ),
    (
        "stocks.toml",
        "good = \"salt\"",
        "good = \"sand\"",
        "stocks.toml:91:8: stock.Saltmouth.sand.good is \"sand\", which there is not; expected a good: salt, iron, glass, \
         wine, silk; correct the name, or add what it names",
    ),
    (
        "stocks.toml",
        "node = \"Ironholm\"\ngood = \"iron\"",
        "node = \"Saltmouth\"\ngood = \"salt\"",
        "stocks.toml:97:8: stock.Saltmouth.salt is there twice; expected one [[stock]] of each node and good; make one of \
         them",
    ),
    (
        "goods.toml",
        "id = \"salt\"",
        "id = \"Salt!\"",
        "goods.toml:1:1: good is without salt; expected a [[good]] for each good that the game knows; add it\n\
         goods.toml:4:6: good.id is \"Salt!\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, which the save \
         keeps; correct it\n\
         goods.toml:4:6: good.Salt!.id is \"Salt!\", which there is not; expected a good that the game knows: salt, iron, \
         glass, wine, silk; correct the name, or add what it names",
    ),
    (
        "items.toml",
        "id = \"bandage\"\nname = \"bandage\"",
        "id = \"salt\"\nname = \"x\"\n\n[[item]]\nid = \"bandage\"\nname = \"bandage\"",
        "items.toml:19:6: item.salt.id is \"salt\"; expected a name that neither a good has nor what the game gives by \
         itself; rename it",
    ),
    (
        "items.toml",
        "id = \"bandage\"\nname = \"bandage\"",
        "id = \"level\"\nname = \"x\"\n\n[[item]]\nid = \"bandage\"\nname = \"bandage\"",
        "items.toml:19:6: item.level.id is \"level\"; expected a name that neither a good has nor what the game gives by \
         itself; rename it",
    ),
    (
        "items.toml",
        "id = \"bandage\"\nname = \"bandage\"",
        "id = \"guard\"\nname = \"x\"\n\n[[item]]\nid = \"bandage\"\nname = \"bandage\"",
        "items.toml:19:6: item.guard.id is \"guard\"; expected a name that neither a good has nor what the game gives by \
         itself; rename it",
    ),
    (
        "items.toml",
        "id = \"bandage\"\nname = \"bandage\"",
        "id = \"Bandage\"\nname = \"x\"\n\n[[item]]\nid = \"bandage\"\nname = \"bandage\"",
        "items.toml:19:6: item.id is \"Bandage\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, which the save \
         keeps; correct it",
    ),
    (
        "items.toml",
        "id = \"bandage\"\nname = \"bandage\"",
        "id = \"relic\"\nname = \"x\"\n\n[[item]]\nid = \"bandage\"\nname = \"bandage\"",
        "items.toml:19:6: item.relic is there twice, first in line 14; expected one item of each id; rename one or remove \
         it",
    ),
    (
        "items.toml",
        "slot = \"hand\"\nattack = 3",
        "slot = \"beast\"\nattack = 3",
        "items.toml:28:10: item.knife.attack is 3, where nobody wears it; expected `slot` to be hand; name the slot, or \
         leave this out",
    ),
    (
        "items.toml",
        "slot = \"head\"",
        "slot = \"beast\"",
        "items.toml:63:11: item.helmet.defence is 3, where nobody wears it; expected `slot` to be hand, body or head; \
         name the slot, or leave this out",
    ),
    (
        "items.toml",
        "id = \"strongbox\"\n",
        "id = \"chest\"\n",
        "items.toml:1:1: item is without strongbox; expected what the rules of the game name; add it\n\
         loot.toml (that of the game):79:28: loot.bandits.row.asset is \"strongbox\", which there is not; expected \
         silver, a good or an item: silver, salt, iron, glass, wine, silk, bandage, chest, helmet, knife, leather, mail, \
         …; correct the name, or add what it names\n\
         loot.toml (that of the game):88:28: loot.raiders.row.asset is \"strongbox\", which there is not; expected \
         silver, a good or an item: silver, salt, iron, glass, wine, silk, bandage, chest, helmet, knife, leather, mail, \
         …; correct the name, or add what it names\n\
         loot.toml (that of the game):109:27: loot.gang.row.asset is \"strongbox\", which there is not; expected silver, \
         a good or an item: silver, salt, iron, glass, wine, silk, bandage, chest, helmet, knife, leather, mail, …; \
         correct the name, or add what it names",
    ),
    (
        "loot.toml",
        "id = \"chief\"  ",
        "id = \"bandit\"  ",
        "loot.toml:52:6: loot.bandit is there twice, first in line 41; expected one loot of each id; rename one or remove \
         it\n\
         loot.toml:89:28: loot.raiders.row.table is \"chief\", which there is not; expected a loot table: strongbox, \
         provisions, weapons, armour, bandit, bandit, cutpurses, bandits, raiders, patrol, gang, escort; correct the \
         name, or add what it names",
    ),
    (
        "loot.toml",
        "id = \"chief\"  ",
        "id = \"Chief\"  ",
        "loot.toml:52:6: loot.id is \"Chief\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, which the save \
         keeps; correct it\n\
         loot.toml:89:28: loot.raiders.row.table is \"chief\", which there is not; expected a loot table: strongbox, \
         provisions, weapons, armour, bandit, Chief, cutpurses, bandits, raiders, patrol, gang, escort; correct the name, \
         or add what it names",
    ),
    (
        "loot.toml",
        "asset = \"silk\", least = 1, most = 2",
        "asset = \"silk\", least = -1, most = 2",
        "loot.toml:10:44: loot.strongbox.row.least is -1; expected a whole number from 0 to 1099511627776; correct it",
    ),
    (
        "loot.toml",
        "asset = \"silver\", least = 60, most = 200",
        "asset = \"silver\", least = 60, most = 200, rolls = 2",
        "loot.toml:54:63: loot.chief.always.rolls is 2, of an asset; expected a `table` in the place of the `asset`; \
         leave it out",
    ),
    (
        "loot.toml",
        "{ table = \"provisions\", rolls = 2 }",
        "{ table = \"provisions\", least = 1, most = 2 }",
        "loot.toml:54:89: loot.chief.always.least is 1, of a table; expected an `asset` in the place of the `table`; \
         leave it out\n\
         loot.toml:54:99: loot.chief.always.most is 2, of a table; expected an `asset` in the place of the `table`; leave \
         it out",
    ),
    (
        "loot.toml",
        "{ weight = 70 }",
        "{ weight = 70, least = 1, most = 2, rolls = 3 }",
        "loot.toml:9:28: loot.strongbox.row.least is 1, of nothing; expected an `asset` or a `table` beside it; leave it \
         out\n\
         loot.toml:9:38: loot.strongbox.row.most is 2, of nothing; expected an `asset` or a `table` beside it; leave it \
         out\n\
         loot.toml:9:49: loot.strongbox.row.rolls is 3, of nothing; expected an `asset` or a `table` beside it; leave it \
         out",
    ),
    (
        "loot.toml",
        "asset = \"silver\", least = 10, most = 60",
        "rolls = 1",
        "loot.toml:7:21: loot.strongbox.always.rolls is 1, of nothing; expected an `asset` or a `table` beside it; leave \
         it out",
    ),
    (
        "stocks.toml",
        "most = 1000\nquota = 200",
        "most = 1000001\nquota = 200",
        "stocks.toml:6:8: usual.most is 1000001; expected a whole number from 1 to 1000000; correct it",
    ),
    (
        "stocks.toml",
        "most = 1000\nquota = 200",
        "most = 1000\nquota = 0",
        "stocks.toml:7:9: usual.quota is 0; expected a whole number from 1 to 1000000; correct it",
    ),
    (
        "stocks.toml",
        "opening = 800\nmost = 1600",
        "opening = 1601\nmost = 1600",
        "stocks.toml:92:11: stock.Saltmouth.salt.opening is 1601; expected at most `most`, 1600; lower it, or raise the \
         other",
    ),
    (
        "stocks.toml",
        "produces = [\"salt\"]",
        "produces = [\"salt\", \"salt\"]",
        "stocks.toml:11:21: node.Saltmouth.produces is \"salt\" twice; expected each good once; take one out",
    ),
    (
        "stocks.toml",
        "wants = [\"silk\"]",
        "wants = [\"sand\", \"salt\"]",
        "stocks.toml:12:10: node.Saltmouth.wants is \"sand\", which there is not; expected a good: salt, iron, glass, \
         wine, silk; correct the name, or add what it names\n\
         stocks.toml:12:18: node.Saltmouth.wants is \"salt\"; expected what it does not make itself; take it out",
    ),
];
