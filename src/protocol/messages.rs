//! Every message but the state update, whose layout is in [`replication`](crate::replication).
//!
//! Reliable messages travel in an [`Envelope`]: the session's epoch and a number that grows by one per message
//! and direction. Either end refuses a stale epoch and a number it has had; nothing of a session that is over
//! can reach the one that follows it.

use serde::{Deserialize, Serialize};

use crate::ids::{ActionId, DeviceId, NetId, PlayerId};
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
        /// The same in all hellos of one client.
        device: DeviceId,
        /// Of a client that resumes the session its token names and still holds all of it: how many
        /// [lasting](ServerControl::is_lasting) messages of that session it has been given.
        heard: Option<u64>,
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

/// A session that a client still holds all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Its epoch, as the token says.
    pub epoch: u32,
    /// How many [lasting](ServerControl::is_lasting) messages of it the client was given.
    pub heard: u64,
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
    /// How many [lasting](ServerControl::is_lasting) messages of this session were delivered, since it began: what
    /// the server need not keep for a resume.
    pub heard: u64,
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
    /// How the world does, whenever that changes, and on coming in when it does not do well.
    Health(Health),
    /// Lets the client back into this very session, from anywhere, until it expires: keep the newest.
    Reconnect {
        /// The text of a connect token.
        token: String,
    },
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

impl ServerControl {
    /// Whether it is kept until the client is known to have it, and said again when a lost connection is resumed: what
    /// nothing else would ever say again.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Reply(_) | Self::Notice(_) | Self::Event { .. } | Self::Record { .. } => true,
            Self::Queued { .. }
            | Self::Welcome(_)
            | Self::Refused(_)
            | Self::Health(_)
            | Self::Reconnect { .. }
            | Self::Audit(_) => false,
        }
    }
}

/// How the world does, as players are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// As it should.
    #[default]
    Normal,
    /// It goes on, but something does not work: what, in words for players.
    Degraded(String),
    /// It is about to end.
    Draining,
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Degraded(reason) => write!(f, "degraded: {reason}"),
            Self::Draining => f.write_str("draining"),
        }
    }
}

/// What a client must know before its first update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who the token says this is.
    pub player: PlayerId,
    /// This session.
    pub epoch: u32,
    /// The session goes on that the client asked to resume: what it holds is still right, and what it was not given
    /// meanwhile follows. Otherwise everything is told anew.
    pub resumed: bool,
    /// Ids of actions must lie above this one: of those below it is no longer known what became of them.
    pub ids_after: ActionId,
    /// How long the session waits for a lost connection to come back, s.
    pub grace_s: u32,
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
    /// The player's profile cannot be read, or not now: letting it in would overwrite what it has.
    #[error(
        "the profile of this player cannot be loaded ({0}): nothing of it is lost or changed; try again later"
    )]
    Profile(String),
    /// The player was sent away, and may come back.
    #[error("removed from this world: {0}")]
    Kicked(String),
    /// The player may not come in.
    #[error("banned from this world{}: {why}", banned_until(*.until_ms))]
    Banned {
        /// Why, as whoever did it wrote.
        why: String,
        /// Until when, milliseconds since 1970; `None` for good.
        until_ms: Option<u64>,
    },
    /// Too many connections from one address.
    #[error(
        "too many connections from this address: at most {most} at a time, and four times as many new ones a minute"
    )]
    AddressLimit {
        /// How many are allowed.
        most: u32,
    },
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

fn banned_until(until_ms: Option<u64>) -> String {
    until_ms.map_or_else(String::new, |ms| format!(" until {} s after 1970", ms / 1_000))
}

impl Refusal {
    /// Whether trying again by itself, later, can help a client.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::Draining
            | Self::Profile(_)
            | Self::TimedOut { .. }
            | Self::TooSlow { .. }
            | Self::AddressLimit { .. } => true,
            Self::Schema { .. }
            | Self::Kicked(_)
            | Self::Banned { .. }
            | Self::TakenOver
            | Self::Protocol(_) => false,
        }
    }
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
    /// The id is older than what is remembered: whether it was done is not known any more, and it is not done now.
    #[error("this action id is too old: what became of it is no longer known")]
    TooOld,
    /// Too many of this kind from this player.
    #[error("too many of these: try again in {retry_ms} ms")]
    RateLimited {
        /// After how long one more is taken, ms of world time.
        retry_ms: u32,
    },
    /// A newer one of the same tick and kind took its place.
    #[error("a newer action of the same kind took its place")]
    Superseded,
    /// The entity that it names is not the player's, or the group's.
    #[error("that is not yours")]
    NotYours,
    /// The player may not speak.
    #[error("you may not speak here: {0}")]
    Muted(String),
    /// The game's answer would be longer than can be sent: a fault of the game.
    #[error("the answer would have {bytes} bytes, more than can be sent: this is a fault of the game")]
    ReplyTooLong {
        /// How long.
        bytes: u32,
    },
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
    #[error("{text}")]
    Game {
        /// In words.
        text: String,
        /// The encoded refusal of the action's type; empty when that is too long.
        reason: Vec<u8>,
    },
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
