use terrane_macros::Replicate;

#[derive(Replicate)]
struct Caravan {
    #[sync(everybody)]
    name: String,
    #[sync(broadcast, server_only)]
    seed: u64,
    #[sync(broadcast)]
    #[sync(server_only)]
    purse: u32,
    #[sync(broadcast = true)]
    cargo: u32,
}

fn main() {}
