use terrane_macros::Replicate;

#[derive(Replicate)]
struct Caravan {
    #[sync(nested)]
    crew: Crew,
    #[sync(server_only, nested)]
    spies: Crew,
    #[sync(broadcast, nested, precision = 0.5)]
    heading: f32,
    #[sync(broadcast, nested = Crew)]
    guards: Crew,
    #[sync(broadcast, nested, nested)]
    guests: Crew,
    #[sync(broadcast, nested, reveal_ids)]
    friends: Crew,
    #[sync(server_only, reveal_ids)]
    foe: NetId,
    #[sync(custom = own, max_bytes = 4)]
    age: u32,
}

fn main() {}
