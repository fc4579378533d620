//! What a save should hold according to plans alone, and what it holds: two ways to the same books.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row};
use terrane::reward::{Account, Lot, Mutation, MutationPlan};

use crate::save::STOCK;

/// Who has what of which lot.
type Amounts = BTreeMap<(String, String, [i64; 2]), i64>;

/// Of one plan: what moved, in order, and whose version it raised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    moved: Vec<(String, [i64; 2], String, String, i64)>,
    raised: BTreeSet<String>,
}

/// Everything that plans change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    amounts: Amounts,
    versions: BTreeMap<String, i64>,
    clocks: BTreeMap<(String, String), i64>,
    sold: i64,
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) outbox: BTreeMap<(String, i64), Vec<u8>>,
}

/// What a plan is called in the books.
pub(crate) fn name_of(plan: &MutationPlan) -> String {
    format!("{} {:032x}", plan.claim.account, plan.claim.key.0)
}

fn lot_of(account: &Account, lot: Lot) -> [i64; 2] {
    match account {
        Account::Player(_) => [lot.expires_ms.cast_signed(), lot.instance.cast_signed()],
        Account::House(_) => [0, 0],
    }
}

impl Books {
    /// As plans make them, each carried out once.
    pub(crate) fn of<'a>(plans: impl IntoIterator<Item = &'a MutationPlan>) -> Self {
        let mut books = Self::default();
        for plan in plans {
            books.carry_out(plan);
        }
        books.amounts.retain(|_, amount| *amount != 0);
        books
    }

    fn carry_out(&mut self, plan: &MutationPlan) {
        let name = name_of(plan);
        let mut record = Record::default();
        let mut sent = 0;
        for mutation in &plan.mutations {
            match mutation {
                Mutation::Transfer { asset, lot, from, to, amount, .. } => {
                    let amount = amount.cast_signed();
                    for (account, amount) in [(from, -amount), (to, amount)] {
                        let at = (account.to_string(), asset.to_string(), lot_of(account, *lot));
                        *self.amounts.entry(at).or_default() += amount;
                    }
                    let lot = [lot.expires_ms.cast_signed(), lot.instance.cast_signed()];
                    record.moved.push((asset.to_string(), lot, from.to_string(), to.to_string(), amount));
                }
                Mutation::PoolClock { account, asset, as_of_ms } => {
                    let of = (account.to_string(), asset.to_string());
                    self.clocks.insert(of, as_of_ms.cast_signed());
                }
                Mutation::Outbox { payload, .. } => {
                    self.outbox.insert((name.clone(), sent), payload.clone());
                    sent += 1;
                }
                Mutation::Game { data, .. } => self.sold += i64::from(data[0]),
                Mutation::Slots { .. } => {}
            }
        }
        for participant in &plan.participants {
            let account = participant.account.to_string();
            *self.versions.entry(account.clone()).or_default() += 1;
            record.raised.insert(account);
        }
        assert!(self.records.insert(name.clone(), record).is_none(), "{name}: plans have keys of their own");
    }

    /// As a save holds them. What has no key any more has no record either.
    pub(crate) fn read(save: &Connection) -> rusqlite::Result<Self> {
        let mut books = Self::default();
        let accounts: BTreeMap<i64, String> =
            rows(save, "SELECT id, kind || ' ' || name FROM account", |row| Ok((row.get(0)?, row.get(1)?)))?;
        let assets: BTreeMap<i64, String> =
            rows(save, "SELECT id, name FROM asset", |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sql = "SELECT account, asset, expires_ms, instance, amount FROM holding WHERE amount <> 0";
        books.amounts = rows(save, sql, |row| {
            let lot = [row.get(2)?, row.get(3)?];
            Ok(((accounts[&row.get(0)?].clone(), assets[&row.get(1)?].clone(), lot), row.get(4)?))
        })?;
        let sql = "SELECT id, data_version FROM account WHERE id > 0 AND data_version > 0";
        books.versions = rows(save, sql, |row| Ok((accounts[&row.get(0)?].clone(), row.get(1)?)))?;
        books.clocks = rows(save, "SELECT account, asset, as_of_ms FROM pool_clock", |row| {
            Ok(((accounts[&row.get(0)?].clone(), assets[&row.get(1)?].clone()), row.get(2)?))
        })?;
        let (left, sold): (i64, i64) =
            save.query_row("SELECT amount, sold FROM game_shop_stock", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        assert_eq!(left, STOCK - sold, "what is sold is taken from the stock");
        books.sold = sold;
        let sql = "SELECT id, account, lower(hex(key)) FROM claim WHERE key IS NOT NULL";
        let claims: BTreeMap<i64, String> = rows(save, sql, |row| {
            Ok((row.get(0)?, format!("{} {}", accounts[&row.get(1)?], row.get::<_, String>(2)?)))
        })?;
        books.records = claims.values().map(|name| (name.clone(), Record::default())).collect();
        assert_eq!(books.records.len(), claims.len(), "each claim is there once");
        let mut sql = save.prepare(
            "SELECT claim, asset, expires_ms, instance, from_account, to_account, amount FROM ledger ORDER BY claim, position",
        )?;
        let mut found = sql.query([])?;
        while let Some(row) = found.next()? {
            let Some(name) = claims.get(&row.get(0)?) else { continue };
            let (from, to) = (accounts[&row.get(4)?].clone(), accounts[&row.get(5)?].clone());
            let moved = (assets[&row.get(1)?].clone(), [row.get(2)?, row.get(3)?], from, to, row.get(6)?);
            books.records.get_mut(name).expect("it has a record").moved.push(moved);
        }
        let mut sql = save.prepare("SELECT claim, account FROM changelog")?;
        let mut found = sql.query([])?;
        while let Some(row) = found.next()? {
            let Some(name) = claims.get(&row.get(0)?) else { continue };
            let raised = &mut books.records.get_mut(name).expect("it has a record").raised;
            assert!(raised.insert(accounts[&row.get(1)?].clone()), "a plan raises a version once");
        }
        let sql = "SELECT claim, position, payload FROM outbox";
        books.outbox = rows(save, sql, |row| {
            let claim: i64 = row.get(0)?;
            let name = claims.get(&claim).cloned().unwrap_or_else(|| format!("claim {claim}"));
            Ok(((name, row.get(1)?), row.get(2)?))
        })?;
        Ok(books)
    }
}

fn rows<K: Ord, V>(
    save: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<(K, V)>,
) -> rusqlite::Result<BTreeMap<K, V>> {
    save.prepare(sql)?.query_map([], read)?.collect()
}

/// What is wrong with a save whoever looks at it, and whatever it was asked for.
pub(crate) fn faults(save: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut wrong: Vec<String> = save
        .prepare("SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for (rule, sql) in [
        (
            "every amount is what the ledger says",
            "WITH moved (account, asset, expires_ms, instance, amount) AS (
                 SELECT account, asset, expires_ms, instance, amount FROM opening
                 UNION ALL SELECT from_account, asset, iif(from_account < 0, 0, expires_ms),
                     iif(from_account < 0, 0, instance), -amount FROM ledger
                 UNION ALL SELECT to_account, asset, iif(to_account < 0, 0, expires_ms),
                     iif(to_account < 0, 0, instance), amount FROM ledger
                 UNION ALL SELECT account, asset, expires_ms, instance, -amount FROM holding)
             SELECT count(*) FROM (SELECT 1 FROM moved GROUP BY account, asset, expires_ms, instance
                 HAVING sum(amount) <> 0)",
        ),
        (
            "the changelog leads to the version",
            "SELECT count(*) FROM account WHERE id > 0 AND data_version <> coalesce((SELECT max(data_version)
                 FROM changelog WHERE account = account.id), 0)",
        ),
        ("every reference leads somewhere", "SELECT count(*) FROM pragma_foreign_key_check"),
    ] {
        let count: i64 = save.query_row(sql, [], |row| row.get(0))?;
        if count != 0 {
            wrong.push(format!("{rule}: not of {count}"));
        }
    }
    Ok(wrong)
}
