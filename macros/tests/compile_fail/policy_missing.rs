use terrane_macros::Replicate;

#[derive(Replicate)]
struct Caravan {
    #[sync(broadcast)]
    name: String,
    seed: u64,
}

#[derive(Replicate)]
struct Pair(#[sync(precision = 0.5)] f32, u8);

fn main() {}
