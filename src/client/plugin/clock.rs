//! Time in a client's `App`, and which moment of the world it shows.

use std::time::{Duration, Instant};

use bevy_ecs::prelude::{DetectChanges, Res, ResMut, Resource};

use crate::ids::TickNumber;

use super::client::Client;

/// The time by which the plugin lives. It follows the clock of the wall unless the game puts one
/// [`by_hand`](Self::by_hand) in its place: then it moves when the game says so, once per update.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct ClientClock {
    now: Duration,
    step: Duration,
    /// By hand: what the next update takes.
    ahead: Duration,
    by_hand: bool,
    read: Option<Instant>,
}

impl ClientClock {
    /// A clock that follows that of the wall.
    #[must_use]
    pub fn wall() -> Self {
        Self::default()
    }

    /// A clock that stands still but for [`advance`](Self::advance).
    #[must_use]
    pub fn by_hand() -> Self {
        Self { by_hand: true, ..Self::default() }
    }

    /// The next update takes so much longer. Does nothing to a clock that follows the wall's.
    pub fn advance(&mut self, step: Duration) {
        self.ahead += step;
    }

    /// Since the first update.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Since the last update.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step
    }

    #[expect(clippy::disallowed_methods, reason = "a client on its own paces itself")]
    fn run(&mut self) {
        let ahead = std::mem::take(&mut self.ahead);
        self.step = if self.by_hand {
            ahead
        } else {
            let now = Instant::now();
            self.read.replace(now).map_or(Duration::ZERO, |before| now - before)
        };
        self.now += self.step;
    }
}

pub(super) fn run_clock(mut clock: ResMut<ClientClock>) {
    clock.run();
}

/// How far behind the newest update entities are shown, in ticks of the world. More than the time between two updates
/// and their jitter, or they stand still now and then.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub struct InterpolationDelay(pub f64);

/// How much of what an update's arrival says about the world's clock is believed: single ones are late.
const OFFSET_BELIEVED: f64 = 0.1;
/// Beyond so many seconds the world's clock is another one, and is believed at once.
const OFFSET_JUMP_S: f64 = 1.0;

/// Which tick of the world the positions show, a moment before the newest that is known. It runs by the client's clock and follows the
/// world's, so that updates that come late or in bunches do not show; it never runs backwards within a session.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct ShownTick {
    newest: TickNumber,
    /// What the world's tick is ahead of the client's clock, counted in ticks.
    offset: Option<f64>,
    shown: f64,
}

impl ShownTick {
    /// The tick, with its fraction.
    #[must_use]
    pub fn tick(&self) -> f64 {
        self.shown
    }

    /// At `now_s` the newest tick known is `newest`, of `hz` in a second.
    fn follow(&mut self, newest: TickNumber, now_s: f64, hz: f64, delay_ticks: f64) {
        if newest != self.newest {
            self.newest = newest;
            let told = newest.0 as f64 - now_s * hz;
            match &mut self.offset {
                Some(offset) if (told - *offset).abs() < OFFSET_JUMP_S * hz => {
                    *offset += (told - *offset) * OFFSET_BELIEVED;
                }
                other => {
                    *other = Some(told);
                    self.shown = 0.0;
                }
            }
        }
        if let Some(offset) = self.offset {
            self.shown = self.shown.max(now_s * hz + offset - delay_ticks);
        }
    }
}

pub(super) fn choose_shown_tick(
    mut client: ResMut<Client>,
    clock: Res<ClientClock>,
    delay: Res<InterpolationDelay>,
    mut shown: ResMut<ShownTick>,
) {
    if delay.is_changed() {
        client.player_mut().set_interpolation_delay(delay.0);
    }
    if let Some(interpolation) = client.player().interpolation() {
        let hz = f64::from(client.hz());
        shown.follow(interpolation.newest(), clock.now().as_secs_f64(), hz, delay.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Updates that come late, in bunches, or not at all: what is shown moves on by the client's clock.
    #[test]
    fn what_is_shown_runs_smoothly_and_never_backwards_whatever_the_updates_do() {
        let mut shown = ShownTick::default();
        let mut last: Option<f64> = None;
        for frame in 0..1_200u32 {
            let now_s = f64::from(frame) / 60.0;
            let tick = 1_000 + (now_s * 20.0) as u64;
            // Up to two ticks late, and every now and then nothing for a third of a second.
            let late = u64::from(frame / 7 % 3);
            let newest = if frame % 100 < 20 { shown.newest.0.max(1_000) } else { tick - late };
            shown.follow(TickNumber(newest.max(shown.newest.0)), now_s, 20.0, 2.0);
            if frame > 60
                && let Some(last) = last
            {
                let step = shown.tick() - last;
                assert!((0.0..1.0).contains(&step), "frame {frame}: a step of {step} ticks");
                let behind = tick as f64 - shown.tick();
                assert!((0.5..6.0).contains(&behind), "frame {frame}: {behind} ticks behind");
            }
            last = Some(shown.tick());
        }
    }

    #[test]
    fn another_world_s_clock_is_believed_at_once() {
        let mut shown = ShownTick::default();
        shown.follow(TickNumber(90_000), 10.0, 20.0, 2.0);
        assert_eq!(shown.tick(), 89_998.0);
        shown.follow(TickNumber(50), 10.1, 20.0, 2.0);
        assert_eq!(shown.tick(), 48.0, "it began anew");
        shown.follow(TickNumber(50), 10.2, 20.0, 2.0);
        assert!((shown.tick() - 50.0).abs() < 1e-6, "without news it runs on: {}", shown.tick());
    }
}
