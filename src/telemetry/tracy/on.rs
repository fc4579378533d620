//! Zones that Tracy records.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bevy_ecs::prelude::Resource;
use tracy_client::{Client, Span, SpanLocation};

use super::SLOT_ZONES_MAX;
use crate::ids::SlotIndex;
use crate::tick::{Runs, TickSystems};

/// One zone: its name, its source location and how often it was opened.
struct Zone {
    name: &'static str,
    location: &'static SpanLocation,
    opened: AtomicU64,
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.opened.load(Ordering::Relaxed))
    }
}

impl Zone {
    fn new(name: String) -> Self {
        let (name, location) = location(name);
        Self { name, location, opened: AtomicU64::new(0) }
    }

    fn open(&self) -> Span {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Client::start().span(self.location, 0)
    }
}

/// The source location of this name, one for the whole process: worlds of one process share them, and the profiler
/// may read them until the process ends.
fn location(name: String) -> (&'static str, &'static SpanLocation) {
    static LOCATIONS: Mutex<BTreeMap<&'static str, &'static SpanLocation>> = Mutex::new(BTreeMap::new());
    let mut locations = LOCATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((&name, &location)) = locations.get_key_value(name.as_str()) {
        return (name, location);
    }
    let name: &'static str = name.leak();
    // Both texts live as long as the process and end with a NUL byte. The client's public way to a name that is made
    // at run time, `span_alloc`, allocates and copies for each zone it opens.
    let c_name: &'static str = format!("{name}\0").leak();
    let made = tracy_client::internal::make_span_location(
        // The last three characters are cut off: the client's macro passes the name of a local type there.
        "terrane::tick::S",
        c_name.as_ptr(),
        concat!(file!(), "\0").as_ptr(),
        line!(),
    );
    let location: &'static SpanLocation = Box::leak(Box::new(made));
    locations.insert(name, location);
    (name, location)
}

/// The zones of a world: one per tick set, and one per slot in every stage that runs cells in parallel.
#[derive(Resource, Debug)]
pub struct ZoneTable {
    sets: Vec<Zone>,
    /// By stage, then by slot; empty for stages that do not run cells.
    slots: Vec<Vec<Zone>>,
}

impl Default for ZoneTable {
    fn default() -> Self {
        Self {
            sets: TickSystems::ORDER.into_iter().map(|set| Zone::new(set.name().to_owned())).collect(),
            slots: TickSystems::ORDER.into_iter().map(|_| Vec::new()).collect(),
        }
    }
}

/// A zone ends when this is dropped, on the thread that opened it.
#[must_use = "the zone ends as soon as the guard is dropped"]
pub struct ZoneGuard(#[expect(dead_code, reason = "held for its drop, which ends the zone")] Option<Span>);

thread_local! {
    /// The set whose zone is open: a zone must end on its thread, so it cannot lie in a resource.
    static SET: RefCell<Option<Span>> = const { RefCell::new(None) };
}

impl ZoneTable {
    /// Makes the zones of the slots below `slots`, up to [`SLOT_ZONES_MAX`](super::SLOT_ZONES_MAX).
    pub fn ensure_slots(&mut self, slots: usize) {
        for (stage, zones) in TickSystems::ORDER.into_iter().zip(&mut self.slots) {
            if stage.runs() == Runs::CellsInParallel {
                for slot in zones.len()..slots.min(SLOT_ZONES_MAX) {
                    zones.push(Zone::new(format!("{} slot {slot}", stage.name())));
                }
            }
        }
    }

    /// Opens the zone of a slot in a stage on this thread. A slot without a zone gets none.
    pub fn slot(&self, stage: TickSystems, slot: SlotIndex) -> ZoneGuard {
        ZoneGuard(self.slots[stage.index()].get(slot.index()).map(Zone::open))
    }

    pub(crate) fn enter_set(&self, stage: TickSystems) {
        let zone = self.sets[stage.index()].open();
        SET.with_borrow_mut(|set| *set = Some(zone));
    }

    pub(crate) fn leave_set(&self) {
        SET.with_borrow_mut(|set| *set = None);
    }

    pub(crate) fn mark_frame(&self) {
        Client::start().frame_mark();
    }

    /// Every zone's name and how often it was opened, sets first.
    pub fn opened(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let zones = self.sets.iter().chain(self.slots.iter().flatten());
        zones.map(|zone| (zone.name, zone.opened.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::server::{ServerBuilder, TickInput, WorldSettings};

    /// G4: runs a whole server and asks the table that opens the zones. A slot that holds no cell has none to show.
    #[test]
    fn every_set_of_the_order_and_every_live_slot_opens_its_zone_each_tick() {
        const TICKS: u64 = 3;
        for threads in [1, 2] {
            let settings = WorldSettings { grid: [3, 2], threads, ..WorldSettings::default() };
            let mut server = ServerBuilder::default().build(settings, None).unwrap();
            let slots =
                server.cell_snapshots().iter().map(|cell| cell.owner.index()).collect::<BTreeSet<_>>();
            assert_eq!(slots.len(), 6);
            for _ in 0..TICKS {
                let tick = server.next_tick();
                server.tick(TickInput { tick, ..TickInput::default() });
            }
            let mut expected: BTreeMap<String, u64> =
                TickSystems::ORDER.map(|set| (set.name().to_owned(), TICKS)).into();
            for stage in TickSystems::ORDER.into_iter().filter(|stage| stage.runs() == Runs::CellsInParallel)
            {
                expected.extend(slots.iter().map(|slot| (format!("{} slot {slot}", stage.name()), TICKS)));
            }
            let opened: BTreeMap<String, u64> = server
                .node()
                .resource::<ZoneTable>()
                .opened()
                .filter(|&(_, times)| times > 0)
                .map(|(name, times)| (name.to_owned(), times))
                .collect();
            assert_eq!(opened, expected);
        }
    }

    #[test]
    fn a_slot_keeps_its_source_location() {
        let (first, second) =
            (location("Simulate slot 1".to_owned()), location("Simulate slot 1".to_owned()));
        assert!(std::ptr::eq(first.1, second.1), "one location per slot, however often it is asked for");
    }
}
