//! Value in a world: actions that change it are answered once they are committed, once for good, and components show what
//! was committed.

use terrane::action::reason_of;
use terrane::ids::ActionId;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ActionRefusal};
use terrane::reward::AssetClass;
use terrane::testing::{ClientId, TestPlayers, TestWorld};
use terrane::value::Desk;

/// What a player shows of what it holds.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Purse {
    #[sync(broadcast)]
    silver: Settled<u64>,
    #[sync(custom = own)]
    apples: Settled<u64>,
    #[sync(broadcast)]
    price: u64,
}

fn own(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

impl Settles for Purse {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.silver, holdings.amount(&"silver".into()));
        pen.write(&mut self.apples, holdings.amount(&"apple".into()));
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Receipt, refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
struct Buy {
    apples: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    /// What the player had when that was committed.
    silver: u64,
    version: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Refused(PlanRefusal);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Gives silver to somebody of the own party.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
struct Give {
    to: PlayerId,
    silver: u64,
}

/// Asks for what its scope does not let it reach.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), refusal = Refused, rate = 1000, burst = 1000, coalesce = none,
    durability = immediate)]
struct Rob {
    whom: PlayerId,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Join;

fn buy(action: &Buy, purse: &Purse, context: &AskContext<'_>) -> Result<PlanRequest, Refused> {
    Ok(context.request("buy").pay("silver", action.apples * purse.price, "market").grant(
        "apple",
        action.apples,
        "market",
    ))
}

fn bought(
    _: &Buy,
    outcome: Result<&terrane::store::MutationSummary, &PlanRefusal>,
) -> Result<Receipt, Refused> {
    let summary = outcome.map_err(|refusal| Refused(refusal.clone()))?;
    let silver = summary
        .holdings()
        .iter()
        .find(|held| held.asset.as_str() == "silver" && held.account.player().is_some());
    Ok(Receipt { silver: silver.map_or(0, |held| held.amount as u64), version: summary.versions()[0].1 })
}

struct Shop;

impl Plugin for Shop {
    fn build(&self, app: &mut App) {
        app.replicate::<Purse>()
            .settles::<Purse>()
            .add_immediate_action::<Buy, Purse>(buy, bought)
            .add_immediate_action::<Give, Purse>(
                |give, _, context| Ok(context.request("give").give("silver", give.silver, &give.to)),
                |_, outcome| outcome.map(drop).map_err(|refusal| Refused(refusal.clone())),
            )
            .add_immediate_action::<Rob, Purse>(
                |rob, _, context| {
                    let (from, to) = (Account::from(&rob.whom), Account::from(context.player));
                    let pick = terrane::reward::Pick::Any;
                    let part =
                        terrane::reward::Part::Give { asset: "silver".into(), amount: 1, pick, from, to };
                    Ok(context.request("rob").part(part))
                },
                |_, outcome| outcome.map(drop).map_err(|refusal| Refused(refusal.clone())),
            )
            .add_group_action::<Join, Purse>(|_, _, context| {
                context.enter(PartyId(7)).map_err(|why| why.to_string())
            });
    }
}

/// Everybody who comes in for the first time is given a hundred silver.
struct Welcome;

fn welcome(mut rewards: RewardsOfNode, book: Res<terrane::value::Book>) {
    let new = book.players().filter(|(_, held)| held.version == 0);
    let new: Vec<PlayerId> = new.map(|(player, _)| player.clone()).collect();
    for player in new {
        let key = ClaimKey::named("welcome", player.as_str().as_bytes());
        let request = PlanRequest::new("welcome", &player).grant("silver", 100, "mint");
        rewards.ask(NetId::WORLD, key, request);
    }
}

impl Plugin for Welcome {
    fn build(&self, app: &mut App) {
        app.add_systems(Tick, welcome.in_set(TickSystems::Settle));
    }
}

fn tables() -> RewardTables {
    RewardTables::builder()
        .asset("silver", AssetClass::Currency { cap: 1_000_000 })
        .asset("apple", AssetClass::Item { stack_max: 10, is_single: false, expires_after_ms: None })
        .build()
        .expect("sound")
}

fn game(price: u64) -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Shop).add_plugins(Welcome).rewards(tables()).avatars(
        move |request| {
            let purse = Purse { price, ..Purse::default() };
            let owned = Subject::owned_by(request.player.clone());
            SpawnRequest::new(NetId::WORLD, Vec3::splat(10.0), (purse, owned))
        },
    )
}

fn purse(world: &TestWorld, client: ClientId) -> Purse {
    world.component(client, world[client].avatar().expect("in")).expect("seen")
}

fn held(world: &TestWorld, player: &str, asset: &'static str) -> u64 {
    let player = PlayerId::new(player).expect("a name");
    world.players().bank().holdings(&Account::from(&player)).amount(&asset.into())
}

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

/// C4, F11: an action that was committed is answered with the first result after a restart that remembers nothing of it; one
/// that was not is done then, once; the same id for something else is an error.
#[test]
fn a_restart_gives_the_first_answer_to_what_was_done_and_does_what_was_not() {
    let settings = WorldSettings::default;
    let mut world = TestWorld::new(game(9), settings());
    let alice = world.connect("alice");
    world.run(10);
    let kind =
        world[alice].schema().actions.iter().position(|action| action.starts_with("Buy ")).expect("one")
            as u16;
    let order = world[alice].welcome().expect("in").ids_after.order() + 5;
    let call = |low: u64, apples: u64| ActionCall {
        id: ActionId::new(order + low, low),
        kind,
        payload: codec::encode(&Buy { apples }),
    };
    world[alice].call(call(1, 2)).expect("sent");
    world.run(6);
    let first = world[alice].replies().next().expect("answered").result;
    assert!(first.is_ok());

    let (image, players): (_, TestPlayers) = (world.image(), world.players().clone());
    let mut world = TestWorld::restart(game(50), settings(), Some(&image), players);
    let alice = world.connect("alice");
    world.run(6);
    assert_eq!(*purse(&world, alice).silver, 82, "value is of the tables, not of an image");
    let mut replies = std::collections::BTreeMap::new();
    for calls in [vec![call(1, 2), call(2, 1)], vec![call(1, 3)]] {
        for call in calls {
            world[alice].call(call).expect("sent");
        }
        for _ in 0..12 {
            world.tick();
            for reply in world[alice].replies() {
                replies.insert((reply.id, replies.len()), reply.result);
            }
        }
    }
    let of = |low: u64| -> Vec<_> {
        replies
            .iter()
            .filter(|((id, _), _)| *id == ActionId::new(order + low, low))
            .map(|(_, result)| result.clone())
            .collect()
    };
    assert_eq!(
        of(1),
        [first, Err(ActionRefusal::IdReused)],
        "the very answer of the first time: {replies:?}"
    );
    assert!(matches!(of(2)[..], [Ok(_)]), "{replies:?}");
    assert_eq!((held(&world, "alice", "silver"), held(&world, "alice", "apple")), (73, 3));
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
