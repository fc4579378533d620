//! A server's network: starts the shards and is the tick's end of their exchange.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use renet_netcode::generate_random_bytes;
use rustc_hash::FxHashSet;

use super::auth::{Authentication, SecretKey};
use super::bounds::{Addresses, NetLimits};
use super::counters::NetCounters;
use super::exchange::{FromNet, ToNet, Transport};
use super::handshake::{Gate, with_spare};
use super::link::ServerLink;
use super::shard::{Shard, ShardEnds, shard_of};
use super::socket::{at_port, bind_range, size_buffers};
use super::tokens::TokenOffice;
use crate::limits::{CLIENTS_PER_SHARD_MAX, TOKEN_ADDRESSES_MAX};

/// Batches of one shard that may wait for the tick: at one per 3 ms, four ticks at 20 Hz.
const BATCHES_FROM_SHARD: usize = 64;
/// Ticks that may wait for a shard.
const BATCHES_TO_SHARD: usize = 4;
/// Messages held back for a shard that takes nothing, before it counts as stuck.
const HELD_BACK_MAX: usize = 65_536;

/// What a network is made of.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Where the first shard listens; the others follow on the ports above. Port 0: any free range.
    pub listen: SocketAddr,
    /// How clients reach the first shard, if that differs; the others follow on the ports above.
    pub public: Option<SocketAddr>,
    /// How many shards.
    pub shards: u16,
    /// Most players in the world.
    pub players_max: u32,
    /// The key that connect tokens are sealed with; without one the server is open, on loopback only.
    pub key: Option<SecretKey>,
    /// Hash of the game's schema.
    pub schema_hash: u64,
    /// Version of the server, for people.
    pub version: String,
    /// What clients may take.
    pub limits: NetLimits,
}

/// Why a network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Off loopback, everybody could be anybody.
    #[error(
        "--listen {address} can be reached from outside and needs --key-file: make one, or listen on 127.0.0.1"
    )]
    NoKey {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// Tokens name the exact address that clients connect to, and this is none.
    #[error("--listen {address} is no address that a client can connect to: say --public ADDR")]
    NoPublic {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// A number of shards that cannot be.
    #[error("--shards {shards} cannot be: 1 to {TOKEN_ADDRESSES_MAX} are possible")]
    Shards {
        /// How many were asked for.
        shards: u16,
    },
    /// More players than places.
    #[error(
        "--max-players {players} needs --shards {needed} at least ({CLIENTS_PER_SHARD_MAX} clients each), not {shards}"
    )]
    Players {
        /// How many players were asked for.
        players: u32,
        /// How many shards were asked for.
        shards: u16,
        /// How many there must be.
        needed: usize,
    },
    /// A port cannot be had.
    #[error("cannot listen on {address}: {error}; {}", bind_advice(error.kind(), "--listen"))]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// There is no such range of ports.
    #[error("there are no {shards} consecutive free ports from there on: choose another --listen")]
    NoRange {
        /// How many are needed.
        shards: u16,
    },
    /// The socket's buffers cannot be looked at.
    #[error("cannot size the socket's buffers: {error}")]
    Buffers {
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The buffers would lose most of what so many clients send.
    #[error(
        "a socket buffer of {bytes} bytes cannot serve {clients} clients per shard, which need {needed}: run `sysctl -w {sysctl}={wanted}`, or use more --shards or fewer --max-players"
    )]
    SmallBuffers {
        /// What was given.
        bytes: usize,
        /// What is needed.
        needed: usize,
        /// For how many clients.
        clients: usize,
        /// The setting that limits it.
        sysctl: &'static str,
        /// What it should be.
        wanted: usize,
    },
    /// A thread cannot be started.
    #[error("cannot start a shard's thread: {error}")]
    Thread {
        /// What the operating system said.
        error: std::io::Error,
    },
}

/// What to do about an address that cannot be listened on.
pub(crate) fn bind_advice(kind: std::io::ErrorKind, flag: &str) -> String {
    match kind {
        std::io::ErrorKind::AddrInUse => format!("stop what uses it or choose another {flag}"),
        std::io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no such address: choose another {flag}, one of its own or 0.0.0.0 for all"
            )
        }
        std::io::ErrorKind::PermissionDenied => format!("choose a port from 1024 on with {flag}"),
        _ => format!("choose another {flag}"),
    }
}

struct ShardHandle {
    to_shard: Option<Sender<Vec<ToNet>>>,
    from_shard: Receiver<Vec<FromNet>>,
    taken: Arc<AtomicU64>,
    held: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
    /// What the shard had no room for, in order, and then this tick's.
    held_back: Vec<ToNet>,
    stuck: bool,
}

/// The shards of a server. Dropping it says goodbye to every client and ends the threads.
pub struct UdpNet {
    shards: Vec<ShardHandle>,
    gate: Arc<Gate>,
    counters: Arc<NetCounters>,
    addresses: Vec<SocketAddr>,
    authentication: Authentication,
}

impl UdpNet {
    /// Binds the ports and starts one thread per shard.
    ///
    /// # Errors
    /// When the configuration cannot work or the operating system does not give what it needs.
    #[expect(clippy::disallowed_methods, reason = "tokens expire by the calendar, outside of the tick")]
    pub fn start(config: NetConfig) -> Result<Self, NetError> {
        let (authentication, clients_max) = check(&config)?;
        let sockets = bind_range(config.listen, config.shards)?;
        let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let gate = Arc::new(Gate::new(config.schema_hash, config.version.clone(), config.players_max));
        let counters = Arc::new(NetCounters::default());
        let addresses = (0..config.shards)
            .zip(&sockets)
            .map(|(index, socket)| public_address(&config, index, socket))
            .collect::<Result<Vec<_>, _>>()?;
        let mut net = Self { shards: Vec::new(), gate, counters, addresses, authentication };
        let office = matches!(net.authentication, Authentication::Secured(_)).then(|| TokenOffice {
            authentication: net.authentication.clone(),
            addresses: net.addresses.clone(),
            expires: config.limits.reconnect_token,
            login: config.limits.login,
            unix_time,
        });
        let in_use = Arc::new(Addresses::new(config.limits.connections_per_address));
        for (index, socket) in (0..config.shards).zip(sockets) {
            size_buffers(&socket, clients_max)?;
            let public = net.addresses[usize::from(index)];
            let counters = Arc::clone(&net.counters);
            let bounds = (config.limits, Arc::clone(&in_use));
            let link = ServerLink::new(
                socket,
                clients_max,
                public,
                &net.authentication,
                unix_time,
                counters,
                bounds,
            );
            net.spawn(index, link, office.clone())?;
        }
        Ok(net)
    }

    fn spawn(&mut self, index: u16, link: ServerLink, office: Option<TokenOffice>) -> Result<(), NetError> {
        let (to_shard, from_tick) = bounded(BATCHES_TO_SHARD);
        let (to_tick, from_shard) = bounded(BATCHES_FROM_SHARD);
        let taken = Arc::new(AtomicU64::new(0));
        let held = Arc::new(AtomicUsize::new(0));
        let ends = ShardEnds { from_tick, to_tick, taken: Arc::clone(&taken), held: Arc::clone(&held) };
        let id_seed = u64::from_le_bytes(generate_random_bytes());
        let (gate, counters) = (Arc::clone(&self.gate), Arc::clone(&self.counters));
        let shard = Shard::new(index, link, gate, counters, office, id_seed);
        let thread = std::thread::Builder::new()
            .name(format!("shard {index}"))
            .spawn(move || shard.run(&ends))
            .map_err(|error| NetError::Thread { error })?;
        self.shards.push(ShardHandle {
            to_shard: Some(to_shard),
            from_shard,
            taken,
            held,
            thread: Some(thread),
            held_back: Vec::new(),
            stuck: false,
        });
        Ok(())
    }

    /// How many connections said a valid hello and are not over.
    #[must_use]
    pub fn players(&self) -> u32 {
        self.gate.connections()
    }

    /// How the server knows its clients.
    #[must_use]
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }
}

/// Where clients reach a shard.
fn public_address(config: &NetConfig, index: u16, socket: &UdpSocket) -> Result<SocketAddr, NetError> {
    let bound = socket.local_addr().map_err(|error| NetError::Bind { address: config.listen, error })?;
    match config.public {
        Some(public) if public.port() != 0 => at_port(public, index),
        Some(public) => Ok(SocketAddr::new(public.ip(), bound.port())),
        None => Ok(bound),
    }
}

/// How clients are known, and how many a shard must hold.
fn check(config: &NetConfig) -> Result<(Authentication, usize), NetError> {
    let address = config.listen;
    let authentication = match &config.key {
        Some(key) => Authentication::Secured(key.clone()),
        None if address.ip().is_loopback() => Authentication::Open,
        None => return Err(NetError::NoKey { address }),
    };
    let public = config.public.unwrap_or(address).ip();
    if public.is_unspecified() {
        return Err(NetError::NoPublic { address });
    }
    if config.shards == 0 || usize::from(config.shards) > TOKEN_ADDRESSES_MAX {
        return Err(NetError::Shards { shards: config.shards });
    }
    let players = config.players_max as usize;
    let needed = players.div_ceil(CLIENTS_PER_SHARD_MAX);
    if needed > usize::from(config.shards) {
        return Err(NetError::Players { players: config.players_max, shards: config.shards, needed });
    }
    let share = config.players_max.div_ceil(u32::from(config.shards));
    let clients_max = (with_spare(share) as usize).min(CLIENTS_PER_SHARD_MAX);
    Ok((authentication, clients_max))
}

impl Transport for UdpNet {
    fn receive(&mut self, out: &mut Vec<FromNet>) {
        let begin = out.len();
        for shard in &mut self.shards {
            for batch in shard.from_shard.try_iter().take(BATCHES_FROM_SHARD) {
                out.extend(batch);
            }
            shard.taken.fetch_add(1, Ordering::Relaxed);
        }
        keep_newest_states(out, begin);
    }

    fn send(&mut self, batch: &mut Vec<ToNet>) {
        for message in batch.drain(..) {
            if let Some(shard) = self.shards.get_mut(shard_of(message.connection())) {
                shard.held_back.push(message);
            }
        }
        for shard in &mut self.shards {
            let Some(to_shard) = &shard.to_shard else { continue };
            match to_shard.try_send(std::mem::take(&mut shard.held_back)) {
                Ok(()) => {}
                Err(TrySendError::Full(mut held)) => {
                    self.counters.queue_full.bump();
                    // Updates are as good as lost on the way, which views expect; everything else must arrive.
                    let all = held.len();
                    held.retain(|message| !matches!(message, ToNet::Update { .. }));
                    self.counters.updates_dropped.add((all - held.len()) as u64);
                    if held.len() > HELD_BACK_MAX {
                        shard.stuck = true;
                        held.clear();
                    }
                    shard.held_back = held;
                }
                Err(TrySendError::Disconnected(_)) => shard.stuck = true,
            }
        }
    }

    fn drain(&mut self) {
        self.gate.drain();
    }

    fn connections(&self) -> usize {
        self.shards.iter().map(|shard| shard.held.load(Ordering::Acquire)).sum()
    }

    fn counters(&self) -> Arc<NetCounters> {
        Arc::clone(&self.counters)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    fn fault(&self) -> Option<String> {
        let dead = |shard: &ShardHandle| shard.thread.as_ref().is_some_and(JoinHandle::is_finished);
        let index = self.shards.iter().position(|shard| shard.stuck || dead(shard))?;
        Some(format!("shard {index} takes no more messages: its thread has ended or hangs"))
    }
}

/// Removes every state that a newer one of the same connection follows.
fn keep_newest_states(events: &mut Vec<FromNet>, begin: usize) {
    let mut seen = FxHashSet::default();
    let mut keep = vec![true; events.len()];
    for (event, keep) in events[begin..].iter().zip(&mut keep[begin..]).rev() {
        if let FromNet::State { connection, .. } = event {
            *keep = seen.insert(*connection);
        }
    }
    let mut keep = keep.into_iter();
    events.retain(|_| keep.next().unwrap_or(true));
}

impl Drop for UdpNet {
    fn drop(&mut self) {
        for shard in &mut self.shards {
            shard.to_shard = None;
        }
        for shard in &mut self.shards {
            if let Some(thread) = shard.thread.take() {
                // A shard that panicked has reported itself; there is nothing left to do for it.
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnectionId;
    use crate::protocol::messages::ClientState;

    fn config(listen: &str) -> NetConfig {
        NetConfig {
            listen: listen.parse().unwrap(),
            public: None,
            shards: 1,
            players_max: 10,
            key: None,
            schema_hash: 1,
            version: "1".into(),
            limits: NetLimits::default(),
        }
    }

    /// Whatever is reachable from outside demands a key.
    #[test]
    fn off_loopback_a_key_is_demanded() {
        for listen in ["0.0.0.0:5000", "192.0.2.1:5000", "[::]:5000"] {
            assert!(matches!(check(&config(listen)), Err(NetError::NoKey { .. })), "{listen}");
        }
        assert!(matches!(check(&config("[::1]:0")), Ok((Authentication::Open, _))));
        let mut secured = config("0.0.0.0:5000");
        secured.key = Some(SecretKey::new([1; 32]));
        assert!(matches!(check(&secured), Err(NetError::NoPublic { .. })));
        secured.public = Some("192.0.2.1:5000".parse().unwrap());
        assert!(matches!(check(&secured), Ok((Authentication::Secured(_), _))));
    }

    /// What to do about an address depends on why it cannot be had.
    #[test]
    fn an_address_that_is_not_this_machines_is_told_as_such() {
        let error = bind_range("192.0.2.1:5000".parse().unwrap(), 1).unwrap_err().to_string();
        assert!(error.contains("this machine has no such address") && error.contains("--listen"), "{error}");
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = bind_range(taken.local_addr().unwrap(), 1).unwrap_err().to_string();
        assert!(error.contains("stop what uses it"), "{error}");
    }

    /// A12: more players than one netcode server holds need more shards, and the message says how many.
    #[test]
    fn too_few_shards_for_the_players_are_refused() {
        let mut config = config("127.0.0.1:0");
        config.players_max = 3_000;
        config.shards = 2;
        assert!(matches!(check(&config), Err(NetError::Players { needed: 3, .. })));
        config.shards = 3;
        let (_, clients_max) = check(&config).unwrap();
        assert!(clients_max <= CLIENTS_PER_SHARD_MAX && clients_max * 3 >= 3_000);
    }

    #[test]
    fn only_the_newest_state_of_a_connection_is_kept() {
        let state = |connection, seq| FromNet::State {
            connection: ConnectionId(connection),
            state: ClientState { seq, ..Default::default() },
        };
        let mut events = vec![state(1, 9), state(1, 1), state(2, 1), state(1, 2)];
        keep_newest_states(&mut events, 1);
        assert_eq!(events, [state(1, 9), state(2, 1), state(1, 2)]);
    }
}
