//! Actions that change value, asked again: after restarts, over other sessions, while the store is asked what became of them.

use crate::shop::*;
use terrane::ids::ActionId;
use terrane::players::PlayerRequest;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ActionRefusal};
use terrane::server::TickInput;
use terrane::server::io::ClientAction;
use terrane::testing::{TestPlayers, TestWorld};

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

/// C3: what is done with power over others stays written, also where it changes value and is done later.
#[test]
fn a_global_action_that_changes_value_leaves_an_audit_row() {
    let mut world = TestWorld::new(game(9), WorldSettings::default());
    let gm = world.connect_as("gm", Role::Gm);
    world.connect("bob");
    world.run(10);
    let bob = PlayerId::new("bob").expect("a name");
    world[gm].act(&Mint { whom: bob }).expect("sent");
    world.run(10);
    assert_eq!(held(&world, "bob", "silver"), 107);
    let rows: Vec<_> = world.players().audit().iter().filter(|row| row.what == "Mint").collect();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].who == "gm" && rows[0].detail.ends_with(": done"), "{rows:?}");
}

/// A world that was started anew, and somebody who asks again for what was asked before.
struct Restarted {
    world: TestWorld,
    order: u64,
    kind: u16,
}

impl Restarted {
    fn new() -> Self {
        let settings = WorldSettings::default;
        let mut world = TestWorld::new(game(9), settings());
        let alice = world.connect("alice");
        world.run(10);
        let actions = &world[alice].schema().actions;
        let kind = actions.iter().position(|action| action.starts_with("Buy ")).expect("one") as u16;
        let order = world[alice].welcome().expect("in").ids_after.order() + 5;
        let (image, players): (_, TestPlayers) = (world.image(), world.players().clone());
        let world = TestWorld::restart(game(9), settings(), Some(&image), players);
        Self { world, order, kind }
    }

    fn call(&self, low: u64, apples: u64) -> ActionCall {
        let id = ActionId::new(self.order, low);
        ActionCall { id, kind: self.kind, payload: codec::encode(&Buy { apples }) }
    }
}

/// C4: the same id for something else, while the store is asked what became of it, is an error and nothing more: what was asked
/// for first is done once, and its answer is the one that is remembered.
#[test]
fn what_the_store_was_asked_about_is_done_once_whatever_comes_meanwhile() {
    let mut restarted = Restarted::new();
    let (first, other) = (restarted.call(1, 1), restarted.call(1, 2));
    let world = &mut restarted.world;
    let alice = world.connect("alice");
    world.run(6);
    let connection = world.server().connections().next().expect("one player is in").1;
    world[alice].call(first.clone()).expect("sent");
    let player = PlayerId::new("alice").expect("a name");
    for _ in 0..8 {
        let sessions = world.server().node().resource::<terrane::session::Sessions>();
        let epoch = sessions.of_player(&player).expect("in").id.epoch;
        let call = other.clone();
        // A client of ours would not send it.
        world.tick_with(|input| input.actions.push(ClientAction { connection, epoch, call }));
    }
    world.run(6);
    // Its client takes the first answer under that id for that of its action.
    let told: Vec<_> = world[alice].replies().map(|reply| reply.result).collect();
    assert_eq!(told, [Err(ActionRefusal::IdReused)]);
    assert_eq!((held(world, "alice", "silver"), held(world, "alice", "apple")), (91, 1));
    let sessions = world.server().node().resource::<terrane::session::Sessions>();
    let memory = &sessions.of_player(&player).expect("in").replies;
    assert!(matches!(memory.look_up(&first), terrane::action::memory::Known::Answered(Ok(_))));
}

/// C4: who asks, is gone before the store has said what became of it, comes back anew and asks again, is answered.
#[test]
fn who_comes_back_while_the_store_is_asked_is_answered() {
    let mut restarted = Restarted::new();
    let call = restarted.call(1, 1);
    let world = &mut restarted.world;
    let alice = world.connect("alice");
    world.run(6);
    world.players_mut().set_delay_ticks(12);
    world[alice].call(call.clone()).expect("sent");
    world.run(3);
    let again = world.connect("alice");
    world.run(4);
    world[again].call(call).expect("sent");
    world.run(60);
    let replies: Vec<_> = world[again].replies().map(|reply| reply.result).collect();
    assert!(matches!(replies[..], [Ok(_)]), "{replies:?}");
    assert_eq!((held(world, "alice", "silver"), held(world, "alice", "apple")), (91, 1));
}

/// C4, C5: what the store had to be asked about is done in the order in which it was called, and before what was called later.
#[test]
fn what_the_store_was_asked_about_keeps_its_order() {
    let mut restarted = Restarted::new();
    let actions = &restarted.world.server().game().schema.actions;
    let sell = actions.iter().position(|action| action.starts_with("Sell ")).expect("one") as u16;
    let selling = |low: u64, apples: u64| ActionCall {
        id: ActionId::new(restarted.order, low),
        kind: sell,
        payload: codec::encode(&Sell { apples }),
    };
    // Each is possible only behind the one before it: a hundred silver buy eleven apples, and no more.
    let calls =
        [restarted.call(1, 11), selling(2, 11), restarted.call(3, 10), selling(4, 5), restarted.call(5, 6)];
    let world = &mut restarted.world;
    let alice = world.connect("alice");
    world.run(6);
    for call in calls {
        world[alice].call(call).expect("sent");
    }
    // Its name lies above all that may have been used before the restart: nobody has to be asked about it.
    world[alice].act(&Sell { apples: 11 }).expect("sent");
    world.run(40);
    let replies: Vec<_> = world[alice].replies().map(|reply| reply.result).collect();
    assert_eq!(replies.len(), 6, "{replies:?}");
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert_eq!((held(world, "alice", "silver"), held(world, "alice", "apple")), (100, 0));
}

/// In which tick the prize is asked for: behind a purchase that is under way.
const PRIZE_TICK: u64 = 14;

fn prize(mut rewards: RewardsOfNode, node: Res<terrane::cell::pool::NodeContext>) {
    if node.0.tick.0 == PRIZE_TICK {
        let player = PlayerId::new("alice").expect("a name");
        let request = PlanRequest::new("prize", &player).grant("silver", 30, "mint");
        rewards.ask(NetId::WORLD, ClaimKey::named("prize", b"1"), request);
    }
}

/// F12, D1: what a system asked for somebody who leaves, or in a world that ends, is not lost with them.
#[test]
fn what_was_asked_for_is_paid_also_to_who_leaves_and_when_the_world_ends() {
    for leaves in [true, false] {
        let game = game(9).add_plugins(|app: &mut App| {
            app.add_systems(Tick, prize.in_set(TickSystems::Settle).after(welcome));
        });
        let mut world = TestWorld::new(game, WorldSettings::default());
        let alice = world.connect("alice");
        world.run(10);
        world.players_mut().set_delay_ticks(6);
        world[alice].act(&Buy { apples: 1 }).expect("sent");
        while world.last_tick().0 < PRIZE_TICK {
            world.tick();
        }
        assert_eq!(
            world.server().node().resource::<terrane::value::Desk>().waiting(),
            1,
            "the purchase first"
        );
        if leaves {
            world[alice].leave();
            world.run(30);
            assert_eq!(held(&world, "alice", "silver"), 100 - 9 + 30);
        } else {
            let tick = world.server().next_tick();
            let input = TickInput { tick, now_ms: 2_000_000_000_000, ..TickInput::default() };
            let output = world.server_mut().close(input);
            let asked = output.players.iter().any(|request| match request {
                PlayerRequest::Commit(batch) => {
                    let prize = ClaimKey::named("prize", b"1");
                    batch.plans.iter().any(|submission| submission.plan.claim.key == prize)
                }
                _ => false,
            });
            assert!(asked, "{:?}", output.players);
        }
    }
}
