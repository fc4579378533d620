//! The planner against an oracle that knows neither amounts nor lots: it holds a list of single things, moves them one by one,
//! and lets pools fill up millisecond by millisecond.

use std::collections::BTreeMap;

use super::super::chance::Chance;
use super::naive::Ledger;
use super::*;

/// One thing: what, until when.
type Unit = (Name, u64);

#[derive(Clone, Debug, Default, PartialEq)]
struct Hand {
    units: Vec<Unit>,
    /// Milliseconds since the last one came into a pool.
    begun: BTreeMap<Name, u64>,
}

#[derive(Debug, PartialEq)]
enum Refused {
    TooLittle,
    OverCap,
    AlreadyHas,
    NoRoom,
}

impl Hand {
    fn of(holdings: &Holdings) -> Self {
        let units = holdings.lots.iter().flat_map(|((asset, lot), amount)| {
            std::iter::repeat_n((asset.clone(), lot.expires_ms), *amount as usize)
        });
        let mut hand = Self { units: units.collect(), begun: BTreeMap::new() };
        hand.units.sort();
        hand
    }

    fn count(&self, asset: &Name) -> u64 {
        self.units.iter().filter(|(of, _)| of == asset).count() as u64
    }

    fn slots(&self, tables: &RewardTables) -> u64 {
        let mut by_lot: BTreeMap<&Unit, u64> = BTreeMap::new();
        let mut singles = 0;
        for unit in &self.units {
            match tables.asset(&unit.0) {
                Some(class) if class.is_single() => singles += 1,
                _ => *by_lot.entry(unit).or_default() += 1,
            }
        }
        let stacks = by_lot.iter().map(|((asset, _), amount)| match tables.asset(asset) {
            Some(AssetClass::Item { stack_max, .. }) => amount.div_ceil(u64::from(*stack_max)),
            _ => 0,
        });
        singles + stacks.sum::<u64>()
    }

    /// Takes so many, what ends first first.
    fn take(&mut self, asset: &Name, amount: u64) -> Result<Vec<Unit>, Refused> {
        let mut taken = Vec::new();
        for _ in 0..amount {
            let of = self.units.iter().enumerate().filter(|(_, (of, _))| of == asset);
            let first =
                of.min_by_key(|(_, (_, expires_ms))| expires_ms.wrapping_sub(1)).ok_or(Refused::TooLittle)?.0;
            taken.push(self.units.remove(first));
        }
        Ok(taken)
    }

    /// Puts one in, or not.
    fn put(&mut self, tables: &RewardTables, unit: &Unit, clips: Option<u64>) -> Result<bool, Refused> {
        let (asset, _) = unit;
        let class = tables.asset(asset).expect("known");
        if class.cap().is_some_and(|cap| self.count(asset) >= cap) {
            let no = if *class == AssetClass::Unlock { Refused::AlreadyHas } else { Refused::OverCap };
            return if clips.is_some() { Ok(false) } else { Err(no) };
        }
        let before = self.slots(tables);
        self.units.push(unit.clone());
        if class.cap().is_some_and(|cap| self.count(asset) >= cap) {
            self.begun.insert(asset.clone(), 0);
        }
        let after = self.slots(tables);
        if after > before && clips.is_some_and(|slots| after > slots) {
            self.units.pop();
            return Ok(false);
        }
        Ok(true)
    }

    /// Lets every pool fill up, one millisecond after the other.
    fn wait(&mut self, tables: &RewardTables, holdings: &Holdings, now_ms: u64) {
        for (asset, class) in tables.assets() {
            let AssetClass::Pool { cap, regen_ms } = *class else { continue };
            let counted_ms = holdings.clocks.get(asset).copied().unwrap_or(now_ms - cap * regen_ms);
            let (mut begun, mut count) = (0, self.count(asset));
            for _ in counted_ms..now_ms {
                begun = if count >= cap { 0 } else { begun + 1 };
                if begun == regen_ms {
                    self.units.push((asset.clone(), 0));
                    count += 1;
                    begun = 0;
                }
            }
            self.begun.insert(asset.clone(), if count >= cap { 0 } else { begun });
        }
    }
}

/// What a table of fixed drops comes to, the first of each kind first.
fn unpack(tables: &RewardTables, table: &Name, rolls: u64, out: &mut Vec<(Name, Name)>) {
    let loot = tables.loot_table(table).expect("known");
    for drop in (0..rolls).flat_map(|_| &loot.always) {
        match drop {
            tables::Drop::Table { table, rolls } => unpack(tables, table, u64::from(*rolls), out),
            tables::Drop::Asset { asset, least, .. } => match tables.box_rule(asset) {
                Some(rule) if rule.opens_itself => {
                    unpack(tables, &rule.table, least * u64::from(rule.rolls), out)
                }
                _ => out.extend((0..*least).map(|_| (loot.house.clone(), asset.clone()))),
            },
            tables::Drop::Nothing => {}
        }
    }
}

struct Oracle<'a> {
    tables: &'a RewardTables,
    hands: BTreeMap<Account, Hand>,
    slots: u64,
}

impl Oracle<'_> {
    fn grant(&mut self, asset: &Name, amount: u64, to: &Account, overflow: Overflow) -> Result<(), Refused> {
        let class = self.tables.asset(asset).expect("known");
        let unit = (asset.clone(), class.expires_ms(NOW_MS));
        let clips = (overflow == Overflow::Clip).then_some(self.slots);
        let hand = self.hands.get_mut(to).expect("known");
        let was_held = hand.count(asset) > 0;
        for _ in 0..amount {
            // Of what a player has or has not, two at once are too many, and one more is one that is had already.
            hand.put(self.tables, &unit, clips)
                .map_err(|no| if was_held || no == Refused::OverCap { no } else { Refused::OverCap })?;
        }
        Ok(())
    }

    fn loot(&mut self, table: &Name, rolls: u64, to: &Account, overflow: Overflow) -> Result<(), Refused> {
        let mut out = Vec::new();
        unpack(self.tables, table, rolls, &mut out);
        while let Some(first) = out.first().cloned() {
            let before = out.len();
            out.retain(|other| *other != first);
            self.grant(&first.1, (before - out.len()) as u64, to, overflow)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part, claimant: &Account) -> Result<(), Refused> {
        match part {
            Part::Consume { asset, amount, .. } => {
                self.hands.get_mut(claimant).expect("known").take(asset, *amount).map(|_| ())
            }
            Part::Grant { asset, amount, to, overflow, .. } => match self.tables.box_rule(asset) {
                Some(rule) if rule.opens_itself => self.loot(&rule.table, *amount, to, *overflow),
                _ => self.grant(asset, *amount, to, *overflow),
            },
            Part::Give { asset, amount, from, to, .. } => {
                let taken = self.hands.get_mut(from).expect("known").take(asset, *amount)?;
                let hand = self.hands.get_mut(to).expect("known");
                let was_held = hand.count(asset) > 0;
                for unit in taken {
                    hand.put(self.tables, &unit, None)
                        .map_err(|no| if was_held { no } else { Refused::OverCap })?;
                }
                Ok(())
            }
            Part::Loot { table, rolls, to, overflow } => self.loot(table, u64::from(*rolls), to, *overflow),
            Part::Open { asset, amount, overflow } => {
                self.hands.get_mut(claimant).expect("known").take(asset, *amount)?;
                let rule = self.tables.box_rule(asset).expect("known").clone();
                self.loot(&rule.table, amount * u64::from(rule.rolls), claimant, *overflow)
            }
            Part::Game { .. } | Part::Outbox { .. } => Ok(()),
        }
    }
}

fn some_holdings(chance: &mut Chance) -> Holdings {
    let mut holdings = Holdings { version: chance.below(9), ..Holdings::default() };
    for asset in ["coin", "bread", "crate", "milk", "sword", "torch", "stamina", "flight"] {
        let most = [0, 3, 12][chance.below(3) as usize];
        let lots = if asset == "milk" || asset == "torch" { chance.below(3) } else { 1 };
        for _ in 0..lots {
            let expires_ms =
                if asset == "milk" || asset == "torch" { NOW_MS + 10 * chance.below(4) - 10 } else { 0 };
            match (asset, chance.between(0..=most)) {
                ("sword" | "torch", amount) => {
                    for _ in 0..amount.min(3) {
                        holdings.set(
                            &name(asset),
                            Lot { expires_ms, instance: 1 + chance.below(u64::MAX) },
                            1,
                        );
                    }
                }
                ("flight", amount) => holdings.set(&name(asset), Lot::PLAIN, amount.min(1)),
                ("stamina", amount) => holdings.set(&name(asset), Lot::PLAIN, amount.min(10)),
                (_, amount) => holdings.set(&name(asset), until(expires_ms), amount),
            }
        }
    }
    if chance.below(4) > 0 {
        holdings.clocks.insert(name("stamina"), NOW_MS - chance.below(1_200));
    }
    holdings
}

fn some_part(chance: &mut Chance, tables: &RewardTables) -> Part {
    let assets =
        ["coin", "xp", "bread", "milk", "sword", "torch", "stamina", "flight", "crate", "purse", "parcel"];
    let asset = name(assets[chance.below(assets.len() as u64) as usize]);
    let most = [1, 4, 30][chance.below(3) as usize];
    let amount = chance.between(1..=most);
    let overflow = if chance.below(2) == 0 { Overflow::Clip } else { Overflow::Refuse };
    let (alice, bob, house) = (account("alice"), account("bob"), Account::house("town"));
    let to = if chance.below(3) > 0 { alice.clone() } else { bob.clone() };
    match chance.below(8) {
        0 | 1 => {
            let non_stackable = tables.asset(&asset).expect("known").is_single();
            Part::Consume { asset, amount, pick: Pick::Any, non_stackable, to: house }
        }
        2..=4 => Part::Grant { asset, amount: amount.min(8), from: house, to, overflow },
        5 => {
            let from = if to == alice { bob } else { alice };
            Part::Give { asset, amount: amount.min(4), pick: Pick::Any, from, to }
        }
        6 => {
            let table = ["crate", "purse", "parcel", "feast"][chance.below(4) as usize];
            Part::Loot { table: name(table), rolls: 1 + chance.below(2) as u32, to, overflow }
        }
        _ => Part::Open { asset: name("crate"), amount: amount.min(3), overflow },
    }
}

/// F3, F4, F10: whatever is asked for on whatever is held, it comes out as it does when every single thing is moved by hand.
#[test]
fn plans_do_what_moving_everything_one_by_one_does() {
    let tables = Arc::new(shop());
    let mut chance = Chance::new(4);
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for case in 0..6_000 {
        let mut request = PlanRequest::new("anything", &player("alice"));
        for _ in 0..chance.between(1..=4) {
            request = request.part(some_part(&mut chance, &tables));
        }
        let claim = claim(&request.claimant, case);
        let slots = chance.between(1..=12);
        let mut context = PlanContext::new(tables.clone(), NOW_MS, &claim, 1);
        for who in ["alice", "bob"] {
            context = context.with(account(who), some_holdings(&mut chance));
            context.slots.insert(account(who), slots);
        }
        let takes_part: Vec<Account> = request.players().into_iter().map(Account::Player).collect();

        let mut oracle = Oracle { tables: &tables, hands: BTreeMap::new(), slots };
        let mut before = BTreeMap::new();
        for who in &takes_part {
            let mut hand = Hand::of(&context.holdings[who]);
            hand.units.retain(|(_, expires_ms)| !until(*expires_ms).is_expired(NOW_MS));
            before.insert(who.clone(), hand.slots(&tables));
            hand.wait(&tables, &context.holdings[who], NOW_MS);
            oracle.hands.insert(who.clone(), hand);
        }
        let mut expected = request.parts.iter().try_for_each(|part| oracle.part(part, &request.claimant));
        let made = plan(&context, &claim, &request);
        if expected.is_ok() {
            let receives = |who: &Account| {
                made.as_ref().is_ok_and(|plan| plan.lines.iter().any(|line| line.account == *who))
            };
            let over = |who: &Account| oracle.hands[who].slots(&tables) > slots.max(before[who]);
            if takes_part.iter().any(|who| over(who) && (made.is_err() || receives(who))) {
                expected = Err(Refused::NoRoom);
            }
        }
        let outcome = match (&expected, &made) {
            (Ok(()), Ok(plan)) => {
                let mut ledger = Ledger::of(&context);
                ledger.carry_out(&tables, plan);
                for who in &takes_part {
                    let hand = oracle.hands.get_mut(who).expect("known");
                    compare(&tables, who, &ledger.players[who], hand, plan);
                }
                "planned"
            }
            (Err(Refused::TooLittle), Err(PlanRefusal::TooLittle { .. })) => "too little",
            (Err(Refused::OverCap), Err(PlanRefusal::OverCap { .. })) => "over cap",
            (Err(Refused::AlreadyHas), Err(PlanRefusal::AlreadyHas { .. })) => "already has",
            (Err(Refused::NoRoom), Err(PlanRefusal::NoRoom { .. })) => "no room",
            _ => panic!("case {case}: expected {expected:?}, planned {made:?}\n{request:?}\n{context:?}"),
        };
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }
    for (outcome, least) in
        [("planned", 1_500), ("too little", 500), ("over cap", 100), ("already has", 50), ("no room", 100)]
    {
        assert!(
            outcomes.get(outcome).is_some_and(|times| *times >= least),
            "{outcome} is rare: {outcomes:?}"
        );
    }
}

fn compare(tables: &RewardTables, who: &Account, holdings: &Holdings, hand: &mut Hand, plan: &MutationPlan) {
    let mut units = Hand::of(holdings).units;
    // A pool that no part touched is not counted, and fills up all the same.
    for (asset, class) in tables.assets().filter(|(_, class)| matches!(class, AssetClass::Pool { .. })) {
        let is_touched = plan.mutations.iter().any(|change| match change {
            Mutation::PoolClock { account, asset: of, .. } => account == who && of == asset,
            Mutation::Transfer { asset: of, from, to, .. } => of == asset && (from == who || to == who),
            _ => false,
        });
        let missing = holdings.pool_at(asset, class, NOW_MS) - holdings.amount(asset);
        assert!(!is_touched || missing == 0, "a pool that is touched is counted first");
        units.extend(std::iter::repeat_n((asset.clone(), 0), missing as usize));
        if is_touched && let AssetClass::Pool { cap, .. } = class {
            let begun = if holdings.amount(asset) >= *cap { 0 } else { NOW_MS - holdings.clocks[asset] };
            assert_eq!(begun, hand.begun[asset], "milliseconds until the next one of {who}");
        }
    }
    units.sort();
    hand.units.sort();
    assert_eq!(units, hand.units, "what {who} holds afterwards");
}
