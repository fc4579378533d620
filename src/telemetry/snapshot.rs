//! What of the world can be looked at from outside: published whole once a tick, read by other threads.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use crate::ids::{CellId, SlotIndex, TickNumber};
use crate::telemetry::stages::StageSummary;

/// One cell as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CellSnapshot {
    /// The cell, printed `w0/3,4@2`.
    #[serde(serialize_with = "as_text")]
    pub cell: CellId,
    /// The slot that owns it.
    #[serde(serialize_with = "as_number")]
    pub owner: SlotIndex,
    /// How often its owner changed.
    pub epoch: u32,
    /// Entities it owns.
    pub population: u32,
    /// Ghosts it holds.
    pub ghosts: u32,
    /// Players whose avatars it owns.
    pub players: u32,
}

/// The time of one stage as seen from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageSnapshot {
    /// Name of the stage.
    pub stage: &'static str,
    /// Median in milliseconds.
    pub ms_p50: f64,
    /// 99th percentile in milliseconds.
    pub ms_p99: f64,
    /// Longest in milliseconds.
    pub ms_max: f64,
}

impl From<&StageSummary> for StageSnapshot {
    fn from(summary: &StageSummary) -> Self {
        let ms = |ns: u64| ns as f64 / 1e6;
        Self {
            stage: summary.stage.name(),
            ms_p50: ms(summary.p50_ns),
            ms_p99: ms(summary.p99_ns),
            ms_max: ms(summary.max_ns),
        }
    }
}

/// The world at the end of a tick, without anything private: no player's name, no position.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Name of the world.
    pub world: String,
    /// The tick.
    #[serde(serialize_with = "as_tick")]
    pub tick: TickNumber,
    /// Ticks per second, lately.
    pub hz: f64,
    /// 99th percentile of the length of a tick in milliseconds, lately.
    pub tick_ms_p99: f64,
    /// Ticks that took longer than their time.
    pub overruns: u64,
    /// Players in the world.
    pub players: u32,
    /// Owned entities.
    pub entities: u64,
    /// Ghosts.
    pub ghosts: u64,
    /// Bytes to clients per second, lately.
    pub bytes_out_per_s: f64,
    /// Every cell, in the order of its id.
    pub cells: Vec<CellSnapshot>,
    /// Every stage, in the order of the tick.
    pub stages: Vec<StageSnapshot>,
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_number<S: Serializer>(slot: &SlotIndex, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(slot.0)
}

fn as_tick<S: Serializer>(tick: &TickNumber, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(tick.0)
}

/// Where the newest [`Snapshot`] lies. Clones share it; publishing and reading swap one pointer.
#[derive(bevy_ecs::prelude::Resource, Clone, Debug, Default)]
pub struct StatusBoard(Arc<Mutex<Arc<Snapshot>>>);

impl StatusBoard {
    /// Replaces what is seen from outside.
    pub fn publish(&self, snapshot: Snapshot) {
        let before = std::mem::replace(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            Arc::new(snapshot),
        );
        // Freed outside of the lock.
        drop(before);
    }

    /// The newest.
    #[must_use]
    pub fn read(&self) -> Arc<Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where in its life the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Loading; no player is admitted yet.
    Starting,
    /// Players are admitted.
    Ready,
    /// No new player is admitted; the world is about to end.
    Draining,
}

/// Whether new players are welcome. Clones share it: the driver writes, HTTP reads.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<ReadinessState>);

#[derive(Debug, Default)]
struct ReadinessState {
    /// [`Phase`] by its place; starts at `Starting`.
    phase: AtomicU8,
    degraded: Mutex<Option<Arc<str>>>,
}

impl Readiness {
    /// The server goes on to this phase.
    pub fn set_phase(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Release);
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// What does not work as it should while players are still served, `None` when all does.
    pub fn set_degraded(&self, why: Option<&str>) {
        *self.0.degraded.lock().unwrap_or_else(PoisonError::into_inner) = why.map(Into::into);
    }

    /// Why service is degraded, if it is.
    #[must_use]
    pub fn degraded(&self) -> Option<Arc<str>> {
        self.0.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_cells_as_people_do() {
        let cell = CellId { world: 0, depth: 2, cx: 3, cy: 4 };
        let cell =
            CellSnapshot { cell, owner: SlotIndex(7), epoch: 2, population: 10, ghosts: 3, players: 1 };
        let board = StatusBoard::default();
        board.publish(Snapshot { tick: TickNumber(9), cells: vec![cell], ..Snapshot::default() });
        let json = serde_json::to_value(&*board.read()).unwrap();
        assert_eq!(json["tick"], 9);
        assert_eq!(
            json["cells"][0],
            serde_json::json!({"cell": "w0/3,4@2", "owner": 7, "epoch": 2, "population": 10, "ghosts": 3, "players": 1})
        );
    }
}
