//! What goods cost at the nodes from hour to hour, kept in the save for whoever asks with SQL. No rule reads it.
//!
//! Every ten minutes the prices and stocks that are other than those written last are written, in batches, as the house of the
//! chroniclers has its plans carried out: no tick waits for it. A store has one row an hour, which says how the hour ended, and a week
//! of them. So the table holds at most 168 rows for each node and good, and one more where nothing has changed for a week; and
//! it grows by at most one row for each in an hour: of the shipped map 85 rows, some 5 kB, and all in all about 14,000 rows.

use std::collections::BTreeMap;

use crate::cell::pool::NodeContext;
use crate::prelude::*;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

use super::goods::Good;
use super::market::Market;

/// So often prices are written, ms.
const EVERY_MS: u64 = 10 * 60 * 1_000;
/// Prices are kept by the hour of the calendar, ms.
const HOUR_MS: u64 = 60 * 60 * 1_000;
/// So many hours.
const HOURS_KEPT: u64 = 7 * 24;
/// Rows of one plan.
const ROWS_AT_ONCE: usize = 200;
/// Plans that may be on their way: what is more waits for the next time.
const PLANS_MAX: usize = 20;

/// The table: of each node and good, by the hours since 1970, what a load cost (silver) and how many loads there were.
pub(super) const TABLE: &str = "CREATE TABLE game_caravan_price (
    node TEXT NOT NULL, good TEXT NOT NULL, hour INTEGER NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL,
    PRIMARY KEY (node, good, hour)) STRICT, WITHOUT ROWID";

/// What a store is told as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    node: String,
    good: Good,
    price: u32,
    stock: u32,
}

/// What was written last of each store, and what is on its way. In memory alone: a world that begins writes everything once.
#[derive(Debug, Default)]
pub(super) struct Written {
    period: Option<u64>,
    last: BTreeMap<(String, Good), (u32, u32)>,
    under_way: BTreeMap<ClaimKey, Vec<Row>>,
    /// The store that was taken last: where there are more than can be written at once, those behind it are next.
    after: Option<(String, Good)>,
}

impl Written {
    /// What is other than what was written last, as much as can be written at once.
    fn changed(&mut self, market: &Market) -> Vec<Row> {
        let all = market.stores.iter().flat_map(|(node, stores)| {
            stores.iter().map(move |(&good, store)| Row {
                node: node.clone(),
                good,
                price: store.price(),
                stock: store.loads,
            })
        });
        let is_new =
            |row: &Row| self.last.get(&(row.node.clone(), row.good)) != Some(&(row.price, row.stock));
        let mut rows: Vec<Row> = all.filter(is_new).collect();
        let store = |row: &Row| (row.node.clone(), row.good);
        if rows.len() > ROWS_AT_ONCE * PLANS_MAX {
            let next = rows.iter().position(|row| Some(store(row)) > self.after).unwrap_or(0);
            rows.rotate_left(next);
            rows.truncate(ROWS_AT_ONCE * PLANS_MAX);
            self.after = rows.last().map(store);
        }
        rows
    }
}

/// Has prices written that have changed, when it is time.
pub(super) fn keep_prices(
    mut rewards: RewardsOfNode,
    context: Res<NodeContext>,
    market: Res<Market>,
    mut written: Local<Written>,
) {
    let (now, now_ms) = (context.0.tick.0, context.0.now_ms);
    for outcome in rewards.outcomes() {
        let Some(rows) = written.under_way.remove(&outcome.claim.key) else { continue };
        // What was not written is other than what is: it is written the next time.
        if outcome.result.is_ok() {
            let known = rows.into_iter().map(|row| ((row.node, row.good), (row.price, row.stock)));
            written.last.extend(known);
        }
    }
    let period = now_ms / EVERY_MS;
    let is_time = written.period.replace(period).is_some_and(|before| before != period);
    // While the store does not answer, nothing more is asked of it.
    if !is_time || !written.under_way.is_empty() {
        return;
    }
    for (number, rows) in written.changed(&market).chunks(ROWS_AT_ONCE).enumerate() {
        let key = ClaimKey::dated(now_ms, "prices", &crate::protocol::codec::encode(&(now, number)));
        let request = PlanRequest::new("prices", Account::house("chronicle"));
        let prices = KeepPrices { hour: now_ms / HOUR_MS, rows: rows.to_vec() };
        rewards.ask(NetId::WORLD, key, request.game(KeepPrices::KIND, &prices));
        written.under_way.insert(key, rows.to_vec());
    }
}

/// Prices and stocks of an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepPrices {
    hour: u64,
    rows: Vec<Row>,
}

impl KeepPrices {
    /// What a plan calls it.
    pub(super) const KIND: &str = "keep_prices";
}

impl MutationKind for KeepPrices {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self { hour, rows }: Self) -> Result<(), KindRefusal> {
        let whole = |hour: u64| i64::try_from(hour).unwrap_or(i64::MAX);
        for Row { node, good, price, stock } in rows {
            let (node, good) = (node.as_str(), good.asset());
            tx.execute(
                "INSERT INTO game_caravan_price (node, good, hour, price, stock) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET price = excluded.price, stock = excluded.stock",
                &[node.into(), good.as_str().into(), whole(hour).into(), price.into(), stock.into()],
            )?;
            // The newest row stays, however old: it says what still holds.
            tx.execute(
                "DELETE FROM game_caravan_price WHERE node = ?1 AND good = ?2 AND hour <= ?3",
                &[node.into(), good.as_str().into(), whole(hour.saturating_sub(HOURS_KEPT)).into()],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::carrier::Carrier;
    use super::super::shelf::Store;
    use super::*;

    /// E4: where more has changed than can be written at once, everybody's turn comes.
    #[test]
    fn where_there_are_too_many_stores_each_has_its_turn() {
        let nodes = 2 * ROWS_AT_ONCE * PLANS_MAX + 10;
        let mut market = Market::default();
        for node in 0..nodes {
            market.stores.insert(format!("{node:05}"), BTreeMap::from([(Good::Salt, Store::default())]));
        }
        let mut written = Written::default();
        let mut seen = std::collections::BTreeSet::new();
        // Nothing of it is ever heard to be written: as if all changed again each time.
        for _ in 0..3 {
            let rows = written.changed(&market);
            assert_eq!(rows.len(), ROWS_AT_ONCE * PLANS_MAX);
            seen.extend(rows.into_iter().map(|row| row.node));
        }
        assert_eq!(seen.len(), nodes);
    }

    /// E4: whatever happens from hour to hour, a store has one row an hour and at most a week of them.
    #[test]
    fn the_almanac_grows_by_one_row_an_hour_and_ends_after_a_week() {
        let mut carrier = Carrier::new();
        let mut keep = |hour: u64, price: u32| {
            let row = |good| Row { node: "town".into(), good, price, stock: 5 };
            let prices = KeepPrices { hour, rows: vec![row(Good::Salt), row(Good::Silk)] };
            let house = Account::house("chronicle");
            let done = carrier.carry(PlanRequest::new("prices", house).game(KeepPrices::KIND, &prices));
            assert!(done.is_ok());
        };
        for hour in 1_000..1_400 {
            keep(hour, 7);
            keep(hour, 8);
        }
        let sql =
            "SELECT good, count(*), min(hour), max(hour), min(price) FROM game_caravan_price GROUP BY good";
        let rows = |good: &str| [good, "168", "1232", "1399", "8"].map(str::to_owned).to_vec();
        assert_eq!(carrier.bank.query(sql), [rows("salt"), rows("silk")]);
    }
}
