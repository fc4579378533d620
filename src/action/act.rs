//! The `Act` set: actions and messages find the cell that owns whom they concern.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, Resource, World};
use rustc_hash::FxHashSet;

use crate::cell::message::Batch;
use crate::cell::pool::with_cells;
use crate::cell::registration::Game;
use crate::ids::{ActionId, NetId, SlotIndex};
use crate::limits::{ACTIONS_PER_TICK_MAX, CLIENT_QUEUE_MAX};
use crate::protocol::messages::{ActionCall, ActionRefusal, ActionReply};
use crate::replication::Rows;
use crate::server::GameOf;
use crate::server::io::TickInput;
use crate::session::{Session, Sessions};

use super::kinds::RoutedAction;
use super::memory::Known;

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

/// Actions that are with the cells: (session, action), until their answers are collected.
#[derive(Resource, Debug, Default)]
pub struct UnderWay(Vec<(u32, ActionId)>);

/// Runs the set. Actions go to the cell that owns the actor *now*, in the order (actor, the client's order);
/// messages go to the owner of the addressee, in the order (sender, order of sending).
pub fn act(world: &mut World) {
    let game = world.resource::<GameOf>().0.clone();
    let mut routed = world.resource_scope(|world, mut sessions: Mut<Sessions>| {
        world.resource_scope(|world, input: Mut<TickInput>| {
            let mut counts = world.resource_mut::<ActCounts>();
            take_in(&mut sessions, &input, &mut counts);
            let mut routed = Vec::new();
            for session in sessions.iter_mut() {
                check_actions(session, &game, &mut counts, &mut routed);
            }
            take_inputs(&mut sessions, &input, &game, &mut counts, &mut routed);
            routed
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
            let mut counts = world.resource_mut::<ActCounts>();
            let mut unplaced = Vec::new();
            let mut under_way = Vec::new();
            for action in routed {
                match owner(action.actor) {
                    Some(slot) => {
                        counts.run += 1;
                        under_way.extend(action.id.map(|id| (action.session, id)));
                        cells.at(slot).actions.push(action);
                    }
                    None => unplaced.push(action),
                }
            }
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
            let mut sessions = world.resource_mut::<Sessions>();
            for action in unplaced {
                if let (Some(id), Some(session)) = (action.id, sessions.at_mut(action.session)) {
                    answer(session, id, Err(ActionRefusal::NotInWorld));
                }
            }
        });
    });
}

/// Puts the tick's actions into their sessions' inboxes.
fn take_in(sessions: &mut Sessions, input: &TickInput, counts: &mut ActCounts) {
    for action in &input.actions {
        let Some(session) = sessions.current_mut(action.connection, action.epoch) else {
            counts.stale += 1;
            continue;
        };
        if session.inbox.len() < CLIENT_QUEUE_MAX {
            session.inbox.push_back(action.call.clone());
        } else {
            counts.refused += 1;
            // The id stays unused: the client may try again later.
            let reply = ActionReply { id: action.call.id, as_of: 0, result: Err(ActionRefusal::Busy) };
            session.answers.push(reply);
        }
    }
}

/// Answers what can be answered at once and routes the rest.
fn check_actions(session: &mut Session, game: &Game, counts: &mut ActCounts, routed: &mut Vec<RoutedAction>) {
    for _ in 0..ACTIONS_PER_TICK_MAX {
        let Some(call) = session.inbox.pop_front() else { return };
        match session.replies.look_up(&call) {
            Known::New => {}
            Known::Running => {
                counts.repeats += 1;
                continue;
            }
            Known::Answered(result) => {
                counts.repeats += 1;
                session.answers.push(ActionReply { id: call.id, as_of: 0, result });
                continue;
            }
            Known::Reused => {
                counts.refused += 1;
                let reply = ActionReply { id: call.id, as_of: 0, result: Err(ActionRefusal::IdReused) };
                session.answers.push(reply);
                continue;
            }
        }
        session.replies.begin(&call);
        match route(session, game, &call) {
            Ok(action) => routed.push(action),
            Err(refusal) => {
                counts.refused += 1;
                answer(session, call.id, Err(refusal));
            }
        }
    }
}

fn route(session: &Session, game: &Game, call: &ActionCall) -> Result<RoutedAction, ActionRefusal> {
    let kind = game.actions.get(usize::from(call.kind)).ok_or(ActionRefusal::Unknown(call.kind))?;
    if !kind.caller().admits(session.context.role()) {
        return Err(ActionRefusal::Forbidden(format!("{:?}", kind.caller()).to_lowercase()));
    }
    let action = kind.decode(&call.payload).map_err(|error| ActionRefusal::Malformed(error.to_string()))?;
    Ok(RoutedAction {
        actor: session.avatar,
        id: Some(call.id),
        session: session.id.index,
        player: session.player.clone(),
        role: session.context.role(),
        kind: call.kind,
        action,
    })
}

/// Takes the newest continuous input of each client; what cannot be read or is not allowed is dropped.
fn take_inputs(
    sessions: &mut Sessions,
    input: &TickInput,
    game: &Game,
    counts: &mut ActCounts,
    routed: &mut Vec<RoutedAction>,
) {
    for newest in input.inputs.chunk_by(|a, b| a.connection == b.connection) {
        let Some(newest) = newest.last() else { continue };
        let Some(session) = sessions.current_mut(newest.connection, newest.epoch) else {
            counts.stale += 1;
            continue;
        };
        if newest.seq <= session.input_seq {
            counts.stale += 1;
            continue;
        }
        session.input_seq = newest.seq;
        // The newest of each kind, should a client say one twice.
        let by_kind: BTreeMap<u16, &Vec<u8>> =
            newest.inputs.iter().map(|(kind, payload)| (*kind, payload)).collect();
        for (kind, payload) in by_kind {
            let call = ActionCall { id: ActionId(0), kind, payload: payload.clone() };
            let continuous = game.actions.get(usize::from(kind)).is_some_and(|kind| kind.latest_wins());
            match route(session, game, &call) {
                Ok(action) if continuous => routed.push(RoutedAction { id: None, ..action }),
                _ => counts.refused += 1,
            }
        }
    }
}

/// Gives an action its one answer.
pub fn answer(session: &mut Session, id: ActionId, result: super::memory::ActionResult) {
    session.replies.finish(id, &result);
    session.answers.push(ActionReply { id, as_of: 0, result });
}

/// Brings the answers that cells gave to their sessions. What a cell did not answer is answered here, so that
/// no client waits for ever.
pub fn collect_answers(world: &mut World) {
    let mut under_way = std::mem::take(&mut world.resource_mut::<UnderWay>().0);
    let unanswered = with_cells(world, |world, cells| {
        let mut sessions = world.resource_mut::<Sessions>();
        let mut answered = FxHashSet::default();
        for cell in cells.iter_mut() {
            for given in cell.answers.drain(..) {
                answered.insert((given.session, given.id));
                if let Some(session) = sessions.at_mut(given.session) {
                    answer(session, given.id, given.result);
                }
            }
        }
        under_way.retain(|action| !answered.contains(action));
        for &(session, id) in &under_way {
            if let Some(session) = sessions.at_mut(session) {
                tracing::error!(player = %session.player, id = format!("{:032x}", id.0), "a cell gave no answer to an action");
                answer(session, id, Err(ActionRefusal::Unanswered));
            }
        }
        under_way.len()
    });
    world.resource_mut::<ActCounts>().unanswered += unanswered as u64;
}
