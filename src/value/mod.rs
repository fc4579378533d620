//! Value in the world: what players hold, and how it changes.
//!
//! *Does*: keeps what everybody in the world holds, as the store last said; takes what actions and systems ask for, one plan of
//! a player at a time; plans it, hands the plans over, and settles what the store committed: holdings, components, answers.
//! *Does not*: change value. That is the store's executor, and what it did is told by its summaries alone.
//! *Reads*: what is asked for, summaries in the tick's input. *Writes*: holdings in memory, [`Settled`] fields of components,
//! answers, plans in the tick's output.
//!
//! | set | here |
//! |---|---|
//! | `Settle` | summaries → holdings, components, answers |
//! | `Act` | actions of durability `immediate` → what is asked for |
//! | `Plan` | what is asked for, by (actor, order of asking) → plans, at most one of a player under way |

pub mod asked;
pub mod book;
pub mod desk;
pub mod immediate;
pub mod netting;
pub mod register;
pub mod settled;
pub mod stage;

pub use asked::{Committed, Delivered, RewardOutcome, RewardOutcomes, Rewards, RewardsOfNode};
pub use book::Book;
pub use desk::{Desk, ValueCounts};
pub use immediate::{Answer, Ask, AskContext};
pub use netting::HouseNet;
pub use register::ValueAppExt;
pub use settled::{Pen, Settled, Settles};

use std::sync::Arc;

use bevy_ecs::prelude::Resource;

use crate::reward::RewardTables;

/// The tables that rewards are planned with. A plan that is under way keeps those it was made with.
#[derive(Resource, Clone, Debug, Default)]
pub struct Tables(pub Arc<RewardTables>);
