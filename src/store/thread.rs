//! The store thread: the one writer of a save, fed through one bounded queue.
//!
//! Requests are carried out in their order. One that fails is tried again, ever more slowly, while those behind
//! it wait; every failure is told. After [`ATTEMPTS_MAX`] tries it is given up, told as such, and its sender
//! sends a newer one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

use super::error::{StoreError, text_of};
use super::folder::SaveFolder;
use super::image::Image;
use super::players::{has_plans, plans_of};
use super::request::{Asked, Refused, StoreRequest, StoreResult};
use super::save::Store;
use super::stats::StoreStats;

/// Requests that may wait. A full queue hands the next one back: it never drops, never blocks.
pub const REQUESTS_MAX: usize = 8;
/// Answers that may wait to be taken; the store thread waits when they are not.
pub const RESULTS_MAX: usize = 64;
/// Tries of one request.
const ATTEMPTS_MAX: u32 = 5;
/// How often it is looked how much room the disk has left.
const LOOK_AT_DISK_EVERY: Duration = Duration::from_secs(10);
/// With less room than that an operator should do something: minutes of images and hours of trade.
const DISK_LOW_BYTES: u64 = 1 << 30;
/// The wait before the second try; it doubles with every failure in a row.
const RETRY_MS_MIN: u64 = 100;
/// The longest wait before another try.
const RETRY_MS_MAX: u64 = 10_000;
/// The longest wait when the world is ending.
const RETRY_MS_CLOSING: u64 = 200;

/// Plans after which what is old is forgotten.
const TIDY_EVERY_PLANS: u64 = 500;
/// Plans after which the write-ahead log is moved into the file, some 2 pages each.
const RELIEVE_EVERY_PLANS: u64 = 1_000;
/// The same, while requests wait.
const RELIEVE_EVERY_PLANS_BUSY: u64 = 8_000;

/// The world's end of the store thread. Dropping it ends the thread after what is queued; [`finish`](Self::finish)
/// also tells how that went.
#[derive(Debug)]
pub struct StoreHandle {
    folder: Arc<SaveFolder>,
    stats: Arc<StoreStats>,
    requests: Option<Sender<StoreRequest>>,
    results: Option<Receiver<StoreResult>>,
    /// Dropped when the world ends: waits for another try are cut short.
    closing: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Gives the save to a thread of its own.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(self) -> Result<StoreHandle, StoreError> {
        let folder = self.folder().clone();
        let stats = Arc::new(StoreStats::default());
        let (requests, requests_in) = bounded(REQUESTS_MAX);
        let (results_out, results) = bounded(RESULTS_MAX);
        let (closing, is_closing) = bounded(0);
        let worker = Worker {
            store: self,
            stats: stats.clone(),
            results: results_out,
            is_closing,
            failures_in_row: 0,
            upkeep: Upkeep::default(),
            looked_at_disk: None,
            jitter: jitter(),
        };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || worker.run(&requests_in))
            .map_err(StoreError::io(folder.path(), "start the store thread"))?;
        Ok(StoreHandle {
            folder,
            stats,
            requests: Some(requests),
            results: Some(results),
            closing: Some(closing),
            thread: Some(thread),
        })
    }
}

impl StoreHandle {
    /// The save's folder.
    #[must_use]
    pub fn folder(&self) -> &Arc<SaveFolder> {
        &self.folder
    }

    /// What the thread has done so far.
    #[must_use]
    pub fn stats(&self) -> &Arc<StoreStats> {
        &self.stats
    }

    /// Requests that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.requests.as_ref().map_or(0, Sender::len)
    }

    /// Asks for something. Never blocks.
    ///
    /// # Errors
    /// The request itself, when the queue is full or the thread has ended.
    pub fn try_request(&self, request: StoreRequest) -> Result<(), Refused> {
        match &self.requests {
            Some(requests) => requests.try_send(request).map_err(|error| match error {
                TrySendError::Full(request) => Refused::Full(request),
                TrySendError::Disconnected(request) => Refused::Stopped(request),
            }),
            None => Err(Refused::Stopped(request)),
        }
    }

    /// The answers that have come in. Never blocks; to be called every tick.
    pub fn try_results(&self) -> impl Iterator<Item = StoreResult> + '_ {
        self.results.iter().flat_map(Receiver::try_iter)
    }

    /// Waits for the next answer, as a lockstep tick does; `None` after the time, or when the thread has ended.
    #[must_use]
    pub fn wait_result(&self, at_most: Duration) -> Option<StoreResult> {
        self.results.as_ref()?.recv_timeout(at_most).ok()
    }

    /// Ends the thread after what is queued and, if given, a last image. Blocks until it has ended; tries that
    /// fail are repeated at short intervals. Returns the answers that had not been taken.
    ///
    /// # Errors
    /// [`StoreError::LastImageLost`] when the last image could not be written; [`StoreError::ThreadPanicked`].
    pub fn finish(mut self, last_image: Option<Image>) -> Result<Vec<StoreResult>, StoreError> {
        self.closing = None;
        let last_tick = last_image.as_ref().map(|image| image.tick);
        let mut results = Vec::new();
        let last_requests =
            last_image.map(StoreRequest::SaveImage).into_iter().chain([StoreRequest::Shutdown]);
        for mut request in last_requests {
            // The thread may be waiting for its answers to be taken: sending must not wait for the thread alone.
            while let Err(Refused::Full(back)) = self.try_request(request) {
                request = back;
                results.extend(self.wait_result(Duration::from_millis(10)));
            }
        }
        results.extend(self.results.iter().flat_map(Receiver::iter));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            return Err(StoreError::ThreadPanicked);
        }
        let is_saved = |tick| {
            results
                .iter()
                .any(|result| matches!(result, StoreResult::ImageSaved { tick: saved, .. } if *saved == tick))
        };
        match last_tick {
            Some(tick) if !is_saved(tick) => {
                let message = results.iter().rev().find_map(|result| match result {
                    StoreResult::Failed { message, .. } => Some(message.clone()),
                    _ => None,
                });
                let message = message.unwrap_or_else(|| "the store thread had ended".into());
                Err(StoreError::LastImageLost { tick: tick.0, message })
            }
            _ => Ok(results),
        }
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        self.closing = None;
        self.requests = None;
        self.results = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("{}", StoreError::ThreadPanicked);
        }
    }
}

/// Plans since the start, and when what was done.
#[derive(Clone, Copy, Debug, Default)]
struct Upkeep {
    plans: u64,
    tidied_at: u64,
    relieved_at: u64,
    now_ms: u64,
}

#[expect(clippy::disallowed_methods, reason = "when to try again is no part of a world")]
fn jitter() -> Xoshiro256StarStar {
    Xoshiro256StarStar::seed_from_u64(getrandom::u64().unwrap_or_default())
}

/// The thread's side.
struct Worker {
    store: Store,
    stats: Arc<StoreStats>,
    results: Sender<StoreResult>,
    is_closing: Receiver<()>,
    failures_in_row: u32,
    upkeep: Upkeep,
    looked_at_disk: Option<Instant>,
    jitter: Xoshiro256StarStar,
}

impl Worker {
    #[expect(clippy::disallowed_methods, reason = "how long a write took, on the store's thread")]
    fn run(mut self, requests: &Receiver<StoreRequest>) {
        for request in requests {
            match request {
                StoreRequest::Shutdown => break,
                StoreRequest::SaveImage(image) => self.carry_out(&Asked::Image(image.tick), |store| {
                    let started = Instant::now();
                    store.save_image(&image)?;
                    let ms = started.elapsed().as_millis() as u64;
                    Ok(StoreResult::ImageSaved { tick: image.tick, bytes: image.entities.len() as u64, ms })
                }),
                StoreRequest::Players { after, batch } => {
                    self.carry_out(&Asked::Players, |store| {
                        let done = match store.carry_out_after(after, &batch) {
                            // One plan may be at fault for all: no use in trying them together again.
                            Err(error) if !error.is_retryable() && has_plans(&batch) => {
                                tracing::error!("{error}; trying one by one");
                                store.close_after(&error);
                                store.carry_out_apart(after, &batch)?
                            }
                            done => done?,
                        };
                        Ok(StoreResult::Players(done))
                    });
                    for plans in batch.iter().filter_map(plans_of) {
                        self.upkeep.plans += plans.plans.len() as u64;
                        self.upkeep.now_ms = plans.now_ms;
                    }
                }
                StoreRequest::Outbox(work) => {
                    self.carry_out(&Asked::Outbox, |store| Ok(StoreResult::Due(store.outbox(&work)?)));
                    self.stats.deliveries_done.fetch_add(work.done.len() as u64, Ordering::Relaxed);
                    self.stats.deliveries_failed.fetch_add(work.failed.len() as u64, Ordering::Relaxed);
                }
                StoreRequest::Compensation(order) => {
                    self.carry_out(&Asked::Compensation(order.ticket), |store| {
                        Ok(StoreResult::Compensation(store.order_compensation(&order)?))
                    });
                }
                StoreRequest::Reference(write) => {
                    let version = write.reference.version();
                    self.carry_out(&Asked::Reference(version), |store| {
                        store.adopt_reference(&write)?;
                        Ok(StoreResult::ReferenceWritten(version))
                    });
                }
                StoreRequest::Reserve { counter, up_to } => {
                    let asked = Asked::Reserve { counter: counter.clone(), up_to };
                    self.carry_out(&asked, |store| {
                        let up_to = store.reserve(&counter, up_to)?;
                        Ok(StoreResult::Reserved { counter: counter.clone(), up_to })
                    });
                }
            }
            self.keep_up(requests.is_empty());
            self.look_at_disk();
        }
    }

    /// Looks now and then how much room the disk has left, and warns while there is still time to make some.
    #[expect(clippy::disallowed_methods, reason = "when the disk was looked at last, on the store's thread")]
    fn look_at_disk(&mut self) {
        if self.looked_at_disk.is_some_and(|looked| looked.elapsed() < LOOK_AT_DISK_EVERY) {
            return;
        }
        self.looked_at_disk = Some(Instant::now());
        let free = match self.store.folder().free_bytes() {
            Ok(free) => free,
            Err(error) => return tracing::warn!("cannot see how much room the disk has left: {error}"),
        };
        let before = self.stats.disk_free_bytes.swap(free, Ordering::Relaxed);
        if free < DISK_LOW_BYTES && (before == 0 || before >= DISK_LOW_BYTES) {
            let (free, low) = (free >> 20, DISK_LOW_BYTES >> 20);
            let folder = self.store.folder().path().display();
            tracing::warn!(
                "only {free} MiB are free where {folder} is, less than {low}: make room, or saving will fail"
            );
        }
    }

    /// Tries until it works or is given up; tells the outcome of every try.
    #[expect(clippy::disallowed_methods, reason = "how long a write took, on the store's thread")]
    fn carry_out(
        &mut self,
        asked: &Asked,
        mut work: impl FnMut(&mut Store) -> Result<StoreResult, StoreError>,
    ) {
        for attempt in 1..=ATTEMPTS_MAX {
            let (began, rows) = (Instant::now(), self.store.database.rows_written());
            let done = catch_unwind(AssertUnwindSafe(|| work(&mut self.store)));
            let error = match done
                .unwrap_or_else(|panic| Err(StoreError::Panicked(text_of(panic.as_ref()).to_owned())))
            {
                Ok(result) => {
                    self.stats.writes.observe(began.elapsed());
                    let rows = self.store.database.rows_written().saturating_sub(rows);
                    self.stats.rows_written.fetch_add(rows, Ordering::Relaxed);
                    return self.succeeded(result);
                }
                Err(error) => error,
            };
            self.store.close_after(&error);
            self.failures_in_row = self.failures_in_row.saturating_add(1);
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            self.stats.failures_in_row.store(self.failures_in_row.into(), Ordering::Relaxed);
            let retryable = error.is_retryable();
            let retry_in_ms = match retryable && attempt < ATTEMPTS_MAX {
                true => Some(self.retry_in_ms()),
                false => None,
            };
            match retry_in_ms {
                Some(ms) => tracing::error!(?asked, attempt, "{error}; trying again in {ms} ms"),
                None => tracing::error!(?asked, attempt, "{error}; given up"),
            }
            let asked = asked.clone();
            let message = error.to_string();
            self.answer(StoreResult::Failed { asked, attempt, retry_in_ms, retryable, message });
            let Some(ms) = retry_in_ms else {
                // Whoever asked may ask again at once: what fails every time must not be tried without a pause.
                let ms = self.retry_in_ms();
                return self.wait(Duration::from_millis(ms));
            };
            self.wait(Duration::from_millis(ms));
        }
    }

    fn succeeded(&mut self, result: StoreResult) {
        self.stats.count(&result);
        if self.failures_in_row > 0 {
            tracing::info!("the store works again after {} failures", self.failures_in_row);
        }
        self.failures_in_row = 0;
        self.stats.failures_in_row.store(0, Ordering::Relaxed);
        self.answer(result);
    }

    /// What has to be done now and then, best while nobody waits.
    fn keep_up(&mut self, is_idle: bool) {
        let Upkeep { plans, tidied_at, relieved_at, now_ms } = self.upkeep;
        if is_idle && plans >= tidied_at + TIDY_EVERY_PLANS {
            self.upkeep.tidied_at = plans;
            // More than came in, so that it is caught up with.
            let at_most = u32::try_from(2 * (plans - tidied_at)).unwrap_or(u32::MAX);
            if let Err(error) = self.store.tidy(now_ms, at_most) {
                tracing::warn!("{error}; it is done later");
                self.store.close_after(&error);
            }
        }
        let due = if is_idle { RELIEVE_EVERY_PLANS } else { RELIEVE_EVERY_PLANS_BUSY };
        if plans >= relieved_at + due {
            self.upkeep.relieved_at = plans;
            self.store.database.relieve();
        }
    }

    /// Waits until there is room. Without a receiver the world is gone, and with it whom to tell.
    fn answer(&self, result: StoreResult) {
        drop(self.results.send(result));
    }

    /// Doubles with every failure in a row, also over requests: a disk that stays full is not hammered. Up to a quarter more by
    /// chance: who waits for the same file does not come back at the same moment.
    fn retry_in_ms(&mut self) -> u64 {
        let doublings = self.failures_in_row.saturating_sub(1).min(16);
        let ms = (RETRY_MS_MIN << doublings).min(RETRY_MS_MAX);
        let ms = ms + self.jitter.next_u64() % (ms / 4);
        if self.is_closing() { ms.min(RETRY_MS_CLOSING) } else { ms }
    }

    fn is_closing(&self) -> bool {
        self.is_closing.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }

    /// Sleeps, until the world ends at the latest.
    fn wait(&self, duration: Duration) {
        if self.is_closing() {
            thread::sleep(duration);
        } else {
            // Nothing is ever sent: the time passes, or the sender is dropped.
            let woken: Result<(), RecvTimeoutError> = self.is_closing.recv_timeout(duration);
            debug_assert!(woken.is_err());
        }
    }
}
