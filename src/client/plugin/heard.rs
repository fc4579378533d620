//! What players are told once, from bytes to messages of the event's type.

use std::collections::BTreeMap;

use bevy_ecs::message::Message;
use bevy_ecs::prelude::{Entity, Resource, World};

use crate::ids::NetId;
use crate::replication::events::PlayerEvent;
use crate::replication::{ReceivedEvent, Schema, SyncFields};

use super::client::Client;
use super::entities::NetIds;

/// The player was told of something that happened. Told after [`hear`](super::ClientAppExt::hear).
#[derive(Message, Clone, Debug, PartialEq, Eq)]
pub struct Heard<E: Send + Sync + 'static> {
    /// Which entity it is about; `None` for nothing that this player sees.
    pub about: Option<NetId>,
    /// That entity in the `App`, if it is in view just now.
    pub entity: Option<Entity>,
    /// What happened, with what is hidden at its default.
    pub event: E,
}

/// Decodes an event and writes it; `false` when its bytes are none.
type Hear = fn(&mut World, &Schema, &ReceivedEvent) -> bool;

/// The events that the game wants to hear of, by name.
#[derive(Resource, Debug, Default)]
pub(super) struct Ears {
    by_name: BTreeMap<&'static str, Hear>,
    checked: bool,
}

impl Ears {
    pub(super) fn add<E: PlayerEvent>(&mut self) {
        self.by_name.insert(<E as SyncFields>::NAME, hear::<E>);
    }

    fn check(&mut self, schema: &Schema) {
        if !std::mem::replace(&mut self.checked, true) {
            for name in self.by_name.keys() {
                let is_known = schema.events.iter().any(|event| event.name == *name);
                assert!(
                    is_known,
                    "hear::<{name}>(): the world tells no such event: its plugins must add_player_event"
                );
            }
        }
    }
}

fn hear<E: PlayerEvent>(world: &mut World, schema: &Schema, received: &ReceivedEvent) -> bool {
    let Some(Ok(event)) = received.read::<E>(schema) else { return false };
    let about = (received.about != NetId::WORLD).then_some(received.about);
    let entity = about.and_then(|about| world.resource::<NetIds>().entity(about));
    world.write_message(Heard { about, entity, event });
    true
}

/// After entities are what they are now, so that an event can be shown where it happened.
pub(super) fn tell_heard(world: &mut World) {
    let mut client = world.resource_mut::<Client>();
    let schema = client.player().schema().clone();
    let received: Vec<ReceivedEvent> = client.player_mut().events().collect();
    world.resource_mut::<Ears>().check(&schema);
    for event in received {
        let name = schema.events.get(usize::from(event.kind)).map(|kind| kind.name);
        let hear = name.and_then(|name| world.resource::<Ears>().by_name.get(name).copied());
        if hear.is_some_and(|hear| !hear(world, &schema, &event)) {
            world.resource_mut::<Client>().count_undecodable(1);
        }
    }
}
