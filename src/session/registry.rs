//! All sessions, by index, connection and player.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use bevy_ecs::prelude::Resource;
use rustc_hash::FxHashMap;

use crate::action::kinds::PresentPlayers;
use crate::action::memory::ReplyMemory;
use crate::ids::{ActionId, ConnectionId, DeviceId, NetId, PlayerId, Role, Row, SessionId, TickNumber};
use crate::protocol::messages::{ActionCall, ActionReply, Health, Resume, ServerControl};
use crate::replication::Rows;
use crate::replication::policy::{Depends, ViewerContext};
use crate::replication::view::View;

use super::arrival::Arrival;
use super::departed::Departed;
use super::lasting::Lasting;
use super::relevance::Pins;
use super::rows::KeptRows;
use super::state::{Event, Life, State};
use crate::cell::requests::PinnedFor;
use crate::server::io::{ClientAck, Join};

/// One player in the world.
#[derive(Debug)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// Over which connection; of a session that lingers, the last one, which is gone.
    pub(crate) connection: ConnectionId,
    /// Where it is in its life: changed by events alone.
    life: Life,
    /// The epoch it began with. It has another one after every resume; what is kept per session goes by this one.
    pub began: u32,
    /// The newest of its epochs under which its client was heard: the welcome of a newer one may have been lost on its way.
    pub(crate) held_epoch: u32,
    /// The epoch that its client held when it came in; the highest number for a device that came in anew.
    came_with: u32,
    /// Which client of the player's plays.
    device: DeviceId,
    /// Until when a lingering session waits for its player.
    pub lingers_until: TickNumber,
    /// What was said and has to be said again, should the connection be lost.
    pub lasting: Lasting,
    /// Why the player may not speak, if it may not.
    pub muted: Option<String>,
    /// The role that the player's token gave it; what the game made of that is in `context`.
    pub token_role: Role,
    /// What is stored of the player.
    pub profile: SessionProfile,
    /// What is written of its avatar by itself.
    pub(crate) rows: KeptRows,
    /// Whose.
    pub player: PlayerId,
    /// What sync policies may decide by. It may be changed, or replaced by one that was kept, at any time: what differs
    /// from the last tick is found by comparison.
    pub context: ViewerContext,
    /// What it was when the view was last brought up to date.
    context_before: ViewerContext,
    /// What the game keeps in this player's view wherever it is, and for how many reasons.
    pub pinned: Pins,
    /// The entity the player steers.
    pub avatar: NetId,
    /// Its row; [`Row::NONE`] when it is no longer alive.
    pub avatar_row: Row,
    /// What the player sees.
    pub view: View,
    /// Number of the last continuous input that was run, echoed in updates.
    pub input_seq: u32,
    /// Actions that came and were not run yet.
    pub inbox: VecDeque<ActionCall>,
    /// Of those, which the store was asked about: nothing came of them before.
    pub unclaimed: BTreeSet<ActionId>,
    /// Answers given, so that a repeat gets the same.
    pub replies: ReplyMemory,
    /// Answers of this tick, sent once the tick's update has a number.
    pub answers: Vec<ActionReply>,
    /// Reliable events that were not sent yet: (kind, about, payload).
    pub events_waiting: VecDeque<(u16, NetId, Vec<u8>)>,
    /// Their payloads together, bytes.
    pub events_waiting_bytes: usize,
    /// Audits that the client was asked for.
    pub audits: AskedAudits,
}

/// What a session knows of the profile that it will write when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionProfile {
    /// The version that it was loaded with; 0: the player has none yet. What is saved replaces this very version.
    pub version: u64,
    /// When the player was first seen, milliseconds since 1970.
    pub first_seen_ms: u64,
}

impl Session {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.life.state()
    }

    /// Whether it waits for its player to come back.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        self.state() == State::Lingering
    }

    /// Takes the client's word for which updates and messages it has.
    pub(crate) fn hear(&mut self, rows: &Rows, ack: &ClientAck) {
        self.held_epoch = self.id.epoch;
        self.view.on_ack(rows, ack.newest, ack.bits);
        self.lasting.heard(ack.heard);
    }

    /// Whether the client that asks to go on was replaced by the one that plays now, which came in later than it: it may only
    /// not have heard so. After a restart both may come back, in any order: the later one plays.
    pub(super) fn has_replaced(&self, join: &Join) -> bool {
        let is_older = join.resume.is_some_and(|held| held.epoch < self.came_with.min(self.began));
        is_older && join.device != self.device && self.state() == State::Active
    }

    /// Whether a client that holds the session as of an epoch, with so many lasting messages, can be told all that it lacks.
    pub(super) fn can_resume(&self, wanted: Resume) -> bool {
        (self.held_epoch..=self.id.epoch).contains(&wanted.epoch) && self.lasting.can_resume(wanted.heard)
    }

    /// Says something that must not be lost: [lasting](ServerControl::is_lasting) messages alone. It leaves with this tick's
    /// messages, or when the player is back. O(1).
    pub fn say(&mut self, message: ServerControl) {
        if !self.lasting.note(message) {
            tracing::error!(player = %self.player, "a message to a client is too long and not sent: a fault of ours");
        }
    }

    /// Something happened to the player; `false` when it cannot have.
    #[must_use = "an event that could not happen must have no consequences"]
    pub(super) fn on(&mut self, event: Event, illegal: &mut u64) -> bool {
        self.life.on(event, illegal)
    }
    /// What of the context is another than when this was asked last. One of another player is taken to be this player's:
    /// nobody sees as somebody else. O(facts).
    pub(crate) fn take_context_changes(&mut self) -> Depends {
        if self.context == self.context_before {
            return Depends::NONE;
        }
        if *self.context.player() != self.player {
            let other = self.context.player();
            tracing::error!(player = %self.player, %other, "a session was given the context of another player");
            self.context.belong_to(&self.player);
        }
        let changes = self.context.changes_since(&self.context_before);
        self.context_before = self.context.clone();
        changes
    }
}

/// How many fields an audit covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedAudit {
    number: u32,
    /// Fields that the client compares.
    pub compared: u32,
    /// Fields that are left out, because something of their entity is pending.
    pub skipped: u32,
}

/// The audits of one session that wait for the client's report: the last few, since a client that never
/// reports must not cost memory.
#[derive(Clone, Debug, Default)]
pub struct AskedAudits {
    last: u32,
    waiting: VecDeque<AskedAudit>,
}

/// Audits of one session that may wait for a report.
const AUDITS_WAITING_MAX: usize = 32;

impl AskedAudits {
    /// The number of the next audit.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.last + 1
    }

    /// Notes that the next audit was asked for.
    pub fn ask(&mut self, compared: u32, skipped: u32) {
        self.last += 1;
        if self.waiting.len() >= AUDITS_WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(AskedAudit { number: self.last, compared, skipped });
    }

    /// Forgets which audits wait for a report: the client does not hold them any more.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Takes the audit that a report is about; `None` when it was not asked, or was answered before.
    pub fn answer(&mut self, number: u32) -> Option<AskedAudit> {
        let place = self.waiting.iter().position(|asked| asked.number == number)?;
        self.waiting.remove(place)
    }
}

/// What became of players, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Sessions that went on over another connection.
    pub resumed: u64,
    /// Sessions that could not, because the client, or the server, did not have everything any more.
    pub not_resumable: u64,
    /// Connections that were lost, so that a session lingered.
    pub lost: u64,
    /// Sessions that ended because nobody came back in time.
    pub graces_over: u64,
    /// Sessions and joins that ended because the same player came in from elsewhere.
    pub taken_over: u64,
    /// Lasting messages that were let go without being confirmed, for want of room.
    pub lasting_let_go: u64,
    /// Players refused because their profile could not be read, or not in time.
    pub profiles_refused: u64,
    /// Joins and sessions that a ban refused or ended.
    pub banned: u64,
    /// Players that an operator sent away.
    pub kicked: u64,
    /// Events that cannot happen to a player in its state: faults of the engine.
    pub illegal: u64,
}

impl PresentPlayers for Sessions {
    fn avatar(&self, player: &PlayerId) -> Option<NetId> {
        self.of_player(player).map(|session| session.avatar)
    }
    fn players(&self) -> Vec<&PlayerId> {
        self.by_player.keys().collect()
    }
}

/// All sessions and who waits for one.
#[derive(Resource, Debug, Default)]
pub struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    by_connection: FxHashMap<ConnectionId, u32>,
    by_player: BTreeMap<PlayerId, u32>,
    /// Players that said hello and were not admitted yet, first come first.
    pub waiting: VecDeque<Arrival>,
    /// What became of players, since the start.
    pub counts: SessionCounts,
    /// How the world does, as players were told last.
    pub(super) health: Health,
    /// Number of the last request to whoever keeps players.
    pub(super) last_request: u64,
    /// The epoch the last session was given.
    pub last_epoch: u32,
    /// Most sessions at once so far.
    pub most: u64,
    /// What is remembered of players who are not in the world.
    pub departed: Departed,
    /// Who was admitted, and who has ended, since somebody asked.
    came_or_went: Vec<PlayerId>,
    /// What is in everybody's view wherever it is, and for how many reasons.
    pub pinned_for_all: Pins,
}

impl Sessions {
    /// How many there are, those included that linger.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_player.len()
    }

    /// How many wait for their player to come back.
    #[must_use]
    pub fn lingering(&self) -> usize {
        self.by_player.len() - self.by_connection.len()
    }

    /// Whether nobody is in the world.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_player.is_empty()
    }

    /// All sessions, by index.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    /// All sessions, by index.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    /// The session with an index.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<&Session> {
        self.slots.get(index as usize)?.as_deref()
    }

    /// The session with an index.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Session> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    /// The session of a connection.
    pub(crate) fn of_connection_mut(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        self.slots[*self.by_connection.get(&connection)? as usize].as_deref_mut()
    }

    /// The session of a connection, if it is the one with this epoch.
    pub(crate) fn current_mut(&mut self, connection: ConnectionId, epoch: u32) -> Option<&mut Session> {
        let index = *self.by_connection.get(&connection)?;
        self.slots[index as usize].as_deref_mut().filter(|session| session.id.epoch == epoch)
    }

    /// The session of a player.
    #[must_use]
    pub fn of_player(&self, player: &PlayerId) -> Option<&Session> {
        self.slots[*self.by_player.get(player)? as usize].as_deref()
    }

    /// The session of a player.
    pub fn of_player_mut(&mut self, player: &PlayerId) -> Option<&mut Session> {
        self.slots[*self.by_player.get(player)? as usize].as_deref_mut()
    }

    /// What is kept in the view of that player, or of all; `None` for a player who is not in the world.
    pub fn pins_mut(&mut self, of: &PinnedFor) -> Option<&mut Pins> {
        match of {
            PinnedFor::All => Some(&mut self.pinned_for_all),
            PinnedFor::Player(player) => self.of_player_mut(player).map(|session| &mut session.pinned),
        }
    }

    /// Opens a session with the next epoch in the lowest free place, for somebody who has just been admitted.
    pub(super) fn open(&mut self, arrival: Arrival, avatar: NetId, avatar_row: Row) -> &mut Session {
        let Arrival { join, life, .. } = arrival;
        debug_assert_eq!(life.state(), State::Active);
        self.last_epoch += 1;
        let index = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(None);
        }
        let id = SessionId { index: index as u32, epoch: self.last_epoch };
        let replies = self.departed.take(&join.player);
        self.came_or_went.push(join.player.clone());
        self.by_connection.insert(join.connection, id.index);
        self.by_player.insert(join.player.clone(), id.index);
        #[cfg(not(feature = "planted-faults"))]
        let view = View::default();
        #[cfg(feature = "planted-faults")]
        let view = crate::replication::planted::view_of_session(self.most == 0);
        self.most = self.most.max(self.by_player.len() as u64);
        self.slots[index].insert(Box::new(Session {
            id,
            connection: join.connection,
            life,
            began: id.epoch,
            held_epoch: id.epoch,
            came_with: join.age(),
            device: join.device,
            lingers_until: TickNumber(0),
            lasting: Lasting::default(),
            muted: None,
            token_role: join.role,
            profile: SessionProfile::default(),
            rows: KeptRows::default(),
            context: ViewerContext::new(join.player.clone(), join.role),
            context_before: ViewerContext::new(join.player.clone(), join.role),
            player: join.player,
            pinned: Pins::default(),
            avatar,
            avatar_row,
            view,
            input_seq: 0,
            inbox: VecDeque::new(),
            unclaimed: BTreeSet::new(),
            replies,
            answers: Vec::new(),
            events_waiting: VecDeque::new(),
            events_waiting_bytes: 0,
            audits: AskedAudits::default(),
        }))
    }

    /// The highest order of an action's id that anybody has used, in the world or not. O(players).
    #[must_use]
    pub fn ids_highest(&self) -> Option<u64> {
        let here = self.iter().filter_map(|session| session.replies.highest()).max();
        here.max(self.departed.highest())
    }

    /// The number of the next request to whoever keeps players.
    pub(crate) fn next_request(&mut self) -> u64 {
        self.last_request += 1;
        self.last_request
    }

    /// Who was admitted, and who has ended, since this was asked last.
    pub(super) fn take_came_or_went(&mut self) -> Vec<PlayerId> {
        std::mem::take(&mut self.came_or_went)
    }

    /// The place of the session of a connection.
    pub(super) fn place_of_connection(&self, connection: ConnectionId) -> Option<u32> {
        self.by_connection.get(&connection).copied()
    }

    /// The places of all sessions in the order of their players' names, from behind a name on.
    pub(super) fn places_after(&self, player: Option<&PlayerId>) -> Vec<u32> {
        let from = player.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_player.range::<PlayerId, _>((from, Bound::Unbounded)).map(|(_, &place)| place).collect()
    }

    /// The place of the session of a player.
    pub(super) fn place_of_player(&self, player: &PlayerId) -> Option<u32> {
        self.by_player.get(player).copied()
    }

    /// The session at a place and its counters, where something happens to it.
    pub(super) fn at_with_counts(&mut self, index: u32) -> Option<(&mut Session, &mut SessionCounts)> {
        Some((self.slots.get_mut(index as usize)?.as_deref_mut()?, &mut self.counts))
    }

    /// The connection of the session at this place is gone: nothing that comes over it is the session's any more.
    pub(super) fn disconnect(&mut self, index: u32) {
        if let Some(session) = self.slots[index as usize].as_deref() {
            self.by_connection.remove(&session.connection);
        }
    }

    /// The session at this place goes on over a connection, under the next epoch: what belongs to an older one is stale.
    pub(super) fn reconnect(&mut self, index: u32, connection: ConnectionId) -> Option<&mut Session> {
        self.disconnect(index);
        let session = self.slots[index as usize].as_deref_mut()?;
        self.last_epoch += 1;
        session.id.epoch = self.last_epoch;
        session.connection = connection;
        // A client numbers what it wants anew with every epoch.
        session.input_seq = 0;
        session.audits.forget();
        self.by_connection.insert(connection, index);
        Some(session)
    }

    /// Takes the session at this place out, which has ended. Its answers are remembered for a while: see
    /// [`Departed`].
    pub(super) fn close(&mut self, index: u32, left: TickNumber) -> Option<Box<Session>> {
        self.disconnect(index);
        let mut session = self.slots[index as usize].take()?;
        debug_assert_eq!(session.state(), State::Ended);
        self.by_player.remove(&session.player);
        self.came_or_went.push(session.player.clone());
        // What the store knows nothing of and was not done yet is not done any more.
        for id in std::mem::take(&mut session.unclaimed) {
            session.replies.give_up(id);
        }
        self.departed.keep(&session.player, std::mem::take(&mut session.replies), left);
        Some(session)
    }

    /// Splits all sessions into chunks for parallel work.
    pub(crate) fn chunks_mut(&mut self, size: usize) -> std::slice::ChunksMut<'_, Option<Box<Session>>> {
        self.slots.chunks_mut(size.max(1))
    }

    /// How many places there are, empty ones included.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }
}
