//! How players leave: each end goes through the machine, saves what is to be saved, and tells who can still be told.

use bevy_ecs::prelude::World;

use crate::cell::partition::despawn_now;
use crate::cell::pool::NodeContext;
use crate::ids::{ConnectionId, PlayerId, TickNumber};
use crate::net::ToNet;
use crate::players::{PlayerRequest, Profile, ProfileSave};
use crate::protocol::messages::Refusal;
use crate::server::WorldSettings;
use crate::server::io::OutputSoFar;
use crate::value::Book;
use crate::value::stage::plan_last;

use super::avatar::save_avatar_of;
use super::state::{Event, State};
use super::{Session, Sessions};

/// Hands a message to the network.
pub(super) fn say(world: &mut World, message: ToNet) {
    world.resource_mut::<OutputSoFar>().messages.push(message);
}

/// Who has a connection is told why it ends.
fn refuse(world: &mut World, connection: ConnectionId, refusal: Option<Refusal>) {
    if let Some(refusal) = refusal {
        say(world, ToNet::Refuse { connection, refusal });
    }
}

/// Takes a session out of the world and leaves its avatar there. `None` when the event cannot have happened.
pub(super) fn take_out(
    world: &mut World,
    sessions: &mut Sessions,
    place: u32,
    event: Event,
    refusal: Option<Refusal>,
) -> Option<Box<Session>> {
    let (session, counts) = sessions.at_with_counts(place)?;
    let was = session.state();
    if !session.on(event, &mut counts.illegal) {
        return None;
    }
    if was == State::Active {
        let connection = session.connection;
        refuse(world, connection, refusal);
    }
    sessions.close(place, world.resource::<NodeContext>().0.tick)
}

/// Ends a session: what its player is, is saved, and its avatar goes.
pub(super) fn end_session(
    world: &mut World,
    sessions: &mut Sessions,
    place: u32,
    event: Event,
    refusal: Option<Refusal>,
) {
    let Some(session) = take_out(world, sessions, place, event, refusal) else { return };
    if world.resource::<WorldSettings>().keeps_players {
        let avatar = save_avatar_of(world, session.avatar);
        let profile = Profile {
            version: session.profile.version,
            first_seen_ms: session.profile.first_seen_ms,
            last_seen_ms: world.resource::<NodeContext>().0.now_ms,
            avatar,
        };
        let save = ProfileSave {
            player: session.player.clone(),
            profile,
            is_of_image: false,
            rows: session.rows.version(),
        };
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Save(save));
    }
    plan_last(world, Some(&session.player));
    world.resource_mut::<Book>().close(&session.player);
    despawn_now(world, session.avatar);
}

/// Ends all that waits to come in and is meant by `whom`.
pub(super) fn end_arrivals(
    world: &mut World,
    sessions: &mut Sessions,
    event: Event,
    refusal: Option<&Refusal>,
    whom: impl Fn(&PlayerId, ConnectionId) -> bool,
) -> usize {
    let mut ended = Vec::new();
    let Sessions { waiting, counts, .. } = sessions;
    waiting.retain_mut(|arrival| {
        let is_over =
            whom(&arrival.join.player, arrival.join.connection) && arrival.on(event, &mut counts.illegal);
        if is_over {
            ended.push(arrival.join.connection);
        }
        !is_over
    });
    for &connection in &ended {
        refuse(world, connection, refusal.cloned());
    }
    ended.len()
}

/// A connection is gone: whoever waits over it does not any more, and who is in the world says goodbye or lingers.
pub(super) fn disconnected(
    world: &mut World,
    sessions: &mut Sessions,
    connection: ConnectionId,
    event: Event,
) {
    end_arrivals(world, sessions, event, None, |_, over| over == connection);
    let Some(place) = sessions.place_of_connection(connection) else { return };
    if event == Event::Bye {
        return end_session(world, sessions, place, event, None);
    }
    let tick = world.resource::<NodeContext>().0.tick;
    let settings = world.resource::<WorldSettings>();
    let grace_ticks = u64::from(settings.grace_s) * u64::from(settings.hz);
    let Some((session, counts)) = sessions.at_with_counts(place) else { return };
    if session.on(event, &mut counts.illegal) {
        counts.lost += 1;
        session.lingers_until = TickNumber(tick.0 + grace_ticks);
        tracing::debug!(player = %session.player, until = %session.lingers_until, "a connection is lost");
        sessions.disconnect(place);
    }
}

/// Ends whoever has lingered for too long.
pub(super) fn end_graces(world: &mut World, sessions: &mut Sessions) {
    if sessions.lingering() == 0 {
        return;
    }
    let tick = world.resource::<NodeContext>().0.tick;
    let is_over = |session: &&Session| session.is_lingering() && session.lingers_until <= tick;
    let over: Vec<u32> = sessions.iter().filter(is_over).map(|session| session.id.index).collect();
    for place in over {
        sessions.counts.graces_over += 1;
        end_session(world, sessions, place, Event::GraceOver, None);
    }
}

/// The world ends: everybody leaves and is told.
pub(super) fn drain(world: &mut World, sessions: &mut Sessions) {
    end_arrivals(world, sessions, Event::Drained, Some(&Refusal::Draining), |_, _| true);
    let places: Vec<u32> = sessions.iter().map(|session| session.id.index).collect();
    for place in places {
        end_session(world, sessions, place, Event::Drained, Some(Refusal::Draining));
    }
}
