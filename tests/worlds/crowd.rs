//! A crowd: a thousand players on one spot, where four cells meet, and more around them than anybody can be told at once.
//!
//! The ordinary run takes 150 ticks; `TERRANE_CROWD_TICKS` makes it longer. `TERRANE_CROWD_AUDIT_EVERY=50` has the oracle of the
//! server itself look on, which takes some minutes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use terrane::limits::{PENDING_TICKS_MAX, UPDATE_BYTES_MAX};
use terrane::prelude::*;
use terrane::replication::rule::{Tier, Tiers};
use terrane::server::TickReport;
use terrane::space::LatticePoint;
use terrane::testing::TestWorld;

const VIEWERS: usize = 1_000;
const ENTITIES: u64 = 2_000;
/// Everybody is nearer than this to the spot, so everybody is in range of everybody.
const CROWD_RADIUS_M: f32 = 24.0;
const SPOT: Vec3 = Vec3::new(400.0, 400.0, 0.0);
const BYTES_PER_TICK: u32 = 400;
/// For how many ticks an alarm may wait.
const ALARM_TICKS: u16 = 8;

/// What changes all the time.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Dancer {
    #[sync(broadcast)]
    step: u32,
    #[sync(masked = to_hundreds)]
    purse: u32,
    #[sync(custom = for_its_owner)]
    tired: u32,
    #[sync(server_only)]
    velocity: [f32; 2],
}

/// What is rare, and must not wait.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(priority = 4, max_staleness = 8)]
struct Alarm {
    #[sync(broadcast)]
    level: u32,
}

fn to_hundreds(purse: &u32) -> u32 {
    purse / 100 * 100
}

fn for_its_owner(_: &u32, viewing: &Viewing) -> bool {
    viewing.is_owner()
}

/// When all are in.
const JOINED_AT: u64 = 40;
/// Every how many ticks the server's own oracle audits everybody: it looks at every pair in every tick.
static AUDIT_EVERY: LazyLock<Option<u64>> =
    LazyLock::new(|| std::env::var("TERRANE_CROWD_AUDIT_EVERY").ok().and_then(|every| every.parse().ok()));
/// For how many ticks the crowd moves then.
static TICKS: LazyLock<u64> = LazyLock::new(|| {
    std::env::var("TERRANE_CROWD_TICKS").ok().and_then(|ticks| ticks.parse().ok()).unwrap_or(150)
});

/// Everybody walks about the spot, and something about them changes now and then.
fn dance(
    context: Res<TickContext>,
    mut all: Query<(&NetId, &mut Position, &mut Dancer, Option<&mut Alarm>)>,
) {
    let tick = context.tick.0;
    if tick >= JOINED_AT + *TICKS {
        return;
    }
    for (net_id, mut place, mut dancer, alarm) in &mut all {
        let chance = net_id.0.rotate_left(tick as u32 % 64) ^ tick.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if dancer.velocity == [0.0; 2] || (place.0 - SPOT).length() > CROWD_RADIUS_M {
            let angle = (chance >> 40) as f32;
            // Towards the spot, more or less.
            let home = (SPOT - place.0).normalize_or(Vec3::X) * 0.2;
            let aside = Vec2::from_angle(angle) * 0.05;
            dancer.velocity = [home.x + aside.x, home.y + aside.y];
        }
        place.0 += Vec3::new(dancer.velocity[0], dancer.velocity[1], 0.0);
        if chance.is_multiple_of(7) {
            dancer.step += 1;
            dancer.purse += (chance >> 32) as u32 % 90;
            dancer.tired += 1;
        }
        if let Some(mut alarm) = alarm
            && chance.is_multiple_of(11)
        {
            alarm.level += 1;
        }
    }
}

struct Crowd;
impl Plugin for Crowd {
    fn build(&self, app: &mut App) {
        app.replicate::<Dancer>().replicate::<Alarm>().add_systems(Simulate, dance);
    }
}

/// In rings about the spot, evenly.
fn place(number: u64) -> Vec3 {
    let (angle, share) = (number as f32 * 2.399_963, (number % 3_000) as f32 / 3_000.0);
    SPOT + Vec2::from_angle(angle).extend(0.0) * (CROWD_RADIUS_M * share.sqrt())
}

fn counter(report: &TickReport, name: &str) -> u64 {
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// A10: in a crowd every player is sent no more than its bytes, nothing waits for longer than is allowed, what is urgent for no
/// longer than it may, and once the crowd stands still every player holds exactly what it must.
#[test]
fn in_a_crowd_everybody_gets_their_bytes_nothing_waits_too_long_and_all_is_right_in_the_end() {
    let ticks = *TICKS;
    let game = ServerBuilder::default()
        .add_cell_plugins(Crowd)
        .avatars(|request| {
            let number = request.player.as_str().trim_start_matches('p').parse().expect("a number");
            let subject = Subject::owned_by(request.player.clone());
            SpawnRequest::new(NetId::WORLD, place(number), (Dancer::default(), subject))
        })
        .populate(|world| {
            for number in 0..ENTITIES {
                let alarm = (number % 10 == 0).then(Alarm::default);
                let dancer = Dancer { purse: number as u32, ..Dancer::default() };
                let spawn = place(number * 7 + 3);
                match alarm {
                    Some(alarm) => world.spawn(SpawnRequest::new(NetId::WORLD, spawn, (dancer, alarm))),
                    None => world.spawn(SpawnRequest::new(NetId::WORLD, spawn, dancer)),
                };
            }
        });
    let tier = |beyond_m, every| Tier { beyond_m, every };
    let settings = WorldSettings {
        players_max: VIEWERS as u32,
        client_bytes_per_tick: Some(BYTES_PER_TICK),
        tiers: Tiers::new(&[tier(8.0, 2), tier(16.0, 4)]).expect("they ascend"),
        audit_every: *AUDIT_EVERY,
        check_invariants: false,
        ..WorldSettings::default()
    };
    let views = settings.view_entities_max;
    let mut world = TestWorld::new(game, settings);
    let clients: Vec<_> = (0..VIEWERS).map(|number| world.connect(&format!("p{number}"))).collect();
    world.run(JOINED_AT);
    assert!(world.clients().iter().all(|client| client.avatar().is_some()), "all are in");

    let bytes = |world: &TestWorld| -> Vec<u64> {
        world.clients().iter().map(|client| client.counts().update_bytes).collect()
    };
    let (mut before, mut oldest, mut most_waiting, mut overdue_at_start) = (bytes(&world), 0, 0, None);
    let mut most_bytes = 0;
    for tick in 1..=ticks {
        let report = world.tick().report;
        oldest = oldest.max(report.pending_ticks_max);
        most_waiting = most_waiting.max(report.pending_entities);
        // The first views are all enter records, which come before changes.
        if tick == 60 {
            overdue_at_start = Some(counter(&report, "view_overdue"));
        }
        if tick % 25 == 0 {
            let now = bytes(&world);
            // What was saved up before may come on top, once.
            let allowed = 25 * u64::from(BYTES_PER_TICK) + 4 * UPDATE_BYTES_MAX as u64;
            for (number, (before, now)) in before.iter().zip(&now).enumerate() {
                assert!(now - before <= allowed, "p{number} was sent {} bytes in 25 ticks", now - before);
                most_bytes = most_bytes.max(now - before);
            }
            before = now;
        }
    }
    let report = world.tick().report;
    assert!(most_waiting > VIEWERS as u64, "the crowd is too much for the bytes, or nothing is shown");
    assert!(oldest <= PENDING_TICKS_MAX, "something waited for {oldest} ticks");
    let overdue = counter(&report, "view_overdue") - overdue_at_start.expect("long enough");
    println!(
        "{VIEWERS} viewers, {ENTITIES} entities: at most {most_bytes} bytes in 25 ticks, {most_waiting} changes waiting, \
         the oldest {oldest} ticks, {overdue} alarms later than {ALARM_TICKS} ticks"
    );
    assert_eq!(overdue, 0, "no alarm waits for more than {ALARM_TICKS} ticks");

    // What stops is right within the bound.
    let mut quiet = 0;
    for tick in 1..=u64::from(PENDING_TICKS_MAX) {
        let report = world.tick().report;
        quiet = if report.pending_entities == 0 && report.update_bytes == 0 { quiet + 1 } else { 0 };
        if quiet == 10 && tick > 50 {
            break;
        }
    }
    assert!(quiet >= 10, "everything is told within {PENDING_TICKS_MAX} ticks after the crowd stops");
    let report = world.run(51).report;
    assert_eq!(report.audits.failures, 0, "{:?}", report.audits);
    assert!(AUDIT_EVERY.is_none() || report.audits.conclusive > 2 * VIEWERS as u64, "{:?}", report.audits);

    let mut truth = BTreeMap::new();
    terrane::cell::pool::with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut all =
                cell.world.query_filtered::<(&NetId, &Position, &Dancer, Option<&Alarm>), With<terrane::cell::markers::Owned>>();
            for (&net_id, place, dancer, alarm) in all.iter(&cell.world) {
                truth.insert(net_id, (place.0, dancer.clone(), alarm.cloned()));
            }
        }
    });
    assert_eq!(truth.len(), VIEWERS + ENTITIES as usize);
    for &client in &clients {
        let me = world[client].avatar().expect("in");
        let view = world[client].view();
        assert_eq!(view.entities().count(), views, "every view is full");
        // A view is chosen by distance; who is held counts a tenth nearer than it is.
        let eye = truth[&me].0;
        let distance = |net_id: &NetId| truth[net_id].0.distance(eye);
        let farthest = view.entities().map(|it| distance(&it.net_id())).fold(0.0, f32::max);
        let nearest_out = truth.keys().filter(|net_id| view.get(**net_id).is_none()).map(distance);
        assert!(nearest_out.fold(f32::MAX, f32::min) >= 0.89 * farthest, "{me} sees the nearest");
        for entity in view.entities() {
            let (place, dancer, alarm) = &truth[&entity.net_id()];
            assert_eq!(entity.lattice(), LatticePoint::of(*place), "{me} of {}", entity.net_id());
            let held: Dancer = world.component(client, entity.net_id()).expect("everybody dances");
            let seen = Dancer {
                purse: to_hundreds(&dancer.purse),
                tired: if entity.net_id() == me { dancer.tired } else { 0 },
                velocity: [0.0; 2],
                ..*dancer
            };
            assert_eq!(held, seen, "{me} of {}", entity.net_id());
            assert_eq!(
                world.component::<Alarm>(client, entity.net_id()),
                *alarm,
                "{me} of {}",
                entity.net_id()
            );
        }
    }
}
