//! The watchdog: a tick that hangs turns the world unhealthy, is told by name, and in the end ends the process.

use std::fmt;
use std::io::Write;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::ids::TickNumber;
use crate::telemetry::breadcrumb::Place;
use crate::telemetry::heartbeat::{Beat, Heartbeat};
use crate::tick::TickSystems;

/// Places told in one report; a world that hangs as a whole has one per worker.
const PLACES_TOLD_MAX: usize = 16;

/// When a tick counts as hanging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogSettings {
    /// A tick, or the wait for one, that takes longer makes the world unhealthy until the next beat.
    pub unhealthy_after: Duration,
    /// A tick that takes longer ends the process. A wait between two ticks never does: a lockstep world may
    /// wait for its store.
    pub fatal_after: Duration,
}

impl WatchdogSettings {
    /// The limits for ticks of this length: unhealthy after the longer of one second and 20 ticks, fatal after the
    /// longer of 30 seconds and twice that.
    #[must_use]
    pub fn for_tick(dt: Duration) -> Self {
        let unhealthy_after = Duration::from_secs(1).max(dt * 20);
        Self { unhealthy_after, fatal_after: Duration::from_secs(30).max(unhealthy_after * 2) }
    }

    fn poll(&self) -> Duration {
        (self.unhealthy_after / 8).clamp(Duration::from_millis(1), Duration::from_millis(250))
    }
}

/// What hangs, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HangReport {
    /// The tick that hangs, or the last one when none runs.
    pub tick: TickNumber,
    /// Whether a tick runs; else the driver waits.
    pub in_tick: bool,
    /// The stage that runs.
    pub stage: Option<TickSystems>,
    /// For how long nothing has moved.
    pub stuck_for: Duration,
    /// The cells and systems that were being run.
    pub places: Vec<Place>,
}

impl HangReport {
    /// What the world is at now.
    #[must_use]
    pub fn read(heartbeat: &Heartbeat, stuck_for: Duration) -> Self {
        let in_tick = heartbeat.beat().in_tick;
        let stage = if in_tick { heartbeat.stage() } else { None };
        let places = if in_tick { heartbeat.places() } else { Vec::new() };
        Self { tick: heartbeat.tick(), in_tick, stage, stuck_for, places }
    }
}

impl fmt::Display for HangReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.stuck_for.as_secs_f64();
        if !self.in_tick {
            return write!(f, "no tick has begun for {seconds:.1} s after tick {}", self.tick);
        }
        write!(f, "tick {} has run for {seconds:.1} s", self.tick)?;
        if let Some(stage) = self.stage {
            write!(f, ", in stage {}", stage.name())?;
        }
        for (number, place) in self.places.iter().take(PLACES_TOLD_MAX).enumerate() {
            write!(f, "{} {place}", if number == 0 { ":" } else { ";" })?;
        }
        match self.places.len().checked_sub(PLACES_TOLD_MAX + 1) {
            Some(rest) => write!(f, "; and {} more", rest + 1),
            None => Ok(()),
        }
    }
}

/// What is to be done about a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It moves, or need not.
    Fine,
    /// It has just become too slow.
    BeginsToHang(Duration),
    /// It is still too slow.
    StillHangs,
    /// It moves again after this long.
    Recovered(Duration),
    /// It has taken so long that it will not come back.
    Fatal(Duration),
}

/// Decides from beats and times; holds no clock.
#[derive(Debug)]
struct HangDetector {
    settings: WatchdogSettings,
    seen: Option<(Beat, Duration)>,
    looked_at: Duration,
    hangs: bool,
}

impl HangDetector {
    fn new(settings: WatchdogSettings) -> Self {
        Self { settings, seen: None, looked_at: Duration::ZERO, hangs: false }
    }

    fn observe(&mut self, now: Duration, beat: Beat) -> Verdict {
        // Whoever was not running itself for long (a stopped process, a starved machine) has seen nothing.
        let slept = now.saturating_sub(self.looked_at) > self.settings.unhealthy_after;
        self.looked_at = now;
        let since = match self.seen {
            Some((seen, since)) if seen == beat && !slept => since,
            before => {
                self.seen = Some((beat, now));
                if self.hangs && before.is_some_and(|(seen, _)| seen != beat) {
                    self.hangs = false;
                    return Verdict::Recovered(now - before.map_or(now, |(_, since)| since));
                }
                return if self.hangs { Verdict::StillHangs } else { Verdict::Fine };
            }
        };
        let stuck_for = now - since;
        if !beat.in_tick && !beat.running || stuck_for <= self.settings.unhealthy_after {
            return if self.hangs { Verdict::StillHangs } else { Verdict::Fine };
        }
        if beat.in_tick && stuck_for > self.settings.fatal_after {
            return Verdict::Fatal(stuck_for);
        }
        if self.hangs {
            return Verdict::StillHangs;
        }
        self.hangs = true;
        Verdict::BeginsToHang(stuck_for)
    }
}

/// A thread that watches one heartbeat. It stops when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts to watch. `on_fatal` is called once, on the watchdog's thread, when a tick has taken longer than
    /// [`fatal_after`](WatchdogSettings::fatal_after); a server passes [`end_process`].
    ///
    /// # Errors
    /// When the system refuses a thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the watchdog runs beside the ticks, on a thread of its own"
    )]
    pub fn start(
        heartbeat: Heartbeat,
        settings: WatchdogSettings,
        on_fatal: impl FnOnce(&HangReport) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded::<()>(1);
        let watch = move || {
            let started = Instant::now();
            let mut detector = HangDetector::new(settings);
            while stopped.recv_timeout(settings.poll()) == Err(RecvTimeoutError::Timeout) {
                match detector.observe(started.elapsed(), heartbeat.beat()) {
                    Verdict::Fine | Verdict::StillHangs => {}
                    Verdict::BeginsToHang(stuck_for) => {
                        heartbeat.set_hangs(true);
                        tracing::error!("{}", HangReport::read(&heartbeat, stuck_for));
                    }
                    Verdict::Recovered(stuck_for) => {
                        heartbeat.set_hangs(false);
                        tracing::warn!("ticks again after {:.1} s", stuck_for.as_secs_f64());
                    }
                    Verdict::Fatal(stuck_for) => {
                        heartbeat.set_hangs(true);
                        on_fatal(&HangReport::read(&heartbeat, stuck_for));
                        return;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(watch)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that it has not logged.
            let _ = thread.join();
        }
    }
}

/// Writes what hangs to stderr and ends the process with exit code 1. Nothing of the tick that hangs is committed.
pub fn end_process(report: &HangReport) {
    let _ = writeln!(std::io::stderr(), "giving up: {report}");
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use bevy_ecs::prelude::*;
    use bevy_ecs::schedule::SingleThreadedExecutor;

    use super::*;
    use crate::ids::{CellId, SlotIndex};
    use crate::telemetry::{Health, name_cell_systems};

    const SETTINGS: WatchdogSettings =
        WatchdogSettings { unhealthy_after: Duration::from_secs(1), fatal_after: Duration::from_secs(30) };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn beat(count: u64, running: bool) -> Beat {
        Beat { count, in_tick: count % 2 == 1, running }
    }

    /// Looks every 100 ms from `from` to `to` and returns what was said first that is not `Fine`.
    fn watch(detector: &mut HangDetector, from_ms: u64, to_ms: u64, beat: Beat) -> (u64, Verdict) {
        for now in (from_ms..=to_ms).step_by(100) {
            let verdict = detector.observe(ms(now), beat);
            if !matches!(verdict, Verdict::Fine | Verdict::StillHangs) {
                return (now, verdict);
            }
        }
        (to_ms, if detector.hangs { Verdict::StillHangs } else { Verdict::Fine })
    }

    #[test]
    fn a_tick_hangs_after_the_limit_recovers_with_the_next_beat_and_is_fatal_in_the_end() {
        let mut detector = HangDetector::new(SETTINGS);
        assert_eq!(watch(&mut detector, 0, 900, beat(3, true)), (900, Verdict::Fine));
        assert_eq!(
            watch(&mut detector, 1_000, 2_000, beat(3, true)),
            (1_100, Verdict::BeginsToHang(ms(1_100)))
        );
        assert_eq!(
            watch(&mut detector, 1_200, 2_000, beat(3, true)),
            (2_000, Verdict::StillHangs),
            "told once"
        );
        assert_eq!(detector.observe(ms(2_100), beat(4, true)), Verdict::Recovered(ms(2_100)));
        assert_eq!(watch(&mut detector, 2_200, 3_000, beat(5, true)), (3_000, Verdict::Fine));
        assert_eq!(watch(&mut detector, 3_100, 9_000, beat(5, true)).1, Verdict::BeginsToHang(ms(1_100)));
        assert_eq!(watch(&mut detector, 3_400, 60_000, beat(5, true)), (32_300, Verdict::Fatal(ms(30_100))));
    }

    #[test]
    fn a_driver_that_waits_is_unhealthy_but_never_fatal_and_one_that_does_not_run_is_neither() {
        let mut detector = HangDetector::new(SETTINGS);
        assert_eq!(watch(&mut detector, 0, 100_000, beat(4, false)), (100_000, Verdict::Fine));
        let mut detector = HangDetector::new(SETTINGS);
        assert_eq!(
            watch(&mut detector, 0, 100_000, beat(4, true)),
            (1_100, Verdict::BeginsToHang(ms(1_100)))
        );
        assert_eq!(watch(&mut detector, 1_200, 100_000, beat(4, true)), (100_000, Verdict::StillHangs));
    }

    #[test]
    fn a_process_that_was_stopped_does_not_hang_when_it_goes_on() {
        let mut detector = HangDetector::new(SETTINGS);
        assert_eq!(watch(&mut detector, 0, 500, beat(3, true)), (500, Verdict::Fine));
        assert_eq!(detector.observe(ms(600_000), beat(3, true)), Verdict::Fine, "nobody looked meanwhile");
        assert_eq!(watch(&mut detector, 600_100, 700_000, beat(3, true)).0, 601_100, "counted from there");
    }

    #[derive(Resource)]
    struct Release(Arc<AtomicBool>);

    fn spin(release: Res<Release>) {
        while !release.0.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    /// H1: the watchdog of a world whose cell never returns.
    #[test]
    fn a_hanging_game_system_is_told_by_tick_stage_cell_and_system() {
        let heartbeat = Heartbeat::new();
        let crumb = heartbeat.cell(SlotIndex(2));
        let release = Arc::new(AtomicBool::new(false));
        let mut schedule = Schedule::default();
        schedule.set_executor(SingleThreadedExecutor::new());
        schedule.add_systems(spin);
        name_cell_systems(&mut schedule);
        let mut world = World::new();
        world.insert_resource(Release(release.clone()));

        let (told, fatal) = bounded(1);
        let settings = WatchdogSettings { unhealthy_after: ms(30), fatal_after: ms(60) };
        let _watchdog = Watchdog::start(heartbeat.clone(), settings, move |report| {
            told.send(report.clone()).expect("the test waits");
        })
        .unwrap();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                heartbeat.begin_tick(TickNumber(17));
                heartbeat.enter_stage(TickSystems::Simulate);
                let _cell = crumb.enter(CellId { world: 0, depth: 0, cx: 3, cy: 4 });
                schedule.run(&mut world);
            });
            let report = fatal.recv_timeout(Duration::from_secs(60)).expect("the hang is noticed");
            assert_eq!(heartbeat.health(), Health::Hangs);
            release.store(true, Ordering::Release);
            report
        });
        assert_eq!((report.tick, report.stage), (TickNumber(17), Some(TickSystems::Simulate)));
        let text = report.to_string();
        assert!(
            text.starts_with("tick 17 has run for 0.") || text.starts_with("tick 17 has run for "),
            "{text}"
        );
        assert!(
            text.ends_with(
                "in stage Simulate: cell w0/3,4@0 (slot 2), system terrane::telemetry::watchdog::tests::spin"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_limits_grow_with_the_length_of_a_tick() {
        let short = WatchdogSettings::for_tick(ms(33));
        assert_eq!((short.unhealthy_after, short.fatal_after), (ms(1_000), ms(30_000)));
        let long = WatchdogSettings::for_tick(ms(1_000));
        assert_eq!((long.unhealthy_after, long.fatal_after), (ms(20_000), ms(40_000)));
    }
}
