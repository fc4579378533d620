//! Actions that change value: a function that says what is asked for, and one that answers when it is committed.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use bevy_ecs::prelude::{Component, Resource, World};
use glam::Vec3;

use crate::action::kinds::{ActionKind, DecodedAction, NodeStage, Ran, RoutedAction, declared_by, encoded};
use crate::action::memory::ActionResult;
use crate::action::{Action, Immediate};
use crate::cell::context::TickContext;
use crate::cell::published::Published;
use crate::ids::{ActionId, NetId, PlayerId, Role};
use crate::protocol::codec;
use crate::protocol::messages::ActionRefusal;
use crate::replication::policy::Subject;
use crate::reward::{Claim, Holdings, PlanRefusal, PlanRequest};
use crate::space::Position;
use crate::store::MutationSummary;

use super::book::Book;

/// What an action that changes value may know besides the caller's data.
pub struct AskContext<'a> {
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
    /// What the caller holds, as far as it is settled: of what waits before this action nothing is in it.
    pub holdings: &'a Holdings,
    node: &'a World,
    cell: &'a World,
}

impl fmt::Debug for AskContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskContext")
            .field("on", &self.on)
            .field("player", self.player)
            .finish_non_exhaustive()
    }
}

impl AskContext<'_> {
    /// A request of the caller's, which asks for nothing yet.
    #[must_use]
    pub fn request(&self, use_case: impl Into<crate::reward::Name>) -> PlanRequest {
        PlanRequest::new(use_case, self.player)
    }

    /// Node-wide state of the game.
    #[must_use]
    pub fn node<R: Resource>(&self) -> Option<&R> {
        self.node.get_resource::<R>()
    }

    /// What the node has published to cells.
    #[must_use]
    pub fn published<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.cell.get_resource::<Published<T>>().map(|published| &**published)
    }
}

/// Says what an action asks for, or why not. It changes nothing.
pub type Ask<A, D> = fn(&A, &D, &AskContext<'_>) -> Result<PlanRequest, <A as Action>::Refusal>;

/// Says what an action is answered with: what was committed, or why nothing was.
pub type Answer<A> =
    fn(&A, Result<&MutationSummary, &PlanRefusal>) -> Result<<A as Action>::Reply, <A as Action>::Refusal>;

pub(crate) struct ImmediateKind<A: Action, D> {
    ask: Ask<A, D>,
    answer: Answer<A>,
    data: PhantomData<fn() -> D>,
}

impl<A: Action, D> ImmediateKind<A, D> {
    pub(crate) fn new(ask: Ask<A, D>, answer: Answer<A>) -> Self {
        Self { ask, answer, data: PhantomData }
    }
}

impl<A, D> ActionKind for ImmediateKind<A, D>
where
    A: Action<Durability = Immediate>,
    D: Component,
{
    declared_by!(A);
    fn data(&self) -> Option<TypeId> {
        Some(TypeId::of::<D>())
    }
    fn run_on_node(&self, routed: &RoutedAction, stage: &mut NodeStage<'_>) -> Result<Ran, ActionRefusal> {
        let action = routed.of::<A>();
        let not_there = routed.not_there();
        let Some((slot, entity)) = stage.find(routed.on) else { return Err(not_there) };
        let Some(cell) = stage.cells.get(slot).map(|cell| &cell.world) else { return Err(not_there) };
        let Ok(entity) = cell.get_entity(entity) else { return Err(not_there) };
        if !routed.may_touch(entity.get::<Subject>()) {
            return Err(not_there);
        }
        let Some(data) = entity.get::<D>() else { return Err(not_there) };
        let nothing = Holdings::default();
        let context = AskContext {
            actor: routed.actor,
            on: routed.on,
            position: entity.get::<Position>().map_or(Vec3::ZERO, |position| position.0),
            player: &routed.player,
            role: routed.role,
            tick: stage.tick,
            holdings: stage
                .world
                .get_resource::<Book>()
                .and_then(|book| book.get(&routed.player))
                .unwrap_or(&nothing),
            node: stage.world,
            cell,
        };
        match (self.ask)(action, data, &context) {
            Ok(request) => {
                let id = routed.id.expect("only actions with an id change value");
                Ok(Ran::Asks(Box::new((self.claim(&routed.player, id, &routed.action), request))))
            }
            Err(refusal) => Err(encoded::<A>(Err(refusal)).expect_err("a refusal stays one")),
        }
    }
    fn claim(&self, player: &PlayerId, id: ActionId, action: &DecodedAction) -> Claim {
        let action = action.downcast_ref::<A>().expect("an action has the type of its kind");
        // By name and not by number: the next version of the game may number its actions otherwise.
        Claim::new(player, id, &codec::encode(&(A::NAME, action)))
    }
    fn answer(
        &self,
        action: &DecodedAction,
        outcome: Result<&MutationSummary, &PlanRefusal>,
    ) -> ActionResult {
        let action = action.downcast_ref::<A>().expect("an action has the type of its kind");
        encoded::<A>((self.answer)(action, outcome))
    }
}
