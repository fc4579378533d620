//! Every amount against what opening balances and ledger come to.
//!
//! The ledger stands in the order of claims, amounts in that of accounts, so it is added up in memory: of as many places as
//! [`PLACES_MAX`] at a time. Where there are more, the places are divided by a hash, and the ledger is read once for each part.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::findings::{At, Mend};
use super::{Look, ProblemKind};

/// Most places whose sums are in memory at a time: some 60 MB.
const PLACES_MAX: usize = 1 << 19;

/// One of `of` parts of all places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    number: u64,
    of: u64,
}

impl Part {
    fn holds(self, at: At) -> bool {
        if self.of == 1 {
            return true;
        }
        let mut bytes = [0; 32];
        for (place, value) in [at.account, at.asset, at.expires_ms, at.instance].into_iter().enumerate() {
            bytes[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        xxh3_64(&bytes) % self.of == self.number
    }

    /// The same places as two parts.
    fn halves(self) -> [Self; 2] {
        let of = self.of * 2;
        [Self { number: self.number, of }, Self { number: self.number + self.of, of }]
    }
}

impl Look<'_> {
    /// Compares every amount.
    pub(super) fn balances(&mut self) -> rusqlite::Result<()> {
        self.balances_with(PLACES_MAX)
    }

    pub(super) fn balances_with(&mut self, places_max: usize) -> rusqlite::Result<()> {
        self.begin("adding up the ledger")?;
        self.totals.ledger = self
            .connection
            .query_row("SELECT count(*) FROM ledger", [], |row| row.get::<_, i64>(0))?
            .cast_unsigned();
        let mut parts = vec![Part { number: 0, of: 1 }];
        while let Some(part) = parts.pop() {
            match self.add_up(part, places_max)? {
                Some(sums) => self.compare(part, sums)?,
                None => parts.extend(part.halves()),
            }
        }
        Ok(())
    }

    /// What the places of a part come to; `None` when they are too many.
    fn add_up(&mut self, part: Part, places_max: usize) -> rusqlite::Result<Option<FxHashMap<At, i128>>> {
        let connection = self.connection;
        let mut sums: FxHashMap<At, i128> = FxHashMap::default();
        let mut add = |at: At, amount: i128| {
            if part.holds(at) {
                *sums.entry(at).or_default() += amount;
            }
            sums.len() <= places_max
        };
        let mut sql =
            connection.prepare("SELECT account, asset, expires_ms, instance, amount FROM opening")?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let at = At {
                account: row.get(0)?,
                asset: row.get(1)?,
                expires_ms: row.get(2)?,
                instance: row.get(3)?,
            };
            if !add(at, row.get::<_, i64>(4)?.into()) {
                return Ok(None);
            }
        }
        let mut sql = connection
            .prepare("SELECT from_account, to_account, asset, expires_ms, instance, amount FROM ledger")?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("adding up the ledger")?;
            let (from, to): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (asset, lot) = (row.get(2)?, (row.get(3)?, row.get(4)?));
            let amount: i64 = row.get(5)?;
            for (account, amount) in [(from, -i128::from(amount)), (to, amount.into())] {
                // Houses do not tell lots apart.
                let (expires_ms, instance) = if account < 0 { (0, 0) } else { lot };
                if !add(At { account, asset, expires_ms, instance }, amount) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(sums))
    }

    fn compare(&mut self, part: Part, mut sums: FxHashMap<At, i128>) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut sql = connection.prepare(
            "SELECT account, asset, expires_ms, instance, amount FROM holding
             ORDER BY account, asset, expires_ms, instance",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("comparing amounts with the ledger")?;
            let at = At {
                account: row.get(0)?,
                asset: row.get(1)?,
                expires_ms: row.get(2)?,
                instance: row.get(3)?,
            };
            if !part.holds(at) {
                continue;
            }
            let amount: i64 = row.get(4)?;
            match sums.remove(&at) {
                Some(sum) if sum == i128::from(amount) => {}
                Some(sum) => self.unequal(ProblemKind::Balance, at, Some(amount), sum)?,
                None if amount == 0 => {}
                None => self.unequal(ProblemKind::Orphan, at, Some(amount), 0)?,
            }
        }
        let mut missing: Vec<(At, i128)> = sums.into_iter().filter(|(_, sum)| *sum != 0).collect();
        missing.sort_unstable();
        for (at, sum) in missing {
            self.unequal(ProblemKind::Balance, at, None, sum)?;
        }
        Ok(())
    }

    fn unequal(&mut self, kind: ProblemKind, at: At, amount: Option<i64>, sum: i128) -> rusqlite::Result<()> {
        let asset: String = self
            .connection
            .query_row("SELECT name FROM asset WHERE id = ?1", [at.asset], |row| row.get(0))
            .unwrap_or_else(|_| format!("asset {}", at.asset));
        let who = self.account_name(at.account)?;
        let detail = match (kind, amount) {
            (ProblemKind::Orphan, Some(amount)) => {
                format!("{who} holds {amount} of {asset}, and nothing in the ledger accounts for it")
            }
            (_, Some(amount)) => format!("{who} holds {amount} of {asset}, and the ledger comes to {sum}"),
            (_, None) => format!("{who} holds none of {asset}, and the ledger comes to {sum}"),
        };
        // Of what may not be held no ledger makes something that may.
        let may_be = (at.account < 0 || sum >= 0) && (at.instance == 0 || sum <= 1);
        let mend = i64::try_from(sum).ok().filter(|_| may_be).map(|amount| Mend::Amount { at, amount });
        self.findings.add_with(kind, "holding", &at.to_string(), detail, mend);
        Ok(())
    }
}

/// What of a file's amounts is not what its ledger says, added up with so many places in memory.
#[cfg(test)]
pub(in crate::store) fn balances_of(
    connection: &rusqlite::Connection,
    places_max: usize,
) -> rusqlite::Result<Vec<super::Problem>> {
    let watch = super::Watch::nobody();
    let (findings, totals) = (super::Findings::new(1_000), super::Totals::default());
    let mut look = Look { connection, watch: &watch, findings, totals };
    look.balances_with(places_max)?;
    Ok(look.findings.problems)
}
