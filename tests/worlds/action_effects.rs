//! What handlers of actions tell players and change of them: everybody concerned holds it next tick, nobody else hears,
//! and a refusal leaves nothing behind.

use terrane::prelude::*;
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

/// A person, whose plans only the own party knows.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Person {
    #[sync(broadcast)]
    calls: u32,
    #[sync(custom = own_party)]
    plans: u32,
}

fn own_party(viewing: &Viewing) -> bool {
    viewing.same_party()
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Cry {
    #[sync(broadcast)]
    number: u32,
}

/// To whom a call goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum To {
    Viewers,
    Player(PlayerId),
    Party(u64),
    Team(u32),
    All,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Call {
    number: u32,
    to: To,
    /// Tell, and then refuse.
    then_refuse: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Join {
    party: u64,
    then_refuse: bool,
}

fn call(action: &Call, context: &mut GlobalContext<'_>) -> Result<(), String> {
    let to = match action.to.clone() {
        To::Viewers => Audience::ViewersOf(context.actor),
        To::Player(player) => Audience::Player(player),
        To::Party(party) => Audience::Party(PartyId(party)),
        To::Team(team) => Audience::Team(TeamId(team)),
        To::All => Audience::All,
    };
    context.tell(context.actor, to, Cry { number: action.number });
    context.get_mut::<Person>(context.actor).ok_or("nobody")?.calls += 1;
    if action.then_refuse {
        return Err("thought better of it".into());
    }
    Ok(())
}

fn join(
    action: &Join,
    _: &mut Group<'_, Person>,
    context: &mut GroupContext<'_>,
) -> Result<(), PartyRefusal> {
    context.enter(PartyId(action.party))?;
    if action.then_refuse { Err(PartyRefusal::Full) } else { Ok(()) }
}

struct People;
impl Plugin for People {
    fn build(&self, app: &mut App) {
        app.replicate::<Person>()
            .add_player_event::<Cry>(Delivery::Reliable)
            .add_global_action::<Call>(call)
            .add_group_action::<Join, Person>(join)
            .add_plugins(Talkers);
    }
}

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Alice and Bob see each other over a border of cells; Carol and Dave are far from them and from each other.
fn world(grid: [u32; 2]) -> (TestWorld, [ClientId; 4]) {
    let game = ServerBuilder::default().add_cell_plugins(People).avatars(|request| {
        let x = match request.player.as_str() {
            "alice" => 199.0,
            "bob" => 202.0,
            "carol" => 600.0,
            _ => 900.0,
        };
        let plans = request.player.as_str().len() as u32;
        let person = (Person { calls: 0, plans }, Subject::owned_by(request.player.clone()));
        SpawnRequest::new(NetId::WORLD, Vec3::new(x, 100.0, 0.0), person)
    });
    let mut world = TestWorld::new(game, WorldSettings { grid, ..WorldSettings::default() });
    let clients = NAMES.map(|name| world.connect_as(name, Role::Gm));
    world.run(8);
    (world, clients)
}

fn heard(world: &mut TestWorld, clients: [ClientId; 4]) -> [Vec<u32>; 4] {
    let schema = world.server().game().schema.clone();
    clients.map(|client| {
        let events: Vec<_> = world[client].events().collect();
        events
            .iter()
            .map(|event| event.read::<Cry>(&schema).expect("one kind").expect("ours").number)
            .collect()
    })
}

fn set_team(world: &mut TestWorld, player: &str, team: u32) {
    let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
    let session = sessions.iter_mut().find(|session| session.player.as_str() == player).expect("it is in");
    session.context.set_team(Some(TeamId(team)));
}

/// B14: what a handler says is heard in the very next update by whom it is for, across borders and the map, and by
/// nobody else; what it says before it refuses is not said.
#[test]
fn what_a_handler_says_is_heard_by_whom_it_is_for_and_nobody_else() {
    for grid in [[1, 1], [5, 5]] {
        let (mut world, clients) = world(grid);
        let [alice, _, carol, dave] = clients;
        for (client, party) in [(alice, 7), (dave, 7), (carol, 8)] {
            world[client].act(&Join { party, then_refuse: false }).expect("sent");
        }
        set_team(&mut world, "carol", 3);
        world.run(3);
        world[alice].replies().for_each(drop);
        let bob = PlayerId::new("bob").expect("a name");
        for (number, to, expected) in [
            // Dave sees his party wherever it is.
            (1, To::Viewers, [true, true, false, true]),
            (2, To::Player(bob), [false, true, false, false]),
            (3, To::Party(7), [true, false, false, true]),
            (4, To::Team(3), [false, false, true, false]),
            (5, To::All, [true; 4]),
            (6, To::Party(99), [false; 4]),
        ] {
            let refused = Call { number: number + 100, to: to.clone(), then_refuse: true };
            world[alice].act(&refused).expect("sent");
            world[alice].act(&Call { number, to: to.clone(), then_refuse: false }).expect("sent");
            world.tick();
            let expected = expected.map(|hears| if hears { vec![number] } else { Vec::new() });
            assert_eq!(heard(&mut world, clients), expected, "{to:?}, {grid:?}");
            let results: Vec<bool> = world[alice].replies().map(|reply| reply.result.is_ok()).collect();
            world.run(2);
            assert_eq!(results, [false, true], "{to:?}");
            assert_eq!(heard(&mut world, clients), [const { Vec::<u32>::new() }; 4], "once");
        }
    }
}

fn plans(world: &TestWorld, viewer: ClientId, of: ClientId) -> Option<u32> {
    let avatar = world[of].avatar().expect("in");
    world.component::<Person>(viewer, avatar).map(|person| person.plans)
}

/// B7: who joins a party by an action sees at the next tick what it sees, wherever its members are, and is seen so by
/// them; others see what they saw, and a refused action changes nobody's party.
#[test]
fn who_joins_a_party_sees_what_it_sees_at_the_next_tick() {
    for grid in [[1, 1], [5, 5]] {
        let (mut world, [alice, bob, carol, dave]) = world(grid);
        world[alice].act(&Join { party: 7, then_refuse: false }).expect("sent");
        world.run(3);
        world[bob].act(&Join { party: 7, then_refuse: true }).expect("sent");
        world[dave].act(&Join { party: 7, then_refuse: true }).expect("sent");
        world.run(3);
        assert_eq!(plans(&world, bob, alice), Some(0), "a refused action changes nothing");
        assert_eq!(plans(&world, dave, alice), None);

        world[bob].act(&Join { party: 7, then_refuse: false }).expect("sent");
        world[dave].act(&Join { party: 7, then_refuse: false }).expect("sent");
        world.run(2);
        for viewer in [alice, bob, dave] {
            for (of, expected) in [(alice, 5), (bob, 3), (dave, 4)] {
                assert_eq!(plans(&world, viewer, of), Some(expected), "{grid:?}");
            }
            assert_eq!(plans(&world, viewer, carol), None, "she is in no party, and far away");
        }
        assert_eq!(plans(&world, carol, carol), Some(0), "nobody's party is not her own");
        for of in [alice, bob, dave] {
            assert_eq!(plans(&world, carol, of), None, "nothing has changed for her");
        }
    }
}

/// C1: what handlers ask for is done in the order of those who ask: the same on every layout and number of threads.
#[test]
fn what_handlers_ask_for_is_the_same_on_every_layout() {
    let outcomes: Vec<_> = [([1, 1], 1), ([5, 5], 1), ([5, 5], 4), ([3, 7], 2)]
        .into_iter()
        .map(|(grid, threads)| {
            let settings = WorldSettings { grid, threads, ..WorldSettings::default() };
            let game = ServerBuilder::default().add_cell_plugins(Rivals).avatars(|request| {
                let x = 100.0 * request.player.as_str().len() as f32;
                SpawnRequest::new(NetId::WORLD, Vec3::new(x, 100.0, 0.0), Person::default())
            });
            let mut world = TestWorld::new(game, settings);
            let clients: Vec<_> =
                ["b", "ba", "baa", "baaa", "baaaaaa"].map(|name| world.connect_as(name, Role::Gm)).into();
            world.run(6);
            for &client in &clients {
                world[client].act(&Claim).expect("sent");
            }
            world.run(3);
            let sessions = world.server_mut().node_mut().resource::<Sessions>();
            let all = sessions.iter().map(|session| (session.player.to_string(), session.context.party()));
            all.collect::<std::collections::BTreeMap<_, _>>()
        })
        .collect();
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:#?}");
    assert!(outcomes[0]["b"].is_some(), "somebody put b into a party");
}

/// Puts player `b` into the caller's own party: the last to ask decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Claim;

struct Rivals;
impl Plugin for Rivals {
    fn build(&self, app: &mut App) {
        app.replicate::<Person>().add_global_action::<Claim>(|_, context| {
            let party = PartyId(context.player.as_str().len() as u64);
            let b = PlayerId::new("b").expect("a name");
            context.change_viewer(b, move |viewer| viewer.set_party(Some(party)));
            Ok(())
        });
    }
}

/// Does, tells and asks for all that its scope lets it, and then refuses or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Murmur {
    number: u32,
    then_refuse: bool,
}

/// The same with the party.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Confide {
    number: u32,
    then_refuse: bool,
}

/// The same with everybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Proclaim {
    number: u32,
    then_refuse: bool,
}

#[derive(Resource, Clone, Default)]
struct Proclaimed(u32);

/// Depends on everything that came before, and on its order.
fn mix(count: &mut u32, number: u32) {
    *count = count.wrapping_mul(31).wrapping_add(number);
}

fn at_last(then_refuse: bool) -> Result<(), String> {
    if then_refuse { Err("thought better of it".into()) } else { Ok(()) }
}

struct Talkers;
impl Plugin for Talkers {
    fn build(&self, app: &mut App) {
        app.add_own_action::<Murmur, Person>(|&Murmur { number, then_refuse }, person, context| {
            mix(&mut person.calls, number);
            context.tell_viewers(Cry { number });
            context.tell_caller(Cry { number: number + 1_000 });
            context.change_own_viewer(move |viewer| viewer.set_team(Some(TeamId(number))));
            at_last(then_refuse)
        })
        .add_group_action::<Confide, Person>(|&Confide { number, then_refuse }, group, context| {
            let players: Vec<PlayerId> = group.players().cloned().collect();
            for player in &players {
                mix(&mut group.get_mut(player).ok_or("nobody")?.calls, number);
            }
            mix(&mut group.caller_mut().calls, number);
            context.tell_group(Cry { number });
            context.tell_caller(Cry { number: number + 1_000 });
            let members = if context.party().is_some() { players } else { Vec::new() };
            for player in &members {
                let cry = Cry { number: number + 2_000 };
                context.tell_member(player, cry).map_err(|refusal| refusal.to_string())?;
            }
            at_last(then_refuse)
        })
        .add_global_action::<Proclaim>(|&Proclaim { number, then_refuse }, context| {
            let players: Vec<PlayerId> = context.players().cloned().collect();
            for player in players {
                let avatar = context.avatar(&player).ok_or("nobody")?;
                mix(&mut context.get_mut::<Person>(avatar).ok_or("nobody")?.calls, number);
                context.change_viewer(player, move |viewer| viewer.set_team(Some(TeamId(number))));
            }
            mix(&mut context.get_mut::<Person>(context.actor).ok_or("nobody")?.calls, number);
            for _ in 0..2 {
                mix(&mut context.resource_mut::<Proclaimed>().ok_or("it was inserted")?.0, number);
            }
            context.tell(context.actor, Audience::All, Cry { number });
            at_last(then_refuse)
        });
    }
}

/// C3: of what a handler does, tells and asks for before it refuses nothing is left, and of what others do before it, after it
/// and elsewhere in the same tick everything: a world in which nobody asks for what is refused becomes the same.
#[test]
fn a_refusal_leaves_nothing_behind_and_takes_nothing_else_away() {
    for grid in [[1, 1], [5, 5]] {
        let [with, without] = [true, false].map(|asks_in_vain| {
            let (mut world, clients) = world(grid);
            world.server_mut().node_mut().init_resource::<Proclaimed>();
            for client in [clients[0], clients[3]] {
                world[client].act(&Join { party: 7, then_refuse: false }).expect("sent");
            }
            world.run(3);
            clients.iter().for_each(|&client| world[client].replies().for_each(drop));
            let mut chance = Random::named(3, "refusals");
            let (mut history, mut results) = (Vec::new(), [0; 2]);
            for number in 0..600 {
                let client = clients[chance.below(clients.len())];
                let (scope, then_refuse) = (chance.below(3), chance.chance(0.5));
                if asks_in_vain || !then_refuse {
                    match scope {
                        0 => world[client].act(&Murmur { number, then_refuse }),
                        1 => world[client].act(&Confide { number, then_refuse }),
                        _ => world[client].act(&Proclaim { number, then_refuse }),
                    }
                    .expect("sent");
                }
                // Some six in a tick.
                if chance.chance(0.16) {
                    world.tick();
                    let sessions = world.server().node().resource::<Sessions>();
                    let teams: Vec<_> = sessions.iter().map(|session| session.context.team()).collect();
                    history.push((heard(&mut world, clients), teams));
                }
            }
            world.run(5);
            for client in clients {
                world[client].replies().for_each(|reply| results[usize::from(reply.result.is_ok())] += 1);
            }
            let calls = clients.map(|client| {
                let avatar = world[client].avatar().expect("in");
                world.component::<Person>(client, avatar).expect("it sees itself").calls
            });
            let proclaimed = world.server().node().resource::<Proclaimed>().0;
            (history, calls, proclaimed, results)
        });
        for (with, without) in with.0.iter().zip(&without.0) {
            assert_eq!(with, without, "what is told, and what is known of viewers, {grid:?}");
        }
        assert_eq!((with.1, with.2), (without.1, without.2), "what is changed, {grid:?}");
        assert!(with.3[0] > 200 && without.3 == [0, with.3[1]], "{:?} {:?}", with.3, without.3);
        let cries = without.0.iter().flat_map(|(heard, _)| heard).flatten().count();
        assert!(cries > 1_000, "{cries} heard");
    }
}
