//! Value without a save: the very tables and executor of a save, in memory, for worlds in tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::commit::{self, Names, PlanOutcome, Rules};
use super::fence::Fence;
use super::game::GameStore;
use super::schema::MIGRATIONS;
use super::{assets, schema};
use crate::reward::{Account, AssetClass, Claim, CommitBatch, Holdings, Name};

/// What everybody holds, in memory. A clone is the same bank.
#[derive(Clone, Debug)]
pub struct Bank(Arc<Mutex<Vault>>);

#[derive(Debug)]
struct Vault {
    connection: Connection,
    names: Names,
}

impl Bank {
    /// An empty one, for these assets.
    ///
    /// # Panics
    /// When SQLite does not work in memory.
    #[must_use]
    pub fn new<'a>(known: impl IntoIterator<Item = (&'a Name, &'a AssetClass)>) -> Self {
        let mut connection = Connection::open_in_memory().expect("SQLite works in memory");
        connection.pragma_update(None, "foreign_keys", true).expect("SQLite knows foreign keys");
        let file = std::path::Path::new(":memory:");
        schema::migrate(&mut connection, file, 0, MIGRATIONS).expect("the schema is sound");
        assets::adopt(&mut connection, known.into_iter()).expect("there is memory");
        Self(Arc::new(Mutex::new(Vault { connection, names: Names::default() })))
    }

    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries plans out, as [`Store::commit`](super::Store::commit) does.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn commit(&self, batch: &CommitBatch) -> Vec<PlanOutcome> {
        let Vault { connection, names } = &mut *self.vault();
        let (game, fence) = (GameStore::default(), Fence::default());
        let rules = Rules { horizon_ms: 0, game: &game, fence: &fence };
        commit::commit(connection, names, batch, &rules).expect("there is memory")
    }

    /// What an account holds.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn holdings(&self, account: &Account) -> Holdings {
        let Vault { connection, names } = &mut *self.vault();
        commit::load_holdings(connection, names, account).expect("there is memory")
    }

    /// What came of a claim.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn find_claim(&self, number: u64, claim: &Claim) -> Option<PlanOutcome> {
        let Vault { connection, names } = &mut *self.vault();
        commit::find_claim(connection, names, number, claim, 0).expect("there is memory")
    }
}
