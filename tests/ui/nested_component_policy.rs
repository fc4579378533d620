//! A type with a policy for the whole component is for components.

use terrane::replication::Replicate;

#[derive(Clone, Default, Replicate)]
struct Caravan {
    #[sync(broadcast, nested)]
    crew: Vec<Member>,
}

#[derive(Clone, Default, Replicate)]
#[sync(owner)]
struct Member {
    #[sync(broadcast)]
    name: String,
}

fn main() {}
