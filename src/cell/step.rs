//! How far things may be and move.

use glam::Vec3;

use crate::limits::HEIGHT_M_MAX;
use crate::space::{Area, distance_squared};

/// The distances that cells must respect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpaceLimits {
    /// The whole world.
    pub world: Area,
    /// How far beyond a cell's box its ghosts reach, m.
    pub ghost_margin_m: f32,
    /// How far anything may move in one tick, m.
    pub step_m_max: f32,
    /// How far from its leader something attached may be, m.
    pub attach_reach_m: f32,
    /// Radius beyond which nothing is seen or found nearby, m.
    pub leave_radius_m: f32,
    /// Edge of the buckets that a cell's entities are indexed by, m.
    pub bucket_m: f32,
}

/// What the limits make of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Where the entity will be at the end of the tick.
    pub place: Vec3,
    /// Where it asked to be, inside the world.
    pub asked: Vec3,
    /// Whether that is farther than a step.
    pub is_long: bool,
}

impl SpaceLimits {
    /// How far from a cell's box the box of an owner may lie whose entities are within the ghost margin, m.
    ///
    /// After `Simulate` an entity may stand outside of its owner's box until the next `Partition`: by a step of its
    /// own or of its leader, and by the reach of its attachment.
    #[must_use]
    pub fn neighbour_margin_m(&self) -> f32 {
        self.ghost_margin_m + self.step_m_max + self.attach_reach_m
    }

    /// Checks a step from one place to another: it stays in the world, and one that is too long is not done.
    #[must_use]
    #[inline]
    pub fn step(&self, from: Vec3, to: Vec3) -> Step {
        let is_inside = self.world.contains(to) && to.z.abs() <= HEIGHT_M_MAX;
        let asked = if is_inside { to } else { self.world.clamp(to) };
        let step_squared = distance_squared(asked, from);
        let is_long = step_squared > self.step_m_max * self.step_m_max && {
            // A hair of tolerance: the step was computed in floats, and what it was added to is rounded the
            // more, the farther it is from the origin.
            let rounding_m = asked.abs().max_element() * 2.0 * f32::EPSILON;
            let step_m_max = self.step_m_max * 1.00005 + rounding_m + 1e-6;
            step_squared > step_m_max * step_m_max
        };
        Step { place: if is_long { from } else { asked }, asked, is_long }
    }
}
