//! The game that is measured: three components, no systems of its own. Entities are moved from outside, in
//! the set `Act`, so that the clock starts when positions have changed.

use std::sync::{Arc, Mutex};

use bevy_ecs::prelude::{IntoScheduleConfigs, Mut, Resource, World};
use rustc_hash::FxHashMap;
use terrane::action::act;
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::server::Server;
use terrane::session::Sessions;
use terrane::telemetry::{Heartbeat, StageClock};

use super::breakdown::Breakdown;
use super::motion::{ENTER_RADIUS_M, LEAVE_RADIUS_M, Motion, SPEED_M_S_MAX, Scenario};

/// Edge that a cell of a small world has at least, m: 2.5 times the radius of sight.
const CELL_EDGE_M_MIN: f32 = 125.0;

#[derive(Component, Clone, Copy, Default, Replicate)]
pub(crate) struct Velocity {
    #[sync(broadcast)]
    pub(crate) x: f32,
    #[sync(broadcast)]
    pub(crate) y: f32,
    #[sync(broadcast)]
    pub(crate) z: f32,
}

#[derive(Component, Clone, Copy, Default, Replicate)]
pub(crate) struct Health {
    #[sync(broadcast)]
    pub(crate) points: u32,
}

/// What an entity of the motion has besides its place.
pub(crate) fn components(motion: &Motion, at: usize) -> (Velocity, Health) {
    let velocity = motion.velocities[at];
    (Velocity { x: velocity.x, y: velocity.y, z: 0.0 }, Health { points: 100 + at as u32 % 900 })
}

struct GamePlugin;

impl Plugin for GamePlugin {
    fn build(&self, app: &mut App) {
        app.replicate::<Velocity>().replicate::<Health>();
    }
}

/// The motion, and which entity of it bears which name.
#[derive(Resource)]
pub(crate) struct Crowd {
    pub(crate) motion: Motion,
    pub(crate) at: FxHashMap<NetId, u32>,
    /// Whether everybody is there and moves.
    pub(crate) runs: bool,
}

/// The world of a scenario. Avatars are missing until their players have joined.
pub(crate) fn server(scenario: &Scenario, motion: &Motion, threads: usize) -> Server {
    let crowd = Crowd { motion: motion.clone(), at: FxHashMap::default(), runs: false };
    // Several cells, also where the world is small.
    let several = (motion.side_m / CELL_EDGE_M_MIN).clamp(1.0, 2.0);
    let columns = (motion.side_m / scenario.cell_m).round().max(several.floor()) as u32;
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(motion.side_m) };
    let settings = WorldSettings {
        name: "replicate".into(),
        area,
        grid: [columns; 2],
        players_max: scenario.clients as u32,
        threads,
        check_invariants: false,
        ..WorldSettings::default()
    }
    .with_distances(ENTER_RADIUS_M, LEAVE_RADIUS_M, SPEED_M_S_MAX, 0.0);
    let names = Arc::new(Mutex::new(Vec::new()));
    let (populate_motion, avatar_motion, populate_names) = (motion.clone(), motion.clone(), names.clone());
    let npcs = scenario.entities - scenario.clients;
    let mut server = ServerBuilder::default()
        .add_cell_plugins(GamePlugin)
        .add_plugins((CrowdPlugin, Breakdown))
        .observe(StageClock::system(), Heartbeat::new())
        .avatars(move |request| {
            let client: usize = request.player.as_str()[1..].parse().expect("players are numbered");
            request_for(&avatar_motion, npcs + client)
        })
        .populate(move |world| {
            let mut names = populate_names.lock().expect("nobody panics with it");
            names.extend((0..npcs).map(|at| world.spawn(request_for(&populate_motion, at))));
        })
        .build(settings, None)
        .expect("the scenario is sound");
    let names = names.lock().expect("nobody panics with it");
    let mut crowd = crowd;
    crowd.at.extend(names.iter().zip(0..).map(|(&net_id, at)| (net_id, at)));
    server.node_mut().insert_resource(crowd);
    server
}

fn request_for(motion: &Motion, at: usize) -> SpawnRequest {
    SpawnRequest::new(NetId::WORLD, motion.places[at], components(motion, at))
}

/// The name of the player of a client: sorted as they are numbered.
pub(crate) fn player(client: usize) -> PlayerId {
    PlayerId::new(&format!("p{client:08}")).expect("a short, printable name")
}

/// Notes whose avatars the avatars are, gives everybody the eye of the scenario, and lets everything move.
pub(crate) fn start(server: &mut Server, scenario: &Scenario) {
    server.node_mut().resource_scope(|world, mut crowd: Mut<Crowd>| {
        let npcs = scenario.entities - scenario.clients;
        let mut sessions = world.remove_resource::<Sessions>().expect("a server has sessions");
        for session in sessions.iter() {
            crowd.at.insert(session.avatar, (npcs + session.id.index as usize) as u32);
        }
        assert_eq!(crowd.at.len(), scenario.entities, "everybody is there");
        if scenario.same_spot {
            let eye = scenario.eye(&crowd.motion, 0) as u32;
            let (&net_id, _) = crowd.at.iter().find(|(_, at)| **at == eye).expect("everybody has a name");
            let row = world.resource::<Rows>().row(net_id).expect("everybody has a row");
            for session in sessions.iter_mut() {
                (session.avatar, session.avatar_row) = (net_id, row);
            }
        }
        world.insert_resource(sessions);
        crowd.runs = true;
    });
}

struct CrowdPlugin;

impl Plugin for CrowdPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(Tick, move_crowd.in_set(TickSystems::Act).after(act::act));
    }
}

/// Takes the next step and writes it into the cells, as game systems would.
fn move_crowd(world: &mut World) {
    world.resource_scope(|world, mut crowd: Mut<Crowd>| {
        if !crowd.runs {
            return;
        }
        crowd.motion.step();
        let Crowd { motion, at, .. } = &mut *crowd;
        let mut moves = vec![false; motion.places.len()];
        for &at in &motion.moved {
            moves[at as usize] = true;
        }
        with_cells(world, |_, cells| {
            for cell in cells.iter_mut() {
                let mut entities =
                    cell.world.query_filtered::<(&NetId, &mut Position, &mut Velocity), With<Owned>>();
                for (net_id, mut position, mut velocity) in entities.iter_mut(&mut cell.world) {
                    let at = at[net_id] as usize;
                    if !moves[at] {
                        continue;
                    }
                    position.0 = motion.places[at];
                    let now = motion.velocities[at];
                    if (velocity.x, velocity.y) != (now.x, now.y) {
                        (velocity.x, velocity.y) = (now.x, now.y);
                    }
                }
            }
        });
    });
}
