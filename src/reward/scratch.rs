//! The paper on which a plan is worked out: copies of the frozen holdings, and the changes made to them so far.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::account::{Account, EXPIRED_HOUSE, REGENERATION_HOUSE};
use super::asset::{AssetClass, Lot};
use super::claim::Claim;
use super::context::PlanContext;
use super::holdings::Holdings;
use super::name::Name;
use super::plan::{Mutation, PlannedLine};
use super::pool;
use super::refusal::PlanRefusal;
use super::request::{Overflow, Pick};
use super::tables::{MUTATIONS_MAX, ROLL_CHANGES_MAX, RewardTables, STEPS_MAX};

/// How many lots that expired are taken away in one plan; what is left takes its slots until the next. With the worst roll, half
/// of the rest of a plan.
const EXPIRED_LOTS_MAX: usize = (MUTATIONS_MAX - ROLL_CHANGES_MAX) / 2;

/// The store keeps amounts in 63 bits and a sign.
const HELD_MAX: u64 = i64::MAX as u64;

/// A player on paper.
struct Holder {
    holdings: Holdings,
    slots_used: u64,
    /// Most slots that may be used in the end: those that there are, or that were used before.
    slots_most: u64,
    slots: u64,
    receives_items: bool,
    /// Where in the plan each pool's clock stands.
    clocks: BTreeMap<Name, Option<usize>>,
}

/// What has been planned so far.
pub(super) struct Scratch<'a> {
    tables: &'a RewardTables,
    now_ms: u64,
    holders: BTreeMap<Account, Holder>,
    pub(super) mutations: Vec<Mutation>,
    pub(super) lines: Vec<PlannedLine>,
    /// Changes that what was planned can come to, and steps of chance.
    changes: u64,
    steps: u64,
    /// What instances are derived from, and how many there are.
    key: Vec<u8>,
    instances: u64,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(context: &'a PlanContext, claim: &Claim) -> Self {
        let mut key = claim.key.0.to_le_bytes().to_vec();
        key.extend_from_slice(claim.account.to_string().as_bytes());
        Self {
            tables: &context.tables,
            now_ms: context.now_ms,
            holders: BTreeMap::new(),
            mutations: Vec::new(),
            lines: Vec::new(),
            changes: 0,
            steps: 0,
            key,
            instances: 0,
        }
    }

    /// Copies what somebody holds.
    pub(super) fn copy(&mut self, account: &Account, holdings: &Holdings, slots: u64) {
        let lots = holdings.lots.iter();
        let slots_used =
            lots.fold(0u64, |sum, ((asset, _), amount)| sum.saturating_add(self.slots_of(asset, *amount)));
        let holder = Holder {
            holdings: holdings.clone(),
            slots_used,
            slots_most: 0,
            slots,
            receives_items: false,
            clocks: BTreeMap::new(),
        };
        self.holders.insert(account.clone(), holder);
    }

    fn slots_of(&self, asset: &Name, amount: u64) -> u64 {
        self.tables.asset(asset).map_or(0, |class| class.slots(amount))
    }

    /// Takes away what has expired. Once, before anything else.
    pub(super) fn take_expired(&mut self, accounts: impl Iterator<Item = &'a Account>) {
        let house = Account::house(EXPIRED_HOUSE);
        let mut left = EXPIRED_LOTS_MAX;
        for account in accounts {
            let lots = self.holders[account].holdings.lots.iter();
            let expired = lots.filter(|((_, lot), _)| lot.is_expired(self.now_ms));
            let expired: Vec<_> =
                expired.map(|((asset, lot), amount)| (asset.clone(), *lot, *amount)).take(left).collect();
            left -= expired.len();
            self.changes += expired.len() as u64;
            for (asset, lot, amount) in expired {
                self.transfer(&asset, lot, account, &house, amount);
            }
            let holder = self.holders.get_mut(account).expect("copied");
            // Who has more than there is room for, since the tables changed, may still swap one for another.
            holder.slots_most = holder.slots.max(holder.slots_used);
        }
    }

    /// Reckons with so many more changes and steps, before they are worked out.
    pub(super) fn reckon(&mut self, changes: u64, steps: u64) -> Result<(), PlanRefusal> {
        self.changes = self.changes.saturating_add(changes);
        self.steps = self.steps.saturating_add(steps);
        if self.changes > MUTATIONS_MAX as u64 {
            return Err(PlanRefusal::TooLarge { changes: self.changes, most: MUTATIONS_MAX as u64 });
        }
        if self.steps > STEPS_MAX {
            return Err(PlanRefusal::TooManyRolls { steps: self.steps, most: STEPS_MAX });
        }
        Ok(())
    }

    /// Reckons with the check of the slots of somebody who will or may receive items.
    pub(super) fn reckon_slots(&mut self, account: &Account) -> Result<(), PlanRefusal> {
        match self.holders.get_mut(account) {
            Some(holder) if !holder.receives_items => {
                holder.receives_items = true;
                self.reckon(1, 0)
            }
            _ => Ok(()),
        }
    }

    /// Counts what has filled up in somebody's pool. Anything else is left as it is. The caller has reckoned with two changes.
    pub(super) fn count_pool(&mut self, account: &Account, asset: &Name, class: &AssetClass) {
        let AssetClass::Pool { cap, regen_ms } = *class else { return };
        let now_ms = self.now_ms;
        let Some(holder) = self.holders.get_mut(account) else { return };
        if holder.clocks.contains_key(asset) {
            return;
        }
        let was_ms = holder.holdings.clocks.get(asset).copied();
        let filled = pool::filled(cap, regen_ms, holder.holdings.amount(asset), was_ms, now_ms);
        holder.clocks.insert(asset.clone(), None);
        self.set_clock(account, asset, filled.as_of_ms);
        if filled.gained > 0 {
            let house = Account::house(REGENERATION_HOUSE);
            self.transfer(asset, Lot::PLAIN, &house, account, filled.gained);
        }
    }

    /// Of a pool that a grant filled: from now on it stands still, as [`pool::filled`] has it.
    pub(super) fn stop_if_full(&mut self, account: &Account, asset: &Name, class: &AssetClass) {
        let AssetClass::Pool { cap, .. } = *class else { return };
        if self.holders.get(account).is_some_and(|holder| holder.holdings.amount(asset) >= cap) {
            let now_ms = self.now_ms;
            let counted_ms = self.holders[account].holdings.clocks.get(asset).copied();
            self.set_clock(account, asset, counted_ms.unwrap_or_default().max(now_ms));
        }
    }

    fn set_clock(&mut self, account: &Account, asset: &Name, as_of_ms: u64) {
        let holder = self.holders.get_mut(account).expect("copied");
        let was_ms = holder.holdings.clocks.insert(asset.clone(), as_of_ms);
        if was_ms == Some(as_of_ms) {
            return;
        }
        let place = holder.clocks.get_mut(asset).expect("counted before");
        match place.map(|place| &mut self.mutations[place]) {
            Some(Mutation::PoolClock { as_of_ms: planned, .. }) => *planned = as_of_ms,
            _ => {
                *place = Some(self.mutations.len());
                let (account, asset) = (account.clone(), asset.clone());
                self.mutations.push(Mutation::PoolClock { account, asset, as_of_ms });
            }
        }
    }

    /// Whether somebody who takes part holds any of this lot.
    pub(super) fn holds(&self, account: &Account, asset: &Name, lot: Lot) -> bool {
        let holder = self.holders.get(account);
        holder.is_some_and(|holder| holder.holdings.lots.contains_key(&(asset.clone(), lot)))
    }

    /// Which lots are taken: what expires first, then what never does.
    pub(super) fn pick(
        &self,
        account: &Account,
        asset: &Name,
        amount: u64,
        pick: Pick,
    ) -> Result<Vec<(Lot, u64)>, PlanRefusal> {
        let holdings = &self.holders[account].holdings;
        let too_little = |has| PlanRefusal::TooLittle {
            account: account.clone(),
            asset: asset.clone(),
            has,
            needs: amount,
        };
        if let Pick::Lot(lot) = pick {
            let has =
                holdings.lots.get(&(asset.clone(), lot)).copied().filter(|_| !lot.is_expired(self.now_ms));
            let has = has.ok_or(PlanRefusal::NotHeld { account: account.clone(), asset: asset.clone() })?;
            return if has < amount { Err(too_little(has)) } else { Ok(vec![(lot, amount)]) };
        }
        let has = holdings.amount_at(asset, self.now_ms);
        if has < amount {
            return Err(too_little(has));
        }
        let expiring = holdings.lots_of(asset).filter(|(lot, _)| lot.expires_ms != 0);
        let for_good = holdings.lots_of(asset).take_while(|(lot, _)| lot.expires_ms == 0);
        let mut left = amount;
        let mut taken = Vec::new();
        for (lot, held) in expiring.filter(|(lot, _)| !lot.is_expired(self.now_ms)).chain(for_good) {
            // One more than a plan can hold is as bad as all of them.
            if left == 0 || taken.len() > MUTATIONS_MAX {
                break;
            }
            taken.push((lot, held.min(left)));
            left -= held.min(left);
        }
        Ok(taken)
    }

    /// How much of this somebody may be given. Slots of what refuses are looked at in the end, when all that leaves has left.
    pub(super) fn admit(
        &self,
        account: &Account,
        asset: &Name,
        class: &AssetClass,
        lot: Lot,
        amount: u64,
        overflow: Overflow,
    ) -> Result<u64, PlanRefusal> {
        let Some(holder) = self.holders.get(account) else { return Ok(amount) };
        let held = holder.holdings.amount(asset);
        let cap = class.cap().unwrap_or(HELD_MAX);
        let room = cap.saturating_sub(held);
        match overflow {
            Overflow::Refuse if amount <= room => Ok(amount),
            Overflow::Refuse if *class == AssetClass::Unlock && held > 0 => {
                Err(PlanRefusal::AlreadyHas { account: account.clone(), asset: asset.clone() })
            }
            Overflow::Refuse => {
                Err(PlanRefusal::OverCap { account: account.clone(), asset: asset.clone(), cap })
            }
            Overflow::Clip => {
                let AssetClass::Item { stack_max, .. } = *class else { return Ok(amount.min(room)) };
                let in_lot = holder.holdings.lots.get(&(asset.clone(), lot)).copied().unwrap_or_default();
                let free = holder.slots.saturating_sub(holder.slots_used);
                let fits = class.slots(in_lot).saturating_add(free).saturating_mul(u64::from(stack_max));
                Ok(amount.min(room).min(fits.saturating_sub(in_lot)))
            }
        }
    }

    /// Moves an amount that is there and may be. What follows another of its kind becomes one with it.
    pub(super) fn transfer(&mut self, asset: &Name, lot: Lot, from: &Account, to: &Account, amount: u64) {
        debug_assert!(amount > 0, "nothing is no change");
        self.change(from, asset, lot, |held| held.checked_sub(amount).expect("what is taken was picked"));
        self.change(to, asset, lot, |held| held + amount);
        if let Some(Mutation::Transfer {
            asset: of, lot: which, from: giver, to: receiver, amount: sum, ..
        }) = self.mutations.last_mut()
            && (&*of, *which, &*giver, &*receiver) == (asset, lot, from, to)
        {
            *sum += amount;
            return;
        }
        let cap = to.player().and_then(|_| self.tables.asset(asset)?.cap());
        let (asset, from, to) = (asset.clone(), from.clone(), to.clone());
        self.mutations.push(Mutation::Transfer { asset, lot, from, to, amount, cap });
    }

    fn change(&mut self, account: &Account, asset: &Name, lot: Lot, change: impl FnOnce(u64) -> u64) {
        let Some(holder) = self.holders.get_mut(account) else { return };
        let held = holder.holdings.lots.get(&(asset.clone(), lot)).copied().unwrap_or_default();
        let then = change(held);
        holder.holdings.set(asset, lot, then);
        if let Some(class) = self.tables.asset(asset) {
            holder.slots_used =
                holder.slots_used.saturating_sub(class.slots(held)).saturating_add(class.slots(then));
        }
    }

    /// The next instance of something single: the same for the same claim, and none is 0.
    pub(super) fn instance(&mut self) -> u64 {
        let instance = xxh3_64_with_seed(&self.key, self.instances);
        self.instances += 1;
        instance.max(1)
    }

    /// Tells a player what it receives.
    pub(super) fn tell(&mut self, account: &Account, asset: &Name, lot: Lot, amount: u64, out_of: &[Name]) {
        if account.player().is_none() || amount == 0 {
            return;
        }
        if let Some(last) = self.lines.last_mut()
            && (&last.account, &last.asset, last.lot, &*last.out_of) == (account, asset, lot, out_of)
        {
            last.amount += amount;
            return;
        }
        let (account, asset, out_of) = (account.clone(), asset.clone(), out_of.to_vec());
        self.lines.push(PlannedLine { account, asset, lot, amount, out_of });
    }

    /// Looks at the slots of everybody who received items, after all that left has left.
    pub(super) fn check_slots(
        &mut self,
        accounts: impl Iterator<Item = &'a Account>,
    ) -> Result<(), PlanRefusal> {
        for account in accounts {
            let holder = &self.holders[account];
            let receives = |change: &Mutation| match change {
                Mutation::Transfer { to, asset, .. } => {
                    to == account && matches!(self.tables.asset(asset), Some(AssetClass::Item { .. }))
                }
                _ => false,
            };
            if !self.mutations.iter().any(receives) {
                continue;
            }
            let most = holder.slots_most;
            if holder.slots_used > most {
                return Err(PlanRefusal::NoRoom { account: account.clone(), most, needs: holder.slots_used });
            }
            self.mutations.push(Mutation::Slots { account: account.clone(), most });
        }
        assert!(self.mutations.len() as u64 <= self.changes, "every change was reckoned with");
        Ok(())
    }
}
