//! The sets' part: what was committed is settled, what is asked for is planned.

use std::sync::Arc;

use bevy_ecs::prelude::{Mut, World};

use crate::action::Scope;
use crate::action::act::{answer, audit_row};
use crate::action::kinds::{ActionKind, DecodedAction};
use crate::action::memory::ActionResult;
use crate::action::tally::ActionTallies;
use crate::cell::context::TickContext;
use crate::cell::pool::{NodeContext, with_cells};
use crate::ids::{ActionId, NetId, PlayerId};
use crate::players::PlayerRequest;
use crate::protocol::messages::{ActionRefusal, ActionReply};
use crate::replication::Rows;
use crate::reward::{
    Account, Claim, CommitBatch, PlanContext, PlanRefusal, PlanRequest, Submission, plan as plan_purely,
};
use crate::server::io::{OutputSoFar, SealedInput};
use crate::server::{GameOf, WorldSettings};
use crate::session::Sessions;
use crate::store::{ClaimAnswer, MutationSummary, PlanOutcome};

use super::Tables;
use super::asked::{AskedHere, Committed, Delivered, RewardOutcome, RewardOutcomes};
use super::book::Book;
use super::desk::{Desk, LookUp, Origin, UnderWay, Waiting};
use super::netting;
use super::settled::Pen;

/// The outcome of a plan, as whoever asked is told.
type Outcome = Result<Arc<MutationSummary>, PlanRefusal>;

/// `Settle`: what the store committed becomes holdings, components and answers.
pub fn settle(world: &mut World) {
    let delivered = std::mem::take(&mut world.resource_mut::<SealedInput>().delivered);
    world.resource_mut::<Delivered>().0 = delivered;
    let outcomes = std::mem::take(&mut world.resource_mut::<SealedInput>().plans);
    let mut changed: Vec<PlayerId> = Vec::new();
    let mut committed = Vec::new();
    for outcome in outcomes {
        let mut desk = world.resource_mut::<Desk>();
        let origin = desk.end(outcome.number);
        if origin.is_none() && outcome.number != PlanOutcome::OF_OPERATOR {
            tracing::error!(number = outcome.number, "the store answers a plan that nobody waits for");
            continue;
        }
        desk.counts.conflicts += u64::from(outcome.conflicts);
        match &outcome.result {
            Ok(_) if outcome.is_repeat => desk.counts.repeated += 1,
            Ok(_) => desk.counts.committed += 1,
            Err(_) => desk.counts.refused += 1,
        }
        if let Ok(summary) = &outcome.result {
            changed.append(&mut world.resource_mut::<Book>().settle(summary));
            if !outcome.is_repeat {
                committed.push(summary.clone());
            }
        }
        if let Some(origin) = origin {
            conclude(world, origin, outcome.result);
        }
    }
    world.resource_mut::<Committed>().0 = committed;
    let told = std::mem::take(&mut world.resource_mut::<Desk>().untold);
    world.resource_mut::<RewardOutcomes>().0 = told;
    changed.sort_unstable();
    changed.dedup();
    for player in &changed {
        let avatar = world.resource::<Sessions>().of_player(player).map(|session| session.avatar);
        if let Some(avatar) = avatar {
            settle_avatar(world, player, avatar);
        }
    }
    take_claims(world);
    read_anew(world);
}

/// What the store found of actions that nobody here remembered: those that were done get their first answer, the others are
/// done now.
fn take_claims(world: &mut World) {
    let answers = std::mem::take(&mut world.resource_mut::<SealedInput>().claims);
    let game = world.resource::<GameOf>().0.clone();
    // What is done now goes before everything else of its player: the last one first, so that they keep their order.
    for ClaimAnswer { number, found } in answers.into_iter().rev() {
        let Some(LookUp { player, began, call }) = world.resource_mut::<Desk>().look_ups.remove(&number)
        else {
            tracing::error!(number, "the store answers about a claim that nobody asked for");
            continue;
        };
        let kind = &game.actions[usize::from(call.kind)];
        let first = found.and_then(|outcome| {
            let (action, _) = kind.decode(&call.payload).ok()?;
            Some(answer_of(&**kind, &action, &outcome.result))
        });
        if first.is_some() {
            world.resource_mut::<ActionTallies>().of(call.kind).repeated += 1;
        }
        world.resource_scope(|_, mut sessions: Mut<Sessions>| {
            match first {
                Some(result) => tell(&mut sessions, &player, began, call.id, result),
                None => match sessions.of_player_mut(&player) {
                    // It is done now, for the session that asked or for one that asked again.
                    Some(session) if session.began == began || session.replies.is_awaited(call.id) => {
                        session.unclaimed.insert(call.id);
                        session.inbox.push_front(call);
                    }
                    Some(session) => session.replies.give_up(call.id),
                    None => sessions.departed.give_up(&player, call.id),
                },
            }
        });
    }
}

/// Answers an action for the session that began with this epoch.
fn tell(sessions: &mut Sessions, player: &PlayerId, began: u32, id: ActionId, result: ActionResult) {
    match sessions.of_player_mut(player) {
        // The very session that asked: over whatever connection it goes on.
        Some(session) if session.began == began => answer(session, id, result),
        // Another one, over which it was asked for again or not: a repeat gets the answer in any case.
        Some(session) => {
            if session.replies.finish(id, &result) {
                session.answers.push(ActionReply { id, as_of: 0, result });
            }
        }
        None => sessions.departed.finish(player, id, &result),
    }
}

/// What an action that changes value is answered with.
fn answer_of(kind: &dyn ActionKind, action: &DecodedAction, outcome: &Outcome) -> ActionResult {
    match outcome {
        Err(PlanRefusal::KeyReused) => Err(ActionRefusal::IdReused),
        Err(PlanRefusal::TooOld) => Err(ActionRefusal::TooOld),
        outcome => kind.answer(action, outcome.as_ref().map(Arc::as_ref)),
    }
}

/// Asks for the holdings of those of whom something was written that nobody here heard of.
fn read_anew(world: &mut World) {
    let stale = world.resource_mut::<Book>().take_stale();
    for player in stale {
        let number = world.resource_mut::<Sessions>().next_request();
        world.resource_mut::<Desk>().counts.reread += 1;
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Load { number, player });
    }
}

/// Brings what an avatar shows of its player's holdings up to date.
pub(crate) fn settle_avatar(world: &mut World, player: &PlayerId, avatar: NetId) {
    let Some(holdings) = world.resource::<Book>().get(player).cloned() else { return };
    let game = world.resource::<GameOf>().0.clone();
    let pen = Pen::new();
    with_cells(world, |world, cells| {
        let rows = world.resource::<Rows>();
        let Some(row) = rows.row(avatar) else { return };
        let cell = cells.at(rows.owner[row.index()]);
        let Some(&entity) = cell.by_net_id.get(&avatar) else { return };
        let mut entity = cell.world.entity_mut(entity);
        for settles in game.settlers() {
            settles(&mut entity, &holdings, &pen);
        }
    });
}

/// `Plan`: what was asked for and can be planned now goes to the store.
pub fn plan(world: &mut World) {
    netting::ask(world);
    take_asked(world);
    let keeps_nothing = !world.resource::<WorldSettings>().keeps_players;
    let why_not = match &world.resource::<SealedInput>().value_refused {
        None => keeps_nothing.then(|| "nothing is kept in this world".to_owned()),
        why_not => why_not.clone(),
    };
    if let Some(why) = why_not {
        for waiting in world.resource_mut::<Desk>().take_all() {
            refuse(world, waiting, PlanRefusal::Degraded { why: why.clone() });
        }
        return;
    }
    let mut plans = Vec::new();
    // A refusal frees its player for what waits behind it.
    loop {
        let ready = world.resource_mut::<Desk>().take_ready();
        if ready.is_empty() {
            break;
        }
        for waiting in ready {
            plans.extend(plan_one(world, waiting));
        }
    }
    if !plans.is_empty() {
        let NodeContext(TickContext { tick, now_ms, .. }) = *world.resource::<NodeContext>();
        let batch = CommitBatch { tick, now_ms, plans };
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Commit(batch));
    }
}

/// Takes what systems asked for in this tick, and puts everything of this tick into the order (on whose behalf, order of
/// asking).
fn take_asked(world: &mut World) {
    let mut asked: Vec<(NetId, Claim, PlanRequest)> =
        std::mem::take(&mut world.resource_mut::<AskedHere>().0);
    with_cells(world, |_, cells| {
        for cell in cells.iter_mut() {
            if let Some(mut here) = cell.world.get_resource_mut::<AskedHere>() {
                asked.append(&mut here.0);
            }
        }
    });
    for (by, claim, request) in asked {
        let origin = Origin::Game(claim.clone());
        let waiting = Waiting { by, claim, request, origin };
        let taken = world.resource_mut::<Desk>().ask(waiting);
        if let Err((waiting, most)) = taken {
            refuse(world, *waiting, PlanRefusal::Busy { most: most as u64 });
        }
    }
    world.resource_mut::<Desk>().order_new();
}

pub(super) fn plan_one(world: &mut World, waiting: Waiting) -> Option<Submission> {
    let (tables, secret) = (world.resource::<Tables>().0.clone(), world.resource::<WorldSettings>().secret);
    let now_ms = world.resource::<NodeContext>().0.now_ms;
    let mut context = PlanContext::new(tables, now_ms, &waiting.claim, secret);
    let (book, players) = (world.resource::<Book>(), waiting.request.players());
    for player in &players {
        if let Some(holdings) = book.get(player) {
            context = context.with(player, holdings.clone());
        }
    }
    match plan_purely(&context, &waiting.claim, &waiting.request) {
        Ok(plan) => {
            let plan = Arc::new(plan);
            let under_way = UnderWay { players, origin: waiting.origin };
            let number = world.resource_mut::<Desk>().begin(under_way);
            Some(Submission { number, plan })
        }
        Err(refusal) => {
            refuse(world, waiting, refusal);
            None
        }
    }
}

/// What systems have asked for and what still waits, of these players or of everybody: planned now, one upon the other, because
/// later nobody is there to plan it for. The store carries it out against what there is by then.
pub(crate) fn plan_last(world: &mut World, of: Option<&PlayerId>) {
    if !world.resource::<WorldSettings>().keeps_players {
        return;
    }
    let waiting = world.resource_mut::<Desk>().take_games(of);
    let plans: Vec<Submission> = waiting.into_iter().filter_map(|waiting| plan_one(world, waiting)).collect();
    if !plans.is_empty() {
        let context = &world.resource::<NodeContext>().0;
        let batch = CommitBatch { tick: context.tick, now_ms: context.now_ms, plans };
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Commit(batch));
    }
}

/// The world ends: what systems asked for is planned before their players leave.
pub(crate) fn close(world: &mut World) {
    plan_last(world, None);
}

fn refuse(world: &mut World, waiting: Waiting, refusal: PlanRefusal) {
    world.resource_mut::<Desk>().counts.refused += 1;
    conclude(world, waiting.origin, Err(refusal));
}

/// Tells whoever asked what came of it.
fn conclude(world: &mut World, origin: Origin, outcome: Outcome) {
    match origin {
        Origin::Game(claim) => {
            world.resource_mut::<Desk>().untold.push(RewardOutcome { claim, result: outcome });
        }
        Origin::Action(action, began) => {
            let kind = action.kind;
            let game = world.resource::<GameOf>().0.clone();
            let result = answer_of(&*game.actions[usize::from(kind)], &action.action, &outcome);
            world.resource_mut::<ActionTallies>().of(kind).count(&result);
            if game.actions[usize::from(kind)].scope() == Scope::Global {
                let context = world.resource::<NodeContext>().0.clone();
                let row = audit_row(&*game.actions[usize::from(kind)], &action, &context, &result);
                world.resource_mut::<OutputSoFar>().audit.push(row);
            }
            let Some(id) = action.id else { return };
            tell(&mut world.resource_mut::<Sessions>(), &action.player, began, id, result);
        }
    }
}

/// The accounts of players whose plan rests on more than their scope lets them reach; `None` when all is well.
pub(crate) fn out_of_reach(
    request: &PlanRequest,
    claim: &Claim,
    may_reach: impl Fn(&PlayerId) -> bool,
) -> Option<Account> {
    if request.claimant != claim.account {
        return Some(request.claimant.clone());
    }
    request.players().into_iter().find(|player| !may_reach(player)).map(|player| Account::from(&player))
}
