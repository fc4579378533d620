//! What moves the world: a pacer or lockstep outside, sealed inputs inside.
//!
//! *Does*: gathers what transports and the store have for the next tick, seals it, runs the tick, and takes its
//! output where it belongs.
//! *Does not*: decide anything about the world.
//! *Reads*: transports, the clock, the store's answers, signals. *Writes*: transports, requests to the store.

pub mod exchange;

pub use exchange::Exchange;
