//! From an address and a name to a player that people drive, and the clock that moves it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ids::PlayerId;
use crate::net::{Conditions, Token};
use crate::replication::Schema;

use super::player::Player;
use super::reconnect::{Reconnect, ReconnectPolicy, UdpDial, UdpWay};

/// As whom to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum As {
    /// As whoever: a name is made up.
    Anybody,
    /// As this player; only a world on loopback without a key takes a client's word for it.
    Player(PlayerId),
    /// As whom the connect token in this file names.
    Token(PathBuf),
}

/// Where to connect, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTarget {
    /// The address of a shard of the world.
    pub server: SocketAddr,
    /// As whom.
    pub player: As,
    /// How the player comes back when the connection is lost.
    pub reconnect: ReconnectPolicy,
}

impl ClientTarget {
    /// There, as that player, as patient as clients usually are.
    #[must_use]
    pub fn new(server: SocketAddr, player: As) -> Self {
        Self { server, player, reconnect: ReconnectPolicy::default() }
    }
}

/// Why a client that people drive has failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFailure {
    /// What was asked for makes no sense; nothing was done.
    #[error("{0}")]
    Usage(String),
    /// It went wrong, or not as the script expects.
    #[error("{0}")]
    Failed(String),
}

impl ClientFailure {
    /// What the process should end with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl ClientTarget {
    /// Begins to connect. The player comes back by itself when the connection is lost.
    ///
    /// # Errors
    /// When the token cannot be used, one is needed and there is none, or there is no socket.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client on its own paces itself and draws the names of its actions"
    )]
    pub fn connect(&self, schema: Arc<Schema>) -> Result<Player, ClientFailure> {
        let usage = |text: String| Err(ClientFailure::Usage(text));
        let open = |player: PlayerId| {
            if self.server.ip().is_loopback() {
                return Ok(UdpWay::Open { server: self.server, player });
            }
            usage(format!(
                "{} is another machine: its worlds ask for a connect token (--token FILE)",
                self.server.ip()
            ))
        };
        let way = match &self.player {
            As::Token(path) => UdpWay::Token(Box::new(self.read_token(path)?)),
            As::Player(player) => open(player.clone())?,
            As::Anybody => {
                let name = format!("guest {}", std::process::id());
                open(PlayerId::new(&name).expect("short and printable"))?
            }
        };
        let mut dial = UdpDial::new(way, schema.hash(), crate::VERSION, Conditions::default());
        let connection = dial.first().map_err(|error| ClientFailure::Failed(error.to_string()))?;
        let seed = || {
            let mut seed = [0; 8];
            getrandom::fill(&mut seed).map_err(|error| ClientFailure::Failed(error.to_string()))?;
            Ok::<_, ClientFailure>(u64::from_le_bytes(seed))
        };
        let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let reconnect = Reconnect::new(dial, self.reconnect, seed()?);
        Ok(Player::new(connection, schema, seed()?).begun_at(unix_time).with_reconnect(reconnect))
    }

    fn read_token(&self, path: &Path) -> Result<Token, ClientFailure> {
        let shown = path.display();
        let token = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the token file {shown}: {error}"))
            .and_then(|text| Token::parse(&text).map_err(|error| format!("{shown}: {error}")))
            .map_err(ClientFailure::Usage)?;
        if token.addresses().any(|address| address == self.server) {
            return Ok(token);
        }
        let addresses: Vec<_> = token.addresses().map(|address| address.to_string()).collect();
        let (addresses, server) = (addresses.join(", "), self.server);
        Err(ClientFailure::Usage(format!(
            "the token in {shown} is for {addresses}, not for --server {server}"
        )))
    }
}

/// Ticks of a client before the world has said how many it wants, per second.
const HZ_BEFORE: u16 = 20;

/// Moves one player by the clock of the wall.
#[derive(Debug)]
pub(super) struct Clock {
    begun: Instant,
    now: Duration,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client on its own paces itself and draws the names of its actions"
    )]
    pub(super) fn start() -> Self {
        Self { begun: Instant::now(), now: Duration::ZERO }
    }

    /// Sleeps until the player's next tick, and lets it tick. Gives the time since the start.
    pub(super) fn tick(&mut self, player: &mut Player) -> Duration {
        let hz = player.welcome().map_or(HZ_BEFORE, |welcome| welcome.hz.max(1));
        let due = self.now + Duration::from_secs(1) / u32::from(hz);
        std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
        let now = self.begun.elapsed();
        player.tick(now - self.now);
        self.now = now;
        now
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Leaves, and gives what is on its way a moment.
pub(super) fn leave(player: &mut Player, clock: &mut Clock) {
    clock.tick(player);
    player.leave();
}
