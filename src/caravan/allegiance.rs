//! Whose side a player is on: what policies decide by.
//!
//! It follows from the player's name, so it is the same after every return, on both ends of a message between cells,
//! and for the avatar as for the session.

use crate::ids::{FactKey, PartyId, Tag, TeamId};
use crate::prelude::*;
use crate::session::Sessions;

/// Who brings goods past the wardens. Their caches are hidden from everybody else.
pub const SMUGGLERS: TeamId = TeamId(1);
/// Who looks into what is suspect.
pub const WARDENS: TeamId = TeamId(2);
/// A caravan that the wardens have an eye on.
pub const SUSPECT: Tag = Tag(1);
/// How many roads a player has scouted; who has none is no scout.
pub const ROADS_SCOUTED: FactKey = FactKey(1);

/// How many parties players are spread over.
const PARTIES: usize = 64;
/// One player in so many is a scout.
const SCOUTS_EVERY: usize = 4;

/// A player's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allegiance {
    /// Whom it travels with.
    pub party: PartyId,
    /// Smugglers or wardens.
    pub team: TeamId,
    /// How many roads it has scouted.
    pub roads_scouted: Option<i64>,
}

impl Allegiance {
    /// The side of the player of that name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut chance = Random::named(0, name);
        Self {
            party: PartyId(chance.below(PARTIES) as u64 + 1),
            team: if chance.below(2) == 0 { SMUGGLERS } else { WARDENS },
            roads_scouted: (chance.below(SCOUTS_EVERY) == 0).then(|| 1 + chance.below(9) as i64),
        }
    }

    /// What belongs to that player.
    #[must_use]
    pub fn subject_of(self, player: PlayerId) -> Subject {
        let mut subject = Subject::owned_by(player);
        subject.set_party(Some(self.party));
        subject.set_team(Some(self.team));
        subject
    }
}

/// Tells the policies about players who have come in.
pub(super) fn enlist(mut sessions: ResMut<Sessions>) {
    for session in sessions.iter_mut().filter(|session| session.context.team().is_none()) {
        let allegiance = Allegiance::of(session.player.as_str());
        session.context.set_party(Some(allegiance.party));
        session.context.set_team(Some(allegiance.team));
        session.context.set_fact(ROADS_SCOUTED, allegiance.roads_scouted);
    }
}
