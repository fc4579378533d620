//! Who is near whom: one tick's rebuild of the index and the search for every viewer's candidates.
//!
//! One thread, CPU time. Everything moves between two ticks. Every case is checked against brute force, pair
//! by pair, and compared with the plain use of the same tree: one over entities, asked once per viewer.

#![expect(clippy::disallowed_methods, reason = "measured beside the world")]

mod common;

use std::hint::black_box;
use std::process::ExitCode;

use clap::Parser;
use common::{median, print_line, round, rss_mib, timed_ms};
use glam::{Vec2, Vec3};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rstar::RTree;
use rstar::primitives::GeomWithData;
use serde::Serialize;
use terrane::ids::{NetId, Row};
use terrane::interest::{Candidates, GatherScratch, IndexEntry, SpatialIndex, Viewer, gather};
use terrane::space::{Area, distance_squared};

const ENTER_RADIUS_M: f32 = 50.0;
const GHOST_MARGIN_M: f32 = 60.0;
const STEP_M: f32 = 0.25;

/// Measures the search for candidates.
#[derive(Parser)]
struct Args {
    /// Ticks to measure, after a tenth as many to warm up.
    #[arg(long, default_value_t = 100)]
    ticks: usize,
    /// Only the cases whose name contains this.
    #[arg(long, default_value = "")]
    case: String,
    /// Seed of the places.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where the entities of a case are.
#[derive(Clone, Copy)]
enum Spread {
    /// Anywhere, so many metres wide that a viewer has about this many hits.
    Uniform { hits: f32 },
    /// Half of them anywhere, half of them within 100 m of the middle.
    Hotspot { hits: f32 },
    /// All within 40 m of one place.
    Crowd,
}

struct Case {
    name: &'static str,
    entities: usize,
    viewers: usize,
    spread: Spread,
    /// Cells per edge of the world.
    cells: u32,
}

const CASES: [Case; 7] = [
    Case {
        name: "uniform",
        entities: 10_000,
        viewers: 1_000,
        spread: Spread::Uniform { hits: 100.0 },
        cells: 1,
    },
    Case {
        name: "uniform_25_cells",
        entities: 10_000,
        viewers: 1_000,
        spread: Spread::Uniform { hits: 100.0 },
        cells: 5,
    },
    Case {
        name: "sparse",
        entities: 10_000,
        viewers: 1_000,
        spread: Spread::Uniform { hits: 10.0 },
        cells: 1,
    },
    Case {
        name: "hotspot",
        entities: 10_000,
        viewers: 1_000,
        spread: Spread::Hotspot { hits: 75.0 },
        cells: 1,
    },
    Case { name: "crowd", entities: 1_000, viewers: 1_000, spread: Spread::Crowd, cells: 1 },
    Case {
        name: "large",
        entities: 50_000,
        viewers: 1_000,
        spread: Spread::Uniform { hits: 75.0 },
        cells: 1,
    },
    Case {
        name: "large_100_cells",
        entities: 50_000,
        viewers: 1_000,
        spread: Spread::Uniform { hits: 75.0 },
        cells: 10,
    },
];

#[derive(Serialize)]
struct Line {
    case: &'static str,
    entities: usize,
    viewers: usize,
    cells: u32,
    side_m: f64,
    hits_mean: f64,
    build_ms_median: f64,
    query_ms_median: f64,
    total_ms_median: f64,
    peer_build_ms_median: f64,
    peer_query_ms_median: f64,
    peer_total_ms_median: f64,
    peer_ratio: f64,
    rss_mib: Option<f64>,
    check: &'static str,
}

/// One cell of a case: what it owns and mirrors, who looks, and what it keeps between ticks.
struct Cell {
    area: Area,
    index: SpatialIndex,
    entries: Vec<IndexEntry>,
    viewers: Vec<Viewer>,
    out: Candidates,
}

struct World {
    side_m: f32,
    places: Vec<Vec3>,
    steps: Vec<Vec2>,
    cells: Vec<Cell>,
}

impl World {
    fn new(case: &Case, seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut unit = move || (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
        let area_of_view = std::f32::consts::PI * ENTER_RADIUS_M * ENTER_RADIUS_M;
        let side_m = match case.spread {
            Spread::Uniform { hits } | Spread::Hotspot { hits } => {
                (case.entities as f32 * area_of_view / hits).sqrt()
            }
            Spread::Crowd => 600.0,
        };
        let around_middle = |radius: f32, unit: &mut dyn FnMut() -> f32| {
            let (turn, far) = (unit() * std::f32::consts::TAU, radius * unit().sqrt());
            Vec3::new(side_m / 2.0 + far * turn.cos(), side_m / 2.0 + far * turn.sin(), unit() * 10.0)
        };
        let places = (0..case.entities)
            .map(|at| match case.spread {
                Spread::Hotspot { .. } if at % 2 == 0 => around_middle(100.0, &mut unit),
                Spread::Crowd => around_middle(40.0, &mut unit),
                _ => Vec3::new(unit() * side_m, unit() * side_m, unit() * 10.0),
            })
            .collect();
        let steps =
            (0..case.entities).map(|_| Vec2::from_angle(unit() * std::f32::consts::TAU) * STEP_M).collect();
        let edge_m = side_m / case.cells as f32;
        let cell = |x: u32, y: u32| {
            let min = Vec2::new(x as f32, y as f32) * edge_m;
            Cell {
                area: Area { min, max: min + edge_m },
                index: SpatialIndex::default(),
                entries: Vec::new(),
                viewers: Vec::new(),
                out: Candidates::default(),
            }
        };
        let cells = (0..case.cells).flat_map(|y| (0..case.cells).map(move |x| cell(x, y))).collect();
        Self { side_m, places, steps, cells }
    }

    /// Moves everything and sorts it into cells: what handover and ghosts do in a server, hence not timed.
    fn step(&mut self, viewers: usize) {
        for (place, step) in self.places.iter_mut().zip(&mut self.steps) {
            let moved = place.truncate() + *step;
            let is_out = |metres: f32| metres < 0.0 || metres >= self.side_m;
            *step *=
                Vec2::new(if is_out(moved.x) { -1.0 } else { 1.0 }, if is_out(moved.y) { -1.0 } else { 1.0 });
            let world = Area { min: Vec2::ZERO, max: Vec2::splat(self.side_m) };
            *place = world.clamp(moved.extend(place.z));
        }
        let stride = self.places.len() / viewers;
        for cell in &mut self.cells {
            cell.entries.clear();
            cell.viewers.clear();
            for (at, &position) in self.places.iter().enumerate() {
                if cell.area.contains_within(position, GHOST_MARGIN_M) {
                    cell.entries.push(IndexEntry { row: row(at), net_id: NetId(at as u64 + 1), position });
                }
                if at % stride == 0 && at / stride < viewers && cell.area.contains(position) {
                    cell.viewers.push(Viewer { session: (at / stride) as u32, position });
                }
            }
        }
    }

    /// Whether every viewer is in exactly one cell and has exactly what brute force finds.
    fn is_right(&self, viewers: usize) -> bool {
        let mut seen = vec![false; viewers];
        for cell in &self.cells {
            for (viewer, (session, rows)) in cell.viewers.iter().zip(cell.out.iter()) {
                let mut rows = rows.to_vec();
                rows.sort_unstable();
                let wanted = self.places.iter().enumerate().filter(|(_, place)| {
                    distance_squared(**place, viewer.position) < ENTER_RADIUS_M * ENTER_RADIUS_M
                });
                if session != viewer.session
                    || std::mem::replace(&mut seen[session as usize], true)
                    || !wanted.map(|(at, _)| row(at)).eq(rows)
                {
                    return false;
                }
            }
        }
        seen.iter().all(|&seen| seen)
    }
}

fn row(at: usize) -> Row {
    Row(at as u32 + 1)
}

/// The same search with the library alone: a tree over entities, one question per viewer.
fn peer(cells: &[Cell], found: &mut Vec<Row>) -> (f64, f64, usize) {
    let (build_ms, trees) = timed_ms(|| {
        let tree = |cell: &Cell| {
            let point = |entry: &IndexEntry| GeomWithData::new([entry.position.x, entry.position.y], *entry);
            RTree::bulk_load(cell.entries.iter().map(point).collect())
        };
        cells.iter().map(tree).collect::<Vec<_>>()
    });
    let (query_ms, hits) = timed_ms(|| {
        let mut hits = 0;
        for (cell, tree) in cells.iter().zip(&trees) {
            for viewer in &cell.viewers {
                let centre = [viewer.position.x, viewer.position.y];
                let radius_squared = ENTER_RADIUS_M * ENTER_RADIUS_M;
                found.clear();
                found.extend(
                    tree.locate_within_distance(centre, radius_squared)
                        .filter(|at| distance_squared(at.data.position, viewer.position) < radius_squared)
                        .map(|at| at.data.row),
                );
                hits += black_box(&*found).len();
            }
        }
        hits
    });
    (build_ms, query_ms, hits)
}

fn measure(case: &Case, args: &Args) -> Line {
    let mut world = World::new(case, args.seed);
    let mut scratch = GatherScratch::default();
    let mut found = Vec::new();
    let [mut build, mut query, mut total, mut peer_build, mut peer_query, mut peer_total] =
        [const { Vec::new() }; 6];
    let (mut hits_all, mut is_right) = (0, true);
    let warm_up = args.ticks / 10;
    for tick in 0..warm_up + args.ticks {
        world.step(case.viewers);
        let (mut build_ms, mut query_ms) = (0.0, 0.0);
        for cell in &mut world.cells {
            build_ms += timed_ms(|| cell.index.rebuild(cell.entries.iter().copied())).0;
            query_ms +=
                timed_ms(|| gather(&cell.index, &cell.viewers, ENTER_RADIUS_M, &mut scratch, &mut cell.out))
                    .0;
        }
        let hits: usize = world.cells.iter().map(|cell| cell.out.hits()).sum();
        let (peer_build_ms, peer_query_ms, peer_hits) = peer(&world.cells, &mut found);
        is_right &= hits == peer_hits;
        if tick < warm_up {
            continue;
        }
        hits_all += hits;
        build.push(build_ms);
        query.push(query_ms);
        total.push(build_ms + query_ms);
        peer_build.push(peer_build_ms);
        peer_query.push(peer_query_ms);
        peer_total.push(peer_build_ms + peer_query_ms);
    }
    is_right &= world.is_right(case.viewers);
    Line {
        case: case.name,
        entities: case.entities,
        viewers: case.viewers,
        cells: case.cells * case.cells,
        side_m: round(world.side_m.into()),
        hits_mean: round(hits_all as f64 / (args.ticks * case.viewers) as f64),
        build_ms_median: round(median(&build)),
        query_ms_median: round(median(&query)),
        total_ms_median: round(median(&total)),
        peer_build_ms_median: round(median(&peer_build)),
        peer_query_ms_median: round(median(&peer_query)),
        peer_total_ms_median: round(median(&peer_total)),
        peer_ratio: round(median(&peer_total) / median(&total)),
        rss_mib: rss_mib().map(round),
        check: if is_right { "ok" } else { "candidates differ from brute force" },
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut all_right = true;
    for case in CASES.iter().filter(|case| case.name.contains(&args.case)) {
        let line = measure(case, &args);
        all_right &= line.check == "ok";
        print_line(&line);
    }
    if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
