//! Nobody makes up what was committed, what is shown of it, or what a component holds of it.

use terrane::prelude::*;
use terrane::store::{MutationSummary, ShownReward};
use terrane::value::Pen;

fn invent() -> MutationSummary {
    MutationSummary { content: unreachable!(), told: unreachable!() }
}

fn show() -> ShownReward {
    ShownReward { use_case: "gift".into(), lines: Vec::new() }
}

fn hold() -> Settled<u64> {
    Settled { 0: 1_000_000 }
}

fn pen() -> Pen {
    Pen { 0: () }
}

fn main() {}
