//! Two players in the quarry, without sockets and clocks.

use quarry::{Mason, Quarry, Strike, open};
use terrane::prelude::*;
use terrane::testing::{ClientId, TestWorld};

fn new_world() -> TestWorld {
    let game = open(ServerBuilder::default().add_cell_plugins(Quarry));
    TestWorld::new(game, WorldSettings::default())
}

/// What somebody sees of a mason.
fn mason(world: &TestWorld, viewer: ClientId, whose: ClientId) -> Mason {
    let avatar = world[whose].avatar().expect("it is in the world");
    world.component(viewer, avatar).expect("it is in view")
}

#[test]
fn who_strikes_is_told_the_number_and_others_a_round_one() {
    let mut world = new_world();
    let [alice, bob] = ["alice", "bob"].map(|name| world.connect(name));
    world.run(5);

    for _ in 0..12 {
        world[alice].act(&Strike).expect("it is sent");
    }
    world.run(5);

    let answer = world[alice].replies().last().expect("it is answered");
    assert_eq!(answer.read::<Strike>(), Ok(12));
    let seen = mason(&world, bob, alice);
    assert_eq!((seen.name.as_str(), seen.blows), ("alice", 10));
    assert_eq!(mason(&world, bob, bob).blows, 0);
}
