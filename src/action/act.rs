//! The `Act` set: actions and messages find the cell that owns whom they concern.

use bevy_ecs::prelude::{Mut, Resource, World};
use rustc_hash::FxHashSet;

use crate::cell::context::TickContext;
use crate::cell::message::Batch;
use crate::cell::pool::{NodeContext, with_cells};
use crate::cell::registration::Game;
use crate::ids::{ActionId, NetId, PlayerId, SlotIndex};
use crate::party::Parties;
use crate::players::{AuditRow, PlayerRequest};
use crate::protocol::messages::{ActionRefusal, ActionReply};
use crate::replication::Rows;
use crate::reward::{Claim, PlanRequest};
use crate::server::GameOf;
use crate::server::io::{OutputSoFar, SealedInput};
use crate::session::follow_parties::follow_parties;
use crate::session::{Session, Sessions};
use crate::value::desk::{Desk, Origin, Waiting};
use crate::value::stage::out_of_reach;

use super::declare::Scope;
use super::kinds::{ActionKind, NodeStage, Ran, RoutedAction};
use super::memory::ActionResult;
use super::taking::Taking;
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
        world.resource_scope(|world, input: Mut<SealedInput>| {
            world.resource_scope(|world, mut tallies: Mut<ActionTallies>| {
                let hz = world.resource::<NodeContext>().0.hz;
                let look_ups = &world.resource::<Desk>().look_ups;
                let looking_up = look_ups.len();
                let asked_about = look_ups.values().map(|look_up| look_up.player.clone()).collect();
                let mut counts = world.resource_mut::<ActCounts>();
                let mut taking = Taking {
                    game: &game,
                    input: &input,
                    hz,
                    counts: &mut counts,
                    tallies: &mut tallies,
                    routed: Vec::new(),
                    looking_up,
                    asked_about,
                    look_ups: Vec::new(),
                };
                taking.take_in(&mut sessions);
                for session in sessions.iter_mut() {
                    taking.check_actions(session);
                }
                taking.take_inputs(&mut sessions);
                let Taking { routed, look_ups, .. } = taking;
                for (look_up, claim) in look_ups {
                    let number = sessions.next_request();
                    let mut desk = world.resource_mut::<Desk>();
                    desk.counts.looked_up += 1;
                    desk.look_ups.insert(number, look_up);
                    let request = PlayerRequest::FindClaim { number, claim };
                    world.resource_mut::<OutputSoFar>().players.push(request);
                }
                routed
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
            for mut action in routed {
                let (kind, session) = (action.kind, action.session);
                if !game.actions[usize::from(kind)].runs_on_node() {
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
                            let refusal = action.not_there();
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
                let result = match result {
                    Ok(Ran::Done(reply)) => Ok(reply),
                    Ok(Ran::Asks(asked)) => match ask(world, &game, action, *asked) {
                        Ok(()) => continue,
                        Err(back) => {
                            action = back.0;
                            Err(back.1)
                        }
                    },
                    Err(refusal) => Err(refusal),
                };
                let kind = &game.actions[usize::from(kind)];
                if kind.scope() == Scope::Global {
                    let row = audit_row(&**kind, &action, &context, &result);
                    world.resource_mut::<OutputSoFar>().audit.push(row);
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

/// Puts what an action asks for onto the desk, where it waits for its turn. Handed back, with why, when it reaches further than
/// its scope, or too much of the caller waits.
fn ask(
    world: &mut World,
    game: &Game,
    action: RoutedAction,
    (claim, request): (Claim, PlanRequest),
) -> Result<(), Box<(RoutedAction, ActionRefusal)>> {
    let kind = &game.actions[usize::from(action.kind)];
    let parties = world.resource::<Parties>();
    let party = parties.of(&action.player);
    let may_reach = |player: &PlayerId| match kind.scope() {
        Scope::Own => *player == action.player,
        Scope::Group => *player == action.player || (party.is_some() && parties.of(player) == party),
        Scope::Global => true,
    };
    if let Some(account) = out_of_reach(&request, &claim, may_reach) {
        let (name, scope) = (kind.name(), kind.scope());
        tracing::error!(
            "the action {name} of scope `{scope}` asks for value of {account}: refused, a fault of the game"
        );
        return Err(Box::new((action, ActionRefusal::Unanswered)));
    }
    let began = world.resource::<Sessions>().at(action.session).map_or(0, |session| session.began);
    let waiting =
        Waiting { by: action.actor, claim, request, origin: Origin::Action(Box::new(action), began) };
    let Err((back, _)) = world.resource_mut::<Desk>().ask(waiting) else { return Ok(()) };
    match back.origin {
        Origin::Action(action, _) => Err(Box::new((*action, ActionRefusal::Busy))),
        Origin::Game(_) => unreachable!("what is handed back is what was given"),
    }
}

/// What is kept for good of a use of power over others.
pub(crate) fn audit_row(
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
