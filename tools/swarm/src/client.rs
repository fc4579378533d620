//! One client's life: it connects, plays, comes back when it is thrown out, and leaves.

use std::time::Duration;

use terrane::caravan::bots::BotBrain;
use terrane::client::player::PlayerCounts;
use terrane::client::{Ended, Player};
use terrane::protocol::messages::Refusal;

use crate::measured::Measured;
use crate::plan::Plan;

/// How long a client tries to get back in before it is lost.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long it waits between two attempts.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Every so many of its ticks it counts what it sees.
const COUNT_EVERY: u64 = 10;

enum State {
    /// Its time has not come.
    Waiting,
    /// It connects or plays.
    Connected(Box<Player>),
    /// It was thrown out and tries again at this time.
    Out { retry_at: Duration },
    /// It is gone, by its own will or not.
    Gone,
}

/// One client. All times are since the start of the swarm.
pub(crate) struct Client {
    number: u32,
    brain: BotBrain,
    state: State,
    /// How often it has begun to connect.
    lives: u64,
    /// Its own ticks.
    ticks: u64,
    /// Whether it was ever in the world.
    was_in: bool,
    /// Since when it has wanted in, while it is not.
    out_since: Option<Duration>,
    polled_at: Duration,
    next_tick: Duration,
    /// What had been counted when it was last looked at.
    seen: PlayerCounts,
    seen_tick: u64,
    updated_at: Option<Duration>,
}

impl Client {
    /// A client that begins to connect at `begin` and ticks from then on.
    pub(crate) fn new(plan: &Plan, number: u32, begin: Duration) -> Self {
        Self {
            number,
            brain: plan.brain(number),
            state: State::Waiting,
            lives: 0,
            ticks: 0,
            was_in: false,
            out_since: None,
            polled_at: begin,
            next_tick: begin,
            seen: PlayerCounts::default(),
            seen_tick: 0,
            updated_at: None,
        }
    }

    /// When it ticks next; `None` when it does no more.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        (!matches!(self.state, State::Gone)).then_some(self.next_tick)
    }

    /// Whether an answer is on its way to it, whose time shall be taken well.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(&self.state, State::Connected(player) if player.unanswered() > 0)
    }

    /// Whether it wants in and is not.
    pub(crate) fn is_out(&self) -> bool {
        self.out_since.is_some()
    }

    pub(crate) fn is_in(&self) -> bool {
        matches!(self.state, State::Connected(_)) && self.out_since.is_none()
    }

    /// Takes what has come, and notes it.
    pub(crate) fn poll(&mut self, now: Duration, measuring: bool, measured: &mut Measured) {
        let State::Connected(player) = &mut self.state else { return };
        let was_complete = player.is_complete();
        player.receive(now.saturating_sub(self.polled_at));
        self.polled_at = now;
        let counts = player.counts();
        let new = counts.updates - self.seen.updates;
        measured.updates_seen += new;
        measured.audits_seen += counts.audits - self.seen.audits;
        measured.failures_seen += counts.audit_failures - self.seen.audit_failures;
        if new > 0 {
            let tick = player.view().tick().0;
            let ticks = tick.saturating_sub(self.seen_tick);
            if measuring && was_complete && ticks > 0 {
                if let Some(last) = self.updated_at {
                    measured.interval_us.add((now - last).as_micros() as u64, 1);
                }
                let bytes = counts.update_bytes - self.seen.update_bytes;
                measured.bytes.add(bytes / ticks, ticks);
            }
            (self.seen_tick, self.updated_at) = (tick, Some(now));
        }
        self.seen = counts;
        if self.out_since.is_some() && player.welcome().is_some() {
            if self.was_in {
                measured.resumed += 1;
            } else {
                measured.connected += 1;
            }
            (self.was_in, self.out_since) = (true, None);
        }
        if let Some(ended) = player.ended().cloned() {
            self.thrown_out(now, &ended, measured);
        }
    }

    /// Its tick: takes what has come, decides, and sends.
    pub(crate) fn tick(&mut self, plan: &Plan, now: Duration, measuring: bool, measured: &mut Measured) {
        let period = plan.args.tick();
        measured.ticks += 1;
        self.next_tick += period;
        while self.next_tick <= now {
            self.next_tick += period;
            measured.ticks_missed += 1;
        }
        self.ticks += 1;
        match &self.state {
            State::Waiting => self.connect(plan, now, measured),
            State::Out { retry_at } if now >= *retry_at => self.connect(plan, now, measured),
            _ => self.poll(now, measuring, measured),
        }
        let too_long = self.out_since.is_some_and(|since| now > since + GRACE);
        // Who was never in may stand in a queue for long; it is lost when its attempt fails.
        if too_long && self.was_in {
            self.lost("did not get back in within the grace time", measured);
        }
        let State::Connected(player) = &mut self.state else { return };
        self.brain.think(player, self.ticks);
        for waited in self.brain.round_trips() {
            if measuring {
                measured.rtt_us.add(waited.as_micros() as u64, 1);
            }
        }
        if measuring && self.ticks.is_multiple_of(COUNT_EVERY) && player.is_complete() {
            measured.visible.add(player.view().entities().count() as u64, 1);
        }
        player.send();
    }

    fn connect(&mut self, plan: &Plan, now: Duration, measured: &mut Measured) {
        self.lives += 1;
        self.out_since.get_or_insert(now);
        (self.seen, self.seen_tick, self.updated_at) = (PlayerCounts::default(), 0, None);
        self.polled_at = now;
        match plan.connect(self.number, self.lives) {
            Ok(player) => self.state = State::Connected(Box::new(player)),
            Err(error) => self.lost(&error.to_string(), measured),
        }
    }

    fn thrown_out(&mut self, now: Duration, ended: &Ended, measured: &mut Measured) {
        let since = *self.out_since.get_or_insert(now);
        let hopeless = matches!(ended, Ended::Refused(Refusal::Schema { .. } | Refusal::Protocol(_)));
        if hopeless || now > since + GRACE {
            return self.lost(&ended.to_string(), measured);
        }
        measured.note_end(&ended.to_string());
        self.take_leave_of_player(measured);
        self.state = State::Out { retry_at: now + RETRY_AFTER };
    }

    fn lost(&mut self, why: &str, measured: &mut Measured) {
        measured.note_end(why);
        measured.lost += 1;
        self.take_leave_of_player(measured);
        self.out_since = None;
    }

    /// Adds up what the player counted, and lets it go.
    fn take_leave_of_player(&mut self, measured: &mut Measured) {
        if let State::Connected(player) = std::mem::replace(&mut self.state, State::Gone) {
            measured.add_counts(&player.counts());
        }
    }

    /// Leaves politely, or is lost if it is not in.
    pub(crate) fn finish(&mut self, measured: &mut Measured) {
        match &mut self.state {
            State::Connected(player) if self.out_since.is_none() => {
                player.leave();
                self.take_leave_of_player(measured);
            }
            State::Connected(_) | State::Out { .. } => self.lost("was not in when the time was up", measured),
            State::Waiting | State::Gone => {}
        }
    }
}
