//! A world that ends at chosen calls to the disk, under its players: before and after each COMMIT is durable, in the middle of a
//! checkpoint, while it starts. What was acknowledged is there exactly once, and nothing is half there.
//!
//! The world is this very program in another process. `TERRANE_CRASHES` says how often it ends so, 30 times unless told otherwise.

#[path = "../../../tests/support/killed.rs"]
mod killed;
#[path = "../../../tests/support/orchard.rs"]
mod orchard;

use killed::{Siege, run_world, wanted_folder, wanted_orders};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use terrane_faulty_disk::{Call, Crash, Disk, Edge, FileKind};

/// Where a world ends, by name, and at most how many such calls pass before.
const POINTS: [(&str, FileKind, Call, Edge, u32); 6] = [
    ("while a plan is written", FileKind::Log, Call::Write, Edge::After, 400),
    ("before COMMIT is durable", FileKind::Log, Call::Sync, Edge::Before, 40),
    ("after COMMIT, before anybody is told", FileKind::Log, Call::Sync, Edge::After, 40),
    ("in a checkpoint", FileKind::Main, Call::Write, Edge::After, 30),
    ("before a checkpoint is durable", FileKind::Main, Call::Sync, Edge::Before, 2),
    ("after a checkpoint is durable", FileKind::Main, Call::Sync, Edge::After, 2),
];

/// Not a test: the world of the other one, which runs it in a process of its own.
#[test]
#[ignore = "the other test runs it in a process of its own"]
fn the_world() {
    let Some(folder) = wanted_folder() else { return };
    let saves = folder.join("saves");
    std::fs::create_dir_all(&saves).expect("it is ours");
    let disk = Disk::below(&saves);
    let orders = wanted_orders();
    if let Some((point, nth)) = orders.split_once(' ') {
        let (_, file, call, edge, _) = POINTS[point.parse::<usize>().expect("a point")];
        disk.crash(Crash { file, call, nth: nth.parse().expect("a number"), edge });
    }
    run_world(&folder);
}

/// D3, D4, F11, C4: at each named point again and again.
#[test]
fn what_was_acknowledged_is_there_exactly_once_wherever_the_world_ends() {
    let crashes: u64 =
        std::env::var("TERRANE_CRASHES").map_or(30, |text| text.parse().expect("a number of crashes"));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(crashes);
    let mut siege = Siege::new();
    let mut ended_at = [0; POINTS.len()];
    let mut rounds = 0;
    while ended_at.iter().sum::<u64>() < crashes || ended_at.contains(&0) {
        rounds += 1;
        assert!(rounds < 20 * crashes, "every point is met: {ended_at:?}");
        let point = rounds as usize % POINTS.len();
        let nth = 1 + random.next_u32() % POINTS[point].4;
        let mut is_there = siege.kill_and_start(&format!("{point} {nth}"));
        // Some calls are not made for a long time: then it is killed.
        is_there = is_there && siege.play(600);
        ended_at[point] += u64::from(!is_there);
    }
    for (number, (name, ..)) in POINTS.iter().enumerate() {
        println!("{} times {name}", ended_at[number]);
    }
    assert!(siege.kill_and_start(""), "it starts");
    siege.end_and_check();
}
