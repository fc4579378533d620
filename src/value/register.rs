//! What plugins of a game register of value: tables, kinds of change, couriers.

use std::sync::{Mutex, PoisonError};

use bevy_app::App;
use bevy_ecs::prelude::Resource;

use crate::reward::Name;
use crate::store::game::{GamePlugin, GameStore};
use crate::store::{Courier, Couriers};

/// The game's own tables and kinds of change.
#[derive(Resource, Clone, Debug, Default)]
pub(crate) struct GameTables(pub(crate) GameStore);

/// The game's couriers, until a driver takes them.
#[derive(Resource, Debug, Default)]
pub(crate) struct RegisteredCouriers(Mutex<Couriers>);

impl RegisteredCouriers {
    pub(crate) fn take(&mut self) -> Couriers {
        std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What plugins of the node may register of value, beside the [tables](crate::server::ServerBuilder::rewards) that rewards are
/// planned with.
pub trait ValueAppExt {
    /// Keeps tables of the game's own in its save, which plans change by the plugin's kinds of change.
    ///
    /// # Panics
    /// When a plugin of this name, or a kind of the name of one of its kinds, is registered already.
    fn game_tables(&mut self, plugin: GamePlugin) -> &mut Self;

    /// Says who delivers what plans leave in the outbox under this name
    /// ([`PlanRequest::deliver`](crate::reward::PlanRequest::deliver)).
    ///
    /// # Panics
    /// When somebody delivers it already.
    fn delivers(&mut self, kind: impl Into<Name>, courier: impl Courier) -> &mut Self;
}

impl ValueAppExt for App {
    fn game_tables(&mut self, plugin: GamePlugin) -> &mut Self {
        let mut tables = self.world_mut().get_resource_or_init::<GameTables>();
        tables.0 = std::mem::take(&mut tables.0).plugin(plugin);
        self
    }

    fn delivers(&mut self, kind: impl Into<Name>, courier: impl Courier) -> &mut Self {
        let mut couriers = self.world_mut().get_resource_or_init::<RegisteredCouriers>();
        couriers.0.get_mut().unwrap_or_else(PoisonError::into_inner).add(kind.into(), courier);
        self
    }
}
