//! Clients that mean harm, to see that nobody else notices.
//!
//! *Does*: floods, does not listen, or takes up places, as real clients over real sockets, bounded in number and time;
//! counts what it did and what the world made of it. *Does not*: judge the world: who plays beside it does.

mod floods;
mod places;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use terrane::client::player::Reply;
use terrane::ids::PlayerId;
use terrane::protocol::messages::ActionRefusal;

use crate::plan::Plan;

/// Most abusers: each has sockets of its own.
pub(crate) const ABUSERS_MAX: u32 = 1_000;
/// Longest abuse.
pub(crate) const ABUSE_S_MAX: Duration = Duration::from_secs(600);
/// Times what is allowed a flood takes.
const TIMES: u32 = 100;
/// How often abusers act.
const PASS: Duration = Duration::from_millis(5);
/// What a flood was too late for by more than this is left out.
const LATE_MAX: Duration = Duration::from_millis(40);
/// How long an abuser that was cut off, or not let in, waits until it tries again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Kinds of ends that are told apart.
const ENDS_MAX: usize = 16;

/// What abusers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Abuse {
    /// Play, and call an action a hundred times as often as it may be called, each another one, while their continuous
    /// input says something else every time.
    FloodActions,
    /// Send a hundred times the bytes (every other client) or messages that a connection may, as a player while they
    /// are let be one, and from outside, as forged packets, while not.
    FloodBytes,
    /// Come in, never again take a packet from their sockets, and ask for answers.
    NeverRead,
    /// Come in, all from as few addresses as they are told to, and again whenever they are turned away.
    Connections,
}

/// What was done, and what came of it.
#[derive(Debug, Default)]
struct Totals {
    opened: u64,
    let_in: u64,
    ended: u64,
    messages: u64,
    datagrams: u64,
    done: u64,
    limited: u64,
    refused: u64,
    ends: BTreeMap<String, u64>,
}

impl Totals {
    fn note_reply(&mut self, reply: &Reply) {
        match &reply.result {
            Ok(_) => self.done += 1,
            Err(ActionRefusal::RateLimited { .. } | ActionRefusal::Superseded | ActionRefusal::Busy) => {
                self.limited += 1;
            }
            Err(_) => self.refused += 1,
        }
    }

    fn note_end(&mut self, why: String) {
        self.ended += 1;
        if self.ends.len() < ENDS_MAX || self.ends.contains_key(&why) {
            *self.ends.entry(why).or_default() += 1;
        }
    }
}

/// The result.
#[derive(Debug, Serialize)]
struct Report {
    /// What was done.
    abuse: Abuse,
    /// How many abusers.
    clients: u32,
    /// For how long.
    seconds: f64,
    /// Connections begun.
    opened: u64,
    /// How often the world let one in.
    let_in: u64,
    /// Connections that the world ended, or never answered.
    ended: u64,
    /// Messages sent over connections.
    messages: u64,
    /// Forged packets sent beside them.
    datagrams: u64,
    /// Actions that were done.
    actions_done: u64,
    /// Actions refused because there were too many.
    actions_limited: u64,
    /// Actions refused otherwise.
    actions_refused: u64,
}

/// One abuser. All times are since the start.
trait Abuser {
    /// Its turn.
    fn pass(&mut self, plan: &Plan, now: Duration, elapsed: Duration, totals: &mut Totals);
}

/// How much of something at a steady rate is due.
#[derive(Clone, Copy, Debug, Default)]
struct Owed(f64);

impl Owed {
    /// What is due after so much more time.
    fn take(&mut self, per_s: f64, elapsed: Duration) -> u32 {
        let most = per_s * LATE_MAX.as_secs_f64();
        self.0 = (self.0 + per_s * elapsed.as_secs_f64()).min(most.max(1.0));
        let due = self.0.floor();
        self.0 -= due;
        due as u32
    }
}

/// What abuser number `number` is called: neither as players of the same seed are, nor as abusers of another kind.
fn name(plan: &Plan, what: &str, number: u32) -> PlayerId {
    let name = format!("{what} {} {}", plan.args.seed, number + 1);
    PlayerId::new(&name).expect("at most 32 printable bytes")
}

/// Abuses until the time is up or `stop` is set, and tells what came of it.
pub(crate) fn run(plan: &Plan, kind: Abuse, stop: &AtomicBool) -> ExitCode {
    let mut totals = Totals::default();
    let abuser = |number: u32| -> Box<dyn Abuser> {
        match kind {
            Abuse::FloodActions => Box::new(floods::Actions::new(number)),
            Abuse::FloodBytes => Box::new(floods::Bytes::new(number)),
            Abuse::NeverRead => Box::new(places::Deaf::new(number)),
            Abuse::Connections => Box::new(places::Place::new(number)),
        }
    };
    let (ramp, clients) = (plan.args.ramp, plan.args.clients);
    let begins = |number: u32| ramp.mul_f64(f64::from(number) / f64::from(clients));
    let mut abusers: Vec<_> = (0..clients).map(|number| (begins(number), abuser(number))).collect();
    let (start, mut last) = (Instant::now(), Duration::ZERO);
    while last < ramp + plan.args.play && !stop.load(Ordering::Relaxed) {
        let now = start.elapsed();
        let elapsed = now - std::mem::replace(&mut last, now);
        for (_, abuser) in abusers.iter_mut().filter(|(begins, _)| *begins <= now) {
            abuser.pass(plan, now, elapsed, &mut totals);
        }
        std::thread::sleep((now + PASS).saturating_sub(start.elapsed()));
    }
    finish(plan, kind, &totals, start.elapsed())
}

fn finish(plan: &Plan, kind: Abuse, totals: &Totals, seconds: Duration) -> ExitCode {
    let report = Report {
        abuse: kind,
        clients: plan.args.clients,
        seconds: (seconds.as_secs_f64() * 1_000.0).round() / 1_000.0,
        opened: totals.opened,
        let_in: totals.let_in,
        ended: totals.ended,
        messages: totals.messages,
        datagrams: totals.datagrams,
        actions_done: totals.done,
        actions_limited: totals.limited,
        actions_refused: totals.refused,
    };
    eprintln!(
        "{} connections begun, {} let in, {} ended; {} messages, {} forged packets; actions: {} done, {} too many, {} refused",
        report.opened,
        report.let_in,
        report.ended,
        report.messages,
        report.datagrams,
        report.actions_done,
        report.actions_limited,
        report.actions_refused,
    );
    for (why, count) in &totals.ends {
        eprintln!("  {count} x {why}");
    }
    if plan.args.json {
        let line = serde_json::to_string(&report).expect("numbers and a name");
        if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            eprintln!("error: the result cannot be written to stdout: {error}");
            return ExitCode::FAILURE;
        }
    }
    if report.let_in == 0 {
        eprintln!("error: nobody was let in, so nothing is shown");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_comes_at_its_rate_and_is_not_made_up_for() {
        let mut owed = Owed::default();
        let ms = Duration::from_millis;
        assert_eq!((0..1_000).map(|_| owed.take(200.0, ms(5))).sum::<u32>(), 1_000);
        assert_eq!((0..1_000).map(|_| owed.take(0.5, ms(5))).sum::<u32>(), 2);
        assert_eq!(owed.take(1_000.0, ms(5_000)), 40, "who comes late leaves out");
    }

    #[test]
    fn ends_are_counted_all_and_told_apart_so_far() {
        let mut totals = Totals::default();
        (0..100).for_each(|number| totals.note_end(format!("end {}", number % 50)));
        assert_eq!((totals.ended, totals.ends.len()), (100, ENDS_MAX));
        assert_eq!(totals.ends["end 3"], 2);
    }
}
