//! A world that is killed under its players, again and again: what was acknowledged is there exactly once, and nothing is half
//! there.
//!
//! The world is this very program in another process. `TERRANE_KILLS` says how often it is killed, 50 times unless told otherwise.

#[path = "support/killed.rs"]
mod killed;
#[path = "support/orchard.rs"]
mod orchard;

use killed::{Siege, run_world, wanted_folder};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Not a test: the world of the other one, which runs it in a process of its own.
#[test]
#[ignore = "the other test runs it in a process of its own"]
fn the_world() {
    if let Some(folder) = wanted_folder() {
        run_world(&folder);
    }
}

/// D3, D4, F11, C4: killed at random moments; only those count at which plans are under way.
#[test]
fn what_was_acknowledged_is_there_exactly_once_however_often_the_world_is_killed() {
    let kills: u64 =
        std::env::var("TERRANE_KILLS").map_or(50, |text| text.parse().expect("a number of kills"));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(kills);
    let mut siege = Siege::new();
    let mut counted = 0;
    while counted < kills {
        // So many answers, then a moment more, now and then long enough for an image of the world.
        assert!(siege.play(5 + random.next_u32() as usize % 30), "it runs until it is killed");
        let more = if counted % 5 == 0 { 400 } else { random.next_u32() % 8 };
        for _ in 0..more {
            siege.turn(true);
        }
        counted += u64::from(siege.under_way() > 0);
        assert!(siege.kill_and_start(""), "it starts");
    }
    let caught = siege.caught;
    siege.end_and_check();
    // Not only was something asked for: plans were carried out of which nobody had heard when the world was killed.
    assert!(caught >= kills / 10, "{caught} of {kills}");
}
