//! What a world is made with, and whether it can be.

use std::fmt::Display;

use bevy_ecs::prelude::Resource;

use crate::ids::CellId;
use crate::limits::{
    CELL_DEPTH_MAX, CLIENT_BYTES_PER_TICK_MIN, GRACE_S_MAX, GRID_CELLS_MAX, HZ_MAX, LEAVE_RADIUS_M_MAX,
    PERIODIC_EVERY_S_DEFAULT, PERIODIC_EVERY_S_MAX, REPLIES_KEPT_S_DEFAULT, REPLIES_KEPT_S_MAX,
    REPLIES_KEPT_S_MIN, THREADS_MAX, UPDATE_BYTES_MAX, VIEW_ENTITIES_MAX, WORLD_EDGE_M_MAX,
};
use crate::replication::rule::Tiers;
use crate::space::Area;

use super::ServerError;

/// What a world is made with. All lengths in metres.
#[derive(Resource, Clone, Debug, PartialEq)]
pub struct WorldSettings {
    /// Its name.
    pub name: String,
    /// Seed of all chance in it.
    pub seed: u64,
    /// Key of all names in it: whoever does not know it cannot guess one.
    pub secret: u64,
    /// Its box.
    pub area: Area,
    /// Columns and rows of cells.
    pub grid: [u32; 2],
    /// Cells of mixed sizes instead of the whole grid, for tests of layouts.
    pub cells: Option<Vec<CellId>>,
    /// Ticks per second of world time.
    pub hz: u16,
    /// Radius in which things appear to a player, m.
    pub enter_radius_m: f32,
    /// Radius beyond which they vanish, m.
    pub leave_radius_m: f32,
    /// How far beyond its box a cell knows its neighbours' entities, m.
    pub ghost_margin_m: f32,
    /// How far anything may move in a tick, m.
    pub step_m_max: f32,
    /// How far from its leader something attached may be, m.
    pub attach_reach_m: f32,
    /// Most entities in a view.
    pub view_entities_max: usize,
    /// What is far is told less often.
    pub tiers: Tiers,
    /// Bytes of updates that a player is sent per tick on average; `None`: as much as one update takes.
    pub client_bytes_per_tick: Option<u32>,
    /// Edge of the buckets of a cell's index, m.
    pub bucket_m: f32,
    /// Most players at once.
    pub players_max: u32,
    /// How long a player whose connection is lost stays in the world and may come back as if nothing had been, s of world
    /// time.
    pub grace_s: u32,
    /// How long after a player left the answers to its actions are remembered, s of world time: a repeat gets the first one.
    pub replies_kept_s: u32,
    /// Players have profiles with whoever takes [`TickOutput::players`](super::TickOutput::players): asked for before they
    /// are let in, written when they leave. Without, everybody begins anew every time.
    pub keeps_players: bool,
    /// Seconds of world time between two scans for components of durability `periodic` that changed.
    pub periodic_every_s: u32,
    /// How many NPCs there are, whatever a save holds; `None` leaves them as they are.
    pub npcs: Option<u64>,
    /// Threads that run cells and sessions; 1 runs everything on the caller's.
    pub threads: usize,
    /// Every how many ticks all views are audited; `None` for never.
    pub audit_every: Option<u64>,
    /// Check after every tick that each entity has one owner and that nobody wrote a ghost. O(entities).
    pub check_invariants: bool,
}

impl Default for WorldSettings {
    /// The reference scene: 1 km² in 5 × 5 cells, 20 Hz, 50 m of sight.
    fn default() -> Self {
        let area = Area { min: glam::Vec2::ZERO, max: glam::Vec2::splat(1_000.0) };
        Self {
            name: "world".into(),
            seed: 1,
            secret: 0x7465_7272_616e_6500,
            area,
            grid: [5, 5],
            cells: None,
            hz: 20,
            enter_radius_m: 50.0,
            leave_radius_m: 55.0,
            ghost_margin_m: 57.5,
            step_m_max: 0.5,
            attach_reach_m: 2.0,
            view_entities_max: crate::limits::VIEW_ENTITIES_MAX,
            tiers: Tiers::default(),
            client_bytes_per_tick: None,
            bucket_m: crate::interest::BUCKET_EDGE_M_DEFAULT,
            players_max: 1_000,
            grace_s: 30,
            replies_kept_s: REPLIES_KEPT_S_DEFAULT,
            keeps_players: false,
            periodic_every_s: PERIODIC_EVERY_S_DEFAULT,
            npcs: None,
            threads: 1,
            audit_every: None,
            check_invariants: cfg!(debug_assertions),
        }
    }
}

impl WorldSettings {
    /// Sets the radii, the fastest speed (m/s) and the reach of attachments, and the least margin and step that
    /// they need.
    #[must_use]
    pub fn with_distances(mut self, enter_m: f32, leave_m: f32, speed_m_s: f32, attach_m: f32) -> Self {
        self.enter_radius_m = enter_m;
        self.leave_radius_m = leave_m;
        self.step_m_max = speed_m_s / f32::from(self.hz);
        self.attach_reach_m = attach_m;
        self.ghost_margin_m = self.ghost_margin_needed_m();
        self
    }

    /// The least ghost margin with which a viewer's candidates always lie in its own cell's index.
    #[must_use]
    pub fn ghost_margin_needed_m(&self) -> f32 {
        self.leave_radius_m + self.step_m_max + self.attach_reach_m
    }

    /// Whether a world can be made with them.
    ///
    /// # Errors
    /// When a value is out of its range, alone or against another: names it, what it is and what it must be.
    pub fn check(&self) -> Result<(), ServerError> {
        self.check_space()?;
        let need = self.ghost_margin_needed_m();
        if self.ghost_margin_m < need {
            return Err(ServerError::Margin { have: self.ghost_margin_m, need });
        }
        let cells = self.cells.as_ref().map_or_else(
            || u64::from(self.grid[0]).saturating_mul(u64::from(self.grid[1])),
            |cells| cells.len() as u64,
        );
        let deepest = self.cells.iter().flatten().map(|cell| cell.depth).max().unwrap_or(0);
        let whole = |setting, found: u64, least: u64, most: u64| {
            let expected = || format!("a whole number from {least} to {most}");
            require((least..=most).contains(&found), setting, &found, expected)
        };
        whole("grid", u64::from(self.grid[0].min(self.grid[1])), 1, GRID_CELLS_MAX)?;
        whole("the number of cells", cells, 1, GRID_CELLS_MAX)?;
        whole("the depth of a cell", deepest.into(), 0, CELL_DEPTH_MAX.into())?;
        whole("hz", self.hz.into(), 1, HZ_MAX.into())?;
        whole("view_entities_max", self.view_entities_max as u64, 1, VIEW_ENTITIES_MAX as u64)?;
        let (bytes, most) =
            (self.client_bytes_per_tick.unwrap_or(UPDATE_BYTES_MAX as u32), UPDATE_BYTES_MAX as u64);
        whole("client_bytes_per_tick", bytes.into(), CLIENT_BYTES_PER_TICK_MIN.into(), most)?;
        whole("grace_s", self.grace_s.into(), 0, GRACE_S_MAX.into())?;
        let (least, most) = (REPLIES_KEPT_S_MIN.into(), REPLIES_KEPT_S_MAX.into());
        whole("replies_kept_s", self.replies_kept_s.into(), least, most)?;
        whole("periodic_every_s", self.periodic_every_s.into(), 1, PERIODIC_EVERY_S_MAX.into())?;
        whole("threads", self.threads as u64, 1, THREADS_MAX as u64)?;
        whole("audit_every", self.audit_every.unwrap_or(1), 1, u64::from(u32::MAX))
    }

    /// The lengths, but for the margin.
    fn check_space(&self) -> Result<(), ServerError> {
        let corners = [self.area.min, self.area.max];
        let size = self.area.size();
        let is_area =
            corners.iter().all(|corner| corner.is_finite() && corner.abs().max_element() <= WORLD_EDGE_M_MAX)
                && size.min_element() > 0.0
                && size.max_element() <= WORLD_EDGE_M_MAX;
        require(is_area, "area", &format_args!("{} to {}", corners[0], corners[1]), || {
            format!(
                "a box with edges of more than 0 and at most {WORLD_EDGE_M_MAX} m, no farther than that from 0, 0"
            )
        })?;
        let length = |setting, found: f32, is_possible: bool| {
            require(found.is_finite() && is_possible, setting, &found, || {
                "a finite, positive length in m".into()
            })
        };
        length("enter_radius_m", self.enter_radius_m, self.enter_radius_m > 0.0)?;
        length("step_m_max", self.step_m_max, self.step_m_max > 0.0)?;
        length("bucket_m", self.bucket_m, self.bucket_m > 0.0)?;
        length("attach_reach_m", self.attach_reach_m, self.attach_reach_m >= 0.0)?;
        length("ghost_margin_m", self.ghost_margin_m, self.ghost_margin_m > 0.0)?;
        let is_beyond =
            self.leave_radius_m > self.enter_radius_m && self.leave_radius_m <= LEAVE_RADIUS_M_MAX;
        require(is_beyond, "leave_radius_m", &self.leave_radius_m, || {
            format!("more than enter_radius_m, {}, and at most {LEAVE_RADIUS_M_MAX} m", self.enter_radius_m)
        })
    }
}

fn require(
    holds: bool,
    setting: &'static str,
    found: &dyn Display,
    expected: impl FnOnce() -> String,
) -> Result<(), ServerError> {
    if holds {
        return Ok(());
    }
    Err(ServerError::Setting { setting, found: found.to_string(), expected: expected() })
}
