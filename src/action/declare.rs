//! The declaration of an action: the trait behind `derive(Action)`.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::{NetId, Role};

/// Something a player may ask for. Derive it; all that is declared of it is in the attribute, and nothing of that has a
/// default:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use terrane::action::{Action, Caller, Limit, Pace, Scope};
///
/// /// Says something to the party.
/// #[derive(Serialize, Deserialize, Action)]
/// #[action(scope = group, caller = player, reply = (), rate = 2, burst = 5, coalesce = none, durability = memory, speaks)]
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
/// assert_eq!((Say::scope(), Say::CALLER), (Scope::Group, Caller::Player));
/// assert!(matches!(Say::PACE, Pace::Single(Limit { burst: 5, .. })));
/// assert_eq!(Steer::PACE, Pace::Continuous);
/// ```
pub trait Action: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the type, unique within a game.
    const NAME: &'static str;
    /// Whose data it may reach, as a type: a handler of another scope does not compile.
    type Scope: ScopeType;
    /// Who may call it.
    const CALLER: Caller;
    /// How often it may be called.
    const PACE: Pace;
    /// When what it does is durable, as a type: a handler that changes value is another one than one that does not.
    type Durability: DurabilityType;
    /// Who is muted may not call it.
    const SPEAKS: bool;
    /// Whether it is done on an entity that it names, and not on the caller's avatar.
    const HAS_TARGET: bool = false;
    /// What it is made of and answered with, as written in the source: `{to:NetId,amount:u32}->Receipt`.
    const SHAPE: &'static str;
    /// Its one answer; `()` for a bare "done" and where there is none.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The game's own reasons to refuse it.
    type Refusal: Serialize + DeserializeOwned + fmt::Display + Send + Sync + 'static;

    /// The entity that it is done on, if it names one: the caller must own it.
    fn target(&self) -> Option<NetId> {
        None
    }

    /// Whose data it may reach.
    #[must_use]
    fn scope() -> Scope {
        Self::Scope::SCOPE
    }

    /// Everything about it that both ends must agree on, for the [schema's](crate::replication::Schema) hash.
    /// Types appear by name: what is inside a field's own type is not seen.
    #[must_use]
    fn signature() -> String {
        let order = if Self::PACE == Pace::Continuous { " latest_wins" } else { "" };
        format!("{} {} {}{order} {}", Self::NAME, Self::scope(), Self::CALLER, Self::SHAPE)
    }
}

/// Whose data an action may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The caller's own, nobody else's.
    Own,
    /// That of the caller's party.
    Group,
    /// Everybody's.
    Global,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 3] = [Scope::Own, Scope::Group, Scope::Global];

    /// As written in `#[action(scope = ...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Own => "self",
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

mod sealed {
    pub trait Sealed {}
}

/// A [`Scope`] as a type.
pub trait ScopeType: sealed::Sealed + Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! scope_types {
    ($($(#[$doc:meta])* $name:ident = $scope:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl ScopeType for $name {
            const SCOPE: Scope = Scope::$scope;
        }
    )*};
}

scope_types! {
    /// `scope = self`.
    OwnScope = Own,
    /// `scope = group`.
    GroupScope = Group,
    /// `scope = global`.
    GlobalScope = Global
}

/// When what an action does is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// With the world's next image. It cannot change value.
    Memory,
    /// Before it is answered: it changes value, in one transaction of the store, once for good.
    Immediate,
}

impl Durability {
    /// As written in `#[action(durability = ...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Immediate => "immediate",
        }
    }
}

/// A [`Durability`] as a type.
pub trait DurabilityType: sealed::Sealed + Send + Sync + 'static {
    /// The durability.
    const DURABILITY: Durability;
}

/// `durability = memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InMemory {}
impl sealed::Sealed for InMemory {}
impl DurabilityType for InMemory {
    const DURABILITY: Durability = Durability::Memory;
}

/// `durability = immediate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immediate {}
impl sealed::Sealed for Immediate {}
impl DurabilityType for Immediate {
    const DURABILITY: Durability = Durability::Immediate;
}

/// How often an action may be called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Continuous input: only the newest of a kind counts, once a tick; it is neither deduplicated nor answered.
    Continuous,
    /// Each has an id of its own and gets one answer.
    Single(Limit),
}

/// The token bucket of one caller for one kind of action, and what becomes of several in one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// How many a second of world time in the long run.
    pub rate_per_s: f64,
    /// How many at once, after a while without.
    pub burst: u16,
    /// What becomes of several in one tick.
    pub coalesce: Coalesce,
}

/// What becomes of several actions of one kind by one caller in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coalesce {
    /// Each is run.
    None,
    /// Only the newest is run; the others are answered
    /// [`Superseded`](crate::protocol::messages::ActionRefusal::Superseded).
    Newest,
}

impl Coalesce {
    /// As written in `#[action(coalesce = ...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Coalesce::None => "none",
            Coalesce::Newest => "newest",
        }
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
