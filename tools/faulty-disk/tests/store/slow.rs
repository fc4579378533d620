//! A disk that takes its time.

use std::time::Duration;

use terrane::store::{REQUESTS_MAX, Refused, StoreRequest, StoreResult};
use terrane_faulty_disk::Call;

use crate::check::{Asked, check};
use crate::save::{BASE, Place, Step, Told, commits, grant, open};

/// No test waits this long; one that would is stuck.
const STUCK: Duration = Duration::from_secs(60);

fn request(step: &Step) -> StoreRequest {
    StoreRequest::Players { after: 0, batch: step.works().to_vec() }
}

/// D5, E2, E5: as long as the disk has not synced what it wrote, nothing is told; requests wait, and what does not fit is handed
/// back. When it has, everything is done.
#[test]
fn nothing_is_told_before_it_is_synced_and_a_slow_disk_loses_nothing() {
    let steps: Vec<Step> =
        (1..=2 + REQUESTS_MAX as u64).map(|number| commits([grant(number, "alice")])).collect();
    for (call, nth) in [(Call::Write, 2), (Call::Sync, 1)] {
        let place = Place::with(&BASE.files);
        let handle = open(&place.folder).unwrap().start().unwrap();
        let stall = place.disk.stall(call, nth);
        handle.try_request(request(&steps[0])).unwrap();
        stall.wait_until_reached();
        assert_eq!(handle.try_results().count(), 0, "{call:?}: told before it was durable");
        for step in &steps[1..=REQUESTS_MAX] {
            handle.try_request(request(step)).unwrap();
        }
        let refused = handle.try_request(request(&steps[1 + REQUESTS_MAX]));
        assert!(matches!(refused, Err(Refused::Full(_))), "{call:?}: {refused:?}");
        drop(stall);
        let mut told = Told::new();
        for at in 0..=REQUESTS_MAX {
            match handle.wait_result(STUCK) {
                Some(StoreResult::Players(done)) => drop(told.insert(at, done)),
                other => panic!("{call:?}: {other:?}"),
            }
        }
        handle.finish(None).unwrap();
        check(&place.folder, Asked { base: &BASE, steps: &steps, told: &told }, &format!("a slow {call:?}"));
    }
}
