//! The systems of a tick, put into its sets.

use bevy_ecs::prelude::{IntoScheduleConfigs, Res, ResMut, Resource, Schedule, World};
use bevy_ecs::schedule::{ScheduleLabel, SingleThreadedExecutor};

use crate::action::act;
use crate::cell::partition::{LifeEvents, partition, take_exports_back};
use crate::cell::pool::{InterestCells, NodeContext, SimulateCells};
use crate::ids::TickNumber;
use crate::replication::{Rows, stage};
use crate::session::{admit, follow_parties::follow_parties, persist};
use crate::telemetry::{self, Heartbeat, StageClock};
use crate::tick::{self, Foremost, Tick, TickSystems};
use crate::value::netting;
use crate::value::stage as value_stage;

use super::io::SealedInput;
use super::reference::take_reference;
use super::{image, record};

/// The number the next tick must have.
#[derive(Resource, Clone, Copy, Debug)]
pub(super) struct NextTick(pub(super) TickNumber);

/// Adds the schedule of a tick, with whatever a game has added to it.
pub(super) fn install_tick(world: &mut World, clock: StageClock, heartbeat: Heartbeat) {
    let mut schedule = world
        .resource_mut::<bevy_ecs::schedule::Schedules>()
        .remove(Tick)
        .unwrap_or_else(|| Schedule::new(Tick));
    schedule.set_executor(SingleThreadedExecutor::new());
    tick::configure(&mut schedule);
    schedule.add_systems((
        (begin_tick, take_reference, take_exports_back).chain().in_set(TickSystems::Receive),
        admit::admit.in_set(TickSystems::Admit),
        value_stage::settle.in_set(Foremost(TickSystems::Settle)),
        record::note_saved_images.in_set(TickSystems::Settle),
        (partition, admit::follow_deaths, follow_parties, admit::change_viewers, image::make_image)
            .chain()
            .in_set(TickSystems::Partition),
        act::act.in_set(TickSystems::Act),
        (simulate_cells, act::collect_answers).chain().in_set(TickSystems::Simulate),
        stage::mirror.in_set(TickSystems::Mirror),
        interest_cells.in_set(TickSystems::Interest),
        stage::assemble.in_set(TickSystems::Assemble),
        value_stage::plan.in_set(TickSystems::Plan),
        persist::keep_rows.in_set(Foremost(TickSystems::Commit)),
        image::hand_over_image.in_set(TickSystems::Commit),
        stage::send.in_set(TickSystems::Send),
        (record::check_invariants, record::record).chain().in_set(TickSystems::Record),
    ));
    telemetry::name_node_systems(&mut schedule, &heartbeat);
    telemetry::instrument(&mut schedule, world, clock, heartbeat);
    world.add_schedule(schedule);
}

/// The beginning of a tick that nobody will see the end of: up to `Partition`, where images are made.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Close;

/// Adds the schedule of [`Close`].
pub(super) fn install_close(world: &mut World) {
    let mut schedule = Schedule::new(Close);
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(tick::strict_build_settings());
    schedule.add_systems(
        (
            begin_tick,
            value_stage::close,
            admit::admit,
            partition,
            admit::follow_deaths,
            netting::close,
            image::make_image,
            image::hand_over_image,
        )
            .chain(),
    );
    world.add_schedule(schedule);
}

fn begin_tick(
    input: Res<SealedInput>,
    mut next: ResMut<NextTick>,
    mut context: ResMut<NodeContext>,
    mut rows: ResMut<Rows>,
    mut events: ResMut<LifeEvents>,
) {
    assert_eq!(input.tick, next.0, "ticks are numbered without a gap");
    next.0 = TickNumber(input.tick.0 + 1);
    context.0.tick = input.tick;
    context.0.now_ms = context.0.now_ms.max(input.now_ms);
    rows.begin_tick();
    events.born.clear();
    events.died.clear();
}

fn simulate_cells(world: &mut World) {
    world.run_schedule(SimulateCells);
}

fn interest_cells(world: &mut World) {
    world.run_schedule(InterestCells);
}
