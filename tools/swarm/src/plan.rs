//! What all clients share: the game, the map, how to get in, and what was asked for.

#![expect(clippy::disallowed_methods, reason = "it plays and waits in real time, beside the world")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use terrane::caravan::bots::{BotBrain, BotMap};
use terrane::caravan::caravan_plugins;
use terrane::client::reconnect::Again;
use terrane::client::{Connection, ConnectionError, Player, Reconnect, ReconnectPolicy, new_device};
use terrane::ids::PlayerId;
use terrane::net::auth::KeyFileError;
use terrane::net::{Authentication, Conditions, Identity, SecretKey, Token, UdpClientLink, issue_token};
use terrane::replication::Schema;
use terrane::server::{ServerBuilder, ServerError};

use crate::args::Args;

/// How long a connect token can be used for.
const TOKEN_EXPIRES: Duration = Duration::from_secs(60);
/// Most of the waits between two attempts to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many of the players behind it each knows by name.
const FELLOWS_MAX: usize = 20;

/// Why a swarm cannot begin.
#[derive(Debug)]
pub(crate) enum PlanError {
    /// The key file cannot be used.
    Key(KeyFileError),
    /// There are not as many ports as shards.
    Ports,
    /// More than all clients are to be cut off.
    Mishaps,
    /// Flags that do not go together.
    Flags(&'static str),
    /// The game is faulty.
    Game(ServerError),
}

/// What can befall a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// Its link is cut, and it comes back at once.
    Cut,
    /// It is cut off for longer than its session waits.
    Absence,
    /// Another device of the same player takes over.
    Takeover,
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(error) => write!(f, "--key-file: {error}"),
            Self::Ports => f.write_str("--server and --shards: the last shard's port would be above 65535"),
            Self::Mishaps => f.write_str("--cut, --absent and --takeover: together at most 100 percent"),
            Self::Flags(why) => f.write_str(why),
            Self::Game(error) => write!(f, "the game is faulty: {error}"),
        }
    }
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) args: Args,
    pub(crate) schema: Arc<Schema>,
    pub(crate) schema_hash: u64,
    map: Arc<BotMap>,
    authentication: Authentication,
}

impl Plan {
    pub(crate) fn new(args: Args) -> Result<Self, PlanError> {
        let authentication = match &args.key_file {
            Some(path) => Authentication::Secured(SecretKey::load(path).map_err(PlanError::Key)?),
            None => Authentication::Open,
        };
        args.shard(args.shards - 1).ok_or(PlanError::Ports)?;
        args.fits().map_err(PlanError::Flags)?;
        if !args.mishaps_fit() {
            return Err(PlanError::Mishaps);
        }
        let game = caravan_plugins(ServerBuilder::default()).learn();
        let schema = Arc::new(game.map_err(PlanError::Game)?.schema.clone());
        let schema_hash = schema.hash();
        Ok(Self { args, schema, schema_hash, map: Arc::new(BotMap::shipped()), authentication })
    }

    /// The brain of client number `number`.
    pub(crate) fn brain(&self, number: u32) -> BotBrain {
        let (profile, clients) = (self.args.profile.into(), self.args.clients);
        let fellows = (number + 1..clients).take(FELLOWS_MAX).map(|fellow| self.player(fellow)).collect();
        let brain = BotBrain::new(profile, self.map.clone(), self.args.seed, u64::from(number))
            .knowing(fellows)
            .dreading(crate::client::PROBE);
        if self.args.receipts.is_some() { brain.keeping_receipts() } else { brain }
    }

    /// What client number `number` is called.
    fn player(&self, number: u32) -> PlayerId {
        let name = format!("swarm {} {}", self.args.seed, number + 1);
        PlayerId::new(&name).expect("at most 32 printable bytes")
    }

    /// The shard that client number `number` plays on.
    pub(crate) fn shard_of(&self, number: u32) -> SocketAddr {
        let shard = (number % u32::from(self.args.shards)) as u16;
        self.args.shard(shard).expect("checked at the start")
    }

    /// A new link of client number `number`, in this player's name.
    pub(crate) fn link(&self, number: u32, player: PlayerId) -> Result<UdpClientLink, ConnectionError> {
        let (identity, shards) = (Identity::player(player), [self.shard_of(number)]);
        let token = issue_token(&self.authentication, &identity, &shards, unix_time(), TOKEN_EXPIRES)?;
        Ok(link(token, Conditions::default(), self.args.address(number))?)
    }

    /// Begins to connect client number `number` for the `life`-th time. Its name depends on the seed, so that
    /// two swarms with different seeds do not take each other's players over.
    pub(crate) fn connect(&self, number: u32, life: u64) -> Result<Player, ConnectionError> {
        let (address, from) = (self.shard_of(number), self.args.address(number));
        let player = self.player(number);
        let role = BotBrain::role(self.args.profile.into(), u64::from(number));
        let (authentication, schema_hash) = (self.authentication.clone(), self.schema_hash);
        let (conditions, device) = (self.args.conditions(number), new_device());
        let dial = move |again: &Again<'_>| {
            let token = match again.token {
                // As long as it leads back, the world's own; one that was seen from another address does not.
                Some(newest) if again.attempt % 3 < 2 => Token::parse(newest)?,
                _ => {
                    let resume = again.resume.map(|resume| resume.epoch);
                    let identity = Identity { player: player.clone(), role, resume, since_s: 0 };
                    issue_token(&authentication, &identity, &[address], unix_time(), TOKEN_EXPIRES)?
                }
            };
            let link = link(token, conditions, from)?;
            let heard = again.resume.map(|resume| resume.heard);
            Ok(Connection::resuming(Box::new(link), schema_hash, terrane::VERSION, device, heard))
        };
        let connection = dial(&Again { resume: None, token: None, attempt: 0 })?;
        let now = unix_time();
        // Two lives of a player, and two runs of a swarm, must not give their actions the same names.
        let ids = u64::from(number) ^ life << 32 ^ now.as_nanos() as u64;
        let policy = ReconnectPolicy {
            // A world that is started again is to have its swarm back soon.
            longest_wait: LONGEST_WAIT,
            from_the_start: true,
            ..ReconnectPolicy::default()
        };
        let reconnect = Reconnect::new(dial, policy, !ids);
        Ok(Player::new(connection, self.schema.clone(), ids).begun_at(now).with_reconnect(reconnect))
    }
}

fn link(token: Token, conditions: Conditions, from: Option<IpAddr>) -> std::io::Result<UdpClientLink> {
    match from {
        Some(from) => UdpClientLink::connect_from(token, conditions, SocketAddr::new(from, 0)),
        None => UdpClientLink::connect(token, conditions),
    }
}

pub(crate) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}
