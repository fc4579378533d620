//! What players are told once: who is meant, what each may see of it, and that it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use bevy_ecs::prelude::In;
use bevy_ecs::system::EntityCommands;
use terrane::cell::partition::despawn_now;
use terrane::cell::pool::NodeContext;
use terrane::limits::{
    EVENT_BYTES_MAX, EVENT_BYTES_PER_TICK_MAX, EVENT_BYTES_WAITING_MAX, EVENTS_PER_CELL_MAX,
};
use terrane::net::LoopbackConditions;
use terrane::prelude::*;
use terrane::replication::policy::ComponentRule;
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Barrel {
    #[sync(broadcast)]
    number: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Explosion {
    #[sync(broadcast)]
    tick: u64,
    #[sync(masked = to_tens)]
    strength: u32,
    #[sync(custom = owners_only)]
    damage: u32,
    #[sync(broadcast)]
    by: NetId,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Word {
    #[sync(broadcast)]
    number: u64,
}

fn to_tens(strength: &u32) -> u32 {
    strength / 10 * 10
}

fn owners_only(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

struct Barrels;
impl Plugin for Barrels {
    fn build(&self, app: &mut App) {
        app.replicate::<Barrel>()
            .add_player_event::<Explosion>(Delivery::WithUpdate)
            .add_player_event::<Word>(Delivery::Reliable)
            .add_systems(Simulate, explode);
    }
}

fn explode(context: Res<TickContext>, barrels: Query<(&NetId, &Barrel)>, mut events: PlayerEvents) {
    let tick = context.tick.0;
    for (&net_id, barrel) in &barrels {
        if barrel.number == 1 && tick.is_multiple_of(3) {
            let explosion = Explosion { tick, strength: 47, damage: 9, by: net_id };
            events.send(net_id, Audience::ViewersOf(net_id), explosion);
        }
        if barrel.number == 2 {
            events.send(net_id, Audience::Party(PartyId(5)), Word { number: tick });
            events.send(
                net_id,
                Audience::Player(PlayerId::new("bob").unwrap()),
                Word { number: tick + 1_000_000 },
            );
        }
    }
}

/// Alice and Bob stand beside barrel 1, which is Alice's; Carol is far away beside barrel 2.
fn world(grid: [u32; 2], conditions: LoopbackConditions) -> (TestWorld, [ClientId; 3]) {
    let game = ServerBuilder::default()
        .add_cell_plugins(Barrels)
        .avatars(|request| {
            let x = if request.player.as_str() == "carol" { 900.0 } else { 199.0 };
            SpawnRequest::new(NetId::WORLD, Vec3::new(x, 100.0, 0.0), Barrel::default())
        })
        .populate(|world| {
            let alice = Subject::owned_by(PlayerId::new("alice").unwrap());
            let barrel = (Barrel { number: 1 }, alice);
            world.spawn(SpawnRequest::new(NetId::WORLD, Vec3::new(202.0, 100.0, 0.0), barrel));
            world.spawn(SpawnRequest::new(NetId::WORLD, Vec3::new(905.0, 100.0, 0.0), Barrel { number: 2 }));
        });
    let mut world = TestWorld::new(game, WorldSettings { grid, ..WorldSettings::default() });
    world.set_conditions(conditions);
    let clients = ["alice", "bob", "carol"].map(|name| world.connect(name));
    (world, clients)
}

fn join_party(world: &mut TestWorld, player: &str) {
    let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
    let session = sessions.iter_mut().find(|session| session.player.as_str() == player).expect("it is in");
    session.context.set_party(Some(PartyId(5)));
}

/// What each client was told, as (explosions, words, what they are about).
fn drain(world: &mut TestWorld, client: ClientId, into: &mut (Vec<Explosion>, Vec<u64>, Vec<NetId>)) {
    let schema = world.server().game().schema.clone();
    for event in world[client].events() {
        into.2.push(event.about);
        if let Some(explosion) = event.read::<Explosion>(&schema) {
            into.0.push(explosion.expect("ours"));
        } else {
            into.1.push(event.read::<Word>(&schema).expect("there are two kinds").expect("ours").number);
        }
    }
}

/// B14: by the policies, to whom it concerns, with the update of its tick; the same on every layout.
#[test]
fn an_event_reaches_who_is_meant_as_each_may_see_it() {
    for grid in [[1, 1], [5, 5]] {
        let (mut world, [alice, bob, carol]) = world(grid, LoopbackConditions::default());
        world.run(8);
        join_party(&mut world, "alice");
        let mut told: BTreeMap<&str, (Vec<Explosion>, Vec<u64>, Vec<NetId>)> = BTreeMap::new();
        for (client, name) in [(alice, "alice"), (bob, "bob"), (carol, "carol")] {
            drain(&mut world, client, &mut Default::default());
            told.insert(name, Default::default());
        }
        let first = world.last_tick().0 + 1;
        world.run(30);
        let ticks = first..first + 30;
        for (client, name) in [(alice, "alice"), (bob, "bob"), (carol, "carol")] {
            drain(&mut world, client, told.get_mut(name).expect("inserted above"));
        }
        let barrel = told["alice"].2[0];
        let explosion = |tick, damage| Explosion { tick, strength: 40, damage, by: barrel };
        let of = |damage| {
            ticks.clone().filter(|tick| tick % 3 == 0).map(|tick| explosion(tick, damage)).collect::<Vec<_>>()
        };
        assert_eq!(told["alice"].0, of(9), "the owner sees the damage");
        assert_eq!(told["bob"].0, of(0), "others do not");
        assert_eq!(told["carol"].0, [], "who does not see the barrel hears nothing");
        assert_eq!(told["alice"].1, ticks.clone().collect::<Vec<_>>(), "she is in the party");
        assert_eq!(told["bob"].1, ticks.map(|tick| tick + 1_000_000).collect::<Vec<_>>());
        assert_eq!(told["carol"].1, [] as [u64; 0]);
        assert!(
            told["bob"].2.iter().all(|about| [barrel, NetId::WORLD].contains(about)),
            "nobody learns a name unseen"
        );
        assert!(
            told["bob"].2.contains(&NetId::WORLD),
            "what barrel 2 tells Bob is about nobody that he sees"
        );
    }
}

/// B14: reliable ones all arrive, once and in order, on a bad network; the others at most once.
#[test]
fn reliable_events_survive_a_bad_network() {
    let conditions = LoopbackConditions { loss: 0.2, duplicate: 0.1, delay_ticks: 1, jitter_ticks: 2 };
    let (mut world, [alice, bob, _]) = world([5, 5], conditions);
    for _ in 0..60 {
        world.tick();
        if world[alice].welcome().is_some() && world[bob].welcome().is_some() {
            break;
        }
    }
    join_party(&mut world, "alice");
    let mut told = Default::default();
    for _ in 0..200 {
        world.tick();
        drain(&mut world, alice, &mut told);
    }
    let (explosions, words, _) = told;
    assert!(words.len() > 150, "{} words", words.len());
    assert!(words.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing, none comes twice");
    assert!(explosions.windows(2).all(|pair| pair[0].tick < pair[1].tick), "none comes twice");
    assert!(
        explosions.len() > 30 && explosions.len() < 67,
        "{} came through a loss of a fifth",
        explosions.len()
    );
}

/// For the owner of what it is about alone, unless the subject says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
#[sync(owner)]
struct Loot {
    #[sync(broadcast)]
    tick: u64,
}

/// Who it names everybody may know, or who sees them.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct News {
    #[sync(broadcast, reveal_ids)]
    of: NetId,
    #[sync(broadcast)]
    by: NetId,
    #[sync(broadcast)]
    number: u64,
    #[sync(broadcast)]
    text: String,
}

/// Of whose debtors each hears about those it sees.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Debts {
    #[sync(broadcast, nested)]
    of: BTreeMap<NetId, Word>,
}

/// How often the strength of a [`Shot`] was masked.
static MASKED: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Shot {
    #[sync(masked = counted)]
    strength: u32,
    #[sync(broadcast)]
    by: NetId,
}

fn counted(strength: &u32) -> u32 {
    MASKED.fetch_add(1, Ordering::Relaxed);
    *strength
}

/// A world in which `act` is done in each tick for each barrel of a cell: (tick, its name, its number).
fn world_of(
    grid: [u32; 2],
    act: fn(u64, NetId, u32, &mut PlayerEvents<'_>, &mut EntityCommands<'_>),
) -> (TestWorld, [ClientId; 3]) {
    #[derive(Clone, Copy)]
    struct Acting(fn(u64, NetId, u32, &mut PlayerEvents<'_>, &mut EntityCommands<'_>));
    impl Plugin for Acting {
        fn build(&self, app: &mut App) {
            let act = self.0;
            let system = move |context: Res<TickContext>,
                               barrels: Query<(Entity, &NetId, &Barrel)>,
                               mut events: PlayerEvents,
                               mut commands: Commands| {
                for (entity, &net_id, barrel) in &barrels {
                    act(context.tick.0, net_id, barrel.number, &mut events, &mut commands.entity(entity));
                }
            };
            app.replicate::<Barrel>()
                .add_player_event::<Explosion>(Delivery::WithUpdate)
                .add_player_event::<Word>(Delivery::Reliable)
                .add_player_event::<Loot>(Delivery::Reliable)
                .add_player_event::<News>(Delivery::Reliable)
                .add_player_event::<Debts>(Delivery::WithUpdate)
                .add_player_event::<Shot>(Delivery::WithUpdate)
                .add_systems(Simulate, system);
        }
    }
    let game = ServerBuilder::default()
        .add_cell_plugins(Acting(act))
        .avatars(|request| {
            let x = if request.player.as_str() == "carol" { 900.0 } else { 199.0 };
            SpawnRequest::new(NetId::WORLD, Vec3::new(x, 100.0, 0.0), Barrel::default())
        })
        .populate(|world| {
            let [alice, bob] = ["alice", "bob"].map(|name| PlayerId::new(name).unwrap());
            for (number, x) in [(1, 202.0), (2, 905.0), (3, 204.0)] {
                let mut subject = Subject::owned_by(alice.clone());
                if number == 2 {
                    subject = Subject::default();
                }
                subject.set_hidden_from(bob.clone(), number == 3);
                subject.set_party(Some(PartyId(5)));
                let barrel = (Barrel { number }, subject);
                world.spawn(SpawnRequest::new(NetId::WORLD, Vec3::new(x, 100.0, 0.0), barrel));
            }
        });
    let mut world = TestWorld::new(game, WorldSettings { grid, ..WorldSettings::default() });
    let clients = ["alice", "bob", "carol"].map(|name| world.connect(name));
    (world, clients)
}

/// All events of one type that a client has been told: what each is about, and what it says.
fn told<E: terrane::replication::PlayerEvent>(world: &mut TestWorld, client: ClientId) -> Vec<(NetId, E)> {
    let schema = world.server().game().schema.clone();
    let events = world[client].events();
    let of_type =
        events.into_iter().filter_map(|event| Some((event.about, event.read::<E>(&schema)?.expect("ours"))));
    of_type.collect()
}

fn counter(world: &mut TestWorld, name: &str) -> u64 {
    let report = world.tick().report;
    report.counters.iter().find(|(known, _)| *known == name).expect("it is counted").1
}

fn barrel_called(world: &TestWorld, client: ClientId, number: u32) -> NetId {
    let schema = &world.server().game().schema;
    let entities = world[client].view().entities();
    let mut barrels =
        entities.filter(|entity| entity.component::<Barrel>(schema).is_some_and(|it| it.number == number));
    barrels.next().expect("it is in view").net_id()
}

fn change_subjects(world: &mut TestWorld, change: impl Fn(u32, &mut Subject)) {
    terrane::cell::pool::with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut all = cell.world.query::<(&Barrel, &mut Subject)>();
            all.iter_mut(&mut cell.world)
                .for_each(|(barrel, mut subject)| change(barrel.number, &mut subject));
        }
    });
}

/// B14, B7: the policy of the type decides who of an audience is told at all, and the subject may override it.
#[test]
fn an_event_for_the_owner_is_told_to_the_owner_whoever_is_meant() {
    let (mut world, [alice, bob, carol]) = world_of([5, 5], |tick, net_id, number, events, _| {
        if number == 1 {
            events.send(net_id, Audience::All, Loot { tick });
        }
    });
    world.run(10);
    assert!(told::<Loot>(&mut world, alice).len() > 3, "it is hers");
    assert_eq!(told::<Loot>(&mut world, bob), []);
    assert_eq!(told::<Loot>(&mut world, carol), []);
    join_party(&mut world, "carol");
    change_subjects(&mut world, |_, subject| subject.override_component::<Loot>(Some(ComponentRule::Party)));
    world.run(2);
    for client in [alice, bob, carol] {
        told::<Loot>(&mut world, client);
    }
    world.run(5);
    assert_eq!(told::<Loot>(&mut world, alice), [], "she is not in the party");
    assert_eq!(told::<Loot>(&mut world, bob), []);
    assert_eq!(told::<Loot>(&mut world, carol).len(), 5);
}

/// B14: who sees something explode sees it go, and is told both; by the policies, and by name.
#[test]
fn who_sees_something_die_is_told_what_happens_to_it_in_that_tick() {
    for grid in [[1, 1], [5, 5]] {
        let (mut world, [alice, bob, carol]) = world_of(grid, |tick, net_id, number, events, commands| {
            if tick == 12 && number > 0 {
                let explosion = Explosion { tick, strength: 47, damage: 9, by: net_id };
                events.send(net_id, Audience::ViewersOf(net_id), explosion);
                commands.despawn();
            }
        });
        world.run(11);
        let [near, hidden] = [1, 3].map(|number| barrel_called(&world, alice, number));
        let far = barrel_called(&world, carol, 2);
        world.run(5);
        let of = |by, damage| (by, Explosion { tick: 12, strength: 40, damage, by });
        let mut expected = [of(near, 9), of(hidden, 9)];
        expected.sort_by_key(|(by, _)| *by);
        assert_eq!(told::<Explosion>(&mut world, alice), expected, "the owner sees the damage");
        assert_eq!(told::<Explosion>(&mut world, bob), [of(near, 0)], "the other one is hidden from him");
        assert_eq!(told::<Explosion>(&mut world, carol), [of(far, 0)]);
    }
}

/// B16: who is hidden and dies in one tick is hidden: that it died must not show.
#[test]
fn who_is_hidden_from_somebody_in_the_tick_of_its_death_dies_unseen() {
    let (mut world, [alice, bob, _]) = world_of([5, 5], |tick, net_id, number, events, commands| {
        if tick == 12 && number == 1 {
            let explosion = Explosion { tick, strength: 47, damage: 9, by: net_id };
            events.send(net_id, Audience::ViewersOf(net_id), explosion);
            commands.despawn();
        }
    });
    world.run(11);
    change_subjects(&mut world, |_, subject| {
        subject.set_hidden_from(PlayerId::new("bob").expect("a name"), true);
    });
    world.run(3);
    assert_eq!(told::<Explosion>(&mut world, alice).len(), 1);
    assert_eq!(told::<Explosion>(&mut world, bob), []);
}

/// The same for what a system of the node takes away.
#[test]
fn what_the_node_takes_away_is_seen_to_go() {
    fn take(world: &mut World) {
        if world.resource::<NodeContext>().0.tick != TickNumber(12) {
            return;
        }
        let barrels: Vec<NetId> = terrane::cell::pool::with_cells(world, |_, cells| {
            let mut all = BTreeSet::new();
            for cell in cells.iter_mut() {
                let mut barrels = cell.world.query::<(&NetId, &Barrel)>();
                all.extend(
                    barrels.iter(&cell.world).filter(|(_, it)| it.number == 1).map(|(&net_id, _)| net_id),
                );
            }
            all.into_iter().collect()
        });
        for net_id in barrels {
            despawn_now(world, net_id);
            world.run_system_cached_with(tell, net_id).expect("a system of the node");
        }
    }
    fn tell(In(net_id): In<NetId>, mut events: PlayerEvents) {
        let explosion = Explosion { tick: 12, strength: 47, damage: 9, by: net_id };
        events.send(net_id, Audience::ViewersOf(net_id), explosion);
    }
    fn taking(app: &mut App) {
        app.add_systems(Tick, take.in_set(TickSystems::Settle).ambiguous_with_all());
    }
    let game = ServerBuilder::default()
        .add_cell_plugins(Barrels)
        .add_plugins(taking)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(199.0, 100.0, 0.0), Barrel::default()))
        .populate(|world| {
            let barrel = (Barrel { number: 1 }, Subject::owned_by(PlayerId::new("alice").unwrap()));
            world.spawn(SpawnRequest::new(NetId::WORLD, Vec3::new(202.0, 100.0, 0.0), barrel));
        });
    let mut world = TestWorld::new(game, WorldSettings::default());
    let [alice, bob] = ["alice", "bob"].map(|name| world.connect(name));
    world.run(11);
    let barrel = barrel_called(&world, alice, 1);
    for client in [alice, bob] {
        told::<Explosion>(&mut world, client);
    }
    world.run(3);
    let of = |damage| [(barrel, Explosion { tick: 12, strength: 40, damage, by: barrel })];
    assert_eq!(told::<Explosion>(&mut world, alice), of(9));
    assert_eq!(told::<Explosion>(&mut world, bob), of(0));
}

/// B14, B16: by team and to all; whom it names are told who sees them, unless the field reveals them.
#[test]
fn teams_and_all_are_told_and_names_only_to_who_sees_them() {
    let (mut world, [alice, bob, carol]) = world_of([5, 5], |tick, net_id, number, events, _| {
        if number != 1 || !(12..14).contains(&tick) {
            return;
        }
        let to = if tick == 12 { Audience::Team(TeamId(3)) } else { Audience::All };
        let debts = BTreeMap::from([(net_id, Word { number: tick }), (NetId(77), Word { number: 0 })]);
        events.send(net_id, to.clone(), News { of: net_id, by: net_id, number: tick, text: String::new() });
        events.send(net_id, to, Debts { of: debts });
    });
    world.run(11);
    let barrel = barrel_called(&world, alice, 1);
    let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
    for session in sessions.iter_mut().filter(|session| session.player.as_str() != "bob") {
        session.context.set_team(Some(TeamId(3)));
    }
    world.run(5);
    let schema = world.server().game().schema.clone();
    for (client, sees, in_team) in [(alice, true, true), (bob, true, false), (carol, false, true)] {
        let name = if sees { barrel } else { NetId::WORLD };
        let events: Vec<_> = world[client].events().collect();
        let ticks: Vec<u64> = if in_team { vec![12, 13] } else { vec![13] };
        let news: Vec<_> = events
            .iter()
            .filter_map(|event| Some((event.about, event.read::<News>(&schema)?.expect("ours"))))
            .collect();
        let expected =
            ticks.iter().map(|&number| (name, News { of: barrel, by: name, number, text: String::new() }));
        assert_eq!(news, expected.collect::<Vec<_>>());
        let debts: Vec<_> = events
            .iter()
            .filter_map(|event| event.read::<Debts>(&schema))
            .map(|debts| debts.expect("ours").of)
            .collect();
        let of = |number| if sees { BTreeMap::from([(barrel, Word { number })]) } else { BTreeMap::new() };
        assert_eq!(debts, ticks.iter().map(|&number| of(number)).collect::<Vec<_>>());
    }
}

/// C3: what is too long is told to nobody, and counted once per player who would have been.
#[test]
fn an_event_of_too_many_bytes_is_dropped_and_counted() {
    let (mut world, [alice, ..]) = world_of([1, 1], |tick, net_id, number, events, _| {
        if number == 1 && tick >= 12 {
            // Mask, two names, a number of one byte and the length of the text.
            let head = 1 + 8 + 8 + 1 + 3;
            let fits = EVENT_BYTES_MAX - head;
            let text = "x".repeat(if tick == 12 { fits } else { fits + 1 });
            events.send(net_id, Audience::All, News { of: net_id, by: net_id, number: tick, text });
        }
    });
    world.run(11);
    assert_eq!(counter(&mut world, "events_dropped"), 0);
    assert_eq!(counter(&mut world, "events_dropped"), 3, "once for each of three players");
    assert_eq!(told::<News>(&mut world, alice).len(), 1);
}

/// C3: reliable events wait within a bound, leave by so many bytes a tick, and come in order; the rest is counted.
#[test]
fn reliable_events_wait_within_a_bound() {
    const EACH: usize = 400;
    const SENT: u64 = 100;
    let (mut world, [alice, bob, _]) = world_of([1, 1], |tick, net_id, number, events, _| {
        if number == 1 && tick == 12 {
            let alice = PlayerId::new("alice").unwrap();
            for number in 0..SENT {
                let text = "x".repeat(EACH);
                let news = News { of: net_id, by: net_id, number, text };
                events.send(net_id, Audience::Player(alice.clone()), news);
            }
        }
    });
    world.run(11);
    let dropped = counter(&mut world, "events_dropped");
    let kept = (EVENT_BYTES_WAITING_MAX / (EACH + 21)) as u64;
    assert_eq!(dropped, SENT - kept);
    let mut numbers = Vec::new();
    for _ in 0..kept {
        let news = told::<News>(&mut world, alice);
        let bytes: usize = news.iter().map(|_| EACH + 21).sum();
        assert!(bytes < EVENT_BYTES_PER_TICK_MAX + EACH + 21, "{bytes} in one tick");
        numbers.extend(news.into_iter().map(|(_, news)| news.number));
        world.tick();
    }
    assert_eq!(numbers, (0..kept).collect::<Vec<_>>(), "the first ones, in order");
    assert_eq!(told::<News>(&mut world, bob), []);
}

/// C3: a system that sends without end costs a bounded tick.
#[test]
fn a_cell_sends_so_many_events_in_a_tick_and_no_more() {
    let (mut world, [alice, ..]) = world_of([1, 1], |tick, net_id, number, events, _| {
        if number == 1 && tick == 12 {
            for number in 0..EVENTS_PER_CELL_MAX as u64 + 10 {
                let to = if number == 0 { "alice" } else { "nobody" };
                events.send(net_id, Audience::Player(PlayerId::new(to).unwrap()), Word { number });
            }
        }
    });
    world.run(11);
    assert_eq!(counter(&mut world, "events_refused"), 10);
    world.tick();
    assert_eq!(told::<Word>(&mut world, alice).len(), 1);
}

/// What is the same for all is made once, however many are told.
#[test]
fn an_event_that_is_the_same_for_all_is_encoded_once() {
    let (mut world, [alice, bob, carol]) = world_of([1, 1], |tick, net_id, number, events, _| {
        if number == 1 && tick == 12 {
            events.send(net_id, Audience::All, Shot { strength: 7, by: net_id });
        }
    });
    world.run(14);
    assert_eq!(MASKED.load(Ordering::Relaxed), 1);
    let barrel = barrel_called(&world, alice, 1);
    let shot = |by| [(by, Shot { strength: 7, by })];
    assert_eq!(told::<Shot>(&mut world, alice), shot(barrel));
    assert_eq!(told::<Shot>(&mut world, bob), shot(barrel));
    assert_eq!(
        told::<Shot>(&mut world, carol),
        shot(NetId::WORLD),
        "who does not see it is not told its name"
    );
}
