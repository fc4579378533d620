//! What the nodes ask for: a notice board that everybody hears of.

use crate::cell::pool::NodeContext;
use crate::prelude::*;

use super::bounty::{asked_for, bounty_period};
use super::goods::Good;
use super::roads::NodeId;

/// Of so many nodes the board tells at most.
const NODES_TOLD_MAX: usize = 200;

/// How many nodes the map has.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(super) struct NodeCount(pub(super) usize);

/// The bounties that stand.
#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Board {
    /// Which minutes they are for.
    #[sync(broadcast)]
    pub period: u64,
    /// What each node asks for, by the node's index.
    #[sync(broadcast, max_bytes = 256)]
    pub asked: Vec<Good>,
}

/// Puts up new bounties when it is time.
pub(super) fn post_bounties(
    context: Res<NodeContext>,
    settings: Res<WorldSettings>,
    nodes: Res<NodeCount>,
    mut board: ResMut<Board>,
) {
    let period = bounty_period(context.0.now_ms);
    let told = nodes.0.min(NODES_TOLD_MAX);
    if board.period != period || board.asked.len() != told {
        let asked = (0..told).map(|node| asked_for(settings.seed, NodeId(node as u16), period));
        *board = Board { period, asked: asked.collect() };
    }
}
