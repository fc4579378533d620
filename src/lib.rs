//! Terrane: a single-node ECS game server with built-in spatial partitioning.

// The derives name this crate, also from inside it.
extern crate self as terrane;

pub mod action;
pub mod caravan;
pub mod cell;
pub mod cli;
pub mod client;
pub mod config;
pub mod driver;
pub mod ghost;
pub mod http;
pub mod ids;
pub mod interest;
pub mod limits;
pub mod net;
pub mod prelude;
pub mod protocol;
pub mod replication;
pub mod server;
pub mod session;
pub mod space;
pub mod store;
pub mod telemetry;
pub mod testing;
pub mod tick;

/// Version of this crate, told in hellos and reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
