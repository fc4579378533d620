//! Runs a world: everything around the tick, from the save to the report.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Pace, ReportFormat, RunOptions, Settings};
use crate::http::{
    AdminToken, CompensationOrders, DrainRequest, HttpLimits, HttpServer, HttpSettings, HttpState, Orders,
    Questions, ReloadOrders,
};
use crate::net::{Loopback, LoopbackConditions, NetConfig, SecretKey, UdpNet, loopback::LoopbackPort};
use crate::replication::Schema;
use crate::replication::rule::{Tier, Tiers};
use crate::server::io::TickInput;
use crate::server::{Server, ServerBuilder, WorldSettings};
use crate::space::Area;
use crate::store::{Retention, RunFile, RunInfo, Store, UnusedSave, WorldIdentity, WorldRecord};
use crate::telemetry::watchdog::end_process;
use crate::telemetry::{
    Heartbeat, Metrics, Phase, Readiness, StageClock, StatusBoard, Watchdog, WatchdogSettings,
    install_panic_hook,
};

use super::ask::answer_questions;
use super::error::RunError;
use super::exchange::{Exchange, SEE_OFF_ROUND};
use super::observe::{Observer, config_json};
use super::pacer::Pacer;
use super::reference::{ReferenceDesk, folder_of};
use super::saving::{Saving, as_world_image};
use super::setup::{Setup, set_up};
use super::signals::Signals;
use super::troubles::health_of;
use super::watch::Watcher;

/// Players inside the process, played by the game: called once a tick, before and after it.
pub trait InProcessPlayers: Send {
    /// Everybody sends.
    fn send(&mut self);
    /// Everybody takes what has come, after so much time.
    fn receive(&mut self, elapsed: Duration);
    /// What they counted, for the report.
    fn counters(&self) -> Vec<(String, u64)>;
}

/// What a game's in-process players are made of.
#[derive(Debug)]
pub struct BotsRequest<'a> {
    /// Where they connect.
    pub port: LoopbackPort,
    /// What both ends know.
    pub schema: Arc<Schema>,
    /// How many.
    pub count: u32,
    /// The world they play in.
    pub world: &'a WorldSettings,
}

/// Makes players inside the process.
pub(super) type MakeBots = Box<dyn Fn(BotsRequest<'_>) -> Box<dyn InProcessPlayers>>;

/// Runs a world until it is told to stop.
pub(super) fn run(
    builder: ServerBuilder,
    setup: Option<Setup>,
    make_bots: Option<MakeBots>,
    watchdog: Option<WatchdogSettings>,
    options: &RunOptions,
) -> Result<(), RunError> {
    let mut settings = Settings::load(options)?;
    start_log(&settings);
    install_panic_hook();
    let signals = Signals::install()?;
    let folder = settings.config_file.as_deref().map(|file| folder_of(file).to_owned());
    let reference = builder.reference_kind().map(|kind| kind.load(folder.as_deref()));
    let reference = reference.transpose().map_err(RunError::Reference)?;
    // Bound first, so that it goes last: a start that is refused from here on leaves nothing behind.
    let (unused, mut store, record) = open_store(&mut settings)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let image = store.newest_image()?.map(as_world_image);
    let world_settings = world_settings(&settings, record.secret);
    let heartbeat = Heartbeat::new();
    let mut builder = builder.observe(StageClock::system(), heartbeat.clone());
    if let Some(loaded) = &reference {
        builder = builder.with_reference(loaded.clone());
    }
    builder = set_up(builder, setup, &settings, &world_settings)?;
    if let Some(npcs) = options.npcs.filter(|&npcs| npcs > 0 && !builder.has_npcs()) {
        return Err(RunError::NoNpcs(npcs));
    }
    let mut server = builder.build(world_settings, image.as_ref())?;

    let first = server.next_tick();
    let every = u64::from(settings.save.image_every_s) * u64::from(settings.run.hz);
    let mut saving = Saving::start(store, &mut server, every, first)?;
    if let Some(loaded) = reference {
        saving.follow_files(ReferenceDesk::new(Watcher::start(loaded.kind(), folder)?, loaded));
    }
    let mut network = start_network(&settings, &server, make_bots)?;
    let readiness = Readiness::default();
    let metrics = Arc::new(Metrics::new());
    let board = StatusBoard::default();
    let (drain, questions, orders) = (DrainRequest::default(), Questions::default(), Orders::default());
    let (compensations, reloads) = (CompensationOrders::default(), ReloadOrders::default());
    let mut observer = Observer::new(
        metrics.clone(),
        board.clone(),
        settings.run.report == Some(ReportFormat::Json),
        settings.run.hz,
    );
    observer.watch(network.exchange.transports(), saving.stats());
    let state = HttpState {
        heartbeat: heartbeat.clone(),
        readiness: readiness.clone(),
        status: board,
        metrics,
        config: Arc::new(config_json(&settings)),
        drain: drain.clone(),
        questions: questions.clone(),
        orders: orders.clone(),
        compensations: compensations.clone(),
        reloads: reloads.clone(),
    };
    let folder = settings.world.save_folder();
    let http = start_http(&settings, &folder, state)?;
    let run_info = RunInfo {
        pid: std::process::id(),
        shards: network.addresses.clone(),
        http: http.as_ref().map(HttpServer::local_addr),
    };
    let save_folder = saving.folder().clone();
    let run_file = RunFile::write(&save_folder, &run_info)?;
    let tick_length = Duration::from_secs(1) / settings.run.hz;
    let watchdog_settings = watchdog.unwrap_or_else(|| WatchdogSettings::for_tick(tick_length));
    let watchdog = Watchdog::start(heartbeat.clone(), watchdog_settings, move |report| {
        // Nothing is unwound: what should be gone with the process goes here.
        save_folder.forget_run();
        end_process(report);
    })?;
    unused.keep();
    say_ready(&settings, &run_info, &server, image.is_some());

    let now_ms = image.as_ref().map_or(0, |image| image.now_ms);
    let mut world = World {
        pacer: Pacer::new(settings.run.pace, settings.run.hz, now_ms),
        server,
        saving,
        observer,
        heartbeat: heartbeat.clone(),
        readiness: readiness.clone(),
        pace: settings.run.pace,
        questions,
        orders,
        compensations,
        reloads,
        last_image: None,
    };
    readiness.set_phase(Phase::Ready);
    heartbeat.set_running(true);
    let ended = world.run(&mut network, &settings, &signals, &drain);
    heartbeat.set_running(false);
    drop(watchdog);
    let finished = world.finish(&network, &settings, ended);
    drop(network);
    drop(http);
    drop(run_file);
    finished
}

fn start_log(settings: &Settings) {
    let level = settings.run.log.as_str();
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(format!("{level},terrane={level}"));
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_target(false)
        .finish();
    // A process that runs two worlds one after the other keeps its first log.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

pub(super) fn open_store(settings: &mut Settings) -> Result<(UnusedSave, Store, WorldRecord), RunError> {
    let mut identity = WorldIdentity::from(&settings.world);
    if settings.run.pace == Pace::Lockstep {
        // Runs in lockstep are equal to the bit, names included, so the key of the names is no secret.
        identity.secret = Some(identity.seed.value ^ WorldSettings::default().secret);
    }
    let (mut store, record) = Store::create_or_open(&settings.world.save_folder(), &identity)?;
    store.set_retention(Retention::of_seconds(settings.save.claims_kept_s, settings.save.history_kept_s));
    settings.adopt(record.seed, record.grid, record.size_m);
    Ok((store.unused(), store, record))
}

/// What the settings say of the world; the secret of its names is its save's.
pub(super) fn world_settings(settings: &Settings, secret: u64) -> WorldSettings {
    let space = &settings.space;
    let tiers: Vec<Tier> = space.tiers.iter().map(|&(beyond_m, every)| Tier { beyond_m, every }).collect();
    let tiers = Tiers::new(&tiers).expect("the configuration was checked");
    let [width, depth] = settings.world.size_m.value;
    let grid = settings.world.grid.value;
    WorldSettings {
        // As its folder is called now: a copy is another world.
        name: settings.world.name.clone(),
        seed: settings.world.seed.value,
        secret,
        area: Area { min: glam::Vec2::ZERO, max: glam::Vec2::new(width, depth) },
        grid: [grid.columns, grid.rows],
        cells: None,
        hz: settings.run.hz as u16,
        enter_radius_m: space.enter_radius_m,
        leave_radius_m: space.leave_radius_m,
        ghost_margin_m: space.ghost_margin_m,
        step_m_max: space.top_speed_m_s * settings.run.step_s(),
        attach_reach_m: space.attach_reach_m,
        view_entities_max: space.view_entities_max,
        tiers,
        client_bytes_per_tick: space.client_bytes_per_tick,
        bucket_m: space.bucket_m,
        players_max: (settings.network.players_max + settings.run.bots) as u32,
        grace_s: settings.session.grace_s,
        replies_kept_s: settings.session.replies_kept_s,
        keeps_players: true,
        periodic_every_s: settings.save.periodic_every_s,
        npcs: Some(settings.run.npcs as u64),
        threads: settings.run.threads,
        audit_every: settings.run.audit_every_ticks.map(u64::from),
        check_invariants: cfg!(debug_assertions),
    }
}

struct Network {
    exchange: Exchange,
    addresses: Vec<SocketAddr>,
    bots: Option<Box<dyn InProcessPlayers>>,
}

fn start_network(
    settings: &Settings,
    server: &Server,
    make_bots: Option<MakeBots>,
) -> Result<Network, RunError> {
    let network = &settings.network;
    let schema = Arc::new(server.game().schema.clone());
    let key = network.key_file.as_deref().map(SecretKey::load).transpose()?;
    let udp = UdpNet::start(NetConfig {
        listen: network.listen,
        public: network.public,
        shards: network.shards as u16,
        players_max: network.players_max as u32,
        key,
        schema_hash: schema.hash(),
        version: crate::VERSION.into(),
        limits: network.limits,
    })?;
    let addresses = crate::net::Transport::addresses(&udp);
    let mut exchange = Exchange::default();
    exchange.add(Box::new(udp));
    let count = settings.run.bots;
    let bots = if count > 0 {
        let make = make_bots.ok_or(RunError::NoBots(count))?;
        let inside = Loopback::new(
            schema.hash(),
            crate::VERSION,
            count as u32,
            LoopbackConditions::default(),
            server.settings().seed,
        );
        let bots =
            make(BotsRequest { port: inside.port(), schema, count: count as u32, world: server.settings() });
        exchange.add(Box::new(inside));
        Some(bots)
    } else {
        None
    };
    Ok(Network { exchange, addresses, bots })
}

fn start_http(
    settings: &Settings,
    folder: &std::path::Path,
    state: HttpState,
) -> Result<Option<HttpServer>, RunError> {
    let Some(addr) = settings.network.http else { return Ok(None) };
    let token = match &settings.network.admin_token_file {
        Some(file) => AdminToken::from_file(file)?,
        None => AdminToken::load_or_create(&folder.join("admin.token"))?,
    };
    Ok(Some(HttpServer::start(HttpSettings { addr, token, limits: HttpLimits::default() }, state)?))
}

fn say_ready(settings: &Settings, info: &RunInfo, server: &Server, resumed: bool) {
    let shards: Vec<String> = info.shards.iter().map(ToString::to_string).collect();
    let http = info.http.map_or("http off".to_owned(), |addr| format!("http://{addr}"));
    eprintln!(
        "ready: world `{}` {} at tick {}, players on udp {}, {http}, save {}",
        settings.world.name,
        if resumed { "goes on" } else { "begins" },
        server.next_tick(),
        shards.join(" "),
        settings.world.save_folder().display(),
    );
}

struct World {
    server: Server,
    saving: Saving,
    observer: Observer,
    pacer: Pacer,
    heartbeat: Heartbeat,
    readiness: Readiness,
    pace: Pace,
    questions: Questions,
    orders: Orders,
    compensations: CompensationOrders,
    reloads: ReloadOrders,
    last_image: Option<crate::server::WorldImage>,
}

impl World {
    fn run(
        &mut self,
        network: &mut Network,
        settings: &Settings,
        signals: &Signals,
        drain: &DrainRequest,
    ) -> Result<(), RunError> {
        let mut left = settings.run.ticks_max.unwrap_or(u64::MAX);
        while left > 0 && !signals.is_asked() && !drain.is_requested() {
            left -= 1;
            self.tick(network)?;
            if let Some(fault) = network.exchange.fault() {
                self.drain(network)?;
                return Err(RunError::Fault(fault));
            }
        }
        self.drain(network)
    }

    /// Lets nobody in, tells everybody, and makes the last image.
    fn drain(&mut self, network: &mut Network) -> Result<(), RunError> {
        self.readiness.set_phase(Phase::Draining);
        network.exchange.drain();
        let tick = self.server.next_tick();
        let input = TickInput { tick, now_ms: self.pacer.now_ms(tick), ..TickInput::default() };
        let mut output = self.guarded(|server| server.close(input))?;
        self.saving.take_last(&mut output);
        self.last_image = output.image.take();
        network.exchange.dispatch(&mut output.messages);
        let bots = &mut network.bots;
        network.exchange.see_off(|| {
            if let Some(bots) = bots {
                bots.receive(SEE_OFF_ROUND);
                bots.send();
            }
        });
        Ok(())
    }

    /// Runs a tick, or the closing half of one, so that a panic in it is told and ends the world.
    fn guarded<T>(&mut self, run: impl FnOnce(&mut Server) -> T) -> Result<T, RunError> {
        let tick = self.server.next_tick();
        self.heartbeat.begin_tick(tick);
        let ticked = catch_unwind(AssertUnwindSafe(|| run(&mut self.server)));
        self.heartbeat.end_tick();
        ticked.map_err(|_| {
            let place = self.heartbeat.panic_report().map(|report| report.to_string());
            let place = place.unwrap_or_else(|| format!("tick {tick} panicked"));
            RunError::Panicked(format!("{place}; nothing of the tick was saved"))
        })
    }

    #[expect(clippy::disallowed_methods, reason = "how long a tick took is measured around it")]
    fn tick(&mut self, network: &mut Network) -> Result<(), RunError> {
        self.pacer.wait();
        if let Some(bots) = &mut network.bots {
            bots.send();
        }
        let tick = self.server.next_tick();
        let mut input = TickInput { tick, now_ms: self.pacer.now_ms(tick), ..TickInput::default() };
        if self.pace == Pace::Lockstep {
            self.saving.wait(&mut input, &self.readiness);
        }
        self.saving.fill(&mut input, &self.readiness, &self.orders);
        self.saving.take_compensations(&input, &self.compensations);
        self.saving.take_reloads(&input, &self.reloads);
        input.health = health_of(&self.readiness);
        network.exchange.gather(&mut input);
        let began = Instant::now();
        let mut output = self.guarded(|server| server.tick(input))?;
        let took = began.elapsed();
        network.exchange.dispatch(&mut output.messages);
        self.saving.hand_over(&mut output, &self.server);
        self.pacer.took(took);
        if let Some(bots) = &mut network.bots {
            bots.receive(self.pacer.tick_length());
        }
        self.observer.note_store(&self.server, &self.saving);
        self.observer.tick(&mut self.server, output.report, took, self.pacer.overruns);
        if self.questions.is_waiting() {
            let questions = self.questions.clone();
            self.guarded(|server| answer_questions(server, &questions))?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        network: &Network,
        settings: &Settings,
        ended: Result<(), RunError>,
    ) -> Result<(), RunError> {
        if let Err(error @ RunError::Panicked(_)) = ended {
            // The world in memory is in an unknown state and is not saved. What earlier ticks have handed over is sound.
            if let Err(lost) = self.saving.finish(None) {
                tracing::error!("{lost}");
            }
            return Err(error);
        }
        let saved = self.saving.finish(self.last_image.take());
        let game: BTreeMap<String, u64> = network.bots.iter().flat_map(|bots| bots.counters()).collect();
        let report = self.observer.report(&self.server, self.pacer.overruns, game);
        if settings.run.report == Some(ReportFormat::Json) {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", report.to_json_line())?;
            out.flush()?;
        } else {
            eprintln!("{report}");
        }
        saved?;
        ended
    }
}
