//! What cells cost by themselves: empty ones, and a small game of movement on one thread and on several.
//!
//! `stages_ms_median` is the wall time of the sets `Simulate` and `Interest`, in which all cells run in parallel:
//! running the schedules, and in every cell its context, its (empty) game schedule, the look at its entities, the
//! import of its neighbours' borders, its index and its search. `tick_ms_median` is the whole tick of the server,
//! every other set included. Both are wall times of the best quarter of all bursts, since threads that wait for
//! a processor use no CPU; the machine should be otherwise idle.

mod common;

use std::process::ExitCode;

use bevy_app::{App, Plugin};
use clap::Parser;
use common::{cpu_ms, median, print_line, round, rss_mib, wall_ms, wall_ms_of};
use serde::Serialize;
use terrane::prelude::*;
use terrane::server::{Server, TickInput};
use terrane::telemetry::{Heartbeat, StageClock};

const AREA_M: f32 = 1_600.0;
const SPEED_M_S: f32 = 5.0;
/// How far an entity looks around itself, m.
const LOOK_M: f32 = 15.0;
/// Ticks that run behind one another before the other server has its turn.
const BURST_TICKS: usize = 5;

/// Measures cells.
#[derive(Parser)]
struct Args {
    /// Cells: a square number. Without any of the three: 64 empty ones, then 10,000 entities in them.
    #[arg(long)]
    cells: Option<u32>,
    /// Entities that move about; none: no game at all.
    #[arg(long)]
    entities: Option<usize>,
    /// Threads, compared with one.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Bursts of five ticks each to measure.
    #[arg(long, default_value_t = 80)]
    bursts: usize,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Line {
    cells: u64,
    entities: usize,
    threads: usize,
    stages_ms_median: f64,
    tick_ms_median: f64,
    tick_cpu_ms_median: f64,
    one_thread_tick_cpu_ms_median: f64,
    one_thread_stages_ms_median: f64,
    one_thread_tick_ms_median: f64,
    stages_speedup: f64,
    tick_speedup: f64,
    rss_mib: Option<f64>,
    check: &'static str,
}

#[derive(Component, Clone, Copy, Default, Replicate)]
struct Walker {
    #[sync(broadcast)]
    heading: f32,
}

struct Wander;

impl Plugin for Wander {
    fn build(&self, app: &mut App) {
        app.replicate::<Walker>().add_systems(Simulate, wander);
    }
}

/// Everybody turns away a little from whoever is near, and walks on. The edge turns them back.
fn wander(
    context: Res<TickContext>,
    nearby: Nearby,
    mut walkers: Query<(&NetId, &mut Position, &mut Walker)>,
) {
    for (&net_id, mut position, mut walker) in &mut walkers {
        let mut away = Vec3::ZERO;
        for other in nearby.within(position.0, LOOK_M).unwrap_or_default() {
            if other.net_id != net_id {
                away += (position.0 - other.position) / (other.distance_squared + 1.0);
            }
        }
        walker.heading += (away.x + away.y).clamp(-0.1, 0.1);
        let to = position.0 + (Vec2::from_angle(walker.heading) * SPEED_M_S * context.dt).extend(0.0);
        if context.world_area.contains(to) {
            position.0 = to;
        } else {
            walker.heading += 2.0;
        }
    }
}

fn server(cells: u32, entities: usize, threads: usize) -> Server {
    let edge = f64::from(cells).sqrt() as u32;
    let settings = WorldSettings {
        name: "cells".into(),
        area: Area { min: Vec2::ZERO, max: Vec2::splat(AREA_M) },
        grid: [edge; 2],
        threads,
        check_invariants: false,
        ..WorldSettings::default()
    }
    .with_distances(50.0, 55.0, SPEED_M_S * 1.2, 0.0);
    let builder = ServerBuilder::default().observe(StageClock::system(), Heartbeat::new());
    let builder = if entities == 0 { builder } else { builder.add_cell_plugins(Wander) };
    builder
        .populate(move |world| {
            let mut chance = Random::named(7, "cells");
            for _ in 0..entities {
                let (x, y) = (chance.between(0.0..AREA_M), chance.between(0.0..AREA_M));
                let walker = Walker { heading: chance.between(0.0..6.0) };
                world.spawn(SpawnRequest::new(NetId::WORLD, Vec3::new(x, y, 0.0), walker));
            }
        })
        .build(settings, None)
        .expect("the world is sound")
}

/// A server and how long each burst of its ticks took.
struct Measured {
    server: Server,
    stages: Vec<f64>,
    ticks: Vec<f64>,
    cpu: Vec<f64>,
    fingerprint: u64,
}

impl Measured {
    fn new(server: Server) -> Self {
        let (stages, ticks, cpu) = (Vec::new(), Vec::new(), Vec::new());
        Self { server, stages, ticks, cpu, fingerprint: 0 }
    }

    fn burst(&mut self) {
        let (mut stages, mut ticks, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..BURST_TICKS {
            let tick = self.server.next_tick();
            let input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
            let (wall_begin, cpu_begin) = (wall_ms(), cpu_ms());
            let output = self.server.tick(input);
            ticks.push(wall_ms() - wall_begin);
            cpu.push(cpu_ms() - cpu_begin);
            stages.push(wall_ms_of(&self.server, &[TickSystems::Simulate, TickSystems::Interest]));
            self.fingerprint = output.report.fingerprint;
        }
        self.stages.push(median(&stages));
        self.ticks.push(median(&ticks));
        self.cpu.push(median(&cpu));
    }
}

/// The median of the best quarter: what the machine can do when nobody disturbs it.
fn undisturbed(bursts: &[f64]) -> f64 {
    let mut sorted = bursts.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    median(&sorted[..sorted.len().div_ceil(4)])
}

fn measure(cells: u32, entities: usize, args: &Args) -> Line {
    let mut one = Measured::new(server(cells, entities, 1));
    let mut many = Measured::new(server(cells, entities, args.threads));
    for _ in 0..args.bursts {
        one.burst();
        many.burst();
    }
    let report_cells = f64::from(cells).sqrt() as u64;
    let (one_stages, many_stages) = (undisturbed(&one.stages), undisturbed(&many.stages));
    let (one_tick, many_tick) = (undisturbed(&one.ticks), undisturbed(&many.ticks));
    Line {
        cells: report_cells * report_cells,
        entities,
        threads: args.threads,
        stages_ms_median: round(many_stages),
        tick_ms_median: round(many_tick),
        tick_cpu_ms_median: round(undisturbed(&many.cpu)),
        one_thread_tick_cpu_ms_median: round(undisturbed(&one.cpu)),
        one_thread_stages_ms_median: round(one_stages),
        one_thread_tick_ms_median: round(one_tick),
        stages_speedup: round(one_stages / many_stages),
        tick_speedup: round(one_tick / many_tick),
        rss_mib: rss_mib().map(round),
        check: if one.fingerprint == many.fingerprint && (entities == 0) == (one.fingerprint == 0) {
            "ok"
        } else {
            "one thread and several differ"
        },
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let cases = match (args.cells, args.entities) {
        (None, None) => vec![(64, 0), (64, 10_000)],
        (cells, entities) => vec![(cells.unwrap_or(64), entities.unwrap_or(0))],
    };
    let mut all_right = true;
    for (cells, entities) in cases {
        let line = measure(cells, entities, &args);
        all_right &= line.check == "ok";
        print_line(&line);
    }
    if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
