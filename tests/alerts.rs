//! The alert rules that come with a world: well-formed, and about metrics that a world tells.

#![expect(clippy::disallowed_methods, reason = "a world in another process is waited for in real time")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use saphyr::{LoadableYamlNode, Yaml};

const RULES: &str = include_str!("../deploy/alerts.yml");

/// A world in another process, which ends with it.
struct World(Child);

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The number of the tick that metrics tell of.
fn tick_of(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix("terrane_tick_number "))?.trim().parse().ok()
}

/// What a new world tells at `/metrics`.
fn metrics() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Command::new(env!("CARGO_BIN_EXE_terrane"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--npcs",
            "10",
            "--bots",
            "2",
            "--name",
            "w",
        ])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary is built with its tests");
    let world = World(process);
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "the world tells its metrics");
        std::thread::sleep(Duration::from_millis(20));
        let info = std::fs::read_to_string(folder.path().join("saves/w/run.json")).unwrap_or_default();
        let info: serde_json::Value = serde_json::from_str(&info).unwrap_or_default();
        let Some(address) = info["http"].as_str() else { continue };
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        if stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut text)).is_ok()
            // What ticks count is told once some have run.
            && tick_of(&text).is_some_and(|tick| tick > 3)
        {
            drop(world);
            return text;
        }
    }
}

/// The names of metrics in an expression.
fn named_in(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("terrane_")).collect()
}

/// E11: each rule says when, how urgent, what is wrong and what to do; and nothing is asked of a metric that is not there.
#[test]
fn every_alert_rule_is_whole_and_about_metrics_that_there_are() {
    let files = Yaml::load_from_str(RULES).expect("it is YAML");
    let metrics = metrics();
    let mut names = Vec::new();
    for group in files[0]["groups"].as_vec().expect("groups") {
        assert!(group["name"].as_str().is_some());
        for rule in group["rules"].as_vec().expect("rules") {
            let text = |value: &Yaml<'_>| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let name = text(&rule["alert"]).expect("a name");
            let expression = text(&rule["expr"]).expect("an expression");
            assert!(matches!(rule["labels"]["severity"].as_str(), Some("page" | "ticket")), "{name}");
            for what in ["summary", "action"] {
                assert!(text(&rule["annotations"][what]).is_some(), "{name}: {what}");
            }
            let asked = named_in(&expression);
            assert!(!asked.is_empty(), "{name} asks about something");
            for metric in asked {
                let sample = metrics
                    .lines()
                    .any(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with([' ', '{'])));
                assert!(sample, "{name} asks about {metric}, which no world tells");
            }
            let opened = expression.matches('(').count();
            assert_eq!(opened, expression.matches(')').count(), "{name}");
            names.push(name);
        }
    }
    // Write failures, backlog, what is not delivered, a disk that fills, and the thresholds at which a world has outgrown its design.
    for wanted in [
        "TerraneSaveFails",
        "TerraneDeliveryHangs",
        "TerraneDiskLow",
        "TerraneSaveStalls",
        "TerraneStoreSlow",
        "TerraneHoldingsMiss",
        "TerraneManyOnline",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{wanted}");
    }
}

/// Prometheus's own opinion, where it is installed.
#[test]
fn promtool_has_nothing_against_the_rules() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts.yml");
    match Command::new("promtool").args(["check", "rules"]).arg(file).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => eprintln!("promtool is not installed: the rules are read by the other test alone"),
    }
}
