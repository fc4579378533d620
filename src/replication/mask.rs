//! Which fields of an entity: one bit each.

use crate::limits::FIELDS_PER_ENTITY_MAX;

/// A set of an entity's fields.
///
/// Bits 0 and 1 are its position; from [`FIELD_FIRST`] on come its own fields, components in order of
/// registration, fields in order of declaration; the topmost two are not fields but what happened to all of them.
pub type FieldMask = u64;

/// The horizontal position.
pub const FIELD_XY: FieldMask = 1;
/// The height.
pub const FIELD_Z: FieldMask = 2;
/// The position.
pub const FIELDS_OF_PLACE: FieldMask = FIELD_XY | FIELD_Z;
/// The first bit of the entity's own fields.
pub const FIELD_FIRST: u32 = 2;
/// "What policies go by has changed": set when the entity's [`Subject`](super::policy::Subject) did.
pub const SUBJECT: FieldMask = 1 << 62;
/// "Everything, as on entering": set when the set of components changed, and for who does not hold the entity.
/// The topmost bit: as a signed number a mask with it is negative, which the loops over views rely on.
pub const RESEND: FieldMask = 1 << 63;

/// The bits of a mask, ascending.
pub(crate) fn bits(mut mask: FieldMask) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let bit = mask.trailing_zeros();
            mask &= mask - 1;
            bit
        })
    })
}

const _: () = assert!(FIELDS_PER_ENTITY_MAX < SUBJECT.trailing_zeros() as usize);
