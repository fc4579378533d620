//! What says how urgent a component is has bounds, and is for components.

use terrane_macros::Replicate;

#[derive(Replicate)]
#[sync(priority = 0)]
struct NotAtAll {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(party, priority = 9)]
struct TooMuch {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(priority)]
struct HowMuch {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(priority = 2, owner, priority = 3)]
struct Twice {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(max_staleness = 0)]
struct Never {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(max_staleness = 1.5)]
struct Between {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(max_staleness = 201)]
struct TooLate {
    #[sync(broadcast)]
    field: u8,
}

#[derive(Replicate)]
#[sync(server_only, max_staleness = 10)]
struct NeverSent {
    #[sync(server_only)]
    field: u8,
}

#[derive(Replicate)]
struct OnAField {
    #[sync(broadcast, priority = 2)]
    field: u8,
}

fn main() {}
