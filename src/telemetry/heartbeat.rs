//! The pulse of a world: which tick and stage it is in, readable by other threads at any time.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bevy_ecs::prelude::Resource;

use crate::ids::{SlotIndex, TickNumber};
use crate::telemetry::breadcrumb::{CellCrumb, Crumb, Place};
use crate::telemetry::panics::PanicReport;
use crate::tick::TickSystems;

/// What the stage marks and the driver write, shared with every crumb.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Grows when a tick begins and when it ends: odd within one.
    beat: AtomicU64,
    tick: AtomicU64,
    /// Place in the order plus one; 0 before the first mark.
    stage: AtomicU8,
    /// The driver means to tick: a stop between two ticks counts as well.
    running: AtomicBool,
    hangs: AtomicBool,
    pub(crate) panic: Mutex<Option<PanicReport>>,
}

impl Pulse {
    pub(crate) fn tick(&self) -> TickNumber {
        TickNumber(self.tick.load(Ordering::Acquire))
    }

    pub(crate) fn stage(&self) -> Option<TickSystems> {
        let place = self.stage.load(Ordering::Acquire).checked_sub(1)?;
        TickSystems::ORDER.get(usize::from(place)).copied()
    }
}

/// Whether the world ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It ticks, or is not meant to yet.
    Healthy,
    /// A tick has taken longer than the watchdog's limit, or none began for as long.
    Hangs,
    /// A system panicked.
    Panicked,
}

/// How far a heartbeat is; the watchdog compares two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Grows with every begin and every end of a tick.
    pub count: u64,
    /// Whether a tick runs.
    pub in_tick: bool,
    /// Whether the driver means to tick.
    pub running: bool,
}

/// The pulse of one world. Clones share it. The driver brackets each tick with [`begin_tick`](Self::begin_tick) and
/// [`end_tick`](Self::end_tick); stage marks and crumbs fill in the rest. It holds no clock: whoever watches it
/// brings one.
#[derive(Resource, Clone, Debug)]
pub struct Heartbeat {
    pulse: Arc<Pulse>,
    node: Arc<Crumb>,
    cells: Arc<RwLock<Vec<CellCrumb>>>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

impl Heartbeat {
    /// A pulse at rest.
    #[must_use]
    pub fn new() -> Self {
        let pulse = Arc::<Pulse>::default();
        Self { node: Crumb::new(pulse.clone(), None), pulse, cells: Arc::default() }
    }

    /// The driver starts or stops to tick. Only between the two is a missing tick a fault.
    pub fn set_running(&self, running: bool) {
        self.pulse.running.store(running, Ordering::Release);
    }

    /// A tick begins.
    pub fn begin_tick(&self, tick: TickNumber) {
        self.pulse.tick.store(tick.0, Ordering::Release);
        self.pulse.stage.store(0, Ordering::Release);
        self.node.clear_system();
        // Odd whatever the last tick came to: one that panicked has no end.
        let count = self.pulse.beat.load(Ordering::Acquire);
        self.pulse.beat.store((count + 1) | 1, Ordering::Release);
    }

    /// The tick goes on to this stage.
    pub fn enter_stage(&self, stage: TickSystems) {
        self.pulse.stage.store(stage.index() as u8 + 1, Ordering::Release);
    }

    /// The tick is over.
    pub fn end_tick(&self) {
        self.node.clear_system();
        let count = self.pulse.beat.load(Ordering::Acquire);
        self.pulse.beat.store((count | 1) + 1, Ordering::Release);
    }

    /// How far it is.
    #[must_use]
    pub fn beat(&self) -> Beat {
        let count = self.pulse.beat.load(Ordering::Acquire);
        Beat { count, in_tick: count % 2 == 1, running: self.pulse.running.load(Ordering::Acquire) }
    }

    /// The number of the tick that runs or ran last.
    #[must_use]
    pub fn tick(&self) -> TickNumber {
        self.pulse.tick()
    }

    /// The stage that runs or ran last; `None` before the first mark of a tick.
    #[must_use]
    pub fn stage(&self) -> Option<TickSystems> {
        self.pulse.stage()
    }

    /// The breadcrumb of a slot, the same one each time. O(slots) when the slot is new.
    #[must_use]
    pub fn cell(&self, slot: SlotIndex) -> CellCrumb {
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        while cells.len() <= slot.index() {
            let next = SlotIndex(cells.len() as u32);
            cells.push(CellCrumb(Crumb::new(self.pulse.clone(), Some(next))));
        }
        cells[slot.index()].clone()
    }

    /// The breadcrumb of the node's own systems.
    pub(crate) fn node(&self) -> Arc<Crumb> {
        self.node.clone()
    }

    /// Where the world's threads are: the cells being run, else the node's system. A snapshot of what moves on.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        let busy: Vec<Place> = cells.iter().filter_map(|cell| cell.0.read()).collect();
        if busy.is_empty() { self.node.read().into_iter().collect() } else { busy }
    }

    /// Whether the world ticks, as far as the watchdog and the panic hook know.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.pulse.panic.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            Health::Panicked
        } else if self.pulse.hangs.load(Ordering::Acquire) {
            Health::Hangs
        } else {
            Health::Healthy
        }
    }

    /// The watchdog's verdict.
    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.pulse.hangs.store(hangs, Ordering::Release);
    }

    /// The first panic of a system of this world, if one panicked.
    #[must_use]
    pub fn panic_report(&self) -> Option<PanicReport> {
        self.pulse.panic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_odd_within_a_tick_and_also_after_one_that_never_ended() {
        let heartbeat = Heartbeat::new();
        assert!(!heartbeat.beat().in_tick);
        heartbeat.begin_tick(TickNumber(8));
        assert!(heartbeat.beat().in_tick);
        heartbeat.begin_tick(TickNumber(9));
        assert!(heartbeat.beat().in_tick);
        assert_eq!((heartbeat.tick(), heartbeat.stage()), (TickNumber(9), None));
        heartbeat.enter_stage(TickSystems::Record);
        assert_eq!(heartbeat.stage(), Some(TickSystems::Record));
        heartbeat.end_tick();
        assert!(!heartbeat.beat().in_tick);
    }
}
