//! One row per entity, node-wide: where it is, who owns it, and its public fields encoded once.
//!
//! Cells compute in parallel what changed ([`RowMove`], [`RowDelta`]); the node publishes it at one point of the
//! tick; from then on sessions read the table in parallel. A row keeps its number from birth to death, so a
//! handover between cells changes nothing for anybody who sees the entity.

use bevy_ecs::prelude::Resource;
use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::ids::{NetId, Row, SlotIndex};
use crate::limits::FIELDS_PER_ENTITY_MAX;
use crate::space::LatticePoint;

use super::wire::ROW_BYTES_MAX;

/// The horizontal position: bit 0 of every field mask.
pub const FIELD_XY: u32 = 1;
/// The height: bit 1 of every field mask.
pub const FIELD_Z: u32 = 2;
/// The first bit of the entity's own fields, components in order of registration, fields in order of
/// declaration.
pub const FIELD_FIRST: u32 = 2;
/// "Everything, as on entering": set when the set of components changed, and for who does not hold the entity.
pub const RESEND: u32 = 1 << FIELDS_PER_ENTITY_MAX;

/// The public fields of one entity but its position, in wire form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedRow {
    /// Which registered components the entity has: bit *i* is the *i*-th registered one.
    pub components: u64,
    /// All fields behind one another.
    pub bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    pub ends: Vec<u16>,
}

impl EncodedRow {
    /// The bytes of a field, by its bit in the mask (from [`FIELD_FIRST`] on).
    #[must_use]
    #[inline]
    pub fn field(&self, bit: u32) -> &[u8] {
        let index = (bit - FIELD_FIRST) as usize;
        let begin = if index == 0 { 0 } else { usize::from(self.ends[index - 1]) };
        &self.bytes[begin..usize::from(self.ends[index])]
    }

    /// A mask with one bit per field that this row has, position included.
    #[must_use]
    #[inline]
    pub fn all_fields(&self) -> u32 {
        (1 << (FIELD_FIRST as usize + self.ends.len())) - 1
    }

    /// Takes new components and fields, and says which of them differ; [`RESEND`] when the components do.
    pub fn update(&mut self, components: u64, bytes: &[u8], ends: &[u16]) -> u32 {
        if self.components == components && self.bytes == bytes && self.ends == ends {
            return 0;
        }
        let old = std::mem::replace(self, Self { components, bytes: bytes.to_vec(), ends: ends.to_vec() });
        self.difference(&old)
    }

    /// Which of the fields differ from `old`; [`RESEND`] when the components do.
    #[must_use]
    pub fn difference(&self, old: &EncodedRow) -> u32 {
        if self.components != old.components || self.ends.len() != old.ends.len() {
            return RESEND | self.all_fields();
        }
        (FIELD_FIRST..FIELD_FIRST + self.ends.len() as u32)
            .filter(|&bit| self.field(bit) != old.field(bit))
            .fold(0, |mask, bit| mask | 1 << bit)
    }
}

/// An entity that moved in this tick. There are many, so it is small.
#[derive(Clone, Copy, Debug)]
pub struct RowMove {
    /// Whose row.
    pub row: Row,
    /// Where it is now; NaN for nowhere.
    pub position: Vec3,
    /// Which of the position's fields differ; none when it moved within a lattice step.
    pub mask: u32,
}

/// What else a cell found changed about one of its entities in this tick.
#[derive(Clone, Debug)]
pub struct RowDelta {
    /// Whose row.
    pub row: Row,
    /// Where it is now.
    pub position: Vec3,
    /// The fields that differ.
    pub mask: u32,
    /// The new encoding.
    pub encoded: EncodedRow,
}

/// The node-wide table of rows.
#[derive(Resource, Debug)]
pub struct Rows {
    /// Position after `Simulate`; NaN, which is farther away than everything, for rows of nobody and for
    /// entities whose fields are too many bytes to be told to anybody: where those are says [`place`](Self::place).
    pub position: Vec<Vec3>,
    /// The same on the lattice.
    pub lattice: Vec<LatticePoint>,
    /// Low bits of the horizontal lattice position: the hottest bytes there are, so they lie by themselves.
    pub low_xy: Vec<u32>,
    /// Fields changed in this tick.
    pub changed: Vec<u32>,
    /// The other public fields.
    pub encoded: Vec<EncodedRow>,
    /// The entity's name; [`NetId::WORLD`] for rows of nobody.
    pub net_id: Vec<NetId>,
    /// The slot of the cell that owns it.
    pub owner: Vec<SlotIndex>,
    /// Priority class, 0 first: who is kept when a view is full, and sent first when an update is.
    pub class: Vec<u8>,
    /// How often an entity was published with more than [`ROW_BYTES_MAX`] bytes of fields. Nobody sees it
    /// while it has them.
    pub oversized: u64,
    /// Rows whose fields are more than [`ROW_BYTES_MAX`] bytes.
    too_long: Vec<bool>,
    /// Where those are: a player sees from there all the same.
    hidden: FxHashMap<Row, Vec3>,
    by_net_id: FxHashMap<NetId, Row>,
    changed_rows: Vec<Row>,
    free: Vec<Row>,
    /// Freed in this tick: views may still name them, so they are given out again only from the next on.
    freed: Vec<Row>,
    #[cfg(any(test, feature = "planted-faults"))]
    planted: super::planted::Planted,
}

impl Default for Rows {
    fn default() -> Self {
        let mut rows = Self {
            position: Vec::new(),
            lattice: Vec::new(),
            low_xy: Vec::new(),
            changed: Vec::new(),
            encoded: Vec::new(),
            net_id: Vec::new(),
            owner: Vec::new(),
            class: Vec::new(),
            oversized: 0,
            too_long: Vec::new(),
            hidden: FxHashMap::default(),
            by_net_id: FxHashMap::default(),
            changed_rows: Vec::new(),
            free: Vec::new(),
            freed: Vec::new(),
            #[cfg(any(test, feature = "planted-faults"))]
            planted: super::planted::Planted::default(),
        };
        rows.push_empty();
        rows
    }
}

impl Rows {
    /// How many rows there are, free ones and row 0 included: the length of every column.
    #[must_use]
    pub fn len(&self) -> usize {
        self.position.len()
    }

    /// Whether no entity has a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_net_id.is_empty()
    }

    /// How many entities have a row.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.by_net_id.len()
    }

    /// The row of an entity, wherever it is.
    #[must_use]
    pub fn row(&self, net_id: NetId) -> Option<Row> {
        self.by_net_id.get(&net_id).copied()
    }

    /// All entities and their rows, in no order that may matter.
    pub fn iter(&self) -> impl Iterator<Item = (NetId, Row)> + '_ {
        self.by_net_id.iter().map(|(&net_id, &row)| (net_id, row))
    }

    fn push_empty(&mut self) -> Row {
        let row = Row(self.position.len() as u32);
        self.position.push(Vec3::NAN);
        self.lattice.push(LatticePoint::default());
        self.low_xy.push(0);
        self.changed.push(0);
        self.encoded.push(EncodedRow::default());
        self.net_id.push(NetId::WORLD);
        self.owner.push(SlotIndex::default());
        self.class.push(u8::MAX);
        self.too_long.push(false);
        row
    }

    /// Gives an entity its row. `None` when that name is taken: two entities of one name must never be.
    #[must_use]
    pub fn insert(&mut self, net_id: NetId, owner: SlotIndex, class: u8) -> Option<Row> {
        if net_id == NetId::WORLD || self.by_net_id.contains_key(&net_id) {
            return None;
        }
        let row = self.free.pop().unwrap_or_else(|| self.push_empty());
        self.net_id[row.index()] = net_id;
        self.owner[row.index()] = owner;
        self.class[row.index()] = class;
        self.by_net_id.insert(net_id, row);
        Some(row)
    }

    /// Takes a dead entity's row away; every view loses it in this tick's `Assemble`.
    pub fn remove(&mut self, net_id: NetId) -> Option<Row> {
        let row = self.by_net_id.remove(&net_id)?;
        let index = row.index();
        self.position[index] = Vec3::NAN;
        self.changed[index] = 0;
        self.encoded[index] = EncodedRow::default();
        self.net_id[index] = NetId::WORLD;
        self.class[index] = u8::MAX;
        self.too_long[index] = false;
        self.hidden.remove(&row);
        self.freed.push(row);
        Some(row)
    }

    /// Where an entity is, whether it can be told to anybody or not; NaN for rows of nobody.
    #[must_use]
    pub fn place(&self, row: Row) -> Vec3 {
        let told = self.position[row.index()];
        if self.too_long[row.index()] { self.hidden.get(&row).copied().unwrap_or(told) } else { told }
    }

    /// Notes where an entity is, and shows it unless it is hidden.
    #[inline]
    fn put(&mut self, row: Row, place: Vec3) {
        let index = row.index();
        self.position[index] = place;
        if self.too_long[index] {
            self.position[index] = Vec3::NAN;
            self.hidden.insert(row, place);
        }
    }

    /// Forgets last tick's changes and releases the rows freed before it.
    pub fn begin_tick(&mut self) {
        if self.changed_rows.len() > self.changed.len() / 8 {
            self.changed.fill(0);
            self.changed_rows.clear();
        }
        for row in self.changed_rows.drain(..) {
            self.changed[row.index()] = 0;
        }
        self.free.append(&mut self.freed);
    }

    /// Publishes what moved in one cell.
    pub fn publish_moves(&mut self, moves: &mut Vec<RowMove>) {
        for RowMove { row, position, mask } in moves.drain(..) {
            let index = row.index();
            if mask != 0 {
                let point = LatticePoint::of(position);
                self.lattice[index] = point;
                self.low_xy[index] = point.low_xy();
                self.note_change(row, mask);
            }
            self.put(row, position);
        }
    }

    /// Publishes what one cell encoded.
    pub fn publish(&mut self, deltas: &mut Vec<RowDelta>) {
        #[cfg(any(test, feature = "planted-faults"))]
        deltas.retain(|delta| !self.planted.keeps_stale(&self.net_id, delta));
        for RowDelta { row, position, mask, encoded } in deltas.drain(..) {
            let index = row.index();
            let too_long = encoded.bytes.len() > ROW_BYTES_MAX;
            self.oversized += u64::from(too_long);
            if too_long && !self.too_long[index] {
                tracing::error!(
                    net_id = %self.net_id[index],
                    bytes = encoded.bytes.len(),
                    most = ROW_BYTES_MAX,
                    "the fields of an entity are more bytes than a record can carry: nobody sees it until they are fewer"
                );
            }
            if !too_long {
                self.hidden.remove(&row);
            }
            self.too_long[index] = too_long;
            self.put(row, position);
            self.encoded[index] = encoded;
            self.note_change(row, mask);
        }
    }

    #[inline]
    fn note_change(&mut self, row: Row, mask: u32) {
        let changed = &mut self.changed[row.index()];
        if *changed == 0 {
            self.changed_rows.push(row);
        }
        *changed |= mask;
    }

    /// Makes something go wrong in the rows from now on, for a test of those who should notice.
    #[cfg(any(test, feature = "planted-faults"))]
    pub fn plant(&mut self, fault: super::planted::PlantedFault) {
        self.planted.plant(fault);
    }

    /// The rows that changed in this tick.
    #[must_use]
    pub fn changed_rows(&self) -> &[Row] {
        &self.changed_rows
    }
}
