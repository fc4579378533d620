//! What operators order about players, carried out at `Admit`.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, Resource, World};

use crate::cell::pool::NodeContext;
use crate::ids::PlayerId;
use crate::players::{Order, OrderKind, OrderOutcome, PlayerRequest, Sanction, SanctionChange, SanctionKind};
use crate::protocol::messages::Refusal;
use crate::server::io::TickOutput;

use super::Sessions;
use super::ends::{end_arrivals, end_session};
use super::state::Event;

/// The sanctions that count, of all players, here or not: read from the store when the world begins, and changed by orders
/// alone since.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sanctions {
    by_player: BTreeMap<(PlayerId, SanctionKind), Sanction>,
    /// When the first of them ends, milliseconds since 1970.
    next_end_ms: Option<u64>,
}

impl Sanctions {
    /// Of all these.
    #[must_use]
    pub fn of(sanctions: impl IntoIterator<Item = Sanction>) -> Self {
        let mut all = Self::default();
        for sanction in sanctions {
            all.change(&SanctionChange::Set(sanction));
        }
        all
    }

    /// The one of this kind that a player is under.
    #[must_use]
    pub fn get(&self, player: &PlayerId, kind: SanctionKind) -> Option<&Sanction> {
        self.by_player.get(&(player.clone(), kind))
    }

    /// Takes a change in; `false` when nothing is another way than before.
    pub fn change(&mut self, change: &SanctionChange) -> bool {
        let changed = match change {
            SanctionChange::Set(sanction) => {
                self.by_player.insert((sanction.player.clone(), sanction.kind), sanction.clone());
                true
            }
            SanctionChange::Lift { player, kind } => {
                self.by_player.remove(&(player.clone(), *kind)).is_some()
            }
        };
        self.next_end_ms = self.by_player.values().filter_map(|sanction| sanction.until_ms).min();
        changed
    }

    /// Takes out those that are over, and gives them.
    pub fn end_at(&mut self, now_ms: u64) -> Vec<Sanction> {
        if self.next_end_ms.is_none_or(|end_ms| now_ms < end_ms) {
            return Vec::new();
        }
        let over = self.by_player.extract_if(.., |_, sanction| !sanction.holds_at(now_ms));
        let over = over.map(|(_, sanction)| sanction).collect();
        self.next_end_ms = self.by_player.values().filter_map(|sanction| sanction.until_ms).min();
        over
    }
}

/// What a banned player is told.
pub(super) fn banned(sanction: &Sanction) -> Refusal {
    Refusal::Banned { why: sanction.why.clone(), until_ms: sanction.until_ms }
}

/// Carries out the tick's orders, in the order in which they were given, and ends what is over.
pub(super) fn moderate(world: &mut World, sessions: &mut Sessions, orders: &[Order]) {
    world.resource_scope(|world, mut sanctions: Mut<Sanctions>| {
        let now_ms = world.resource::<NodeContext>().0.now_ms;
        for over in sanctions.end_at(now_ms) {
            if over.kind == SanctionKind::Mute
                && let Some(session) = sessions.of_player_mut(&over.player)
            {
                session.muted = None;
            }
        }
        for order in orders {
            let outcome = carry_out(world, sessions, &mut sanctions, order);
            let context = &world.resource::<NodeContext>().0;
            let row = order.audit_row(context.tick, context.now_ms, &outcome);
            tracing::info!(by = row.who, player = row.target, "{}: {}", row.what, row.detail);
            let mut output = world.resource_mut::<TickOutput>();
            output.audit.push(row);
            output.orders.push(outcome);
        }
    });
}

fn carry_out(
    world: &mut World,
    sessions: &mut Sessions,
    sanctions: &mut Sanctions,
    order: &Order,
) -> OrderOutcome {
    let now_ms = world.resource::<NodeContext>().0.now_ms;
    let player = &order.player;
    let mut changed = false;
    if let Some(change) = order.sanction(now_ms) {
        changed = sanctions.change(&change);
        world.resource_mut::<TickOutput>().players.push(PlayerRequest::Sanction(change));
    }
    let was_here = sessions.of_player(player).is_some();
    let (done, text) = match order.kind {
        OrderKind::Kick => {
            let refusal = Refusal::Kicked(order.why.clone());
            let sent = send_away(world, sessions, player, Event::Kicked, &refusal);
            sessions.counts.kicked += u64::from(sent);
            (
                sent,
                if sent {
                    format!("{player} was sent away")
                } else {
                    format!("{player} is not in the world")
                },
            )
        }
        OrderKind::Ban => {
            if let Some(sanction) = sanctions.get(player, SanctionKind::Ban) {
                let sent = send_away(world, sessions, player, Event::Banned, &banned(sanction));
                sessions.counts.banned += u64::from(sent);
            }
            let here = if was_here { " and was sent away" } else { "; it is not in the world" };
            (true, format!("{player} is banned{here}"))
        }
        OrderKind::Unban if changed => (true, format!("{player} may come in again")),
        OrderKind::Unban => (false, format!("{player} was not banned")),
        OrderKind::Mute | OrderKind::Unmute => {
            if let Some(session) = sessions.of_player_mut(player) {
                session.muted = (order.kind == OrderKind::Mute).then(|| order.why.clone());
            }
            match (order.kind, changed) {
                (OrderKind::Mute, _) => (true, format!("{player} may not speak")),
                (_, true) => (true, format!("{player} may speak again")),
                (_, false) => (false, format!("{player} was not muted")),
            }
        }
    };
    OrderOutcome { number: order.number, done, text }
}

/// Ends whatever there is of a player; `false` when there was nothing.
fn send_away(
    world: &mut World,
    sessions: &mut Sessions,
    player: &PlayerId,
    event: Event,
    refusal: &Refusal,
) -> bool {
    let waited = end_arrivals(world, sessions, event, Some(refusal), |whose, _| whose == player);
    let place = sessions.place_of_player(player);
    if let Some(place) = place {
        end_session(world, sessions, place, event, Some(refusal.clone()));
    }
    place.is_some() || waited > 0
}
