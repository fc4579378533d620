//! What trade nodes have in store, in the save: counted, and moved with the trades of players.
//!
//! Goods themselves move between accounts, as all value does: what a store holds is what it opened with and what its house has taken
//! in since. The table says what it opened with, and what players took out of it in this period of its quota.

use crate::prelude::*;
use crate::reward::Name;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind, SqlValue};

use super::goods::Good;
use super::objection::{Objection, quotas_begin_in_s};
use super::price::Terms;
use super::shelf::{Way, quota_left};
use super::unwritten::Unwritten;

/// A store as somebody asks for it: it opens when the save does not know it yet, for a map may grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStore {
    market: Name,
    good: Name,
    /// What is in a store that opens now.
    opening: u32,
}

/// What a store holds, and what players took out of it in this period, below nothing where they brought more, by the save.
struct Row {
    loads: i64,
    period: i64,
    taken: i64,
}

/// What a store holds: an expression over a row of the table `stock`.
const LOADS: &str = "stock.opened + coalesce((
    SELECT sum(holding.amount) FROM holding
    JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
    WHERE account.kind = 'house' AND account.name = stock.market AND asset.name = stock.good), 0)";

impl OpenStore {
    pub(super) fn new(market: Name, good: Good, opening: u32) -> Self {
        Self { market, good: good.asset(), opening }
    }

    fn key(&self) -> [SqlValue; 2] {
        [self.market.as_str().into(), self.good.as_str().into()]
    }

    fn row(&self, tx: &mut GameTransaction<'_>) -> Result<Row, KindRefusal> {
        let [market, good] = self.key();
        tx.execute(
            "INSERT INTO game_caravan_stock (market, good, opened) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            &[market, good, self.opening.into()],
        )?;
        let sql = format!(
            "SELECT {LOADS}, stock.period, stock.taken FROM game_caravan_stock AS stock WHERE stock.market = ?1 AND stock.good = ?2"
        );
        let found = tx.first(&sql, &self.key())?;
        let number = |place: usize| found.as_ref()?.get(place)?.integer();
        match (number(0), number(1), number(2)) {
            (Some(loads), Some(period), Some(taken)) => Ok(Row { loads, period, taken }),
            _ => {
                Err(KindRefusal::new(format!("the store of {} in {} cannot be read", self.good, self.market)))
            }
        }
    }
}

/// Stores are opened where they are new, and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountStores(pub(super) Vec<OpenStore>);

/// What the save says of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) market: Name,
    pub(super) good: Name,
    pub(super) loads: i64,
    pub(super) period: u64,
    pub(super) taken: i32,
}

impl CountStores {
    /// What a plan calls it.
    pub(super) const KIND: &str = "count_stores";
}

impl MutationKind for CountStores {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self(stores): Self) -> Result<(), KindRefusal> {
        let mut counted = Vec::new();
        for store in stores {
            let Row { loads, period, taken } = store.row(tx)?;
            let OpenStore { market, good, .. } = store;
            let (period, taken) = (period.max(0).cast_unsigned(), narrow(taken));
            counted.push(Counted { market, good, loads, period, taken });
        }
        tx.tell(&counted)
    }
}

/// Loads come into a store or leave it, in the plan that has moved them before. All of the plan is refused when they are not there, when
/// there is no room for them, when the quota does not suffice, or when they are worth another price by now. What the node has asked for
/// itself comes in also where there is no room for it, or who fills a store would keep everybody from being paid: the country takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveStock {
    market: Name,
    good: Name,
    /// Below nothing where they leave.
    loads: i32,
    /// How the node trades in the good.
    terms: Terms,
    unwritten: Unwritten,
    /// What was agreed upon; nothing of what the node has asked for itself.
    deal: Option<Deal>,
}

/// What a player and a node agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deal {
    /// A load, silver.
    silver: u32,
    /// The period whose quota it counts against.
    period: u64,
}

/// How a store stands after a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) market: Name,
    pub(super) good: Name,
    /// Loads that are there.
    pub(super) loads: u32,
    /// The period in which players traded last, and how many loads they took out in it, all in all, below nothing where they brought
    /// more.
    pub(super) period: u64,
    pub(super) taken: i32,
    /// Loads that are left of the quota for what goes the same way.
    pub(super) quota_left: u32,
}

impl MoveStock {
    /// What a plan calls it.
    pub(super) const KIND: &str = "move_stock";

    /// So many loads come in, or leave, below nothing.
    pub(super) fn new(market: Name, good: Good, loads: i32, terms: Terms) -> Self {
        Self { market, good: good.asset(), loads, terms, unwritten: Unwritten::default(), deal: None }
    }

    /// This is in the store as well, and not written yet.
    pub(super) fn beside(self, unwritten: Unwritten) -> Self {
        Self { unwritten, ..self }
    }

    /// They were agreed upon, at so much silver a load and against the quota of that period.
    pub(super) fn at(self, silver: u32, period: u64) -> Self {
        Self { deal: Some(Deal { silver, period }), ..self }
    }

    /// What is against it, in a store that holds so many loads once they have moved, and so many that are not written.
    fn against_stock(&self, loads: i64, unwritten: i64) -> Option<Objection> {
        let moved = i64::from(self.loads);
        let (least, most) = (loads + unwritten.min(0), loads + unwritten.max(0));
        if moved < 0 && least < 0 {
            return Some(Objection::SoldOut { left: whole(least - moved) });
        }
        // What lies in a store that holds less now may leave it.
        if moved > 0 && most > i64::from(self.terms.most) {
            return Some(Objection::Full { room: whole(i64::from(self.terms.most) - (most - moved)) });
        }
        None
    }

    /// What is against the price, in a store that held so many loads before and of whose quota so many are used up: it is off when it
    /// would be worse for the node than what holds now.
    fn against_price(&self, deal: Deal, stored: u32, used: u32) -> Option<Objection> {
        let loads = self.loads.unsigned_abs();
        let (now, is_off) = if self.loads < 0 {
            let asked = self.terms.asked_of_players(stored, loads, used);
            (asked, asked > deal.silver)
        } else {
            let given = self.terms.given_to_players(stored, loads, used);
            (given, given < deal.silver)
        };
        is_off.then_some(Objection::Price { silver: now })
    }
}

fn whole(loads: i64) -> u32 {
    loads.clamp(0, u32::MAX.into()) as u32
}

fn narrow(loads: i64) -> i32 {
    loads.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

impl MutationKind for MoveStock {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        let refused = |why: Objection| Err(KindRefusal::new(why.to_string()));
        let store =
            OpenStore { market: data.market.clone(), good: data.good.clone(), opening: data.terms.rest };
        // The loads have moved already.
        let Row { loads, mut period, mut taken } = store.row(tx)?;
        let unwritten = data.unwritten.now(tx, store.key())?;
        let (moved, here, mut left) = (i64::from(data.loads), loads + unwritten, 0);
        if let Some(deal) = data.deal {
            if let Some(why) = data.against_stock(loads, unwritten) {
                return refused(why);
            }
            let now = i64::try_from(deal.period).unwrap_or(i64::MAX);
            if now > period {
                (period, taken) = (now, 0);
            }
            let way = if moved < 0 { Way::Out } else { Way::In };
            left = quota_left(data.terms.quota, taken, way);
            let needs = data.loads.unsigned_abs();
            if needs > left {
                return refused(Objection::Quota { left, opens_in_s: quotas_begin_in_s(tx.now_ms()) });
            }
            if let Some(why) = data.against_price(deal, whole(here - moved), whole(taken.abs())) {
                return refused(why);
            }
            (taken, left) = (taken - moved, left - needs);
            let [market, good] = store.key();
            tx.execute(
                "UPDATE game_caravan_stock SET period = ?3, taken = ?4 WHERE market = ?1 AND good = ?2",
                &[market, good, period.into(), taken.into()],
            )?;
        }
        let Self { market, good, .. } = data;
        tx.tell(&Moved {
            market,
            good,
            loads: whole(here),
            period: period.max(0).cast_unsigned(),
            taken: narrow(taken),
            quota_left: left,
        })
    }

    /// No store holds less than nothing, and no node's house holds goods that are in no store.
    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let sql = format!(
            "SELECT stock.market, stock.good, {LOADS} AS loads FROM game_caravan_stock AS stock WHERE loads < 0
             UNION ALL
             SELECT account.name, asset.name, NULL FROM holding
             JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
             WHERE account.kind = 'house' AND account.name LIKE 'market/%' AND holding.amount <> 0 AND asset.name IN ({})
             AND NOT EXISTS (SELECT 1 FROM game_caravan_stock AS stock WHERE stock.market = account.name AND stock.good = asset.name)",
            Good::ALL.map(|good| format!("'{}'", good.asset())).join(", ")
        );
        let wrong = tx.query(&sql, &[])?;
        let tell = |row: &Vec<SqlValue>| match &row[..] {
            [market, good, loads] => {
                let text = |value: &SqlValue| value.text().unwrap_or("?").to_owned();
                let what = match loads.integer() {
                    Some(loads) => format!("{loads} loads are there, which is less than nothing"),
                    None => "loads are there, and there is no such store".to_owned(),
                };
                format!("game_caravan_stock {} {}: {what}", text(market), text(good))
            }
            _ => "game_caravan_stock: unreadable".to_owned(),
        };
        Ok(wrong.iter().map(tell).collect())
    }
}

#[cfg(test)]
mod tests;
