//! The reference data that a world goes by: the same version everywhere, exchanged before anything else happens in a tick.

use std::any::TypeId;
use std::sync::Arc;

use bevy_ecs::prelude::{Resource, World};

use crate::cell::published::{NewlyPublished, Publish, Published};
use crate::reference::{LoadedReference, Reference, ReferenceKind, ReferenceVersion};
use crate::value::Tables;

use super::io::SealedInput;

/// What a game has declared, and what it begins with where somebody has read files.
#[derive(Debug)]
pub(super) struct DeclaredReference {
    pub(super) kind: ReferenceKind,
    pub(super) begins_with: Option<LoadedReference>,
    published_as: TypeId,
    give: fn(&LoadedReference, &mut World),
    for_cells: fn(&LoadedReference) -> Publish,
}

impl DeclaredReference {
    pub(super) fn of<R: Reference>() -> Self {
        Self {
            kind: ReferenceKind::of::<R>(),
            begins_with: None,
            published_as: TypeId::of::<Published<R>>(),
            give: give::<R>,
            for_cells: for_cells::<R>,
        }
    }

    /// How every cell gets it when it is made.
    pub(super) fn publish(&self, loaded: &LoadedReference) -> (TypeId, Publish) {
        (self.published_as, (self.for_cells)(loaded))
    }

    /// Lets the node go by it, as long as it is not exchanged.
    pub(super) fn install(self, loaded: LoadedReference, node: &mut World) {
        put(&loaded, self.give, node);
        node.insert_resource(ReferenceOfWorld { loaded, reloads: 0, give: self.give });
    }
}

fn typed<R: Reference>(loaded: &LoadedReference) -> Arc<R> {
    loaded.data::<R>().expect("reference data are of the type that read them")
}

fn give<R: Reference>(loaded: &LoadedReference, node: &mut World) {
    let data = typed::<R>(loaded);
    node.insert_resource(Published::new(data.clone()));
    node.resource_mut::<NewlyPublished>().push(data);
}

fn for_cells<R: Reference>(loaded: &LoadedReference) -> Publish {
    let data = typed::<R>(loaded);
    Arc::new(move |world| world.insert_resource(Published::new(data.clone())))
}

/// What the node goes by.
#[derive(Resource, Debug)]
pub(crate) struct ReferenceOfWorld {
    pub(crate) loaded: LoadedReference,
    /// How often it was exchanged since the start.
    pub(crate) reloads: u64,
    give: fn(&LoadedReference, &mut World),
}

impl ReferenceOfWorld {
    pub(crate) fn version(&self) -> ReferenceVersion {
        self.loaded.version()
    }
}

fn put(loaded: &LoadedReference, give: fn(&LoadedReference, &mut World), node: &mut World) {
    give(loaded, node);
    if let Some(rewards) = loaded.rewards() {
        node.insert_resource(Tables(rewards.clone()));
    }
}

/// `Receive`: the version that the tick's input brings takes the place of the one before. Plans that are under way keep what they
/// were planned with.
pub(super) fn take_reference(node: &mut World) {
    let Some(loaded) = node.resource_mut::<SealedInput>().reference.take() else { return };
    let Some(mut current) = node.get_resource_mut::<ReferenceOfWorld>() else { return };
    let give = current.give;
    if current.version() != loaded.version() {
        current.reloads += 1;
    }
    current.loaded = loaded.clone();
    put(&loaded, give, node);
}
