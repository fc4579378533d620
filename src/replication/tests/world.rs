//! A small world with everything that can happen to an entity.

#![expect(clippy::disallowed_methods, reason = "test data: both sides of a comparison get the same")]

use std::sync::Arc;

use glam::Vec3;

use crate::ids::{NetId, Row, SlotIndex};
use crate::replication::field::{FieldSpec, FieldWire, FieldWriter};
use crate::replication::mask::{FIELD_XY, FIELD_Z};
use crate::replication::policy::ComponentPolicy;
use crate::replication::rows::{EncodedRow, RowDelta, RowMove, Rows};
use crate::replication::schema::{ComponentSchema, Schema};
use crate::replication::urgency::Urgency;
use crate::space::LatticePoint;

/// Splitmix64: enough for worlds that are not the real ones.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }
}

const fn field(name: &'static str, wire: FieldWire, bytes_max: usize) -> FieldSpec {
    FieldSpec::broadcast(name, "test", wire, bytes_max)
}

const BODY: &[FieldSpec] =
    &[field("velocity", FieldWire::Fixed(6), 6), field("health", FieldWire::Varint, 9)];
const LABEL: &[FieldSpec] = &[field("text", FieldWire::Prefixed, 64)];
const CARGO: &[FieldSpec] =
    &[field("amount", FieldWire::Varint, 9), field("hold", FieldWire::Prefixed, 4_000)];
const MARK: &[FieldSpec] = &[];
pub(super) const LABEL_BIT: u64 = 2;
pub(super) const CARGO_BIT: u64 = 4;
const COMPONENTS: [(&str, &[FieldSpec]); 4] =
    [("Body", BODY), ("Label", LABEL), ("Cargo", CARGO), ("Mark", MARK)];

/// What both ends know; `cargo` is the urgency of that component.
pub(super) fn schema(cargo: Urgency) -> Schema {
    let components = COMPONENTS
        .iter()
        .map(|&(name, fields)| ComponentSchema {
            name,
            policy: ComponentPolicy::Everyone,
            urgency: if name == "Cargo" { cargo } else { Urgency::USUAL },
            fields,
            sent: fields.to_vec(),
        })
        .collect();
    Schema { components, ..Schema::default() }
}

#[derive(Clone, Debug)]
pub(super) struct Creature {
    pub(super) net_id: NetId,
    pub(super) row: Row,
    pub(super) place: Vec3,
    pub(super) velocity: Vec3,
    pub(super) components: u64,
    pub(super) health: u32,
    pub(super) label: usize,
    pub(super) amount: u32,
    pub(super) hold: usize,
}

impl Creature {
    fn encode(&self) -> EncodedRow {
        let mut out = FieldWriter::default();
        if self.components & 1 != 0 {
            for axis in self.velocity.to_array() {
                out.put_raw(&((axis * 256.0) as i16).to_le_bytes());
            }
            out.end_field(FieldWire::Fixed(6), 6);
            out.put(&self.health);
            out.end_field(FieldWire::Varint, 9);
        }
        if self.components & LABEL_BIT != 0 {
            out.put_raw(&vec![b'x'; self.label]);
            out.end_field(FieldWire::Prefixed, 64);
        }
        if self.components & CARGO_BIT != 0 {
            out.put(&self.amount);
            out.end_field(FieldWire::Varint, 9);
            out.put_raw(&vec![self.amount as u8; self.hold]);
            out.end_field(FieldWire::Prefixed, 9_000);
        }
        EncodedRow { components: self.components, bytes: out.bytes, ends: out.ends, ids: out.ids }
    }
}

/// What a world does; chances are per entity and tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorldPlan {
    pub(super) seed: u64,
    pub(super) entities: usize,
    pub(super) edge_m: f32,
    /// Chance that health changes, and half of that for other fields.
    pub(super) field_change: f32,
    pub(super) structure_change: f32,
    pub(super) rebirth: f32,
    /// How far viewers jump to and fro each tick, m.
    pub(super) shake_m: f32,
    /// Largest hold, bytes: whole records above an update's size when large.
    pub(super) hold_max: usize,
    pub(super) classes: u64,
    /// Everybody has health, which changes together with the place every other second tick: the common mask
    /// holds a field then.
    pub(super) pulse: bool,
    pub(super) cargo: Urgency,
}

impl Default for WorldPlan {
    fn default() -> Self {
        Self {
            seed: 1,
            entities: 600,
            edge_m: 330.0,
            field_change: 0.02,
            structure_change: 0.003,
            rebirth: 0.002,
            shake_m: 0.0,
            hold_max: 40,
            classes: 3,
            pulse: false,
            cargo: Urgency::USUAL,
        }
    }
}

pub(super) struct World {
    pub(super) plan: WorldPlan,
    pub(super) rows: Rows,
    pub(super) creatures: Vec<Creature>,
    pub(super) dice: Dice,
    spawned: u64,
    ticks: u64,
}

impl World {
    pub(super) fn new(plan: WorldPlan) -> Self {
        let mut world = Self {
            plan,
            rows: Rows::of(Arc::new(schema(plan.cargo))),
            creatures: Vec::new(),
            dice: Dice(plan.seed),
            spawned: 0,
            ticks: 0,
        };
        world.rows.begin_tick();
        for _ in 0..plan.entities {
            let creature = world.spawn();
            world.creatures.push(creature);
        }
        world.publish();
        world
    }

    fn spawn(&mut self) -> Creature {
        self.spawned += 1;
        let net_id = NetId::derive(self.plan.seed, NetId::WORLD, self.spawned);
        let class = self.dice.below(self.plan.classes) as u8;
        let row = self.rows.insert(net_id, SlotIndex(0), class).expect("a new name");
        let edge = self.plan.edge_m;
        let dice = &mut self.dice;
        let angle = dice.unit() * std::f32::consts::TAU;
        Creature {
            net_id,
            row,
            place: Vec3::new(dice.unit() * edge, dice.unit() * edge, dice.unit() * 5.0),
            velocity: Vec3::new(angle.cos() * 6.0, angle.sin() * 6.0, 0.0),
            components: dice.below(16) | u64::from(self.plan.pulse),
            health: dice.below(300) as u32,
            label: dice.below(20) as usize,
            amount: dice.below(100) as u32,
            hold: dice.below(self.plan.hold_max as u64 + 1) as usize,
        }
    }

    /// One tick of life; `viewers` are the indices of those that shake. Nothing happens when `still`.
    pub(super) fn step(&mut self, viewers: usize, still: bool) {
        self.ticks += 1;
        self.rows.begin_tick();
        if !still {
            for index in 0..self.creatures.len() {
                self.live(index, index < viewers);
            }
        }
        self.publish();
    }

    fn live(&mut self, index: usize, viewer: bool) {
        let plan = self.plan;
        if !viewer && self.dice.chance(plan.rebirth) {
            self.rows.remove(self.creatures[index].net_id).expect("it lived");
            self.creatures[index] = self.spawn();
            return;
        }
        let dice = &mut self.dice;
        let it = &mut self.creatures[index];
        let mut place = it.place + it.velocity * 0.05;
        if viewer && plan.shake_m > 0.0 {
            place.x += (dice.unit() - 0.5) * plan.shake_m;
            place.y += (dice.unit() - 0.5) * plan.shake_m;
        }
        if place.x < 0.0 || place.x > plan.edge_m {
            it.velocity.x = -it.velocity.x;
        }
        if place.y < 0.0 || place.y > plan.edge_m {
            it.velocity.y = -it.velocity.y;
        }
        if dice.chance(plan.field_change) {
            place.z = dice.unit() * 5.0;
        }
        it.place = place.clamp(Vec3::ZERO, Vec3::new(plan.edge_m, plan.edge_m, 5.0));
        if dice.chance(plan.field_change) || (plan.pulse && self.ticks % 4 < 2) {
            it.health = dice.below(100_000) as u32;
        }
        if dice.chance(plan.field_change / 2.0) {
            it.label = dice.below(60) as usize;
        }
        if dice.chance(plan.field_change / 2.0) {
            it.amount = dice.below(1 << 20) as u32;
            it.hold = dice.below(plan.hold_max as u64 + 1) as usize;
        }
        if dice.chance(plan.structure_change) {
            it.components = dice.below(16) | u64::from(plan.pulse);
        }
    }

    /// Finds and publishes the differences, as cells do.
    pub(super) fn publish(&mut self) {
        let (mut moves, mut deltas) = (Vec::new(), Vec::new());
        for it in &self.creatures {
            let index = it.row.index();
            let encoded = it.encode();
            let place = LatticePoint::of(it.place);
            let old = self.rows.lattice[index];
            let mut moved = 0;
            if place.0[..2] != old.0[..2] {
                moved |= FIELD_XY;
            }
            if place.0[2] != old.0[2] {
                moved |= FIELD_Z;
            }
            moves.push(RowMove { row: it.row, position: it.place, mask: moved });
            let mask = encoded.difference(&self.rows.encoded[index]);
            if mask != 0 {
                deltas.push(RowDelta { row: it.row, position: it.place, mask, encoded });
            }
        }
        self.rows.publish_moves(&mut moves);
        self.rows.publish(&mut deltas);
    }
}
