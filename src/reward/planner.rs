//! The planner: what is asked for, worked out on what is frozen.

use super::account::Account;
use super::asset::{AssetClass, Lot};
use super::chance::Chance;
use super::claim::Claim;
use super::context::PlanContext;
use super::name::Name;
use super::plan::{AffectedDomains, Mutation, MutationPlan, Participant};
use super::refusal::PlanRefusal;
use super::request::{Overflow, Part, Pick, PlanRequest};
use super::rolls::{Drawn, Rolls};
use super::scratch::Scratch;
use super::tables::graph::changes_of;
use super::tables::{AMOUNT_MAX, BoxRule, RewardTables};

/// Works out everything that a use case will change: a function of its arguments, and the same to the byte for the same ones.
///
/// What has expired of those who take part leaves first. Then the parts follow in their order, each on what those before it leave;
/// slots are looked at once, in the end. What chance draws depends on the seed, the tables and the request, and never on what
/// anybody holds. Costs O(what those who take part hold + [`MUTATIONS_MAX`](super::tables::MUTATIONS_MAX) +
/// [`STEPS_MAX`](super::tables::STEPS_MAX)), whatever the tables say.
///
/// # Errors
/// Why it cannot be. Nothing has changed then.
pub fn plan(
    context: &PlanContext,
    claim: &Claim,
    request: &PlanRequest,
) -> Result<MutationPlan, PlanRefusal> {
    plan_with(context, claim, request, &mut Chance::new(context.seed))
}

pub(super) fn plan_with(
    context: &PlanContext,
    claim: &Claim,
    request: &PlanRequest,
    chance: &mut Chance,
) -> Result<MutationPlan, PlanRefusal> {
    if claim.account != request.claimant {
        return Err(senseless(format!("{} claims what is of {}", claim.account, request.claimant)));
    }
    let others =
        request.players().into_iter().map(Account::Player).filter(|account| *account != request.claimant);
    let claimant = request.claimant.player().map(Account::from);
    let players: Vec<Account> = claimant.into_iter().chain(others).collect();
    let mut scratch = Scratch::new(context, claim);
    let mut participants = Vec::with_capacity(players.len());
    for account in &players {
        let holdings = context.holdings.get(account);
        let holdings = holdings.ok_or_else(|| unknown("participant", &account.to_string()))?;
        let slots = context.slots.get(account).copied().unwrap_or_else(|| context.tables.slots());
        scratch.copy(account, holdings, slots);
        participants.push(Participant { account: account.clone(), version: holdings.version });
    }
    scratch.take_expired(players.iter());
    let mut planner = Planner {
        tables: &context.tables,
        now_ms: context.now_ms,
        claimant: &request.claimant,
        scratch,
        chance,
    };
    for (number, part) in request.parts.iter().enumerate() {
        planner.part(part).map_err(|refusal| match refusal {
            PlanRefusal::Senseless { why } => senseless(format!("part {}: {why}", number + 1)),
            other => other,
        })?;
    }
    let mut scratch = planner.scratch;
    scratch.check_slots(players.iter())?;
    Ok(MutationPlan {
        use_case: request.use_case.clone(),
        claim: claim.clone(),
        tables: context.tables.version(),
        now_ms: context.now_ms,
        participants,
        domains: domains_of(&scratch.mutations, &context.tables),
        mutations: scratch.mutations,
        lines: scratch.lines,
    })
}

fn senseless(why: impl Into<String>) -> PlanRefusal {
    PlanRefusal::Senseless { why: why.into() }
}

fn unknown(what: &str, name: &str) -> PlanRefusal {
    PlanRefusal::Unknown { what: what.to_owned(), name: name.to_owned() }
}

fn domains_of(mutations: &[Mutation], tables: &RewardTables) -> AffectedDomains {
    let mut domains = AffectedDomains::NONE;
    for change in mutations {
        domains |= match change {
            Mutation::Transfer { asset, .. } => match tables.asset(asset) {
                Some(AssetClass::Currency { .. }) => AffectedDomains::CURRENCIES,
                Some(AssetClass::Pool { .. }) => AffectedDomains::POOLS,
                Some(AssetClass::Unlock) => AffectedDomains::UNLOCKS,
                // What is in no table any more has expired, as items do, or is given back: which it was, the store knows.
                Some(AssetClass::Item { .. }) | None => AffectedDomains::ITEMS,
            },
            Mutation::PoolClock { .. } => AffectedDomains::POOLS,
            Mutation::Slots { .. } => AffectedDomains::NONE,
            Mutation::Outbox { .. } => AffectedDomains::OUTBOX,
            Mutation::Game { .. } => AffectedDomains::GAME,
        };
    }
    domains
}

struct Planner<'a> {
    tables: &'a RewardTables,
    now_ms: u64,
    claimant: &'a Account,
    scratch: Scratch<'a>,
    chance: &'a mut Chance,
}

impl<'a> Planner<'a> {
    fn part(&mut self, part: &Part) -> Result<(), PlanRefusal> {
        match part {
            Part::Consume { asset, amount, pick: pick @ Pick::Lot(lot), to, .. }
                if self.tables.asset(asset).is_none() && self.scratch.holds(self.claimant, asset, *lot) =>
            {
                check_house(to)?;
                self.take_retired(asset, *amount, *pick, to)
            }
            Part::Consume { asset, amount, pick, non_stackable, to } => {
                let class = self.class(asset)?;
                if class.is_single() != *non_stackable {
                    let is = if class.is_single() { "is never stacked" } else { "is not single" };
                    return Err(senseless(format!("{asset} {is}, and `non_stackable` says otherwise")));
                }
                check_house(to)?;
                self.take(asset, class, *amount, *pick, to)
            }
            Part::Grant { asset, amount, from, to, overflow } => {
                check_house(from)?;
                check_amount(*amount)?;
                if from == to {
                    return Err(senseless("it is granted to the house that it is taken from"));
                }
                self.grant(asset, *amount, from, to, *overflow)
            }
            Part::Give { asset, amount, pick, from, to } => self.give(asset, *amount, *pick, from, to),
            Part::Loot { table, rolls, to, overflow } => {
                let loot = self.tables.loot(table).ok_or_else(|| unknown("loot table", table.as_str()))?;
                let rolls = u64::from(*rolls);
                check_amount(rolls)?;
                self.scratch.reckon(loot.worst.changes(rolls), loot.worst.steps(rolls))?;
                self.scratch.reckon_slots(to)?;
                let drawn = self.draw(|rolled| rolled.table(table, rolls));
                self.hand_out(&drawn, to, *overflow)
            }
            Part::Open { asset, amount, overflow } => {
                let rule = self.tables.box_rule(asset).ok_or_else(|| unknown("box", asset.as_str()))?;
                check_amount(*amount)?;
                self.reckon_opening(rule, *amount, self.claimant)?;
                let house = Account::House(self.house_of(rule));
                self.take(asset, self.class(asset)?, *amount, Pick::Any, &house)?;
                let drawn = self.draw(|rolled| rolled.open(asset, *amount));
                self.hand_out(&drawn, self.claimant, *overflow)
            }
            Part::Game { kind, data } => {
                self.scratch.reckon(1, 0)?;
                self.scratch.mutations.push(Mutation::Game { kind: kind.clone(), data: data.clone() });
                Ok(())
            }
            Part::Outbox { kind, payload } => {
                self.scratch.reckon(1, 0)?;
                self.scratch
                    .mutations
                    .push(Mutation::Outbox { kind: kind.clone(), payload: payload.clone() });
                Ok(())
            }
        }
    }

    fn class(&self, asset: &Name) -> Result<&'a AssetClass, PlanRefusal> {
        self.tables.asset(asset).ok_or_else(|| unknown("asset", asset.as_str()))
    }

    /// Where boxes go that are opened: the house that fills them.
    fn house_of(&self, rule: &BoxRule) -> Name {
        self.tables
            .loot_table(&rule.table)
            .expect("checked tables name no table that is not there")
            .house
            .clone()
    }

    /// From the claimant to a house.
    fn take(
        &mut self,
        asset: &Name,
        class: &AssetClass,
        amount: u64,
        pick: Pick,
        to: &Account,
    ) -> Result<(), PlanRefusal> {
        check_amount(amount)?;
        check_player(self.claimant)?;
        self.scratch.reckon(changes_of(class) - 1, 0)?;
        self.scratch.count_pool(self.claimant, asset, class);
        let lots = self.scratch.pick(self.claimant, asset, amount, pick)?;
        self.scratch.reckon(lots.len() as u64, 0)?;
        for (lot, amount) in lots {
            self.scratch.transfer(asset, lot, self.claimant, to, amount);
        }
        Ok(())
    }

    /// From the claimant to a house, of what the tables do not name any more: whoever holds it may be rid of it, and nobody comes to
    /// it. Of its class nothing is left to keep to.
    fn take_retired(
        &mut self,
        asset: &Name,
        amount: u64,
        pick: Pick,
        to: &Account,
    ) -> Result<(), PlanRefusal> {
        check_amount(amount)?;
        check_player(self.claimant)?;
        self.scratch.reckon(1, 0)?;
        for (lot, amount) in self.scratch.pick(self.claimant, asset, amount, pick)? {
            self.scratch.transfer(asset, lot, self.claimant, to, amount);
        }
        Ok(())
    }

    fn give(
        &mut self,
        asset: &Name,
        amount: u64,
        pick: Pick,
        from: &Account,
        to: &Account,
    ) -> Result<(), PlanRefusal> {
        let class = self.class(asset)?;
        check_amount(amount)?;
        check_player(from)?;
        check_player(to)?;
        if from == to {
            return Err(senseless(format!("{from} gives to itself")));
        }
        self.scratch.reckon(2 * (changes_of(class) - 1), 0)?;
        self.scratch.count_pool(from, asset, class);
        self.scratch.count_pool(to, asset, class);
        let lots = self.scratch.pick(from, asset, amount, pick)?;
        self.scratch.reckon(lots.len() as u64, 0)?;
        if matches!(class, AssetClass::Item { .. }) {
            self.scratch.reckon_slots(to)?;
        }
        self.scratch.admit(to, asset, class, Lot::PLAIN, amount, Overflow::Refuse)?;
        for (lot, amount) in lots {
            self.scratch.transfer(asset, lot, from, to, amount);
            self.scratch.tell(to, asset, lot, amount, &[]);
        }
        self.scratch.stop_if_full(to, asset, class);
        Ok(())
    }

    fn grant(
        &mut self,
        asset: &Name,
        amount: u64,
        from: &Account,
        to: &Account,
        overflow: Overflow,
    ) -> Result<(), PlanRefusal> {
        let class = self.class(asset)?;
        if let Some(rule) = self.tables.box_rule(asset).filter(|rule| rule.opens_itself) {
            self.reckon_opening(rule, amount, to)?;
            let drawn = self.draw(|rolled| rolled.open(asset, amount));
            return self.hand_out(&drawn, to, overflow);
        }
        self.scratch.reckon(if class.is_single() { amount } else { changes_of(class) }, 0)?;
        if matches!(class, AssetClass::Item { .. }) {
            self.scratch.reckon_slots(to)?;
        }
        self.receive(asset, class, amount, from, to, overflow, &[(Vec::new(), amount)])
    }

    fn reckon_opening(&mut self, rule: &BoxRule, amount: u64, to: &Account) -> Result<(), PlanRefusal> {
        let loot = self.tables.loot(&rule.table).expect("checked tables name no table that is not there");
        let rolls = amount.saturating_mul(u64::from(rule.rolls));
        self.scratch.reckon(loot.worst.changes(rolls), loot.worst.steps(rolls))?;
        self.scratch.reckon_slots(to)
    }

    fn draw(&mut self, roll: impl FnOnce(&mut Rolls<'_>)) -> Vec<Drawn> {
        let mut rolls = Rolls::new(self.tables, self.chance);
        roll(&mut rolls);
        rolls.finish()
    }

    fn hand_out(&mut self, drawn: &[Drawn], to: &Account, overflow: Overflow) -> Result<(), PlanRefusal> {
        for Drawn { house, asset, amount, out_of } in drawn {
            let from = Account::House(house.clone());
            // A house that fills its own boxes gives itself nothing.
            if from != *to {
                self.receive(asset, self.class(asset)?, *amount, &from, to, overflow, out_of)?;
            }
        }
        Ok(())
    }

    /// As much as may be goes from a house to somebody. The caller has reckoned with it.
    fn receive(
        &mut self,
        asset: &Name,
        class: &AssetClass,
        amount: u64,
        from: &Account,
        to: &Account,
        overflow: Overflow,
        out_of: &[(Vec<Name>, u64)],
    ) -> Result<(), PlanRefusal> {
        self.scratch.count_pool(to, asset, class);
        let lot = Lot { expires_ms: class.expires_ms(self.now_ms), instance: 0 };
        let mut left = self.scratch.admit(to, asset, class, lot, amount, overflow)?;
        for (boxes, amount) in out_of {
            let amount = left.min(*amount);
            left -= amount;
            if class.is_single() {
                for _ in 0..amount {
                    let lot = Lot { instance: self.scratch.instance(), ..lot };
                    self.scratch.transfer(asset, lot, from, to, 1);
                    self.scratch.tell(to, asset, lot, 1, boxes);
                }
            } else if amount > 0 {
                self.scratch.transfer(asset, lot, from, to, amount);
                self.scratch.tell(to, asset, lot, amount, boxes);
            }
        }
        self.scratch.stop_if_full(to, asset, class);
        Ok(())
    }
}

fn check_amount(amount: u64) -> Result<(), PlanRefusal> {
    match amount {
        1..=AMOUNT_MAX => Ok(()),
        _ => Err(senseless(format!("the amount is {amount}: expected 1 to {AMOUNT_MAX}"))),
    }
}

fn check_player(account: &Account) -> Result<(), PlanRefusal> {
    account.player().map(|_| ()).ok_or_else(|| senseless(format!("{account} is no player")))
}

fn check_house(account: &Account) -> Result<(), PlanRefusal> {
    if account.player().is_none() { Ok(()) } else { Err(senseless(format!("{account} is no house"))) }
}
