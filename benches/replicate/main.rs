//! Replication: all a server does between "positions changed" and "bytes ready to send".
//!
//! Inside `cpu_ms_median`: the sets `Receive`, `Partition` (handover), `Simulate` (checks of positions, fingerprint, export
//! of borders; the game has no systems and entities are moved before), `Mirror`, `Interest` (import of ghosts,
//! encoding, index and search), `Assemble` (acks, views, updates) and `Send`, as the server's own schedule runs
//! them. Outside: moving, sealing the input, counters of `Record`, sockets, and the clients, which take their
//! updates between bursts of ticks. CPU time of the whole process, all threads.
//!
//! The parts are measured on every other tick, see `breakdown`: `ghosts` is `Partition`, `Simulate`, `Mirror` and
//! the import; `encode` includes publishing rows; `assemble` is the set without the part that is `diff`.

#[path = "../common/mod.rs"]
mod common;

mod breakdown;
mod check;
mod game;
mod motion;

use std::process::ExitCode;
use std::str::FromStr;

use breakdown::Parts;
use bytes::Bytes;
use check::Expected;
use clap::Parser;
use common::{cpu_ms_of, median, print_line, round, rss_mib};
use game::Crowd;
use motion::{Motion, Scenario};
use serde::Serialize;
use terrane::client::Mirror;
use terrane::ids::{ConnectionId, NetId};
use terrane::limits::JOINS_PER_TICK_MAX;
use terrane::net::ToNet;
use terrane::replication::ViewSettings;
use terrane::server::io::{ClientAck, Join, TickInput};
use terrane::server::{Server, TickReport};
use terrane::tick::TickSystems;

/// What counts.
const TIMED: [TickSystems; 7] = [
    TickSystems::Receive,
    TickSystems::Partition,
    TickSystems::Simulate,
    TickSystems::Mirror,
    TickSystems::Interest,
    TickSystems::Assemble,
    TickSystems::Send,
];
/// Ticks in a row before the clients take their updates.
const BURST_TICKS: usize = 20;
/// Ticks of a burst that count for nothing, since the clients have used the caches.
const BURST_WARMUP: usize = 2;
/// Ticks after which everything has been told once nothing moves.
const SETTLE_TICKS: usize = 16;

/// Measures replication.
#[derive(Parser)]
struct Args {
    /// Entities, clients, and how many entities a client sees on average; several times for several cases.
    #[arg(long, value_name = "E,C,V")]
    scenario: Vec<Numbers>,
    /// Share of the entities that move in a tick.
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    moved: f64,
    /// All clients look from one entity.
    #[arg(long)]
    same_spot: bool,
    /// Share of the entities whose fields are masked.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    mask: f64,
    /// Share of the entities with three fields that are evaluated for each player, and change whenever they move.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    per_player: f64,
    /// Threads that run cells and sessions.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Ticks to measure; half of them are for the parts.
    #[arg(long, default_value_t = 300)]
    ticks: usize,
    /// Ticks before that, once everybody has joined.
    #[arg(long, default_value_t = 40)]
    warmup: usize,
    /// Edge of a cell in metres, about. Six times the radius of sight: two to three times are the least that is
    /// advised, and larger cells have fewer borders.
    #[arg(long, default_value_t = 300.0)]
    cell_m: f32,
    /// Seed of the places.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// E, C and V.
#[derive(Clone, Copy)]
struct Numbers(usize, usize, f64);

impl FromStr for Numbers {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<usize> = text.split(',').map_while(|number| number.trim().parse().ok()).collect();
        match numbers[..] {
            [entities, clients, visible] if clients >= 1 && entities >= clients && visible >= 1 => {
                Ok(Self(entities, clients, visible as f64))
            }
            _ => Err("three whole numbers E,C,V with E ≥ C ≥ 1 and V ≥ 1, as in 10000,200,100".into()),
        }
    }
}

/// The scenarios that are measured unless others are asked for.
const SCENARIOS: [Numbers; 4] = [
    Numbers(1_000, 50, 100.0),
    Numbers(10_000, 200, 100.0),
    Numbers(10_000, 1_000, 100.0),
    Numbers(50_000, 1_000, 100.0),
];

#[derive(Serialize)]
struct Line {
    #[serde(rename = "E")]
    entities: usize,
    #[serde(rename = "C")]
    clients: usize,
    #[serde(rename = "V")]
    visible: f64,
    visible_mean: f64,
    cpu_ms_median: f64,
    ghosts_ms_median: f64,
    aoi_ms_median: f64,
    encode_ms_median: f64,
    diff_ms_median: f64,
    assemble_ms_median: f64,
    bytes_per_client_tick: f64,
    rss_mib: Option<f64>,
    check: String,
    handover_ms_median: f64,
    simulate_ms_median: f64,
    mirror_ms_median: f64,
    import_ms_median: f64,
    ns_per_changed: f64,
    moved: f64,
    mask: f64,
    per_player: f64,
    same_spot: bool,
    threads: usize,
    side_m: f64,
    cells: u64,
    ghosts: u64,
    handovers_per_tick: f64,
}

/// The server of a run and its clients.
struct Run {
    server: Server,
    mirrors: Vec<Mirror>,
    /// Updates that the clients have not taken yet.
    updates: Vec<(usize, Bytes)>,
    /// Newest update of each client.
    newest: Vec<u32>,
    bytes: u64,
    full: u64,
    fault: Option<String>,
}

fn connection(client: usize) -> ConnectionId {
    ConnectionId(client as u64 + 1)
}

impl Run {
    /// One tick: acks of everything sent so far go in, updates come out.
    fn tick(&mut self, joins: Vec<Join>) -> TickReport {
        let tick = self.server.next_tick();
        let newest = self.newest.iter().enumerate().filter(|(_, newest)| **newest > 0);
        let acks = newest
            .map(|(client, &newest)| ClientAck {
                connection: connection(client),
                epoch: client as u32 + 1,
                newest,
                bits: u64::MAX,
                heard: 0,
            })
            .collect();
        let input = TickInput { tick, now_ms: tick.0 * 50, joins, acks, ..TickInput::default() };
        let output = self.server.tick(input);
        for message in output.messages {
            if let ToNet::Update { connection, bytes } = message {
                let client = connection.0 as usize - 1;
                self.newest[client] = u32::from_le_bytes(bytes[..4].try_into().expect("a number in front"));
                self.bytes += bytes.len() as u64;
                self.updates.push((client, bytes));
            }
        }
        self.full += output.report.updates_full;
        output.report
    }

    /// The clients take what was sent.
    fn catch_up(&mut self) {
        let schema = self.server.game().schema.clone();
        for (client, bytes) in self.updates.drain(..) {
            if let Err(error) = self.mirrors[client].apply(&schema, &bytes) {
                self.fault.get_or_insert(format!("client {client} cannot read an update: {error}"));
            }
        }
        for (client, (mirror, newest)) in self.mirrors.iter().zip(&self.newest).enumerate() {
            if mirror.ack().0 != *newest {
                self.fault.get_or_insert(format!("client {client} did not apply its newest update"));
            }
        }
    }

    fn let_move(&mut self, runs: bool) {
        self.server.node_mut().resource_mut::<Crowd>().runs = runs;
    }

    fn names(&self) -> Vec<NetId> {
        let at = &self.server.node().resource::<Crowd>().at;
        let mut names = vec![NetId::WORLD; at.len()];
        for (&net_id, &at) in at {
            names[at as usize] = net_id;
        }
        names
    }

    /// Compares every client with the expectation, and says what is wrong first.
    fn check(&mut self, expected: &Expected) {
        let schema = self.server.game().schema.clone();
        if self.fault.is_none() {
            self.fault = expected.first_wrong(&self.mirrors, &schema);
        }
    }
}

#[derive(Default)]
struct Measured {
    cpu: Vec<f64>,
    ghosts: Vec<f64>,
    aoi: Vec<f64>,
    encode: Vec<f64>,
    diff: Vec<f64>,
    assemble: Vec<f64>,
    handover: Vec<f64>,
    simulate: Vec<f64>,
    mirror: Vec<f64>,
    import: Vec<f64>,
    moved: usize,
}

fn measure(scenario: Scenario, args: &Args) -> Line {
    let motion = scenario.motion(args.warmup + args.ticks);
    let server = game::server(&scenario, &motion, args.threads);
    let mut run = Run {
        server,
        mirrors: std::iter::repeat_with(Mirror::default).take(scenario.clients).collect(),
        updates: Vec::new(),
        newest: vec![0; scenario.clients],
        bytes: 0,
        full: 0,
        fault: None,
    };
    let joining = scenario.clients.div_ceil(JOINS_PER_TICK_MAX);
    let all = |client| Join::anew(connection(client), game::player(client));
    run.tick((0..scenario.clients).map(all).collect());
    (1..joining).for_each(|_| drop(run.tick(Vec::new())));
    run.catch_up();
    game::start(&mut run.server, &scenario);
    for _ in 0..args.warmup {
        run.tick(Vec::new());
    }
    run.catch_up();

    let mut measured = Measured::default();
    run.bytes = 0;
    let begin = run.tick_counts();
    let mut ticks = 0;
    while ticks < args.ticks {
        for of_burst in 0..BURST_TICKS.min(args.ticks - ticks) {
            let apart = of_burst % 2 == 1;
            run.server.node_mut().resource_mut::<Parts>().apart = apart;
            run.tick(Vec::new());
            ticks += 1;
            if of_burst >= BURST_WARMUP {
                measured.take(&run, apart);
            }
        }
        run.catch_up();
    }
    let bytes = run.bytes;
    let rss_mib = rss_mib().map(round);
    run.server.node_mut().resource_mut::<Parts>().apart = false;
    let end = run.tick_counts();

    let (visible_mean, report) = check_all(&mut run, &scenario, motion.clone(), joining, args.warmup + ticks);
    let ghosts = median(&measured.ghosts);
    let encode = median(&measured.encode);
    Line {
        entities: scenario.entities,
        clients: scenario.clients,
        visible: scenario.visible,
        visible_mean: round(visible_mean),
        cpu_ms_median: round(median(&measured.cpu)),
        ghosts_ms_median: round(ghosts),
        aoi_ms_median: round(median(&measured.aoi)),
        encode_ms_median: round(encode),
        diff_ms_median: round(median(&measured.diff)),
        assemble_ms_median: round(median(&measured.assemble) - median(&measured.diff)),
        bytes_per_client_tick: round(bytes as f64 / (ticks * scenario.clients) as f64),
        rss_mib,
        check: run.fault.unwrap_or_else(|| "ok".to_owned()),
        handover_ms_median: round(median(&measured.handover)),
        simulate_ms_median: round(median(&measured.simulate)),
        mirror_ms_median: round(median(&measured.mirror)),
        import_ms_median: round(median(&measured.import)),
        ns_per_changed: round((ghosts + encode) * 1e6 / measured.moved.max(1) as f64),
        moved: scenario.moved,
        mask: scenario.masked,
        per_player: scenario.per_player,
        same_spot: scenario.same_spot,
        threads: args.threads,
        side_m: round(motion.side_m.into()),
        cells: report.cells,
        ghosts: report.ghosts,
        handovers_per_tick: round((end - begin) as f64 / ticks as f64),
    }
}

impl Run {
    /// Handovers since the start.
    fn tick_counts(&self) -> u64 {
        self.server.node().resource::<terrane::cell::partition::PartitionCounts>().handovers
    }
}

impl Measured {
    fn take(&mut self, run: &Run, apart: bool) {
        let (server, parts) = (&run.server, run.server.node().resource::<Parts>());
        if apart {
            // The import, the encoding and the search ran within `Mirror`.
            let before = [TickSystems::Partition, TickSystems::Simulate, TickSystems::Mirror];
            self.ghosts.push(cpu_ms_of(server, &before) - parts.cells_encode_ms - parts.aoi_ms);
            self.import.push(parts.import_ms);
            self.aoi.push(parts.aoi_ms);
            self.encode.push(parts.cells_encode_ms + parts.publish_ms);
            self.diff.push(parts.diff_ms);
        } else {
            self.cpu.push(cpu_ms_of(server, &TIMED));
            self.handover.push(cpu_ms_of(server, &[TickSystems::Partition]));
            self.simulate.push(cpu_ms_of(server, &[TickSystems::Simulate]));
            self.mirror.push(cpu_ms_of(server, &[TickSystems::Mirror]));
            self.assemble.push(cpu_ms_of(server, &[TickSystems::Assemble]));
            self.moved = run.server.node().resource::<Crowd>().motion.moved.len();
        }
    }
}

/// Follows the whole run with the oracle, then some more ticks in motion and some at rest, and compares.
fn check_all(
    run: &mut Run,
    scenario: &Scenario,
    motion: Motion,
    joining: usize,
    ticks: usize,
) -> (f64, TickReport) {
    let settings = run.server.settings();
    let rule =
        ViewSettings::new(settings.enter_radius_m, settings.leave_radius_m, settings.view_entities_max);
    let mut expected = Expected::new(*scenario, rule, motion, run.names());
    expected.join(joining);
    expected.start();
    let mut visible = 0;
    for _ in 0..ticks {
        expected.step(true);
        visible += expected.visible();
    }
    // While updates overflow, clients are a little behind: then only the state at rest can be compared.
    if run.full == 0 {
        run.check(&expected);
    }
    for _ in 0..3 {
        let full = run.tick(Vec::new()).updates_full;
        run.catch_up();
        expected.step(true);
        if full == 0 && run.full == 0 {
            run.check(&expected);
        }
    }
    run.let_move(false);
    let mut report = Default::default();
    for _ in 0..SETTLE_TICKS {
        report = run.tick(Vec::new());
        expected.step(false);
    }
    run.catch_up();
    run.check(&expected);
    (visible as f64 / (ticks * scenario.clients) as f64, report)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let scenarios = if args.scenario.is_empty() { &SCENARIOS[..] } else { &args.scenario };
    let mut all_right = true;
    for &Numbers(entities, clients, visible) in scenarios {
        let scenario = Scenario {
            entities,
            clients,
            visible,
            moved: args.moved,
            masked: args.mask,
            per_player: args.per_player,
            same_spot: args.same_spot,
            seed: args.seed,
            cell_m: args.cell_m,
        };
        let line = measure(scenario, &args);
        all_right &= line.check == "ok";
        print_line(&line);
    }
    if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
