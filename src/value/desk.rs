//! What is asked for and not settled yet: in order, and of each player one thing at a time.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::Resource;

use crate::action::kinds::RoutedAction;
use crate::ids::{NetId, PlayerId};
use crate::protocol::messages::ActionCall;
use crate::reward::{Claim, PlanRequest};

use super::asked::RewardOutcome;

/// Things that one player may have waiting; one more is refused.
pub const WAITING_PER_PLAYER_MAX: usize = 64;
/// Plans that may be on their way to the store; what is more waits here, in order.
pub const PLANS_UNDER_WAY_MAX: usize = 4_096;

/// Who is to be told what came of it.
#[derive(Debug)]
pub(crate) enum Origin {
    /// An action, answered to its client. The number is the epoch with which its session began.
    Action(Box<RoutedAction>, u32),
    /// A system of the game, under this claim: told as a [`RewardOutcome`](super::RewardOutcome).
    Game(Claim),
}

/// Something asked for.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// On whose behalf: orders what is asked for in one tick.
    pub(crate) by: NetId,
    /// Under which claim.
    pub(crate) claim: Claim,
    /// What.
    pub(crate) request: PlanRequest,
    /// Who is told.
    pub(crate) origin: Origin,
}

/// A plan on its way to the store.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) players: BTreeSet<PlayerId>,
    pub(crate) origin: Origin,
}

/// An action of which nobody here remembers whether it was done: the store knows.
#[derive(Debug)]
pub(crate) struct LookUp {
    /// Who calls.
    pub(crate) player: PlayerId,
    /// The epoch with which its session began.
    pub(crate) began: u32,
    /// The action.
    pub(crate) call: ActionCall,
}

/// What became of what was asked for, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueCounts {
    /// Plans handed to the store.
    pub planned: u64,
    /// Plans committed.
    pub committed: u64,
    /// Asked for, and refused while planning or by the executor.
    pub refused: u64,
    /// Answered with what an earlier claim had brought.
    pub repeated: u64,
    /// Plans that were carried out against another version than they were made for.
    pub conflicts: u64,
    /// Refused because too much of one player waits.
    pub crowded: u64,
    /// Holdings that had to be read anew.
    pub reread: u64,
    /// Actions about which the store was asked whether they had been done.
    pub looked_up: u64,
}

/// What waits for its turn, and what is on its way.
#[derive(Resource, Debug, Default)]
pub struct Desk {
    /// In the order in which it was asked for.
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) under_way: BTreeMap<u64, UnderWay>,
    pub(crate) last_number: u64,
    /// What systems are to be told in the next `Settle`: it was known after this tick's.
    pub(super) untold: Vec<RewardOutcome>,
    /// By number of the request.
    pub(crate) look_ups: BTreeMap<u64, LookUp>,
    /// What became of it all.
    pub counts: ValueCounts,
    /// The first so many are in their order.
    ordered: usize,
    /// By player, how much waits.
    by_player: BTreeMap<PlayerId, usize>,
}

impl Desk {
    /// How many things wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many plans are on their way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Takes something that is asked for; hands it back when too much of that player waits.
    pub(crate) fn ask(&mut self, waiting: Waiting) -> Result<(), Box<Waiting>> {
        if let Some(player) = waiting.claim.account.player() {
            let count = self.by_player.entry(player.clone()).or_default();
            if *count >= WAITING_PER_PLAYER_MAX {
                self.counts.crowded += 1;
                return Err(Box::new(waiting));
            }
            *count += 1;
        }
        self.waiting.push(waiting);
        Ok(())
    }

    /// Puts what was asked for since the last call into the order (on whose behalf, order of asking): what one entity asks for
    /// keeps its order, and an entity is in one cell.
    pub(crate) fn order_new(&mut self) {
        let from = self.ordered.min(self.waiting.len());
        self.waiting[from..].sort_by_key(|waiting| waiting.by);
        self.ordered = self.waiting.len();
    }

    /// Takes out everything that waits.
    pub(crate) fn take_all(&mut self) -> Vec<Waiting> {
        self.by_player.clear();
        self.ordered = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Takes out, in order, what systems asked for a player, or for anybody.
    pub(crate) fn take_games(&mut self, of: Option<&PlayerId>) -> Vec<Waiting> {
        let (mut taken, mut rest, mut ordered) = (Vec::new(), Vec::new(), self.ordered);
        for (place, waiting) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let is_meant = of.is_none_or(|player| waiting.claim.account.player() == Some(player));
            if is_meant && matches!(waiting.origin, Origin::Game(_)) {
                self.forget(&waiting);
                ordered -= usize::from(place < self.ordered);
                taken.push(waiting);
            } else {
                rest.push(waiting);
            }
        }
        (self.waiting, self.ordered) = (rest, ordered);
        taken
    }

    /// Takes out, in order, what can be planned now: nobody who takes part has something under way, or waits with something
    /// that was asked for before.
    pub(crate) fn take_ready(&mut self) -> Vec<Waiting> {
        let mut busy: BTreeSet<PlayerId> =
            self.under_way.values().flat_map(|plan| plan.players.iter().cloned()).collect();
        let (mut ready, mut rest) = (Vec::new(), Vec::new());
        let mut room = PLANS_UNDER_WAY_MAX.saturating_sub(self.under_way.len());
        for waiting in std::mem::take(&mut self.waiting) {
            let players = waiting.request.players();
            let is_free = room > 0 && players.iter().all(|player| !busy.contains(player));
            busy.extend(players);
            if is_free {
                room -= 1;
                self.forget(&waiting);
                ready.push(waiting);
            } else {
                rest.push(waiting);
            }
        }
        self.ordered = rest.len();
        self.waiting = rest;
        ready
    }

    /// It does not wait any more.
    fn forget(&mut self, waiting: &Waiting) {
        let Some(player) = waiting.claim.account.player() else { return };
        if let Some(count) = self.by_player.get_mut(player) {
            *count -= 1;
            if *count == 0 {
                self.by_player.remove(player);
            }
        }
    }
}
