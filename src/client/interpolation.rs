//! Positions between updates: a client shows the world a moment late, and then smoothly.

use std::collections::VecDeque;

use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::ids::{NetId, TickNumber};

use super::mirror::Mirror;

/// Positions kept per entity: enough for the delay and a few lost updates.
const SAMPLES_MAX: usize = 8;

/// Longer without an update, and nothing has changed: so many are not lost in a row.
const SILENT_TICKS: u64 = 10;

/// How far behind the newest update a client shows the world, in ticks, unless it chooses otherwise.
pub const DELAY_TICKS_DEFAULT: f64 = 2.0;

/// The recent positions of everything in view, by tick.
#[derive(Clone, Debug, Default)]
pub struct Interpolation {
    hz: u16,
    newest: TickNumber,
    samples: FxHashMap<NetId, VecDeque<(TickNumber, Vec3)>>,
}

impl Interpolation {
    /// Empty, for a world of so many ticks a second.
    #[must_use]
    pub fn new(hz: u16) -> Self {
        Self { hz, ..Self::default() }
    }

    /// Notes where everything is after an update. O(entities in view).
    pub fn note(&mut self, mirror: &Mirror, tick: TickNumber) {
        if tick < self.newest {
            return;
        }
        self.newest = tick;
        self.samples.retain(|&net_id, _| mirror.get(net_id).is_some());
        for entity in mirror.entities() {
            let samples = self.samples.entry(entity.net_id()).or_default();
            let place = entity.lattice().to_place();
            // Nothing is sent while nothing changes: it stood there until it was told to move.
            if let Some(&(last, stood)) = samples.back()
                && last.0 + SILENT_TICKS < tick.0
                && stood != place
            {
                samples.clear();
                samples.push_back((TickNumber(tick.0 - 1), stood));
            }
            if samples.back().is_none_or(|&(last, _)| last < tick) {
                if samples.len() == SAMPLES_MAX {
                    samples.pop_front();
                }
                samples.push_back((tick, place));
            } else if let Some(last) = samples.back_mut() {
                last.1 = place;
            }
        }
    }

    /// The tick to show `since_newest_s` seconds after the newest update came, `delay_ticks` behind it.
    #[must_use]
    pub fn tick_to_show(&self, since_newest_s: f64, delay_ticks: f64) -> f64 {
        self.newest.0 as f64 + since_newest_s * f64::from(self.hz) - delay_ticks
    }

    /// Where an entity is at a (fractional) tick: on the line between the two positions around it, at the first
    /// before them and at the last after them. `None` when it is not in view.
    #[must_use]
    pub fn position_at(&self, net_id: NetId, tick: f64) -> Option<Vec3> {
        let samples = self.samples.get(&net_id)?;
        let after = samples.iter().position(|&(at, _)| at.0 as f64 >= tick);
        match after {
            None => samples.back().map(|&(_, place)| place),
            Some(0) => samples.front().map(|&(_, place)| place),
            Some(after) => {
                let ((t0, a), (t1, b)) = (samples[after - 1], samples[after]);
                let share = (tick - t0.0 as f64) / (t1.0 - t0.0) as f64;
                // Not `lerp`, which between two equal places gives others beside them: who stands would tremble.
                Some(a + (b - a) * share as f32)
            }
        }
    }

    /// The newest tick that was noted.
    #[must_use]
    pub fn newest(&self) -> TickNumber {
        self.newest
    }
}
