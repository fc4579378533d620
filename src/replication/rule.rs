//! Who is in a view: the one rule.

use glam::Vec3;

use crate::ids::{NetId, Row};

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
}

/// Who looks, and from where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewer {
    /// Where from.
    pub position: Vec3,
    /// Row of the entity the player steers; [`Row::NONE`] while there is none.
    pub avatar: Row,
}

/// The place in the order of who is kept when a view is full: smaller is kept first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    near: u64,
    net_id: NetId,
}

/// **The rule of membership.** An entity is *eligible* when it is in the view already and closer than the
/// leave radius, or closer than the enter radius. When more than `entities_max` are eligible, the first
/// `entities_max` by this rank stay: the own avatar, then by (class, distance, `NetId`), where the squared
/// distance of an entity in the view already counts 0.81 of what it is, so that two entities of nearly equal
/// distance do not take each other's place all the time.
///
/// `distance_squared` comes from [`space::distance_squared`](crate::space::distance_squared).
#[must_use]
pub fn rank(own: bool, class: u8, distance_squared: f32, held: bool, net_id: NetId) -> Rank {
    Rank { near: near_key(own, class, distance_squared, held), net_id }
}

/// The part of a [`Rank`] before the `NetId`, in 41 bits, so that a place in a list fits beside it.
#[inline]
pub(super) fn near_key(own: bool, class: u8, distance_squared: f32, held: bool) -> u64 {
    let distance = if held { distance_squared * 0.81 } else { distance_squared };
    // Bits of floats that are not negative are ordered as the floats are.
    u64::from(!own) << 40 | u64::from(class) << 32 | u64::from(distance.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_avatar_comes_first_then_class_then_distance_then_name() {
        let order = [
            rank(true, 9, 100.0, false, NetId(9)),
            rank(false, 0, 100.0, true, NetId(9)),
            rank(false, 0, 100.0, false, NetId(9)),
            rank(false, 1, 1.0, false, NetId(3)),
            rank(false, 1, 1.0, false, NetId(4)),
            rank(false, 1, 1.5, true, NetId(1)),
        ];
        assert!(order.is_sorted());
    }

    /// A10: who is in a full view stays until somebody is a tenth nearer, not by a hair.
    #[test]
    fn who_is_held_counts_a_tenth_nearer_than_it_is() {
        let held = |metres: f32| rank(false, 1, metres * metres, true, NetId(2));
        let new = |metres: f32| rank(false, 1, metres * metres, false, NetId(1));
        assert!(held(10.0) < new(9.1), "nearer by less than a tenth takes nobody's place");
        assert!(held(10.0) > new(8.9), "nearer by more than a tenth does");
        assert!(held(10.0) < held(10.1) && new(10.0) < new(10.1), "among their like the distance decides");
        assert!(held(8.9) < held(9.0) && held(9.0) < new(9.0), "of two as near, who is held stays");
    }
}
