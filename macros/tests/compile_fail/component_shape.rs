use terrane_macros::Replicate;

#[derive(Replicate)]
enum Mood {
    Calm,
    Angry,
}

#[derive(Replicate)]
struct Holder<T: Send + Sync + 'static> {
    #[sync(broadcast)]
    value: T,
}

fn main() {}
