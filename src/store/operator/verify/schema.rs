//! Whether the file has the tables, indexes and triggers that this program makes, and no others.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::findings::Mend;
use super::{Look, ProblemKind};
use crate::store::schema::{MIGRATIONS, migrate};

/// By sort and name: the table it is of, and the SQL that made it.
type Made = BTreeMap<(String, String), (String, String)>;

fn made(connection: &Connection) -> rusqlite::Result<Made> {
    // What SQLite makes itself has no SQL.
    connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?
        .collect()
}

/// Whether it is of a game's plugin.
fn is_of_a_game(table: &str) -> bool {
    table.strip_prefix("game_").is_some_and(|rest| rest.contains('_'))
}

impl Look<'_> {
    /// Compares what made the file with what this program would make.
    pub(super) fn schema(&mut self) -> rusqlite::Result<()> {
        self.begin("comparing the schema")?;
        let mut other = Connection::open_in_memory()?;
        migrate(&mut other, Path::new(":memory:"), 0, MIGRATIONS).expect("the schema is sound");
        let (expected, found) = (made(&other)?, made(self.connection)?);
        for ((sort, name), (table, sql)) in &expected {
            let key = (sort.clone(), name.clone());
            let what = match found.get(&key) {
                Some((_, there)) if there == sql => continue,
                Some(_) => "is another one than this program makes",
                None => "is missing",
            };
            // A table cannot be made anew with what was in it.
            let mend = (sort != "table").then(|| {
                let (sort, name) = key;
                Mend::Make { sort, name, sql: sql.clone() }
            });
            let detail = format!("the {sort} {name} {what}");
            self.findings.add_with(ProblemKind::Schema, table, &format!("{sort}={name}"), detail, mend);
        }
        for ((sort, name), (table, _)) in &found {
            if !expected.contains_key(&(sort.clone(), name.clone())) && !is_of_a_game(table) {
                let detail = format!("the {sort} {name} is neither this program's nor a game's");
                self.findings.add(ProblemKind::Schema, table, &format!("{sort}={name}"), detail);
            }
        }
        Ok(())
    }
}
