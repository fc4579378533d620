//! What is looked at: whose it is, and the markers that restrict who sees an entity at all.

use bevy_ecs::prelude::Component;
use serde::{Deserialize, Serialize};

use crate::ids::{PartyId, PlayerId, Role, Tag, TeamId};
use crate::replication::field::SyncFields;

use super::component::{ComponentName, ComponentRule};
use super::depends::Depends;
use super::viewing::ViewerContext;

/// What sync policies may know of an entity, and what restricts who sees it. An entity without one is plain: nobody's,
/// and seen by everybody in range.
///
/// Each marker decides alone, and who is to see the entity must be let through by all of them. No marker knows of
/// another: the owner of a `party_only` entity who is in another party does not see it, and one who is `hidden_from`
/// does not either.
///
/// What changed is found by comparison with what was there a tick before, however it came about; what was set to what was
/// there already is no change.
#[derive(Component, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    owner: Option<PlayerId>,
    party: Option<PartyId>,
    team: Option<TeamId>,
    /// Ascending.
    tags: Vec<Tag>,
    owner_only: bool,
    party_only: bool,
    team_only: bool,
    /// Ascending.
    hidden_from: Vec<PlayerId>,
    visible_to_role: Option<Role>,
    /// Ascending by name.
    overrides: Vec<(ComponentName, ComponentRule)>,
}

/// Puts a value into a sorted list or takes it out.
fn set_member<T: Ord>(list: &mut Vec<T>, value: T, is_in: bool) {
    match (list.binary_search(&value), is_in) {
        (Err(place), true) => list.insert(place, value),
        (Ok(place), false) => drop(list.remove(place)),
        _ => {}
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($field:ident: $type:ty);)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, $field: $type) {
            self.$field = $field;
        }
    )*};
}

impl Subject {
    /// What belongs to a player.
    #[must_use]
    pub fn owned_by(owner: PlayerId) -> Self {
        Self { owner: Some(owner), ..Self::default() }
    }

    setters! {
        /// Gives the entity to a player, or to nobody.
        set_owner(owner: Option<PlayerId>);
        /// Makes it a party's, or no party's.
        set_party(party: Option<PartyId>);
        /// Makes it a team's, or no team's.
        set_team(team: Option<TeamId>);
        /// Whether only its owner sees it.
        set_owner_only(owner_only: bool);
        /// Whether only who is in its party sees it.
        set_party_only(party_only: bool);
        /// Whether only who is in its team sees it.
        set_team_only(team_only: bool);
        /// The role that is needed to see it; higher ones see it too.
        set_visible_to_role(visible_to_role: Option<Role>);
    }

    /// Gives it a tag or takes it away.
    pub fn set_tag(&mut self, tag: Tag, has: bool) {
        set_member(&mut self.tags, tag, has);
    }

    /// Hides it from a player, or no longer.
    pub fn set_hidden_from(&mut self, player: PlayerId, hidden: bool) {
        set_member(&mut self.hidden_from, player, hidden);
    }

    /// Lets `rule` decide on this entity who sees that component, in place of the component's own policy; `None` leaves
    /// it to that policy again. A component that is `server_only` stays so. Of an event about the entity it says the same.
    ///
    /// The type must be one that the game registers: what nobody has registered hides nothing, so it is an error in the log
    /// and counted, and where invariants are checked it panics.
    pub fn override_component<C: SyncFields>(&mut self, rule: Option<ComponentRule>) {
        let name = ComponentName::of::<C>();
        match (self.overrides.binary_search_by(|(known, _)| known.cmp(&name)), rule) {
            (Ok(place), Some(rule)) => self.overrides[place].1 = rule,
            (Ok(place), None) => drop(self.overrides.remove(place)),
            (Err(place), Some(rule)) => self.overrides.insert(place, (name, rule)),
            (Err(_), None) => {}
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Option<&PlayerId> {
        self.owner.as_ref()
    }

    /// Its party.
    #[must_use]
    pub fn party(&self) -> Option<PartyId> {
        self.party
    }

    /// Its team.
    #[must_use]
    pub fn team(&self) -> Option<TeamId> {
        self.team
    }

    /// Its tags, ascending.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether it has that tag.
    #[must_use]
    pub fn has_tag(&self, tag: Tag) -> bool {
        self.tags.binary_search(&tag).is_ok()
    }

    /// Whether only its owner sees it.
    #[must_use]
    pub fn is_owner_only(&self) -> bool {
        self.owner_only
    }

    /// Whether only who is in its party sees it.
    #[must_use]
    pub fn is_party_only(&self) -> bool {
        self.party_only
    }

    /// Whether only who is in its team sees it.
    #[must_use]
    pub fn is_team_only(&self) -> bool {
        self.team_only
    }

    /// From whom it is hidden, ascending.
    #[must_use]
    pub fn hidden_from(&self) -> &[PlayerId] {
        &self.hidden_from
    }

    /// The role that is needed to see it.
    #[must_use]
    pub fn visible_to_role(&self) -> Option<Role> {
        self.visible_to_role
    }

    /// Who sees that component on this entity, where that is not left to the component. O(log overrides).
    #[must_use]
    pub fn component_rule(&self, name: &str) -> Option<ComponentRule> {
        let place = self.overrides.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(self.overrides[place].1)
    }

    /// All overrides, ascending by the component's name.
    pub fn component_rules(&self) -> impl Iterator<Item = (&ComponentName, ComponentRule)> + '_ {
        self.overrides.iter().map(|(name, rule)| (name, *rule))
    }

    /// Whether nothing at all is set: as if the entity had none.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether any marker restricts who sees the entity.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.owner_only
            || self.party_only
            || self.team_only
            || !self.hidden_from.is_empty()
            || self.visible_to_role.is_some()
    }

    /// Whether the markers let this viewer see the entity: all of them must.
    #[must_use]
    pub fn admits(&self, viewer: &ViewerContext) -> bool {
        let owner = || self.owner.as_ref() == Some(viewer.player());
        let party = || viewer.party().is_some() && viewer.party() == self.party;
        let team = || viewer.team().is_some() && viewer.team() == self.team;
        (!self.owner_only || owner())
            && (!self.party_only || party())
            && (!self.team_only || team())
            && self.visible_to_role.is_none_or(|role| viewer.role() >= role)
            && self.hidden_from.binary_search(viewer.player()).is_err()
    }

    /// Which aspects that policy functions may ask about differ from `before`. Markers and overrides are none: policies
    /// cannot see them.
    #[must_use]
    pub fn changes_since(&self, before: &Subject) -> Depends {
        [
            (self.owner != before.owner, Depends::SUBJECT_OWNER),
            (self.party != before.party, Depends::SUBJECT_PARTY),
            (self.team != before.team, Depends::SUBJECT_TEAM),
            (self.tags != before.tags, Depends::SUBJECT_TAGS),
        ]
        .into_iter()
        .fold(Depends::NONE, |all, (differs, aspect)| if differs { all | aspect } else { all })
    }
}
