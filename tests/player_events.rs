//! What players are told once: who is meant, what each may see of it, and that it comes.

use std::collections::BTreeMap;

use terrane::net::LoopbackConditions;
use terrane::prelude::*;
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
