//! What operators order about players, carried out at `Admit`.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::{Mut, Resource, World};

use crate::cell::pool::NodeContext;
use crate::ids::PlayerId;
use crate::players::{Order, OrderKind, OrderOutcome, PlayerRequest, Sanction, SanctionChange, SanctionKind};
use crate::protocol::messages::Refusal;
use crate::server::io::OutputSoFar;

use super::Sessions;
use super::ends::{end_arrivals, end_session};
use super::state::Event;

/// The sanctions that count, of all players, here or not: read from the store when the world begins, and changed by orders
/// alone since.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sanctions {
    by_player: BTreeMap<(PlayerId, SanctionKind), Sanction>,
    /// When those end that do, milliseconds since 1970, and which that are.
    ends: BTreeSet<(u64, PlayerId, SanctionKind)>,
}

impl Sanctions {
    /// Of all these.
    #[must_use]
    pub fn of(sanctions: impl IntoIterator<Item = Sanction>) -> Self {
        let by_player = sanctions
            .into_iter()
            .map(|sanction| ((sanction.player.clone(), sanction.kind), sanction))
            .collect();
        let mut all = Self { by_player, ends: BTreeSet::new() };
        all.ends = all.by_player.values().filter_map(Self::end_of).collect();
        all
    }

    fn end_of(sanction: &Sanction) -> Option<(u64, PlayerId, SanctionKind)> {
        Some((sanction.until_ms?, sanction.player.clone(), sanction.kind))
    }

    /// The one of this kind that a player is under.
    #[must_use]
    pub fn get(&self, player: &PlayerId, kind: SanctionKind) -> Option<&Sanction> {
        self.by_player.get(&(player.clone(), kind))
    }

    /// Takes a change in; `false` when nothing is another way than before. O(log sanctions).
    pub fn change(&mut self, change: &SanctionChange) -> bool {
        let key = match change {
            SanctionChange::Set(sanction) => (sanction.player.clone(), sanction.kind),
            SanctionChange::Lift { player, kind } => (player.clone(), *kind),
        };
        let before = self.by_player.remove(&key);
        if let Some(end) = before.as_ref().and_then(Self::end_of) {
            self.ends.remove(&end);
        }
        let SanctionChange::Set(sanction) = change else { return before.is_some() };
        self.ends.extend(Self::end_of(sanction));
        self.by_player.insert(key, sanction.clone());
        true
    }

    /// Takes out those that are over, and gives them. O(1) where none is.
    pub fn end_at(&mut self, now_ms: u64) -> Vec<Sanction> {
        let mut over = Vec::new();
        while self.ends.first().is_some_and(|(until_ms, ..)| *until_ms <= now_ms) {
            let ended =
                self.ends.pop_first().and_then(|(_, player, kind)| self.by_player.remove(&(player, kind)));
            over.extend(ended);
        }
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
            // What has ended need not be kept: the records say that it was.
            let change = SanctionChange::Lift { player: over.player, kind: over.kind };
            world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Sanction(change));
        }
        for order in orders {
            let outcome = carry_out(world, sessions, &mut sanctions, order);
            let context = &world.resource::<NodeContext>().0;
            let row = order.audit_row(context.tick, context.now_ms, &outcome);
            tracing::info!(by = row.who, player = row.target, "{}: {}", row.what, row.detail);
            let mut output = world.resource_mut::<OutputSoFar>();
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
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::Sanction(change));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sanction(player: u8, kind: SanctionKind, until_ms: Option<u64>) -> Sanction {
        let player = PlayerId::new(&format!("p{player}")).expect("a name");
        Sanction { player, kind, why: "why".into(), since_ms: 0, until_ms, by: "operator".into() }
    }

    fn kind() -> impl Strategy<Value = SanctionKind> {
        prop_oneof![Just(SanctionKind::Ban), Just(SanctionKind::Mute)]
    }

    fn any_sanction() -> impl Strategy<Value = Sanction> {
        (0..5u8, kind(), proptest::option::of(1..60u64))
            .prop_map(|(player, kind, until_ms)| sanction(player, kind, until_ms))
    }

    fn any_change() -> impl Strategy<Value = SanctionChange> {
        prop_oneof![
            3 => any_sanction().prop_map(SanctionChange::Set),
            1 => any_sanction().prop_map(|of| SanctionChange::Lift { player: of.player, kind: of.kind }),
        ]
    }

    proptest! {
        /// H3: whatever was set, replaced and lifted, and however many there were at the start, those end whose time is over,
        /// once, and no others: as a list that is looked through says.
        #[test]
        fn sanctions_end_when_their_time_is_over_as_a_plain_list_says(
            first in proptest::collection::vec(any_sanction(), 0..12),
            changes in proptest::collection::vec(proptest::option::of(any_change()), 0..60),
        ) {
            let key = |sanction: &Sanction| (sanction.player.clone(), sanction.kind);
            let mut all = Sanctions::of(first.clone());
            let mut list: BTreeMap<_, _> = first.into_iter().map(|one| (key(&one), one)).collect();
            for (now_ms, change) in (1u64..).zip(changes) {
                match &change {
                    Some(SanctionChange::Set(sanction)) => drop(list.insert(key(sanction), sanction.clone())),
                    Some(SanctionChange::Lift { player, kind }) => drop(list.remove(&(player.clone(), *kind))),
                    None => {}
                }
                if let Some(change) = &change {
                    all.change(change);
                }
                let over: BTreeMap<_, _> =
                    all.end_at(now_ms).into_iter().map(|over| (key(&over), over)).collect();
                let expected: BTreeMap<_, _> = list.extract_if(.., |_, one| !one.holds_at(now_ms)).collect();
                prop_assert_eq!(over, expected);
                prop_assert_eq!(&all.by_player, &list);
                prop_assert_eq!(all.ends.len(), list.values().filter(|one| one.until_ms.is_some()).count());
            }
        }
    }
}
