//! Actions whose type only their kind knows, and the handlers that run them.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::{Component, Entity, World};
use glam::Vec3;

use crate::cell::context::TickContext;
use crate::cell::requests::{Requests, ViewerChange, ViewerRequest};
use crate::ids::{ActionId, NetId, PlayerId, Role};
use crate::limits::CLIENT_MESSAGE_BYTES_MAX;
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::messages::ActionRefusal;
use crate::replication::events::{Audience, EventOutbox, PlayerEvent};
use crate::replication::policy::ViewerContext;
use crate::space::Position;

use super::declare::{Action, Caller, Scope};

/// What a handler may know and do besides the caller's data and the action: tell players something, change what policies
/// know of one. What it tells and changes goes the way of what systems of cells do, and nothing of it when it refuses.
pub struct ActionContext<'a> {
    /// The caller's avatar.
    pub actor: NetId,
    /// Where it is.
    pub position: Vec3,
    /// Who calls.
    pub player: &'a PlayerId,
    /// What the caller may do.
    pub role: Role,
    /// The tick, its time and its chance.
    pub tick: &'a TickContext,
    /// The action, and whose data it may reach.
    name: &'static str,
    scope: Scope,
    effects: &'a mut ActionEffects,
}

impl fmt::Debug for ActionContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionContext")
            .field("actor", &self.actor)
            .field("player", self.player)
            .finish_non_exhaustive()
    }
}

impl ActionContext<'_> {
    /// Tells an audience of an event about the caller's avatar, as
    /// [`PlayerEvents::send`](crate::replication::PlayerEvents::send) does: it leaves with the update of this tick.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell<E: PlayerEvent>(&mut self, to: Audience, event: E) {
        self.effects.events.send(self.actor, to, event);
    }

    /// Changes what sync policies may know of a player, the caller or another (party, team, role, permissions, facts), as
    /// [`WorldRequests::change_viewer`](crate::cell::requests::WorldRequests::change_viewer) does: at the next tick, in the
    /// order (avatar of who asks, order of asking). An action of scope `self` changes its caller alone: what it asks for of
    /// others is not done, and logged as the game's mistake that it is.
    pub fn change_viewer(
        &mut self,
        player: PlayerId,
        change: impl FnOnce(&mut ViewerContext) + Send + Sync + 'static,
    ) {
        if self.scope == Scope::SelfOnly && player != *self.player {
            let (action, by) = (self.name, self.player);
            tracing::error!(action, %by, %player, "an action of scope `self` asked to change another player: not done");
            return;
        }
        let change = ViewerChange::Context(player, Box::new(change));
        self.effects.viewers.push(ViewerRequest { by: self.actor, change });
    }
}

/// What the handlers of one cell and tick tell and ask for, taken out of the cell's world while they run: they hold a
/// component of it.
#[derive(Debug)]
pub struct ActionEffects {
    events: EventOutbox,
    viewers: Vec<ViewerRequest>,
}

impl ActionEffects {
    /// Takes over what the cell's own outboxes hold.
    pub(crate) fn take(world: &mut World) -> Self {
        Self {
            events: std::mem::take(&mut *world.resource_mut::<EventOutbox>()),
            viewers: std::mem::take(&mut world.resource_mut::<Requests>().viewers),
        }
    }

    /// Puts it back.
    pub(crate) fn put_back(self, world: &mut World) {
        *world.resource_mut::<EventOutbox>() = self.events;
        world.resource_mut::<Requests>().viewers = self.viewers;
    }
}

/// Does an action to the caller's own data: the new state is in `D`, the answer is returned, and a refusal is
/// a text for the player. A refused action must leave `D` as it was; what it told and asked for is dropped.
pub type ActionHandler<A, D> = fn(&A, &mut D, &mut ActionContext<'_>) -> Result<<A as Action>::Reply, String>;

/// A decoded action whose type only its kind knows.
pub type DecodedAction = Box<dyn Any + Send + Sync>;

/// One action on its way to the cell of its actor.
#[derive(Debug)]
pub struct RoutedAction {
    /// The actor.
    pub actor: NetId,
    /// The client's id for it; `None` for continuous input, which is not answered.
    pub id: Option<ActionId>,
    /// The session's place, to find it again with the answer.
    pub session: u32,
    /// Who calls.
    pub player: PlayerId,
    /// What the caller may do.
    pub role: Role,
    /// Index of the kind.
    pub kind: u16,
    /// The action.
    pub action: DecodedAction,
}

/// The one answer to an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The session's place.
    pub session: u32,
    /// The action.
    pub id: ActionId,
    /// The encoded reply or the refusal.
    pub result: Result<Vec<u8>, ActionRefusal>,
}

/// What the engine can do with one kind of action.
pub trait ActionKind: Send + Sync {
    /// Name of the action.
    fn name(&self) -> &'static str;
    /// Who may call it.
    fn caller(&self) -> Caller;
    /// Whose data it may reach.
    fn scope(&self) -> Scope;
    /// Whether only the newest counts.
    fn latest_wins(&self) -> bool;
    /// Reads a payload.
    ///
    /// # Errors
    /// When it is not an encoding of this action.
    fn decode(&self, payload: &[u8]) -> Result<DecodedAction, DecodeError>;
    /// Runs the handler on the actor.
    ///
    /// # Errors
    /// When the handler refuses, or the actor lacks the data that the action works on.
    fn run(
        &self,
        world: &mut World,
        entity: Entity,
        action: &RoutedAction,
        effects: &mut ActionEffects,
    ) -> Result<Vec<u8>, ActionRefusal>;
}

pub(crate) struct TypedActionKind<A: Action, D> {
    handler: ActionHandler<A, D>,
    data: PhantomData<fn() -> D>,
}

impl<A: Action, D> TypedActionKind<A, D> {
    pub(crate) fn new(handler: ActionHandler<A, D>) -> Self {
        Self { handler, data: PhantomData }
    }
}

impl<A: Action, D: Component<Mutability = Mutable>> ActionKind for TypedActionKind<A, D> {
    fn name(&self) -> &'static str {
        A::NAME
    }
    fn caller(&self) -> Caller {
        A::CALLER
    }
    fn scope(&self) -> Scope {
        A::SCOPE
    }
    fn latest_wins(&self) -> bool {
        A::LATEST_WINS
    }
    fn decode(&self, payload: &[u8]) -> Result<DecodedAction, DecodeError> {
        Ok(Box::new(codec::decode::<A, CLIENT_MESSAGE_BYTES_MAX>(A::NAME, payload)?))
    }
    fn run(
        &self,
        world: &mut World,
        entity: Entity,
        routed: &RoutedAction,
        effects: &mut ActionEffects,
    ) -> Result<Vec<u8>, ActionRefusal> {
        let action = routed.action.downcast_ref::<A>().expect("an action has the type of its kind");
        let tick = world.resource::<TickContext>().clone();
        let Ok(mut actor) = world.get_entity_mut(entity) else { return Err(ActionRefusal::NotInWorld) };
        let position = actor.get::<Position>().map_or(Vec3::ZERO, |position| position.0);
        let Some(mut data) = actor.get_mut::<D>() else { return Err(ActionRefusal::NotInWorld) };
        let before = (effects.events.len(), effects.viewers.len());
        let mut context = ActionContext {
            actor: routed.actor,
            position,
            player: &routed.player,
            role: routed.role,
            tick: &tick,
            name: A::NAME,
            scope: A::SCOPE,
            effects: &mut *effects,
        };
        let result = (self.handler)(action, &mut data, &mut context);
        if result.is_err() {
            effects.events.truncate(before.0);
            effects.viewers.truncate(before.1);
        }
        result.map(|reply| codec::encode(&reply)).map_err(ActionRefusal::Game)
    }
}
