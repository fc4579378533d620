//! The rules that most reference data keep. Every one tells file, line and key of what broke it, what was expected, what to do.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use serde::de::DeserializeOwned;
use toml::Spanned;

use super::files::ReferenceText;
use super::{cycle, parse};
use crate::config::{Origin, Problem, place};

/// Most bytes of an id.
const ID_BYTES_MAX: usize = 40;

/// Checks one file, and collects all that is wrong with it.
#[derive(Debug)]
#[must_use = "what it collects is told by `finish`"]
pub struct Checker<'a> {
    text: &'a ReferenceText,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn of(text: &'a ReferenceText) -> Self {
        Self { text, problems: Vec::new() }
    }

    /// Reads the file into a type of serde's; `None` when it cannot be, which is told. Rows that cannot be read are all told, each
    /// with one problem at least.
    pub fn parse<T: DeserializeOwned>(&mut self) -> Option<T> {
        parse::parse(self.text, &mut self.problems)
    }

    /// Something else is wrong at this place.
    pub fn wrong<T>(
        &mut self,
        at: &Spanned<T>,
        key: &str,
        found: impl Display,
        expected: impl Display,
        fix: impl Display,
    ) {
        self.wrong_at(at.span(), key, found, expected, fix);
    }

    /// Something is wrong with these bytes of the file.
    pub fn wrong_at(
        &mut self,
        at: Range<usize>,
        key: &str,
        found: impl Display,
        expected: impl Display,
        fix: impl Display,
    ) {
        self.problems.push(Problem {
            origin: Origin::File(place(&self.text.shown, &self.text.text, at.start)),
            key: key.to_owned(),
            found: found.to_string(),
            expected: expected.to_string(),
            fix: fix.to_string(),
        });
    }

    /// A whole number of this range. One that is not is told, and brought into it, so that the checks that follow do not complain
    /// about the same slip again.
    pub fn whole(&mut self, key: &str, number: &Spanned<i64>, range: RangeInclusive<i64>) -> i64 {
        let found = *number.get_ref();
        if !range.contains(&found) {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong(number, key, found, expected, "correct it");
        }
        found.clamp(*range.start(), *range.end())
    }

    /// A number that is not more than another one.
    pub fn at_most(&mut self, key: &str, number: &Spanned<i64>, other_key: &str, other: i64) {
        if *number.get_ref() > other {
            let expected = format!("at most `{other_key}`, {other}");
            self.wrong(number, key, number.get_ref(), expected, "lower it, or raise the other");
        }
    }

    /// A text for people: not empty, of at most so many bytes, on one line.
    pub fn words(&mut self, key: &str, text: &Spanned<String>, bytes_max: usize) {
        let is_fit = |text: &str| !text.trim().is_empty() && text.len() <= bytes_max;
        if !is_fit(text.get_ref()) || text.get_ref().chars().any(char::is_control) {
            let expected = format!("1 to {bytes_max} bytes of text on one line");
            self.wrong(text, key, format_args!("{:?}", text.get_ref()), expected, "correct it");
        }
    }

    /// The ids of a list: there is one at least, each is made of lower-case letters, digits, `_` and `-`, and none is there twice.
    pub fn ids<'n>(&mut self, list: &str, ids: impl IntoIterator<Item = &'n Spanned<String>>) {
        let mut lines = BTreeMap::<&str, u32>::new();
        for id in ids {
            let name = id.get_ref().as_str();
            let is_fit =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
            if !(1..=ID_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_fit) {
                let expected = format!(
                    "1 to {ID_BYTES_MAX} lower-case letters, digits, `_` or `-`, which the save keeps"
                );
                self.wrong(id, &format!("{list}.id"), format_args!("{name:?}"), expected, "correct it");
            }
            let line = place(&self.text.shown, &self.text.text, id.span().start).line;
            if let Some(first) = lines.get(name) {
                let found = format!("there twice, first in line {first}");
                let key = format!("{list}.{name}");
                self.wrong(id, &key, found, format!("one {list} of each id"), "rename one or remove it");
            } else {
                lines.insert(name, line);
            }
        }
        self.filled(list, lines.len());
    }

    /// A list that must not be empty, unless it could not be read.
    pub fn filled(&mut self, list: &str, length: usize) {
        if length == 0 && self.problems.is_empty() {
            let expected = format!("at least one [[{list}]]");
            self.wrong_at(0..0, list, "empty", expected, "add one");
        }
    }

    /// What a name stands for; one that stands for nothing is told, with those that there are. `what`: what it should name.
    pub fn known<T>(
        &mut self,
        key: &str,
        name: &Spanned<String>,
        what: &str,
        found: Option<T>,
        all: impl IntoIterator<Item = impl Display>,
    ) -> Option<T> {
        const TOLD_MAX: usize = 12;
        if found.is_none() {
            let mut all: Vec<String> = all.into_iter().map(|name| name.to_string()).collect();
            if all.len() > TOLD_MAX {
                all.truncate(TOLD_MAX);
                all.push("…".to_owned());
            }
            let expected = format!("{what}: {}", all.join(", "));
            let there = format_args!("{:?}, which there is not", name.get_ref()).to_string();
            self.wrong(name, key, there, expected, "correct the name, or add what it names");
        }
        found
    }

    /// Nothing leads back to itself. Each step is (from, to, where it stands); `key` names the key of the row it stands in.
    pub fn no_cycle<'n>(
        &mut self,
        key: impl Fn(&str) -> String,
        steps: impl IntoIterator<Item = (&'n str, &'n Spanned<String>)>,
    ) {
        let steps: Vec<(&str, &Spanned<String>)> = steps.into_iter().collect();
        let bare: Vec<(&str, &str)> = steps.iter().map(|(from, to)| (*from, to.get_ref().as_str())).collect();
        let Some(circle) = cycle::find(&bare) else { return };
        let (from, to) = (circle[0], circle[1]);
        let step = steps.iter().find(|(a, b)| *a == from && b.get_ref() == to).expect("it is one of them");
        let found = format!("{to:?}, which leads back to it ({})", circle.join(" → "));
        self.wrong(step.1, &key(from), found, "nothing that leads back", "take one of these steps out");
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }

    /// Nothing is wrong, or everything that is.
    ///
    /// # Errors
    /// The problems, in the order of the file.
    pub fn finish(self) -> Result<(), Vec<Problem>> {
        finish_all([self])
    }
}

/// Nothing is wrong with any of these files, or everything that is.
///
/// # Errors
/// The problems, file by file, each in its order.
pub fn finish_all<'a>(checkers: impl IntoIterator<Item = Checker<'a>>) -> Result<(), Vec<Problem>> {
    let mut all = Vec::new();
    for mut checker in checkers {
        checker.problems.sort_by_key(|problem| match &problem.origin {
            Origin::File(place) => (place.line, place.column),
            _ => (0, 0),
        });
        all.append(&mut checker.problems);
    }
    if all.is_empty() { Ok(()) } else { Err(all) }
}
