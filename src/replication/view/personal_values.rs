//! Personal fields as one viewer may see them, in wire form.

use crate::replication::field::{ABSENT, put_prefix_before};
use crate::replication::mask::bits;
use crate::replication::policy::{Depends, Shown, Viewing};

/// Evaluated fields of one component. They are appended in wire form to the bytes of whoever asks, which saves a copy of
/// each.
#[derive(Clone, Debug, Default)]
pub struct PersonalValues {
    /// Wire bytes, those of one field behind those of another. What was there before stays.
    pub bytes: Vec<u8>,
    /// Places of names of entities, each in the payload of its field.
    pub ids: Vec<u16>,
    /// What was evaluated.
    pub fields: Vec<PersonalValue>,
}

/// One evaluated field.
#[derive(Clone, Copy, Debug)]
pub struct PersonalValue {
    /// Its number among the component's sent fields.
    pub field: u8,
    /// What became of it.
    pub shown: Shown,
    /// What the policies looked at.
    pub reads: Depends,
    /// Where in the bytes it begins, its payload begins, and it ends.
    begin: u32,
    payload: u32,
    end: u32,
    /// Where in the places its own begin and end.
    ids: (u32, u32),
}

impl PersonalValue {
    /// Where in the bytes its wire form begins and ends.
    pub(super) fn wire(&self) -> (u32, u32) {
        (self.begin, self.end)
    }

    /// Where in the bytes names of entities stand in it, of all places.
    pub(super) fn names(self, ids: &[u16]) -> impl Iterator<Item = usize> + '_ {
        let payload = self.payload as usize;
        let own = &ids[self.ids.0 as usize..self.ids.1 as usize];
        own.iter().map(move |&at| payload + usize::from(at))
    }
}

impl PersonalValues {
    /// Appends a field whose payload, and the places of names in it, `encode` appends; the `viewing` notes what that
    /// depends on.
    #[inline]
    pub fn show(
        &mut self,
        field: u32,
        viewing: &Viewing<'_>,
        encode: impl FnOnce(&mut Vec<u8>, &mut Vec<u16>) -> Shown,
    ) {
        let (begin, first_id) = (self.bytes.len(), self.ids.len());
        // Nearly all lengths are one byte: there is room for it, and others make more.
        self.bytes.push(ABSENT);
        let shown = encode(&mut self.bytes, &mut self.ids);
        let payload = if shown.is_visible() {
            put_prefix_before(&mut self.bytes, begin)
        } else {
            self.bytes.truncate(begin + 1);
            self.ids.truncate(first_id);
            begin + 1
        };
        self.fields.push(PersonalValue {
            field: field as u8,
            shown,
            reads: viewing.take_reads(),
            begin: begin as u32,
            payload: payload as u32,
            end: self.bytes.len() as u32,
            ids: (first_id as u32, self.ids.len() as u32),
        });
    }

    /// Appends fields that nobody may see.
    pub fn hide(&mut self, wanted: u64) {
        for field in bits(wanted) {
            let (begin, id) = (self.bytes.len() as u32, self.ids.len() as u32);
            self.bytes.push(ABSENT);
            let (shown, reads) = (Shown::Hidden, Depends::NONE);
            self.fields.push(PersonalValue {
                field: field as u8,
                shown,
                reads,
                begin,
                payload: begin + 1,
                end: begin + 1,
                ids: (id, id),
            });
        }
    }

    /// The payload of a field, which is empty when it is hidden.
    #[must_use]
    pub fn payload_of(&self, value: &PersonalValue) -> &[u8] {
        &self.bytes[value.payload as usize..value.end as usize]
    }

    /// Where in the bytes names of entities stand in a field.
    pub fn names_in(&self, value: &PersonalValue) -> impl Iterator<Item = usize> + '_ {
        value.names(&self.ids)
    }

    /// Forgets which fields there are; their bytes stay.
    pub(super) fn forget_fields(&mut self) {
        self.ids.clear();
        self.fields.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ids::{NetId, PlayerId, Role};
    use crate::replication::field::put_prefixed;
    use crate::replication::policy::{Subject, ViewerContext};

    #[test]
    fn values_stand_behind_one_another_as_if_each_had_been_written_with_its_length_first() {
        let viewer = ViewerContext::new(PlayerId::new("ann").expect("a short name"), Role::Player);
        let (subject, reads) = (Subject::default(), Cell::new(Depends::NONE));
        let viewing = Viewing::new(&viewer, NetId(7), &subject, &reads);
        let mut values = PersonalValues { bytes: vec![9; 3], ..PersonalValues::default() };
        let mut expected = values.bytes.clone();
        let lengths = [0, 1, 249, 250, 251, 4_000];
        for (field, &length) in (0..).zip(&lengths) {
            let payload = vec![field as u8 + 1; length];
            values.show(2 * field, &viewing, |bytes, ids| {
                if field % 2 == 0 {
                    viewing.note(Depends::VIEWER_ROLE);
                }
                bytes.extend_from_slice(&payload);
                ids.push(field as u16);
                Shown::Visible
            });
            put_prefixed(&mut expected, Some(&payload));
            values.show(2 * field + 1, &viewing, |bytes, ids| {
                bytes.push(1);
                ids.push(1);
                Shown::Hidden
            });
            put_prefixed(&mut expected, None);
        }
        values.hide(1 << 40 | 1 << 50);
        expected.extend([ABSENT; 2]);
        assert_eq!(values.bytes, expected);
        assert!(values.fields.windows(2).all(|two| two[0].end == two[1].begin), "without gaps");
        let numbers: Vec<u8> = values.fields.iter().map(|value| value.field).collect();
        assert_eq!(numbers, (0..12).chain([40, 50]).collect::<Vec<u8>>());
        for (field, &length) in lengths.iter().enumerate() {
            let (shown, hidden) = (&values.fields[2 * field], &values.fields[2 * field + 1]);
            assert_eq!(values.payload_of(shown), vec![field as u8 + 1; length]);
            let names: Vec<usize> = values.names_in(shown).collect();
            assert_eq!(names, [shown.payload as usize + field], "places count from the payload");
            let asked = if field % 2 == 0 { Depends::VIEWER_ROLE } else { Depends::NONE };
            assert_eq!(shown.reads, asked, "what one field asks is not noted of the next");
            assert!(values.payload_of(hidden).is_empty() && values.names_in(hidden).next().is_none());
        }
    }
}
