//! A server, the clients' mirrors, and a network between them of which every byte is seen.

use std::collections::{BTreeMap, BTreeSet};

use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::client::mirror::Mirror;
use terrane::ids::ConnectionId;
use terrane::net::ToNet;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::ServerControl;
use terrane::replication::audit::{AuditFinding, AuditFindings};
use terrane::replication::policy::Subject;
use terrane::replication::{Rows, Schema};
use terrane::server::io::{ClientAck, Join};
use terrane::server::{Server, TickInput, TickReport};
use terrane::session::{Session, Sessions};

use crate::game::{self, Absence, POPULATION, Plan, change_context, name_of};
use crate::things::NAMES;
use crate::truth::{self, Kind, Memory};
use crate::twigs::Grove;

/// What the network does to datagrams; delays in ticks. What is reliable is late alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    pub loss: f32,
    pub duplicate: f32,
    pub delay: usize,
    pub jitter: usize,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Update,
    /// An entity that is too large for an update.
    Record,
    /// A reliable event.
    Event,
    /// What the server thinks of all that it has sent.
    Audit,
    Other,
}

/// A message as it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    pub what: What,
    pub bytes: Vec<u8>,
}

/// A player's end.
pub struct Client {
    pub name: PlayerId,
    pub connection: ConnectionId,
    epoch: u32,
    pub avatar: Option<NetId>,
    pub mirror: Mirror,
    updates: Vec<(u64, Vec<u8>)>,
    acks: Vec<(u64, (u32, u64))>,
    records: Vec<(u64, u32, Vec<u8>)>,
    chance: Random,
    /// All that was sent to it in this tick, in order.
    pub sent: Vec<Sent>,
    /// Whether nothing of the view waits to be sent.
    pub is_settled: bool,
}

pub struct Stage {
    pub server: Server,
    pub plan: Plan,
    pub schema: Schema,
    pub kinds: Vec<Kind>,
    pub network: Network,
    pub clients: Vec<Client>,
    pub memories: BTreeMap<PlayerId, Memory>,
    pub report: TickReport,
    pins: BTreeMap<PlayerId, Vec<NetId>>,
    pinned_for_all: Vec<NetId>,
    joins: Vec<Join>,
    leaves: Vec<ConnectionId>,
    connections: u64,
    /// Contexts, pins and subjects change from without.
    pub meddles: bool,
    /// What is true for every player is followed, for who compares with that.
    pub knows_truth: bool,
}

impl Client {
    /// Bytes of what it was sent in this tick, without audits.
    pub fn bytes_told(&self) -> usize {
        self.sent.iter().filter(|sent| sent.what != What::Audit).map(|sent| sent.bytes.len()).sum()
    }
}

impl Stage {
    pub fn new(plan: Plan, settings: WorldSettings) -> Self {
        Self::of(game::game(&plan), plan, settings)
    }

    pub fn of(game: ServerBuilder, plan: Plan, settings: WorldSettings) -> Self {
        let server = game.build(settings, None).unwrap_or_else(|error| panic!("{error}"));
        Self {
            schema: server.game().schema.clone(),
            server,
            plan,
            kinds: truth::kinds(),
            network: Network::default(),
            clients: Vec::new(),
            memories: BTreeMap::new(),
            report: TickReport::default(),
            pins: BTreeMap::new(),
            pinned_for_all: Vec::new(),
            joins: Vec::new(),
            leaves: Vec::new(),
            connections: 0,
            meddles: true,
            knows_truth: true,
        }
    }

    pub fn join(&mut self, name: &str) {
        self.connections += 1;
        self.plan.note(1);
        let (connection, player) = (ConnectionId(self.connections), PlayerId::new(name).expect("a name"));
        self.joins.push(Join::anew(connection, player.clone()));
        self.clients.push(Client {
            chance: Random::named(self.plan.seed ^ self.connections, name),
            name: player,
            connection,
            epoch: 0,
            avatar: None,
            mirror: Mirror::default(),
            updates: Vec::new(),
            acks: Vec::new(),
            records: Vec::new(),
            sent: Vec::new(),
            is_settled: false,
        });
    }

    pub fn leave(&mut self, name: &str) {
        if let Some(place) = self.clients.iter().position(|client| client.name.as_str() == name) {
            self.plan.note(1);
            self.leaves.push(self.clients.remove(place).connection);
            self.pins.remove(&PlayerId::new(name).expect("a name"));
        }
    }

    /// What is known of an entity for policies.
    pub fn subjects(&mut self) -> BTreeMap<NetId, Subject> {
        let mut all = BTreeMap::new();
        with_cells(self.server.node_mut(), |_, cells| {
            for cell in cells.iter_mut() {
                let mut subjects = cell.world.query_filtered::<(&NetId, &Subject), With<Owned>>();
                all.extend(subjects.iter(&cell.world).map(|(&me, subject)| (me, subject.clone())));
            }
        });
        all
    }

    pub fn client(&self, name: &str) -> &Client {
        self.clients.iter().find(|client| client.name.as_str() == name).expect("it is here")
    }

    /// What audits have found.
    pub fn findings(&self) -> &[AuditFinding] {
        self.server.node().resource::<AuditFindings>().all()
    }

    /// What the client called so holds.
    pub fn held(&self, client: usize) -> truth::Sight {
        truth::held(&self.clients[client].mirror, &self.schema, &self.kinds)
    }

    /// The most levels of a tree that this client holds.
    pub fn deepest_grove(&self, client: usize) -> usize {
        let entities = self.clients[client].mirror.entities();
        let groves = entities.filter_map(|entity| entity.component::<Grove>(&self.schema));
        groves.map(|grove| grove.root.levels()).max().unwrap_or(0)
    }

    /// What a player must be told.
    pub fn expected(&self, player: &PlayerId) -> &truth::Sight {
        &self.memories[player].sight
    }

    /// Players come and go as it is written.
    pub fn come_and_go(&mut self, tick: u64) {
        for (number, name) in NAMES.iter().enumerate() {
            match (tick, (tick + 17 * number as u64) % 80) {
                (1, _) if number < 2 => self.join(name),
                (2, _) if number < 2 => {}
                (_, 30) if number > 1 => self.leave(name),
                (_, 41) if self.clients.iter().all(|client| client.name.as_str() != *name) => self.join(name),
                _ => {}
            }
        }
    }

    pub fn tick(&mut self) {
        let tick = self.server.next_tick();
        let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
        input.joins = std::mem::take(&mut self.joins);
        input.leaves = std::mem::take(&mut self.leaves);
        for client in &mut self.clients {
            for (_, (newest, bits)) in client.acks.extract_if(.., |(due, _)| *due <= tick.0) {
                let (connection, epoch) = (client.connection, client.epoch);
                input.acks.push(ClientAck { connection, epoch, newest, bits, heard: 0 });
            }
        }
        if self.meddles {
            self.meddle(tick);
        }
        let output = self.server.tick(input);
        self.report = output.report;
        self.deliver(tick.0, output.messages);
        let pinned = |player: &PlayerId| -> BTreeSet<NetId> {
            self.pins.get(player).into_iter().flatten().chain(&self.pinned_for_all).copied().collect()
        };
        if !self.knows_truth {
            return;
        }
        truth::follow(self.server.node_mut(), &self.schema, &self.kinds, &mut self.memories, pinned);
        let sessions = self.server.node().resource::<Sessions>();
        for client in &mut self.clients {
            let session = sessions.of_player(&client.name);
            client.is_settled = session
                .is_some_and(|session| !session.view.enters_wait() && session.view.pending_entities().0 == 0);
        }
    }

    /// Changes contexts, pins and a subject, as node systems would.
    fn meddle(&mut self, tick: TickNumber) {
        let plan = self.plan.clone();
        let node = self.server.node_mut();
        let alive: BTreeSet<NetId> = node.resource::<Rows>().iter().map(|(net_id, _)| net_id).collect();
        let mut sessions = node.resource_mut::<Sessions>();
        let clients = &self.clients;
        let stays = |session: &&mut Session| {
            let is = |client: &Client| (&client.name, client.epoch) == (&session.player, session.id.epoch);
            clients.iter().any(is)
        };
        for session in sessions.iter_mut().filter(stays) {
            change_context(&plan, &mut session.context, tick);
            let is_open = session.player.as_str() == "alice";
            let seed = if is_open { plan.seed } else { plan.secret.unwrap_or(plan.seed) };
            let mut chance = Random::named(seed ^ tick.0 << 21, session.player.as_str());
            let pins = self.pins.entry(session.player.clone()).or_default();
            if chance.chance(0.03) {
                plan.note(1);
                let one = name_of(1 + chance.below(POPULATION as usize) as u64);
                session.pinned.pin(one);
                pins.push(one);
            }
            if !pins.is_empty() && chance.chance(0.04) {
                plan.note(1);
                let one = pins.swap_remove(chance.below(pins.len()));
                assert!(session.pinned.unpin(one) || !alive.contains(&one), "it was pinned, or is dead");
            }
        }
        let mut chance = Random::named(plan.seed ^ tick.0 << 22, "everybody");
        if chance.chance(0.01) && self.pinned_for_all.len() < 3 {
            plan.note(1);
            let one = name_of(1 + chance.below(POPULATION as usize) as u64);
            sessions.pinned_for_all.pin(one);
            self.pinned_for_all.push(one);
        }
        if !self.pinned_for_all.is_empty() && chance.chance(0.01) {
            plan.note(1);
            let one = self.pinned_for_all.remove(0);
            assert!(sessions.pinned_for_all.unpin(one) || !alive.contains(&one), "it was pinned, or is dead");
        }
        let who = name_of(1 + chance.below(POPULATION as usize) as u64);
        with_cells(node, |_, cells| {
            for cell in cells.iter_mut() {
                let mut subjects = cell.world.query_filtered::<(&NetId, &mut Subject), With<Owned>>();
                for (&me, mut subject) in subjects.iter_mut(&mut cell.world) {
                    if me == who && plan.absence(me, tick) == Absence::None {
                        plan.dice(me, tick, 5).change_subject(&mut subject);
                        plan.note(1);
                    }
                }
            }
        });
    }

    /// Sorts what was sent by receiver, and lets arrive what is due.
    fn deliver(&mut self, tick: u64, messages: Vec<ToNet>) {
        let network = self.network;
        for client in &mut self.clients {
            client.sent.clear();
        }
        for message in messages {
            let Some(client) =
                self.clients.iter_mut().find(|client| client.connection == message.connection())
            else {
                continue;
            };
            match message {
                ToNet::Update { bytes, .. } => {
                    client.sent.push(Sent { what: What::Update, bytes: bytes.to_vec() });
                    let copies = 1 + usize::from(client.chance.chance(network.duplicate));
                    let mut faults = copies as u64 - 1;
                    for _ in 0..copies {
                        let late = network.delay + client.chance.below(network.jitter + 1);
                        if client.chance.chance(network.loss) {
                            faults += 1;
                        } else {
                            faults += u64::from(late > network.delay);
                            client.updates.push((tick + late as u64, bytes.to_vec()));
                        }
                    }
                    self.plan.note(faults);
                }
                ToNet::Control { message, .. } => {
                    let what = match &message {
                        ServerControl::Record { .. } => What::Record,
                        ServerControl::Event { .. } => What::Event,
                        ServerControl::Audit(_) => What::Audit,
                        _ => What::Other,
                    };
                    client.sent.push(Sent { what, bytes: codec::encode(&message) });
                    match message {
                        ServerControl::Audit(request) => client.mirror.take_audit(request),
                        ServerControl::Welcome(welcome) => {
                            client.avatar = Some(welcome.avatar);
                            client.mirror = Mirror::default();
                        }
                        ServerControl::Record { update_seq, bytes } => {
                            let late = network.delay + 2 * usize::from(client.chance.chance(network.loss));
                            client.records.push((tick + late as u64, update_seq, bytes));
                        }
                        _ => {}
                    }
                }
                ToNet::SetEpoch { epoch, .. } => client.epoch = epoch,
                other => panic!("nobody is thrown out: {other:?}"),
            }
        }
        let schema = &self.schema;
        for client in &mut self.clients {
            for (_, seq, bytes) in client.records.extract_if(.., |(due, ..)| *due <= tick) {
                client.mirror.take_record(schema, seq, &bytes).expect("an honest record");
            }
            for (_, bytes) in client.updates.extract_if(.., |(due, _)| *due <= tick) {
                client.mirror.apply(schema, &bytes).expect("an honest update");
            }
            if client.epoch != 0 && !client.chance.chance(network.loss) {
                let late = 1 + network.delay + client.chance.below(network.jitter + 1);
                client.acks.push((tick + late as u64, client.mirror.ack()));
            }
        }
    }
}
