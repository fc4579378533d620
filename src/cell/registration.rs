//! How a game tells the engine what its cells are made of: an extension of bevy's `App`, used by plugins that
//! are built once in every cell.

use std::any::TypeId;
use std::sync::Arc;

use bevy_app::{App, Plugin};
use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::{Component, Resource, World};
use bevy_ecs::schedule::{ScheduleLabel, Schedules};
use bevy_ecs::world::{EntityRef, EntityWorldMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::action::global::GlobalKind;
use crate::action::group::GroupKind;
use crate::action::kinds::ActionKind;
use crate::action::own::OwnKind;
use crate::action::{
    Action, GlobalHandler, GlobalScope, GroupHandler, GroupScope, Immediate, InMemory, OwnHandler, OwnScope,
};
use crate::limits::{COMPONENT_KINDS_MAX, FIELDS_PER_ENTITY_MAX};
use crate::replication::events::{Delivery, EventKinds, PlayerEvent};
use crate::replication::field::SyncFields;
use crate::replication::policy::{ComponentName, ComponentPolicy, Subject};
use crate::replication::schema::EventSchema;
use crate::replication::{FieldWriter, Replicate, Schema};
use crate::reward::Holdings;
use crate::value::immediate::ImmediateKind;
use crate::value::{Answer, Ask, Pen, Settles};

pub use super::game_error::GameError;
use super::kinds::{CellLocalKind, ComponentKind, Reach, ReplicatedKind, ServerOnlyKind};
use super::message::{EntityMessage, MessageKind, TypedMessageKind};
use super::persist::{Persist, PersistRequest, PersistedKind};
use super::published::Published;
use super::survey::AllowLongSteps;

/// The schedule of a cell's game systems: runs once a tick, in all cells in parallel.
#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Simulate;

/// Replaces a resource of a cell between two ticks.
type ResetResource = fn(&mut World);

/// Brings a component of an avatar up to date with what its player holds.
pub(crate) type Settler = fn(&mut EntityWorldMut<'_>, &Holdings, &Pen);

/// Everything a game registered, in the order it did; the same in every cell.
#[derive(Default)]
pub struct Game {
    /// Kinds of components. Index 0… in order; the engine's own come first.
    pub kinds: Vec<Box<dyn ComponentKind>>,
    /// Kinds of messages between entities.
    pub messages: Vec<Box<dyn MessageKind>>,
    /// Kinds of actions.
    pub actions: Vec<Box<dyn ActionKind>>,
    /// Kinds of events that players are told.
    pub events: EventKinds,
    /// What both ends of a connection must agree on.
    pub schema: Schema,
    /// What brings avatars up to date with what their players hold.
    settlers: Vec<Settler>,
    /// By index in the schema: the index of the kind.
    replicated: Vec<usize>,
    /// Components with a class of durability, as they were asked for.
    persist: Vec<PersistRequest>,
    /// Those of them that are written by themselves, by name.
    persisted: Vec<PersistedKind>,
    published: Vec<(TypeId, &'static str)>,
    scratch: Vec<(TypeId, ResetResource)>,
}

impl std::fmt::Debug for Game {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Game").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Collects registrations while plugins build. In all worlds but the first they are already known.
#[derive(Resource, Default)]
struct Registrar {
    game: Game,
    known: Option<Arc<Game>>,
    fault: Option<GameError>,
}

impl Registrar {
    fn add_kind(&mut self, kind: Box<dyn ComponentKind>) {
        let type_id = kind.type_id();
        if self.known.is_some() {
            return;
        }
        let clash = |other: &dyn ComponentKind| other.type_id() == type_id || other.name() == kind.name();
        if self.game.kinds.iter().any(|other| clash(&**other)) {
            self.fault.get_or_insert(GameError::Duplicate(kind.name()));
            return;
        }
        self.game.kinds.push(kind);
    }
}

/// What cell plugins may register.
pub trait CellAppExt {
    /// Sends a component to players by the policies of its fields, projects it into ghosts, saves it.
    fn replicate<C: Replicate>(&mut self) -> &mut Self;
    /// Keeps a component on the server: it moves with its entity and is saved, but never sent or copied.
    fn server_only<C: Component<Mutability = Mutable> + Serialize + DeserializeOwned>(&mut self)
    -> &mut Self;
    /// Lets entities have a component that is dropped at a border and not saved.
    fn cell_local<C: Component>(&mut self) -> &mut Self;
    /// Makes a component of avatars durable by its class. It must be registered with [`replicate`](Self::replicate) or
    /// [`server_only`](Self::server_only) as well, before or after.
    fn persist<C: Persist>(&mut self) -> &mut Self;
    /// Lets entities send each other `M`.
    fn add_entity_message<M: EntityMessage>(&mut self) -> &mut Self;
    /// Gives the cell the [`Published<T>`] that the node owns.
    fn read_published<T: Send + Sync + 'static>(&mut self) -> &mut Self;
    /// Gives the cell a resource that is set to its default before every tick.
    fn scratch<R: Resource<Mutability = Mutable> + Default>(&mut self) -> &mut Self;
    /// Lets systems of the cell tell players `E`.
    fn add_player_event<E: PlayerEvent>(&mut self, delivery: Delivery) -> &mut Self;
    /// Lets players do `A`, of scope `self`: the handler is given the caller's own `D` and nothing else.
    fn add_own_action<A, D>(&mut self, handler: OwnHandler<A, D>) -> &mut Self
    where
        A: Action<Scope = OwnScope, Durability = InMemory>,
        D: Component<Mutability = Mutable> + Clone;
    /// Lets players do `A`, of scope `group`: the handler is given the `D` of the caller's party.
    fn add_group_action<A, D>(&mut self, handler: GroupHandler<A, D>) -> &mut Self
    where
        A: Action<Scope = GroupScope, Durability = InMemory>,
        D: Component<Mutability = Mutable> + Clone;
    /// Lets players do `A`, which changes value: `ask` says what it asks for, `answer` what it is answered with once that is
    /// committed, or refused. What a request of scope `self` reaches is the caller's account alone, one of scope `group` those of
    /// the caller's party.
    fn add_immediate_action<A, D>(&mut self, ask: Ask<A, D>, answer: Answer<A>) -> &mut Self
    where
        A: Action<Durability = Immediate>,
        D: Component;
    /// Lets a component of avatars show what their players hold.
    fn settles<C: Settles>(&mut self) -> &mut Self;
    /// Lets those with its role do `A`, of scope `global`: the handler reaches everything, and each call leaves an audit row.
    fn add_global_action<A: Action<Scope = GlobalScope, Durability = InMemory>>(
        &mut self,
        handler: GlobalHandler<A>,
    ) -> &mut Self;
}

impl CellAppExt for App {
    fn replicate<C: Replicate>(&mut self) -> &mut Self {
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        if registrar.known.is_none() {
            let sent = crate::replication::field::sent_fields::<C>().count();
            if sent + 2 > FIELDS_PER_ENTITY_MAX {
                registrar.fault.get_or_insert(GameError::TooManyFields(C::NAME, sent));
            }
            let index = registrar.game.schema.push::<C>();
            let kind = registrar.game.kinds.len();
            registrar.game.replicated.push(kind);
            registrar.add_kind(Box::new(ReplicatedKind::<C>::new(index)));
        }
        self
    }

    fn server_only<C: Component<Mutability = Mutable> + Serialize + DeserializeOwned>(
        &mut self,
    ) -> &mut Self {
        self.world_mut().resource_mut::<Registrar>().add_kind(Box::new(ServerOnlyKind::<C>::new()));
        self
    }

    fn cell_local<C: Component>(&mut self) -> &mut Self {
        self.world_mut().resource_mut::<Registrar>().add_kind(Box::new(CellLocalKind::<C>::new()));
        self
    }

    fn persist<C: Persist>(&mut self) -> &mut Self {
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        if registrar.known.is_none() {
            registrar.game.persist.push(PersistRequest::of::<C>());
        }
        self
    }

    fn add_entity_message<M: EntityMessage>(&mut self) -> &mut Self {
        let kind = TypedMessageKind::<M>::new();
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        if registrar.known.is_none() && registrar.game.messages.iter().all(|k| k.type_id() != kind.type_id())
        {
            registrar.game.messages.push(Box::new(kind));
        }
        self
    }

    fn read_published<T: Send + Sync + 'static>(&mut self) -> &mut Self {
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        let type_id = TypeId::of::<Published<T>>();
        if registrar.known.is_none() && registrar.game.published.iter().all(|(known, _)| *known != type_id) {
            registrar.game.published.push((type_id, std::any::type_name::<T>()));
        }
        self
    }

    fn scratch<R: Resource<Mutability = Mutable> + Default>(&mut self) -> &mut Self {
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        if registrar.known.is_none() {
            registrar.game.scratch.push((TypeId::of::<R>(), |world| {
                world.insert_resource(R::default());
            }));
        }
        self.init_resource::<R>()
    }

    fn add_player_event<E: PlayerEvent>(&mut self, delivery: Delivery) -> &mut Self {
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        if registrar.known.is_none() {
            let known = registrar.game.events.names().len();
            if !registrar.game.events.add::<E>(delivery) {
                registrar.fault.get_or_insert(GameError::DuplicateEvent(<E as SyncFields>::NAME));
            } else if <E as SyncFields>::COMPONENT_POLICY == ComponentPolicy::ServerOnly {
                registrar.fault.get_or_insert(GameError::ServerOnlyEvent(<E as SyncFields>::NAME));
            } else if registrar.game.events.names().len() > known {
                let (name, fields) = (<E as SyncFields>::NAME, <E as SyncFields>::FIELDS);
                let policy = <E as SyncFields>::COMPONENT_POLICY;
                registrar.game.schema.events.push(EventSchema { name, policy, delivery, fields });
            }
        }
        self
    }

    fn add_own_action<A, D>(&mut self, handler: OwnHandler<A, D>) -> &mut Self
    where
        A: Action<Scope = OwnScope, Durability = InMemory>,
        D: Component<Mutability = Mutable> + Clone,
    {
        add_action::<A>(self, OwnKind::new(handler))
    }

    fn add_group_action<A, D>(&mut self, handler: GroupHandler<A, D>) -> &mut Self
    where
        A: Action<Scope = GroupScope, Durability = InMemory>,
        D: Component<Mutability = Mutable> + Clone,
    {
        add_action::<A>(self, GroupKind::new(handler))
    }

    fn add_global_action<A: Action<Scope = GlobalScope, Durability = InMemory>>(
        &mut self,
        handler: GlobalHandler<A>,
    ) -> &mut Self {
        add_action::<A>(self, GlobalKind::new(handler))
    }

    fn add_immediate_action<A, D>(&mut self, ask: Ask<A, D>, answer: Answer<A>) -> &mut Self
    where
        A: Action<Durability = Immediate>,
        D: Component,
    {
        add_action::<A>(self, ImmediateKind::new(ask, answer))
    }

    fn settles<C: Settles>(&mut self) -> &mut Self {
        let mut registrar = self.world_mut().resource_mut::<Registrar>();
        if registrar.known.is_none() {
            registrar.game.settlers.push(|entity, holdings, pen| {
                if let Some(mut component) = entity.get_mut::<C>() {
                    component.settle(holdings, pen);
                }
            });
        }
        self
    }
}

fn add_action<A: Action>(app: &mut App, kind: impl ActionKind + 'static) -> &mut App {
    let mut registrar = app.world_mut().resource_mut::<Registrar>();
    if registrar.known.is_none() {
        if registrar.game.actions.iter().any(|kind| kind.name() == A::NAME) {
            registrar.fault.get_or_insert(GameError::DuplicateAction(A::NAME));
            return app;
        }
        registrar.game.schema.actions.push(A::signature());
        registrar.game.actions.push(Box::new(kind));
    }
    app
}

/// The plugins that make a cell, and what they register.
#[derive(Clone, Default)]
pub struct CellPlugins(Vec<Arc<dyn Plugin>>);

impl std::fmt::Debug for CellPlugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|plugin| plugin.name().to_owned())).finish()
    }
}

impl CellPlugins {
    /// Adds a plugin, built once in every cell.
    pub fn add(&mut self, plugin: impl Plugin) {
        self.0.push(Arc::new(plugin));
    }

    /// Builds the plugins in a world that is then thrown away, to learn and check what they register.
    ///
    /// # Errors
    /// When they register what a cell cannot have.
    pub fn learn(&self) -> Result<Arc<Game>, GameError> {
        let mut app = App::empty();
        app.init_resource::<Registrar>();
        app.replicate::<super::attached::Attached>();
        app.server_only::<Subject>();
        let engine: Vec<TypeId> = resource_types(app.world()).into_iter().map(|(id, _)| id).collect();
        let schedules_before = filled_schedules(app.world());
        self.build_into(&mut app);
        let Registrar { mut game, fault, .. } =
            app.world_mut().remove_resource::<Registrar>().expect("inserted above");
        if let Some(fault) = fault {
            return Err(fault);
        }
        game.persisted = PersistedKind::all(&game.persist, &game.kinds)?;
        if game.schema.components.len() > COMPONENT_KINDS_MAX {
            return Err(GameError::TooManyComponents(game.schema.components.len()));
        }
        let mut kinds = game.kinds.iter().map(|kind| &**kind);
        if let Some(kind) = kinds.find(|kind| game.events.is_another(kind.name(), kind.type_id())) {
            return Err(GameError::EventNamedLikeComponent(kind.name()));
        }
        let simulate = format!("{Simulate:?}");
        let stray = filled_schedules(app.world())
            .into_iter()
            .find(|filled| filled.0 != simulate && !schedules_before.contains(filled));
        if let Some((label, _)) = stray {
            return Err(GameError::Schedule(label));
        }
        let declared = |id: &TypeId| {
            engine.contains(id)
                || game.scratch.iter().any(|(known, _)| known == id)
                || *id == TypeId::of::<Schedules>()
                || *id == TypeId::of::<AllowLongSteps>()
        };
        let stray = resource_types(app.world()).into_iter().find(|(id, name)| {
            !declared(id)
                && !name.starts_with("bevy_ecs::message::")
                && !name.starts_with("bevy_ecs::schedule::")
        });
        match stray {
            Some((_, name)) => Err(GameError::Resource(name)),
            None => Ok(Arc::new(game)),
        }
    }

    /// Builds the plugins into the app of a cell of this game.
    pub(crate) fn build_cell(&self, app: &mut App, game: &Arc<Game>) {
        app.insert_resource(Registrar { known: Some(game.clone()), ..Registrar::default() });
        self.build_into(app);
        app.world_mut().remove_resource::<Registrar>();
    }

    fn build_into(&self, app: &mut App) {
        for plugin in &self.0 {
            plugin.build(app);
        }
    }
}

impl Game {
    /// The kind of the replicated component with an index in the schema.
    #[must_use]
    pub fn replicated(&self, component: usize) -> Option<&dyn ComponentKind> {
        self.kinds.get(*self.replicated.get(component)?).map(|kind| &**kind)
    }

    /// Writes what is sent of an entity with these replicated components, and nothing else.
    pub(crate) fn encode_sent(&self, entity: &EntityRef<'_>, components: u64, writer: &mut FieldWriter) {
        writer.clear();
        for kind in &self.kinds {
            if let Reach::Replicated(index) = kind.reach()
                && components >> index & 1 == 1
            {
                kind.encode_sent(entity, writer);
            }
        }
    }

    /// The first override of a subject that is about nothing the game knows, and so hides nothing.
    pub(crate) fn unknown_override<'s>(&self, subject: &'s Subject) -> Option<&'s ComponentName> {
        let is_known = |name: &str| {
            let component = self.schema.component(name);
            component.is_some_and(|index| self.schema.globals >> index & 1 == 0)
                || self.events.names().contains(&name)
        };
        subject.component_rules().map(|(name, _)| name).find(|name| !is_known(name.as_str()))
    }

    /// Sets every scratch resource of a cell to its default.
    pub(crate) fn reset_scratch(&self, world: &mut World) {
        for (_, reset) in &self.scratch {
            reset(world);
        }
    }

    /// What brings avatars up to date with what their players hold.
    pub(crate) fn settlers(&self) -> &[Settler] {
        &self.settlers
    }

    /// The components of avatars that are written by themselves, by name.
    pub(crate) fn persisted(&self) -> &[PersistedKind] {
        &self.persisted
    }

    /// The types that cells read as [`Published`].
    pub(crate) fn published(&self) -> &[(TypeId, &'static str)] {
        &self.published
    }
}

/// The schedules of a world that have systems, and how many.
fn filled_schedules(world: &World) -> Vec<(String, usize)> {
    let schedules = world.get_resource::<Schedules>().into_iter().flat_map(Schedules::iter);
    let filled = schedules.map(|(label, schedule)| (format!("{label:?}"), schedule.graph().systems.len()));
    filled.filter(|(_, systems)| *systems > 0).collect()
}

/// The types of all resources in a world, with their names.
fn resource_types(world: &World) -> Vec<(TypeId, String)> {
    world
        .resource_entities()
        .iter()
        .filter_map(|(id, _)| {
            let info = world.components().get_info(id)?;
            Some((info.type_id()?, info.name().to_string()))
        })
        .collect()
}
