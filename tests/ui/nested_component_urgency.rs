//! How urgent a type is matters for components alone.

use terrane::replication::Replicate;

#[derive(Clone, Default, Replicate)]
struct Caravan {
    #[sync(broadcast, nested)]
    crew: Vec<Member>,
}

#[derive(Clone, Default, Replicate)]
#[sync(priority = 2)]
struct Member {
    #[sync(broadcast)]
    name: String,
}

fn main() {}
