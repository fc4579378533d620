//! Players come, go and take over; every action is answered once, whatever the network does.

use std::collections::{BTreeMap, BTreeSet};

use terrane::action::act;
use terrane::cell::pool::with_cells;
use terrane::client::connection::Ended;
use terrane::ids::{ActionId, ConnectionId, DeviceId};
use terrane::limits::{CLIENT_QUEUE_MAX, JOINS_PER_TICK_MAX};
use terrane::net::{LoopbackConditions, ToNet};
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ActionRefusal, Refusal, Resume, ServerControl};
use terrane::server::io::{ClientAction, ClientInput, Join};
use terrane::server::{Server, TickInput, TickOutput, TickReport};
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

/// What actions do to an avatar.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Tally {
    #[sync(broadcast)]
    total: u64,
    #[sync(broadcast)]
    heading: u32,
    #[sync(server_only)]
    added: Vec<u32>,
}

/// Adds a number and tells the total.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u64, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Add {
    number: u32,
}

/// For game masters.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = gm, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Wipe;

/// Continuous.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
struct Head {
    to: u32,
}

const ADD: u16 = 0;
const HEAD: u16 = 2;

struct Tallies;

impl Plugin for Tallies {
    fn build(&self, app: &mut App) {
        app.replicate::<Tally>()
            .add_own_action::<Add, Tally>(|add, tally, _| {
                if add.number == 13 {
                    return Err("not that one".into());
                }
                tally.total += u64::from(add.number);
                tally.added.push(add.number);
                Ok(tally.total)
            })
            .add_own_action::<Wipe, Tally>(|_, tally, _| {
                *tally = Tally::default();
                Ok(())
            })
            .add_own_action::<Head, Tally>(|head, tally, _| {
                tally.heading = head.to;
                Ok(())
            })
            .add_systems(Simulate, hop);
    }
}

/// Everybody is over the corner of four cells and back with every tick.
fn hop(context: Res<TickContext>, mut tallies: Query<&mut Position, With<Tally>>) {
    let side = if context.tick.0.is_multiple_of(2) { 0.4 } else { -0.4 };
    for mut place in &mut tallies {
        place.0 = Vec3::new(50.0 + side, 50.0 + side, 0.0);
    }
}

fn settings() -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
    WorldSettings { area, grid: [2, 2], bucket_m: 8.0, check_invariants: true, ..WorldSettings::default() }
        .with_distances(10.0, 12.0, 40.0, 2.0)
}

fn game() -> ServerBuilder {
    ServerBuilder::default()
        .add_cell_plugins(Tallies)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(50.4, 50.4, 0.0), Tally::default()))
}

fn add(id: u128, number: u32) -> ActionCall {
    ActionCall { id: ActionId(id), kind: ADD, payload: codec::encode(&Add { number }) }
}

/// A refusal in the game's own words.
fn in_words(text: &str) -> ActionRefusal {
    ActionRefusal::Game { text: text.into(), reason: codec::encode(&text) }
}

/// What the server holds of the avatar of a player.
fn tally(server: &mut Server, player: &str) -> Tally {
    let node = server.node_mut();
    let sessions = node.resource::<Sessions>();
    let avatar = sessions.iter().find(|session| session.player.as_str() == player).expect("in").avatar;
    with_cells(node, |_, cells| {
        let mut found = cells.iter_mut().filter_map(|cell| {
            let entity = *cell.by_net_id.get(&avatar)?;
            cell.world.get::<terrane::cell::markers::Owned>(entity)?;
            cell.world.get::<Tally>(entity).cloned()
        });
        found.next().expect("somebody owns it")
    })
}

fn counter(report: &TickReport, name: &str) -> u64 {
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// What has been answered to one client: every id once, and repeats alike.
#[derive(Default)]
struct Answers {
    by_id: BTreeMap<ActionId, Result<Vec<u8>, ActionRefusal>>,
    all: u64,
}

impl Answers {
    fn take(&mut self, world: &mut TestWorld, client: ClientId) {
        for reply in world[client].replies() {
            self.all += 1;
            let first = self.by_id.entry(reply.id).or_insert_with(|| reply.result.clone());
            assert_eq!(*first, reply.result, "a repeat gets the first answer");
        }
    }
}

/// C4, C5, A4: thousands of actions, many of them sent again and again, over a network that loses, delays and
/// reorders, by players who cross a corner of four cells with every tick: each is done once, in order, and
/// answered once; a repeat gets the first answer.
#[test]
fn every_action_is_done_once_in_order_and_answered_once_on_a_bad_network() {
    let mut world = TestWorld::new(game(), settings());
    world.set_conditions(LoopbackConditions { loss: 0.15, duplicate: 0.1, delay_ticks: 1, jitter_ticks: 3 });
    let players: Vec<_> = (0..5).map(|number| (format!("player {number}"), number)).collect();
    let clients: Vec<_> = players.iter().map(|(name, _)| world.connect(name)).collect();
    while clients.iter().any(|&client| world[client].welcome().is_none()) {
        world.tick();
    }
    let mut chance = Random::named(3, "repeats");
    let mut answers: Vec<Answers> = clients.iter().map(|_| Answers::default()).collect();
    let mut sent: Vec<Vec<ActionCall>> = vec![Vec::new(); clients.len()];
    let mut repeats = 0;
    for number in 0..400u32 {
        for (index, &client) in clients.iter().enumerate() {
            for _ in 0..chance.below(4) {
                let id = u128::from(number) << 32 | (sent[index].len() as u128) << 8 | index as u128;
                let call = add(id, number % 50);
                world[client].call(call.clone()).expect("sent");
                sent[index].push(call.clone());
                while chance.chance(0.3) {
                    // The very same, or an older one.
                    let again =
                        sent[index][sent[index].len() - 1 - chance.below(sent[index].len().min(40))].clone();
                    world[client].call(again).expect("sent");
                    repeats += 1;
                }
            }
        }
        world.tick();
        for (answers, &client) in answers.iter_mut().zip(&clients) {
            answers.take(&mut world, client);
        }
    }
    let mut report = TickReport::default();
    for _ in 0..60 {
        report = world.tick().report;
        for (answers, &client) in answers.iter_mut().zip(&clients) {
            answers.take(&mut world, client);
        }
    }
    let mut done = 0;
    for (index, &client) in clients.iter().enumerate() {
        assert_eq!(answers[index].by_id.len(), sent[index].len(), "every id is answered");
        assert_eq!(world[client].unanswered(), 0);
        let numbers: Vec<u32> = sent[index]
            .iter()
            .map(|call| codec::decode::<Add, 64>("Add", &call.payload).expect("an Add").number)
            .collect();
        let expected: Vec<u32> = numbers.iter().copied().filter(|&number| number != 13).collect();
        let tally = tally(world.server_mut(), &players[index].0);
        assert_eq!(tally.added, expected, "each once, in the client's order");
        let mut total = 0u64;
        for (call, number) in sent[index].iter().zip(numbers) {
            let result = &answers[index].by_id[&call.id];
            if number == 13 {
                assert_eq!(*result, Err(in_words("not that one")));
            } else {
                total += u64::from(number);
                assert_eq!(*result, Ok(codec::encode(&total)), "the answer of that very moment");
            }
        }
        done += sent[index].len() as u64;
    }
    assert!(
        done > 2_000 && repeats > 500 && report.handovers > 1_500,
        "{done}, {repeats}, {}",
        report.handovers
    );
    assert_eq!(counter(&report, "actions_run"), done);
    assert_eq!(counter(&report, "actions_repeated"), repeats);
}

/// C5: the order of actions and the answers do not depend on the layout.
#[test]
fn actions_have_the_same_outcome_on_every_layout() {
    let outcome = |grid| {
        let mut world = TestWorld::new(game(), WorldSettings { grid, ..settings() });
        let clients: Vec<_> = ["carol", "alice", "bob"].iter().map(|name| world.connect(name)).collect();
        world.run(5);
        let mut chance = Random::named(5, "actions");
        let mut told = Vec::new();
        for number in 0..60u128 {
            for (index, &client) in clients.iter().enumerate() {
                world[client].call(add(number << 8 | index as u128, chance.below(99) as u32)).expect("sent");
            }
            let report = world.tick().report;
            told.push(report.fingerprint);
            for &client in &clients {
                told.extend(
                    world[client].replies().map(|reply| reply.id.0 as u64 + u64::from(reply.result.is_ok())),
                );
            }
        }
        told
    };
    let one = outcome([1, 1]);
    assert!(one.len() > 200);
    assert_eq!(one, outcome([2, 2]));
}

fn only_reply(world: &mut TestWorld, client: ClientId) -> Result<Vec<u8>, ActionRefusal> {
    world.run(4);
    let mut replies: Vec<_> = world[client].replies().collect();
    assert_eq!(replies.len(), 1, "one answer");
    replies.remove(0).result
}

/// C3, C4: what cannot be done is refused, with the reason, once.
#[test]
fn actions_that_cannot_be_done_are_refused_with_the_reason() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    let master = world.connect_as("master", Role::Gm);
    world.run(5);
    world[alice].call(ActionCall { id: ActionId(1), kind: 99, payload: vec![] }).expect("sent");
    assert_eq!(only_reply(&mut world, alice), Err(ActionRefusal::Unknown(99)));
    world[alice].call(ActionCall { id: ActionId(2), kind: ADD, payload: vec![1, 2, 3, 4] }).expect("sent");
    assert!(matches!(only_reply(&mut world, alice), Err(ActionRefusal::Malformed(_))));
    world[alice].act(&Wipe).expect("sent");
    assert_eq!(only_reply(&mut world, alice), Err(ActionRefusal::Forbidden("gm".into())));
    world[master].act(&Wipe).expect("sent");
    assert_eq!(only_reply(&mut world, master), Ok(vec![]));
    world[alice].call(add(3, 5)).expect("sent");
    assert_eq!(only_reply(&mut world, alice), Ok(codec::encode(&5u64)));
    world[alice].call(add(3, 6)).expect("sent");
    assert_eq!(only_reply(&mut world, alice), Err(ActionRefusal::IdReused), "the same id for something else");
    assert_eq!(tally(world.server_mut(), "alice").added, [5]);
}

/// C4, A10: more than the inbox holds is refused as busy, at once and by id; a repeat is told the same.
#[test]
fn an_inbox_that_is_full_says_busy_and_says_so_again() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(5);
    let mut answers = Answers::default();
    let burst = CLIENT_QUEUE_MAX as u128 - 6;
    for id in 0..2 * burst {
        world[alice].call(add(id, 1)).expect("sent");
        if id == burst - 1 {
            world.tick();
            answers.take(&mut world, alice);
        }
    }
    for _ in 0..25 {
        world.tick();
        answers.take(&mut world, alice);
    }
    assert!(world[alice].ended().is_none(), "a busy client is not thrown out: {:?}", world[alice].ended());
    assert_eq!(answers.all, 2 * burst as u64, "one answer each");
    let is_busy = |result: &Result<Vec<u8>, ActionRefusal>| *result == Err(ActionRefusal::Busy);
    let busy: BTreeSet<ActionId> =
        answers.by_id.iter().filter(|(_, result)| is_busy(result)).map(|(&id, _)| id).collect();
    assert!(busy.len() > 100, "{}", busy.len());
    assert_eq!(tally(world.server_mut(), "alice").total, 2 * burst as u64 - busy.len() as u64);
    let again = *busy.first().expect("some");
    world[alice].call(add(again.0, 1)).expect("sent");
    assert_eq!(only_reply(&mut world, alice), Err(ActionRefusal::Busy), "a repeat gets the first answer");
    world[alice].call(add(9 * burst, 1)).expect("sent");
    assert!(only_reply(&mut world, alice).is_ok(), "under another name it is another action");
}

/// C4: a repeat gets the first answer also after the player was thrown out by a second device, or left and came
/// back. D2: the older one is told why, and the avatar stays.
#[test]
fn a_second_device_takes_over_avatar_and_answers_and_the_first_is_told() {
    let mut world = TestWorld::new(game(), settings());
    let phone = world.connect("alice");
    world.run(5);
    let (avatar, epoch) = world[phone].welcome().map(|welcome| (welcome.avatar, welcome.epoch)).expect("in");
    world[phone].call(add(1, 5)).expect("sent");
    assert_eq!(only_reply(&mut world, phone), Ok(codec::encode(&5u64)));
    let desk = world.connect("alice");
    world.run(5);
    let told = world[phone].ended().expect("thrown out").to_string();
    assert_eq!(told, Refusal::TakenOver.to_string());
    let welcome = world[desk].welcome().expect("in").clone();
    assert!(welcome.avatar == avatar && welcome.epoch > epoch, "{welcome:?}");
    world[desk].call(add(1, 5)).expect("sent");
    assert_eq!(only_reply(&mut world, desk), Ok(codec::encode(&5u64)));
    world[desk].call(add(2, 6)).expect("sent");
    assert_eq!(only_reply(&mut world, desk), Ok(codec::encode(&11u64)), "the first one was done once");

    world[desk].leave();
    let report = world.run(4).report;
    assert_eq!(
        (report.players, report.entities, report.ghosts),
        (0, 0, 0),
        "the avatar went, with all its ghosts"
    );
    let back = world.connect("alice");
    world.run(5);
    assert_ne!(world[back].avatar().expect("in"), avatar, "a new one");
    world[back].call(add(2, 6)).expect("sent");
    assert_eq!(only_reply(&mut world, back), Ok(codec::encode(&11u64)));
    world[back].call(add(2, 7)).expect("sent");
    assert_eq!(only_reply(&mut world, back), Err(ActionRefusal::IdReused));
    assert_eq!(
        tally(world.server_mut(), "alice").total,
        11,
        "what she had came back, and nothing was done to it"
    );
}

fn lose_the_actions(world: &mut World) {
    with_cells(world, |_, cells| cells.iter_mut().for_each(|cell| cell.actions.clear()));
}

/// C4: an action that its cell gave no answer to is answered all the same, as a fault of the server's.
#[test]
fn an_action_without_an_answer_is_answered_as_a_fault() {
    let game = game().add_plugins(|app: &mut App| {
        app.add_systems(Tick, lose_the_actions.in_set(TickSystems::Act).after(act::act));
    });
    let mut world = TestWorld::new(game, settings());
    let alice = world.connect("alice");
    world.run(5);
    for _ in 0..2 {
        world[alice].call(add(1, 5)).expect("sent");
        assert_eq!(
            only_reply(&mut world, alice),
            Err(ActionRefusal::Unanswered),
            "and a repeat gets the same"
        );
    }
    assert_eq!(counter(&world.tick().report, "actions_unanswered"), 1);
}

/// A8: what is meant for a session that is over is not taken, and counted; so is input that is older than what
/// was taken.
#[test]
fn messages_of_another_session_and_older_input_are_not_taken() {
    let mut world = TestWorld::new(game(), settings());
    world.connect("alice");
    world.run(5);
    let connection = world.server().connections().next().expect("in").1;
    let epoch = world.server().node().resource::<Sessions>().iter().next().expect("in").id.epoch;
    let stale = |world: &mut TestWorld| counter(&world.tick().report, "client_messages_stale");
    let before = stale(&mut world);
    let head = |seq, to| ClientInput {
        connection,
        epoch,
        seq,
        inputs: vec![(HEAD, codec::encode(&Head { to: 1 })), (HEAD, codec::encode(&Head { to }))],
    };
    world.tick_with(|input| {
        for wrong in [epoch - 1, epoch + 1] {
            input.actions.push(ClientAction { connection, epoch: wrong, call: add(1, 5) });
        }
        input.actions.push(ClientAction { connection: ConnectionId(77), epoch, call: add(2, 5) });
        input.inputs.push(ClientInput { epoch: epoch + 1, ..head(1_000_000, 4) });
    });
    assert_eq!(stale(&mut world) - before, 4);
    assert_eq!(tally(world.server_mut(), "alice"), Tally::default());
    world.tick_with(|input| input.inputs.push(head(1_000_000, 7)));
    assert_eq!(tally(world.server_mut(), "alice").heading, 7, "the last word of the newest message");
    world.tick_with(|input| input.inputs.push(head(999_999, 8)));
    world.tick_with(|input| input.inputs.push(head(1_000_000, 9)));
    assert_eq!(stale(&mut world) - before, 6);
    assert_eq!(tally(world.server_mut(), "alice").heading, 7);
    world.tick_with(|input| input.inputs.extend([head(1_000_003, 10), head(1_000_002, 11)]));
    assert_eq!(tally(world.server_mut(), "alice").heading, 10, "of two in one tick the newer");
}

fn joins(names: impl IntoIterator<Item = u64>) -> Vec<Join> {
    let join = |number: u64| Join {
        hello: number,
        ..Join::anew(
            ConnectionId(number),
            terrane::ids::PlayerId::new(&format!("player {number:03}")).expect("a name"),
        )
    };
    names.into_iter().map(join).collect()
}

fn tick(server: &mut Server, edit: impl FnOnce(&mut TickInput)) -> TickOutput {
    let tick = server.next_tick();
    let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
    edit(&mut input);
    server.tick(input)
}

/// (connection, why) of everybody who was refused.
fn refused(output: &TickOutput) -> Vec<(u64, Refusal)> {
    let refusal = |message: &ToNet| match message {
        ToNet::Refuse { connection, refusal } => Some((connection.0, refusal.clone())),
        _ => None,
    };
    output.messages.iter().filter_map(refusal).collect()
}

/// A bounded number is let in per tick; the rest waits in order, is told so, and is in with the next ticks.
#[test]
fn a_rush_of_players_is_admitted_in_order_at_a_bounded_rate() {
    let mut server = game().build(settings(), None).expect("sound");
    let most = JOINS_PER_TICK_MAX as u64;
    let output = tick(&mut server, |input| input.joins = joins(0..2 * most + 10));
    assert_eq!((output.report.players, output.report.waiting), (most, most + 10));
    let queued: Vec<(u64, u32)> = output
        .messages
        .iter()
        .filter_map(|message| match message {
            ToNet::Control { connection, message: ServerControl::Queued { ahead } } => {
                Some((connection.0, *ahead))
            }
            _ => None,
        })
        .collect();
    let expected: Vec<(u64, u32)> = (most..2 * most + 10).zip(0..).collect();
    assert_eq!(queued, expected);
    // One of those who wait goes, and is not let in after all.
    let report = tick(&mut server, |input| input.leaves = vec![ConnectionId(most)]).report;
    assert_eq!((report.players, report.waiting), (2 * most, 9));
    let report = tick(&mut server, |_| {}).report;
    assert_eq!((report.players, report.waiting, report.entities), (2 * most + 9, 0, 2 * most + 9));
}

/// D2: of two devices that ask to be let in in one tick the one plays that said hello last, whatever their connections are
/// called and whoever of them was heard of first; one that comes back plays only before one that comes in anew.
#[test]
fn of_two_devices_in_one_tick_the_later_one_plays_whatever_their_connections_are_called() {
    let anew = |connection: u64, hello: u64| Join {
        connection: ConnectionId(connection),
        device: DeviceId(connection),
        hello,
        ..joins([1]).remove(0)
    };
    let back = |connection: u64, hello: u64, epoch: u32| Join {
        resume: Some(Resume { epoch, heard: 0 }),
        ..anew(connection, hello)
    };
    for [first, second] in [
        [anew(9, 1), anew(2, 2)],
        [anew(2, 1), anew(9, 2)],
        [back(2, 2, 7), anew(9, 1)],
        [back(9, 2, 7), anew(2, 1)],
        [back(9, 2, 7), back(2, 1, 8)],
        [back(9, 1, 7), back(2, 2, 7)],
    ] {
        for heard in [[&first, &second], [&second, &first]] {
            let mut server = game().build(settings(), None).expect("sound");
            let output = tick(&mut server, |input| input.joins = heard.map(Join::clone).to_vec());
            let expected = [(first.connection.0, Refusal::TakenOver)];
            assert_eq!(refused(&output), expected, "{heard:?}");
            let plays: Vec<_> = server.connections().collect();
            assert_eq!(plays, [(&second.player, second.connection)], "{heard:?}");
        }
    }
}

/// D2: the same of a device that waits to be let in: an older one that says hello meanwhile is refused, and one that is as new,
/// or the very same one again, takes its place. Another player has nothing to do with it.
#[test]
fn who_waits_to_be_let_in_is_pushed_out_by_no_older_device() {
    let most = JOINS_PER_TICK_MAX as u64;
    let resume = |epoch: u32| Some(Resume { epoch, heard: 0 });
    for (number, device, held, holds, refuses, plays) in [
        (1, 3, None, resume(7), Some(901), 900),
        (1, 3, resume(8), resume(7), Some(901), 900),
        (1, 3, resume(7), resume(8), Some(900), 901),
        (1, 3, resume(7), resume(7), Some(900), 901),
        (1, 3, None, None, Some(900), 901),
        (1, 2, None, resume(7), Some(900), 901),
        (1, 2, resume(8), resume(7), Some(900), 901),
        (2, 3, None, resume(7), None, 900),
    ] {
        let mut server = game().build(settings(), None).expect("sound");
        tick(&mut server, |input| input.joins = joins(100..100 + 2 * most));
        let join = |number: u64, connection: u64, device: u64, resume: Option<Resume>| Join {
            connection: ConnectionId(connection),
            device: DeviceId(device),
            hello: connection,
            resume,
            ..joins([number]).remove(0)
        };
        let waits = join(1, 900, 2, held);
        let report = tick(&mut server, |input| input.joins = vec![waits.clone()]).report;
        assert_eq!((report.players, report.waiting), (2 * most, 1), "it waits behind the others");
        let output = tick(&mut server, |input| input.joins = vec![join(number, 901, device, holds)]);
        let case = format!("device {device} of player {number} with {holds:?} after {held:?}");
        let expected: Vec<_> =
            refuses.into_iter().map(|connection| (connection, Refusal::TakenOver)).collect();
        assert_eq!(refused(&output), expected, "{case}");
        let of_player = server.connections().find(|(player, _)| **player == waits.player);
        assert_eq!(of_player.expect("it is in").1, ConnectionId(plays), "{case}");
    }
}

#[test]
fn a_full_world_refuses_newcomers_but_lets_a_player_take_over() {
    let mut server = game().build(WorldSettings { players_max: 3, ..settings() }, None).expect("sound");
    let output = tick(&mut server, |input| input.joins = joins(0..5));
    assert_eq!(refused(&output), [(3, Refusal::Full { players: 3 }), (4, Refusal::Full { players: 3 })]);
    let output = tick(&mut server, |input| {
        input.joins = vec![Join { connection: ConnectionId(9), ..joins([1]).remove(0) }];
    });
    assert_eq!(refused(&output), [(1, Refusal::TakenOver)]);
    assert_eq!((output.report.players, output.report.entities), (3, 3));
}

/// D2: the network leaves it to the tick who is refused: the players of a full world get in from another device, and after
/// their link died before anybody noticed.
#[test]
fn a_full_world_does_not_refuse_its_own_players_over_the_network() {
    let mut world = TestWorld::new(game(), WorldSettings { players_max: 2, ..settings() });
    let [alice, bob] = ["alice", "bob"].map(|name| world.connect(name));
    world.run(6);
    let device = world.connect("alice");
    world.run(6);
    let why = |client: ClientId, world: &TestWorld| world[client].ended().cloned();
    assert_eq!(why(device, &world), None);
    assert!(world[device].welcome().is_some_and(|welcome| !welcome.resumed));
    assert_eq!(why(alice, &world), Some(Ended::Refused(Refusal::TakenOver)), "the first device is told");

    world.cut(bob, 1_000);
    world.run(2);
    world.reconnect(bob);
    world.run(6);
    assert_eq!(why(bob, &world), None);
    assert!(world[bob].welcome().expect("he was in").resumed, "nobody had noticed yet");

    let carol = world.connect("carol");
    let report = world.run(6).report;
    assert_eq!(why(carol, &world), Some(Ended::Refused(Refusal::Full { players: 2 })));
    assert_eq!((report.players, report.entities), (2, 2));
}

/// A connection that came and went between two ticks leaves nobody behind.
#[test]
fn who_comes_and_goes_between_two_ticks_was_never_here() {
    let mut server = game().build(settings(), None).expect("sound");
    let report = tick(&mut server, |input| {
        input.joins = joins(0..3);
        input.leaves = vec![ConnectionId(1)];
    })
    .report;
    assert_eq!((report.players, report.entities), (2, 2));
}

/// A11: a server that drains lets nobody in, tells everybody, and is empty.
#[test]
fn a_draining_server_refuses_everybody_who_is_in_who_waits_and_who_comes() {
    let mut server = game().build(settings(), None).expect("sound");
    let most = JOINS_PER_TICK_MAX as u64;
    tick(&mut server, |input| input.joins = joins(0..most + 5));
    let output = tick(&mut server, |input| {
        input.joins = joins([500, 501]);
        input.draining = true;
    });
    let told: BTreeSet<u64> = refused(&output)
        .into_iter()
        .map(|(connection, why)| {
            assert_eq!(why, Refusal::Draining);
            connection
        })
        .collect();
    assert_eq!(told, (0..most + 5).chain([500, 501]).collect());
    assert_eq!((output.report.players, output.report.waiting, output.report.entities), (0, 0, 0));
}

/// D1: what the game made of a player's role goes on with its session; another token gives another one.
#[test]
fn a_resume_keeps_the_role_that_the_game_gave() {
    let mut world = TestWorld::new(game(), settings());
    let role_of = |world: &TestWorld, name: &str| {
        let player = PlayerId::new(name).expect("a name");
        let sessions = world.server().node().resource::<Sessions>();
        sessions.of_player(&player).expect("in").context.role()
    };
    let set = |world: &mut TestWorld, name: &str, role: Role| {
        let player = PlayerId::new(name).expect("a name");
        let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
        sessions.of_player_mut(&player).expect("in").context.set_role(role);
    };
    let demoted = world.connect_as("bob", Role::Gm);
    let promoted = world.connect("anna");
    world.run(6);
    set(&mut world, "bob", Role::Player);
    set(&mut world, "anna", Role::Gm);
    for client in [demoted, promoted] {
        world.cut(client, 2);
    }
    world.run(2);
    world.reconnect_as(demoted, Role::Gm);
    world.reconnect(promoted);
    world.run(6);
    assert!(world[demoted].welcome().expect("in").resumed && world[promoted].welcome().expect("in").resumed);
    assert_eq!([role_of(&world, "bob"), role_of(&world, "anna")], [Role::Player, Role::Gm]);
    world.cut(promoted, 2);
    world.run(2);
    world.reconnect_as(promoted, Role::Admin);
    world.run(6);
    assert_eq!(role_of(&world, "anna"), Role::Admin);
}
