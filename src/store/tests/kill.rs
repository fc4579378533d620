//! A process that is killed while it saves.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;

/// Names the save to the process that is going to be killed.
const FOLDER_VARIABLE: &str = "TERRANE_TEST_KILLED_SAVE";
const IMAGE_BYTES: usize = 3 * PART_BYTES_MAX / 2;
const ROUNDS: u64 = 12;
const SIGKILL: i32 = 9;

/// The victim: reserves ticks and saves images without end, and tells on stdout what it was told is durable.
#[test]
#[ignore = "runs until it is killed, by the test below"]
fn victim() {
    let Some(folder) = env::var_os(FOLDER_VARIABLE) else { return };
    let mut store = open(Path::new(&folder));
    let mut tick = store.counter(counter::TICK).unwrap();
    let handle = store.start().unwrap();
    loop {
        tick += 1;
        handle.try_request(StoreRequest::Reserve { counter: counter::TICK.into(), up_to: tick + 1 }).unwrap();
        handle.try_request(StoreRequest::SaveImage(image(tick, IMAGE_BYTES))).unwrap();
        for _ in 0..2 {
            match handle.wait_result(Duration::from_secs(60)).expect("an answer") {
                StoreResult::Reserved { up_to, .. } => println!("\nreserved {up_to}"),
                StoreResult::ImageSaved { tick, .. } => println!("\nsaved {}", tick.0),
                failed @ (StoreResult::Failed { .. } | StoreResult::Players(_)) => panic!("{failed:?}"),
            }
        }
    }
}

/// The greatest number told after this word.
fn told(line: &str, word: &str, so_far: u64) -> u64 {
    line.strip_prefix(word).and_then(|rest| rest.trim().parse().ok()).unwrap_or(so_far).max(so_far)
}

/// Rule D3: after a kill at any moment the newest image is whole, and what was told durable is there.
#[test]
fn a_process_killed_while_saving_leaves_the_newest_image_whole() {
    let place = place();
    let (mut saved, mut reserved) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::victim", "--ignored", "--nocapture"])
            .env(FOLDER_VARIABLE, &place.folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let dice = noise(round, 2);
        let mut line = String::new();
        let mut images_to_see = dice[0] % 4;
        while images_to_see > 0 {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the victim ended by itself");
            images_to_see -= u8::from(line.starts_with("saved"));
            (saved, reserved) = (told(&line, "saved ", saved), told(&line, "reserved ", reserved));
        }
        thread::sleep(Duration::from_micros(u64::from(dice[1]) * 150));
        child.kill().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        for line in rest.lines() {
            (saved, reserved) = (told(line, "saved ", saved), told(line, "reserved ", reserved));
        }
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL), "round {round}: {rest}");

        let mut store = open(&place.folder);
        let newest = store.newest_image().unwrap();
        let tick = newest.as_ref().map_or(0, |image| image.tick.0);
        assert!(tick >= saved, "round {round}: image {saved} was told durable, {tick} is the newest");
        if let Some(newest) = newest {
            assert!(
                newest == image(tick, IMAGE_BYTES),
                "round {round}: image {tick} is not what was written"
            );
        }
        let ahead = store.counter(counter::TICK).unwrap();
        assert!(ahead >= reserved && (ahead > tick || tick == 0), "round {round}: {ahead} {reserved} {tick}");
    }
    assert!(saved > 0, "the victims got as far as saving");
}
