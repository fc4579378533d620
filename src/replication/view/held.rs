//! What one viewer holds of special entities, and what of them was evaluated in a tick.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::replication::field::put_prefixed;
use crate::replication::layouts::FieldKey;
use crate::replication::mask::{FIELD_FIRST, FieldMask, RESEND};
use crate::replication::policy::Depends;
use crate::replication::rows::{EncodedRow, Rows};
use crate::replication::wire::ROW_BYTES_MAX;

use super::personal::PersonalValue;

/// What one viewer was told last of one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldField {
    pub(super) key: FieldKey,
    pub(super) hash: u64,
    /// Whether the client has, or is about to have, the value with that hash, and none has been pending since.
    pub(super) known: bool,
    pub(super) reads: Depends,
    /// Its bytes in a record.
    pub(super) length: u16,
    /// It was told as absent, because all together is more than a record takes.
    pub(super) left_out: bool,
}

/// What one viewer holds of a special entity. Three cache lines, as long as it has few fields.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Held {
    /// The components that the viewer sees.
    pub(super) components: u64,
    /// Components that the viewer has seen and that are hidden now. What becomes of them meanwhile is not told.
    pub(super) withdrawn: u64,
    /// An enter record with just these was sent, and not lost.
    pub(super) told: bool,
    pub(super) gate_reads: Depends,
    pub(super) fields: SmallVec<[HeldField; 8]>,
    /// The components it had when it was plain before this viewer: the layout of what was sent then.
    pub(super) plain: u64,
    /// Bytes of all fields together.
    pub(super) bytes: u32,
    /// Something was left out, because all together is more than a record takes.
    pub(super) is_cut: bool,
}

impl Held {
    pub(super) fn field(&self, key: FieldKey) -> Option<&HeldField> {
        self.fields.iter().find(|field| field.key == key)
    }

    pub(super) fn set(&mut self, shown: &ShownField) {
        let ShownField { key, hash, reads, left_out, .. } = *shown;
        let now = HeldField { key, hash, known: true, reads, length: shown.length(), left_out };
        self.bytes += u32::from(now.length);
        match self.fields.iter_mut().find(|field| field.key == key) {
            Some(field) => {
                self.bytes -= u32::from(field.length);
                *field = now;
            }
            None => self.fields.push(now),
        }
    }

    /// Whether a field is told as left out that was not before.
    pub(super) fn is_newly_left_out(&self, shown: &ShownField) -> bool {
        shown.left_out && !self.field(shown.key).is_some_and(|last| last.left_out)
    }

    /// Forgets all fields.
    pub(super) fn clear(&mut self) {
        self.fields.clear();
        self.bytes = 0;
    }

    /// What must change before anything of the entity has to be asked again, as long as nothing but its place does;
    /// `None` when it has to be asked in any case.
    pub(super) fn wakes(&self) -> Option<Depends> {
        let reads = self.fields.iter().fold(self.gate_reads, |all, field| all | field.reads);
        self.told.then_some(reads)
    }

    /// The value that was told last did not arrive, or is another one now.
    pub(super) fn forget(&mut self, key: FieldKey) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key == key) {
            field.known = false;
        }
    }
}

/// What one viewer holds of all special entities in view. They lie together, since each tick goes through many of them.
#[derive(Debug, Default)]
pub(super) struct Helds {
    helds: Vec<Held>,
    /// By alias: the place in `helds`; [`NOWHERE`] for one that is not special.
    places: Vec<u32>,
    free: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Helds {
    /// Makes room for so many aliases.
    pub(super) fn resize(&mut self, aliases: usize) {
        self.places.resize(aliases, NOWHERE);
    }

    #[inline]
    pub(super) fn get(&self, alias: usize) -> Option<&Held> {
        self.helds.get(self.places[alias] as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, alias: usize) -> Option<&mut Held> {
        self.helds.get_mut(self.places[alias] as usize)
    }

    /// What is held of a special alias.
    #[inline]
    pub(super) fn of(&self, alias: usize) -> &Held {
        self.get(alias).expect("special aliases have one")
    }

    /// As [`of`](Self::of).
    #[inline]
    pub(super) fn of_mut(&mut self, alias: usize) -> &mut Held {
        self.get_mut(alias).expect("special aliases have one")
    }

    pub(super) fn insert(&mut self, alias: usize, held: Held) {
        self.remove(alias);
        let place = self.free.pop().unwrap_or(self.helds.len() as u32);
        match self.helds.get_mut(place as usize) {
            Some(free) => *free = held,
            None => self.helds.push(held),
        }
        self.places[alias] = place;
    }

    pub(super) fn remove(&mut self, alias: usize) {
        let place = std::mem::replace(&mut self.places[alias], NOWHERE);
        if place != NOWHERE {
            self.helds[place as usize] = Held::default();
            self.free.push(place);
        }
    }
}

/// A field evaluated in this tick and not known to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownField {
    pub(super) alias: u16,
    pub(super) bit: u8,
    pub(super) key: FieldKey,
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) hash: u64,
    pub(super) reads: Depends,
    /// Whether it has a length in front.
    pub(super) can_be_absent: bool,
    /// It is absent because all together is more than a record takes.
    pub(super) left_out: bool,
}

impl ShownField {
    /// Its bytes in a record. No field is longer than a record.
    pub(super) fn length(&self) -> u16 {
        (self.end - self.begin) as u16
    }
}

/// The fields of one view that were evaluated in this tick, by alias and bit.
#[derive(Debug, Default)]
pub(super) struct ShownFields {
    pub(super) bytes: Vec<u8>,
    /// By alias and bit.
    pub(super) fields: Vec<ShownField>,
    /// By alias: where its fields begin in `fields`; meaningless for an alias without any.
    begins: Vec<u32>,
    pub(super) value: PersonalValue,
    /// How often something was too long to be sent, since somebody last asked.
    pub(super) oversized: u64,
}

impl ShownFields {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    /// Makes room for so many fields with so many bytes.
    pub(super) fn reserve(&mut self, fields: usize, bytes: usize) {
        self.fields.reserve(fields);
        self.bytes.reserve(bytes);
    }

    pub(super) fn push(&mut self, field: ShownField) {
        let alias = usize::from(field.alias);
        if self.begins.len() <= alias {
            self.begins.resize(alias + 1, 0);
        }
        if self.fields.last().is_none_or(|last| last.alias != field.alias) {
            self.begins[alias] = self.fields.len() as u32;
        }
        self.fields.push(field);
    }

    /// The fields of an alias, by bit.
    pub(super) fn of(&self, alias: usize) -> &[ShownField] {
        let begin = self.begins.get(alias).map_or(usize::MAX, |&begin| begin as usize);
        let rest = self.fields.get(begin..).unwrap_or_default();
        let count = rest.iter().take_while(|field| usize::from(field.alias) == alias).count();
        &rest[..count]
    }

    /// Wire bytes of a field.
    pub(super) fn bytes_of(&self, field: &ShownField) -> &[u8] {
        &self.bytes[field.begin as usize..field.end as usize]
    }
}

/// What a viewer holds of an entity that was plain until now: all of it, but for what was pending.
pub(super) fn held_of_plain(rows: &Rows, before: &EncodedRow, pending: FieldMask) -> Held {
    let told = pending & RESEND == 0;
    let mut held = Held { components: before.components, plain: before.components, told, ..Held::default() };
    let fields = (FIELD_FIRST..).zip(rows.schema().fields_of(before.components));
    for (bit, (component, field, _)) in fields.filter(|(bit, _)| told && pending >> bit & 1 == 0) {
        let key = FieldKey { component: component as u8, field: field as u8 };
        let hash = xxh3_64(before.field(bit));
        let length = before.field(bit).len() as u16;
        held.fields.push(HeldField { key, hash, known: true, reads: Depends::NONE, length, left_out: false });
        held.bytes += u32::from(length);
    }
    held
}

/// All that a viewer sees of one special entity, evaluated at once.
#[derive(Debug, Default)]
pub(super) struct WholeScratch {
    pub(super) shown: ShownFields,
    /// Memory of [`cut`](Self::cut).
    rest: Vec<u8>,
}

impl WholeScratch {
    /// The wire bytes of all fields.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.shown.bytes
    }

    /// How many fields there are.
    pub(super) fn fields(&self) -> usize {
        self.shown.fields.len()
    }

    /// Whether something was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.shown.fields.iter().any(|field| field.left_out)
    }

    /// Leaves out what does not fit a record: in order, each field that would leave too little for the shortest form of those
    /// behind it. It follows from what the viewer may see now and from nothing else.
    pub(super) fn cut(&mut self) {
        if self.shown.bytes.len() <= ROW_BYTES_MAX {
            return;
        }
        let shortest = |field: &ShownField| if field.can_be_absent { 1 } else { usize::from(field.length()) };
        let mut behind: usize = self.shown.fields.iter().map(shortest).sum();
        self.rest.clear();
        for field in &mut self.shown.fields {
            behind -= shortest(field);
            let begin = self.rest.len();
            if field.can_be_absent && begin + usize::from(field.length()) + behind > ROW_BYTES_MAX {
                put_prefixed(&mut self.rest, None);
                field.left_out = true;
                field.hash = xxh3_64(&self.rest[begin..]);
            } else {
                self.rest.extend_from_slice(&self.shown.bytes[field.begin as usize..field.end as usize]);
            }
            (field.begin, field.end) = (begin as u32, self.rest.len() as u32);
        }
        std::mem::swap(&mut self.rest, &mut self.shown.bytes);
    }
}
