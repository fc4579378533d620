//! What is remembered of the actions of players who are not in the world.

use std::collections::{BTreeMap, VecDeque};

use crate::action::memory::ReplyMemory;
use crate::cell::context::TickContext;
use crate::ids::{ActionId, PlayerId, TickNumber};
use crate::limits::{PLAYERS_REMEMBERED_MAX, REPLIES_KEPT_S};

/// The answers of players who are not in the world, and how much of their rates they have used up: one who comes back within
/// the time and repeats an action gets the first answer. Bounded by players and by time; who left first is forgotten first.
#[derive(Debug, Default)]
pub struct Departed {
    by_player: BTreeMap<PlayerId, (TickNumber, ReplyMemory)>,
    order: VecDeque<Left>,
    /// The highest order of ids of which it may be forgotten what became of them, of players of whom nothing is remembered.
    ids_forgotten: Option<u64>,
}

/// Somebody who has left.
#[derive(Debug)]
struct Left {
    player: PlayerId,
    at: TickNumber,
    at_ms: u64,
}

impl Departed {
    /// Nothing is remembered of ids that were made until then, milliseconds since 1970: the world was started again.
    pub fn forget_until(&mut self, now_ms: u64) {
        self.ids_forgotten = self.ids_forgotten.max(Some(ActionId::order_at(now_ms)));
    }

    /// Takes what is remembered of a player who comes in.
    pub(super) fn take(&mut self, player: &PlayerId) -> ReplyMemory {
        let known = self.by_player.remove(player).map(|(_, replies)| replies);
        known.unwrap_or_else(|| ReplyMemory::forgotten_up_to(self.ids_forgotten))
    }

    /// Keeps what is remembered of a player who has left; who left long ago is forgotten.
    pub(super) fn keep(&mut self, player: &PlayerId, replies: ReplyMemory, now: &TickContext) {
        if !replies.is_empty() {
            self.by_player.insert(player.clone(), (now.tick, replies));
            self.order.push_back(Left { player: player.clone(), at: now.tick, at_ms: now.now_ms });
        }
        let kept_ticks = REPLIES_KEPT_S * u64::from(now.hz);
        while let Some(left) = self.order.front() {
            let is_old = left.at.0 + kept_ticks < now.tick.0 || self.order.len() > PLAYERS_REMEMBERED_MAX;
            if !is_old {
                return;
            }
            // Who has been back since then is in the list again, or in the world.
            if self.by_player.get(&left.player).is_some_and(|(at, _)| *at == left.at) {
                self.by_player.remove(&left.player);
                // None of its ids is younger than its leaving.
                self.ids_forgotten = self.ids_forgotten.max(Some(ActionId::order_at(left.at_ms)));
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec2;

    use super::*;
    use crate::action::memory::Known;
    use crate::ids::CellId;
    use crate::protocol::messages::ActionCall;
    use crate::space::Area;

    fn at(tick: u64) -> TickContext {
        let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
        TickContext {
            tick: TickNumber(tick),
            dt: 0.05,
            now_ms: 1_000_000 + tick * 50,
            hz: 20,
            seed: 0,
            world_area: area,
            cell: CellId { world: 0, depth: 0, cx: 0, cy: 0 },
            area,
        }
    }

    fn player(number: usize) -> PlayerId {
        PlayerId::new(&format!("p{number}")).expect("a name")
    }

    fn call(tick: u64) -> ActionCall {
        ActionCall { id: ActionId::new(ActionId::order_at(at(tick).now_ms), 1), kind: 0, payload: Vec::new() }
    }

    /// Somebody who has done one thing, in that tick.
    fn memory(tick: u64) -> ReplyMemory {
        let mut memory = ReplyMemory::default();
        memory.begin(&call(tick));
        memory.finish(call(tick).id, &Ok(vec![7]));
        memory
    }

    /// C4: what is forgotten, for its age or for want of room, is too old from then on, and never taken for new.
    #[test]
    fn what_is_forgotten_of_who_left_is_too_old_and_never_new() {
        let mut departed = Departed::default();
        departed.keep(&player(0), memory(1), &at(2));
        let known = departed.take(&player(0));
        assert_eq!(known.look_up(&call(1)), Known::Answered(Ok(vec![7])));
        assert_eq!(departed.take(&player(1)).look_up(&call(1)), Known::New, "nothing is forgotten yet");
        departed.keep(&player(0), known, &at(3));
        for number in 1..=PLAYERS_REMEMBERED_MAX {
            departed.keep(&player(number), memory(5), &at(6));
        }
        let unknown = departed.take(&player(0));
        assert_eq!(unknown.look_up(&call(1)), Known::TooOld);
        assert_eq!(unknown.look_up(&call(3)), Known::TooOld, "until it left");
        assert_eq!(unknown.look_up(&call(4)), Known::New);
        assert_eq!(unknown.ids_after().order(), ActionId::order_at(at(3).now_ms));
        // A day later.
        let later = 7 + REPLIES_KEPT_S * 20;
        departed.keep(&player(0), memory(later), &at(later));
        assert_eq!(departed.take(&player(1)).look_up(&call(5)), Known::TooOld);
        assert_eq!(departed.take(&player(0)).look_up(&call(later)), Known::Answered(Ok(vec![7])));
        assert!(departed.by_player.is_empty() && departed.order.len() <= 1);
    }

    #[test]
    fn after_a_restart_everything_before_is_too_old() {
        let mut departed = Departed::default();
        departed.forget_until(at(10).now_ms);
        assert_eq!(departed.take(&player(0)).look_up(&call(10)), Known::TooOld);
        assert_eq!(departed.take(&player(0)).look_up(&call(11)), Known::New);
    }
}
