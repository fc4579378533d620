//! What an action says of itself. Derive it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::Role;

/// Whose data an action may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The caller's own and nothing else.
    SelfOnly,
    /// The caller's group.
    Group,
    /// Anybody's: needs a role.
    Global,
}

/// Who may call an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Everybody.
    Player,
    /// Game masters and operators.
    Gm,
    /// Operators.
    Admin,
}

impl Caller {
    /// Whether somebody with this role may call.
    #[must_use]
    pub fn admits(self, role: Role) -> bool {
        match self {
            Caller::Player => true,
            Caller::Gm => role >= Role::Gm,
            Caller::Admin => role >= Role::Admin,
        }
    }
}

/// Something a player can ask the world to do.
pub trait Action: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the type.
    const NAME: &'static str;
    /// Whose data it may reach.
    const SCOPE: Scope;
    /// Who may call it.
    const CALLER: Caller;
    /// Continuous input: only the newest counts, it is not answered and not remembered.
    const LATEST_WINS: bool;
    /// The answer.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What both ends must agree on.
    #[must_use]
    fn signature() -> String {
        format!("{}:{:?}:{:?}:{}", Self::NAME, Self::SCOPE, Self::CALLER, Self::LATEST_WINS)
    }
}
