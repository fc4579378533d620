//! What came of it all, for programs and for people.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use terrane::ids::ActionId;

use crate::histogram::Histogram;
use crate::measured::Measured;

/// The result. What was not measured is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Clients there were to be.
    clients: u32,
    /// Clients that ever got in.
    connected: u64,
    /// Clients that did not get in, or whose connection ended and that did not get back in within the grace time.
    lost: u64,
    /// Clients that were kicked or banned.
    removed: u64,
    /// How often a client got back in.
    returned: u64,
    /// How often of those its session went on.
    resumed: u64,
    /// How often a link was cut whose client came back at once.
    cuts: u64,
    /// How often a client stayed away longer than its session waits.
    absences: u64,
    /// Devices that were told that another one of the same player has taken over.
    taken_over: u64,
    /// Actions of theirs that were done after that.
    acted_after_takeover: u64,
    /// Trades that were done, hires and errands among them, that the game refused, and that were refused because the world could keep nothing.
    trades: u64,
    trades_refused: u64,
    trades_not_kept: u64,
    /// Of those that were done: purchases and sales, bounties, people hired, let go or mended, and errands.
    deals: u64,
    bounties: u64,
    hires: u64,
    quests: u64,
    /// Battles that players heard the end of, characters that they became, parties founded, joined and left, and what they said.
    battles: u64,
    characters: u64,
    parties: u64,
    said: u64,
    /// How often a player left the world by its own will, to come back.
    left: u64,
    /// How often a client was told that the world does badly, and that it does well again.
    told_degraded: u64,
    told_well: u64,
    /// For how long was measured.
    seconds: f64,
    /// Updates that clients applied.
    updates: u64,
    /// Between two updates of one client.
    update_interval_ms_p50: Option<f64>,
    update_interval_ms_p99: Option<f64>,
    /// Bytes of updates per client and tick of the world.
    bytes_per_client_tick_p50: Option<u64>,
    bytes_per_client_tick_p99: Option<u64>,
    /// Entities in a client's view.
    visible_p50: Option<u64>,
    visible_max: Option<u64>,
    /// From an action to its answer, once what it did can be seen.
    action_rtt_ms_p50: Option<f64>,
    action_rtt_ms_p99: Option<f64>,
    /// Audits that came to a result, and those that could not.
    audits: u64,
    audits_inconclusive: u64,
    /// Audits in which a client held something else than it had been sent.
    audit_failures: u64,
    /// Messages of the server's that could not be decoded.
    decode_errors: u64,
}

/// Writes ids down, one a line, in hexadecimal.
pub(crate) fn write_receipts(file: &Path, receipts: &[ActionId]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(file)?);
    for id in receipts {
        writeln!(file, "{:032x}", id.0)?;
    }
    file.flush()
}

fn ms(histogram: &Histogram, percent: u64) -> Option<f64> {
    // Hundredths are more than the clocks tell.
    histogram.percentile(percent).map(|us| (us as f64 / 10.0).round() / 100.0)
}

impl Report {
    pub(crate) fn new(clients: u32, measured_for: Duration, measured: &Measured) -> Self {
        let counts = &measured.counts;
        Self {
            clients,
            connected: measured.connected,
            lost: measured.lost,
            removed: measured.removed,
            returned: measured.returned,
            resumed: measured.resumed,
            cuts: measured.cuts,
            absences: measured.absences,
            taken_over: measured.taken_over,
            acted_after_takeover: measured.acted_after_takeover,
            trades: measured.trades.done,
            trades_refused: measured.trades.refused,
            trades_not_kept: measured.trades.not_kept,
            deals: measured.done.deals,
            bounties: measured.done.bounties,
            hires: measured.done.hires,
            quests: measured.done.quests,
            battles: measured.done.battles,
            characters: measured.done.characters,
            parties: measured.done.parties,
            said: measured.done.said,
            left: measured.left,
            told_degraded: measured.told_degraded,
            told_well: measured.told_well,
            seconds: (measured_for.as_secs_f64() * 1_000.0).round() / 1_000.0,
            updates: counts.updates,
            update_interval_ms_p50: ms(&measured.interval_us, 50),
            update_interval_ms_p99: ms(&measured.interval_us, 99),
            bytes_per_client_tick_p50: measured.bytes.percentile(50),
            bytes_per_client_tick_p99: measured.bytes.percentile(99),
            visible_p50: measured.visible.percentile(50),
            visible_max: measured.visible.max(),
            action_rtt_ms_p50: ms(&measured.rtt_us, 50),
            action_rtt_ms_p99: ms(&measured.rtt_us, 99),
            audits: counts.audits,
            audits_inconclusive: counts.audits_inconclusive,
            audit_failures: counts.audit_failures,
            decode_errors: counts.decode_errors,
        }
    }

    /// What is wrong; nothing when the swarm was well.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.lost > 0 {
            problems.push(format!("{} of {} clients were lost", self.lost, self.clients));
        }
        if self.acted_after_takeover > 0 {
            let actions = self.acted_after_takeover;
            problems.push(format!("{actions} actions of devices that were taken over were done"));
        }
        if self.audit_failures > 0 {
            problems.push(format!("{} audits failed: clients hold what is not so", self.audit_failures));
        }
        if self.decode_errors > 0 {
            problems.push(format!("{} messages could not be decoded", self.decode_errors));
        }
        if self.updates == 0 {
            problems.push("nothing was measured: no client got an update".into());
        }
        // A server that audits and never learns anything audits nothing.
        if self.audits == 0 && self.audits_inconclusive > 0 {
            problems.push(format!("none of {} audits came to a result", self.audits_inconclusive));
        }
        problems
    }

    /// For people.
    pub(crate) fn summary(&self) -> String {
        let figure = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value}"));
        let count = |value: Option<u64>| value.map_or("-".into(), |value| format!("{value}"));
        let mut text = format!(
            "{} of {} clients got in, {} lost, {} removed; {} s, {} updates\n",
            self.connected, self.clients, self.lost, self.removed, self.seconds, self.updates
        );
        if self.returned + self.cuts + self.absences + self.taken_over > 0 {
            let _ = writeln!(
                text,
                "  came back {} times, {} of them into the same session; {} links cut, {} absences, {} devices taken over",
                self.returned, self.resumed, self.cuts, self.absences, self.taken_over
            );
        }
        let trades = &self.trades;
        if trades + self.trades_refused + self.trades_not_kept > 0 {
            let _ = writeln!(
                text,
                "  {trades} trades, {} refused by the game, {} because nothing could be kept",
                self.trades_refused, self.trades_not_kept
            );
            let _ = writeln!(
                text,
                "  {} purchases and sales, {} bounties, {} hires, {} errands; {} battles, {} characters, {} parties; left {} times",
                self.deals,
                self.bounties,
                self.hires,
                self.quests,
                self.battles,
                self.characters,
                self.parties,
                self.left
            );
        }
        let mut line = |what: &str, p50: String, end: &str, last: String| {
            writeln!(text, "  {what:<26} p50 {p50:>8}   {end} {last:>8}").expect("writing into memory");
        };
        line(
            "update interval, ms",
            figure(self.update_interval_ms_p50),
            "p99",
            figure(self.update_interval_ms_p99),
        );
        line(
            "bytes per client and tick",
            count(self.bytes_per_client_tick_p50),
            "p99",
            count(self.bytes_per_client_tick_p99),
        );
        line("entities in view", count(self.visible_p50), "max", count(self.visible_max));
        line("action to answer, ms", figure(self.action_rtt_ms_p50), "p99", figure(self.action_rtt_ms_p99));
        let _ = writeln!(
            text,
            "  audits: {} came to a result, {} could not, {} failed; {} decode errors",
            self.audits, self.audits_inconclusive, self.audit_failures, self.decode_errors
        );
        text
    }
}

/// What makes the figures doubtful: the swarm itself did not keep up, for which the world is not to blame.
pub(crate) fn doubts(measured: &Measured, tick: Duration) -> Option<String> {
    let late = Duration::from_micros(measured.late_us.percentile(99)?);
    let missed_percent = measured.ticks_missed * 100 / measured.ticks.max(1);
    (late > tick / 2 || missed_percent > 0).then(|| {
        format!(
            "the swarm itself did not keep up: 1 % of its ticks came more than {} ms late and {} of {} were \
             left out; its figures say little about the world. Use fewer --clients, a lower --hz, more --threads \
             or a machine with more cores",
            late.as_millis(),
            measured.ticks_missed,
            measured.ticks,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let mut measured = Measured { connected: 2, ..Measured::default() };
        measured.counts.updates = 10;
        measured.counts.audits = 3;
        for us in [49_000, 50_000, 51_000] {
            measured.interval_us.add(us, 1);
        }
        measured
    }

    /// The names that scripts rely on, in order, and null for what was not measured.
    #[test]
    fn the_result_has_the_keys_that_are_promised() {
        let report = Report::new(2, Duration::from_secs(20), &measured());
        let json = serde_json::to_string(&report).unwrap();
        let keys = "clients, connected, lost, removed, returned, resumed, cuts, absences, taken_over, \
                    acted_after_takeover, trades, trades_refused, trades_not_kept, deals, bounties, hires, quests, battles, \
                    characters, parties, said, left, told_degraded, told_well, seconds, updates, update_interval_ms_p50, \
                    update_interval_ms_p99, bytes_per_client_tick_p50, bytes_per_client_tick_p99, visible_p50, \
                    visible_max, action_rtt_ms_p50, action_rtt_ms_p99, audits, audits_inconclusive, \
                    audit_failures, decode_errors";
        let mut from = 0;
        for key in keys.split(", ") {
            from += json[from..].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} in {json}"));
        }
        assert_eq!(json.matches("\":").count(), keys.split(", ").count(), "no others: {json}");
        assert!(json.contains("\"visible_max\":null"));
        assert!((49.9..=51.0).contains(&report.update_interval_ms_p50.unwrap()));
    }

    #[test]
    fn whatever_goes_wrong_is_a_problem() {
        let problems = |change: &dyn Fn(&mut Measured)| {
            let mut measured = measured();
            change(&mut measured);
            Report::new(2, Duration::from_secs(1), &measured).problems().len()
        };
        assert_eq!(problems(&|_| {}), 0);
        assert_eq!(problems(&|measured| measured.lost = 1), 1);
        assert_eq!(problems(&|measured| measured.acted_after_takeover = 1), 1);
        assert_eq!(problems(&|measured| measured.removed = 1), 0, "somebody wanted that");
        assert_eq!(problems(&|measured| measured.counts.audit_failures = 1), 1);
        assert_eq!(problems(&|measured| measured.counts.decode_errors = 1), 1);
        assert_eq!(problems(&|measured| measured.counts.updates = 0), 1);
        assert_eq!(problems(&|measured| measured.counts.audits = 0), 0, "the world does not audit");
        let nothing_learnt = |measured: &mut Measured| {
            measured.counts.audits = 0;
            measured.counts.audits_inconclusive = 9;
        };
        assert_eq!(problems(&nothing_learnt), 1);
    }

    #[test]
    fn a_swarm_that_is_late_says_so() {
        let tick = Duration::from_millis(50);
        let mut measured = Measured { ticks: 1_000, ..Measured::default() };
        measured.late_us.add(5_000, 1_000);
        assert_eq!(doubts(&measured, tick), None);
        measured.late_us.add(40_000, 20);
        assert!(doubts(&measured, tick).unwrap().contains("more than 40 ms late"));
    }
}
