//! Whose side a player is on: what policies decide by.
//!
//! How a player begins follows from its name, so it is the same after every return, for the avatar as for the session.
//! From then on players change parties and go scouting as they like, and game masters appoint each other.

use crate::ids::{FactKey, PartyId, Role, Tag, TeamId};
use crate::prelude::*;
use crate::session::Sessions;

use super::walk::Walker;

/// Who brings goods past the wardens. Their caches are hidden from everybody else.
pub const SMUGGLERS: TeamId = TeamId(1);
/// Who looks into what is suspect.
pub const WARDENS: TeamId = TeamId(2);
/// A caravan that the wardens have an eye on.
pub const SUSPECT: Tag = Tag(1);
/// How many roads a player has scouted; who has none is no scout.
pub const ROADS_SCOUTED: FactKey = FactKey(1);

/// How many parties there are.
pub const PARTIES: u64 = 64;
/// One player in so many is a scout.
const SCOUTS_EVERY: usize = 4;

/// Travel with another party, or with none. Who is in it sees you and the caravans you charter from then on wherever they
/// are, and you see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1, burst = 5, coalesce = newest, durability = memory)]
pub struct JoinParty {
    /// 1 to [`PARTIES`]; `None` to travel alone.
    pub party: Option<PartyId>,
}

/// Go out and scout one more road, or give it up and forget them all. Scouts find out where caravans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 5, coalesce = newest, durability = memory)]
pub struct Scout {
    /// Out, and not home.
    pub out: bool,
}

/// Make a player who is in the world a game master, or an ordinary player again, for as long as it stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = (), rate = 0.5, burst = 5, coalesce = none, durability = memory)]
pub struct Appoint {
    /// Whom.
    pub player: PlayerId,
    /// A game master, and not an ordinary player.
    pub game_master: bool,
}

pub(super) fn join_party(
    action: &JoinParty,
    _: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<(), PartyRefusal> {
    match action.party {
        Some(party) if !(1..=PARTIES).contains(&party.0) => Err(PartyRefusal::NotOpen),
        Some(party) => context.enter(party),
        None if context.party().is_none() => Ok(()),
        None => context.leave(),
    }
}

pub(super) fn scout(action: &Scout, _: &mut Walker, context: &mut OwnContext<'_>) -> Result<(), String> {
    let out = action.out;
    context.change_own_viewer(move |viewer| {
        let roads = viewer.fact(ROADS_SCOUTED).unwrap_or(0).saturating_add(1);
        viewer.set_fact(ROADS_SCOUTED, out.then_some(roads));
    });
    Ok(())
}

pub(super) fn appoint(action: &Appoint, context: &mut GlobalContext<'_>) -> Result<(), String> {
    if action.player == *context.player {
        return Err("nobody appoints themselves".into());
    }
    if context.avatar(&action.player).is_none() {
        return Err(format!("{} is not here", action.player));
    }
    let role = if action.game_master { Role::Gm } else { Role::Player };
    context.change_viewer(action.player.clone(), move |viewer| {
        // Who stands above game masters is not theirs to appoint.
        if viewer.role() <= Role::Gm {
            viewer.set_role(role);
        }
    });
    Ok(())
}

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
    /// The side on which the player of that name begins.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut chance = Random::named(0, name);
        Self {
            party: PartyId(chance.below(PARTIES as usize) as u64 + 1),
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

/// Tells the policies about players who have come in. Who has no party begins in the one of its name, if there is room.
pub(super) fn enlist(mut sessions: ResMut<Sessions>, mut parties: ResMut<Parties>) {
    for session in sessions.iter_mut().filter(|session| session.context.team().is_none()) {
        let allegiance = Allegiance::of(session.player.as_str());
        session.context.set_team(Some(allegiance.team));
        session.context.set_fact(ROADS_SCOUTED, allegiance.roads_scouted);
        if parties.of(&session.player).is_none() {
            // A full one is no misfortune: the player travels alone.
            let _ = parties.enrol(&session.player, allegiance.party);
        }
    }
}
