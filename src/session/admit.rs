//! The `Admit` set: who comes in and who goes.

use bevy_ecs::prelude::{Mut, World};

use crate::cell::partition::LifeEvents;
use crate::cell::pool::{NodeContext, with_cells};
use crate::cell::requests::{Requests, ViewerChange};
use crate::ids::{ActionId, ConnectionId, Row, TickNumber};
use crate::limits::{JOINS_PER_TICK_MAX, PROFILE_WAIT_S};
use crate::net::ToNet;
use crate::players::{Found, PlayerRequest, Profile, ProfileAnswer, SanctionKind};
use crate::protocol::messages::{Health, Refusal, ServerControl, Welcome};
use crate::replication::Rows;
use crate::server::WorldSettings;
use crate::server::io::{Join, OutputSoFar, SealedInput};
use crate::value::Book;
use crate::value::stage::settle_avatar;

use super::arrival::Arrival;
use super::avatar::{keep_absent, make_avatar};
use super::ends::{disconnected, drain, end_arrivals, end_graces, say, take_out};
use super::moderate::{Sanctions, banned, moderate};
use super::registry::SessionProfile;
use super::rows::KeptRows;
use super::state::{Event, State};
use super::{AvatarRequest, Sessions};

/// Ticks for which a player may wait for its profile before it is told that it waits.
const LOADING_UNTOLD_TICKS: u64 = 5;

/// Runs the set: what operators order first, then who leaves, so that their places are free, then who comes back, then new
/// ones in the order in which they said hello, at most [`JOINS_PER_TICK_MAX`] a tick. Who has to wait is told how many are
/// before.
pub fn admit(world: &mut World) {
    world.resource_scope(|world, input: Mut<SealedInput>| {
        world.resource_scope(|world, mut sessions: Mut<Sessions>| {
            let sessions = &mut *sessions;
            let kept_s = world.resource::<WorldSettings>().replies_kept_s;
            sessions.departed.begin_tick(&world.resource::<NodeContext>().0, kept_s);
            // Before anybody asks for a profile: what is asked of the store is done in order.
            keep_absent(world);
            moderate(world, sessions, &input.orders);
            for &connection in &input.leaves {
                disconnected(world, sessions, connection, Event::Bye);
            }
            for &connection in &input.losses {
                disconnected(world, sessions, connection, Event::ConnectionLost);
            }
            if input.draining {
                for join in &input.joins {
                    sessions.waiting.push_back(Arrival::new(join.clone(), input.tick));
                }
                tell_health(world, sessions, &Health::Draining);
                drain(world, sessions);
                return;
            }
            end_graces(world, sessions);
            tell_health(world, sessions, &input.health);
            for answer in &input.profiles {
                take_profile(world, sessions, answer);
            }
            // Who came and went between two ticks was never here: nobody would ever take the avatar away.
            let is_gone = |join: &&Join| {
                [&input.leaves, &input.losses].iter().any(|gone| gone.binary_search(&join.connection).is_ok())
            };
            for join in input.joins.iter().filter(|join| !is_gone(join)) {
                greet(world, sessions, join);
            }
            end_waits(world, sessions);
            go_on(world, sessions);
            tell_who_waits(world, sessions);
        });
    });
}

/// Tells everybody how the world does, when that has changed.
fn tell_health(world: &mut World, sessions: &mut Sessions, health: &Health) {
    if sessions.health == *health {
        return;
    }
    sessions.health = health.clone();
    for session in sessions.iter().filter(|session| !session.is_lingering()) {
        let message = ServerControl::Health(health.clone());
        say(world, ToNet::Control { connection: session.connection, message });
    }
}

/// Takes what the store found of somebody who waits for it.
fn take_profile(world: &mut World, sessions: &mut Sessions, answer: &ProfileAnswer) {
    // Of who is in the world already it was read anew.
    if let Some(session) = sessions.of_player(&answer.player)
        && !matches!(answer.found, Found::NotNow(_))
    {
        world.resource_mut::<Book>().open(&answer.player, answer.holdings.clone());
        settle_avatar(world, &answer.player, session.avatar);
    }
    let Sessions { waiting, counts, .. } = sessions;
    // Of who has gone meanwhile nobody waits for it.
    let Some(arrival) = waiting.iter_mut().find(|arrival| arrival.asked == Some(answer.number)) else {
        return;
    };
    debug_assert_eq!(arrival.join.player, answer.player);
    arrival.asked = None;
    let profile = match &answer.found {
        Found::Nobody => Profile::default(),
        Found::Profile(profile) => profile.clone(),
        Found::Unreadable(why) => {
            tracing::error!(player = %answer.player, "the profile of a player cannot be read: {why}");
            arrival.unreadable = Some(why.clone());
            return;
        }
        Found::NotNow(why) => {
            let context = &world.resource::<NodeContext>().0;
            arrival.ask_again = TickNumber(context.tick.0 + u64::from(context.hz));
            arrival.trouble = Some(why.clone());
            return;
        }
    };
    if arrival.on(Event::Loaded, &mut counts.illegal) {
        arrival.profile = Some(profile);
        arrival.rows.clone_from(&answer.rows);
        arrival.holdings = answer.holdings.clone();
    }
}

/// Somebody said hello: who resumes goes on at once, who may not come in is told, and everybody else waits for its turn.
fn greet(world: &mut World, sessions: &mut Sessions, join: &Join) {
    if let Some(sanction) = world.resource::<Sanctions>().get(&join.player, SanctionKind::Ban) {
        let refusal = banned(sanction);
        sessions.counts.banned += 1;
        return say(world, ToNet::Refuse { connection: join.connection, refusal });
    }
    let player = &join.player;
    // A device that was taken over while it was away comes back by itself: its player is at another one now.
    let is_replaced = sessions.of_player(player).is_some_and(|session| session.has_replaced(join));
    // The same of one that waits to be let in.
    let is_newer = |arrival: &Arrival| {
        let Join { player: whose, device, .. } = &arrival.join;
        whose == player && *device != join.device && arrival.join.age() > join.age()
    };
    if is_replaced || sessions.waiting.iter().any(is_newer) {
        sessions.counts.not_resumable += 1;
        return say(world, ToNet::Refuse { connection: join.connection, refusal: Refusal::TakenOver });
    }
    let waited = end_arrivals(world, sessions, Event::TakenOver, Some(&Refusal::TakenOver), |whose, _| {
        whose == player
    });
    sessions.counts.taken_over += waited as u64;
    if !resume(world, sessions, join) {
        let tick = world.resource::<NodeContext>().0.tick;
        sessions.waiting.push_back(Arrival::new(join.clone(), tick));
    }
}

/// Goes on with the session that a client still holds all of, over its new connection; `false` when that cannot be.
fn resume(world: &mut World, sessions: &mut Sessions, join: &Join) -> bool {
    let Some(wanted) = join.resume else { return false };
    let place = sessions.place_of_player(&join.player);
    let Some((session, counts)) = place.and_then(|place| sessions.at_with_counts(place)) else {
        sessions.counts.not_resumable += 1;
        return false;
    };
    if !session.can_resume(wanted) {
        counts.not_resumable += 1;
        return false;
    }
    let (was, old, place) = (session.state(), session.connection, session.id.index);
    if !session.on(Event::Resumed, &mut counts.illegal) {
        return false;
    }
    counts.resumed += 1;
    if was == State::Active {
        // It was not missed yet; if it is still there, it is not this client's any more.
        say(world, ToNet::Refuse { connection: old, refusal: Refusal::TakenOver });
    }
    let Some(session) = sessions.reconnect(place, join.connection) else { return false };
    session.lasting.resume(wanted.heard);
    if session.token_role != join.role {
        // Another role was given meanwhile. Otherwise what the game made of it goes on, as all of the session does.
        session.token_role = join.role;
        session.context.set_role(join.role);
    }
    tracing::debug!(player = %session.player, session = %session.id, "a session goes on over another connection");
    welcome(world, sessions, place, true);
    true
}

/// Refuses those whose profile cannot be read, or has not come in time.
fn end_waits(world: &mut World, sessions: &mut Sessions) {
    let context = &world.resource::<NodeContext>().0;
    let (tick, hz) = (context.tick, u64::from(context.hz));
    let Sessions { waiting, counts, .. } = sessions;
    let mut refused = Vec::new();
    waiting.retain_mut(|arrival| {
        let is_late = arrival.state() != State::Queued && tick.0 >= arrival.since.0 + PROFILE_WAIT_S * hz;
        let (event, why) = match (arrival.unreadable.take(), is_late) {
            (Some(why), _) => (Event::Unreadable, why),
            (None, true) => {
                let trouble = arrival.trouble.take().unwrap_or_else(|| "the store does not answer".into());
                (Event::TimedOut, trouble)
            }
            (None, false) => return true,
        };
        if !arrival.on(event, &mut counts.illegal) {
            return true;
        }
        counts.profiles_refused += 1;
        refused.push((arrival.join.connection, Refusal::Profile(short(why))));
        false
    });
    for (connection, refusal) in refused {
        say(world, ToNet::Refuse { connection, refusal });
    }
}

/// What a player is told of why the store fails: enough to tell an operator.
fn short(mut why: String) -> String {
    const BYTES_MAX: usize = 300;
    let cut = why.floor_char_boundary(BYTES_MAX);
    why.truncate(cut);
    why
}

/// Every arrival goes as far as it can: asks for its profile, or comes in.
fn go_on(world: &mut World, sessions: &mut Sessions) {
    let tick = world.resource::<NodeContext>().0.tick;
    let settings = world.resource::<WorldSettings>();
    let (keeps_players, players_max) = (settings.keeps_players, settings.players_max as usize);
    let mut admitted = 0;
    for _ in 0..sessions.waiting.len() {
        let Some(mut arrival) = sessions.waiting.pop_front() else { return };
        let is_here = sessions.of_player(&arrival.join.player).is_some();
        let is_queued = arrival.state() == State::Queued;
        let can_come_in = is_here || !keeps_players || arrival.profile.is_some();
        if can_come_in && admitted < JOINS_PER_TICK_MAX {
            admitted += 1;
            // Of who is in the world, or where nothing is kept of anybody, there is nothing to wait for.
            if is_queued || arrival.on(Event::Loaded, &mut sessions.counts.illegal) {
                let_in(world, sessions, arrival);
            }
            continue;
        }
        if !can_come_in && sessions.len() >= players_max {
            let refusal = Refusal::Full { players: players_max as u32 };
            turn_away(world, sessions, arrival, Event::TurnedAway, refusal);
            continue;
        }
        if !can_come_in && arrival.asked.is_none() && tick >= arrival.ask_again {
            ask(world, sessions, &mut arrival);
        }
        sessions.waiting.push_back(arrival);
    }
}

fn ask(world: &mut World, sessions: &mut Sessions, arrival: &mut Arrival) {
    if !arrival.on(Event::Asked, &mut sessions.counts.illegal) {
        return;
    }
    let (number, player) = (sessions.next_request(), arrival.join.player.clone());
    arrival.asked = Some(number);
    world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Load { number, player });
}

/// Told when they begin to wait, but not of the few ticks that a profile takes.
fn tell_who_waits(world: &mut World, sessions: &mut Sessions) {
    let tick = world.resource::<NodeContext>().0.tick;
    for (ahead, arrival) in sessions.waiting.iter_mut().enumerate() {
        let waits_for_profile = arrival.state() == State::Loading;
        if arrival.is_told || (waits_for_profile && tick.0 < arrival.since.0 + LOADING_UNTOLD_TICKS) {
            continue;
        }
        arrival.is_told = true;
        let message = ServerControl::Queued { ahead: ahead as u32 };
        say(world, ToNet::Control { connection: arrival.join.connection, message });
    }
}

/// Lets somebody in whose turn it is. The same player from elsewhere: the newer connection wins, and the avatar stays
/// where it is.
fn let_in(world: &mut World, sessions: &mut Sessions, mut arrival: Arrival) {
    let place = sessions.place_of_player(&arrival.join.player);
    let before = place.and_then(|place| {
        sessions.counts.taken_over += 1;
        take_out(world, sessions, place, Event::TakenOver, Some(Refusal::TakenOver))
    });
    let settings = world.resource::<WorldSettings>().clone();
    let mut kept = KeptRows::default();
    let alive = before.as_ref().and_then(|old| Some((old.avatar, world.resource::<Rows>().row(old.avatar)?)));
    if before.is_none() && sessions.len() >= settings.players_max as usize {
        return turn_away(
            world,
            sessions,
            arrival,
            Event::TurnedAway,
            Refusal::Full { players: settings.players_max },
        );
    }
    let now_ms = world.resource::<NodeContext>().0.now_ms;
    let stored = arrival.profile.take().unwrap_or_default();
    let profile = before.as_ref().map(|old| old.profile).unwrap_or_else(|| SessionProfile {
        version: stored.version,
        first_seen_ms: if stored.version == 0 { now_ms } else { stored.first_seen_ms },
    });
    let avatar = match alive {
        Some(avatar) => Some(avatar),
        None => {
            let player = &arrival.join.player;
            let request = AvatarRequest {
                player: player.clone(),
                role: arrival.join.role,
                tick: world.resource::<NodeContext>().0.tick,
                seed: settings.seed,
                world: settings.area,
            };
            match make_avatar(world, &request, stored.avatar.as_deref(), &arrival.rows) {
                Ok(made) => made.and_then(|(net_id, rows)| {
                    kept = rows;
                    Some((net_id, world.resource::<Rows>().row(net_id)?))
                }),
                Err(why) => {
                    tracing::error!(%player, "the avatar of a player cannot be read: {why}");
                    sessions.counts.profiles_refused += 1;
                    let refusal = Refusal::Profile(short(why));
                    return turn_away(world, sessions, arrival, Event::Unreadable, refusal);
                }
            }
        }
    };
    let Some((avatar, row)) = avatar else {
        let player = &arrival.join.player;
        tracing::error!(%player, "the game made no avatar: the player cannot join");
        let refusal = Refusal::Protocol("this world has no place for players".into());
        return turn_away(world, sessions, arrival, Event::TurnedAway, refusal);
    };
    if !arrival.on(Event::Admitted, &mut sessions.counts.illegal) {
        return;
    }
    let role = arrival.join.role;
    let holdings = std::mem::take(&mut arrival.holdings);
    world.resource_mut::<Book>().open(&arrival.join.player, holdings);
    let mute = world.resource::<Sanctions>().get(&arrival.join.player, SanctionKind::Mute);
    let session = sessions.open(arrival, avatar, row);
    session.muted = mute.map(|sanction| sanction.why.clone());
    (session.profile, session.rows) = (profile, kept);
    if let Some(old) = before {
        // The same player from elsewhere: in the same party, with the same things in view.
        (session.context, session.pinned) = (old.context, old.pinned);
        session.rows = if old.avatar == avatar { old.rows } else { old.rows.with_another_avatar() };
        session.context.set_role(role);
    }
    let (place, player) = (session.id.index, session.player.clone());
    settle_avatar(world, &player, avatar);
    welcome(world, sessions, place, false);
}

fn turn_away(
    world: &mut World,
    sessions: &mut Sessions,
    mut arrival: Arrival,
    event: Event,
    refusal: Refusal,
) {
    if arrival.on(event, &mut sessions.counts.illegal) {
        say(world, ToNet::Refuse { connection: arrival.join.connection, refusal });
    }
}

/// Tells a client that it is in, and how the world does if there is something to tell.
fn welcome(world: &mut World, sessions: &Sessions, place: u32, resumed: bool) {
    let Some(session) = sessions.at(place) else { return };
    let settings = world.resource::<WorldSettings>();
    let (epoch, now_ms) = (session.id.epoch, world.resource::<NodeContext>().0.now_ms);
    let welcome = Welcome {
        player: session.player.clone(),
        epoch,
        resumed,
        // By the world's calendar, which need not be the client's.
        ids_after: session.replies.ids_after().max(ActionId::last_of(ActionId::order_at(now_ms))),
        grace_s: settings.grace_s,
        avatar: session.avatar,
        world: settings.name.clone(),
        hz: settings.hz,
        area: settings.area,
        enter_radius_m: settings.enter_radius_m,
        leave_radius_m: settings.leave_radius_m,
    };
    let connection: ConnectionId = session.connection;
    say(world, ToNet::SetEpoch { connection, epoch });
    say(world, ToNet::Control { connection, message: ServerControl::Welcome(welcome) });
    // Who resumes may remember something that is over.
    if resumed || sessions.health != Health::Normal {
        let message = ServerControl::Health(sessions.health.clone());
        say(world, ToNet::Control { connection, message });
    }
}

/// Does what cells have asked for of the contexts of players and of what they always see, in the order (entity on whose
/// behalf, order of asking).
pub fn change_viewers(world: &mut World) {
    let mut requests = Vec::new();
    with_cells(world, |_, cells| {
        for cell in cells.iter_mut() {
            requests.append(&mut cell.world.resource_mut::<Requests>().viewers);
        }
    });
    // Stable: one entity's requests keep their order, and one entity lives in one cell.
    requests.sort_by_key(|request| request.by);
    world.resource_scope(|world, mut sessions: Mut<Sessions>| {
        let rows = world.resource::<Rows>();
        for request in requests {
            match request.change {
                ViewerChange::Context(player, change) => {
                    if let Some(session) = sessions.of_player_mut(&player) {
                        change(&mut session.context);
                    }
                }
                ViewerChange::Pin(entity, of) => {
                    // Who has died meanwhile would stay pinned for ever.
                    if let (Some(_), Some(pins)) = (rows.row(entity), sessions.pins_mut(&of)) {
                        pins.pin(entity);
                    }
                }
                ViewerChange::Unpin(entity, of) => {
                    if let Some(pins) = sessions.pins_mut(&of) {
                        pins.unpin(entity);
                    }
                }
            }
        }
    });
}

/// Follows who died: nobody keeps them in view any longer, and sessions whose avatar it was see from nowhere, so their
/// views empty, and get no new one by themselves.
pub fn follow_deaths(world: &mut World) {
    world.resource_scope(|world, mut sessions: Mut<Sessions>| {
        // A row is the same from birth to death: without a death nothing is to be done.
        let died = &world.resource::<LifeEvents>().died;
        if died.is_empty() {
            return;
        }
        let rows = world.resource::<Rows>();
        sessions.pinned_for_all.forget(died);
        for session in sessions.iter_mut() {
            session.pinned.forget(died);
            session.avatar_row = rows.row(session.avatar).unwrap_or(Row::NONE);
        }
    });
}
