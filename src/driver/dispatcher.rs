//! Takes what the outbox holds to the game's couriers, and writes down what came of it.
//!
//! One delivery after another, on a thread of its own: a courier may wait for others, and neither a tick nor the store waits
//! for it. What is delivered and not written down yet when the process dies is delivered again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::ids::TickNumber;
use crate::store::{Couriers, Delivery, OutboxWork, StoreHandle, StoreRequest};

/// Most deliveries that are fetched at a time.
const FETCHED_MAX: u32 = 32;
/// How long a world that ends waits for the delivery that is under way.
const LAST_DELIVERY_WITHIN: Duration = Duration::from_secs(5);

/// How long a world in lockstep waits for its couriers before it goes on without them.
const LOCKSTEP_DELIVERY_WITHIN: Duration = Duration::from_secs(60);

/// Where the dispatcher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Asks the store from this tick on.
    Waits(TickNumber),
    /// The store is asked.
    Asked,
    /// The couriers have it; since this tick it is the same delivery.
    Delivers(TickNumber),
}

/// What couriers come back with: what became of each, and those of them that were delivered.
#[derive(Debug, Default)]
struct Returned {
    came: OutboxWork,
    delivered: Vec<Delivery>,
}

/// The one dispatcher.
#[derive(Debug)]
pub(super) struct Dispatcher {
    stage: Stage,
    every_ticks: u64,
    /// What came of deliveries and is not written down yet.
    came: OutboxWork,
    to_couriers: Sender<Vec<Delivery>>,
    from_couriers: Receiver<Returned>,
    is_closing: Arc<AtomicBool>,
    /// How many deliveries the couriers have ended, and how many of them were seen to.
    ended: Arc<AtomicU64>,
    seen: u64,
}

impl Dispatcher {
    /// Looks into the outbox every so many ticks.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(mut couriers: Couriers, every_ticks: u64) -> std::io::Result<Self> {
        let (to_couriers, fetched) = bounded::<Vec<Delivery>>(1);
        let (tell, from_couriers) = bounded(1);
        let is_closing = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicU64::new(0));
        let (closing, ends) = (is_closing.clone(), ended.clone());
        // Not joined: a courier that hangs must not keep a world from ending.
        thread::Builder::new().name("couriers".into()).spawn(move || {
            for deliveries in fetched {
                let mut returned = Returned::default();
                for delivery in deliveries {
                    // The rest is delivered by the next process.
                    if closing.load(Ordering::Relaxed) {
                        break;
                    }
                    match couriers.deliver(&delivery) {
                        Ok(()) => {
                            returned.came.done.push(delivery.id);
                            returned.delivered.push(delivery);
                        }
                        Err(why) => {
                            tracing::warn!(kind = %delivery.kind, id = delivery.id, "not delivered: {why}");
                            returned.came.failed.push((delivery.id, why));
                        }
                    }
                    ends.fetch_add(1, Ordering::Relaxed);
                }
                if tell.send(returned).is_err() {
                    break;
                }
            }
        })?;
        let stage = Stage::Waits(TickNumber(0));
        let came = OutboxWork::default();
        Ok(Self { stage, every_ticks, came, to_couriers, from_couriers, is_closing, ended, seen: 0 })
    }

    /// Whether an answer of the store's is awaited.
    pub(super) fn is_asked(&self) -> bool {
        self.stage == Stage::Asked
    }

    /// For how many ticks the couriers have been at one delivery: one that hangs shows by it.
    pub(super) fn delivers_ticks(&self, tick: TickNumber) -> u64 {
        match self.stage {
            Stage::Delivers(since) => tick.0.saturating_sub(since.0),
            Stage::Waits(_) | Stage::Asked => 0,
        }
    }

    /// Another delivery has its time from now on.
    fn look(&mut self, tick: TickNumber) {
        let ended = self.ended.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.seen, ended) != ended
            && let Stage::Delivers(since) = &mut self.stage
        {
            *since = tick;
        }
    }

    /// Waits until the couriers come back, as lockstep does: when they do depends on nothing but the tick, then.
    pub(super) fn wait(&mut self, tick: TickNumber) -> Vec<Delivery> {
        match self.stage {
            Stage::Delivers(_) => self
                .from_couriers
                .recv_timeout(LOCKSTEP_DELIVERY_WITHIN)
                .map_or_else(|_| Vec::new(), |returned| self.come_back(returned, tick)),
            Stage::Waits(_) | Stage::Asked => Vec::new(),
        }
    }

    fn come_back(&mut self, returned: Returned, tick: TickNumber) -> Vec<Delivery> {
        self.came = returned.came;
        self.stage = Stage::Waits(tick);
        returned.delivered
    }

    /// Asks the store for what is due, if it is time, and has written down what came of the last deliveries. Gives what was
    /// delivered, for the world to hear of.
    #[must_use = "the world hears of it once"]
    pub(super) fn turn(&mut self, tick: TickNumber, now_ms: u64, store: &StoreHandle) -> Vec<Delivery> {
        self.look(tick);
        let delivered = match self.stage {
            Stage::Delivers(_) => self.from_couriers.try_recv().ok(),
            Stage::Waits(_) | Stage::Asked => None,
        };
        let delivered = delivered.map_or_else(Vec::new, |returned| self.come_back(returned, tick));
        self.ask(tick, now_ms, store);
        delivered
    }

    fn ask(&mut self, tick: TickNumber, now_ms: u64, store: &StoreHandle) {
        let Stage::Waits(due) = self.stage else { return };
        if tick < due {
            return;
        }
        (self.came.now_ms, self.came.wanted) = (now_ms, FETCHED_MAX);
        // A full queue is tried again in the next tick.
        if store.try_request(StoreRequest::Outbox(self.came.clone())).is_ok() {
            self.stage = Stage::Asked;
        }
    }

    /// The store has written down what came of the last deliveries, and these are due.
    pub(super) fn take(&mut self, due: Vec<Delivery>, tick: TickNumber) {
        self.came = OutboxWork::default();
        self.stage = if due.is_empty() {
            Stage::Waits(TickNumber(tick.0 + self.every_ticks))
        } else {
            if self.to_couriers.try_send(due).is_err() {
                tracing::error!("the couriers' thread has ended: nothing is delivered any more");
            }
            Stage::Delivers(tick)
        };
    }

    /// The store could not: what came of the last deliveries is kept, and written down at the next time.
    pub(super) fn gave_up(&mut self, tick: TickNumber) {
        self.stage = Stage::Waits(TickNumber(tick.0 + self.every_ticks));
    }

    /// Waits a while for the delivery that is under way, and has written down what came of it.
    pub(super) fn finish(mut self, now_ms: u64, store: &StoreHandle) {
        self.is_closing.store(true, Ordering::Relaxed);
        match self.stage {
            // It is being written down.
            Stage::Asked => return,
            Stage::Delivers(_) => {
                self.came = self.from_couriers.recv_timeout(LAST_DELIVERY_WITHIN).unwrap_or_default().came;
            }
            Stage::Waits(_) => {}
        }
        if self.came.done.is_empty() && self.came.failed.is_empty() {
            return;
        }
        (self.came.now_ms, self.came.wanted) = (now_ms, 0);
        if store.try_request(StoreRequest::Outbox(self.came)).is_err() {
            tracing::warn!("the store is busy: what was delivered last is delivered again at the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E6: a courier that does not come back is seen by how long it has been at it, and by nothing else.
    #[test]
    fn a_courier_that_hangs_is_seen_by_its_time() {
        let (release, held) = bounded::<()>(0);
        let mut couriers = Couriers::default();
        couriers.add("mail".into(), move |_: &Delivery| held.recv().map_err(|error| error.to_string()));
        let mut dispatcher = Dispatcher::start(couriers, 20).unwrap();
        assert_eq!(dispatcher.delivers_ticks(TickNumber(90)), 0, "it has nothing to deliver");
        dispatcher.take(Vec::new(), TickNumber(90));
        assert_eq!(dispatcher.delivers_ticks(TickNumber(95)), 0, "nothing was due");
        let delivery = Delivery { id: 7, kind: "mail".into(), payload: Vec::new(), attempts: 0 };
        dispatcher.take(vec![delivery], TickNumber(100));
        assert_eq!(dispatcher.delivers_ticks(TickNumber(700)), 600);
        release.send(()).unwrap();
        let Returned { came, delivered } = dispatcher.from_couriers.recv().unwrap();
        assert_eq!((came.done, came.failed), (vec![7], vec![]));
        assert_eq!(delivered.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [7]);
    }

    /// E6: of many deliveries each has its own time.
    #[test]
    fn a_courier_that_is_slow_does_not_hang() {
        let (release, held) = bounded::<()>(0);
        let (tell, begun) = bounded::<u64>(9);
        let mut couriers = Couriers::default();
        couriers.add("mail".into(), move |delivery: &Delivery| {
            tell.send(delivery.id).and(Ok(held.recv())).map(drop).map_err(|error| error.to_string())
        });
        let mut dispatcher = Dispatcher::start(couriers, 20).unwrap();
        let delivery = |id| Delivery { id, kind: "mail".into(), payload: Vec::new(), attempts: 0 };
        dispatcher.take([7, 8].map(delivery).into(), TickNumber(100));
        assert_eq!(begun.recv(), Ok(7));
        dispatcher.look(TickNumber(400));
        assert_eq!(dispatcher.delivers_ticks(TickNumber(400)), 300);
        release.send(()).unwrap();
        assert_eq!(begun.recv(), Ok(8));
        dispatcher.look(TickNumber(401));
        assert_eq!(dispatcher.delivers_ticks(TickNumber(402)), 1);
        release.send(()).unwrap();
        let Returned { came, .. } = dispatcher.from_couriers.recv().unwrap();
        assert_eq!(came.done, vec![7, 8]);
    }
}
