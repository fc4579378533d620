//! The client: what a game holds of a world it does not own.

pub mod mirror;
