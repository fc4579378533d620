//! The `Act` set: actions and messages find the cell that owns whom they concern.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, Resource, World};
use rustc_hash::FxHashSet;

use crate::cell::context::TickContext;
use crate::cell::message::Batch;
use crate::cell::pool::{NodeContext, with_cells};
use crate::cell::registration::Game;
use crate::ids::{ActionId, NetId, SlotIndex};
use crate::limits::{ACTIONS_PER_TICK_MAX, CLIENT_QUEUE_MAX};
use crate::party::Parties;
use crate::players::AuditRow;
use crate::protocol::messages::{ActionCall, ActionRefusal, ActionReply};
use crate::replication::Rows;
use crate::server::GameOf;
use crate::server::io::{TickInput, TickOutput};
use crate::session::follow_parties::follow_parties;
use crate::session::{Session, Sessions};

use super::declare::{Coalesce, Pace, Scope};
use super::kinds::{ActionKind, DecodedAction, NodeStage, RoutedAction};
use super::memory::{ActionResult, Known};
use super::tally::ActionTallies;

/// What `Act` counted since the start.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActCounts {
    /// Actions run.
    pub run: u64,
    /// Repeats answered from memory.
    pub repeats: u64,
    /// Actions refused before they ran.
    pub refused: u64,
    /// Actions that their cell gave no answer to: faults of the engine.
    pub unanswered: u64,
    /// Messages for a session that is over.
    pub stale: u64,
    /// Messages between entities delivered.
    pub messages: u64,
    /// Messages to entities that are gone.
    pub messages_lost: u64,
}

/// Actions that are with the cells: (session, action, kind), until their answers are collected.
#[derive(Resource, Debug, Default)]
pub struct UnderWay(Vec<(u32, ActionId, u16)>);

/// Runs the set: actions are run in the order (actor, the client's order), as if one after the other. What reaches the caller's
/// own data goes to the cell that owns it *now*, and runs there in `Simulate`, cells in parallel; what reaches further runs
/// here, after all that is before it. Messages go to the owner of the addressee, in the order (sender, order of sending).
pub fn act(world: &mut World) {
    let game = world.resource::<GameOf>().0.clone();
    let mut routed = world.resource_scope(|world, mut sessions: Mut<Sessions>| {
        world.resource_scope(|world, input: Mut<TickInput>| {
            world.resource_scope(|world, mut tallies: Mut<ActionTallies>| {
                let hz = world.resource::<NodeContext>().0.hz;
                let mut counts = world.resource_mut::<ActCounts>();
                let mut taking = Taking {
                    game: &game,
                    input: &input,
                    hz,
                    counts: &mut counts,
                    tallies: &mut tallies,
                    routed: Vec::new(),
                };
                taking.take_in(&mut sessions);
                for session in sessions.iter_mut() {
                    taking.check_actions(session);
                }
                taking.take_inputs(&mut sessions);
                taking.routed
            })
        })
    });
    // Stable: one actor's actions keep the order of its client.
    routed.sort_by_key(|action| action.actor);
    with_cells(world, |world, cells| {
        world.resource_scope(|world, rows: Mut<Rows>| {
            let owner = |net_id: NetId| {
                let row = rows.row(net_id)?;
                Some(rows.owner[row.index()])
            };
            let context = world.resource::<NodeContext>().0.clone();
            let mut under_way = Vec::new();
            // Cells that have actions which have not run.
            let mut waiting: Vec<SlotIndex> = Vec::new();
            for action in routed {
                let (kind, session) = (action.kind, action.session);
                if game.actions[usize::from(kind)].scope() == Scope::Own {
                    match owner(action.on) {
                        Some(slot) => {
                            world.resource_mut::<ActCounts>().run += 1;
                            under_way.extend(action.id.map(|id| (session, id, kind)));
                            cells.at(slot).actions.push(action);
                            if waiting.last() != Some(&slot) {
                                waiting.push(slot);
                            }
                        }
                        None => {
                            let own = action.on == action.actor;
                            let refusal =
                                if own { ActionRefusal::NotInWorld } else { ActionRefusal::NotYours };
                            conclude(world, &action, Err(refusal));
                        }
                    }
                    continue;
                }
                // All that is before it has happened.
                waiting.sort_unstable();
                waiting.dedup();
                for slot in waiting.drain(..) {
                    cells.at(slot).act(&context);
                }
                world.resource_mut::<ActCounts>().run += 1;
                let result = world.resource_scope(|world, sessions: Mut<Sessions>| {
                    world.resource_scope(|world, mut parties: Mut<Parties>| {
                        let stage = &mut NodeStage {
                            world,
                            cells,
                            present: &*sessions,
                            parties: &mut parties,
                            rows: &rows,
                            tick: &context,
                        };
                        game.actions[usize::from(kind)].run_on_node(&action, stage)
                    })
                });
                let kind = &game.actions[usize::from(kind)];
                if kind.scope() == Scope::Global {
                    let row = audit_row(&**kind, &action, &context, &result);
                    world.resource_mut::<TickOutput>().audit.push(row);
                }
                conclude(world, &action, result);
            }
            let mut counts = world.resource_mut::<ActCounts>();
            for kind in &game.messages {
                let mut batch: Option<Batch> = None;
                for cell in cells.iter_mut() {
                    kind.collect(&mut cell.world, &mut batch);
                }
                let Some(batch) = batch else { continue };
                let slot_of = |net_id: NetId| owner(net_id).map(SlotIndex::index);
                let (delivered, lost) = kind.route(batch, &slot_of, &mut |slot, batch| {
                    kind.deliver(&mut cells.at(SlotIndex(slot as u32)).world, batch);
                });
                counts.messages += delivered;
                counts.messages_lost += lost;
            }
            world.resource_mut::<UnderWay>().0 = under_way;
        });
    });
    follow_parties(world);
}

/// What is kept for good of a use of power over others.
fn audit_row(
    kind: &dyn ActionKind,
    action: &RoutedAction,
    context: &TickContext,
    result: &ActionResult,
) -> AuditRow {
    let outcome = result.as_ref().map_or_else(|refusal| format!("refused: {refusal}"), |_| "done".into());
    AuditRow {
        tick: context.tick,
        now_ms: context.now_ms,
        who: action.player.to_string(),
        what: kind.name().to_owned(),
        target: String::new(),
        detail: format!("{}: {outcome}", kind.describe(&action.action)),
    }
}

/// Counts what became of an action on the node, and answers it.
fn conclude(world: &mut World, action: &RoutedAction, result: ActionResult) {
    world.resource_mut::<ActionTallies>().of(action.kind).count(&result);
    let mut sessions = world.resource_mut::<Sessions>();
    if let (Some(id), Some(session)) = (action.id, sessions.at_mut(action.session)) {
        answer(session, id, result);
    }
}

/// An action that may be done, and the entity that it names.
type Checked = (DecodedAction, Option<NetId>);

/// What takes the tick's actions in and answers what can be answered at once.
struct Taking<'a> {
    game: &'a Game,
    input: &'a TickInput,
    hz: u16,
    counts: &'a mut ActCounts,
    tallies: &'a mut ActionTallies,
    /// What is to be run.
    routed: Vec<RoutedAction>,
}

impl Taking<'_> {
    /// Puts the tick's actions into their sessions' inboxes.
    fn take_in(&mut self, sessions: &mut Sessions) {
        for action in &self.input.actions {
            let Some(session) = sessions.current_mut(action.connection, action.epoch) else {
                self.counts.stale += 1;
                continue;
            };
            if session.inbox.len() < CLIENT_QUEUE_MAX {
                session.inbox.push_back(action.call.clone());
            } else if self.is_new(session, &action.call) {
                session.replies.begin(&action.call);
                self.refuse(session, &action.call, ActionRefusal::Busy);
            }
        }
    }

    /// Answers what can be answered at once and routes the rest.
    fn check_actions(&mut self, session: &mut Session) {
        let calls: Vec<ActionCall> =
            session.inbox.drain(..session.inbox.len().min(ACTIONS_PER_TICK_MAX)).collect();
        // What is to be done: new, allowed and readable.
        let mut checked: Vec<(ActionCall, Checked)> = Vec::with_capacity(calls.len());
        for call in calls {
            if !self.is_new(session, &call) {
                continue;
            }
            session.replies.begin(&call);
            match self.check(session, &call, false) {
                Ok(action) => checked.push((call, action)),
                Err(refusal) => self.refuse(session, &call, refusal),
            }
        }
        // The newest of a kind of which only the newest is done; it alone counts towards the rate.
        let mut newest: Vec<bool> = vec![true; checked.len()];
        for (place, (call, _)) in checked.iter().enumerate() {
            let coalesces = self.limit_of(call.kind).is_some_and(|limit| limit.coalesce == Coalesce::Newest);
            newest[place] =
                !coalesces || checked[place + 1..].iter().all(|(later, _)| later.kind != call.kind);
        }
        for ((call, action), is_newest) in checked.into_iter().zip(newest) {
            if !is_newest {
                self.refuse(session, &call, ActionRefusal::Superseded);
                continue;
            }
            let taken = self.limit_of(call.kind).map_or(Ok(()), |limit| {
                session.replies.buckets.take(call.kind, &limit, self.input.tick, self.hz)
            });
            match taken {
                Ok(()) => self.routed.push(Self::routed(session, &call, action, false)),
                Err(retry_ms) => self.refuse(session, &call, ActionRefusal::RateLimited { retry_ms }),
            }
        }
    }

    /// Whether an action was never seen; a repeat gets the first answer, an id that cannot be taken an error.
    fn is_new(&mut self, session: &mut Session, call: &ActionCall) -> bool {
        let result = match session.replies.look_up(call) {
            Known::New if session.replies.is_far_ahead(call.id, self.input.now_ms) => Err(
                ActionRefusal::Malformed("its id is of a time that has not come: is the clock right?".into()),
            ),
            Known::New => return true,
            Known::Running => {
                self.count_repeat(call.kind);
                return false;
            }
            Known::Answered(result) => {
                self.count_repeat(call.kind);
                result
            }
            Known::Reused => Err(ActionRefusal::IdReused),
            Known::TooOld => Err(ActionRefusal::TooOld),
        };
        if matches!(result, Err(ActionRefusal::IdReused | ActionRefusal::TooOld)) {
            self.counts.refused += 1;
        }
        session.answers.push(ActionReply { id: call.id, as_of: 0, result });
        false
    }

    fn count_repeat(&mut self, kind: u16) {
        self.counts.repeats += 1;
        if usize::from(kind) < self.game.actions.len() {
            self.tallies.of(kind).repeated += 1;
        }
    }

    fn limit_of(&self, kind: u16) -> Option<super::declare::Limit> {
        match self.game.actions.get(usize::from(kind))?.pace() {
            Pace::Continuous => None,
            Pace::Single(limit) => Some(limit),
        }
    }

    fn refuse(&mut self, session: &mut Session, call: &ActionCall, refusal: ActionRefusal) {
        self.counts.refused += 1;
        let result = Err(refusal);
        if usize::from(call.kind) < self.game.actions.len() {
            self.tallies.of(call.kind).count(&result);
        }
        answer(session, call.id, result);
    }

    /// Whether the caller may do it at all, and what it is: nothing is counted towards its rate.
    fn check(
        &self,
        session: &Session,
        call: &ActionCall,
        is_continuous: bool,
    ) -> Result<Checked, ActionRefusal> {
        let kind = self.game.actions.get(usize::from(call.kind)).ok_or(ActionRefusal::Unknown(call.kind))?;
        if !kind.caller().admits(session.context.role()) {
            return Err(ActionRefusal::Forbidden(kind.caller().to_string()));
        }
        if let Some(why) = session.muted.as_ref().filter(|_| kind.speaks()) {
            return Err(ActionRefusal::Muted(why.clone()));
        }
        match kind.pace() {
            Pace::Single(_) if !is_continuous => {}
            Pace::Continuous if is_continuous => {}
            Pace::Single(_) => {
                return Err(ActionRefusal::Malformed(format!("{} is no continuous input", kind.name())));
            }
            Pace::Continuous => {
                return Err(ActionRefusal::Malformed(format!(
                    "{} is continuous input, which needs no id",
                    kind.name()
                )));
            }
        }
        kind.decode(&call.payload).map_err(|error| ActionRefusal::Malformed(error.to_string()))
    }

    fn routed(
        session: &Session,
        call: &ActionCall,
        (action, target): Checked,
        is_continuous: bool,
    ) -> RoutedAction {
        RoutedAction {
            actor: session.avatar,
            on: target.unwrap_or(session.avatar),
            id: (!is_continuous).then_some(call.id),
            session: session.id.index,
            player: session.player.clone(),
            role: session.context.role(),
            kind: call.kind,
            action,
        }
    }

    /// Takes the newest continuous input of each client, which comes after all its actions of the tick; what cannot be read or is
    /// not allowed is dropped.
    fn take_inputs(&mut self, sessions: &mut Sessions) {
        for newest in self.input.inputs.chunk_by(|a, b| a.connection == b.connection) {
            let Some(newest) = newest.last() else { continue };
            let Some(session) = sessions.current_mut(newest.connection, newest.epoch) else {
                self.counts.stale += 1;
                continue;
            };
            if newest.seq <= session.input_seq {
                self.counts.stale += 1;
                continue;
            }
            session.input_seq = newest.seq;
            // The newest of each kind, should a client say one twice.
            let by_kind: BTreeMap<u16, &Vec<u8>> =
                newest.inputs.iter().map(|(kind, payload)| (*kind, payload)).collect();
            for (kind, payload) in by_kind {
                let call = ActionCall { id: ActionId(0), kind, payload: payload.clone() };
                match self.check(session, &call, true) {
                    Ok(action) => self.routed.push(Self::routed(session, &call, action, true)),
                    Err(_) => self.counts.refused += 1,
                }
            }
        }
    }
}

/// Gives an action its one answer.
pub fn answer(session: &mut Session, id: ActionId, result: ActionResult) {
    session.replies.finish(id, &result);
    session.answers.push(ActionReply { id, as_of: 0, result });
}

/// Brings the answers that cells gave to their sessions. What a cell did not answer is answered here, so that
/// no client waits for ever.
pub fn collect_answers(world: &mut World) {
    let mut under_way = std::mem::take(&mut world.resource_mut::<UnderWay>().0);
    let unanswered = with_cells(world, |world, cells| {
        world.resource_scope(|world, mut tallies: Mut<ActionTallies>| {
            let mut sessions = world.resource_mut::<Sessions>();
            let mut answered = FxHashSet::default();
            for cell in cells.iter_mut() {
                for given in cell.answers.drain(..) {
                    tallies.of(given.kind).count(&given.result);
                    let Some(id) = given.id else { continue };
                    answered.insert((given.session, id));
                    if let Some(session) = sessions.at_mut(given.session) {
                        answer(session, id, given.result);
                    }
                }
            }
            under_way.retain(|&(session, id, _)| !answered.contains(&(session, id)));
            for &(session, id, kind) in &under_way {
                let result = Err(ActionRefusal::Unanswered);
                tallies.of(kind).count(&result);
                if let Some(session) = sessions.at_mut(session) {
                    tracing::error!(player = %session.player, id = format!("{:032x}", id.0), "a cell gave no answer to an action");
                    answer(session, id, result);
                }
            }
            under_way.len()
        })
    });
    world.resource_mut::<ActCounts>().unanswered += unanswered as u64;
}
