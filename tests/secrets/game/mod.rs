//! A game in which everything that sync policies go by changes all the time, by chance that is the same on every
//! layout.
//!
//! Chance comes in two streams: *open* chance decides what Alice may notice, *sealed* chance all else. Of two worlds that
//! differ in the seed of the sealed one alone she must be told the same, bit by bit.

mod absence;
mod dice;
mod life;
pub mod node;
mod plan;
mod speech;
mod subjects;

use std::sync::atomic::Ordering;

use terrane::ids::CellId;
use terrane::prelude::*;
use terrane::replication::policy::Subject;

use crate::things::{Banner, Body, Camp, Fate, File, Ledger, Load, Orders, Plot, Tree, Vault};
use crate::twigs::Grove;
use life::{Carrying, Living, carry, live};
use plan::spawner_of;

pub use plan::SECRET;

pub use absence::Absence;
pub use dice::Dice;
pub use plan::{POPULATION, Plan, name_of};
use speech::{Letter, Shout};

pub use speech::Said;
pub use subjects::change_context;

/// Edge of the world, m: what is always relevant may be farther than low bits of places reach.
pub const EDGE_M: f32 = 600.0;
/// Where everybody likes to be: a corner of four cells of 120 m, the middle of an edge, the corner of the quarters, the
/// middle of a cell.
const SPOTS: [[f32; 2]; 4] = [[240.0, 240.0], [360.0, 420.0], [300.0, 300.0], [60.0, 540.0]];
const SPOT_RADIUS_M: f32 = 26.0;

/// What [`Body::kind`] says of players.
const AVATAR: u8 = 9;

pub fn alice() -> PlayerId {
    PlayerId::new("alice").expect("a name")
}

/// The cells' part of the game.
#[derive(Clone)]
pub struct Game(pub Plan);

impl Plugin for Game {
    fn build(&self, app: &mut App) {
        let frozen = self.0.frozen.clone();
        let runs = move || !frozen.load(Ordering::Relaxed);
        let (plan, again) = (self.0.clone(), self.0.clone());
        let live = move |context: Res<TickContext>,
                         requests: WorldRequests,
                         commands: Commands,
                         mut events: PlayerEvents,
                         things: Query<Living>| {
            live(&plan, &context, requests, commands, &mut events, things);
        };
        let carry = move |context: Res<TickContext>, commands: Commands, things: Query<Carrying>| {
            carry(&again, &context, commands, things);
        };
        app.replicate::<Vault>()
            .replicate::<Orders>()
            .replicate::<File>()
            .replicate::<Body>()
            .replicate::<Load>()
            .replicate::<Plot>()
            .replicate::<Banner>()
            .replicate::<Camp>()
            .replicate::<Fate>()
            .replicate::<Tree>()
            .replicate::<Grove>()
            .replicate::<Ledger>()
            .add_player_event::<Shout>(Delivery::WithUpdate)
            .add_player_event::<Letter>(Delivery::Reliable)
            .add_systems(Simulate, (live, carry).chain().run_if(runs));
    }
}

fn near_a_spot(chance: &mut Random, spots: usize) -> Vec3 {
    let spot = Vec2::from(SPOTS[chance.below(spots)]);
    let off = Vec2::new(chance.between(-1.0..1.0), chance.between(-1.0..1.0)) * SPOT_RADIUS_M;
    (spot + off).extend(chance.between(0.0..4.0))
}

/// The world in which they live.
pub fn settings(seed: u64) -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(EDGE_M) };
    WorldSettings {
        area,
        seed,
        secret: SECRET,
        bucket_m: 8.0,
        check_invariants: true,
        audit_every: Some(1),
        ..WorldSettings::default()
    }
    .with_distances(24.0, 27.0, 60.0, 2.0)
}

/// The layouts on which everything must be the same.
pub fn layouts(seed: u64) -> Vec<(&'static str, WorldSettings)> {
    let cell = |depth, cx, cy| CellId { world: 0, depth, cx, cy };
    // Cells of three sizes, sharing corners and T-junctions.
    let mut cells = vec![cell(0, 1, 0), cell(0, 0, 1)];
    cells.extend([(0, 0), (1, 0), (0, 1)].map(|(cx, cy)| cell(1, cx, cy)));
    cells.extend([(2, 2), (3, 2), (2, 3), (3, 3)].map(|(cx, cy)| cell(2, cx, cy)));
    cells.extend([(2, 2), (3, 2), (2, 3), (3, 3)].map(|(cx, cy)| cell(1, cx, cy)));
    vec![
        ("1 x 1", WorldSettings { grid: [1, 1], ..settings(seed) }),
        ("2 x 2", WorldSettings { grid: [2, 2], ..settings(seed) }),
        ("5 x 5 on two threads", WorldSettings { grid: [5, 5], threads: 2, ..settings(seed) }),
        ("mixed", WorldSettings { grid: [2, 2], cells: Some(cells), ..settings(seed) }),
    ]
}

/// The game in a new world.
pub fn game(plan: &Plan) -> ServerBuilder {
    let (of_avatars, of_populace) = (plan.clone(), plan.clone());
    ServerBuilder::default()
        .add_cell_plugins(Game(plan.clone()))
        .add_plugins(node::NodeGame(plan.clone()))
        .avatars(move |request| {
            let name = request.player.as_str();
            let mut dice = of_avatars.dice(spawner_of(name), TickNumber(0), 3);
            let body = Body { kind: AVATAR, ..dice.opened(Dice::body) };
            let bundle = (body, Subject::owned_by(request.player.clone()));
            let place = near_a_spot(&mut dice.open, of_avatars.spots());
            SpawnRequest { class: 0, ..SpawnRequest::new(spawner_of(name), place, bundle) }
        })
        .populate(move |world| {
            for number in 1..=of_populace.population {
                let mut dice = of_populace.dice(name_of(number), TickNumber(0), 7);
                let place = near_a_spot(&mut dice.open, of_populace.spots());
                let (body, camp) = (dice.body(), dice.camp());
                let mut subject = Subject::default();
                for _ in 0..6 {
                    dice.change_subject(&mut subject);
                }
                let born = match (dice.phantom, number % 3) {
                    (true, _) => world.spawn(SpawnRequest::new(NetId::WORLD, place, (body, camp, subject))),
                    (_, 0) => world.spawn(SpawnRequest::new(NetId::WORLD, place, (body, subject))),
                    (_, 1) => world.spawn(SpawnRequest::new(NetId::WORLD, place, (body, camp, subject))),
                    _ => world.spawn(SpawnRequest::new(NetId::WORLD, place, body)),
                };
                assert_eq!(born, name_of(number), "names can be foretold");
            }
        })
}
