use terrane_macros::Replicate;

#[derive(Replicate)]
struct Caravan {
    #[sync(broadcast, precision = 0.5)]
    wheels: u32,
    #[sync(broadcast, precision = 0.0)]
    heading: f32,
    #[sync(broadcast, precision = -0.5)]
    speed: f32,
    #[sync(broadcast, precision = fine)]
    height: f32,
    #[sync(server_only, precision = 0.5)]
    secret: f32,
    #[sync(broadcast, max_bytes = 0)]
    name: String,
    #[sync(broadcast, max_bytes = 4)]
    age: u32,
    #[sync(broadcast, max_bytes = 4, max_bytes = 5)]
    owner: String,
    #[sync(broadcast, precision)]
    width: f32,
}

fn main() {}
