//! Parties that players found by inviting each other.

use crate::prelude::*;

use super::allegiance::PARTIES;
use super::walk::{CALLED_M_MAX, Walker};

/// Ask somebody who is in the world to travel with you. Who has no party founds one by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = PartyId, refusal = PartyRefusal, rate = 1, burst = 5, coalesce = none, durability = memory)]
pub struct Invite {
    /// Whom.
    pub player: PlayerId,
}

/// Come along: join a party to which you are invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1, burst = 5, coalesce = none, durability = memory)]
pub struct Accept {
    /// Which.
    pub party: PartyId,
}

/// Travel alone from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1, burst = 5, coalesce = none, durability = memory)]
pub struct LeaveParty;

/// Send somebody away from the party that you lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1, burst = 5, coalesce = none, durability = memory)]
pub struct Dismiss {
    /// Whom.
    pub player: PlayerId,
}

/// End the party that you lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1, burst = 5, coalesce = none, durability = memory)]
pub struct Disband;

/// Come to where the leader of your party waves. The whole party is told; of a party that was founded by invitations those who are near
/// enough walk there by themselves, and stop where the leader stood. The answer says how many that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = u32, rate = 0.2, burst = 2, coalesce = newest, durability = memory)]
pub struct Gather;

/// What happens to a party, told to whom it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Replicate)]
pub struct PartyNews {
    /// Who did it.
    #[sync(broadcast, max_bytes = 40)]
    pub by: String,
    /// What.
    #[sync(broadcast)]
    pub what: PartyEvent,
    /// Of which party.
    #[sync(broadcast)]
    pub party: PartyId,
}

/// What may happen to a party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartyEvent {
    /// The reader is invited.
    #[default]
    Invited,
    /// Somebody has joined.
    Joined,
    /// The leader wants everybody to come.
    Gathers,
}

fn news(what: PartyEvent, party: PartyId, player: &PlayerId) -> PartyNews {
    PartyNews { by: player.to_string(), what, party }
}

pub(super) fn invite(
    action: &Invite,
    _: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<PartyId, PartyRefusal> {
    let party = context.invite(&action.player)?;
    context.tell_member(&action.player, news(PartyEvent::Invited, party, context.player))?;
    Ok(party)
}

pub(super) fn accept(
    action: &Accept,
    _: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<(), PartyRefusal> {
    context.accept(action.party)?;
    context.tell_group(news(PartyEvent::Joined, action.party, context.player));
    Ok(())
}

pub(super) fn leave(
    _: &LeaveParty,
    _: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<(), PartyRefusal> {
    context.leave()
}

pub(super) fn dismiss(
    action: &Dismiss,
    _: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<(), PartyRefusal> {
    context.dismiss(&action.player)
}

pub(super) fn disband(
    _: &Disband,
    _: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<(), PartyRefusal> {
    context.disband()
}

/// Tells the party, and lets those come who have agreed to travel along: who is in a party that is open to everybody was put there by its
/// name or by a number, and goes where it likes.
pub(super) fn gather(
    _: &Gather,
    group: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<u32, String> {
    let party = context.party().ok_or("you are in no party")?;
    if context.leader() != Some(context.player) {
        return Err("only the leader of the party may call it together".into());
    }
    context.tell_group(news(PartyEvent::Gathers, party, context.player));
    if party.0 <= PARTIES {
        return Ok(0);
    }
    let to = context.position.truncate();
    let others: Vec<PlayerId> = group.players().filter(|&player| player != context.player).cloned().collect();
    let mut coming = 0;
    for player in &others {
        let place = group.position(player).map(Vec3::truncate);
        let near = place.filter(|place| place.distance(to) <= CALLED_M_MAX);
        if let (Some(place), Some(walker)) = (near, group.get_mut(player)) {
            walker.come(place, to);
            coming += 1;
        }
    }
    Ok(coming)
}
