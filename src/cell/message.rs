//! Messages between entities: what one does to another takes one tick, whether they share a cell or not.

use std::any::{Any, TypeId};
use std::marker::PhantomData;

use bevy_ecs::prelude::{Res, ResMut, Resource, World};
use bevy_ecs::system::SystemParam;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::NetId;
use crate::protocol::codec::{self, DecodeError};

/// Most bytes of one saved message.
const SAVED_BYTES_MAX: usize = 1 << 16;

/// Something that one entity tells another. Saved with the world while it is under way.
pub trait EntityMessage: Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<M: Serialize + DeserializeOwned + Send + Sync + 'static> EntityMessage for M {}

/// A message and its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Addressed<M> {
    /// Who sent it.
    pub from: NetId,
    /// Who gets it.
    pub to: NetId,
    /// What it says.
    pub message: M,
}

/// What was sent in this tick.
#[derive(Resource)]
pub struct Outgoing<M: EntityMessage>(Vec<Addressed<M>>);

/// What has arrived, by (sender, order of sending).
#[derive(Resource)]
pub struct Incoming<M: EntityMessage>(Vec<Addressed<M>>);

/// Sends messages to entities anywhere. They arrive in the next tick, in the order (sender, order of sending).
#[derive(SystemParam)]
pub struct EntityOutbox<'w, M: EntityMessage> {
    outgoing: ResMut<'w, Outgoing<M>>,
}

impl<M: EntityMessage> EntityOutbox<'_, M> {
    /// Sends from an entity of this cell. One to an entity that is gone by then is dropped and counted; so is one from
    /// an entity of another cell, a mistake of the game that panics where invariants are checked.
    pub fn send(&mut self, from: NetId, to: NetId, message: M) {
        self.outgoing.0.push(Addressed { from, to, message });
    }
}

/// Reads what has arrived for the entities of this cell.
#[derive(SystemParam)]
pub struct EntityInbox<'w, M: EntityMessage> {
    incoming: Res<'w, Incoming<M>>,
}

impl<M: EntityMessage> EntityInbox<'_, M> {
    /// All messages of this tick, in the order (sender, order of sending).
    pub fn iter(&self) -> impl Iterator<Item = &Addressed<M>> {
        self.incoming.0.iter()
    }
}

/// A batch of messages of one kind whose type only the kind knows.
pub type Batch = Box<dyn Any + Send>;

/// What the engine can do with one kind of message.
pub trait MessageKind: Send + Sync {
    /// Name of the type.
    fn name(&self) -> &'static str;
    /// The Rust type.
    fn type_id(&self) -> TypeId;
    /// Gives a cell its empty boxes.
    fn install(&self, world: &mut World);
    /// Drops what was sent in this tick from others than the cell's own, and gives their names.
    fn drop_foreign(&self, world: &mut World, is_own: &dyn Fn(&World, NetId) -> bool) -> Vec<NetId>;
    /// Takes what the cell sent in the last tick and forgets what it received.
    fn collect(&self, world: &mut World, into: &mut Option<Batch>);
    /// Sorts a batch into one per owner. `owner` says in which slot an entity lives; the messages to those who
    /// live nowhere are dropped. Returns how many were delivered and how many dropped.
    fn route(
        &self,
        batch: Batch,
        owner: &dyn Fn(NetId) -> Option<usize>,
        deliver: &mut dyn FnMut(usize, Batch),
    ) -> (u64, u64);
    /// Puts a batch into the cell's inbox.
    fn deliver(&self, world: &mut World, batch: Batch);
    /// Saves what the cell sent in this tick; returns how many.
    fn save(&self, world: &World, out: &mut Vec<u8>) -> u64;
    /// Puts saved messages back into an outbox; returns how many bytes they took.
    ///
    /// # Errors
    /// When the bytes are not saved messages of this kind.
    fn load(&self, world: &mut World, count: u64, bytes: &[u8]) -> Result<usize, DecodeError>;
}

pub(crate) struct TypedMessageKind<M>(PhantomData<fn() -> M>);

impl<M> TypedMessageKind<M> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

fn typed<M: EntityMessage>(batch: Batch) -> Vec<Addressed<M>> {
    *batch.downcast().expect("a batch has the type of its kind")
}

impl<M: EntityMessage> MessageKind for TypedMessageKind<M> {
    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }
    fn type_id(&self) -> TypeId {
        TypeId::of::<M>()
    }
    fn install(&self, world: &mut World) {
        world.insert_resource(Outgoing::<M>(Vec::new()));
        world.insert_resource(Incoming::<M>(Vec::new()));
    }
    fn drop_foreign(&self, world: &mut World, is_own: &dyn Fn(&World, NetId) -> bool) -> Vec<NetId> {
        let mut sent = std::mem::take(&mut world.resource_mut::<Outgoing<M>>().0);
        let foreign = sent.extract_if(.., |message| !is_own(world, message.from)).map(|message| message.from);
        let foreign = foreign.collect();
        world.resource_mut::<Outgoing<M>>().0 = sent;
        foreign
    }
    fn collect(&self, world: &mut World, into: &mut Option<Batch>) {
        world.resource_mut::<Incoming<M>>().0.clear();
        let sent = &mut world.resource_mut::<Outgoing<M>>().0;
        if sent.is_empty() {
            return;
        }
        let batch = into.get_or_insert_with(|| Box::new(Vec::<Addressed<M>>::new()));
        batch.downcast_mut::<Vec<Addressed<M>>>().expect("a batch has the type of its kind").append(sent);
    }
    fn route(
        &self,
        batch: Batch,
        owner: &dyn Fn(NetId) -> Option<usize>,
        deliver: &mut dyn FnMut(usize, Batch),
    ) -> (u64, u64) {
        let mut messages = typed::<M>(batch);
        // Stable: one sender's messages keep their order, and one sender lives in one cell.
        messages.sort_by_key(|message| message.from);
        let (mut delivered, mut lost) = (0, 0);
        let mut by_owner: Vec<Vec<Addressed<M>>> = Vec::new();
        for message in messages {
            match owner(message.to) {
                Some(slot) => {
                    if by_owner.len() <= slot {
                        by_owner.resize_with(slot + 1, Vec::new);
                    }
                    by_owner[slot].push(message);
                    delivered += 1;
                }
                None => lost += 1,
            }
        }
        for (slot, messages) in by_owner.into_iter().enumerate() {
            if !messages.is_empty() {
                deliver(slot, Box::new(messages));
            }
        }
        (delivered, lost)
    }
    fn deliver(&self, world: &mut World, batch: Batch) {
        world.resource_mut::<Incoming<M>>().0 = typed::<M>(batch);
    }
    fn save(&self, world: &World, out: &mut Vec<u8>) -> u64 {
        let sent = &world.resource::<Outgoing<M>>().0;
        for message in sent {
            codec::encode_into(&(message.from, message.to), out);
            codec::encode_into(&message.message, out);
        }
        sent.len() as u64
    }
    fn load(&self, world: &mut World, count: u64, bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut used = 0;
        for _ in 0..count {
            let ((from, to), ends) = codec::decode_prefix::<(NetId, NetId), 64>("message", &bytes[used..])?;
            used += ends;
            let (message, body) = codec::decode_prefix::<M, SAVED_BYTES_MAX>("message", &bytes[used..])?;
            used += body;
            world.resource_mut::<Outgoing<M>>().0.push(Addressed { from, to, message });
        }
        Ok(used)
    }
}
