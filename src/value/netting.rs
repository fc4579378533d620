//! Movements between houses that nobody waits for: netted in memory, committed now and then.
//!
//! Thousands of NPCs that trade would fill the ledger with rows that nobody reads. What they move goes from house to house; only
//! the net of some seconds is committed, all of it in one tick, in as many plans as it takes. No player's account is touched, so what is lost with a process that dies is
//! at most [`EVERY_S`] of trade among NPCs; a world that ends in order commits what is left.

use std::collections::{BTreeMap, BTreeSet};

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
/// Most movements in one plan; what is more goes in further ones.
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
    /// What is on its way to the store, plan by plan, under which claims.
    under_way: Vec<(Claim, BTreeMap<Between, i64>)>,
    /// How many movements were netted.
    moved: u64,
    /// How many plans were taken out to be committed.
    taken: u64,
    /// What was in a plan that was refused: each goes in a plan of its own, so that it is known what cannot be.
    alone: BTreeSet<Between>,
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
        self.under_way.is_empty() && (tick.is_multiple_of(EVERY_S * u64::from(hz)) || !self.alone.is_empty())
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
        self.net.len() + self.under_way.iter().map(|(_, net)| net.len()).sum::<usize>()
    }

    /// Hears what became of what was on its way: what was refused is still owed.
    fn hear(&mut self, outcomes: &RewardOutcomes) {
        if self.under_way.is_empty() {
            return;
        }
        for outcome in &outcomes.0 {
            let Some(place) = self.under_way.iter().position(|(claim, _)| *claim == outcome.claim) else {
                continue;
            };
            let (_, net) = self.under_way.remove(place);
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
                    tracing::error!(
                        "what houses gave each other is not committed: {why}; each is tried alone"
                    );
                    self.alone.extend(net.keys().cloned());
                    self.owe(net);
                }
            }
        }
    }

    fn owe(&mut self, net: BTreeMap<Between, i64>) {
        for (between, amount) in net {
            let owed = self.net.entry(between).or_default();
            *owed = owed.saturating_add(amount);
        }
    }

    /// Takes out all that is owed, while nothing is on its way.
    fn take(&mut self, tick: u64, now_ms: u64) -> Vec<(Claim, PlanRequest)> {
        if !self.under_way.is_empty() {
            return Vec::new();
        }
        let alone = std::mem::take(&mut self.alone);
        let mut net = std::mem::take(&mut self.net);
        net.retain(|_, amount| *amount != 0);
        let (single, mut together): (BTreeMap<_, _>, BTreeMap<_, _>) =
            net.into_iter().partition(|(between, _)| alone.contains(between));
        let mut asked: Vec<_> =
            single.into_iter().map(|one| self.ask(BTreeMap::from([one]), tick, now_ms)).collect();
        while !together.is_empty() {
            let rest = match together.keys().nth(MOVEMENTS_MAX).cloned() {
                Some(first_left) => together.split_off(&first_left),
                None => BTreeMap::new(),
            };
            asked.push(self.ask(std::mem::replace(&mut together, rest), tick, now_ms));
        }
        asked
    }

    /// The plan of some movements, which are on their way from now on.
    fn ask(&mut self, net: BTreeMap<Between, i64>, tick: u64, now_ms: u64) -> (Claim, PlanRequest) {
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
        // After a restart a tick may come again, but no moment does; in a tick there are several.
        let key = ClaimKey::dated(now_ms, NETTING, &crate::protocol::codec::encode(&(tick, self.taken)));
        self.taken += 1;
        let claim = Claim::new(request.claimant.clone(), key, &crate::protocol::codec::encode(&request));
        self.under_way.push((claim.clone(), net));
        (claim, request)
    }
}

/// Before everything else of `Plan`: hears what was committed, and asks for what is due.
pub(super) fn ask(world: &mut World) {
    let (now_ms, tick) = moment(world);
    let hz = world.resource::<WorldSettings>().hz;
    world.resource_scope(|world, mut net: bevy_ecs::prelude::Mut<HouseNet>| {
        net.hear(world.resource::<RewardOutcomes>());
        if net.is_due(tick, hz) {
            let asked = net.take(tick, now_ms);
            let asked = asked.into_iter().map(|(claim, request)| (NetId::WORLD, claim, request));
            world.resource_mut::<AskedHere>().0.extend(asked);
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
    let mut net = world.resource_mut::<HouseNet>();
    net.under_way.clear();
    for (claim, request) in net.take(tick, now_ms) {
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
        let (claim, request) = net.take(1, 1).remove(0);
        net.give("silver", 2, "b", "a");
        assert!(net.take(2, 2).is_empty() && net.open() == 2);
        let why = PlanRefusal::Degraded { why: "full".into() };
        net.hear(&RewardOutcomes(vec![RewardOutcome { claim, result: Err(why) }]));
        let (_, again) = net.take(3, 3).remove(0);
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
        let (claim, _) = net.take(1, 1).remove(0);
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
            assert!(net.is_due(20 * EVERY_S * tick, 20), "nothing is on its way");
            for (claim, request) in net.take(tick, tick) {
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
                    net.under_way.retain(|(under_way, _)| *under_way != claim);
                }
            }
            if tick == 1 {
                assert_eq!((committed.len(), net.open()), (0, 4));
                assert!(net.is_due(7, 20), "each is tried at once");
            }
        }
        assert_eq!(committed, ["iron", "salt", "silver"]);
        assert_eq!(net.open(), 0);
        // From then on they go together again.
        net.give("silver", 5, "a", "b");
        net.give("salt", 5, "a", "b");
        assert_eq!(net.take(100, 100).remove(0).1.parts.len(), 2);
    }

    /// E9: however many houses trade, all that is owed goes in one tick, and nobody waits behind those whose names come first.
    #[test]
    fn all_that_is_owed_goes_at_once_however_much_it_is() {
        let mut net = HouseNet::default();
        let houses = 2 * MOVEMENTS_MAX + 7;
        for turn in 1..4 {
            for house in 0..houses {
                net.give("salt", turn, "country", Name::new(&format!("market/{house:04}")).unwrap());
            }
            let asked = net.take(turn, turn);
            let sizes: Vec<usize> = asked.iter().map(|(_, request)| request.parts.len()).collect();
            assert_eq!(sizes, [MOVEMENTS_MAX, MOVEMENTS_MAX, 7]);
            assert_eq!(net.owed("salt", "country", "market/0406"), 0, "the last one goes too");
            let keys: BTreeSet<ClaimKey> = asked.iter().map(|(claim, _)| claim.key).collect();
            assert_eq!(keys.len(), asked.len(), "each under its own key");
            net.under_way.clear();
        }
        assert_eq!(net.open(), 0);
    }
}
