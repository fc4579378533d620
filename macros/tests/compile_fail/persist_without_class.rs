use terrane_macros::Persist;

#[derive(Persist)]
struct Quests {
    open: u32,
}

#[derive(Persist)]
#[persist(sometimes)]
struct Mood(u8);

#[derive(Persist)]
#[persist(immediate, periodic)]
struct Hunger(u8);

#[derive(Persist)]
#[persist(immediate)]
#[persist(periodic)]
struct Thirst(u8);

#[derive(Persist)]
#[persist()]
struct Sleep(u8);

fn main() {}
