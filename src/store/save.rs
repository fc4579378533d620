//! A world's save, opened.

use std::path::Path;
use std::sync::Arc;

use super::commit::Memory;
use super::compensation::CompensationDone;
use super::database::{self, Database};
use super::error::StoreError;
use super::folder::{SaveFolder, UnusedSave};
use super::game::GameStore;
use super::image::{self, Image};
use super::retention::{Forgotten, Retention};
use super::world::{self, WorldIdentity, WorldRecord};

/// Names of the counters that the engine reserves ahead.
pub mod counter {
    /// Ticks: a world never runs a tick whose number is below this one again.
    pub const TICK: &str = "tick";
    /// Session epochs.
    pub const SESSION_EPOCH: &str = "session_epoch";
    /// What nobody in the world spawned: the population, avatars.
    pub const WORLD_SPAWNS: &str = "world_spawns";
    /// How many things were written of players, in the life of the world: not reserved ahead, but written with them.
    pub const PLAYER_WRITES: &str = "player_writes";
}

/// A world's save: its locked folder and the one connection that writes to its file.
///
/// A run reads what it needs with it ([`newest_image`](Store::newest_image), [`counter`](Store::counter)), and
/// then gives it to its thread with [`start`](Store::start).
#[derive(Debug)]
pub struct Store {
    folder: Arc<SaveFolder>,
    pub(super) database: Database,
    /// Whether this process created the file.
    is_new: bool,
    /// Rows of images that turned out to be damaged: the next image that is written removes them.
    damaged: Vec<i64>,
    pub(super) memory: Memory,
    pub(super) game: GameStore,
    pub(super) retention: Retention,
    pub(super) forgotten: Forgotten,
    /// The order of an operator that is under way, as far as it came: a COMMIT that is told as a failure may be durable.
    pub(super) ordered: Option<CompensationDone>,
    /// [`counter::PLAYER_WRITES`] before the first of this run, once it is known.
    pub(super) writes_before: Option<u64>,
}

impl Store {
    /// Creates the save in this folder, or opens the one that is there and brings its schema up to date.
    ///
    /// # Errors
    /// When another process has it, when it is no save or one of a newer program, when the identity insists
    /// on what the save has fixed otherwise, or when the disk refuses. What was created until then is removed.
    pub fn create_or_open(
        folder: &Path,
        identity: &WorldIdentity,
    ) -> Result<(Self, WorldRecord), StoreError> {
        let folder = Arc::new(SaveFolder::create_or_open(folder)?);
        let file = folder.database_file();
        // A log without its file is what is left of somebody's save.
        let is_new = !file.exists() && !database::beside(&file, "-wal").exists();
        let unused = UnusedSave::new(&folder, is_new);
        let mut database = Database::create_or_open(file)?;
        let record = world::load_or_create(&mut database, folder.path(), identity)?;
        database.checkpoint();
        unused.keep();
        Ok((Self::new(folder, database, is_new), record))
    }

    /// Opens the save that is in this folder, of a world that does not run, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when a process has it; when there is none, it is of a newer program, or the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let file = SaveFolder::database_in(folder);
        if !file.exists() {
            return Err(StoreError::NotASave { file, why: "there is no such file".into() });
        }
        let folder = Arc::new(SaveFolder::create_or_open(folder)?);
        let database = Database::create_or_open(file)?;
        Ok(Self::new(folder, database, false))
    }

    fn new(folder: Arc<SaveFolder>, database: Database, is_new: bool) -> Self {
        Self {
            folder,
            database,
            is_new,
            damaged: Vec::new(),
            ordered: None,
            writes_before: None,
            memory: Memory::default(),
            game: GameStore::default(),
            retention: Retention::default(),
            forgotten: Forgotten::default(),
        }
    }

    /// Closes the connection after a failure, and forgets what is known of the file: the next one reads what is really in it.
    pub(super) fn close_after(&mut self, error: &StoreError) {
        self.database.close_after(error);
        self.memory.names.forget();
        self.forgotten = Forgotten::default();
    }

    /// Whether this process created it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Removes on drop what opening this save created, unless it is told that the world runs. Let it outlive the
    /// store.
    #[must_use = "dropped at once, it removes a new save"]
    pub fn unused(&self) -> UnusedSave {
        UnusedSave::new(&self.folder, self.is_new)
    }

    /// The newest image that is whole in the save in this folder, which may be another process's at the same time: it
    /// is read as of one moment, and nothing is written. `None` if none was ever written.
    ///
    /// # Errors
    /// When there is no save, one of a newer program, or the disk refuses.
    pub fn read_newest_image(folder: &Path) -> Result<Option<Image>, StoreError> {
        let file = SaveFolder::database_in(folder);
        let connection = Database::open_to_read(&file)?;
        let sqlite = StoreError::sqlite(&file, "read the images of the world");
        // One transaction: the images must not be exchanged in the middle.
        let newest = || -> rusqlite::Result<image::Found> {
            let moment = connection.unchecked_transaction()?;
            image::find_newest(&moment)
        };
        let found = newest().map_err(sqlite)?;
        if found.image.is_none() && (found.written > 0 || !found.damaged.is_empty()) {
            return Err(StoreError::NoReadableImage { file, written: found.written });
        }
        Ok(found.image)
    }

    /// The folder; whoever holds it holds its lock.
    #[must_use]
    pub fn folder(&self) -> &Arc<SaveFolder> {
        &self.folder
    }

    /// The newest image that is whole, or `None` if none was ever written. A damaged one is told as an error
    /// in the log, and the one before it is taken.
    ///
    /// # Errors
    /// [`StoreError::NoReadableImage`] when there are images and none is whole; when the disk refuses.
    pub fn newest_image(&mut self) -> Result<Option<Image>, StoreError> {
        let file = self.database.file().to_owned();
        let found = image::find_newest(self.database.connection()?)
            .map_err(StoreError::sqlite(&file, "read the images of the world"))?;
        let fallback = found.image.as_ref().map(|image| image.tick.0);
        for (id, damage) in &found.damaged {
            tracing::error!(
                file = %file.display(),
                "image {id} of the world is damaged: {damage}; {}",
                match fallback {
                    Some(tick) => format!("the world goes on from the image of tick {tick}, what came after is lost"),
                    None => "there is none to fall back to".to_owned(),
                }
            );
        }
        if found.image.is_none() && (found.written > 0 || !found.damaged.is_empty()) {
            return Err(StoreError::NoReadableImage { file, written: found.written });
        }
        self.damaged = found.damaged.into_iter().map(|(id, _)| id).collect();
        Ok(found.image)
    }

    /// How far a counter is reserved: numbers below may have been used, this one and above have not. 0 if it
    /// never was.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn counter(&mut self, name: &str) -> Result<u64, StoreError> {
        let file = self.database.file().to_owned();
        image::counter(self.database.connection()?, name).map_err(StoreError::sqlite(&file, "read a counter"))
    }

    /// Reserves a counter's numbers below `up_to`, durably, and tells how far it is reserved now: a counter
    /// that is ahead stays there.
    ///
    /// # Errors
    /// [`StoreError::CounterTooLarge`] from 2^63 on; when the disk refuses.
    pub fn reserve(&mut self, name: &str, up_to: u64) -> Result<u64, StoreError> {
        check_counter(name, up_to)?;
        let file = self.database.file().to_owned();
        image::raise_counter(self.database.connection()?, name, up_to)
            .map_err(StoreError::sqlite(&file, "reserve a counter"))?;
        self.counter(name)
    }

    /// Writes an image in one transaction, through to the disk. Its counters are reserved with it.
    ///
    /// # Errors
    /// [`StoreError::CounterTooLarge`] from 2^63 on; when the disk refuses. The images before it are untouched then.
    pub fn save_image(&mut self, image: &Image) -> Result<(), StoreError> {
        for (name, value) in &image.counters {
            check_counter(name, *value)?;
        }
        let file = self.database.file().to_owned();
        image::write(self.database.connection()?, image, &self.damaged)
            .map_err(StoreError::sqlite(&file, "write an image of the world"))?;
        self.damaged.clear();
        self.database.checkpoint();
        Ok(())
    }
}

fn check_counter(name: &str, value: u64) -> Result<(), StoreError> {
    if value > i64::MAX.cast_unsigned() {
        return Err(StoreError::CounterTooLarge { name: name.to_owned(), value });
    }
    Ok(())
}
