//! The world over HTTP, for operators and their tools.
//!
//! *Does*: answers liveness, readiness, metrics and status on its own thread, serves a small page that shows them,
//! and takes a request to drain; whatever changes state or shows private data needs the admin token.
//! *Does not*: run anything of a tick: it reads what was published, sets flags, and leaves questions for whoever ticks.
//! *Reads*: [`HttpState`]: heartbeat, readiness, metrics, the published snapshot. *Writes*: the drain flag, counters.
//!
//! | path | method | token | answer |
//! |---|---|---|---|
//! | `/healthz` | GET | | 200, or 503 while a tick hangs or after a panic; JSON names tick, stage, cell and system |
//! | `/readyz` | GET | | 200, or 503 while starting or draining; JSON with `degraded` |
//! | `/metrics` | GET | | the metrics as OpenMetrics text |
//! | `/api/status` | GET | | the published snapshot |
//! | `/api/config` | GET | yes | the configuration the world runs with |
//! | `/api/why` | GET | yes | why a player sees an entity or a field, or does not |
//! | `/api/moderate` | POST | yes | what came of an order about a player: kick, ban, unban, mute, unmute |
//! | `/api/compensations` | POST | yes | what came of an order about what failed for good: retry, discard |
//! | `/api/reload` | POST | yes | what came of reading the files of reference data again |
//! | `/api/drain` | POST | yes | 202: the world stops admitting, saves and ends |
//! | `/` | GET | | a page for people |
//!
//! Every input is hostile: connections, headers, bodies and times are bounded by [`HttpLimits`], the `Host` must be
//! this machine (a page of another site that rebinds its name is refused), and so must the `Origin`.
//! This is the only module that knows axum, hyper and tokio.

mod guard;
pub mod questions;
mod routes;
mod seats;
mod server;
pub mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use questions::{
    CompensationOrders, CompensationRequest, Desk, OrderRequest, Orders, Questions, ReloadOrders,
    ReloadRequest, Reply, Waiting, WaitingCompensation, WaitingOrder, WaitingReload, WhyQuestion,
};
pub use server::HttpServer;
pub use token::{AdminToken, TokenError};

use crate::net::udp::bind_advice;
use crate::telemetry::{Heartbeat, Metrics, Readiness, StatusBoard};

/// How the server listens.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where to listen; port 0 picks a free one. An address that others can reach needs an operator's token.
    pub addr: SocketAddr,
    /// What private paths ask for.
    pub token: AdminToken,
    /// What one client can cost.
    pub limits: HttpLimits,
}

/// What one client, or all together, can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Most connections at one time. One more takes the place of the oldest that asks nothing; if all are being
    /// answered, it is answered 503 and closed.
    pub connections_max: usize,
    /// Most bytes of a request's line and headers; at least 8,192, as the HTTP library asks.
    pub header_bytes_max: usize,
    /// Most headers of a request.
    pub headers_max: usize,
    /// Most bytes of a request's body.
    pub body_bytes_max: usize,
    /// Within this time a request's headers must have come, also on a connection that is kept open.
    pub header_timeout: Duration,
    /// Within this time a request's body must have come and its answer be made.
    pub request_timeout: Duration,
    /// A connection is closed after this time, whatever it does.
    pub connection_lifetime: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 64,
            header_bytes_max: 8_192,
            headers_max: 48,
            body_bytes_max: 4_096,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            connection_lifetime: Duration::from_secs(120),
        }
    }
}

/// What the answers are made of; shared with the driver, which writes it.
#[derive(Clone, Debug)]
pub struct HttpState {
    /// Whether the world ticks.
    pub heartbeat: Heartbeat,
    /// Whether players are welcome.
    pub readiness: Readiness,
    /// The newest snapshot.
    pub status: StatusBoard,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The configuration the world runs with, as JSON.
    pub config: Arc<serde_json::Value>,
    /// Set when an operator asks for a drain.
    pub drain: DrainRequest,
    /// Where questions to the running world wait.
    pub questions: Questions,
    /// Where orders about players wait.
    pub orders: Orders,
    /// Where orders about what failed for good wait.
    pub compensations: CompensationOrders,
    /// Where orders to read the files of reference data again wait.
    pub reloads: ReloadOrders,
}

/// An operator's wish that the world ends in order. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct DrainRequest(Arc<AtomicBool>);

impl DrainRequest {
    /// Asks for it.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What HTTP counts of itself.
#[derive(Clone, Debug, Default)]
struct HttpCounters {
    requests: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    connections_refused: Arc<AtomicU64>,
    connections_displaced: Arc<AtomicU64>,
}

impl HttpCounters {
    fn register(&self, metrics: &Metrics) {
        metrics.register_counter("http_requests", "Requests over HTTP", self.requests.clone());
        metrics.register_counter(
            "http_requests_refused",
            "Requests refused for their host, origin, token or size",
            self.refused.clone(),
        );
        metrics.register_counter(
            "http_connections_refused",
            "Connections turned away because all others were being answered",
            self.connections_refused.clone(),
        );
        metrics.register_counter(
            "http_connections_displaced",
            "Connections that asked nothing, closed for one more",
            self.connections_displaced.clone(),
        );
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is taken, not ours or not allowed.
    #[error("cannot listen for HTTP on {addr}: {error}; {}, or --http off", bind_advice(error.kind(), "--http"))]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others can reach the address, and the token is one that this process made up.
    #[error(
        "--http {addr} can be reached from other machines, so the admin token must be yours: \
         give --admin-token-file FILE, or listen on 127.0.0.1"
    )]
    TokenRequired {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The system refused a thread or a runtime.
    #[error("cannot start the HTTP thread: {0}. Free resources of the machine, or start with --http off")]
    Thread(std::io::Error),
}
