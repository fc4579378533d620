//! Viewers of a small world, their clients, and the network between.

use std::collections::VecDeque;

use crate::client::mirror::Mirror;
use crate::ids::{NetId, Row, TickNumber};
use crate::ids::{PlayerId, Role};
use crate::limits::{FIRST_SYNC_UPDATES_PER_TICK_MAX, UPDATE_BYTES_MAX};
use crate::replication::oracle::{self, ExpectedEntity, Oracle, OracleViewer};
use crate::replication::policy::{Depends, ViewerContext};
use crate::replication::schema::Schema;
use crate::replication::view::{Look, MembershipChange, NothingPersonal};
use crate::replication::{UpdateHeader, View, ViewScratch, ViewSettings, Viewer};
use crate::space::distance_squared;

use super::world::{Dice, World, WorldPlan, schema};

/// Somebody of whom policies could not say anything.
pub(super) fn nobody() -> ViewerContext {
    ViewerContext::new(PlayerId::new("nobody").expect("a name"), Role::Player)
}

/// A look at a world in which everybody sees the same.
pub(super) fn look(viewer: Viewer, context: &ViewerContext) -> Look<'_> {
    Look { viewer, context, changes: Depends::NONE, always: &[], source: &NothingPersonal }
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
    pub(super) left_out: u64,
    /// Updates that a mirror refused; only where mistakes are planted.
    pub(super) refused: u64,
    pub(super) tolerant: bool,
    dice: Dice,
    scratch: ViewScratch,
}

pub(super) const SETTINGS: ViewSettings = ViewSettings::new(50.0, 55.0, 256);

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
            schema: schema(plan.cargo),
            settings,
            network,
            sessions: (0..viewers).map(|_| session()).collect(),
            tick: 0,
            bytes: 0,
            updates: 0,
            separate_records: 0,
            overflows: 0,
            left_out: 0,
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
        let context = nobody();
        let look = look(viewer, &context);
        session.membership =
            session.view.update_membership(rows, &look, &hits, &self.settings, &mut self.scratch);
        let viewer =
            OracleViewer { position: viewer.position, own: Some(avatar.net_id), ..OracleViewer::default() };
        session.expected = session.oracle.membership(oracle::world(rows), &viewer, &self.settings);
    }

    fn send(&mut self, index: usize) {
        let context = nobody();
        let avatar = &self.world.creatures[index];
        let look = look(Viewer { position: avatar.place, avatar: avatar.row }, &context);
        let header = UpdateHeader { tick: TickNumber(self.tick), input_seq: 7 };
        let (session, network, dice) = (&mut self.sessions[index], self.network, &mut self.dice);
        for _ in 0..FIRST_SYNC_UPDATES_PER_TICK_MAX {
            let mut bytes = Vec::new();
            let Some(update) =
                session.view.assemble(&self.world.rows, &look, &header, &mut self.scratch, &mut bytes)
            else {
                break;
            };
            assert!(bytes.len() <= UPDATE_BYTES_MAX, "an update must fit a datagram");
            assert_eq!(bytes.len(), update.bytes);
            self.bytes += bytes.len() as u64;
            self.updates += 1;
            self.overflows += u64::from(update.overflowed);
            self.left_out += session.view.take_left_out();
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
            if !session.view.may_burst() {
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
            .map(|entity| oracle::expected_of(&entity, &self.sessions[index].expected))
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
