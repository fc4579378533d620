//! What a game may not do, and how it is told: at start where possible, else in the very tick, by name.

mod foreign;
mod published;
mod settings;
mod start;
mod ticks;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bevy_ecs::prelude::{Bundle, Mut};
use bevy_ecs::schedule::ScheduleLabel;
use bevy_ecs::system::ScheduleSystem;
use terrane::cell::SpaceLimits;
use terrane::cell::markers::Ghost;
use terrane::cell::pool::{InterestCells, with_cells};
use terrane::cell::survey::AllowLongSteps;
use terrane::ghost::import::PublishedExports;
use terrane::prelude::*;
use terrane::server::{Server, ServerError, TickInput, TickReport};

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Stone {
    #[sync(broadcast)]
    weight: u32,
}

#[derive(Component, Clone, Debug, Default, Replicate)]
struct Many {
    #[sync(broadcast)]
    f00: [u8; 4],
    #[sync(broadcast)]
    f01: u8,
    #[sync(broadcast)]
    f02: u8,
    #[sync(broadcast)]
    f03: u8,
    #[sync(broadcast)]
    f04: u8,
    #[sync(broadcast)]
    f05: u8,
    #[sync(broadcast)]
    f06: u8,
    #[sync(broadcast)]
    f07: u8,
    #[sync(broadcast)]
    f08: u8,
    #[sync(broadcast)]
    f09: u8,
    #[sync(broadcast)]
    f10: u8,
    #[sync(broadcast)]
    f11: u8,
    #[sync(broadcast)]
    f12: u8,
    #[sync(broadcast)]
    f13: u8,
    #[sync(broadcast)]
    f14: u8,
    #[sync(broadcast)]
    f15: u8,
    #[sync(broadcast)]
    f16: u8,
    #[sync(broadcast)]
    f17: u8,
    #[sync(broadcast)]
    f18: u8,
    #[sync(broadcast)]
    f19: u8,
    #[sync(broadcast)]
    f20: u8,
    #[sync(broadcast)]
    f21: u8,
    #[sync(broadcast)]
    f22: u8,
    #[sync(broadcast)]
    f23: u8,
    #[sync(broadcast)]
    f24: u8,
    #[sync(broadcast)]
    f25: u8,
    #[sync(broadcast)]
    f26: u8,
    #[sync(broadcast)]
    f27: u8,
    #[sync(broadcast)]
    f28: u8,
    #[sync(broadcast)]
    f29: u8,
    #[sync(broadcast)]
    f30: u8,
    #[sync(broadcast)]
    f31: u8,
}

/// As many fields again, under another name.
#[derive(Component, Clone, Debug, Default, Replicate)]
struct More {
    #[sync(broadcast)]
    f00: u8,
    #[sync(broadcast)]
    f01: u8,
    #[sync(broadcast)]
    f02: u8,
    #[sync(broadcast)]
    f03: u8,
    #[sync(broadcast)]
    f04: u8,
    #[sync(broadcast)]
    f05: u8,
    #[sync(broadcast)]
    f06: u8,
    #[sync(broadcast)]
    f07: u8,
    #[sync(broadcast)]
    f08: u8,
    #[sync(broadcast)]
    f09: u8,
    #[sync(broadcast)]
    f10: u8,
    #[sync(broadcast)]
    f11: u8,
    #[sync(broadcast)]
    f12: u8,
    #[sync(broadcast)]
    f13: u8,
    #[sync(broadcast)]
    f14: u8,
    #[sync(broadcast)]
    f15: u8,
    #[sync(broadcast)]
    f16: u8,
    #[sync(broadcast)]
    f17: u8,
    #[sync(broadcast)]
    f18: u8,
    #[sync(broadcast)]
    f19: u8,
    #[sync(broadcast)]
    f20: u8,
    #[sync(broadcast)]
    f21: u8,
    #[sync(broadcast)]
    f22: u8,
    #[sync(broadcast)]
    f23: u8,
    #[sync(broadcast)]
    f24: u8,
    #[sync(broadcast)]
    f25: u8,
    #[sync(broadcast)]
    f26: u8,
    #[sync(broadcast)]
    f27: u8,
    #[sync(broadcast)]
    f28: u8,
    #[sync(broadcast)]
    f29: u8,
    #[sync(broadcast)]
    f30: u8,
    #[sync(broadcast)]
    f31: u8,
}

#[derive(Component, Clone, Default)]
struct Unregistered;

#[derive(Resource, Default)]
struct Stray;

#[derive(Resource, Default)]
struct Tally;

#[derive(Debug)]
struct Tables;

#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Elsewhere;

/// A plugin made of a closure.
struct Game<F>(F);

impl<F: Fn(&mut App) + Send + Sync + 'static> Plugin for Game<F> {
    fn build(&self, app: &mut App) {
        (self.0)(app);
    }
}

fn settings() -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
    WorldSettings { area, grid: [2, 2], bucket_m: 8.0, check_invariants: true, ..WorldSettings::default() }
        .with_distances(10.0, 12.0, 20.0, 2.0)
}

fn build(game: impl Fn(&mut App) + Send + Sync + 'static) -> Result<Server, ServerError> {
    ServerBuilder::default().add_cell_plugins(Game(game)).build(settings(), None)
}

fn refusal(game: impl Fn(&mut App) + Send + Sync + 'static) -> String {
    build(game).expect_err("this game is faulty").to_string()
}

/// A world with stones of this bundle at these places, and one system.
fn world<B: Bundle + Clone + Sync, M>(
    bundle: B,
    places: &[Vec3],
    system: impl IntoScheduleConfigs<ScheduleSystem, M> + Clone + Send + Sync + 'static,
) -> Server {
    let places = places.to_vec();
    ServerBuilder::default()
        .add_cell_plugins(Game(move |app: &mut App| {
            app.replicate::<Stone>()
                .replicate::<Many>()
                .replicate::<More>()
                .add_systems(Simulate, system.clone());
        }))
        .populate(move |world| {
            for &place in &places {
                world.spawn(SpawnRequest::new(NetId::WORLD, place, bundle.clone()));
            }
        })
        .build(settings(), None)
        .expect("nothing is wrong with it at start")
}

fn tick(server: &mut Server) -> TickReport {
    let tick = server.next_tick();
    server.tick(TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() }).report
}

/// What the panic of one of the next few ticks says.
fn fault(mut server: Server) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..5 {
            tick(&mut server);
        }
    }))
    .expect_err("a rule is broken");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a panic has a text")).to_owned(),
    }
}

fn counter(report: &TickReport, name: &str) -> u64 {
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

const SOUTH_WEST: Vec3 = Vec3::new(20.0, 20.0, 0.0);
