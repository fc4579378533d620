//! What was sent and not answered: a ring of updates.
//!
//! Nearly everything that is sent is one mask for many entities, so an update is remembered as a bitmap of
//! aliases and that mask; whatever is rarer stands in a list.

use crate::ids::Alias;
use crate::limits::UPDATES_IN_FLIGHT_MAX;
use crate::replication::mask::{FieldMask, bits};

use crate::replication::layouts::FieldKey;

/// Something in an update that the bitmap does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Fields with a mask of their own.
    Fields(Alias, FieldMask),
    /// Own fields of a special entity: those of one component whose numbers are these bits.
    Shown(Alias, u8, u64),
    /// An enter record with its number.
    Enter(Alias, u8),
    /// A leave.
    Leave(Alias),
}

const _: () = assert!(size_of::<Sent>() == 16);

impl Sent {
    /// Notes that a field of a special entity is sent: with those before it, if they are of the same component.
    pub(super) fn note_shown(rare: &mut Vec<Sent>, alias: Alias, key: FieldKey) {
        let (component, field) = (key.component, 1 << key.field);
        match rare.last_mut() {
            Some(Sent::Shown(of, the_same, fields)) if (*of, *the_same) == (alias, component) => {
                *fields |= field;
            }
            _ => rare.push(Sent::Shown(alias, component, field)),
        }
    }

    /// Which fields of a component those with these numbers are.
    pub(super) fn keys(component: u8, fields: u64) -> impl Iterator<Item = FieldKey> {
        bits(fields).map(move |field| FieldKey { component, field: field as u8 })
    }

    /// Whose.
    pub(super) fn alias(self) -> Alias {
        let (Sent::Fields(alias, _) | Sent::Shown(alias, ..) | Sent::Enter(alias, _) | Sent::Leave(alias)) =
            self;
        alias
    }
}

#[derive(Debug)]
pub(super) struct InFlight {
    /// Words per bitmap.
    words: usize,
    /// One bitmap per place in the ring.
    bitmaps: Vec<u64>,
    /// How many words of each bitmap are in use.
    bitmap_words: [u16; UPDATES_IN_FLIGHT_MAX],
    masks: [FieldMask; UPDATES_IN_FLIGHT_MAX],
    seqs: [u32; UPDATES_IN_FLIGHT_MAX],
    rare: [Vec<Sent>; UPDATES_IN_FLIGHT_MAX],
    /// Places whose list is not empty: most are, and a look at each list would be a cache miss.
    with_rare: u32,
    /// Places whose update is unanswered.
    open: u32,
}

const _: () = assert!(UPDATES_IN_FLIGHT_MAX == u32::BITS as usize);

impl Default for InFlight {
    fn default() -> Self {
        Self {
            words: 0,
            bitmaps: Vec::new(),
            bitmap_words: [0; UPDATES_IN_FLIGHT_MAX],
            masks: [0; UPDATES_IN_FLIGHT_MAX],
            seqs: [0; UPDATES_IN_FLIGHT_MAX],
            rare: Default::default(),
            with_rare: 0,
            open: 0,
        }
    }
}

/// One update taken out of the ring to be answered for.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) seq: u32,
    pub(super) mask: FieldMask,
    pub(super) bitmap: Vec<u64>,
    pub(super) rare: Vec<Sent>,
}

impl InFlight {
    fn place(seq: u32) -> usize {
        seq as usize % UPDATES_IN_FLIGHT_MAX
    }

    /// Whether nothing is unanswered.
    pub(super) fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// The unanswered updates, in no order.
    pub(super) fn open_seqs(&self) -> impl Iterator<Item = u32> + use<> {
        let (mut open, seqs) = (self.open, self.seqs);
        std::iter::from_fn(move || {
            (open != 0).then(|| {
                let place = open.trailing_zeros() as usize;
                open &= open - 1;
                seqs[place]
            })
        })
    }

    /// What the unanswered updates from number `since` on carry of one alias: their mask, if it is of that alias, and all
    /// that stands in their lists, in no order.
    pub(super) fn carried(
        &self,
        alias: usize,
        since: u32,
    ) -> impl Iterator<Item = (FieldMask, &[Sent])> + '_ {
        let is_meant = move |place: &usize| self.open >> place & 1 == 1 && self.seqs[*place] >= since;
        (0..UPDATES_IN_FLIGHT_MAX).filter(is_meant).map(move |place| {
            let word = alias / 64;
            let is_in = word < usize::from(self.bitmap_words[place])
                && self.bitmaps[place * self.words + word] >> (alias % 64) & 1 == 1;
            let rare = if self.with_rare >> place & 1 == 1 { &self.rare[place][..] } else { &[] };
            (if is_in { self.masks[place] } else { 0 }, rare)
        })
    }

    /// The unanswered update whose place the update `seq` needs.
    pub(super) fn in_the_way_of(&self, seq: u32) -> Option<u32> {
        let place = Self::place(seq);
        (self.open >> place & 1 == 1).then(|| self.seqs[place])
    }

    /// Remembers an update. Its place must be free.
    pub(super) fn push(&mut self, seq: u32, mask: FieldMask, bitmap: &[u64], rare: &mut Vec<Sent>) {
        let place = Self::place(seq);
        debug_assert!(self.open >> place & 1 == 0, "an unanswered update must be answered for first");
        if bitmap.len() > self.words {
            self.widen(bitmap.len());
        }
        self.open |= 1 << place;
        self.seqs[place] = seq;
        self.masks[place] = mask;
        self.bitmap_words[place] = bitmap.len() as u16;
        let begin = place * self.words;
        self.bitmaps[begin..begin + bitmap.len()].copy_from_slice(bitmap);
        if !rare.is_empty() {
            self.with_rare |= 1 << place;
            std::mem::swap(&mut self.rare[place], rare);
            rare.clear();
        }
    }

    fn widen(&mut self, words: usize) {
        let mut wider = vec![0; words * UPDATES_IN_FLIGHT_MAX];
        for place in 0..UPDATES_IN_FLIGHT_MAX {
            let (old, new) = (place * self.words, place * words);
            wider[new..new + self.words].copy_from_slice(&self.bitmaps[old..old + self.words]);
        }
        self.words = words;
        self.bitmaps = wider;
    }

    /// Takes an unanswered update out. The bitmap is only copied when `with_bitmap`: a delivered update does
    /// not need it. Give it back with [`recycle`](Self::recycle).
    pub(super) fn answer(&mut self, seq: u32, with_bitmap: bool) -> Answered {
        let place = Self::place(seq);
        debug_assert!(self.open >> place & 1 == 1 && self.seqs[place] == seq);
        self.open &= !(1 << place);
        let begin = place * self.words;
        let with_rare = self.with_rare >> place & 1 == 1;
        self.with_rare &= !(1 << place);
        let words = if with_bitmap { usize::from(self.bitmap_words[place]) } else { 0 };
        Answered {
            seq,
            mask: self.masks[place],
            bitmap: self.bitmaps[begin..begin + words].to_vec(),
            rare: if with_rare { std::mem::take(&mut self.rare[place]) } else { Vec::new() },
        }
    }

    /// Keeps the memory of an answered update's list for the next one in that place.
    pub(super) fn recycle(&mut self, mut answered: Answered) {
        if answered.rare.capacity() > 0 {
            answered.rare.clear();
            self.rare[Self::place(answered.seq)] = answered.rare;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_comes_out_of_the_ring_as_it_went_in_also_after_it_grew_wider() {
        let mut ring = InFlight::default();
        let mut rare = vec![Sent::Leave(Alias(3))];
        ring.push(5, 1, &[7], &mut rare);
        ring.push(6, 2, &[8, 9], &mut rare);
        assert_eq!(ring.in_the_way_of(37), Some(5));
        assert_eq!(ring.in_the_way_of(36), None);
        let five = ring.answer(5, true);
        assert_eq!(
            (five.mask, &five.bitmap[..], &five.rare[..]),
            (1, &[7][..], &[Sent::Leave(Alias(3))][..])
        );
        ring.recycle(five);
        let six = ring.answer(6, true);
        assert_eq!((six.mask, &six.bitmap[..], six.rare.len()), (2, &[8, 9][..], 0));
        assert!(ring.is_empty());
    }

    #[test]
    fn fields_sent_behind_one_another_are_one_note_as_long_as_they_are_of_one_component_of_one_entity() {
        let key = |(component, field)| FieldKey { component, field };
        let sent = [(3, (0, 1)), (3, (0, 63)), (3, (1, 1)), (4, (1, 2)), (4, (1, 0)), (3, (1, 5))];
        let mut rare = Vec::new();
        for (alias, field) in sent {
            Sent::note_shown(&mut rare, Alias(alias), key(field));
        }
        assert_eq!(rare.len(), 4);
        let mut noted: Vec<(u16, FieldKey)> = Vec::new();
        for sent in &rare {
            let Sent::Shown(alias, component, fields) = *sent else { panic!("nothing else was noted") };
            noted.extend(Sent::keys(component, fields).map(|key| (alias.0, key)));
        }
        let mut expected = sent.map(|(alias, field)| (alias, key(field)));
        noted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(noted, expected, "nothing is lost and nothing is added");
    }
}
