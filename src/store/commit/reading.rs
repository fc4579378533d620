//! What accounts hold, read back.

use rusqlite::{Connection, OptionalExtension};

use super::names::Names;
use crate::reward::{Account, Holdings, Lot};

/// What an account holds. A house's amounts below nothing are left out: nobody can hold less than nothing.
pub(in crate::store) fn load_holdings(
    connection: &Connection,
    names: &mut Names,
    account: &Account,
) -> rusqlite::Result<Holdings> {
    let mut holdings = Holdings::default();
    let Some(id) = names.find(connection, account)? else { return Ok(holdings) };
    let version: Option<i64> = connection
        .prepare_cached("SELECT data_version FROM account WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    holdings.version = version.map_or(0, i64::cast_unsigned);
    let mut sql = connection.prepare_cached(
        "SELECT asset, expires_ms, instance, amount FROM holding WHERE account = ?1 AND amount > 0",
    )?;
    let mut rows = sql.query([id])?;
    while let Some(row) = rows.next()? {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let lot = Lot { expires_ms: number(1)?, instance: number(2)? };
        holdings.set(&names.asset_name(connection, row.get(0)?)?, lot, number(3)?);
    }
    let mut sql = connection.prepare_cached("SELECT asset, as_of_ms FROM pool_clock WHERE account = ?1")?;
    let mut rows = sql.query([id])?;
    while let Some(row) = rows.next()? {
        let as_of_ms = row.get::<_, i64>(1)?.cast_unsigned();
        holdings.clocks.insert(names.asset_name(connection, row.get(0)?)?, as_of_ms);
    }
    Ok(holdings)
}
