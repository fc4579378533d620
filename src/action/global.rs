//! Actions of scope `global`: they reach everybody's data. Their callers have a role, and each call leaves an audit row.

use std::any::TypeId;
use std::fmt;

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::{Component, Resource, World};
use glam::Vec3;

use crate::cell::context::TickContext;
use crate::cell::pool::Cells;
use crate::cell::requests::{Requests, SpawnRequest};
use crate::ids::{NetId, PlayerId, Role};
use crate::protocol::messages::ActionRefusal;
use crate::replication::events::{Audience, EventOutbox, PlayerEvent};
use crate::replication::policy::ViewerContext;
use crate::space::Position;

use super::declare::{Action, GlobalScope, InMemory};
use super::effects::ActionEffects;
use super::kinds::{ActionKind, NodeStage, Ran, RoutedAction, declared_by, encoded};

type Undo = Box<dyn FnOnce(&mut World, &mut Cells)>;
type Deferred = Box<dyn FnOnce(&mut World, &mut Cells)>;

/// What the handler of an action of scope `global` may know and do: everything that a game master may. What it changed and
/// told is undone when it refuses; births, jumps, deaths and what it tells take effect when it does not.
pub struct GlobalContext<'a> {
    /// The caller's avatar.
    pub actor: NetId,
    /// Who calls.
    pub player: &'a PlayerId,
    /// What the caller may do.
    pub role: Role,
    /// The tick, its time and its chance.
    pub tick: &'a TickContext,
    stage: NodeStage<'a>,
    undo: Vec<Undo>,
    deferred: Vec<Deferred>,
    effects: ActionEffects,
}

impl fmt::Debug for GlobalContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalContext")
            .field("actor", &self.actor)
            .field("player", self.player)
            .finish_non_exhaustive()
    }
}

impl GlobalContext<'_> {
    /// Who is in the world, by name.
    pub fn players(&self) -> impl Iterator<Item = &PlayerId> {
        self.stage.present.players().into_iter()
    }

    /// A player's avatar; `None` for who is not in the world.
    #[must_use]
    pub fn avatar(&self, player: &PlayerId) -> Option<NetId> {
        self.stage.present.avatar(player)
    }

    /// Where an entity is; `None` for one that does not live.
    #[must_use]
    pub fn position(&self, net_id: NetId) -> Option<Vec3> {
        let (slot, entity) = self.stage.find(net_id)?;
        self.stage.cells.get(slot)?.world.get::<Position>(entity).map(|position| position.0)
    }

    /// A component of any entity.
    #[must_use]
    pub fn get<D: Component>(&self, net_id: NetId) -> Option<&D> {
        let (slot, entity) = self.stage.find(net_id)?;
        self.stage.cells.get(slot)?.world.get::<D>(entity)
    }

    /// A component of any entity, to change.
    pub fn get_mut<D: Component<Mutability = Mutable> + Clone>(&mut self, net_id: NetId) -> Option<&mut D> {
        let (slot, entity) = self.stage.find(net_id)?;
        let data = self.stage.cells.at(slot).world.get_mut::<D>(entity)?.into_inner();
        let before = data.clone();
        self.undo.push(Box::new(move |_, cells| {
            if let Some(mut data) = cells.at(slot).world.get_mut::<D>(entity) {
                *data = before;
            }
        }));
        Some(data)
    }

    /// A resource of the node, such as node-wide state.
    #[must_use]
    pub fn resource<R: Resource>(&self) -> Option<&R> {
        self.stage.world.get_resource::<R>()
    }

    /// A resource of the node, to change.
    pub fn resource_mut<R: Resource<Mutability = Mutable> + Clone>(&mut self) -> Option<&mut R> {
        let before = self.stage.world.get_resource::<R>()?.clone();
        self.undo.push(Box::new(move |world, _| world.insert_resource(before)));
        self.stage.world.get_resource_mut::<R>().map(bevy_ecs::change_detection::Mut::into_inner)
    }

    /// Tells an audience of an event about any entity, or about none.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell<E: PlayerEvent>(&mut self, about: NetId, to: Audience, event: E) {
        self.deferred
            .push(Box::new(move |world, _| world.resource_mut::<EventOutbox>().send(about, to, event)));
    }

    /// Changes what sync policies may know of any player, at the next tick.
    pub fn change_viewer(
        &mut self,
        player: PlayerId,
        change: impl FnOnce(&mut ViewerContext) + Send + Sync + 'static,
    ) {
        self.effects.change_viewer(self.actor, player, change);
    }

    /// Spawns an entity, at the next tick. Nobody owns it, unless it comes with a subject that says so.
    pub fn spawn(&mut self, request: SpawnRequest) {
        let (actor, request) = (self.actor, SpawnRequest { spawner: self.actor, ..request });
        let found = self.stage.find(actor);
        self.deferred.push(Box::new(move |_, cells| {
            if let Some((slot, _)) = found {
                cells.at(slot).world.resource_mut::<Requests>().spawns.push(request);
            }
        }));
    }

    /// Puts an entity anywhere, at the next tick; `false` when it does not live.
    pub fn teleport(&mut self, net_id: NetId, to: Vec3) -> bool {
        let Some((slot, _)) = self.stage.find(net_id) else { return false };
        self.deferred.push(Box::new(move |_, cells| {
            cells.at(slot).world.resource_mut::<Requests>().teleports.push((net_id, to));
        }));
        true
    }

    /// Ends an entity in this tick; `false` when it does not live.
    pub fn despawn(&mut self, net_id: NetId) -> bool {
        let Some((slot, entity)) = self.stage.find(net_id) else { return false };
        self.deferred.push(Box::new(move |_, cells| {
            cells.at(slot).world.despawn(entity);
        }));
        true
    }
}

/// Does an action to everybody's data. Whatever a handler did before it refuses is undone.
pub type GlobalHandler<A> =
    fn(&A, &mut GlobalContext<'_>) -> Result<<A as Action>::Reply, <A as Action>::Refusal>;

pub(crate) struct GlobalKind<A: Action> {
    handler: GlobalHandler<A>,
}

impl<A: Action> GlobalKind<A> {
    pub(crate) fn new(handler: GlobalHandler<A>) -> Self {
        Self { handler }
    }
}

impl<A: Action<Scope = GlobalScope, Durability = InMemory>> ActionKind for GlobalKind<A> {
    declared_by!(A);
    fn data(&self) -> Option<TypeId> {
        None
    }
    fn run_on_node(&self, routed: &RoutedAction, stage: &mut NodeStage<'_>) -> Result<Ran, ActionRefusal> {
        let action = routed.of::<A>();
        let Some((slot, _)) = stage.find(routed.actor) else { return Err(ActionRefusal::NotInWorld) };
        let effects = ActionEffects::take(&mut stage.cells.at(slot).world);
        let mark = effects.mark();
        let mut context = GlobalContext {
            actor: routed.actor,
            player: &routed.player,
            role: routed.role,
            tick: stage.tick,
            stage: stage.reborrow(),
            undo: Vec::new(),
            deferred: Vec::new(),
            effects,
        };
        let result = encoded::<A>((self.handler)(action, &mut context));
        let GlobalContext { undo, deferred, mut effects, .. } = context;
        if result.is_err() {
            for undo in undo.into_iter().rev() {
                undo(stage.world, stage.cells);
            }
            effects.undo(mark);
        } else {
            for deferred in deferred {
                deferred(stage.world, stage.cells);
            }
        }
        effects.put_back(&mut stage.cells.at(slot).world);
        result.map(Ran::Done)
    }
}
