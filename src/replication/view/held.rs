//! What one viewer holds of special entities, and what of them was evaluated in a tick.

use std::num::NonZeroU64;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::replication::field::put_prefixed;
use crate::replication::layouts::{FieldKey, LayoutField};
use crate::replication::mask::{FIELD_FIRST, FieldMask, RESEND};
use crate::replication::policy::Depends;
use crate::replication::rows::{EncodedRow, Rows};
use crate::replication::wire::ROW_BYTES_MAX;

use super::personal_values::PersonalValues;

/// A hash of wire bytes.
pub(super) fn hash_of(bytes: &[u8]) -> NonZeroU64 {
    NonZeroU64::new(xxh3_64(bytes)).unwrap_or(NonZeroU64::MIN)
}

/// What one viewer was told last of one field. Each tick goes through many, so it is small.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldField {
    /// The hash of the value that the client has, or is about to have; none while another one is pending, or may be.
    pub(super) known: Option<NonZeroU64>,
    pub(super) reads: Depends,
    pub(super) key: FieldKey,
    /// Its bytes in a record, and [`LEFT_OUT`](Self::LEFT_OUT).
    length: u16,
}

const _: () = assert!(size_of::<HeldField>() == 16);

const _: () = assert!(size_of::<Held>() == 192);

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

impl HeldField {
    const LEFT_OUT: u16 = 1 << 15;

    /// One that is told as it was shown.
    pub(super) fn of(shown: &ShownField) -> Self {
        let ShownField { key, hash, reads, left_out, .. } = *shown;
        let length = shown.length() | if left_out { Self::LEFT_OUT } else { 0 };
        Self { known: Some(hash), reads, key, length }
    }

    /// Its bytes in a record.
    pub(super) fn length(&self) -> u16 {
        self.length & !Self::LEFT_OUT
    }

    /// Whether it was told as absent, because all together is more than a record takes.
    pub(super) fn is_left_out(&self) -> bool {
        self.length & Self::LEFT_OUT != 0
    }
}

const _: () = assert!(ROW_BYTES_MAX < HeldField::LEFT_OUT as usize);

impl Held {
    pub(super) fn field(&self, key: FieldKey) -> Option<&HeldField> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// What was told last of a field that is shown now.
    #[inline]
    pub(super) fn field_mut(&mut self, shown: &ShownField) -> Option<&mut HeldField> {
        // To who sees all of the entity its fields were told in the order of their bits.
        let likely = usize::from(shown.bit) - FIELD_FIRST as usize;
        let is_there = self.fields.get(likely).is_some_and(|field| field.key == shown.key);
        let place =
            if is_there { likely } else { self.fields.iter().position(|field| field.key == shown.key)? };
        self.fields.get_mut(place)
    }

    pub(super) fn set(&mut self, shown: &ShownField) {
        let now = HeldField::of(shown);
        self.bytes += u32::from(now.length());
        match self.field_mut(shown) {
            Some(field) => {
                let before = std::mem::replace(field, now);
                self.bytes -= u32::from(before.length());
            }
            None => self.fields.push(now),
        }
    }

    /// Whether a field is told as left out that was not before.
    pub(super) fn is_newly_left_out(&self, shown: &ShownField) -> bool {
        shown.left_out && !self.field(shown.key).is_some_and(HeldField::is_left_out)
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
            field.known = None;
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
    pub(super) hash: NonZeroU64,
    pub(super) reads: Depends,
    /// Whether it has a length in front.
    pub(super) can_be_absent: bool,
    /// It is absent because all together is more than a record takes.
    pub(super) left_out: bool,
}

impl ShownField {
    /// A field of no alias yet, by its bit in a layout, with these wire bytes.
    #[inline]
    pub(super) fn of(
        bytes: &[u8],
        bit: u32,
        layout: &[LayoutField],
        (begin, end): (u32, u32),
        reads: Depends,
    ) -> Self {
        let LayoutField { key, prefixed, .. } = layout[(bit - FIELD_FIRST) as usize];
        let hash = hash_of(&bytes[begin as usize..end as usize]);
        Self {
            alias: 0,
            bit: bit as u8,
            key,
            begin,
            end,
            hash,
            reads,
            can_be_absent: prefixed,
            left_out: false,
        }
    }

    /// Its bytes in a record. No field is longer than a record.
    pub(super) fn length(&self) -> u16 {
        (self.end - self.begin) as u16
    }
}

/// The fields of one view that were evaluated in this tick, by alias and bit.
#[derive(Debug, Default)]
pub(super) struct ShownFields {
    /// Their wire bytes, among those of others.
    pub(super) values: PersonalValues,
    /// By alias and bit.
    pub(super) fields: Vec<ShownField>,
    /// By alias: where its fields begin in `fields`; meaningless for an alias without any.
    begins: Vec<u32>,
    /// How often something was too long to be sent, since somebody last asked.
    pub(super) oversized: u64,
}

impl ShownFields {
    pub(super) fn clear(&mut self) {
        self.values.bytes.clear();
        self.fields.clear();
    }

    /// Makes room for so many fields with so many bytes.
    pub(super) fn reserve(&mut self, fields: usize, bytes: usize) {
        self.fields.reserve(fields);
        self.values.bytes.reserve(bytes);
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
        &self.values.bytes[field.begin as usize..field.end as usize]
    }
}

/// What a viewer holds of an entity that was plain until now: all of it, but for what was pending.
pub(super) fn held_of_plain(rows: &Rows, before: &EncodedRow, pending: FieldMask) -> Held {
    let told = pending & RESEND == 0;
    let mut held = Held { components: before.components, plain: before.components, told, ..Held::default() };
    let fields = (FIELD_FIRST..).zip(rows.schema().fields_of(before.components));
    for (bit, (component, field, _)) in fields.filter(|(bit, _)| told && pending >> bit & 1 == 0) {
        let key = FieldKey { component: component as u8, field: field as u8 };
        let known = Some(hash_of(before.field(bit)));
        let length = before.field(bit).len() as u16;
        held.fields.push(HeldField { known, reads: Depends::NONE, key, length });
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
        &self.shown.values.bytes
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
        if self.shown.values.bytes.len() <= ROW_BYTES_MAX {
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
                field.hash = hash_of(&self.rest[begin..]);
            } else {
                self.rest
                    .extend_from_slice(&self.shown.values.bytes[field.begin as usize..field.end as usize]);
            }
            (field.begin, field.end) = (begin as u32, self.rest.len() as u32);
        }
        std::mem::swap(&mut self.rest, &mut self.shown.values.bytes);
    }
}
