//! Floats told to a declared precision.

use glam::{Vec2, Vec3};

use super::field::{FieldWriter, take};
use crate::protocol::codec::DecodeError;

/// What can be told to a declared precision: one variable-width number of steps per axis.
///
/// A value of less than 2²³ steps comes back at most half a step off and, told again, is the same number of steps.
pub trait Quantised: Sized {
    /// Appends the steps, see [`FieldWriter::put_quantised`].
    fn put_steps(&self, precision: f32, out: &mut FieldWriter);

    /// Reads them back from all of `bytes`.
    ///
    /// # Errors
    /// When the bytes are not that many numbers of steps; `what` is named.
    fn take_steps(what: &'static str, precision: f32, bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// The value of a number of steps.
fn of_steps(steps: i32, precision: f32) -> f64 {
    f64::from(steps) * f64::from(precision)
}

impl Quantised for f32 {
    fn put_steps(&self, precision: f32, out: &mut FieldWriter) {
        out.put_quantised(*self, precision);
    }

    fn take_steps(what: &'static str, precision: f32, bytes: &[u8]) -> Result<Self, DecodeError> {
        take(what, bytes).map(|steps| of_steps(steps, precision) as f32)
    }
}

impl Quantised for f64 {
    fn put_steps(&self, precision: f32, out: &mut FieldWriter) {
        out.put_quantised(*self, precision);
    }

    fn take_steps(what: &'static str, precision: f32, bytes: &[u8]) -> Result<Self, DecodeError> {
        take(what, bytes).map(|steps| of_steps(steps, precision))
    }
}

impl Quantised for Vec2 {
    fn put_steps(&self, precision: f32, out: &mut FieldWriter) {
        for axis in self.to_array() {
            out.put_quantised(axis, precision);
        }
    }

    fn take_steps(what: &'static str, precision: f32, bytes: &[u8]) -> Result<Self, DecodeError> {
        take(what, bytes).map(|steps: [i32; 2]| steps.map(|axis| of_steps(axis, precision) as f32).into())
    }
}

impl Quantised for Vec3 {
    fn put_steps(&self, precision: f32, out: &mut FieldWriter) {
        for axis in self.to_array() {
            out.put_quantised(axis, precision);
        }
    }

    fn take_steps(what: &'static str, precision: f32, bytes: &[u8]) -> Result<Self, DecodeError> {
        take(what, bytes).map(|steps: [i32; 3]| steps.map(|axis| of_steps(axis, precision) as f32).into())
    }
}
