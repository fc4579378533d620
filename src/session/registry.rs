//! All sessions, by index, connection and player.

use std::collections::{BTreeMap, VecDeque};

use bevy_ecs::prelude::Resource;
use rustc_hash::FxHashMap;

use crate::action::memory::ReplyMemory;
use crate::ids::{ConnectionId, NetId, PlayerId, Row, SessionId, TickNumber};
use crate::limits::{PLAYERS_REMEMBERED_MAX, REPLIES_KEPT_S};
use crate::protocol::messages::{ActionCall, ActionReply};
use crate::replication::policy::{Depends, ViewerContext};
use crate::replication::view::View;
use crate::server::io::Join;

use super::relevance::Pins;
use crate::cell::requests::PinnedFor;

/// One player in the world.
#[derive(Debug)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// Over which connection.
    pub connection: ConnectionId,
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

impl Session {
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

    /// Takes the audit that a report is about; `None` when it was not asked, or was answered before.
    pub fn answer(&mut self, number: u32) -> Option<AskedAudit> {
        let place = self.waiting.iter().position(|asked| asked.number == number)?;
        self.waiting.remove(place)
    }
}

/// All sessions and who waits for one.
#[derive(Resource, Debug, Default)]
pub struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    by_connection: FxHashMap<ConnectionId, u32>,
    by_player: BTreeMap<PlayerId, u32>,
    /// Players that said hello and were not admitted yet, first come first.
    pub waiting: VecDeque<Join>,
    /// The epoch the last session was given.
    pub last_epoch: u32,
    /// Most sessions at once so far.
    pub most: u64,
    departed: Departed,
    /// The highest order of ids of actions of which it may have been forgotten what became of them, of players of whom
    /// nothing is remembered.
    pub ids_forgotten: Option<u64>,
    /// What is in everybody's view wherever it is, and for how many reasons.
    pub pinned_for_all: Pins,
}

/// The answers of players who are not in the world: one who comes back within the time and repeats an action
/// gets the first answer. Bounded by players and by time; who left first is forgotten first.
#[derive(Debug, Default)]
struct Departed {
    by_player: FxHashMap<PlayerId, (TickNumber, ReplyMemory)>,
    order: VecDeque<(TickNumber, PlayerId)>,
}

impl Departed {
    fn forget_before(&mut self, tick: TickNumber) {
        while let Some((left, player)) = self.order.front() {
            let is_old = *left < tick || self.order.len() > PLAYERS_REMEMBERED_MAX;
            if !is_old {
                return;
            }
            // Who has been back since then is in the list again.
            if self.by_player.get(player).is_some_and(|(at, _)| at == left) {
                self.by_player.remove(player);
            }
            self.order.pop_front();
        }
    }
}

impl Sessions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_connection.len()
    }

    /// Whether nobody is in the world.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_connection.is_empty()
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
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Session> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    /// The session of a connection.
    #[must_use]
    pub fn of_connection(&self, connection: ConnectionId) -> Option<&Session> {
        self.slots[*self.by_connection.get(&connection)? as usize].as_deref()
    }

    /// The session of a connection.
    pub fn of_connection_mut(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        self.slots[*self.by_connection.get(&connection)? as usize].as_deref_mut()
    }

    /// The session of a connection, if it is the one with this epoch.
    pub fn current_mut(&mut self, connection: ConnectionId, epoch: u32) -> Option<&mut Session> {
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

    /// Opens a session with the next epoch in the lowest free place.
    pub fn open(&mut self, join: &Join, avatar: NetId, avatar_row: Row) -> &mut Session {
        self.last_epoch += 1;
        let index = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(None);
        }
        let id = SessionId { index: index as u32, epoch: self.last_epoch };
        let replies = self.departed.by_player.remove(&join.player).map(|(_, replies)| replies);
        self.by_connection.insert(join.connection, id.index);
        self.by_player.insert(join.player.clone(), id.index);
        #[cfg(not(feature = "planted-faults"))]
        let view = View::default();
        #[cfg(feature = "planted-faults")]
        let view = crate::replication::planted::view_of_session(self.most == 0);
        self.most = self.most.max(self.by_connection.len() as u64);
        self.slots[index].insert(Box::new(Session {
            id,
            connection: join.connection,
            player: join.player.clone(),
            context: ViewerContext::new(join.player.clone(), join.role),
            context_before: ViewerContext::new(join.player.clone(), join.role),
            pinned: Pins::default(),
            avatar,
            avatar_row,
            view,
            input_seq: 0,
            inbox: VecDeque::new(),
            replies: replies.unwrap_or_else(|| ReplyMemory::forgotten_up_to(self.ids_forgotten)),
            answers: Vec::new(),
            events_waiting: VecDeque::new(),
            events_waiting_bytes: 0,
            audits: AskedAudits::default(),
        }))
    }

    /// Ends the session of a connection. Its answers are remembered until the player has been away for
    /// [`REPLIES_KEPT_S`].
    pub fn close(&mut self, connection: ConnectionId, tick: TickNumber, hz: u16) -> Option<Box<Session>> {
        let index = self.by_connection.remove(&connection)?;
        let mut session = self.slots[index as usize].take()?;
        self.by_player.remove(&session.player);
        let replies = std::mem::take(&mut session.replies);
        if !replies.is_empty() {
            self.departed.by_player.insert(session.player.clone(), (tick, replies));
            self.departed.order.push_back((tick, session.player.clone()));
        }
        self.departed.forget_before(TickNumber(tick.0.saturating_sub(REPLIES_KEPT_S * u64::from(hz))));
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
