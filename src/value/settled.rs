//! Value in components: to be read by everybody, written by nobody but `Settle`.

use std::fmt;
use std::ops::Deref;

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::Component;
use serde::{Deserialize, Serialize};

use crate::reward::Holdings;

/// A value that the store has committed. Game code reads it like a `T`; a new one is written only by [`Settles::settle`], with
/// the [`Pen`] that the engine hands out there.
///
/// ```compile_fail
/// # use terrane::prelude::*;
/// # fn rob(purse: &mut Settled<u32>) {
/// **purse = 1_000_000;     // there is no way to write through it
/// # }
/// ```
///
/// ```compile_fail
/// # use terrane::prelude::*;
/// let forged = Settled::new(1_000_000);     // nor to make one that holds something
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settled<T>(T);

impl<T> Deref for Settled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Settled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Settled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What writes [`Settled`] values. Only the engine has one.
///
/// ```compile_fail
/// let pen = terrane::value::Pen(());
/// ```
#[derive(Debug)]
pub struct Pen(());

impl Pen {
    pub(super) const fn new() -> Self {
        Self(())
    }

    /// Writes a value, and says whether it is another one.
    pub fn write<T: PartialEq>(&self, place: &mut Settled<T>, value: T) -> bool {
        let changed = place.0 != value;
        if changed {
            place.0 = value;
        }
        changed
    }
}

/// A component of avatars that shows what their players hold.
pub trait Settles: Component<Mutability = Mutable> {
    /// Brings the [`Settled`] fields up to date with what the player holds now. Called when the avatar comes into the world,
    /// and whenever the store has committed something of its player.
    fn settle(&mut self, holdings: &Holdings, pen: &Pen);
}
