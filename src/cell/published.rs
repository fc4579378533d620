//! Data that the node owns and all cells read, and how the node gives them a new version.

use std::sync::Arc;

use bevy_ecs::prelude::{ResMut, Resource, World};
use bevy_ecs::system::SystemParam;

use super::pool::Cells;

/// Data that the node owns and every cell reads, the same version everywhere: it changes at `Partition` only, when a
/// node system has given another one with [`Publisher`].
#[derive(Resource, Debug)]
pub struct Published<T: Send + Sync + 'static>(Arc<T>);

impl<T: Send + Sync + 'static> Published<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self(value)
    }
}

impl<T: Send + Sync + 'static> std::ops::Deref for Published<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Gives one cell a value.
pub(crate) type Publish = Arc<dyn Fn(&mut World) + Send + Sync>;

/// What is to be published at the next `Partition`, in the order in which it was given.
#[derive(Resource, Default)]
pub(crate) struct NewlyPublished(Vec<Publish>);

impl NewlyPublished {
    /// A new version, which somebody else may hold too.
    pub(crate) fn push<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.0.push(Arc::new(move |world| {
            if let Some(mut published) = world.get_resource_mut::<Published<T>>() {
                published.0 = value.clone();
            }
        }));
    }
}

/// For node systems: gives all cells that [read](super::registration::CellAppExt::read_published) a `T` a new version of
/// it, without copying it. Game systems read it from the next `Partition` on: in the same tick when it is given before
/// that set, in the next tick otherwise. Of several versions the last one given counts.
///
/// A save does not hold what was published: a resumed world begins with what
/// [`ServerBuilder::publish`](crate::server::ServerBuilder::publish) said. Like everything that decides what happens,
/// a new version must follow from the tick's input.
///
/// ```
/// # use terrane::cell::published::Publisher;
/// # use terrane::prelude::*;
/// struct Prices { bread: u32 }
/// fn raise_prices(context: Res<terrane::cell::pool::NodeContext>, mut publisher: Publisher) {
///     if context.0.tick.0.is_multiple_of(1_200) {
///         publisher.publish(Prices { bread: context.0.tick.0 as u32 / 1_200 });
///     }
/// }
/// ```
#[derive(SystemParam)]
pub struct Publisher<'w> {
    newly: ResMut<'w, NewlyPublished>,
}

impl Publisher<'_> {
    /// Gives a new version. One of a type that no cell reads has no effect.
    pub fn publish<T: Send + Sync + 'static>(&mut self, value: T) {
        self.newly.push(Arc::new(value));
    }
}

/// Gives every cell what is newly published. O(cells × versions).
pub(super) fn give_to_all(world: &mut World, cells: &mut Cells) {
    for give in std::mem::take(&mut world.resource_mut::<NewlyPublished>().0) {
        for cell in cells.iter_mut() {
            give(&mut cell.world);
        }
    }
}
