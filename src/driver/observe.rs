//! What the driver tells of the world: metrics, the status line, the published snapshot and the last report.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::config::Settings;
use crate::net::{NetCounters, Transport};
use crate::replication::audit::AuditFindings;
use crate::server::actions::action_summaries;
use crate::server::counters::{GameCounter, GameCounters};
use crate::server::record::help_of;
use crate::server::{Server, TickReport};
use crate::store::StoreStats;
use crate::telemetry::{
    ActionSummary, Metrics, MetricsFrame, Quantiles, RunReport, Snapshot, StageTimes, StatusBoard,
    StatusLine, clock, status::StatusNumbers,
};
use crate::value::Desk;

use super::saving::Saving;

/// Over how many ticks "lately" is.
const LATELY_TICKS: usize = 200;

/// Everything that is told.
pub(super) struct Observer {
    metrics: Arc<Metrics>,
    board: StatusBoard,
    line: StatusLine,
    networks: Vec<Arc<NetCounters>>,
    outside: Vec<(Arc<AtomicU64>, Source)>,
    tick_ns: Quantiles,
    lately: VecDeque<(u64, u64)>,
    started: Instant,
    bytes_out: u64,
    updates: u64,
    updates_full: u64,
    clients_max: u64,
    last: TickReport,
    publish_every: u64,
    store_gauges: StoreGauges,
    hz: u64,
}

/// What rises and falls of the store.
#[derive(Debug, Default)]
struct StoreGauges {
    backlog: Arc<AtomicU64>,
    wait_s: Arc<AtomicU64>,
    delivery_s: Arc<AtomicU64>,
    plans_under_way: Arc<AtomicU64>,
    disk_free_bytes: Arc<AtomicU64>,
}

/// Where a counter that metrics show comes from.
enum Source {
    Net(&'static str),
    Server(&'static str),
    Store(Arc<StoreStats>, fn(&StoreStats) -> u64),
    Game(GameCounter),
}

impl Observer {
    #[expect(clippy::disallowed_methods, reason = "for the report of the run: no tick reads it")]
    pub(super) fn new(metrics: Arc<Metrics>, board: StatusBoard, json_report: bool, hz: u32) -> Self {
        Self {
            metrics,
            board,
            line: StatusLine::on_stderr(json_report),
            networks: Vec::new(),
            outside: Vec::new(),
            tick_ns: Quantiles::default(),
            lately: VecDeque::new(),
            started: Instant::now(),
            bytes_out: 0,
            updates: 0,
            updates_full: 0,
            clients_max: 0,
            last: TickReport::default(),
            publish_every: u64::from(hz).div_ceil(4),
            store_gauges: StoreGauges::default(),
            hz: u64::from(hz),
        }
    }

    /// Shows what the networks, the server and the store count.
    pub(super) fn watch<'a>(
        &mut self,
        transports: impl Iterator<Item = &'a dyn Transport>,
        store: &Arc<StoreStats>,
    ) {
        self.networks = transports.map(Transport::counters).collect();
        if let Some(first) = self.networks.first() {
            let names: Vec<_> = first.each().map(|(name, help, _)| (name, help)).collect();
            for (name, help) in names {
                self.register(leak(format!("net_{name}")), help, Source::Net(name));
            }
        }
        let store_counters: [(&'static str, &'static str, fn(&StoreStats) -> u64); 14] = [
            ("store_images_saved", "Images of the world made durable", StoreStats::images_saved),
            ("store_image_bytes", "Bytes of those images", StoreStats::image_bytes),
            ("store_profiles_saved", "Profiles of players written", StoreStats::profiles_saved),
            ("store_profiles_loaded", "Profiles of players looked up", StoreStats::profiles_loaded),
            (
                "store_profile_conflicts",
                "Profiles not written because a newer one stood in their place",
                StoreStats::profile_conflicts,
            ),
            ("store_rows_saved", "Components of avatars written by themselves", StoreStats::rows_saved),
            ("store_failures", "Writes to the save that failed", StoreStats::failures),
            ("store_plans_committed", "Plans that the store carried out", StoreStats::plans_committed),
            ("store_plans_refused", "Plans that the store refused", StoreStats::plans_refused),
            ("store_plans_repeated", "Plans whose claim was fulfilled before", StoreStats::plans_repeated),
            (
                "store_plan_conflicts",
                "Accounts whose holdings were others than the world knew when a plan was carried out",
                StoreStats::plan_conflicts,
            ),
            ("store_rows_written", "Rows of all tables that were written", StoreStats::rows_written),
            (
                "store_deliveries_done",
                "Deliveries of the outbox that got through",
                StoreStats::deliveries_done,
            ),
            ("store_deliveries_failed", "Tries to deliver that failed", StoreStats::deliveries_failed),
        ];
        let help = "How long the store took for what was asked of it, once it worked";
        self.metrics.register_durations("store_write", help, store.writes().clone());
        let gauges: [(&'static str, &'static str, &Arc<AtomicU64>); 5] = [
            ("store_backlog", "What waits for the store or is under way", &self.store_gauges.backlog),
            (
                "store_wait_seconds",
                "How long the oldest of what is to be kept of players has waited",
                &self.store_gauges.wait_s,
            ),
            (
                "store_delivery_seconds",
                "How long the couriers have been at what they took from the outbox last",
                &self.store_gauges.delivery_s,
            ),
            (
                "store_plans_under_way",
                "Plans that are on their way: by so many changes memory lags behind the save at most",
                &self.store_gauges.plans_under_way,
            ),
            (
                "store_disk_free_bytes",
                "Free on the disk that the save is on",
                &self.store_gauges.disk_free_bytes,
            ),
        ];
        for (name, help, value) in gauges {
            self.metrics.register_gauge(name, help, value.clone());
        }
        for (name, help, read) in store_counters {
            self.register(name, help, Source::Store(store.clone(), read));
        }
    }

    fn register(&mut self, name: &'static str, help: &'static str, source: Source) {
        let value = Arc::new(AtomicU64::new(0));
        self.metrics.register_counter(name, help, value.clone());
        self.outside.push((value, source));
    }

    /// Takes note of a tick.
    pub(super) fn tick(&mut self, server: &mut Server, report: TickReport, took: Duration, overruns: u64) {
        let took_ns = took.as_nanos() as u64;
        self.tick_ns.record(took_ns);
        self.bytes_out += report.update_bytes;
        self.updates += report.updates;
        self.updates_full += report.updates_full;
        self.clients_max = self.clients_max.max(report.players);
        if self.lately.len() == LATELY_TICKS {
            self.lately.pop_front();
        }
        self.lately.push_back((clock::wall_ns(), report.update_bytes));
        if self.tick_ns.count() == 1 {
            for &(name, _) in &report.counters {
                self.register(name, help_of(name).unwrap_or(name), Source::Server(name));
            }
            for counter in server.node().resource::<GameCounters>().iter() {
                self.register(leak(format!("game_{}", counter.name)), counter.help, Source::Game(*counter));
            }
        }
        self.last = report;
        let tick = server.next_tick().0 - 1;
        self.metrics.record(&self.frame(server, tick, took_ns, overruns));
        self.metrics.record_actions(&action_summaries(server));
        for (value, source) in &self.outside {
            value.store(self.read(source, server), Ordering::Relaxed);
        }
        if tick.is_multiple_of(self.publish_every) {
            self.publish(server, tick, overruns);
        }
        let now_ns = clock::wall_ns();
        if self.line.is_due(now_ns) {
            let (hz, bytes_per_s) = self.rates();
            let numbers = StatusNumbers {
                tick,
                hz,
                tick_ms_p99: self.p99_ms(),
                entities: self.last.entities,
                players: self.last.players,
                bytes_per_s,
            };
            self.line.update(now_ns, &numbers);
        }
    }

    /// Takes note of how the store does.
    pub(super) fn note_store(&self, server: &Server, saving: &Saving) {
        let gauges = &self.store_gauges;
        gauges.backlog.store(saving.backlog(), Ordering::Relaxed);
        gauges.wait_s.store(saving.waits_ticks() / self.hz, Ordering::Relaxed);
        gauges.delivery_s.store(saving.delivers_ticks() / self.hz, Ordering::Relaxed);
        let under_way = server.node().resource::<Desk>().under_way();
        gauges.plans_under_way.store(under_way as u64, Ordering::Relaxed);
        gauges.disk_free_bytes.store(saving.stats().disk_free_bytes(), Ordering::Relaxed);
    }

    fn read(&self, source: &Source, server: &Server) -> u64 {
        match source {
            Source::Net(name) => self
                .networks
                .iter()
                .flat_map(|counters| counters.each().collect::<Vec<_>>())
                .filter(|(counter, _, _)| counter == name)
                .map(|(_, _, value)| value)
                .sum(),
            Source::Server(name) => {
                self.last.counters.iter().find(|(counter, _)| counter == name).map_or(0, |(_, value)| *value)
            }
            Source::Store(stats, read) => read(stats),
            Source::Game(counter) => counter.read(server.node()),
        }
    }

    fn frame(&self, server: &Server, tick: u64, took_ns: u64, overruns: u64) -> MetricsFrame {
        let last = &self.last;
        MetricsFrame {
            tick_ns: Some(took_ns),
            stages: *server.node().resource::<StageTimes>().last(),
            tick,
            players: last.players,
            entities: last.entities,
            ghosts: last.ghosts,
            cells: last.cells,
            joins_waiting: last.waiting,
            pending_entities: last.pending_entities,
            pending_ticks_max: last.pending_ticks_max,
            overruns,
            handovers: last.handovers,
            bytes_out: self.bytes_out,
            updates: self.updates,
            updates_full: self.updates_full,
            audits: last.audits.conclusive,
            audit_failures: last.audits.failures,
        }
    }

    /// Ticks and bytes per second, lately.
    fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.lately.front(), self.lately.back()) else { return (0.0, 0.0) };
        let seconds = (last.0 - first.0) as f64 / 1e9;
        if seconds <= 0.0 {
            return (0.0, 0.0);
        }
        let bytes: u64 = self.lately.iter().skip(1).map(|(_, bytes)| bytes).sum();
        ((self.lately.len() - 1) as f64 / seconds, bytes as f64 / seconds)
    }

    fn p99_ms(&self) -> f64 {
        self.tick_ns.quantile(0.99).map_or(0.0, |ns| ns as f64 / 1e6)
    }

    fn publish(&self, server: &mut Server, tick: u64, overruns: u64) {
        let (hz, bytes_out_per_s) = self.rates();
        let stages = server.node().resource::<StageTimes>().summary().iter().map(Into::into).collect();
        self.board.publish(Snapshot {
            world: server.settings().name.clone(),
            tick: crate::ids::TickNumber(tick),
            hz,
            tick_ms_p99: self.p99_ms(),
            overruns,
            players: self.last.players as u32,
            entities: self.last.entities,
            ghosts: self.last.ghosts,
            bytes_out_per_s,
            cells: server.cell_snapshots(),
            stages,
        });
    }

    /// The report of the run.
    pub(super) fn report(
        &mut self,
        server: &Server,
        overruns: u64,
        mut game: BTreeMap<String, u64>,
    ) -> RunReport {
        self.line.finish();
        let counters = server.node().resource::<GameCounters>().iter();
        game.extend(counters.map(|counter| (counter.name.to_owned(), counter.read(server.node()))));
        let last = &self.last;
        let mut report = RunReport {
            world: server.settings().name.clone(),
            overruns,
            threads: server.settings().threads as u32,
            cells: last.cells as u32,
            entities: last.entities,
            ghosts: last.ghosts,
            handovers: last.handovers,
            clients_max: self.clients_max as u32,
            bytes_out: self.bytes_out,
            grants: server.node().resource::<Desk>().counts.committed,
            audits: last.audits.conclusive,
            audits_inconclusive: last.audits.inconclusive,
            audit_fields: last.audits.fields,
            audit_fields_skipped: last.audits.fields_skipped,
            audit_failures: last.audits.failures,
            audit_findings: server.node().resource::<AuditFindings>().all().to_vec(),
            actions: action_summaries(server).into_iter().filter(ActionSummary::is_used).collect(),
            fingerprint: last.fingerprint,
            game,
            stages: server.node().resource::<StageTimes>().summary(),
            ..RunReport::default()
        };
        report.set_ticks(&self.tick_ns, self.started.elapsed().as_nanos() as u64);
        report
    }
}

/// Names of metrics live as long as the process; there are as many as counters in the source.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

/// What operators may see of the configuration.
pub(super) fn config_json(settings: &Settings) -> serde_json::Value {
    let (space, run, network) = (&settings.space, &settings.run, &settings.network);
    json!({
        "config_file": settings.config_file,
        "name": settings.world.name,
        "saves": settings.world.saves,
        "seed": settings.world.seed.value,
        "grid": [settings.world.grid.value.columns, settings.world.grid.value.rows],
        "size_m": settings.world.size_m.value,
        "hz": run.hz,
        "threads": run.threads,
        "npcs": run.npcs,
        "bots": run.bots,
        "audit_every": run.audit_every_ticks,
        "max_players": network.players_max,
        "shards": network.shards,
        "secure": network.is_secure(),
        "space": {
            "enter_radius_m": space.enter_radius_m,
            "leave_radius_m": space.leave_radius_m,
            "top_speed_m_s": space.top_speed_m_s,
            "attach_reach_m": space.attach_reach_m,
            "ghost_margin_m": space.ghost_margin_m,
            "tiers": space.tiers,
            "client_bytes_per_tick": space.client_bytes_per_tick,
            "view_entities_max": space.view_entities_max,
            "bucket_m": space.bucket_m,
        },
        "grace_s": settings.session.grace_s,
        "replies_kept_s": settings.session.replies_kept_s,
        "image_every_s": settings.save.image_every_s,
        "periodic_every_s": settings.save.periodic_every_s,
        "claims_kept_s": settings.save.claims_kept_s,
        "history_kept_s": settings.save.history_kept_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Loopback, LoopbackConditions};
    use crate::server::{ServerBuilder, TickInput, WorldSettings};
    use crate::telemetry::metrics::tests::parse;

    /// What a scrape of a running world sees is one text that Prometheus takes, every counter told once and with a
    /// help of its own.
    #[test]
    fn a_running_worlds_metrics_name_no_family_twice() {
        let metrics = Arc::new(Metrics::new());
        let mut observer = Observer::new(metrics.clone(), StatusBoard::default(), true, 20);
        let transport = Loopback::new(1, "1", 1, LoopbackConditions::default(), 1);
        let transports: [&dyn Transport; 1] = [&transport];
        observer.watch(transports.into_iter(), &Arc::default());
        let mut server = ServerBuilder::default().build(WorldSettings::default(), None).unwrap();
        for _ in 0..3 {
            let tick = server.next_tick();
            let report = server.tick(TickInput { tick, ..TickInput::default() }).report;
            observer.tick(&mut server, report, Duration::from_millis(1), 0);
        }
        let samples = parse(&metrics.encode());
        for (name, _) in observer.last.counters {
            assert!(help_of(name).is_some(), "nobody says what {name} counts: add it to `help_of`");
            let key = format!("terrane_{name}_total");
            assert_eq!(samples.iter().filter(|(sample, _)| *sample == key).count(), 1, "{key}");
        }
    }
}
