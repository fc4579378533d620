//! The shipped world: caravans travel a network of roads between trade nodes, and players walk among them.
//!
//! *Does*: everything a game does: components, systems, actions, avatars, NPCs, bots, words for a console.
//! *Does not*: use anything but the public API, as any other game: what it does not need from the engine's inside,
//! no game needs.
//! *Reads*: the map of the roads. *Writes*: its components.

pub mod bots;
pub mod console;
pub mod roads;
mod travel;
mod walk;

pub use roads::{RoadError, Roads};
pub use travel::{Caravan, Journey};
pub use walk::{Aboard, SAY_BYTES_MAX, Said, Say, Steer, TakeCoach, WALK_M_S_MAX, Walker};

use crate::prelude::*;

/// The cells' part of the game.
#[derive(Clone, Copy, Debug, Default)]
pub struct CaravanPlugin;

impl Plugin for CaravanPlugin {
    fn build(&self, app: &mut App) {
        app.replicate::<Caravan>()
            .replicate::<Walker>()
            .server_only::<Journey>()
            .read_published::<Roads>()
            .add_action::<Steer, Walker>(walk::steer)
            .add_action::<Say, Walker>(walk::say)
            .add_action::<TakeCoach, Walker>(walk::take_coach)
            .add_systems(
                Simulate,
                (travel::travel, (walk::walk, walk::ride, walk::fall_silent).chain()).chain(),
            );
    }
}

/// The whole game: cells, roads, avatars, and as many caravans as the world's settings ask for.
#[must_use]
pub fn caravan_game(builder: ServerBuilder, roads: Roads) -> ServerBuilder {
    caravan_world(builder.add_cell_plugins(CaravanPlugin), roads)
}

/// What the game adds once its map is known.
#[must_use]
pub fn caravan_world(builder: ServerBuilder, roads: Roads) -> ServerBuilder {
    let population = roads.clone();
    let squares = roads.clone();
    builder
        .publish(roads)
        .avatars(move |request| walk::avatar(request, &squares))
        .npcs::<Caravan>(move |world, number| travel::spawn_caravan(world, &population, number))
}
