//! A player on its way: marches along the roads, and fights those who lie in wait there.
//!
//! A march and a battle are in memory alone until they are over: what a battle comes to is settled at once, and until then nothing
//! of it is anybody's.
//!
//! | file | what |
//! |---|---|
//! | `march` | along the roads, and how fast |
//! | `ambush` | whether somebody lies in wait for whoever is far from any node |
//! | `meeting` | players who come near each other on the roads |
//! | `band` | whom one fights, and who attacks whom |
//! | `battle` | round by round, by rules that are functions of numbers |
//! | `spoils` | what a battle comes to, in one plan |
//! | `settle` | asks for these plans, and tells players of them once they are committed |
//! | `chronicle` | rows about battles and their rounds, written in batches |

mod ambush;
mod band;
mod battle;
mod chronicle;
mod march;
mod meeting;
mod settle;
mod spoils;

pub use band::Band;
pub use battle::{End, Fight, FightRefusal, Order};
pub use chronicle::{Begun, Chronicle, KeepBattle, KeepRounds, Round};
pub use march::{Halt, March, MarchRefusal};
pub use meeting::{Encounter, Meeting};
pub use settle::{BattleNews, Battles, BattlesHere};
pub use spoils::Spoils;

pub(super) use ambush::lie_in_wait;
pub(super) use battle::{fight, fight_on};
pub(super) use chronicle::{SEPARATE_ROWS, TABLES, write_down};
pub(super) use march::{halt, march, set_out};
pub(super) use meeting::meet;
pub(super) use settle::{bring_spoils, settle_battles};

use crate::prelude::*;

use super::hands::Hands;
use super::people::{Talents, Vigour};
use super::roads::NodeId;
use super::travel::for_owner as own;

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
    /// The nodes on the way there, the next one last. Without a place to go to, what is left of a march that was broken off.
    #[sync(server_only)]
    pub path: Vec<NodeId>,
    /// The name in the save of the node that it marches to.
    #[sync(server_only)]
    pub bound_for: String,
    /// [Which map](super::Roads::version) the nodes are of.
    #[sync(server_only)]
    pub map: u64,
    /// What it is to do in this round.
    #[sync(server_only)]
    pub order: Order,
    /// How hard one of its foes strikes.
    #[sync(server_only)]
    pub strength: f32,
    /// In which tick the battle began.
    #[sync(server_only)]
    pub begun: u64,
    /// And when, milliseconds of the world's calendar: no two battles of a player have the same.
    #[sync(server_only)]
    pub begun_ms: u64,
    /// How many injuries the player had then: whoever leaves in the middle of it is as it was when it comes back.
    #[sync(server_only)]
    pub injuries: u64,
    /// Who was lost in it so far.
    #[sync(server_only)]
    pub lost: Hands,
    /// Until when nobody attacks it: who was just beaten has nothing left to take.
    #[sync(server_only)]
    pub safe_until: u64,
    /// From when on it takes notice of other players on the road again.
    #[sync(server_only)]
    pub meets_after: u64,
    /// Where the coach that it has boarded takes it.
    #[sync(server_only)]
    pub coach_to: Option<Vec2>,
    /// When there is a coach for it again, in ticks.
    #[sync(server_only)]
    pub next_coach: u64,
}

fn own_or_party(viewing: &Viewing) -> bool {
    viewing.is_owner() || viewing.same_party()
}

/// Whom a battle is fought against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Foes {
    pub(super) band: Band,
    pub(super) count: u16,
    /// How hard one of them strikes.
    pub(super) strength: f32,
}

impl Campaign {
    /// Whether there is a battle.
    #[must_use]
    pub fn is_fighting(&self) -> bool {
        self.band.is_some()
    }

    /// The march is over where one is: the walker stops in the next step.
    pub(super) fn break_off(&mut self) {
        self.to = None;
        self.bound_for.clear();
    }

    /// From peace into a battle.
    fn begin_battle(&mut self, foes: Foes, talents: &Talents, vigour: Vigour, context: &TickContext) {
        let Foes { band, count, strength } = foes;
        self.injuries = vigour.injuries(context.now_ms);
        self.health = battle::health(talents, self.injuries);
        (self.band, self.foes, self.strength) = (Some(band), count, strength);
        (self.round, self.order, self.lost) = (1, Order::default(), Hands::default());
        (self.begun, self.begun_ms) = (context.tick.0, context.now_ms);
        self.round_ends = context.tick.0 + battle::round_ticks(context);
    }

    /// Back to peace, for so long.
    fn end_battle(&mut self, safe_until: u64) {
        (self.band, self.foes, self.strength, self.health) = (None, 0, 0.0, 0);
        (self.round, self.round_ends, self.order, self.lost) = (0, 0, Order::default(), Hands::default());
        (self.begun, self.begun_ms, self.injuries, self.safe_until) = (0, 0, 0, safe_until);
    }
}
