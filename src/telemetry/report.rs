//! What a run says of itself when it ends.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::telemetry::actions::ActionSummary;
use crate::telemetry::finding::AuditFinding;
use crate::telemetry::quantiles::Quantiles;
use crate::telemetry::stages::StageSummary;

/// The report of a run: one JSON object on stdout with `--report json`, lines for people on stderr otherwise.
/// The JSON keys are a promise to scripts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunReport {
    /// Name of the world.
    pub world: String,
    /// Ticks of this run.
    pub ticks: u64,
    /// How long it ran, from its first tick to its last.
    pub seconds: f64,
    /// Ticks per second that were reached.
    pub hz: f64,
    /// Median length of a tick in milliseconds, within 0.4 %.
    pub tick_ms_p50: f64,
    /// 99th percentile of the length of a tick in milliseconds, within 0.4 %.
    pub tick_ms_p99: f64,
    /// Longest tick in milliseconds, exactly.
    pub tick_ms_max: f64,
    /// Ticks that took longer than their time.
    pub overruns: u64,
    /// Threads that run cells.
    pub threads: u32,
    /// Cells at the end.
    pub cells: u32,
    /// Owned entities at the end.
    pub entities: u64,
    /// Ghosts at the end.
    pub ghosts: u64,
    /// Entities that changed their owner.
    pub handovers: u64,
    /// Most clients at one time.
    pub clients_max: u32,
    /// Bytes of updates and replies handed to the transport.
    pub bytes_out: u64,
    /// Plans of rewards that were committed.
    pub grants: u64,
    /// Audits that were compared.
    pub audits: u64,
    /// Audits that could not be compared, because updates were in flight.
    pub audits_inconclusive: u64,
    /// Fields that were compared.
    pub audit_fields: u64,
    /// Fields that were pending and could not be compared.
    pub audit_fields_skipped: u64,
    /// Audits that failed.
    pub audit_failures: u64,
    /// What audits found, each thing once: the first few.
    pub audit_findings: Vec<AuditFinding>,
    /// What became of the actions that were called, by kind.
    pub actions: Vec<ActionSummary>,
    /// Fingerprint of the world at the end; 16 hexadecimal digits in JSON.
    #[serde(serialize_with = "as_hex")]
    pub fingerprint: u64,
    /// The game's own counters, as further keys.
    #[serde(flatten)]
    pub game: BTreeMap<String, u64>,
    /// What each stage cost in the last ticks; for people, not part of the JSON.
    #[serde(skip)]
    pub stages: Vec<StageSummary>,
}

fn as_hex<S: Serializer>(fingerprint: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{fingerprint:016x}"))
}

impl RunReport {
    /// Fills in the lengths of the ticks, in nanoseconds, and the rate: `ran_ns` is from the first tick to the last.
    pub fn set_ticks(&mut self, tick_ns: &Quantiles, ran_ns: u64) {
        let ms = |ns: Option<u64>| ns.map_or(0.0, |ns| rounded(ns as f64 / 1e6));
        self.ticks = tick_ns.count();
        self.seconds = rounded(ran_ns as f64 / 1e9);
        self.hz = if ran_ns == 0 { 0.0 } else { rounded(self.ticks as f64 * 1e9 / ran_ns as f64) };
        self.tick_ms_p50 = ms(tick_ns.quantile(0.50));
        self.tick_ms_p99 = ms(tick_ns.quantile(0.99));
        self.tick_ms_max = ms(tick_ns.max());
    }

    /// The report as one line of JSON, without a line break.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        serde_json::to_string(self).expect("numbers, texts and a map with text keys")
    }
}

/// To the microsecond: more digits are noise to whoever reads them.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} ticks in {:.1} s ({:.1} Hz) on {} threads, {} overruns",
            self.world, self.ticks, self.seconds, self.hz, self.threads, self.overruns
        )?;
        writeln!(
            f,
            "  tick      p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            self.tick_ms_p50, self.tick_ms_p99, self.tick_ms_max
        )?;
        writeln!(
            f,
            "  world     {} cells, {} entities, {} ghosts, {} handovers",
            self.cells, self.entities, self.ghosts, self.handovers
        )?;
        writeln!(f, "  clients   at most {}, {} bytes out", self.clients_max, self.bytes_out)?;
        if self.audits + self.audits_inconclusive > 0 {
            writeln!(
                f,
                "  audits    {} compared ({} fields, {} pending), {} inconclusive, {} failed",
                self.audits,
                self.audit_fields,
                self.audit_fields_skipped,
                self.audits_inconclusive,
                self.audit_failures
            )?;
        }
        for finding in &self.audit_findings {
            writeln!(f, "            {finding}")?;
        }
        for summary in &self.actions {
            let ended = summary.outcomes.into_iter().filter(|(_, count)| *count > 0);
            let ended: Vec<String> = ended.map(|(outcome, count)| format!("{count} {outcome}")).collect();
            writeln!(f, "  action    {} ({}): {}", summary.action, summary.scope, ended.join(", "))?;
        }
        for (name, count) in &self.game {
            writeln!(f, "  {name:<9} {count}")?;
        }
        for stage in &self.stages {
            let ms = |ns: u64| ns as f64 / 1e6;
            write!(
                f,
                "  {:<9} p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms",
                stage.stage.name(),
                ms(stage.p50_ns),
                ms(stage.p99_ns),
                ms(stage.max_ns)
            )?;
            match stage.cpu_mean_ns {
                Some(cpu_ns) => writeln!(f, ", CPU {:.3} ms", ms(cpu_ns))?,
                None => writeln!(f)?,
            }
        }
        write!(f, "  fingerprint {:016x}", self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_report_are_the_promised_ones() {
        let report =
            RunReport { game: [("trades".to_owned(), 3)].into(), fingerprint: 0xab, ..Default::default() };
        let line = report.to_json_line();
        assert!(!line.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut promised = [
            "world",
            "ticks",
            "seconds",
            "hz",
            "tick_ms_p50",
            "tick_ms_p99",
            "tick_ms_max",
            "overruns",
            "threads",
            "cells",
            "entities",
            "ghosts",
            "handovers",
            "clients_max",
            "bytes_out",
            "audits",
            "grants",
            "audits_inconclusive",
            "audit_fields",
            "audit_fields_skipped",
            "audit_failures",
            "audit_findings",
            "actions",
            "fingerprint",
            "trades",
        ];
        keys.sort_unstable();
        promised.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(json["fingerprint"], "00000000000000ab", "16 digits, however small it is");
    }

    #[test]
    fn the_lengths_of_ticks_are_told_in_milliseconds() {
        let mut ticks = Quantiles::new();
        (1..=100u64).for_each(|ms| ticks.record(ms * 1_000_000));
        let mut report = RunReport::default();
        report.set_ticks(&ticks, 5_000_000_000);
        assert_eq!((report.ticks, report.seconds, report.hz, report.tick_ms_max), (100, 5.0, 20.0, 100.0));
        assert!((report.tick_ms_p50 - 50.0).abs() < 0.5 && (report.tick_ms_p99 - 99.0).abs() < 1.0);
        report.set_ticks(&Quantiles::new(), 0);
        assert_eq!((report.hz, report.tick_ms_p99), (0.0, 0.0), "a run without ticks has numbers too");
    }
}
