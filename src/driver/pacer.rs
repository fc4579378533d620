//! The only clock of the tick: when the next one is due, and what time it is in it.

#![expect(clippy::disallowed_methods, reason = "the one clock of the tick")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::Pace;
use crate::ids::TickNumber;

use super::LOCKSTEP_EPOCH_MS;

/// Decides when ticks begin.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    tick_length: Duration,
    due: Instant,
    /// Calendar time never runs backwards, whatever the machine's clock does.
    last_now_ms: u64,
    /// Ticks that took longer than their time.
    pub(super) overruns: u64,
}

impl Pacer {
    /// A pacer whose first tick is due now. `now_ms` is the last calendar time that the world knows.
    pub(super) fn new(pace: Pace, hz: u32, now_ms: u64) -> Self {
        let tick_length = Duration::from_secs(1) / hz;
        Self { pace, tick_length, due: Instant::now(), last_now_ms: now_ms, overruns: 0 }
    }

    /// Waits until the next tick is due. A world that is late does not hurry to catch up: it runs slower, with
    /// the same step, and each tick that was missed counts as an overrun once.
    pub(super) fn wait(&mut self) {
        if self.pace == Pace::Lockstep {
            return;
        }
        let now = Instant::now();
        if let Some(left) = self.due.checked_duration_since(now) {
            std::thread::sleep(left);
            self.due += self.tick_length;
        } else {
            self.due = now + self.tick_length;
        }
    }

    /// Takes note of how long a tick took.
    pub(super) fn took(&mut self, length: Duration) {
        if length > self.tick_length {
            self.overruns += 1;
        }
    }

    /// The calendar time of a tick.
    pub(super) fn now_ms(&mut self, tick: TickNumber) -> u64 {
        let now = match self.pace {
            Pace::Lockstep => LOCKSTEP_EPOCH_MS + (self.tick_length * tick.0 as u32).as_millis() as u64,
            Pace::Paced => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
            }
        };
        self.last_now_ms = self.last_now_ms.max(now);
        self.last_now_ms
    }

    /// How long a tick may take.
    pub(super) fn tick_length(&self) -> Duration {
        self.tick_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockstep_time_follows_from_the_tick_and_never_runs_backwards() {
        let mut pacer = Pacer::new(Pace::Lockstep, 20, 0);
        assert_eq!(pacer.now_ms(TickNumber(10)), LOCKSTEP_EPOCH_MS + 500);
        assert_eq!(pacer.now_ms(TickNumber(9)), LOCKSTEP_EPOCH_MS + 500);
        let mut later = Pacer::new(Pace::Lockstep, 20, LOCKSTEP_EPOCH_MS + 9_999);
        assert_eq!(later.now_ms(TickNumber(1)), LOCKSTEP_EPOCH_MS + 9_999);
    }

    #[test]
    fn a_tick_longer_than_its_time_is_an_overrun() {
        let mut pacer = Pacer::new(Pace::Paced, 20, 0);
        pacer.took(Duration::from_millis(49));
        pacer.took(Duration::from_millis(51));
        assert_eq!(pacer.overruns, 1);
    }
}
