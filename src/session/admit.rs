//! The `Admit` set: who comes in and who goes.

use bevy_ecs::prelude::{Mut, World};

use crate::cell::partition::{LifeEvents, despawn_now, spawn_now};
use crate::cell::pool::{NodeContext, with_cells};
use crate::cell::requests::{Requests, ViewerChange};
use crate::ids::{ConnectionId, Row};
use crate::limits::JOINS_PER_TICK_MAX;
use crate::net::ToNet;
use crate::protocol::messages::{Refusal, ServerControl, Welcome};
use crate::replication::Rows;
use crate::server::WorldSettings;
use crate::server::io::{Join, TickInput, TickOutput};

use super::{AvatarRecipe, AvatarRequest, Session, Sessions};

/// Runs the set: leaves first, so that their places are free, then joins in the order in which players said
/// hello, at most [`JOINS_PER_TICK_MAX`] a tick. Who has to wait is told how many are before.
pub fn admit(world: &mut World) {
    world.resource_scope(|world, input: Mut<TickInput>| {
        world.resource_scope(|world, mut sessions: Mut<Sessions>| {
            for &connection in &input.leaves {
                sessions.waiting.retain(|join| join.connection != connection);
                if let Some(session) = close(world, &mut sessions, connection) {
                    despawn_now(world, session.avatar);
                }
            }
            if input.draining {
                refuse_everybody(world, &mut sessions, &input.joins);
                return;
            }
            // Who came and went between two ticks was never here: nobody would ever take the avatar away.
            let stays = |join: &&Join| input.leaves.binary_search(&join.connection).is_err();
            sessions.waiting.extend(input.joins.iter().filter(stays).cloned());
            let mut admitted = 0;
            while admitted < JOINS_PER_TICK_MAX
                && let Some(join) = sessions.waiting.pop_front()
            {
                admitted += 1;
                admit_one(world, &mut sessions, &join);
            }
            // Told when they begin to wait; their turn comes within a few ticks.
            let new: Vec<_> = input.joins.iter().map(|join| join.connection).collect();
            for (ahead, join) in sessions.waiting.iter().enumerate() {
                if new.contains(&join.connection) {
                    let message = ServerControl::Queued { ahead: ahead as u32 };
                    say(world, ToNet::Control { connection: join.connection, message });
                }
            }
        });
    });
}

fn close(world: &World, sessions: &mut Sessions, connection: ConnectionId) -> Option<Box<Session>> {
    let context = &world.resource::<NodeContext>().0;
    sessions.close(connection, context.tick, context.hz)
}

fn say(world: &mut World, message: ToNet) {
    world.resource_mut::<TickOutput>().messages.push(message);
}

fn refuse_everybody(world: &mut World, sessions: &mut Sessions, joins: &[Join]) {
    let waiting: Vec<_> = sessions.waiting.drain(..).collect();
    for join in joins.iter().chain(&waiting) {
        say(world, ToNet::Refuse { connection: join.connection, refusal: Refusal::Draining });
    }
    let playing: Vec<_> = sessions.iter().map(|session| session.connection).collect();
    for connection in playing {
        if let Some(session) = close(world, sessions, connection) {
            despawn_now(world, session.avatar);
            say(world, ToNet::Refuse { connection, refusal: Refusal::Draining });
        }
    }
}

fn admit_one(world: &mut World, sessions: &mut Sessions, join: &Join) {
    // The same player from elsewhere: the newer connection wins, and the avatar stays where it is.
    let taken_over = sessions.of_player(&join.player).map(|session| session.connection);
    let mut known = None;
    let avatar = taken_over.and_then(|connection| {
        let old = close(world, sessions, connection)?;
        known = Some((old.context.clone(), old.pinned.clone()));
        say(world, ToNet::Refuse { connection, refusal: Refusal::TakenOver });
        let row = world.resource::<Rows>().row(old.avatar)?;
        Some((old.avatar, row))
    });
    let settings = world.resource::<WorldSettings>().clone();
    if avatar.is_none() && sessions.len() >= settings.players_max as usize {
        let refusal = Refusal::Full { players: settings.players_max };
        say(world, ToNet::Refuse { connection: join.connection, refusal });
        return;
    }
    let avatar = avatar.or_else(|| {
        let recipe = world.get_resource::<AvatarRecipe>()?.clone();
        let request = AvatarRequest {
            player: join.player.clone(),
            role: join.role,
            tick: world.resource::<NodeContext>().0.tick,
            seed: settings.seed,
            world: settings.area,
        };
        let net_id = spawn_now(world, (recipe.0)(&request))?;
        Some((net_id, world.resource::<Rows>().row(net_id)?))
    });
    let Some((avatar, row)) = avatar else {
        tracing::error!(player = %join.player, "the game made no avatar: the player cannot join");
        let refusal = Refusal::Protocol("this world has no place for players".into());
        say(world, ToNet::Refuse { connection: join.connection, refusal });
        return;
    };
    let session = sessions.open(join, avatar, row);
    if let Some((context, pinned)) = known {
        // The same player from elsewhere: in the same party, with the same things in view.
        (session.context, session.pinned) = (context, pinned);
        session.context.set_role(join.role);
    }
    let (epoch, ids_after) = (session.id.epoch, session.replies.ids_after());
    let welcome = Welcome {
        player: join.player.clone(),
        epoch,
        resumed: false,
        ids_after,
        grace_s: 0,
        avatar,
        world: settings.name.clone(),
        hz: settings.hz,
        area: settings.area,
        enter_radius_m: settings.enter_radius_m,
        leave_radius_m: settings.leave_radius_m,
    };
    say(world, ToNet::SetEpoch { connection: join.connection, epoch });
    let message = ServerControl::Welcome(welcome);
    say(world, ToNet::Control { connection: join.connection, message });
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
