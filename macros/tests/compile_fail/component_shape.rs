use terrane_macros::Replicate;

#[derive(Replicate)]
union Either {
    #[sync(broadcast)]
    number: u32,
    #[sync(broadcast)]
    real: f32,
}

#[derive(Replicate)]
struct Holder<T: Send + Sync + 'static> {
    #[sync(broadcast)]
    value: T,
}

#[derive(Replicate)]
enum Never {}

#[derive(Replicate)]
enum Mood {
    Calm = 1,
    #[sync(broadcast)]
    Angry(#[sync(broadcast)] u8),
    Torn(u8, #[sync(broadcast, masked = round)] u8),
}

fn main() {}
