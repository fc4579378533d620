//! Rows of any table, engine's or game's: what they are called by, and which of them the table's own rules forbid.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Look, ProblemKind};

/// A table's columns, and those that a row is known by.
pub(super) struct Columns {
    pub(super) all: Vec<String>,
    /// Places in `all`; none of a table that has no primary key, whose rows are known by their numbers.
    key: Vec<usize>,
}

/// An identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Columns {
    pub(super) fn of(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        let mut sql = connection.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")?;
        let columns: Vec<(String, i64)> =
            sql.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        let mut key: Vec<(i64, usize)> = columns
            .iter()
            .enumerate()
            .filter(|(_, (_, place))| *place > 0)
            .map(|(at, (_, place))| (*place, at))
            .collect();
        key.sort_unstable();
        Ok(Self {
            all: columns.into_iter().map(|(name, _)| name).collect(),
            key: key.into_iter().map(|(_, at)| at).collect(),
        })
    }

    /// What is selected so that [`key`](Self::key) can be told, all columns first.
    pub(super) fn selected(&self, of: &str) -> String {
        let mut columns: Vec<String> = self.all.iter().map(|name| format!("{of}.{}", quoted(name))).collect();
        if self.key.is_empty() {
            columns.push(format!("{of}.rowid"));
        }
        columns.join(", ")
    }

    /// What a row is known by: `column=value`, as selected.
    pub(super) fn key(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<String> {
        if self.key.is_empty() {
            let number: i64 = row.get(self.all.len())?;
            return Ok(format!("rowid={number}"));
        }
        let mut text = String::new();
        for &at in &self.key {
            let separator = if text.is_empty() { "" } else { " " };
            text.push_str(&format!("{separator}{}={}", self.all[at], told(&row.get(at)?)));
        }
        Ok(text)
    }
}

/// A value, for people.
pub(super) fn told(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.chars().take(80).collect(),
        Value::Blob(bytes) => bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect(),
    }
}

impl Look<'_> {
    /// Names the rows that the table's own rules forbid: each is written into an empty table made by the same SQL. Tells whether there are any.
    pub(super) fn forbidden_rows(&mut self, table: &str) -> rusqlite::Result<bool> {
        let connection = self.connection;
        let sql: String = connection.query_row(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [table],
            |row| row.get(0),
        )?;
        let scratch = Connection::open_in_memory()?;
        scratch.pragma_update(None, "foreign_keys", false)?;
        scratch.execute_batch(&sql)?;
        let columns = Columns::of(connection, table)?;
        let name = quoted(table);
        let names: Vec<String> = columns.all.iter().map(|name| quoted(name)).collect();
        let places: Vec<String> = (1..=names.len()).map(|place| format!("?{place}")).collect();
        let mut write = scratch.prepare(&format!(
            "INSERT INTO {name} ({}) VALUES ({})",
            names.join(", "),
            places.join(", ")
        ))?;
        let mut empty = scratch.prepare(&format!("DELETE FROM {name}"))?;
        let mut read = connection.prepare(&format!("SELECT {} FROM {name}", columns.selected(&name)))?;
        let mut rows = read.query([])?;
        let mut found = false;
        while let Some(row) = rows.next()? {
            let values: Vec<Value> =
                (0..names.len()).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?;
            match write.execute(params_from_iter(values)) {
                Ok(_) => drop(empty.execute([])?),
                Err(error) => {
                    found = true;
                    self.findings.add(ProblemKind::Constraint, table, &columns.key(row)?, error.to_string());
                }
            }
            self.step("naming rows that must not be")?;
        }
        Ok(found)
    }
}
