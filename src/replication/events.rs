//! What players are told once: an explosion, a word, a number that floats up. Typed, by the same sync policies as
//! components, within the same budget.
//!
//! *Does*: collects events from cells and from the node, encodes each for who is meant and may see it. *Does not*:
//! keep them (who joins later hears nothing of them), nor send. *Reads*: views, subjects, contexts. *Writes*: bytes.

use std::any::TypeId;

use bevy_ecs::prelude::{ResMut, Resource};
use bevy_ecs::system::SystemParam;
use rustc_hash::FxHashMap;

use crate::ids::{NetId, PartyId, PlayerId, TeamId};
use crate::limits::EVENTS_PER_CELL_MAX;
use crate::protocol::codec::DecodeError;

use super::field::SyncFields;
use super::policy::{NodeReader, NodeWriter, SyncNode, Viewing};

/// Something that can be told: any type that derives `Replicate`, component or not. The policy of the type, as
/// `#[sync(owner)]`, decides who of an audience is told at all, the policies of the fields what; the subject of both is the
/// entity that the event is about, whose overrides count for events of that name too.
pub trait PlayerEvent: SyncFields + SyncNode {}
impl<E: SyncFields + SyncNode> PlayerEvent for E {}

/// How an event travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives, and in order, however late.
    Reliable,
    /// It comes with the state update of its tick or not at all: for what is worth nothing later.
    WithUpdate,
}

/// Who is told, if the policies let them be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Who sees that entity.
    ViewersOf(NetId),
    /// One player.
    Player(PlayerId),
    /// Who is in that party.
    Party(PartyId),
    /// Who is in that team.
    Team(TeamId),
    /// Everybody.
    All,
}

/// An event whose type only its kind knows.
pub trait AnyEvent: Send + Sync {
    /// Name of its type.
    fn name(&self) -> &'static str;
    /// Whether anything of what is told depends on who is told.
    fn is_personal(&self) -> bool;
    /// Whether the policy of its type lets this viewer be told. Asked only where the subject does not override it.
    fn is_visible(&self, viewing: &Viewing<'_>) -> bool;
    /// Appends what a viewer sees of it, and where in that the names of entities lie. Without a `viewing`, what everybody
    /// sees.
    fn encode(&self, viewing: Option<&Viewing<'_>>, bytes: &mut Vec<u8>, ids: &mut Vec<u16>);
}

impl<E: PlayerEvent> AnyEvent for E {
    fn name(&self) -> &'static str {
        <E as SyncFields>::NAME
    }
    fn is_personal(&self) -> bool {
        E::PERSONAL
    }
    fn is_visible(&self, viewing: &Viewing<'_>) -> bool {
        SyncFields::is_visible(self, viewing)
    }
    fn encode(&self, viewing: Option<&Viewing<'_>>, bytes: &mut Vec<u8>, ids: &mut Vec<u16>) {
        self.encode_node(viewing, &mut NodeWriter::new(bytes.len(), bytes, ids));
    }
}

/// An event on its way.
pub struct OutgoingEvent {
    /// Index among the registered kinds.
    pub kind: u16,
    /// How it travels.
    pub delivery: Delivery,
    /// Which entity it is about: the subject of its policies. [`NetId::WORLD`] for none.
    pub about: NetId,
    /// Who is told.
    pub to: Audience,
    /// What.
    pub event: Box<dyn AnyEvent>,
}

impl std::fmt::Debug for OutgoingEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingEvent")
            .field("kind", &self.kind)
            .field("about", &self.about)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// The registered kinds of events, by type.
#[derive(Clone, Debug, Default)]
pub struct EventKinds {
    by_type: FxHashMap<TypeId, (u16, Delivery)>,
    names: Vec<&'static str>,
}

impl EventKinds {
    /// Registers a kind; `false` when its name is another type's already.
    pub fn add<E: PlayerEvent>(&mut self, delivery: Delivery) -> bool {
        let known = self.by_type.contains_key(&TypeId::of::<E>());
        if !known && self.names.contains(&<E as SyncFields>::NAME) {
            return false;
        }
        if !known {
            self.by_type.insert(TypeId::of::<E>(), (self.names.len() as u16, delivery));
            self.names.push(<E as SyncFields>::NAME);
        }
        true
    }

    /// Whether a kind of that name is registered which is of another type.
    #[must_use]
    pub(crate) fn is_another(&self, name: &str, type_id: TypeId) -> bool {
        self.names.contains(&name) && !self.by_type.contains_key(&type_id)
    }

    /// The names, by index.
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }
}

/// What a cell, or the node, tells in this tick.
#[derive(Resource, Debug, Default)]
pub struct EventOutbox {
    kinds: EventKinds,
    events: Vec<OutgoingEvent>,
    refused: u64,
}

impl EventOutbox {
    /// An empty one for these kinds.
    #[must_use]
    pub fn of(kinds: EventKinds) -> Self {
        Self { kinds, events: Vec::new(), refused: 0 }
    }

    /// Sends an event about an entity.
    ///
    /// # Panics
    /// When the type was not registered.
    pub(crate) fn send<E: PlayerEvent>(&mut self, about: NetId, to: Audience, event: E) {
        let &(kind, delivery) = self.kinds.by_type.get(&TypeId::of::<E>()).unwrap_or_else(|| {
            panic!("event {} is not registered: call add_player_event", <E as SyncFields>::NAME)
        });
        if self.events.len() == EVENTS_PER_CELL_MAX {
            self.refused += 1;
            return;
        }
        self.events.push(OutgoingEvent { kind, delivery, about, to, event: Box::new(event) });
    }

    /// How many events wait in it.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Takes back all but the first so many.
    pub(crate) fn truncate(&mut self, events: usize) {
        self.events.truncate(events);
    }

    /// Takes what was sent, and how many were too many.
    pub(crate) fn take(&mut self) -> (Vec<OutgoingEvent>, u64) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.refused))
    }

    /// Drops what was sent about entities that are not the sender's own, and gives their names.
    pub(crate) fn drop_foreign(&mut self, is_own: impl Fn(NetId) -> bool) -> Vec<NetId> {
        self.events.extract_if(.., |event| !is_own(event.about)).map(|event| event.about).collect()
    }
}

/// Tells players what happens. For systems of cells, about entities of the cell, and for systems of the node.
///
/// ```
/// # use terrane::prelude::*;
/// #[derive(Clone, Default, Replicate)]
/// struct Explosion {
///     #[sync(broadcast)]
///     strength: u32,
/// }
///
/// fn explode(barrels: Query<&NetId>, mut events: PlayerEvents) {
///     for &barrel in &barrels {
///         events.send(barrel, Audience::ViewersOf(barrel), Explosion { strength: 3 });
///     }
/// }
/// # struct Barrels;
/// impl Plugin for Barrels {
///     fn build(&self, app: &mut App) {
///         app.add_player_event::<Explosion>(Delivery::WithUpdate).add_systems(Simulate, explode);
///     }
/// }
/// ```
#[derive(SystemParam)]
pub struct PlayerEvents<'w> {
    outbox: ResMut<'w, EventOutbox>,
}

impl PlayerEvents<'_> {
    /// Tells an audience of an event about an entity: one of this cell, or, in systems of the node, anyone. Players who do
    /// not see that entity are not told its name; who saw it die in this tick does. In the order (entity, order of sending)
    /// it leaves with the update of this tick.
    ///
    /// All systems of a cell may send [`EVENTS_PER_CELL_MAX`] in a tick, and so may those of the node: what is more is told
    /// to nobody, and counted.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn send<E: PlayerEvent>(&mut self, about: NetId, to: Audience, event: E) {
        self.outbox.send(about, to, event);
    }
}

/// An event that a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Index among the kinds of the schema.
    pub kind: u16,
    /// What it is about; [`NetId::WORLD`] for nothing that this client sees.
    pub about: NetId,
    /// What it says; [`read`](Self::read) decodes it.
    pub payload: Vec<u8>,
}

impl ReceivedEvent {
    /// The event, if it is of type `E`. Hidden fields are at their default.
    ///
    /// # Errors
    /// When the bytes are no such event.
    pub fn read<E: PlayerEvent>(&self, schema: &super::Schema) -> Option<Result<E, DecodeError>> {
        let is_kind = schema
            .events
            .get(usize::from(self.kind))
            .is_some_and(|event| event.name == <E as SyncFields>::NAME);
        is_kind.then(|| NodeReader::new(<E as SyncFields>::NAME, &self.payload).read_all(E::decode_node))
    }
}
