//! The sets `Mirror`, `Assemble` and `Send`: what cells found becomes rows, rows become one update a session.

use bevy_ecs::prelude::{Mut, ResMut, Resource, World};
use bytes::Bytes;

use crate::cell::pool::{Cells, NodeContext, with_cells};
use crate::ghost::import::PublishedExports;
use crate::ids::{Row, TickNumber};
use crate::interest::{Viewer, Viewers};
use crate::limits::FIRST_SYNC_UPDATES_PER_TICK_MAX;
use crate::net::ToNet;
use crate::protocol::messages::{AuditOutcome, ServerControl};
use crate::server::WorldSettings;
use crate::server::io::{AuditTotals, TickInput, TickOutput};
use crate::session::relevance::Relevance;
use crate::session::{Session, Sessions};

use super::audit::audit_view;
use super::globals;
use super::oracle::{self, Oracle, OracleViewer};
use super::personal::OwnersComponents;
use super::policy::Depends;
use super::rows::Rows;
use super::rule::{self, ViewSettings};
use super::tell::{self, EventCounts, TellScratch, TickEvents};
use super::view::{Look, UpdateHeader, ViewScratch};

/// Fewest sessions that are worth a task of their own.
const SESSIONS_PER_TASK_MIN: usize = 16;

/// For how many ticks something may wait in a full update before the server's own audit calls it late.
pub const PENDING_TICKS_MAX: u16 = 200;

/// Rows that one audit names; all are counted.
const ROW_FAULTS_TOLD_MAX: usize = 16;

/// What `Assemble` counted. `bytes`, `updates` and `full` are of this tick, the rest since the start.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssembleCounts {
    /// Bytes of updates.
    pub bytes: u64,
    /// Updates.
    pub updates: u64,
    /// Updates that could not take everything.
    pub full: u64,
    /// Entities near enough to a viewer whose view was full, each once a tick.
    pub over_the_cap: u64,
    /// Events told to players.
    pub events: EventCounts,
    /// Entities that could not come into a view for want of an alias, each once a tick.
    pub without_alias: u64,
    /// Audits.
    pub audits: AuditTotals,
}

/// Memory of `Assemble`, one for each task.
#[derive(Resource, Default)]
struct AssembleScratch {
    tasks: Vec<TaskScratch>,
}

#[derive(Default)]
struct TaskScratch {
    tell: TellScratch,
    view: ViewScratch,
    always: Vec<Row>,
    bytes: Vec<u8>,
    messages: Vec<ToNet>,
    counts: AssembleCounts,
}

/// The messages that `Assemble` made, until `Send`.
#[derive(Resource, Default)]
pub struct Assembled(Vec<ToNet>);

/// The server's own memory of what each session must see, kept while audits are on.
#[derive(Resource, Default)]
struct Oracles {
    /// By session index: the epoch it is for, and the memory.
    by_session: Vec<(u32, Oracle)>,
}

/// How far players see, for views.
#[derive(Resource, Clone, Copy)]
struct ViewRule(ViewSettings);

/// Puts what this module keeps into the node's world.
pub(crate) fn install(world: &mut World, settings: &WorldSettings) {
    world.init_resource::<AssembleCounts>();
    world.init_resource::<AssembleScratch>();
    world.init_resource::<Assembled>();
    world.init_resource::<Oracles>();
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
            let position = rows.place(row);
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
                rows.publish_subjects(&mut cell.subjects);
                rows.publish(&mut cell.deltas);
            }
        }
        world.resource_scope(|world, mut sessions: Mut<Sessions>| {
            world.resource_scope(|world, mut scratch: Mut<AssembleScratch>| {
                take_acks(world, &mut sessions);
                let events = tell::gather(world, cells);
                world.resource_mut::<AssembleCounts>().events.refused += events.refused;
                assemble_sessions(world, cells, events, &mut sessions, &mut scratch);
                collect(world, &mut scratch);
                audit(world, cells, &mut sessions);
                audit_rows(world, cells);
            });
        });
    });
}

fn take_acks(world: &mut World, sessions: &mut Sessions) {
    world.resource_scope(|world, input: Mut<TickInput>| {
        let rows = world.resource::<Rows>();
        for ack in &input.acks {
            if let Some(session) = sessions.current_mut(ack.connection, ack.epoch) {
                session.view.on_ack(rows, ack.newest, ack.bits);
            }
        }
        let mut counts = world.resource_mut::<AssembleCounts>();
        for report in &input.audits {
            // A report on what was never asked, or was answered already, counts for nothing.
            let Some(asked) = sessions
                .of_connection_mut(report.connection)
                .and_then(|session| session.audits.answer(report.audit))
            else {
                continue;
            };
            if report.outcome != AuditOutcome::Inconclusive {
                counts.audits.conclusive += 1;
                counts.audits.fields += u64::from(asked.compared);
                counts.audits.fields_skipped += u64::from(asked.skipped);
            }
            match report.outcome {
                AuditOutcome::Equal => {}
                AuditOutcome::Inconclusive => counts.audits.inconclusive += 1,
                AuditOutcome::Different { sum } => {
                    counts.audits.failures += 1;
                    tracing::error!(
                        connection = report.connection.0,
                        audit = report.audit,
                        sum = format!("{sum:016x}"),
                        "a client holds something else than it was sent"
                    );
                }
            }
        }
    });
}

/// What all tasks share.
struct Shared<'a> {
    rows: &'a Rows,
    cells: &'a Cells,
    node: &'a World,
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
    let shared = Shared {
        rows,
        cells,
        node: world,
        relevance: Relevance::of(sessions, rows),
        events,
        rule: world.resource::<ViewRule>().0,
        tick: world.resource::<NodeContext>().0.tick,
        hits,
    };
    let tasks = (sessions.places() / SESSIONS_PER_TASK_MIN).clamp(1, settings.threads);
    let chunk = sessions.places().div_ceil(tasks);
    scratch.tasks.resize_with(scratch.tasks.len().max(tasks), TaskScratch::default);
    let work = |chunk: &mut [Option<Box<Session>>], scratch: &mut TaskScratch| {
        for session in chunk.iter_mut().flatten() {
            assemble_one(session, &shared, scratch);
        }
    };
    let chunks = sessions.chunks_mut(chunk).zip(&mut scratch.tasks);
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
    let viewer = rule::Viewer { position: shared.rows.place(row), avatar: row };
    let hits = shared.hits.get(session.id.index as usize).copied().unwrap_or_default();
    let changes = session.take_context_changes();
    shared.relevance.rows_for(session, shared.rows, &mut scratch.always);
    let source = OwnersComponents::new(shared.node, shared.cells, &session.context);
    let look = Look { viewer, context: &session.context, changes, always: &scratch.always, source: &source };
    let change = session.view.update_membership(shared.rows, &look, hits, &shared.rule, &mut scratch.view);
    scratch.counts.over_the_cap += u64::from(change.over_the_cap);
    scratch.counts.without_alias += u64::from(change.without_alias);
    let told = &mut scratch.counts.events;
    let ViewScratch { died, events: update, .. } = &mut scratch.view;
    tell::tell(session, shared.rows, &shared.events, died, &mut scratch.tell, update, told);
    let source = OwnersComponents::new(shared.node, shared.cells, &session.context);
    let look = Look { viewer, context: &session.context, changes, always: &scratch.always, source: &source };
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
            let message = ServerControl::Record { update_seq: update.seq, bytes };
            scratch.messages.push(ToNet::Control { connection: session.connection, message });
        }
        let bytes = Bytes::copy_from_slice(&scratch.bytes);
        scratch.messages.push(ToNet::Update { connection: session.connection, bytes });
        if !session.view.may_burst() {
            break;
        }
    }
    tell::send_waiting(session, &mut scratch.messages);
    for mut reply in session.answers.drain(..) {
        reply.as_of = session.view.last_seq();
        let message = ServerControl::Reply(reply);
        scratch.messages.push(ToNet::Control { connection: session.connection, message });
    }
}

fn collect(world: &mut World, scratch: &mut AssembleScratch) {
    world.resource_scope(|world, mut assembled: Mut<Assembled>| {
        let mut counts = world.resource_mut::<AssembleCounts>();
        (counts.bytes, counts.updates, counts.full) = (0, 0, 0);
        // By task, which is by session index: the order does not depend on who finished first.
        for task in &mut scratch.tasks {
            assembled.0.append(&mut task.messages);
            let done = std::mem::take(&mut task.counts);
            counts.bytes += done.bytes;
            counts.updates += done.updates;
            counts.full += done.full;
            counts.over_the_cap += done.over_the_cap;
            counts.events.told += done.events.told;
            counts.events.dropped += done.events.dropped;
            counts.without_alias += done.without_alias;
        }
    });
}

/// Compares every view with the oracle, and asks every client to compare what it holds with what it was sent.
/// The oracle has to follow every tick, since who is in view depends on who was: O(entities × sessions).
fn audit(world: &mut World, cells: &Cells, sessions: &mut Sessions) {
    let Some(every) = world.resource::<WorldSettings>().audit_every else { return };
    let tick = world.resource::<NodeContext>().0.tick;
    world.resource_scope(|world, mut oracles: Mut<Oracles>| {
        world.resource_scope(|world, mut assembled: Mut<Assembled>| {
            world.resource_scope(|world, mut counts: Mut<AssembleCounts>| {
                let rows = world.resource::<Rows>();
                let rule = world.resource::<ViewRule>().0;
                let entities: Vec<_> = oracle::world(rows).collect();
                let relevance = Relevance::of(sessions, rows);
                let (mut always, mut scratch) = (Vec::new(), ViewScratch::default());
                for session in sessions.iter_mut() {
                    let index = session.id.index as usize;
                    if oracles.by_session.len() <= index {
                        oracles.by_session.resize_with(index + 1, Default::default);
                    }
                    let (epoch, oracle) = &mut oracles.by_session[index];
                    if *epoch != session.id.epoch {
                        (*epoch, *oracle) = (session.id.epoch, Oracle::default());
                    }
                    let row = session.avatar_row;
                    let own = (row != Row::NONE).then_some(session.avatar);
                    let place = rows.place(row);
                    relevance.rows_for(session, rows, &mut always);
                    let viewer = OracleViewer {
                        position: place,
                        own,
                        context: Some(&session.context),
                        always: always.iter().map(|row| rows.net_id[row.index()]).collect(),
                    };
                    let expected = oracle.membership(entities.iter().copied(), &viewer, &rule);
                    if !tick.0.is_multiple_of(every) {
                        continue;
                    }
                    let found = audit_view(&session.view, rows, &expected, PENDING_TICKS_MAX);
                    counts.audits.conclusive += 1;
                    if !found.passed() {
                        counts.audits.failures += 1;
                        tracing::error!(player = %session.player, %tick, ?found, "a view is not what it must be");
                    }
                    let number = session.audits.next_number();
                    let source = OwnersComponents::new(world, cells, &session.context);
                    let viewer = rule::Viewer { position: place, avatar: row };
                    let (context, changes) = (&session.context, Depends::NONE);
                    let look = Look { viewer, context, changes, always: &always, source: &source };
                    if let Some((request, overlooked)) =
                        session.view.audit_request(rows, &look, number, &mut scratch)
                    {
                        if !overlooked.is_empty() {
                            counts.audits.failures += 1;
                            tracing::error!(player = %session.player, %tick, ?overlooked, "fields have changed for a player who was not told");
                        }
                        let held = session.view.rows();
                        let all: u32 =
                            held.map(|row| rows.encoded[row.index()].all_fields().count_ones()).sum();
                        session.audits.ask(request.fields, all.saturating_sub(request.fields));
                        let message = ServerControl::Audit(request);
                        assembled.0.push(ToNet::Control { connection: session.connection, message });
                    }
                }
            });
        });
    });
}

/// Compares every row with the components that it is of: views, oracle and clients all rest on the rows, so none of
/// them would notice. Once per entity, however many see it: O(entities × sent bytes).
fn audit_rows(world: &mut World, cells: &mut Cells) {
    let Some(every) = world.resource::<WorldSettings>().audit_every else { return };
    let tick = world.resource::<NodeContext>().0.tick;
    if !tick.0.is_multiple_of(every) {
        return;
    }
    let rows = world.resource::<Rows>();
    let found: Vec<_> = cells.iter_mut().flat_map(|cell| cell.audit_rows(rows)).collect();
    for fault in found.iter().take(ROW_FAULTS_TOLD_MAX) {
        let (component, field) = (fault.component, fault.field.unwrap_or("all of it"));
        tracing::error!(net_id = %fault.net_id, component, field, %tick, "a row is not what its entity is");
    }
    let audits = &mut world.resource_mut::<AssembleCounts>().audits;
    audits.conclusive += 1;
    audits.failures += found.len() as u64;
}

/// Runs `Send`: hands this tick's updates and replies to the output, behind the messages of earlier sets.
pub fn send(mut assembled: ResMut<Assembled>, mut output: ResMut<TickOutput>) {
    output.messages.append(&mut assembled.0);
}
