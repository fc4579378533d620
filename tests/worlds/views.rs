//! What players see, through full encode and decode, against the naive oracle.

use crate::support;

use crate::support::{caravan_world, oracle_views};
use terrane::caravan::{Said, Say, Steer};
use terrane::limits::HEIGHT_M_MAX;
use terrane::net::LoopbackConditions;
use terrane::prelude::*;
use terrane::testing::TestWorld;

/// B9, A10: on a perfect network every client holds exactly what the oracle expects, every tick.
#[test]
fn every_view_equals_the_oracles_on_every_tick() {
    let mut world = caravan_world(WorldSettings { audit_every: Some(1), ..WorldSettings::default() }, 1_500);
    let clients: Vec<_> = (0..12).map(|number| world.connect(&format!("player {number}"))).collect();
    let mut oracles = oracle_views(&world);
    for tick in 0..200u32 {
        for (number, &client) in clients.iter().enumerate() {
            if tick % 25 == 0 {
                let heading = (number as f32 + tick as f32) * 0.7;
                world[client].want(&Steer { heading, speed_m_s: 6.0 }).expect("the game can be steered");
            }
        }
        world.tick();
        oracles.follow(&mut world);
        if tick > 6 {
            oracles.assert_equal(&world, &format!("tick {tick}"));
        }
    }
    let report = world.tick().report;
    assert!(report.audits.fields > 10_000, "{:?}", report.audits);
    assert_eq!(report.audits.failures, 0, "{:?}", report.audits);
    assert_eq!(report.audits.inconclusive, 0, "{:?}", report.audits);
}

/// B9: under loss, delay, jitter, duplication and reordering views converge once movement stops.
#[test]
fn views_converge_after_loss_once_everything_stands_still() {
    let mut world = caravan_world(WorldSettings { audit_every: Some(5), ..WorldSettings::default() }, 1_500);
    let conditions = LoopbackConditions { loss: 0.2, duplicate: 0.05, delay_ticks: 2, jitter_ticks: 3 };
    world.set_conditions(conditions);
    let clients: Vec<_> = (0..8).map(|number| world.connect(&format!("player {number}"))).collect();
    let mut oracles = oracle_views(&world);
    for tick in 0..200u32 {
        for &client in &clients {
            if tick % 20 == 0 {
                let _ = world[client].want(&Steer { heading: tick as f32, speed_m_s: 6.0 });
            }
        }
        world.tick();
        oracles.follow(&mut world);
    }
    for &client in &clients {
        let _ = world[client].want(&Steer { heading: 0.0, speed_m_s: 0.0 });
    }
    support::stop_the_caravans(&mut world);
    for _ in 0..120 {
        world.tick();
        oracles.follow(&mut world);
    }
    oracles.assert_equal(&world, "after everything stood still");
    let report = world.tick().report;
    assert_eq!(report.audits.failures, 0, "{:?}", report.audits);
}

/// C4: one id, one answer; a repeat gets the first one.
#[test]
fn an_action_is_answered_once_and_a_repeat_gets_the_same_answer() {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let alice = world.connect("alice");
    world.run(5);
    let id = world[alice].act(&Say { text: "hello".into() }).expect("sent");
    world.run(4);
    let replies: Vec<_> = world[alice].replies().collect();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].id, id);
    let said: Said = replies[0].read::<Say>().expect("said");
    assert!(said.tick > 0);
    let refused = world[alice].act(&Say { text: "x".repeat(500) }).expect("sent");
    world.run(4);
    let replies: Vec<_> = world[alice].replies().collect();
    assert_eq!(replies[0].id, refused);
    assert!(replies[0].read::<Say>().is_err());
}

/// Something with a record of 150 bytes.
#[derive(Component, Clone, Debug, Default, Replicate)]
struct Sign {
    #[sync(broadcast)]
    text: String,
}

#[derive(Debug)]
struct Signs;

impl Plugin for Signs {
    fn build(&self, app: &mut App) {
        app.replicate::<Sign>();
    }
}

/// A player in the middle of 250 signs.
fn among_signs() -> ServerBuilder {
    let middle = Vec3::new(500.0, 500.0, 0.0);
    let sign = |place| SpawnRequest::new(NetId::WORLD, place, Sign { text: "x".repeat(150) });
    ServerBuilder::default().add_cell_plugins(Signs).avatars(move |_| sign(middle)).populate(move |world| {
        for number in 0..250u16 {
            let turn = Vec2::from_angle(f32::from(number) * 0.1) * f32::from(number) / 8.0;
            world.spawn(sign(middle + turn.extend(0.0)));
        }
    })
}

/// A10: while a first view is filled there are several updates a tick, so that it takes a quarter of the time.
#[test]
fn a_first_view_is_filled_by_several_updates_a_tick() {
    let mut world = TestWorld::new(among_signs(), WorldSettings::default());
    let alice = world.connect("alice");
    let mut updates = Vec::new();
    while !world[alice].is_complete() {
        updates.push(world.tick().report.updates);
        assert!(updates.len() < 30, "a first view comes to its end: {updates:?}");
    }
    let filling: Vec<u64> = updates.into_iter().filter(|&updates| updates > 0).collect();
    let (last, full) = filling.split_last().expect("some");
    assert!(full.len() >= 8 && full.iter().all(|&updates| updates == 4), "{filling:?}");
    assert!(*last <= 4, "{filling:?}");
}

/// B9, A10: a first view of far more than one burst comes to its end on any round trip. With four updates a tick
/// the places of unanswered ones were once given to new ones before any ack could come, for ever.
#[test]
fn a_first_view_ends_however_long_the_round_trip_is() {
    for delay_ticks in [5, 6, 10, 15] {
        let mut world = TestWorld::new(among_signs(), WorldSettings::default());
        world.set_conditions(LoopbackConditions { delay_ticks, ..LoopbackConditions::default() });
        let alice = world.connect("alice");
        world.run(200);
        let after: u64 = (0..50).map(|_| world.tick().report.updates).sum();
        assert_eq!(world[alice].view().entities().count(), 251, "a delay of {delay_ticks} ticks: all of it");
        assert_eq!(after, 0, "a delay of {delay_ticks} ticks: nothing is sent for ever");
    }
}

/// Rises by a quarter of a metre a tick.
fn rise(mut signs: Query<&mut Position, With<Sign>>) {
    signs.iter_mut().for_each(|mut place| place.0.z += 0.25);
}

#[derive(Debug)]
struct Balloons;

impl Plugin for Balloons {
    fn build(&self, app: &mut App) {
        app.replicate::<Sign>().add_systems(Simulate, rise);
    }
}

/// H2, B9: as at its edge, the world ends above and below: who would be born beyond, or rises farther, stands at the
/// end, and is seen there. Far above, the wire's reference points could not follow, and places were told wrong.
#[test]
fn nobody_gets_higher_than_places_can_be_told() {
    for (born_at, up) in [(1_000.0, 1_007.5), (HEIGHT_M_MAX - 5.0, HEIGHT_M_MAX), (200_000.0, HEIGHT_M_MAX)] {
        let at = move |x: f32| SpawnRequest::new(NetId::WORLD, Vec3::new(x, 500.0, born_at), Sign::default());
        let game = ServerBuilder::default().add_cell_plugins(Balloons).avatars(move |_| at(500.0)).populate(
            move |world| {
                world.spawn(at(505.0));
            },
        );
        let mut world =
            TestWorld::new(game, WorldSettings { audit_every: Some(1), ..WorldSettings::default() });
        let alice = world.connect("alice");
        let report = world.run(30).report;
        assert!(report.audits.fields > 0 && report.audits.failures == 0, "{born_at} m: {:?}", report.audits);
        let heights: Vec<f32> =
            world[alice].view().entities().map(|sign| sign.lattice().to_place().z).collect();
        assert_eq!(heights.len(), 2);
        let other = heights.iter().fold(0.0f32, |highest, &height| highest.max(height));
        assert!((other - up).abs() < 0.01, "born at {born_at} m, after 30 ticks at {up} m: {heights:?}");
    }
}
