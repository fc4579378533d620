//! Which field each bit of a row's mask is, worked out once for every set of components that occurs.

use rustc_hash::FxHashMap;

use crate::ids::Row;

use super::field::FieldWire;
use super::mask::{FIELD_FIRST, FieldMask};
use super::schema::Schema;
use super::urgency::Urgency;

/// Names a field of an entity whatever other components it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldKey {
    /// The component's index in the schema.
    pub component: u8,
    /// The field's index among the component's sent fields.
    pub field: u8,
}

/// One of an entity's own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutField {
    /// Which.
    pub key: FieldKey,
    /// Whether it is evaluated for each viewer.
    pub personal: bool,
    /// Whether it has a length in front, and can be absent.
    pub prefixed: bool,
    /// The bits of the personal fields of its component that stand around it without another between them, which are
    /// evaluated in one go; its own alone, if it is none.
    pub together: FieldMask,
}

/// The own fields of one set of components; the *i*-th has the bit [`FIELD_FIRST`] + *i*.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    components: u64,
    fields: Vec<LayoutField>,
    /// The bits of each component whose changes are more urgent than usual.
    urgent: Vec<(FieldMask, Urgency)>,
}

impl Layout {
    fn of(schema: &Schema, components: u64) -> Self {
        let fields = schema.fields_of(components).map(|(component, field, spec)| LayoutField {
            key: FieldKey { component: component as u8, field: field as u8 },
            personal: spec.personal,
            prefixed: spec.wire == FieldWire::Prefixed,
            together: 0,
        });
        let mut layout = Self { components, fields: fields.collect(), urgent: Vec::new() };
        let mut first = FIELD_FIRST as usize;
        let is_one_run =
            |a: &LayoutField, b: &LayoutField| a.personal && b.personal && a.key.component == b.key.component;
        for run in layout.fields.chunk_by_mut(is_one_run) {
            let together = ((1 << run.len()) - 1) << first;
            first += run.len();
            run.iter_mut().for_each(|field| field.together = together);
        }
        for (component, of) in schema.components.iter().enumerate() {
            let bits = layout.bits_of(components & 1 << component);
            if of.urgency != Urgency::USUAL && bits != 0 {
                layout.urgent.push((bits, of.urgency));
            }
        }
        layout
    }

    /// The fields, in the order of their bits.
    #[must_use]
    pub fn fields(&self) -> &[LayoutField] {
        &self.fields
    }

    /// The bit of a field, if an entity with these components has it.
    #[must_use]
    pub fn bit_of(&self, key: FieldKey) -> Option<u32> {
        let place = self.fields.iter().position(|field| field.key == key)?;
        Some(FIELD_FIRST + place as u32)
    }

    /// How urgent it is that these fields are told.
    #[must_use]
    pub fn urgency_of(&self, fields: FieldMask) -> Urgency {
        let of = self.urgent.iter().filter(|(bits, _)| bits & fields != 0);
        of.fold(Urgency::USUAL, |all, &(_, urgency)| all.and(urgency))
    }

    /// The bits of the fields of these components.
    #[must_use]
    pub fn bits_of(&self, components: u64) -> FieldMask {
        let is_in = |field: &LayoutField| FieldMask::from(components >> field.key.component & 1 == 1);
        (FIELD_FIRST..).zip(&self.fields).fold(0, |mask, (bit, field)| mask | is_in(field) << bit)
    }
}

/// The layouts of all rows.
#[derive(Debug)]
pub(super) struct Layouts {
    layouts: Vec<Layout>,
    by_components: FxHashMap<u64, u32>,
    of_row: Vec<u32>,
}

impl Default for Layouts {
    fn default() -> Self {
        Self {
            layouts: vec![Layout::default()],
            by_components: [(0, 0)].into_iter().collect(),
            of_row: Vec::new(),
        }
    }
}

impl Layouts {
    /// Notes which components a row has.
    #[inline]
    pub(super) fn note(&mut self, schema: &Schema, row: Row, components: u64) {
        let index = row.index();
        if self.of_row.len() <= index {
            self.of_row.resize(index + 1, 0);
        }
        if self.layouts[self.of_row[index] as usize].components == components {
            return;
        }
        let Self { layouts, by_components, of_row } = self;
        of_row[index] = *by_components.entry(components).or_insert_with(|| {
            layouts.push(Layout::of(schema, components));
            layouts.len() as u32 - 1
        });
    }

    /// The layout of a row that was noted.
    #[inline]
    pub(super) fn of(&self, row: Row) -> &Layout {
        &self.layouts[self.of_row.get(row.index()).map_or(0, |&layout| layout as usize)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::field::FieldSpec;
    use crate::replication::policy::ComponentPolicy;
    use crate::replication::schema::ComponentSchema;

    #[test]
    fn personal_fields_of_a_component_are_together_as_far_as_no_other_stands_between_them() {
        let field = |&personal: &bool| FieldSpec {
            personal,
            ..FieldSpec::broadcast("field", "u32", FieldWire::Prefixed, 4)
        };
        let component = |personal: &[bool]| ComponentSchema {
            name: "Component",
            policy: ComponentPolicy::Everyone,
            urgency: Urgency::USUAL,
            fields: &[],
            sent: personal.iter().map(field).collect(),
        };
        let components = vec![
            component(&[true, true, false, true]),
            component(&[true, false]),
            component(&[false, false]),
        ];
        let layout = Layout::of(&Schema { components, ..Schema::default() }, 0b111);
        let together: Vec<FieldMask> =
            layout.fields().iter().map(|field| field.together >> FIELD_FIRST).collect();
        assert_eq!(together, [0b11, 0b11, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7]);
    }
}
