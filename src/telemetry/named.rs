//! Every system is told by name: the wrapper that leaves a breadcrumb around each.
//!
//! bevy's executors do not say which system they run, and a custom one cannot evaluate run conditions, because the
//! schedule hides them. So each system is wrapped once, before the schedule is first built, in an adapter that passes
//! everything through: access, deferred commands, conditions, order and errors stay those of the system.

use std::any::TypeId;
use std::sync::Arc;

use bevy_ecs::prelude::IntoSystem;
use bevy_ecs::schedule::{ApplyDeferred, Schedule, SystemWithAccess};
use bevy_ecs::system::{Adapt, AdapterSystem, RunSystemError, System};

use crate::telemetry::breadcrumb::{Crumb, Running, SystemName, enter};
use crate::telemetry::heartbeat::Heartbeat;

/// Writes the system's name into the thread's current crumb.
struct InCell(SystemName);

impl Adapt<SystemWithAccess> for InCell {
    type In = ();
    type Out = ();

    #[inline]
    fn adapt(
        &mut self,
        _: (),
        run_system: impl FnOnce(()) -> Result<(), RunSystemError>,
    ) -> Result<(), RunSystemError> {
        let _running = Running::enter(self.0);
        run_system(())
    }
}

/// Makes the node's crumb the current one and writes the system's name into it.
struct OnNode(SystemName, Arc<Crumb>);

impl Adapt<SystemWithAccess> for OnNode {
    type In = ();
    type Out = ();

    #[inline]
    fn adapt(
        &mut self,
        _: (),
        run_system: impl FnOnce(()) -> Result<(), RunSystemError>,
    ) -> Result<(), RunSystemError> {
        let _node = enter(self.1.clone());
        let _running = Running::enter(self.0);
        run_system(())
    }
}

/// Wraps every system of a schedule that runs inside cells, so that a panic or a hang names it. Returns how many.
///
/// Call it once, after all systems were added and before the schedule is first run or initialised: what is added
/// later stays unnamed. Costs about 3 ns per system and run. A run condition is told as "after" the system before it.
pub fn name_cell_systems(schedule: &mut Schedule) -> usize {
    wrap_systems(schedule, |name, system| {
        let debug_name = system.name();
        Box::new(AdapterSystem::new(InCell(name), system, debug_name))
    })
}

/// Wraps every system of the node's schedule likewise; about 30 ns per system and run. Call it before
/// [`instrument`](crate::telemetry::instrument), whose marks need no name.
pub fn name_node_systems(schedule: &mut Schedule, heartbeat: &Heartbeat) -> usize {
    let node = heartbeat.node();
    wrap_systems(schedule, move |name, system| {
        let debug_name = system.name();
        Box::new(AdapterSystem::new(OnNode(name, node.clone()), system, debug_name))
    })
}

fn wrap_systems(
    schedule: &mut Schedule,
    wrap: impl Fn(SystemName, SystemWithAccess) -> Box<dyn System<In = (), Out = ()>>,
) -> usize {
    let systems = &mut schedule.graph_mut().systems;
    // Executors know a sync point by its type, which a wrapper would hide.
    let keys: Vec<_> = systems
        .iter()
        .filter(|(_, system, _)| system.system_type() != TypeId::of::<ApplyDeferred>())
        .map(|(key, ..)| key)
        .collect();
    for &key in &keys {
        let system = systems.get_mut(key).expect("the key was just listed");
        let placeholder = SystemWithAccess::new(Box::new(IntoSystem::into_system(|| {})));
        let inner = std::mem::replace(system, placeholder);
        let name = SystemName::intern(&inner.name());
        *system = SystemWithAccess::new(wrap(name, inner));
    }
    keys.len()
}

#[cfg(test)]
mod tests {
    use bevy_ecs::prelude::*;
    use bevy_ecs::schedule::{LogLevel, SingleThreadedExecutor};

    use super::*;
    use crate::ids::{CellId, SlotIndex};
    use crate::tick::strict_build_settings;

    #[derive(Resource, Default)]
    struct Told(Vec<String>);
    #[derive(Resource)]
    struct Watched(Heartbeat);
    #[derive(Resource, Default)]
    struct Enabled(bool);
    #[derive(Component)]
    struct Thing;

    fn tell(watched: &Watched, told: &mut Told) {
        told.0.extend(watched.0.places().iter().map(ToString::to_string));
    }
    fn spawn(mut commands: Commands, watched: Res<Watched>, mut told: ResMut<Told>) {
        commands.spawn(Thing);
        tell(&watched, &mut told);
    }
    fn count(things: Query<&Thing>, watched: Res<Watched>, mut told: ResMut<Told>) {
        told.0.push(format!("{} things", things.iter().count()));
        tell(&watched, &mut told);
    }
    fn never(mut told: ResMut<Told>) {
        told.0.push("must not run".into());
    }
    fn exclusive(world: &mut World) {
        world.resource_scope(|world, mut told: Mut<Told>| tell(world.resource(), &mut told));
    }
    fn failing() -> Result {
        Err("on purpose".into())
    }

    fn built() -> (Schedule, World, Heartbeat) {
        let mut schedule = Schedule::default();
        schedule.set_executor(SingleThreadedExecutor::new());
        schedule.set_build_settings(strict_build_settings());
        schedule.add_systems(
            (spawn, count, never.run_if(|enabled: Res<Enabled>| enabled.0), ApplyDeferred, exclusive).chain(),
        );
        let mut world = World::new();
        let heartbeat = Heartbeat::new();
        world.insert_resource(Watched(heartbeat.clone()));
        world.init_resource::<Told>();
        world.init_resource::<Enabled>();
        (schedule, world, heartbeat)
    }

    /// H1
    #[test]
    fn every_system_of_a_cell_finds_its_own_name_and_behaves_as_before() {
        let (mut schedule, mut world, heartbeat) = built();
        assert_eq!(name_cell_systems(&mut schedule), 4, "all but the sync point");
        let cell = CellId { world: 0, depth: 0, cx: 1, cy: 2 };
        let guard = heartbeat.cell(SlotIndex(0)).enter(cell);
        schedule.run(&mut world);
        drop(guard);
        let told = &world.resource::<Told>().0;
        let path = "cell w0/1,2@0 (slot 0), system terrane::telemetry::named::tests";
        assert_eq!(
            *told,
            [
                format!("{path}::spawn"),
                "1 things".to_owned(),
                format!("{path}::count"),
                format!("{path}::exclusive"),
            ],
            "commands are applied between, the condition holds, each system sees its own name"
        );
    }

    /// H1
    #[test]
    fn every_system_of_the_node_finds_its_own_name() {
        let (mut schedule, mut world, heartbeat) = built();
        name_node_systems(&mut schedule, &heartbeat);
        schedule.run(&mut world);
        let told = &world.resource::<Told>().0;
        let path = "the node, system terrane::telemetry::named::tests";
        assert_eq!(told[0], format!("{path}::spawn"));
        assert_eq!(told[3], format!("{path}::exclusive"));
    }

    #[test]
    fn a_wrapped_schedule_still_finds_ambiguities() {
        let mut schedule = Schedule::default();
        schedule.set_build_settings(strict_build_settings());
        assert_eq!(schedule.get_build_settings().ambiguity_detection, LogLevel::Error);
        schedule.add_systems((never, spawn));
        name_cell_systems(&mut schedule);
        let mut world = World::new();
        assert!(schedule.initialize(&mut world).is_err(), "both write Told in no order");
    }

    #[test]
    fn the_error_of_a_wrapped_system_reaches_the_error_handler_with_its_name() {
        let mut schedule = Schedule::default();
        schedule.set_executor(SingleThreadedExecutor::new());
        schedule.add_systems(failing);
        name_cell_systems(&mut schedule);
        let mut world = World::new();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| schedule.run(&mut world)));
        let message = *panic.expect_err("a failed system panics").downcast::<String>().unwrap();
        assert!(message.contains("failing") && message.contains("on purpose"), "{message}");
    }
}
