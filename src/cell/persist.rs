//! How soon components of avatars are durable, as games declare it.

use std::any::TypeId;

use bevy_ecs::prelude::Component;
pub use terrane_macros::Persist;

use super::game_error::GameError;
use super::kinds::{ComponentKind, Reach};

/// How soon a change of a component is on its way to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DurabilityClass {
    /// At the end of the tick in which it is made.
    Immediate,
    /// With the next scan for what changed.
    Periodic,
    /// When the player leaves or the world ends, within the profile: as is every registered component.
    OnDisconnect,
}

/// A component of avatars that says how soon it is durable: `#[derive(Persist)]` with one of `#[persist(immediate)]`,
/// `#[persist(periodic)]` and `#[persist(on_disconnect)]`.
///
/// ```
/// use terrane::prelude::*;
///
/// #[derive(Component, Clone, Default, Serialize, Deserialize, Persist)]
/// #[persist(immediate)]
/// struct Quests {
///     done: Vec<u32>,
/// }
///
/// struct Story;
/// impl Plugin for Story {
///     fn build(&self, app: &mut App) {
///         app.server_only::<Quests>().persist::<Quests>();
///     }
/// }
/// # assert!(ServerBuilder::default().add_cell_plugins(Story).learn().is_ok());
/// ```
///
/// What it holds of value, in [`Settled`](crate::value::Settled) fields, is brought up to date from the ledger wherever it is
/// loaded: what was written of it here never counts.
pub trait Persist: Component {
    /// How soon.
    const CLASS: DurabilityClass;
}

/// What [`persist`](super::registration::CellAppExt::persist) was called for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PersistRequest {
    type_id: TypeId,
    type_name: &'static str,
    class: DurabilityClass,
}

impl PersistRequest {
    pub(crate) fn of<C: Persist>() -> Self {
        Self { type_id: TypeId::of::<C>(), type_name: std::any::type_name::<C>(), class: C::CLASS }
    }
}

/// A kind of component that is written by itself while its player is in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PersistedKind {
    /// Index of the kind.
    pub(crate) kind: usize,
    /// [`Immediate`](DurabilityClass::Immediate) or [`Periodic`](DurabilityClass::Periodic).
    pub(crate) class: DurabilityClass,
}

impl PersistedKind {
    /// The kinds that were asked for and need rows of their own, by name.
    ///
    /// # Errors
    /// When one was asked for twice, or is not registered as what is saved.
    pub(super) fn all(
        requests: &[PersistRequest],
        kinds: &[Box<dyn ComponentKind>],
    ) -> Result<Vec<Self>, GameError> {
        let mut persisted = Vec::new();
        for (number, request) in requests.iter().enumerate() {
            if requests[..number].iter().any(|earlier| earlier.type_id == request.type_id) {
                return Err(GameError::DuplicatePersist(request.type_name));
            }
            let kind = kinds.iter().position(|kind| kind.type_id() == request.type_id);
            let kind = kind.ok_or(GameError::PersistUnregistered(request.type_name))?;
            if kinds[kind].reach() == Reach::CellLocal {
                return Err(GameError::PersistCellLocal(request.type_name));
            }
            if request.class != DurabilityClass::OnDisconnect {
                persisted.push(Self { kind, class: request.class });
            }
        }
        persisted.sort_by_key(|persisted| kinds[persisted.kind].name());
        Ok(persisted)
    }
}
