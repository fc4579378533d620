//! The key of a nested map says whether it names entities.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use terrane::replication::Replicate;

#[derive(Clone, Default, Replicate)]
struct Harbour {
    #[sync(broadcast, nested)]
    ships: BTreeMap<Berth, Ship>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Berth(u8);

#[derive(Clone, Default, Replicate)]
struct Ship {
    #[sync(broadcast)]
    name: String,
}

fn main() {}
