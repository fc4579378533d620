//! As keys of a map all names that a player may not know would be one.

use terrane_macros::Replicate;

#[derive(Replicate)]
struct Debts {
    #[sync(broadcast)]
    by_debtor: BTreeMap<NetId, u32>,
}

#[derive(Replicate)]
struct Roads {
    #[sync(custom = for_owner)]
    tolls: Vec<Option<std::collections::HashMap<(terrane::ids::NetId, u8), u32>>>,
}

#[derive(Replicate)]
struct Fine {
    #[sync(server_only)]
    kept: BTreeMap<NetId, u32>,
}

fn main() {}
