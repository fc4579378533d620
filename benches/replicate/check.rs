//! Whether the clients hold what they must: the run is computed once more, without the engine, and the oracle says
//! tick by tick who is in view of whom.

use std::collections::BTreeMap;

use glam::Vec3;
use terrane::cell::requests::CLASS_DEFAULT;
use terrane::client::Mirror;
use terrane::ids::NetId;
use terrane::limits::JOINS_PER_TICK_MAX;
use terrane::replication::oracle::{Oracle, OracleEntity, OracleViewer};
use terrane::replication::{EncodedRow, Schema, ViewSettings};
use terrane::space::LatticePoint;

use super::game::{Components, Health, MaskedHealth, MaskedVelocity, Offers, Velocity, player};
use super::motion::{LEAVE_RADIUS_M, Motion, Scenario};

/// Everything as it must be, up to some tick.
pub(crate) struct Expected {
    scenario: Scenario,
    rule: ViewSettings,
    motion: Motion,
    names: Vec<NetId>,
    oracles: Vec<Oracle>,
    views: Vec<Vec<NetId>>,
    eyes: Vec<usize>,
    x: Vec<f32>,
    y: Vec<f32>,
    nowhere: EncodedRow,
}

impl Expected {
    /// Before the first tick. `names` are those of the motion's entities.
    pub(crate) fn new(scenario: Scenario, rule: ViewSettings, motion: Motion, names: Vec<NetId>) -> Self {
        Self {
            rule,
            eyes: Vec::new(),
            oracles: vec![Oracle::default(); scenario.clients],
            views: vec![Vec::new(); scenario.clients],
            x: Vec::new(),
            y: Vec::new(),
            nowhere: EncodedRow::default(),
            scenario,
            motion,
            names,
        }
    }

    /// Follows the ticks in which players joined, as many as may at a time, and nothing moved.
    pub(crate) fn join(&mut self, ticks: usize) {
        let npcs = self.scenario.entities - self.scenario.clients;
        self.eyes = (npcs..self.scenario.entities).collect();
        for tick in 1..=ticks {
            let joined = (tick * JOINS_PER_TICK_MAX).min(self.scenario.clients);
            self.look(npcs + joined, joined);
        }
    }

    /// Gives everybody the eye of the scenario.
    pub(crate) fn start(&mut self) {
        let eye = |client| self.scenario.eye(&self.motion, client);
        let first = eye(0);
        self.eyes = (0..self.scenario.clients)
            .map(|client| if self.scenario.same_spot { first } else { eye(client) })
            .collect();
    }

    /// Follows one tick of the run. Everything within the leave radius is found by comparing with everything.
    pub(crate) fn step(&mut self, moves: bool) {
        if moves {
            self.motion.step();
        }
        self.look(self.scenario.entities, self.scenario.clients);
    }

    fn look(&mut self, entities: usize, clients: usize) {
        self.x.clear();
        self.y.clear();
        self.x.extend(self.motion.places[..entities].iter().map(|place| place.x));
        self.y.extend(self.motion.places[..entities].iter().map(|place| place.y));
        let mut near = Vec::new();
        for client in 0..clients {
            let eye = self.eyes[client];
            self.near(self.motion.places[eye], &mut near);
            let around = near.iter().map(|&at| OracleEntity {
                net_id: self.names[at],
                class: CLASS_DEFAULT,
                position: self.motion.places[at],
                encoded: &self.nowhere,
                placeless: false,
                subject: None,
            });
            let viewer = OracleViewer {
                position: self.motion.places[eye],
                own: Some(self.names[eye]),
                ..OracleViewer::default()
            };
            self.views[client] = self.oracles[client].membership(around, &viewer, &self.rule);
        }
    }

    /// The entities that could be in view from a place, and some more: a square around it, by brute force.
    fn near(&self, from: Vec3, near: &mut Vec<usize>) {
        near.clear();
        let reach = LEAVE_RADIUS_M + 1.0;
        for (block, (x, y)) in self.x.chunks(64).zip(self.y.chunks(64)).enumerate() {
            let inside = |x: f32, y: f32| (x - from.x).abs() < reach && (y - from.y).abs() < reach;
            let hits: u32 = x.iter().zip(y).map(|(&x, &y)| u32::from(inside(x, y))).sum();
            if hits > 0 {
                let at = block * 64;
                near.extend((0..x.len()).filter(|&lane| inside(x[lane], y[lane])).map(|lane| at + lane));
            }
        }
    }

    /// How many entities all views hold together.
    pub(crate) fn visible(&self) -> usize {
        self.views.iter().map(Vec::len).sum()
    }

    /// The first client that does not hold exactly its view, at the right places and with the right values.
    pub(crate) fn first_wrong(&self, mirrors: &[Mirror], schema: &Schema) -> Option<String> {
        let place_of: BTreeMap<NetId, usize> =
            self.names.iter().enumerate().map(|(at, &net_id)| (net_id, at)).collect();
        for (client, (mirror, view)) in mirrors.iter().zip(&self.views).enumerate() {
            let mut held: Vec<NetId> = mirror.entities().map(|entity| entity.net_id()).collect();
            held.sort_unstable();
            if held != *view {
                return Some(format!(
                    "client {client} holds {} entities, not its {}",
                    held.len(),
                    view.len()
                ));
            }
            for entity in mirror.entities() {
                let at = place_of[&entity.net_id()];
                let real = Components::of(&self.scenario, &self.motion, at);
                let (velocity, health) = real.told();
                let held = if real.masked {
                    let v = entity.component::<MaskedVelocity>(schema).map(|v| (v.x, v.y, v.z));
                    v.zip(entity.component::<MaskedHealth>(schema).map(|h| h.points))
                } else {
                    let v = entity.component::<Velocity>(schema).map(|v| (v.x, v.y, v.z));
                    v.zip(entity.component::<Health>(schema).map(|h| h.points))
                };
                let offers = real.offers.map(|offers| offers.told(&player(client)));
                if entity.lattice() != LatticePoint::of(self.motion.places[at])
                    || held != Some(((velocity.x, velocity.y, velocity.z), health.points))
                    || entity.component::<Offers>(schema) != offers
                {
                    return Some(format!("client {client} has another value of {}", entity.net_id()));
                }
            }
        }
        None
    }
}
