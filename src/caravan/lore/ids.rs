//! Ids of what the files define.

use std::fmt;

use crate::prelude::*;
use crate::reward::{Name, NameError};

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $id(Name);

        impl $id {
            /// From a file, whose ids were checked.
            pub(super) fn read(text: &str) -> Option<Self> {
                Name::new(text).ok().map(Self)
            }

            /// As players name it.
            ///
            /// # Errors
            /// When the text is no name.
            pub fn new(text: &str) -> Result<Self, NameError> {
                Name::new(text).map(Self)
            }

            /// As a name.
            #[must_use]
            pub fn name(&self) -> &Name {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A faction.
    FactionId,
    /// An origin.
    OriginId,
    /// A skill.
    SkillId,
    /// An attribute.
    AttributeId,
    /// An item; in the save it is an asset of this name.
    ItemId,
    /// A loot table.
    LootId,
}
