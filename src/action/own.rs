//! Actions of scope `self`: they reach the caller's own data, and their handlers are given nothing else.

use std::any::TypeId;
use std::fmt;

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::Component;
use glam::Vec3;

use crate::cell::context::TickContext;
use crate::ids::{NetId, PlayerId, Role};
use crate::interest::LastIndex;
use crate::protocol::messages::ActionRefusal;
use crate::replication::events::{Audience, PlayerEvent};
use crate::replication::policy::{Subject, ViewerContext};
use crate::space::Position;

use super::declare::{Action, InMemory, OwnScope};
use super::effects::ActionEffects;
use super::kinds::{ActionKind, CellStage, RoutedAction, declared_by, encoded};

/// What the handler of an action of scope `self` may know and do besides the caller's data and the action. What it tells and
/// changes leaves as what systems of cells tell and change does, and nothing of it when it refuses.
///
/// Another player's data, or another player, cannot be named:
///
/// ```compile_fail
/// # use terrane::prelude::*;
/// # fn give(own: &mut u32, context: &mut OwnContext<'_>, bob: PlayerId) {
/// context.change_viewer(bob, |viewer| viewer.set_role(Role::Gm));
/// # }
/// ```
pub struct OwnContext<'a> {
    /// The caller's avatar.
    pub actor: NetId,
    /// What the action is done on: the avatar, or the entity of the caller's that the action names.
    pub on: NetId,
    /// Where that is.
    pub position: Vec3,
    /// Who calls.
    pub player: &'a PlayerId,
    /// What the caller may do.
    pub role: Role,
    /// The tick, its time and its chance.
    pub tick: &'a TickContext,
    nearby: &'a LastIndex,
    effects: &'a mut ActionEffects,
}

impl fmt::Debug for OwnContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnContext")
            .field("on", &self.on)
            .field("player", self.player)
            .finish_non_exhaustive()
    }
}

impl OwnContext<'_> {
    /// What is near, as of the end of the last tick: names and places, as [`Nearby`](crate::interest::Nearby) tells systems.
    #[must_use]
    pub fn nearby(&self) -> &LastIndex {
        self.nearby
    }

    /// Tells everybody who sees it of an event about what the action is done on, with the update of this tick.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell_viewers<E: PlayerEvent>(&mut self, event: E) {
        self.effects.tell(self.on, Audience::ViewersOf(self.on), event);
    }

    /// Tells the caller alone.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell_caller<E: PlayerEvent>(&mut self, event: E) {
        self.effects.tell(self.on, Audience::Player(self.player.clone()), event);
    }

    /// Changes what sync policies may know of the caller (team, role, permissions, facts), at the next tick, in the order
    /// (entity, order of asking).
    pub fn change_own_viewer(&mut self, change: impl FnOnce(&mut ViewerContext) + Send + Sync + 'static) {
        self.effects.change_viewer(self.on, self.player.clone(), change);
    }
}

/// Does an action to the caller's own data: the new state is in `D`, the answer is returned. Whatever a handler did before it
/// refuses is undone.
pub type OwnHandler<A, D> =
    fn(&A, &mut D, &mut OwnContext<'_>) -> Result<<A as Action>::Reply, <A as Action>::Refusal>;

pub(crate) struct OwnKind<A: Action, D> {
    handler: OwnHandler<A, D>,
}

impl<A: Action, D> OwnKind<A, D> {
    pub(crate) fn new(handler: OwnHandler<A, D>) -> Self {
        Self { handler }
    }
}

impl<A, D> ActionKind for OwnKind<A, D>
where
    A: Action<Scope = OwnScope, Durability = InMemory>,
    D: Component<Mutability = Mutable> + Clone,
{
    declared_by!(A);
    fn data(&self) -> Option<TypeId> {
        Some(TypeId::of::<D>())
    }
    fn run_in_cell(
        &self,
        routed: &RoutedAction,
        tick: &TickContext,
        stage: &mut CellStage<'_>,
    ) -> Result<Vec<u8>, ActionRefusal> {
        let action = routed.of::<A>();
        let not_there = routed.not_there();
        let Ok(mut entity) = stage.world.get_entity_mut(stage.entity) else { return Err(not_there) };
        if !routed.may_touch(entity.get::<Subject>()) {
            return Err(not_there);
        }
        let position = entity.get::<Position>().map_or(Vec3::ZERO, |position| position.0);
        let Some(mut data) = entity.get_mut::<D>() else { return Err(not_there) };
        let (before, mark) = (data.clone(), stage.effects.mark());
        let mut context = OwnContext {
            actor: routed.actor,
            on: routed.on,
            position,
            player: &routed.player,
            role: routed.role,
            tick,
            nearby: stage.nearby,
            effects: &mut *stage.effects,
        };
        let result = encoded::<A>((self.handler)(action, &mut data, &mut context));
        if result.is_err() {
            *data = before;
            stage.effects.undo(mark);
        }
        result
    }
}
