//! That the shipped game needs nothing that another game cannot have: it is compiled as another game is, and plays the same.

use terrane::prelude::*;
use terrane::testing::TestWorld;

/// What every tick of a small world with a player in it comes to.
fn fingerprints(game: ServerBuilder) -> Vec<u64> {
    let settings = WorldSettings { grid: [2, 2], npcs: Some(40), ..WorldSettings::default() };
    let mut world = TestWorld::new(game, settings);
    world.connect("anna");
    (0..60).map(|_| world.tick().report.fingerprint).collect()
}

/// H4: the caravan game imports only the public API. This test is built with it as a crate outside.
#[test]
fn the_caravan_game_is_the_same_as_a_crate_of_its_own() {
    let inside = {
        use terrane::caravan::{Roads, caravan_game};
        fingerprints(caravan_game(ServerBuilder::default(), Roads::shipped()))
    };
    let outside = {
        use caravan_outside::caravan::{Roads, caravan_game};
        fingerprints(caravan_game(ServerBuilder::default(), Roads::shipped()))
    };
    assert_eq!(inside, outside);
    assert!(inside.windows(2).any(|pair| pair[0] != pair[1]), "something moves");
}
