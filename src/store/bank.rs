//! Value without a save: the very tables and executor of a save, in memory, for worlds in tests.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::commit::{self, Memory, PlanOutcome, Rules};
use super::courier::Couriers;
use super::fence::Fence;
use super::game::GameStore;
use super::outbox::{Delivery, OutboxWork};
use super::reference::{self, ReferenceWrite};
use super::schema::MIGRATIONS;
use super::{assets, outbox, schema};
use crate::reward::{Account, AssetClass, Claim, CommitBatch, Holdings, Name};

/// What everybody holds, in memory. A clone is the same bank.
#[derive(Clone, Debug)]
pub struct Bank(Arc<Mutex<Vault>>);

#[derive(Debug)]
struct Vault {
    connection: Connection,
    memory: Memory,
    fence: Arc<Fence>,
    game: GameStore,
}

impl Bank {
    /// An empty one, for these assets and a game's own tables.
    ///
    /// # Panics
    /// When SQLite does not work in memory, or the game's tables are faulty: a test wants to know at once.
    #[must_use]
    pub fn new<'a>(known: impl IntoIterator<Item = (&'a Name, &'a AssetClass)>, game: GameStore) -> Self {
        let mut connection = Connection::open_in_memory().expect("SQLite works in memory");
        connection.pragma_update(None, "foreign_keys", true).expect("SQLite knows foreign keys");
        let (fence, file) = (Arc::new(Fence::default()), Path::new(":memory:"));
        fence.guard(&mut connection).expect("SQLite asks before it prepares");
        schema::migrate(&mut connection, file, 0, MIGRATIONS).expect("the schema is sound");
        assets::adopt(&mut connection, known.into_iter()).expect("there is memory");
        game.migrate(&mut connection, &fence, file).unwrap_or_else(|error| panic!("{error}"));
        Self(Arc::new(Mutex::new(Vault { connection, memory: Memory::default(), fence, game })))
    }

    fn vault(&self) -> MutexGuard<'_, Vault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a version of the reference data down, as [`Store::adopt_reference`](super::Store::adopt_reference) does.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    pub fn adopt_reference(&self, write: &ReferenceWrite) {
        let Vault { connection, memory, .. } = &mut *self.vault();
        reference::adopt(connection, write).expect("there is memory");
        memory.names.forget();
    }

    /// Carries plans out, as [`Store::commit`](super::Store::commit) does.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn commit(&self, batch: &CommitBatch) -> Vec<PlanOutcome> {
        let Vault { connection, memory, fence, game } = &mut *self.vault();
        let rules = Rules { horizon_ms: 0, game, fence };
        commit::commit(connection, memory, batch, &rules).expect("there is memory")
    }

    /// What an account holds.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn holdings(&self, account: &Account) -> Holdings {
        let Vault { connection, memory, .. } = &mut *self.vault();
        commit::load_holdings(connection, &mut memory.names, account).expect("there is memory")
    }

    /// What came of a claim.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn find_claim(&self, number: u64, claim: &Claim) -> Option<PlanOutcome> {
        let Vault { connection, memory, .. } = &mut *self.vault();
        commit::find_claim(connection, &mut memory.names, number, claim, 0).expect("there is memory")
    }

    /// Lets everything be delivered that is due, writes down what came of it, and gives what was delivered.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use = "the world hears of it"]
    pub fn deliver(&self, couriers: &mut Couriers, now_ms: u64) -> Vec<Delivery> {
        let mut work = OutboxWork { now_ms, wanted: u32::MAX, ..OutboxWork::default() };
        let due = self.outbox(&work);
        work.wanted = 0;
        let mut delivered = Vec::new();
        for delivery in due {
            match couriers.deliver(&delivery) {
                Ok(()) => {
                    work.done.push(delivery.id);
                    delivered.push(delivery);
                }
                Err(why) => work.failed.push((delivery.id, why)),
            }
        }
        if !work.done.is_empty() || !work.failed.is_empty() {
            let left = self.outbox(&work);
            debug_assert!(left.is_empty(), "none is asked for");
        }
        delivered
    }

    /// One turn of the outbox, as [`Store::outbox`](super::Store::outbox).
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn outbox(&self, work: &OutboxWork) -> Vec<Delivery> {
        outbox::turn(&mut self.vault().connection, work).expect("there is memory")
    }

    /// What the game's kinds of change find wrong with its tables, each with the kind's name before it.
    ///
    /// # Panics
    /// When SQLite fails in memory.
    #[must_use]
    pub fn conservation(&self) -> Vec<String> {
        let Vault { connection, fence, game, .. } = &mut *self.vault();
        let look = |moment: &Connection| super::game::conservation(moment, fence, game);
        connection.unchecked_transaction().and_then(|moment| look(&moment)).expect("there is memory")
    }

    /// The rows that a query finds, each value as text: for a test that looks into the game's tables.
    ///
    /// # Panics
    /// When it is no query.
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let vault = self.vault();
        let mut statement = vault.connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let columns = statement.column_count();
        let text = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<String>> {
            (0..columns)
                .map(|column| {
                    Ok(match row.get_ref(column)? {
                        ValueRef::Null => String::new(),
                        ValueRef::Integer(number) => number.to_string(),
                        ValueRef::Real(number) => number.to_string(),
                        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                            String::from_utf8_lossy(bytes).into_owned()
                        }
                    })
                })
                .collect()
        };
        let rows = statement.query_map([], text).and_then(Iterator::collect);
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}
