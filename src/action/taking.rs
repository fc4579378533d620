//! What clients sent, taken into the tick: each action is new, a repeat, or not to be had, and is answered at once or routed.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::registration::Game;
use crate::ids::{ActionId, NetId, PlayerId};
use crate::limits::{ACTIONS_PER_TICK_MAX, CLIENT_QUEUE_MAX};
use crate::protocol::messages::{ActionCall, ActionRefusal, ActionReply};
use crate::reward::Claim;
use crate::server::io::TickInput;
use crate::session::{Session, Sessions};
use crate::value::desk::LookUp;

use super::act::{ActCounts, answer};
use super::declare::{Coalesce, Durability, Limit, Pace};
use super::kinds::{DecodedAction, RoutedAction};
use super::memory::Known;
use super::tally::ActionTallies;

/// Actions that the store may be asked about at a time: a store that hangs is not asked without end.
const LOOK_UPS_MAX: usize = 4_096;

/// An action that may be done, and the entity that it names.
type Checked = (DecodedAction, Option<NetId>);

/// What takes the tick's actions in and answers what can be answered at once.
pub(super) struct Taking<'a> {
    pub(super) game: &'a Game,
    pub(super) input: &'a TickInput,
    pub(super) hz: u16,
    pub(super) counts: &'a mut ActCounts,
    pub(super) tallies: &'a mut ActionTallies,
    /// What is to be run.
    pub(super) routed: Vec<RoutedAction>,
    /// How many actions the store is being asked about.
    pub(super) looking_up: usize,
    /// Players about whose actions it is being asked.
    pub(super) asked_about: BTreeSet<PlayerId>,
    /// What the store has to be asked about.
    pub(super) look_ups: Vec<(LookUp, Claim)>,
}

impl Taking<'_> {
    /// Puts the tick's actions into their sessions' inboxes.
    pub(super) fn take_in(&mut self, sessions: &mut Sessions) {
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
    pub(super) fn check_actions(&mut self, session: &mut Session) {
        let calls: Vec<ActionCall> =
            session.inbox.drain(..session.inbox.len().min(ACTIONS_PER_TICK_MAX)).collect();
        // What is to be done: new, allowed and readable.
        let mut checked: Vec<(ActionCall, Checked, bool)> = Vec::with_capacity(calls.len());
        let asked_before = self.look_ups.len();
        let is_asked_about = self.asked_about.contains(&session.player);
        let mut held = Vec::new();
        for call in calls {
            // What comes behind an action of which it is not known yet whether it was done waits for that: the player's order.
            let waits = !held.is_empty()
                || (is_asked_about || self.look_ups.len() > asked_before) && self.changes_value(call.kind);
            if waits
                && !session.unclaimed.contains(&call.id)
                && matches!(session.replies.look_up(&call), Known::New)
            {
                held.push(call);
                continue;
            }
            // Of what the store was asked about all was noted and counted then.
            let is_counted = session.unclaimed.remove(&call.id);
            if !is_counted {
                if !self.is_new(session, &call) {
                    continue;
                }
                session.replies.begin(&call);
            }
            match self.check(session, &call, false) {
                Ok(action) => checked.push((call, action, is_counted)),
                Err(refusal) => self.refuse(session, &call, refusal),
            }
        }
        held.into_iter().rev().for_each(|call| session.inbox.push_front(call));
        // The newest of a kind of which only the newest is done; it alone counts towards the rate.
        let mut newest: Vec<bool> = vec![true; checked.len()];
        for (place, (call, ..)) in checked.iter().enumerate() {
            let coalesces = self.limit_of(call.kind).is_some_and(|limit| limit.coalesce == Coalesce::Newest);
            newest[place] =
                !coalesces || checked[place + 1..].iter().all(|(later, ..)| later.kind != call.kind);
        }
        for ((call, action, is_counted), is_newest) in checked.into_iter().zip(newest) {
            if !is_newest {
                self.refuse(session, &call, ActionRefusal::Superseded);
                continue;
            }
            let taken = self.limit_of(call.kind).filter(|_| !is_counted).map_or(Ok(()), |limit| {
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
                session.replies.wait_for(call.id);
                return false;
            }
            Known::Answered(result) => {
                self.count_repeat(call.kind);
                result
            }
            Known::Reused => Err(ActionRefusal::IdReused),
            Known::TooOld if self.changes_value(call.kind) => {
                self.look_up(session, call);
                return false;
            }
            Known::TooOld => Err(ActionRefusal::TooOld),
        };
        if matches!(result, Err(ActionRefusal::IdReused | ActionRefusal::TooOld)) {
            self.counts.refused += 1;
        }
        session.answers.push(ActionReply { id: call.id, as_of: 0, result });
        false
    }

    fn changes_value(&self, kind: u16) -> bool {
        self.game
            .actions
            .get(usize::from(kind))
            .is_some_and(|kind| kind.durability() == Durability::Immediate)
    }

    /// What became of an action that changes value the store knows, also of one that nobody here remembers. Asking counts as
    /// calling.
    fn look_up(&mut self, session: &mut Session, call: &ActionCall) {
        session.replies.begin(call);
        if self.looking_up + self.look_ups.len() >= LOOK_UPS_MAX {
            return self.refuse(session, call, ActionRefusal::Busy);
        }
        let taken = self.check(session, call, false).and_then(|(action, _)| {
            let limit = self.limit_of(call.kind);
            let taken = limit.map_or(Ok(()), |limit| {
                session.replies.buckets.take(call.kind, &limit, self.input.tick, self.hz)
            });
            taken.map(|()| action).map_err(|retry_ms| ActionRefusal::RateLimited { retry_ms })
        });
        match taken {
            Ok(action) => {
                let claim =
                    self.game.actions[usize::from(call.kind)].claim(&session.player, call.id, &action);
                let (player, began, call) = (session.player.clone(), session.began, call.clone());
                self.look_ups.push((LookUp { player, began, call }, claim));
            }
            Err(refusal) => self.refuse(session, call, refusal),
        }
    }

    fn count_repeat(&mut self, kind: u16) {
        self.counts.repeats += 1;
        if usize::from(kind) < self.game.actions.len() {
            self.tallies.of(kind).repeated += 1;
        }
    }

    fn limit_of(&self, kind: u16) -> Option<Limit> {
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
    pub(super) fn take_inputs(&mut self, sessions: &mut Sessions) {
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
