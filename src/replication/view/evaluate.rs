//! Evaluating the fields of special entities for one viewer: one, all of them, and what fits a record.

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{NetId, Row};
use crate::replication::field::put_prefixed;
use crate::replication::layouts::LayoutField;
use crate::replication::mask::{FIELD_FIRST, FieldMask};
use crate::replication::policy::Depends;
use crate::replication::rows::Rows;

use super::held::{Held, ShownField, ShownFields, WholeScratch};
use super::personal::{Look, PersonalSource};

/// Evaluates one field for the viewer, who sees the rows `seen`, and appends its wire bytes to the arena.
pub(super) fn evaluate(
    rows: &Rows,
    seen: &[Row],
    source: &dyn PersonalSource,
    row: Row,
    bit: u32,
    shown: &mut ShownFields,
) -> ShownField {
    let LayoutField { key, personal, prefixed } = rows.layout(row).fields()[(bit - FIELD_FIRST) as usize];
    let begin = shown.bytes.len();
    let mut reads = Depends::default();
    let sees = |net_id: NetId| rows.row(net_id).is_some_and(|row| seen.contains(&row));
    let blank = |bytes: &mut [u8], at: usize| {
        let (name, _) = bytes[at..].split_first_chunk_mut::<8>().expect("a name is eight bytes");
        if !sees(NetId(u64::from_le_bytes(*name))) {
            *name = NetId::WORLD.0.to_le_bytes();
        }
    };
    if personal {
        let value = &mut shown.value;
        value.bytes.clear();
        value.ids.clear();
        (value.reads, value.oversized) = (Depends::default(), false);
        if source.show(row, key, value, &sees) {
            put_prefixed(&mut shown.bytes, Some(&value.bytes));
            let payload = shown.bytes.len() - value.bytes.len();
            for &at in &value.ids {
                blank(&mut shown.bytes, payload + usize::from(at));
                reads |= Depends::NAMED_IDS;
            }
        } else {
            put_prefixed(&mut shown.bytes, None);
        }
        reads |= value.reads;
        shown.oversized += u64::from(value.oversized);
    } else {
        let encoded = &rows.encoded[row.index()];
        shown.bytes.extend_from_slice(encoded.field(bit));
        for at in encoded.ids_in(bit) {
            blank(&mut shown.bytes, begin + at);
            reads |= Depends::NAMED_IDS;
        }
    }
    let end = shown.bytes.len();
    ShownField {
        alias: 0,
        bit: bit as u8,
        key,
        begin: begin as u32,
        end: end as u32,
        hash: xxh3_64(&shown.bytes[begin..end]),
        reads,
        can_be_absent: prefixed,
        left_out: false,
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
        if held.field(now.key).is_some_and(|last| last.known && last.hash == now.hash) {
            held.set(now);
            continue;
        }
        held.forget(now.key);
        let begin = shown.bytes.len() as u32;
        shown.bytes.extend_from_slice(&whole.shown.bytes[now.begin as usize..now.end as usize]);
        let end = shown.bytes.len() as u32;
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
    for (bit, field) in (FIELD_FIRST..).zip(rows.layout(row).fields()) {
        if components >> field.key.component & 1 == 1 {
            let shown = evaluate(rows, seen, source, row, bit, &mut whole.shown);
            whole.shown.fields.push(shown);
        }
    }
    whole.cut();
}
