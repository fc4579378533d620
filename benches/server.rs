//! The whole server: the shipped world on real UDP sockets, its clients in a process of their own, paced.
//!
//! `tick_ms_*` is the wall time from taking in what has arrived to handing the tick's messages to the shards.
//! `cpu_ms_per_tick` is the CPU time of the server's process per tick, shard threads included; under `stages`
//! stand the wall median, the 99th percentile and the mean CPU time of every set of the tick, the shards' work
//! meanwhile included. `bytes_per_client_tick` are state updates as handed to the network.
//!
//! Checked at the end, not timed: each view holds everybody nearer than the enter radius and nobody beyond the
//! leave radius, by brute force, and every client says that it holds what it was sent.

#![expect(clippy::disallowed_methods, reason = "it paces a world and its clients in real time")]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bevy_ecs::prelude::Mut;
use clap::Parser;
use common::{cpu_ms, median, print_line, round, rss_mib, wall_ms};
use serde::{Deserialize, Serialize};
use terrane::caravan::{Roads, Steer, caravan_game};
use terrane::cell::pool::with_cells;
use terrane::client::{Connection, Player};
use terrane::driver::Exchange;
use terrane::ids::ConnectionId;
use terrane::net::{Conditions, NetConfig, NetLimits, ToNet, UdpNet};
use terrane::prelude::*;
use terrane::protocol::messages::{AuditOutcome, ServerControl};
use terrane::replication::personal::{EntitiesOfRows, OwnersComponents};
use terrane::replication::policy::Depends;
use terrane::replication::view::Look;
use terrane::replication::{Rows, ViewScratch, Viewer};
use terrane::server::{Server, TickInput, TickOutput};
use terrane::session::Sessions;
use terrane::space::distance_squared;
use terrane::telemetry::{Heartbeat, StageClock, StageTimes};

const HZ: u16 = 20;
const TICK: Duration = Duration::from_millis(1_000 / HZ as u64);
/// Ticks at the end in which clients are asked what they hold.
const AUDIT_TICKS: u32 = 40;
/// How long clients may take to connect.
const JOIN_S_MAX: u64 = 60;

/// Measures the whole server.
#[derive(Parser)]
struct Args {
    /// Clients.
    #[arg(long, default_value_t = 500)]
    clients: usize,
    /// Caravans that travel about.
    #[arg(long, default_value_t = 2_000)]
    npcs: u64,
    /// How long to measure once all clients are in.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Sockets and threads that serve clients.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    /// Threads that run cells and sessions.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Be the clients of the server at these addresses, one per shard, until it goes.
    #[arg(long, hide = true, value_delimiter = ',')]
    clients_of: Vec<SocketAddr>,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Stage {
    wall_ms_p50: f64,
    wall_ms_p99: f64,
    cpu_ms_mean: f64,
}

#[derive(Serialize)]
struct Line {
    clients: usize,
    npcs: u64,
    hz: u16,
    seconds: u64,
    shards: u16,
    threads: usize,
    tick_ms_p50: f64,
    tick_ms_p99: f64,
    tick_ms_max: f64,
    cpu_ms_per_tick: f64,
    bytes_per_client_tick: f64,
    overruns: usize,
    stages: BTreeMap<&'static str, Stage>,
    rss_mib: Option<f64>,
    clients_equal: usize,
    check: String,
}

/// What the clients' process says when it ends.
#[derive(Serialize, Deserialize)]
struct Clients {
    in_world: usize,
    decode_errors: u64,
    audit_failures: u64,
    ended: Option<String>,
}

fn settings(args: &Args) -> WorldSettings {
    WorldSettings {
        hz: HZ,
        players_max: args.clients as u32,
        npcs: Some(args.npcs),
        threads: args.threads,
        check_invariants: false,
        ..WorldSettings::default()
    }
}

fn builder(args: &Args) -> ServerBuilder {
    let roads = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/config/roads.toml");
    let roads = Roads::load(&roads, settings(args).area).expect("the shipped map is sound");
    caravan_game(ServerBuilder::default(), roads)
}

struct Running {
    server: Server,
    exchange: Exchange,
    due: Instant,
    overruns: usize,
    tick_ms: Vec<f64>,
    bytes: u64,
    /// By connection: whether its last audit found both ends equal.
    equal: BTreeMap<u64, bool>,
}

impl Running {
    /// Waits until the next tick is due and runs it; `extra` may add messages for clients.
    fn tick(&mut self, extra: impl FnOnce(&mut Server, &mut TickOutput)) -> TickOutput {
        let now = Instant::now();
        match self.due.checked_duration_since(now) {
            Some(left) => std::thread::sleep(left),
            None => {
                self.overruns += 1;
                self.due = now;
            }
        }
        self.due += TICK;
        let begin = wall_ms();
        let tick = self.server.next_tick();
        let mut input = TickInput { tick, now_ms: tick.0 * 1_000 / u64::from(HZ), ..TickInput::default() };
        self.exchange.gather(&mut input);
        for audit in &input.audits {
            match audit.outcome {
                AuditOutcome::Equal => drop(self.equal.entry(audit.connection.0).or_insert(true)),
                AuditOutcome::Different { .. } => drop(self.equal.insert(audit.connection.0, false)),
                AuditOutcome::Inconclusive => {}
            }
        }
        let mut output = self.server.tick(input);
        extra(&mut self.server, &mut output);
        self.exchange.dispatch(&mut output.messages);
        self.tick_ms.push(wall_ms() - begin);
        self.bytes += output.report.update_bytes;
        output
    }
}

/// Asks every client whether it holds what it was sent.
fn ask_everybody(server: &mut Server, output: &mut TickOutput) {
    let connections: BTreeMap<PlayerId, ConnectionId> =
        server.connections().map(|(player, connection)| (player.clone(), connection)).collect();
    with_cells(server.node_mut(), |world, cells| {
        world.resource_scope(|world, mut sessions: Mut<Sessions>| {
            let rows = world.resource::<Rows>();
            let (mut scratch, mut found) = (ViewScratch::default(), EntitiesOfRows::default());
            found.clear(rows.len());
            for session in sessions.iter_mut() {
                let number = session.audits.next_number();
                let source = OwnersComponents::new(world, cells, &session.context, &found);
                let avatar = session.avatar_row;
                let viewer = Viewer { position: rows.position[avatar.index()], avatar };
                let (context, changes) = (&session.context, Depends::NONE);
                let look = Look { viewer, context, changes, always: &[], source: &source };
                if let Some((request, _)) = session.view.audit_request(rows, &look, number, &mut scratch) {
                    session.audits.ask(request.fields, 0);
                    let message = ServerControl::Audit(request);
                    let connection = connections[&session.player];
                    output.messages.push(ToNet::Control { connection, message });
                }
            }
        });
    });
}

/// The first view that lacks somebody near or holds somebody far.
fn wrong_view(server: &Server) -> Option<String> {
    let (settings, rows) = (server.settings(), server.node().resource::<Rows>());
    let within = |radius: f32| radius * radius;
    server.node().resource::<Sessions>().iter().find_map(|session| {
        let from = rows.position[session.avatar_row.index()];
        let mut held: Vec<NetId> = session.view.rows().map(|row| rows.net_id[row.index()]).collect();
        held.sort_unstable();
        let full = held.len() >= settings.view_entities_max;
        rows.iter().find_map(|(net_id, row)| {
            let far = distance_squared(rows.position[row.index()], from);
            let holds = held.binary_search(&net_id).is_ok();
            let lacks = !holds && !full && far < within(settings.enter_radius_m);
            let surplus = holds && far >= within(settings.leave_radius_m);
            (lacks || surplus).then(|| format!("{} and {net_id}: {holds} at {far} m²", session.player))
        })
    })
}

fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn start_clients(args: &Args, addresses: &[SocketAddr]) -> Child {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--clients", &args.clients.to_string(), "--clients-of", &addresses.join(",")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started once more")
}

fn measure(args: &Args) -> Line {
    let server = builder(args)
        .observe(StageClock::system(), Heartbeat::new())
        .build(settings(args), None)
        .expect("the shipped world is sound");
    let net = UdpNet::start(NetConfig {
        listen: "127.0.0.1:0".parse().expect("an address"),
        public: None,
        shards: args.shards,
        players_max: args.clients as u32,
        key: None,
        schema_hash: server.game().schema.hash(),
        version: terrane::VERSION.into(),
        limits: NetLimits::default(),
    })
    .expect("loopback has free ports");
    let addresses = terrane::net::Transport::addresses(&net);
    let mut exchange = Exchange::default();
    exchange.add(Box::new(net));
    let mut running = Running {
        server,
        exchange,
        due: Instant::now(),
        overruns: 0,
        tick_ms: Vec::new(),
        bytes: 0,
        equal: BTreeMap::new(),
    };
    let mut child = start_clients(args, &addresses);

    let joined = |running: &Running| running.server.node().resource::<Sessions>().len();
    let patience = Instant::now() + Duration::from_secs(JOIN_S_MAX);
    while joined(&running) < args.clients && Instant::now() < patience {
        running.tick(|_, _| {});
    }
    let in_world = joined(&running);
    for _ in 0..2 * HZ {
        running.tick(|_, _| {});
    }
    (running.tick_ms, running.bytes, running.overruns) = (Vec::new(), 0, 0);
    *running.server.node_mut().resource_mut::<StageTimes>() = StageTimes::default();
    let ticks = args.seconds * u64::from(HZ);
    let cpu_begin = cpu_ms();
    for _ in 0..ticks {
        running.tick(|_, _| {});
    }
    let cpu_ms_per_tick = (cpu_ms() - cpu_begin) / ticks as f64;
    let stages = running.server.node().resource::<StageTimes>().summary();
    let (tick_ms, bytes, overruns) = (std::mem::take(&mut running.tick_ms), running.bytes, running.overruns);
    let rss_mib = rss_mib().map(round);

    let mut fault = (in_world < args.clients).then(|| format!("{in_world} clients are in"));
    for _ in 0..AUDIT_TICKS {
        running.tick(ask_everybody);
        fault = fault.or_else(|| wrong_view(&running.server));
    }
    (0..HZ).for_each(|_| drop(running.tick(|_, _| {})));
    let clients_equal = running.equal.values().filter(|equal| **equal).count();
    if clients_equal < args.clients {
        fault.get_or_insert(format!("{clients_equal} clients hold what they were sent"));
    }
    drop(running);
    fault = fault.or_else(|| what_clients_say(&mut child, args));
    let stage = |stage: &terrane::telemetry::StageSummary| {
        let ms = |ns: u64| round(ns as f64 / 1e6);
        let cpu_ms_mean = stage.cpu_mean_ns.map_or(f64::NAN, ms);
        (
            stage.stage.name(),
            Stage { wall_ms_p50: ms(stage.p50_ns), wall_ms_p99: ms(stage.p99_ns), cpu_ms_mean },
        )
    };
    Line {
        clients: args.clients,
        npcs: args.npcs,
        hz: HZ,
        seconds: args.seconds,
        shards: args.shards,
        threads: args.threads,
        tick_ms_p50: round(median(&tick_ms)),
        tick_ms_p99: round(percentile(&tick_ms, 0.99)),
        tick_ms_max: round(percentile(&tick_ms, 1.0)),
        cpu_ms_per_tick: round(cpu_ms_per_tick),
        bytes_per_client_tick: round(bytes as f64 / (ticks as usize * args.clients) as f64),
        overruns,
        stages: stages.iter().map(stage).collect(),
        rss_mib,
        clients_equal,
        check: fault.unwrap_or_else(|| "ok".to_owned()),
    }
}

fn what_clients_say(child: &mut Child, args: &Args) -> Option<String> {
    let output = child.stdout.take().map(std::io::read_to_string)?.ok()?;
    let _ = child.wait();
    let Ok(said) = serde_json::from_str::<Clients>(output.trim()) else {
        return Some(format!("the clients said {output:?}"));
    };
    if said.decode_errors + said.audit_failures > 0 || said.in_world < args.clients {
        let Clients { in_world, decode_errors, audit_failures, ended } = said;
        return Some(format!(
            "{in_world} clients were in, {decode_errors} decode errors, {audit_failures} failed audits, {ended:?}"
        ));
    }
    None
}

/// The clients' process: everybody walks about, and turns now and then, until the server is gone.
fn be_clients(args: &Args) -> Clients {
    let schema = builder(args).learn().expect("the shipped game is sound").schema.clone();
    let (hash, schema) = (schema.hash(), Arc::new(schema));
    let connect = |number: usize| {
        let player = PlayerId::new(&format!("player {number}")).expect("a short, printable name");
        let address = args.clients_of[number % args.clients_of.len()];
        let connection = Connection::open(address, player, hash, terrane::VERSION, Conditions::default())
            .expect("loopback can be connected to");
        Player::new(connection, schema.clone(), number as u64 + 1)
    };
    let mut players: Vec<Player> = (0..args.clients).map(connect).collect();
    let mut was_in = vec![false; players.len()];
    let (mut due, mut last, mut tick) = (Instant::now(), Instant::now(), 0usize);
    while players.iter().any(|player| player.ended().is_none()) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due = (due + TICK).max(Instant::now());
        let elapsed = last.elapsed();
        last += elapsed;
        tick += 1;
        for (number, player) in players.iter_mut().enumerate() {
            was_in[number] |= player.avatar().is_some_and(|avatar| player.view().get(avatar).is_some());
            if (tick + number) % 40 == 0 {
                let heading = (tick / 40 + number) as f32 * 2.4;
                let _ = player.want(&Steer { heading, speed_m_s: 5.0 });
            }
            player.tick(elapsed);
        }
    }
    let counts = |count: fn(&Player) -> u64| players.iter().map(count).sum();
    Clients {
        in_world: was_in.iter().filter(|was_in| **was_in).count(),
        decode_errors: counts(|player| player.counts().decode_errors),
        audit_failures: counts(|player| player.counts().audit_failures),
        ended: players.first().and_then(|player| player.ended().map(ToString::to_string)),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.clients_of.is_empty() {
        print_line(&be_clients(&args));
        return ExitCode::SUCCESS;
    }
    let line = measure(&args);
    let is_right = line.check == "ok";
    print_line(&line);
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
