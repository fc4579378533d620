//! One row per entity, node-wide: where it is, who owns it, and its public fields encoded once.
//!
//! Cells compute in parallel what changed ([`RowMove`], [`RowDelta`]); the node publishes it at one point of the
//! tick; from then on sessions read the table in parallel. A row keeps its number from birth to death, so a
//! handover between cells changes nothing for anybody who sees the entity.

use std::sync::Arc;

use bevy_ecs::prelude::Resource;
use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::ids::{NetId, PlayerId, Row, SlotIndex};
use crate::space::LatticePoint;

use super::layouts::{Layout, Layouts};
use super::mask::{FieldMask, SUBJECT};
use super::policy::{Depends, Subject, ViewerContext};
use super::schema::Schema;
use super::wire::ROW_BYTES_MAX;

pub use super::encoded::EncodedRow;

/// An entity that moved in this tick. There are many, so it is small.
#[derive(Clone, Copy, Debug)]
pub struct RowMove {
    /// Whose row.
    pub row: Row,
    /// Where it is now; NaN for nowhere.
    pub position: Vec3,
    /// Which of the position's fields differ; none when it moved within a lattice step.
    pub mask: FieldMask,
}

/// What else a cell found changed about one of its entities in this tick.
#[derive(Clone, Debug)]
pub struct RowDelta {
    /// Whose row.
    pub row: Row,
    /// Where it is now.
    pub position: Vec3,
    /// The fields that differ.
    pub mask: FieldMask,
    /// The new encoding.
    pub encoded: EncodedRow,
}

/// An entity whose [`Subject`] changed in this tick; `None` for a plain one.
#[derive(Clone, Debug)]
pub struct RowSubject {
    /// Whose row.
    pub row: Row,
    /// What it is now.
    pub subject: Option<Box<Subject>>,
}

/// The node-wide table of rows.
#[derive(Resource, Debug)]
pub struct Rows {
    /// Position after `Simulate`; NaN, which is farther away than everything, for rows of nobody.
    pub position: Vec<Vec3>,
    /// The same on the lattice.
    pub lattice: Vec<LatticePoint>,
    /// Low bits of the horizontal lattice position: the hottest bytes there are, so they lie by themselves.
    pub low_xy: Vec<u32>,
    /// Fields changed in this tick.
    pub changed: Vec<FieldMask>,
    /// The other public fields.
    pub encoded: Vec<EncodedRow>,
    /// The entity's name; [`NetId::WORLD`] for rows of nobody.
    pub net_id: Vec<NetId>,
    /// The slot of the cell that owns it.
    pub owner: Vec<SlotIndex>,
    /// Priority class, 0 first: who is kept when a view is full, and sent first when an update is.
    pub class: Vec<u8>,
    /// Whose each entity is and who may see it; `None` for plain ones.
    pub subjects: Vec<Option<Box<Subject>>>,
    /// Whether it is node-wide state, which is no place: in every view.
    pub placeless: Vec<bool>,
    /// Whether markers restrict who sees the entity at all.
    pub marked: Vec<bool>,
    /// Whether anything of the entity but its position may differ from viewer to viewer.
    pub special: Vec<bool>,
    /// Whether any row's [`SUBJECT`] bit is set in this tick.
    pub policies_changed: bool,
    schema: Arc<Schema>,
    layouts: Layouts,
    /// Components with a policy of their own, and those with anything that may differ from viewer to viewer.
    gated: u64,
    personal: u64,
    /// Whether the changes of any component are more urgent than usual.
    pub(super) any_urgent: bool,
    /// What each player owns, ascending.
    owned: FxHashMap<PlayerId, Vec<Row>>,
    /// Rows of node-wide state, ascending.
    placeless_rows: Vec<Row>,
    /// What changed of the subjects in this tick.
    subject_changes: FxHashMap<Row, Depends>,
    /// Whose row was taken away in this tick. Their subjects stay to its end: events tell of them.
    buried: FxHashMap<NetId, Row>,
    /// What those that have become special in this tick were before.
    before_special: FxHashMap<Row, EncodedRow>,
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
            subjects: Vec::new(),
            placeless: Vec::new(),
            marked: Vec::new(),
            special: Vec::new(),
            policies_changed: false,
            schema: Arc::default(),
            layouts: Layouts::default(),
            gated: 0,
            personal: 0,
            any_urgent: false,
            owned: FxHashMap::default(),
            placeless_rows: Vec::new(),
            subject_changes: FxHashMap::default(),
            buried: FxHashMap::default(),
            before_special: FxHashMap::default(),
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
    /// An empty table for entities of that schema.
    #[must_use]
    pub fn of(schema: Arc<Schema>) -> Self {
        Self {
            gated: schema.gated(),
            personal: schema.personal(),
            any_urgent: schema.has_urgent(),
            schema,
            ..Self::default()
        }
    }

    /// What the rows are made of.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

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

    /// How many entities have a row, node-wide state left aside.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.by_net_id.len() - self.placeless_rows.len()
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
        self.subjects.push(None);
        self.placeless.push(false);
        self.marked.push(false);
        self.special.push(false);
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

    /// Gives node-wide state its row. It is owned by no cell.
    ///
    /// # Panics
    /// When that name is taken.
    pub fn insert_placeless(&mut self, net_id: NetId) -> Row {
        let row =
            self.insert(net_id, SlotIndex::default(), 0).expect("every piece of node-wide state has a name");
        self.placeless[row.index()] = true;
        self.placeless_rows.push(row);
        self.placeless_rows.sort_unstable();
        row
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
        if let Some(owner) = self.subjects[index].as_ref().and_then(|subject| subject.owner().cloned()) {
            self.disown(&owner, row);
        }
        self.buried.insert(net_id, row);
        self.placeless[index] = false;
        self.marked[index] = false;
        self.special[index] = false;
        self.freed.push(row);
        Some(row)
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
        for row in &self.freed {
            self.subjects[row.index()] = None;
        }
        self.free.append(&mut self.freed);
        self.policies_changed = false;
        self.subject_changes.clear();
        self.before_special.clear();
        self.buried.clear();
    }

    /// The row and the subject of an entity that lives, or whose row was taken away in this tick.
    pub(crate) fn of_this_tick(&self, net_id: NetId) -> Option<(Row, Option<&Subject>)> {
        let row = self.row(net_id).or_else(|| self.buried.get(&net_id).copied())?;
        Some((row, self.subjects[row.index()].as_deref()))
    }

    /// Whether who had that row a tick ago has died since, under the eyes of that viewer.
    pub(super) fn died_before(&self, row: Row, viewer: &ViewerContext) -> bool {
        let index = row.index();
        let is_dead = self.net_id[index] == NetId::WORLD
            || (!self.placeless[index] && !self.position[index].is_finite());
        is_dead && self.subjects[index].as_ref().is_none_or(|subject| subject.admits(viewer))
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
            self.position[index] = position;
        }
    }

    /// Publishes what one cell encoded.
    pub fn publish(&mut self, deltas: &mut Vec<RowDelta>) {
        #[cfg(any(test, feature = "planted-faults"))]
        deltas.retain(|delta| {
            // State of the whole world is compared with what it is made of in another way.
            self.placeless[delta.row.index()] || !self.planted.keeps_stale(&self.net_id, delta)
        });
        for RowDelta { row, position, mask, encoded } in deltas.drain(..) {
            let index = row.index();
            self.position[index] = position;
            let before = std::mem::replace(&mut self.encoded[index], encoded);
            self.policies_changed |= mask & SUBJECT != 0;
            self.note_change(row, mask);
            self.note_special(row, |_| before);
        }
    }

    /// Publishes what one cell found changed about its entities' subjects: before [`publish`](Self::publish), so that what
    /// becomes special by its subject is known as it was told.
    pub fn publish_subjects(&mut self, subjects: &mut Vec<RowSubject>) {
        let plain = Subject::default();
        for RowSubject { row, subject } in subjects.drain(..) {
            let index = row.index();
            let before = std::mem::replace(&mut self.subjects[index], subject);
            let now = self.subjects[index].as_deref().unwrap_or(&plain);
            let before = before.as_deref().unwrap_or(&plain);
            let aspects = now.changes_since(before);
            let (owner, was_owner) = (now.owner().cloned(), before.owner().cloned());
            let marked = now.is_marked();
            // Of an entity that everybody sees the same of nobody has to be asked.
            if marked || self.marked[index] || self.special[index] {
                self.policies_changed = true;
                self.note_change(row, SUBJECT);
            }
            *self.subject_changes.entry(row).or_default() |= aspects;
            self.marked[index] = marked;
            if owner != was_owner {
                if let Some(was_owner) = was_owner {
                    self.disown(&was_owner, row);
                }
                if let Some(owner) = owner {
                    let owned = self.owned.entry(owner).or_default();
                    owned.insert(owned.partition_point(|&other| other < row), row);
                }
            }
            self.note_special(row, |encoded| encoded.clone());
        }
    }

    fn disown(&mut self, owner: &PlayerId, row: Row) {
        if let Some(rows) = self.owned.get_mut(owner) {
            rows.retain(|&owned| owned != row);
            if rows.is_empty() {
                self.owned.remove(owner);
            }
        }
    }

    /// What a player owns, ascending.
    #[must_use]
    pub fn owned_by(&self, player: &PlayerId) -> &[Row] {
        self.owned.get(player).map_or(&[], Vec::as_slice)
    }

    /// The rows of node-wide state, ascending.
    #[must_use]
    pub fn placeless_rows(&self) -> &[Row] {
        &self.placeless_rows
    }

    /// Follows whether anything of the entity differs from viewer to viewer.
    fn note_special(&mut self, row: Row, before: impl FnOnce(&EncodedRow) -> EncodedRow) {
        let index = row.index();
        let encoded = &self.encoded[index];
        self.layouts.note(&self.schema, row, encoded.components);
        // Of what is too much for a record each viewer is told as much as fits of what that viewer may see.
        let special = encoded.bytes.len() > ROW_BYTES_MAX
            || !encoded.ids.is_empty()
            || encoded.components & self.personal != 0
            || self.subjects[index]
                .as_ref()
                .is_some_and(|subject| subject.component_rules().next().is_some());
        if special != self.special[index] {
            if special {
                self.before_special.entry(row).or_insert_with(|| before(&self.encoded[index]));
            }
            self.special[index] = special;
            self.policies_changed = true;
            self.note_change(row, SUBJECT);
        }
    }

    /// What an entity that has become special in this tick was before.
    #[must_use]
    pub(super) fn before_special(&self, row: Row) -> &EncodedRow {
        self.before_special.get(&row).unwrap_or(&self.encoded[row.index()])
    }

    /// Which field each bit of the row's mask is.
    #[must_use]
    #[inline]
    pub fn layout(&self, row: Row) -> &Layout {
        self.layouts.of(row)
    }

    /// Which aspects of an entity's subject changed in this tick.
    #[must_use]
    pub fn subject_changes(&self, row: Row) -> Depends {
        self.subject_changes.get(&row).copied().unwrap_or_default()
    }

    /// The components of an entity that have a policy of their own, or an override on this very entity.
    #[must_use]
    pub fn gated(&self, row: Row) -> u64 {
        self.gated_ever(row) & self.encoded[row.index()].components
    }

    /// The components that have a policy of their own, or an override on this very entity, whether it has them or not.
    #[must_use]
    pub fn gated_ever(&self, row: Row) -> u64 {
        let mut gated = self.gated;
        if let Some(subject) = &self.subjects[row.index()] {
            for (name, _) in subject.component_rules() {
                if let Some(component) = self.schema.component(name.as_str()) {
                    gated |= 1 << component;
                }
            }
        }
        gated
    }

    #[inline]
    fn note_change(&mut self, row: Row, mask: FieldMask) {
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

    /// What the encoders of cells are to do wrong.
    #[cfg(any(test, feature = "planted-faults"))]
    pub(super) fn left_out_mask(&self) -> Option<&Arc<super::planted::LeftOutMask>> {
        self.planted.left_out_mask()
    }

    /// The rows that changed in this tick.
    #[must_use]
    pub fn changed_rows(&self) -> &[Row] {
        &self.changed_rows
    }
}
