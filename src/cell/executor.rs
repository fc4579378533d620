//! Which threads run the cells of a stage.

use bevy_ecs::error::{BevyError, ErrorContext};
use bevy_ecs::prelude::World;
use bevy_ecs::schedule::{
    FixedBitSet, MultiThreadedExecutor, SingleThreadedExecutor, SystemExecutor, SystemSchedule,
};

use crate::replication::Rows;

/// With fewer entities than this the caller's thread runs all cells by itself: to hand a cell to another thread
/// and to hear of its end costs about as much as a stage does for ten entities.
const ENTITIES_SHARED_OUT_MIN: usize = 128;

/// Runs a stage's cells on all threads of the pool, or on the caller's while there is next to nothing to do.
/// What they compute is the same.
pub(super) struct CellExecutor {
    many: MultiThreadedExecutor,
    alone: SingleThreadedExecutor,
}

impl CellExecutor {
    pub(super) fn new() -> Self {
        Self { many: MultiThreadedExecutor::new(), alone: SingleThreadedExecutor::new() }
    }
}

impl SystemExecutor for CellExecutor {
    fn init(&mut self, schedule: &SystemSchedule) {
        self.many.init(schedule);
        self.alone.init(schedule);
    }

    fn run(
        &mut self,
        schedule: &mut SystemSchedule,
        world: &mut World,
        skip_systems: Option<&FixedBitSet>,
        error_handler: fn(BevyError, ErrorContext),
    ) {
        let entities = world.get_resource::<Rows>().map_or(0, Rows::entities);
        if entities < ENTITIES_SHARED_OUT_MIN {
            self.alone.run(schedule, world, skip_systems, error_handler);
        } else {
            self.many.run(schedule, world, skip_systems, error_handler);
        }
    }

    fn set_apply_final_deferred(&mut self, value: bool) {
        self.many.set_apply_final_deferred(value);
        self.alone.set_apply_final_deferred(value);
    }
}
