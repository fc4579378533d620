//! Audits find what they are for. Needs the feature `planted-faults`.

use crate::support::caravan_world;
use terrane::caravan::{Caravan, Steer};
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::audit::{AuditFault, AuditFinding, AuditFindings};
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

/// What came of a world with a fault.
struct Audited {
    world: TestWorld,
    /// Of each client: audits, and how many of them failed.
    clients: Vec<(u64, u64)>,
    /// Of all that the server counted.
    failures: u64,
    findings: Vec<AuditFinding>,
}

/// Plants it, or nothing, in one session as soon as that is open, or in the rows.
fn audits_with(fault: Option<PlantedFault>) -> Audited {
    let (mut world, clients) = walkers();
    let mut fault = fault;
    let is_of_rows =
        |fault: &mut PlantedFault| matches!(fault, PlantedFault::StaleRow | PlantedFault::LeftOutMask);
    if let Some(fault) = fault.take_if(is_of_rows) {
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
    let failures = world.tick().report.audits.failures;
    let findings = world.server().node().resource::<AuditFindings>().all().to_vec();
    Audited { world, clients: each, failures, findings }
}

impl Audited {
    /// That player 3's client failed audits and nobody else's, and no server's finding names anybody else.
    #[track_caller]
    fn assert_found_by_player_3(&self) {
        for (number, (audits, failures)) in self.clients.iter().enumerate() {
            assert_eq!(*failures > 0, number == 3, "player {number}: {failures} of {audits}");
        }
        assert!(!self.findings.is_empty(), "it is named");
        for finding in &self.findings {
            assert_eq!(finding.players, [PlayerId::new("player 3").expect("a name")], "{finding}");
        }
    }

    /// That clients hold what they were sent, and the server alone found something: exactly this about one entity.
    #[track_caller]
    fn assert_found_by_the_server(&self, fault: AuditFault) -> &AuditFinding {
        for (number, (audits, failures)) in self.clients.iter().enumerate() {
            assert!(*audits > 30 && *failures == 0, "player {number}: {failures} of {audits}");
        }
        assert!(self.failures > 0, "it was not counted");
        let [finding] = &self.findings[..] else { panic!("one thing is wrong: {:#?}", self.findings) };
        assert_eq!(finding.fault, fault, "{finding}");
        finding
    }

    fn caravan(&mut self, net_id: NetId) -> Caravan {
        with_cells(self.world.server_mut().node_mut(), |_, cells| {
            cells.iter_mut().find_map(|cell| {
                let mut all = cell.world.query_filtered::<(&NetId, &Caravan), With<Owned>>();
                let found = all.iter(&cell.world).find(|(of, _)| **of == net_id);
                found.map(|(_, caravan)| caravan.clone())
            })
        })
        .expect("a caravan")
    }
}

/// B9: nothing planted, nothing found.
#[test]
fn without_a_fault_no_audit_fails() {
    let audited = audits_with(None);
    assert_eq!((audited.failures, audited.findings), (0, Vec::new()), "of the server's own");
    for (audits, failures) in audited.clients {
        assert!(audits > 30 && failures == 0, "{failures} of {audits}");
    }
}

/// B9: one field of one entity that is wrong at one client fails that client's audits and nobody else's.
#[test]
fn a_wrong_field_is_found_by_the_one_who_has_it() {
    audits_with(Some(PlantedFault::WrongField)).assert_found_by_player_3();
}

/// B9: one leave that is never told fails the audits of the client that still holds what left.
#[test]
fn a_skipped_leave_is_found_by_the_one_who_missed_it() {
    audits_with(Some(PlantedFault::SkippedLeave)).assert_found_by_player_3();
}

/// B9: a field whose changes are never told fails the audits of the one client that is not told, and is named.
#[test]
fn a_withheld_field_is_found_by_the_one_who_misses_it() {
    let audited = audits_with(Some(PlantedFault::WithheldField));
    audited.assert_found_by_player_3();
}

/// B9: a row that does not follow its components is told to all alike, so that no client can notice: the server
/// itself compares the two. What has something personal in it is compared for each viewer as well, and its fields
/// are then named for them too.
#[test]
fn a_row_that_is_not_what_its_entity_is_is_found_by_the_server() {
    let audited = audits_with(Some(PlantedFault::StaleRow));
    let of_row = |finding: &AuditFinding| finding.fault == AuditFault::StaleRow;
    assert!(audited.findings.iter().any(of_row), "nobody compared the row: {:#?}", audited.findings);
    let is_of_viewer = |finding: &AuditFinding| finding.fault == AuditFault::PublicField;
    let others: Vec<_> =
        audited.findings.iter().filter(|finding| !of_row(finding) && !is_of_viewer(finding)).collect();
    assert!(others.is_empty(), "{others:#?}");
    let entities: std::collections::BTreeSet<_> = audited.findings.iter().map(|it| it.entity).collect();
    assert_eq!(entities.len(), 1, "{:#?}", audited.findings);
    for (number, (audits, failures)) in audited.clients.iter().enumerate() {
        assert!(*audits > 30 && *failures == 0, "player {number}: {failures} of {audits}");
    }
    assert!(audited.failures > 0, "nobody noticed");
}

/// B9, B2: a mask that the encoder leaves out is told to all alike, and what encodes again is wrong alike: only who decodes
/// and compares values notices. The audit names component, field, entity, and who sees it.
#[test]
fn a_mask_left_out_is_found_and_named() {
    let mut audited = audits_with(Some(PlantedFault::LeftOutMask));
    let finding = audited.assert_found_by_the_server(AuditFault::PublicField).clone();
    assert_eq!(finding.what(), "Caravan.purse");
    let entity = finding.entity.expect("it is named");
    let rows = audited.world.server().node().resource::<Rows>();
    let row = rows.row(entity).expect("it lives");
    let sessions = audited.world.server().node().resource::<Sessions>();
    for session in sessions.iter().filter(|session| session.view.holds(row)) {
        assert!(finding.players.contains(&session.player), "{} sees it: {finding}", session.player);
    }
    assert_ne!(audited.caravan(entity).purse % 100, 0, "the mask makes a difference");
    let text = finding.to_string();
    assert!(text.contains("Caravan.purse") && text.contains(&entity.to_string()), "{text}");
}

/// B9, B3, B4: a personal field that one player is told though its policies hide it is found and named, with that player.
#[test]
fn a_policy_left_out_is_found_and_named_with_its_player() {
    let mut audited = audits_with(Some(PlantedFault::LeftOutPolicy));
    let finding = audited.assert_found_by_the_server(AuditFault::PersonalField).clone();
    assert_eq!(finding.players, [PlayerId::new("player 3").expect("a name")]);
    let personal = ["cargo", "route", "offer", "bids", "crew"];
    assert_eq!(finding.component, Some("Caravan"));
    assert!(personal.contains(&finding.field.expect("it is named")), "{finding}");
    let entity = finding.entity.expect("it is named");
    assert!(!audited.caravan(entity).name.is_empty());
    let json = serde_json::to_value(&finding).expect("JSON");
    assert_eq!(json["fault"], "personal_field");
    assert_eq!(json["entity"], format!("{:016x}", entity.0));
    assert_eq!(json["players"], serde_json::json!(["player 3"]));
}
