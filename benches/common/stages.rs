//! CPU and wall time of every set of the tick, taken from outside: marks before and behind each set of the schedule.

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::{IntoScheduleConfigs, ResMut, Resource};
use terrane::tick::{Tick, TickSystems};

use super::{cpu_ms, wall_ms};

/// When each set of the last tick began and ended.
#[derive(Resource, Default)]
pub(crate) struct StageMarks {
    begin: [Reading; TickSystems::COUNT],
    end: [Reading; TickSystems::COUNT],
}

/// One reading of both clocks, in milliseconds.
#[derive(Clone, Copy, Default)]
struct Reading {
    cpu_ms: f64,
    wall_ms: f64,
}

impl Reading {
    fn now() -> Self {
        Self { cpu_ms: cpu_ms(), wall_ms: wall_ms() }
    }
}

impl StageMarks {
    /// CPU milliseconds of one set in the last tick, all threads together.
    pub(crate) fn of(&self, set: TickSystems) -> f64 {
        self.end[set.index()].cpu_ms - self.begin[set.index()].cpu_ms
    }

    /// Wall milliseconds of one set in the last tick.
    pub(crate) fn wall_of(&self, set: TickSystems) -> f64 {
        self.end[set.index()].wall_ms - self.begin[set.index()].wall_ms
    }

    /// CPU milliseconds of several sets in the last tick.
    pub(crate) fn sum(&self, sets: &[TickSystems]) -> f64 {
        sets.iter().map(|&set| self.of(set)).sum()
    }
}

/// Adds the marks. A system that runs between two sets, ordered behind [`behind`] the one and before
/// [`before`] the other, belongs to neither.
pub(crate) struct MarkStages;

impl Plugin for MarkStages {
    fn build(&self, app: &mut App) {
        app.init_resource::<StageMarks>();
        for set in TickSystems::ORDER {
            let at = set.index();
            let begin = move |mut marks: ResMut<StageMarks>| marks.begin[at] = Reading::now();
            let end = move |mut marks: ResMut<StageMarks>| marks.end[at] = Reading::now();
            app.add_systems(Tick, begin.in_set(Mark::Before(set)).before(set));
            app.add_systems(Tick, end.in_set(Mark::Behind(set)).after(set));
        }
        for pair in TickSystems::ORDER.windows(2) {
            app.configure_sets(Tick, Mark::Behind(pair[0]).before(Mark::Before(pair[1])));
        }
    }
}

/// The mark before or behind a set.
#[derive(bevy_ecs::prelude::SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// Its clock starts.
    Before(TickSystems),
    /// Its clock stops.
    Behind(TickSystems),
}
