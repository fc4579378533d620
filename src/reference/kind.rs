//! A game's reference data as a type, and one version of it with its type forgotten, as the engine hands it around.

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::files::{ReferenceFile, ReferenceFiles};
use super::table::ReferenceTable;
use crate::config::Problem;
use crate::reward::RewardTables;

/// The reference data of a game.
pub trait Reference: Sized + Send + Sync + 'static {
    /// The files it stands in, beside the world's configuration.
    const FILES: &'static [ReferenceFile];

    /// Reads and checks it. It must depend on the texts alone: a replay reads them again.
    ///
    /// # Errors
    /// All that is wrong, not just the first.
    fn read(files: &ReferenceFiles) -> Result<Self, Vec<Problem>>;

    /// All of it as rows: they are written into the save, exported, and make the version. What is in no row may change unseen.
    fn tables(&self) -> Vec<ReferenceTable>;

    /// The tables that rewards are planned with, if they follow from it: they are exchanged with it.
    fn rewards(&self) -> Option<RewardTables> {
        None
    }

    /// Whether it may take the place of what a running world has.
    ///
    /// # Errors
    /// What cannot change while a world runs, and what to do.
    fn follows(&self, _before: &Self) -> Result<(), String> {
        Ok(())
    }
}

/// Names a version: a hash of all rows. It is written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferenceVersion(pub u64);

impl fmt::Display for ReferenceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One version of a game's reference data, read and checked. A clone is the same one.
#[derive(Clone)]
pub struct LoadedReference(Arc<Loaded>);

struct Loaded {
    kind: ReferenceKind,
    files: ReferenceFiles,
    data: Arc<dyn Any + Send + Sync>,
    tables: Vec<ReferenceTable>,
    rewards: Option<Arc<RewardTables>>,
    version: ReferenceVersion,
}

impl fmt::Debug for LoadedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedReference").field("version", &self.0.version).finish_non_exhaustive()
    }
}

/// The texts say all of it.
impl PartialEq for LoadedReference {
    fn eq(&self, other: &Self) -> bool {
        self.0.version == other.0.version && self.0.files == other.0.files
    }
}

impl Eq for LoadedReference {}

impl LoadedReference {
    /// Its version.
    #[must_use]
    pub fn version(&self) -> ReferenceVersion {
        self.0.version
    }

    /// What it was read from.
    #[must_use]
    pub fn files(&self) -> &ReferenceFiles {
        &self.0.files
    }

    /// All of it as rows.
    #[must_use]
    pub fn tables(&self) -> &[ReferenceTable] {
        &self.0.tables
    }

    /// The tables of rewards that follow from it.
    #[must_use]
    pub fn rewards(&self) -> Option<&Arc<RewardTables>> {
        self.0.rewards.as_ref()
    }

    /// How it is read.
    #[must_use]
    pub fn kind(&self) -> ReferenceKind {
        self.0.kind
    }

    /// The data, if they are of this type.
    #[must_use]
    pub fn data<R: Reference>(&self) -> Option<Arc<R>> {
        self.0.data.clone().downcast().ok()
    }

    /// Whether it may take the place of another version in a running world.
    ///
    /// # Errors
    /// What cannot change while a world runs, and what to do.
    pub fn follows(&self, before: &Self) -> Result<(), String> {
        (self.0.kind.follows)(self, before)
    }
}

/// How the reference data of a game are read: its type, forgotten.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceKind {
    files: &'static [ReferenceFile],
    read: fn(ReferenceFiles) -> Result<LoadedReference, Vec<Problem>>,
    follows: fn(&LoadedReference, &LoadedReference) -> Result<(), String>,
}

impl ReferenceKind {
    /// That of a type.
    #[must_use]
    pub fn of<R: Reference>() -> Self {
        Self { files: R::FILES, read: read::<R>, follows: follows::<R> }
    }

    /// The files it stands in.
    #[must_use]
    pub fn files(self) -> &'static [ReferenceFile] {
        self.files
    }

    /// Reads the files of a folder; without one, those that come with the game.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn load(self, folder: Option<&Path>) -> Result<LoadedReference, Vec<Problem>> {
        match folder {
            Some(folder) => self.read(ReferenceFiles::load(self.files, folder)?),
            None => self.read(ReferenceFiles::shipped(self.files)),
        }
    }

    /// Reads these texts.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(self, files: ReferenceFiles) -> Result<LoadedReference, Vec<Problem>> {
        (self.read)(files)
    }
}

fn read<R: Reference>(files: ReferenceFiles) -> Result<LoadedReference, Vec<Problem>> {
    let data = R::read(&files)?;
    let (tables, rewards) = (data.tables(), data.rewards().map(Arc::new));
    let version = version_of(&tables, rewards.as_deref());
    let kind = ReferenceKind::of::<R>();
    Ok(LoadedReference(Arc::new(Loaded { kind, files, data: Arc::new(data), tables, rewards, version })))
}

fn follows<R: Reference>(after: &LoadedReference, before: &LoadedReference) -> Result<(), String> {
    match (after.data::<R>(), before.data::<R>()) {
        (Some(after), Some(before)) => after.follows(&before),
        _ => Err("it is another game's".to_owned()),
    }
}

/// Lengths go before texts, so that no two lists of rows are the same bytes.
fn version_of(tables: &[ReferenceTable], rewards: Option<&RewardTables>) -> ReferenceVersion {
    let mut hash = Xxh3::new();
    let mut text = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for table in tables {
        text(table.kind());
        text(&table.rows().len().to_string());
        for (name, row) in table.rows() {
            text(name);
            text(&row.to_string());
        }
    }
    hash.update(&rewards.map_or(0, RewardTables::version).to_le_bytes());
    ReferenceVersion(hash.digest())
}
