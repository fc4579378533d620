//! A naive executor: it carries a plan out, change by change, and believes nothing that the planner says.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Everything that everybody holds.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) players: BTreeMap<Account, Holdings>,
    houses: BTreeMap<(Account, Name, Lot), i128>,
}

impl Ledger {
    pub(super) fn of(context: &PlanContext) -> Self {
        Self { players: context.holdings.clone(), houses: BTreeMap::new() }
    }

    /// What alice holds when a plan of hers alone was carried out.
    pub(super) fn alone(tables: &RewardTables, held: Holdings, plan: &MutationPlan) -> Holdings {
        let alice = account("alice");
        let mut ledger = Self { players: BTreeMap::from([(alice.clone(), held)]), houses: BTreeMap::new() };
        ledger.carry_out(tables, plan);
        ledger.players.remove(&alice).expect("there")
    }

    /// All that there is of an asset, over all accounts.
    pub(super) fn total(&self, asset: &Name) -> i128 {
        let houses = self.houses.iter().filter(|((_, of, _), _)| of == asset).map(|(_, amount)| amount);
        let players = self.players.values().map(|holdings| i128::from(holdings.amount(asset)));
        players.sum::<i128>() + houses.sum::<i128>()
    }

    fn change(&mut self, account: &Account, asset: &Name, lot: Lot, by: i128) {
        if let Account::House(_) = account {
            *self.houses.entry((account.clone(), asset.clone(), lot)).or_default() += by;
            return;
        }
        let holdings = self.players.get_mut(account).expect("only those whose holdings are known take part");
        let held = holdings.lots.get(&(asset.clone(), lot)).copied().unwrap_or_default();
        let then = i128::from(held) + by;
        assert!(then >= 0, "{account} would hold {then} {asset}: nobody is below nothing");
        holdings.set(asset, lot, u64::try_from(then).expect("amounts stay in bounds"));
    }

    pub(super) fn carry_out(&mut self, tables: &RewardTables, plan: &MutationPlan) {
        let taking_part: BTreeSet<_> = plan.participants.iter().map(|one| one.account.clone()).collect();
        for change in &plan.mutations {
            match change {
                Mutation::Transfer { asset, lot, from, to, amount, cap } => {
                    assert!(*amount > 0 && from != to, "a transfer moves something: {change:?}");
                    for who in [from, to] {
                        assert!(who.player().is_none() || taking_part.contains(who), "{who} takes no part");
                    }
                    self.change(from, asset, *lot, -i128::from(*amount));
                    self.change(to, asset, *lot, i128::from(*amount));
                    let expected = to.player().and_then(|_| tables.asset(asset)?.cap());
                    assert_eq!(*cap, expected, "what has a cap is checked against it: {change:?}");
                    let held = self.players.get(to).map_or(0, |holdings| holdings.amount(asset));
                    assert!(
                        cap.is_none_or(|cap| held <= cap),
                        "{to} would hold {held} of at most {cap:?} {asset}"
                    );
                }
                Mutation::PoolClock { account, asset, as_of_ms } => {
                    let holdings = self.players.get_mut(account).expect("known");
                    let before = holdings.clocks.insert(asset.clone(), *as_of_ms);
                    assert!(before.is_none_or(|before| before < *as_of_ms), "{change:?}");
                }
                Mutation::Slots { account, most } => {
                    let used = slots(tables, &self.players[account]);
                    assert!(used <= *most, "{account} would use {used} of {most} slots");
                }
                Mutation::Game { .. } | Mutation::Outbox { .. } => {}
            }
        }
    }
}

pub(super) fn slots(tables: &RewardTables, holdings: &Holdings) -> u64 {
    holdings
        .lots
        .iter()
        .map(|((asset, _), amount)| tables.asset(asset).map_or(0, |class| class.slots(*amount)))
        .sum()
}

/// The domains that a plan says it touches are those that its changes touch.
pub(super) fn domains(tables: &RewardTables, plan: &MutationPlan) -> AffectedDomains {
    let mut all = BTreeSet::new();
    for change in &plan.mutations {
        match change {
            Mutation::Transfer { asset, .. } => match tables.asset(asset) {
                Some(AssetClass::Currency { .. }) => _ = all.insert("currencies"),
                Some(AssetClass::Pool { .. }) => _ = all.insert("pools"),
                Some(AssetClass::Unlock) => _ = all.insert("unlocks"),
                _ => _ = all.insert("items"),
            },
            Mutation::PoolClock { .. } => _ = all.insert("pools"),
            Mutation::Game { .. } => _ = all.insert("game"),
            Mutation::Outbox { .. } => _ = all.insert("outbox"),
            Mutation::Slots { .. } => {}
        }
    }
    let bits = ["currencies", "items", "pools", "unlocks", "game", "outbox"];
    let bits = bits.iter().enumerate().filter(|(_, domain)| all.contains(*domain));
    AffectedDomains::from_bits(bits.map(|(bit, _)| 1 << bit).sum())
}

/// What is told to each account of each lot is what it receives of it, but for what fills up by itself.
pub(super) fn check_lines(plan: &MutationPlan) {
    let mut sums: BTreeMap<(Account, Name, Lot), i128> = BTreeMap::new();
    for change in &plan.mutations {
        if let Mutation::Transfer { asset, lot, from, to, amount, .. } = change
            && to.player().is_some()
            && *from != Account::house(REGENERATION_HOUSE)
        {
            *sums.entry((to.clone(), asset.clone(), *lot)).or_default() += i128::from(*amount);
        }
    }
    for line in &plan.lines {
        assert!(line.amount > 0, "nobody is told of nothing: {line:?}");
        *sums.entry((line.account.clone(), line.asset.clone(), line.lot)).or_default() -=
            i128::from(line.amount);
    }
    assert!(sums.values().all(|left| *left == 0), "what is told is what is received: {sums:?}");
}
