//! The land as bots know it.

use crate::prelude::*;

use super::super::Roads;

/// What bots know of the land before they see it.
#[derive(Clone, Debug, PartialEq)]
pub struct BotMap {
    /// Where to walk to.
    pub places: Vec<Vec2>,
    /// Columns and rows of cells that borders are expected of.
    pub grid: [u32; 2],
}

impl BotMap {
    /// The trade nodes of a road network, and a grid of cells.
    #[must_use]
    pub fn new(roads: &Roads, grid: [u32; 2]) -> Self {
        Self { places: roads.nodes.iter().map(|node| node.place.truncate()).collect(), grid }
    }

    /// The shipped world's: its trade nodes, and cells of 200 m.
    #[must_use]
    pub fn shipped() -> Self {
        Self::new(&Roads::shipped(), [5, 5])
    }

    /// The length of a cell's edges in a world of this size, m.
    pub(super) fn cell_size(&self, area: &Area) -> Vec2 {
        area.size() / Vec2::new(self.grid[0].max(1) as f32, self.grid[1].max(1) as f32)
    }
}
