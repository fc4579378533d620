//! Parties: who travels with whom. They outlast connections and restarts; a member need not be in the world.
//!
//! *Does*: keeps parties and invitations, and can undo what an action did that is then refused.
//! *Does not*: know who is in the world, or tell anybody: sessions and avatars are told by `session/follow_parties`.
//! *Reads*: the tick's number. *Writes*: itself alone.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::Resource;
use serde::{Deserialize, Serialize};

use crate::cell::context::TickContext;
use crate::ids::{PartyId, PlayerId, TickNumber};
use crate::limits::{INVITATION_S, INVITATIONS_MAX, PARTY_AWAY_S_MAX, PARTY_MEMBERS_MAX};
use crate::protocol::codec;

/// One party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Who may dismiss members and disband it.
    pub leader: PlayerId,
    /// Who is in it, the leader included, in the order of joining.
    pub members: Vec<PlayerId>,
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PartyRefusal {
    /// The caller is in none.
    #[error("you are in no party")]
    NoParty,
    /// The caller does not lead it.
    #[error("only the leader of the party may do that")]
    NotLeader,
    /// That player is not in the world.
    #[error("{0} is not here")]
    NotHere(PlayerId),
    /// That player is not in the party.
    #[error("{0} is not in your party")]
    NoMember(PlayerId),
    /// Nobody invites or dismisses themselves.
    #[error("that is you")]
    Yourself,
    /// That player is in the party already.
    #[error("{0} is in your party already")]
    AlreadyIn(PlayerId),
    /// There is no such invitation, or it is too old.
    #[error("there is no invitation to that party any more")]
    NotInvited,
    /// That player has as many invitations as can be.
    #[error("{0} has too many invitations already")]
    TooManyInvitations(PlayerId),
    /// No more fit.
    #[error("the party is full: at most {PARTY_MEMBERS_MAX} travel together")]
    Full,
    /// Numbers from a million on are for parties that are founded by invitations.
    #[error("parties that are open to everybody have numbers from 1 to 999999")]
    NotOpen,
}

/// The first number of a party that is founded by an invitation.
const FOUNDED_FROM: u64 = 1_000_000;

/// What was there before a change.
#[derive(Clone, Debug)]
enum Before {
    Party(PartyId, Option<Party>),
    Member(PlayerId, Option<PartyId>),
    Invitations(PlayerId, Option<BTreeMap<PartyId, TickNumber>>),
    Founded(u64),
}

/// All parties.
#[derive(Resource, Clone, Debug, Default)]
pub struct Parties {
    by_id: BTreeMap<PartyId, Party>,
    of_player: BTreeMap<PlayerId, PartyId>,
    /// By whom is invited: to which parties, and until when.
    invitations: BTreeMap<PlayerId, BTreeMap<PartyId, TickNumber>>,
    /// Members who are not in the world, and since when.
    away: BTreeMap<PlayerId, TickNumber>,
    /// The same, who left first first.
    away_longest: BTreeSet<(TickNumber, PlayerId)>,
    /// How many were founded.
    founded: u64,
    /// What changed since [`begin`](Self::begin).
    log: Vec<Before>,
    /// Whose party is another than sessions and avatars know.
    changed: Vec<PlayerId>,
}

/// Members who are not in the world, and since when, as they are saved: behind the parties, and not in images of older programs.
type SavedAway = Vec<(PlayerId, TickNumber)>;

/// What is saved.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    parties: Vec<(PartyId, Party)>,
    founded: u64,
}

impl Parties {
    /// The party of a player, in the world or not.
    #[must_use]
    pub fn of(&self, player: &PlayerId) -> Option<PartyId> {
        self.of_player.get(player).copied()
    }

    /// A party.
    #[must_use]
    pub fn get(&self, party: PartyId) -> Option<&Party> {
        self.by_id.get(&party)
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = (PartyId, &Party)> {
        self.by_id.iter().map(|(&id, party)| (id, party))
    }

    /// Whether a player is in a party.
    #[must_use]
    pub fn has(&self, party: PartyId, player: &PlayerId) -> bool {
        self.of(player) == Some(party)
    }

    /// Whether a player is invited to a party at this tick.
    #[must_use]
    pub fn is_invited(&self, party: PartyId, player: &PlayerId, now: TickNumber) -> bool {
        let invitations = self.invitations.get(player);
        invitations.and_then(|invitations| invitations.get(&party)).is_some_and(|until| *until > now)
    }

    /// Puts a player into an open party by the game's own decision, as when it first comes in.
    ///
    /// # Errors
    /// When the party is full, or the number is one that invitations use.
    pub fn enrol(&mut self, player: &PlayerId, party: PartyId) -> Result<(), PartyRefusal> {
        self.log.clear();
        self.enter(player, party)
    }

    /// From here on changes can be undone.
    pub(crate) fn begin(&mut self) {
        self.log.clear();
    }

    /// Undoes what has changed since [`begin`](Self::begin).
    pub(crate) fn undo(&mut self) {
        for before in std::mem::take(&mut self.log).into_iter().rev() {
            match before {
                Before::Party(id, party) => drop(put(&mut self.by_id, id, party)),
                Before::Member(player, party) => drop(put(&mut self.of_player, player, party)),
                Before::Invitations(player, invitations) => {
                    put(&mut self.invitations, player, invitations);
                }
                Before::Founded(founded) => self.founded = founded,
            }
        }
    }

    fn set_party(&mut self, id: PartyId, party: Option<Party>) {
        let before = put(&mut self.by_id, id, party);
        self.log.push(Before::Party(id, before));
    }

    fn set_member(&mut self, player: &PlayerId, party: Option<PartyId>) {
        let before = put(&mut self.of_player, player.clone(), party);
        self.log.push(Before::Member(player.clone(), before));
        self.changed.push(player.clone());
    }

    fn set_invitations(&mut self, player: &PlayerId, invitations: BTreeMap<PartyId, TickNumber>) {
        let invitations = Some(invitations).filter(|invitations| !invitations.is_empty());
        let before = put(&mut self.invitations, player.clone(), invitations);
        self.log.push(Before::Invitations(player.clone(), before));
    }

    pub(crate) fn invite(
        &mut self,
        by: &PlayerId,
        player: &PlayerId,
        tick: &TickContext,
    ) -> Result<PartyId, PartyRefusal> {
        if by == player {
            return Err(PartyRefusal::Yourself);
        }
        let party = self.of(by);
        if party.is_some() && party == self.of(player) {
            return Err(PartyRefusal::AlreadyIn(player.clone()));
        }
        if party.and_then(|party| self.get(party)).is_some_and(Party::is_full) {
            return Err(PartyRefusal::Full);
        }
        let mut invitations = self.invitations.get(player).cloned().unwrap_or_default();
        invitations.retain(|party, until| *until > tick.tick && self.by_id.contains_key(party));
        if invitations.len() >= INVITATIONS_MAX && party.is_none_or(|party| !invitations.contains_key(&party))
        {
            return Err(PartyRefusal::TooManyInvitations(player.clone()));
        }
        let party = match party {
            Some(party) => party,
            None => self.found(by),
        };
        invitations.insert(party, TickNumber(tick.tick.0 + tick.ticks(INVITATION_S)));
        self.set_invitations(player, invitations);
        Ok(party)
    }

    fn found(&mut self, leader: &PlayerId) -> PartyId {
        self.log.push(Before::Founded(self.founded));
        let id = PartyId(FOUNDED_FROM + self.founded);
        self.founded += 1;
        self.set_party(id, Some(Party { leader: leader.clone(), members: vec![leader.clone()] }));
        self.set_member(leader, Some(id));
        id
    }

    pub(crate) fn accept(
        &mut self,
        player: &PlayerId,
        party: PartyId,
        now: TickNumber,
    ) -> Result<(), PartyRefusal> {
        let mut invitations = self.invitations.get(player).cloned().unwrap_or_default();
        let is_valid = invitations.remove(&party).is_some_and(|until| until > now);
        if !is_valid || !self.by_id.contains_key(&party) {
            return Err(PartyRefusal::NotInvited);
        }
        self.join(player, party)?;
        self.set_invitations(player, invitations);
        Ok(())
    }

    pub(crate) fn enter(&mut self, player: &PlayerId, party: PartyId) -> Result<(), PartyRefusal> {
        if party.0 == 0 || party.0 >= FOUNDED_FROM {
            return Err(PartyRefusal::NotOpen);
        }
        self.join(player, party)
    }

    fn join(&mut self, player: &PlayerId, id: PartyId) -> Result<(), PartyRefusal> {
        if self.has(id, player) {
            return Ok(());
        }
        if self.get(id).is_some_and(Party::is_full) {
            return Err(PartyRefusal::Full);
        }
        if self.of(player).is_some() {
            self.remove(player);
        }
        let mut party =
            self.get(id).cloned().unwrap_or_else(|| Party { leader: player.clone(), members: Vec::new() });
        party.members.push(player.clone());
        self.set_party(id, Some(party));
        self.set_member(player, Some(id));
        Ok(())
    }

    pub(crate) fn leave(&mut self, player: &PlayerId) -> Result<(), PartyRefusal> {
        self.of(player).ok_or(PartyRefusal::NoParty)?;
        self.remove(player);
        Ok(())
    }

    fn led_by(&self, leader: &PlayerId) -> Result<PartyId, PartyRefusal> {
        let id = self.of(leader).ok_or(PartyRefusal::NoParty)?;
        let leads = self.get(id).is_some_and(|party| party.leader == *leader);
        if leads { Ok(id) } else { Err(PartyRefusal::NotLeader) }
    }

    pub(crate) fn dismiss(&mut self, leader: &PlayerId, player: &PlayerId) -> Result<(), PartyRefusal> {
        let id = self.led_by(leader)?;
        if leader == player {
            return Err(PartyRefusal::Yourself);
        }
        if !self.has(id, player) {
            return Err(PartyRefusal::NoMember(player.clone()));
        }
        self.remove(player);
        Ok(())
    }

    pub(crate) fn let_lead(&mut self, leader: &PlayerId, player: &PlayerId) -> Result<(), PartyRefusal> {
        let id = self.led_by(leader)?;
        if !self.has(id, player) {
            return Err(PartyRefusal::NoMember(player.clone()));
        }
        let party = self.get(id).cloned().map(|party| Party { leader: player.clone(), ..party });
        self.set_party(id, party);
        Ok(())
    }

    pub(crate) fn disband(&mut self, leader: &PlayerId) -> Result<(), PartyRefusal> {
        let id = self.led_by(leader)?;
        let members = self.get(id).map(|party| party.members.clone()).unwrap_or_default();
        for member in &members {
            self.set_member(member, None);
        }
        self.set_party(id, None);
        Ok(())
    }

    /// Takes a member out. Nobody is left alone in a party that was founded for company.
    fn remove(&mut self, player: &PlayerId) {
        let Some(id) = self.of(player) else { return };
        self.set_member(player, None);
        let Some(mut party) = self.get(id).cloned() else { return };
        party.members.retain(|member| member != player);
        if let [last] = party.members.as_slice()
            && id.0 >= FOUNDED_FROM
        {
            let last = last.clone();
            self.set_member(&last, None);
            party.members.clear();
        }
        if party.leader == *player
            && let Some(next) = party.members.first()
        {
            party.leader = next.clone();
        }
        let party = Some(party).filter(|party| !party.members.is_empty());
        self.set_party(id, party);
    }

    /// What an image keeps: parties, but no invitations.
    pub(crate) fn save(&self) -> Vec<u8> {
        let parties = self.by_id.iter().map(|(&id, party)| (id, party.clone())).collect();
        let mut bytes = codec::encode(&Saved { parties, founded: self.founded });
        let away: SavedAway = self.away.iter().map(|(player, since)| (player.clone(), *since)).collect();
        codec::encode_into(&away, &mut bytes);
        bytes
    }

    /// What an image kept.
    ///
    /// # Errors
    /// When the bytes are no saved parties, or a player is in two of them.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, String> {
        const BYTES_MAX: usize = 1 << 26;
        let (saved, used) = codec::decode_prefix::<Saved, BYTES_MAX>("saved parties", bytes)
            .map_err(|error| error.to_string())?;
        let away: SavedAway = match &bytes[used..] {
            [] => Vec::new(),
            rest => codec::decode::<_, BYTES_MAX>("members who are away", rest)
                .map_err(|error| error.to_string())?,
        };
        let mut parties = Self { founded: saved.founded, ..Self::default() };
        for (id, party) in saved.parties {
            for member in &party.members {
                if parties.of_player.insert(member.clone(), id).is_some() {
                    return Err(format!("{member} is in two parties"));
                }
            }
            if !party.members.contains(&party.leader) {
                return Err(format!("party {id} is led by {}, who is not in it", party.leader));
            }
            parties.by_id.insert(id, party);
        }
        for (player, since) in away {
            parties.set_away(&player, Some(since));
        }
        // Nobody is in the world yet: the first tick notes since when.
        parties.changed = parties.of_player.keys().cloned().collect();
        Ok(parties)
    }
}

impl Party {
    fn is_full(&self) -> bool {
        self.members.len() >= PARTY_MEMBERS_MAX
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

impl Parties {
    /// Takes the players whose party sessions and avatars do not know yet, by name, once each. Who has come in is among them,
    /// or has gone, unless the game has no parties of this kind: then it may say by itself who is in which.
    pub(crate) fn take_changed(&mut self, came_or_went: impl IntoIterator<Item = PlayerId>) -> Vec<PlayerId> {
        let is_used = self.founded > 0 || !self.by_id.is_empty();
        let mut changed = std::mem::take(&mut self.changed);
        changed.extend(came_or_went.into_iter().filter(|_| is_used));
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Notes whether a player is in the world. Of members who are not it is known since when.
    pub(crate) fn note_presence(&mut self, player: &PlayerId, is_here: bool, now: TickNumber) {
        let is_away = !is_here && self.of(player).is_some();
        let since = is_away.then(|| self.away.get(player).copied().unwrap_or(now));
        self.set_away(player, since);
    }

    fn set_away(&mut self, player: &PlayerId, since: Option<TickNumber>) {
        if let Some(before) = put(&mut self.away, player.clone(), since) {
            self.away_longest.remove(&(before, player.clone()));
        }
        self.away_longest.extend(since.map(|since| (since, player.clone())));
    }

    /// Forgets members who have been away for longer than [`PARTY_AWAY_S_MAX`], and invitations that are too old: neither
    /// may grow with all who were ever here. O(1) where there is nothing to forget, but for a look at all invitations every
    /// [`INVITATION_S`].
    pub(crate) fn forget_old(&mut self, tick: &TickContext) {
        self.log.clear();
        let away_ticks = PARTY_AWAY_S_MAX * u64::from(tick.hz);
        let is_over = |(since, _): &(TickNumber, PlayerId)| since.0 + away_ticks < tick.tick.0;
        while let Some((_, player)) = self.away_longest.first().filter(|first| is_over(first)).cloned() {
            self.set_away(&player, None);
            self.remove(&player);
        }
        if tick.tick.0.is_multiple_of(tick.ticks(INVITATION_S)) {
            self.invitations.retain(|_, invitations| {
                invitations.retain(|_, until| *until > tick.tick);
                !invitations.is_empty()
            });
        }
        self.log.clear();
    }
}

#[cfg(test)]
mod tests;
