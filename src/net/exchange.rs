//! What the network and the tick tell each other, and the boundary behind which sockets hide.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::counters::NetCounters;
use crate::ids::{ConnectionId, DeviceId, PlayerId, Role};
use crate::protocol::messages::{ClientControl, ClientState, Refusal, Resume, ServerControl};

/// From the network to the tick. Events of one connection come in order: connected, messages, disconnected.
#[derive(Clone, Debug, PartialEq)]
pub enum FromNet {
    /// A player said a valid hello and waits to be admitted.
    Connected {
        /// Its connection.
        connection: ConnectionId,
        /// Who its token says it is.
        player: PlayerId,
        /// What its token lets it do.
        role: Role,
        /// Which client of the player's it is.
        device: DeviceId,
        /// The session that it resumes: its token names one, and it says that it still holds it.
        resume: Option<Resume>,
        /// The number of its hello: grows over all shards, so that of two the later one is known.
        hello: u64,
        /// Which shard holds it.
        shard: u16,
        /// Where it comes from; `None` inside this process.
        address: Option<SocketAddr>,
    },
    /// A reliable message, checked for order and epoch; never a hello.
    Control {
        /// From whom.
        connection: ConnectionId,
        /// Of which session; 0 before [`ToNet::SetEpoch`].
        epoch: u32,
        /// The message.
        payload: ClientControl,
    },
    /// The newest unreliable message. Older ones of the same exchange are not delivered.
    State {
        /// From whom.
        connection: ConnectionId,
        /// The message, of the session's own epoch.
        state: ClientState,
    },
    /// The connection is gone; nothing of it follows.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: EndReason,
    },
}

impl FromNet {
    /// Whose event this is.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        match self {
            Self::Connected { connection, .. }
            | Self::Control { connection, .. }
            | Self::State { connection, .. }
            | Self::Disconnected { connection, .. } => *connection,
        }
    }
}

/// Why a connection ended, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The client closed it.
    #[error("the client left")]
    Left,
    /// The server refused it, with what it told the client.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The tick asked for it.
    #[error("closed")]
    Closed,
    /// Nothing was heard any more.
    #[error("nothing was heard for {0} s")]
    Silent(u32),
    /// The library gave the connection up.
    #[error("the transport failed: {0}")]
    Transport(String),
}

/// From the tick to the network, in order. What names a connection that is gone is dropped.
#[derive(Clone, Debug, PartialEq)]
pub enum ToNet {
    /// A reliable message.
    Control {
        /// To whom.
        connection: ConnectionId,
        /// The message. A [`ServerControl::Refused`] here does not end the connection; [`ToNet::Refuse`] does.
        message: ServerControl,
    },
    /// One state update, unreliable.
    Update {
        /// To whom.
        connection: ConnectionId,
        /// The encoded update, at most [`UPDATE_BYTES_MAX`](crate::limits::UPDATE_BYTES_MAX).
        bytes: Bytes,
    },
    /// From here on the connection belongs to this session. Comes before the session's welcome.
    SetEpoch {
        /// Which connection.
        connection: ConnectionId,
        /// The session's epoch, greater than 0.
        epoch: u32,
    },
    /// Tells the client why, and closes once it has been told or has not listened for a moment.
    Refuse {
        /// Whom.
        connection: ConnectionId,
        /// Why.
        refusal: Refusal,
    },
    /// Closes without a word.
    Close {
        /// Which connection.
        connection: ConnectionId,
    },
}

impl ToNet {
    /// Whom it is for.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        match self {
            Self::Control { connection, .. }
            | Self::Update { connection, .. }
            | Self::SetEpoch { connection, .. }
            | Self::Refuse { connection, .. }
            | Self::Close { connection } => *connection,
        }
    }
}

/// The boundary between a driver and whatever carries its messages. Neither call ever blocks.
pub trait Transport: Send {
    /// Appends all that came since the last call.
    fn receive(&mut self, out: &mut Vec<FromNet>);

    /// Takes one tick's messages, in order, and sends them. Call it once a tick, also with nothing: the call
    /// is what makes packets leave.
    fn send(&mut self, batch: &mut Vec<ToNet>);

    /// From now on nobody new is let in.
    fn drain(&mut self);

    /// How many connections there are, those included that are over for the tick and still being told why.
    fn connections(&self) -> usize;

    /// What it counted.
    fn counters(&self) -> Arc<NetCounters>;

    /// Where clients connect, one address per shard; empty inside a process.
    fn addresses(&self) -> Vec<SocketAddr>;

    /// A fault that no client caused, such as a shard whose thread is gone.
    fn fault(&self) -> Option<String>;
}
