//! What the systems of a cell ask the node for: births, deaths and jumps. All of it happens at the next
//! `Partition`, wherever it leads, so that it takes the same time on every cell layout.

use bevy_ecs::bundle::Bundle;
use bevy_ecs::prelude::{ResMut, Resource, World};
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::EntityWorldMut;
use glam::Vec3;

use crate::ids::{NetId, PlayerId, Row};
use crate::replication::events::EventOutbox;
use crate::replication::policy::{Subject, ViewerContext};

use super::Cell;
use super::markers::Owned;

/// Puts the components onto a new entity.
pub type BuildEntity = Box<dyn FnOnce(&mut EntityWorldMut<'_>) + Send + Sync>;

/// One entity to be born.
pub struct SpawnRequest {
    /// Who spawns it: its id is derived from this one's and from how many this one spawned before.
    pub spawner: NetId,
    /// Where.
    pub position: Vec3,
    /// Priority class in full views and updates, 0 first.
    pub class: u8,
    /// Its components.
    pub build: BuildEntity,
}

impl std::fmt::Debug for SpawnRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpawnRequest")
            .field("spawner", &self.spawner)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Priority class of what is spawned without another.
pub const CLASS_DEFAULT: u8 = 1;

impl SpawnRequest {
    /// An entity of the ordinary class.
    pub fn new(spawner: NetId, position: Vec3, bundle: impl Bundle) -> Self {
        Self {
            spawner,
            position,
            class: CLASS_DEFAULT,
            build: Box::new(move |entity| {
                entity.insert(bundle);
            }),
        }
    }
}

/// What is left of an entity that a game system despawned.
#[derive(Clone, Debug)]
pub struct Death {
    /// Its name.
    pub net_id: NetId,
    /// Its row.
    pub row: Row,
    /// Its place in the cell's export, if any.
    pub export: u32,
    /// Its part of the fingerprint, by kind.
    pub prints: Vec<u64>,
    /// Whose it was and who could see it, at the very end; `None` for a plain one.
    pub subject: Option<Box<Subject>>,
}

/// A change of what sync policies may know of a player, or of what is always in a view.
pub struct ViewerRequest {
    /// On behalf of which entity: the order of changes goes by it.
    pub by: NetId,
    /// What is done.
    pub change: ViewerChange,
}

/// In whose view something is kept wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinnedFor {
    /// In everybody's, whoever comes later included.
    All,
    /// In one player's, until that player leaves.
    Player(PlayerId),
}

/// What is done to the context of a player, or to what is pinned.
pub enum ViewerChange {
    /// That player's context is changed.
    Context(PlayerId, Box<dyn FnOnce(&mut ViewerContext) + Send + Sync>),
    /// One more reason to keep the entity in view.
    Pin(NetId, PinnedFor),
    /// One reason less.
    Unpin(NetId, PinnedFor),
}

impl std::fmt::Debug for ViewerRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewerRequest").field("by", &self.by).field("change", &self.change).finish()
    }
}

impl std::fmt::Debug for ViewerChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ViewerChange::Context(player, _) => {
                f.debug_tuple("Context").field(player).finish_non_exhaustive()
            }
            ViewerChange::Pin(entity, of) => f.debug_tuple("Pin").field(entity).field(of).finish(),
            ViewerChange::Unpin(entity, of) => f.debug_tuple("Unpin").field(entity).field(of).finish(),
        }
    }
}

/// The requests of one cell in this tick.
#[derive(Resource, Debug, Default)]
pub struct Requests {
    /// To be born.
    pub spawns: Vec<SpawnRequest>,
    /// Found despawned.
    pub deaths: Vec<Death>,
    /// To be put elsewhere, however far.
    pub teleports: Vec<(NetId, Vec3)>,
    /// What policies may know of players, or what they always see, is to be another.
    pub viewers: Vec<ViewerRequest>,
    /// A ghost that a game system despawned.
    pub lost_ghost: Option<NetId>,
    /// Set while the engine itself takes entities apart: that is no death.
    pub(crate) engine_moves: bool,
}

impl Requests {
    /// Drops what was asked for by, or for, others than the cell's own, and gives (what, whose name).
    fn drop_foreign(&mut self, is_own: impl Fn(NetId) -> bool) -> Vec<(&'static str, NetId)> {
        let spawns = self.spawns.extract_if(.., |request| !is_own(request.spawner));
        let mut foreign: Vec<_> = spawns.map(|request| ("spawned from", request.spawner)).collect();
        let teleports = self.teleports.extract_if(.., |(net_id, _)| !is_own(*net_id));
        foreign.extend(teleports.map(|(net_id, _)| ("teleported", net_id)));
        let viewers = self.viewers.extract_if(.., |request| !is_own(request.by));
        let what = |request: ViewerRequest| match request.change {
            ViewerChange::Context(..) => ("changed a player's context on behalf of", request.by),
            ViewerChange::Pin(..) => ("pinned something on behalf of", request.by),
            ViewerChange::Unpin(..) => ("unpinned something on behalf of", request.by),
        };
        foreign.extend(viewers.map(what));
        foreign
    }
}

impl Cell {
    /// Drops what game systems asked for in this tick in the name of entities that are not the cell's own: their order
    /// and their names would depend on the layout. Whoever died in this very tick was the cell's own.
    ///
    /// # Panics
    /// Where invariants are checked: names the cell and the entity.
    pub(super) fn drop_foreign_requests(&mut self) {
        let by_net_id = &self.by_net_id;
        let is_own = |world: &World, net_id: NetId| {
            let entity = by_net_id.get(&net_id).map(|&entity| world.get_entity(entity));
            entity.is_some_and(|entity| entity.map_or(true, |entity| entity.contains::<Owned>()))
        };
        let mut requests = std::mem::take(&mut *self.world.resource_mut::<Requests>());
        let mut foreign = requests.drop_foreign(|net_id| is_own(&self.world, net_id));
        *self.world.resource_mut::<Requests>() = requests;
        for kind in &self.game.messages {
            let senders = kind.drop_foreign(&mut self.world, &is_own);
            foreign.extend(senders.into_iter().map(|net_id| ("sent a message from", net_id)));
        }
        let mut outbox = self.world.remove_resource::<EventOutbox>().expect("every cell has one");
        let about = outbox.drop_foreign(|net_id| is_own(&self.world, net_id));
        foreign.extend(about.into_iter().map(|net_id| ("told players about", net_id)));
        self.world.insert_resource(outbox);
        self.counts.foreign_requests += foreign.len() as u64;
        let Some(&(what, net_id)) = foreign.first() else { return };
        let (cell, more) = (self.leaf.id, foreign.len() - 1);
        assert!(
            !self.checks_invariants,
            "cell {cell}: a game system {what} {net_id}, which is not an entity of this cell: ask for what it shall do \
             with a message to it"
        );
        tracing::error!(%cell, %net_id, more, "a game system {what} an entity of another cell: not done");
    }
}

/// For game systems: what cannot happen within the cell and the tick.
///
/// ```
/// # use terrane::prelude::*;
/// # #[derive(Component, Clone, Default, Replicate)]
/// # struct Arrow { #[sync(broadcast)] kind: u8 }
/// fn shoot(archers: Query<(&NetId, &Position)>, mut world: WorldRequests) {
///     for (&archer, place) in &archers {
///         world.spawn(archer, place.0, Arrow { kind: 1 });
///     }
/// }
/// ```
#[derive(SystemParam)]
pub struct WorldRequests<'w> {
    requests: ResMut<'w, Requests>,
}

impl WorldRequests<'_> {
    /// Spawns an entity at a place anywhere in the world; it acts from the next tick on.
    ///
    /// `spawner` must be an entity of this cell: ids and order derive from it, so they do not depend on which
    /// cell it is in. What another is named for is not done, but counted; where invariants are checked it panics.
    pub fn spawn(&mut self, spawner: NetId, position: Vec3, bundle: impl Bundle) {
        self.requests.spawns.push(SpawnRequest::new(spawner, position, bundle));
    }

    /// Spawns with a priority class of one's own, 0 first.
    pub fn spawn_with_class(&mut self, spawner: NetId, position: Vec3, class: u8, bundle: impl Bundle) {
        let mut request = SpawnRequest::new(spawner, position, bundle);
        request.class = class;
        self.requests.spawns.push(request);
    }

    /// Puts an entity of this cell anywhere at once, with all that is attached to it, at the next tick. If it is
    /// attached to something itself, it lets go of that first. As [`spawn`](Self::spawn), it is refused for others.
    pub fn teleport(&mut self, entity: NetId, to: Vec3) {
        self.requests.teleports.push((entity, to));
    }

    /// Changes what sync policies may know of a player (party, team, role, permissions, facts), at the next tick, in the
    /// order (`by`, order of asking). `by` must be an entity of this cell. Of a player who is not in the world then
    /// nothing changes.
    pub fn change_viewer(
        &mut self,
        by: NetId,
        player: PlayerId,
        change: impl FnOnce(&mut ViewerContext) + Send + Sync + 'static,
    ) {
        let change = ViewerChange::Context(player, Box::new(change));
        self.requests.viewers.push(ViewerRequest { by, change });
    }

    /// One more reason to keep `entity` in the view of a player, or of all, wherever it is; from the next tick on, if it
    /// lives then. `by` must be an entity of this cell, and may be the entity itself: a boss that all shall see.
    ///
    /// It stays until as many reasons are taken back, it dies, or the player leaves.
    pub fn pin(&mut self, by: NetId, entity: NetId, of: PinnedFor) {
        self.requests.viewers.push(ViewerRequest { by, change: ViewerChange::Pin(entity, of) });
    }

    /// One reason less, from the next tick on; when there is none nothing changes.
    pub fn unpin(&mut self, by: NetId, entity: NetId, of: PinnedFor) {
        self.requests.viewers.push(ViewerRequest { by, change: ViewerChange::Unpin(entity, of) });
    }
}
