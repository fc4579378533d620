//! Handover: what it costs to give an entity of eight components to another cell, everything that the set
//! `Partition` does for it included: collecting and sorting those that cross, the registry, the move itself.
//!
//! `promoted`: entities pace over a border; the new owner's ghost becomes the original and the original a ghost.
//! `plain`: entities jump from the middle of one cell into that of another, where nothing knows them.
//! One thread, CPU time. Every entity is looked at afterwards: one owner, every value as it was.

mod common;

use std::process::ExitCode;

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::{IntoScheduleConfigs, Resource};
use clap::Parser;
use common::{cpu_ms_of, median, print_line, round};
use serde::Serialize;
use terrane::action::act;
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::cell::requests::Requests;
use terrane::prelude::*;
use terrane::server::{Server, TickInput};
use terrane::telemetry::{Heartbeat, StageClock};

/// Edge of each of the two cells, m.
const EDGE_M: f32 = 400.0;

/// Measures handover.
#[derive(Parser)]
struct Args {
    /// Entities, all of which change their cell in every tick.
    #[arg(long, default_value_t = 2_000)]
    entities: usize,
    /// Ticks to measure, after a tenth as many to warm up.
    #[arg(long, default_value_t = 200)]
    ticks: usize,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Line {
    case: &'static str,
    entities: usize,
    components: usize,
    ns_per_entity: f64,
    us_per_entity: f64,
    check: String,
}

/// Declares the components: numbers, a string and a list.
macro_rules! components {
    ($($name:ident: $value:ty),*) => {
        $(
            #[derive(Component, Clone, Default, PartialEq, Debug, Replicate)]
            struct $name {
                #[sync(broadcast)]
                value: $value,
            }
        )*
        struct EightComponents;
        impl Plugin for EightComponents {
            fn build(&self, app: &mut App) {
                app$(.replicate::<$name>())*;
            }
        }
    };
}

components!(A: u32, B: u64, C: f32, D: i16, E: u8, F: f64, Name: String, Cargo: Vec<u16>);

type All = (A, B, C, D, E, F, Name, Cargo);

fn values(at: usize) -> All {
    (
        A { value: at as u32 },
        B { value: at as u64 * 3 },
        C { value: at as f32 },
        D { value: at as i16 },
        E { value: at as u8 },
        F { value: at as f64 },
        Name { value: format!("entity {at}") },
        Cargo { value: vec![at as u16; 6] },
    )
}

/// How entities change their cell.
#[derive(Resource, Clone, Copy, PartialEq, Eq)]
enum Way {
    Promoted,
    Plain,
}

fn place(at: usize, way: Way, left: bool) -> Vec3 {
    let off = match way {
        Way::Promoted => 0.1,
        Way::Plain => EDGE_M / 2.0,
    };
    Vec3::new(EDGE_M + if left { -off } else { off }, (at % 3_900) as f32 / 10.0, 0.0)
}

/// Which side everybody is on.
#[derive(Resource)]
struct Side {
    left: bool,
}

struct Pacing;

impl Plugin for Pacing {
    fn build(&self, app: &mut App) {
        let pace = pace.in_set(TickSystems::Act).after(act::act);
        app.insert_resource(Side { left: true }).add_systems(Tick, pace);
    }
}

/// Everybody goes to the other side; the cells find out in `Simulate` and hand over in the next `Partition`.
fn pace(world: &mut World) {
    let (way, left) = (*world.resource::<Way>(), !world.resource::<Side>().left);
    world.resource_mut::<Side>().left = left;
    with_cells(world, |_, cells| {
        for cell in cells.iter_mut() {
            let mut jumps = Vec::new();
            let mut entities = cell.world.query_filtered::<(&NetId, &A, &mut Position), With<Owned>>();
            for (&net_id, a, mut position) in entities.iter_mut(&mut cell.world) {
                let to = place(a.value as usize, way, left);
                match way {
                    Way::Promoted => position.0 = to,
                    Way::Plain => jumps.push((net_id, to)),
                }
            }
            cell.world.resource_mut::<Requests>().teleports.extend(jumps);
        }
    });
}

fn server(entities: usize, way: Way) -> Server {
    let settings = WorldSettings {
        name: "handover".into(),
        area: Area { min: Vec2::ZERO, max: Vec2::new(2.0 * EDGE_M, EDGE_M) },
        grid: [2, 1],
        check_invariants: false,
        ..WorldSettings::default()
    }
    .with_distances(50.0, 55.0, 20.0, 0.0);
    let mut server = ServerBuilder::default()
        .add_cell_plugins(EightComponents)
        .add_plugins(Pacing)
        .observe(StageClock::system(), Heartbeat::new())
        .populate(move |world| {
            for at in 0..entities {
                let request = SpawnRequest::new(NetId::WORLD, place(at, way, true), values(at));
                world.spawn(request);
            }
        })
        .build(settings, None)
        .expect("the world is sound");
    server.node_mut().insert_resource(way);
    server
}

fn tick(server: &mut Server) -> (f64, u64) {
    let tick = server.next_tick();
    let report = server.tick(TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() }).report;
    (cpu_ms_of(server, &[TickSystems::Partition]), report.handovers)
}

/// What is wrong: an entity that is missing or doubled, or one whose values are others.
fn fault(server: &mut Server, entities: usize) -> Option<String> {
    let mut seen = vec![0u32; entities];
    let mut wrong = None;
    with_cells(server.node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut all = cell.world.query_filtered::<(&A, &B, &C, &D, &E, &F, &Name, &Cargo), With<Owned>>();
            for (a, b, c, d, e, f, name, cargo) in all.iter(&cell.world) {
                let at = a.value as usize;
                seen[at] += 1;
                let have = (
                    a.clone(),
                    b.clone(),
                    c.clone(),
                    d.clone(),
                    e.clone(),
                    f.clone(),
                    name.clone(),
                    cargo.clone(),
                );
                if have != values(at) {
                    wrong = Some(format!("entity {at} has other values"));
                }
            }
        }
    });
    if let Some(at) = seen.iter().position(|&owners| owners != 1) {
        wrong = Some(format!("entity {at} has {} owners", seen[at]));
    }
    wrong
}

fn measure(case: &'static str, way: Way, args: &Args) -> Line {
    let mut server = server(args.entities, way);
    let warmup = args.ticks / 10 + 2;
    let mut measured = Vec::new();
    let mut wrong = None;
    let mut before = 0;
    for number in 0..warmup + args.ticks {
        let (ms, handovers) = tick(&mut server);
        // In the first tick nobody has moved yet.
        if number > 0 && handovers != before + args.entities as u64 {
            wrong.get_or_insert(format!("{} handovers in tick {number}", handovers - before));
        }
        before = handovers;
        if number >= warmup {
            measured.push(ms * 1e6 / args.entities as f64);
        }
    }
    let wrong = wrong.or_else(|| fault(&mut server, args.entities));
    let ns = median(&measured);
    Line {
        case,
        entities: args.entities,
        components: 8,
        ns_per_entity: round(ns),
        us_per_entity: round(ns / 1e3),
        check: wrong.unwrap_or_else(|| "ok".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut all_right = true;
    for (case, way) in [("promoted", Way::Promoted), ("plain", Way::Plain)] {
        let line = measure(case, way, &args);
        all_right &= line.check == "ok";
        print_line(&line);
    }
    if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
