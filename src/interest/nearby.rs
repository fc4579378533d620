//! What game systems may ask about their neighbourhood.

use bevy_ecs::prelude::{Res, Resource};
use bevy_ecs::system::SystemParam;
use glam::Vec3;

use super::index::{IndexEntry, SpatialIndex};
use crate::ids::NetId;
use crate::space::{Area, distance_squared};

/// An entity that was found, as it was at the end of the last tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub net_id: NetId,
    /// Where it was, in metres.
    pub position: Vec3,
    /// The square of its distance to the place that was asked for, in square metres.
    pub distance_squared: f32,
}

/// Why a question to [`Nearby`] has no answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NearbyError {
    /// Beyond the leave radius a cell knows only what happens to be its own.
    #[error(
        "cannot look {asked_m} m far: ask for 0 to {max_m} m, the leave radius, or raise `leave_radius_m`"
    )]
    Radius {
        /// The radius, or the half edge of the box.
        asked_m: f32,
        /// The most that can be asked for.
        max_m: f32,
    },
    /// The place is not one that an entity of this cell can be at.
    #[error(
        "cannot look around {place}, it is outside of this cell: ask around an entity of the system's own world"
    )]
    Place {
        /// The centre that was asked for.
        place: Vec3,
    },
}

/// A cell's index between two ticks: rebuilt in `Interest`, read by that tick's search for candidates and by
/// the next tick's game systems through [`Nearby`].
#[derive(Debug, Resource)]
pub struct LastIndex {
    index: SpatialIndex,
    home: Area,
    asker_slack_m: f32,
    leave_radius_m: f32,
}

impl LastIndex {
    /// An empty index for the cell with this box.
    ///
    /// # Panics
    /// When the margin is below the leave radius or one of them is not a length: configuration has checked it.
    #[must_use]
    pub fn new(home: Area, ghost_margin_m: f32, leave_radius_m: f32, bucket_edge_m: f32) -> Self {
        let asker_slack_m = ghost_margin_m - leave_radius_m;
        assert!(leave_radius_m >= 0.0 && asker_slack_m >= 0.0, "the ghost margin covers the leave radius");
        Self { index: SpatialIndex::new(bucket_edge_m), home, asker_slack_m, leave_radius_m }
    }

    /// The index itself.
    #[must_use]
    pub fn index(&self) -> &SpatialIndex {
        &self.index
    }

    /// Replaces what can be found: everything the cell owns and all its ghosts. See [`SpatialIndex::rebuild`].
    pub fn rebuild(&mut self, entries: impl IntoIterator<Item = IndexEntry>) {
        self.index.rebuild(entries);
    }

    /// See [`Nearby::within`].
    ///
    /// # Errors
    /// As there.
    pub fn within(&self, centre: Vec3, radius_m: f32) -> Result<Vec<Neighbour>, NearbyError> {
        let mut found = self.unsorted_within(centre, radius_m)?;
        found.sort_unstable_by(nearer_first);
        Ok(found)
    }

    /// See [`Nearby::in_box`].
    ///
    /// # Errors
    /// As there.
    pub fn in_box(&self, centre: Vec3, half_m: Vec3) -> Result<Vec<Neighbour>, NearbyError> {
        if half_m.z.is_nan() || half_m.z < 0.0 {
            return Err(NearbyError::Radius { asked_m: half_m.z, max_m: self.leave_radius_m });
        }
        let (min, max) = (centre - half_m, centre + half_m);
        let mut found = self.collect(centre, half_m.x, half_m.y, |neighbour| {
            (neighbour.position.cmpge(min) & neighbour.position.cmple(max)).all()
        })?;
        found.sort_unstable_by(nearer_first);
        Ok(found)
    }

    /// See [`Nearby::nearest`].
    ///
    /// # Errors
    /// As there.
    pub fn nearest(&self, centre: Vec3, count: usize, radius_m: f32) -> Result<Vec<Neighbour>, NearbyError> {
        let mut found = self.unsorted_within(centre, radius_m)?;
        if count < found.len() {
            found.select_nth_unstable_by(count, nearer_first);
            found.truncate(count);
        }
        found.sort_unstable_by(nearer_first);
        Ok(found)
    }

    fn unsorted_within(&self, centre: Vec3, radius_m: f32) -> Result<Vec<Neighbour>, NearbyError> {
        let radius_squared = radius_m * radius_m;
        self.collect(centre, radius_m, radius_m, |neighbour| neighbour.distance_squared < radius_squared)
    }

    /// Everything in the box that `is_wanted`. A box around a radius needs no slack, for the reason that
    /// [`gather`](super::gather)'s does not.
    fn collect(
        &self,
        centre: Vec3,
        half_x_m: f32,
        half_y_m: f32,
        is_wanted: impl Fn(&Neighbour) -> bool,
    ) -> Result<Vec<Neighbour>, NearbyError> {
        for asked_m in [half_x_m, half_y_m] {
            if !(0.0..=self.leave_radius_m).contains(&asked_m) {
                return Err(NearbyError::Radius { asked_m, max_m: self.leave_radius_m });
            }
        }
        if !centre.is_finite() || !self.home.contains_within(centre, self.asker_slack_m) {
            return Err(NearbyError::Place { place: centre });
        }
        let half = glam::Vec2::new(half_x_m, half_y_m);
        let mut found = Vec::new();
        self.index.buckets_touching(centre.truncate() - half, centre.truncate() + half, |bucket| {
            found.extend(
                self.index
                    .run(bucket, bucket)
                    .map(|at| {
                        let position = self.index.place(at);
                        Neighbour {
                            net_id: self.index.net_id(at),
                            position,
                            distance_squared: distance_squared(position, centre),
                        }
                    })
                    .filter(&is_wanted),
            );
        });
        Ok(found)
    }
}

/// By distance, then by name: an order that does not depend on how entities lie in memory or in cells.
fn nearer_first(a: &Neighbour, b: &Neighbour) -> std::cmp::Ordering {
    a.distance_squared.total_cmp(&b.distance_squared).then(a.net_id.cmp(&b.net_id))
}

/// Finds what is near an entity, in any game system of a cell.
///
/// Every answer is as of the end of the last tick, whether what was found shares the asker's cell or is a
/// ghost of a neighbour's entity, and is ordered by distance and then by [`NetId`]. So it is the same on every
/// layout of cells. The asker itself is found too, where it was then; what was born in this tick is not.
///
/// The price is a reach: at most the leave radius, and only around a place where an entity of the system's own
/// world is (or can be within this tick). Anything else is an error rather than an answer that depends on the
/// layout.
///
/// ```
/// # use bevy_ecs::prelude::*;
/// # use terrane::ids::NetId;
/// # use terrane::interest::Nearby;
/// # use terrane::space::Position;
/// fn greet(nearby: Nearby, everyone: Query<(&NetId, &Position)>) -> Result {
///     for (&me, position) in &everyone {
///         for other in nearby.within(position.0, 20.0)? {
///             if other.net_id != me {
///                 // …
///             }
///         }
///     }
///     Ok(())
/// }
/// # Schedule::default().add_systems(greet);
/// ```
#[derive(Debug, SystemParam)]
pub struct Nearby<'w> {
    last: Res<'w, LastIndex>,
}

impl Nearby<'_> {
    /// Everything nearer than `radius_m` metres, height included; what is exactly that far is not. Nearest
    /// first. O(entities in the buckets around + hits · log hits).
    ///
    /// # Errors
    /// When the radius is negative, not a number or above the leave radius, or the centre is not a place where
    /// an entity of this cell can be.
    pub fn within(&self, centre: Vec3, radius_m: f32) -> Result<Vec<Neighbour>, NearbyError> {
        self.last.within(centre, radius_m)
    }

    /// Everything between the corners `centre - half_m` and `centre + half_m`, edges included. Nearest first.
    /// Any height may be asked for, also infinity. Cost as for [`within`](Self::within).
    ///
    /// # Errors
    /// When `half_m` is negative or not a number, or its x or y above the leave radius, or the centre is not a
    /// place where an entity of this cell can be.
    pub fn in_box(&self, centre: Vec3, half_m: Vec3) -> Result<Vec<Neighbour>, NearbyError> {
        self.last.in_box(centre, half_m)
    }

    /// The `count` nearest of what [`within`](Self::within) finds, or all when there are fewer. Nearest first.
    /// O(entities in the buckets around + count · log count).
    ///
    /// # Errors
    /// As for [`within`](Self::within).
    pub fn nearest(&self, centre: Vec3, count: usize, radius_m: f32) -> Result<Vec<Neighbour>, NearbyError> {
        self.last.nearest(centre, count, radius_m)
    }
}
