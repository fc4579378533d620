//! Holdings, each by itself and all together.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use super::findings::At;
use super::{AssetTotals, Look, ProblemKind};

struct Asset {
    name: String,
    class: String,
    stack_max: Option<u64>,
    players: i128,
    houses: i128,
    opening: i128,
}

fn bounded(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

impl Look<'_> {
    /// Looks at every holding, at what is held twice, and at what all accounts hold together.
    pub(super) fn holdings(&mut self) -> rusqlite::Result<()> {
        self.begin("looking at holdings")?;
        let connection = self.connection;
        let now_ms = self.newest_ms()?;
        let mut assets: BTreeMap<i64, Asset> = connection
            .prepare("SELECT id, name, class, stack_max FROM asset")?
            .query_map([], |row| {
                let stack_max = row.get::<_, Option<i64>>(3)?.map(|max| max.max(1).cast_unsigned());
                let (players, houses, opening) = (0, 0, 0);
                let (name, class) = (row.get(1)?, row.get(2)?);
                Ok((row.get(0)?, Asset { name, class, stack_max, players, houses, opening }))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut sql = connection.prepare(
            "SELECT account, asset, expires_ms, instance, amount FROM holding
             ORDER BY account, asset, expires_ms, instance",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("looking at holdings")?;
            self.totals.holdings += 1;
            let at = At {
                account: row.get(0)?,
                asset: row.get(1)?,
                expires_ms: row.get(2)?,
                instance: row.get(3)?,
            };
            let amount: i64 = row.get(4)?;
            self.holding(at, amount)?;
            if at.expires_ms != 0 {
                self.totals.lots += 1;
                self.totals.lots_expired += u64::from(at.expires_ms <= now_ms && amount > 0);
            }
            // One of an asset that does not exist is an orphan, and named as one.
            let Some(asset) = assets.get_mut(&at.asset) else { continue };
            if at.account > 0 {
                asset.players += i128::from(amount);
                let slots = asset.stack_max.map(|max| u64::try_from(amount).unwrap_or(0).div_ceil(max));
                self.totals.slots += slots.unwrap_or(0);
            } else {
                asset.houses += i128::from(amount);
            }
        }
        let mut sql = connection.prepare("SELECT asset, amount FROM opening")?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("looking at opening balances")?;
            self.totals.opening += 1;
            if let Some(asset) = assets.get_mut(&row.get(0)?) {
                asset.opening += i128::from(row.get::<_, i64>(1)?);
            }
        }
        for (id, asset) in assets {
            let Asset { name, class, players, houses, opening, .. } = asset;
            let key = format!("asset={id}");
            if players + houses != 0 {
                let detail = format!(
                    "{name}: players hold {players} and houses {houses}, which comes to {} and not to nothing",
                    players + houses
                );
                self.findings.add(ProblemKind::Conservation, "holding", &key, detail);
            }
            if opening != 0 {
                let detail = format!("{name}: the opening balances come to {opening} and not to nothing");
                self.findings.add(ProblemKind::Conservation, "opening", &key, detail);
            }
            let (players, houses) = (bounded(players), bounded(houses));
            self.totals.assets.push(AssetTotals { name, class, players, houses });
        }
        self.held_twice()
    }

    fn holding(&mut self, at: At, amount: i64) -> rusqlite::Result<()> {
        let is_plain = at.expires_ms == 0 && at.instance == 0;
        let (kind, what) = if at.account > 0 && amount < 0 {
            (ProblemKind::Negative, "holds less than nothing")
        } else if at.account < 0 && !is_plain {
            (ProblemKind::Lot, "is a house, and holds a single lot")
        } else if at.instance != 0 && amount > 1 {
            (ProblemKind::Lot, "holds more than one of what is one of its kind")
        } else if amount == 0 && !is_plain {
            (ProblemKind::Lot, "holds nothing of a lot, which should be gone then")
        } else {
            return Ok(());
        };
        let detail = format!("{} {what}: {amount}", self.account_name(at.account)?);
        self.findings.add(kind, "holding", &at.to_string(), detail);
        Ok(())
    }

    /// What is one of its kind has one holder.
    fn held_twice(&mut self) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut sql = connection.prepare(
            "SELECT asset, instance, count(*), min(account), max(account) FROM holding
             WHERE instance <> 0 GROUP BY asset, instance HAVING count(*) > 1",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let (asset, instance, count): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (one, other) = (self.account_name(row.get(3)?)?, self.account_name(row.get(4)?)?);
            let detail = format!("it is one of its kind and held {count} times, by {one} and {other}");
            let key = format!("asset={asset} instance={instance}");
            self.findings.add(ProblemKind::DuplicateItem, "holding", &key, detail);
        }
        Ok(())
    }

    /// The newest time that the save knows, milliseconds since 1970.
    fn newest_ms(&self) -> rusqlite::Result<i64> {
        let newest = |sql: &str| {
            self.connection
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .optional()
                .map(Option::unwrap_or_default)
        };
        let claim = newest("SELECT now_ms FROM claim ORDER BY id DESC LIMIT 1")?;
        Ok(claim.max(newest("SELECT now_ms FROM image ORDER BY id DESC LIMIT 1")?))
    }
}
