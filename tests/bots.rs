//! Bots: deterministic, and real enough that every view must equal the oracle's.

mod support;

use std::sync::Arc;

use support::{caravan_world, oracle_views};
use terrane::caravan::bots::{BotBrain, BotMap, BotProfile};
use terrane::prelude::*;
use terrane::testing::{ClientId, TestWorld};

const PROFILES: [BotProfile; 3] = [BotProfile::Walk, BotProfile::Crowd, BotProfile::Border];

struct Played {
    world: TestWorld,
    clients: Vec<ClientId>,
    brains: Vec<BotBrain>,
}

fn place(world: &TestWorld, client: ClientId) -> Vec2 {
    let avatar = world[client].avatar().expect("in");
    world[client].view().get(avatar).expect("everybody sees themselves").lattice().to_place().truncate()
}

/// Lets eight bots play, with the oracle looking at every tick, and `each` too.
fn play(profile: BotProfile, ticks: u64, mut each: impl FnMut(&TestWorld, &[ClientId])) -> Played {
    let settings = WorldSettings { audit_every: Some(5), ..WorldSettings::default() };
    let mut world = caravan_world(settings, 600);
    let map = Arc::new(BotMap::shipped());
    let clients: Vec<_> = (0..8).map(|number| world.connect(&format!("bot {number}"))).collect();
    let mut brains: Vec<_> = (0..8).map(|number| BotBrain::new(profile, map.clone(), 7, number)).collect();
    let mut oracles = oracle_views(&world);
    for tick in 1..=ticks {
        for (brain, &client) in brains.iter_mut().zip(&clients) {
            brain.think(&mut world[client], tick);
        }
        world.tick();
        oracles.follow(&mut world);
        if tick > 6 {
            oracles.assert_equal(&world, &format!("{profile:?}, tick {tick}"));
            each(&world, &clients);
        }
    }
    Played { world, clients, brains }
}

/// A13, B9: whatever bots do, every view equals the oracle's on every tick, audits find nothing, and what bots say
/// is answered.
#[test]
fn views_of_playing_bots_equal_the_oracles() {
    for profile in PROFILES {
        let mut played = play(profile, 300, |_, _| {});
        let report = played.world.tick().report;
        assert_eq!(report.audits.failures, 0, "{profile:?}");
        assert!(report.audits.conclusive > 300, "{profile:?}: {:?}", report.audits);
        for (brain, &client) in played.brains.iter_mut().zip(&played.clients) {
            assert!(brain.legs() > 0 && brain.round_trips().count() >= 2, "{profile:?}");
            assert_eq!(played.world[client].counts().decode_errors, 0);
        }
    }
}

/// C1: what bots do follows from seed, number and tick.
#[test]
fn the_same_bots_do_the_same() {
    for profile in PROFILES {
        let [a, b] = [(); 2].map(|()| play(profile, 150, |_, _| {}).world.tick().report.fingerprint);
        assert_eq!(a, b, "{profile:?}");
    }
}

/// The coach brings a crowd together within seconds, and there it stays.
#[test]
fn a_crowd_gathers_in_the_middle_of_the_map() {
    let played = play(BotProfile::Crowd, 250, |_, _| {});
    for &client in &played.clients {
        let to_middle = place(&played.world, client).distance(Vec2::splat(500.0));
        assert!(to_middle < 40.0, "{to_middle} m from the middle");
    }
    let coaches = played.world.server().next_tick().0;
    assert!(coaches > 250);
}

/// A4: on the border profile bots change cells all the time.
#[test]
fn bots_on_the_border_cross_it_again_and_again() {
    let mut sides: Vec<Vec<(i32, i32)>> = vec![Vec::new(); 8];
    play(BotProfile::Border, 700, |world, clients| {
        for (sides, &client) in sides.iter_mut().zip(clients) {
            let cell = (place(world, client) / 200.0).floor();
            let cell = (cell.x as i32, cell.y as i32);
            if sides.last() != Some(&cell) {
                sides.push(cell);
            }
        }
    });
    let crossings: usize = sides.iter().map(|cells| cells.len() - 1).sum();
    assert!(crossings > 40, "{crossings} crossings");
    assert!(
        sides.iter().any(|cells| cells.iter().collect::<std::collections::BTreeSet<_>>().len() >= 4),
        "somebody goes around a corner"
    );
}

/// Input without end would fill memory: what happens in a view is forgotten now and then.
#[test]
fn bots_in_the_process_play_and_are_counted() {
    use std::time::Duration;
    use terrane::caravan::bots::Bots;
    use terrane::driver::Exchange;
    use terrane::net::{Loopback, LoopbackConditions};
    use terrane::server::TickInput;

    let settings = WorldSettings { npcs: Some(300), audit_every: Some(5), ..WorldSettings::default() };
    let mut server = support::caravan_builder(&settings).build(settings.clone(), None).expect("sound");
    let schema = Arc::new(server.game().schema.clone());
    let network = Loopback::new(schema.hash(), terrane::VERSION, 100, LoopbackConditions::default(), 1);
    let mut bots = Bots::new(&network.port(), &schema, &Arc::new(BotMap::shipped()), 20, 1);
    let mut exchange = Exchange::default();
    exchange.add(Box::new(network));
    for _ in 0..120 {
        bots.send();
        let tick = server.next_tick();
        let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
        exchange.gather(&mut input);
        let mut output = server.tick(input);
        exchange.dispatch(&mut output.messages);
        bots.receive(Duration::from_millis(50));
    }
    let counts = bots.counts();
    assert_eq!((counts.playing, counts.lost, counts.decode_errors, counts.audit_failures), (20, 0, 0, 0));
    assert!(counts.updates > 20 * 100 && counts.audits > 20 * 15, "{counts:?}");
}
