//! What the documents say of `swarm` is what it does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
fn docs_cli_lists_every_flag_of_swarm_and_no_other() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_swarm")).arg("--help").output().expect("it is built with its tests");
    let help = String::from_utf8(output.stdout).expect("help is text");
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md")).unwrap();
    let (_, rest) = document.split_once("<!-- swarm -->").expect("the table begins");
    let (table, _) = rest.split_once("<!-- /swarm -->").expect("the table ends");
    // At the beginning of a line of the help, of a row of the table: not where one flag's text names another.
    let flags = |text: &str, begin: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(begin));
        let names = lines
            .map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap_or(""));
        names.filter(|name| name.starts_with("--") && name.len() > 2).map(str::to_owned).collect()
    };
    let told = flags(&help, "");
    assert!(told.len() > 10, "{help}");
    assert_eq!(flags(table, "| `"), told, "docs/cli.md, the flags of swarm, against --help");
}

#[test]
fn docs_cli_lists_exactly_the_keys_of_what_came_of_abuse() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(root.join("src/abuse/mod.rs")).unwrap();
    let document = std::fs::read_to_string(root.join("../../docs/cli.md")).unwrap();
    let (_, body) = source.split_once("\nstruct Report {").expect("the result is a struct");
    let (body, _) = body.split_once("\n}").expect("it ends");
    let fields = body.lines().filter_map(|line| line.trim().split_once(": "));
    let keys: BTreeSet<&str> = fields.map(|(name, _)| name).filter(|name| !name.starts_with("//")).collect();
    let (_, rest) = document.split_once("<!-- swarm-abuse-keys -->").expect("the table begins");
    let (table, _) = rest.split_once("<!-- /swarm-abuse-keys -->").expect("the table ends");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<&str>>(), keys, "docs/cli.md, the keys of abuse");
}
