//! Types that cannot be nested.

use terrane::replication::Replicate;

#[derive(Clone, Default, Replicate)]
struct Caravan {
    #[sync(broadcast, nested)]
    crew: Vec<Member>,
    #[sync(broadcast, nested)]
    purse: u32,
}

#[derive(Clone, Default)]
struct Member {
    name: String,
}

fn main() {}
