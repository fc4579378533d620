//! Ghosts: what it costs to keep a neighbour's copy of an entity of four components up to date, export and
//! import together.
//!
//! Two cells; every entity of both stands within the margin of their border, so that each has a ghost on the
//! other side. `changed`: all four components and the position change in every tick. The cost of a ghost is what the
//! sets `Simulate` and `Mirror` and the import take more than in a world where the same entities stand far from
//! the border and do the same; looking at changes, hashing and encoding, which every entity costs anyway, are
//! in both and cancel. `unchanged`: nothing changes; the same difference. `scan_ns` is all that those sets and the import take
//! per entity there, the look at every column included. One thread, CPU time.

mod common;

use std::process::ExitCode;

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::{IntoScheduleConfigs, Mut, Resource};
use clap::Parser;
use common::{cpu_ms_of, median, print_line, round};
use serde::Serialize;
use terrane::action::act;
use terrane::cell::markers::{Ghost, Owned};
use terrane::cell::pool::with_cells;
use terrane::ghost::import::PublishedExports;
use terrane::prelude::*;
use terrane::replication::stage;
use terrane::server::{Server, TickInput};
use terrane::telemetry::{Heartbeat, StageClock};

/// Edge of each of the two cells, m.
const EDGE_M: f32 = 400.0;

/// Measures ghosts.
#[derive(Parser)]
struct Args {
    /// Entities, half of them in each cell.
    #[arg(long, default_value_t = 4_000)]
    entities: usize,
    /// Ticks to measure, after a tenth as many to warm up.
    #[arg(long, default_value_t = 300)]
    ticks: usize,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Line {
    case: &'static str,
    ghosts: u64,
    components: usize,
    ns_per_ghost: f64,
    scan_ns: f64,
    values_copied_per_tick: u64,
    check: String,
}

macro_rules! components {
    ($($name:ident: $value:ty),*) => {
        $(
            #[derive(Component, Clone, Copy, Default, PartialEq, Debug, Replicate)]
            struct $name {
                #[sync(broadcast)]
                value: $value,
            }
        )*
        struct FourComponents;
        impl Plugin for FourComponents {
            fn build(&self, app: &mut App) {
                app$(.replicate::<$name>())*;
            }
        }
    };
}

components!(A: u32, B: u64, C: f32, D: Vec3);

/// What everybody does in a tick.
#[derive(Resource, Default)]
struct Drive {
    changes: bool,
    tick: u32,
}

struct Driven;

impl Plugin for Driven {
    fn build(&self, app: &mut App) {
        let change = change.in_set(TickSystems::Act).after(act::act);
        let import = import_apart.in_set(TickSystems::Mirror).after(stage::mirror);
        app.init_resource::<Drive>().add_systems(Tick, change).add_systems(Tick, import);
    }
}

fn change(world: &mut World) {
    world.resource_scope(|world, mut drive: Mut<Drive>| {
        if !drive.changes {
            return;
        }
        drive.tick += 1;
        let tick = drive.tick;
        let step = if tick.is_multiple_of(2) { 0.1 } else { -0.1 };
        with_cells(world, |_, cells| {
            for cell in cells.iter_mut() {
                type All<'a> = (&'a mut A, &'a mut B, &'a mut C, &'a mut D, &'a mut Position);
                let mut entities = cell.world.query_filtered::<All, With<Owned>>();
                for (mut a, mut b, mut c, mut d, mut position) in entities.iter_mut(&mut cell.world) {
                    a.value = a.value.wrapping_add(tick);
                    b.value = u64::from(a.value);
                    c.value = tick as f32;
                    d.value.x += 1.0;
                    position.0.y += step;
                }
            }
        });
    });
}

/// The import by itself, within `Mirror`; the set `Interest` then finds nothing left to copy.
fn import_apart(world: &mut World) {
    with_cells(world, |world, cells| {
        let published = world.resource::<PublishedExports>();
        cells.iter_mut().for_each(|cell| cell.import_ghosts(published));
    });
}

fn server(entities: usize, at_border: bool, changes: bool) -> Server {
    let settings = WorldSettings {
        name: "ghosts".into(),
        area: Area { min: Vec2::ZERO, max: Vec2::new(2.0 * EDGE_M, EDGE_M) },
        grid: [2, 1],
        check_invariants: false,
        ..WorldSettings::default()
    }
    .with_distances(50.0, 55.0, 20.0, 0.0);
    let off_m = if at_border { 20.0 } else { 200.0 };
    let mut server = ServerBuilder::default()
        .add_cell_plugins(FourComponents)
        .add_plugins(Driven)
        .observe(StageClock::system(), Heartbeat::new())
        .populate(move |world| {
            for at in 0..entities {
                let side = if at % 2 == 0 { -off_m } else { off_m };
                let place = Vec3::new(EDGE_M + side, 100.0 + (at % 1_000) as f32 / 5.0, 0.0);
                let all = (A { value: at as u32 }, B::default(), C::default(), D::default());
                world.spawn(SpawnRequest::new(NetId::WORLD, place, all));
            }
        })
        .build(settings, None)
        .expect("the world is sound");
    server.node_mut().resource_mut::<Drive>().changes = changes;
    server
}

struct Cost {
    ms: f64,
    copied: u64,
    ghosts: u64,
}

fn tick(server: &mut Server) -> Cost {
    let tick = server.next_tick();
    let report = server.tick(TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() }).report;
    let ms = cpu_ms_of(server, &[TickSystems::Simulate, TickSystems::Mirror]);
    Cost { ms, copied: report.ghost_values_copied, ghosts: report.ghosts }
}

/// What is wrong: a ghost that is not as its original.
fn fault(server: &mut Server, entities: usize) -> Option<String> {
    type All<'a> = (&'a NetId, &'a A, &'a B, &'a C, &'a D, &'a Position);
    let (mut owned, mut ghosts) = (std::collections::BTreeMap::new(), Vec::new());
    with_cells(server.node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let read = |(&net_id, &a, &b, &c, &d, position): (&NetId, &A, &B, &C, &D, &Position)| {
                (net_id, (a, b, c, d, position.0))
            };
            let mut all = cell.world.query_filtered::<All, With<Owned>>();
            owned.extend(all.iter(&cell.world).map(read));
            let mut all = cell.world.query_filtered::<All, With<Ghost>>();
            ghosts.extend(all.iter(&cell.world).map(read));
        }
    });
    if ghosts.len() != entities {
        return Some(format!("{} ghosts of {entities} entities", ghosts.len()));
    }
    let wrong = ghosts.iter().find(|(net_id, values)| owned.get(net_id) != Some(values));
    wrong.map(|(net_id, _)| format!("the ghost of {net_id} is not as its original"))
}

fn measure(case: &'static str, changes: bool, args: &Args) -> Line {
    let (mut border, mut inland) =
        (server(args.entities, true, changes), server(args.entities, false, changes));
    let warmup = args.ticks / 10 + 2;
    let (mut at_border, mut far_from_it) = (Vec::new(), Vec::new());
    let mut last = Cost { ms: 0.0, copied: 0, ghosts: 0 };
    for number in 0..warmup + args.ticks {
        last = tick(&mut border);
        let other = tick(&mut inland);
        if number >= warmup {
            at_border.push(last.ms);
            far_from_it.push(other.ms);
        }
    }
    let per_ghost = |ms: f64| ms * 1e6 / args.entities as f64;
    let copied_right = (last.copied > 0) == changes && last.ghosts == args.entities as u64;
    let fault = fault(&mut border, args.entities)
        .or_else(|| (!copied_right).then(|| format!("{} values copied", last.copied)));
    Line {
        case,
        ghosts: last.ghosts,
        components: 4,
        ns_per_ghost: round(per_ghost(median(&at_border) - median(&far_from_it))),
        scan_ns: round(per_ghost(median(&far_from_it))),
        values_copied_per_tick: last.copied,
        check: fault.unwrap_or_else(|| "ok".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut all_right = true;
    for (case, changes) in [("changed", true), ("unchanged", false)] {
        let line = measure(case, changes, &args);
        all_right &= line.check == "ok";
        print_line(&line);
    }
    if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
