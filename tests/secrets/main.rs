//! Sync policies through the whole engine: what every player is told, against an answer found from scratch.
//!
//! The ordinary run takes a few histories. `TERRANE_HISTORIES=200` runs that many, `TERRANE_HISTORY_TICKS=2000` makes
//! each that long.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod game;
mod stage;
mod things;
mod truth;
mod twigs;

mod canaries;
mod events;
mod histories;
mod moments;
mod twins;

fn from_env(name: &str, ordinary: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(ordinary)
}

pub(crate) fn seeds(ordinary: u64) -> std::ops::RangeInclusive<u64> {
    1..=from_env("TERRANE_HISTORIES", ordinary)
}

pub(crate) fn ticks(ordinary: u64) -> u64 {
    from_env("TERRANE_HISTORY_TICKS", ordinary)
}
