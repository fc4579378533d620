//! Plans carried out, in real files.

mod failures;
pub(super) mod game;
pub(super) mod model;
mod once;
mod refusals;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::ids::{ActionId, PlayerId};
use crate::players::{PlayerRequest, ProfileAnswer};
use crate::reward::{
    Account, AffectedDomains, AssetClass, Claim, ClaimKey, CommitBatch, Holdings, Lot, Mutation,
    MutationPlan, Name, Participant, PlanRefusal, Submission,
};

/// When it all happens: any time with room before it.
pub(super) const NOW_MS: u64 = 1_800_000_000_000;

fn alice() -> Account {
    Account::Player(PlayerId::new("alice").unwrap())
}

fn bob() -> Account {
    Account::Player(PlayerId::new("bob").unwrap())
}

fn assets() -> BTreeMap<Name, AssetClass> {
    let item = |stack_max, is_single| AssetClass::Item { stack_max, is_single, expires_after_ms: None };
    [
        ("coin", AssetClass::Currency { cap: 1_000 }),
        ("wine", item(10, false)),
        ("sword", item(1, true)),
        ("stamina", AssetClass::Pool { cap: 100, regen_ms: 1_000 }),
        ("map", AssetClass::Unlock),
    ]
    .into_iter()
    .map(|(name, class)| (Name::from(name), class))
    .collect()
}

/// A save that knows the assets of these tests.
fn store(place: &Place) -> Store {
    let mut store = open(&place.folder);
    store.adopt_assets(&assets()).unwrap();
    store
}

/// The key of an action of this time.
fn key(number: u64) -> ClaimKey {
    ActionId::new(ActionId::order_at(NOW_MS) + number, 7).into()
}

/// A plan of somebody's, under this key, made from these versions.
fn plan(number: u64, participants: &[(Account, u64)], mutations: Vec<Mutation>) -> MutationPlan {
    let request = format!("{mutations:?}");
    MutationPlan {
        use_case: "test".into(),
        claim: Claim::new(participants[0].0.clone(), key(number), request.as_bytes()),
        tables: 1,
        now_ms: NOW_MS,
        participants: participants
            .iter()
            .map(|(account, version)| Participant { account: account.clone(), version: *version })
            .collect(),
        mutations,
        domains: AffectedDomains::NONE,
        lines: Vec::new(),
    }
}

fn moves(asset: &'static str, from: &Account, to: &Account, amount: u64) -> Mutation {
    moves_lot(asset, Lot::PLAIN, from, to, amount, None)
}

fn moves_lot(
    asset: &'static str,
    lot: Lot,
    from: &Account,
    to: &Account,
    amount: u64,
    cap: Option<u64>,
) -> Mutation {
    Mutation::Transfer { asset: asset.into(), lot, from: from.clone(), to: to.clone(), amount, cap }
}

fn market() -> Account {
    Account::house("market")
}

/// What a store thread is asked for to carry plans out.
fn asked(batch: CommitBatch) -> StoreRequest {
    StoreRequest::Players { after: 0, batch: vec![PlayerWork::Request(PlayerRequest::Commit(batch))] }
}

/// What it answered of them.
fn told(answer: Option<StoreResult>) -> Vec<PlanOutcome> {
    match answer {
        Some(StoreResult::Players(done)) => done.plans,
        other => panic!("plans are answered: {other:?}"),
    }
}

/// No two submissions have the same number.
fn batch(plans: impl IntoIterator<Item = MutationPlan>) -> CommitBatch {
    static LAST: AtomicU64 = AtomicU64::new(PlanOutcome::OF_OPERATOR);
    let number = || LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let submission = |plan| Submission { number: number(), plan: std::sync::Arc::new(plan) };
    let plans = plans.into_iter().map(submission).collect();
    CommitBatch { tick: TickNumber(5), now_ms: NOW_MS, plans }
}

/// What came of one plan.
fn one(store: &mut Store, plan: MutationPlan) -> PlanOutcome {
    let mut outcomes = store.commit(&batch([plan])).unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

#[track_caller]
fn refused(store: &mut Store, plan: MutationPlan) -> PlanRefusal {
    one(store, plan).result.expect_err("it is refused")
}

#[track_caller]
fn done(store: &mut Store, plan: MutationPlan) -> std::sync::Arc<MutationSummary> {
    let outcome = one(store, plan);
    assert!(!outcome.is_repeat);
    outcome.result.expect("it is carried out")
}

/// What the save says that a player holds.
fn holdings(store: &mut Store, account: &Account) -> Holdings {
    let player = account.player().unwrap().clone();
    let load = PlayerWork::Request(PlayerRequest::Load { number: 1, player });
    let mut done = store.carry_out(&[load]).unwrap();
    let ProfileAnswer { holdings, .. } = done.profiles.remove(0);
    holdings
}

/// One number out of the file.
fn number(store: &mut Store, sql: &str) -> i64 {
    store.database.connection().unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What comes of an operator's order about something that waits for one.
fn ordered_at(store: &mut Store, verb: CompensationVerb, number: u64, now_ms: u64) -> CompensationDone {
    let (why, by) = ("why".into(), "operator".into());
    let order = CompensationOrder { ticket: 1, verb, number, why, by, tick: TickNumber(9), now_ms };
    store.order_compensation(&order).unwrap()
}

fn ordered(store: &mut Store, verb: CompensationVerb, number: u64) -> CompensationDone {
    ordered_at(store, verb, number, NOW_MS + 5)
}

/// Everything that must hold in every save: amounts are what the ledger says, nothing is made or lost, the changelog of each
/// account is whole and leads to its version, and every reference leads somewhere.
#[track_caller]
fn check_books(store: &mut Store) {
    for (rule, faults) in [
        (
            "every amount is what the ledger says",
            "WITH moved (account, asset, expires_ms, instance, amount) AS (
                 SELECT account, asset, expires_ms, instance, amount FROM opening
                 UNION ALL SELECT from_account, asset, iif(from_account < 0, 0, expires_ms),
                     iif(from_account < 0, 0, instance), -amount FROM ledger
                 UNION ALL SELECT to_account, asset, iif(to_account < 0, 0, expires_ms),
                     iif(to_account < 0, 0, instance), amount FROM ledger
                 UNION ALL SELECT account, asset, expires_ms, instance, -amount FROM holding)
             SELECT count(*) FROM (SELECT 1 FROM moved GROUP BY account, asset, expires_ms, instance
                 HAVING sum(amount) <> 0)",
        ),
        (
            "nothing is made and nothing is lost",
            "SELECT count(*) FROM (SELECT 1 FROM holding GROUP BY asset HAVING sum(amount) <> 0)",
        ),
        (
            "the changelog leads to the version without a gap",
            "SELECT count(*) FROM account WHERE id > 0 AND data_version <> coalesce((SELECT max(data_version)
                 FROM changelog WHERE account = account.id), 0)
             OR id > 0 AND (SELECT max(data_version) - min(data_version) + 1 - count(*) FROM changelog
                 WHERE account = account.id) > 0",
        ),
        ("every reference leads somewhere", "SELECT count(*) FROM pragma_foreign_key_check"),
        (
            "nothing plain is empty but",
            "SELECT count(*) FROM holding WHERE amount = 0 AND (expires_ms <> 0 OR instance <> 0)",
        ),
    ] {
        assert_eq!(number(store, faults), 0, "{rule}");
    }
}

/// Grants alice a coin, in a save that need not know any asset yet.
pub(super) fn grant_alice(store: &mut Store, version: u64) {
    store.adopt_assets(&assets()).unwrap();
    done(store, plan(100 + version, &[(alice(), version)], vec![moves("coin", &market(), &alice(), 1)]));
    check_books(store);
}
