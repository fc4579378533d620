//! The `Record` set: what there is to tell about the tick, and the rules that must hold after every one.

use bevy_ecs::prelude::{Mut, Res, ResMut, Resource, World};

use crate::action::act::ActCounts;
use crate::cell::Cell;
use crate::cell::partition::PartitionCounts;
use crate::cell::pool::{Cells, with_cells};
use crate::ids::TickNumber;
use crate::replication::stage::AssembleCounts;
use crate::replication::{Globals, Rows};
use crate::session::Sessions;
use crate::value::Desk;

use super::WorldSettings;
use super::io::{OutputSoFar, SealedInput, TickReport};

/// The newest tick whose image is durable.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct LastSaved(pub Option<TickNumber>);

/// Takes note of what the store has made durable.
pub(crate) fn note_saved_images(input: Res<SealedInput>, mut last: ResMut<LastSaved>) {
    last.0 = last.0.max(input.images_saved.last().copied());
}

/// What cells counted since the start.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellTotals {
    /// Steps longer than the limit, undone and done as teleports.
    pub long_steps: u64,
    /// Positions clamped to the world's edge.
    pub clamped: u64,
    /// Fields that were too long to be sent.
    pub oversized_fields: u64,
    /// Spawns, teleports and messages asked for in the name of an entity of another cell: not done.
    pub foreign_requests: u64,
    /// Subjects that changed and override the policy of what the game does not register.
    pub unknown_overrides: u64,
    /// Exports that were not imported because they are another owner's.
    pub exports_stale: u64,
}

impl CellTotals {
    fn add(&mut self, cell: &Cell) {
        self.long_steps += cell.counts.long_steps;
        self.clamped += cell.counts.clamped;
        self.oversized_fields += cell.counts.oversized_fields;
        self.foreign_requests += cell.counts.foreign_requests;
        self.unknown_overrides += cell.counts.unknown_overrides;
        self.exports_stale += cell.imported.stale;
    }
}

/// Ticks between two checks of the fingerprint from scratch, where invariants are checked.
const FINGERPRINT_CHECK_TICKS: u64 = 32;

/// The fingerprint from scratch: of everything owned as it is now, whatever change detection has noticed.
/// O(entities × kinds).
pub fn fingerprint_from_scratch(world: &mut World) -> u64 {
    let globals = world.resource::<Globals>().sum_from_scratch(world);
    with_cells(world, |_, cells| {
        let sums = cells.iter_mut().flat_map(|cell| cell.sums_from_scratch());
        sums.fold(globals, u64::wrapping_add)
    })
}

/// The wrapping sum over everything owned.
pub(super) fn fingerprint(cells: &Cells) -> u64 {
    cells.iter().flat_map(|cell| &cell.sums).fold(0, |sum, part| sum.wrapping_add(*part))
}

/// Checks, where the settings ask for it, that every entity has exactly one owner and that no game system
/// wrote a ghost.
///
/// # Panics
/// When a rule is broken: names the cell and the entity.
pub fn check_invariants(world: &mut World) {
    if !world.resource::<WorldSettings>().check_invariants {
        return;
    }
    let tick = world.resource::<SealedInput>().tick;
    with_cells(world, |world, cells| {
        world.resource_scope(|_, rows: Mut<Rows>| {
            let mut owned_by_cells = 0;
            if tick.0.is_multiple_of(FINGERPRINT_CHECK_TICKS) {
                for cell in cells.iter_mut() {
                    assert_eq!(
                        cell.sums_from_scratch(),
                        cell.sums,
                        "cell {}: the fingerprint by kinds (left from scratch, right kept): a component was written \
                         without its change being noticed",
                        cell.leaf.id
                    );
                }
            }
            for cell in cells.iter_mut() {
                let leaf = cell.leaf;
                cell.for_each_entity(|row, net_id, _, owned| {
                    if owned {
                        owned_by_cells += 1;
                    }
                    // One that despawned in this tick keeps its row until the next Partition.
                    assert_eq!(rows.net_id[row.index()], net_id, "cell {}: the row of {net_id} is not its own", leaf.id);
                    assert_eq!(
                        rows.owner[row.index()] == leaf.slot,
                        owned,
                        "cell {}: {net_id} is {} here, but the registry says slot {}",
                        leaf.id,
                        if owned { "owned" } else { "a ghost" },
                        rows.owner[row.index()].0
                    );
                });
                if let Some((net_id, component)) = cell.written_ghost {
                    panic!(
                        "cell {}: a game system wrote {component} of the ghost {net_id}: ghosts are read only",
                        leaf.id
                    );
                }
            }
            let dying: usize = cells.iter().map(|cell| cell.dead.len()).sum();
            assert_eq!(
                owned_by_cells + dying,
                rows.entities(),
                "every entity of the registry is owned by exactly one cell"
            );
        });
    });
}

/// What each of [`TickReport::counters`] counts, for `/metrics`; a test asks for all of them.
#[must_use]
pub fn help_of(counter: &str) -> Option<&'static str> {
    let help = match counter {
        "teleports" => "Jumps of entities, asked for by the game or made of a step that was too long",
        "plans_made" => "Plans of rewards that were made",
        "plans_committed" => "Plans of rewards that were committed",
        "plans_refused" => "Rewards that were refused, planned or not",
        "plans_repeated" => "Plans whose claim had been fulfilled before: answered as before",
        "plans_conflicts" => "Accounts whose holdings had changed between a plan and its execution",
        "holdings_reread" => {
            "Holdings that were read anew, since something was written of them that was not asked for here"
        }
        "births" => "Entities that were spawned",
        "deaths" => "Entities that were despawned",
        "name_collisions" => "Spawns refused because the name was taken",
        "detached" => "Attachments dissolved because the leader was gone or the chain did not end",
        "actions_run" => "Actions that were taken",
        "actions_repeated" => "Actions that came again and were answered as before",
        "actions_refused" => "Actions that were refused before they ran",
        "actions_unanswered" => "Actions that their cell gave no answer to: faults of the engine",
        "client_messages_stale" => "Messages of clients for a session that was over",
        "entity_messages" => "Messages between entities that were delivered",
        "entity_messages_lost" => "Messages between entities whose addressee was gone",
        "long_steps" => "Steps of entities beyond the top speed",
        "positions_clamped" => "Positions put back to the edge of the world",
        "fields_oversized" => "Field values longer than declared, not sent",
        "fields_left_out" => {
            "Fields left out of what a player is told of an entity, because together they are more than a record takes"
        }
        "view_over_the_cap" => "Entities near enough to a viewer whose view was full, each once a tick",
        "view_overdue" => {
            "Entities with a change that waited for longer than its component's max_staleness, each once a tick and viewer"
        }
        "view_without_alias" => {
            "Entities that could not come into a view for want of an alias, each once a tick"
        }
        "events_told" => "Events told to players, each once per player",
        "events_refused" => {
            "Events that game systems sent beyond what a cell, or the node, may send in a tick, told to nobody"
        }
        "events_dropped" => "Events that were too long or had no room, each once per player",
        "foreign_requests" => {
            "Spawns, teleports and messages in the name of an entity that is not the cell's, not done"
        }
        "overrides_unknown" => {
            "Changed subjects that override the policy of what the game does not register, which hides nothing"
        }
        "sessions_lost" => "Connections that were lost without a goodbye, whose session waited",
        "sessions_resumed" => "Sessions that went on over another connection with nothing lost",
        "sessions_not_resumable" => {
            "Clients that asked to resume a session that was over or had let go of what they lacked"
        }
        "sessions_graces_over" => "Sessions that ended because nobody came back in time",
        "sessions_taken_over" => "Sessions and joins that the same player ended from elsewhere",
        "sessions_illegal_events" => {
            "Events that cannot happen to a player in its state: faults of the engine"
        }
        "lasting_messages_let_go" => {
            "Replies, events and records that were not kept for a resume any more, for want of room"
        }
        "profiles_refused" => "Players refused because their profile could not be read, or not in time",
        "players_banned" => "Joins refused and sessions ended for a ban",
        "players_kicked" => "Players that an operator sent away",
        "exports_stale" => "Imports left out because the neighbour had published for another owner",
        _ => return None,
    };
    Some(help)
}

/// Writes the tick's report.
pub fn record(world: &mut World) {
    let report = with_cells(world, |world, cells| {
        let mut totals = world.resource_mut::<CellTotals>();
        cells.iter().for_each(|cell| totals.add(cell));
        let totals = *totals;
        let rows = world.resource::<Rows>();
        let sessions = world.resource::<Sessions>();
        let partition = *world.resource::<PartitionCounts>();
        let act = *world.resource::<ActCounts>();
        let value = world.resource::<Desk>().counts;
        let assembled = *world.resource::<AssembleCounts>();
        let known: usize = cells.iter().map(|cell| cell.by_net_id.len()).sum();
        let sum = |part: fn(&crate::cell::Cell) -> u64| cells.iter().map(part).sum::<u64>();
        TickReport {
            fingerprint: fingerprint(cells).wrapping_add(world.resource::<Globals>().sum()),
            entities: rows.entities() as u64,
            ghosts: known.saturating_sub(rows.entities()) as u64,
            cells: cells.iter().count() as u64,
            players: sessions.len() as u64,
            lingering: sessions.lingering() as u64,
            waiting: sessions.waiting.len() as u64,
            handovers: partition.handovers,
            update_bytes: assembled.bytes,
            updates: assembled.updates,
            updates_full: assembled.full,
            pending_entities: assembled.pending_entities,
            pending_ticks_max: assembled.pending_ticks_max,
            audits: assembled.audits,
            ghost_values_copied: sum(|cell| cell.imported.copied),
            counters: vec![
                ("teleports", partition.teleports),
                ("births", partition.births),
                ("plans_made", value.planned),
                ("plans_committed", value.committed),
                ("plans_refused", value.refused),
                ("plans_repeated", value.repeated),
                ("plans_conflicts", value.conflicts),
                ("holdings_reread", value.reread),
                ("deaths", partition.deaths),
                ("name_collisions", partition.name_collisions),
                ("detached", partition.detached),
                ("actions_run", act.run),
                ("actions_repeated", act.repeats),
                ("actions_refused", act.refused),
                ("actions_unanswered", act.unanswered),
                ("client_messages_stale", act.stale),
                ("entity_messages", act.messages),
                ("entity_messages_lost", act.messages_lost),
                ("long_steps", totals.long_steps),
                ("positions_clamped", totals.clamped),
                (
                    "fields_oversized",
                    totals.oversized_fields
                        + assembled.fields_oversized
                        + world.resource::<Globals>().oversized_fields(),
                ),
                ("fields_left_out", assembled.fields_left_out),
                ("view_over_the_cap", assembled.over_the_cap),
                ("events_told", assembled.events.told),
                ("events_dropped", assembled.events.dropped),
                ("events_refused", assembled.events.refused),
                ("view_overdue", assembled.overdue),
                ("view_without_alias", assembled.without_alias),
                ("foreign_requests", totals.foreign_requests),
                ("overrides_unknown", totals.unknown_overrides),
                ("exports_stale", totals.exports_stale),
                ("sessions_lost", sessions.counts.lost),
                ("sessions_resumed", sessions.counts.resumed),
                ("sessions_not_resumable", sessions.counts.not_resumable),
                ("sessions_graces_over", sessions.counts.graces_over),
                ("sessions_taken_over", sessions.counts.taken_over),
                ("sessions_illegal_events", sessions.counts.illegal),
                ("lasting_messages_let_go", sessions.counts.lasting_let_go),
                ("profiles_refused", sessions.counts.profiles_refused),
                ("players_banned", sessions.counts.banned),
                ("players_kicked", sessions.counts.kicked),
            ],
        }
    });
    world.resource_mut::<OutputSoFar>().report = report;
}
