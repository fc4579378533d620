//! Every message but the state update, whose layout is in [`replication`](crate::replication).
//!
//! Reliable messages travel in an [`Envelope`]: the session's epoch and a number that grows by one per message
//! and direction. Either end refuses a stale epoch and a number it has had; nothing of a session that is over
//! can reach the one that follows it.

use serde::{Deserialize, Serialize};

use crate::ids::{ActionId, NetId, PlayerId};
use crate::space::Area;

/// Constant of every Terrane world; which game and version is the hello's business.
pub const PROTOCOL_ID: u64 = 0x5445_5252_414e_4501;

/// Channel of state updates (server to client) and of acks with latest-wins input (client to server):
/// unreliable, one message a tick.
pub const CHANNEL_STATE: u8 = 0;
/// Channel of everything else: reliable and ordered.
pub const CHANNEL_CONTROL: u8 = 1;

/// What every reliable message travels in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The session this belongs to; 0 before there is one.
    pub epoch: u32,
    /// 1 for the first message of this direction in this connection, then one more each.
    pub seq: u64,
    /// The message.
    pub payload: T,
}

/// Client to server, reliable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientControl {
    /// Must be first. The server answers with `Welcome` or `Refused`.
    Hello {
        /// [`Schema::hash`](crate::replication::Schema::hash) of the client's game.
        schema_hash: u64,
        /// Version of the client, for people.
        version: String,
    },
    /// Do this.
    Action(ActionCall),
    /// What the client found when it checked an [`AuditRequest`].
    AuditReport {
        /// Which request.
        audit: u32,
        /// The outcome.
        outcome: AuditOutcome,
    },
    /// The player is leaving on purpose.
    Bye,
}

/// An action as a client sends it: untrusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionCall {
    /// Chosen by the client; the reply names it.
    pub id: ActionId,
    /// Index of the action in the schema.
    pub kind: u16,
    /// The encoded action.
    pub payload: Vec<u8>,
}

/// Client to server, unreliable, one a tick: what it has, and what it wants right now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientState {
    /// The session this belongs to.
    pub epoch: u32,
    /// Grows with each message; an older one is dropped.
    pub seq: u32,
    /// The newest update applied, 0 for none.
    pub ack_newest: u32,
    /// Bit *i*: update `ack_newest - 1 - i` was applied too.
    pub ack_bits: u64,
    /// Latest-wins inputs: (index of the action in the schema, encoded action). At most one per kind.
    pub inputs: Vec<(u16, Vec<u8>)>,
}

/// Server to client, reliable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ServerControl {
    /// The hello was understood; the player waits to be admitted.
    Queued {
        /// How many are before it.
        ahead: u32,
    },
    /// The player is in.
    Welcome(Welcome),
    /// The player is not let in, or not any longer; the connection ends.
    Refused(Refusal),
    /// The one answer to an action.
    Reply(ActionReply),
    /// Check this.
    Audit(AuditRequest),
    /// Something a person should read.
    Notice(String),
    /// Something that happened, as this player may know it.
    Event {
        /// Index among the kinds of the schema.
        kind: u16,
        /// The entity it is about; [`NetId::WORLD`] for none that the player sees.
        about: NetId,
        /// What it says.
        payload: Vec<u8>,
    },
    /// A record too large for an update, to be applied as if it came in that update.
    Record {
        /// The update it belongs to.
        update_seq: u32,
        /// An enter record in the state update's own layout.
        bytes: Vec<u8>,
    },
}

/// What a client must know before its first update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who the token says this is.
    pub player: PlayerId,
    /// This session.
    pub epoch: u32,
    /// The entity the player steers.
    pub avatar: NetId,
    /// Name of the world.
    pub world: String,
    /// Ticks a second when the world keeps up.
    pub hz: u16,
    /// The world's box.
    pub area: Area,
    /// Radius in which things appear, m.
    pub enter_radius_m: f32,
    /// Radius beyond which they vanish, m.
    pub leave_radius_m: f32,
}

/// Why a connection is refused or ended, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The two programs do not know the same components and actions.
    #[error(
        "this client's game is not the server's: the client has schema {client:016x} (version {client_version}), the server {server:016x} (version {server_version}); install the matching client"
    )]
    Schema {
        /// Hash of the client's schema.
        client: u64,
        /// Version of the client.
        client_version: String,
        /// Hash of the server's schema.
        server: u64,
        /// Version of the server.
        server_version: String,
    },
    /// There is no room.
    #[error("the world is full ({players} players): try again later")]
    Full {
        /// Most players.
        players: u32,
    },
    /// The server is shutting down.
    #[error("the server is shutting down: try again in a minute")]
    Draining,
    /// The same player came in from elsewhere.
    #[error("this player has connected from another place")]
    TakenOver,
    /// The client said something that no client of ours says.
    #[error("the client broke the protocol: {0}")]
    Protocol(String),
    /// The client did not answer in time.
    #[error("nothing was heard from the client for {seconds} s")]
    TimedOut {
        /// How long.
        seconds: u32,
    },
    /// Too much waits for the client, which does not take it.
    #[error("the client does not keep up: {waiting} bytes wait for it")]
    TooSlow {
        /// How much waits.
        waiting: u64,
    },
}

/// The one answer to an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionReply {
    /// Which action.
    pub id: ActionId,
    /// The update in which the consequences can be seen: deliver the reply once that one is applied.
    pub as_of: u32,
    /// The encoded reply of the action's type, or why it was refused.
    pub result: Result<Vec<u8>, ActionRefusal>,
}

/// Why an action was not done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ActionRefusal {
    /// The index names no action.
    #[error("there is no action number {0}")]
    Unknown(u16),
    /// The payload is not an encoding of the action.
    #[error("the action cannot be read: {0}")]
    Malformed(String),
    /// The id was used before, for something else.
    #[error("this action id was used before for another action")]
    IdReused,
    /// The player has no avatar at the moment.
    #[error("the player is not in the world")]
    NotInWorld,
    /// The player may not.
    #[error("only {0} may do that")]
    Forbidden(String),
    /// Too many at once.
    #[error("too many actions: try again in a moment")]
    Busy,
    /// The game's own reason.
    #[error("{0}")]
    Game(String),
    /// A fault of the server's: the game gave no answer.
    #[error("the server gave no answer to the action: this is a fault of the game")]
    Unanswered,
}

/// Asks the client to compare a sum over what it holds with the server's over what it was last sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRequest {
    /// Number of the request within the session.
    pub audit: u32,
    /// The update after which the sum holds.
    pub update_seq: u32,
    /// Every update after this one, up to `update_seq`, must have been applied; else nothing can be said.
    pub base_seq: u32,
    /// Bit *a*: the sum leaves out what the client may hold under alias *a*, because something about it is
    /// still to be sent. Everything else that the client holds belongs to the sum, so what it should have let
    /// go of shows.
    pub left_out: Vec<u64>,
    /// How many fields the sum covers.
    pub fields: u32,
    /// The sum of [`entity_sum`](crate::replication::audit::entity_sum) over them.
    pub sum: u64,
}

/// What came of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditOutcome {
    /// The sums are equal.
    Equal,
    /// They are not.
    Different {
        /// The client's sum.
        sum: u64,
    },
    /// An update in between was lost or came too late.
    Inconclusive,
}
