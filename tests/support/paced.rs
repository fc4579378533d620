//! A real world in a thread: sockets, shards and the clock of the wall, for tests of clients.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "a world on sockets is paced by the clock of the wall")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use terrane::caravan::{Roads, caravan_game, caravan_plugins};
use terrane::driver::Exchange;
use terrane::net::{NetConfig, NetLimits, SecretKey, Transport, UdpNet};
use terrane::players::{Found, PlayerRequest, ProfileAnswer};
use terrane::replication::Schema;
use terrane::reward::Account;
use terrane::server::{Server, ServerBuilder, TickInput, TickOutput, TickReport, WorldSettings};
use terrane::store::{Bank, ClaimAnswer};

/// Ticks that a stopped world waits for those who leave.
const TICKS_AFTER_MAX: u64 = 60;

pub struct PacedWorld {
    pub addresses: Vec<SocketAddr>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<TickReport>>,
}

/// What the game's clients must know.
pub fn schema() -> Arc<Schema> {
    let game = caravan_plugins(ServerBuilder::default()).learn().expect("sound");
    Arc::new(game.schema.clone())
}

/// What is kept of players, in memory: nobody is known, and what they own is in the bank.
fn keep(bank: &Bank, output: &mut TickOutput, next: &mut TickInput) {
    for request in output.players.drain(..) {
        match request {
            PlayerRequest::Load { number, player } => {
                let holdings = bank.holdings(&Account::from(&player));
                next.profiles.push(ProfileAnswer {
                    number,
                    player,
                    found: Found::Nobody,
                    rows: Vec::new(),
                    holdings,
                });
            }
            PlayerRequest::Commit(batch) => next.plans.extend(bank.commit(&batch)),
            PlayerRequest::FindClaim { number, claim } => {
                next.claims.push(ClaimAnswer { number, found: bank.find_claim(number, &claim) });
            }
            PlayerRequest::Save(_) | PlayerRequest::SaveRows(_) | PlayerRequest::Sanction(_) => {}
        }
    }
}

impl PacedWorld {
    /// The shipped game on free ports of this machine; `each` is called after every tick.
    pub fn start(
        settings: WorldSettings,
        shards: u16,
        key: Option<SecretKey>,
        mut each: impl FnMut(&mut Server) + Send + 'static,
    ) -> Self {
        Self::start_with(settings, shards, key, move |server, _| each(server))
    }

    /// The same; `each` may also change what the tick gives out.
    pub fn start_with(
        settings: WorldSettings,
        shards: u16,
        key: Option<SecretKey>,
        each: impl FnMut(&mut Server, &mut TickOutput) + Send + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), settings, shards, key, each)
    }

    /// The same, at ports that are known: those of a world that has ended.
    pub fn start_at(
        listen: SocketAddr,
        settings: WorldSettings,
        shards: u16,
        key: Option<SecretKey>,
        each: impl FnMut(&mut Server, &mut TickOutput) + Send + 'static,
    ) -> Self {
        Self::start_limited(listen, settings, shards, key, NetLimits::default(), each)
    }

    /// The same, with limits of the network's own.
    pub fn start_limited(
        listen: SocketAddr,
        settings: WorldSettings,
        shards: u16,
        key: Option<SecretKey>,
        limits: NetLimits,
        mut each: impl FnMut(&mut Server, &mut TickOutput) + Send + 'static,
    ) -> Self {
        let schema = schema();
        let net = UdpNet::start(NetConfig {
            listen,
            public: None,
            shards,
            players_max: settings.players_max,
            key,
            schema_hash: schema.hash(),
            version: terrane::VERSION.into(),
            limits,
        })
        .expect("ports can be had");
        let addresses = net.addresses();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut server = caravan_game(ServerBuilder::default(), Roads::shipped())
                .build(WorldSettings { keeps_players: true, ..settings.clone() }, None)
                .expect("the shipped game is sound");
            let mut couriers = server.take_couriers();
            let bank = Bank::new(server.reward_tables().assets(), server.game_store().clone());
            let mut stored = TickInput::default();
            let begun_ms =
                SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
            let mut exchange = Exchange::default();
            exchange.add(Box::new(net));
            let period = Duration::from_secs(1) / u32::from(settings.hz);
            let mut due = Instant::now();
            let mut last = TickReport::default();
            let mut ticks_after = 0;
            // Who has just left is still on the way out when a test stops the world.
            while !stopped.load(Ordering::Relaxed) || (last.players > 0 && ticks_after < TICKS_AFTER_MAX) {
                ticks_after += u64::from(stopped.load(Ordering::Relaxed));
                let tick = server.next_tick();
                let mut input =
                    TickInput { tick, now_ms: begun_ms + tick.0 * 50, ..std::mem::take(&mut stored) };
                exchange.gather(&mut input);
                let now_ms = input.now_ms;
                let mut output = server.tick(input);
                keep(&bank, &mut output, &mut stored);
                stored.delivered.extend(bank.deliver(&mut couriers, now_ms));
                each(&mut server, &mut output);
                exchange.dispatch(&mut output.messages);
                last = output.report;
                due = (due + period).max(Instant::now() - period);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            last
        });
        Self { addresses, stop, thread: Some(thread) }
    }

    /// Stops it once everybody has left, or after three seconds; gives its last report.
    pub fn stop(mut self) -> TickReport {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("stopped once").join().expect("the world does not panic")
    }
}

impl Drop for PacedWorld {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
