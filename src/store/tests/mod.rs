//! What a save promises, asked of real files.

mod commit;
mod folder;
mod golden;
mod images;
mod kill;
mod operator;
mod players;
mod rows;
mod schema;
mod thread;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::config::{GridSize, Sourced};
use crate::ids::TickNumber;

/// A place for one save, removed at the end of the test.
struct Place {
    _parent: TempDir,
    folder: PathBuf,
}

fn place() -> Place {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("saves").join("north");
    Place { _parent: parent, folder }
}

fn identity() -> WorldIdentity {
    WorldIdentity {
        name: "north".into(),
        seed: Sourced::default_of(7),
        grid: Sourced::default_of(GridSize { columns: 5, rows: 4 }),
        size_m: Sourced::default_of([1_000.0, 800.5]),
        secret: None,
    }
}

#[track_caller]
fn open(folder: &Path) -> Store {
    Store::create_or_open(folder, &identity()).unwrap().0
}

#[track_caller]
fn open_error(folder: &Path) -> StoreError {
    match Store::create_or_open(folder, &identity()) {
        Ok(_) => panic!("the save is refused"),
        Err(error) => error,
    }
}

/// Writes to a save behind the store's back.
fn meddle(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("world.db")).unwrap().execute_batch(sql).unwrap();
}

/// Bytes that look like nothing, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    use rand_core::{Rng, SeedableRng};
    let mut bytes = vec![0; len];
    rand_xoshiro::Xoshiro256StarStar::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// The image that this tick has in the tests, of `len` bytes.
fn image(tick: u64, len: usize) -> Image {
    Image {
        tick: TickNumber(tick),
        now_ms: tick * 50,
        fingerprint: tick.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        counters: vec![("world_spawns".into(), tick * 3), ("spawner #00ff".into(), tick)],
        entities: noise(tick, len),
        entity_count: len as u64 / 40,
    }
}
