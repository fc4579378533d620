//! Who is connected: a bounded number of connections, of which those that ask nothing make room for others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// One connection.
#[derive(Debug)]
struct Seated {
    /// Requests whose head has come and whose answer is not made yet.
    asking: Arc<AtomicUsize>,
    /// Ends it; set once it runs.
    end: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By age.
    seated: BTreeMap<u64, Seated>,
}

/// All connections of one server.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    most: usize,
    displaced: Arc<AtomicU64>,
    table: Arc<Mutex<Table>>,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    number: u64,
    asking: Arc<AtomicUsize>,
}

impl Seats {
    /// `displaced` counts those that were closed for others.
    pub(super) fn new(most: usize, displaced: Arc<AtomicU64>) -> Self {
        Self { most, displaced, table: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more. When all are taken the oldest connection that waits for its client, with an unfinished
    /// head or between two requests, is closed for it; `None` if every one is being answered.
    pub(super) fn take(&self) -> Option<Seat> {
        let mut table = self.table();
        let mut displaced = None;
        if table.seated.len() >= self.most {
            let waits = |seated: &Seated| seated.asking.load(Ordering::Relaxed) == 0;
            let (&oldest, _) = table.seated.iter().find(|(_, seated)| waits(seated))?;
            displaced = table.seated.remove(&oldest);
        }
        let number = table.next;
        table.next += 1;
        let asking = Arc::new(AtomicUsize::new(0));
        table.seated.insert(number, Seated { asking: asking.clone(), end: None });
        drop(table);
        if let Some(displaced) = displaced {
            self.displaced.fetch_add(1, Ordering::Relaxed);
            displaced.end.inspect(AbortHandle::abort);
        }
        Some(Seat { seats: self.clone(), number, asking })
    }

    /// From now on this seat's connection can be ended.
    pub(super) fn seated(&self, number: u64, end: AbortHandle) {
        match self.table().seated.get_mut(&number) {
            Some(seated) => seated.end = Some(end),
            // It is over already.
            None => end.abort(),
        }
    }
}

impl Seat {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Counts the requests that are being answered.
    pub(super) fn asking(&self) -> Arc<AtomicUsize> {
        self.asking.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table().seated.remove(&self.number);
    }
}
