//! Every rule of the files has a bad file here, with the exact message; those of the map that is read for itself are in `roads`.

mod people;
mod things;

use super::*;
use crate::reference::ReferenceKind;

fn shipped() -> ReferenceFiles {
    ReferenceFiles::shipped(Lore::FILES)
}

/// The text of a file that comes with the game, with one place changed.
fn changed(file: &str, from: &str, to: &str) -> String {
    let files = shipped();
    let text = files.text(file).text();
    assert!(text.contains(from), "{file} says nothing of {from:?}");
    text.replacen(from, to, 1)
}

fn told(files: &ReferenceFiles) -> Vec<String> {
    match Lore::read(files) {
        Ok(_) => vec!["nothing is wrong".to_owned()],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_comes_with_the_game_is_sound_and_says_what_the_game_needs() {
    let lore = Lore::shipped();
    assert_eq!((lore.factions().len(), lore.origins().len(), lore.skills().len()), (4, 6, 7));
    assert_eq!((lore.items().len(), lore.reward_tables().loot_tables().len()), (11, 12));
    for good in Good::ALL {
        assert!(lore.reward_tables().asset(&good.asset()).is_some(), "{good}");
    }
    let strongbox = lore.reward_tables().box_rule(&super::super::STRONGBOX.into());
    assert!(strongbox.is_some_and(|rule| rule.opens_itself));
    assert_eq!(lore.usual_origin().silver, 500);
    assert_eq!(lore.stock("saltmouth", Good::Salt), Stock { opening: 800, most: 1_600, quota: 300 });
    assert_eq!(lore.stock("saltmouth", Good::Wine), Stock { opening: 500, most: 1_000, quota: 200 });
    assert_eq!(lore.demand("saltmouth").map(|demand| &demand.wants[..]), Some(&[Good::Silk][..]));
    let kinds: Vec<_> = lore.tables().iter().map(|table| (table.kind(), table.rows().len())).collect();
    let expected = [
        ("good", 5),
        ("skill", 7),
        ("attribute", 4),
        ("faction", 4),
        ("origin", 6),
        ("item", 11),
        ("loot", 12),
        ("node", 17),
        ("stock", 85),
    ];
    assert_eq!(kinds, expected);
}

/// File, what stands there, what is written there instead, what is told.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "roads.toml",
        "[\"Saltmouth\", \"Eastgate\"]",
        "[\"Saltmouth\", \"Nowhere\"]",
        "roads.toml:5:1: a road leads to `Nowhere`, which is no node; add it or correct the name",
    ),
    (
        "roads.toml",
        "[\"Saltmouth\", \"Lowbridge\"]",
        "[\"Eastgate\", \"Saltmouth\"]",
        "roads.toml:6:1: there are two roads between `Eastgate` and `Saltmouth`; remove one",
    ),
    (
        "goods.toml",
        "id = \"salt\"",
        "id = \"sand\"",
        "goods.toml:1:1: good is without salt; expected a [[good]] for each good that the game knows; add it\n\
         goods.toml:4:6: good.sand.id is \"sand\", which there is not; expected a good that the game knows: salt, iron, glass, \
         wine, silk; correct the name, or add what it names",
    ),
    (
        "goods.toml",
        "id = \"iron\"",
        "id = \"salt\"",
        "goods.toml:1:1: good is without iron; expected a [[good]] for each good that the game knows; add it\n\
         goods.toml:10:6: good.salt is there twice, first in line 4; expected one good of each id; rename one or remove it",
    ),
    (
        "goods.toml",
        "price = 8 ",
        "price = 0 ",
        "goods.toml:6:9: good.salt.price is 0; expected a whole number from 1 to 100000; correct it",
    ),
    (
        "goods.toml",
        "weight_kg = 50",
        "weight_kg = -50",
        "goods.toml:7:13: good.salt.weight_kg is -50; expected a whole number from 1 to 1000; correct it",
    ),
    (
        "goods.toml",
        "name = \"salt\"",
        "name = \"\"",
        "goods.toml:5:8: good.salt.name is \"\"; expected 1 to 40 bytes of text on one line; correct it",
    ),
    (
        "items.toml",
        "id = \"bandage\"",
        "id = \"silver\"",
        "origins.toml (that of the game):56:25: origin.outlaw.items is \"bandage\", which there is not; expected an item: helmet, \
         knife, leather, mail, packframe, relic, sabre, saddlebags, silver, spear, strongbox; correct the name, or add what it \
         names\n\
         items.toml:19:6: item.silver.id is \"silver\"; expected a name that neither a good has nor what the game gives by itself; rename it\n\
         loot.toml (that of the game):18:27: loot.provisions.row.asset is \"bandage\", which there is not; expected silver, a \
         good or an item: silver, salt, iron, glass, wine, silk, helmet, knife, leather, mail, packframe, relic, …; correct \
         the name, or add what it names",
    ),
    (
        "items.toml",
        "id = \"relic\"",
        "id = \"relique\"",
        "items.toml:1:1: item is without relic; expected what the rules of the game name; add it\n\
         loot.toml (that of the game):11:27: loot.strongbox.row.asset is \"relic\", which there is not; expected silver, a good \
         or an item: silver, salt, iron, glass, wine, silk, bandage, helmet, knife, leather, mail, packframe, …; correct the \
         name, or add what it names\n\
         loot.toml (that of the game):60:27: loot.chief.row.asset is \"relic\", which there is not; expected silver, a good or \
         an item: silver, salt, iron, glass, wine, silk, bandage, helmet, knife, leather, mail, packframe, …; correct the \
         name, or add what it names",
    ),
    (
        "items.toml",
        "name = \"bandage\"",
        "name = \"\"",
        "items.toml:20:8: item.bandage.name is \"\"; expected 1 to 40 bytes of text on one line; correct it",
    ),
    (
        "items.toml",
        "stack = 10 ",
        "stack = 0 ",
        "items.toml:21:9: item.bandage.stack is 0; expected a whole number from 1 to 1000; correct it",
    ),
    (
        "items.toml",
        "stack = 10 ",
        "single = true\nstack = 10 ",
        "items.toml:22:9: item.bandage.stack is 10; expected 1, since each is one of its kind; leave it out, or take out \
         `single`\n\
         items.toml:23:9: item.bandage.heals is 1; expected what is neither worn nor single to have it; leave it out",
    ),
    (
        "items.toml",
        "attack = 3",
        "attack = 101",
        "items.toml:28:10: item.knife.attack is 101; expected a whole number from 0 to 100; correct it",
    ),
    (
        "items.toml",
        "slot = \"hand\"\nattack = 3",
        "attack = 3",
        "items.toml:27:10: item.knife.attack is 3, where nobody wears it; expected `slot` to be hand; name the slot, or \
         leave this out\n\
         items.toml:28:10: item.knife.breaks is 30, where nobody wears it; expected `slot` to be hand, body, head or beast; \
         name the slot, or leave this out",
    ),
    (
        "items.toml",
        "slot = \"hand\"",
        "slot = \"nose\"",
        "items.toml:27:8: item.knife.slot is \"nose\"; expected one of `none`, `hand`, `body`, `head`, `beast`; correct it",
    ),
    (
        "items.toml",
        "defence = 4",
        "defence = -4",
        "items.toml:49:11: item.leather.defence is -4; expected a whole number from 0 to 100; correct it",
    ),
    (
        "items.toml",
        "slot = \"body\"\ndefence = 4",
        "slot = \"beast\"\ndefence = 4",
        "items.toml:49:11: item.leather.defence is 4, where nobody wears it; expected `slot` to be hand, body or head; name \
         the slot, or leave this out",
    ),
    (
        "items.toml",
        "load_kg = 40",
        "load_kg = 501",
        "items.toml:70:11: item.saddlebags.load_kg is 501; expected a whole number from 0 to 500; correct it",
    ),
    (
        "items.toml",
        "slot = \"beast\"\nload_kg = 40",
        "load_kg = 40",
        "items.toml:69:11: item.saddlebags.load_kg is 40, where nobody wears it; expected `slot` to be beast; name the \
         slot, or leave this out\n\
         items.toml:70:10: item.saddlebags.breaks is 15, where nobody wears it; expected `slot` to be hand, body, head or \
         beast; name the slot, or leave this out",
    ),
    (
        "items.toml",
        "breaks = 30",
        "breaks = 101",
        "items.toml:29:10: item.knife.breaks is 101; expected a whole number from 0 to 100; correct it",
    ),
    (
        "items.toml",
        "heals = 1",
        "breaks = 1",
        "items.toml:22:10: item.bandage.breaks is 1, where nobody wears it; expected `slot` to be hand, body, head or \
         beast; name the slot, or leave this out",
    ),
    (
        "items.toml",
        "heals = 1",
        "heals = 11",
        "items.toml:22:9: item.bandage.heals is 11; expected a whole number from 0 to 10; correct it",
    ),
    (
        "items.toml",
        "attack = 3",
        "attack = 3\nheals = 1",
        "items.toml:29:9: item.knife.heals is 1; expected what is neither worn nor single to have it; leave it out",
    ),
    (
        "items.toml",
        "attack = 3",
        "attack = 3\nsingle = true",
        "items.toml:25:6: item.knife.single is true; expected what is not worn, since what is worn is like all others of \
         its kind; leave out this or the slot",
    ),
    (
        "items.toml",
        "opens = \"strongbox\"",
        "opens = \"treasure\"",
        "items.toml:11:9: item.strongbox.opens is \"treasure\", which there is not; expected a table of loot.toml: \
         strongbox, provisions, weapons, armour, bandit, chief, cutpurses, bandits, raiders, patrol, gang, escort; correct the name, or add what it names",
    ),
];

/// E7: dangling names, cycles, weights below nothing, ranges, duplicates: whatever is wrong with a file is told with file, line,
/// key and reason.
#[test]
fn every_rule_of_the_files_is_told_in_exact_words() {
    let mut wrong = Vec::new();
    for (file, from, to, message) in CASES.iter().chain(people::CASES).chain(things::CASES) {
        let found = told(&shipped().with(file, changed(file, from, to))).join("\n");
        if found != *message {
            wrong.push(format!("{file}: {to}\n found: {found}\nwanted: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// E7: no list may be empty, of those that the game cannot do without.
#[test]
fn every_list_has_something_in_it() {
    for (file, text, told_of) in [
        ("goods.toml", "good = []", "good"),
        ("skills.toml", "skill = []\nattribute = []", "skill"),
        (
            "skills.toml",
            "attribute = []\n[[skill]]\nid = \"riding\"\nname = \"Riding\"\nmost = 5\neffects = [[\"escape\", 6]]",
            "attribute",
        ),
        ("factions.toml", "faction = []", "faction"),
        ("origins.toml", "usual = \"wanderer\"\norigin = []", "origin"),
        ("items.toml", "item = []", "item"),
        ("loot.toml", "loot = []", "loot"),
    ] {
        let message = format!("{file}:1:1: {told_of} is empty; expected at least one [[{told_of}]]; add one");
        let told = told(&shipped().with(file, text));
        assert!(told.contains(&message), "{message}\nfound: {}", told.join("\n"));
    }
}

/// E7: what no rule reads is refused wherever it stands, so that nobody waits for it to do something.
#[test]
fn what_no_rule_reads_is_refused_in_every_row() {
    let row = "height = 1\n";
    for (file, before) in [
        ("roads.toml", "x = 70\n"),
        ("goods.toml", "id = \"iron\"\n"),
        ("skills.toml", "id = \"haggling\"\n"),
        ("skills.toml", "id = \"endurance\"\n"),
        ("factions.toml", "id = \"guilds\"\n"),
        ("origins.toml", "id = \"drover\"\n"),
        ("items.toml", "id = \"relic\"\n"),
        ("loot.toml", "id = \"weapons\"\n"),
        ("stocks.toml", "[usual]\n"),
        ("stocks.toml", "name = \"Eastgate\"\n"),
        ("stocks.toml", "node = \"Ironholm\"\n"),
    ] {
        let beside = told(&shipped().with(file, changed(file, before, &format!("{before}{row}"))));
        assert!(beside.iter().any(|line| line.contains("height")), "{file}, {before}: {beside:?}");
        let files = shipped();
        let above = told(&shipped().with(file, format!("{row}{}", files.text(file).text())));
        assert!(above.iter().any(|line| line.contains("height")), "{file}: {above:?}");
    }
    for (from, to) in [
        ("{ weight = 70 }", "{ weight = 70, height = 1 }"),
        ("least = 10, most = 60", "least = 10, most = 60, height = 1"),
    ] {
        let inside = told(&shipped().with("loot.toml", changed("loot.toml", from, to)));
        assert!(inside.iter().any(|line| line.contains("height")), "{to}: {inside:?}");
    }
}

/// E7: what is wrong with the map is told in exact words, with its line.
#[test]
fn every_rule_of_the_names_on_a_map_is_told_in_exact_words() {
    let node = |name: &str, x: u32| format!("[[node]]\nname = \"{name}\"\nx = {x}\ny = 1\n");
    let problem = |names: &[&str]| {
        let nodes: String = (1..).zip(names).map(|(x, name)| node(name, x)).collect();
        let read =
            Roads::parse("roads.toml", &format!("road = []\n{nodes}"), super::super::roads::EVERYWHERE);
        read.unwrap_err().to_string()
    };
    let long = "a".repeat(41);
    let expected = "expected a name with letters or digits, of at most 40 characters";
    assert_eq!(problem(&["a", "?!"]), format!("roads.toml:7: node `?!`: {expected}"));
    assert_eq!(problem(&["a", &long]), format!("roads.toml:7: node `{long}`: {expected}"));
    assert_eq!(
        problem(&["Old Mill", "Old-mill"]),
        "roads.toml:7: `Old-mill` and `Old Mill` would share one store: make their names differ more"
    );
    assert_eq!(problem(&["a"]), "roads.toml:1: 1 nodes: expected 2 to 65535");
}

/// E7: what is wrong in one file hides nothing of another, and is not told again by what rests on it.
#[test]
fn what_is_wrong_in_several_files_is_told_at_once_and_once() {
    let files = shipped()
        .with("goods.toml", changed("goods.toml", "price = 8 ", "price = 0 "))
        .with("skills.toml", changed("skills.toml", "most = 5 ", "most = \"five\" "))
        .with("items.toml", "item = 3")
        .with("stocks.toml", changed("stocks.toml", "quota = 200", "quota = 0"));
    let files_told: Vec<String> =
        told(&files).iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(files_told, ["goods.toml", "skills.toml", "items.toml", "stocks.toml"]);
}

/// E7: a map of one's own needs no stocks of its own: its nodes trade as usual. The map of a running world stays.
#[test]
fn a_map_of_ones_own_trades_as_usual_and_stays_while_its_world_runs() {
    let map = "road = [[\"A\", \"B\"]]\n[[node]]\nname = \"A\"\nx = 1\ny = 1\n[[node]]\nname = \"B\"\nx = 9\ny = 9\n";
    let kind = ReferenceKind::of::<Lore>();
    let own = kind.read(shipped().with("roads.toml", map)).expect("it is sound");
    let lore = own.data::<Lore>().expect("it is lore");
    assert_eq!(lore.stock("a", Good::Salt), lore.stock("saltmouth", Good::Salt));
    let files = shipped().with("roads.toml", map).with("stocks.toml", changed("stocks.toml", "#", "# "));
    assert!(told(&files)[0].contains("which there is not; expected a node of roads.toml: A, B"));
    let of_game = kind.load(None).expect("it is sound");
    let refused = own.follows(&of_game).expect_err("another map");
    assert!(refused.contains("the map of a running world stays"), "{refused}");
    assert_eq!(of_game.follows(&of_game), Ok(()));
}
