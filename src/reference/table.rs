//! Reference data as rows: for the tables of a save, and for export.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// All rows of one kind, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceTable {
    kind: &'static str,
    rows: BTreeMap<String, Value>,
}

impl ReferenceTable {
    /// A table without rows. Its kind is a word: it names a file of an export.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self { kind, rows: BTreeMap::new() }
    }

    /// With one more row.
    ///
    /// # Panics
    /// When there is one of this name, or the value has no form in JSON: the game has checked its data before.
    #[must_use]
    pub fn row(mut self, name: &str, value: &impl Serialize) -> Self {
        let json =
            serde_json::to_value(value).unwrap_or_else(|error| panic!("{} {name}: {error}", self.kind));
        let before = self.rows.insert(name.to_owned(), json);
        assert!(before.is_none(), "{} {name} is there twice", self.kind);
        self
    }

    /// What its rows are.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its rows, by name.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.rows.iter().map(|(name, row)| (name.as_str(), row))
    }
}
