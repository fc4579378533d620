//! Who is in a view: the one rule.

use glam::Vec3;

use crate::ids::{NetId, Row};
use crate::limits::TIERS_MAX;

/// The bounds of a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewSettings {
    /// Radius within which an entity comes into view, m.
    pub enter_radius_m: f32,
    /// Radius beyond which it goes out of view, m. Larger than the enter radius, and at most
    /// [`LEAVE_RADIUS_M_MAX`](crate::limits::LEAVE_RADIUS_M_MAX).
    pub leave_radius_m: f32,
    /// Most entities in the view.
    pub entities_max: usize,
    /// What is far is told less often.
    pub tiers: Tiers,
    /// Bytes of updates per tick on average; what does not fit waits by priority. `None`: as much as one update takes.
    pub bytes_per_tick: Option<u32>,
}

impl ViewSettings {
    /// Everything is told in every tick, as far as an update takes it.
    #[must_use]
    pub const fn new(enter_radius_m: f32, leave_radius_m: f32, entities_max: usize) -> Self {
        Self { enter_radius_m, leave_radius_m, entities_max, tiers: Tiers::NONE, bytes_per_tick: None }
    }
}

/// From some distance on, changes are told only every few ticks. What changes meanwhile is told with the next turn, so
/// what stops is right after at most that many ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// Beyond how many metres.
    pub beyond_m: f32,
    /// Every how many ticks.
    pub every: u32,
}

/// Distance tiers, by ascending distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiers([Tier; TIERS_MAX]);

impl Default for Tiers {
    /// Everything is told in every tick.
    fn default() -> Self {
        Self::NONE
    }
}

impl Tiers {
    /// Everything is told in every tick.
    pub const NONE: Self = Self([Tier { beyond_m: f32::INFINITY, every: 1 }; TIERS_MAX]);

    /// Of the given ones, by ascending distance; `None` when there are more than [`TIERS_MAX`], when they do not ascend, or
    /// when one is never told.
    #[must_use]
    pub fn new(tiers: &[Tier]) -> Option<Self> {
        let ascend = tiers.is_sorted_by(|a, b| a.beyond_m < b.beyond_m && a.every <= b.every);
        let sound = tiers.iter().all(|tier| tier.beyond_m >= 0.0 && tier.every > 0);
        let mut all = Self::default();
        all.0.get_mut(..tiers.len())?.copy_from_slice(tiers);
        (ascend && sound).then_some(all)
    }

    /// Whether nothing is ever put off.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|tier| tier.every == 1 || tier.beyond_m.is_infinite())
    }

    /// Every how many ticks something at that distance is told.
    #[must_use]
    pub fn every(&self, distance_squared: f32) -> u32 {
        let beyond = |tier: &&Tier| distance_squared > tier.beyond_m * tier.beyond_m;
        self.0.iter().rev().find(beyond).map_or(1, |tier| tier.every)
    }
}

/// Who looks, and from where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewer {
    /// Where from.
    pub position: Vec3,
    /// Row of the entity the player steers; [`Row::NONE`] while there is none.
    pub avatar: Row,
}

/// What an entity is to a viewer, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The viewer's own avatar.
    Avatar,
    /// In the view wherever it is: see [`Relevance`](crate::session::relevance::Relevance).
    Always,
    /// In the view when it is near.
    Near,
}

/// The place in the order of who is kept when a view is full: smaller is kept first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    near: u64,
    net_id: NetId,
}

/// **The rule of membership.** An entity is *eligible* when it is in the view already and closer than the
/// leave radius, or closer than the enter radius. When more than `entities_max` are eligible, the first
/// `entities_max` by this rank stay: by (standing, class, distance, `NetId`), where the squared
/// distance of an entity in the view already counts 0.81 of what it is, so that two entities of nearly equal
/// distance do not take each other's place all the time.
///
/// `distance_squared` comes from [`space::distance_squared`](crate::space::distance_squared).
#[must_use]
pub fn rank(standing: Standing, class: u8, distance_squared: f32, held: bool, net_id: NetId) -> Rank {
    Rank { near: near_key(standing, class, distance_squared, held), net_id }
}

/// The part of a [`Rank`] before the `NetId`, in 42 bits, so that a place in a list fits beside it.
#[inline]
pub(super) fn near_key(standing: Standing, class: u8, distance_squared: f32, held: bool) -> u64 {
    let distance = if held { distance_squared * 0.81 } else { distance_squared };
    // Bits of floats that are not negative are ordered as the floats are.
    (standing as u64) << 40 | u64::from(class) << 32 | u64::from(distance.to_bits())
}

#[cfg(test)]
mod tests {
    use super::Standing::{Always, Avatar, Near};
    use super::*;

    #[test]
    fn the_avatar_comes_first_then_what_is_always_relevant_then_class_then_distance_then_name() {
        let order = [
            rank(Avatar, 9, 100.0, false, NetId(9)),
            rank(Always, 3, 1e9, false, NetId(9)),
            rank(Near, 0, 100.0, true, NetId(9)),
            rank(Near, 0, 100.0, false, NetId(9)),
            rank(Near, 1, 1.0, false, NetId(3)),
            rank(Near, 1, 1.0, false, NetId(4)),
            rank(Near, 1, 1.5, true, NetId(1)),
        ];
        assert!(order.is_sorted());
    }

    /// A10: who is in a full view stays until somebody is a tenth nearer, not by a hair.
    #[test]
    fn who_is_held_counts_a_tenth_nearer_than_it_is() {
        let held = |metres: f32| rank(Near, 1, metres * metres, true, NetId(2));
        let new = |metres: f32| rank(Near, 1, metres * metres, false, NetId(1));
        assert!(held(10.0) < new(9.1), "nearer by less than a tenth takes nobody's place");
        assert!(held(10.0) > new(8.9), "nearer by more than a tenth does");
        assert!(held(10.0) < held(10.1) && new(10.0) < new(10.1), "among their like the distance decides");
        assert!(held(8.9) < held(9.0) && held(9.0) < new(9.0), "of two as near, who is held stays");
    }
}
