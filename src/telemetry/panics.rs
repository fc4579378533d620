//! A panic is told with the tick, stage, cell and system in which it happened.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, Once, PoisonError};

use serde::Serialize;

use crate::ids::TickNumber;
use crate::telemetry::breadcrumb::{Crumb, Place, current};
use crate::tick::TickSystems;

/// A panic in a system, and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicReport {
    /// The tick that ran.
    pub tick: TickNumber,
    /// The stage that ran; `None` before the first mark.
    pub stage: Option<TickSystems>,
    /// Cell and system; `None` when the thread had entered neither.
    pub place: Option<Place>,
    /// What the panic said.
    pub message: String,
    /// Source file, line and column, where known.
    pub location: Option<String>,
}

impl PanicReport {
    /// The same as JSON keys, for reports that machines read.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        #[derive(Serialize)]
        struct Keys<'a> {
            tick: u64,
            stage: Option<&'static str>,
            cell: Option<String>,
            system: Option<&'a str>,
            message: &'a str,
            location: Option<&'a str>,
        }
        let place = self.place.as_ref();
        serde_json::json!(Keys {
            tick: self.tick.0,
            stage: self.stage.map(TickSystems::name),
            cell: place.and_then(|place| place.cell).map(|(cell, _)| cell.to_string()),
            system: place.and_then(|place| place.system.as_deref()),
            message: &self.message,
            location: self.location.as_deref(),
        })
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic in tick {}", self.tick)?;
        if let Some(stage) = self.stage {
            write!(f, ", stage {}", stage.name())?;
        }
        if let Some(place) = &self.place {
            write!(f, ", {place}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.location {
            Some(location) => write!(f, " (at {location})"),
            None => Ok(()),
        }
    }
}

/// From now on a panic in a cell's or the node's system is also printed to stderr with its place, and the first one is
/// kept in the [`Heartbeat`](crate::telemetry::Heartbeat) of its world; one in a task that a system waits for is told
/// by that system. The hook that was there before runs first. Calling it again does nothing.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            note(info);
        }));
    });
}

/// What a panic said, and where in the source.
#[derive(Clone)]
struct Said {
    message: String,
    location: Option<String>,
}

/// The last panic on a thread that was in no system: a task that some system waits for, or none of the world's.
static ELSEWHERE: Mutex<Option<Said>> = Mutex::new(None);

fn note(info: &std::panic::PanicHookInfo<'_>) {
    let said = Said {
        message: info.payload_as_str().unwrap_or("(no text)").to_owned(),
        location: info.location().map(ToString::to_string),
    };
    match current() {
        Some(crumb) => keep(&crumb, said),
        None => *ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner) = Some(said),
    }
}

/// A system is being left by a panic. If the panic began in this system, it is kept already; else it began in a task on
/// another thread, which the system waited for.
pub(crate) fn note_unwinding() {
    let Some(crumb) = current() else { return };
    if crumb.pulse.panic.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        return;
    }
    let elsewhere = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let unknown = || Said { message: "a panic whose text was not kept".to_owned(), location: None };
    keep(&crumb, elsewhere.unwrap_or_else(unknown));
}

fn keep(crumb: &Arc<Crumb>, Said { message, location }: Said) {
    let report = PanicReport {
        tick: crumb.pulse.tick(),
        stage: crumb.pulse.stage(),
        place: crumb.read(),
        message,
        location,
    };
    // Not through the log: it may be the log that panics.
    let _ = writeln!(std::io::stderr(), "{report}");
    crumb.pulse.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
}

#[cfg(test)]
mod tests {
    use bevy_ecs::prelude::*;
    use bevy_ecs::schedule::SingleThreadedExecutor;

    use super::*;
    use crate::ids::{CellId, SlotIndex};
    use crate::telemetry::{Health, Heartbeat, name_cell_systems, name_node_systems};

    fn steer() {}
    fn explode() {
        panic!("the powder was {}", "wet");
    }

    /// H1: the cell's schedule runs inside a system of the node's, on a worker of bevy's pool.
    #[test]
    fn a_panicking_game_system_is_told_by_tick_stage_cell_and_system() {
        install_panic_hook();
        install_panic_hook();
        bevy_tasks::ComputeTaskPool::get_or_init(bevy_tasks::TaskPool::new);
        let heartbeat = Heartbeat::new();
        let mut cell_schedule = Schedule::default();
        cell_schedule.set_executor(SingleThreadedExecutor::new());
        cell_schedule.add_systems((steer, explode).chain());
        name_cell_systems(&mut cell_schedule);
        let mut cell_world = World::new();
        let crumb = heartbeat.cell(SlotIndex(3));

        let mut node_schedule = Schedule::default();
        let run_cell = move || {
            let _cell = crumb.enter(CellId { world: 0, depth: 0, cx: 3, cy: 4 });
            cell_schedule.run(&mut cell_world);
        };
        node_schedule.add_systems(run_cell);
        name_node_systems(&mut node_schedule, &heartbeat);
        let mut node_world = World::new();
        heartbeat.begin_tick(TickNumber(17));
        heartbeat.enter_stage(TickSystems::Simulate);
        let caught =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node_schedule.run(&mut node_world)));
        assert!(caught.is_err(), "the panic reaches the driver");

        assert_eq!(heartbeat.health(), Health::Panicked);
        let report = heartbeat.panic_report().expect("the panic is kept");
        let text = report.to_string();
        assert!(
            text.starts_with(
                "panic in tick 17, stage Simulate, cell w0/3,4@0 (slot 3), \
                 system terrane::telemetry::panics::tests::explode: the powder was wet (at src/telemetry/panics.rs:"
            ),
            "{text}"
        );
        let json = report.to_json();
        assert_eq!(json["cell"], "w0/3,4@0");
        assert_eq!(json["system"], "terrane::telemetry::panics::tests::explode");
    }

    fn wait_for_a_task_that_panics() {
        let task = std::thread::spawn(|| panic!("in a task"));
        std::panic::resume_unwind(task.join().expect_err("the task panics"));
    }

    /// H1: what a parallel iteration inside a system looks like from outside.
    #[test]
    fn a_panic_in_a_task_is_told_by_the_system_that_waits_for_it() {
        install_panic_hook();
        let heartbeat = Heartbeat::new();
        let mut schedule = Schedule::default();
        schedule.set_executor(SingleThreadedExecutor::new());
        schedule.add_systems(wait_for_a_task_that_panics);
        name_cell_systems(&mut schedule);
        let mut world = World::new();
        let crumb = heartbeat.cell(SlotIndex(0));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _cell = crumb.enter(CellId { world: 0, depth: 0, cx: 1, cy: 1 });
            schedule.run(&mut world);
        }));
        assert!(caught.is_err());
        let report = heartbeat.panic_report().expect("the panic is kept");
        let place = report.place.expect("and its place");
        assert!(place.to_string().ends_with("tests::wait_for_a_task_that_panics"), "{place}");
        assert_eq!(place.cell.map(|(cell, _)| cell.to_string()).as_deref(), Some("w0/1,1@0"));
    }

    #[test]
    fn a_panic_outside_the_world_is_not_told_as_one_of_its_systems() {
        install_panic_hook();
        let heartbeat = Heartbeat::new();
        heartbeat.begin_tick(TickNumber(1));
        assert!(std::panic::catch_unwind(|| panic!("elsewhere")).is_err());
        assert_eq!(heartbeat.panic_report(), None);
    }
}
