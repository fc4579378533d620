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

/// [`Velocity`] of an entity whose fields are masked.
#[derive(Component, Clone, Copy, Default, Replicate)]
pub(crate) struct MaskedVelocity {
    #[sync(masked = to_halves)]
    pub(crate) x: f32,
    #[sync(masked = to_halves)]
    pub(crate) y: f32,
    #[sync(masked = to_halves)]
    pub(crate) z: f32,
}

/// [`Health`] of an entity whose fields are masked.
#[derive(Component, Clone, Copy, Default, Replicate)]
pub(crate) struct MaskedHealth {
    #[sync(masked = to_tens)]
    pub(crate) points: u32,
}

/// What everybody sees otherwise; changes in every step.
#[derive(Component, Clone, Copy, Default, PartialEq, Replicate)]
pub(crate) struct Offers {
    #[sync(per_player = price_for)]
    pub(crate) wool: u32,
    #[sync(per_player = price_for)]
    pub(crate) salt: u32,
    #[sync(per_player = price_for)]
    pub(crate) iron: u32,
}

fn to_halves(metres_per_second: &f32) -> f32 {
    (metres_per_second * 2.0).round() * 0.5
}

fn to_tens(points: &u32) -> u32 {
    points / 10 * 10
}

/// Everybody has a discount of their own, and every fourth is told nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "policies are given references")]
fn price_for(price: &u32, player: &PlayerId) -> Option<u32> {
    let number = u32::from(*player.as_str().as_bytes().last().expect("players are numbered"));
    (number % 4 != 0).then(|| price + number)
}

/// What an entity of the motion has besides its place.
#[derive(Clone, Copy)]
pub(crate) struct Components {
    pub(crate) velocity: Velocity,
    pub(crate) health: Health,
    pub(crate) masked: bool,
    pub(crate) offers: Option<Offers>,
}

impl Components {
    /// Of one entity, now.
    pub(crate) fn of(scenario: &Scenario, motion: &Motion, at: usize) -> Self {
        let (velocity, place) = (motion.velocities[at], motion.places[at]);
        // Spread evenly over all entities, whatever their numbers.
        let lot = |salt: f64| (at as f64 * 0.618_033_988_75 + salt).fract();
        let [wool, salt] = [place.x, place.y].map(|metres| (metres * 128.0) as u32);
        Self {
            velocity: Velocity { x: velocity.x, y: velocity.y, z: 0.0 },
            health: Health { points: 100 + at as u32 % 900 },
            masked: lot(0.0) < scenario.masked,
            offers: (lot(0.5) < scenario.per_player).then_some(Offers { wool, salt, iron: wool ^ salt }),
        }
    }

    /// As everybody is told them, but for the offers.
    pub(crate) fn told(&self) -> (Velocity, Health) {
        let Self { velocity, health, masked, .. } = *self;
        if !masked {
            return (velocity, health);
        }
        let [x, y, z] = [velocity.x, velocity.y, velocity.z].map(|axis| to_halves(&axis));
        (Velocity { x, y, z }, Health { points: to_tens(&health.points) })
    }

    fn spawn(self, place: Vec3) -> SpawnRequest {
        let mut request = SpawnRequest::new(NetId::WORLD, place, ());
        request.build = Box::new(move |entity| {
            let Self { velocity: Velocity { x, y, z }, health, masked, offers } = self;
            if masked {
                entity.insert((MaskedVelocity { x, y, z }, MaskedHealth { points: health.points }));
            } else {
                entity.insert((self.velocity, health));
            }
            if let Some(offers) = offers {
                entity.insert(offers);
            }
        });
        request
    }
}

impl Offers {
    /// As one player is told them; hidden ones are 0.
    pub(crate) fn told(&self, player: &PlayerId) -> Self {
        let [wool, salt, iron] =
            [self.wool, self.salt, self.iron].map(|price| price_for(&price, player).unwrap_or_default());
        Self { wool, salt, iron }
    }
}

struct GamePlugin;

impl Plugin for GamePlugin {
    fn build(&self, app: &mut App) {
        app.replicate::<Velocity>()
            .replicate::<Health>()
            .replicate::<MaskedVelocity>()
            .replicate::<MaskedHealth>()
            .replicate::<Offers>();
    }
}

/// The motion, and which entity of it bears which name.
#[derive(Resource)]
pub(crate) struct Crowd {
    scenario: Scenario,
    pub(crate) motion: Motion,
    pub(crate) at: FxHashMap<NetId, u32>,
    /// Whether everybody is there and moves.
    pub(crate) runs: bool,
}

/// The world of a scenario. Avatars are missing until their players have joined.
pub(crate) fn server(scenario: &Scenario, motion: &Motion, threads: usize) -> Server {
    let crowd = Crowd { scenario: *scenario, motion: motion.clone(), at: FxHashMap::default(), runs: false };
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
    let (populate_scenario, avatar_scenario) = (*scenario, *scenario);
    let npcs = scenario.entities - scenario.clients;
    let mut server = ServerBuilder::default()
        .add_cell_plugins(GamePlugin)
        .add_plugins((CrowdPlugin, Breakdown))
        .observe(StageClock::system(), Heartbeat::new())
        .avatars(move |request| {
            let client: usize = request.player.as_str()[1..].parse().expect("players are numbered");
            request_for(&avatar_scenario, &avatar_motion, npcs + client)
        })
        .populate(move |world| {
            let mut names = populate_names.lock().expect("nobody panics with it");
            names.extend(
                (0..npcs).map(|at| world.spawn(request_for(&populate_scenario, &populate_motion, at))),
            );
        })
        .build(settings, None)
        .expect("the scenario is sound");
    let names = names.lock().expect("nobody panics with it");
    let mut crowd = crowd;
    crowd.at.extend(names.iter().zip(0..).map(|(&net_id, at)| (net_id, at)));
    server.node_mut().insert_resource(crowd);
    server
}

fn request_for(scenario: &Scenario, motion: &Motion, at: usize) -> SpawnRequest {
    Components::of(scenario, motion, at).spawn(motion.places[at])
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

/// What a step writes.
type Moving = (
    &'static NetId,
    &'static mut Position,
    Option<&'static mut Velocity>,
    Option<&'static mut MaskedVelocity>,
    Option<&'static mut Offers>,
);

/// Takes the next step and writes it into the cells, as game systems would.
fn move_crowd(world: &mut World) {
    world.resource_scope(|world, mut crowd: Mut<Crowd>| {
        if !crowd.runs {
            return;
        }
        crowd.motion.step();
        let Crowd { scenario, motion, at, .. } = &mut *crowd;
        let mut moves = vec![false; motion.places.len()];
        for &at in &motion.moved {
            moves[at as usize] = true;
        }
        with_cells(world, |_, cells| {
            for cell in cells.iter_mut() {
                let mut entities = cell.world.query_filtered::<Moving, With<Owned>>();
                for (net_id, mut position, velocity, masked, offers) in entities.iter_mut(&mut cell.world) {
                    let at = at[net_id] as usize;
                    if !moves[at] {
                        continue;
                    }
                    position.0 = motion.places[at];
                    let now = motion.velocities[at];
                    if let Some(mut velocity) = velocity
                        && (velocity.x, velocity.y) != (now.x, now.y)
                    {
                        (velocity.x, velocity.y) = (now.x, now.y);
                    }
                    if let Some(mut velocity) = masked
                        && (velocity.x, velocity.y) != (now.x, now.y)
                    {
                        (velocity.x, velocity.y) = (now.x, now.y);
                    }
                    if let Some(mut offers) = offers {
                        *offers =
                            Components::of(scenario, motion, at).offers.expect("who has them keeps them");
                    }
                }
            }
        });
    });
}
