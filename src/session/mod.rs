//! Players: from a connection that said hello to a session with an avatar and a view, and back.
//!
//! *Does*: admits players at a bounded rate, gives each an avatar and an epoch, ends sessions and says why.
//! *Does not*: check tokens (that is `net`), simulate avatars (that is the game), or know sockets.
//! *Reads*: joins and leaves of the tick's input. *Writes*: sessions, avatars, messages to clients.

pub mod admit;
pub mod party;
pub mod registry;
pub mod relevance;

pub use party::{Parties, Party, PartyRefusal};
pub use registry::{Session, Sessions};

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
