//! Who looks at what: what policy functions are given to decide by.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use crate::ids::{FactKey, NetId, PartyId, PlayerId, Role, Tag, TeamId};

use super::depends::Depends;
use super::subject::Subject;

/// A set of permissions, one bit each; which bit means what the game says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(pub u64);

impl Permissions {
    /// No permission.
    pub const NONE: Permissions = Permissions(0);

    /// Whether all of `wanted` are in the set.
    #[must_use]
    pub const fn contains(self, wanted: Permissions) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// Everything about a player that sync policies may decide by.
///
/// What changes in it, by its setters or as a whole, is found by comparison with what was there a tick before: no change
/// can get lost, and one that is undone within the tick is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerContext {
    player: PlayerId,
    role: Role,
    party: Option<PartyId>,
    team: Option<TeamId>,
    permissions: Permissions,
    facts: BTreeMap<FactKey, i64>,
}

impl ViewerContext {
    /// A player of that role, in no party and no team, without permissions.
    #[must_use]
    pub fn new(player: PlayerId, role: Role) -> Self {
        Self { player, role, party: None, team: None, permissions: Permissions::NONE, facts: BTreeMap::new() }
    }

    /// Who it is.
    #[must_use]
    pub fn player(&self) -> &PlayerId {
        &self.player
    }

    /// What the player may do beyond playing.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The player's party.
    #[must_use]
    pub fn party(&self) -> Option<PartyId> {
        self.party
    }

    /// The player's team.
    #[must_use]
    pub fn team(&self) -> Option<TeamId> {
        self.team
    }

    /// The player's permissions.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// What the game says about the player under that name.
    #[must_use]
    pub fn fact(&self, key: FactKey) -> Option<i64> {
        self.facts.get(&key).copied()
    }

    /// All that the game says about the player.
    pub fn facts(&self) -> impl Iterator<Item = (FactKey, i64)> + '_ {
        self.facts.iter().map(|(&key, &value)| (key, value))
    }

    /// Which aspects that policy functions may ask about differ from `before`. O(facts).
    #[must_use]
    pub fn changes_since(&self, before: &ViewerContext) -> Depends {
        let changed = [
            (self.role != before.role, Depends::VIEWER_ROLE),
            (self.party != before.party, Depends::VIEWER_PARTY),
            (self.team != before.team, Depends::VIEWER_TEAM),
            (self.permissions != before.permissions, Depends::VIEWER_PERMISSIONS),
        ];
        let changed = changed.into_iter().filter(|(differs, _)| *differs);
        let all = changed.fold(Depends::NONE, |all, (_, aspect)| all | aspect);
        if self.facts == before.facts {
            return all;
        }
        let keys = self.facts.keys().chain(before.facts.keys());
        let facts = keys.filter(|&&key| self.fact(key) != before.fact(key));
        facts.fold(all, |all, &key| all | Depends::fact(key))
    }

    /// The same as that player.
    pub(crate) fn belong_to(&mut self, player: &PlayerId) {
        self.player = player.clone();
    }

    /// Gives the player another role.
    pub fn set_role(&mut self, role: Role) {
        self.role = role;
    }

    /// Puts the player into another party, or none.
    pub fn set_party(&mut self, party: Option<PartyId>) {
        self.party = party;
    }

    /// Puts the player into another team, or none.
    pub fn set_team(&mut self, team: Option<TeamId>) {
        self.team = team;
    }

    /// Gives the player these permissions and no others.
    pub fn set_permissions(&mut self, permissions: Permissions) {
        self.permissions = permissions;
    }

    /// Says something about the player, or no longer.
    pub fn set_fact(&mut self, key: FactKey, value: Option<i64>) {
        match value {
            Some(value) => self.facts.insert(key, value),
            None => self.facts.remove(&key),
        };
    }
}

/// One viewer looking at one entity: what a policy function is given.
///
/// Every question is noted, so that the engine asks the policy again when the answer to one of them changes and not
/// before. Whose answers a policy combines is its own business:
///
/// ```
/// use terrane::ids::Role;
/// use terrane::replication::policy::Viewing;
///
/// fn crew_or_staff(wage: &u32, viewing: &Viewing) -> Option<u32> {
///     (viewing.same_party() || viewing.viewer.role() >= Role::Gm).then_some(*wage)
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Viewing<'a> {
    /// Who looks.
    pub viewer: ViewerLens<'a>,
    /// What is looked at.
    pub subject: SubjectLens<'a>,
    /// Which entities the viewer sees, where that is known.
    sees: Option<&'a dyn Fn(NetId) -> bool>,
}

impl fmt::Debug for Viewing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewing")
            .field("viewer", &self.viewer)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl<'a> Viewing<'a> {
    /// `viewer` looks at the entity `net_id`; what is asked about them is added to `reads`.
    #[must_use]
    pub fn new(
        viewer: &'a ViewerContext,
        net_id: NetId,
        subject: &'a Subject,
        reads: &'a Cell<Depends>,
    ) -> Self {
        Self {
            viewer: ViewerLens { context: viewer, reads },
            subject: SubjectLens { net_id, subject, reads },
            sees: None,
        }
    }

    /// The same by a viewer who sees those entities. Who does not say sees all: then names are blanked by others alone.
    #[must_use]
    pub fn seeing(self, sees: &'a dyn Fn(NetId) -> bool) -> Self {
        Self { sees: Some(sees), ..self }
    }

    /// Whether the viewer may know the name of an entity; a blank one names nobody.
    pub(crate) fn may_name(&self, net_id: NetId) -> bool {
        self.note(Depends::NAMED_IDS);
        net_id == NetId::WORLD || self.sees.is_none_or(|sees| sees(net_id))
    }

    /// Whether the viewer owns the subject. Nobody owns what has no owner.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.subject.owner() == Some(self.viewer.player())
    }

    /// Whether both are in the same party. Two without a party are not.
    #[must_use]
    pub fn same_party(&self) -> bool {
        let (viewer, subject) = (self.viewer.party(), self.subject.party());
        viewer.is_some() && viewer == subject
    }

    /// Whether both are in the same team. Two without a team are not.
    #[must_use]
    pub fn same_team(&self) -> bool {
        let (viewer, subject) = (self.viewer.team(), self.subject.team());
        viewer.is_some() && viewer == subject
    }

    /// What was asked since the last call.
    pub(crate) fn take_reads(&self) -> Depends {
        self.viewer.reads.take()
    }

    /// Adds to what the answer depends on.
    pub(crate) fn note(&self, aspect: Depends) {
        note(self.viewer.reads, aspect);
    }
}

fn note(reads: &Cell<Depends>, aspect: Depends) {
    reads.set(reads.get() | aspect);
}

/// The viewer, as a policy function sees it: every question is noted.
#[derive(Clone, Copy, Debug)]
pub struct ViewerLens<'a> {
    context: &'a ViewerContext,
    reads: &'a Cell<Depends>,
}

impl<'a> ViewerLens<'a> {
    /// Who it is. Never changes, so it is not noted.
    #[must_use]
    pub fn player(&self) -> &'a PlayerId {
        &self.context.player
    }

    /// What the player may do beyond playing.
    #[must_use]
    pub fn role(&self) -> Role {
        note(self.reads, Depends::VIEWER_ROLE);
        self.context.role
    }

    /// The player's party.
    #[must_use]
    pub fn party(&self) -> Option<PartyId> {
        note(self.reads, Depends::VIEWER_PARTY);
        self.context.party
    }

    /// The player's team.
    #[must_use]
    pub fn team(&self) -> Option<TeamId> {
        note(self.reads, Depends::VIEWER_TEAM);
        self.context.team
    }

    /// Whether the player has all of these permissions.
    #[must_use]
    pub fn has_permission(&self, wanted: Permissions) -> bool {
        note(self.reads, Depends::VIEWER_PERMISSIONS);
        self.context.permissions.contains(wanted)
    }

    /// What the game says about the player under that name.
    #[must_use]
    pub fn fact(&self, key: FactKey) -> Option<i64> {
        note(self.reads, Depends::fact(key));
        self.context.fact(key)
    }
}

/// The subject, as a policy function sees it: every question is noted.
#[derive(Clone, Copy, Debug)]
pub struct SubjectLens<'a> {
    net_id: NetId,
    subject: &'a Subject,
    reads: &'a Cell<Depends>,
}

impl<'a> SubjectLens<'a> {
    /// Which entity it is. Never changes, so it is not noted.
    #[must_use]
    pub fn net_id(&self) -> NetId {
        self.net_id
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Option<&'a PlayerId> {
        note(self.reads, Depends::SUBJECT_OWNER);
        self.subject.owner()
    }

    /// Its party.
    #[must_use]
    pub fn party(&self) -> Option<PartyId> {
        note(self.reads, Depends::SUBJECT_PARTY);
        self.subject.party()
    }

    /// Its team.
    #[must_use]
    pub fn team(&self) -> Option<TeamId> {
        note(self.reads, Depends::SUBJECT_TEAM);
        self.subject.team()
    }

    /// Whether it has that tag.
    #[must_use]
    pub fn has_tag(&self, tag: Tag) -> bool {
        note(self.reads, Depends::SUBJECT_TAGS);
        self.subject.has_tag(tag)
    }
}
