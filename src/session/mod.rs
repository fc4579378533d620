//! Players: from a connection that said hello to a session with an avatar and a view, and back.
//!
//! *Does*: admits players at a bounded rate once their profile is there, gives each an avatar and an epoch, keeps a session
//! for a while when its connection is lost, lets clients resume it, ends sessions and says why, carries out what operators
//! order about players, hands over what changed of avatars by its class of durability. Every change of a player's state goes through the machine in [`state`].
//! *Does not*: check tokens (that is `net`), simulate avatars (that is the game), or know sockets or files.
//! *Reads*: joins, leaves, losses, profiles and orders of the tick's input. *Writes*: sessions, avatars, messages to
//! clients, what is to be stored of players.

pub mod admit;
pub mod arrival;
pub mod avatar;
pub mod departed;
mod ends;
pub mod follow_parties;
pub mod lasting;
pub mod moderate;
pub mod persist;
pub mod registry;
pub mod relevance;
pub mod rows;
pub mod state;

pub use registry::{Session, SessionCounts, SessionProfile, Sessions};
pub use state::State;

use std::sync::Arc;

use bevy_ecs::prelude::Resource;

use crate::cell::requests::SpawnRequest;
use crate::ids::{PlayerId, Role, TickNumber};
use crate::space::Area;

/// What a game may know when it makes a player's avatar.
#[derive(Clone, Debug)]
pub struct AvatarRequest {
    /// Whose.
    pub player: PlayerId,
    /// What the player may do.
    pub role: Role,
    /// In which tick.
    pub tick: TickNumber,
    /// The world's seed.
    pub seed: u64,
    /// The whole world.
    pub world: Area,
}

/// How the game makes avatars. Must be a function of the request alone.
#[derive(Resource, Clone)]
pub struct AvatarRecipe(pub Arc<dyn Fn(&AvatarRequest) -> SpawnRequest + Send + Sync>);

impl std::fmt::Debug for AvatarRecipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AvatarRecipe")
    }
}
