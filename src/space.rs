//! Places: boxes, the position lattice and the one distance everybody uses.

use bevy_ecs::prelude::Component;
use glam::{Vec2, Vec3};
use serde::{Deserialize, Serialize};

use crate::limits::{HEIGHT_M_MAX, LATTICE_STEPS_PER_M};

/// Where an entity is, in metres from the world's south-west corner; `z` is height.
///
/// Every owned entity has one. Game systems write it; the engine takes care that it stays finite, inside the
/// world, at most [`HEIGHT_M_MAX`] above or below zero, and within one step of where it was.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position(pub Vec3);

impl Position {
    /// A place on the ground.
    #[must_use]
    pub fn new(x: f32, y: f32) -> Self {
        Self(Vec3::new(x, y, 0.0))
    }
}

/// An axis-parallel box in the plane, `min` inside and `max` outside, in metres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// South-west corner, inside.
    pub min: Vec2,
    /// North-east corner, outside.
    pub max: Vec2,
}

impl Area {
    /// Whether a place is inside: the lower edges are, the upper ones are not.
    #[must_use]
    #[inline]
    pub fn contains(&self, place: Vec3) -> bool {
        place.x >= self.min.x && place.x < self.max.x && place.y >= self.min.y && place.y < self.max.y
    }

    /// Whether a place is inside or at most `margin` metres outside, measured along each axis: a square
    /// margin, so corners are included.
    #[must_use]
    #[inline]
    pub fn contains_within(&self, place: Vec3, margin: f32) -> bool {
        place.x >= self.min.x - margin
            && place.x <= self.max.x + margin
            && place.y >= self.min.y - margin
            && place.y <= self.max.y + margin
    }

    /// Whether two boxes, one grown by `margin` metres, touch.
    #[must_use]
    pub fn touches(&self, other: &Area, margin: f32) -> bool {
        self.min.x - margin <= other.max.x
            && self.max.x + margin >= other.min.x
            && self.min.y - margin <= other.max.y
            && self.max.y + margin >= other.min.y
    }

    /// The metres between the corners, per axis.
    #[must_use]
    pub fn size(&self) -> Vec2 {
        self.max - self.min
    }

    /// The nearest place inside, a hair within the upper edges, no higher and no lower than [`HEIGHT_M_MAX`].
    #[must_use]
    pub fn clamp(&self, place: Vec3) -> Vec3 {
        let x = place.x.clamp(self.min.x, self.max.x.next_down());
        let y = place.y.clamp(self.min.y, self.max.y.next_down());
        Vec3::new(x, y, place.z.clamp(-HEIGHT_M_MAX, HEIGHT_M_MAX))
    }
}

/// The square of the distance between two places. Everything that decides who sees whom uses this very
/// function: two ways to round would be two answers at the edge. NaN when either place is nowhere.
#[must_use]
#[inline]
pub fn distance_squared(a: Vec3, b: Vec3) -> f32 {
    let (dx, dy, dz) = (a.x - b.x, a.y - b.y, a.z - b.z);
    dx * dx + dy * dy + dz * dz
}

/// A place on the world's lattice, 1/128 m a step: what is sent, compared and audited instead of floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LatticePoint(pub [i32; 3]);

impl LatticePoint {
    /// The lattice point at or below a finite place.
    #[must_use]
    #[inline]
    pub fn of(place: Vec3) -> Self {
        // The floor in arithmetic: without SSE 4.1, which not every x86-64 has, `floor` is a function call.
        let step = |v: f32| {
            let steps = v * LATTICE_STEPS_PER_M;
            let towards_zero = steps as i32;
            towards_zero.saturating_sub(i32::from(towards_zero as f32 > steps))
        };
        Self([step(place.x), step(place.y), step(place.z)])
    }

    /// The middle of the step, in metres: at most 1/256 m from the place that was encoded.
    #[must_use]
    pub fn to_place(self) -> Vec3 {
        let metres = |v: i32| (v as f32 + 0.5) / LATTICE_STEPS_PER_M;
        Vec3::new(metres(self.0[0]), metres(self.0[1]), metres(self.0[2]))
    }

    /// The low 16 bits of the two horizontal axes, as the wire carries them.
    #[must_use]
    #[inline]
    pub fn low_xy(self) -> u32 {
        u32::from(self.0[0] as u16) | u32::from(self.0[1] as u16) << 16
    }

    /// The low 16 bits of the height.
    #[must_use]
    #[inline]
    pub fn low_z(self) -> u16 {
        self.0[2] as u16
    }

    /// The coordinate with these low bits that is nearest to `reference`: right for everything within
    /// ±256 m of it.
    #[must_use]
    #[inline]
    pub fn widen(low: u16, reference: i32) -> i32 {
        reference.wrapping_add(i32::from(low.wrapping_sub(reference as u16) as i16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn low_bits_widen_to_the_same_point_within_reach(
            point in -8_000_000i32..8_000_000, offset in -32_768i32..32_768,
        ) {
            prop_assert_eq!(LatticePoint::widen(point as u16, point - offset), point);
        }

        #[test]
        fn a_place_is_told_within_half_a_step(x in 0.0f32..65_000.0, y in 0.0f32..65_000.0, z in -200.0f32..200.0) {
            let place = Vec3::new(x, y, z);
            let told = LatticePoint::of(place).to_place();
            prop_assert!((told - place).abs().max_element() <= 0.5 / LATTICE_STEPS_PER_M + 0.004);
        }

        #[test]
        fn a_clamped_place_is_inside(x in -1e6f32..1e6, y in -1e6f32..1e6, z in -1e6f32..1e6) {
            let area = Area { min: Vec2::ZERO, max: Vec2::new(1_000.0, 500.0) };
            let clamped = area.clamp(Vec3::new(x, y, z));
            prop_assert!(area.contains(clamped) && clamped.z.abs() <= HEIGHT_M_MAX);
        }
    }
}
