//! From text to a game's types: what cannot be read is told by its key, taken out, and the rest read again, so that one look
//! shows all of it.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::files::{ROWS_MAX, ReferenceText};
use crate::config::{Origin, Problem, describe_syntax, excerpt, place};

/// So many things taken out are enough to see that it is another kind of file.
const STEPS_MAX: usize = 128;

/// A part of the way from the file's top to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// A row of a list, from 0, and what it is called: its id, or its number from 1.
    Row(usize, String),
}

/// Reads a text; `None` with problems when it cannot be read whole.
pub(super) fn parse<T: DeserializeOwned>(file: &ReferenceText, problems: &mut Vec<Problem>) -> Option<T> {
    let (shown, text) = (file.shown.as_str(), &*file.text);
    let whole = match DeTable::parse(text) {
        Ok(whole) => whole,
        Err(error) => {
            problems.push(describe_syntax(shown, text, &error));
            return None;
        }
    };
    let before = problems.len();
    for (name, value) in whole.get_ref() {
        if let DeValue::Array(rows) = value.get_ref()
            && rows.len() > ROWS_MAX
        {
            problems.push(Problem {
                origin: Origin::File(place(shown, text, name.span().start)),
                key: name.get_ref().to_string(),
                found: format!("{} rows", rows.len()),
                expected: format!("at most {ROWS_MAX}"),
                fix: "remove some".into(),
            });
        }
    }
    if problems.len() > before {
        return None;
    }
    let mut left = whole.clone();
    // What was told and taken out: it is not missing.
    let mut taken: Vec<Vec<Step>> = Vec::new();
    for _ in 0..STEPS_MAX {
        let error = match T::deserialize(toml::Deserializer::from(left.clone())) {
            Ok(read) if problems.len() == before => return Some(read),
            Ok(_) => return None,
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        // Rows are called by their number in the file, not by what is left of it.
        let missing = error.message().strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        // The file itself begins where its first key does.
        let is_of_file = missing.is_some() && span == whole.span();
        let way_in = |table| if is_of_file { Vec::new() } else { way_to(table, &span) };
        let (way, left_way) = (way_in(whole.get_ref()), way_in(left.get_ref()));
        let is_taken = missing.is_some_and(|missing| {
            let key = [Step::Key(missing.to_owned())];
            taken.iter().any(|taken| taken[..].strip_prefix(&way[..]) == Some(&key[..]))
        });
        if !is_taken {
            problems.push(describe(shown, text, &span, &way, error.message()));
        }
        // A row without one of its keys cannot be read: the others still can.
        let row = left_way.iter().rposition(|step| matches!(step, Step::Row(..)));
        let end = if missing.is_some() { row.map_or(0, |row| row + 1) } else { left_way.len() };
        if missing.is_none() {
            taken.push(way);
        }
        if !remove(left.get_mut(), &left_way[..end]) {
            return None;
        }
    }
    None
}

/// The way to the entry whose key or value the span begins in; empty when it is the file itself.
fn way_to(table: &DeTable<'_>, span: &Range<usize>) -> Vec<Step> {
    let within = |range: Range<usize>| range.contains(&span.start);
    for (name, value) in table {
        let mut way = vec![Step::Key(name.get_ref().to_string())];
        match value.get_ref() {
            DeValue::Table(inner) => {
                let deeper = way_to(inner, span);
                if !deeper.is_empty() || within(value.span()) || within(name.span()) {
                    way.extend(deeper);
                    return way;
                }
            }
            DeValue::Array(rows) => {
                for (number, row) in rows.iter().enumerate() {
                    let DeValue::Table(inner) = row.get_ref() else { continue };
                    let deeper = way_to(inner, span);
                    if !deeper.is_empty() || within(row.span()) {
                        way.push(Step::Row(number, called(inner, number)));
                        way.extend(deeper);
                        return way;
                    }
                }
                if within(value.span()) || within(name.span()) {
                    return way;
                }
            }
            _ if within(value.span()) || within(name.span()) => return way,
            _ => {}
        }
    }
    Vec::new()
}

/// What a row is called.
fn called(row: &DeTable<'_>, number: usize) -> String {
    let id = row.iter().find(|(name, _)| name.get_ref() == "id").map(|(_, value)| value.get_ref());
    match id {
        Some(DeValue::String(id)) => id.to_string(),
        _ => (number + 1).to_string(),
    }
}

/// Takes out what is at the end of the way; whether it was there.
fn remove(table: &mut DeTable<'_>, way: &[Step]) -> bool {
    let (mut table, mut way) = (table, way);
    loop {
        way = match way {
            [] => return false,
            [Step::Key(name)] => return table.remove(name.as_str()).is_some(),
            [Step::Key(name), Step::Row(number, _), rest @ ..] => {
                let Some(DeValue::Array(rows)) = table.get_mut(name.as_str()).map(Spanned::get_mut) else {
                    return false;
                };
                if rest.is_empty() {
                    if *number >= rows.len() {
                        return false;
                    }
                    let others = rows.clone().into_iter().enumerate();
                    *rows = others.filter(|(at, _)| at != number).map(|(_, row)| row).collect();
                    return true;
                }
                let Some(DeValue::Table(inner)) = rows.get_mut(*number).map(Spanned::get_mut) else {
                    return false;
                };
                table = inner;
                rest
            }
            [Step::Key(name), rest @ ..] => {
                let Some(DeValue::Table(inner)) = table.get_mut(name.as_str()).map(Spanned::get_mut) else {
                    return false;
                };
                table = inner;
                rest
            }
            [Step::Row(..), ..] => return false,
        };
    }
}

fn describe(file: &str, text: &str, span: &Range<usize>, way: &[Step], message: &str) -> Problem {
    let key: Vec<&str> = way
        .iter()
        .map(|step| match step {
            Step::Key(name) | Step::Row(_, name) => name.as_str(),
        })
        .collect();
    let origin = Origin::File(place(file, text, span.start));
    let (found, expected, fix) = if let Some(rest) = message.strip_prefix("missing field ") {
        (format!("without {rest}"), String::new(), "add it".to_owned())
    } else if let Some((_, known)) = message.strip_prefix("unknown field ").and_then(|m| m.split_once(", ")) {
        let known = known.strip_prefix("expected ").unwrap_or(known);
        ("no key of this file".to_owned(), known.to_owned(), "correct its name or remove it".to_owned())
    } else {
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| in_words(expected));
        match expected {
            Some(expected) => (excerpt(text, span), expected, "correct it".to_owned()),
            None => {
                (excerpt(text, span), String::new(), format!("correct it ({})", message.replace('\n', " ")))
            }
        }
    };
    // The keys of the file's top have no row around them.
    let key = if key.is_empty() { "the file".to_owned() } else { key.join(".") };
    Problem { origin, key, found, expected, fix }
}

/// What serde expects, in words for people.
fn in_words(expected: &str) -> String {
    match expected {
        "i64" | "u64" | "u32" | "i32" | "u16" | "u8" => "a whole number".to_owned(),
        "f32" | "f64" | "floating point" => "a number".to_owned(),
        "a string" | "string" => "a text in quotes".to_owned(),
        "a boolean" | "bool" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        other => other.to_owned(),
    }
}
