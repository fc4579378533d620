//! A thread and its clients.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::measured::Measured;
use crate::plan::Plan;

/// How often the thread looks after its clients. Answers are timed this finely.
const PASS: Duration = Duration::from_millis(5);
/// Every so many passes it also takes what has come for clients that do not tick: updates are timed this finely.
const POLL_EVERY: u32 = 2;
/// Every so many passes it tells how it goes.
const TELL_EVERY: u32 = 20;

/// How it goes, for people who wait.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) playing: AtomicU64,
    pub(crate) updates: AtomicU64,
    pub(crate) audits: AtomicU64,
    pub(crate) failures: AtomicU64,
}

/// Lets client `thread`, `thread + threads`, … live until the time is up or `stop` is set.
pub(crate) fn run(plan: &Plan, thread: u32, start: Instant, stop: &AtomicBool, live: &Live) -> Measured {
    let args = &plan.args;
    let mut measured = Measured::default();
    let mut clients: Vec<Client> = (thread..args.clients)
        .step_by(usize::from(args.threads))
        .map(|number| Client::new(plan, number, begin_of(plan, number)))
        .collect();
    let end = args.ramp + args.play;
    let mut told = Told::default();
    let mut pass = 0u32;
    loop {
        let now = start.elapsed();
        // What a thread was too late for is left out.
        pass = (pass + 1).max((now.as_micros() / PASS.as_micros()) as u32);
        let awaited = || clients.iter().filter_map(Client::awaited_until).any(|until| now <= until);
        if stop.load(Ordering::Relaxed) || (now >= end && !awaited()) {
            break;
        }
        let due = PASS * pass;
        // Behind its time a thread does what it must.
        let polls = now < due + PASS / 2 && pass.is_multiple_of(POLL_EVERY);
        serve(plan, &mut clients, start, polls, &mut measured);
        if pass.is_multiple_of(TELL_EVERY) {
            told.tell(&clients, &measured, live);
        }
        std::thread::sleep((due + PASS).saturating_sub(start.elapsed()));
    }
    for client in &mut clients {
        client.finish(&mut measured);
    }
    measured
}

/// When a client begins: spread over the ramp, and over the tick.
fn begin_of(plan: &Plan, number: u32) -> Duration {
    let args = &plan.args;
    let share = f64::from(number) / f64::from(args.clients);
    args.ramp.mul_f64(share) + args.tick().mul_f64(share)
}

fn serve(plan: &Plan, clients: &mut [Client], start: Instant, polls: bool, measured: &mut Measured) {
    for client in clients {
        let now = start.elapsed();
        let Some(next_tick) = client.next_tick() else { continue };
        let measuring = now >= plan.args.ramp;
        if now >= next_tick {
            measured.late_us.add((now - next_tick).as_micros() as u64, 1);
            client.tick(plan, now, measuring, measured);
        } else if polls || client.awaits_answer() {
            client.poll(now, measuring, measured);
        }
    }
}

/// What the live figures know of this thread.
#[derive(Default)]
struct Told {
    playing: u64,
    updates: u64,
    audits: u64,
    failures: u64,
}

impl Told {
    fn tell(&mut self, clients: &[Client], measured: &Measured, live: &Live) {
        let playing = clients.iter().filter(|client| client.is_in()).count() as u64;
        for (told, is, all) in [
            (&mut self.playing, playing, &live.playing),
            (&mut self.updates, measured.updates_seen, &live.updates),
            (&mut self.audits, measured.audits_seen, &live.audits),
            (&mut self.failures, measured.failures_seen, &live.failures),
        ] {
            // Wrapping, so that a thread can also take back what it told.
            all.fetch_add(is.wrapping_sub(*told), Ordering::Relaxed);
            *told = is;
        }
    }
}
