//! Ghosts follow their originals, however many change and whatever changes about them.
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;

use terrane::cell::markers::{Ghost, Owned};
use terrane::cell::pool::with_cells;
use terrane::ids::{ConnectionId, PlayerId};
use terrane::prelude::*;
use terrane::server::io::Join;
use terrane::server::{Server, TickInput, TickReport};

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Mood {
    #[sync(broadcast)]
    word: u32,
    #[sync(server_only)]
    secret: u32,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Hat {
    #[sync(broadcast)]
    feathers: u8,
}

/// How many of all do something in a tick: nobody, a few, nearly everybody.
fn share(tick: u64) -> f32 {
    [0.0, 0.03, 0.9, 0.2, 1.0][(tick / 4 % 5) as usize]
}

fn live(
    context: Res<TickContext>,
    mut all: Query<(Entity, &NetId, &mut Position, &mut Mood, Option<&mut Hat>)>,
    mut commands: Commands,
) {
    for (entity, &net_id, mut place, mut mood, hat) in &mut all {
        let mut chance = context.random(net_id, 0);
        if !chance.chance(share(context.tick.0)) {
            continue;
        }
        if chance.chance(0.7) {
            mood.word = chance.bits() as u32;
            mood.secret = 1 + chance.bits() as u32 % 100;
        }
        if chance.chance(0.5) {
            let step = Vec2::from_angle(chance.between(0.0..std::f32::consts::TAU)) * 0.45;
            place.0 = context.world_area.clamp(place.0 + step.extend(0.0));
        }
        match hat {
            Some(_) if chance.chance(0.2) => drop(commands.entity(entity).remove::<Hat>()),
            Some(mut hat) if chance.chance(0.5) => hat.feathers = hat.feathers.wrapping_add(1),
            None if chance.chance(0.2) => drop(commands.entity(entity).insert(Hat { feathers: 1 })),
            _ => {}
        }
    }
}

struct Lives;

impl Plugin for Lives {
    fn build(&self, app: &mut App) {
        app.replicate::<Mood>().replicate::<Hat>().add_systems(Simulate, live);
    }
}

fn server(seed: u64) -> Server {
    let settings = WorldSettings {
        seed,
        area: Area { min: Vec2::ZERO, max: Vec2::new(300.0, 150.0) },
        grid: [2, 1],
        ..WorldSettings::default()
    };
    ServerBuilder::default()
        .add_cell_plugins(Lives)
        .populate(|world| {
            let mut chance = Random::named(world.settings().seed, "lives");
            for _ in 0..150 {
                let place = Vec3::new(
                    if chance.chance(0.5) {
                        chance.between(148.0..152.0)
                    } else {
                        chance.between(80.0..220.0)
                    },
                    chance.between(0.0..150.0),
                    0.0,
                );
                let hat = Hat { feathers: chance.below(9) as u8 };
                let request = if chance.chance(0.5) {
                    SpawnRequest::new(NetId::WORLD, place, (Mood::default(), hat))
                } else {
                    SpawnRequest::new(NetId::WORLD, place, Mood::default())
                };
                world.spawn(request);
            }
        })
        .build(settings, None)
        .expect("the game is sound")
}

fn tick(server: &mut Server) -> TickReport {
    let tick = server.next_tick();
    server.tick(TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() }).report
}

type Seen = (Vec3, Mood, Option<Hat>);

/// What each cell must have as ghosts, and what it has.
fn expected_and_found(server: &mut Server) -> [Vec<BTreeMap<NetId, Seen>>; 2] {
    let margin = server.settings().ghost_margin_m;
    with_cells(server.node_mut(), |_, cells| {
        let mut owned: Vec<(usize, NetId, Seen)> = Vec::new();
        let (mut found, mut areas) = (Vec::new(), Vec::new());
        type All<'a> = (&'a NetId, &'a Position, &'a Mood, Option<&'a Hat>);
        let read = |(&net_id, place, mood, hat): (&NetId, &Position, &Mood, Option<&Hat>)| {
            (net_id, (place.0, mood.clone(), hat.cloned()))
        };
        for (number, cell) in cells.iter_mut().enumerate() {
            areas.push(cell.leaf.area);
            let mut all = cell.world.query_filtered::<All, With<Owned>>();
            owned.extend(all.iter(&cell.world).map(read).map(|(net_id, seen)| (number, net_id, seen)));
            let mut all = cell.world.query_filtered::<All, With<Ghost>>();
            found.push(all.iter(&cell.world).map(read).collect());
        }
        let expected = areas.iter().enumerate().map(|(number, area)| {
            let others = owned.iter().filter(|(owner, ..)| *owner != number);
            let near = others.filter(|(_, _, (place, ..))| area.contains_within(*place, margin));
            near.map(|(_, net_id, (place, mood, hat))| {
                (*net_id, (*place, Mood { secret: 0, ..mood.clone() }, hat.clone()))
            })
            .collect()
        });
        [expected.collect(), found]
    })
}

/// A3, H2: a ghost has what is public of its original, component by component, in the same tick; also where
/// components come and go, whether few or nearly all have changed.
#[test]
fn every_ghost_equals_the_public_part_of_its_original_in_every_tick() {
    let mut all_copied = 0;
    for seed in 1..=4 {
        let mut server = server(seed);
        for _ in 0..120 {
            let report = tick(&mut server);
            all_copied += report.ghost_values_copied;
            let [expected, found] = expected_and_found(&mut server);
            assert_eq!(found, expected, "seed {seed}, tick {}", server.next_tick().0 - 1);
            let ghosts: usize = found.iter().map(BTreeMap::len).sum();
            assert_eq!(report.ghosts, ghosts as u64);
        }
        assert!(tick(&mut server).handovers > 20, "entities cross the border");
    }
    assert!(all_copied > 10_000, "{all_copied} values");
}

/// Walks along x at a constant pace.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Walk {
    #[sync(broadcast)]
    step_m: f32,
}

fn walk(mut walkers: Query<(&mut Position, &Walk)>) {
    for (mut place, walk) in &mut walkers {
        place.0.x += walk.step_m;
    }
}

struct Walks;

impl Plugin for Walks {
    fn build(&self, app: &mut App) {
        app.replicate::<Walk>().add_systems(Simulate, walk);
    }
}

/// A3, A4: cells of 15.4 m with a margin of 15 m: an avatar and somebody coming towards it, both a step outside of
/// their owners' boxes, are within sight of each other though those boxes lie farther apart than the margin.
#[test]
fn who_has_just_left_the_box_of_an_owner_beyond_the_margin_is_seen_all_the_same() {
    for grid in [[1, 1], [13, 13]] {
        let area = Area { min: Vec2::ZERO, max: Vec2::splat(200.0) };
        let settings =
            WorldSettings { area, grid, bucket_m: 8.0, audit_every: Some(1), ..WorldSettings::default() }
                .with_distances(11.9, 12.0, 60.0, 0.0);
        let walker =
            |x: f32, step_m: f32| SpawnRequest::new(NetId::WORLD, Vec3::new(x, 5.0, 0.0), Walk { step_m });
        let mut server = ServerBuilder::default()
            .add_cell_plugins(Walks)
            .avatars(move |_| walker(12.3, 3.0))
            .populate(move |world| {
                world.spawn(walker(33.8, -3.0));
            })
            .build(settings, None)
            .expect("the game is sound");
        for number in 1..=4 {
            let tick = server.next_tick();
            let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
            if number == 1 {
                let player = PlayerId::new("alice").expect("a name");
                input.joins.push(Join::anew(ConnectionId(1), player));
            }
            let audits = server.tick(input).report.audits;
            assert!(
                audits.conclusive == 3 * number && audits.failures == 0,
                "{grid:?}, tick {number}: who is nearer than the enter radius is in view: {audits:?}"
            );
        }
    }
}
