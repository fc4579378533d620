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
