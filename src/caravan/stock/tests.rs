//! Stores in the save, against a list of numbers.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::caravan::tables::plugin;
use crate::caravan::unwritten::NETTING;
use crate::caravan::{Bent, QUOTA_EVERY_MS};
use crate::caravan::{Lore, SILVER};
use crate::config::{GridSize, Sourced};
use crate::ids::PlayerId;
use crate::reward::{Claim, CommitBatch, PlanContext, Submission, plan};
use crate::store::game::{GamePlugin, GameStore};
use crate::store::{Bank, MutationSummary, Store, WorldIdentity};

const HOUSE: &str = "market/town";

/// A batch of one plan, made for somebody with so much of everything.
fn batch(number: u128, now_ms: u64, request: &PlanRequest, holdings: Holdings) -> CommitBatch {
    batch_under(ClaimKey(number), now_ms, request, holdings)
}

fn batch_under(key: ClaimKey, now_ms: u64, request: &PlanRequest, holdings: Holdings) -> CommitBatch {
    let claim = Claim::new(request.claimant.clone(), key, b"trade");
    let tables = Arc::new(Lore::shipped().reward_tables().clone());
    let mut context = PlanContext::new(tables, now_ms, &claim, 0);
    for player in request.players() {
        context = context.with(&player, holdings.clone());
    }
    let plan = plan(&context, &claim, request).expect("it can be planned");
    CommitBatch { tick: TickNumber(1), now_ms, plans: vec![Submission { number: 1, plan: plan.into() }] }
}

fn store() -> OpenStore {
    OpenStore::new(HOUSE.into(), Good::Salt, 5)
}

const TERMS: Terms = Terms { usual: 100, bent: Bent::None, rest: 5, most: 12, quota: 15 };

/// Loads leave the store (more than nothing) to a player, or come into it, at so much silver each, or as what the node asked for.
fn trade(loads: i32, unwritten: Unwritten, deal: Option<(u32, u64)>) -> PlanRequest {
    let player = PlayerId::new("alice").unwrap();
    let request = PlanRequest::new("trade", &player);
    let many = u64::from(loads.unsigned_abs());
    let request = if loads > 0 {
        request.grant(Good::Salt.asset(), many, HOUSE)
    } else {
        request.pay(Good::Salt.asset(), many, HOUSE)
    };
    let mut moved = MoveStock::new(HOUSE.into(), Good::Salt, -loads, TERMS).beside(unwritten);
    if let Some((silver, period)) = deal {
        moved = moved.at(silver, period);
    }
    request.game(MoveStock::KIND, &moved)
}

/// What others than players brought to the store, or took, below nothing, as it is written at that moment.
fn write_net(bank: &Bank, loads: i64, now_ms: u64) -> bool {
    // The store has to be known before anything lies in it.
    let key = ClaimKey::dated(now_ms, "opened", &loads.to_le_bytes());
    let opened = bank.commit(&batch_under(key, now_ms, &count(), Holdings::default()));
    let (from, to) = if loads > 0 { ("npc/country", HOUSE) } else { (HOUSE, "npc/country") };
    let grant = crate::reward::Part::Grant {
        asset: Good::Salt.asset(),
        amount: loads.unsigned_abs(),
        from: Account::house(from),
        to: Account::house(to),
        overflow: crate::reward::Overflow::Refuse,
    };
    let request = PlanRequest::new(NETTING, Account::house(NETTING)).part(grant);
    let key = ClaimKey::dated(now_ms, NETTING, &loads.to_le_bytes());
    let done = bank.commit(&batch_under(key, now_ms, &request, Holdings::default()));
    opened[0].result.is_ok() && done[0].result.is_ok()
}

fn counted(summary: &MutationSummary) -> Counted {
    summary.told::<Vec<Counted>>(CountStores::KIND).remove(0).remove(0)
}

fn count() -> PlanRequest {
    PlanRequest::new("count", Account::house("clerks")).game(CountStores::KIND, &CountStores(vec![store()]))
}

/// What was done to a store.
#[derive(Clone, Debug)]
enum Step {
    /// A player buys, or sells, below nothing, while so much of others' is not written, at a price that is so much better for it
    /// than what holds, silver; or that is written while it waits.
    Trade(i32, i32, i32, bool),
    /// A player brings what was asked for, if it has so much.
    Bring(i32),
    /// Others bring, or take, and it is written.
    Net(i32),
    /// Time passes.
    Period,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => ((1..6i32, any::<bool>()), -3..3i32, prop_oneof![3 => Just(0), 1 => -2..3i32], any::<bool>())
            .prop_map(|((loads, buys), unwritten, off, waits)| {
                Step::Trade(if buys { loads } else { -loads }, unwritten, off, waits)
            }),
        2 => (-4..8i32).prop_map(Step::Net),
        1 => (1..4i32).prop_map(Step::Bring),
        1 => Just(Step::Period),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// E9: of any trades the save carries out those, and refuses the others for those reasons, that a list of numbers does; what it
    /// tells of stock and quota is right, and in the end it counts as many loads.
    #[test]
    fn trades_are_done_and_refused_as_by_plain_arithmetic(steps in steps()) {
        let (most, quota) = (i64::from(TERMS.most), i64::from(TERMS.quota));
        let bank = Bank::new(Lore::shipped().reward_tables().assets(), GameStore::default().plugin(plugin()));
        // What players took out in this period, below nothing where they brought more.
        let (mut loads, mut period, mut taken, mut held, mut number) = (5i64, 1u64, 0i64, 0i64, 0);
        for step in steps {
            number += 1;
            // No two of them are of one moment.
            let now_ms = period * QUOTA_EVERY_MS + 10 * number as u64;
            match step {
                Step::Period => (period, taken) = (period + 1, 0),
                Step::Net(net) => {
                    let net = i64::from(net).clamp(-loads.min(4), (most - loads).max(0));
                    if net != 0 {
                        prop_assert!(write_net(&bank, net, now_ms));
                        loads += net;
                    }
                }
                Step::Bring(many) => {
                    if i64::from(many) > held {
                        continue;
                    }
                    let request = trade(-many, Unwritten::default(), None);
                    let holdings = bank.holdings(&request.claimant);
                    let done = bank.commit(&batch(number, now_ms, &request, holdings)).remove(0).result;
                    prop_assert!(done.is_ok(), "whether there is room or not: {done:?}");
                    (loads, held) = (loads + i64::from(many), held - i64::from(many));
                }
                Step::Trade(bought, owed, off, waits) => {
                    if i64::from(-bought) > held || (waits && loads + i64::from(owed) < 0) {
                        continue;
                    }
                    let unwritten = Unwritten { loads: owed, since_ms: now_ms };
                    let mut other = i64::from(owed);
                    if waits && owed != 0 {
                        prop_assert!(write_net(&bank, other, now_ms + 1));
                        (loads, other) = (loads + other, 0);
                    }
                    let (now_ms, many) = (now_ms + 2, i64::from(bought));
                    let (here, needs) = ((loads + other).max(0) as u32, many.unsigned_abs() as u32);
                    let used = taken.unsigned_abs() as u32;
                    let holds = match many > 0 {
                        true => TERMS.asked_of_players(here, needs, used),
                        false => TERMS.given_to_players(here, needs, used),
                    };
                    let silver = holds.saturating_add_signed(if many > 0 { -off } else { off });
                    let request = trade(bought, unwritten, Some((silver, period)));
                    let holdings = bank.holdings(&request.claimant);
                    let outcome = bank.commit(&batch(number, now_ms, &request, holdings)).remove(0);
                    let left = if many > 0 { quota - taken } else { quota + taken };
                    let refusal = if many > 0 && loads + other.min(0) < many {
                        Some(Objection::SoldOut { left: (loads + other.min(0)).max(0) as u32 })
                    } else if many < 0 && loads + other.max(0) - many > most {
                        Some(Objection::Full { room: (most - loads - other.max(0)).max(0) as u32 })
                    } else if many.abs() > left {
                        Some(Objection::Quota { left: left as u32, opens_in_s: quotas_begin_in_s(now_ms) })
                    } else if off > 0 {
                        Some(Objection::Price { silver: holds })
                    } else {
                        None
                    };
                    match (refusal, outcome.result) {
                        (Some(why), Err(PlanRefusal::Game { reason, .. })) => {
                            prop_assert_eq!(Objection::told_in(&reason), Some(why));
                        }
                        (None, Ok(summary)) => {
                            (loads, held, taken) = (loads - many, held + many, taken + many);
                            let told = summary.told::<Moved>(MoveStock::KIND).remove(0);
                            let here = (loads + other).max(0) as u32;
                            prop_assert_eq!((told.loads, i64::from(told.quota_left)), (here, left - many.abs()));
                            prop_assert_eq!((told.period, i64::from(told.taken)), (period, taken));
                        }
                        (expected, found) => prop_assert!(false, "{expected:?} {found:?}"),
                    }
                }
            }
            prop_assert_eq!(bank.conservation(), Vec::<String>::new());
        }
        let done = bank.commit(&batch(9_999, 1, &count(), Holdings::default())).remove(0).result.unwrap();
        prop_assert_eq!(counted(&done).loads, loads);
    }
}

/// E9: goods that lie in no store, and a store from which more was taken than there was, are found.
#[test]
fn what_is_wrong_with_stores_is_found() {
    let bank = Bank::new(Lore::shipped().reward_tables().assets(), GameStore::default().plugin(plugin()));
    let alice = PlayerId::new("alice").unwrap();
    let request =
        PlanRequest::new("theft", &alice).grant(Good::Salt.asset(), 7, HOUSE).grant(SILVER, 1, HOUSE);
    assert!(bank.commit(&batch(1, 1, &request, Holdings::default()))[0].result.is_ok());
    let told = "game_caravan_stock market/town salt: ";
    assert_eq!(
        bank.conservation(),
        [format!("move_stock: {told}loads are there, and there is no such store")]
    );
    assert!(bank.commit(&batch(2, 1, &count(), Holdings::default()))[0].result.is_ok());
    assert_eq!(
        bank.conservation(),
        [format!("move_stock: {told}-2 loads are there, which is less than nothing")]
    );
}

/// As stores were kept before they were counted by the ledger.
struct MovedBefore;

impl MutationKind for MovedBefore {
    const NAME: &'static str = "moved_before";
    type Data = ();
    fn carry_out(tx: &mut GameTransaction<'_>, (): ()) -> Result<(), KindRefusal> {
        let sql =
            "INSERT INTO game_caravan_stock (market, good, loads, opened) VALUES (?1, 'salt', 503, 500)";
        tx.execute(sql, &[HOUSE.into()]).map(drop)
    }
}

/// E9: a save in which stores were kept before they were counted by the ledger holds as many loads afterwards.
#[test]
fn stores_of_an_older_save_hold_what_they_held() {
    let folder = tempfile::tempdir().unwrap();
    let open = |folder: &Path, plugin: GamePlugin| {
        let identity = WorldIdentity {
            name: "world".into(),
            seed: Sourced::default_of(7),
            grid: Sourced::default_of(GridSize { columns: 1, rows: 1 }),
            size_m: Sourced::default_of([1_000.0, 1_000.0]),
            secret: None,
        };
        let mut store = Store::create_or_open(folder, &identity).unwrap().0;
        store.adopt_assets(Lore::shipped().reward_tables().assets()).unwrap();
        store.adopt_game(GameStore::default().plugin(plugin)).unwrap();
        store
    };
    let before = GamePlugin::new("caravan").migration(
        "stores of trade nodes",
        "CREATE TABLE game_caravan_stock (
                 market TEXT NOT NULL, good TEXT NOT NULL, loads INTEGER NOT NULL CHECK (loads >= 0), opened INTEGER NOT NULL,
                 PRIMARY KEY (market, good)) STRICT, WITHOUT ROWID",
    );
    let mut store = open(folder.path(), before.kind::<MovedBefore>());
    let alice = PlayerId::new("alice").unwrap();
    let moved = PlanRequest::new("sale", &alice).game(MovedBefore::NAME, &());
    let mut holdings = Holdings::default();
    holdings.set(&Good::Salt.asset(), crate::reward::Lot::PLAIN, 3);
    let given = PlanRequest::new("gift", &alice).grant(Good::Salt.asset(), 3, "npc");
    assert!(store.commit(&batch(1, 1, &given, Holdings::default())).unwrap()[0].result.is_ok());
    let sale = moved.pay(Good::Salt.asset(), 3, HOUSE);
    assert!(store.commit(&batch(2, 1, &sale, holdings)).unwrap()[0].result.is_ok());
    drop(store);

    let mut store = open(folder.path(), plugin());
    assert_eq!(store.conservation().unwrap(), Vec::<String>::new());
    let done = store.commit(&batch(3, 1, &count(), Holdings::default())).unwrap().remove(0);
    let told = counted(&done.result.unwrap());
    assert_eq!((told.loads, told.period, told.taken), (503, 0, 0), "and not the five of a new one");
}
