//! What a client holds of the world: the other end of a [`View`](crate::replication::View).
//!
//! *Does*: decodes state updates, drops what is older than what it has, keeps the ack, derives events, and
//! answers audits.
//! *Does not*: guess between updates, nor talk to the network.
//! *Reads*: bytes of unknown intent. *Writes*: itself; a malformed update changes nothing.

mod entity;
mod events;
mod parse;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::ids::{Alias, NetId, TickNumber};
use crate::limits::{RECORD_BYTES_MAX, UPDATE_BYTES_MAX};
use crate::protocol::codec::DecodeError;
use crate::protocol::messages::{AuditOutcome, AuditRequest};
use crate::replication::mask::{FIELD_FIRST, FIELD_XY, FIELD_Z, FIELDS_OF_PLACE, FieldMask};
use crate::replication::rows::EncodedRow;
use crate::replication::wire::Reader;
use crate::replication::{ReceivedEvent, Schema};
use crate::space::LatticePoint;

pub use entity::MirrorEntity;
pub use events::{DrainedEvents, EVENTS_MAX, MirrorEvent};
use parse::{Enter, Header, Parsed, Values, read_enter, read_header, read_parts};

/// Most separate records kept for updates that have not come yet.
const RECORDS_AHEAD_MAX: usize = 64;
/// Most audits kept for updates that have not come yet; an older one becomes inconclusive.
const AUDITS_AHEAD_MAX: usize = 8;

/// What became of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub seq: u32,
    /// It is not newer than what was applied before: nothing of it was used, and it is not acknowledged.
    pub stale: bool,
    /// The tick it shows.
    pub tick: TickNumber,
    /// Number of the client's newest state message that took part in that tick.
    pub input_seq: u32,
    /// No enter waited behind it.
    pub complete: bool,
}

/// A client's copy of its view.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    newest: u32,
    bits: u64,
    tick: TickNumber,
    by_alias: Vec<Option<MirrorEntity>>,
    by_net_id: FxHashMap<NetId, Alias>,
    events: DrainedEvents,
    /// Large records that came before their update.
    records_ahead: Vec<(u32, Arc<Enter>)>,
    audits_ahead: Vec<AuditRequest>,
    audited: Vec<(u32, AuditOutcome)>,
    told: Vec<ReceivedEvent>,
}

impl Mirror {
    /// Applies one state update.
    ///
    /// # Errors
    /// When the bytes are not an update, or not one for what this mirror holds. Then nothing has changed and
    /// the update is not acknowledged.
    pub fn apply(&mut self, schema: &Schema, bytes: &[u8]) -> Result<Applied, DecodeError> {
        if bytes.len() > UPDATE_BYTES_MAX {
            return Err(DecodeError::malformed("state update", "too many bytes"));
        }
        let mut reader = Reader::new(bytes);
        let header = read_header(&mut reader)?;
        let applied = Applied {
            seq: header.seq,
            stale: header.seq <= self.newest,
            tick: header.tick,
            input_seq: header.input_seq,
            complete: header.complete(),
        };
        if applied.stale {
            return Ok(applied);
        }
        let parsed = read_parts(self, schema, &header, &mut reader)?;
        self.acknowledge(&header);
        self.apply_parts(schema, &header, parsed);
        self.apply_records_ahead();
        self.answer_audits();
        Ok(applied)
    }

    /// What to tell the server: the newest update applied, 0 for none, and bit *i* for the one *i* + 1 before.
    #[must_use]
    pub fn ack(&self) -> (u32, u64) {
        (self.newest, self.bits)
    }

    /// Whether the update of this number was applied; so long ago that nobody knows counts as applied, and so does
    /// "none", 0.
    #[must_use]
    pub fn has_applied(&self, seq: u32) -> bool {
        match self.newest.checked_sub(seq) {
            None => false,
            Some(behind @ 1..=u64::BITS) => seq == 0 || self.bits >> (behind - 1) & 1 == 1,
            Some(_) => true,
        }
    }

    /// The tick that the mirror shows.
    #[must_use]
    pub fn tick(&self) -> TickNumber {
        self.tick
    }

    /// The entity of that name, when it is in view.
    #[must_use]
    pub fn get(&self, net_id: NetId) -> Option<&MirrorEntity> {
        self.entity_at(*self.by_net_id.get(&net_id)?).filter(|entity| entity.entered)
    }

    /// Everything in view, in no order that may matter.
    pub fn entities(&self) -> impl Iterator<Item = &MirrorEntity> {
        self.by_alias.iter().flatten().filter(|entity| entity.entered)
    }

    /// What happened since the last call. O(entities in view).
    pub fn drain_events(&mut self, schema: &Schema) -> DrainedEvents {
        let mut drained = std::mem::take(&mut self.events);
        for entity in self.by_alias.iter_mut().flatten().filter(|entity| entity.entered) {
            let (net_id, changed) = (entity.net_id, std::mem::take(&mut entity.changed));
            if changed & FIELDS_OF_PLACE != 0 {
                drained.push(MirrorEvent::Moved { net_id });
            }
            for (bit, (component, field, _)) in (FIELD_FIRST..).zip(schema.fields_of(entity.row.components)) {
                if changed >> bit & 1 == 0 {
                    continue;
                }
                let (was, is) = (entity.told_hidden >> bit & 1 == 1, entity.hides(bit));
                entity.told_hidden = (entity.told_hidden & !(1 << bit)) | FieldMask::from(is) << bit;
                match (was, is) {
                    (true, true) => {}
                    (false, true) => drained.push(MirrorEvent::FieldHidden { net_id, component, field }),
                    (true, false) => drained.push(MirrorEvent::FieldGranted { net_id, component, field }),
                    (false, false) => drained.push(MirrorEvent::FieldChanged { net_id, component, field }),
                }
            }
        }
        drained
    }

    /// Forgets what happened, for who compares states instead. O(1) when nothing did.
    pub fn forget_events(&mut self) {
        self.events = DrainedEvents::default();
    }

    /// Takes the fields of an entity that an update announced but could not carry. It may come before that
    /// update or after it; when that update never came, the server sends the record again for another.
    ///
    /// # Errors
    /// When the bytes are not one enter record of this schema.
    pub fn take_record(&mut self, schema: &Schema, update_seq: u32, bytes: &[u8]) -> Result<(), DecodeError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(DecodeError::malformed("record", "too many bytes"));
        }
        let mut reader = Reader::new(bytes);
        let enter = read_enter(schema, &mut reader)?;
        if enter.row.is_none() || !reader.peek().is_empty() {
            return Err(DecodeError::malformed("record", "it is not one whole enter record"));
        }
        if update_seq > self.newest {
            if self.records_ahead.len() == RECORDS_AHEAD_MAX {
                self.records_ahead.remove(0);
            }
            self.records_ahead.push((update_seq, enter.into()));
        } else {
            self.fill(update_seq, &enter);
        }
        Ok(())
    }

    /// Takes a request to compare sums. It is answered when the mirror shows exactly the update it names;
    /// see [`take_audit_outcomes`](Self::take_audit_outcomes).
    pub fn take_audit(&mut self, request: AuditRequest) {
        if self.audits_ahead.len() == AUDITS_AHEAD_MAX {
            let oldest = self.audits_ahead.remove(0);
            self.audited.push((oldest.audit, AuditOutcome::Inconclusive));
        }
        self.audits_ahead.push(request);
        self.answer_audits();
    }

    /// The events that came with updates since the last call, at most [`EVENTS_MAX`].
    pub fn take_told(&mut self) -> Vec<ReceivedEvent> {
        std::mem::take(&mut self.told)
    }

    /// The audits that have been answered since the last call, by number.
    pub fn take_audit_outcomes(&mut self) -> Vec<(u32, AuditOutcome)> {
        std::mem::take(&mut self.audited)
    }

    fn entity_at(&self, alias: Alias) -> Option<&MirrorEntity> {
        self.by_alias.get(usize::from(alias.0))?.as_ref()
    }

    fn acknowledge(&mut self, header: &Header) {
        let step = header.seq - self.newest;
        self.bits = self.bits.checked_shl(step).unwrap_or(0);
        // The update that was newest until now; before the first there was none.
        if step <= u64::BITS && self.newest > 0 {
            self.bits |= 1 << (step - 1);
        }
        self.newest = header.seq;
        self.tick = header.tick;
    }

    fn apply_parts(&mut self, schema: &Schema, header: &Header, parsed: Parsed<'_>) {
        for alias in parsed.leaves {
            self.remove(alias);
        }
        for enter in parsed.enters {
            self.upsert(schema, header.seq, enter);
        }
        let room = EVENTS_MAX.saturating_sub(self.told.len());
        self.told.extend(parsed.events.into_iter().take(room));
        for values in &parsed.values {
            self.set_values(header.seq, values, &parsed.fields);
        }
    }

    fn remove(&mut self, alias: Alias) {
        let Some(entity) = self.by_alias.get_mut(usize::from(alias.0)).and_then(Option::take) else { return };
        self.by_net_id.remove(&entity.net_id);
        if entity.entered {
            self.events.push(MirrorEvent::Left { net_id: entity.net_id });
        }
    }

    fn upsert(&mut self, schema: &Schema, seq: u32, enter: Enter) {
        let Enter { head, wires, row } = enter;
        let index = usize::from(head.alias.0);
        if self.by_alias.len() <= index {
            self.by_alias.resize_with(index + 1, || None);
        }
        // One name, one alias; an honest server moves neither.
        if let Some(&other) = self.by_net_id.get(&head.net_id)
            && other != head.alias
        {
            self.remove(other);
        }
        if self.by_alias[index].as_ref().is_some_and(|entity| entity.net_id != head.net_id) {
            self.remove(head.alias);
        }
        let old = self.by_alias[index].take();
        let old = old.as_ref();
        let same_layout = old.is_some_and(|old| old.row.components == head.components);
        let all = ((1 << (FIELD_FIRST as usize + wires.len())) - 1) & !FIELDS_OF_PLACE;
        let (changed, told_hidden) = match (old, &row) {
            (None, _) => (0, 0),
            (Some(old), Some(row)) if same_layout => {
                (old.changed | row.difference(&old.row), old.told_hidden)
            }
            (Some(old), None) if same_layout => (old.changed, old.told_hidden),
            (Some(old), row) => carried(schema, old, head.components, row.as_ref()),
        };
        let missing = if row.is_some() { 0 } else { all };
        let row = row.unwrap_or_else(|| carried_row(schema, old, head.components));
        let entity = MirrorEntity {
            alias: head.alias,
            net_id: head.net_id,
            structure: head.structure,
            lattice: head.lattice,
            row,
            wires,
            missing,
            announced: seq,
            placed: seq,
            entered: old.is_some_and(|old| old.entered),
            withdrawn: head.withdrawn,
            told_components: old.map_or(0, |old| old.told_components),
            told_withdrawn: old.map_or(0, |old| old.told_withdrawn),
            told_hidden,
            changed: changed | old.map_or(0, |old| moved(old.lattice, head.lattice)),
        };
        self.by_net_id.insert(head.net_id, head.alias);
        self.by_alias[index] = Some(entity);
        self.tell_structure(head.alias);
    }

    /// Events of a whole entity's coming, or of its components' coming and going.
    fn tell_structure(&mut self, alias: Alias) {
        let Some(entity) = self.by_alias[usize::from(alias.0)].as_mut() else { return };
        if entity.missing != 0 {
            return;
        }
        let (net_id, old, new) = (entity.net_id, entity.told_components, entity.row.components);
        let granted = entity.told_withdrawn & new;
        entity.told_withdrawn = entity.withdrawn;
        entity.told_components = new;
        if !entity.entered {
            entity.entered = true;
            entity.changed = 0;
            entity.told_hidden = entity.hidden();
            self.events.push(MirrorEvent::Entered { net_id });
            return;
        }
        for component in (0..u64::BITS as usize).filter(|component| (old ^ new) >> component & 1 == 1) {
            let is_in = |set: u64| set >> component & 1 == 1;
            self.events.push(match (is_in(new), is_in(granted), is_in(entity.withdrawn)) {
                (true, true, _) => MirrorEvent::ComponentGranted { net_id, component },
                (true, false, _) => MirrorEvent::ComponentAdded { net_id, component },
                (false, _, true) => MirrorEvent::ComponentHidden { net_id, component },
                (false, _, false) => MirrorEvent::ComponentRemoved { net_id, component },
            });
        }
    }

    fn set_values(&mut self, seq: u32, values: &Values, fields: &[(u32, &[u8])]) {
        let Some(entity) = self.by_alias[usize::from(values.alias.0)].as_mut() else { return };
        let (was_whole, from) = (entity.missing == 0, entity.lattice);
        if values.xy.is_some() || values.z.is_some() {
            entity.placed = seq;
        }
        if let Some([x, y]) = values.xy {
            (entity.lattice.0[0], entity.lattice.0[1]) = (x, y);
        }
        if let Some(z) = values.z {
            entity.lattice.0[2] = z;
        }
        entity.changed |= moved(from, entity.lattice);
        for &(bit, bytes) in &fields[values.fields.clone()] {
            entity.set_field(bit, bytes);
            entity.missing &= !(1 << bit);
        }
        if !was_whole {
            self.tell_structure(values.alias);
        }
    }

    /// Sets the fields that a record tells and nothing newer has told since it was announced.
    fn fill(&mut self, announced: u32, enter: &Enter) {
        let (head, Some(row)) = (&enter.head, &enter.row) else { return };
        let Some(entity) = self.by_alias.get_mut(usize::from(head.alias.0)).and_then(Option::as_mut) else {
            return;
        };
        if (entity.announced, entity.net_id, entity.structure, entity.row.components)
            != (announced, head.net_id, head.structure, head.components)
        {
            return;
        }
        let missing = std::mem::take(&mut entity.missing);
        for bit in (FIELD_FIRST..FIELD_FIRST + row.ends.len() as u32).filter(|bit| missing >> bit & 1 == 1) {
            entity.set_field(bit, row.field(bit));
        }
        self.tell_structure(head.alias);
    }

    fn apply_records_ahead(&mut self) {
        let newest = self.newest;
        for (seq, enter) in self.records_ahead.extract_if(.., |(seq, _)| *seq <= newest).collect::<Vec<_>>() {
            // One for an update in between, which was not applied, finds no announcement and is forgotten.
            self.fill(seq, &enter);
        }
    }

    fn answer_audits(&mut self) {
        let newest = self.newest;
        for request in self.audits_ahead.extract_if(.., |it| it.update_seq <= newest).collect::<Vec<_>>() {
            let outcome = if request.update_seq == newest {
                self.compare(&request)
            } else {
                AuditOutcome::Inconclusive
            };
            self.audited.push((request.audit, outcome));
        }
    }

    /// Compares sums, for a request that names the update shown now.
    fn compare(&self, request: &AuditRequest) -> AuditOutcome {
        let between = match self.newest.checked_sub(request.base_seq) {
            Some(updates) if updates <= u64::BITS => updates.saturating_sub(1),
            _ => return AuditOutcome::Inconclusive,
        };
        let needed = u64::MAX.checked_shr(u64::BITS - between).unwrap_or(0);
        if self.bits & needed != needed {
            return AuditOutcome::Inconclusive;
        }
        let mut sum = 0u64;
        for entity in self.by_alias.iter().flatten() {
            let alias = usize::from(entity.alias.0);
            if request.left_out.get(alias / 64).is_some_and(|word| word >> (alias % 64) & 1 == 1) {
                continue;
            }
            if entity.missing != 0 {
                return AuditOutcome::Inconclusive;
            }
            sum = sum.wrapping_add(entity.sum());
        }
        if sum == request.sum { AuditOutcome::Equal } else { AuditOutcome::Different { sum } }
    }
}

/// What is changed and what was told as hidden of an entity whose components are others now: old bits name other
/// fields. What was announced counts when its value comes.
fn carried(
    schema: &Schema,
    old: &MirrorEntity,
    components: u64,
    row: Option<&EncodedRow>,
) -> (FieldMask, FieldMask) {
    let (mut changed, mut told_hidden) = (old.changed & FIELDS_OF_PLACE, 0);
    for (bit, (component, field, _)) in (FIELD_FIRST..).zip(schema.fields_of(components)) {
        let differs = match bit_of(schema, old, component, field) {
            None => row.is_some(),
            Some(old_bit) => {
                told_hidden |= (old.told_hidden >> old_bit & 1) << bit;
                old.changed >> old_bit & 1 == 1
                    || row.is_some_and(|row| row.field(bit) != old.row.field(old_bit))
            }
        };
        changed |= FieldMask::from(differs) << bit;
    }
    (changed, told_hidden)
}

/// What is known of an entity whose fields are on their way: those that it had, so that they are compared when they come.
fn carried_row(schema: &Schema, old: Option<&MirrorEntity>, components: u64) -> EncodedRow {
    // No honest server tells more; with what comes it could be more than there are places for.
    let old = old.filter(|old| old.row.bytes.len() <= RECORD_BYTES_MAX);
    let mut row = EncodedRow { components, ..EncodedRow::default() };
    for (component, field, _) in schema.fields_of(components) {
        if let Some(old) = old
            && let Some(bit) = bit_of(schema, old, component, field)
        {
            row.bytes.extend_from_slice(old.row.field(bit));
        }
        row.ends.push(row.bytes.len() as u16);
    }
    row
}

/// The bit of a field of an entity.
fn bit_of(schema: &Schema, entity: &MirrorEntity, component: usize, field: usize) -> Option<u32> {
    let mut fields = (FIELD_FIRST..).zip(schema.fields_of(entity.row.components));
    fields.find(|(_, (of, number, _))| (*of, *number) == (component, field)).map(|(bit, _)| bit)
}

fn moved(from: LatticePoint, to: LatticePoint) -> FieldMask {
    let xy = from.0[0] != to.0[0] || from.0[1] != to.0[1];
    (FieldMask::from(xy) * FIELD_XY) | (FieldMask::from(from.0[2] != to.0[2]) * FIELD_Z)
}
