//! Random plans against a naive model in memory, which knows every rule in the plainest form.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::game::{shop, stock};
use super::*;
use crate::players::{PlayerRequest, Profile, ProfileSave};
use crate::protocol::codec;
use crate::store::game::GameStore;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;

type At = (Account, Name, Lot);

/// All that there is.
#[derive(Clone, Default)]
struct State {
    amounts: BTreeMap<At, i64>,
    versions: BTreeMap<Account, u64>,
    /// Up to when, and by which version it was set.
    clocks: BTreeMap<(Account, Name), (u64, u64)>,
    stock: i64,
}

/// What the model says that comes of a plan.
enum Expected {
    Done(State, BTreeMap<At, i64>),
    Refused(PlanRefusal),
    /// Refused as something that no planner would make, in whatever words.
    Invalid,
}

fn place_of(account: &Account, asset: &Name, lot: Lot) -> At {
    let lot = if account.player().is_some() { lot } else { Lot::PLAIN };
    (account.clone(), asset.clone(), lot)
}

impl State {
    fn sum(&self, account: &Account, asset: &Name) -> i64 {
        let of = |at: &At| at.0 == *account && at.1 == *asset;
        self.amounts.iter().filter(|(at, _)| of(at)).map(|(_, amount)| amount).sum()
    }

    fn slots(&self, account: &Account) -> u64 {
        let classes = assets();
        let slots = |(at, amount): (&At, &i64)| classes[&at.1].slots(amount.cast_unsigned());
        self.amounts.iter().filter(|(at, _)| at.0 == *account).map(slots).sum()
    }

    fn plan(&self, plan: &MutationPlan) -> Expected {
        let mut next = self.clone();
        let mut touched: BTreeMap<At, i64> = BTreeMap::new();
        let version = |account: &Account| self.versions.get(account).copied().unwrap_or(0);
        for mutation in &plan.mutations {
            let refusal = match mutation {
                Mutation::Transfer { asset, lot, from, to, amount, cap } => {
                    let amount = i64::try_from(*amount).unwrap();
                    let (source, target) = (place_of(from, asset, *lot), place_of(to, asset, *lot));
                    let has = next.amounts.get(&source).copied();
                    *touched.entry(source.clone()).or_default() -= amount;
                    *touched.entry(target.clone()).or_default() += amount;
                    *next.amounts.entry(source).or_default() -= amount;
                    *next.amounts.entry(target).or_default() += amount;
                    next.amounts.retain(|_, amount| *amount != 0);
                    let (account, of) = (to.clone(), asset.clone());
                    let instances = next
                        .amounts
                        .iter()
                        .filter(|(at, _)| at.1 == *asset && at.2 == *lot && lot.instance != 0);
                    if from.player().is_some() && has.unwrap_or(0) < amount {
                        let (account, asset) = (from.clone(), asset.clone());
                        match has {
                            None if *lot != Lot::PLAIN => Some(PlanRefusal::NotHeld { account, asset }),
                            has => {
                                let (has, needs) = (has.unwrap_or(0).cast_unsigned(), amount.cast_unsigned());
                                Some(PlanRefusal::TooLittle { account, asset, has, needs })
                            }
                        }
                    } else if instances.map(|(_, amount)| amount).sum::<i64>() > 1 {
                        return Expected::Invalid;
                    } else if to.player().is_some()
                        && cap.is_some_and(|cap| next.sum(to, asset).cast_unsigned() > cap)
                    {
                        Some(match assets()[asset] {
                            AssetClass::Unlock => PlanRefusal::AlreadyHas { account, asset: of },
                            _ => PlanRefusal::OverCap { account, asset: of, cap: cap.unwrap() },
                        })
                    } else {
                        None
                    }
                }
                Mutation::PoolClock { account, asset, as_of_ms } => {
                    let frozen = plan.participants.iter().find(|of| of.account == *account).unwrap().version;
                    let (key, next_version) = ((account.clone(), asset.clone()), version(account) + 1);
                    let set_by = next.clocks.get(&key).map_or(0, |(_, by)| *by);
                    next.clocks.insert(key, (*as_of_ms, next_version));
                    let (account, asset) = (account.clone(), asset.clone());
                    (set_by > frozen && set_by != next_version)
                        .then_some(PlanRefusal::Overtaken { account, asset })
                }
                Mutation::Slots { account, most } => {
                    let needs = next.slots(account);
                    let account = account.clone();
                    (needs > *most).then_some(PlanRefusal::NoRoom { account, most: *most, needs })
                }
                Mutation::Game { data, .. } => {
                    let ((_, amount), _) = codec::decode_prefix::<(String, u32), 99>("it", data).unwrap();
                    next.stock -= i64::from(amount);
                    let (kind, reason) = ("take_stock".into(), "sold out".into());
                    (next.stock < 0).then_some(PlanRefusal::Game { kind, reason })
                }
                Mutation::Outbox { .. } => None,
            };
            if let Some(refusal) = refusal {
                return Expected::Refused(refusal);
            }
        }
        for participant in &plan.participants {
            *next.versions.entry(participant.account.clone()).or_default() += 1;
        }
        Expected::Done(next, touched)
    }
}

struct Dice(Xoshiro256StarStar);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

fn random_mutation(dice: &mut Dice, players: &[Account]) -> Mutation {
    let houses = [market(), Account::house("loot")];
    let (player, house) = (dice.of(players), dice.of(&houses));
    let pairs = [
        (house.clone(), player.clone()),
        (house.clone(), player.clone()),
        (player.clone(), house),
        (players[0].clone(), players[players.len() - 1].clone()),
        (houses[0].clone(), houses[1].clone()),
    ];
    let (from, to) = dice.of(&pairs);
    let (from, to) = if from == to { (houses[0].clone(), to) } else { (from, to) };
    let amount = 1 + dice.below(20);
    match dice.below(20) {
        0..=5 => {
            let cap = dice.of(&[None, Some(60)]);
            moves_lot("coin", Lot::PLAIN, &from, &to, amount, cap)
        }
        6..=9 => {
            let expires_ms = dice.of(&[0, 100, 200]);
            moves_lot("wine", Lot { expires_ms, instance: 0 }, &from, &to, amount, None)
        }
        10..=11 => {
            let instance = 1 + dice.below(12);
            moves_lot("sword", Lot { expires_ms: 0, instance }, &from, &to, 1, None)
        }
        12..=13 => moves_lot("stamina", Lot::PLAIN, &from, &to, amount, Some(100)),
        14 => moves_lot("map", Lot::PLAIN, &from, &to, 1, Some(1)),
        15..=16 => {
            Mutation::PoolClock { account: player, asset: "stamina".into(), as_of_ms: dice.below(9_000) }
        }
        17 => Mutation::Slots { account: player, most: 2 + dice.below(9) },
        18 => Mutation::Outbox { kind: "mail".into(), payload: vec![1] },
        _ => Mutation::Game {
            kind: "take_stock".into(),
            data: codec::encode(&("silk", u32::try_from(amount).unwrap())),
        },
    }
}

fn random_plan(dice: &mut Dice, number: u64, state: &State) -> MutationPlan {
    let all: Vec<Account> =
        (0..4).map(|at| Account::Player(PlayerId::new(&format!("player{at}")).unwrap())).collect();
    let first = dice.of(&all);
    let second = dice.of(&all);
    let players = if first == second { vec![first] } else { vec![first, second] };
    let mutations: Vec<Mutation> = (0..1 + dice.below(5)).map(|_| random_mutation(dice, &players)).collect();
    // Of some the plan knows an older version: something was written between freeze and execution.
    let known = |account: &Account| state.versions.get(account).copied().unwrap_or(0);
    let participants: Vec<(Account, u64)> = players
        .iter()
        .map(|account| (account.clone(), known(account).saturating_sub(dice.of(&[0, 0, 0, 1, 2]))))
        .collect();
    plan(number, &participants, mutations)
}

fn check_players(store: &mut Store, state: &State) {
    for (account, version) in &state.versions {
        let mut expected = Holdings { version: *version, ..Holdings::default() };
        for ((_, asset, lot), amount) in state.amounts.iter().filter(|(at, _)| at.0 == *account) {
            expected.set(asset, *lot, amount.cast_unsigned());
        }
        for ((_, asset), (as_of_ms, _)) in state.clocks.iter().filter(|(of, _)| of.0 == *account) {
            expected.clocks.insert(asset.clone(), *as_of_ms);
        }
        assert_eq!(holdings(store, account), expected, "{account}");
    }
    assert_eq!(stock(store), state.stock);
    check_books(store);
}

/// F3, F5, F6, F8, F11: whatever comes, in whatever order, over restarts: the store does what the model does, tells what the model
/// tells, and a claim counts once.
#[test]
fn the_store_does_what_a_naive_model_does() {
    let place = place();
    let reopened = |place: &Place| {
        let mut store = store(place);
        store.adopt_game(GameStore::default().plugin(shop())).unwrap();
        store
    };
    let mut store = reopened(&place);
    let mut state = State { stock: 300, ..State::default() };
    meddle(&place.folder, "INSERT INTO game_shop_stock VALUES ('silk', 300, 0)");
    let mut dice = Dice(Xoshiro256StarStar::seed_from_u64(5));
    let mut claimed: Vec<(MutationPlan, Arc<MutationSummary>)> = Vec::new();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut number = 0;
    for round in 0..400 {
        // What is to come of each plan, in the order of the batch.
        let mut plans = Vec::new();
        let mut expected: Vec<(Result<Option<Arc<MutationSummary>>, Option<PlanRefusal>>, u32)> = Vec::new();
        let mut done_here = Vec::new();
        let mut touched_here = Vec::new();
        for _ in 0..1 + dice.below(6) {
            number += 1;
            if !claimed.is_empty() && dice.below(6) == 0 {
                let (mut again, summary) = dice.of(&claimed);
                let is_other = dice.below(3) == 0;
                again.mutations = random_plan(&mut dice, 0, &state).mutations;
                if is_other {
                    again.claim.request ^= 1;
                }
                plans.push(again);
                let result = if is_other { Err(Some(PlanRefusal::KeyReused)) } else { Ok(Some(summary)) };
                expected.push((result, 0));
                continue;
            }
            let plan = random_plan(&mut dice, number, &state);
            let is_behind =
                |of: &&Participant| state.versions.get(&of.account).copied().unwrap_or(0) != of.version;
            let conflicts = plan.participants.iter().filter(is_behind).count() as u32;
            match state.plan(&plan) {
                Expected::Done(next, touched) => {
                    state = next;
                    expected.push((Ok(None), conflicts));
                    done_here.push((plans.len(), state.clone()));
                    touched_here.push(touched);
                }
                Expected::Refused(refusal) => expected.push((Err(Some(refusal)), conflicts)),
                Expected::Invalid => expected.push((Err(None), conflicts)),
            }
            plans.push(plan);
        }
        let outcomes = store.commit(&batch(plans.clone())).unwrap();
        assert_eq!(outcomes.len(), plans.len());
        let mut done_here = done_here.into_iter().zip(touched_here);
        for ((plan, outcome), (result, conflicts)) in plans.iter().zip(&outcomes).zip(&expected) {
            let told = |what| format!("round {round}: {what}: {plan:#?} {outcome:#?}");
            assert_eq!(outcome.conflicts, *conflicts, "{}", told("conflicts"));
            *seen.entry("conflicts").or_default() += conflicts;
            let what = match (result, &outcome.result) {
                (Ok(Some(first)), Ok(summary)) => {
                    assert!(outcome.is_repeat && first == summary, "{}", told("a repeat"));
                    "repeats"
                }
                (Ok(None), Ok(summary)) => {
                    let ((_, after), touched) = done_here.next().unwrap();
                    let all: BTreeMap<At, (i64, i64)> = summary
                        .holdings()
                        .iter()
                        .map(|of| ((of.account.clone(), of.asset.clone(), of.lot), (of.delta, of.amount)))
                        .collect();
                    let should = touched.into_iter().map(|(at, delta)| {
                        let amount = after.amounts.get(&at).copied().unwrap_or(0);
                        (at, (delta, amount))
                    });
                    assert_eq!(all, should.collect(), "{}", told("what changed"));
                    for (account, version) in summary.versions() {
                        assert_eq!(after.versions[account], *version, "{}", told("versions"));
                    }
                    claimed.push((plan.clone(), summary.clone()));
                    "done"
                }
                (Err(Some(expected)), Err(refusal)) => {
                    assert_eq!(expected, refusal, "{}", told("refused"));
                    match refusal {
                        PlanRefusal::TooLittle { .. } => "too little",
                        PlanRefusal::NotHeld { .. } => "not held",
                        PlanRefusal::OverCap { .. } => "over cap",
                        PlanRefusal::AlreadyHas { .. } => "already has",
                        PlanRefusal::NoRoom { .. } => "no room",
                        PlanRefusal::Overtaken { .. } => "overtaken",
                        PlanRefusal::Game { .. } => "sold out",
                        PlanRefusal::KeyReused => "key reused",
                        other => panic!("{}", told(&other.to_string())),
                    }
                }
                (Err(None), Err(PlanRefusal::Invalid { .. })) => "invalid",
                _ => panic!("{}", told("another result")),
            };
            *seen.entry(what).or_default() += 1;
        }
        if round % 40 == 0 {
            check_players(&mut store, &state);
        }
        if round % 100 == 50 {
            drop(store);
            store = reopened(&place);
        }
    }
    check_players(&mut store, &state);
    assert_eq!(seen.len(), 12, "everything was seen: {seen:?}");
    assert!(seen.values().all(|count| *count >= 5) && seen["done"] > 300, "{seen:?}");
    let claims = number_of_claims(&mut store);
    assert_eq!(claims, claimed.len() as i64);
}

fn number_of_claims(store: &mut Store) -> i64 {
    number(store, "SELECT count(*) FROM claim")
}

/// A save in which so many random plans were asked for, ten every ten seconds, together with what else there can be in one: it has a game's
/// table, images and players.
pub(in crate::store::tests) fn played(place: &Place, plans: u64) -> Store {
    let mut store = store(place);
    store.adopt_game(GameStore::default().plugin(shop())).unwrap();
    meddle(&place.folder, "INSERT INTO game_shop_stock VALUES ('silk', 300, 0)");
    let (mut state, mut dice) =
        (State { stock: 300, ..State::default() }, Dice(Xoshiro256StarStar::seed_from_u64(11)));
    let mut done = 0;
    for ten in 0..plans / 10 {
        let plans: Vec<MutationPlan> = (1..=10)
            .map(|number| {
                let plan = random_plan(&mut dice, ten * 10 + number, &state);
                if let Expected::Done(next, _) = state.plan(&plan) {
                    (state, done) = (next, done + 1);
                }
                plan
            })
            .collect();
        let batch = CommitBatch { now_ms: NOW_MS + ten * 10_000, ..batch(plans) };
        store.commit(&batch).unwrap();
    }
    assert!(done > plans / 3 && number_of_claims(&mut store) == done.cast_signed(), "{done} of {plans}");
    for tick in 1..=3 {
        store.save_image(&image(tick, PART_BYTES_MAX + 1_000)).unwrap();
    }
    let profile = Profile { last_seen_ms: 5, avatar: Some(vec![1, 2, 3]), ..Profile::default() };
    for name in ["alice", "bob"] {
        let player = PlayerId::new(name).unwrap();
        let save = ProfileSave { player, profile: profile.clone(), is_of_image: false, rows: 0 };
        store.carry_out(&[PlayerWork::Request(PlayerRequest::Save(save))]).unwrap();
    }
    store
}
