//! Whole worlds in lockstep: the same outcome on any number of threads and on any layout.

use std::path::Path;

use terrane::caravan::{Roads, caravan_game};
use terrane::ids::{CellId, TickNumber};
use terrane::server::{Server, ServerBuilder, TickInput, TickReport, WorldSettings};

fn server(settings: WorldSettings, npcs: u64) -> Server {
    let roads = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/config/roads.toml");
    let roads = Roads::load(&roads, settings.area).expect("the shipped map is sound");
    caravan_game(ServerBuilder::default(), roads)
        .build(WorldSettings { npcs: Some(npcs), ..settings }, None)
        .expect("the shipped game is sound")
}

fn run(server: &mut Server, ticks: u64) -> TickReport {
    let mut last = TickReport::default();
    for _ in 0..ticks {
        let tick = server.next_tick();
        last = server.tick(TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() }).report;
    }
    last
}

fn mixed_cells() -> Vec<CellId> {
    let cell = |depth, cx, cy| CellId { world: 0, depth, cx, cy };
    let mut cells = vec![cell(0, 1, 0), cell(0, 0, 1)];
    for (cx, cy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        cells.push(cell(1, cx, cy));
    }
    for (cx, cy) in [(2, 2), (3, 2), (2, 3)] {
        cells.push(cell(1, cx, cy));
    }
    for (cx, cy) in [(6, 6), (7, 6), (6, 7), (7, 7)] {
        cells.push(cell(2, cx, cy));
    }
    cells
}

/// C5, G3: who owns an entity and which thread runs its cell change nothing that can be noticed.
#[test]
fn the_fingerprint_depends_on_neither_threads_nor_layout() {
    let base = WorldSettings::default();
    let reference = run(&mut server(base.clone(), 800), 400);
    assert_eq!(reference.entities, 800 + 17, "the caravans, and a cache at each node");
    assert!(reference.handovers > 200, "{} handovers", reference.handovers);
    let variants = [
        WorldSettings { threads: 2, ..base.clone() },
        WorldSettings { grid: [1, 1], ..base.clone() },
        WorldSettings { grid: [2, 2], threads: 2, ..base.clone() },
        WorldSettings { grid: [2, 2], cells: Some(mixed_cells()), ..base.clone() },
    ];
    for settings in variants {
        let label = format!("{:?} threads {}", settings.grid, settings.threads);
        let other = run(&mut server(settings, 800), 400);
        assert_eq!(other.fingerprint, reference.fingerprint, "{label}");
    }
    let other_seed = run(&mut server(WorldSettings { seed: 2, ..base }, 800), 400);
    assert_ne!(other_seed.fingerprint, reference.fingerprint);
}

/// D3, E1: a world put together from its image goes on exactly as the one that was not stopped.
#[test]
fn a_restored_world_goes_on_as_if_it_had_never_stopped() {
    let settings = WorldSettings::default();
    let mut original = server(settings.clone(), 500);
    run(&mut original, 150);
    let tick = original.next_tick();
    let input = TickInput { tick, now_ms: tick.0 * 50, save: true, ..TickInput::default() };
    let image = original.tick(input).image.expect("an image was asked for");
    assert_eq!(image.entities, 500 + 17);

    let roads = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/config/roads.toml");
    let roads = Roads::load(&roads, settings.area).expect("the shipped map is sound");
    let mut restored = caravan_game(ServerBuilder::default(), roads)
        .build(WorldSettings { grid: [3, 2], ..settings }, Some(&image))
        .expect("the image is sound");
    assert_eq!(restored.next_tick(), TickNumber(tick.0));
    let a = run(&mut original, 99);
    let b = run(&mut restored, 100);
    assert_eq!(a.fingerprint, b.fingerprint, "the image's own tick is run again, from Partition on");
}
