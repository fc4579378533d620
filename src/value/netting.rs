//! Movements between houses that nobody waits for: netted in memory, committed now and then.
//!
//! Thousands of NPCs that trade would fill the ledger with rows that nobody reads. What they move goes from house to house; only
//! the net of some seconds is committed, as one plan. No player's account is touched, so what is lost with a process that dies is
//! at most [`EVERY_S`] of trade among NPCs; a world that ends in order commits what is left.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Resource, World};

use crate::cell::pool::NodeContext;
use crate::ids::NetId;
use crate::players::PlayerRequest;
use crate::reward::{Account, Claim, ClaimKey, CommitBatch, Name, Overflow, Part, PlanRefusal, PlanRequest};
use crate::server::WorldSettings;
use crate::server::io::OutputSoFar;
use crate::store::MutationSummary;

use super::asked::{AskedHere, RewardOutcomes};
use super::desk::{Origin, Waiting};
use super::stage::plan_one;

/// How often the net is committed, seconds of world time.
pub const EVERY_S: u64 = 30;
/// Most movements in one plan; what is more waits for the next.
const MOVEMENTS_MAX: usize = 200;
/// In whose name it is committed.
const NETTING: &str = "netting";

/// From which house to which other, of what. The first is the one whose name comes first.
type Between = (Name, Name, Name);

/// What houses have given each other since it was committed last.
#[derive(Resource, Debug, Default)]
pub struct HouseNet {
    /// Above nothing: from the first to the second.
    net: BTreeMap<Between, i64>,
    /// What is on its way to the store, under which claim.
    under_way: Option<(Claim, BTreeMap<Between, i64>)>,
    /// How many movements were netted.
    moved: u64,
    /// How often something was taken out to be committed.
    taken: u64,
    /// Something that was taken out together was refused: one at a time, until it is known what.
    apart: bool,
}

impl HouseNet {
    /// So much of an asset goes from one house to another. It is committed with the net of these seconds. O(log houses).
    pub fn give(&mut self, asset: impl Into<Name>, amount: u64, from: impl Into<Name>, to: impl Into<Name>) {
        let (asset, from, to, amount) =
            (asset.into(), from.into(), to.into(), amount.min(i64::MAX as u64) as i64);
        if from == to || amount == 0 {
            return;
        }
        self.moved += 1;
        let (between, amount) =
            if from < to { ((from, to, asset), amount) } else { ((to, from, asset), -amount) };
        let net = self.net.entry(between).or_default();
        *net = net.saturating_add(amount);
    }

    /// How much of an asset one house owes another that is not on its way to the store yet; below nothing what it is owed. O(log
    /// houses).
    #[must_use]
    pub fn owed(&self, asset: impl Into<Name>, from: impl Into<Name>, to: impl Into<Name>) -> i64 {
        let (asset, from, to) = (asset.into(), from.into(), to.into());
        let net = |between: Between| self.net.get(&between).copied().unwrap_or(0);
        if from < to { net((from, to, asset)) } else { -net((to, from, asset)) }
    }

    /// Whether what is owed goes to the store in this tick, before everything that is asked for in it.
    #[must_use]
    pub fn is_due(&self, tick: u64, hz: u16) -> bool {
        self.under_way.is_none() && self.is_time(tick, hz)
    }

    fn is_time(&self, tick: u64, hz: u16) -> bool {
        tick.is_multiple_of(EVERY_S * u64::from(hz)) || (self.apart && !self.net.is_empty())
    }

    /// Whether it is the net of some seconds that was committed.
    #[must_use]
    pub fn is_net(summary: &MutationSummary) -> bool {
        summary.claim().account == Account::House(NETTING.into())
    }

    /// How many movements were netted since the start.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// What is not committed yet, and what is on its way: an amount of an asset between two houses.
    #[must_use]
    pub fn open(&self) -> usize {
        self.net.len() + self.under_way.as_ref().map_or(0, |(_, net)| net.len())
    }

    /// Hears what became of what was on its way: what was refused is still owed.
    fn hear(&mut self, outcomes: &RewardOutcomes) {
        let Some((claim, _)) = &self.under_way else { return };
        let Some(outcome) = outcomes.0.iter().find(|outcome| outcome.claim == *claim) else { return };
        let Some((_, net)) = self.under_way.take() else { return };
        match &outcome.result {
            Ok(_) => {}
            Err(why @ PlanRefusal::Compensation { .. }) => {
                tracing::error!("what houses gave each other: {why}");
            }
            Err(why @ (PlanRefusal::Degraded { .. } | PlanRefusal::Busy { .. })) => {
                tracing::warn!("what houses gave each other is not committed: {why}; it is tried again");
                self.owe(net);
            }
            Err(why) if net.len() == 1 => {
                tracing::error!(
                    "what houses gave each other cannot be committed and is left out: {net:?}: {why}"
                );
            }
            Err(why) => {
                tracing::error!("what houses gave each other is not committed: {why}; each is tried alone");
                self.apart = true;
                self.owe(net);
            }
        }
    }

    fn owe(&mut self, net: BTreeMap<Between, i64>) {
        for (between, amount) in net {
            let owed = self.net.entry(between).or_default();
            *owed = owed.saturating_add(amount);
        }
    }

    /// Takes out what can go in one plan.
    fn take(&mut self, tick: u64, now_ms: u64) -> Option<(Claim, PlanRequest)> {
        self.net.retain(|_, amount| *amount != 0);
        if self.under_way.is_some() || self.net.is_empty() {
            self.apart &= !self.net.is_empty();
            return None;
        }
        let at_most = if self.apart { 1 } else { MOVEMENTS_MAX };
        let rest = match self.net.keys().nth(at_most).cloned() {
            Some(first_left) => self.net.split_off(&first_left),
            None => BTreeMap::new(),
        };
        let net = std::mem::replace(&mut self.net, rest);
        let mut request = PlanRequest::new(NETTING, Account::House(NETTING.into()));
        for ((first, second, asset), amount) in &net {
            let (from, to) = if *amount > 0 { (first, second) } else { (second, first) };
            request = request.part(Part::Grant {
                asset: asset.clone(),
                amount: amount.unsigned_abs(),
                from: Account::House(from.clone()),
                to: Account::House(to.clone()),
                overflow: Overflow::Refuse,
            });
        }
        // After a restart a tick may come again, but no moment does; at the end several are of one moment.
        let key = ClaimKey::dated(now_ms, NETTING, &crate::protocol::codec::encode(&(tick, self.taken)));
        self.taken += 1;
        let claim = Claim::new(request.claimant.clone(), key, &crate::protocol::codec::encode(&request));
        self.under_way = Some((claim.clone(), net));
        Some((claim, request))
    }
}

/// Before everything else of `Plan`: hears what was committed, and asks for what is due.
pub(super) fn ask(world: &mut World) {
    let (now_ms, tick) = moment(world);
    let hz = world.resource::<WorldSettings>().hz;
    world.resource_scope(|world, mut net: bevy_ecs::prelude::Mut<HouseNet>| {
        net.hear(world.resource::<RewardOutcomes>());
        if net.is_time(tick, hz)
            && let Some((claim, request)) = net.take(tick, now_ms)
        {
            world.resource_mut::<AskedHere>().0.push((NetId::WORLD, claim, request));
        }
    });
}

/// The world ends: what is left is planned now, and committed with the last writes.
pub(crate) fn close(world: &mut World) {
    let (now_ms, tick) = moment(world);
    if !world.resource::<WorldSettings>().keeps_players {
        return;
    }
    // What is on its way is committed with the last writes; what becomes of it, nobody hears any more.
    while let Some((claim, request)) = {
        let mut net = world.resource_mut::<HouseNet>();
        net.under_way = None;
        net.take(tick, now_ms)
    } {
        let origin = Origin::Game(claim.clone());
        let waiting = Waiting { by: NetId::WORLD, claim, request, origin };
        let Some(plan) = plan_one(world, waiting) else { continue };
        let batch = CommitBatch { tick: crate::ids::TickNumber(tick), now_ms, plans: vec![plan] };
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Commit(batch));
    }
}

fn moment(world: &World) -> (u64, u64) {
    let context = &world.resource::<NodeContext>().0;
    (context.now_ms, context.tick.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::RewardOutcome;

    proptest! {
        /// Whatever is given to and fro, what is netted is what giving one by one comes to.
        #[test]
        fn the_net_is_the_sum_of_all_that_was_given(
            given in proptest::collection::vec((0..4usize, 0..4usize, 0..2usize, 0..1_000u64), 0..200),
        ) {
            const HOUSES: [&str; 4] = ["a", "b", "c", "d"];
            const ASSETS: [&str; 2] = ["salt", "silver"];
            let mut net = HouseNet::default();
            let mut one_by_one = BTreeMap::<(&str, &str), i64>::new();
            for (from, to, asset, amount) in given {
                let (from, to, asset) = (HOUSES[from], HOUSES[to], ASSETS[asset]);
                net.give(asset, amount, from, to);
                if from != to {
                    *one_by_one.entry((from, asset)).or_default() -= amount as i64;
                    *one_by_one.entry((to, asset)).or_default() += amount as i64;
                }
            }
            let asked = net.take(1, 1);
            let mut netted = BTreeMap::<(&str, &str), i64>::new();
            for part in asked.iter().flat_map(|(_, request)| &request.parts) {
                let Part::Grant { asset, amount, from: Account::House(from), to: Account::House(to), .. } = part else {
                    panic!("{part:?}")
                };
                let find = |name: &Name| *HOUSES.iter().find(|house| **house == name.as_str()).unwrap();
                let asset = *ASSETS.iter().find(|known| **known == asset.as_str()).unwrap();
                *netted.entry((find(from), asset)).or_default() -= *amount as i64;
                *netted.entry((find(to), asset)).or_default() += *amount as i64;
            }
            one_by_one.retain(|_, amount| *amount != 0);
            netted.retain(|_, amount| *amount != 0);
            prop_assert_eq!(netted, one_by_one);
        }
    }

    /// What is refused is owed still, and nothing is asked for twice while it is on its way.
    #[test]
    fn what_is_refused_is_still_owed() {
        let mut net = HouseNet::default();
        net.give("silver", 5, "a", "b");
        let (claim, request) = net.take(1, 1).unwrap();
        net.give("silver", 2, "b", "a");
        assert!(net.take(2, 2).is_none() && net.open() == 2);
        let why = PlanRefusal::Degraded { why: "full".into() };
        net.hear(&RewardOutcomes(vec![RewardOutcome { claim, result: Err(why) }]));
        let (_, again) = net.take(3, 3).unwrap();
        let amount = |request: &PlanRequest| match &request.parts[0] {
            Part::Grant { amount, .. } => *amount,
            part => panic!("{part:?}"),
        };
        assert_eq!((amount(&request), amount(&again)), (5, 3));
    }

    fn refused(net: &mut HouseNet, claim: Claim, why: PlanRefusal) {
        net.hear(&RewardOutcomes(vec![RewardOutcome { claim, result: Err(why) }]));
    }

    /// What waits for an operator is the operator's: it is not owed a second time.
    #[test]
    fn what_waits_for_an_operator_is_not_owed_again() {
        let mut net = HouseNet::default();
        net.give("silver", 5, "a", "b");
        let (claim, _) = net.take(1, 1).unwrap();
        refused(&mut net, claim, PlanRefusal::Compensation { number: 1 });
        assert_eq!(net.open(), 0);
    }

    /// One movement that can never be committed holds up no other, and is left out in the end.
    #[test]
    fn a_movement_that_cannot_be_holds_up_no_other() {
        let mut net = HouseNet::default();
        for asset in ["iron", "nonsense", "salt", "silver"] {
            net.give(asset, 5, "a", "b");
        }
        let mut committed = Vec::new();
        for tick in 1..20 {
            let Some((claim, request)) = net.take(tick, tick) else { break };
            let assets = request.parts.iter().map(|part| match part {
                Part::Grant { asset, .. } => asset.as_str().to_owned(),
                part => panic!("{part:?}"),
            });
            let assets: Vec<String> = assets.collect();
            if assets.iter().any(|asset| asset == "nonsense") {
                let why = PlanRefusal::Unknown { what: "asset".into(), name: "nonsense".into() };
                refused(&mut net, claim, why);
            } else {
                committed.extend(assets);
                net.under_way = None;
            }
        }
        assert_eq!(committed, ["iron", "salt", "silver"]);
        assert_eq!(net.open(), 0);
        // From then on they go together again.
        assert!(net.take(99, 99).is_none());
        net.give("silver", 5, "a", "b");
        net.give("salt", 5, "a", "b");
        assert_eq!(net.take(100, 100).unwrap().1.parts.len(), 2);
    }
}
