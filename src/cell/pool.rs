//! The pool of slots and the two stages that run all cells in parallel.

use bevy_ecs::prelude::{IntoScheduleConfigs, Mut, Res, Resource, Schedule, SystemSet, World};
use bevy_ecs::schedule::{ScheduleLabel, SingleThreadedExecutor};
use bevy_ecs::system::{IntoSystem, ParamBuilder, SystemParamBuilder};

use crate::ghost::import::PublishedExports;
use crate::ids::SlotIndex;
use crate::interest::{InterestSettings, Viewers};
use crate::telemetry::ZoneTable;
use crate::tick::{TickSystems, strict_build_settings};

use super::Cell;
use super::context::TickContext;
use super::executor::CellExecutor;
use super::slot::{self, CellMut, SlotId, WriteSlot};

/// All systems of one slot. Nothing orders two slots: what runs in one never meets what runs in another.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellSystems(pub SlotIndex);

/// The schedule that simulates every cell.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SimulateCells;

/// The schedule that imports ghosts, encodes changes and gathers candidates in every cell.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterestCells;

/// The tick's context before a cell adds its own box.
#[derive(Resource, Clone, Debug)]
pub struct NodeContext(pub TickContext);

/// The slots of the node, and whether cells run on several threads.
#[derive(Resource, Debug, Default)]
pub struct CellPool {
    slots: Vec<SlotId>,
}

/// Adds the pool and its two schedules to the node's world.
pub fn install(world: &mut World, threads: usize) {
    world.init_resource::<CellPool>();
    world.init_resource::<ZoneTable>();
    for label in [SimulateCells.intern(), InterestCells.intern()] {
        let mut schedule = Schedule::new(label);
        if threads > 1 {
            schedule.set_executor(CellExecutor::new());
        } else {
            schedule.set_executor(SingleThreadedExecutor::new());
        }
        schedule.set_build_settings(strict_build_settings());
        world.add_schedule(schedule);
    }
}

/// Puts cells into slots 0…, growing the pool to the next power of two that holds them: adding slots rebuilds
/// the two schedules, which costs seconds at a thousand cells, so it must stay rare.
pub fn fill(world: &mut World, cells: Vec<Box<Cell>>) {
    let wanted = cells.len().next_power_of_two().max(16);
    let have = world.resource::<CellPool>().slots.len();
    for index in have..wanted {
        add_slot(world, SlotIndex(index as u32));
    }
    world.resource_mut::<ZoneTable>().ensure_slots(wanted);
    for cell in cells {
        let slot = world.resource::<CellPool>().slots[cell.leaf.slot.index()];
        slot::put(world, slot, cell);
    }
}

fn add_slot(world: &mut World, index: SlotIndex) {
    let id = slot::register(world, format!("cell slot {}", index.0));
    let simulate = (WriteSlot(id), ParamBuilder, ParamBuilder)
        .build_state(world)
        .build_system(simulate_cell)
        .with_name(format!("simulate slot {}", index.0));
    let interest = (WriteSlot(id), ParamBuilder, ParamBuilder, ParamBuilder, ParamBuilder)
        .build_state(world)
        .build_system(interest_cell)
        .with_name(format!("interest slot {}", index.0));
    let set = CellSystems(index);
    world.schedule_scope(SimulateCells, |_, schedule| {
        schedule.add_systems(IntoSystem::into_system(simulate).in_set(set));
    });
    world.schedule_scope(InterestCells, |_, schedule| {
        schedule.add_systems(IntoSystem::into_system(interest).in_set(set));
    });
    world.resource_mut::<CellPool>().slots.push(id);
}

fn simulate_cell(mut cell: CellMut, context: Res<NodeContext>, zones: Res<ZoneTable>) {
    let _zone = zones.slot(TickSystems::Simulate, cell.leaf.slot);
    let _crumb = cell.enter();
    cell.simulate(&context.0);
}

fn interest_cell(
    mut cell: CellMut,
    published: Res<PublishedExports>,
    viewers: Res<Viewers>,
    settings: Res<InterestSettings>,
    zones: Res<ZoneTable>,
) {
    let _zone = zones.slot(TickSystems::Interest, cell.leaf.slot);
    let crumb = cell.enter();
    crumb.system("import ghosts");
    cell.import_ghosts(&published);
    crumb.system("encode changes");
    cell.encode_changed();
    crumb.system("gather candidates");
    let viewers = viewers.of(cell.leaf.slot);
    cell.gather_candidates(viewers, &settings);
}

/// Every cell, out of its slot, by slot index: for node systems that hold the whole world.
pub struct Cells(Vec<Option<Box<Cell>>>);

impl Cells {
    /// The cell in a slot, to read.
    #[must_use]
    pub fn get(&self, slot: SlotIndex) -> Option<&Cell> {
        self.0.get(slot.index())?.as_deref()
    }

    /// The cell in a slot.
    ///
    /// # Panics
    /// When the slot is empty: the registry names a cell that does not exist.
    pub fn at(&mut self, slot: SlotIndex) -> &mut Cell {
        self.0[slot.index()].as_deref_mut().expect("the registry names cells that exist")
    }

    /// Two different cells.
    ///
    /// # Panics
    /// When the slots are equal or one is empty.
    pub fn pair(&mut self, a: SlotIndex, b: SlotIndex) -> (&mut Cell, &mut Cell) {
        let [a, b] = self.0.get_disjoint_mut([a.index(), b.index()]).expect("two different slots");
        let held = "the registry names cells that exist";
        (a.as_deref_mut().expect(held), b.as_deref_mut().expect(held))
    }

    /// All cells, by slot.
    pub fn iter(&self) -> impl Iterator<Item = &Cell> {
        self.0.iter().filter_map(Option::as_deref)
    }

    /// All cells, by slot.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Cell> {
        self.0.iter_mut().filter_map(Option::as_deref_mut)
    }
}

/// Takes all cells out of their slots, gives them and the rest of the world to `work`, and puts them back.
pub fn with_cells<R>(world: &mut World, work: impl FnOnce(&mut World, &mut Cells) -> R) -> R {
    world.resource_scope(|world, pool: Mut<CellPool>| {
        let mut cells = Cells(pool.slots.iter().map(|&slot| slot::take(world, slot)).collect());
        let result = work(world, &mut cells);
        for (cell, &slot) in cells.0.into_iter().zip(&pool.slots) {
            if let Some(cell) = cell {
                slot::give(world, slot, cell);
            }
        }
        result
    })
}
