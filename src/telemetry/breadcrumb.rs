//! Which cell and which system each thread is in, cheap enough to be kept always.
//!
//! A [`CellCrumb`] belongs to one slot. Entering it makes it the thread's current crumb; the wrapper that
//! [`name_cell_systems`](crate::telemetry::name_cell_systems) puts around each system writes the system's number into
//! the current crumb: one thread-local read and one relaxed store. Other threads (the watchdog) read crumbs at any
//! time without stopping their owner.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::ids::{CellId, SlotIndex};
use crate::telemetry::heartbeat::Pulse;
use crate::telemetry::panics::note_unwinding;

/// A system's name as a number, the same for the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemName(u32);

#[derive(Default)]
struct Names {
    by_number: Vec<Arc<str>>,
    by_name: std::collections::BTreeMap<Arc<str>, u32>,
}

fn names() -> &'static RwLock<Names> {
    static NAMES: OnceLock<RwLock<Names>> = OnceLock::new();
    NAMES.get_or_init(RwLock::default)
}

impl SystemName {
    /// The number of this name. As many are kept as the program has systems.
    pub(crate) fn intern(name: &str) -> Self {
        let known = names().read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).copied();
        if let Some(number) = known {
            return Self(number);
        }
        let mut names = names().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = names.by_name.get(name) {
            return Self(number);
        }
        let number = u32::try_from(names.by_number.len()).expect("a program has fewer systems than 2^32");
        let name: Arc<str> = name.into();
        names.by_number.push(name.clone());
        names.by_name.insert(name, number);
        Self(number)
    }

    fn text(self) -> Arc<str> {
        let names = names().read().unwrap_or_else(PoisonError::into_inner);
        names.by_number.get(self.0 as usize).cloned().unwrap_or_else(|| "unknown".into())
    }
}

/// No system was entered yet.
const NO_SYSTEM: u64 = u64::MAX;
/// The system has returned: what runs now are its commands, a run condition, or the engine.
const RETURNED: u64 = 1 << 32;
/// In the high word: the crumb is entered.
const ENTERED: u64 = 1 << 63;

/// Where one slot, or the node, is. Two words for the cell, one for the system.
#[derive(Debug)]
pub(crate) struct Crumb {
    pub(crate) pulse: Arc<Pulse>,
    /// `None`: the node's own systems.
    slot: Option<SlotIndex>,
    cell_high: AtomicU64,
    cell_low: AtomicU64,
    system: AtomicU64,
}

impl Crumb {
    pub(crate) fn new(pulse: Arc<Pulse>, slot: Option<SlotIndex>) -> Arc<Self> {
        Arc::new(Self {
            pulse,
            slot,
            cell_high: AtomicU64::new(0),
            cell_low: AtomicU64::new(0),
            system: AtomicU64::new(NO_SYSTEM),
        })
    }

    /// What this crumb says, `None` when nobody is in it.
    pub(crate) fn read(&self) -> Option<Place> {
        let cell = self.slot.and_then(|slot| {
            // The owner may be moving on; a place that no longer holds is not worth waiting for.
            for _ in 0..4 {
                let high = self.cell_high.load(Ordering::Acquire);
                let low = self.cell_low.load(Ordering::Acquire);
                if high & ENTERED == 0 {
                    return None;
                }
                if self.cell_high.load(Ordering::Acquire) == high {
                    return Some((unpack(high, low), slot));
                }
            }
            None
        });
        if self.slot.is_some() && cell.is_none() {
            return None;
        }
        let word = self.system.load(Ordering::Relaxed);
        let system = (word != NO_SYSTEM).then(|| SystemName(word as u32).text());
        if cell.is_none() && system.is_none() {
            return None;
        }
        Some(Place { cell, system, returned: word != NO_SYSTEM && word & RETURNED != 0 })
    }

    pub(crate) fn clear_system(&self) {
        self.system.store(NO_SYSTEM, Ordering::Relaxed);
    }
}

fn pack(cell: CellId) -> (u64, u64) {
    let high = ENTERED | u64::from(cell.world) << 8 | u64::from(cell.depth);
    (high, u64::from(cell.cx) << 32 | u64::from(cell.cy))
}

fn unpack(high: u64, low: u64) -> CellId {
    CellId { world: (high >> 8) as u16, depth: high as u8, cx: (low >> 32) as u32, cy: low as u32 }
}

/// Where a thread is or was: what a panic or a hang is told by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The cell and the slot that holds it; `None` for the node's own systems.
    pub cell: Option<(CellId, SlotIndex)>,
    /// The system that was entered last; `None` when none was yet.
    pub system: Option<Arc<str>>,
    /// Whether that system had returned: then its commands, or a run condition after it, were running.
    pub returned: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cell {
            Some((cell, slot)) => write!(f, "cell {cell} (slot {})", slot.0)?,
            None => f.write_str("the node")?,
        }
        match &self.system {
            Some(system) if self.returned => write!(f, ", after system {system}"),
            Some(system) => write!(f, ", system {system}"),
            None => f.write_str(", before its first system"),
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Crumb>>> = const { RefCell::new(None) };
}

/// Where this thread is, with the pulse it belongs to.
pub(crate) fn current() -> Option<Arc<Crumb>> {
    // A panic hook may run while the thread-local is being torn down or borrowed: then nothing is known.
    CURRENT.try_with(|current| current.try_borrow().ok()?.clone()).ok().flatten()
}

/// Notes that a system begins on this thread.
#[inline]
fn enter_system(name: SystemName) {
    CURRENT.with_borrow(|current| {
        if let Some(crumb) = current {
            crumb.system.store(u64::from(name.0), Ordering::Relaxed);
        }
    });
}

/// A system runs on this thread until this is dropped. Unwinding through it is a panic that may have begun on another
/// thread, where nobody knew the system.
pub(crate) struct Running(SystemName);

impl Running {
    #[inline]
    pub(crate) fn enter(name: SystemName) -> Self {
        enter_system(name);
        Self(name)
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() {
            note_unwinding();
        }
        CURRENT.with_borrow(|current| {
            if let Some(crumb) = current {
                crumb.system.store(u64::from(self.0.0) | RETURNED, Ordering::Relaxed);
            }
        });
    }
}

/// Makes `crumb` the thread's own until the guard is dropped, then the one before: a thread that waits for its own
/// tasks may run another cell meanwhile.
pub(crate) fn enter(crumb: Arc<Crumb>) -> CrumbGuard {
    CrumbGuard { before: CURRENT.replace(Some(crumb)) }
}

/// Leaves the crumb when dropped.
pub(crate) struct CrumbGuard {
    before: Option<Arc<Crumb>>,
}

impl Drop for CrumbGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        // Nothing is left to restore when the thread itself ends.
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}

/// The breadcrumb of one slot. Keep it with the slot and enter it around everything that runs the slot's cell.
#[derive(Clone, Debug)]
pub struct CellCrumb(pub(crate) Arc<Crumb>);

impl CellCrumb {
    /// Notes that this thread runs `cell`, until the guard is dropped. About 20 ns.
    #[must_use = "the cell is left as soon as the guard is dropped"]
    pub fn enter(&self, cell: CellId) -> CellGuard {
        let (high, low) = pack(cell);
        self.0.cell_high.store(0, Ordering::Release);
        self.0.cell_low.store(low, Ordering::Release);
        self.0.clear_system();
        self.0.cell_high.store(high, Ordering::Release);
        CellGuard { crumb: self.0.clone(), _current: enter(self.0.clone()) }
    }
}

/// The thread is in a cell while this lives.
pub struct CellGuard {
    crumb: Arc<Crumb>,
    _current: CrumbGuard,
}

impl CellGuard {
    /// Names what runs in the cell where no schedule does: `"export border"`, `"rebuild index"`.
    pub fn system(&self, name: &str) {
        enter_system(SystemName::intern(name));
    }
}

impl Drop for CellGuard {
    fn drop(&mut self) {
        self.crumb.cell_high.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Heartbeat;

    const CELL: CellId = CellId { world: 7, depth: 3, cx: 0xfedc_ba98, cy: 0x7654_3210 };

    #[test]
    fn a_crumb_tells_the_cell_and_the_system_while_they_run_and_nothing_afterwards() {
        let heartbeat = Heartbeat::new();
        let crumb = heartbeat.cell(SlotIndex(4));
        assert_eq!(heartbeat.places(), []);
        {
            let guard = crumb.enter(CELL);
            guard.system("steer");
            let place =
                Place { cell: Some((CELL, SlotIndex(4))), system: Some("steer".into()), returned: false };
            assert_eq!(heartbeat.places(), std::slice::from_ref(&place));
            assert_eq!(place.to_string(), "cell w7/4275878552,1985229328@3 (slot 4), system steer");
        }
        assert_eq!(heartbeat.places(), [], "who left is not told");
        assert!(current().is_none());
    }

    #[test]
    fn a_cell_run_while_another_waits_on_the_same_thread_gives_the_first_one_back() {
        let heartbeat = Heartbeat::new();
        let (first, second) = (heartbeat.cell(SlotIndex(1)), heartbeat.cell(SlotIndex(2)));
        let outer = first.enter(CELL);
        outer.system("outer");
        {
            let inner = second.enter(CELL);
            inner.system("inner");
        }
        outer.system("outer again");
        assert_eq!(
            heartbeat.places(),
            [Place { cell: Some((CELL, SlotIndex(1))), system: Some("outer again".into()), returned: false }]
        );
    }

    #[test]
    fn a_name_keeps_its_number() {
        assert_eq!(SystemName::intern("the same"), SystemName::intern("the same"));
        assert_ne!(SystemName::intern("one"), SystemName::intern("another"));
        assert_eq!(&*SystemName::intern("the same").text(), "the same");
    }
}
