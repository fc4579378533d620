//! What handlers tell players and ask for, apart from the world while they run: they hold components of it.

use bevy_ecs::prelude::World;

use crate::cell::requests::{Requests, ViewerChange, ViewerRequest};
use crate::ids::{NetId, PlayerId};
use crate::replication::events::{Audience, EventOutbox, PlayerEvent};
use crate::replication::policy::ViewerContext;

/// What the handlers of one cell and tick tell and ask for, taken out of the cell's world.
#[derive(Debug)]
pub struct ActionEffects {
    events: EventOutbox,
    viewers: Vec<ViewerRequest>,
}

/// How much there was before a handler ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize, usize);

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

    pub(super) fn mark(&self) -> Mark {
        Mark(self.events.len(), self.viewers.len())
    }

    /// Nothing of what came since is told or asked for.
    pub(super) fn undo(&mut self, mark: Mark) {
        self.events.truncate(mark.0);
        self.viewers.truncate(mark.1);
    }

    pub(super) fn tell<E: PlayerEvent>(&mut self, about: NetId, to: Audience, event: E) {
        self.events.send(about, to, event);
    }

    pub(super) fn change_viewer(
        &mut self,
        by: NetId,
        player: PlayerId,
        change: impl FnOnce(&mut ViewerContext) + Send + Sync + 'static,
    ) {
        let change = ViewerChange::Context(player, Box::new(change));
        self.viewers.push(ViewerRequest { by, change });
    }
}
