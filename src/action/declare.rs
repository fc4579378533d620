//! The declaration of an action: the trait behind `derive(Action)`.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::Role;

/// Something a player may ask for. Derive it; scope, caller and reply are declared, for none has a default:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use terrane::action::{Action, Caller, Scope};
///
/// /// Says something to everybody near.
/// #[derive(Serialize, Deserialize, Action)]
/// #[action(scope = group, caller = player, reply = ())]
/// struct Say {
///     text: String,
/// }
///
/// /// Turns the avatar: only the newest wish counts.
/// #[derive(Serialize, Deserialize, Action)]
/// #[action(scope = self, caller = player, latest_wins)]
/// struct Steer {
///     heading: f32,
/// }
///
/// assert_eq!((Say::SCOPE, Say::CALLER), (Scope::Group, Caller::Player));
/// assert!(Steer::LATEST_WINS);
/// ```
pub trait Action: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the type, unique within a game.
    const NAME: &'static str;
    /// Whose data it may reach.
    const SCOPE: Scope;
    /// Who may call it.
    const CALLER: Caller;
    /// Continuous input: only the newest of a kind counts, it is neither deduplicated nor answered.
    const LATEST_WINS: bool;
    /// What it is made of and answered with, as written in the source: `{to:NetId,amount:u32}->Receipt`.
    const SHAPE: &'static str;
    /// Its one answer; `()` for a bare "done" and where there is none.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Everything about it that both ends must agree on, for the [schema's](crate::replication::Schema) hash.
    /// Types appear by name: what is inside a field's own type is not seen.
    #[must_use]
    fn signature() -> String {
        let order = if Self::LATEST_WINS { " latest_wins" } else { "" };
        format!("{} {} {}{order} {}", Self::NAME, Self::SCOPE, Self::CALLER, Self::SHAPE)
    }
}

/// Whose data an action may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The caller's own, nobody else's.
    SelfOnly,
    /// That of who is there with the caller: a party, a table, those near.
    Group,
    /// Everybody's.
    Global,
}

impl Scope {
    /// As written in `#[action(scope = ...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::SelfOnly => "self",
            Scope::Group => "group",
            Scope::Global => "global",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who may call an action: a role, and every role above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// Everybody.
    Player,
    /// Game masters and admins.
    Gm,
    /// Admins alone.
    Admin,
}

impl Caller {
    /// Whether somebody with this role may call it.
    #[must_use]
    pub fn admits(self, role: Role) -> bool {
        let least = match self {
            Caller::Player => Role::Player,
            Caller::Gm => Role::Gm,
            Caller::Admin => Role::Admin,
        };
        role >= least
    }

    /// As written in `#[action(caller = ...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Caller::Player => "player",
            Caller::Gm => "gm",
            Caller::Admin => "admin",
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C3.
    #[test]
    fn a_caller_admits_its_role_and_those_above() {
        let admitted = |caller: Caller| [Role::Player, Role::Gm, Role::Admin].map(|role| caller.admits(role));
        assert_eq!(admitted(Caller::Player), [true, true, true]);
        assert_eq!(admitted(Caller::Gm), [false, true, true]);
        assert_eq!(admitted(Caller::Admin), [false, false, true]);
    }
}
