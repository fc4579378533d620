//! Amounts that move: what is taken from one account is given to another, within what both may hold.

use super::Stop;
use super::executor::Executor;
use super::names::Asset;
use super::statements::HoldingKey;
use crate::reward::{Account, AffectedDomains, Lot, Name, PlanRefusal};
use crate::store::summary::ChangedHolding;

/// One row of the ledger.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) asset: i64,
    pub(super) lot: Lot,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) amount: i64,
}

/// A transfer of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer<'a> {
    pub(super) asset: &'a Name,
    pub(super) lot: Lot,
    pub(super) from: &'a Account,
    pub(super) to: &'a Account,
    pub(super) amount: u64,
    pub(super) cap: Option<u64>,
}

/// What the rows of lots are found by: houses do not tell lots apart.
fn lot_of(account: &Account, lot: Lot) -> Lot {
    match account {
        Account::Player(_) => lot,
        Account::House(_) => Lot::PLAIN,
    }
}

fn beyond_all_bounds() -> Stop {
    PlanRefusal::Invalid { why: "an amount grows beyond all bounds".into() }.into()
}

impl Executor<'_> {
    /// Moves an amount: first it is taken, so that what is one of its kind is never in two places.
    pub(super) fn transfer(&mut self, transfer: Transfer<'_>) -> Result<(), Stop> {
        let Transfer { asset: name, lot, from, to, amount, cap } = transfer;
        let invalid = |why: &str| Stop::from(PlanRefusal::Invalid { why: why.to_owned() });
        let amount = i64::try_from(amount).ok().filter(|amount| *amount > 0);
        let amount = amount.ok_or_else(|| invalid("an amount is 0 or far too large"))?;
        if lot.expires_ms > i64::MAX.cast_unsigned() {
            return Err(invalid("a lot expires after all time"));
        }
        if from == to {
            return Err(invalid("somebody gives to itself"));
        }
        let asset = self.names.asset(self.connection, name)?;
        let (from_id, to_id) = (self.account_id(from)?, self.account_id(to)?);
        let row_of = |account| HoldingKey { account, asset: asset.id, lot };
        let left = match from {
            Account::House(_) => self.add_to_house(from_id, asset, -amount)?,
            Account::Player(_) => self.take(from, row_of(from_id), name, amount)?,
        };
        self.changed(from, name, lot_of(from, lot), -amount, left);
        let got = match to {
            Account::House(_) => self.add_to_house(to_id, asset, amount)?,
            Account::Player(_) => self.add(row_of(to_id), amount)?,
        };
        self.changed(to, name, lot_of(to, lot), amount, got);
        if let (Some(cap), Account::Player(_)) = (cap, to) {
            self.check_cap(to, to_id, asset, name, cap)?;
        }
        self.work.domains |= asset.domain;
        self.work.moved.push(Moved { asset: asset.id, lot, from: from_id, to: to_id, amount });
        Ok(())
    }

    /// Adds to what a player has.
    fn add(&mut self, row: HoldingKey, amount: i64) -> Result<i64, Stop> {
        let was = self.sql.holding(row)?;
        let sum = was.unwrap_or(0).checked_add(amount).ok_or_else(beyond_all_bounds)?;
        self.sql.write_holding(row, was, sum)?;
        Ok(sum)
    }

    /// Adds to what a house has, which may be less than nothing.
    fn add_to_house(&mut self, house: i64, asset: Asset, amount: i64) -> Result<i64, Stop> {
        let sum = self.houses.add(&mut self.sql, house, asset.id, amount)?;
        sum.ok_or_else(beyond_all_bounds)
    }

    /// Takes from what a player has.
    fn take(&mut self, from: &Account, row: HoldingKey, name: &Name, amount: i64) -> Result<i64, Stop> {
        let was = self.sql.holding(row)?;
        let has = was.unwrap_or(0);
        if has >= amount {
            self.sql.write_holding(row, was, has - amount)?;
            return Ok(has - amount);
        }
        let (account, asset) = (from.clone(), name.clone());
        Err(Stop::Refused(match was {
            None if row.lot != Lot::PLAIN => PlanRefusal::NotHeld { account, asset },
            _ => {
                let (has, needs) = (has.cast_unsigned(), amount.cast_unsigned());
                PlanRefusal::TooLittle { account, asset, has, needs }
            }
        }))
    }

    fn check_cap(
        &mut self,
        to: &Account,
        account: i64,
        asset: Asset,
        name: &Name,
        cap: u64,
    ) -> Result<(), Stop> {
        let whole: i64 = self.sql.whole_amount.query_one([account, asset.id], |row| row.get(0))?;
        if whole.cast_unsigned() <= cap {
            return Ok(());
        }
        let (account, of) = (to.clone(), name.clone());
        Err(Stop::Refused(match asset.domain == AffectedDomains::UNLOCKS {
            true => PlanRefusal::AlreadyHas { account, asset: of },
            false => PlanRefusal::OverCap { account, asset: of, cap },
        }))
    }

    /// Notes what a row says now, for the summary.
    fn changed(&mut self, account: &Account, asset: &Name, lot: Lot, delta: i64, amount: i64) {
        let holdings = &mut self.work.holdings;
        let known = holdings
            .iter_mut()
            .find(|known| known.account == *account && known.asset == *asset && known.lot == lot);
        match known {
            Some(known) => {
                known.delta += delta;
                known.amount = amount;
            }
            None => {
                let (account, asset) = (account.clone(), asset.clone());
                holdings.push(ChangedHolding { account, asset, lot, delta, amount });
            }
        }
    }
}
