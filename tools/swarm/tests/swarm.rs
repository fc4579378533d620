//! The program against a world with sockets.

#[path = "../../../tests/support/paced.rs"]
mod paced;

use std::net::SocketAddr;
use std::process::{Command, Output};

use paced::PacedWorld;
use terrane::net::{NetLimits, SecretKey};
use terrane::server::WorldSettings;

fn settings() -> WorldSettings {
    WorldSettings { npcs: Some(1_000), audit_every: Some(5), ..WorldSettings::default() }
}

fn swarm(server: SocketAddr, flags: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swarm"))
        .args(["--server", &server.to_string()])
        .args(flags.split_whitespace())
        .output()
        .expect("the program starts")
}

#[track_caller]
fn result(output: &Output) -> serde_json::Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout.lines().count(), 1, "one object on one line: {stdout:?} {}", stderr(output));
    serde_json::from_str(&stdout).expect("JSON")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A12, A13: in every profile, over two shards, nobody is lost, nothing fails, and everything is measured.
#[test]
fn every_profile_plays_without_a_fault() {
    for profile in ["walk", "crowd", "border", "trade", "caravan"] {
        let world = PacedWorld::start(settings(), 2, None, |_| {});
        let flags = format!("--shards 2 --clients 30 --seconds 6 --ramp 0.5 --profile {profile} --json");
        let output = swarm(world.addresses[0], &flags);
        let result = result(&output);
        assert_eq!(output.status.code(), Some(0), "{result} {}", stderr(&output));
        for (key, expected) in [
            ("clients", 30),
            ("connected", 30),
            ("lost", 0),
            ("removed", 0),
            ("returned", 0),
            ("acted_after_takeover", 0),
            ("audit_failures", 0),
            ("decode_errors", 0),
        ] {
            assert_eq!(result[key], expected, "{key}: {result}");
        }
        for key in ["updates", "audits", "visible_p50", "bytes_per_client_tick_p50"] {
            assert!(result[key].as_u64() > Some(0), "{key}: {result}");
        }
        for key in
            ["update_interval_ms_p50", "update_interval_ms_p99", "action_rtt_ms_p50", "action_rtt_ms_p99"]
        {
            assert!(result[key].as_f64() > Some(0.0), "{key}: {result}");
        }
        let report = world.stop();
        assert_eq!((report.players, report.audits.failures), (0, 0), "they left, and the world agrees");
    }
}

/// A8, B9: loss and delay cost time, not truth.
#[test]
fn a_bad_network_makes_nothing_wrong() {
    let world = PacedWorld::start(settings(), 1, None, |_| {});
    let flags = "--clients 20 --seconds 5 --ramp 0.5 --loss 5 --delay-ms 60 --jitter-ms 10 --json";
    let output = swarm(world.addresses[0], flags);
    let result = result(&output);
    assert_eq!(output.status.code(), Some(0), "{result} {}", stderr(&output));
    assert!(result["action_rtt_ms_p50"].as_f64() > Some(100.0), "there and back: {result}");
}

/// A8, B9, B15: with a key and so with game masters, under loss, of all that policies decide by nothing stays as it is,
/// and no audit fails.
#[test]
fn all_policies_in_use_on_a_bad_network_make_nothing_wrong() {
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};
    use terrane::ids::{FactKey, PartyId, PlayerId, Role};
    use terrane::session::Sessions;

    type Sides = BTreeMap<PlayerId, (BTreeSet<Option<PartyId>>, BTreeSet<Role>, BTreeSet<bool>)>;
    let folder = std::env::temp_dir().join(format!("swarm-busy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("key");
    std::fs::write(&file, [7; 32]).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("own file");
    let sides = Arc::new(Mutex::new(Sides::new()));
    let seen = sides.clone();
    let world = PacedWorld::start(settings(), 1, Some(SecretKey::new([7; 32])), move |server| {
        let mut seen = seen.lock().expect("not poisoned");
        for session in server.node().resource::<Sessions>().iter() {
            let (parties, roles, scouts) = seen.entry(session.player.clone()).or_default();
            parties.insert(session.context.party());
            roles.insert(session.context.role());
            scouts.insert(session.context.fact(FactKey(1)).is_some());
        }
    });
    let flags = format!(
        "--clients 30 --seconds 12 --ramp 0.5 --profile caravan --loss 5 --json --key-file {}",
        file.display()
    );
    let output = swarm(world.addresses[0], &flags);
    let result = result(&output);
    assert_eq!(output.status.code(), Some(0), "{result} {}", stderr(&output));
    assert!(result["audits"].as_u64() > Some(0), "{result}");
    let report = world.stop();
    assert_eq!(report.audits.failures, 0);
    let sides = sides.lock().expect("not poisoned");
    let changed = |of: fn(&(BTreeSet<Option<PartyId>>, BTreeSet<Role>, BTreeSet<bool>)) -> usize| {
        sides.values().filter(|side| of(side) > 1).count()
    };
    assert!(changed(|side| side.0.len()) >= 5, "parties: {sides:?}");
    assert!(changed(|side| side.2.len()) >= 1, "scouts: {sides:?}");
    assert!(changed(|side| side.1.len()) >= 1, "roles: {sides:?}");
    let told = report.counters.iter().find(|(name, _)| *name == "events_told").expect("counted").1;
    assert!(told > 100, "{told} events were told");
    std::fs::remove_dir_all(&folder).expect("own folder");
}

/// A world with a key lets in who has it, and nobody else.
#[test]
fn a_secured_world_needs_its_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("swarm-key-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("key");
    std::fs::write(&file, [7; 32]).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("own file");
    let world = PacedWorld::start(settings(), 2, Some(SecretKey::new([7; 32])), |_| {});
    let flags = format!("--shards 2 --clients 6 --seconds 2 --ramp 0 --json --key-file {}", file.display());
    let output = swarm(world.addresses[0], &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&output)["connected"], 6);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("own file");
    let output = swarm(world.addresses[0], &flags);
    assert_eq!(output.status.code(), Some(2), "a key that everybody can read is refused");
    std::fs::remove_dir_all(&folder).expect("own folder");
}

/// Who is thrown out comes back within the grace time, and that is told apart from being lost.
#[test]
fn who_is_thrown_out_comes_back() {
    use terrane::net::ToNet;
    use terrane::server::TickOutput;
    let mut ticks = 0;
    let world = PacedWorld::start_with(settings(), 1, None, move |_, output: &mut TickOutput| {
        ticks += 1;
        if ticks % 40 == 0 {
            let told = output.messages.iter().filter_map(|message| match message {
                ToNet::Update { connection, .. } => Some(*connection),
                _ => None,
            });
            let closed: Vec<ToNet> = told.take(2).map(|connection| ToNet::Close { connection }).collect();
            output.messages.extend(closed);
        }
    });
    let output = swarm(world.addresses[0], "--clients 10 --seconds 5 --ramp 0.2 --json");
    let result = result(&output);
    assert_eq!(output.status.code(), Some(0), "{result} {}", stderr(&output));
    assert!(result["returned"].as_u64() > Some(0), "{result} {}", stderr(&output));
    assert!(stderr(&output).contains("the server closed the connection"), "{}", stderr(&output));
}

/// D1, D2: links that are cut, and second devices that take over: nobody is lost, and two devices never both act.
#[test]
fn cut_links_and_second_devices_cost_nobody_the_world() {
    let world = PacedWorld::start(settings(), 2, None, |_| {});
    let flags = "--shards 2 --clients 30 --seconds 20 --ramp 0.5 --cut 40 --takeover 40 --json";
    let output = swarm(world.addresses[0], flags);
    let result = result(&output);
    assert_eq!(output.status.code(), Some(0), "{result} {}", stderr(&output));
    assert!(result["cuts"].as_u64() > Some(5), "{result}");
    assert!(result["returned"].as_u64() >= result["cuts"].as_u64(), "{result}");
    assert!(result["taken_over"].as_u64() > Some(5), "{result}");
    assert_eq!((&result["lost"], &result["acted_after_takeover"]), (&0.into(), &0.into()), "{result}");
    assert_eq!(world.stop().players, 0, "no device is left behind");
}

/// D5: a world that ends and is started again on the same ports has its players back, with or without a key.
#[test]
fn a_world_that_is_started_again_has_everybody_back() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("swarm-again-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("key");
    std::fs::write(&file, [7; 32]).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("own file");
    for key in [None, Some(SecretKey::new([7; 32]))] {
        let world = PacedWorld::start(settings(), 2, key.clone(), |_| {});
        let address = world.addresses[0];
        let with_key = if key.is_some() { format!("--key-file {}", file.display()) } else { String::new() };
        let flags = format!("--shards 2 --clients 30 --seconds 14 --ramp 0.5 --json {with_key}");
        let output = std::thread::scope(|scope| {
            let swarm = scope.spawn(|| swarm(address, &flags));
            std::thread::sleep(std::time::Duration::from_secs(4));
            drop(world);
            let world = PacedWorld::start_at(address, settings(), 2, key.clone(), |_, _| {});
            let output = swarm.join().expect("the swarm ends");
            assert_eq!(world.stop().audits.failures, 0);
            output
        });
        let result = result(&output);
        assert_eq!(output.status.code(), Some(0), "{result} {}", stderr(&output));
        assert_eq!((&result["connected"], &result["lost"]), (&30.into(), &0.into()), "{result}");
        assert!(result["returned"].as_u64() >= Some(30), "{result}");
    }
    std::fs::remove_dir_all(&folder).expect("own folder");
}

/// H3: every kind of abuse is done as it says, is met by the limit that is there for it, and costs nobody else the world.
#[test]
fn abuse_is_limited_and_costs_those_who_play_nothing() {
    let limits = NetLimits { connections_per_address: Some(4), ..NetLimits::default() };
    let listen = "127.0.0.1:0".parse().expect("an address");
    let world = PacedWorld::start_limited(listen, settings(), 1, None, limits, |_, _| {});
    let address = world.addresses[0];
    let [honest, actions, bytes, deaf, many] = std::thread::scope(|scope| {
        [
            "--clients 12 --seconds 8 --ramp 0.5 --profile caravan --from 127.0.1.1 --per-address 3",
            "--abuse flood-actions --clients 5 --seconds 5 --ramp 0.5 --from 127.0.2.1 --per-address 3",
            "--abuse flood-bytes --clients 2 --seconds 5 --ramp 0.5 --from 127.0.3.1",
            "--abuse never-read --clients 3 --seconds 5 --ramp 0.5 --from 127.0.4.1",
            "--abuse connections --clients 40 --seconds 5 --ramp 0.5 --from 127.0.5.1",
        ]
        .map(|flags| scope.spawn(move || swarm(address, &format!("{flags} --json"))))
        .map(|swarm| swarm.join().expect("the swarm ends"))
    });
    for output in [&honest, &actions, &bytes, &deaf, &many] {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    }
    let of_honest = result(&honest);
    for (key, expected) in
        [("connected", 12), ("lost", 0), ("returned", 0), ("audit_failures", 0), ("decode_errors", 0)]
    {
        assert_eq!(of_honest[key], expected, "{key}: {of_honest} {}", stderr(&honest));
    }
    let count = |output: &Output, key: &str| result(output)[key].as_u64().expect("a number");
    // Of 600 calls a second some six may be done.
    assert!(count(&actions, "actions_limited") > 500, "{}", result(&actions));
    assert!((1..200).contains(&count(&actions, "actions_done")), "{}", result(&actions));
    assert_eq!((count(&actions, "let_in"), count(&actions, "ended")), (5, 0), "{}", stderr(&actions));
    assert!(count(&bytes, "datagrams") > 1_000 && count(&bytes, "let_in") > 1, "{}", result(&bytes));
    assert!(stderr(&bytes).contains("in a second"), "it is told why: {}", stderr(&bytes));
    assert_eq!(count(&deaf, "let_in"), 3);
    assert!(count(&deaf, "messages") > 100, "{}", result(&deaf));
    assert!(count(&many, "opened") > 40 && count(&many, "ended") >= 36, "{}", result(&many));
    assert!(
        (4..=16).contains(&count(&many, "let_in")),
        "four at a time, as many as come in a minute: {}",
        result(&many)
    );
    assert_eq!(world.stop().audits.failures, 0);
}

#[test]
fn where_nobody_listens_nothing_is_measured_and_that_is_a_failure() {
    // Bound and never read: whoever sends there gets no answer.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound");
    let output = swarm(address, "--clients 3 --seconds 0.5 --ramp 0 --json");
    let result = result(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&result["connected"], &result["lost"]), (&0.into(), &3.into()), "{result}");
    assert_eq!(result["update_interval_ms_p50"], serde_json::Value::Null);
    assert!(stderr(&output).contains("nothing was measured"), "{}", stderr(&output));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for (server, flags) in [
        ("192.0.2.1:5000", ""),
        ("127.0.0.1:5000", "--profile swim"),
        ("127.0.0.1:65535", "--shards 2"),
        ("127.0.0.1:5000", "--cut 60 --takeover 60"),
        ("127.0.0.1:5000", "--abuse connections --clients 1001"),
        ("[::1]:5000", "--from 127.0.0.2"),
    ] {
        let output = swarm(server.parse().expect("an address"), flags);
        assert_eq!(output.status.code(), Some(2), "{server} {flags}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

/// B9: a policy that is left out is told consistently, so no client can notice: the world's own audit does, while the
/// swarm plays, and names component, field, entity and players.
#[cfg(feature = "planted-faults")]
#[test]
fn planted_policy_faults_are_found_and_named() {
    use std::sync::{Arc, Mutex};
    use terrane::replication::Rows;
    use terrane::replication::audit::{AuditFault, AuditFindings};
    use terrane::replication::planted::PlantedFault;
    use terrane::session::Sessions;
    for (fault, expected) in [
        (PlantedFault::LeftOutMask, AuditFault::PublicField),
        (PlantedFault::LeftOutPolicy, AuditFault::PersonalField),
    ] {
        let found = Arc::new(Mutex::new(Vec::new()));
        let (findings, mut planted) = (found.clone(), false);
        let world = PacedWorld::start(settings(), 1, None, move |server| {
            let node = server.node_mut();
            *findings.lock().expect("not poisoned") = node.resource::<AuditFindings>().all().to_vec();
            if planted {
                return;
            }
            if fault == PlantedFault::LeftOutMask {
                planted = true;
                node.resource_mut::<Rows>().plant(fault);
            } else if let Some(session) = node.resource_mut::<Sessions>().iter_mut().next() {
                planted = true;
                session.view.plant(fault);
            }
        });
        let output = swarm(world.addresses[0], "--clients 10 --seconds 8 --ramp 0 --profile caravan --json");
        let result = result(&output);
        assert_eq!(output.status.code(), Some(0), "{fault:?}: all agree on what is wrong: {result}");
        assert!(world.stop().audits.failures > 0, "{fault:?}");
        let found = found.lock().expect("not poisoned");
        let [finding] = &found[..] else { panic!("{fault:?}: one thing is wrong: {found:#?}") };
        assert_eq!(finding.fault, expected, "{finding}");
        // Of what has personal fields it is the first to change: a caravan, or the market.
        let is_named = ["Caravan.", "Market."].iter().any(|component| finding.what().starts_with(component));
        assert!(finding.entity.is_some() && is_named, "{finding}");
        if fault == PlantedFault::LeftOutPolicy {
            assert_eq!(finding.players.len(), 1, "{finding}");
        }
    }
}

/// B9: a fault that is planted in one session makes the swarm fail.
#[cfg(feature = "planted-faults")]
#[test]
fn planted_faults_are_found() {
    use terrane::replication::planted::PlantedFault;
    use terrane::session::Sessions;
    for fault in [PlantedFault::WrongField, PlantedFault::SkippedLeave] {
        let mut planted = false;
        let world = PacedWorld::start(settings(), 1, None, move |server| {
            let mut sessions = server.node_mut().resource_mut::<Sessions>();
            if let Some(session) = sessions.iter_mut().next()
                && !planted
            {
                planted = true;
                session.view.plant(fault);
            }
        });
        let output = swarm(world.addresses[0], "--clients 10 --seconds 8 --ramp 0 --json");
        let result = result(&output);
        assert_eq!(output.status.code(), Some(1), "{fault:?}: {result}");
        assert!(result["audit_failures"].as_u64() > Some(0), "{fault:?}: {result}");
    }
}
