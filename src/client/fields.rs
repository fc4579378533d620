//! The fields of what is in view, for people: by what the schema says of them, whatever game it is.

use std::fmt::Write;

use glam::{Vec2, Vec3};
use serde::de::DeserializeOwned;

use crate::replication::field::{FieldSpec, FieldWire, prefixed_payload, take};

/// Longest text that is printed whole.
const TEXT_CHARS_MAX: usize = 200;

/// A field's value from its wire bytes: typed where the schema names a simple type, else the bytes; `hidden` where this
/// client is not told it.
#[must_use]
pub fn print_field(spec: &FieldSpec, bytes: &[u8]) -> String {
    typed(spec, bytes).unwrap_or_else(|| {
        let mut text = String::from("0x");
        for byte in bytes.iter().take(TEXT_CHARS_MAX / 2) {
            write!(text, "{byte:02x}").expect("writing into memory");
        }
        text
    })
}

#[expect(clippy::disallowed_methods, reason = "digits for people to read")]
fn typed(spec: &FieldSpec, bytes: &[u8]) -> Option<String> {
    let bytes = match spec.wire {
        FieldWire::Prefixed => match prefixed_payload(bytes).ok()? {
            Some(payload) => payload,
            None => return Some("hidden".into()),
        },
        FieldWire::Fixed(_) | FieldWire::Varint => bytes,
    };
    if spec.nested.is_some() {
        return None;
    }
    // What was committed travels as what it is.
    let settled = spec.type_name.strip_prefix("Settled<").and_then(|name| name.strip_suffix('>'));
    let type_name = settled.unwrap_or(spec.type_name);
    if let Some(precision) = spec.precision {
        if !["f32", "f64"].contains(&type_name) {
            return None;
        }
        let value = f64::from(read::<i32>(bytes)?) * f64::from(precision);
        let decimals = (0..9).find(|&digits| f64::from(precision) * 10f64.powi(digits) > 0.999).unwrap_or(9);
        return Some(format!("{value:.*}", decimals as usize));
    }
    match type_name {
        "String" => read::<String>(bytes).map(|text| format!("{:?}", clean(&text))),
        "Vec2" => read::<Vec2>(bytes).map(|value| format!("({}, {})", value.x, value.y)),
        "Vec3" => read::<Vec3>(bytes).map(|value| format!("({}, {}, {})", value.x, value.y, value.z)),
        "bool" => read::<bool>(bytes).map(|value| value.to_string()),
        "u8" => read::<u8>(bytes).map(|value| value.to_string()),
        "i8" => read::<i8>(bytes).map(|value| value.to_string()),
        "u16" | "u32" | "u64" | "usize" => read::<u64>(bytes).map(|value| value.to_string()),
        "i16" | "i32" | "i64" | "isize" => read::<i64>(bytes).map(|value| value.to_string()),
        "f32" => read::<f32>(bytes).map(|value| value.to_string()),
        "f64" => read::<f64>(bytes).map(|value| value.to_string()),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    take("field", bytes).ok()
}

/// Text of somebody else's making, fit for a terminal: without control characters, and not without end.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean: String =
        text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caravan::{Caravan, Walker};
    use crate::replication::Replicate;
    use crate::replication::field::{FieldWriter, sent_fields};

    fn printed<C: Replicate>(value: &C) -> Vec<String> {
        let mut writer = FieldWriter::default();
        value.encode_sent(&mut writer);
        let mut begin = 0;
        sent_fields::<C>()
            .zip(&writer.ends)
            .map(|(spec, &end)| {
                let bytes = &writer.bytes[begin..usize::from(end)];
                begin = usize::from(end);
                format!("{} = {}", spec.name, print_field(spec, bytes))
            })
            .collect()
    }

    #[test]
    fn fields_are_printed_by_their_types() {
        let caravan =
            Caravan { name: "Caravan 7".into(), destination: 300, speed_m_s: 2.5, ..Caravan::default() };
        let caravan = printed(&Caravan { purse: 777, ..caravan });
        assert_eq!(caravan[..3], ["name = \"Caravan 7\"", "destination = 300", "speed_m_s = 2.50"]);
        assert_eq!(caravan[4], "purse = 700", "what is told of it");
        let walker = Walker { heading: -1.25, name: "a\x1b[2J".into(), ..Walker::default() };
        let printed = printed(&walker);
        assert_eq!(printed[1], "heading = -1.25");
        assert_eq!(printed[0], "name = \"a?[2J\"", "nobody writes to another's terminal");
    }

    #[test]
    fn what_is_no_value_of_the_type_is_printed_as_bytes() {
        let spec = sent_fields::<Caravan>().nth(1).expect("the destination");
        assert_eq!(print_field(spec, &[255, 1]), "0xff01");
    }
}
