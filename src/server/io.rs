//! What goes into a tick and what comes out of it. Nothing else does.

use std::ops::{Deref, DerefMut};

use bevy_ecs::prelude::Resource;
use bytes::Bytes;

use crate::ids::{ConnectionId, DeviceId, PlayerId, Role, TickNumber};
use crate::net::ToNet;
use crate::players::{AuditRow, Order, OrderOutcome, PlayerRequest, ProfileAnswer};
use crate::protocol::messages::{ActionCall, AuditOutcome, Health};
use crate::reference::LoadedReference;

pub use crate::protocol::messages::Resume;
use crate::store::{ClaimAnswer, Delivery, PlanOutcome};

/// Somebody said a valid hello.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The connection.
    pub connection: ConnectionId,
    /// Who, as the token says.
    pub player: PlayerId,
    /// What the token allows.
    pub role: Role,
    /// Which client of the player's it is.
    pub device: DeviceId,
    /// The session that the client resumes, if it still holds one.
    pub resume: Option<Resume>,
    /// The number of its hello, which grows in the order in which they were heard.
    pub hello: u64,
}

impl Join {
    /// An ordinary player, who comes in anew with a device of that connection's number.
    #[must_use]
    pub fn anew(connection: ConnectionId, player: PlayerId) -> Self {
        let device = DeviceId(connection.0);
        Self { connection, player, role: Role::Player, device, resume: None, hello: 0 }
    }

    /// Which of two devices of one player is the later one: by the epoch that it holds; one that comes in anew is later than
    /// all. Of two of the same age the one is later that said hello later.
    #[must_use]
    pub fn age(&self) -> u32 {
        self.resume.map_or(u32::MAX, |held| held.epoch)
    }
}

/// An action of a client, in the order in which that client sent them.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientAction {
    /// The connection.
    pub connection: ConnectionId,
    /// The session it is meant for.
    pub epoch: u32,
    /// What.
    pub call: ActionCall,
}

/// Continuous input of a client: the newest of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientInput {
    /// The connection.
    pub connection: ConnectionId,
    /// The session it is meant for.
    pub epoch: u32,
    /// Number of the message it came in.
    pub seq: u32,
    /// (index of the action in the schema, payload).
    pub inputs: Vec<(u16, Vec<u8>)>,
}

/// What a client says it has. Not part of the gameplay: it decides what is sent again, never what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAck {
    /// The connection.
    pub connection: ConnectionId,
    /// The session it is meant for.
    pub epoch: u32,
    /// The newest update applied.
    pub newest: u32,
    /// Bit *i*: update `newest - 1 - i` was applied too.
    pub bits: u64,
    /// How many lasting messages of the session it was given.
    pub heard: u64,
}

/// What a client's check of an audit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAudit {
    /// The connection.
    pub connection: ConnectionId,
    /// Which audit.
    pub audit: u32,
    /// What it found.
    pub outcome: AuditOutcome,
}

/// Everything a tick may know of the outside, sealed before it starts. Given the state of the world, it
/// decides the next: two servers fed the same inputs go through the same states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickInput {
    /// The tick's number.
    pub tick: TickNumber,
    /// Calendar time, milliseconds since 1970, never less than the last tick's.
    pub now_ms: u64,
    /// Who wants in.
    pub joins: Vec<Join>,
    /// Who said goodbye.
    pub leaves: Vec<ConnectionId>,
    /// Whose connection is gone; of one that said goodbye in the same tick, `leaves` counts.
    pub losses: Vec<ConnectionId>,
    /// Profiles that were asked for, as the store found them.
    pub profiles: Vec<ProfileAnswer>,
    /// What became of plans.
    pub plans: Vec<PlanOutcome>,
    /// What was found of claims that were looked up.
    pub claims: Vec<ClaimAnswer>,
    /// What couriers have delivered of what was in the outbox. One comes again when the process died before that was written down.
    pub delivered: Vec<Delivery>,
    /// Why nothing of value changes hands now, if it does not: the store does not work.
    pub value_refused: Option<String>,
    /// What operators order about players.
    pub orders: Vec<Order>,
    /// Another version of the reference data, which the store has written down: the tick goes by it already.
    pub reference: Option<LoadedReference>,
    /// Actions.
    pub actions: Vec<ClientAction>,
    /// Continuous input.
    pub inputs: Vec<ClientInput>,
    /// Acks.
    pub acks: Vec<ClientAck>,
    /// Audit reports.
    pub audits: Vec<ClientAudit>,
    /// Ticks whose images the store has made durable.
    pub images_saved: Vec<TickNumber>,
    /// How the world does, for players.
    pub health: Health,
    /// Make an image of the world in this tick.
    pub save: bool,
    /// The server is shutting down: let nobody in, tell everybody.
    pub draining: bool,
}

impl TickInput {
    /// Sorts every list by its items' own ids, so that the order of arrival means nothing. One client's
    /// actions keep their order.
    pub fn seal(&mut self) {
        // Connections are named at random: which device plays must not be by chance.
        let order = |join: &Join| (join.age(), join.hello, join.connection);
        self.joins.sort_by(|a, b| a.player.cmp(&b.player).then_with(|| order(a).cmp(&order(b))));
        self.leaves.sort_unstable();
        self.losses.sort_unstable();
        self.profiles.sort_by_key(|answer| answer.number);
        self.plans.sort_by_key(|outcome| outcome.number);
        self.claims.sort_by_key(|answer| answer.number);
        self.delivered.sort_by_key(|delivery| delivery.id);
        self.orders.sort_by_key(|order| order.number);
        self.actions.sort_by_key(|action| action.connection);
        self.inputs.sort_by_key(|input| (input.connection, input.seq));
        self.acks.sort_by_key(|ack| (ack.connection, ack.newest));
        self.audits.sort_by_key(|audit| (audit.connection, audit.audit));
        self.images_saved.sort_unstable();
    }
}

/// What a tick gives to the outside.
#[derive(Debug, Default)]
pub struct TickOutput {
    /// Messages for clients; those of one connection are in order.
    pub messages: Vec<ToNet>,
    /// The image that `save` asked for.
    pub image: Option<WorldImage>,
    /// What is asked of whoever keeps players, in this order: it has to be carried out, however long that takes.
    pub players: Vec<PlayerRequest>,
    /// What was done with power over others in this tick, to be appended to the records: moderation, and whatever else is
    /// made in the tick, such as actions of scope `global`.
    pub audit: Vec<AuditRow>,
    /// What came of the input's orders.
    pub orders: Vec<OrderOutcome>,
    /// What there is to tell about the tick.
    pub report: TickReport,
}

/// The input of the tick under way, for the engine's own systems: a game's can name neither connections nor the store.
#[derive(Resource, Debug)]
pub(crate) struct SealedInput(pub(super) TickInput);

impl Deref for SealedInput {
    type Target = TickInput;
    fn deref(&self) -> &TickInput {
        &self.0
    }
}

impl DerefMut for SealedInput {
    fn deref_mut(&mut self) -> &mut TickInput {
        &mut self.0
    }
}

/// The output of the tick under way, for the engine's own systems: what a game sends, it says to the engine.
#[derive(Resource, Debug, Default)]
pub(crate) struct OutputSoFar(pub(super) TickOutput);

impl Deref for OutputSoFar {
    type Target = TickOutput;
    fn deref(&self) -> &TickOutput {
        &self.0
    }
}

impl DerefMut for OutputSoFar {
    fn deref_mut(&mut self) -> &mut TickOutput {
        &mut self.0
    }
}

/// Everything registered, as of one point of one tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldImage {
    /// The tick it was made in.
    pub tick: TickNumber,
    /// That tick's calendar time.
    pub now_ms: u64,
    /// Fingerprint of the entities in it.
    pub fingerprint: u64,
    /// How many entities.
    pub entities: u64,
    /// Counters that must never run backwards.
    pub counters: Vec<(String, u64)>,
    /// The encoded entities and messages under way.
    pub bytes: Bytes,
}

/// The numbers of one tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickReport {
    /// Fingerprint of all owned entities at the end of the tick.
    pub fingerprint: u64,
    /// Entities alive.
    pub entities: u64,
    /// Ghosts of them.
    pub ghosts: u64,
    /// Cells.
    pub cells: u64,
    /// Players in the world, those included whose connection is lost and may come back.
    pub players: u64,
    /// Those of them whose connection is lost.
    pub lingering: u64,
    /// Players waiting to be let in.
    pub waiting: u64,
    /// Handovers since the start.
    pub handovers: u64,
    /// Bytes of state updates in this tick.
    pub update_bytes: u64,
    /// State updates in this tick.
    pub updates: u64,
    /// Updates in this tick that could not take everything that was pending.
    pub updates_full: u64,
    /// Entities of which a player has not been told something yet, over all players, after this tick's updates.
    pub pending_entities: u64,
    /// For how many ticks the longest-waiting of them has waited.
    pub pending_ticks_max: u16,
    /// Audits of clients and of the server itself since the start.
    pub audits: AuditTotals,
    /// Component values copied into ghosts in this tick.
    pub ghost_values_copied: u64,
    /// Further counters by name, since the start, for metrics.
    pub counters: Vec<(&'static str, u64)>,
}

/// What audits found since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditTotals {
    /// Audits that came to a result.
    pub conclusive: u64,
    /// Audits about which nothing can be said, because an update was lost or late.
    pub inconclusive: u64,
    /// Fields that conclusive audits compared.
    pub fields: u64,
    /// Fields that they had to leave out, because something was pending.
    pub fields_skipped: u64,
    /// Audits that found a difference.
    pub failures: u64,
}
