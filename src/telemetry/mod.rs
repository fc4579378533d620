//! What the world tells of itself.
//!
//! *Does*: times the stages of the tick, counts, keeps the report of a run and the published snapshot, marks Tracy
//! zones, and knows at any moment which tick, stage, cell and system is running, so that a panic or a hang is told by
//! name.
//! *Does not*: decide anything. No tick ever reads back what is written here, and nothing here changes what a tick
//! computes.
//! *Reads*: clocks (the only ones below the driver, given as functions), the frame of numbers handed over in `Record`.
//! *Writes*: atomics, histograms, stderr.
//!
//! This is the only module that knows `tracy_client` and `prometheus_client`.

pub mod actions;
pub mod breadcrumb;
pub mod clock;
pub mod finding;
pub mod heartbeat;
pub mod marks;
pub mod metrics;
pub mod named;
pub mod panics;
pub mod quantiles;
pub mod report;
pub mod snapshot;
pub mod stages;
pub mod status;
pub mod tracy;
pub mod watchdog;

pub use actions::{ActionSummary, local_share};
pub use breadcrumb::{CellCrumb, Place};
pub use clock::StageClock;
pub use finding::{AuditFault, AuditFinding, PLAYERS_NAMED_MAX};
pub use heartbeat::{Health, Heartbeat};
pub use marks::instrument;
pub use metrics::{Durations, Metrics, MetricsFrame};
pub use named::{name_cell_systems, name_node_systems};
pub use panics::{PanicReport, install_panic_hook};
pub use quantiles::Quantiles;
pub use report::RunReport;
pub use snapshot::{CellSnapshot, Phase, Readiness, Snapshot, StatusBoard};
pub use stages::{StageSample, StageSummary, StageTimes};
pub use status::{StatusLine, StatusMode};
pub use tracy::ZoneTable;
pub use watchdog::{HangReport, Watchdog, WatchdogSettings};
