//! The client as a bevy plugin: what the player sees is in the game's own `App`, as entities and components.
//!
//! *Does*: polls the connection, spawns an entity for each one in view, gives it the components that the game asked for
//! with [`mirror`](ClientAppExt::mirror), keeps them as the player may see them, interpolates places, and tells as
//! messages what came, went, was hidden, granted, changed or answered; sends the game's actions and inputs.
//! It comes back by itself when the connection is lost, where the player was made to
//! ([`ClientPlugin::connect`] does so), and says so: [`Lost`], then [`Resumed`] or [`Connected`].
//! *Does not*: draw, predict, or read a clock that the game could not exchange: see [`ClientClock`]. A
//! component that is not mirrored is neither made nor told of.
//! *Reads*: a [`Player`], over whatever link it plays. *Writes*: mirrored entities, [`NetIds`], messages.
//!
//! In every update of the `App`, in this order ([`ClientSystems`]):
//!
//! | schedule | set | what |
//! |---|---|---|
//! | `PreUpdate` | `Clock` | the clock moves on |
//! | `PreUpdate` | `Receive` | what has come is taken: answers, notices, the end |
//! | `PreUpdate` | `Mirror` | entities and components become what the newest update shows, then it is told |
//! | `PreUpdate` | `Interpolate` | every [`Position`](crate::space::Position) moves to where it is shown |
//! | `Last` | `Send` | actions leave at once, acks and continuous inputs once per tick of the world |
//!
//! Node-wide state ([`mirror_global`](ClientAppExt::mirror_global)) is a resource, [`Global`], and comes first in `Mirror`;
//! what players are told once ([`hear`](ClientAppExt::hear)) comes last, when what it is about is in its place.
//!
//! ```
//! use std::time::Duration;
//! use terrane::client::plugin::{ClientAppExt, ClientClock, ClientPlugin, Entered, Hidden, NetIds};
//! use terrane::prelude::*;
//! use terrane::testing::TestWorld;
//!
//! #[derive(Component, Clone, Default, Replicate)]
//! struct Lamp { #[sync(broadcast)] lit: bool, #[sync(per_player = owners)] oil: u32 }
//!
//! fn owners(oil: &u32, viewing: &terrane::replication::Viewing) -> Option<u32> {
//!     viewing.is_owner().then_some(*oil)
//! }
//!
//! struct Lamps;
//! impl Plugin for Lamps {
//!     fn build(&self, app: &mut App) { app.replicate::<Lamp>(); }
//! }
//!
//! # fn main() {
//! let game = ServerBuilder::default().add_cell_plugins(Lamps).avatars(|_| {
//!     SpawnRequest::new(NetId::WORLD, Vec3::new(10.0, 10.0, 0.0), Lamp { lit: true, oil: 7 })
//! });
//! let mut world = TestWorld::new(game, WorldSettings::default());
//! let alice = world.connect_apart("alice");
//!
//! let mut app = App::new();
//! app.add_plugins(ClientPlugin::new(alice)).mirror::<Lamp>().insert_resource(ClientClock::by_hand());
//! for _ in 0..5 {
//!     world.tick();
//!     app.world_mut().resource_mut::<ClientClock>().advance(Duration::from_millis(50));
//!     app.update();
//! }
//! let mut lamps = app.world_mut().query::<(&NetId, &Lamp, &Position, Option<&Hidden<Lamp>>)>();
//! let (_, lamp, place, hidden) = lamps.single(app.world()).expect("alice sees herself");
//! assert!(lamp.lit && place.0.x > 9.0);
//! assert!(hidden.is_some_and(|hidden| hidden.hides("oil")), "nobody owns it: draw ??? and not 0");
//! # }
//! ```

mod answers;
mod client;
mod clock;
mod entities;
mod globals;
mod heard;
mod hidden;
mod kinds;
mod messages;
mod reconcile;
mod told;

use std::sync::{Arc, Mutex, PoisonError};

use bevy_app::{App, Last, Plugin, PreUpdate};
use bevy_ecs::prelude::{IntoScheduleConfigs, SystemSet};

use crate::action::Action;
use crate::replication::events::PlayerEvent;
use crate::replication::{Replicate, Schema};

use super::interpolation::DELAY_TICKS_DEFAULT;
use super::player::Player;
use super::reach::{ClientFailure, ClientTarget};

pub use client::Client;
pub use clock::{ClientClock, InterpolationDelay, ShownTick};
pub use entities::{Mirrored, NetIds, OwnAvatar, TargetPosition};
pub use globals::Global;
pub use heard::Heard;
pub use hidden::Hidden;
pub use messages::{
    Answer, ComponentChange, ComponentNews, Connected, Disconnected, Entered, FieldChange, FieldNews,
    HealthChanged, Left, Lost, Notice, Resumed, Welcomed,
};

/// What the plugin does in an update of the `App`, in this order.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientSystems {
    /// The clock moves on. In `PreUpdate`.
    Clock,
    /// What has come over the connection is taken. In `PreUpdate`.
    Receive,
    /// Entities, components and messages of what is seen. In `PreUpdate`.
    Mirror,
    /// Positions between updates. In `PreUpdate`.
    Interpolate,
    /// Actions, acks and inputs leave. In `Last`.
    Send,
}

impl ClientSystems {
    /// Those of `PreUpdate`.
    pub const ORDER: [ClientSystems; 4] =
        [ClientSystems::Clock, ClientSystems::Receive, ClientSystems::Mirror, ClientSystems::Interpolate];
}

/// Puts a player's view of a world into a game's own `App`; see the [module](self).
pub struct ClientPlugin {
    /// Taken when the plugin is built; a plugin is built through a shared reference.
    player: Mutex<Option<Player>>,
    delay_ticks: f64,
}

impl std::fmt::Debug for ClientPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientPlugin").field("delay_ticks", &self.delay_ticks).finish_non_exhaustive()
    }
}

impl ClientPlugin {
    /// For a player on whatever connection: UDP, or memory in a test.
    #[must_use]
    pub fn new(player: Player) -> Self {
        Self { player: Mutex::new(Some(player.with_interpolation())), delay_ticks: DELAY_TICKS_DEFAULT }
    }

    /// Begins to connect over UDP. The schema is what the game's cell plugins register:
    /// [`ServerBuilder::learn`](crate::server::ServerBuilder::learn).
    ///
    /// # Errors
    /// When the token cannot be used, one is needed and there is none, or there is no socket.
    pub fn connect(target: &ClientTarget, schema: Arc<Schema>) -> Result<Self, ClientFailure> {
        Ok(Self::new(target.connect(schema)?))
    }

    /// How far behind the newest update entities are shown, in ticks of the world; 2 unless told otherwise. The game
    /// may change it later: [`InterpolationDelay`].
    #[must_use]
    pub fn delay_ticks(mut self, ticks: f64) -> Self {
        self.delay_ticks = ticks;
        self
    }
}

impl Plugin for ClientPlugin {
    /// # Panics
    /// When one plugin is built twice: there is one connection in it.
    fn build(&self, app: &mut App) {
        let player = self.player.lock().unwrap_or_else(PoisonError::into_inner).take();
        let player =
            player.expect("a ClientPlugin holds one connection: make another plugin for another App");
        app.insert_resource(Client::new(player))
            .insert_resource(InterpolationDelay(self.delay_ticks))
            .init_resource::<ClientClock>()
            .init_resource::<ShownTick>()
            .init_resource::<NetIds>()
            .init_resource::<kinds::Kinds>()
            .init_resource::<heard::Ears>()
            .init_resource::<told::Told>()
            .add_message::<Welcomed>()
            .add_message::<Left>()
            .add_message::<Entered>()
            .add_message::<ComponentNews>()
            .add_message::<FieldNews>()
            .add_message::<Connected>()
            .add_message::<Lost>()
            .add_message::<Resumed>()
            .add_message::<HealthChanged>()
            .add_message::<Notice>()
            .add_message::<Disconnected>();
        for pair in ClientSystems::ORDER.windows(2) {
            app.configure_sets(PreUpdate, pair[0].before(pair[1]));
        }
        app.add_systems(
            PreUpdate,
            (
                clock::run_clock.in_set(ClientSystems::Clock),
                (client::receive, answers::deliver_answers, client::tell_session)
                    .chain()
                    .in_set(ClientSystems::Receive),
                (reconcile::reconcile, heard::tell_heard).chain().in_set(ClientSystems::Mirror),
                (clock::choose_shown_tick, entities::interpolate).chain().in_set(ClientSystems::Interpolate),
            ),
        )
        .add_systems(Last, client::send.in_set(ClientSystems::Send));
    }
}

/// What a game's `App` wants of the world.
pub trait ClientAppExt {
    /// Mirrored entities get the component `C` when they have one that the player may see, and lose it when they or the
    /// player do. Call it before the first update of the `App`.
    ///
    /// # Panics
    /// When updates have run already; in the first update, when the world does not replicate `C` as this program does.
    fn mirror<C: Replicate>(&mut self) -> &mut Self;

    /// Node-wide state of type `G` is the resource [`Global<G>`]. Call it before the first update of the `App`.
    ///
    /// # Panics
    /// As [`mirror`](Self::mirror).
    fn mirror_global<G: Replicate>(&mut self) -> &mut Self;

    /// What the player is told of type `E` comes as messages [`Heard<E>`]. Without it they are not told.
    ///
    /// # Panics
    /// In the first update, when the world tells no such event.
    fn hear<E: PlayerEvent>(&mut self) -> &mut Self;

    /// Answers to actions of type `A` come as messages [`Answer<A>`]. Without it they are not told.
    fn answers<A: Action>(&mut self) -> &mut Self;
}

impl ClientAppExt for App {
    fn mirror<C: Replicate>(&mut self) -> &mut Self {
        self.world_mut().get_resource_or_init::<kinds::Kinds>().add::<C>();
        self
    }

    fn mirror_global<G: Replicate>(&mut self) -> &mut Self {
        self.init_resource::<Global<G>>();
        self.world_mut().get_resource_or_init::<kinds::Kinds>().add_global::<G>();
        self
    }

    fn hear<E: PlayerEvent>(&mut self) -> &mut Self {
        self.world_mut().get_resource_or_init::<heard::Ears>().add::<E>();
        self.add_message::<Heard<E>>()
    }

    fn answers<A: Action>(&mut self) -> &mut Self {
        self.add_message::<Answer<A>>()
    }
}
