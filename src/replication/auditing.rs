//! Audits of a running world, at the end of `Assemble`: views against the oracle, what players are told against the naive
//! sieve, rows against components, and what clients say of what they hold.

use bevy_ecs::prelude::{Mut, Resource, World};
use rustc_hash::FxHashSet;

use crate::cell::pool::{Cells, NodeContext};
use crate::ids::{NetId, PlayerId, Row, TickNumber};
use crate::limits::PENDING_TICKS_MAX;
use crate::net::ToNet;
use crate::protocol::messages::{AuditOutcome, ServerControl};
use crate::server::WorldSettings;
use crate::server::io::SealedInput;
use crate::session::relevance::Relevance;
use crate::session::{Session, Sessions};

use super::audit::{AuditFault, AuditFinding, AuditFindings, PLAYERS_NAMED_MAX, ViewAudit, audit_view};
use super::globals::Globals;
use super::oracle::{self, Oracle, OracleViewer};
use super::personal::{EntitiesOfRows, OwnersComponents};
use super::policy::Depends;
use super::rows::Rows;
use super::rule;
use super::stage::{AssembleCounts, Assembled, ViewRule};
use super::view::{FieldKey, Look, ViewScratch};

/// Entities in views that one audit compares with the sieve; the next one goes on with the session behind.
const SIEVED_PER_AUDIT_MAX: usize = 2_000;

/// Entities that one audit names of one view; all are counted.
const ENTITIES_TOLD_MAX: usize = 4;

/// The server's own memory of what each session must see, kept while audits are on.
#[derive(Resource, Default)]
struct Oracles {
    /// By session index: the epoch that session began with, and the memory.
    by_session: Vec<(u32, Oracle)>,
    /// The index of the session whose turn it is to be compared with the sieve.
    turn: u32,
}

/// Puts what this module keeps into the node's world.
pub(super) fn install(world: &mut World) {
    world.init_resource::<Oracles>();
    world.init_resource::<AuditFindings>();
}

/// Takes what clients have said of what they hold.
pub(super) fn take_reports(world: &mut World, sessions: &mut Sessions) {
    world.resource_scope(|world, input: Mut<SealedInput>| {
        world.resource_scope(|world, mut findings: Mut<AuditFindings>| {
            let mut counts = world.resource_mut::<AssembleCounts>();
            for report in &input.audits {
                // A report on what was never asked, or was answered already, counts for nothing.
                let Some(session) = sessions.of_connection_mut(report.connection) else { continue };
                let Some(asked) = session.audits.answer(report.audit) else { continue };
                if report.outcome != AuditOutcome::Inconclusive {
                    counts.audits.conclusive += 1;
                    counts.audits.fields += u64::from(asked.compared);
                    counts.audits.fields_skipped += u64::from(asked.skipped);
                }
                match report.outcome {
                    AuditOutcome::Equal => {}
                    AuditOutcome::Inconclusive => counts.audits.inconclusive += 1,
                    AuditOutcome::Different { .. } => {
                        counts.audits.failures += 1;
                        findings.note(AuditFinding::of_player(
                            input.tick,
                            AuditFault::Client,
                            &session.player,
                        ));
                    }
                }
            }
        });
    });
}

/// Compares every view with the oracle, asks every client to compare what it holds with what it was sent, and compares
/// what the players whose turn it is are told with the naive sieve. The oracle has to follow every tick, since who is in
/// view depends on who was: O(entities × sessions).
pub(super) fn audit(world: &mut World, cells: &Cells, sessions: &mut Sessions) {
    let Some(every) = world.resource::<WorldSettings>().audit_every else { return };
    let tick = world.resource::<NodeContext>().0.tick;
    world.resource_scope(|world, mut oracles: Mut<Oracles>| {
        world.resource_scope(|world, mut assembled: Mut<Assembled>| {
            world.resource_scope(|world, mut counts: Mut<AssembleCounts>| {
                world.resource_scope(|world, mut findings: Mut<AuditFindings>| {
                    let rows = world.resource::<Rows>();
                    let rule = world.resource::<ViewRule>().0;
                    let entities: Vec<_> = oracle::world(rows).collect();
                    let relevance = Relevance::of(sessions, rows, rule.entities_max);
                    let mut always = Vec::new();
                    let turns = turns_of(sessions, &mut oracles.turn, rows, tick.0.is_multiple_of(every));
                    let mut found_entities = EntitiesOfRows::default();
                    found_entities.clear(rows.len());
                    let mut auditor = Auditor {
                        world,
                        cells,
                        rows,
                        entities: &found_entities,
                        tick,
                        scratch: ViewScratch::default(),
                        findings: &mut findings,
                    };
                    for session in sessions.iter_mut() {
                        let oracle = oracles.of(session);
                        let place = rows.position[session.avatar_row.index()];
                        relevance.rows_for(session, rows, &mut always);
                        let viewer = OracleViewer {
                            position: place,
                            own: (session.avatar_row != Row::NONE).then_some(session.avatar),
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
                            auditor.name_view(&session.player, &found);
                        }
                        let source = OwnersComponents::new(world, cells, &session.context, &found_entities);
                        let viewer = rule::Viewer { position: place, avatar: session.avatar_row };
                        let (context, changes) = (&session.context, Depends::NONE);
                        let look = Look { viewer, context, changes, always: &always, source: &source };
                        if turns.contains(&session.id.index) {
                            counts.audits.conclusive += 1;
                            counts.audits.failures += u64::from(!auditor.sieve(session, &look));
                        }
                        if session.is_lingering() {
                            continue;
                        }
                        let number = session.audits.next_number();
                        let asked = session.view.audit_request(rows, &look, number, &mut auditor.scratch);
                        let Some((request, overlooked)) = asked else { continue };
                        counts.audits.failures += u64::from(!overlooked.is_empty());
                        for (net_id, key) in overlooked.into_iter().take(ENTITIES_TOLD_MAX) {
                            auditor.name_field(&session.player, net_id, Some(key), AuditFault::Untold);
                        }
                        let held = session.view.rows();
                        let all: u32 =
                            held.map(|row| rows.encoded[row.index()].all_fields().count_ones()).sum();
                        session.audits.ask(request.fields, all.saturating_sub(request.fields));
                        let message = ServerControl::Audit(request);
                        assembled.0.push(ToNet::Control { connection: session.connection, message });
                    }
                });
            });
        });
    });
}

/// The sessions that are compared with the sieve in this tick: from the one whose turn it is on, until the entities in
/// their views are as many as one audit may take.
fn turns_of(sessions: &Sessions, turn: &mut u32, rows: &Rows, is_due: bool) -> FxHashSet<u32> {
    let mut turns = FxHashSet::default();
    if !is_due {
        return turns;
    }
    let all: Vec<(u32, usize)> = sessions
        .iter()
        .map(|session| {
            let special = session.view.rows().filter(|row| rows.special[row.index()]).count();
            (session.id.index, special)
        })
        .collect();
    let first = all.iter().position(|(index, _)| index >= turn).unwrap_or(0);
    let mut entities = 0;
    for (index, special) in all[first..].iter().chain(&all[..first]) {
        if entities > 0 && entities + special > SIEVED_PER_AUDIT_MAX {
            break;
        }
        entities += special;
        turns.insert(*index);
        *turn = index + 1;
    }
    turns
}

impl Oracles {
    /// The memory of this session.
    fn of(&mut self, session: &Session) -> &mut Oracle {
        let index = session.id.index as usize;
        if self.by_session.len() <= index {
            self.by_session.resize_with(index + 1, Default::default);
        }
        let (epoch, oracle) = &mut self.by_session[index];
        if *epoch != session.began {
            (*epoch, *oracle) = (session.began, Oracle::default());
        }
        oracle
    }
}

/// One tick's audit of sessions.
struct Auditor<'a> {
    world: &'a World,
    cells: &'a Cells,
    rows: &'a Rows,
    entities: &'a EntitiesOfRows,
    tick: TickNumber,
    scratch: ViewScratch,
    findings: &'a mut AuditFindings,
}

impl Auditor<'_> {
    /// Compares what a player is told of everything of which not everybody sees the same with what the sieve makes of it;
    /// names what differs, and says whether nothing does.
    fn sieve(&mut self, session: &Session, look: &Look<'_>) -> bool {
        let rows = self.rows;
        let seen: FxHashSet<Row> = session.view.rows().collect();
        let is_hidden =
            |name: NetId| name != NetId::WORLD && rows.row(name).is_none_or(|row| !seen.contains(&row));
        let source = OwnersComponents::new(self.world, self.cells, &session.context, self.entities);
        let mut wrong = Vec::new();
        session.view.each_told(rows, look, &mut self.scratch, &mut |told| {
            let net_id = rows.net_id[told.row.index()];
            wrong.extend(source.told_wrong(told, &is_hidden).into_iter().map(|wrong| (net_id, wrong)));
        });
        let passed = wrong.is_empty();
        for (net_id, (component, field, fault)) in wrong {
            let schema = &rows.schema().components[component];
            let finding = AuditFinding {
                component: Some(schema.name),
                field: field.map(|number| schema.sent[number].name),
                ..AuditFinding::of_player(self.tick, fault, &session.player).about(net_id)
            };
            self.findings.note(finding);
        }
        passed
    }

    fn name_field(&mut self, player: &PlayerId, net_id: NetId, key: Option<FieldKey>, fault: AuditFault) {
        let schema = self.rows.schema();
        let component = key.map(|key| &schema.components[usize::from(key.component)]);
        let field = component.zip(key).map(|(component, key)| component.sent[usize::from(key.field)].name);
        let finding = AuditFinding::of_player(self.tick, fault, player).about(net_id);
        self.findings.note(AuditFinding { component: component.map(|it| it.name), field, ..finding });
    }

    fn name_view(&mut self, player: &PlayerId, found: &ViewAudit) {
        for &net_id in found.missing.iter().chain(&found.surplus).take(ENTITIES_TOLD_MAX) {
            self.name_field(player, net_id, None, AuditFault::View);
        }
        if found.late {
            self.findings.note(AuditFinding::of_player(self.tick, AuditFault::Late, player));
        }
    }
}

/// Compares every row with the components that it is of, and with what the sieve makes of them for everybody: views,
/// oracle and clients all rest on the rows, so none of them would notice. Once per entity, however many see it:
/// O(entities × sent bytes).
pub(super) fn audit_rows(world: &mut World, cells: &mut Cells, sessions: &Sessions) {
    let Some(every) = world.resource::<WorldSettings>().audit_every else { return };
    let tick = world.resource::<NodeContext>().0.tick;
    if !tick.0.is_multiple_of(every) {
        return;
    }
    world.resource_scope(|world, mut findings: Mut<AuditFindings>| {
        let rows = world.resource::<Rows>();
        let mut found: Vec<_> = cells.iter_mut().flat_map(|cell| cell.audit_rows(rows)).collect();
        found.extend(world.resource::<Globals>().audit_rows(world, rows));
        for fault in found.iter().take(AuditFindings::KEPT_MAX) {
            let sees = |session: &&Session| rows.row(fault.net_id).is_some_and(|row| session.view.holds(row));
            let players = sessions.iter().filter(sees).map(|session| session.player.clone());
            findings.note(AuditFinding {
                tick,
                fault: fault.fault,
                entity: Some(fault.net_id),
                component: Some(fault.component),
                field: fault.field,
                players: players.take(PLAYERS_NAMED_MAX).collect(),
            });
        }
        let audits = &mut world.resource_mut::<AssembleCounts>().audits;
        audits.conclusive += 1;
        audits.failures += found.len() as u64;
    });
}
