//! A player on its way: marches along the roads, and fights those who lie in wait there.
//!
//! A march and a battle are in memory alone until they are over: what a battle comes to is settled at once, and until then nothing
//! of it is anybody's.
//!
//! | file | what |
//! |---|---|
//! | `march` | along the roads, and whether somebody lies in wait |
//! | `band` | who that is, and for whom |
//! | `battle` | round by round, by rules that are functions of numbers |
//! | `spoils` | what a battle comes to, in one plan; and what is told of its rounds, in batches |

mod band;
mod battle;
mod march;
mod spoils;

pub use band::Band;
pub use battle::{End, Fight, FightRefusal, Order};
pub use march::{Halt, March, MarchRefusal};
pub use spoils::{BattleNews, Battles, BattlesHere, KeepBattle, KeepRounds, Round, Spoils};

pub(super) use battle::{fight, fight_on};
pub(super) use march::{halt, lie_in_wait, march, set_out};
pub(super) use spoils::{bring_spoils, settle_battles};

use crate::prelude::*;

use super::hands::Hands;
use super::roads::NodeId;

/// A player's march, and its battle.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Campaign {
    /// Whom it fights; nobody in peace.
    #[sync(broadcast)]
    pub band: Option<Band>,
    /// How many of them still stand.
    #[sync(broadcast)]
    pub foes: u16,
    /// The round of the battle, from 1; 0 in peace.
    #[sync(broadcast)]
    pub round: u16,
    /// In which tick the round is fought, with or without an order.
    #[sync(custom = own)]
    pub round_ends: u64,
    /// How hard the player itself can still be hit.
    #[sync(custom = own)]
    pub health: u16,
    /// Where it marches.
    #[sync(custom = own_or_party, max_bytes = 8)]
    pub to: Option<NodeId>,
    /// The nodes on the way there, the next one last.
    #[sync(server_only)]
    pub path: Vec<NodeId>,
    /// What it is to do in this round.
    #[sync(server_only)]
    pub order: Order,
    /// When the battle began.
    #[sync(server_only)]
    pub begun: u64,
    /// Who was lost in it so far.
    #[sync(server_only)]
    pub lost: Hands,
    /// Until when nobody attacks it: who was just beaten has nothing left to take.
    #[sync(server_only)]
    pub safe_until: u64,
}

fn own(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

fn own_or_party(viewing: &Viewing) -> bool {
    viewing.is_owner() || viewing.same_party()
}

impl Campaign {
    /// Whether there is a battle.
    #[must_use]
    pub fn is_fighting(&self) -> bool {
        self.band.is_some()
    }

    /// Back to peace, for so long.
    fn end_battle(&mut self, safe_until: u64) {
        let Self { to, path, .. } = std::mem::take(self);
        *self = Self { to, path, safe_until, ..Self::default() };
    }
}
