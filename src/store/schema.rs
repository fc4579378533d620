//! The tables, as numbered steps. A step that was once released is never edited: another one follows it.

mod value;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use xxhash_rust::xxh3::xxh3_128;

use super::error::StoreError;

/// Marks the file as the save of a world: `TRRN`.
pub(super) const APPLICATION_ID: i32 = 0x5452_524e;

/// One step of the schema. Its number is its place in the list, from 1.
#[derive(Debug)]
pub(super) struct Migration {
    /// What it is about.
    pub(super) name: &'static str,
    /// What is executed, in one transaction with the change of the version.
    pub(super) sql: &'static str,
}

/// All steps. Numbers of 64 bits without a sign are stored as the signed number of the same bits, but for
/// counters, which are compared and stay below 2^63.
pub(super) const MIGRATIONS: &[Migration] = &[WORLD, PLAYERS, value::VALUE, ROWS, REFERENCE];

const WORLD: Migration = Migration {
    name: "world, counters and images",
    sql: "
        CREATE TABLE world (
            id         INTEGER PRIMARY KEY CHECK (id = 1),
            name       TEXT    NOT NULL,
            seed       INTEGER NOT NULL,
            secret     INTEGER NOT NULL,
            columns    INTEGER NOT NULL CHECK (columns BETWEEN 1 AND 4294967295),
            rows       INTEGER NOT NULL CHECK (rows BETWEEN 1 AND 4294967295),
            width_m    REAL    NOT NULL CHECK (width_m > 0),
            depth_m    REAL    NOT NULL CHECK (depth_m > 0),
            created_ms INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE counter (
            name  TEXT    PRIMARY KEY,
            value INTEGER NOT NULL CHECK (value >= 0)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE image (
            id          INTEGER PRIMARY KEY AUTOINCREMENT,
            tick        INTEGER NOT NULL,
            now_ms      INTEGER NOT NULL,
            fingerprint INTEGER NOT NULL,
            entities    INTEGER NOT NULL,
            bytes       INTEGER NOT NULL CHECK (bytes >= 0),
            checksum    INTEGER NOT NULL,
            complete    INTEGER NOT NULL CHECK (complete IN (0, 1))
        ) STRICT;
        CREATE TABLE image_part (
            image INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
            part  INTEGER NOT NULL CHECK (part >= 0),
            bytes BLOB    NOT NULL,
            UNIQUE (image, part)
        ) STRICT;
        CREATE TABLE image_counter (
            image    INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
            position INTEGER NOT NULL CHECK (position >= 0),
            name     TEXT    NOT NULL,
            value    INTEGER NOT NULL CHECK (value >= 0),
            PRIMARY KEY (image, position)
        ) STRICT, WITHOUT ROWID;
    ",
};

const PLAYERS: Migration = Migration {
    name: "players, sanctions and what was done with power over others",
    sql: "
        CREATE TABLE player (
            name          TEXT    PRIMARY KEY,
            version       INTEGER NOT NULL CHECK (version > 0),
            first_seen_ms INTEGER NOT NULL,
            last_seen_ms  INTEGER NOT NULL,
            form          INTEGER NOT NULL,
            avatar        BLOB,
            checksum      INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE sanction (
            player   TEXT    NOT NULL,
            kind     TEXT    NOT NULL CHECK (kind IN ('ban', 'mute')),
            why      TEXT    NOT NULL,
            since_ms INTEGER NOT NULL,
            until_ms INTEGER,
            by       TEXT    NOT NULL,
            PRIMARY KEY (player, kind)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE audit (
            id     INTEGER PRIMARY KEY AUTOINCREMENT,
            tick   INTEGER NOT NULL,
            now_ms INTEGER NOT NULL,
            who    TEXT    NOT NULL,
            what   TEXT    NOT NULL,
            target TEXT    NOT NULL,
            detail TEXT    NOT NULL
        ) STRICT;
        CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
        CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
            BEGIN SELECT RAISE(ABORT, 'what was done stays written'); END;
    ",
};

/// Rows rest on a version of the profile, and one with another version is void: what lays them over it looks for their own.
const ROWS: Migration = Migration {
    name: "components of avatars that are written by themselves",
    sql: "
        CREATE TABLE component_row (
            player    TEXT    NOT NULL,
            component TEXT    NOT NULL CHECK (component <> ''),
            base      INTEGER NOT NULL CHECK (base >= 0),
            version   INTEGER NOT NULL CHECK (version > 0),
            form      INTEGER NOT NULL,
            data      BLOB,
            checksum  INTEGER NOT NULL,
            PRIMARY KEY (player, component)
        ) STRICT;
    ",
};

/// Which numbers the world goes by, for operators: nothing reads them back, since the files are the source.
const REFERENCE: Migration = Migration {
    name: "reference data and their version",
    sql: "
        CREATE TABLE reference (
            kind    TEXT NOT NULL CHECK (kind <> ''),
            name    TEXT NOT NULL,
            row     TEXT NOT NULL CHECK (json_valid(row)),
            version TEXT NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE reference_version (
            id      INTEGER PRIMARY KEY CHECK (id = 1),
            version TEXT    NOT NULL,
            tick    INTEGER NOT NULL,
            now_ms  INTEGER NOT NULL
        ) STRICT;
    ",
};

/// Every step leaves a row here: which SQL made this file.
const MIGRATION_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS migration (
        version INTEGER PRIMARY KEY,
        name    TEXT    NOT NULL,
        hash    TEXT    NOT NULL
    ) STRICT;
";

impl Migration {
    fn hash(&self) -> String {
        format!("{:032x}", xxh3_128(self.sql.as_bytes()))
    }
}

/// Looks at a file before anything is written to it: it is empty, or a save of a version this program knows,
/// made by the very steps of this program. Tells its version.
pub(super) fn inspect(
    connection: &Connection,
    file: &Path,
    migrations: &[Migration],
) -> Result<u32, StoreError> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            StoreError::NotASave { file: file.to_owned(), why: "it is no SQLite file".into() }
        }
        _ => StoreError::sqlite(file, "read its version")(source),
    };
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if tables == 0 && version == 0 {
        return Ok(0);
    }
    if application != i64::from(APPLICATION_ID) || version < 1 {
        let why = format!("its application id is {application:#x} and its version {version}");
        return Err(StoreError::NotASave { file: file.to_owned(), why });
    }
    let (found, known) = (version as u32, migrations.len() as u32);
    if found > known {
        return Err(StoreError::NewerSchema { file: file.to_owned(), found, known });
    }
    for (version, migration) in (1..=found).zip(migrations) {
        let hash: Option<String> = connection
            .query_row("SELECT hash FROM migration WHERE version = ?1", [version], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        if hash.is_none_or(|hash| hash != migration.hash()) {
            return Err(StoreError::MigrationChanged {
                file: file.to_owned(),
                version,
                name: migration.name,
            });
        }
    }
    Ok(found)
}

/// Executes the steps that the file of this version has not gone through, each in one transaction.
pub(super) fn migrate(
    connection: &mut Connection,
    file: &Path,
    version: u32,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    for (version, migration) in (1u32..).zip(migrations).skip(version as usize) {
        let step = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(MIGRATION_TABLE)?;
            transaction.execute_batch(migration.sql)?;
            transaction.execute(
                "INSERT INTO migration (version, name, hash) VALUES (?1, ?2, ?3)",
                params![version, migration.name, migration.hash()],
            )?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()
        };
        step(connection).map_err(StoreError::sqlite(file, "bring its schema up to date"))?;
        tracing::info!(file = %file.display(), version, name = migration.name, "schema step done");
    }
    Ok(())
}
