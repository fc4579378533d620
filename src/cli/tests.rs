//! What command lines come to.

use std::path::Path;

use super::args::clap_command;
use super::*;
use crate::config::{
    CONFIG_FILE_DEFAULT, GridSize, HttpListen, LogLevel, ReportFormat, RunOptions, Settings,
};
use crate::ids::Role;

fn words(line: &str) -> Vec<String> {
    std::iter::once("terrane").chain(line.split_whitespace()).map(str::to_owned).collect()
}

#[track_caller]
fn run(line: &str) -> RunOptions {
    match parse(words(line)).unwrap_or_else(|error| panic!("{line}: {error}")) {
        Command::Run(options) => *options,
        other => panic!("{line} is {other:?}"),
    }
}

/// The message of a command line that is wrong.
#[track_caller]
fn refused(line: &str) -> String {
    let error = parse(words(line)).expect_err("the command line is wrong");
    assert_eq!(error.exit_code(), ExitCode::Usage, "{error}");
    error.to_string()
}

#[test]
fn the_command_line_is_well_formed() {
    clap_command().debug_assert();
}

#[test]
fn running_is_what_happens_without_a_command() {
    assert_eq!(run("--npcs 5").npcs, Some(5));
    assert_eq!(run("run --npcs 5").npcs, Some(5));
    assert_eq!(run("").npcs, None);
}

#[test]
fn every_flag_of_a_run_is_understood() {
    let options = run("--config c.toml --saves s --name n --listen 127.0.0.1:1 --public [::1]:2 --shards 3 \
         --max-players 4 --http off --key-file k --admin-token-file a --threads 5 --hz 6 --seed 7 --grid 8x9 \
         --ticks 10 --fast --npcs 11 --bots 12 --audit-every 13 --log debug --report json");
    assert_eq!(options.config.as_deref(), Some(Path::new("c.toml")));
    assert_eq!(options.saves.as_deref(), Some(Path::new("s")));
    assert_eq!(options.name.as_deref(), Some("n"));
    assert_eq!(options.listen, Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(options.public, Some("[::1]:2".parse().unwrap()));
    assert_eq!((options.shards, options.max_players), (Some(3), Some(4)));
    assert_eq!(options.http, Some(HttpListen::Off));
    assert_eq!(options.key_file.as_deref(), Some(Path::new("k")));
    assert_eq!(options.admin_token_file.as_deref(), Some(Path::new("a")));
    assert_eq!((options.threads, options.hz, options.seed), (Some(5), Some(6), Some(7)));
    assert_eq!(options.grid, Some(GridSize { columns: 8, rows: 9 }));
    assert_eq!((options.ticks, options.fast), (Some(10), true));
    assert_eq!((options.npcs, options.bots, options.audit_every), (Some(11), Some(12), Some(13)));
    assert_eq!((options.log, options.report), (Some(LogLevel::Debug), Some(ReportFormat::Json)));
    assert_eq!(run("--seed 18446744073709551615").seed, Some(u64::MAX));
}

#[test]
fn wrong_flags_are_refused_by_name_with_what_was_expected() {
    for (line, flag, expected) in [
        ("--grid 5", "--grid <NxM>", "expected columns x rows such as 5x5"),
        ("--grid 5x", "--grid <NxM>", "expected columns x rows such as 5x5"),
        ("--listen localhost:5000", "--listen <ADDR>", "expected an address IP:PORT such as"),
        ("--http on", "--http <ADDR|off>", "or \"off\""),
        ("--log loud", "--log <LEVEL>", "[possible values: off, error, warn, info, debug, trace]"),
        ("--report xml", "--report <FORMAT>", "[possible values: json]"),
        ("--npcs many", "--npcs <N>", "expected a whole number from 0 on"),
        ("--npcs -5", "'-5' for '--npcs <N>'", "expected a whole number from 0 on"),
        ("run --npcs -5", "'-5' for '--npcs <N>'", "expected a whole number from 0 on"),
        ("--hz 20.5", "'20.5' for '--hz <N>'", "expected a whole number from 0 on"),
        ("--bots x", "'x' for '--bots <N>'", "expected a whole number from 0 on"),
        ("--npcs", "--npcs <N>", "a value is required"),
        ("--hz 20 --hz 30", "--hz <N>", "cannot be used multiple times"),
        ("--npcs 5 run", "run", "cannot be used with"),
        ("fly", "fly", "unrecognized subcommand"),
    ] {
        let message = refused(line);
        assert!(message.contains(flag) && message.contains(expected), "{line}: {message}");
    }
}

#[test]
fn flags_whose_capability_is_not_built_are_absent_and_not_ignored() {
    for flag in ["--dynamic on", "--record off"] {
        let message = refused(flag);
        assert!(message.contains("unexpected argument"), "{message}");
    }
}

#[test]
fn tokens_name_player_address_key_and_role() {
    let line = "token --player alice --public 192.0.2.1:5000 --key-file k";
    let Command::Token(token) = parse(words(line)).unwrap() else { panic!("a token") };
    assert_eq!((token.player.as_str(), token.role, token.expires_s), ("alice", Role::Player, 300));
    assert_eq!(token.public, "192.0.2.1:5000".parse().unwrap());
    let Command::Token(token) = parse(words(&format!("{line} --role gm --expires 60"))).unwrap() else {
        panic!("a token")
    };
    assert_eq!((token.role, token.expires_s), (Role::Gm, 60));
    assert!(refused(&format!("{line} --role king")).contains("[possible values: player, gm, admin]"));
    assert!(
        refused("token --player a --public 1.2.3.4:5 --key-file k --expires 0").contains("0 is not in 1..=")
    );
    assert!(refused("token --player alice").contains("--public <ADDR>"));
    let long = "x".repeat(33);
    let message = refused(&format!("token --player {long} --public 1.2.3.4:5 --key-file k"));
    assert!(message.contains("a player name has 1 to 32 bytes"), "{message}");
}

#[test]
fn clients_are_driven_by_a_person_or_by_a_script() {
    let parsed = parse(words("client --server 127.0.0.1:5000 --player bob repl")).unwrap();
    let Command::Client(client) = parsed else { panic!("a client") };
    assert_eq!(client.player.unwrap().as_str(), "bob");
    assert_eq!(client.mode, ClientMode::Repl);
    let parsed = parse(words("client --server 127.0.0.1:5000 --token t script walk.txt")).unwrap();
    let Command::Client(client) = parsed else { panic!("a client") };
    assert_eq!(client.token.as_deref(), Some(Path::new("t")));
    assert_eq!(client.mode, ClientMode::Script { file: "walk.txt".into() });
    assert!(
        refused("client --server 127.0.0.1:5000 --player bob --token t repl").contains("cannot be used with")
    );
    refused("client --server 127.0.0.1:5000");
    refused("client repl");
}

#[test]
fn help_and_version_are_no_failure() {
    for line in ["--help", "run --help", "config check --help", "client --help", "token --help", "--version"]
    {
        let error = parse(words(line)).expect_err("help is shown in place of a command");
        assert_eq!(error.exit_code(), ExitCode::Fine, "{line}");
    }
    let help = parse(words("run --help")).unwrap_err().to_string();
    for arg in clap_command().find_subcommand("run").unwrap().get_arguments() {
        let long = arg.get_long().unwrap();
        assert!(help.contains(&format!("--{long}")), "{long} is missing in {help}");
        assert!(arg.get_help().is_some(), "{long} says nothing");
    }
}

fn check(text: &str, json: bool) -> (ExitCode, String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    std::fs::write(&file, text).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = ConfigCheckOptions { file: file.clone(), json };
    let exit = config_check(&options, None, |_| Vec::new(), &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (exit, text(out), text(err), file.display().to_string())
}

#[test]
fn config_check_tells_people_on_stderr_and_programs_on_stdout() {
    let (exit, out, err, file) = check("hz = 20\n", false);
    assert_eq!((exit, out.as_str(), err), (ExitCode::Fine, "", format!("{file}: fine\n")));

    let (exit, out, err, file) = check("hz = 10\n", true);
    assert_eq!(exit, ExitCode::Fine, "unwise is not wrong");
    assert!(err.starts_with(&format!("warning: {file}:1:6: hz is 10;")), "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["ok"], &json["warnings"][0]["key"]), (&true.into(), &"hz".into()));

    let (exit, out, err, file) = check("threads = 1\nhz = 0\nbots = 70000\n", true);
    assert_eq!(exit, ExitCode::Usage);
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(err.starts_with(&format!("error: {file}:2:6: hz is 0;")), "{err}");
    assert_eq!(out.lines().count(), 1, "one object on one line");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["ok"], false);
    let place = &json["problems"][0]["origin"]["file"];
    assert_eq!((&place["line"], &place["column"], &place["file"]), (&2.into(), &6.into(), &file.into()));
}

/// What a run would refuse, a check refuses: also files that the configuration only names.
#[test]
fn config_check_tells_what_is_wrong_with_named_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    std::fs::write(&file, "key_file = \"no.key\"\n").unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = ConfigCheckOptions { file, json: true };
    let named_files = |settings: &Settings| vec![format!("{:?} is missing", settings.network.key_file)];
    assert_eq!(config_check(&options, None, named_files, &mut out, &mut err).unwrap(), ExitCode::Usage);
    assert_eq!(String::from_utf8(err).unwrap(), "error: Some(\"no.key\") is missing\n");
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&json["ok"], &json["error"]), (&false.into(), &"Some(\"no.key\") is missing".into()));
}

#[test]
fn config_check_of_a_missing_file_is_wrong_usage() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = ConfigCheckOptions { file: "no/such.toml".into(), json: true };
    assert_eq!(config_check(&options, None, |_| Vec::new(), &mut out, &mut err).unwrap(), ExitCode::Usage);
    assert!(String::from_utf8(err).unwrap().starts_with("error: no/such.toml: cannot be read"));
    assert!(String::from_utf8(out).unwrap().contains("\"error\":\"no/such.toml: cannot be read"));
}

#[test]
fn the_defaults_that_the_help_tells_are_the_defaults() {
    let settings = Settings::resolve(&RunOptions::default(), None).unwrap();
    let (world, network, run) = (&settings.world, &settings.network, &settings.run);
    let defaults = [
        ("config", CONFIG_FILE_DEFAULT.to_owned()),
        ("saves", world.saves.display().to_string()),
        ("name", world.name.clone()),
        ("seed", world.seed.value.to_string()),
        ("grid", world.grid.value.to_string()),
        ("listen", network.listen.to_string()),
        ("max-players", network.players_max.to_string()),
        ("http", network.http.unwrap().to_string()),
        ("hz", run.hz.to_string()),
        ("npcs", run.npcs.to_string()),
        ("bots", run.bots.to_string()),
        ("log", run.log.as_str().to_owned()),
    ];
    let command = clap_command();
    for (flag, default) in defaults {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag)).unwrap();
        let help = arg.get_help().unwrap().to_string();
        assert!(help.contains(&format!("[default: {default}]")), "--{flag}: {help}");
    }
}
