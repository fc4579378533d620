//! What every bench needs: clocks, medians, and one JSON line a case.

#![expect(clippy::disallowed_methods, reason = "measured beside the world")]
#![allow(dead_code, reason = "each bench is a crate of its own and uses a part of this")]

use std::sync::OnceLock;
use std::time::Instant;

use cpu_time::ProcessTime;
use serde::Serialize;
use terrane::server::Server;
use terrane::telemetry::{StageSample, StageTimes};
use terrane::tick::TickSystems;

/// CPU time of this process so far, all threads together, in milliseconds. Unlike a wall clock it does not
/// count what else runs on the machine.
pub(crate) fn cpu_ms() -> f64 {
    ProcessTime::now().as_duration().as_secs_f64() * 1e3
}

/// Wall time since the first call, in milliseconds: for what threads do side by side.
pub(crate) fn wall_ms() -> f64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

/// Runs `work` and tells the CPU milliseconds it took.
pub(crate) fn timed_ms<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = cpu_ms();
    let result = work();
    (cpu_ms() - begin, result)
}

fn samples<'a>(server: &'a Server, sets: &'a [TickSystems]) -> impl Iterator<Item = StageSample> + 'a {
    let last = server.node().resource::<StageTimes>().last();
    sets.iter().map(|set| last[set.index()])
}

/// CPU milliseconds of these sets in the last tick, all threads of the process together. The server must be
/// observed with the machine's clocks; see [`terrane::telemetry::StageClock`].
pub(crate) fn cpu_ms_of(server: &Server, sets: &[TickSystems]) -> f64 {
    samples(server, sets).map(|sample| sample.cpu_ns.expect("this system has a CPU clock") as f64 / 1e6).sum()
}

/// Wall milliseconds of these sets in the last tick.
pub(crate) fn wall_ms_of(server: &Server, sets: &[TickSystems]) -> f64 {
    samples(server, sets).map(|sample| sample.wall_ns as f64 / 1e6).sum()
}

/// The middle of some measurements, the upper one of two; `NaN` of none.
pub(crate) fn median(measured: &[f64]) -> f64 {
    let mut sorted = measured.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Resident memory of this process in MiB, `None` where the system does not tell.
pub(crate) fn rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Prints a case as one line of JSON, keys in the order of the struct's fields.
///
/// # Panics
/// When the case cannot be written as JSON or standard output is closed.
pub(crate) fn print_line(case: &impl Serialize) {
    println!("{}", serde_json::to_string(case).expect("a case is a plain struct"));
}

/// Rounds to thousandths: what a reader of a result line needs.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
