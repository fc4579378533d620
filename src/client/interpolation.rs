//! Positions between updates: a client shows the world a moment late, and then smoothly.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::ids::{NetId, TickNumber};
use crate::limits::TIER_TICKS_MAX;

use super::mirror::Mirror;

/// Positions kept per entity: what is shown within the delay, and what is spread over the ticks to come.
const SAMPLES_MAX: usize = 128;

/// How many ticks before the delay positions are kept.
const KEPT_TICKS: f64 = 8.0;

/// Longer without a place than ever before, and the entity has stood: so many updates are not lost in a row.
const SILENT_TICKS: u64 = 10;

/// A step is spread over no more ticks than there are between two turns of what is far.
const SPREAD_TICKS_MAX: u64 = TIER_TICKS_MAX as u64;

/// How far behind the newest update a client shows the world, in ticks, unless it chooses otherwise.
pub const DELAY_TICKS_DEFAULT: f64 = 2.0;

/// The recent positions of everything in view, by tick.
///
/// Places of what is far, or has to wait, are not told in every tick: a step is spread over the ticks since the place
/// before it, so that the way runs on until the next. Where that takes longer than the delay, the entity is shown later
/// than others; when its places come more often again it catches up, at no more than twice its speed.
#[derive(Clone, Debug)]
pub struct Interpolation {
    hz: u16,
    delay_ticks: f64,
    newest: TickNumber,
    /// The newest update that was noted.
    noted: u32,
    tracks: FxHashMap<NetId, Track>,
}

impl Default for Interpolation {
    fn default() -> Self {
        Self::new(0)
    }
}

/// The way of one entity.
#[derive(Clone, Debug)]
struct Track {
    /// By the tick in which each is shown, ascending.
    samples: VecDeque<(f64, Vec3)>,
    /// When its place was told last.
    told: TickNumber,
    /// How many ticks there were between the last two times.
    gap: Option<u64>,
}

impl Track {
    fn new(tick: TickNumber, place: Vec3) -> Self {
        Self { samples: VecDeque::from([(tick.0 as f64, place)]), told: tick, gap: None }
    }

    fn go_on(&mut self, tick: TickNumber, place: Vec3, delay_ticks: f64) {
        let gap = tick.0.saturating_sub(self.told.0);
        let last = self.samples.back_mut().expect("a track has a place");
        if gap == 0 {
            last.1 = place;
            return;
        }
        let (last_shown, stood) = *last;
        let usual = match self.gap {
            None => SPREAD_TICKS_MAX,
            Some(gap) => (2 * gap).clamp(SILENT_TICKS, SPREAD_TICKS_MAX),
        };
        // Nothing is sent while nothing changes: it stood there until it was told to move.
        let has_stood = gap > usual;
        let spread = if has_stood { self.gap.unwrap_or(1) } else { gap } as f64;
        let shown = (tick.0 as f64 + (spread - delay_ticks).max(0.0)).max(last_shown + spread / 2.0);
        // Who has arrived where it was told last stands there, and starts from there.
        let starts = if has_stood { shown - spread } else { tick.0 as f64 - delay_ticks };
        if starts > last_shown {
            self.samples.push_back((starts, stood));
        }
        self.samples.push_back((shown, place));
        self.told = tick;
        self.gap = Some(gap.min(SPREAD_TICKS_MAX));
        let kept_from = tick.0 as f64 - delay_ticks - KEPT_TICKS;
        while self.samples.len() > SAMPLES_MAX || self.samples.get(1).is_some_and(|next| next.0 < kept_from) {
            self.samples.pop_front();
        }
    }
}

impl Interpolation {
    /// Empty, for a world of so many ticks a second.
    #[must_use]
    pub fn new(hz: u16) -> Self {
        Self {
            hz,
            delay_ticks: DELAY_TICKS_DEFAULT,
            newest: TickNumber::default(),
            noted: 0,
            tracks: FxHashMap::default(),
        }
    }

    /// Empty, for another world, shown with the same delay.
    #[must_use]
    pub(crate) fn restarted(&self, hz: u16) -> Self {
        Self { delay_ticks: self.delay_ticks, ..Self::new(hz) }
    }

    /// How far behind the newest update the client shows the world, in ticks.
    #[must_use]
    pub fn delay_ticks(&self) -> f64 {
        self.delay_ticks
    }

    /// Shows the world so many ticks behind the newest update, from the next one on.
    pub fn set_delay_ticks(&mut self, delay_ticks: f64) {
        self.delay_ticks = delay_ticks.max(0.0);
    }

    /// Notes where an update has said that things are. O(entities in view).
    pub fn note(&mut self, mirror: &Mirror, tick: TickNumber) {
        if tick < self.newest {
            return;
        }
        self.newest = tick;
        let since = std::mem::replace(&mut self.noted, mirror.ack().0);
        self.tracks.retain(|&net_id, _| mirror.get(net_id).is_some());
        for entity in mirror.entities() {
            let place = entity.lattice().to_place();
            match self.tracks.entry(entity.net_id()) {
                Entry::Vacant(entry) => drop(entry.insert(Track::new(tick, place))),
                // What was not told has not been looked at: it may stand, or wait for its turn.
                Entry::Occupied(mut track) if entity.placed_in() > since => {
                    track.get_mut().go_on(tick, place, self.delay_ticks);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// The tick to show `since_newest_s` seconds after the newest update came.
    #[must_use]
    pub fn tick_to_show(&self, since_newest_s: f64) -> f64 {
        self.newest.0 as f64 + since_newest_s * f64::from(self.hz) - self.delay_ticks
    }

    /// Where an entity is shown at a (fractional) tick: on the line between the two positions around it, at the first
    /// before them and at the last after them. `None` when it is not in view.
    #[must_use]
    pub fn position_at(&self, net_id: NetId, tick: f64) -> Option<Vec3> {
        let samples = &self.tracks.get(&net_id)?.samples;
        let after = samples.partition_point(|&(at, _)| at < tick);
        if after == samples.len() {
            return samples.back().map(|&(_, place)| place);
        }
        if after == 0 {
            return samples.front().map(|&(_, place)| place);
        }
        let ((t0, a), (t1, b)) = (samples[after - 1], samples[after]);
        // Not `lerp`, which between two equal places gives others beside them: who stands would tremble.
        Some(a + (b - a) * ((tick - t0) / (t1 - t0)) as f32)
    }

    /// The newest tick that was noted.
    #[must_use]
    pub fn newest(&self) -> TickNumber {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way that is shown of who walks east at 1 m a tick and is told of in these ticks: x by the tick shown.
    fn shown(told: &[u64], delay_ticks: f64, until: u64) -> Vec<f32> {
        let mut track = Track::new(TickNumber(told[0]), Vec3::X * told[0] as f32);
        let mut interpolation = Interpolation::new(20);
        let mut way = Vec::new();
        for tick in told[0]..until {
            if tick > told[0] && told.contains(&tick) {
                track.go_on(TickNumber(tick), Vec3::X * tick as f32, delay_ticks);
            }
            interpolation.tracks.insert(NetId(1), track.clone());
            for frame in 0..3 {
                let at = tick as f64 - delay_ticks + f64::from(frame) / 3.0;
                way.push(interpolation.position_at(NetId(1), at).expect("it is in view").x);
            }
        }
        way
    }

    fn longest_step(way: &[f32]) -> f32 {
        way.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f32::max)
    }

    #[test]
    fn a_step_is_spread_over_the_ticks_since_the_one_before() {
        for every in [1, 2, 5, 9, 40] {
            let told: Vec<u64> = (0..400).step_by(every).collect();
            let way = shown(&told, DELAY_TICKS_DEFAULT, 400);
            assert!(longest_step(&way) <= 2.0 / 3.0 + 1e-3, "every {every}: {}", longest_step(&way));
            assert!(way.is_sorted(), "every {every}: it never goes back");
            let behind = 400.0 - way[way.len() - 1];
            assert!(behind <= 2.0 * every as f32 + 3.0, "every {every}: {behind} m behind");
        }
    }

    #[test]
    fn who_is_told_of_more_often_again_catches_up_at_no_more_than_twice_its_speed() {
        let told: Vec<u64> = (0..90).step_by(9).chain(90..200).collect();
        let way = shown(&told, DELAY_TICKS_DEFAULT, 200);
        assert!(longest_step(&way) <= 2.0 / 3.0 + 1e-3, "{}", longest_step(&way));
        assert!(199.0 - way[way.len() - 3] <= 2.0 + 1e-3, "it has caught up");
    }

    #[test]
    fn who_has_stood_starts_from_there_at_once() {
        let mut track = Track::new(TickNumber(0), Vec3::ZERO);
        track.go_on(TickNumber(1), Vec3::X, 2.0);
        track.go_on(TickNumber(100), Vec3::X * 2.0, 2.0);
        assert_eq!(track.samples.make_contiguous()[1..], [(99.0, Vec3::X), (100.0, Vec3::X * 2.0)]);
    }

    #[test]
    fn a_way_takes_bounded_memory() {
        let mut track = Track::new(TickNumber(0), Vec3::ZERO);
        for tick in (40..4_000).step_by(40).chain(4_000..5_000) {
            track.go_on(TickNumber(tick), Vec3::X * tick as f32, 2.0);
            assert!(track.samples.len() <= SAMPLES_MAX);
        }
        assert!(
            track.samples.len() < 20,
            "{} places are kept of who is told of in every tick",
            track.samples.len()
        );
    }
}
