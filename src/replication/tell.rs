//! Events on their last way: from what cells and the node have sent to what each session is told.

use std::cell::Cell as Shared;

use bevy_ecs::prelude::World;
use rustc_hash::FxHashMap;

use crate::cell::pool::Cells;
use crate::ids::{NetId, PartyId, PlayerId, Row, TeamId};
use crate::limits::{
    EVENT_BYTES_MAX, EVENT_BYTES_PER_TICK_MAX, EVENT_BYTES_WAITING_MAX, EVENTS_PER_CELL_MAX,
};
use crate::protocol::messages::ServerControl;
use crate::session::Session;

use super::events::{Audience, Delivery, EventOutbox, OutgoingEvent};
use super::policy::{Depends, Subject, Viewing};
use super::rows::Rows;
use super::view::EventSection;

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Handed to the network or put into an update, once per player.
    pub told: u64,
    /// For which there was no room, or that were too long, once per player.
    pub dropped: u64,
    /// More than a cell, or the node, may send in a tick: told to nobody.
    pub refused: u64,
}

/// All events of a tick, by (entity, order of sending), and where those of each audience stand. What is the same for
/// all who are told is encoded here, once.
#[derive(Default)]
pub(super) struct TickEvents {
    events: Vec<ReadyEvent>,
    to_all: Vec<u32>,
    to_player: FxHashMap<PlayerId, Vec<u32>>,
    to_party: FxHashMap<PartyId, Vec<u32>>,
    to_team: FxHashMap<TeamId, Vec<u32>>,
    to_viewers: FxHashMap<Row, Vec<u32>>,
    /// Sent beyond the bound.
    pub(super) refused: u64,
}

struct ReadyEvent {
    sent: OutgoingEvent,
    /// What everybody is told of it: its bytes, and where names stand in them. `None` when that depends on who is told.
    public: Option<(Vec<u8>, Vec<u16>)>,
}

/// What every task needs while it tells events.
#[derive(Debug, Default)]
pub(super) struct TellScratch {
    bytes: Vec<u8>,
    ids: Vec<u16>,
    /// Which events concern the session.
    due: Vec<u32>,
    /// By row: whom the session sees, marked with its number.
    seen: Vec<u32>,
    session: u32,
}

impl TellScratch {
    /// Begins with the next session, who sees nobody yet.
    fn begin(&mut self, rows: usize) {
        self.due.clear();
        self.seen.resize(rows, 0);
        self.session = self.session.wrapping_add(1);
        if self.session == 0 {
            self.seen.fill(0);
            self.session = 1;
        }
    }

    fn sees(&self, rows: &Rows, net_id: NetId) -> bool {
        rows.of_this_tick(net_id).is_some_and(|(row, _)| self.seen[row.index()] == self.session)
    }
}

/// All events of the tick: the same on every layout.
pub(super) fn gather(world: &mut World, cells: &mut Cells) -> TickEvents {
    let mut sent: Vec<OutgoingEvent> = Vec::new();
    let mut refused = 0;
    let mut take = |outbox: &mut EventOutbox| {
        let (mut events, too_many) = outbox.take();
        sent.append(&mut events);
        refused += too_many;
    };
    for cell in cells.iter_mut() {
        take(&mut cell.world.resource_mut::<EventOutbox>());
    }
    take(&mut world.resource_mut::<EventOutbox>());
    if refused > 0 {
        tracing::error!(
            refused,
            most = EVENTS_PER_CELL_MAX,
            "systems sent too many events in one tick: not told"
        );
    }
    // Stable: an entity's events come from one cell, and the node's behind them.
    sent.sort_by_key(|event| event.about);
    TickEvents::of(sent, world.resource::<Rows>(), refused)
}

impl TickEvents {
    fn of(sent: Vec<OutgoingEvent>, rows: &Rows, refused: u64) -> Self {
        let mut ready = Self { refused, ..Self::default() };
        for (number, sent) in sent.into_iter().enumerate() {
            let number = number as u32;
            match &sent.to {
                Audience::ViewersOf(net_id) => {
                    // Nobody sees who was never there.
                    if let Some((row, _)) = rows.of_this_tick(*net_id) {
                        ready.to_viewers.entry(row).or_default().push(number);
                    }
                }
                Audience::Player(player) => ready.to_player.entry(player.clone()).or_default().push(number),
                Audience::Party(party) => ready.to_party.entry(*party).or_default().push(number),
                Audience::Team(team) => ready.to_team.entry(*team).or_default().push(number),
                Audience::All => ready.to_all.push(number),
            }
            let public = (!sent.event.is_personal()).then(|| {
                let (mut bytes, mut ids) = (Vec::new(), Vec::new());
                sent.event.encode(None, &mut bytes, &mut ids);
                (bytes, ids)
            });
            ready.events.push(ReadyEvent { sent, public });
        }
        ready
    }

    /// Puts into `scratch` whom a session sees and which events are meant for it, in their order. Its view must be that
    /// of the tick's end; `died` are those who left it because they died. O(entities in the view + events found).
    fn find(&self, session: &Session, rows: &Rows, died: &[Row], scratch: &mut TellScratch) {
        scratch.begin(rows.len());
        let TellScratch { due, seen, session: number, .. } = scratch;
        due.extend(&self.to_all);
        due.extend(self.to_player.get(&session.player).into_iter().flatten());
        let party = session.context.party().and_then(|party| self.to_party.get(&party));
        let team = session.context.team().and_then(|team| self.to_team.get(&team));
        due.extend(party.into_iter().chain(team).flatten());
        if due.is_empty() && self.to_viewers.is_empty() {
            return;
        }
        for row in session.view.rows().chain(died.iter().copied()) {
            seen[row.index()] = *number;
            if !self.to_viewers.is_empty() {
                due.extend(self.to_viewers.get(&row).into_iter().flatten());
            }
        }
        due.sort_unstable();
    }
}

/// Puts what a session is told in this tick into its next update and into its queue. Its view must be that of the tick's
/// end; `died` are those who left it because they died: it has seen that.
pub(super) fn tell(
    session: &mut Session,
    rows: &Rows,
    events: &TickEvents,
    died: &[Row],
    scratch: &mut TellScratch,
    update: &mut EventSection,
    counts: &mut EventCounts,
) {
    update.clear();
    if events.events.is_empty() {
        return;
    }
    events.find(session, rows, died, scratch);
    let plain = Subject::default();
    let due = std::mem::take(&mut scratch.due);
    let (mut bytes, mut ids) = (std::mem::take(&mut scratch.bytes), std::mem::take(&mut scratch.ids));
    for &number in &due {
        let ReadyEvent { sent, public } = &events.events[number as usize];
        let subject = rows.of_this_tick(sent.about).and_then(|(_, subject)| subject).unwrap_or(&plain);
        let reads = Shared::new(Depends::NONE);
        let viewing = Viewing::new(&session.context, sent.about, subject, &reads);
        let sees = |net_id: NetId| scratch.sees(rows, net_id);
        let rule = subject.component_rule(sent.event.name());
        if !rule.map_or_else(|| sent.event.is_visible(&viewing), |rule| rule.admits(&viewing)) {
            continue;
        }
        bytes.clear();
        ids.clear();
        match public {
            Some((public, named)) => {
                bytes.extend_from_slice(public);
                ids.extend_from_slice(named);
            }
            None => sent.event.encode(Some(&viewing.seeing(&sees)), &mut bytes, &mut ids),
        }
        for &at in &ids {
            let name = bytes[usize::from(at)..].first_chunk_mut::<8>().expect("a name is eight bytes");
            if !sees(NetId(u64::from_le_bytes(*name))) {
                *name = NetId::WORLD.0.to_le_bytes();
            }
        }
        let about = if sees(sent.about) { sent.about } else { NetId::WORLD };
        let taken = bytes.len() <= EVENT_BYTES_MAX && put(session, sent, about, &bytes, update);
        counts.told += u64::from(taken);
        counts.dropped += u64::from(!taken);
    }
    (scratch.due, scratch.bytes, scratch.ids) = (due, bytes, ids);
}

/// Puts one event where it leaves from; `false` when there is no room.
fn put(
    session: &mut Session,
    sent: &OutgoingEvent,
    about: NetId,
    bytes: &[u8],
    update: &mut EventSection,
) -> bool {
    if sent.delivery == Delivery::WithUpdate {
        return update.push(sent.kind, about, bytes);
    }
    let fits = session.events_waiting_bytes + bytes.len() <= EVENT_BYTES_WAITING_MAX;
    if fits {
        session.events_waiting_bytes += bytes.len();
        session.events_waiting.push_back((sent.kind, about, bytes.to_vec()));
    }
    fits
}

/// Says as many of the reliable events that wait as a tick may, at least one, and gives their bytes.
pub(super) fn say_waiting(session: &mut Session) -> usize {
    let mut bytes = 0;
    while bytes < EVENT_BYTES_PER_TICK_MAX
        && let Some((kind, about, payload)) = session.events_waiting.pop_front()
    {
        bytes += payload.len();
        session.events_waiting_bytes -= payload.len();
        session.say(ServerControl::Event { kind, about, payload });
    }
    bytes
}
