//! Whose something is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::Name;
use crate::ids::PlayerId;

/// The house that receives what has expired.
pub const EXPIRED_HOUSE: &str = "expired";
/// The house that pools fill up from.
pub const REGENERATION_HOUSE: &str = "regeneration";

/// Whoever can hold value. What one account gives another receives, so the sum over all accounts of every asset is nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// A player's. Never below nothing.
    Player(PlayerId),
    /// A house: where value comes from and goes to, such as a market, a loot table or all NPCs together. It may be below
    /// nothing: that is what it has given out.
    House(Name),
}

impl Account {
    /// The house of this name.
    #[must_use]
    pub fn house(name: impl Into<Name>) -> Self {
        Self::House(name.into())
    }

    /// The player, if it is one's.
    #[must_use]
    pub fn player(&self) -> Option<&PlayerId> {
        match self {
            Self::Player(player) => Some(player),
            Self::House(_) => None,
        }
    }
}

impl From<&PlayerId> for Account {
    fn from(player: &PlayerId) -> Self {
        Self::Player(player.clone())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Player(player) => write!(f, "player {player}"),
            Self::House(name) => write!(f, "house {name}"),
        }
    }
}
