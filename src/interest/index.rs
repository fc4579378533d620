//! The tree of one cell.

use std::ops::{ControlFlow, Range};

use glam::{Vec2, Vec3};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RStarInsertionStrategy, RTree, RTreeParams};

use super::radix::{self, Keyed, RadixScratch};
use crate::ids::{NetId, Row};

/// Edge of the buckets that entities are put into before the tree is built over the buckets.
pub const BUCKET_EDGE_M_DEFAULT: f32 = 25.0;

/// An entity that can be found: owned by the cell or its ghost of a neighbour's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexEntry {
    /// Its row in the node's table.
    pub row: Row,
    /// Its name.
    pub net_id: NetId,
    /// Where it is, in metres; finite.
    pub position: Vec3,
}

/// The shape of the tree's nodes. Of sizes from 16 to 128, 64 was the quickest to build and as quick to ask as
/// smaller ones. The tree is only ever bulk-loaded, so the other two numbers never act.
#[derive(Debug)]
struct NodeParams;

impl RTreeParams for NodeParams {
    const MIN_SIZE: usize = 24;
    const MAX_SIZE: usize = 64;
    const REINSERTION_COUNT: usize = 8;
    type DefaultInsertionStrategy = RStarInsertionStrategy;
}

/// The smallest rectangle around a bucket's entities, and the bucket's number.
type Bucket = GeomWithData<Rectangle<[f32; 2]>, u32>;

/// Where everything in reach of one cell is, as of the last [`rebuild`](Self::rebuild).
///
/// A two-dimensional R-tree over occupied square buckets; the entities of one bucket lie behind one another in
/// columns. A tree over buckets is a fifth of the work of one over entities, every tick anew. The rectangles in
/// the tree are those around the entities really there, so which bucket an entity was put into never decides
/// whether it is found.
///
/// All memory but the tree's own nodes (one allocation per 64 buckets) is kept between ticks.
#[derive(Debug)]
pub struct SpatialIndex {
    bucket_edge_m: f32,
    tree: RTree<Bucket, NodeParams>,
    /// Bucket `b` holds the entries `starts[b]..starts[b + 1]` of the columns.
    starts: Vec<u32>,
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
    rows: Vec<Row>,
    net_ids: Vec<NetId>,
    staged: Vec<IndexEntry>,
    order: Vec<Keyed>,
    radix: RadixScratch,
}

impl Default for SpatialIndex {
    fn default() -> Self {
        Self::new(BUCKET_EDGE_M_DEFAULT)
    }
}

impl SpatialIndex {
    /// An empty index with buckets of this edge, in metres. About half the enter radius is best; no answer
    /// depends on it.
    ///
    /// # Panics
    /// When the edge is not a positive finite number: configuration has checked it.
    #[must_use]
    pub fn new(bucket_edge_m: f32) -> Self {
        assert!(bucket_edge_m.is_finite() && bucket_edge_m > 0.0, "a bucket has a positive, finite edge");
        Self {
            bucket_edge_m,
            tree: RTree::new_with_params(),
            starts: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            z: Vec::new(),
            rows: Vec::new(),
            net_ids: Vec::new(),
            staged: Vec::new(),
            order: Vec::new(),
            radix: RadixScratch::default(),
        }
    }

    /// How many entities can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing can be found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many buckets are occupied.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.tree.size()
    }

    /// Everything that can be found, bucket by bucket.
    pub fn entries(&self) -> impl Iterator<Item = IndexEntry> + '_ {
        (0..self.len()).map(|at| IndexEntry {
            row: self.rows[at],
            net_id: self.net_ids[at],
            position: self.place(at),
        })
    }

    /// Forgets everything; memory is kept.
    pub fn clear(&mut self) {
        self.tree = RTree::new_with_params();
        self.starts.clear();
        self.x.clear();
        self.y.clear();
        self.z.clear();
        self.rows.clear();
        self.net_ids.clear();
        self.staged.clear();
        self.order.clear();
    }

    /// Replaces what can be found by these entries: each entity once, wherever it is, also outside of the
    /// cell's box. Linear in the entries, plus O(b log b) for b occupied buckets.
    ///
    /// An entry without a finite position is nowhere and cannot be found. It is a fault that is named before
    /// it gets here, so debug builds panic.
    pub fn rebuild(&mut self, entries: impl IntoIterator<Item = IndexEntry>) {
        self.clear();
        self.staged.extend(entries);
        self.staged.retain(|entry| {
            debug_assert!(entry.position.is_finite(), "{} is nowhere: {}", entry.net_id, entry.position);
            entry.position.is_finite()
        });
        if self.staged.is_empty() {
            return;
        }
        self.sort_into_buckets();
        self.fill_columns();
    }

    /// Brings the entries of each bucket together in `order`.
    fn sort_into_buckets(&mut self) {
        let (mut min, mut max) = (Vec2::INFINITY, Vec2::NEG_INFINITY);
        for entry in &self.staged {
            min = min.min(entry.position.truncate());
            max = max.max(entry.position.truncate());
        }
        // Casts saturate: beyond 65,535 buckets in a line, what is farther shares the last one.
        let column = |x: f32| u32::from(((x - min.x) / self.bucket_edge_m) as u16);
        let line = |y: f32| u32::from(((y - min.y) / self.bucket_edge_m) as u16);
        let columns = column(max.x) + 1;
        let key = |place: Vec3| line(place.y) * columns + column(place.x);
        self.order.extend(
            self.staged.iter().zip(0..).map(|(entry, at)| Keyed { key: key(entry.position), entry: at }),
        );
        radix::sort(&mut self.order, line(max.y) * columns + column(max.x), &mut self.radix);
    }

    /// Lays the entries out bucket by bucket and builds the tree over the buckets.
    fn fill_columns(&mut self) {
        let mut buckets: Vec<Bucket> = Vec::new();
        for of_bucket in self.order.chunk_by(|a, b| a.key == b.key) {
            self.starts.push(self.rows.len() as u32);
            let (mut min, mut max) = (Vec2::INFINITY, Vec2::NEG_INFINITY);
            for keyed in of_bucket {
                let entry = self.staged[keyed.entry as usize];
                min = min.min(entry.position.truncate());
                max = max.max(entry.position.truncate());
                self.x.push(entry.position.x);
                self.y.push(entry.position.y);
                self.z.push(entry.position.z);
                self.rows.push(entry.row);
                self.net_ids.push(entry.net_id);
            }
            let around = Rectangle::from_corners(min.to_array(), max.to_array());
            buckets.push(GeomWithData::new(around, buckets.len() as u32));
        }
        self.starts.push(self.rows.len() as u32);
        self.tree = RTree::bulk_load_with_params(buckets);
    }

    /// Where the entry at this place of the columns is.
    #[inline]
    pub(super) fn place(&self, at: usize) -> Vec3 {
        Vec3::new(self.x[at], self.y[at], self.z[at])
    }

    /// The name of the entry at this place of the columns.
    #[inline]
    pub(super) fn net_id(&self, at: usize) -> NetId {
        self.net_ids[at]
    }

    /// The entries of two buckets and of all between them.
    #[inline]
    pub(super) fn run(&self, first: u32, last: u32) -> Range<usize> {
        self.starts[first as usize] as usize..self.starts[last as usize + 1] as usize
    }

    /// The columns of a run of entries: x, y, z and row.
    #[inline]
    pub(super) fn columns(&self, run: Range<usize>) -> (&[f32], &[f32], &[f32], &[Row]) {
        (&self.x[run.clone()], &self.y[run.clone()], &self.z[run.clone()], &self.rows[run])
    }

    /// Calls `visit` for each bucket that touches the box, edges included, with its number, in no
    /// order that may matter.
    #[inline]
    pub(super) fn buckets_touching(&self, min: Vec2, max: Vec2, mut visit: impl FnMut(u32)) {
        let around = AABB::from_corners(min.to_array(), max.to_array());
        let _: ControlFlow<()> = self.tree.locate_in_envelope_intersecting_int(around, |bucket: &Bucket| {
            visit(bucket.data);
            ControlFlow::Continue(())
        });
    }
}
