//! Names and the numbers that stand for them in rows.

use rusqlite::{Connection, OptionalExtension, Row};
use rustc_hash::FxHashMap;

use crate::reward::{Account, AffectedDomains, Name, PlanRefusal};

use super::Stop;

/// Most accounts whose numbers are remembered: beyond it all are looked up anew.
const ACCOUNTS_MAX: usize = 1 << 17;

/// What the executor has to know of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asset {
    pub(super) id: i64,
    pub(super) domain: AffectedDomains,
}

/// Numbers of accounts and assets, as far as they were asked for. Rows are neither renamed nor removed, so nothing here becomes
/// wrong, but for what was added in a transaction that came to nothing.
#[derive(Debug, Default)]
pub(in crate::store) struct Names {
    accounts: FxHashMap<Account, i64>,
    /// Those that the plan under way has added.
    added: Vec<Account>,
    assets: FxHashMap<Name, Asset>,
    asset_names: FxHashMap<i64, Name>,
}

fn kind_and_name(account: &Account) -> (&'static str, &str) {
    match account {
        Account::Player(player) => ("player", player.as_str()),
        Account::House(name) => ("house", name.as_str()),
    }
}

fn domain_of(class: &str) -> AffectedDomains {
    match class {
        "item" => AffectedDomains::ITEMS,
        "pool" => AffectedDomains::POOLS,
        "unlock" => AffectedDomains::UNLOCKS,
        _ => AffectedDomains::CURRENCIES,
    }
}

/// A name in a row.
fn name_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Name> {
    Name::new(&row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}

impl Names {
    /// Forgets everything: it is looked up anew.
    pub(in crate::store) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What was added from here on can be taken back.
    pub(super) fn begin(&mut self) {
        self.added.clear();
        if self.accounts.len() > ACCOUNTS_MAX {
            self.accounts.clear();
        }
    }

    /// Forgets what was added since [`begin`](Self::begin): its rows are gone.
    pub(super) fn take_back(&mut self) {
        for account in self.added.drain(..) {
            self.accounts.remove(&account);
        }
    }

    /// The number of an account, if it has one.
    pub(super) fn find(
        &mut self,
        connection: &Connection,
        account: &Account,
    ) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.accounts.get(account) {
            return Ok(Some(*id));
        }
        let (kind, name) = kind_and_name(account);
        let id = connection
            .prepare_cached("SELECT id FROM account WHERE kind = ?1 AND name = ?2")?
            .query_row([kind, name], |row| row.get(0))
            .optional()?;
        if let Some(id) = id {
            self.accounts.insert(account.clone(), id);
        }
        Ok(id)
    }

    /// The number of an account, which gets one if it has none.
    pub(super) fn account(&mut self, connection: &Connection, account: &Account) -> rusqlite::Result<i64> {
        if let Some(id) = self.find(connection, account)? {
            return Ok(id);
        }
        let (kind, name) = kind_and_name(account);
        let sql = match account {
            Account::Player(_) => {
                "INSERT INTO account (id, kind, name)
                 SELECT max(coalesce(max(id), 0), 0) + 1, ?1, ?2 FROM account RETURNING id"
            }
            Account::House(_) => {
                "INSERT INTO account (id, kind, name)
                 SELECT min(coalesce(min(id), 0), 0) - 1, ?1, ?2 FROM account RETURNING id"
            }
        };
        let id = connection.prepare_cached(sql)?.query_row([kind, name], |row| row.get(0))?;
        self.accounts.insert(account.clone(), id);
        self.added.push(account.clone());
        Ok(id)
    }

    /// An asset.
    pub(super) fn asset(&mut self, connection: &Connection, name: &Name) -> Result<Asset, Stop> {
        if let Some(asset) = self.assets.get(name) {
            return Ok(*asset);
        }
        let found = connection
            .prepare_cached("SELECT id, class FROM asset WHERE name = ?1")?
            .query_row([name.as_str()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let Some((id, class)) = found else {
            return Err(PlanRefusal::Unknown { what: "asset".into(), name: name.to_string() }.into());
        };
        let asset = Asset { id, domain: domain_of(&class) };
        self.assets.insert(name.clone(), asset);
        Ok(asset)
    }

    /// The name of an asset.
    pub(super) fn asset_name(&mut self, connection: &Connection, id: i64) -> rusqlite::Result<Name> {
        if let Some(name) = self.asset_names.get(&id) {
            return Ok(name.clone());
        }
        let name = connection
            .prepare_cached("SELECT name FROM asset WHERE id = ?1")?
            .query_row([id], |row| name_in(row, 0))?;
        self.asset_names.insert(id, name.clone());
        Ok(name)
    }
}
