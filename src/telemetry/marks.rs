//! The marks between the stages: one exclusive system before each set of the tick and one after the last.

use bevy_ecs::prelude::*;
use bevy_ecs::schedule::Schedule;

use crate::telemetry::clock::StageClock;
use crate::telemetry::heartbeat::Heartbeat;
use crate::telemetry::stages::StageTimes;
use crate::telemetry::tracy::ZoneTable;
use crate::tick::{Foremost, TickSystems};

/// Adds the marks to the node's tick schedule and their resources to its world. Each mark ends the stage before and
/// begins the next: its time, its Tracy zone, its place in the [`Heartbeat`]. The last one is the frame mark.
///
/// Marks are exclusive, so every system of the schedule must belong to one of the tick's sets (anything else is an
/// ambiguity, which is an error), and they always run on the thread that runs the tick, as Tracy's zones require.
/// Costs about 1 µs a mark.
pub fn instrument(schedule: &mut Schedule, world: &mut World, clock: StageClock, heartbeat: Heartbeat) {
    world.insert_resource(clock);
    world.insert_resource(heartbeat);
    world.init_resource::<StageTimes>();
    world.init_resource::<ZoneTable>();
    let mut before: Option<TickSystems> = None;
    for stage in TickSystems::ORDER {
        let mark = (move |world: &mut World| mark(world, Some(stage))).before(Foremost(stage)).before(stage);
        match before {
            Some(earlier) => schedule.add_systems(mark.after(earlier)),
            None => schedule.add_systems(mark),
        };
        before = Some(stage);
    }
    let last = TickSystems::ORDER[TickSystems::COUNT - 1];
    schedule.add_systems((|world: &mut World| mark(world, None)).after(last));
}

fn mark(world: &mut World, next: Option<TickSystems>) {
    let clock = *world.resource::<StageClock>();
    world.resource_mut::<StageTimes>().mark(&clock, next);
    if let Some(stage) = next {
        world.resource::<Heartbeat>().enter_stage(stage);
    }
    let zones = world.resource::<ZoneTable>();
    zones.leave_set();
    match next {
        Some(stage) => zones.enter_set(stage),
        None => zones.mark_frame(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TickNumber;
    use crate::tick::{self, Tick};

    #[derive(Resource, Default)]
    struct Seen(Vec<(TickSystems, Option<TickSystems>)>);

    /// Every set sees itself as the stage that runs, and the time it burns is charged to it.
    #[test]
    fn the_marks_fall_between_the_sets() {
        thread_local! {
            static NOW_NS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
        }
        let (mut schedule, mut world) = (Schedule::new(Tick), World::new());
        schedule.set_executor(bevy_ecs::schedule::SingleThreadedExecutor::new());
        tick::configure(&mut schedule);
        world.init_resource::<Seen>();
        for set in TickSystems::ORDER.into_iter().rev() {
            let look = move |mut seen: ResMut<Seen>, heartbeat: Res<Heartbeat>| {
                seen.0.push((set, heartbeat.stage()));
                NOW_NS.set(NOW_NS.get() + 100 + set.index() as u64);
            };
            schedule.add_systems(look.in_set(set));
        }
        let heartbeat = Heartbeat::new();
        instrument(&mut schedule, &mut world, StageClock::new(|| NOW_NS.get(), None), heartbeat.clone());
        heartbeat.begin_tick(TickNumber(1));
        schedule.run(&mut world);
        heartbeat.end_tick();
        assert_eq!(world.resource::<Seen>().0, TickSystems::ORDER.map(|set| (set, Some(set))));
        for (place, stage) in world.resource::<StageTimes>().summary().into_iter().enumerate() {
            assert_eq!(stage.max_ns, 100 + place as u64, "{:?} is charged its own time", stage.stage);
        }
    }

    #[test]
    fn the_marks_and_the_sets_run_without_ambiguity_on_many_threads() {
        bevy_tasks::ComputeTaskPool::get_or_init(bevy_tasks::TaskPool::new);
        let (mut schedule, mut world) = (Schedule::new(Tick), World::new());
        tick::configure(&mut schedule);
        for set in TickSystems::ORDER {
            schedule.add_systems((|_: Commands| {}).in_set(set));
        }
        instrument(&mut schedule, &mut world, StageClock::system(), Heartbeat::new());
        schedule.run(&mut world);
        schedule.run(&mut world);
        assert_eq!(world.resource::<StageTimes>().ticks(), 2);
    }
}
