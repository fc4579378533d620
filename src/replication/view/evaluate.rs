//! Evaluating the fields of special entities for one viewer: some, all of them, and what fits a record.

use crate::ids::{NetId, Row};
use crate::replication::layouts::LayoutField;
use crate::replication::mask::{FIELD_FIRST, FieldMask};
use crate::replication::policy::Depends;
use crate::replication::rows::Rows;

use super::held::{Held, ShownField, ShownFields, WholeScratch};
use super::personal::{Look, PersonalSource};
use super::personal_values::PersonalValues;

/// Evaluates fields for the viewer, who sees the rows `seen`: their wire bytes are appended to the arena, and `each` is told
/// in the order of their bits what became of them.
#[inline]
pub(super) fn evaluate(
    rows: &Rows,
    seen: &[Row],
    source: &dyn PersonalSource,
    row: Row,
    mut asked: FieldMask,
    shown: &mut ShownFields,
    mut each: impl FnMut(ShownField, &mut ShownFields),
) {
    let layout = rows.layout(row).fields();
    let sees = |net_id: NetId| rows.row(net_id).is_some_and(|row| seen.contains(&row));
    let blank = |bytes: &mut [u8], at: usize| {
        let (name, _) = bytes[at..].split_first_chunk_mut::<8>().expect("a name is eight bytes");
        if !sees(NetId(u64::from_le_bytes(*name))) {
            *name = NetId::WORLD.0.to_le_bytes();
        }
    };
    while asked != 0 {
        let bit = asked.trailing_zeros();
        let LayoutField { key, personal, together, .. } = layout[(bit - FIELD_FIRST) as usize];
        let wanted = asked & together;
        asked &= !together;
        let mut reads = Depends::default();
        if !personal {
            let (begin, encoded) = (shown.values.bytes.len(), &rows.encoded[row.index()]);
            shown.values.bytes.extend_from_slice(encoded.field(bit));
            for at in encoded.ids_in(bit) {
                blank(&mut shown.values.bytes, begin + at);
                reads |= Depends::NAMED_IDS;
            }
            let wire = (begin as u32, shown.values.bytes.len() as u32);
            each(ShownField::of(&shown.values.bytes, bit, layout, wire, reads), shown);
            continue;
        }
        let first = bit - u32::from(key.field);
        source.show(row, usize::from(key.component), wanted >> first, &mut shown.values, &sees);
        debug_assert_eq!(shown.values.fields.len(), wanted.count_ones() as usize, "all that was wanted");
        for place in 0..shown.values.fields.len() {
            let PersonalValues { bytes, ids, fields } = &mut shown.values;
            let value = fields[place];
            let mut reads = value.reads;
            for at in value.names(ids) {
                blank(bytes, at);
                reads |= Depends::NAMED_IDS;
            }
            shown.oversized += u64::from(value.shown.is_oversized());
            let bit = first + u32::from(value.field);
            each(ShownField::of(&shown.values.bytes, bit, layout, value.wire(), reads), shown);
        }
        shown.values.forget_fields();
    }
}

/// The fields to be told of an entity of which the viewer may see more than a record takes: what fits now follows from
/// all of it.
pub(super) fn personalise_cut(
    rows: &Rows,
    seen: &[Row],
    look: &Look<'_>,
    alias: usize,
    held: &mut Held,
    shown: &mut ShownFields,
    whole: &mut WholeScratch,
) -> FieldMask {
    evaluate_all(rows, seen, look.source, seen[alias], held.components, whole);
    held.is_cut = whole.is_cut();
    let mut pending = 0;
    for now in &whole.shown.fields {
        if held.field(now.key).is_some_and(|last| last.known == Some(now.hash)) {
            held.set(now);
            continue;
        }
        held.forget(now.key);
        let begin = shown.values.bytes.len() as u32;
        shown.values.bytes.extend_from_slice(whole.shown.bytes_of(now));
        let end = shown.values.bytes.len() as u32;
        pending |= 1 << now.bit;
        shown.push(ShownField { alias: alias as u16, begin, end, ..*now });
    }
    pending
}

/// Evaluates all fields of the components that the viewer sees, and leaves out what does not fit a record.
pub(super) fn evaluate_all(
    rows: &Rows,
    seen: &[Row],
    source: &dyn PersonalSource,
    row: Row,
    components: u64,
    whole: &mut WholeScratch,
) {
    whole.shown.clear();
    let asked = rows.layout(row).bits_of(components);
    evaluate(rows, seen, source, row, asked, &mut whole.shown, |now, shown| shown.fields.push(now));
    whole.cut();
}
