//! What a world is, fixed when it is created.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};

use super::database::Database;
use super::error::StoreError;
use crate::config::{GridSize, Origin, Sourced, WorldChoice};

/// The world that a run asks for.
#[derive(Clone, Debug)]
pub struct WorldIdentity {
    /// Its name.
    pub name: String,
    /// Its seed. A flag insists: an existing world with another one is refused.
    pub seed: Sourced<u64>,
    /// Its initial cells. A flag insists.
    pub grid: Sourced<GridSize>,
    /// Width and depth in metres.
    pub size_m: Sourced<[f32; 2]>,
    /// Key of its names, where runs must be equal to the bit; else a random one is drawn.
    pub secret: Option<u64>,
}

impl From<&WorldChoice> for WorldIdentity {
    fn from(world: &WorldChoice) -> Self {
        Self {
            name: world.name.clone(),
            seed: world.seed.clone(),
            grid: world.grid.clone(),
            size_m: world.size_m.clone(),
            secret: None,
        }
    }
}

/// The world that a save holds.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldRecord {
    /// The name it was created with.
    pub name: String,
    /// Seed of everything drawn at random.
    pub seed: u64,
    /// Key of the hashes that NetIds are: random, so that nobody can compute them from outside.
    pub secret: u64,
    /// The initial cells.
    pub grid: GridSize,
    /// Width and depth in metres.
    pub size_m: [f32; 2],
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whether that was just now.
    pub is_new: bool,
}

/// Reads the world of a save, or writes the one asked for into a save that has none.
pub(super) fn load_or_create(
    database: &mut Database,
    folder: &Path,
    identity: &WorldIdentity,
) -> Result<WorldRecord, StoreError> {
    match load(database)? {
        Some(record) => {
            compare(folder, "seed", &identity.seed, record.seed)?;
            compare(folder, "grid", &identity.grid, record.grid)?;
            let size = |[width, depth]: [f32; 2]| format!("{width} m x {depth} m");
            let asked =
                Sourced { value: size(identity.size_m.value), origin: identity.size_m.origin.clone() };
            compare(folder, "size_m", &asked, size(record.size_m))?;
            Ok(record)
        }
        None => create(database, identity),
    }
}

fn load(database: &mut Database) -> Result<Option<WorldRecord>, StoreError> {
    let file = database.file().to_owned();
    let failed = || StoreError::sqlite(&file, "read the world's record");
    let connection = database.connection()?;
    let record = connection
        .query_row(
            "SELECT name, seed, secret, columns, rows, width_m, depth_m, created_ms FROM world",
            [],
            |row| {
                Ok(WorldRecord {
                    name: row.get(0)?,
                    seed: row.get::<_, i64>(1)?.cast_unsigned(),
                    secret: row.get::<_, i64>(2)?.cast_unsigned(),
                    grid: GridSize { columns: row.get(3)?, rows: row.get(4)? },
                    size_m: [row.get(5)?, row.get(6)?],
                    created_ms: row.get::<_, i64>(7)?.cast_unsigned(),
                    is_new: false,
                })
            },
        )
        .optional()
        .map_err(failed())?;
    if record.is_none() {
        let used: bool = connection
            .query_row("SELECT EXISTS (SELECT 1 FROM image) OR EXISTS (SELECT 1 FROM counter)", [], |row| {
                row.get(0)
            })
            .map_err(failed())?;
        if used {
            let why = "it holds images or counters but no world".into();
            return Err(StoreError::NotASave { file, why });
        }
    }
    Ok(record)
}

#[expect(
    clippy::disallowed_methods,
    reason = "when the save was made, for people; its secret is drawn once and then saved"
)]
fn create(database: &mut Database, identity: &WorldIdentity) -> Result<WorldRecord, StoreError> {
    let file = database.file().to_owned();
    let draw = || {
        getrandom::u64()
            .map_err(|error| StoreError::io(&file, "draw the world's secret")(io::Error::other(error)))
    };
    let secret = identity.secret.map_or_else(draw, Ok)?;
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let record = WorldRecord {
        name: identity.name.clone(),
        seed: identity.seed.value,
        secret,
        grid: identity.grid.value,
        size_m: identity.size_m.value,
        created_ms: since_epoch.as_millis() as u64,
        is_new: true,
    };
    database
        .connection()?
        .execute(
            "INSERT INTO world (id, name, seed, secret, columns, rows, width_m, depth_m, created_ms)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                record.name,
                record.seed.cast_signed(),
                record.secret.cast_signed(),
                record.grid.columns,
                record.grid.rows,
                f64::from(record.size_m[0]),
                f64::from(record.size_m[1]),
                record.created_ms.cast_signed(),
            ],
        )
        .map_err(StoreError::sqlite(&file, "write the world's record"))?;
    Ok(record)
}

/// A flag that asks for another value is refused, a file that does is told, a default goes unmentioned.
fn compare<T: PartialEq + Display>(
    folder: &Path,
    key: &str,
    asked: &Sourced<T>,
    fixed: T,
) -> Result<(), StoreError> {
    if asked.value == fixed {
        return Ok(());
    }
    match &asked.origin {
        Origin::Flag(flag) => Err(StoreError::FixedAtCreation {
            folder: folder.to_owned(),
            flag,
            asked: asked.value.to_string(),
            fixed: fixed.to_string(),
        }),
        Origin::File(place) => {
            tracing::warn!(
                "{place}: {key} = {} has no effect: {} was created with {fixed}, which is fixed; correct the file, or \
                 create another world with --name",
                asked.value,
                folder.display()
            );
            Ok(())
        }
        Origin::Default | Origin::Save => Ok(()),
    }
}
