//! Random histories of a game made to hurt: the same on every layout, nothing lost, nothing doubled.
//!
//! The ordinary run takes a few seeds. `TERRANE_HISTORIES=200` runs that many, `TERRANE_HISTORY_TICKS=2000` makes
//! each that long.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::ants::{self, Ants, Log};
use crate::support::ants_checks;
use crate::support::ants_worlds;
use crate::support::oracle_views;
use terrane::ids::{ConnectionId, NetId, PlayerId, TickNumber};
use terrane::net::LoopbackConditions;
use terrane::prelude::*;
use terrane::server::io::Join;
use terrane::server::record::fingerprint_from_scratch;
use terrane::server::{Server, TickInput, TickReport};
use terrane::testing::TestWorld;

fn from_env(name: &str, ordinary: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(ordinary)
}

fn seeds() -> std::ops::Range<u64> {
    1..1 + from_env("TERRANE_HISTORIES", 2)
}

fn ticks() -> u64 {
    from_env("TERRANE_HISTORY_TICKS", 250)
}

fn tick(server: &mut Server) -> TickReport {
    tick_with(server, |_| {})
}

fn tick_with(server: &mut Server, edit: impl FnOnce(&mut TickInput)) -> TickReport {
    let tick = server.next_tick();
    let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
    edit(&mut input);
    server.tick(input).report
}

/// Four players, each in the world for three of four periods; who leaves has just asked for a birth.
fn players_come_and_go(input: &mut TickInput, tick: u64) {
    let (turn, begins) = (tick / ants::PLAYERS_SPAWN_TICKS, tick.is_multiple_of(ants::PLAYERS_SPAWN_TICKS));
    for number in (0..4).filter(|_| begins) {
        let player = PlayerId::new(&format!("player {number}")).expect("a name");
        match (turn + number) % 4 {
            0 => input.leaves.push(ConnectionId(number)),
            1 => input.joins.push(Join::anew(ConnectionId(number), player)),
            _ => {}
        }
    }
}

fn counter(report: &TickReport, name: &str) -> u64 {
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// A4: a message to somebody alive arrives once, in the next tick, in the order (sender, order of sending).
fn assert_messages(log: &Log, last: TickNumber, when: &str) -> usize {
    log.read(|ticks| {
        let nothing = BTreeMap::new();
        let Some(now) = ticks.get(&last.0) else { return 0 };
        let sent = ticks.get(&(last.0 - 1)).map_or(&nothing, |before| &before.sent);
        let mut expected: BTreeMap<NetId, Vec<(NetId, u32)>> = sent
            .iter()
            .filter(|(to, _)| now.alive.contains(to))
            .map(|(&to, all)| (to, all.clone()))
            .collect();
        expected.values_mut().for_each(|messages| messages.sort_unstable());
        assert_eq!(now.received, expected, "{when}: what arrived (left) and what had to (right)");
        expected.values().map(Vec::len).sum()
    })
}

/// A2, A3, A4, C5: random histories of births, deaths, jumps, attachments, messages and components that come and
/// go are the same on every layout, entity by entity, and every rule holds after every tick.
#[test]
fn whatever_happens_is_the_same_on_every_layout() {
    let (mut handovers, mut messages, mut joined, mut ghosts) = (0, 0, 0, 0);
    for seed in seeds() {
        let mut worlds: Vec<_> = ants_worlds::layouts()
            .into_iter()
            .map(|(name, settings)| {
                let game = Ants::default();
                let server = ants_worlds::game(&game, 110).build(WorldSettings { seed, ..settings }, None);
                (name, game, server.expect("the game is sound"))
            })
            .collect();
        let mut last = TickReport::default();
        let mut names = BTreeSet::new();
        for number in 1..=ticks() {
            let (mut reference, mut life) = (None, None);
            for (name, game, server) in &mut worlds {
                let when = format!("seed {seed}, tick {number}, {name}");
                let report = tick_with(server, |input| players_come_and_go(input, number));
                let now = ants_checks::everything(server);
                assert_eq!(
                    report.entities,
                    now.len() as u64 + dying(server),
                    "{when}: every entity has one owner"
                );
                let (expected, fingerprint) =
                    reference.get_or_insert_with(|| (now.clone(), report.fingerprint));
                for (net_id, kept) in &now {
                    assert_eq!(
                        expected.get(net_id),
                        Some(kept),
                        "{when}: {net_id} is not what it is on one cell"
                    );
                }
                assert_eq!(expected.len(), now.len(), "{when}: somebody is missing");
                assert_eq!(report.fingerprint, *fingerprint, "{when}: the fingerprint");
                assert_eq!(
                    fingerprint_from_scratch(server.node_mut()),
                    report.fingerprint,
                    "{when}: from scratch"
                );
                let events = server.node().resource::<LifeEvents>();
                let lives = (events.born.clone(), events.died.clone());
                assert_eq!(
                    lives,
                    *life.get_or_insert_with(|| lives.clone()),
                    "{when}: who was born and who died"
                );
                ghosts += ants_checks::assert_ghosts(server, &when);
                joined += ants_checks::assert_groups(server, &when);
                messages += assert_messages(&game.log, TickNumber(number), &when);
                assert_eq!(counter(&report, "name_collisions"), 0, "{when}");
                if number == ticks() {
                    handovers += report.handovers;
                    let arrived: usize = game.log.read(|ticks| {
                        ticks.values().flat_map(|tick| tick.received.values()).map(Vec::len).sum()
                    });
                    assert_eq!(
                        counter(&report, "entity_messages"),
                        arrived as u64,
                        "{when}: messages, not batches"
                    );
                }
                last = report;
            }
            let (born, _) = life.expect("there is a world");
            for net_id in born {
                assert!(names.insert(net_id), "seed {seed}, tick {number}: the name {net_id} is given twice");
            }
            for (_, game, _) in &worlds {
                game.log.read(|ticks| {
                    if let Some(tick) = ticks.get(&number) {
                        let mut rules = tick.rules.values();
                        let first = rules.next().expect("every cell ran");
                        assert!(rules.all(|other| other == first), "Published is one value for all cells");
                    }
                });
            }
        }
        for what in ["teleports", "births", "deaths", "detached", "positions_clamped", "entity_messages_lost"]
        {
            assert!(counter(&last, what) > 0, "seed {seed}: the history has {what}");
        }
    }
    assert!(
        handovers > 2_000 && messages > 5_000 && joined > 2_000 && ghosts > 10_000,
        "thousands of each: {handovers} handovers, {messages} messages, {joined} joined, {ghosts} ghosts"
    );
}

/// Entities that died in the tick that has just run: the registry forgets them at the next `Partition`.
fn dying(server: &mut Server) -> u64 {
    terrane::cell::pool::with_cells(server.node_mut(), |_, cells| {
        cells.iter().map(|cell| cell.dead.len() as u64).sum()
    })
}

/// D3, A4: an image holds everything: a world restored from it on another layout goes on exactly as the original,
/// with the messages under way, the attachments, the spawners' counters and the fingerprint.
#[test]
fn a_world_restored_in_the_middle_of_everything_goes_on_exactly_as_the_original() {
    for seed in seeds() {
        let game = Ants::default();
        let settings = WorldSettings { seed, ..ants_worlds::settings() };
        let mut original = ants_worlds::game(&game, 110).build(settings, None).expect("the game is sound");
        for image_at in [40, 97, 150] {
            while original.next_tick().0 < image_at {
                tick(&mut original);
            }
            let number = original.next_tick();
            let input = TickInput { tick: number, now_ms: number.0 * 50, save: true, ..TickInput::default() };
            let output = original.tick(input);
            let image = output.image.expect("an image was asked for");
            let reborn = Ants::default();
            let mut restored = ants_worlds::game(&reborn, 0)
                .build(WorldSettings { seed, ..ants_worlds::mixed() }, Some(&image))
                .expect("the image is sound");
            assert_eq!(restored.next_tick(), number);
            let first = tick(&mut restored);
            assert_eq!(first.fingerprint, output.report.fingerprint, "seed {seed}: the image's own tick");
            for later in 1..=30 {
                let (a, b) = (tick(&mut original), tick(&mut restored));
                let when = format!("seed {seed}, image at {image_at}, {later} ticks later");
                let (expected, now) =
                    (ants_checks::everything(&mut original), ants_checks::everything(&mut restored));
                for (net_id, kept) in &expected {
                    assert_eq!(now.get(net_id), Some(kept), "{when}: {net_id}");
                }
                assert_eq!(expected.len(), now.len(), "{when}");
                assert_eq!(a.fingerprint, b.fingerprint, "{when}");
            }
        }
    }
}

/// A3: nobody moves, nothing is copied, though ghosts stand at every border.
#[test]
fn a_tick_in_which_nothing_changed_copies_no_ghost_value() {
    let game = Ants::default();
    let mut server =
        ants_worlds::game(&game, 200).build(ants_worlds::settings(), None).expect("the game is sound");
    for _ in 0..60 {
        tick(&mut server);
    }
    game.freeze();
    for _ in 0..2 * terrane::cell::attached::CHAIN_MAX {
        tick(&mut server);
    }
    for number in 0..10 {
        let report = tick(&mut server);
        assert!(report.ghosts > 100, "there is something to copy");
        assert_eq!(report.ghost_values_copied, 0, "tick {number} after everything stands still");
        ants_checks::assert_ghosts(&mut server, "standing still");
    }
}

/// A4, B9: on a perfect network every client holds what the oracle expects, every tick, whatever happens.
#[test]
fn views_are_the_oracles_on_every_tick_and_every_layout() {
    for seed in seeds() {
        let mut worlds: Vec<_> = ants_worlds::layouts()
            .into_iter()
            .map(|(name, settings)| {
                let settings = WorldSettings { seed, audit_every: Some(1), ..settings };
                let mut world = TestWorld::new(ants_worlds::game(&Ants::default(), 120), settings);
                for number in 0..6 {
                    world.connect(&format!("player {number}"));
                }
                let oracles = oracle_views(&world);
                (name, world, oracles)
            })
            .collect();
        for number in 1..=ticks() / 2 {
            for (name, world, oracles) in &mut worlds {
                world.tick();
                oracles.follow(world);
                let when = format!("seed {seed}, tick {number}, {name}");
                if number > 6 {
                    oracles.assert_equal(world, &when);
                }
            }
        }
        for (name, world, _) in &mut worlds {
            let audits = world.tick().report.audits;
            assert!(audits.fields > 1_000 && audits.failures == 0, "seed {seed}, {name}: {audits:?}");
        }
    }
}

/// B9: every client holds what the components themselves are, on every layout: the value of every field, within
/// its precision, and everybody who is near, found without the rows that views, oracle and audits rest on.
#[test]
fn clients_hold_what_the_components_are() {
    let mut compared = 0;
    for seed in seeds() {
        for (name, settings) in ants_worlds::layouts() {
            let settings = WorldSettings { seed, ..settings };
            let (enter_m, leave_m) = (settings.enter_radius_m, settings.leave_radius_m);
            let mut world = TestWorld::new(ants_worlds::game(&Ants::default(), 120), settings);
            for number in 0..6 {
                world.connect(&format!("player {number}"));
            }
            world.run(8);
            for number in 9..=ticks() / 2 {
                world.tick();
                let when = format!("seed {seed}, tick {number}, {name}");
                let real = ants_checks::everybody(world.server_mut());
                let schema = world.server().game().schema.clone();
                for client in world.clients() {
                    let eye = real[&client.avatar().expect("everybody is in")].place;
                    for (net_id, known) in &real {
                        let metres = known.place.distance(eye);
                        let held = client.view().get(*net_id);
                        assert!(held.is_some() || metres > enter_m - 0.001, "{when}: {net_id} is missing");
                        assert!(held.is_none() || metres < leave_m + 0.001, "{when}: {net_id} is too far");
                    }
                    for entity in client.view().entities() {
                        let net_id = entity.net_id();
                        let known =
                            real.get(&net_id).unwrap_or_else(|| panic!("{when}: {net_id} is not alive"));
                        let told = ants_checks::Known {
                            place: entity.lattice().to_place(),
                            ant: entity.component(&schema),
                            load: entity.component(&schema),
                            attached: entity.component(&schema),
                        };
                        let mut known = known.clone();
                        if let Some(attached) = &mut known.attached
                            && client.view().get(attached.to).is_none()
                        {
                            attached.to = NetId::WORLD;
                        }
                        let known = &known;
                        assert!(told.is_as_told_of(known), "{when}: {net_id} is {known:?}, told as {told:?}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 10_000, "{compared} compared");
}

/// B9: under loss, delay and reordering views become the oracle's once nothing happens any more.
#[test]
fn views_converge_under_loss_on_every_layout() {
    for (name, settings) in ants_worlds::layouts() {
        let game = Ants::default();
        let mut world =
            TestWorld::new(ants_worlds::game(&game, 120), WorldSettings { audit_every: Some(5), ..settings });
        world.set_conditions(LoopbackConditions {
            loss: 0.2,
            duplicate: 0.05,
            delay_ticks: 2,
            jitter_ticks: 3,
        });
        for number in 0..4 {
            world.connect(&format!("player {number}"));
        }
        let mut oracles = oracle_views(&world);
        for _ in 0..ticks() / 2 {
            world.tick();
            oracles.follow(&mut world);
        }
        game.freeze();
        for _ in 0..120 {
            world.tick();
            oracles.follow(&mut world);
        }
        oracles.assert_equal(&world, &format!("{name}, after everything stood still"));
        assert_eq!(world.tick().report.audits.failures, 0, "{name}");
    }
}

/// A3, B9: what dies is out of every view and every cell in the very tick of its death, on whichever side of a
/// border it died.
#[test]
fn the_dead_are_gone_in_the_tick_of_their_death_on_both_sides_of_a_border() {
    fn die(context: Res<TickContext>, ants: Query<(Entity, &ants::Load)>, mut commands: Commands) {
        for (entity, load) in &ants {
            if u64::from(load.weight) == context.tick.0 {
                commands.entity(entity).despawn();
            }
        }
    }
    #[derive(Debug)]
    struct Deaths;
    impl Plugin for Deaths {
        fn build(&self, app: &mut App) {
            app.replicate::<ants::Load>().add_systems(Simulate, die);
        }
    }
    let builder = ServerBuilder::default()
        .add_cell_plugins(Deaths)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(79.0, 80.0, 0.0), ants::Load::default()))
        .populate(|world| {
            for number in 0..20u16 {
                let load = ants::Load { weight: 10 + number, origin: 0 };
                let place = Vec3::new(77.0 + 0.3 * f32::from(number), 80.0, 0.0);
                world.spawn(SpawnRequest::new(NetId::WORLD, place, load));
            }
        });
    let mut world =
        TestWorld::new(builder, WorldSettings { audit_every: Some(1), ..ants_worlds::settings() });
    let alice = world.connect("alice");
    world.run(9);
    for number in 0..20 {
        assert_eq!(world[alice].view().entities().count(), 21 - number);
        let report = world.tick().report;
        assert_eq!(world[alice].view().entities().count(), 20 - number, "gone at once");
        assert_eq!(report.audits.failures, 0);
        ants_checks::assert_ghosts(world.server_mut(), "after a death");
    }
}

/// A4: crossing a border changes nothing for who watches but the position, which is sent as any other step. The
/// viewer stands at a corner of four cells, and everybody around hops over a border with every tick.
#[test]
fn a_handover_sends_a_viewer_nothing_but_the_position() {
    let sent = |grid| {
        let corner = Vec3::new(80.0, 80.0, 0.0);
        let game = Ants { calm: true, silent: true, ..Ants::default() };
        let builder = ants_worlds::game(&game, 0)
            .avatars(move |_| {
                SpawnRequest::new(NetId::WORLD, corner, ants::Ant { kind: ants::STILL, ..Default::default() })
            })
            .populate(move |world| {
                for number in 0..40u16 {
                    let kind = if number % 2 == 0 { ants::HOPPER } else { ants::CORNER };
                    let ant = ants::Ant { kind, says: format!("{number}"), ..Default::default() };
                    let place = corner + Vec3::new(0.4, f32::from(number) * 0.2 - 4.0, 0.0);
                    world.spawn(SpawnRequest::new(
                        NetId::WORLD,
                        place,
                        (ant, ants::Load { weight: number, origin: 1 }),
                    ));
                }
            });
        let mut world = TestWorld::new(builder, WorldSettings { grid, ..ants_worlds::settings() });
        let alice = world.connect("alice");
        world.run(10);
        assert_eq!(world[alice].view().entities().count(), 41, "everybody is in view and stays");
        let reports: Vec<TickReport> = (0..60).map(|_| world.tick().report).collect();
        let each: Vec<(u64, u64)> =
            reports.iter().map(|report| (report.updates, report.update_bytes)).collect();
        (each, reports.last().expect("some").handovers - reports[0].handovers)
    };
    let (alone, none) = sent([1, 1]);
    let (divided, many) = sent([5, 5]);
    assert!(none == 0 && many > 1_500, "{many} handovers");
    for (alone, divided) in alone.iter().zip(&divided) {
        // Short names are given in the order of the search, which may differ by cells: a bitmap may end a byte later.
        assert!(
            alone.0 == divided.0 && alone.1.abs_diff(divided.1) <= 1,
            "(updates, bytes) of a tick without and with handovers: {alone:?}, {divided:?}"
        );
    }
}
