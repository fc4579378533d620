//! Which assets there are, as the save knows them.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::error::StoreError;
use super::save::Store;
use crate::reward::{AssetClass, Name};

pub(super) fn adopt<'a>(
    connection: &mut Connection,
    assets: impl Iterator<Item = (&'a Name, &'a AssetClass)>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write(&transaction, assets)?;
    transaction.commit()
}

/// As a part of a transaction.
pub(super) fn write<'a>(
    transaction: &Transaction<'_>,
    assets: impl Iterator<Item = (&'a Name, &'a AssetClass)>,
) -> rusqlite::Result<()> {
    transaction.execute("UPDATE asset SET is_retired = 1 WHERE is_retired = 0", [])?;
    let mut sql = transaction.prepare(
        "INSERT INTO asset (name, class, cap, stack_max, is_single, expires_after_ms, regen_ms, is_retired)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
         ON CONFLICT (name) DO UPDATE SET class = excluded.class, cap = excluded.cap,
             stack_max = excluded.stack_max, is_single = excluded.is_single,
             expires_after_ms = excluded.expires_after_ms, regen_ms = excluded.regen_ms, is_retired = 0",
    )?;
    for (name, class) in assets {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let cap = class.cap().map(number);
        let (word, stack_max, is_single, expires_after_ms, regen_ms) = match class {
            AssetClass::Currency { .. } => ("currency", None, false, None, None),
            AssetClass::Item { stack_max, is_single, expires_after_ms } => {
                ("item", Some(*stack_max), *is_single, expires_after_ms.map(number), None)
            }
            AssetClass::Pool { regen_ms, .. } => ("pool", None, false, None, Some(number(*regen_ms))),
            AssetClass::Unlock => ("unlock", None, false, None, None),
        };
        sql.execute(params![name.as_str(), word, cap, stack_max, is_single, expires_after_ms, regen_ms])?;
    }
    Ok(())
}

impl Store {
    /// Writes down which assets there are: to be called before plans that name them. One that is not there any more stays with
    /// those who hold it; a cap below what somebody holds only means that nothing is added to it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn adopt_assets<'a>(
        &mut self,
        assets: impl IntoIterator<Item = (&'a Name, &'a AssetClass)>,
    ) -> Result<(), StoreError> {
        let file = self.database.file().to_owned();
        let done = adopt(self.database.connection()?, assets.into_iter());
        self.memory.names.forget();
        done.map_err(StoreError::sqlite(&file, "write down which assets there are"))
    }
}
