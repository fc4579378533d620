//! How long each stage of the tick takes.

use bevy_ecs::prelude::Resource;

use crate::telemetry::clock::StageClock;
use crate::tick::TickSystems;

/// Ticks that are remembered: at 20 Hz the last 51 seconds.
pub const STAGE_TICKS_REMEMBERED: usize = 1_024;

/// What one stage cost in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageSample {
    /// Wall time between the stage's two marks, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time of all threads of the process meanwhile, where the platform tells it.
    pub cpu_ns: Option<u64>,
}

/// What a stage cost over the remembered ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageSummary {
    /// The stage.
    pub stage: TickSystems,
    /// Median of the wall time in nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile of the wall time in nanoseconds.
    pub p99_ns: u64,
    /// Longest wall time in nanoseconds.
    pub max_ns: u64,
    /// Mean CPU time of the process in nanoseconds, where the platform tells it.
    pub cpu_mean_ns: Option<u64>,
}

/// The times of each stage in the last [`STAGE_TICKS_REMEMBERED`] ticks. Written by the marks between the stages,
/// read by `Record` for the metrics and by the driver for the report; nothing that decides reads it. 288 kB.
#[derive(Resource, Debug)]
pub struct StageTimes {
    ring: Vec<[StageSample; TickSystems::COUNT]>,
    /// Where the next tick goes once the ring is full.
    oldest: usize,
    current: [StageSample; TickSystems::COUNT],
    last: [StageSample; TickSystems::COUNT],
    open: Option<(TickSystems, u64, Option<u64>)>,
}

impl Default for StageTimes {
    fn default() -> Self {
        Self {
            ring: Vec::with_capacity(STAGE_TICKS_REMEMBERED),
            oldest: 0,
            current: Default::default(),
            last: Default::default(),
            open: None,
        }
    }
}

impl StageTimes {
    /// Ends the stage that runs, if any, and begins `next`. The end of a tick is `None`.
    pub fn mark(&mut self, clock: &StageClock, next: Option<TickSystems>) {
        let (wall_ns, cpu_ns) = (clock.wall_ns(), clock.cpu_ns());
        if let Some((stage, began_ns, cpu_began_ns)) = self.open.take() {
            let sample = StageSample {
                wall_ns: wall_ns.saturating_sub(began_ns),
                cpu_ns: cpu_ns.zip(cpu_began_ns).map(|(now, then)| now.saturating_sub(then)),
            };
            self.current[stage.index()] = sample;
            self.last[stage.index()] = sample;
        }
        match next {
            Some(stage) => self.open = Some((stage, wall_ns, cpu_ns)),
            None => self.remember(),
        }
    }

    fn remember(&mut self) {
        let tick = std::mem::take(&mut self.current);
        if self.ring.len() < STAGE_TICKS_REMEMBERED {
            self.ring.push(tick);
        } else {
            self.ring[self.oldest] = tick;
            self.oldest = (self.oldest + 1) % STAGE_TICKS_REMEMBERED;
        }
    }

    /// What each stage cost when it last ended: within `Record`, of this tick up to `Send` and `Record` of the one before.
    #[must_use]
    pub fn last(&self) -> &[StageSample; TickSystems::COUNT] {
        &self.last
    }

    /// Ticks remembered.
    #[must_use]
    pub fn ticks(&self) -> usize {
        self.ring.len()
    }

    /// Every stage's times over the remembered ticks, in the order of the tick; empty before the first one.
    /// Sorts each stage's samples: for reports and once a second, not for every tick.
    #[must_use]
    pub fn summary(&self) -> Vec<StageSummary> {
        if self.ring.is_empty() {
            return Vec::new();
        }
        let ticks = self.ring.len();
        let at = |sorted: &[u64], share: f64| sorted[((share * ticks as f64).ceil() as usize).max(1) - 1];
        TickSystems::ORDER
            .into_iter()
            .map(|stage| {
                let samples = || self.ring.iter().map(move |tick| tick[stage.index()]);
                let mut walls: Vec<u64> = samples().map(|sample| sample.wall_ns).collect();
                walls.sort_unstable();
                let cpu_sum_ns: Option<u64> = samples().map(|sample| sample.cpu_ns).sum();
                StageSummary {
                    stage,
                    p50_ns: at(&walls, 0.50),
                    p99_ns: at(&walls, 0.99),
                    max_ns: walls[ticks - 1],
                    cpu_mean_ns: cpu_sum_ns.map(|sum_ns| sum_ns / ticks as u64),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW_NS: Cell<u64> = const { Cell::new(0) };
    }

    fn hand_moved_clock() -> StageClock {
        StageClock::new(|| NOW_NS.get(), Some(|| NOW_NS.get() * 2))
    }

    /// Stage `i` of tick `tick` takes `tick + i` nanoseconds.
    fn run_ticks(times: &mut StageTimes, clock: &StageClock, ticks: std::ops::Range<u64>) {
        for tick in ticks {
            for stage in TickSystems::ORDER {
                times.mark(clock, Some(stage));
                NOW_NS.set(NOW_NS.get() + tick + stage.index() as u64);
            }
            times.mark(clock, None);
            NOW_NS.set(NOW_NS.get() + 1_000_000);
        }
    }

    #[test]
    fn a_stage_is_charged_from_its_mark_to_the_next_and_never_the_pause_between_ticks() {
        let (mut times, clock) = (StageTimes::default(), hand_moved_clock());
        run_ticks(&mut times, &clock, 1..101);
        for (place, stage) in times.summary().into_iter().enumerate() {
            let place = place as u64;
            assert_eq!(stage.stage.index() as u64, place);
            assert_eq!((stage.p50_ns, stage.p99_ns, stage.max_ns), (50 + place, 99 + place, 100 + place));
            assert_eq!(stage.cpu_mean_ns, Some((5_050 + 100 * place) * 2 / 100));
        }
        assert_eq!(times.last()[3], StageSample { wall_ns: 103, cpu_ns: Some(206) });
    }

    #[test]
    fn only_the_newest_ticks_are_remembered() {
        let (mut times, clock) = (StageTimes::default(), hand_moved_clock());
        let ticks = 3 * STAGE_TICKS_REMEMBERED as u64;
        run_ticks(&mut times, &clock, 0..ticks);
        run_ticks(&mut times, &clock, 7..8);
        assert_eq!(times.ticks(), STAGE_TICKS_REMEMBERED);
        let first = times.summary()[0];
        assert_eq!(first.max_ns, ticks - 1);
        assert!(first.p50_ns > 2 * STAGE_TICKS_REMEMBERED as u64, "old ticks must be forgotten");
    }
}
