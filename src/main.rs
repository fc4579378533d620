//! The shipped world.
fn main() {}
