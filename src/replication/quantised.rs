//! Floats told to a declared precision.

use glam::{Vec2, Vec3};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field_wire::take;
use crate::protocol::codec::{self, DecodeError};

/// What can be told to a declared precision: one variable-width number of steps per axis.
///
/// A value of less than 2²³ steps comes back at most half a step off and, told again, is the same number of steps.
/// Values out of range, ±2³¹ steps, stop at the last step; NaN becomes zero.
pub trait Quantised: Sized {
    /// The steps of all axes.
    type Steps: Serialize + DeserializeOwned;

    /// The value in steps of `precision`.
    fn to_steps(&self, precision: f32) -> Self::Steps;

    /// The value of so many steps.
    fn from_steps(steps: Self::Steps, precision: f32) -> Self;

    /// The value as it is told.
    #[must_use]
    fn rounded(&self, precision: f32) -> Self {
        Self::from_steps(self.to_steps(precision), precision)
    }

    /// Appends the steps.
    fn put_steps(&self, precision: f32, out: &mut Vec<u8>) {
        codec::encode_into(&self.to_steps(precision), out);
    }

    /// Reads them back from all of `bytes`.
    ///
    /// # Errors
    /// When the bytes are not that many numbers of steps; `what` is named.
    fn take_steps(what: &'static str, precision: f32, bytes: &[u8]) -> Result<Self, DecodeError> {
        take(what, bytes).map(|steps| Self::from_steps(steps, precision))
    }
}

fn steps_of(value: f64, precision: f32) -> i32 {
    (value / f64::from(precision)).round() as i32
}

fn of_steps(steps: i32, precision: f32) -> f64 {
    f64::from(steps) * f64::from(precision)
}

impl Quantised for f32 {
    type Steps = i32;

    fn to_steps(&self, precision: f32) -> i32 {
        steps_of((*self).into(), precision)
    }

    fn from_steps(steps: i32, precision: f32) -> Self {
        of_steps(steps, precision) as f32
    }
}

impl Quantised for f64 {
    type Steps = i32;

    fn to_steps(&self, precision: f32) -> i32 {
        steps_of(*self, precision)
    }

    fn from_steps(steps: i32, precision: f32) -> Self {
        of_steps(steps, precision)
    }
}

impl Quantised for Vec2 {
    type Steps = [i32; 2];

    fn to_steps(&self, precision: f32) -> [i32; 2] {
        self.to_array().map(|axis| axis.to_steps(precision))
    }

    fn from_steps(steps: [i32; 2], precision: f32) -> Self {
        steps.map(|axis| f32::from_steps(axis, precision)).into()
    }
}

impl Quantised for Vec3 {
    type Steps = [i32; 3];

    fn to_steps(&self, precision: f32) -> [i32; 3] {
        self.to_array().map(|axis| axis.to_steps(precision))
    }

    fn from_steps(steps: [i32; 3], precision: f32) -> Self {
        steps.map(|axis| f32::from_steps(axis, precision)).into()
    }
}
