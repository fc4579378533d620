//! Where everything is, tick by tick: straight lines at 5 m/s that turn at the edges. The server is told these
//! places; the check computes them once more by itself.

use glam::{Vec2, Vec3};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use terrane::space::distance_squared;

/// Everybody's speed, m/s.
const SPEED_M_S: f32 = 5.0;
/// The world's limit of speed, m/s.
pub(crate) const SPEED_M_S_MAX: f32 = 6.0;
/// World time of a tick, s.
const DT_S: f32 = 0.05;
/// Radius in which things appear, m.
pub(crate) const ENTER_RADIUS_M: f32 = 50.0;
/// Radius beyond which they vanish, m.
pub(crate) const LEAVE_RADIUS_M: f32 = 55.0;
/// How many distances one look at a world whose side is searched for may compute.
const CALIBRATION_PAIRS_MAX: usize = 50_000_000;

/// All entities.
#[derive(Clone)]
pub(crate) struct Motion {
    /// Edge of the square world, m.
    pub(crate) side_m: f32,
    /// Where each is.
    pub(crate) places: Vec<Vec3>,
    /// How fast each goes, m/s.
    pub(crate) velocities: Vec<Vec2>,
    /// The entities that moved in the last step.
    pub(crate) moved: Vec<u32>,
    share: f64,
    tick: u64,
}

impl Motion {
    /// Everybody somewhere in the world, with a direction; before the first step.
    pub(crate) fn new(seed: u64, entities: usize, side_m: f32, share: f64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut unit = move || (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
        let places = (0..entities).map(|_| Vec3::new(unit() * side_m, unit() * side_m, 0.0)).collect();
        let velocities =
            (0..entities).map(|_| Vec2::from_angle(unit() * std::f32::consts::TAU) * SPEED_M_S).collect();
        Self { side_m, places, velocities, moved: Vec::new(), share, tick: 0 }
    }

    /// Moves everybody whose turn it is: this share of all, evenly over the ticks.
    pub(crate) fn step(&mut self) {
        self.tick += 1;
        self.moved.clear();
        for at in 0..self.places.len() {
            let turns = |tick: u64| ((at as u64 * 7 + tick) as f64 * self.share).floor();
            if turns(self.tick) == turns(self.tick - 1) {
                continue;
            }
            self.moved.push(at as u32);
            let (place, velocity) = (&mut self.places[at], &mut self.velocities[at]);
            let mut to = place.truncate() + *velocity * DT_S;
            for axis in 0..2 {
                if to[axis] < 0.0 || to[axis] >= self.side_m {
                    velocity[axis] = -velocity[axis];
                    to[axis] = place[axis];
                }
            }
            *place = to.extend(0.0);
        }
    }

    /// How many entities are within the enter radius of a viewer at an average tick of a run of this length.
    fn near_mean(&self, viewers: &[usize], ticks: usize) -> f64 {
        let looks =
            (CALIBRATION_PAIRS_MAX / (self.places.len() * viewers.len())).clamp(2, 50).min(ticks.max(2));
        let mut motion = self.clone();
        let mut near = 0;
        for look in 0..looks {
            while motion.tick < (look * ticks / looks) as u64 {
                motion.step();
            }
            let is_near =
                |place: &Vec3, from| distance_squared(*place, from) < ENTER_RADIUS_M * ENTER_RADIUS_M;
            near += viewers
                .iter()
                .map(|&viewer| {
                    motion.places.iter().filter(|place| is_near(place, motion.places[viewer])).count()
                })
                .sum::<usize>();
        }
        near as f64 / (looks * viewers.len()) as f64
    }

    /// How many entities a viewer holds for each that is near, since who leaves is held a little farther: a few
    /// viewers, followed all the way.
    fn held_per_near(&self, viewers: &[usize], ticks: usize) -> f64 {
        let few = (CALIBRATION_PAIRS_MAX / (self.places.len() * ticks.max(1))).clamp(1, 32);
        let few: Vec<usize> = viewers.iter().copied().step_by(viewers.len().div_ceil(few)).collect();
        let mut motion = self.clone();
        let mut held = vec![vec![false; self.places.len()]; few.len()];
        let (mut all_near, mut all_held) = (0u64, 0u64);
        for _ in 0..ticks {
            for (held, &viewer) in held.iter_mut().zip(&few) {
                let from = motion.places[viewer];
                for (held, place) in held.iter_mut().zip(&motion.places) {
                    let far = distance_squared(*place, from);
                    let is_near = far < ENTER_RADIUS_M * ENTER_RADIUS_M;
                    *held = is_near || (*held && far < LEAVE_RADIUS_M * LEAVE_RADIUS_M);
                    all_near += u64::from(is_near);
                    all_held += u64::from(*held);
                }
            }
            motion.step();
        }
        all_held as f64 / all_near.max(1) as f64
    }
}

/// What a run looks like.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Entities, avatars among them.
    pub(crate) entities: usize,
    /// Sessions.
    pub(crate) clients: usize,
    /// Mean number of entities in a view.
    pub(crate) visible: f64,
    /// Share of the entities that move in a tick.
    pub(crate) moved: f64,
    /// Share of the entities whose fields are masked.
    pub(crate) masked: f64,
    /// Share of the entities with fields that are evaluated for each player.
    pub(crate) per_player: f64,
    /// Everybody looks from one entity.
    pub(crate) same_spot: bool,
    /// Seed of the places.
    pub(crate) seed: u64,
    /// Edge of a cell, m, about: whole cells fill the world.
    pub(crate) cell_m: f32,
}

impl Scenario {
    /// A world so wide that viewers see the wanted number on average, edges of the world and hysteresis included.
    pub(crate) fn motion(&self, ticks: usize) -> Motion {
        let area_of_view = std::f64::consts::PI * f64::from(ENTER_RADIUS_M * ENTER_RADIUS_M);
        let mut side_m = (self.entities as f64 * area_of_view / self.visible).sqrt();
        let mut held_per_near = 1.0;
        for round in 0..6 {
            let motion = Motion::new(self.seed, self.entities, side_m as f32, self.moved);
            let mut eyes: Vec<usize> = (0..self.clients).map(|client| self.eye(&motion, client)).collect();
            eyes.dedup();
            if round == 0 {
                held_per_near = motion.held_per_near(&eyes, ticks);
            }
            side_m *= (motion.near_mean(&eyes, ticks) * held_per_near / self.visible).sqrt();
        }
        Motion::new(self.seed, self.entities, side_m as f32, self.moved)
    }

    /// The entity that a client looks from. Avatars are the last of all entities.
    pub(crate) fn eye(&self, motion: &Motion, client: usize) -> usize {
        if !self.same_spot {
            return self.entities - self.clients + client;
        }
        let middle = Vec3::new(motion.side_m / 2.0, motion.side_m / 2.0, 0.0);
        let far = |at: &usize| distance_squared(motion.places[*at], middle);
        (0..self.entities).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or_default()
    }
}
