//! What is wrong with files, in the exact words, and what follows from those that are right.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

/// What stalls sell, and which stall has its goods from which other.
#[derive(Debug, PartialEq)]
struct Stalls(BTreeMap<String, i64>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StallFile {
    #[serde(default)]
    stall: Vec<Stall>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stall {
    id: Spanned<String>,
    name: Spanned<String>,
    price: Spanned<i64>,
    most: Option<Spanned<i64>>,
    from: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TownFile {
    town: Spanned<String>,
    open: Option<bool>,
    hours: Option<Vec<i64>>,
}

const SHIPPED: &str = "[[stall]]\nid = \"bread\"\nname = \"Bread\"\nprice = 3\n";

impl Reference for Stalls {
    const FILES: &'static [ReferenceFile] = &[
        ReferenceFile { name: "stalls.toml", shipped: SHIPPED },
        ReferenceFile { name: "town.toml", shipped: "town = \"york\"\n" },
    ];

    fn read(files: &ReferenceFiles) -> Result<Self, Vec<Problem>> {
        let mut town = files.check("town.toml");
        if let Some(read) = town.parse::<TownFile>() {
            town.words("town", &read.town, 8);
            let _ = (read.open, read.hours);
        }
        let mut check = files.check("stalls.toml");
        let stalls = check.parse::<StallFile>().map_or_else(Vec::new, |file| file.stall);
        check.ids("stall", stalls.iter().map(|stall| &stall.id));
        let all = || stalls.iter().map(|stall| stall.id.get_ref().as_str());
        let mut read = BTreeMap::new();
        for stall in &stalls {
            let key = |key: &str| format!("stall.{}.{key}", stall.id.get_ref());
            check.words(&key("name"), &stall.name, 20);
            let price = check.whole(&key("price"), &stall.price, 1..=100);
            if let Some(most) = &stall.most {
                check.at_most(&key("price"), &stall.price, "most", *most.get_ref());
            }
            if let Some(from) = &stall.from {
                let known = all().find(|id| id == from.get_ref());
                check.known(&key("from"), from, "a stall", known, all());
            }
            read.insert(stall.id.get_ref().clone(), price);
        }
        let steps =
            stalls.iter().filter_map(|stall| Some((stall.id.get_ref().as_str(), stall.from.as_ref()?)));
        check.no_cycle(|from| format!("stall.{from}.from"), steps);
        finish_all([check, town]).map(|()| Self(read))
    }

    fn tables(&self) -> Vec<ReferenceTable> {
        vec![self.0.iter().fold(ReferenceTable::new("stall"), |table, (id, price)| table.row(id, price))]
    }

    fn follows(&self, before: &Self) -> Result<(), String> {
        let fits = before.0.keys().all(|id| self.0.contains_key(id));
        if fits { Ok(()) } else { Err("a stall is gone: put it back".into()) }
    }
}

fn shipped() -> ReferenceFiles {
    ReferenceFiles::shipped(Stalls::FILES)
}

fn told(files: &ReferenceFiles) -> Vec<String> {
    match Stalls::read(files) {
        Ok(stalls) => panic!("{stalls:?} is right"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn row(id: &str, rest: &str) -> String {
    format!("[[stall]]\nid = \"{id}\"\nname = \"N\"\n{rest}\n")
}

/// E7: whatever is wrong is told with file, line, column and key, what was expected, and what to do.
#[test]
fn every_rule_tells_what_broke_it_in_exact_words() {
    let cycle = row("a", "price = 1\nfrom = \"b\"") + &row("b", "price = 1\nfrom = \"a\"");
    let cases = [
        (
            row("bread", "price = 0"),
            "stalls.toml:4:9: stall.bread.price is 0; expected a whole number from 1 to 100; correct it",
        ),
        (
            row("bread", "price = -3"),
            "stalls.toml:4:9: stall.bread.price is -3; expected a whole number from 1 to 100; correct it",
        ),
        (
            row("bread", "price = 9\nmost = 8"),
            "stalls.toml:4:9: stall.bread.price is 9; expected at most `most`, 8; lower it, or raise the other",
        ),
        (
            row("bread", "price = \"cheap\""),
            "stalls.toml:4:9: stall.bread.price is \"cheap\"; expected a whole number; correct it",
        ),
        (row("bread", ""), "stalls.toml:1:1: stall.bread is without `price`; add it"),
        (
            row("bread", "price = 1\ncolour = 2"),
            "stalls.toml:5:1: stall.bread.colour is no key of this file; expected one of `id`, `name`, `price`, `most`, \
             `from`; correct its name or remove it",
        ),
        (
            row("Bread", "price = 1"),
            "stalls.toml:2:6: stall.id is \"Bread\"; expected 1 to 40 lower-case letters, digits, `_` or `-`, which the save \
             keeps; correct it",
        ),
        (
            row("bread", "price = 1") + &row("bread", "price = 2"),
            "stalls.toml:6:6: stall.bread is there twice, first in line 2; expected one stall of each id; rename one or \
             remove it",
        ),
        (
            row("bread", "price = 1\nfrom = \"mill\""),
            "stalls.toml:5:8: stall.bread.from is \"mill\", which there is not; expected a stall: bread; correct the name, or \
             add what it names",
        ),
        (
            cycle,
            "stalls.toml:5:8: stall.a.from is \"b\", which leads back to it (a → b → a); expected nothing that leads back; \
             take one of these steps out",
        ),
        (String::new(), "stalls.toml:1:1: stall is empty; expected at least one [[stall]]; add one"),
        (
            "[[stall]\n".to_owned(),
            "stalls.toml:1:9: unclosed array table, expected `]`; correct the TOML there (a line is KEY = VALUE, text \
             stands in quotes)",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(told(&shipped().with("stalls.toml", text.as_str())), [message], "{text}");
    }
    for (text, message) in [
        ("town = \"\"", "town.toml:1:8: town is \"\"; expected 1 to 8 bytes of text on one line; correct it"),
        ("", "town.toml:1:1: the file is without `town`; add it"),
        ("hours = [1]", "town.toml:1:1: the file is without `town`; add it"),
        ("town = \"y\"\nopen = 1", "town.toml:2:8: open is 1; expected true or false; correct it"),
        ("town = \"y\"\nhours = 1", "town.toml:2:9: hours is 1; expected a list; correct it"),
    ] {
        assert_eq!(told(&shipped().with("town.toml", text)), [message], "{text}");
    }
}

/// E7: one look at the messages is enough to correct all files.
#[test]
fn all_that_is_wrong_is_told_at_once_and_nothing_twice() {
    let text = row("a", "price = 0") + &row("b", "price = 1\nfrom = \"c\"") + &row("c!", "price = 101");
    let files = shipped().with("stalls.toml", text).with("town.toml", "town = 7");
    assert_eq!(told(&files).len(), 5);
    // What could not be read at all hides what rests on it.
    let text = row("a", "price = \"x\"") + &row("b", "prise = 1\nprice = true") + &row("b", "");
    let found = told(&shipped().with("stalls.toml", text));
    let keys = ["stall.a.price", "stall.b.prise", "stall.b.price", "stall.b is without"];
    assert_eq!(found.len(), keys.len(), "{found:#?}");
    for (found, key) in found.iter().zip(keys) {
        assert!(found.contains(key), "{found}: {key}");
    }
}

/// E7: a file is bounded, however it came there.
#[test]
fn files_that_are_too_large_or_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stalls.toml");
    let told = |folder: &std::path::Path| {
        let problems = ReferenceKind::of::<Stalls>().load(Some(folder)).expect_err("it is no such file");
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    std::fs::write(&file, " ".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
    let shown = file.display();
    assert_eq!(told(folder.path()), [format!("{shown}:1:1: more than 1048576 bytes; shorten it")]);
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    let expected = format!(
        "{shown}:1:1: cannot be read (stream did not contain valid UTF-8); make it a readable text file"
    );
    assert_eq!(told(folder.path()), [expected]);
    let rows = ROWS_MAX + 1;
    std::fs::write(&file, format!("stall = [{}]", "{},".repeat(rows))).unwrap();
    let expected = format!("{shown}:1:1: stall is {rows} rows; expected at most {ROWS_MAX}; remove some");
    assert_eq!(told(folder.path()), [expected]);
}

/// E7: a version is what the data say, however the file says it; a folder without the file has what comes with the game.
#[test]
fn a_version_follows_from_what_the_files_say() {
    let kind = ReferenceKind::of::<Stalls>();
    let version = |text: &str| kind.read(shipped().with("stalls.toml", text)).unwrap().version();
    let first = version(SHIPPED);
    assert_eq!(version(&format!("# a remark\n{SHIPPED}")), first);
    assert_ne!(version(&SHIPPED.replace('3', "4")), first);
    assert_ne!(version(&SHIPPED.replace("bread", "brad")), first);
    let folder = tempfile::tempdir().unwrap();
    let loaded = kind.load(Some(folder.path())).unwrap();
    assert_eq!(loaded.version(), first);
    assert!(loaded.files().text("stalls.toml").is_shipped());
    assert_eq!(*loaded.data::<Stalls>().unwrap(), Stalls(BTreeMap::from([("bread".into(), 3)])));
    assert_eq!(first.to_string().len(), 16);
}

/// E7: what cannot change in a running world is refused by the game.
#[test]
fn a_game_says_what_may_take_the_place_of_what() {
    let kind = ReferenceKind::of::<Stalls>();
    let read = |text: String| kind.read(shipped().with("stalls.toml", text)).unwrap();
    let (one, two) = (read(row("a", "price = 1")), read(row("a", "price = 2") + &row("b", "price = 1")));
    assert_eq!(two.follows(&one), Ok(()));
    assert_eq!(one.follows(&two), Err("a stall is gone: put it back".to_owned()));
}

/// E7: an export is one file a kind, each with the version.
#[test]
fn an_export_is_a_file_of_each_kind_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("deep/down");
    let loaded = ReferenceKind::of::<Stalls>().load(None).unwrap();
    for _ in 0..2 {
        assert_eq!(export(&loaded, &into).unwrap(), [into.join("stall.json")]);
        let text = std::fs::read_to_string(into.join("stall.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let version = loaded.version().to_string();
        assert_eq!(json, serde_json::json!({ "kind": "stall", "version": version, "rows": { "bread": 3 } }));
    }
    assert_eq!(std::fs::read_dir(&into).unwrap().count(), 1);
}

#[test]
fn the_first_circle_is_found_however_it_is_reached() {
    assert_eq!(cycle::find(&[("a", "b"), ("b", "c"), ("a", "c")]), None);
    assert_eq!(cycle::find(&[("a", "a")]), Some(vec!["a", "a"]));
    let steps = [("a", "b"), ("b", "d"), ("d", "b"), ("c", "a")];
    assert_eq!(cycle::find(&steps), Some(vec!["b", "d", "b"]));
}
