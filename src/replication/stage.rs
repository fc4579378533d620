//! The sets `Mirror`, `Assemble` and `Send`: what cells found becomes rows, rows become one update a session.

use bevy_ecs::prelude::{Mut, ResMut, Resource, World};
use bytes::Bytes;

use crate::cell::pool::{Cells, NodeContext, with_cells};
use crate::ghost::import::PublishedExports;
use crate::ids::{Row, TickNumber};
use crate::interest::{Viewer, Viewers};
use crate::limits::FIRST_SYNC_UPDATES_PER_TICK_MAX;
use crate::net::ToNet;
use crate::protocol::messages::ServerControl;
use crate::server::WorldSettings;
use crate::server::io::{AuditTotals, OutputSoFar, SealedInput};
use crate::session::relevance::Relevance;
use crate::session::{Session, Sessions};

use super::auditing;
use super::globals;
use super::personal::{EntitiesOfRows, OwnersComponents};
use super::rows::Rows;
use super::rule::{self, ViewSettings};
use super::tell::{self, EventCounts, TellScratch, TickEvents};
use super::view::{Look, UpdateHeader, ViewScratch};

/// Fewest sessions that are worth a task of their own.
const SESSIONS_PER_TASK_MIN: usize = 16;

/// What `Assemble` counted. What is above `over_the_cap` is of this tick, the rest since the start.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssembleCounts {
    /// Bytes of updates.
    pub bytes: u64,
    /// Updates.
    pub updates: u64,
    /// Updates that could not take everything.
    pub full: u64,
    /// Entities of which something waits behind the updates, over all views.
    pub pending_entities: u64,
    /// For how many ticks the longest-waiting of them has.
    pub pending_ticks_max: u16,
    /// Entities near enough to a viewer whose view was full, each once a tick.
    pub over_the_cap: u64,
    /// Values of personal fields that were longer than declared, not sent.
    pub fields_oversized: u64,
    /// Fields told as absent, because what the player may see of an entity is more than a record takes.
    pub fields_left_out: u64,
    /// Events told to players.
    pub events: EventCounts,
    /// Entities that could not come into a view for want of an alias, each once a tick.
    pub without_alias: u64,
    /// Entities with a change that has waited for longer than its component allows, each once a tick and viewer.
    pub overdue: u64,
    /// Audits.
    pub audits: AuditTotals,
}

/// Memory of `Assemble`, one for each task.
#[derive(Resource, Default)]
struct AssembleScratch {
    found: EntitiesOfRows,
    tasks: Vec<TaskScratch>,
}

#[derive(Default)]
struct TaskScratch {
    tell: TellScratch,
    view: ViewScratch,
    always: Vec<Row>,
    bytes: Vec<u8>,
    messages: Vec<ToNet>,
    records: Vec<ServerControl>,
    counts: AssembleCounts,
    lasting_let_go: u64,
}

/// The messages that `Assemble` made, until `Send`.
#[derive(Resource, Default)]
pub struct Assembled(pub(super) Vec<ToNet>);

/// How far players see, for views.
#[derive(Resource, Clone, Copy)]
pub(super) struct ViewRule(pub(super) ViewSettings);

/// Puts what this module keeps into the node's world.
pub(crate) fn install(world: &mut World, settings: &WorldSettings) {
    world.init_resource::<AssembleCounts>();
    world.init_resource::<AssembleScratch>();
    world.init_resource::<Assembled>();
    auditing::install(world);
    world.insert_resource(ViewRule(ViewSettings {
        enter_radius_m: settings.enter_radius_m,
        leave_radius_m: settings.leave_radius_m,
        entities_max: settings.view_entities_max,
        tiers: settings.tiers,
        bytes_per_tick: settings.client_bytes_per_tick,
    }));
}

/// Runs `Mirror`: exports become readable by all, and positions too; every viewer is put into the list of the
/// cell that owns its avatar.
pub fn mirror(world: &mut World) {
    with_cells(world, |world, cells| {
        let mut rows = world.resource_mut::<Rows>();
        for cell in cells.iter_mut() {
            rows.publish_moves(&mut cell.moves);
        }
        let exports = &mut world.resource_mut::<PublishedExports>().exports;
        for cell in cells.iter_mut() {
            let slot = cell.leaf.slot.index();
            if exports.len() <= slot {
                exports.resize_with(slot + 1, || None);
            }
            exports[slot] = cell.export.take();
        }
    });
    world.resource_scope(|world, mut viewers: Mut<Viewers>| {
        viewers.clear();
        let rows = world.resource::<Rows>();
        for session in world.resource::<Sessions>().iter() {
            let row = session.avatar_row;
            let position = rows.position[row.index()];
            if row != Row::NONE && position.is_finite() {
                let viewer = Viewer { session: session.id.index, position };
                viewers.push(rows.owner[row.index()], viewer);
            }
        }
    });
}

/// Runs `Assemble`: publishes what cells encoded, then brings every session's view up to date and writes its
/// updates, in parallel over sessions.
pub fn assemble(world: &mut World) {
    with_cells(world, |world, cells| {
        globals::publish(world);
        {
            let mut rows = world.resource_mut::<Rows>();
            for cell in cells.iter_mut() {
                #[cfg(any(test, feature = "planted-faults"))]
                cell.planted.clone_from(&rows.left_out_mask().cloned());
                rows.publish_subjects(&mut cell.subjects);
                rows.publish(&mut cell.deltas);
            }
        }
        world.resource_scope(|world, mut sessions: Mut<Sessions>| {
            world.resource_scope(|world, mut scratch: Mut<AssembleScratch>| {
                take_acks(world, &mut sessions);
                auditing::take_reports(world, &mut sessions);
                let events = tell::gather(world, cells);
                world.resource_mut::<AssembleCounts>().events.refused += events.refused;
                assemble_sessions(world, cells, events, &mut sessions, &mut scratch);
                collect(world, &mut sessions, &mut scratch);
                auditing::audit(world, cells, &mut sessions);
                auditing::audit_rows(world, cells, &sessions);
            });
        });
    });
}

fn take_acks(world: &mut World, sessions: &mut Sessions) {
    world.resource_scope(|world, input: Mut<SealedInput>| {
        let rows = world.resource::<Rows>();
        for ack in &input.acks {
            if let Some(session) = sessions.current_mut(ack.connection, ack.epoch) {
                session.hear(rows, ack);
            }
        }
    });
}

/// What all tasks share.
struct Shared<'a> {
    rows: &'a Rows,
    cells: &'a Cells,
    node: &'a World,
    found: &'a EntitiesOfRows,
    relevance: Relevance,
    events: TickEvents,
    rule: ViewSettings,
    tick: TickNumber,
    /// By session index.
    hits: Vec<&'a [Row]>,
}

fn assemble_sessions(
    world: &World,
    cells: &Cells,
    events: TickEvents,
    sessions: &mut Sessions,
    scratch: &mut AssembleScratch,
) {
    let settings = world.resource::<WorldSettings>();
    let mut hits: Vec<&[Row]> = vec![&[]; sessions.places()];
    for cell in cells.iter() {
        for (session, rows) in cell.interest.candidates.iter() {
            if let Some(place) = hits.get_mut(session as usize) {
                *place = rows;
            }
        }
    }
    let rows = world.resource::<Rows>();
    let AssembleScratch { found, tasks: scratches } = scratch;
    found.clear(rows.len());
    let shared = Shared {
        rows,
        cells,
        node: world,
        found,
        relevance: Relevance::of(sessions, rows, settings.view_entities_max),
        events,
        rule: world.resource::<ViewRule>().0,
        tick: world.resource::<NodeContext>().0.tick,
        hits,
    };
    let tasks = (sessions.places() / SESSIONS_PER_TASK_MIN).clamp(1, settings.threads);
    let chunk = sessions.places().div_ceil(tasks);
    scratches.resize_with(scratches.len().max(tasks), TaskScratch::default);
    let work = |chunk: &mut [Option<Box<Session>>], scratch: &mut TaskScratch| {
        for session in chunk.iter_mut().flatten() {
            assemble_one(session, &shared, scratch);
        }
    };
    let chunks = sessions.chunks_mut(chunk).zip(scratches);
    if tasks == 1 {
        chunks.for_each(|(chunk, scratch)| work(chunk, scratch));
    } else {
        let work = &work;
        bevy_tasks::ComputeTaskPool::get().scope(|scope| {
            for (chunk, scratch) in chunks {
                scope.spawn(async move { work(chunk, scratch) });
            }
        });
    }
}

fn assemble_one(session: &mut Session, shared: &Shared<'_>, scratch: &mut TaskScratch) {
    let row = session.avatar_row;
    // A player whose avatar died sees from nowhere: the view empties.
    let viewer = rule::Viewer { position: shared.rows.position[row.index()], avatar: row };
    let hits = shared.hits.get(session.id.index as usize).copied().unwrap_or_default();
    let changes = session.take_context_changes();
    shared.relevance.rows_for(session, shared.rows, &mut scratch.always);
    let source = OwnersComponents::new(shared.node, shared.cells, &session.context, shared.found);
    let look = Look { viewer, context: &session.context, changes, always: &scratch.always, source: &source };
    let change = session.view.update_membership(shared.rows, &look, hits, &shared.rule, &mut scratch.view);
    scratch.counts.over_the_cap += u64::from(change.over_the_cap);
    scratch.counts.without_alias += u64::from(change.without_alias);
    scratch.counts.overdue += u64::from(change.overdue);
    let told = &mut scratch.counts.events;
    let ViewScratch { died, events: update, .. } = &mut scratch.view;
    tell::tell(session, shared.rows, &shared.events, died, &mut scratch.tell, update, told);
    let source = OwnersComponents::new(shared.node, shared.cells, &session.context, shared.found);
    let look = Look { viewer, context: &session.context, changes, always: &scratch.always, source: &source };
    if session.is_lingering() {
        return stand_by(session, scratch);
    }
    let header = UpdateHeader { tick: shared.tick, input_seq: session.input_seq };
    for _ in 0..FIRST_SYNC_UPDATES_PER_TICK_MAX {
        scratch.bytes.clear();
        let Some(update) =
            session.view.assemble(shared.rows, &look, &header, &mut scratch.view, &mut scratch.bytes)
        else {
            break;
        };
        scratch.counts.updates += 1;
        scratch.counts.bytes += scratch.bytes.len() as u64;
        scratch.counts.full += u64::from(update.overflowed);
        scratch.counts.events.told -= u64::from(update.events_dropped);
        scratch.counts.events.dropped += u64::from(update.events_dropped);
        if let Some(bytes) = update.record {
            scratch.records.push(ServerControl::Record { update_seq: update.seq, bytes });
        }
        let bytes = Bytes::copy_from_slice(&scratch.bytes);
        scratch.messages.push(ToNet::Update { connection: session.connection, bytes });
        if !session.view.may_burst() {
            break;
        }
    }
    scratch.counts.fields_left_out += session.view.take_left_out();
    scratch.counts.fields_oversized += scratch.view.take_oversized();
    let (pending, ticks_max) = session.view.pending_entities();
    scratch.counts.pending_entities += u64::from(pending);
    scratch.counts.pending_ticks_max = scratch.counts.pending_ticks_max.max(ticks_max);
    // Where the bytes per tick allowed no update at all.
    let unsent = u64::from(scratch.view.events.clear());
    scratch.counts.events.told -= unsent;
    scratch.counts.events.dropped += unsent;
    scratch.records.drain(..).for_each(|record| session.say(record));
    let beside = tell::say_waiting(session);
    session.view.charge(beside);
    say_answers(session, session.view.last_seq());
    let (connection, messages) = (session.connection, &mut scratch.messages);
    session.lasting.send(|message| {
        messages.push(ToNet::Control { connection, message: message.clone() });
    });
    scratch.lasting_let_go += session.lasting.take_lost();
}

fn say_answers(session: &mut Session, as_of: u32) {
    for mut reply in std::mem::take(&mut session.answers) {
        reply.as_of = as_of;
        session.say(ServerControl::Reply(reply));
    }
}

/// Of a session without a connection only what must not be lost is kept; its view waits as it is.
fn stand_by(session: &mut Session, scratch: &mut TaskScratch) {
    session.view.stand_by();
    let unsent = u64::from(scratch.view.events.clear());
    scratch.counts.events.told -= unsent;
    scratch.counts.events.dropped += unsent;
    scratch.counts.fields_oversized += scratch.view.take_oversized();
    tell::say_waiting(session);
    // What they caused shows in the first update after the resume.
    let as_of = session.view.last_seq() + 1;
    say_answers(session, as_of);
    scratch.lasting_let_go += session.lasting.take_lost();
}

fn collect(world: &mut World, sessions: &mut Sessions, scratch: &mut AssembleScratch) {
    world.resource_scope(|world, mut assembled: Mut<Assembled>| {
        let mut counts = world.resource_mut::<AssembleCounts>();
        (counts.bytes, counts.updates, counts.full) = (0, 0, 0);
        (counts.pending_entities, counts.pending_ticks_max) = (0, 0);
        // By task, which is by session index: the order does not depend on who finished first.
        for task in &mut scratch.tasks {
            assembled.0.append(&mut task.messages);
            sessions.counts.lasting_let_go += std::mem::take(&mut task.lasting_let_go);
            let done = std::mem::take(&mut task.counts);
            counts.bytes += done.bytes;
            counts.updates += done.updates;
            counts.full += done.full;
            counts.pending_entities += done.pending_entities;
            counts.pending_ticks_max = counts.pending_ticks_max.max(done.pending_ticks_max);
            counts.over_the_cap += done.over_the_cap;
            counts.fields_oversized += done.fields_oversized;
            counts.fields_left_out += done.fields_left_out;
            counts.events.told += done.events.told;
            counts.events.dropped += done.events.dropped;
            counts.without_alias += done.without_alias;
            counts.overdue += done.overdue;
        }
    });
}

/// Runs `Send`: hands this tick's updates and replies to the output, behind the messages of earlier sets.
pub(crate) fn send(mut assembled: ResMut<Assembled>, mut output: ResMut<OutputSoFar>) {
    output.messages.append(&mut assembled.0);
}
