//! The worlds in which ants live.

use terrane::ids::CellId;
use terrane::prelude::*;

use super::ants::{Ant, Ants, Diary, EDGE_M, PLAYER, REACH_M, Rules, an_ant, anywhere};

/// The world in which they live: small cells, wide steps.
pub fn settings() -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(EDGE_M) };
    WorldSettings { area, bucket_m: 8.0, check_invariants: true, ..WorldSettings::default() }
        .with_distances(10.0, 12.0, 60.0, REACH_M)
}

/// A world of cells of three sizes, sharing corners and T-junctions.
pub fn mixed() -> WorldSettings {
    let cell = |depth, cx, cy| CellId { world: 0, depth, cx, cy };
    let mut cells = vec![cell(0, 1, 0)];
    for (cx, cy) in [(0, 0), (1, 0), (0, 1)] {
        cells.push(cell(1, cx, cy));
    }
    for (cx, cy) in [(2, 2), (3, 2), (2, 3), (3, 3)] {
        cells.push(cell(2, cx, cy));
    }
    cells.push(cell(0, 0, 1));
    for (cx, cy) in [(2, 2), (3, 2), (2, 3), (3, 3)] {
        cells.push(cell(1, cx, cy));
    }
    WorldSettings { grid: [2, 2], cells: Some(cells), ..settings() }
}

/// The layouts on which everything must be the same.
pub fn layouts() -> Vec<(&'static str, WorldSettings)> {
    vec![
        ("1 x 1", WorldSettings { grid: [1, 1], ..settings() }),
        ("2 x 2", WorldSettings { grid: [2, 2], ..settings() }),
        ("5 x 5 on two threads", WorldSettings { grid: [5, 5], threads: 2, ..settings() }),
        // Cells smaller than the ghost margin: an owner may lie two cells away.
        ("11 x 11", WorldSettings { grid: [11, 11], ..settings() }),
        ("mixed", mixed()),
    ]
}

/// The game with this many ants in a new world.
pub fn game(ants: &Ants, count: u64) -> ServerBuilder {
    let rules = Rules { step_m: settings().step_m_max };
    ServerBuilder::default()
        .add_cell_plugins(ants.clone())
        .publish(rules)
        .avatars(|request| {
            let mut chance = Random::named(request.seed, request.player.as_str());
            let ant = Ant { kind: PLAYER, ..an_ant(&mut chance).0 };
            let place = request.world.clamp(anywhere(&mut chance));
            SpawnRequest { class: 0, ..SpawnRequest::new(NetId::WORLD, place, (ant, Diary::default())) }
        })
        .populate(move |world| {
            let seed = world.settings().seed;
            for number in 0..count {
                let mut chance = Random::new(seed, NetId(number), TickNumber(0), 7);
                let place = anywhere(&mut chance);
                world.spawn(SpawnRequest::new(NetId::WORLD, place, an_ant(&mut chance)));
            }
        })
}
