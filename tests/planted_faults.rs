//! Audits find what they are for: `cargo test --features planted-faults --test planted_faults`.
#![cfg(feature = "planted-faults")]

mod support;

use support::caravan_world;
use terrane::caravan::Steer;
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::planted::PlantedFault;
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

/// Six walkers among caravans, all audited every third tick.
fn walkers() -> (TestWorld, Vec<ClientId>) {
    let settings = WorldSettings { audit_every: Some(3), ..WorldSettings::default() };
    let mut world = caravan_world(settings, 1_500);
    let clients = (0..6).map(|number| world.connect(&format!("player {number}"))).collect();
    (world, clients)
}

/// Plants it, or nothing, in one session as soon as that is open, or in the rows; gives each client's (audits,
/// failures), and how many of all that the server counted failed.
fn audits_with(fault: Option<PlantedFault>) -> (Vec<(u64, u64)>, u64) {
    let (mut world, clients) = walkers();
    let mut fault = fault;
    if let Some(fault) = fault.take_if(|fault| *fault == PlantedFault::StaleRow) {
        world.server_mut().node_mut().resource_mut::<Rows>().plant(fault);
    }
    for tick in 0..200u32 {
        if tick % 25 == 0 {
            for (number, &client) in clients.iter().enumerate() {
                let heading = number as f32 + tick as f32 * 0.1;
                let _ = world[client].want(&Steer { heading, speed_m_s: 6.0 });
            }
        }
        world.tick_with(|_| {});
        let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
        if let Some(session) = sessions.iter_mut().find(|session| session.player.as_str() == "player 3")
            && let Some(fault) = fault.take()
        {
            session.view.plant(fault);
        }
    }
    let each = clients
        .iter()
        .map(|&client| (world[client].counts().audits, world[client].counts().audit_failures))
        .collect();
    (each, world.tick().report.audits.failures)
}

/// B9: nothing planted, nothing found.
#[test]
fn without_a_fault_no_audit_fails() {
    let (each, failures) = audits_with(None);
    assert_eq!(failures, 0, "of the server's own");
    for (audits, failures) in each {
        assert!(audits > 30 && failures == 0, "{failures} of {audits}");
    }
}

/// B9: one field of one entity that is wrong at one client fails that client's audits and nobody else's.
#[test]
fn a_wrong_field_is_found_by_the_one_who_has_it() {
    let (counts, _) = audits_with(Some(PlantedFault::WrongField));
    for (number, (audits, failures)) in counts.into_iter().enumerate() {
        assert_eq!(failures > 0, number == 3, "player {number}: {failures} of {audits}");
    }
}

/// B9: one leave that is never told fails the audits of the client that still holds what left.
#[test]
fn a_skipped_leave_is_found_by_the_one_who_missed_it() {
    let (counts, _) = audits_with(Some(PlantedFault::SkippedLeave));
    for (number, (audits, failures)) in counts.into_iter().enumerate() {
        assert_eq!(failures > 0, number == 3, "player {number}: {failures} of {audits}");
    }
}

/// B9: a field whose changes are never told fails the audits of the one client that is not told.
#[test]
fn a_withheld_field_is_found_by_the_one_who_misses_it() {
    let (counts, _) = audits_with(Some(PlantedFault::WithheldField));
    for (number, (audits, failures)) in counts.into_iter().enumerate() {
        assert_eq!(failures > 0, number == 3, "player {number}: {failures} of {audits}");
    }
}

/// B9: a row that does not follow its components is told to all alike, so that no client can notice: the server
/// itself compares the two.
#[test]
fn a_row_that_is_not_what_its_entity_is_is_found_by_the_server() {
    let (counts, failures) = audits_with(Some(PlantedFault::StaleRow));
    for (number, (audits, failures)) in counts.into_iter().enumerate() {
        assert!(audits > 30 && failures == 0, "player {number}: {failures} of {audits}");
    }
    assert!(failures > 0, "nobody noticed");
}
