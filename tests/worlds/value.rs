//! Value in a world: actions that change it are answered once they are committed, once for good, and components show what
//! was committed.

use crate::shop::*;
use terrane::action::reason_of;
use terrane::ids::ActionId;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ActionRefusal};
use terrane::testing::TestWorld;
use terrane::value::Desk;

/// F3, E2: each purchase is planned against what the one before it left; none conflicts, none overdraws, and each is answered
/// with what was true when it was committed.
#[test]
fn twenty_purchases_in_one_tick_are_twenty_correct_answers() {
    let mut world = TestWorld::new(game(9), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(10);
    assert_eq!(*purse(&world, alice).silver, 100, "what the store committed shows");
    for _ in 0..20 {
        world[alice].act(&Buy { apples: 1 }).expect("sent");
    }
    let mut receipts = Vec::new();
    for _ in 0..60 {
        world.tick();
        receipts.extend(world[alice].replies());
    }
    assert_eq!(receipts.len(), 20);
    for (number, reply) in receipts.iter().enumerate() {
        match &reply.result {
            Ok(bytes) => {
                let receipt: Receipt = codec::decode::<_, 64>("receipt", bytes).expect("one");
                assert_eq!(receipt.silver, 100 - 9 * (number as u64 + 1));
                assert_eq!(receipt.version, number as u64 + 2);
            }
            Err(refusal) => {
                assert!(number >= 11, "11 apples are to be had for 100 silver");
                let Some(Refused(PlanRefusal::TooLittle { has, needs, .. })) = reason_of::<Buy>(refusal)
                else {
                    panic!("{refusal:?}")
                };
                assert_eq!((has, needs), (1, 9));
            }
        }
    }
    assert_eq!((held(&world, "alice", "silver"), held(&world, "alice", "apple")), (1, 11));
    let shown = purse(&world, alice);
    assert_eq!((*shown.silver, *shown.apples), (1, 11));
    let counts = world.server().node().resource::<Desk>().counts;
    assert_eq!((counts.committed, counts.refused, counts.conflicts), (12, 9, 0), "the gift is one of them");
}

/// C3: what an action of scope `self` may ask for is the caller's alone; one of scope `group` reaches the party and nobody else.
#[test]
fn an_action_asks_for_no_more_than_its_scope_lets_it_reach() {
    let mut world = TestWorld::new(game(9), WorldSettings::default());
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.connect(name));
    world.run(10);
    for client in [alice, bob] {
        world[client].act(&Join).expect("sent");
    }
    world.run(4);
    let player = |name: &str| PlayerId::new(name).expect("a name");
    world[alice].replies().for_each(drop);
    world[alice].act(&Rob { whom: player("bob") }).expect("sent");
    world[alice].act(&Give { to: player("carol"), silver: 10 }).expect("sent");
    world[alice].act(&Give { to: player("bob"), silver: 10 }).expect("sent");
    world[alice].act(&Give { to: player("bob"), silver: 1_000 }).expect("sent");
    world.run(12);
    let results: Vec<_> = world[alice].replies().map(|reply| reply.result).collect();
    let refused = |result: &Result<Vec<u8>, ActionRefusal>| result.clone().expect_err("refused");
    assert_eq!(refused(&results[0]), ActionRefusal::Unanswered);
    assert_eq!(refused(&results[1]), ActionRefusal::Unanswered);
    assert!(results[2].is_ok());
    assert!(matches!(
        reason_of::<Give>(&refused(&results[3])),
        Some(Refused(PlanRefusal::TooLittle { has: 90, .. }))
    ));
    let silver = ["alice", "bob", "carol"].map(|name| held(&world, name, "silver"));
    assert_eq!(silver, [90, 110, 100]);
    let shown = [alice, bob, carol].map(|client| *purse(&world, client).silver);
    assert_eq!(shown, silver);
}

/// F11: under one key there is one gift, however often it is asked for and by however many.
#[test]
fn a_thousand_repeats_of_a_claim_change_nothing() {
    let mut world = TestWorld::new(game(9), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(10);
    let call = ActionCall {
        id: ActionId::new(world[alice].welcome().expect("in").ids_after.order() + 5, 1),
        kind: 0,
        payload: codec::encode(&Buy { apples: 1 }),
    };
    let mut answers = Vec::new();
    for _ in 0..100 {
        for _ in 0..10 {
            world[alice].call(call.clone()).ok();
        }
        world.tick();
        answers.extend(world[alice].replies().map(|reply| reply.result));
    }
    world.run(5);
    answers.extend(world[alice].replies().map(|reply| reply.result));
    assert!(
        !answers.is_empty() && answers.iter().all(|answer| *answer == answers[0] && answer.is_ok()),
        "{answers:?}"
    );
    assert_eq!((held(&world, "alice", "silver"), held(&world, "alice", "apple")), (91, 1));
}

/// D5: while the store does not work nothing of value changes hands, and who asks is told; then it does by itself.
#[test]
fn a_store_that_fails_refuses_value_with_its_reason_and_recovers_by_itself() {
    let mut world = TestWorld::new(game(9), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(10);
    world[alice].act(&Buy { apples: 1 }).expect("sent");
    world.tick_with(|input| input.value_refused = Some("the disk is full".into()));
    world.run(3);
    let refusal = world[alice].replies().next().expect("answered").result.expect_err("refused");
    assert_eq!(
        reason_of::<Buy>(&refusal),
        Some(Refused(PlanRefusal::Degraded { why: "the disk is full".into() }))
    );
    world[alice].act(&Buy { apples: 1 }).expect("sent");
    world.run(5);
    assert!(world[alice].replies().next().expect("answered").result.is_ok());
    assert_eq!(held(&world, "alice", "apple"), 1);
}

/// What systems of the game heard of what they asked for.
#[derive(Resource, Default)]
struct Heard(Vec<(u64, bool)>);

/// Asks, in two ticks, for what is refused while it is planned and for what is refused when it is carried out.
struct Asks;

impl Plugin for Asks {
    fn build(&self, app: &mut App) {
        let ask = |mut rewards: RewardsOfNode,
                   context: Res<terrane::cell::pool::NodeContext>,
                   mut heard: ResMut<Heard>| {
            let told = rewards.outcomes().iter();
            let told = told.filter(|told| !told.claim.key.is_named());
            heard.0.extend(
                told.map(|told| ((told.claim.key.0 >> 80) as u64, told.result.is_ok())).collect::<Vec<_>>(),
            );
            let alice = PlayerId::new("alice").expect("a name");
            let due = |key: u64| ClaimKey(u128::from(key) << 80);
            if context.0.tick.0 == 12 {
                let poor = PlanRequest::new("fee", &alice).pay("silver", 1_000, "mint");
                rewards.ask(NetId::WORLD, due(1), poor);
                rewards.ask(NetId::WORLD, due(2), PlanRequest::new("fee", &alice).pay("silver", 1, "mint"));
            } else if context.0.tick.0 == 20 {
                // The key again, for something else.
                rewards.ask(NetId::WORLD, due(2), PlanRequest::new("fee", &alice).pay("silver", 2, "mint"));
            }
        };
        app.init_resource::<Heard>().add_systems(Tick, ask.in_set(TickSystems::Settle).after(welcome));
    }
}

/// F3: a system hears of each thing that it asked for exactly once, whether it was refused while it was planned, refused when it
/// was carried out, or done. A system in `Settle` did not hear of what was refused.
#[test]
fn a_system_hears_once_of_everything_that_it_asked_for() {
    let mut world = TestWorld::new(game(9).add_plugins(Asks), WorldSettings::default());
    world.connect("alice");
    world.run(30);
    assert_eq!(world.server().node().resource::<Heard>().0, [(1, false), (2, true), (2, false)]);
    assert_eq!(held(&world, "alice", "silver"), 99);
}

/// Claims that a system read were committed, by the number in their key.
#[derive(Resource, Default)]
struct CommittedKeys(Vec<u64>);

/// Asks for three things in one tick, twice for the second of them, and for the first once more when it is done.
struct AsksAgain;

impl Plugin for AsksAgain {
    fn build(&self, app: &mut App) {
        let ask = |mut rewards: RewardsOfNode,
                   context: Res<terrane::cell::pool::NodeContext>,
                   committed: Res<Committed>,
                   mut keys: ResMut<CommittedKeys>| {
            let dated = committed.iter().map(|summary| summary.claim().key).filter(|key| !key.is_named());
            keys.0.extend(dated.map(|key| (key.0 >> 80) as u64));
            let which: &[u64] = match context.0.tick.0 {
                12 => &[3, 2, 2, 1],
                20 => &[3, 4],
                _ => &[],
            };
            for &number in which {
                let fee = PlanRequest::new("fee", Account::house("clerks")).grant("silver", number, "mint");
                rewards.ask(NetId::WORLD, ClaimKey(u128::from(number) << 80), fee);
            }
        };
        app.init_resource::<CommittedKeys>()
            .add_systems(Tick, ask.in_set(TickSystems::Settle).after(welcome));
    }
}

/// E9, F11: systems read each thing that was committed once, in the order in which it was; a repeat is no news.
#[test]
fn what_was_committed_is_read_once_and_in_order() {
    let mut world = TestWorld::new(game(9).add_plugins(AsksAgain), WorldSettings::default());
    world.run(30);
    assert_eq!(world.server().node().resource::<CommittedKeys>().0, [3, 2, 1, 4]);
    let counts = world.server().node().resource::<Desk>().counts;
    assert_eq!((counts.committed, counts.repeated), (4, 2));
}

/// F3, D2: something else was written of a player between plan and execution. The same plan is carried out on what is there
/// then, and what nobody here had heard of is read anew and shows.
#[test]
fn what_was_written_in_between_is_read_anew_and_shows() {
    use terrane::reward::{Claim, CommitBatch, PlanContext, Submission, plan};

    let mut world = TestWorld::new(game(9), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(10);
    let player = PlayerId::new("alice").expect("a name");
    let claim = Claim::new(&player, ClaimKey::named("gift", b"of an operator"), b"");
    let holdings = world.players().bank().holdings(&Account::from(&player));
    let context = PlanContext::new(std::sync::Arc::new(tables()), 1, &claim, 1).with(&player, holdings);
    let gift = plan(&context, &claim, &PlanRequest::new("gift", &player).grant("silver", 50, "mint"))
        .expect("a plan");
    let plans = vec![Submission { number: 1, plan: gift.into() }];
    let batch = CommitBatch { tick: TickNumber(1), now_ms: 1, plans };
    assert!(world.players().bank().commit(&batch)[0].result.is_ok());
    assert_eq!(*purse(&world, alice).silver, 100, "nobody in the world has heard of it");
    world[alice].act(&Buy { apples: 1 }).expect("sent");
    world.run(10);
    let receipt = world[alice].replies().next().expect("answered").result.expect("done");
    let receipt: Receipt = codec::decode::<_, 64>("receipt", &receipt).expect("one");
    assert_eq!((receipt.silver, receipt.version), (141, 3));
    let shown = purse(&world, alice);
    assert_eq!((*shown.silver, *shown.apples), (141, 1));
    let counts = world.server().node().resource::<Desk>().counts;
    assert_eq!((counts.conflicts, counts.reread), (1, 1));
}
