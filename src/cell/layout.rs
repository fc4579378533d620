//! The registry: which cells there are, who owns what, and who is whose neighbour. The only source of ownership.

use bevy_ecs::prelude::Resource;
use glam::{Vec2, Vec3};

use crate::ids::{CellId, SlotIndex};
use crate::space::Area;

/// One leaf of the layout: a cell that exists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaf {
    /// Its name.
    pub id: CellId,
    /// Where it lies.
    pub area: Area,
    /// The slot that holds it.
    pub slot: SlotIndex,
    /// Grows whenever the cell gets another owner: what was addressed to an older one is refused.
    pub epoch: u32,
}

/// Why a set of cells is not a layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Two cells cover the same place.
    #[error("cells {0} and {1} overlap: every place belongs to exactly one cell")]
    Overlap(CellId, CellId),
    /// The cells do not cover the world.
    #[error("the cells cover {covered} of {total} m²: every place of the world belongs to a cell")]
    Gap {
        /// Covered area, m², rounded.
        covered: u64,
        /// The world's area, m², rounded.
        total: u64,
    },
    /// A cell lies outside of the grid.
    #[error("cell {0} lies outside of the {1} x {2} grid")]
    Outside(CellId, u32, u32),
}

/// The cells of the world: a grid whose members may be halved again and again.
#[derive(Resource, Clone, Debug)]
pub struct Layout {
    world: Area,
    grid: [u32; 2],
    leaves: Vec<Leaf>,
    /// Per grid cell the leaves in it, as indices into `leaves`: a place is found in O(leaves of one grid cell).
    by_grid_cell: Vec<Vec<u32>>,
    /// Index into `leaves` by slot; `u32::MAX` for slots without a cell.
    by_slot: Vec<u32>,
}

impl Layout {
    /// A fixed grid of `columns × rows` cells, in slots 0…
    #[must_use]
    pub fn grid(world: Area, columns: u32, rows: u32) -> Self {
        let ids = (0..rows).flat_map(|cy| (0..columns).map(move |cx| CellId { world: 0, depth: 0, cx, cy }));
        Self::from_cells(world, [columns, rows], ids).expect("a grid covers the world once")
    }

    /// A layout of given cells over a grid, each in the next slot: mixed sizes are fine.
    ///
    /// # Errors
    /// When two cells overlap, the world is not covered, or a cell lies outside of it.
    pub fn from_cells(
        world: Area,
        grid: [u32; 2],
        cells: impl IntoIterator<Item = CellId>,
    ) -> Result<Self, LayoutError> {
        let mut layout = Self {
            world,
            grid,
            leaves: Vec::new(),
            by_grid_cell: vec![Vec::new(); (grid[0] * grid[1]) as usize],
            by_slot: Vec::new(),
        };
        let mut covered = 0.0;
        for (index, id) in cells.into_iter().enumerate() {
            let (gx, gy) = (id.cx >> id.depth, id.cy >> id.depth);
            if gx >= grid[0] || gy >= grid[1] {
                return Err(LayoutError::Outside(id, grid[0], grid[1]));
            }
            let members = &layout.by_grid_cell[(gy * grid[0] + gx) as usize];
            let clash = members.iter().map(|&other| layout.leaves[other as usize].id).find(|other| {
                let depth = id.depth.min(other.depth);
                let at = |cell: &CellId| (cell.cx >> (cell.depth - depth), cell.cy >> (cell.depth - depth));
                at(&id) == at(other)
            });
            if let Some(other) = clash {
                return Err(LayoutError::Overlap(other, id));
            }
            let area = layout.area_of(id);
            let size = area.size();
            covered += f64::from(size.x) * f64::from(size.y);
            layout.by_grid_cell[(gy * grid[0] + gx) as usize].push(index as u32);
            layout.by_slot.push(index as u32);
            layout.leaves.push(Leaf { id, area, slot: SlotIndex(index as u32), epoch: 1 });
        }
        let size = world.size();
        let total = f64::from(size.x) * f64::from(size.y);
        if (covered - total).abs() > total * 1e-4 {
            return Err(LayoutError::Gap { covered: covered.round() as u64, total: total.round() as u64 });
        }
        Ok(layout)
    }

    /// The box of the whole world.
    #[must_use]
    pub fn world(&self) -> Area {
        self.world
    }

    /// All cells, in the order of their slots.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The cell in a slot.
    #[must_use]
    pub fn leaf(&self, slot: SlotIndex) -> Option<&Leaf> {
        self.leaves.get(*self.by_slot.get(slot.index())? as usize)
    }

    /// Where the edge between two columns (or rows) of cells of one depth lies. One formula for both sides of
    /// an edge, so no place falls between two cells.
    fn edge(&self, axis: usize, depth: u8, index: u32) -> f32 {
        let (min, max) = (self.world.min[axis], self.world.max[axis]);
        let count = self.grid[axis] << depth;
        if index == count { max } else { min + (max - min) * (index as f32 / count as f32) }
    }

    /// The box of a cell, whether it exists or not.
    #[must_use]
    pub fn area_of(&self, id: CellId) -> Area {
        Area {
            min: Vec2::new(self.edge(0, id.depth, id.cx), self.edge(1, id.depth, id.cy)),
            max: Vec2::new(self.edge(0, id.depth, id.cx + 1), self.edge(1, id.depth, id.cy + 1)),
        }
    }

    /// The cell that a place belongs to. Places outside of the world belong to the nearest cell.
    #[must_use]
    pub fn locate(&self, place: Vec3) -> &Leaf {
        let place = self.world.clamp(place);
        let column = |axis: usize| {
            let (min, max) = (self.world.min[axis], self.world.max[axis]);
            let guess = ((place[axis] - min) / (max - min) * self.grid[axis] as f32) as u32;
            let mut index = guess.min(self.grid[axis] - 1);
            // The division may round to the other side of an edge: the edge itself decides.
            while index > 0 && place[axis] < self.edge(axis, 0, index) {
                index -= 1;
            }
            while index + 1 < self.grid[axis] && place[axis] >= self.edge(axis, 0, index + 1) {
                index += 1;
            }
            index
        };
        let members = &self.by_grid_cell[(column(1) * self.grid[0] + column(0)) as usize];
        members
            .iter()
            .map(|&leaf| &self.leaves[leaf as usize])
            .find(|leaf| leaf.area.contains(place))
            .expect("the leaves of a grid cell cover it")
    }

    /// All other cells whose box lies within `margin` metres of this one's, corners included, at any depth. Whose
    /// ghosts a cell may need is asked with [`SpaceLimits::neighbour_margin_m`](super::SpaceLimits::neighbour_margin_m).
    #[must_use]
    pub fn neighbours(&self, slot: SlotIndex, margin: f32) -> Vec<Leaf> {
        let Some(own) = self.leaf(slot) else { return Vec::new() };
        self.leaves
            .iter()
            .filter(|leaf| leaf.slot != slot && leaf.area.touches(&own.area, margin))
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORLD: Area = Area { min: Vec2::ZERO, max: Vec2::new(1_000.0, 700.0) };

    fn mixed() -> Layout {
        let mut cells = vec![];
        for (cx, cy) in [(1, 0), (0, 1)] {
            cells.push(CellId { world: 0, depth: 0, cx, cy });
        }
        for (cx, cy) in [(0, 0), (1, 0), (0, 1)] {
            cells.push(CellId { world: 0, depth: 1, cx, cy });
        }
        for (cx, cy) in [(2, 2), (3, 2), (2, 3), (3, 3)] {
            cells.push(CellId { world: 0, depth: 2, cx, cy });
        }
        for (cx, cy) in [(2, 2), (3, 2), (2, 3), (3, 3)] {
            cells.push(CellId { world: 0, depth: 1, cx, cy });
        }
        Layout::from_cells(WORLD, [2, 2], cells).unwrap()
    }

    proptest! {
        /// A1, A2: every place has exactly one owner, on grids and on mixed sizes.
        #[test]
        fn every_place_belongs_to_exactly_one_cell(x in -50.0f32..1_050.0, y in -50.0f32..750.0, n in 1u32..9) {
            for layout in [Layout::grid(WORLD, n, 10 - n), mixed()] {
                let place = WORLD.clamp(Vec3::new(x, y, 0.0));
                let owners: Vec<_> = layout.leaves().iter().filter(|leaf| leaf.area.contains(place)).collect();
                prop_assert_eq!(owners.len(), 1);
                prop_assert_eq!(layout.locate(Vec3::new(x, y, 0.0)), owners[0]);
            }
        }
    }

    /// A3: neighbours are all leaves within the margin, corners and other depths included, and the relation
    /// is symmetric.
    #[test]
    fn neighbours_are_symmetric_and_include_corners() {
        let layout = mixed();
        for leaf in layout.leaves() {
            for near in layout.neighbours(leaf.slot, 60.0) {
                assert!(layout.neighbours(near.slot, 60.0).iter().any(|back| back.slot == leaf.slot));
            }
        }
        let grid = Layout::grid(WORLD, 5, 5);
        let middle = grid.locate(Vec3::new(500.0, 350.0, 0.0));
        assert_eq!(grid.neighbours(middle.slot, 10.0).len(), 8);
        assert_eq!(grid.neighbours(middle.slot, 150.0).len(), 14, "two rows of 140 m, one column of 200 m");
    }

    #[test]
    fn a_layout_has_no_overlap_and_no_gap() {
        let whole = CellId { world: 0, depth: 0, cx: 0, cy: 0 };
        let quarter = CellId { world: 0, depth: 1, cx: 1, cy: 1 };
        assert_eq!(
            Layout::from_cells(WORLD, [1, 1], [whole, quarter]).unwrap_err(),
            LayoutError::Overlap(whole, quarter)
        );
        assert!(matches!(Layout::from_cells(WORLD, [1, 1], [quarter]), Err(LayoutError::Gap { .. })));
        let outside = CellId { world: 0, depth: 0, cx: 2, cy: 0 };
        assert_eq!(
            Layout::from_cells(WORLD, [1, 1], [outside]).unwrap_err(),
            LayoutError::Outside(outside, 1, 1)
        );
    }
}
