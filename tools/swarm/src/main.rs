//! Load and player simulator for Terrane worlds: real clients over UDP, which play, answer audits, and measure, or which
//! mean harm.

#![expect(clippy::disallowed_methods, reason = "it plays and waits in real time, beside the world")]

mod abuse;
mod args;
mod client;
mod histogram;
mod measured;
mod plan;
mod report;
mod worker;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use args::Args;
use measured::Measured;
use plan::Plan;
use report::Report;
use worker::Live;

/// How often the line on the terminal is written anew.
const LIVE_EVERY: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    // clap prints what is wrong, or the help, and ends with 2 or 0.
    let args = Args::parse();
    let plan = match Plan::new(args) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first one ends the run early, with a report; a second one ends it at once.
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        if let Err(error) = registered {
            eprintln!("warning: signal {signal} cannot be handled: {error}");
        }
    }
    if let Some(kind) = plan.args.abuse {
        return abuse::run(&plan, kind, &stop);
    }
    let (measured, seconds) = play(&plan, &stop);
    finish(&plan, &measured, seconds)
}

/// Runs all threads to their end; gives what they measured and for how long.
fn play(plan: &Plan, stop: &AtomicBool) -> (Measured, Duration) {
    let live = Live::default();
    let start = Instant::now();
    let mut measured = Measured::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..u32::from(plan.args.threads))
            .map(|thread| {
                let live = &live;
                scope.spawn(move || worker::run(plan, thread, start, stop, live))
            })
            .collect();
        let terminal = std::io::stderr().is_terminal();
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(if terminal { LIVE_EVERY } else { LIVE_EVERY / 10 });
            if terminal {
                show(plan, &live, start.elapsed());
            }
        }
        if terminal {
            eprintln!();
        }
        for thread in threads {
            match thread.join() {
                Ok(of_thread) => measured.merge(&of_thread),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    (measured, start.elapsed().saturating_sub(plan.args.ramp))
}

fn show(plan: &Plan, live: &Live, elapsed: Duration) {
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let mut stderr = std::io::stderr().lock();
    let _ = write!(
        stderr,
        "\r{:>5.1} s  {}/{} in  {} updates  {} audits, {} failed  ",
        elapsed.as_secs_f64(),
        load(&live.playing),
        plan.args.clients,
        load(&live.updates),
        load(&live.audits),
        load(&live.failures),
    );
    let _ = stderr.flush();
}

fn finish(plan: &Plan, measured: &Measured, seconds: Duration) -> ExitCode {
    let report = Report::new(plan.args.clients, seconds, measured);
    eprint!("{}", report.summary());
    for (why, count) in &measured.ends {
        eprintln!("  {count} x {why}");
    }
    if let Some(doubts) = report::doubts(measured, plan.args.tick()) {
        eprintln!("warning: {doubts}");
    }
    let mut problems = report.problems();
    if let Some(file) = &plan.args.receipts
        && let Err(error) = report::write_receipts(file, &measured.receipts)
    {
        problems.push(format!("{} cannot be written: {error}", file.display()));
    }
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    if plan.args.json {
        let line = serde_json::to_string(&report).expect("numbers and nulls");
        if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            eprintln!("error: the result cannot be written to stdout: {error}");
            return ExitCode::FAILURE;
        }
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
