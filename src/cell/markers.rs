//! The engine's own components: what makes an entity owned, or a ghost.

use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::{Component, Query, With};
use bevy_ecs::world::DeferredWorld;
use glam::Vec3;

use crate::ids::{NetId, Row};
use crate::replication::{EncodedRow, Subject};
use crate::space::LatticePoint;

use super::requests::{Death, Requests};

/// Marks an entity whose authority is the cell it lives in.
#[derive(Component, Clone, Copy, Debug)]
#[component(on_remove = report_death)]
pub struct Owned {
    /// Its node-wide row.
    pub row: Row,
    /// Its place in the cell's [`Export`](crate::ghost::Export); [`NO_EXPORT`] away from every border.
    pub export: u32,
    /// Where it was at the end of the last tick: what a step is measured from.
    pub anchor: Vec3,
    /// That place on the lattice, as last published.
    pub lattice: LatticePoint,
    /// Whether its row has been published at all.
    pub published: bool,
    /// Hash of its position as last summed.
    pub print: u64,
    /// Whom `Partition` has joined it to, by its [`Attached`](super::attached::Attached); nobody
    /// ([`NetId::WORLD`]) while it stands by itself. The two are always in one cell.
    pub leader: NetId,
}

/// [`Owned::export`] of an entity that no neighbour needs.
pub const NO_EXPORT: u32 = u32::MAX;

/// What an owned entity carries along but seldom touches.
#[derive(Component, Debug, Default)]
pub struct OwnedData {
    /// The public fields as last published.
    pub encoded: EncodedRow,
    /// Hash of each registered component as last summed, by kind; 0 for one it does not have. That of the
    /// position, which changes most, is in [`Owned`].
    pub prints: Vec<u64>,
}

/// Marks a read-only copy of an entity that a neighbour cell owns. Ordinary queries never match it.
#[derive(Component, Debug)]
#[component(on_remove = report_lost_ghost)]
pub struct Ghost {
    /// Its node-wide row.
    pub row: Row,
    /// Which of this cell's links feeds it; [`NO_LINK`] for one whose new owner has not spoken yet.
    pub link: u32,
    /// Its place in that neighbour's export.
    pub export: u32,
}

/// [`Ghost::link`] of a ghost between two owners.
pub const NO_LINK: u32 = u32::MAX;

/// Reads the ghosts of a cell: `Ghosts<(&Position, &Caravan)>`. What it shows is at most one tick old, and
/// everything a neighbour may not know is at its default.
pub type Ghosts<'w, 's, D> = Query<'w, 's, D, With<Ghost>>;

/// An entity that loses its authority without the engine's doing has died: by `despawn`, from a game system.
fn report_death(mut world: DeferredWorld<'_>, context: HookContext) {
    let entity = context.entity;
    if world.get_resource::<Requests>().is_none_or(|requests| requests.engine_moves) {
        return;
    }
    let Some(&net_id) = world.get::<NetId>(entity) else { return };
    let Some(&Owned { row, export, print, .. }) = world.get::<Owned>(entity) else { return };
    let mut prints = world
        .get_mut::<OwnedData>(entity)
        .map(|mut data| std::mem::take(&mut data.prints))
        .unwrap_or_default();
    prints.push(print);
    let subject = world.get::<Subject>(entity).filter(|subject| !subject.is_plain());
    let subject = subject.cloned().map(Box::new);
    world.resource_mut::<Requests>().deaths.push(Death { net_id, row, export, prints, subject });
}

/// A ghost that vanishes without the engine's doing would be missing for good.
fn report_lost_ghost(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(&net_id) = world.get::<NetId>(context.entity) else { return };
    if let Some(mut requests) = world.get_resource_mut::<Requests>()
        && !requests.engine_moves
    {
        requests.lost_ghost.get_or_insert(net_id);
    }
}
