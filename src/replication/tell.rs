//! Events on their last way: from what cells and the node have sent to what each session is told.

use std::cell::Cell as Shared;

use bevy_ecs::prelude::World;

use crate::cell::pool::Cells;
use crate::ids::NetId;
use crate::limits::{EVENT_BYTES_MAX, EVENT_BYTES_PER_TICK_MAX, EVENT_BYTES_WAITING_MAX};
use crate::net::ToNet;
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
    /// For which there was no room, or that were too long.
    pub dropped: u64,
}

/// What every task needs while it tells events.
#[derive(Debug, Default)]
pub(super) struct TellScratch {
    bytes: Vec<u8>,
    ids: Vec<u16>,
}

/// All events of the tick, by (entity, order of sending): the same on every layout.
pub(super) fn gather(world: &mut World, cells: &mut Cells) -> Vec<OutgoingEvent> {
    let mut events: Vec<OutgoingEvent> = Vec::new();
    for cell in cells.iter_mut() {
        events.append(&mut cell.world.resource_mut::<EventOutbox>().take());
    }
    events.append(&mut world.resource_mut::<EventOutbox>().take());
    // Stable: an entity's events come from one cell, and the node's behind them.
    events.sort_by_key(|event| event.about);
    events
}

/// Whether a session is meant. Its view must be that of the tick's end.
fn is_meant(session: &Session, rows: &Rows, to: &Audience) -> bool {
    match to {
        Audience::ViewersOf(net_id) => rows.row(*net_id).is_some_and(|row| session.view.holds(row)),
        Audience::Player(player) => session.player == *player,
        Audience::Party(party) => session.context.party() == Some(*party),
        Audience::Team(team) => session.context.team() == Some(*team),
        Audience::All => true,
    }
}

/// Puts what a session is told in this tick into its next update and into its queue.
pub(super) fn tell(
    session: &mut Session,
    rows: &Rows,
    events: &[OutgoingEvent],
    scratch: &mut TellScratch,
    update: &mut EventSection,
    counts: &mut EventCounts,
) {
    update.clear();
    let plain = Subject::default();
    for event in events {
        if !is_meant(session, rows, &event.to) {
            continue;
        }
        let row = rows.row(event.about);
        let subject = row.and_then(|row| rows.subjects[row.index()].as_deref()).unwrap_or(&plain);
        let reads = Shared::new(Depends::NONE);
        let viewing = Viewing::new(&session.context, event.about, subject, &reads);
        let TellScratch { bytes, ids } = scratch;
        bytes.clear();
        ids.clear();
        event.event.encode(&viewing, bytes, ids);
        if bytes.len() > EVENT_BYTES_MAX {
            counts.dropped += 1;
            continue;
        }
        let sees = |net_id: NetId| rows.row(net_id).is_some_and(|row| session.view.holds(row));
        for &at in &*ids {
            let name = bytes[usize::from(at)..].first_chunk_mut::<8>().expect("a name is eight bytes");
            if !sees(NetId(u64::from_le_bytes(*name))) {
                *name = NetId::WORLD.0.to_le_bytes();
            }
        }
        let about = if sees(event.about) { event.about } else { NetId::WORLD };
        let taken = match event.delivery {
            Delivery::WithUpdate => update.push(event.kind, about, bytes),
            Delivery::Reliable => {
                let fits = session.events_waiting_bytes + bytes.len() <= EVENT_BYTES_WAITING_MAX;
                if fits {
                    session.events_waiting_bytes += bytes.len();
                    session.events_waiting.push_back((event.kind, about, bytes.clone()));
                }
                fits
            }
        };
        counts.told += u64::from(taken);
        counts.dropped += u64::from(!taken);
    }
}

/// Sends as many of the reliable events that wait as a tick may, at least one, and gives their bytes.
pub(super) fn send_waiting(session: &mut Session, messages: &mut Vec<ToNet>) -> usize {
    let mut bytes = 0;
    while bytes < EVENT_BYTES_PER_TICK_MAX
        && let Some((kind, about, payload)) = session.events_waiting.pop_front()
    {
        bytes += payload.len();
        session.events_waiting_bytes -= payload.len();
        let message = ServerControl::Event { kind, about, payload };
        messages.push(ToNet::Control { connection: session.connection, message });
    }
    bytes
}
