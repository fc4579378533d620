//! Sums over what both ends hold.

use super::simulation::{Network, SETTINGS, Simulation, look, nobody};
use super::world::WorldPlan;
use crate::ids::Row;
use crate::protocol::messages::AuditOutcome;
use crate::replication::planted::PlantedFault;
use crate::replication::{ViewScratch, Viewer};

/// Asks every session and gives the outcomes: equal, different, inconclusive.
fn audit_all(simulation: &mut Simulation, audit: u32) -> [u32; 3] {
    let mut counts = [0; 3];
    for session in &mut simulation.sessions {
        let context = nobody();
        let look = look(Viewer { position: glam::Vec3::ZERO, avatar: Row::NONE }, &context);
        let rows = &simulation.world.rows;
        if let Some((request, overlooked)) =
            session.view.audit_request(rows, &look, audit, &mut ViewScratch::default())
        {
            assert!(overlooked.is_empty());
            session.mirror.take_audit(request);
        }
        for (_, outcome) in session.mirror.take_audit_outcomes() {
            counts[match outcome {
                AuditOutcome::Equal => 0,
                AuditOutcome::Different { .. } => 1,
                AuditOutcome::Inconclusive => 2,
            }] += 1;
        }
    }
    counts
}

/// B9: the sums agree whenever something can be said, with loss too; a request may come before its update.
#[test]
fn sums_agree_wherever_something_can_be_said() {
    for (network, equal_min, inconclusive_max) in [
        (Network::default(), 3_000, 0),
        (Network { loss: 0.03, duplicated: 0.1, delay: 2, jitter: 0 }, 1_500, 3_000),
    ] {
        let mut simulation = Simulation::new(WorldPlan::default(), 30, SETTINGS, network);
        let mut total = [0; 3];
        for tick in 0..120 {
            simulation.step(false);
            for (sum, count) in total.iter_mut().zip(audit_all(&mut simulation, tick)) {
                *sum += count;
            }
        }
        assert_eq!(total[1], 0, "{total:?}");
        assert!(total[0] > equal_min && total[2] <= inconclusive_max, "{total:?}");
    }
}

/// A fault planted on the server (a change that set no bit) is found by the next audit.
#[test]
fn a_change_that_was_never_sent_is_found() {
    let mut simulation = Simulation::new(WorldPlan::default(), 10, SETTINGS, Network::default());
    for _ in 0..10 {
        simulation.step(false);
    }
    assert_eq!(audit_all(&mut simulation, 1), [10, 0, 0]);
    let avatar = simulation.world.creatures[0].row.index();
    simulation.world.rows.lattice[avatar].0[2] += 1;
    let [_, different, _] = audit_all(&mut simulation, 2);
    assert!(different >= 1);
}

/// What a client should have let go of is found, although the server knows nothing of it any more; and a field
/// that is wrong at one client is found there.
#[test]
fn a_leave_that_was_never_told_and_a_field_told_wrong_are_found() {
    for fault in [PlantedFault::SkippedLeave, PlantedFault::WrongField] {
        let mut simulation = Simulation::new(WorldPlan::default(), 10, SETTINGS, Network::default());
        simulation.sessions[0].view.plant(fault);
        let mut found = [0; 3];
        for audit in 0..60 {
            simulation.step(false);
            for (sum, count) in found.iter_mut().zip(audit_all(&mut simulation, audit)) {
                *sum += count;
            }
        }
        let [equal, different, _] = found;
        assert!(different > 0, "{fault:?}: {found:?}");
        assert!(equal >= 9 * 60, "{fault:?}: only the one who has it finds it: {found:?}");
    }
}

/// A fault in the view: who should be there is not.
#[test]
fn a_view_that_misses_someone_fails_the_audit() {
    let mut simulation = Simulation::new(WorldPlan::default(), 1, SETTINGS, Network::default());
    simulation.step(false);
    let session = &simulation.sessions[0];
    let mut expected = session.expected.clone();
    expected.push(crate::ids::NetId(1));
    expected.remove(expected.len() / 2);
    let audit = crate::replication::audit::audit_view(&session.view, &simulation.world.rows, &expected, 0);
    assert_eq!((audit.missing.len(), audit.surplus.len(), audit.passed()), (1, 1, false));
}
