//! The store thread under load, on a full disk, and at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;

/// No test waits this long; one that would is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// As good as no limit.
const ROOMY: u32 = u32::MAX - 1;

/// A store on a disk whose size in pages can be set.
fn store_on_small_disk(folder: &Path) -> (Store, Arc<AtomicU32>) {
    let mut store = open(folder);
    let pages_max = Arc::new(AtomicU32::new(ROOMY));
    store.database.pages_max = Some(pages_max.clone());
    (store, pages_max)
}

/// Lets the disk be full from now on.
fn fill(pages_max: &AtomicU32) {
    pages_max.store(1, Ordering::Relaxed);
}

fn save(handle: &StoreHandle, image: Image) {
    handle.try_request(StoreRequest::SaveImage(image)).expect("there is room in the queue");
}

#[test]
fn requests_are_carried_out_in_order_and_answered() {
    let place = place();
    let handle = open(&place.folder).start().unwrap();
    save(&handle, image(1, 1_000));
    handle.try_request(StoreRequest::Reserve { counter: "tick".into(), up_to: 500 }).unwrap();
    handle.try_request(StoreRequest::Reserve { counter: "tick".into(), up_to: 400 }).unwrap();
    let results: Vec<StoreResult> = (0..3).map(|_| handle.wait_result(STUCK).unwrap()).collect();
    assert!(matches!(results[0], StoreResult::ImageSaved { tick: TickNumber(1), bytes: 1_000, .. }));
    let reserved = StoreResult::Reserved { counter: "tick".into(), up_to: 500 };
    assert_eq!(results[1..], [reserved.clone(), reserved], "a counter never runs backwards");
    let stats = handle.stats().clone();
    assert_eq!((stats.images_saved(), stats.image_bytes(), stats.reservations()), (1, 1_000, 2));
    assert_eq!((stats.failures(), stats.failures_in_row()), (0, 0));
    let rest = handle.finish(Some(image(2, 2_000))).unwrap();
    assert!(matches!(rest[..], [StoreResult::ImageSaved { tick: TickNumber(2), .. }]), "{rest:?}");
    let mut store = open(&place.folder);
    assert_eq!(store.newest_image().unwrap(), Some(image(2, 2_000)));
    assert_eq!(store.counter("tick").unwrap(), 500);
}

/// Rules D5, E5: a full disk is told at every try, loses nothing that was saved, and is got over without help.
#[test]
fn a_full_disk_is_told_and_got_over() {
    let place = place();
    let (mut store, pages_max) = store_on_small_disk(&place.folder);
    store.save_image(&image(1, 1_000)).unwrap();
    let handle = store.start().unwrap();
    fill(&pages_max);
    save(&handle, image(2, 200_000));
    for expected_attempt in 1..=2 {
        let result = handle.wait_result(STUCK).unwrap();
        let StoreResult::Failed { asked, attempt, retry_in_ms, retryable, message } = result else {
            panic!("{result:?}")
        };
        assert_eq!((asked, attempt), (Asked::Image(TickNumber(2)), expected_attempt));
        let least = 100 << (expected_attempt - 1);
        let ms = retry_in_ms.expect("it is tried again");
        assert!((least..least * 5 / 4).contains(&ms), "ever more slowly: {ms} ms after try {attempt}");
        assert!(retryable && message.contains("full"), "{message}");
    }
    assert!(handle.stats().failures_in_row() >= 2);
    let reader = rusqlite::Connection::open(place.folder.join("world.db")).unwrap();
    let ticks: i64 =
        reader.query_row("SELECT group_concat(tick) = '1' FROM image", [], |row| row.get(0)).unwrap();
    assert_eq!(ticks, 1, "the image before is untouched");
    drop(reader);

    pages_max.store(ROOMY, Ordering::Relaxed);
    loop {
        match handle.wait_result(STUCK).unwrap() {
            StoreResult::Failed { retry_in_ms, .. } => assert!(retry_in_ms.is_some()),
            StoreResult::ImageSaved { tick, .. } => break assert_eq!(tick, TickNumber(2)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(handle.stats().failures_in_row(), 0);
    assert!(handle.finish(None).unwrap().is_empty());
    assert_eq!(open(&place.folder).newest_image().unwrap(), Some(image(2, 200_000)));
}

#[test]
fn a_request_that_keeps_failing_is_given_up_and_told_so() {
    let place = place();
    let (store, pages_max) = store_on_small_disk(&place.folder);
    let handle = store.start().unwrap();
    fill(&pages_max);
    save(&handle, image(1, 200_000));
    let results: Vec<StoreResult> = (0..5).map(|_| handle.wait_result(STUCK).unwrap()).collect();
    let waits: Vec<Option<u64>> = results
        .iter()
        .map(|result| match result {
            StoreResult::Failed { retry_in_ms, retryable: true, .. } => *retry_in_ms,
            other => panic!("{other:?}"),
        })
        .collect();
    for (least, waited) in [100, 200, 400, 800].into_iter().zip(&waits) {
        let ms = waited.expect("it is tried again");
        assert!((least..least * 5 / 4).contains(&ms), "{waits:?}");
    }
    assert_eq!(waits[4], None);
    // What cannot succeed is not tried again.
    handle.try_request(StoreRequest::Reserve { counter: "tick".into(), up_to: u64::MAX }).unwrap();
    let result = handle.wait_result(STUCK).unwrap();
    assert!(
        matches!(result, StoreResult::Failed { attempt: 1, retry_in_ms: None, retryable: false, .. }),
        "{result:?}"
    );
    pages_max.store(ROOMY, Ordering::Relaxed);
    handle.finish(Some(image(2, 10))).unwrap();
}

/// Rule E5: the queue is bounded; what does not fit is handed back, neither dropped nor waited for.
#[test]
fn a_full_queue_hands_the_request_back() {
    let place = place();
    let (store, pages_max) = store_on_small_disk(&place.folder);
    let handle = store.start().unwrap();
    fill(&pages_max);
    save(&handle, image(1, 100_000));
    assert!(
        matches!(handle.wait_result(STUCK), Some(StoreResult::Failed { .. })),
        "the thread is busy with it"
    );
    for tick in 2..2 + REQUESTS_MAX as u64 {
        save(&handle, image(tick, 10));
    }
    assert_eq!(handle.queued(), REQUESTS_MAX);
    let last = image(99, 10);
    match handle.try_request(StoreRequest::SaveImage(last.clone())) {
        Err(Refused::Full(StoreRequest::SaveImage(back))) => assert_eq!(back, last),
        other => panic!("{other:?}"),
    }
    pages_max.store(ROOMY, Ordering::Relaxed);
    let results = handle.finish(Some(last.clone())).unwrap();
    let saved: Vec<u64> = results
        .iter()
        .filter_map(|result| match result {
            StoreResult::ImageSaved { tick, .. } => Some(tick.0),
            _ => None,
        })
        .collect();
    let all: Vec<u64> = (1..2 + REQUESTS_MAX as u64).chain([99]).collect();
    assert_eq!(saved, all, "everything that was taken is done, in order");
    assert_eq!(open(&place.folder).newest_image().unwrap(), Some(last));
}

#[test]
fn answers_that_nobody_takes_hold_the_thread_up_but_never_its_end() {
    let place = place();
    let handle = open(&place.folder).start().unwrap();
    let mut up_to = 0;
    while up_to < (RESULTS_MAX + REQUESTS_MAX + 1) as u64 {
        // Refused while the thread is not yet that far: every request ends up in the queue.
        if handle.try_request(StoreRequest::Reserve { counter: "a".into(), up_to }).is_ok() {
            up_to += 1;
        }
    }
    let results = handle.finish(Some(image(1, 10))).unwrap();
    assert_eq!(results.len(), RESULTS_MAX + REQUESTS_MAX + 2, "no answer is lost either");
}

#[test]
fn a_last_image_that_is_lost_is_an_error() {
    let place = place();
    let (store, pages_max) = store_on_small_disk(&place.folder);
    let handle = store.start().unwrap();
    fill(&pages_max);
    let error = handle.finish(Some(image(7, 200_000))).unwrap_err();
    assert!(matches!(error, StoreError::LastImageLost { tick: 7, .. }), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
}

#[test]
fn a_dropped_handle_ends_the_thread_and_frees_the_save() {
    let place = place();
    let handle = open(&place.folder).start().unwrap();
    save(&handle, image(3, 100));
    drop(handle);
    assert_eq!(open(&place.folder).newest_image().unwrap(), Some(image(3, 100)), "what was queued is done");
}
