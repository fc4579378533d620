//! Whether a save holds what it promised: everything that was told, nothing half, and the same answer when asked again.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use terrane::players::{PlayerRequest, SanctionChange};
use terrane::reward::MutationPlan;
use terrane::store::{PlayerWork, Store};

use crate::books::{Books, faults, name_of};
use crate::save::{Base, Step, Told, image, is_hopeless, open};

/// What a save was asked for, and what was told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) base: &'a Base,
    pub(crate) steps: &'a [Step],
    pub(crate) told: &'a Told,
}

fn is_there(save: &Connection, sql: &str, name: &str) -> bool {
    let count: i64 = save.query_row(sql, [name], |row| row.get(0)).unwrap();
    assert!(count < 2, "{name} is there {count} times: {sql}");
    count == 1
}

fn has_claim(save: &Connection, plan: &MutationPlan) -> bool {
    let sql = "SELECT count(*) FROM claim JOIN account ON account.id = claim.account
               WHERE kind || ' ' || name || ' ' || lower(hex(key)) = ?1";
    is_there(save, sql, &name_of(plan))
}

/// Whether each thing that a step writes is in the save.
fn traces(save: &Connection, step: &Step) -> Vec<(String, bool)> {
    let mut traces = Vec::new();
    for work in step.works() {
        match work {
            PlayerWork::Audit(row) => {
                let sql = "SELECT count(*) FROM audit WHERE target = ?1";
                traces.push((format!("the record of {}", row.target), is_there(save, sql, &row.target)));
            }
            PlayerWork::Request(PlayerRequest::Save(profile)) => {
                let name = profile.player.as_str();
                let sql = "SELECT avatar FROM player WHERE name = ?1 AND version = 1";
                let avatar: Option<Vec<u8>> =
                    save.query_row(sql, [name], |row| row.get(0)).optional().unwrap();
                let is_there = avatar.is_some();
                assert!(
                    !is_there || avatar == profile.profile.avatar,
                    "the profile of {name} is as it was written"
                );
                traces.push((format!("the profile of {name}"), is_there));
            }
            PlayerWork::Request(PlayerRequest::Sanction(SanctionChange::Set(sanction))) => {
                let sql = "SELECT count(*) FROM sanction WHERE player = ?1";
                let name = sanction.player.as_str();
                traces.push((format!("the sanction of {name}"), is_there(save, sql, name)));
            }
            _ => {}
        }
    }
    traces.extend(step.plans().map(|plan| (format!("the claim {}", name_of(plan)), has_claim(save, plan))));
    if let Step::Outbox(work) = step {
        let sql = "SELECT count(*) FROM outbox WHERE id = ?1";
        let gone =
            work.done.iter().map(|id| (format!("{id} as delivered"), !is_there(save, sql, &id.to_string())));
        traces.extend(gone);
        let sql = "SELECT count(*) FROM outbox WHERE id = ?1 AND attempts = 1";
        let tried = work
            .failed
            .iter()
            .map(|(id, _)| (format!("{id} as tried"), is_there(save, sql, &id.to_string())));
        traces.extend(tried);
    }
    traces
}

/// Which steps are there, whole; those that were told are.
fn steps_there(save: &Connection, asked: Asked<'_>, what: &str) -> Vec<bool> {
    let is_there = |(at, step)| {
        let traces = traces(save, step);
        let is_told = asked.told.contains_key(&at);
        if is_told {
            let lost: Vec<&String> =
                traces.iter().filter(|(_, there)| !there).map(|(name, _)| name).collect();
            assert!(lost.is_empty(), "{what}: step {at} was told as done, and lost is {lost:?}");
        }
        let whole = traces.iter().all(|(_, there)| *there);
        assert!(
            whole || traces.iter().all(|(_, there)| !there),
            "{what}: step {at} is half there: {traces:?}"
        );
        whole
    };
    asked.steps.iter().enumerate().map(is_there).collect()
}

fn compare_books(save: &Connection, asked: Asked<'_>, there: &[bool], what: &str) {
    let wrong = faults(save).unwrap();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
    let steps = asked.steps.iter().zip(there).filter(|(_, there)| **there).map(|(step, _)| step);
    let plans: Vec<&MutationPlan> = steps.clone().flat_map(Step::plans).collect();
    let mut expected = Books::of(asked.base.plans.iter().chain(plans));
    for step in steps {
        if let Step::Outbox(work) = step {
            for id in &work.done {
                expected.outbox.remove(&asked.base.deliveries[id]);
            }
        }
    }
    let mut found = Books::read(save).unwrap();
    if asked.steps.iter().any(|step| matches!(step, Step::Tidy)) {
        // What the save began with is old, and may be forgotten but for what it came to.
        for plan in &asked.base.plans {
            for books in [&mut expected, &mut found] {
                books.records.remove(&name_of(plan));
            }
        }
        let payloads =
            |books: &mut Books| std::mem::take(&mut books.outbox).into_values().collect::<Vec<_>>();
        let [mut theirs, mut ours] = [&mut found, &mut expected].map(payloads);
        theirs.sort();
        ours.sort();
        assert_eq!(theirs, ours, "{what}: what is to be delivered");
    }
    assert_eq!(found, expected, "{what}: the books are those of the plans that are there");
}

fn check_image_and_counter(store: &mut Store, asked: Asked<'_>, what: &str) {
    let (mut least_tick, mut least_counter) = (1, 10);
    let (mut most_tick, mut most_counter) = (1, 10);
    for (at, step) in asked.steps.iter().enumerate() {
        let is_told = asked.told.contains_key(&at);
        match step {
            Step::Image(image) => {
                most_tick = image.tick.0;
                least_tick = if is_told { image.tick.0 } else { least_tick };
            }
            Step::Reserve(up_to) => {
                most_counter = *up_to;
                least_counter = if is_told { *up_to } else { least_counter };
            }
            _ => {}
        }
    }
    let newest = store.newest_image().unwrap().expect("there was an image to begin with");
    assert!(
        (least_tick..=most_tick).contains(&newest.tick.0),
        "{what}: image {} is the newest",
        newest.tick.0
    );
    assert_eq!(newest, image(newest.tick.0), "{what}: the image is as it was written");
    let counter = store.counter("tick").unwrap();
    assert!((least_counter..=most_counter).contains(&counter), "{what}: the counter is {counter}");
}

/// Every plan is asked for again: what was told is told again, and everything is done once in the end.
fn ask_again(store: &mut Store, asked: Asked<'_>, there: &[bool], what: &str) {
    for (at, step) in asked.steps.iter().enumerate() {
        let mut first = asked.told.get(&at).into_iter().flat_map(|done| &done.plans);
        for batch in step.batches() {
            let again = store.commit(batch).unwrap_or_else(|error| panic!("{what}: step {at}: {error}"));
            for (submission, outcome) in batch.plans.iter().zip(again) {
                let told = first.next();
                let name = name_of(&submission.plan);
                if is_hopeless(&submission.plan) {
                    assert!(outcome.result.is_err() && !outcome.is_repeat, "{what}: {name}: {outcome:?}");
                    continue;
                }
                assert!(outcome.result.is_ok(), "{what}: {name}: {outcome:?}");
                assert_eq!(outcome.is_repeat, there[at], "{what}: {name}: what is there is found");
                if let Some(told) = told {
                    assert_eq!(
                        outcome.result, told.result,
                        "{what}: {name}: asked again, it is told the same"
                    );
                }
            }
        }
    }
}

/// Opens the save on a healthy disk and looks at everything.
pub(crate) fn check(folder: &Path, asked: Asked<'_>, what: &str) {
    let mut store = open(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
    let save = Connection::open(folder.join("world.db")).unwrap();
    let there = steps_there(&save, asked, what);
    compare_books(&save, asked, &there, what);
    check_image_and_counter(&mut store, asked, what);
    ask_again(&mut store, asked, &there, what);
    // What is no plan's is not asked for again: a world that starts anew goes on from what is there.
    let all: Vec<bool> =
        asked.steps.iter().zip(&there).map(|(step, there)| *there || step.plans().next().is_some()).collect();
    compare_books(&save, asked, &all, &format!("{what}, asked again"));
    assert_eq!(store.compensations().unwrap(), [], "{what}: nothing waits for an operator");
    assert_eq!(store.conservation().unwrap(), Vec::<String>::new(), "{what}");
}
