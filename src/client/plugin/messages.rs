//! What the plugin tells a game, as bevy messages.

use std::time::Duration;

use bevy_ecs::message::Message;
use bevy_ecs::prelude::Entity;

use crate::action::Action;
use crate::client::connection::Ended;
use crate::client::player::ReplyError;
use crate::ids::{ActionId, NetId};
use crate::protocol::messages::Health;

/// The player is in the world. What the entity it steers is called; it is marked with
/// [`OwnAvatar`](super::OwnAvatar) as soon as it is seen.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcomed {
    /// The player's avatar.
    pub avatar: NetId,
}

/// An entity is in view from now on, with all its components: they are not told one by one.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Its entity in the `App`, spawned.
    pub entity: Entity,
    /// Its name.
    pub net_id: NetId,
}

/// An entity is not in view any longer: too far, dead or hidden.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its entity in the `App`, which is despawned already.
    pub entity: Entity,
    /// Its name.
    pub net_id: NetId,
}

/// What became of a component of an entity that was in view before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComponentChange {
    /// It has come, with all its fields.
    Added,
    /// It is gone, or what was hidden of it is forgotten.
    Removed,
    /// The player may not see it any longer: it is gone here, and [`Hidden`](super::Hidden) says so.
    Hidden,
    /// The player may see it again: it is there with all its fields.
    Granted,
}

/// Something became of a mirrored component of an entity that was in view before.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentNews {
    /// Whose.
    pub entity: Entity,
    /// Its name.
    pub net_id: NetId,
    /// Which: its name in the schema.
    pub component: &'static str,
    /// What became of it.
    pub change: ComponentChange,
}

/// What became of a field of a component that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldChange {
    /// It has another value. Of a nested field also: other parts of it are hidden.
    Changed,
    /// The player may not see it any longer: it reads as its default, and [`Hidden`](super::Hidden) says so.
    Hidden,
    /// The player may see it from now on: its value is there.
    Granted,
}

/// Something became of a field of a mirrored component that was there before.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldNews {
    /// Whose.
    pub entity: Entity,
    /// Its name.
    pub net_id: NetId,
    /// Of which component.
    pub component: &'static str,
    /// Which field; `value` of an enum, `0`, `1` … of a tuple.
    pub field: &'static str,
    /// What became of it.
    pub change: FieldChange,
}

/// The answer to an action, once what it caused can be seen. Told after [`answers`](super::ClientAppExt::answers).
#[derive(Message)]
pub struct Answer<A: Action> {
    /// Which action: what [`Client::call`](super::Client::call) gave.
    pub id: ActionId,
    /// What the world answered, or why it did not do it.
    pub result: Result<A::Reply, ReplyError>,
    /// From the call to the answer.
    pub waited: Duration,
}

impl<A: Action> std::fmt::Debug for Answer<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let refused = self.result.as_ref().err();
        f.debug_struct("Answer")
            .field("action", &A::NAME)
            .field("id", &self.id)
            .field("refused", &refused)
            .finish()
    }
}

/// What the server wants people to read. It is text from outside: see [`clean`](crate::client::fields::clean).
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct Notice(pub String);

/// A session has begun: what was in view before is gone, and what is comes.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected;

/// The connection was lost, and the player is on its way back by itself. What was seen last stays; actions are sent
/// when it is back. [`Connected`], [`Resumed`] or [`Disconnected`] follows.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Why.
    pub why: Ended,
}

/// The player is back, and its session goes on as if nothing had been.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed;

/// How the world does has changed; it does well until it says otherwise. A reason is text from outside: see
/// [`clean`](crate::client::fields::clean).
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct HealthChanged(pub Health);

/// The connection is over; nothing more comes. What was seen last stays until the game takes it away.
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// Why.
    pub why: Ended,
}
