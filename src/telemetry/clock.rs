//! The clocks of telemetry. A tick carries them as functions, and only stage marks call them.

use bevy_ecs::prelude::Resource;

/// The clocks that the marks between two stages read. Nothing a tick computes depends on them.
#[derive(Resource, Clone, Copy, Debug)]
pub struct StageClock {
    wall_ns: fn() -> u64,
    cpu_ns: Option<fn() -> u64>,
}

impl StageClock {
    /// Clocks of the caller: `wall_ns` never runs backwards; `cpu_ns` is the CPU time of all the process's threads.
    #[must_use]
    pub const fn new(wall_ns: fn() -> u64, cpu_ns: Option<fn() -> u64>) -> Self {
        Self { wall_ns, cpu_ns }
    }

    /// The clocks of this machine. CPU time is the process's, so it also counts shards, store and HTTP threads
    /// that work while a stage runs. A reading costs about 25 ns for the wall and 0.2 to 0.5 µs for the CPU.
    #[must_use]
    pub const fn system() -> Self {
        Self::new(wall_ns, process_cpu_clock())
    }

    /// A clock that stands still: worlds that are driven by hand measure nothing.
    #[must_use]
    pub const fn frozen() -> Self {
        Self::new(|| 0, None)
    }

    /// Nanoseconds since some moment before the first reading.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        (self.wall_ns)()
    }

    /// Nanoseconds of CPU time of the process, where the platform tells it.
    #[must_use]
    pub fn cpu_ns(&self) -> Option<u64> {
        self.cpu_ns.map(|read| read())
    }
}

/// Nanoseconds since the first call in this process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one clock of telemetry: no tick reads it back")]
pub fn wall_ns() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(unix)]
const fn process_cpu_clock() -> Option<fn() -> u64> {
    Some(process_cpu_ns)
}

#[cfg(not(unix))]
const fn process_cpu_clock() -> Option<fn() -> u64> {
    None
}

#[cfg(unix)]
fn process_cpu_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_the_machine_never_run_backwards() {
        let clock = StageClock::system();
        let (wall, cpu) = (clock.wall_ns(), clock.cpu_ns());
        let spent: u64 = std::hint::black_box((0..1_000_000u64).sum());
        assert!(spent > 0);
        assert!(clock.wall_ns() >= wall);
        assert!(clock.cpu_ns() >= cpu);
        assert_eq!(StageClock::frozen().wall_ns(), 0);
    }
}
