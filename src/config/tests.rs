//! What files and flags come to, and the very words that wrong ones get.

use std::path::Path;

use proptest::prelude::*;

use super::key;
use super::*;

fn parse(text: &str) -> Result<WorldConfig, ConfigError> {
    WorldConfig::parse(Path::new("w.toml"), text.to_owned())
}

fn resolve(text: &str) -> Result<Settings, ConfigError> {
    Settings::resolve(&RunOptions::default(), Some(&parse(text)?))
}

fn flags(set: impl FnOnce(&mut RunOptions)) -> RunOptions {
    let mut options = RunOptions::default();
    set(&mut options);
    options
}

/// The only message of a file that is wrong.
#[track_caller]
fn message(text: &str) -> String {
    resolve(text).expect_err("the file is wrong").to_string()
}

/// The only message of flags that are wrong.
#[track_caller]
fn flag_message(set: impl FnOnce(&mut RunOptions)) -> String {
    Settings::resolve(&flags(set), None).expect_err("the flags are wrong").to_string()
}

#[test]
fn a_syntax_error_is_told_with_file_line_and_column() {
    assert_eq!(
        message("hz = 20\nname = \n"),
        "w.toml:2:8: string values must be quoted, expected literal string; correct the TOML there \
         (a line is KEY = VALUE, text stands in quotes)"
    );
    assert!(message("hz = 20\nhz = 21\n").starts_with("w.toml:2:1: duplicate key"));
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_that_exist() {
    assert_eq!(
        message("[space]\nenter_radius_m = 50\nradius = 3\n"),
        "w.toml:3:1: space.radius is no key of this file; expected one of: enter_radius_m, leave_radius_m, \
         top_speed_m_s, attach_reach_m, ghost_margin_m, view_entities_max, tiers, client_bytes_per_tick, bucket_m; correct its name or remove it"
    );
    let top = message("nmae = \"x\"\n");
    assert!(
        top.starts_with("w.toml:1:1: nmae is no key of this file; expected one of: name, saves,"),
        "{top}"
    );
    assert!(message("[game]\nx = 1\n").starts_with("w.toml:1:2: game is no key of this file"));
    for key_not_built_yet in ["dynamic = true", "record = true"] {
        assert!(message(key_not_built_yet).contains("is no key of this file"));
    }
}

#[test]
fn a_value_of_another_type_is_told_with_what_its_key_expects() {
    let fix = "correct it, or remove it to use the default";
    let cases = [
        ("hz = \"fast\"", "w.toml:1:6: hz is \"fast\"; expected a whole number from 1 to 120"),
        ("\n\nhz = -1", "w.toml:3:6: hz is -1; expected a whole number from 1 to 120"),
        ("threads = 1.5", "w.toml:1:11: threads is 1.5; expected a whole number from 1 to 256"),
        (
            "listen = \"localhost:5000\"",
            "w.toml:1:10: listen is \"localhost:5000\"; expected an address IP:PORT such as \"127.0.0.1:5000\" \
             or \"[::1]:5000\"",
        ),
        (
            "http = \"on\"",
            "w.toml:1:8: http is \"on\"; expected an address IP:PORT such as \"127.0.0.1:8080\", or \"off\"",
        ),
        (
            "grid = [5]",
            "w.toml:1:8: grid is [5]; expected columns and rows, at least 1 each and at most 4096 cells together, \
             such as [5, 5]",
        ),
        (
            "log = \"loud\"",
            "w.toml:1:7: log is \"loud\"; expected \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ),
        ("report = \"xml\"", "w.toml:1:10: report is \"xml\"; expected \"json\""),
        ("fast = 1", "w.toml:1:8: fast is 1; expected true or false"),
        (
            "[space]\nbucket_m = [1]",
            "w.toml:2:12: space.bucket_m is [1]; expected a number from 1 to 1000 (metres)",
        ),
        ("space = 3", "w.toml:1:9: space is 3; expected a table of keys under [space]"),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("{expected}; {fix}"), "of {text:?}");
    }
}

/// One look shows all that is wrong: a value of another type hides no other, and nothing is compared with a value
/// that nobody could read.
#[test]
fn values_that_cannot_be_read_do_not_hide_others() {
    let text = "hz = 500\nnpcs = -3\nbots = \"x\"\ngreed = 1\n[space]\nenter_radius_m = 90\nleave_radius_m = \"far\"\n";
    let message = message(text);
    let begins: Vec<&str> =
        message.lines().map(|line| line.split(" is ").next().unwrap_or_default()).collect();
    assert_eq!(
        begins,
        [
            "w.toml:2:8: npcs",
            "w.toml:3:8: bots",
            "w.toml:4:1: greed",
            "w.toml:7:18: space.leave_radius_m",
            "w.toml:1:6: hz"
        ],
        "{message}"
    );
}

/// Players are told a port that somebody listens on.
#[test]
fn a_fixed_public_port_needs_a_fixed_port_to_listen_on() {
    let message = flag_message(|options| {
        options.listen = Some("127.0.0.1:0".parse().unwrap());
        options.public = Some("127.0.0.1:6000".parse().unwrap());
    });
    assert_eq!(
        message,
        "--public is 127.0.0.1:6000; expected a fixed port in listen, not 127.0.0.1:0: any free port is none that \
         players know; give --listen the port that is reached there, or leave public out"
    );
}

#[test]
fn a_games_own_name_counts_where_nobody_gives_another() {
    let name = |flag: Option<&str>, text: &str| {
        let options = flags(|options| {
            options.name = flag.map(str::to_owned);
            options.name_default = Some("lamps".into());
        });
        Settings::resolve(&options, Some(&parse(text).unwrap())).unwrap().world.name
    };
    assert_eq!(name(None, ""), "lamps");
    assert_eq!(name(None, "name = \"town\""), "town");
    assert_eq!(name(Some("city"), "name = \"town\""), "city");
}

#[test]
fn a_value_out_of_range_is_told_with_its_range() {
    let fix = "correct it, or remove it to use the default";
    let name = "1 to 64 letters, digits, \"-\", \"_\" or \".\", not beginning with \".\" or \"-\"";
    let grid = "columns and rows, at least 1 each and at most 4096 cells together, such as [5, 5]";
    let size = "width and depth in metres, 1 to 65536 each, such as [1000, 1000]";
    let cases = [
        ("hz = 0", "1:6: hz is 0", "a whole number from 1 to 120"),
        ("hz = 121", "1:6: hz is 121", "a whole number from 1 to 120"),
        ("threads = 0", "1:11: threads is 0", "a whole number from 1 to 256"),
        ("shards = 33", "1:10: shards is 33", "a whole number from 1 to 32"),
        ("max_players = 0", "1:15: max_players is 0", "a whole number from 1 to 32768"),
        ("npcs = 1000001", "1:8: npcs is 1000001", "a whole number from 0 to 1000000"),
        ("bots = 65537", "1:8: bots is 65537", "a whole number from 0 to 65536"),
        ("ticks = 0", "1:9: ticks is 0", "a whole number from 1 to 18446744073709551615"),
        ("audit_every = 0", "1:15: audit_every is 0", "a whole number from 1 to 4294967295"),
        ("name = \"../x\"", "1:8: name is \"../x\"", name),
        ("name = \"\"", "1:8: name is \"\"", name),
        ("saves = \"\"", "1:9: saves is empty", "a path in quotes"),
        ("key_file = \"\"", "1:12: key_file is empty", "a path in quotes"),
        ("grid = [0, 5]", "1:8: grid is 0x5", grid),
        ("grid = [65, 64]", "1:8: grid is 65x64", grid),
        ("grid = [4294967295, 4294967295]", "1:8: grid is 4294967295x4294967295", grid),
        ("size_m = [65537, 10]", "1:10: size_m is [65537.0, 10.0]", size),
        ("size_m = [0, 10]", "1:10: size_m is [0.0, 10.0]", size),
        ("size_m = [nan, 10]", "1:10: size_m is [NaN, 10.0]", size),
        ("[session]\ngrace_s = 3601", "2:11: session.grace_s is 3601", "a whole number from 0 to 3600"),
        (
            "[session]\nreplies_kept_s = 59",
            "2:18: session.replies_kept_s is 59",
            "a whole number from 60 to 2592000",
        ),
        (
            "[network]\nconnections_per_address = 0",
            "2:27: network.connections_per_address is 0",
            "a whole number from 1 to 65536",
        ),
        ("[network]\nlogin_s = 59", "2:11: network.login_s is 59", "a whole number from 60 to 31536000"),
        (
            "[network]\nclient_bytes_per_s = 100",
            "2:22: network.client_bytes_per_s is 100",
            "a whole number from 16384 to 16777216",
        ),
        (
            "[network]\nclient_messages_per_s = 1",
            "2:25: network.client_messages_per_s is 1",
            "a whole number from 200 to 100000",
        ),
        (
            "[network]\nreconnect_token_s = 1",
            "2:21: network.reconnect_token_s is 1",
            "a whole number from 30 to 86400",
        ),
        ("[save]\nimage_every_s = 0", "2:17: save.image_every_s is 0", "a whole number from 1 to 86400"),
        (
            "[save]\nperiodic_every_s = 3601",
            "2:20: save.periodic_every_s is 3601",
            "a whole number from 1 to 3600",
        ),
        (
            "[save]\nclaims_kept_s = 59",
            "2:17: save.claims_kept_s is 59",
            "a whole number from 60 to 31536000",
        ),
        (
            "[save]\nhistory_kept_s = 3599",
            "2:18: save.history_kept_s is 3599",
            "a whole number from 3600 to 315360000",
        ),
        (
            "[space]\nview_entities_max = 257",
            "2:21: space.view_entities_max is 257",
            "a whole number from 1 to 256",
        ),
        (
            "[space]\ntop_speed_m_s = inf",
            "2:17: space.top_speed_m_s is inf",
            "a number from 0.1 to 1000 (metres per second)",
        ),
        (
            "[space]\nleave_radius_m = 253",
            "2:18: space.leave_radius_m is 253",
            "a number from 1 to 252 (metres)",
        ),
        (
            "[space]\nenter_radius_m = nan",
            "2:18: space.enter_radius_m is NaN",
            "a number from 1 to 252 (metres)",
        ),
    ];
    for (text, found, expected) in cases {
        assert_eq!(message(text), format!("w.toml:{found}; expected {expected}; {fix}"), "of {text:?}");
    }
}

#[test]
fn values_that_contradict_each_other_are_told_where_they_stand() {
    let cases = [
        (
            "[space]\nenter_radius_m = 50\nleave_radius_m = 50",
            "w.toml:3:18: space.leave_radius_m is 50; expected more than enter_radius_m, 50; raise it: what \
             enters must not leave at once",
        ),
        (
            "[space]\nenter_radius_m = 60",
            "w.toml:2:18: space.enter_radius_m is 60; expected less than leave_radius_m, 55 by default; lower \
             it, or set space.leave_radius_m above it",
        ),
        (
            "hz = 20\n[space]\nghost_margin_m = 57",
            "w.toml:3:18: space.ghost_margin_m is 57; expected at least 57.5: leave_radius_m 55 + a step of 0.5 \
             (top_speed_m_s 10 / hz 20) + attach_reach_m 2; raise it, or remove it to use just that",
        ),
        (
            "max_players = 1025\nshards = 1",
            "w.toml:2:10: shards is 1; expected at least 2 for max_players 1025: a shard holds 1024; raise it, \
             lower max_players, or leave shards out to have enough",
        ),
        (
            "listen = \"127.0.0.1:65535\"\nshards = 2",
            "w.toml:1:10: listen is 127.0.0.1:65535; expected a port of at most 65534: 2 shards take a port \
             each; choose a lower port, or fewer shards",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), expected, "of {text:?}");
    }
}

#[test]
fn an_address_beyond_loopback_needs_key_and_token() {
    let files = "expected a loopback address, or both a key file and an admin token file; give";
    assert_eq!(
        message("listen = \"192.0.2.1:5000\""),
        format!("w.toml:1:10: listen is 192.0.2.1:5000; {files} --key-file FILE and --admin-token-file FILE")
    );
    assert_eq!(
        message("key_file = \"k\"\npublic = \"192.0.2.1:5000\""),
        format!("w.toml:2:10: public is 192.0.2.1:5000; {files} --admin-token-file FILE")
    );
    assert_eq!(
        flag_message(|options| options.http = Some("192.0.2.1:80".parse().unwrap())),
        format!("--http is 192.0.2.1:80; {files} --key-file FILE and --admin-token-file FILE")
    );
    let both = "key_file = \"k\"\nadmin_token_file = \"a\"\n";
    assert!(resolve(&format!("{both}listen = \"192.0.2.1:5000\"")).is_ok());
    assert_eq!(
        message(&format!("{both}listen = \"0.0.0.0:5000\"")),
        "w.toml:3:10: listen is 0.0.0.0:5000; expected the address that players reach, which tokens must name; \
         give it with --public ADDR, or listen on one address"
    );
    assert_eq!(
        message(&format!("{both}public = \"0.0.0.0:5000\"")),
        "w.toml:3:10: public is 0.0.0.0:5000; expected an address and port that players can reach; name the \
         one they connect to"
    );
    assert!(resolve("listen = \"[::1]:5000\"").is_ok(), "IPv6 loopback is loopback");
}

#[test]
fn a_wrong_flag_is_named_and_not_the_file() {
    let fix = "correct it, or leave the flag out";
    assert_eq!(
        flag_message(|options| options.hz = Some(0)),
        format!("--hz is 0; expected a whole number from 1 to 120; {fix}")
    );
    assert_eq!(
        flag_message(|options| options.grid = Some(GridSize { columns: 1, rows: 0 })),
        format!(
            "--grid is 1x0; expected columns and rows, at least 1 each and at most 4096 cells together, \
             such as [5, 5]; {fix}"
        )
    );
    let file = parse("hz = 0").unwrap();
    let options = flags(|options| options.hz = Some(30));
    assert!(Settings::resolve(&options, Some(&file)).is_ok(), "the flag replaces the wrong value");
}

#[test]
fn all_wrong_values_are_told_at_once() {
    let error = resolve("hz = 0\nthreads = 0\n[save]\nimage_every_s = 0\n").unwrap_err();
    let keys: Vec<&str> = error.problems().iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["hz", "threads", "save.image_every_s"]);
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = parse("hz = 25\nseed = 7\nname = \"north\"\nfast = true\n").unwrap();
    let options = flags(|options| {
        options.hz = Some(30);
        options.name = Some("south".into());
    });
    let settings = Settings::resolve(&options, Some(&file)).unwrap();
    assert_eq!((settings.run.hz, settings.world.name.as_str()), (30, "south"), "flags win");
    assert_eq!((settings.world.seed.value, settings.run.pace), (7, Pace::Lockstep), "the file is next");
    assert_eq!(
        settings.world.grid,
        Sourced::default_of(GridSize { columns: 5, rows: 5 }),
        "then the default"
    );
    let place = FilePlace { file: "w.toml".into(), line: 2, column: 8 };
    assert_eq!(settings.world.seed.origin, Origin::File(place), "the origin is kept");
    let options = flags(|options| options.seed = Some(9));
    let settings = Settings::resolve(&options, Some(&file)).unwrap();
    assert_eq!(settings.world.seed, Sourced::flag("--seed", 9));
}

#[test]
fn enough_shards_are_taken_for_the_players_unless_they_are_counted_out() {
    for (players, shards) in [(1, 1), (1_024, 1), (1_025, 2), (32_768, 32)] {
        let settings = resolve(&format!("max_players = {players}")).unwrap();
        assert_eq!(settings.network.shards, shards, "for {players} players");
    }
}

/// Rule A9: cells of 2 to 3 radii and 20 to 30 Hz are advice, not law.
#[test]
fn small_cells_and_odd_rates_are_warned_of_and_allowed() {
    let settings = resolve("hz = 60\ngrid = [20, 1]\n").unwrap();
    let warnings: Vec<String> = settings.warnings.iter().map(Problem::to_string).collect();
    assert_eq!(
        warnings,
        [
            "w.toml:1:6: hz is 60; expected 20 to 30, as advised; expect choppy movement below, and a shorter \
             time for each tick above",
            "w.toml:2:8: grid is 20x1; expected cells of at least 100 m, twice the enter radius, as advised, not \
             50 m; use fewer cells, a larger world or a smaller radius: most of a small cell are ghosts",
        ]
    );
    assert!(resolve("").unwrap().warnings.is_empty(), "the defaults are as advised");
}

#[test]
fn a_save_that_is_adopted_replaces_seed_grid_and_size_and_the_warning_about_cells() {
    let mut settings = resolve("grid = [20, 20]").unwrap();
    assert_eq!(settings.warnings.len(), 1);
    settings.adopt(3, GridSize { columns: 2, rows: 1 }, [400.0, 200.0]);
    assert!(settings.warnings.is_empty());
    assert_eq!(settings.world.cell_size_m(), [200.0, 200.0]);
    assert_eq!(settings.world.seed, Sourced { value: 3, origin: Origin::Save });
}

#[test]
fn the_shipped_file_is_fine_and_its_comments_tell_the_truth() {
    let shipped = include_str!("../../assets/config/world.toml");
    let file = WorldConfig::parse(Path::new("world.toml"), shipped.to_owned()).unwrap();
    let settings = Settings::resolve(&RunOptions::default(), Some(&file)).unwrap();
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    // Every key stands in it, if only as an example in a comment, and the examples are right as well.
    let all: String = shipped
        .lines()
        .filter(|line| !line.starts_with("# ") || line.contains(" = ") && !line.contains("; "))
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line)))
        .collect();
    let all =
        WorldConfig::parse(Path::new("world.toml"), all.clone()).unwrap_or_else(|e| panic!("{e}\n{all}"));
    let settings = Settings::resolve(&RunOptions::default(), Some(&all)).unwrap();
    assert_eq!(settings.space.ghost_margin_m, 57.5);
    for key in key::ALL {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(shipped.contains(&format!("{name} = ")), "world.toml says nothing of {name}");
    }
}

#[test]
fn every_run_flag_is_also_a_key_of_the_file() {
    use clap::Args;
    let command = RunOptions::augment_args(clap::Command::new("run"));
    let mut flags: Vec<String> =
        command.get_arguments().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect();
    flags.retain(|flag| flag != "--config");
    flags.sort();
    let mut keys: Vec<&str> = key::ALL.iter().filter_map(|key| key.flag).collect();
    keys.sort_unstable();
    assert_eq!(flags, keys);
    for key in key::ALL.iter().filter(|key| key.flag.is_some()) {
        assert_eq!(key.flag.unwrap(), format!("--{}", key.path.replace('_', "-")));
    }
}

#[test]
fn a_file_that_is_missing_or_huge_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let options = flags(|options| options.config = Some(missing.clone()));
    let text = Settings::load(&options).unwrap_err().to_string();
    assert!(text.starts_with(&format!("{}: cannot be read", missing.display())), "{text}");
    assert!(text.ends_with("name a readable TOML file with --config"), "{text}");
    let huge = folder.path().join("huge.toml");
    std::fs::write(&huge, vec![b'#'; CONFIG_BYTES_MAX as usize + 1]).unwrap();
    assert!(matches!(WorldConfig::load(&huge), Err(ConfigError::TooLarge { .. })));
}

proptest! {
    /// Whatever stands in a file, it is understood or refused with a place; nothing panics.
    #[test]
    fn any_text_is_understood_or_refused_with_a_place(
        lines in proptest::collection::vec(
            prop_oneof![
                "(hz|seed|grid|size_m|listen|http|name|space|npcs) = (-?[0-9]{1,20}|\\[[0-9, ]{0,6}\\]|\"[a-z:0-9]{0,8}\"|nan|\\{ ?\\})",
                "\\[(space|session|save|x)\\]",
                "(enter_radius_m|bucket_m) = -?[0-9.e]{1,6}",
                "\\PC{0,12}",
            ],
            0..6,
        ),
    ) {
        if let Err(error) = resolve(&lines.join("\n")) {
            let text = error.to_string();
            prop_assert!(text.lines().all(|line| line.starts_with("w.toml:") || line.starts_with("the default")), "{text}");
        }
    }

    /// What is accepted keeps every relation that the rest of the server relies on.
    #[test]
    fn accepted_settings_keep_the_margins(
        enter in 0.0f32..300.0, leave in 0.0f32..300.0, speed in 0.0f32..1_200.0, hz in 0u64..140,
    ) {
        let text = format!(
            "hz = {hz}\n[space]\nenter_radius_m = {enter:?}\nleave_radius_m = {leave:?}\ntop_speed_m_s = {speed:?}\n"
        );
        if let Ok(settings) = resolve(&text) {
            let space = settings.space;
            prop_assert!(space.leave_radius_m > space.enter_radius_m);
            let step_m = space.top_speed_m_s * settings.run.step_s();
            prop_assert!(space.ghost_margin_m >= (space.leave_radius_m + step_m + space.attach_reach_m) * 0.999_999);
            prop_assert!(space.leave_radius_m <= crate::limits::LEAVE_RADIUS_M_MAX);
        }
    }
}
