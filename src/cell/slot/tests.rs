//! What makes the `unsafe` of this module sound, broken on purpose: each promise has a test that trips.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bevy_ecs::prelude::{IntoScheduleConfigs, Resource, Schedule};
use bevy_ecs::schedule::{LogLevel, MultiThreadedExecutor, ScheduleBuildSettings, ScheduleLabel};
use bevy_ecs::system::{IntoSystem, System};

use super::*;
use crate::cell::context::TickContext;
use crate::cell::layout::Layout as CellLayout;
use crate::cell::registration::CellPlugins;
use crate::cell::{SpaceLimits, pool};
use crate::ids::{SlotIndex, TickNumber};
use crate::space::Area;
use crate::telemetry::Heartbeat;

#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Stage;

const AREA: Area = Area { min: glam::Vec2::ZERO, max: glam::Vec2::splat(100.0) };

fn cell(slot: u32) -> Box<Cell> {
    let limits = SpaceLimits {
        world: AREA,
        ghost_margin_m: 10.0,
        step_m_max: 1.0,
        attach_reach_m: 1.0,
        leave_radius_m: 8.0,
        bucket_m: 5.0,
    };
    let layout = CellLayout::grid(AREA, 4, 4);
    let leaf = *layout.leaf(SlotIndex(slot)).expect("one of sixteen");
    let plugins = CellPlugins::default();
    let game = plugins.learn().expect("no plugins, no faults");
    let context = TickContext {
        tick: TickNumber(1),
        dt: 0.05,
        now_ms: 0,
        hz: 20,
        seed: 1,
        world_area: AREA,
        cell: leaf.id,
        area: AREA,
    };
    Cell::new(leaf, limits, &game, &plugins, context, Heartbeat::new().cell(leaf.slot))
        .expect("an empty game")
}

fn strict(parallel: bool) -> Schedule {
    let mut schedule = Schedule::new(Stage);
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    });
    if parallel {
        schedule.set_executor(MultiThreadedExecutor::new());
    }
    schedule
}

/// A system on one slot.
fn on(
    world: &mut World,
    slot: SlotId,
    run: impl FnMut(CellMut) + Send + Sync + 'static,
) -> impl System<In = (), Out = ()> {
    IntoSystem::into_system((WriteSlot(slot),).build_state(world).build_system(run))
}

/// A2, G3: bevy proves the single writer; where nothing orders two writers of one cell, nothing runs.
#[test]
fn two_systems_on_one_slot_are_an_ambiguity_and_on_two_slots_they_are_none() {
    for (same, is_refused) in [(true, true), (false, false)] {
        let mut world = World::new();
        let first = register(&mut world, "first".into());
        let second = if same { first } else { register(&mut world, "second".into()) };
        let mut schedule = strict(false);
        let a = on(&mut world, first, |_cell| {});
        let b = on(&mut world, second, |_cell| {});
        schedule.add_systems((a, b));
        assert_eq!(schedule.initialize(&mut world).is_err(), is_refused, "the same slot: {same}");
    }
}

/// A2: also within one system a cell is borrowed once.
#[test]
fn a_system_that_takes_one_slot_twice_is_refused_by_name() {
    let mut world = World::new();
    let slot = register(&mut world, "the slot".into());
    let refused = catch_unwind(AssertUnwindSafe(|| {
        let greedy = (WriteSlot(slot), WriteSlot(slot))
            .build_state(&mut world)
            .build_system(|_: CellMut, _: CellMut| {});
        let mut schedule = strict(false);
        schedule.add_systems(greedy);
        schedule.initialize(&mut world).map(drop)
    }));
    let message =
        *refused.expect_err("two exclusive borrows of one cell").downcast::<String>().expect("a text");
    assert!(message.contains("takes slot") && message.ends_with("twice"), "{message}");
}

/// G3: a slot without a cell is skipped; filled, emptied and filled again it is served, without a new schedule.
#[test]
fn an_empty_slot_is_skipped_and_can_be_filled_emptied_and_filled_again() {
    let mut world = World::new();
    let slot = register(&mut world, "the slot".into());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let mut schedule = strict(false);
    let watch = on(&mut world, slot, move |cell| note.lock().expect("not poisoned").push(cell.leaf.slot.0));
    schedule.add_systems(watch);
    schedule.run(&mut world);
    put(&mut world, slot, cell(3));
    schedule.run(&mut world);
    clear(&mut world, slot);
    assert!(get(&world, slot).is_none());
    schedule.run(&mut world);
    put(&mut world, slot, cell(5));
    schedule.run(&mut world);
    let taken = take(&mut world, slot).expect("it is filled");
    assert!(get(&world, slot).is_none(), "the node holds it now");
    give(&mut world, slot, taken);
    schedule.run(&mut world);
    assert_eq!(*seen.lock().expect("not poisoned"), [3, 5, 5]);
}

#[derive(Resource)]
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a slot holds is dropped exactly once: when it is emptied, when it is overwritten, when the world ends.
#[test]
fn a_cell_is_dropped_exactly_once() {
    let drops: [Arc<AtomicUsize>; 4] = std::array::from_fn(|_| Arc::default());
    let count = |index: usize| drops[index].load(Ordering::Relaxed);
    let marked = |index: usize| {
        let mut cell = cell(index as u32);
        cell.world.insert_resource(Dropped(drops[index].clone()));
        cell
    };
    let mut world = World::new();
    let slots = [register(&mut world, "a".into()), register(&mut world, "b".into())];
    put(&mut world, slots[0], marked(0));
    put(&mut world, slots[1], marked(1));
    clear(&mut world, slots[0]);
    assert_eq!([0, 1, 2, 3].map(count), [1, 0, 0, 0], "emptied");
    put(&mut world, slots[0], marked(2));
    put(&mut world, slots[1], marked(3));
    assert_eq!([0, 1, 2, 3].map(count), [1, 1, 0, 0], "overwritten");
    drop(take(&mut world, slots[0]));
    assert_eq!([0, 1, 2, 3].map(count), [1, 1, 1, 0], "taken away");
    drop(world);
    assert_eq!([0, 1, 2, 3].map(count), [1, 1, 1, 1], "the world's end takes the rest, and nothing twice");
}

/// Waits until the other is here too. A limit, so that a broken scheduler fails instead of hanging.
fn meet(mine: &SyncSender<()>, theirs: &Mutex<Receiver<()>>) -> bool {
    let _ = mine.try_send(());
    theirs.lock().expect("not poisoned").recv_timeout(Duration::from_secs(30)).is_ok()
}

/// G3: two cells run at the same time. Each waits inside its system until the other has begun, which one thread
/// after the other could never do.
#[test]
fn two_cells_overlap_on_two_threads() {
    bevy_tasks::ComputeTaskPool::get_or_init(|| {
        bevy_tasks::TaskPoolBuilder::new().num_threads(2).thread_name("cells".into()).build()
    });
    let mut world = World::new();
    let slots = [register(&mut world, "a".into()), register(&mut world, "b".into())];
    put(&mut world, slots[0], cell(0));
    put(&mut world, slots[1], cell(1));
    let met = Arc::new(AtomicUsize::new(0));
    let (to_b, from_a) = sync_channel(1);
    let (to_a, from_b) = sync_channel(1);
    let mut schedule = strict(true);
    for (slot, mine, theirs) in [(slots[0], to_b, from_b), (slots[1], to_a, from_a)] {
        let (met, theirs) = (met.clone(), Mutex::new(theirs));
        let system = on(&mut world, slot, move |_cell| {
            met.fetch_add(usize::from(meet(&mine, &theirs)), Ordering::Relaxed);
        });
        schedule.add_systems(system.in_set(pool::CellSystems(SlotIndex(slot.0.index() as u32))));
    }
    schedule.run(&mut world);
    assert_eq!(met.load(Ordering::Relaxed), 2, "each system saw the other one begin before it ended");
}
