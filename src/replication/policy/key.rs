//! The keys of nested maps.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::{CellId, FactKey, NetId, PartyId, PlayerId, Role, Tag, TeamId, TickNumber};

/// What may be the key of a `nested` map.
///
/// A name that a viewer may not know is blanked, and blank keys would all be one: of a map whose keys name entities a
/// viewer is told the entries alone whose entities it sees, as if the others were not there. So a key that holds a
/// [`NetId`] has to say so:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use terrane::ids::NetId;
/// use terrane::replication::policy::MapKey;
///
/// #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
/// struct Lane {
///     from: NetId,
///     to: NetId,
/// }
///
/// impl MapKey for Lane {
///     const NAMES_ENTITIES: bool = true;
///
///     fn names(&self, entity: &mut dyn FnMut(NetId)) {
///         entity(self.from);
///         entity(self.to);
///     }
/// }
/// ```
///
/// Of one without a name the body is empty: `impl MapKey for Slot {}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a nested map",
    label = "does not say whether it names entities",
    note = "write `impl MapKey for {Self} {{}}` if it holds no NetId, and the two items of the trait if it does"
)]
pub trait MapKey: Ord + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whether it names entities.
    const NAMES_ENTITIES: bool = false;

    /// Shows each entity that it names.
    fn names(&self, entity: &mut dyn FnMut(NetId)) {
        let _ = entity;
    }
}

impl MapKey for NetId {
    const NAMES_ENTITIES: bool = true;

    fn names(&self, entity: &mut dyn FnMut(NetId)) {
        entity(*self);
    }
}

macro_rules! nameless {
    ($($key:ty)*) => { $(impl MapKey for $key {})* };
}

nameless! {
    u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char String
    PlayerId PartyId TeamId Role Tag FactKey CellId TickNumber
}

macro_rules! joined {
    ($($key:ident)*) => {
        impl<$($key: MapKey),*> MapKey for ($($key,)*) {
            const NAMES_ENTITIES: bool = false $(|| $key::NAMES_ENTITIES)*;

            #[expect(non_snake_case, reason = "the members of a tuple are called as their types")]
            fn names(&self, entity: &mut dyn FnMut(NetId)) {
                let ($($key,)*) = self;
                $($key.names(entity);)*
            }
        }
    };
}

joined! { A B }
joined! { A B C }
joined! { A B C D }
