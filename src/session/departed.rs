//! What is remembered of the actions of players who are not in the world.

use std::collections::{BTreeMap, BTreeSet};

use crate::action::memory::{ActionResult, PackedReplies, ReplyMemory};
use crate::cell::context::TickContext;
use crate::ids::{ActionId, PlayerId, TickNumber};
use crate::limits::{DEPARTED_BYTES_MAX, PLAYERS_REMEMBERED_MAX};

/// What a player costs beside what is packed: its name twice, and its places in the trees.
const PLAYER_BYTES: usize = 256;

/// The answers of players who are not in the world, and how much of their rates they have used up: one who comes back within
/// the time and repeats an action gets the first answer. Bounded by players, by bytes and by time; who left first is forgotten first.
#[derive(Debug, Default)]
pub struct Departed {
    by_player: BTreeMap<PlayerId, (TickNumber, PackedReplies)>,
    order: BTreeSet<(TickNumber, PlayerId)>,
    /// Bytes of it all.
    bytes: usize,
    /// The highest order of ids of which it may be forgotten what became of them, of players of whom nothing is remembered.
    ids_forgotten: Option<u64>,
    /// The world was started again, and nothing is remembered of what was made until its first tick.
    forgets_until_now: bool,
}

impl Departed {
    /// After a restart: nothing is remembered of ids up to this order, which the clients' own clocks made, nor of those that
    /// are made until the first tick.
    pub fn restore(&mut self, highest: Option<u64>) {
        self.ids_forgotten = self.ids_forgotten.max(highest);
        self.forgets_until_now = true;
    }

    /// The highest order that any of them has used.
    pub fn highest(&self) -> Option<u64> {
        let known = self.by_player.values().filter_map(|(_, replies)| replies.highest());
        known.max().max(self.ids_forgotten)
    }

    /// A tick begins: who left more than `kept_s` of world time ago is forgotten. O(1) where nobody is.
    pub(super) fn begin_tick(&mut self, now: &TickContext, kept_s: u32) {
        if std::mem::take(&mut self.forgets_until_now) {
            self.ids_forgotten = self.ids_forgotten.max(Some(ActionId::order_at(now.now_ms)));
        }
        let kept_ticks = u64::from(kept_s) * u64::from(now.hz);
        while self.order.first().is_some_and(|(left, _)| left.0 + kept_ticks < now.tick.0) {
            self.forget_first();
        }
    }

    /// Takes what is remembered of a player who comes in. O(log players).
    pub(super) fn take(&mut self, player: &PlayerId) -> ReplyMemory {
        let Some((left, replies)) = self.by_player.remove(player) else {
            return ReplyMemory::forgotten_up_to(self.ids_forgotten);
        };
        self.order.remove(&(left, player.clone()));
        self.bytes -= PLAYER_BYTES + replies.bytes();
        replies.unpack()
    }

    /// An action of a player who has left is answered after all: a repeat of it gets the answer. O(what is remembered of it).
    pub(crate) fn finish(&mut self, player: &PlayerId, id: ActionId, result: &ActionResult) {
        let Some((_, packed)) = self.by_player.get_mut(player) else { return };
        self.bytes -= packed.bytes();
        let mut replies = packed.clone().unpack();
        let _nobody_is_there = replies.finish(id, result);
        *packed = replies.pack();
        self.bytes += packed.bytes();
    }

    /// Nothing comes of an action that a player who has left had asked for: it may ask again. O(what is remembered of it).
    pub(crate) fn give_up(&mut self, player: &PlayerId, id: ActionId) {
        let Some((_, packed)) = self.by_player.get_mut(player) else { return };
        self.bytes -= packed.bytes();
        let mut replies = packed.clone().unpack();
        replies.give_up(id);
        *packed = replies.pack();
        self.bytes += packed.bytes();
    }

    /// Keeps what is remembered of a player who has left in this tick.
    pub(super) fn keep(&mut self, player: &PlayerId, replies: ReplyMemory, left: TickNumber) {
        if replies.is_empty() {
            return;
        }
        let replies = replies.pack();
        self.bytes += PLAYER_BYTES + replies.bytes();
        self.by_player.insert(player.clone(), (left, replies));
        self.order.insert((left, player.clone()));
        while self.order.len() > PLAYERS_REMEMBERED_MAX || self.bytes > DEPARTED_BYTES_MAX {
            self.forget_first();
        }
    }

    /// Forgets who left first.
    fn forget_first(&mut self) {
        let Some((_, player)) = self.order.pop_first() else { return };
        let Some((_, replies)) = self.by_player.remove(&player) else { return };
        self.bytes -= PLAYER_BYTES + replies.bytes();
        // By the ids themselves: the player's clock may be another than ours.
        self.ids_forgotten = self.ids_forgotten.max(replies.highest());
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

    const KEPT_S: u32 = 3_600;

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
        departed.keep(&player(0), memory(1), TickNumber(2));
        let known = departed.take(&player(0));
        assert_eq!(known.look_up(&call(1)), Known::Answered(Ok(vec![7])));
        assert_eq!(departed.take(&player(1)).look_up(&call(1)), Known::New, "nothing is forgotten yet");
        departed.keep(&player(0), known, TickNumber(3));
        for number in 1..=PLAYERS_REMEMBERED_MAX {
            departed.keep(&player(number), memory(5), TickNumber(6));
        }
        let unknown = departed.take(&player(0));
        assert_eq!(unknown.look_up(&call(1)), Known::TooOld);
        assert_eq!(unknown.look_up(&call(2)), Known::New);
        assert_eq!(unknown.ids_after().order(), call(1).id.order());
        // When their time is over.
        let later = 7 + u64::from(KEPT_S) * 20;
        departed.begin_tick(&at(later), KEPT_S);
        departed.keep(&player(0), memory(later), TickNumber(later));
        assert_eq!(departed.take(&player(1)).look_up(&call(5)), Known::TooOld);
        assert_eq!(departed.take(&player(0)).look_up(&call(later)), Known::Answered(Ok(vec![7])));
        assert!(departed.by_player.is_empty() && departed.order.len() <= 1);
    }

    /// C4: a clock that is ahead changes nothing.
    #[test]
    fn what_is_forgotten_of_who_has_a_clock_that_is_ahead_is_too_old() {
        let mut departed = Departed::default();
        let ahead = 1 + 60 * 20;
        departed.keep(&player(0), memory(ahead), TickNumber(2));
        for number in 1..=PLAYERS_REMEMBERED_MAX {
            departed.keep(&player(number), memory(5), TickNumber(6));
        }
        assert_eq!(departed.take(&player(0)).look_up(&call(ahead)), Known::TooOld);
    }

    /// C4: what is remembered of all together is bounded too; who left first is forgotten first, and too old from then on.
    #[test]
    fn what_is_remembered_of_all_who_left_is_bounded_in_bytes() {
        let numbered = |number: u64| ActionCall { id: ActionId::new(call(1).id.order(), number), ..call(1) };
        let mut long = ReplyMemory::default();
        for number in 0..60 {
            long.begin(&numbered(number));
            long.finish(numbered(number).id, &Ok(vec![7; 1_024]));
        }
        let mut departed = Departed::default();
        let each = long.clone().pack().bytes() + PLAYER_BYTES;
        let fit = DEPARTED_BYTES_MAX / each;
        assert!(fit < PLAYERS_REMEMBERED_MAX / 2);
        for number in 0..fit + 10 {
            departed.keep(&player(number), long.clone(), TickNumber(2 + number as u64));
            assert!(departed.bytes <= DEPARTED_BYTES_MAX);
        }
        assert_eq!((departed.by_player.len(), departed.bytes), (fit, fit * each));
        assert_eq!(departed.take(&player(9)).look_up(&numbered(0)), Known::TooOld);
        assert_eq!(departed.take(&player(10)).look_up(&numbered(0)), Known::Answered(Ok(vec![7; 1_024])));
        (0..fit + 10).for_each(|number| drop(departed.take(&player(number))));
        assert_eq!(departed.bytes, 0);
    }

    /// Who comes and goes all the time takes one place, and pushes nobody out.
    #[test]
    fn one_player_has_one_place_however_often_it_comes_and_goes() {
        let mut departed = Departed::default();
        departed.keep(&player(0), memory(1), TickNumber(2));
        for tick in 3..3 + 2 * PLAYERS_REMEMBERED_MAX as u64 {
            let known = departed.take(&player(1));
            departed.keep(&player(1), if tick == 3 { memory(2) } else { known }, TickNumber(tick));
        }
        assert_eq!(departed.take(&player(0)).look_up(&call(1)), Known::Answered(Ok(vec![7])));
        assert_eq!((departed.by_player.len(), departed.order.len()), (1, 1));
    }

    #[test]
    fn after_a_restart_everything_before_is_too_old() {
        let mut departed = Departed::default();
        departed.restore(Some(call(40).id.order()));
        departed.begin_tick(&at(10), KEPT_S);
        assert_eq!(departed.take(&player(0)).look_up(&call(40)), Known::TooOld, "by the ids that were used");
        assert_eq!(departed.take(&player(0)).look_up(&call(41)), Known::New);
        let mut departed = Departed::default();
        departed.restore(None);
        departed.begin_tick(&at(10), KEPT_S);
        departed.begin_tick(&at(11), KEPT_S);
        assert_eq!(
            departed.take(&player(0)).look_up(&call(10)),
            Known::TooOld,
            "by the time of the first tick"
        );
        assert_eq!(departed.take(&player(0)).look_up(&call(11)), Known::New);
    }
}
