//! What SQLite itself finds: pages, indexes, the rules of tables, and references.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Mend;
use super::rows::{Columns, quoted, told};
use super::{Look, ProblemKind};

/// Most lines that SQLite is asked for.
const LINES_MAX: u32 = 200;

/// What a line of SQLite's is about.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// A row of this table is against its rules.
    Rule(&'a str),
    /// This index is not what its table is; whether the table is all right.
    Index(&'a str, bool),
    /// Anything else: the file is damaged.
    Damage,
}

fn read(line: &str) -> Line<'_> {
    if let Some(table) = line.strip_prefix("CHECK constraint failed in ") {
        return Line::Rule(table);
    }
    if let Some((_, place)) = line.split_once(" value in ") {
        return Line::Rule(place.rsplit_once('.').map_or(place, |(table, _)| table));
    }
    if let Some((what, index)) = line.rsplit_once("index ") {
        let of_table = what.starts_with("row ") || what.starts_with("wrong # of entries");
        if of_table || what.starts_with("non-unique entry") || what.starts_with("rowid not at end") {
            return Line::Index(index, of_table);
        }
    }
    Line::Damage
}

impl Look<'_> {
    /// Asks SQLite, and names each row that it only hints at.
    pub(super) fn integrity(&mut self) -> rusqlite::Result<()> {
        self.begin("checking pages, indexes and rules")?;
        let connection = self.connection;
        let lines: Vec<String> = connection
            .prepare(&format!("PRAGMA integrity_check({LINES_MAX})"))?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut rules: BTreeMap<&str, &str> = BTreeMap::new();
        let mut indexes: BTreeMap<&str, (&str, bool, u32)> = BTreeMap::new();
        for line in lines.iter().filter(|line| *line != "ok") {
            match read(line) {
                Line::Rule(table) => drop(rules.entry(table).or_insert(line)),
                Line::Index(index, of_table) => {
                    let known = indexes.entry(index).or_insert((line, true, 0));
                    known.1 &= of_table;
                    known.2 += 1;
                }
                Line::Damage => {
                    for part in line.lines().filter(|part| !part.starts_with("***")) {
                        self.findings.add(ProblemKind::Integrity, "", "", part.to_owned());
                    }
                }
            }
        }
        for (index, (first, can_be_mended, count)) in indexes {
            let table: String = connection
                .query_row("SELECT tbl_name FROM sqlite_schema WHERE name = ?1", [index], |row| row.get(0))
                .unwrap_or_default();
            let mend = can_be_mended.then(|| Mend::Reindex { index: index.to_owned() });
            let more = if count > 1 { format!(", and {} like it", count - 1) } else { String::new() };
            self.findings.add_with(
                ProblemKind::Index,
                &table,
                &format!("index={index}"),
                format!("{first}{more}"),
                mend,
            );
        }
        for (table, line) in rules {
            // What the walk does not find either was found in an index of the table, or is gone.
            if !self.forbidden_rows(table)? {
                self.findings.add(ProblemKind::Constraint, table, "", line.to_owned());
            }
        }
        Ok(())
    }

    /// Names every row that refers to one which does not exist.
    pub(super) fn references(&mut self) -> rusqlite::Result<()> {
        self.begin("checking references")?;
        let connection = self.connection;
        let tables: BTreeSet<String> = connection
            .prepare("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for table in tables {
            let mut sql = connection.prepare(
                "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
            )?;
            // By reference: its parent, and the pairs of columns.
            let mut references: BTreeMap<i64, (String, Vec<(String, Option<String>)>)> = BTreeMap::new();
            let mut rows = sql.query([&table])?;
            while let Some(row) = rows.next()? {
                let reference = references.entry(row.get(0)?).or_insert((row.get(1)?, Vec::new()));
                reference.1.push((row.get(2)?, row.get(3)?));
            }
            for (parent, pairs) in references.into_values() {
                self.orphans(&table, &parent, &pairs)?;
            }
        }
        Ok(())
    }

    fn orphans(
        &mut self,
        table: &str,
        parent: &str,
        pairs: &[(String, Option<String>)],
    ) -> rusqlite::Result<()> {
        let connection = self.connection;
        let columns = Columns::of(connection, table)?;
        let of_parent: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
            .query_map([parent], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let (mut filled, mut same) = (Vec::new(), Vec::new());
        for (at, (from, to)) in pairs.iter().enumerate() {
            let Some(to) = to.as_ref().or_else(|| of_parent.get(at)) else { return Ok(()) };
            filled.push(format!("child.{} IS NOT NULL", quoted(from)));
            same.push(format!("parent.{} = child.{}", quoted(to), quoted(from)));
        }
        let mut sql = connection.prepare(&format!(
            "SELECT {} FROM {} AS child WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS parent WHERE {})",
            columns.selected("child"),
            quoted(table),
            filled.join(" AND "),
            quoted(parent),
            same.join(" AND "),
        ))?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let mut leads = Vec::new();
            for (from, _) in pairs {
                let at = columns.all.iter().position(|name| name == from).unwrap_or(0);
                leads.push(format!("{from}={}", told(&row.get(at)?)));
            }
            let detail = format!("{} leads to nothing in {parent}", leads.join(" "));
            self.findings.add(ProblemKind::Orphan, table, &columns.key(row)?, detail);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sqlite_are_understood() {
        for (line, expected) in [
            ("CHECK constraint failed in game_shop_stock", Line::Rule("game_shop_stock")),
            ("NULL value in claim.tick", Line::Rule("claim")),
            ("non-INTEGER value in holding.amount", Line::Rule("holding")),
            ("row 3 missing from index claim_key", Line::Index("claim_key", true)),
            ("wrong # of entries in index outbox_next", Line::Index("outbox_next", true)),
            ("non-unique entry in index claim_key", Line::Index("claim_key", false)),
            ("Tree 5 page 9: btreeInitPage() returns error code 11", Line::Damage),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
