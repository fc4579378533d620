//! The level of the component: who sees it at all.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Role;
use crate::replication::field::SyncFields;

use super::viewing::Viewing;

/// The name of a replicated component, as [`SyncFields::NAME`] has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ComponentName(Cow<'static, str>);

impl ComponentName {
    /// The name of that type.
    #[must_use]
    pub fn of<C: SyncFields>() -> Self {
        Self(Cow::Borrowed(C::NAME))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ComponentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who sees a component, by who they are to the subject alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ComponentRule {
    /// Everybody who sees the entity.
    Everyone,
    /// The subject's owner.
    Owner,
    /// Who is in the subject's party.
    Party,
    /// Who is in the subject's team.
    Team,
    /// Who has that role or a higher one.
    Role(Role),
    /// Nobody.
    Nobody,
}

impl ComponentRule {
    /// Whether this viewer sees the component of this subject.
    #[must_use]
    pub fn admits(self, viewing: &Viewing<'_>) -> bool {
        match self {
            ComponentRule::Everyone => true,
            ComponentRule::Owner => viewing.is_owner(),
            ComponentRule::Party => viewing.same_party(),
            ComponentRule::Team => viewing.same_team(),
            ComponentRule::Role(role) => viewing.viewer.role() >= role,
            ComponentRule::Nobody => false,
        }
    }
}

/// What a component declares about who sees it: `#[sync(...)]` on the type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComponentPolicy {
    /// Everybody who sees the entity: nothing was declared.
    #[default]
    Everyone,
    /// `owner`: the subject's owner.
    Owner,
    /// `party`: who is in the subject's party.
    Party,
    /// `team`: who is in the subject's team.
    Team,
    /// `role = Gm`: who has that role or a higher one.
    Role(Role),
    /// `custom = path`: who that function says.
    Custom,
    /// `server_only`: nobody, no override changes that, and no ghost has it.
    ServerOnly,
}

impl ComponentPolicy {
    /// The rule that says the same; `None` for what a function decides.
    #[must_use]
    pub const fn rule(self) -> Option<ComponentRule> {
        match self {
            ComponentPolicy::Everyone => Some(ComponentRule::Everyone),
            ComponentPolicy::Owner => Some(ComponentRule::Owner),
            ComponentPolicy::Party => Some(ComponentRule::Party),
            ComponentPolicy::Team => Some(ComponentRule::Team),
            ComponentPolicy::Role(role) => Some(ComponentRule::Role(role)),
            ComponentPolicy::ServerOnly => Some(ComponentRule::Nobody),
            ComponentPolicy::Custom => None,
        }
    }
}

/// As written in `#[sync(...)]`; `everyone` where nothing is.
impl fmt::Display for ComponentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ComponentPolicy::Everyone => f.write_str("everyone"),
            ComponentPolicy::Owner => f.write_str("owner"),
            ComponentPolicy::Party => f.write_str("party"),
            ComponentPolicy::Team => f.write_str("team"),
            ComponentPolicy::Role(role) => write!(f, "role = {role:?}"),
            ComponentPolicy::Custom => f.write_str("custom"),
            ComponentPolicy::ServerOnly => f.write_str("server_only"),
        }
    }
}
