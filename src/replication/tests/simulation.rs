//! A small world with everything that can happen to an entity, viewers, and the network between.

use std::collections::VecDeque;

use glam::Vec3;

use crate::client::mirror::Mirror;
use crate::ids::{NetId, Row, SlotIndex, TickNumber};
use crate::limits::{FIRST_SYNC_UPDATES_PER_TICK_MAX, UPDATE_BYTES_MAX};
use crate::replication::field::{FieldSpec, FieldWire, FieldWriter, Policy};
use crate::replication::oracle::{self, ExpectedEntity, Oracle};
use crate::replication::rows::{EncodedRow, FIELD_XY, FIELD_Z, RowDelta, Rows};
use crate::replication::schema::{ComponentSchema, Schema};
use crate::replication::view::MembershipChange;
use crate::replication::{UpdateHeader, View, ViewScratch, ViewSettings, Viewer};
use crate::space::{LatticePoint, distance_squared};

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
    FieldSpec { name, type_name: "test", policy: Policy::Broadcast, wire, precision: None, bytes_max }
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

pub(super) fn schema() -> Schema {
    let components = COMPONENTS
        .iter()
        .map(|&(name, fields)| ComponentSchema { name, fields, sent: fields.to_vec() })
        .collect();
    Schema { components, actions: Vec::new() }
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
        EncodedRow { components: self.components, bytes: out.bytes, ends: out.ends }
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
        }
    }
}

pub(super) struct World {
    pub(super) plan: WorldPlan,
    pub(super) rows: Rows,
    pub(super) creatures: Vec<Creature>,
    pub(super) dice: Dice,
    spawned: u64,
}

impl World {
    pub(super) fn new(plan: WorldPlan) -> Self {
        let mut world =
            Self { plan, rows: Rows::default(), creatures: Vec::new(), dice: Dice(plan.seed), spawned: 0 };
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
            components: dice.below(16),
            health: dice.below(300) as u32,
            label: dice.below(20) as usize,
            amount: dice.below(100) as u32,
            hold: dice.below(self.plan.hold_max as u64 + 1) as usize,
        }
    }

    /// One tick of life; `viewers` are the indices of those that shake. Nothing happens when `still`.
    pub(super) fn step(&mut self, viewers: usize, still: bool) {
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
        if dice.chance(plan.field_change) {
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
            it.components = dice.below(16);
        }
    }

    /// Finds and publishes the differences, as cells do.
    pub(super) fn publish(&mut self) {
        let mut deltas = Vec::new();
        for it in &self.creatures {
            let index = it.row.index();
            let encoded = it.encode();
            let place = LatticePoint::of(it.place);
            let old = self.rows.lattice[index];
            let mut mask = encoded.difference(&self.rows.encoded[index]);
            let fields_differ = mask != 0;
            if place.0[..2] != old.0[..2] {
                mask |= FIELD_XY;
            }
            if place.0[2] != old.0[2] {
                mask |= FIELD_Z;
            }
            let encoded = fields_differ.then_some(encoded);
            deltas.push(RowDelta { row: it.row, position: it.place, mask, encoded });
        }
        self.rows.publish(&mut deltas);
        self.rows.find_common_mask();
    }
}

/// What the network does; delays in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Network {
    pub(super) loss: f32,
    pub(super) duplicated: f32,
    pub(super) delay: u64,
    pub(super) jitter: u64,
}

impl Network {
    fn due(&self, tick: u64, dice: &mut Dice) -> u64 {
        tick + self.delay + dice.below(self.jitter + 1)
    }
}

pub(super) struct Session {
    pub(super) view: View,
    pub(super) mirror: Mirror,
    pub(super) oracle: Oracle,
    pub(super) expected: Vec<NetId>,
    pub(super) updates_in_air: Vec<(u64, Vec<u8>)>,
    records_in_air: VecDeque<(u64, u32, Vec<u8>)>,
    acks_in_air: Vec<(u64, (u32, u64))>,
    pub(super) membership: MembershipChange,
}

pub(super) struct Simulation {
    pub(super) world: World,
    pub(super) schema: Schema,
    pub(super) settings: ViewSettings,
    pub(super) network: Network,
    pub(super) sessions: Vec<Session>,
    pub(super) tick: u64,
    pub(super) bytes: u64,
    pub(super) updates: u64,
    pub(super) separate_records: u64,
    pub(super) overflows: u64,
    /// Updates that a mirror refused; only where mistakes are planted.
    pub(super) refused: u64,
    pub(super) tolerant: bool,
    dice: Dice,
    scratch: ViewScratch,
}

pub(super) const SETTINGS: ViewSettings =
    ViewSettings { enter_radius_m: 50.0, leave_radius_m: 55.0, entities_max: 256 };

impl Simulation {
    pub(super) fn new(plan: WorldPlan, viewers: usize, settings: ViewSettings, network: Network) -> Self {
        let session = || Session {
            view: View::default(),
            mirror: Mirror::default(),
            oracle: Oracle::default(),
            expected: Vec::new(),
            updates_in_air: Vec::new(),
            records_in_air: VecDeque::new(),
            acks_in_air: Vec::new(),
            membership: MembershipChange::default(),
        };
        Self {
            world: World::new(plan),
            schema: schema(),
            settings,
            network,
            sessions: (0..viewers).map(|_| session()).collect(),
            tick: 0,
            bytes: 0,
            updates: 0,
            separate_records: 0,
            overflows: 0,
            refused: 0,
            tolerant: false,
            dice: Dice(plan.seed ^ 77),
            scratch: ViewScratch::default(),
        }
    }

    /// One tick of everything.
    pub(super) fn step(&mut self, still: bool) {
        if self.tick > 0 {
            self.world.step(self.sessions.len(), still);
        }
        self.tick += 1;
        for index in 0..self.sessions.len() {
            self.run_session(index);
        }
    }

    /// One session's part of a tick.
    pub(super) fn run_session(&mut self, index: usize) {
        self.deliver_acks(index);
        self.follow(index);
        self.send(index);
        self.deliver_updates(index);
    }

    fn deliver_acks(&mut self, index: usize) {
        let tick = self.tick;
        let session = &mut self.sessions[index];
        for (_, (newest, bits)) in session.acks_in_air.extract_if(.., |it| it.0 <= tick) {
            let outcome = session.view.on_ack(&self.world.rows, newest, bits);
            assert!(!outcome.refused, "the client acknowledged what was never sent");
        }
    }

    fn follow(&mut self, index: usize) {
        let rows = &self.world.rows;
        let avatar = &self.world.creatures[index];
        let viewer = Viewer { position: avatar.place, avatar: avatar.row };
        let radius2 = self.settings.enter_radius_m * self.settings.enter_radius_m;
        let near = |row: &Row| distance_squared(rows.position[row.index()], viewer.position) < radius2;
        let hits: Vec<Row> = rows.iter().map(|(_, row)| row).filter(near).collect();
        let session = &mut self.sessions[index];
        session.membership =
            session.view.update_membership(rows, viewer, &hits, &self.settings, &mut self.scratch);
        session.expected = session.oracle.membership(
            oracle::world(rows),
            viewer.position,
            Some(avatar.net_id),
            &self.settings,
        );
    }

    fn send(&mut self, index: usize) {
        let header = UpdateHeader { tick: TickNumber(self.tick), input_seq: 7 };
        let (session, network, dice) = (&mut self.sessions[index], self.network, &mut self.dice);
        for _ in 0..FIRST_SYNC_UPDATES_PER_TICK_MAX {
            let mut bytes = Vec::new();
            let Some(update) =
                session.view.assemble(&self.world.rows, &header, &mut self.scratch, &mut bytes)
            else {
                break;
            };
            assert!(bytes.len() <= UPDATE_BYTES_MAX, "an update must fit a datagram");
            assert_eq!(bytes.len(), update.bytes);
            self.bytes += bytes.len() as u64;
            self.updates += 1;
            self.overflows += u64::from(update.overflowed);
            if let Some(record) = update.record {
                self.separate_records += 1;
                // Reliable and in order: late at worst.
                let after = session.records_in_air.back().map_or(0, |last| last.0);
                let due = network.due(self.tick, dice).max(after);
                session.records_in_air.push_back((due, update.seq, record));
            }
            for _ in 0..1 + u32::from(dice.chance(network.duplicated)) {
                if !dice.chance(network.loss) {
                    session.updates_in_air.push((network.due(self.tick, dice), bytes.clone()));
                }
            }
            if !session.view.enters_wait() {
                break;
            }
        }
    }

    fn deliver_updates(&mut self, index: usize) {
        let tick = self.tick;
        let session = &mut self.sessions[index];
        let mut due: Vec<Vec<u8>> =
            session.updates_in_air.extract_if(.., |it| it.0 <= tick).map(|(_, bytes)| bytes).collect();
        if tick % 3 == 1 && self.network.jitter > 0 {
            due.reverse();
        }
        for bytes in due {
            if let Err(error) = session.mirror.apply(&self.schema, &bytes) {
                assert!(self.tolerant, "an update of ours: {error}");
                self.refused += 1;
            }
        }
        while session.records_in_air.front().is_some_and(|record| record.0 <= tick) {
            let (_, seq, bytes) = session.records_in_air.pop_front().expect("just seen");
            session.mirror.take_record(&self.schema, seq, &bytes).expect("a record of ours");
        }
        if !self.dice.chance(self.network.loss) {
            let due = self.network.due(tick + 1, &mut self.dice);
            session.acks_in_air.push((due, session.mirror.ack()));
        }
    }

    /// What the session's client must hold.
    pub(super) fn wanted(&self, index: usize) -> Vec<ExpectedEntity> {
        let rows = &self.world.rows;
        let mut wanted: Vec<ExpectedEntity> = oracle::world(rows)
            .filter(|entity| self.sessions[index].expected.binary_search(&entity.net_id).is_ok())
            .map(|entity| oracle::expected_of(&entity))
            .collect();
        wanted.sort_unstable();
        wanted
    }

    /// What it holds.
    pub(super) fn held(&self, index: usize) -> Vec<ExpectedEntity> {
        held_by(&self.sessions[index].mirror)
    }

    /// How many clients hold something else than they must.
    pub(super) fn wrong(&self) -> usize {
        (0..self.sessions.len()).filter(|&index| self.held(index) != self.wanted(index)).count()
    }

    pub(super) fn assert_equal(&self) {
        for index in 0..self.sessions.len() {
            let (held, wanted) = (self.held(index), self.wanted(index));
            if held != wanted {
                let first = held.iter().zip(&wanted).find(|(held, wanted)| held != wanted);
                panic!(
                    "tick {}, client {index}: it holds {} entities, the oracle wants {}; first difference {first:?}",
                    self.tick,
                    held.len(),
                    wanted.len()
                );
            }
        }
    }

    /// Ticks of stillness until all clients are right and nothing is left to send; `None` after `ticks_max`.
    pub(super) fn ticks_to_converge(&mut self, ticks_max: u32) -> Option<u32> {
        let mut right_since = None;
        for tick in 0..ticks_max {
            self.step(true);
            right_since = if self.wrong() == 0 { right_since.or(Some(tick)) } else { None };
        }
        right_since
    }
}

pub(super) fn held_by(mirror: &Mirror) -> Vec<ExpectedEntity> {
    let mut held: Vec<ExpectedEntity> = mirror
        .entities()
        .map(|entity| ExpectedEntity {
            net_id: entity.net_id(),
            lattice: entity.lattice().0,
            components: entity.components(),
            fields: (2..2 + entity.encoded().ends.len() as u32)
                .map(|bit| entity.encoded().field(bit).to_vec())
                .collect(),
        })
        .collect();
    held.sort_unstable();
    held
}
