//! What the store thread has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::commit::PlanOutcome;
use super::request::StoreResult;
use crate::telemetry::Durations;

/// What the store thread has done so far, for metrics.
#[derive(Debug, Default)]
pub struct StoreStats {
    images_saved: AtomicU64,
    image_bytes: AtomicU64,
    reservations: AtomicU64,
    profiles_saved: AtomicU64,
    profiles_loaded: AtomicU64,
    profile_conflicts: AtomicU64,
    rows_saved: AtomicU64,
    plans_committed: AtomicU64,
    plans_refused: AtomicU64,
    plans_repeated: AtomicU64,
    plan_conflicts: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) failures_in_row: AtomicU64,
    pub(super) deliveries_done: AtomicU64,
    pub(super) deliveries_failed: AtomicU64,
    /// How long what was asked for took, once it worked.
    pub(super) writes: Durations,
    /// Free on the disk, bytes; 0 before it was looked at.
    pub(super) disk_free_bytes: AtomicU64,
    pub(super) rows_written: AtomicU64,
}

impl StoreStats {
    /// Images written.
    #[must_use]
    pub fn images_saved(&self) -> u64 {
        self.images_saved.load(Ordering::Relaxed)
    }

    /// Bytes of entities in those images.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes.load(Ordering::Relaxed)
    }

    /// Reservations made.
    #[must_use]
    pub fn reservations(&self) -> u64 {
        self.reservations.load(Ordering::Relaxed)
    }

    /// Profiles of players written.
    #[must_use]
    pub fn profiles_saved(&self) -> u64 {
        self.profiles_saved.load(Ordering::Relaxed)
    }

    /// Profiles of players looked up.
    #[must_use]
    pub fn profiles_loaded(&self) -> u64 {
        self.profiles_loaded.load(Ordering::Relaxed)
    }

    /// Profiles that were not written because a newer one stood in their place.
    #[must_use]
    pub fn profile_conflicts(&self) -> u64 {
        self.profile_conflicts.load(Ordering::Relaxed)
    }

    /// Components of avatars written by themselves.
    #[must_use]
    pub fn rows_saved(&self) -> u64 {
        self.rows_saved.load(Ordering::Relaxed)
    }

    /// Plans that were carried out.
    #[must_use]
    pub fn plans_committed(&self) -> u64 {
        self.plans_committed.load(Ordering::Relaxed)
    }

    /// Plans that were refused.
    #[must_use]
    pub fn plans_refused(&self) -> u64 {
        self.plans_refused.load(Ordering::Relaxed)
    }

    /// Plans whose claim had been fulfilled before.
    #[must_use]
    pub fn plans_repeated(&self) -> u64 {
        self.plans_repeated.load(Ordering::Relaxed)
    }

    /// Accounts whose holdings had changed between a plan and its execution.
    #[must_use]
    pub fn plan_conflicts(&self) -> u64 {
        self.plan_conflicts.load(Ordering::Relaxed)
    }

    /// Tries that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Tries that failed since the last that did not: above 0, the store is degraded.
    #[must_use]
    pub fn failures_in_row(&self) -> u64 {
        self.failures_in_row.load(Ordering::Relaxed)
    }

    /// What the outbox held and was delivered.
    #[must_use]
    pub fn deliveries_done(&self) -> u64 {
        self.deliveries_done.load(Ordering::Relaxed)
    }

    /// Deliveries that failed, each try of them.
    #[must_use]
    pub fn deliveries_failed(&self) -> u64 {
        self.deliveries_failed.load(Ordering::Relaxed)
    }

    /// Rows that were written, changed or deleted, of all tables.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.rows_written.load(Ordering::Relaxed)
    }

    /// How long what was asked for took, each once it worked.
    #[must_use]
    pub fn writes(&self) -> &Durations {
        &self.writes
    }

    /// Free bytes on the disk that the save is on; 0 before the thread has looked.
    #[must_use]
    pub fn disk_free_bytes(&self) -> u64 {
        self.disk_free_bytes.load(Ordering::Relaxed)
    }

    /// Counts something that worked.
    pub(super) fn count(&self, result: &StoreResult) {
        match &result {
            StoreResult::ImageSaved { bytes, .. } => {
                self.images_saved.fetch_add(1, Ordering::Relaxed);
                self.image_bytes.fetch_add(*bytes, Ordering::Relaxed);
            }
            StoreResult::Players(done) => {
                self.profiles_saved.fetch_add(done.saved, Ordering::Relaxed);
                self.profiles_loaded.fetch_add(done.profiles.len() as u64, Ordering::Relaxed);
                self.profile_conflicts.fetch_add(done.conflicts.len() as u64, Ordering::Relaxed);
                self.rows_saved.fetch_add(done.rows, Ordering::Relaxed);
                done.plans.iter().for_each(|outcome| self.count_plan(outcome));
            }
            StoreResult::Compensation(done) => {
                done.outcome.iter().for_each(|outcome| self.count_plan(outcome))
            }
            StoreResult::Reserved { .. } => drop(self.reservations.fetch_add(1, Ordering::Relaxed)),
            StoreResult::Due(_) | StoreResult::ReferenceWritten(_) | StoreResult::Failed { .. } => {}
        }
    }
    fn count_plan(&self, outcome: &PlanOutcome) {
        let count = match outcome {
            PlanOutcome { is_repeat: true, .. } => &self.plans_repeated,
            PlanOutcome { result: Ok(_), .. } => &self.plans_committed,
            PlanOutcome { result: Err(_), .. } => &self.plans_refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.plan_conflicts.fetch_add(outcome.conflicts.into(), Ordering::Relaxed);
    }
}
