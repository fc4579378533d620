//! Which reference data the world goes by, as rows that operators can ask for.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::assets;
use super::error::StoreError;
use super::save::Store;
use crate::ids::TickNumber;
use crate::reference::LoadedReference;

/// A version of the reference data that is to be written down, before a world goes by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceWrite {
    /// What it says.
    pub reference: LoadedReference,
    /// The next tick.
    pub tick: TickNumber,
    /// Calendar time, milliseconds since 1970.
    pub now_ms: u64,
}

/// Writes all of it in one transaction: the tables, their version, and which assets there are where rewards follow from it.
pub(super) fn adopt(connection: &mut Connection, write: &ReferenceWrite) -> rusqlite::Result<()> {
    let ReferenceWrite { reference, tick, now_ms } = write;
    let version = reference.version().to_string();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let there: Option<String> =
        transaction.query_row("SELECT version FROM reference_version", [], |row| row.get(0)).optional()?;
    if let Some(rewards) = reference.rewards() {
        assets::write(&transaction, rewards.assets())?;
    }
    // A world that is started again with the same files has nothing to write.
    if there.is_none_or(|there| there != version) {
        transaction.execute("DELETE FROM reference", [])?;
        let mut sql = transaction
            .prepare("INSERT INTO reference (kind, name, row, version) VALUES (?1, ?2, ?3, ?4)")?;
        for table in reference.tables() {
            for (name, row) in table.rows() {
                sql.execute(params![table.kind(), name, row.to_string(), version])?;
            }
        }
        drop(sql);
        transaction.execute(
            "INSERT OR REPLACE INTO reference_version (id, version, tick, now_ms) VALUES (1, ?1, ?2, ?3)",
            params![version, tick.0.cast_signed(), now_ms.cast_signed()],
        )?;
    }
    transaction.commit()
}

impl Store {
    /// Writes down which reference data the world goes by from now on, and which assets there are where rewards follow from
    /// them: to be called before plans that rest on them.
    ///
    /// # Errors
    /// When the disk refuses; then all is as it was.
    pub fn adopt_reference(&mut self, write: &ReferenceWrite) -> Result<(), StoreError> {
        let file = self.database.file().to_owned();
        let done = adopt(self.database.connection()?, write);
        self.memory.names.forget();
        done.map_err(StoreError::sqlite(&file, "write the reference data down"))
    }

    /// Which version of the reference data is written down, if any is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn reference_version(&mut self) -> Result<Option<String>, StoreError> {
        let file = self.database.file().to_owned();
        self.database
            .connection()?
            .query_row("SELECT version FROM reference_version", [], |row| row.get(0))
            .optional()
            .map_err(StoreError::sqlite(&file, "read the version of the reference data"))
    }
}
