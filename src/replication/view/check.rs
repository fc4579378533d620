//! What a view can be asked about itself, for audits.

use crate::ids::{NetId, Row};
use crate::protocol::messages::AuditRequest;
use crate::replication::audit::{entity_sum, row_sum};
use crate::replication::mask::FIELDS_OF_PLACE;
use crate::replication::rows::Rows;

use super::aliases::{aliases_of, has, put};
use super::held::ShownField;
use super::personal::Look;
use super::{View, ViewScratch};
use crate::replication::layouts::FieldKey;
use crate::replication::policy::Depends;

/// Fields of special entities that have another value than the client was told last, though nothing of them is pending.
pub type Overlooked = Vec<(NetId, FieldKey)>;

/// What a viewer is told of an entity of which not everybody sees the same.
#[derive(Debug)]
pub struct ToldEntity<'a> {
    /// Which.
    pub row: Row,
    /// The components that the viewer sees.
    pub components: u64,
    /// Their fields, as the viewer is told them.
    pub fields: Vec<ToldField<'a>>,
}

/// One field of it.
#[derive(Clone, Copy, Debug)]
pub struct ToldField<'a> {
    /// Which.
    pub key: FieldKey,
    /// In wire form.
    pub bytes: &'a [u8],
    /// Whether names of entities are known to be in it, which are blank where the viewer does not see the entity.
    pub has_names: bool,
    /// Whether it is absent because all together is more than a record takes.
    pub left_out: bool,
}

impl View {
    /// Gives what the viewer is told of every entity of which not everybody sees the same, evaluated anew by the same code
    /// that updates are made with. Call after the tick's last [`assemble`](Self::assemble). O(those entities and their bytes);
    /// gives how many they were.
    pub fn each_told(
        &self,
        rows: &Rows,
        look: &Look<'_>,
        scratch: &mut ViewScratch,
        each: &mut dyn FnMut(&ToldEntity<'_>),
    ) -> usize {
        let mut entities = 0;
        for word in 0..self.aliases.words() {
            for alias in aliases_of(word, self.aliases.special[word]) {
                let (components, _) = self.whole(rows, look.source, alias, &mut scratch.whole);
                let shown = &scratch.whole.shown;
                let told = |field: &ShownField| ToldField {
                    key: field.key,
                    bytes: shown.bytes_of(field),
                    has_names: field.reads.contains(Depends::NAMED_IDS),
                    left_out: field.left_out,
                };
                let fields = shown.fields.iter().map(told).collect();
                each(&ToldEntity { row: self.aliases.rows[alias], components, fields });
                entities += 1;
            }
        }
        entities
    }

    /// Asks the client to compare sums: over every entity that was sent and has nothing pending, as the rows
    /// have it now, and over nothing else that it could still hold but for leaves that wait. Call after the tick's last [`assemble`](Self::assemble). `None` before the first update.
    ///
    /// O(view), with a hash over every byte of it.
    #[must_use]
    pub fn audit_request(
        &self,
        rows: &Rows,
        look: &Look<'_>,
        audit: u32,
        scratch: &mut ViewScratch,
    ) -> Option<(AuditRequest, Overlooked)> {
        if self.last_seq == 0 {
            return None;
        }
        let mut overlooked = Overlooked::new();
        let base_seq = self.in_flight.open_seqs().min().map_or(self.last_seq, |oldest| oldest - 1);
        let mut request = AuditRequest {
            audit,
            update_seq: self.last_seq,
            base_seq,
            left_out: vec![0; self.aliases.words()],
            fields: 0,
            sum: 0,
        };
        for leaving in self.aliases.leaving.iter().filter(|leaving| leaving.pending) {
            put(&mut request.left_out, usize::from(leaving.alias.0));
        }
        for word in 0..self.aliases.words() {
            for alias in aliases_of(word, self.aliases.held[word]) {
                if self.aliases.pending[alias] != 0 || !has(&self.aliases.sent, alias) {
                    put(&mut request.left_out, alias);
                    continue;
                }
                let row = self.aliases.rows[alias];
                let sum = if has(&self.aliases.special, alias) {
                    let (components, withdrawn) = self.whole(rows, look.source, alias, &mut scratch.whole);
                    let net_id = rows.net_id[row.index()];
                    let differ = self.overlooked(alias, &scratch.whole);
                    overlooked.extend(differ.into_iter().map(|key| (net_id, key)));
                    request.fields += scratch.whole.fields() as u32 + FIELDS_OF_PLACE.count_ones();
                    let lattice = rows.lattice[row.index()];
                    entity_sum(net_id, lattice, [components, withdrawn], scratch.whole.bytes())
                } else {
                    request.fields += rows.encoded[row.index()].all_fields().count_ones();
                    row_sum(rows, row)
                };
                request.sum = request.sum.wrapping_add(sum);
            }
        }
        Some((request, overlooked))
    }

    /// How many entities have something pending that was not sent, and for how many ticks the longest-waiting of them has
    /// had. O(view) where anything has, O(1) where nothing has.
    #[must_use]
    pub fn pending_entities(&self) -> (u32, u16) {
        if !self.waiting {
            return (0, 0);
        }
        let waiting = self.aliases.waited.iter().zip(&self.aliases.pending).filter(|&(_, &mask)| mask != 0);
        waiting.fold((0, 0), |(count, most), (&waited, _)| (count + 1, most.max(waited)))
    }

    /// For how many ticks the longest-waiting entity has had something pending that was not sent.
    #[must_use]
    pub fn oldest_pending_ticks(&self) -> u16 {
        self.pending_entities().1
    }

    /// Makes something go wrong in this view from now on, for a test of those who should notice.
    #[cfg(any(test, feature = "planted-faults"))]
    pub fn plant(&mut self, fault: crate::replication::planted::PlantedFault) {
        self.planted.plant(fault);
    }

    /// The alias of an entity in the view.
    #[cfg(test)]
    pub(crate) fn alias_of(&self, row: Row) -> Option<u16> {
        (0..self.aliases.end).find(|&alias| self.aliases.rows[alias] == row).map(|alias| alias as u16)
    }

    /// Gives aliases away before their leave is acknowledged, to show what that breaks.
    #[cfg(test)]
    pub(crate) fn turn_quarantine_off(&mut self) {
        self.aliases.quarantine_off = true;
    }
}
