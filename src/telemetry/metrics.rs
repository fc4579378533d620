//! The metrics that Prometheus reads: prefix `terrane_`, base units.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::telemetry::actions::{ActionSummary, local_share};
use crate::telemetry::stages::StageSample;
use crate::tick::TickSystems;

/// What the text of [`Metrics::encode`] is, for the `Content-Type` header.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The numbers of one tick, filled in by `Record`. Those named "since the start" only grow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsFrame {
    /// How long the last tick that ended took, in nanoseconds; `None` in the first.
    pub tick_ns: Option<u64>,
    /// What each stage cost; see [`StageTimes::last`](crate::telemetry::StageTimes::last).
    pub stages: [StageSample; TickSystems::COUNT],
    /// The number of the tick.
    pub tick: u64,
    /// Players in the world.
    pub players: u64,
    /// Owned entities.
    pub entities: u64,
    /// Ghosts.
    pub ghosts: u64,
    /// Cells.
    pub cells: u64,
    /// Players that wait to be admitted.
    pub joins_waiting: u64,
    /// Entities of which something waits to be sent, over all players.
    pub pending_entities: u64,
    /// For how many ticks the longest-waiting of them has waited.
    pub pending_ticks_max: u16,
    /// Ticks that took longer than their time, since the start.
    pub overruns: u64,
    /// Changes of owner, since the start.
    pub handovers: u64,
    /// Bytes of updates and replies handed to the transport, since the start.
    pub bytes_out: u64,
    /// Updates handed to the transport, since the start.
    pub updates: u64,
    /// Updates that could not take all that waited, since the start.
    pub updates_full: u64,
    /// Audits that were compared, since the start.
    pub audits: u64,
    /// Audits that failed, since the start.
    pub audit_failures: u64,
}

/// How long something took, again and again: 0.1 ms to 13 s, each bucket twice the one before. A clone is the same.
#[derive(Clone, Debug)]
pub struct Durations(Histogram);

impl Default for Durations {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(1e-4, 2.0, 18)))
    }
}

impl Durations {
    /// It took so long.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

/// What someone else counts or measures.
struct Outside {
    name: &'static str,
    help: &'static str,
    value: OutsideValue,
}

enum OutsideValue {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Seconds(Durations),
}

/// Those that joined by [`Metrics::register_counter`].
#[derive(Clone, Default)]
struct OutsideCounters(Arc<Mutex<Vec<Outside>>>);

impl fmt::Debug for OutsideCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutsideCounters")
    }
}

impl Collector for OutsideCounters {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for counter in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (name, help) = (counter.name, counter.help);
            match &counter.value {
                OutsideValue::Counter(value) => {
                    let value = ConstCounter::new(value.load(Ordering::Relaxed));
                    value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)?;
                }
                OutsideValue::Gauge(value) => {
                    let value = ConstGauge::new(value.load(Ordering::Relaxed) as f64);
                    value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)?;
                }
                OutsideValue::Seconds(Durations(value)) => {
                    let unit = Some(&Unit::Seconds);
                    value.encode(encoder.encode_descriptor(name, help, unit, value.metric_type())?)?;
                }
            }
        }
        Ok(())
    }
}

type StageHistograms = Family<[(&'static str, String); 1], Histogram, fn() -> Histogram>;
/// By action, scope and outcome.
type ActionCounters = Family<[(&'static str, &'static str); 3], Counter>;
type StageCounters = Family<[(&'static str, String); 1], Counter<f64, AtomicU64>>;

/// The metrics of one world. `Record` hands it one [`MetricsFrame`] a tick; HTTP reads the text.
pub struct Metrics {
    registry: Registry,
    outside: OutsideCounters,
    tick_seconds: Histogram,
    stage_seconds: Vec<Histogram>,
    stage_cpu_seconds: Vec<Counter<f64, AtomicU64>>,
    actions: ActionCounters,
    actions_local: Gauge<f64, AtomicU64>,
    gauges: [(Gauge<i64>, fn(&MetricsFrame) -> u64); 8],
    counters: [(Counter, fn(&MetricsFrame) -> u64); 7],
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// 10 µs to 1.3 s for a stage and 0.1 ms to 13 s for a tick, each bucket twice the one before.
fn stage_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-5, 2.0, 18))
}

impl Metrics {
    /// A registry in which every metric stands at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("terrane");
        let tick_seconds = Histogram::new(exponential_buckets(1e-4, 2.0, 18));
        registry.register_with_unit("tick", "Wall time of a tick", Unit::Seconds, tick_seconds.clone());

        let walls: StageHistograms = Family::new_with_constructor(stage_histogram as fn() -> Histogram);
        let cpus = StageCounters::default();
        registry.register_with_unit(
            "tick_stage",
            "Wall time of a stage of the tick",
            Unit::Seconds,
            walls.clone(),
        );
        registry.register_with_unit(
            "tick_stage_cpu",
            "CPU time of all threads of the process during a stage of the tick",
            Unit::Seconds,
            cpus.clone(),
        );
        let label = |stage: TickSystems| [("stage", stage.label())];
        let stage_seconds =
            TickSystems::ORDER.map(|stage| walls.get_or_create_owned(&label(stage))).into_iter().collect();
        let stage_cpu_seconds =
            TickSystems::ORDER.map(|stage| cpus.get_or_create_owned(&label(stage))).into_iter().collect();

        let mut gauge = |name: &str, help: &str, read: fn(&MetricsFrame) -> u64| {
            let gauge = Gauge::<i64>::default();
            registry.register(name, help, gauge.clone());
            (gauge, read)
        };
        let gauges = [
            gauge("tick_number", "The number of the tick", |frame| frame.tick),
            gauge("players", "Players in the world", |frame| frame.players),
            gauge("entities", "Entities that a cell owns", |frame| frame.entities),
            gauge("ghosts", "Copies of entities in neighbouring cells", |frame| frame.ghosts),
            gauge("cells", "Cells", |frame| frame.cells),
            gauge("joins_waiting", "Players that wait to be admitted", |frame| frame.joins_waiting),
            gauge(
                "pending_entities",
                "Entities of which something waits to be sent, over all players",
                |frame| frame.pending_entities,
            ),
            gauge("pending_ticks_max", "Ticks for which the longest-waiting of them has waited", |frame| {
                frame.pending_ticks_max.into()
            }),
        ];
        let mut counter = |name: &str, help: &str, unit: Option<Unit>, read: fn(&MetricsFrame) -> u64| {
            let counter = Counter::default();
            match unit {
                Some(unit) => registry.register_with_unit(name, help, unit, counter.clone()),
                None => registry.register(name, help, counter.clone()),
            }
            (counter, read)
        };
        let counters = [
            counter("tick_overruns", "Ticks that took longer than their time", None, |frame| frame.overruns),
            counter("handovers", "Entities that changed their owner", None, |frame| frame.handovers),
            counter("sent", "Bytes handed to the transport", Some(Unit::Bytes), |frame| frame.bytes_out),
            counter("updates", "State updates handed to the transport", None, |frame| frame.updates),
            counter("updates_full", "State updates that could not take all that waited", None, |frame| {
                frame.updates_full
            }),
            counter("audits", "Views that were compared with the oracle", None, |frame| frame.audits),
            counter("audit_failures", "Views that differ from the oracle", None, |frame| {
                frame.audit_failures
            }),
        ];
        let actions = ActionCounters::default();
        let help = "Actions by kind, scope and what became of them; continuous input counts once a tick";
        registry.register("actions", help, actions.clone());
        let actions_local = Gauge::<f64, AtomicU64>::default();
        actions_local.set(1.0);
        registry.register(
            "actions_local_ratio",
            "Share of the actions that were run, without continuous input, that could reach no further than a group",
            actions_local.clone(),
        );
        let outside = OutsideCounters::default();
        registry.register_collector(Box::new(outside.clone()));
        Self {
            registry,
            outside,
            tick_seconds,
            stage_seconds,
            stage_cpu_seconds,
            actions,
            actions_local,
            gauges,
            counters,
        }
    }

    /// Takes the numbers of one tick. About 40 atomic writes.
    pub fn record(&self, frame: &MetricsFrame) {
        let seconds = |ns: u64| ns as f64 / 1e9;
        if let Some(tick_ns) = frame.tick_ns {
            self.tick_seconds.observe(seconds(tick_ns));
        }
        for (place, sample) in frame.stages.iter().enumerate() {
            self.stage_seconds[place].observe(seconds(sample.wall_ns));
            if let Some(cpu_ns) = sample.cpu_ns {
                self.stage_cpu_seconds[place].inc_by(seconds(cpu_ns));
            }
        }
        for (gauge, read) in &self.gauges {
            gauge.set(i64::try_from(read(frame)).unwrap_or(i64::MAX));
        }
        for (counter, read) in &self.counters {
            // Never backwards, whatever a caller hands over: a counter that falls reads as a restart.
            counter.inner().fetch_max(read(frame), Ordering::Relaxed);
        }
    }

    /// Takes what became of actions since the start: six atomic writes for each kind.
    pub fn record_actions(&self, summaries: &[ActionSummary]) {
        for summary in summaries {
            for (outcome, count) in summary.outcomes {
                let labels = [("action", summary.action), ("scope", summary.scope), ("outcome", outcome)];
                // Never backwards, as all counters.
                self.actions.get_or_create(&labels).inner().fetch_max(count, Ordering::Relaxed);
            }
        }
        self.actions_local.set(local_share(summaries));
    }

    /// Adds a counter that others count, read at each scrape: `terrane_NAME_total`. `name` is in base units, without
    /// prefix and `_total`; the same name twice is counted as one metric by mistake, so it is refused.
    ///
    /// # Panics
    /// When the name is taken or is not one that Prometheus reads.
    pub fn register_counter(&self, name: &'static str, help: &'static str, value: Arc<AtomicU64>) {
        self.register(name, help, OutsideValue::Counter(value));
    }

    /// The same for a number that rises and falls: `terrane_NAME`.
    ///
    /// # Panics
    /// As [`register_counter`](Self::register_counter).
    pub fn register_gauge(&self, name: &'static str, help: &'static str, value: Arc<AtomicU64>) {
        self.register(name, help, OutsideValue::Gauge(value));
    }

    /// The same for how long something takes: `terrane_NAME_seconds`.
    ///
    /// # Panics
    /// As [`register_counter`](Self::register_counter).
    pub fn register_durations(&self, name: &'static str, help: &'static str, value: Durations) {
        self.register(name, help, OutsideValue::Seconds(value));
    }

    fn register(&self, name: &'static str, help: &'static str, value: OutsideValue) {
        assert!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "the name {name:?} must be lower-case letters and underscores"
        );
        // The text itself is asked, so that it does not matter who has the name.
        let taken = self.encode().contains(&format!("# TYPE terrane_{name} "));
        assert!(!taken, "{name} is registered twice");
        let mut outside = self.outside.0.lock().unwrap_or_else(PoisonError::into_inner);
        outside.push(Outside { name, help, value });
    }

    /// All metrics as OpenMetrics text, which every Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string cannot fail");
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A naive reader of the text: every family is declared once and has its own help, every sample stands below its
    /// family and has a legal name, legal labels and a number. Returns the samples, labels included in the key.
    pub(crate) fn parse(text: &str) -> Vec<(String, f64)> {
        let name_is_legal = |name: &str| {
            let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        assert!(text.ends_with("# EOF\n"), "the text must be whole");
        let (mut samples, mut family) = (Vec::new(), String::new());
        let (mut families, mut helps) = (BTreeSet::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.split(' ');
                match (words.next(), words.next()) {
                    (Some("HELP"), Some(name)) => {
                        assert!(families.insert(name), "the family {name} is there twice");
                        let help = words.collect::<Vec<_>>().join(" ");
                        assert!(helps.insert(help.clone()), "two families have the help {help:?}");
                        family = name.to_owned();
                    }
                    (Some("TYPE"), Some(name)) => {
                        assert_eq!(name, family);
                        let kind = words.next().unwrap();
                        assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                    }
                    (Some("UNIT"), Some(name)) => {
                        assert_eq!(name, family);
                        assert!(["seconds", "bytes"].contains(&words.next().unwrap()), "base units: {line}");
                    }
                    (Some("EOF"), None) => {}
                    _ => panic!("not a comment of the format: {line}"),
                }
                continue;
            }
            let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let name = key.split('{').next().unwrap();
            assert!(name_is_legal(name) && name.starts_with("terrane_"), "{line}");
            assert!(!family.is_empty() && name.starts_with(&family), "{line} stands under {family}");
            if let Some(labels) = key.strip_prefix(name).unwrap().strip_prefix('{') {
                for label in labels.strip_suffix('}').unwrap().split(',') {
                    let (name, text) = label.split_once('=').unwrap();
                    assert!(name_is_legal(name) && text.starts_with('"') && text.ends_with('"'), "{line}");
                }
            }
            let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
            samples.push((key.to_owned(), value));
        }
        samples
    }

    fn value(samples: &[(String, f64)], key: &str) -> f64 {
        let found = samples.iter().find(|(name, _)| name == key);
        found.unwrap_or_else(|| panic!("{key} is missing")).1
    }

    #[test]
    fn a_frame_shows_in_the_text_in_base_units() {
        let metrics = Metrics::new();
        let net_drops = Arc::new(AtomicU64::new(5));
        metrics.register_counter("net_packets_dropped", "Packets that were dropped", net_drops.clone());
        let stages = [StageSample { wall_ns: 2_000_000, cpu_ns: Some(3_000_000) }; TickSystems::COUNT];
        let mut frame = MetricsFrame {
            tick: 9,
            tick_ns: Some(1_500_000),
            stages,
            entities: 12,
            bytes_out: 1_000,
            ..MetricsFrame::default()
        };
        metrics.record(&frame);
        frame.bytes_out = 3_000;
        metrics.record(&frame);
        net_drops.fetch_add(1, Ordering::Relaxed);

        let samples = parse(&metrics.encode());
        assert_eq!(value(&samples, "terrane_tick_number"), 9.0);
        assert_eq!(value(&samples, "terrane_entities"), 12.0);
        assert_eq!(value(&samples, "terrane_sent_bytes_total"), 3_000.0, "totals are not added up twice");
        assert_eq!(value(&samples, "terrane_net_packets_dropped_total"), 6.0);
        assert_eq!(value(&samples, "terrane_tick_seconds_count"), 2.0);
        assert!((value(&samples, "terrane_tick_seconds_sum") - 0.003).abs() < 1e-9);
        for stage in TickSystems::ORDER {
            let label = format!("{{stage=\"{}\"}}", stage.label());
            assert_eq!(value(&samples, &format!("terrane_tick_stage_seconds_count{label}")), 2.0);
            let cpu = value(&samples, &format!("terrane_tick_stage_cpu_seconds_total{label}"));
            assert!((cpu - 0.006).abs() < 1e-9);
        }
    }

    #[test]
    #[should_panic(expected = "the family terrane_a is there twice")]
    fn the_reader_of_these_tests_refuses_a_family_that_is_declared_twice() {
        let family =
            |help: &str| format!("# HELP terrane_a {help}\n# TYPE terrane_a counter\nterrane_a_total 1\n");
        parse(&format!("{}{}# EOF\n", family("One."), family("Another.")));
    }

    #[test]
    #[should_panic(expected = "registered twice")]
    fn a_counter_registered_twice_is_refused() {
        let metrics = Metrics::new();
        metrics.register_counter("same", "One", Arc::default());
        metrics.register_counter("same", "Another", Arc::default());
    }

    #[test]
    #[should_panic(expected = "registered twice")]
    fn a_counter_with_the_name_of_one_of_our_own_is_refused() {
        Metrics::new().register_counter("handovers", "Another", Arc::default());
    }
}
