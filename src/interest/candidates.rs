//! Each viewer's candidates: everything nearer than the enter radius.

use glam::{Vec2, Vec3};

use super::index::SpatialIndex;
use crate::ids::Row;
use crate::space::distance_squared;

/// Positions are compared this many at a time: one bit each of a `u64`.
const LANES: usize = 64;

/// A session whose avatar is in the cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewer {
    /// The session's index.
    pub session: u32,
    /// Where it looks from, in metres.
    pub position: Vec3,
}

/// What [`gather`] found, viewer by viewer.
#[derive(Debug, Default)]
pub struct Candidates {
    rows: Vec<Row>,
    ranges: Vec<ViewerRange>,
}

/// The hits of one viewer within the rows of all.
#[derive(Clone, Copy, Debug, Default)]
struct ViewerRange {
    session: u32,
    begin: usize,
    end: usize,
}

impl Candidates {
    /// How many viewers were asked for.
    #[must_use]
    pub fn viewers(&self) -> usize {
        self.ranges.len()
    }

    /// How many candidates all viewers have together.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.rows.len()
    }

    /// The candidates of the viewer at this place of the slice that was asked for, in no order that may matter.
    ///
    /// # Panics
    /// When there were fewer viewers.
    #[must_use]
    pub fn of(&self, viewer: usize) -> &[Row] {
        let range = self.ranges[viewer];
        &self.rows[range.begin..range.end]
    }

    /// Every viewer's session and candidates, in the order of the viewers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[Row])> + '_ {
        self.ranges.iter().map(|range| (range.session, &self.rows[range.begin..range.end]))
    }
}

/// Memory of [`gather`], kept between ticks; one serves any number of cells, one after the other.
#[derive(Debug, Default)]
pub struct GatherScratch {
    /// Viewers by tile: tile, part of it and place in the slice, highest bits first.
    order: Vec<u64>,
    buckets: Vec<u32>,
    block: Block,
}

/// Positions and rows around one tile, column by column, filled up to whole lanes with entries nowhere.
#[derive(Debug, Default)]
struct Block {
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
    rows: Vec<Row>,
}

/// A tile with at least this many viewers is asked for part by part: then the exact tests that are saved
/// outweigh the further queries. Anything from 32 to 128 measures the same; 16 costs a fifth where viewers are
/// spread evenly, and no limit costs a fifth where half of the world stands in one place.
const CROWD_VIEWERS_MIN: usize = 48;

/// Finds for every viewer all entities of the index whose [`distance_squared`] to it is below the square of
/// the enter radius, bit for bit as that function computes it. The viewer's own avatar is among them.
///
/// One query of the tree per occupied tile of viewers, two enter radii wide (a quarter of that in a crowd), its
/// answer laid out in columns; then an exact test of whole columns per viewer. O(tiles × buckets around +
/// viewers × entities around a tile / 64 + hits).
/// Nothing is allocated once `scratch` and `out` have grown. A viewer that is nowhere sees nothing.
///
/// # Panics
/// When the radius is negative or not finite: configuration has checked it.
pub fn gather(
    index: &SpatialIndex,
    viewers: &[Viewer],
    enter_radius_m: f32,
    scratch: &mut GatherScratch,
    out: &mut Candidates,
) {
    assert!(enter_radius_m.is_finite() && enter_radius_m >= 0.0, "a radius is finite and not negative");
    out.rows.clear();
    out.ranges.clear();
    out.ranges
        .extend(viewers.iter().map(|viewer| ViewerRange { session: viewer.session, ..Default::default() }));
    if index.is_empty() {
        return;
    }
    let GatherScratch { order, buckets, block } = scratch;
    order_by_tile(viewers, enter_radius_m, order);
    for of_tile in order.chunk_by(|a, b| a >> TILE_SHIFT == b >> TILE_SHIFT) {
        let shift = if of_tile.len() < CROWD_VIEWERS_MIN { TILE_SHIFT } else { PART_SHIFT };
        for group in of_tile.chunk_by(|a, b| a >> shift == b >> shift) {
            let of_group = || group.iter().map(|key| (key & VIEWER_MASK) as usize);
            block.fill(index, of_group().map(|at| viewers[at].position), enter_radius_m, buckets);
            for at in of_group() {
                let begin = out.rows.len();
                block.append_within(viewers[at].position, enter_radius_m * enter_radius_m, &mut out.rows);
                out.ranges[at] = ViewerRange { session: viewers[at].session, begin, end: out.rows.len() };
            }
        }
    }
}

/// A key of the order: 14 + 14 bits of tile, 2 + 2 bits of part, 32 bits of the viewer's place.
const TILE_SHIFT: u32 = 36;
const PART_SHIFT: u32 = 32;
const VIEWER_MASK: u64 = u32::MAX as u64;

/// Brings the viewers of one tile together, and within it those of one of its 4 × 4 parts.
fn order_by_tile(viewers: &[Viewer], enter_radius_m: f32, order: &mut Vec<u64>) {
    order.clear();
    let places = || viewers.iter().map(|viewer| viewer.position).filter(|position| position.is_finite());
    let min = places().fold(Vec2::INFINITY, |min, place| min.min(place.truncate()));
    // Half a radius, a quarter of a tile, and never so small that the quotient could be NaN. Casts saturate:
    // very far out many tiles become one, which is slower and finds the same.
    let part_edge_m = (enter_radius_m / 2.0).max(1.0);
    let part = |metres: f32| u64::from((metres / part_edge_m) as u16);
    for (viewer, at) in viewers.iter().zip(0u64..).filter(|(viewer, _)| viewer.position.is_finite()) {
        let (px, py) = (part(viewer.position.x - min.x), part(viewer.position.y - min.y));
        let (tile, within) = ((py >> 2) << 14 | px >> 2, (py & 3) << 2 | px & 3);
        order.push(tile << TILE_SHIFT | within << PART_SHIFT | at);
    }
    order.sort_unstable();
}

impl Block {
    /// Takes everything that can be within the radius of any of these places.
    ///
    /// The box asked for needs no slack. Where `distance_squared(entity, viewer) < r²` holds as computed, so
    /// does `|entity.x - viewer.x| < r`, because rounding keeps the order of what it rounds; hence
    /// `entity.x` lies between `viewer.x - r` and `viewer.x + r`, also as computed.
    fn fill(
        &mut self,
        index: &SpatialIndex,
        places: impl Iterator<Item = Vec3>,
        radius_m: f32,
        buckets: &mut Vec<u32>,
    ) {
        let (mut min, mut max) = (Vec2::INFINITY, Vec2::NEG_INFINITY);
        for place in places {
            min = min.min(place.truncate());
            max = max.max(place.truncate());
        }
        self.x.clear();
        self.y.clear();
        self.z.clear();
        self.rows.clear();
        buckets.clear();
        index.buckets_touching(min - radius_m, max + radius_m, |bucket| buckets.push(bucket));
        // Buckets side by side are one run of the columns: fewer, longer copies.
        buckets.sort_unstable();
        for side_by_side in buckets.chunk_by(|a, b| a + 1 == *b) {
            let run = index.run(side_by_side[0], side_by_side[side_by_side.len() - 1]);
            let (x, y, z, rows) = index.columns(run);
            self.x.extend_from_slice(x);
            self.y.extend_from_slice(y);
            self.z.extend_from_slice(z);
            self.rows.extend_from_slice(rows);
        }
        let padded = self.rows.len().next_multiple_of(LANES);
        self.x.resize(padded, f32::NAN);
        self.y.resize(padded, f32::NAN);
        self.z.resize(padded, f32::NAN);
        self.rows.resize(padded, Row::NONE);
    }

    /// Appends the rows of everything nearer to `centre` than the root of `radius_squared`.
    fn append_within(&self, centre: Vec3, radius_squared: f32, hits: &mut Vec<Row>) {
        let columns = self.x.as_chunks().0.iter().zip(self.y.as_chunks().0).zip(self.z.as_chunks().0);
        for (((x, y), z), rows) in columns.zip(self.rows.as_chunks::<LANES>().0) {
            let mut near = near_mask(x, y, z, centre, radius_squared);
            if near == u64::MAX {
                hits.extend_from_slice(rows);
                continue;
            }
            let (mut found, mut count) = ([Row::NONE; LANES], 0);
            while near != 0 {
                found[count % LANES] = rows[near.trailing_zeros() as usize % LANES];
                count += 1;
                near &= near - 1;
            }
            hits.extend_from_slice(&found[..count]);
        }
    }
}

/// One bit per lane: whether it is nearer to `centre` than the root of `radius_squared`. Without a branch and
/// in two simple loops, which is what the compiler turns into vector instructions.
#[inline]
fn near_mask(x: &[f32; LANES], y: &[f32; LANES], z: &[f32; LANES], centre: Vec3, radius_squared: f32) -> u64 {
    let mut near = [0u8; LANES];
    for lane in 0..LANES {
        let place = Vec3::new(x[lane], y[lane], z[lane]);
        near[lane] = u8::from(distance_squared(place, centre) < radius_squared);
    }
    // The product moves the lowest bits of eight bytes next to one another into the highest byte.
    let bytes = near.as_chunks::<8>().0.iter().zip(0..);
    bytes.fold(0, |mask, (eight, at)| {
        mask | (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8)
    })
}
