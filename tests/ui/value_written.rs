//! A component that is written by itself is no way to write value: what it holds of that can only be read.

use terrane::prelude::*;

#[derive(Component, Clone, Default, Serialize, Deserialize, Persist)]
#[persist(immediate)]
struct Purse {
    silver: Settled<u64>,
}

fn enrich(mut purses: Query<&mut Purse>) {
    for mut purse in &mut purses {
        *purse.silver = 1_000_000;
    }
}

fn main() {
    let mut app = App::empty();
    app.add_systems(Simulate, enrich);
}
