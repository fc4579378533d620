//! Load and player simulator for Terrane worlds.
fn main() {}
