//! On the way: marches and caravans outlast a change of the map, what is heavy slows everybody, and who goes far from any node is not
//! safe, however it goes there, nor alone.

use std::collections::BTreeMap;

use crate::support::caravan_world;
use crate::war::with_campaigns;
use terrane::caravan::lore::OriginId;
use terrane::caravan::{
    Band, Buy, Campaign, Caravan, CreateCharacter, Encounter, Good, Halt, JoinParty, March, NodeId, Roads,
    Steer, TakeCoach, WALK_M_S_MAX, Walker, caravan_game,
};
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::prelude::*;
use terrane::testing::{ClientId, TestWorld};

fn own<C: Component + Replicate>(world: &TestWorld, client: ClientId) -> C {
    world.component(client, world[client].avatar().expect("it is in")).expect("it sees itself")
}

fn place(world: &TestWorld, client: ClientId) -> Vec2 {
    let avatar = world[client].avatar().expect("it is in");
    world[client].view().get(avatar).expect("it sees itself").lattice().to_place().truncate()
}

/// The map with its nodes in this order, and without those that are not named.
fn reordered(roads: &Roads, order: &[usize]) -> Roads {
    let now = |node: &NodeId| order.iter().position(|&old| old == usize::from(node.0));
    let nodes = order.iter().map(|&old| {
        let mut node = roads.nodes[old].clone();
        node.neighbours = node.neighbours.iter().filter_map(now).map(|at| NodeId(at as u16)).collect();
        node.neighbours.sort_unstable();
        node
    });
    Roads { nodes: nodes.collect() }
}

fn caravans(world: &mut TestWorld) -> Vec<(Caravan, Vec3)> {
    let mut all = Vec::new();
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut caravans = cell.world.query_filtered::<(&Caravan, &Position), With<Owned>>();
            all.extend(caravans.iter(&cell.world).map(|(caravan, place)| (caravan.clone(), place.0)));
        }
    });
    all
}

/// A10, E10: a world begins again with a map that lacks a node and has two exchanged. A march goes on to the node of the same name or ends
/// where there is none, in memory and in profiles, and caravans go on from the next node there is.
#[test]
fn marches_and_caravans_outlast_another_map() {
    let before = Roads::shipped();
    let (last, settings) =
        (before.nodes.len() - 1, WorldSettings { npcs: Some(60), ..WorldSettings::default() });
    let game = |roads: &Roads| caravan_game(ServerBuilder::default(), roads.clone());
    let mut world = TestWorld::new(game(&before), settings.clone());
    let [anna, bob, carol] = ["anna", "bob", "carol"].map(|name| world.connect(name));
    world.run(20);
    // Anna marches to a node that is exchanged with another, the others to the one that will be gone.
    with_campaigns(&mut world, |_, campaign| campaign.safe_until = u64::MAX);
    let [goal, other] = [7_usize, 2];
    for (client, to) in [(anna, goal), (bob, last), (carol, last)] {
        world[client].act(&March { to: NodeId(to as u16) }).expect("sent");
    }
    world.run(60);
    world[carol].leave();
    world.run(40);
    let image = world.image();
    let players = world.players().clone();
    drop(world);

    let mut order: Vec<usize> = (0..last).collect();
    order.swap(goal, other);
    let after = reordered(&before, &order);
    let mut world = TestWorld::restart(game(&after), settings, Some(&image), players);
    let [anna, bob, carol] = ["anna", "bob", "carol"].map(|name| world.connect(name));
    world.run(20);
    let (marching, stopped): (Campaign, Campaign) = (own(&world, anna), own(&world, bob));
    assert_eq!(marching.to, Some(NodeId(other as u16)), "the same place under another number");
    assert_eq!(
        (stopped.to, own::<Walker>(&world, bob).speed_m_s),
        (None, 0.0),
        "there is no such place any more"
    );
    assert_eq!((own::<Campaign>(&world, carol).to, own::<Walker>(&world, carol).speed_m_s), (None, 0.0));
    world.run(5_000);
    assert_eq!(own::<Campaign>(&world, anna).to, None, "she has arrived");
    assert!(
        place(&world, anna).distance(before.nodes[goal].place.truncate()) < 1.0,
        "{}",
        place(&world, anna)
    );
    let caravans = caravans(&mut world);
    assert_eq!(caravans.len(), 60);
    for (caravan, place) in &caravans {
        let named = caravan.route.iter().copied().chain([NodeId(caravan.destination)]);
        assert!(named.clone().all(|node| usize::from(node.0) < after.nodes.len()), "{caravan:?}");
        // Whoever is on its way there is on a road that leads there.
        let goal = after.node(NodeId(caravan.destination));
        let off_road_m = |from: &NodeId| {
            let (from, to) = (after.node(*from).place, goal.place);
            let along = ((*place - from).dot(to - from) / (to - from).length_squared()).clamp(0.0, 1.0);
            place.distance(from.lerp(to, along))
        };
        let least_m = goal.neighbours.iter().map(off_road_m).fold(f32::MAX, f32::min);
        assert!(least_m < 1.0, "{least_m} m off the roads: {caravan:?} at {place}");
    }
}

/// E10: who steers by hand far from any node is attacked as well, and nobody is near a node.
#[test]
fn who_walks_far_from_any_node_is_attacked_and_near_one_nobody_is() {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let [near, far] = ["near", "far"].map(|name| world.connect(name));
    world.run(20);
    let mut attacked = 0;
    for turn in 0..300_u32 {
        // To and fro at a node, and from one side of the world to the other.
        let heading =
            |turns: u32| if (turn / turns).is_multiple_of(2) { 0.7 } else { 0.7 + std::f32::consts::PI };
        world[near].want(&Steer { heading: heading(1), speed_m_s: 1.0 }).expect("sent");
        world[far].want(&Steer { heading: heading(10), speed_m_s: WALK_M_S_MAX }).expect("sent");
        world.run(20);
        assert!(!own::<Campaign>(&world, near).is_fighting(), "she is at a node");
        attacked += u32::from(own::<Campaign>(&world, far).is_fighting());
    }
    assert!(attacked > 0, "somebody lies in wait sooner or later");
}

/// Where it is furthest to the next node and to the coach.
fn lonely() -> Vec2 {
    let (roads, coach) = (Roads::shipped(), Vec2::splat(500.0));
    let alone_m = |place: &Vec2| {
        let nodes = roads.nodes.iter().map(|node| node.place.truncate().distance(*place));
        nodes.fold(coach.distance(*place), f32::min)
    };
    let places = (5..45).flat_map(|x| (5..45).map(move |y| Vec2::new(x as f32, y as f32) * 20.0));
    let place = places.max_by(|a, b| alone_m(a).total_cmp(&alone_m(b))).expect("there are some");
    assert!(alone_m(&place) > 60.0, "{place}");
    place
}

/// E10: bands attack by the metre: in the same time, whoever goes much more slowly is attacked much more rarely.
#[test]
fn who_goes_slowly_is_attacked_no_oftener_for_it() {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let clients: Vec<ClientId> = (0..30).map(|number| world.connect(&format!("walker {number}"))).collect();
    world.run(20);
    with_campaigns(&mut world, |_, campaign| campaign.coach_to = Some(lonely()));
    let mut attacked = BTreeMap::<String, bool>::new();
    for turn in 0..15_u32 {
        let heading = if turn.is_multiple_of(2) { 0.0 } else { std::f32::consts::PI };
        for (number, &client) in clients.iter().enumerate() {
            let speed_m_s = if number < 15 { WALK_M_S_MAX } else { WALK_M_S_MAX / 30.0 };
            world[client].want(&Steer { heading, speed_m_s }).expect("sent");
        }
        world.run(20);
        with_campaigns(&mut world, |name, campaign| {
            *attacked.entry(name.to_owned()).or_default() |= campaign.is_fighting();
        });
    }
    let of = |numbers: std::ops::Range<usize>| {
        numbers.filter(|number| attacked[&format!("walker {number}")]).count()
    };
    let (fast, slow) = (of(0..15), of(15..30));
    assert!(fast >= 5 && slow * 2 < fast, "{slow} and {fast} of fifteen");
}

/// E10: of two who stay together far from any node each meets the other once, and not again so soon; fellows of a party take no notice.
#[test]
fn who_stays_together_meets_once_and_fellows_do_not_meet() {
    for party in [None, Some(PartyId(9))] {
        let mut all = 0;
        // Some are attacked before they meet.
        for names in [["anna", "bob"], ["carol", "dora"], ["emil", "frida"]] {
            let mut world = caravan_world(WorldSettings::default(), 0);
            let both = names.map(|name| world.connect(name));
            world.run(20);
            for client in both {
                world[client].act(&JoinParty { party }).expect("sent");
            }
            with_campaigns(&mut world, |_, campaign| campaign.coach_to = Some(lonely()));
            world.run(10);
            let schema = world[both[0]].schema().clone();
            let mut met = [0, 0];
            for turn in 0..30_u32 {
                let heading = if turn.is_multiple_of(2) { 0.0 } else { std::f32::consts::PI };
                for client in both {
                    world[client].want(&Steer { heading, speed_m_s: 1.0 }).expect("sent");
                }
                world.run(20);
                for (met, client) in met.iter_mut().zip(both) {
                    let told =
                        world[client].events().filter_map(|event| event.read::<Encounter>(&schema)?.ok());
                    *met += told.count();
                }
            }
            assert!(met.iter().all(|times| *times <= 1), "{names:?}: {met:?}");
            all += met[0] + met[1];
        }
        assert!(if party.is_none() { all > 2 } else { all == 0 }, "{party:?}: {all}");
    }
}

/// E10: what is too heavy slows who steers by hand, as it slows a march.
#[test]
fn what_is_too_heavy_slows_who_steers_by_hand() {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let anna = world.connect("anna");
    world.run(20);
    let walks = |world: &mut TestWorld| {
        let steer = Steer { heading: 0.0, speed_m_s: WALK_M_S_MAX };
        world[anna].want(&steer).expect("sent");
        world.run(6);
        let fast = own::<Walker>(world, anna).speed_m_s;
        world[anna].want(&Steer { speed_m_s: 0.0, ..steer }).expect("sent");
        world.run(6);
        fast
    };
    assert_eq!(walks(&mut world), WALK_M_S_MAX);
    for good in Good::ALL {
        for _ in 0..4 {
            world[anna].act(&Buy { good, loads: 2, at_most: u32::MAX }).expect("sent");
            world.run(12);
        }
    }
    let slow = walks(&mut world);
    assert!((WALK_M_S_MAX / 2.0..WALK_M_S_MAX).contains(&slow), "{slow}");
}

/// E10: a march that is broken off, by word or by the coach, ends where one is; who walks by itself afterwards is not stopped.
#[test]
fn who_breaks_off_a_march_stands() {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let anna = world.connect("anna");
    world.run(20);
    for round in 0..2 {
        world[anna].act(&March { to: NodeId(16) }).expect("sent");
        world.run(20);
        assert!(own::<Walker>(&world, anna).speed_m_s > 0.0, "she marches");
        if round == 0 {
            world[anna].act(&Halt).expect("sent");
        } else {
            world[anna].act(&TakeCoach).expect("sent");
        }
        world.run(10);
        assert_eq!((own::<Campaign>(&world, anna).to, own::<Walker>(&world, anna).speed_m_s), (None, 0.0));
        world[anna].want(&Steer { heading: 1.0, speed_m_s: 2.0 }).expect("sent");
        world.run(6);
        assert_eq!(own::<Walker>(&world, anna).speed_m_s, 2.0);
        // What one steers holds until one steers otherwise.
        world[anna].want(&Steer { heading: 1.0, speed_m_s: 0.0 }).expect("sent");
        world.run(6);
    }
}

/// Whom everybody met, and whether they fought, in which tick; what was settled, by player; and who came of it with how much renown.
type Met = (Vec<(u64, usize, Encounter)>, Vec<Vec<String>>, Vec<Vec<String>>);

/// Those who travel together.
const FELLOWS: [usize; 2] = [9, 10];

fn travel(grid: [u32; 2], threads: usize) -> Met {
    const TRAVELLERS: usize = 12;
    let settings = WorldSettings { grid, threads, check_invariants: true, ..WorldSettings::default() };
    let mut world = caravan_world(settings, 40);
    let names: Vec<String> = (0..TRAVELLERS).map(|number| format!("traveller {number}")).collect();
    let clients: Vec<ClientId> = names.iter().map(|name| world.connect(name)).collect();
    world.run(20);
    for (number, &client) in clients.iter().enumerate() {
        let origin = ["soldier", "runner", "trader"][number % 3];
        let origin = OriginId::new(origin).expect("a name");
        world[client].act(&CreateCharacter { origin, skills: Vec::new() }).expect("sent");
        // Two whose sides are at odds are of one party.
        let party = FELLOWS.contains(&number).then_some(PartyId(9));
        world[client].act(&JoinParty { party }).expect("sent");
    }
    world.run(20);
    let schema = world[clients[0]].schema().clone();
    let mut met = Vec::new();
    for tick in 0..4_000_u64 {
        // To and fro over the middle of the map, everybody on the same roads.
        for (number, &client) in clients.iter().enumerate() {
            if (tick + number as u64 * 7).is_multiple_of(50) && own::<Campaign>(&world, client).to.is_none() {
                let to = if (tick / 700 + number as u64).is_multiple_of(2) { 7 } else { 13 };
                world[client].act(&March { to: NodeId(to) }).expect("sent");
            }
        }
        world.tick();
        for (number, &client) in clients.iter().enumerate() {
            let told: Vec<_> = world[client].events().collect();
            let told = told.iter().filter_map(|event| event.read::<Encounter>(&schema)?.ok());
            met.extend(told.map(|encounter| (tick, number, encounter)));
        }
    }
    world.run(300);
    let bank = world.players().bank();
    let unequal = "SELECT asset.name FROM holding JOIN asset ON asset.id = holding.asset
                   GROUP BY asset.id HAVING sum(holding.amount) <> 0";
    assert_eq!(bank.query(unequal), Vec::<Vec<String>>::new());
    assert_eq!(bank.conservation(), Vec::<String>::new());
    let battles = "SELECT player, begun, band, ended, result, rounds, fallen FROM game_caravan_battle ORDER BY begun, player";
    let renown = "SELECT account.name, asset.name, holding.amount FROM holding
                  JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
                  WHERE account.kind = 'player' AND holding.amount <> 0 ORDER BY account.name, asset.name";
    (met, bank.query(battles), bank.query(renown))
}

/// E10, C5: players who come near each other on the roads meet; those whose sides are at odds fight, and fellows of a party do not even
/// take notice. Whom one meets is the same on every layout and number of threads, and so is what comes of it.
#[test]
fn players_who_meet_on_the_roads_fight_if_their_sides_are_at_odds_on_every_layout() {
    let one = travel([1, 1], 1);
    let (met, battles, _) = &one;
    let side = |number: usize| ["wardens", "smugglers", "guilds"][number % 3];
    let number_of = |name: &str| name.trim_start_matches("traveller ").parse::<usize>().expect("one of them");
    let (mut hostile, mut both) = (0, BTreeMap::<(usize, usize), u32>::new());
    for (_, number, Encounter { with, is_hostile }) in met {
        let other = number_of(with);
        let is_odd =
            [side(*number), side(other)].iter().all(|side| *side != "guilds") && side(*number) != side(other);
        assert_eq!(*is_hostile, is_odd, "{number} {other}");
        assert!(![*number, other].iter().all(|one| FELLOWS.contains(one)), "fellows do not meet");
        hostile += usize::from(*is_hostile);
        *both.entry((*number.min(&other), *number.max(&other))).or_default() += 1;
    }
    assert!(hostile >= 4 && met.len() >= hostile + 4, "{met:?}");
    let answered = both.values().filter(|times| times.is_multiple_of(2)).count();
    assert!(
        answered * 10 >= both.len() * 8,
        "whoever is met meets the other, but for those who were attacked: {both:?}"
    );
    // Who has met somebody takes notice of nobody for a minute, and who comes out of a battle is left alone for a while.
    let mut last = BTreeMap::<usize, u64>::new();
    for (tick, number, _) in met {
        let before = last.insert(*number, *tick);
        assert!(before.is_none_or(|before| tick - before >= 1_150), "{number} in {before:?} and {tick}");
    }
    let tick = |text: &str| text.parse::<u64>().ok();
    let mut over = BTreeMap::<&str, u64>::new();
    for row in battles {
        let (player, begun) = (row[0].as_str(), tick(&row[1]).expect("a number"));
        assert!(over.get(player).is_none_or(|over| begun >= over + 400), "{player} in {begun}: {over:?}");
        over.extend(tick(&row[3]).map(|ended| (player, ended)));
    }
    let rivals = battles.iter().filter(|row| row[2] == Band::Rivals.name()).count();
    assert_eq!(rivals, hostile, "each of them has its own battle");
    for (grid, threads) in [([2, 2], 2), ([5, 5], 2)] {
        assert_eq!(travel(grid, threads), one, "{grid:?}");
    }
}
