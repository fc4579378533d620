//! Parties that players found by inviting each other.

use crate::prelude::*;

use super::walk::Walker;

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

/// Come to where the leader of your party waves; the whole party does, those who are in the world.
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

/// Turns every member towards the leader.
pub(super) fn gather(
    _: &Gather,
    group: &mut Group<'_, Walker>,
    context: &mut GroupContext<'_>,
) -> Result<u32, String> {
    let party = context.party().ok_or("you are in no party")?;
    if context.leader() != Some(context.player) {
        return Err("only the leader of the party may call it together".into());
    }
    let others: Vec<PlayerId> = group.players().filter(|&player| player != context.player).cloned().collect();
    for player in &others {
        let way = group.position(player).map(|place| (context.position - place).truncate());
        if let (Some(way), Some(walker)) = (way, group.get_mut(player)) {
            walker.heading = way.to_angle().rem_euclid(std::f32::consts::TAU);
            walker.speed_m_s = super::WALK_M_S_MAX / 2.0;
        }
    }
    context.tell_group(news(PartyEvent::Gathers, party, context.player));
    Ok(others.len() as u32)
}
