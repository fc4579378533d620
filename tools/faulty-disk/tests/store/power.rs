//! Power is lost at every sync of a run.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256StarStar;
use terrane::reward::{Lot, Mutation, MutationPlan};
use terrane_faulty_disk::{Call, Fault, Journal, Survivors, When};

use crate::cases::{delivers, farewell, mail, single, takes};
use crate::check::{Asked, check};
use crate::failing::for_each;
use crate::rounds;
use crate::save::{
    BASE, PLAYERS, Place, Step, Told, account, carry_out, commits, hopeless, house, image, moves, moves_lot,
    open, plan,
};
use crate::thread::ask;

struct Dice(Xoshiro256StarStar);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn player(&mut self) -> &'static str {
        PLAYERS[self.below(PLAYERS.len() as u64) as usize]
    }
}

/// Some plan that can be carried out whatever came before it, or, now and then, one that never can.
fn random_plan(dice: &mut Dice, number: u64) -> MutationPlan {
    let name = dice.player();
    let (who, market) = (account(name), house("market"));
    let mut mutations = Vec::new();
    for _ in 0..1 + dice.below(4) {
        let amount = 1 + dice.below(100);
        mutations.push(match dice.below(7) {
            0 | 1 => moves("coin", &market, &who, amount),
            2 => moves("coin", &who, &market, amount),
            3 => moves("wine", &who, &house("cellar"), 1 + amount / 20),
            4 => {
                moves_lot("wine", Lot { expires_ms: number, instance: 0 }, &house("loot"), &who, amount, None)
            }
            5 => mail(&[amount as u8; 40]),
            _ => takes(1 + amount as u32 / 50),
        });
    }
    let lots = mutations.iter().filter(|of| matches!(of, Mutation::Transfer { .. })).count();
    if lots == mutations.len() {
        mutations.push(moves_lot("sword", single(1_000 + number), &market, &who, 1, None));
    }
    match dice.below(8) {
        0 => hopeless(number, name, mutations),
        1 if name != "dave" => {
            mutations.push(moves("coin", &who, &account("dave"), 3));
            plan(number, &[name, "dave"], mutations)
        }
        _ => plan(number, &[name], mutations),
    }
}

/// A run of everything, in an order of chance.
fn random_steps(seed: u64, count: u64) -> Vec<Step> {
    let mut dice = Dice(Xoshiro256StarStar::seed_from_u64(seed));
    let mut steps = Vec::new();
    let mut has_delivered = false;
    for number in 0..count {
        let plans = |dice: &mut Dice| -> Vec<MutationPlan> {
            (0..1 + dice.below(6)).map(|at| random_plan(dice, 100 + number * 10 + at)).collect()
        };
        steps.push(match dice.below(12) {
            0 => Step::Image(image(10 + number)),
            1 => Step::Reserve(100 + number),
            4 | 5 => Step::Relieve,
            2 => farewell(10 + number, plans(&mut dice)),
            3 if !has_delivered => {
                has_delivered = true;
                delivers()
            }
            _ => commits(plans(&mut dice)),
        });
    }
    steps
}

/// What may be left of what was in doubt, of so many kinds.
fn survivors(seed: u64) -> impl Iterator<Item = Survivors> {
    let some = (0..2).map(move |at| Survivors::Some(seed * 2 + at));
    [Survivors::None, Survivors::All].into_iter().chain(some)
}

/// Looks at what the disk may hold at every moment of a run. Returns how many were looked at.
fn lose_power(journal: &Journal, steps: &[Step], told: &Told, what: &str) -> u64 {
    let mut moments = Vec::new();
    journal.each_moment(|moment| moments.push(moment.clone()));
    let mut cases = Vec::new();
    for moment in &moments {
        cases.extend(survivors(moment.number).map(|survivors| (moment, survivors)));
    }
    for_each(&cases, |(moment, survivors)| {
        let place = Place::empty();
        let parent = place.folder.parent().unwrap();
        // The run had a folder of another name.
        for (name, bytes) in moment.power_loss(*survivors) {
            let file = parent.join(name);
            let file = place.folder.join(file.file_name().unwrap());
            std::fs::create_dir_all(&place.folder).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        let told = match moment.mark {
            Some(last) => told.range(..=last as usize).map(|(at, done)| (*at, done.clone())).collect(),
            None => Told::new(),
        };
        let when = format!(
            "{what}, moment {}, {:?} after step {:?}, {survivors:?}",
            moment.number, moment.when, moment.mark
        );
        check(&place.folder, Asked { base: &BASE, steps, told: &told }, &when);
    });
    assert!(moments.iter().any(|moment| moment.when == When::BeforeSync), "{what}: something was synced");
    cases.len() as u64
}

/// D4, D5: at every sync of a run, power may be lost, and whatever the disk has kept of what was not synced: what was told
/// is there, nothing is half there, and the file is sound.
#[test]
fn what_was_told_is_there_whenever_power_is_lost() {
    for seed in 0..rounds() {
        let steps = random_steps(seed, 24);
        let place = Place::with(&BASE.files);
        place.disk.record();
        let mut store = open(&place.folder).unwrap();
        let mut told = Told::new();
        carry_out(&mut store, &steps, &mut told, |at| place.disk.mark(at)).unwrap();
        drop(store);
        let journal = place.disk.take_journal();
        assert!(journal.syncs() > 30, "{} syncs", journal.syncs());
        lose_power(&journal, &steps, &told, &format!("seed {seed}"));
    }
}

/// Where and how often syncs fail, in so many runs: seed, the first that fails, and how many.
fn failing_syncs() -> Vec<(u64, u64, u64)> {
    let mut cases = Vec::new();
    for seed in 0..rounds() {
        for times in 1..=4 {
            cases.extend([
                (seed, 1 + (seed * 4 + times) % 5, times),
                (seed, 4 + (seed * 4 + times) % 7, times),
            ]);
        }
    }
    cases
}

/// D5: the same where syncs fail now and then, so that the system takes for written what is not, and the store thread goes on.
#[test]
fn what_was_told_is_there_whenever_power_is_lost_after_syncs_that_failed() {
    for (seed, nth, times) in failing_syncs() {
        let steps = random_steps(1_000 + seed, 7);
        let place = Place::with(&BASE.files);
        place.disk.record();
        let store = open(&place.folder).unwrap();
        let handle = store.start().unwrap();
        place.disk.fail(Fault { times, ..Fault::once(Call::Sync, nth) });
        let what = format!("seed {seed}, {times} syncs fail from sync {nth} on");
        let mend = || {
            place.disk.heal();
        };
        let told = ask(&handle, &steps, &what, mend, |at| place.disk.mark(at));
        handle.finish(None).unwrap();
        lose_power(&place.disk.take_journal(), &steps, &told, &what);
    }
}

/// D3, D5: the same where the process ends with the sync that failed, the system does not, and the next process asks for everything
/// again.
#[test]
fn what_was_told_is_there_whenever_power_is_lost_after_a_process_died_of_a_sync() {
    for (seed, nth, times) in failing_syncs() {
        let steps: Vec<Step> = random_steps(2_000 + seed, 9);
        let steps: Vec<Step> = steps.into_iter().filter(|step| step.writes() == 1).collect();
        let place = Place::with(&BASE.files);
        place.disk.record();
        let what = format!("seed {seed}, {times} syncs fail from sync {nth} on, and the process with them");
        let mut told = Told::new();
        let mut newest = None;
        for is_first in [true, false] {
            let mut store = open(&place.folder).unwrap();
            if is_first {
                place.disk.fail(Fault { times, ..Fault::once(Call::Sync, nth) });
            }
            let tell = |at| {
                if newest < Some(at) {
                    newest = Some(at);
                    place.disk.mark(at);
                }
            };
            let done = carry_out(&mut store, &steps, &mut told, tell);
            assert!(is_first || done.is_ok(), "{what}: {done:?}");
            drop(store);
            place.disk.heal();
        }
        assert_eq!(told.len(), steps.len());
        lose_power(&place.disk.take_journal(), &steps, &told, &what);
    }
}
