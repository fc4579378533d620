//! What holds for the repository as a whole: sizes, layers, owners of packages, and what its text may name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest source file, in lines: beyond it a file usually holds two concepts.
const LINES_MAX: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files below a folder, by path from the root; build output and saves left out.
fn files_below(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let entries =
            std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            let left_out = ["target", ".git", "proptest-regressions"].contains(&name.as_str())
                || path == root().join("saves");
            if left_out {
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let text_of = |path: PathBuf| {
        let text = String::from_utf8(std::fs::read(&path).expect("a readable file")).ok()?;
        let name = path.strip_prefix(root()).expect("it is below the root").to_string_lossy().into_owned();
        Some((name, text))
    };
    paths.into_iter().filter_map(text_of).collect()
}

/// Rust sources below a folder.
fn sources_below(folder: &str) -> Vec<(String, String)> {
    files_below(folder).into_iter().filter(|(name, _)| name.ends_with(".rs")).collect()
}

fn is_test_file(name: &str) -> bool {
    name.contains("/tests") || name.ends_with("_tests.rs")
}

/// The code of a file without comment lines and without its test module.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What stands between two marks of the architecture page, line by line: (what is in backticks, the rest).
fn listed(mark: &str) -> Vec<(Vec<String>, String)> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the page is there");
    let (_, rest) = page.split_once(&format!("<!-- {mark} -->")).expect("the list begins");
    let (list, _) = rest.split_once(&format!("<!-- /{mark} -->")).expect("the list ends");
    let lines = list.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    lines.map(|(names, rest)| (quoted(names), rest.to_owned())).collect()
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What begins a word in `text`: `needle` and not `some_needle`.
fn words<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(at, _)| at).filter(|&at| {
        !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
    })
}

#[test]
fn no_source_file_is_longer_than_a_concept() {
    for folder in ["src", "macros/src", "tools"] {
        for (name, text) in sources_below(folder) {
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{name} has {lines} lines: split it by concept");
        }
    }
}

/// In what is shipped there is one place. Another stands between SQLite and the disk, in C's terms, and is linked into tests alone.
#[test]
fn unsafe_code_is_in_the_slot_module_alone_and_in_the_disk_of_tests() {
    let may_hold = ["src/cell/slot.rs", "tools/faulty-disk/src/vfs.rs"];
    for folder in ["src", "macros", "tools", "tests", "examples"] {
        // This file names the words.
        for (name, text) in
            sources_below(folder).into_iter().filter(|(name, _)| name != "tests/worlds/repository.rs")
        {
            let holds = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"];
            let found = holds.iter().find(|word| code_of(&text).contains(*word));
            assert!(
                found.is_none() || may_hold.contains(&name.as_str()),
                "{name}: {} belongs into no other module",
                found.unwrap()
            );
        }
    }
}

/// A disk that fails on request is for tests: nothing that is shipped depends on it, not even for its own tests, and of the tools it
/// alone knows SQLite.
#[test]
fn the_disk_of_tests_is_in_no_other_package() {
    for (name, text) in files_below("").into_iter().filter(|(name, _)| name.ends_with("Cargo.toml")) {
        assert!(
            name == "tools/faulty-disk/Cargo.toml" || !text.contains("terrane-faulty-disk"),
            "{name}: the faulty disk is a package of tests and their tool, and no dependency of anything"
        );
    }
    for (name, text) in sources_below("tools") {
        let uses = words(&code_of(&text), "rusqlite::").next().is_some();
        assert!(
            !uses || name.starts_with("tools/faulty-disk/"),
            "{name} names `rusqlite`: a save is opened through `store`"
        );
    }
}

/// G1: what may have to be exchanged one day is named in one place.
#[test]
fn only_their_owners_name_the_packages_that_may_be_exchanged() {
    let owners = listed("owners");
    assert!(owners.len() >= 7, "the list of owners is in docs/architecture.md");
    for (name, text) in sources_below("src") {
        let code = code_of(&text);
        for (packages, places) in &owners {
            for package in packages {
                let uses = words(&code, &format!("{package}::")).next().is_some();
                let owns = quoted(places).iter().any(|place| name[4..].starts_with(place.as_str()));
                assert!(!uses || owns, "{name} names `{package}`, which belongs to {places} alone");
            }
        }
    }
}

/// F3: what is planned depends on arguments alone. What is paid and granted is decided where there is neither a world, nor a
/// store, nor a clock, nor anything else of the system's.
#[test]
fn rewards_are_planned_without_bevy_sqlite_or_clocks() {
    let sources = sources_below("src/reward");
    assert!(sources.len() > 15, "only {} sources were found", sources.len());
    let may_use = ["ids", "protocol", "reward"];
    for (name, text) in &sources {
        let code = code_of(text);
        for package in
            ["bevy_ecs", "bevy_app", "bevy_tasks", "rusqlite", "getrandom", "crossbeam_channel", "tokio"]
        {
            assert_eq!(words(&code, package).next(), None, "{name} names `{package}`");
        }
        for module in ["std::time", "std::fs", "std::net", "std::thread", "std::env", "std::process"] {
            assert_eq!(words(&code, module).next(), None, "{name} names `{module}`");
        }
        for path in paths_in(&code) {
            assert!(may_use.contains(&path[0].as_str()), "{name} names `crate::{}`", path.join("::"));
        }
    }
}

/// Every path that follows `crate::`, braces resolved: `crate::{a, b::{c, d}}` is a, b::c, b::d.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        paths_from(&code[at + "crate::".len()..], &[], &mut found);
    }
    found
}

/// Reads one path, or a list of them in braces; returns what is left.
fn paths_from<'a>(text: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([' ', '\n', ',']);
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let left = paths_from(rest, before, found);
            // `as other`, or something this does not read: on to the next of the list.
            let end = left.find([',', '}']).unwrap_or(left.len());
            rest = &left[end..];
            if rest.is_empty() {
                return rest;
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let mut path = before.to_vec();
    path.push(text[..end].to_owned());
    match text[end..].strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => paths_from(rest, &path, found),
        _ => {
            found.push(path);
            &text[end..]
        }
    }
}

#[test]
fn paths_are_read_through_braces_and_names() {
    let code = "use crate::{a, b::{c as d, e}};\nfn f() -> crate::g::H<u8> { my_crate::i::j() }";
    let read: Vec<String> = paths_in(code).iter().map(|path| path.join("::")).collect();
    assert_eq!(read, ["a", "b::c", "b::e", "g::H"]);
}

/// The module that a path names: as many of its parts as are folders or files.
fn module_of(path: &[String], modules: &BTreeSet<String>) -> Option<String> {
    (1..=path.len()).rev().map(|parts| path[..parts].join("/")).find(|module| modules.contains(module))
}

#[test]
fn imports_go_from_lower_layers_to_upper_ones() {
    let layers: BTreeMap<String, usize> = listed("layers")
        .into_iter()
        .enumerate()
        .flat_map(|(layer, (names, _))| names.into_iter().map(move |name| (name, layer)))
        .collect();
    let layer_of = |module: &str| {
        let parts: Vec<&str> = module.split('/').collect();
        (1..=parts.len()).rev().find_map(|count| layers.get(&parts[..count].join("/"))).copied()
    };
    let sources = sources_below("src");
    let mut modules = BTreeSet::new();
    for (name, _) in &sources {
        let path = name["src/".len()..name.len() - ".rs".len()].trim_end_matches("/mod");
        let parts: Vec<&str> = path.split('/').collect();
        modules.extend((1..=parts.len()).map(|count| parts[..count].join("/")));
    }
    let mut imports = 0;
    for (name, text) in sources.iter().filter(|(name, _)| !is_test_file(name) && name != "src/lib.rs") {
        let module = name["src/".len()..name.len() - ".rs".len()].trim_end_matches("/mod");
        let own = layer_of(module).unwrap_or_else(|| panic!("{name} is in no layer of docs/architecture.md"));
        let folder = module.split('/').next();
        for path in paths_in(&code_of(text)) {
            let Some(used) = module_of(&path, &modules) else { continue };
            // Within a folder only its own parts of other layers matter.
            if used.split('/').next() == folder && !layers.contains_key(&used) {
                continue;
            }
            imports += 1;
            let layer = layer_of(&used).unwrap_or_else(|| panic!("{used} is in no layer"));
            assert!(
                layer <= own,
                "{name} imports `{used}`, which is of a lower layer: see docs/architecture.md"
            );
        }
    }
    assert!(imports > 200, "only {imports} imports were found: does this test still read them?");
}

#[test]
fn every_folder_says_what_it_does_does_not_do_reads_and_writes() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).expect("the library is there");
    let modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(modules.len() > 15, "lib.rs lists its modules");
    for module in modules {
        let Ok(text) = std::fs::read_to_string(root().join(format!("src/{module}/mod.rs"))) else { continue };
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let head = head
            .join("\n")
            .replace("**", "*")
            .to_lowercase()
            .replace("reads and writes*", "reads*, *writes*");
        for word in ["*does*", "*does not*", "*reads*", "*writes*"] {
            assert!(head.contains(word), "src/{module}/mod.rs does not say what it {word}");
        }
    }
}

/// G2.
#[test]
fn the_top_level_has_its_folders() {
    for path in [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "assets/config",
        "saves",
        "tools",
        "benches",
        "README.md",
        "deny.toml",
    ] {
        assert!(root().join(path).exists(), "{path} is missing");
    }
}

#[test]
fn nothing_names_a_place_of_one_machine_or_is_left_for_later() {
    let forbidden = ["/work/", "/root/", "/home/", "/Users/", "TODO", "FIXME", "HACK:"];
    for (name, text) in files_below("") {
        if name == "tests/worlds/repository.rs"
            || name.ends_with("Cargo.lock")
            || name.ends_with("clippy.toml")
        {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let found = forbidden.iter().find(|word| line.contains(*word));
            assert!(found.is_none(), "{name}:{}: {:?}", number + 1, found.unwrap());
        }
    }
}

#[test]
fn every_document_and_link_that_is_named_exists() {
    let files = files_below("");
    let documents: BTreeSet<&str> = files
        .iter()
        .filter_map(|(name, _)| name.rsplit('/').next())
        .filter(|name| name.ends_with(".md"))
        .collect();
    for (name, text) in &files {
        if !(name.ends_with(".md") || name.ends_with(".rs") || name.ends_with(".toml")) {
            continue;
        }
        for word in text.split(|c: char| !(c.is_alphanumeric() || "_-./".contains(c))) {
            let file = word.rsplit('/').next().unwrap_or(word);
            let is_document = file.strip_suffix(".md").is_some_and(|stem| !stem.is_empty());
            assert!(!is_document || documents.contains(file), "{name} names {word}, which does not exist");
        }
        if !name.ends_with(".md") {
            continue;
        }
        let folder = Path::new(name).parent().expect("a file has a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or(link);
            let outside = link.contains("://") || target.is_empty();
            assert!(
                outside || root().join(folder).join(target).exists(),
                "{name}: the link to {link} leads nowhere"
            );
        }
    }
}
