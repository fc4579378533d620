//! What the documents say is what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use terrane::prelude::*;
use terrane::telemetry::RunReport;
use terrane::testing::TestWorld;

#[expect(dead_code, unreachable_pub, reason = "an example is a program; here its parts are used")]
#[path = "../examples/lamps.rs"]
mod lamps;

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What stands between `<!-- name -->` and `<!-- /name -->`.
fn marked<'a>(document: &'a str, name: &str) -> &'a str {
    let begin = format!("<!-- {name} -->");
    let (_, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("{begin} is missing"));
    rest.split_once(&format!("<!-- /{name} -->")).unwrap_or_else(|| panic!("{begin} is not closed")).0
}

#[test]
fn the_game_in_the_readme_is_the_example_that_is_built_and_run() {
    let readme = read("README.md");
    let shown = marked(&readme, "lamps").trim().trim_start_matches("```rust").trim_end_matches("```").trim();
    assert_eq!(shown, read("examples/lamps.rs").trim(), "README.md must show examples/lamps.rs as it is");
}

/// G4, H4: a game of fifty lines, whole, through full encode and decode.
#[test]
fn a_lamp_near_a_player_burns_for_everybody_who_sees_it() {
    let game = lamps::town(ServerBuilder::default().add_cell_plugins(lamps::Lamps));
    let mut world = TestWorld::new(game, WorldSettings::default());
    let [alice, bob] = ["alice", "bob"].map(|name| world.connect(name));
    world.run(10);
    for player in [alice, bob] {
        let (view, schema) = (world[player].view(), world[player].schema());
        let lamps: Vec<bool> =
            view.entities().filter_map(|entity| Some(entity.component::<lamps::Lamp>(schema)?.lit)).collect();
        assert_eq!(lamps.iter().filter(|lit| **lit).count(), 1, "the lamp a metre away burns");
        assert!(lamps.len() >= 2, "those 50 m away are seen, and dark");
    }
}

/// The long flags that stand behind `begin` at the beginning of a line: not where one flag's text names another.
fn flags_in(text: &str, begin: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(begin));
    let names =
        lines.filter_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next());
    names.filter(|name| name.starts_with("--") && name.len() > 2).map(str::to_owned).collect()
}

fn help_of(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_terrane"))
        .args(command)
        .arg("--help")
        .output()
        .expect("the binary is built with its tests");
    assert!(output.status.success(), "{command:?} --help");
    String::from_utf8(output.stdout).expect("help is text")
}

/// All seven policies, as a field of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
struct Child {
    #[sync(server_only)]
    server_only: u32,
    #[sync(broadcast)]
    broadcast: u32,
    #[sync(masked = half)]
    masked: u32,
    #[sync(computed = always_five)]
    computed: u32,
    #[sync(per_player = for_alice)]
    per_player: u32,
    #[sync(per_player_slice)]
    per_player_slice: BTreeMap<PlayerId, u32>,
    #[sync(custom = for_owner)]
    custom: u32,
}

/// The same policies around it.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Parent {
    #[sync(server_only)]
    server_only: Child,
    #[sync(broadcast, nested)]
    broadcast: Child,
    #[sync(masked = child_as_it_is, nested)]
    masked: Child,
    #[sync(computed = a_child, nested)]
    computed: Child,
    #[sync(per_player = child_for_alice, nested)]
    per_player: Child,
    #[sync(per_player_slice, nested)]
    per_player_slice: BTreeMap<PlayerId, Child>,
    #[sync(custom = for_owner, nested)]
    custom: Child,
}

fn half(value: &u32) -> u32 {
    value / 2
}
fn always_five(_: &Child) -> u32 {
    5
}
fn for_alice(value: &u32, player: &PlayerId) -> Option<u32> {
    (player.as_str() == "alice").then_some(*value)
}
fn for_owner(viewing: &Viewing) -> bool {
    viewing.is_owner()
}
fn child_as_it_is(child: &Child) -> Child {
    child.clone()
}
fn a_child(parent: &Parent) -> Child {
    parent.broadcast.clone()
}
fn child_for_alice(child: &Child, player: &PlayerId) -> Option<Child> {
    (player.as_str() == "alice").then(|| child.clone())
}

/// B8: the table of pairs is what the naive sieve says to an owner and to a stranger.
#[test]
fn the_table_of_policies_in_one_another_is_what_the_sieve_says() {
    use terrane::replication::SyncFields;
    let [alice, bob] = ["alice", "bob"].map(|name| PlayerId::new(name).expect("a name"));
    let slice = BTreeMap::from([(alice.clone(), 8)]);
    let child = Child {
        server_only: 8,
        broadcast: 8,
        masked: 8,
        computed: 8,
        per_player: 8,
        per_player_slice: slice,
        custom: 8,
    };
    let parent = Parent {
        server_only: child.clone(),
        broadcast: child.clone(),
        masked: child.clone(),
        computed: Child::default(),
        per_player: child.clone(),
        per_player_slice: BTreeMap::from([(alice.clone(), child.clone())]),
        custom: child,
    };
    let subject = Subject::owned_by(alice.clone());
    let seen_by = |player: &PlayerId| {
        let viewer = ViewerContext::new(player.clone(), Role::Player);
        let reads = std::cell::Cell::new(terrane::replication::policy::Depends::NONE);
        let seen = parent.sieve(&Viewing::new(&viewer, NetId(1), &subject, &reads)).value;
        let own = seen.per_player_slice.get(&alice).cloned().unwrap_or_default();
        [seen.server_only, seen.broadcast, seen.masked, seen.computed, seen.per_player, own, seen.custom].map(
            |child| {
                let sliced = child.per_player_slice.values().copied().next().unwrap_or_default();
                [
                    child.server_only,
                    child.broadcast,
                    child.masked,
                    child.computed,
                    child.per_player,
                    sliced,
                    child.custom,
                ]
            },
        )
    };
    let (owner, stranger) = (seen_by(&alice), seen_by(&bob));
    let page = read("docs/policies.md");
    let rows: Vec<Vec<&str>> = marked(&page, "pairs")
        .trim()
        .lines()
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 7);
    for (number, row) in rows.iter().enumerate() {
        let found: Vec<&str> = owner[number]
            .iter()
            .zip(&stranger[number])
            .map(|pair| match pair {
                (0, 0) => "·",
                (a, b) if a == b => "=",
                _ => "≠",
            })
            .collect();
        assert_eq!(row[1..], found, "docs/policies.md, parent {}", row[0]);
    }
}

#[test]
fn docs_cli_lists_every_flag_of_every_command_and_no_other() {
    let document = read("docs/cli.md");
    let commands: [(&str, &[&str]); 14] = [
        ("run", &["run"]),
        ("config-check", &["config", "check"]),
        ("config-export", &["config", "export"]),
        ("config-reload", &["config", "reload"]),
        ("token", &["token"]),
        ("client", &["client"]),
        ("why", &["why"]),
        ("rules", &["rules"]),
        ("ban", &["ban"]),
        ("verify", &["verify"]),
        ("backup", &["backup"]),
        ("stats", &["stats"]),
        ("ranks", &["ranks"]),
        ("repair", &["repair"]),
    ];
    for (section, command) in commands {
        let documented = flags_in(marked(&document, section), "| `");
        let told = flags_in(&help_of(command), "");
        assert!(!told.is_empty(), "{command:?} --help lists flags");
        assert_eq!(documented, told, "docs/cli.md, between the marks of {section:?}, against `--help`");
    }
    // Flags of commands behind a save: of all of them together.
    let document_of = |section| flags_in(marked(&document, section), "| `");
    let told: BTreeSet<String> = ["list", "retry", "discard"]
        .iter()
        .flat_map(|what| flags_in(&help_of(&["compensations", "SAVE", what]), ""))
        .collect();
    assert_eq!(document_of("compensations"), told, "docs/cli.md, compensations, against `--help`");
    for command in [["client", "repl"], ["client", "script"]] {
        assert_eq!(
            flags_in(&help_of(&command), ""),
            BTreeSet::new(),
            "{command:?} has flags that docs/cli.md lacks"
        );
    }
}

#[test]
fn docs_cli_lists_every_command() {
    let help = help_of(&[]);
    let (_, rest) = help.split_once("Commands:").expect("clap lists commands");
    let (list, _) = rest.split_once("\n\n").expect("options follow");
    let document = read("docs/cli.md");
    for line in list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let command = line.split_whitespace().next().expect("a name");
        if command != "help" {
            assert!(document.contains(&format!("terrane {command}")), "docs/cli.md: {command} is missing");
        }
    }
}

/// The first cells of a Markdown table, without their backticks.
fn keys_in(table: &str) -> BTreeSet<String> {
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn docs_cli_lists_exactly_the_keys_of_the_report() {
    let report = serde_json::to_value(RunReport::default()).expect("a report is JSON");
    let keys = report.as_object().expect("one object").keys().cloned().collect();
    assert_eq!(
        keys_in(marked(&read("docs/cli.md"), "report")),
        keys,
        "docs/cli.md, the table of report keys"
    );
}

/// What a doc line of a test cites: `A1`, `Rules D5, E5: …`.
fn rules_cited(line: &str) -> Vec<String> {
    let Some(text) = line.trim().strip_prefix("///") else { return Vec::new() };
    let text = text.trim();
    let text = text.strip_prefix("Rules ").or_else(|| text.strip_prefix("Rule ")).unwrap_or(text);
    let mut rules = Vec::new();
    for word in text.split_whitespace() {
        let rule = word.trim_end_matches([',', ':', '.']);
        let (letter, number) = rule.split_at_checked(1).unwrap_or(("", ""));
        let is_rule = letter.bytes().all(|b| b.is_ascii_uppercase()) && !number.is_empty();
        if !is_rule || !number.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        rules.push(rule.to_owned());
        if !word.ends_with(',') {
            break;
        }
    }
    rules
}

#[test]
fn docs_cli_lists_every_bench() {
    let manifest = read("Cargo.toml");
    let benches: BTreeSet<String> = manifest
        .split("[[bench]]\nname = \"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    assert!(benches.contains("replicate"), "{benches:?}");
    let document = read("docs/cli.md");
    let table = marked(&document, "benches");
    assert_eq!(keys_in(table), benches, "docs/cli.md, the table of benches");
    for bench in benches {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{bench}`"))).expect("just seen");
        let documented = flags_in(&row.replace('`', "\n"), "");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(&bench);
        let source =
            if folder.is_dir() { format!("benches/{bench}/main.rs") } else { format!("benches/{bench}.rs") };
        let source = read(&source);
        let (_, arguments) = source.split_once("struct Args {").expect("a bench has arguments");
        let (arguments, _) = arguments.split_once("\n}").expect("they end");
        let lines: Vec<&str> = arguments.lines().map(str::trim).collect();
        let told =
            lines.windows(2).filter(|pair| pair[0].starts_with("#[arg(long") && !pair[0].contains("hide"));
        let told =
            told.filter_map(|pair| Some(format!("--{}", pair[1].split_once(':')?.0.replace('_', "-"))));
        assert_eq!(documented, told.collect(), "docs/cli.md, the flags of bench {bench}");
    }
}

#[test]
fn docs_cli_lists_exactly_the_keys_of_the_swarms_result() {
    let source = read("tools/swarm/src/report.rs");
    let (_, body) = source.split_once("pub(crate) struct Report {").expect("the result is a struct");
    let (body, _) = body.split_once("\n}").expect("it ends");
    let fields = body.lines().filter_map(|line| line.trim().split_once(": "));
    let keys =
        fields.map(|(name, _)| name).filter(|name| !name.starts_with("//")).map(str::to_owned).collect();
    assert_eq!(keys_in(marked(&read("docs/cli.md"), "swarm-keys")), keys, "docs/cli.md, the keys of swarm");
}

/// H4: the page that lists what a person may type lists all of it and nothing else: the lines of every game, and the shipped game's.
#[test]
fn docs_cli_lists_exactly_the_verbs_of_the_console() {
    use terrane::caravan::console::CaravanConsole;
    use terrane::client::ClientGame;
    let source = read("src/client/console.rs");
    let (_, of_every_game) = source.split_once("const VERBS: &[Verb] = &[").expect("it has verbs");
    let (of_every_game, _) = of_every_game.split_once("\n];").expect("they end");
    let usages = of_every_game.split("usage: \"").skip(1);
    let usages = usages.chain(CaravanConsole::VERBS.iter().map(|verb| verb.usage)).chain(["help"]);
    let first_word = |text: &str| text.split([' ', '"', '`']).next().unwrap_or_default().to_owned();
    let verbs: BTreeSet<String> = usages.map(first_word).collect();
    let document = read("docs/cli.md");
    let columns =
        marked(&document, "lines").lines().filter_map(|row| row.strip_prefix("| `")?.split_once(" | "));
    let listed = columns.flat_map(|(lines, _)| lines.split("`, `").map(first_word).collect::<Vec<_>>());
    assert_eq!(listed.collect::<BTreeSet<_>>(), verbs, "docs/cli.md, the table of lines");
}

#[test]
fn every_test_that_the_requirements_name_exists() {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests", "macros/tests", "tools"] {
        for (_, text) in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            tests.extend(names.map(str::to_owned));
        }
    }
    let document = read("docs/requirements.md");
    let named = document.split('`').skip(1).step_by(2).filter(|name| {
        name.matches('_').count() >= 3
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    });
    let mut count = 0;
    for name in named {
        count += 1;
        assert!(tests.contains(name), "docs/requirements.md names the test `{name}`, which does not exist");
    }
    assert!(count > 60, "only {count} tests found");
}

#[test]
fn every_rule_that_a_test_cites_stands_in_the_requirements() {
    let known: BTreeSet<String> = read("docs/requirements.md")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" |")?.0.to_owned()))
        .collect();
    assert!(known.contains("A1") && known.contains("H4"), "docs/requirements.md holds the table of rules");
    let mut cited = 0;
    for folder in ["src", "tests", "macros/tests", "benches", "tools"] {
        for (file, text) in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            for (number, line) in text.lines().enumerate() {
                for rule in rules_cited(line) {
                    cited += 1;
                    assert!(
                        known.contains(&rule),
                        "{file}:{}: rule {rule} is not in docs/requirements.md",
                        number + 1
                    );
                }
            }
        }
    }
    assert!(cited > 60, "only {cited} citations found: does this test still read them?");
}

#[test]
fn citations_are_read_with_and_without_words_around_them() {
    assert_eq!(rules_cited("    /// B9, A10: on a perfect network"), ["B9", "A10"]);
    assert_eq!(rules_cited("/// Rules D5, E5: a full disk"), ["D5", "E5"]);
    assert_eq!(rules_cited("/// A9. The same world"), ["A9"]);
    assert!(rules_cited("/// A place where caravans stop.").is_empty());
}

fn rust_files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target" && name != "peers") {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((
                path.display().to_string(),
                std::fs::read_to_string(&path).expect("sources are text"),
            ));
        }
    }
    files
}
