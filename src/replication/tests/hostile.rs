//! Bytes of ill will: nothing panics, nothing grows, a bad update changes nothing.

use proptest::prelude::*;

use super::simulation::{Network, SETTINGS, Simulation, held_by};
use super::world::{Dice, WorldPlan};
use crate::client::mirror::Mirror;
use crate::limits::ALIASES_MAX;
use crate::replication::wire::{FLAG_COMMON, FLAG_EXCEPTIONS};

/// A mirror in the middle of things, the schema and the updates that follow.
fn underway(seed: u64) -> (Mirror, crate::replication::Schema, Vec<Vec<u8>>) {
    let plan = WorldPlan {
        seed,
        entities: 120,
        edge_m: 120.0,
        field_change: 0.2,
        rebirth: 0.02,
        structure_change: 0.02,
        ..WorldPlan::default()
    };
    let mut simulation = Simulation::new(plan, 1, SETTINGS, Network::default());
    for _ in 0..10 {
        simulation.step(false);
    }
    let mirror = simulation.sessions[0].mirror.clone();
    simulation.network.delay = 1_000;
    for _ in 0..10 {
        simulation.step(false);
    }
    let updates = simulation.sessions[0].updates_in_air.iter().map(|(_, bytes)| bytes.clone()).collect();
    (mirror, simulation.schema, updates)
}

#[test]
fn random_bytes_never_panic() {
    let (mirror, schema, _) = underway(3);
    proptest!(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }, |(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1_400), flags in 0u8..32, headed: bool,
    )| {
        if headed && bytes.len() > 12 {
            bytes[..4].copy_from_slice(&1_000u32.to_le_bytes());
            bytes[4] = flags;
            bytes[5] = 1;
            bytes[6] = 1;
        }
        let mut mirror = mirror.clone();
        let _ = mirror.apply(&schema, &bytes);
        let _ = mirror.take_record(&schema, 5, &bytes);
        prop_assert!(mirror.entities().count() <= ALIASES_MAX);
    });
}

#[test]
fn cut_or_flipped_updates_change_all_or_nothing() {
    let (mirror, schema, updates) = underway(4);
    let before = (held_by(&mirror), mirror.ack());
    let mut dice = Dice(9);
    let mut refused = 0;
    for bytes in &updates {
        for cut in 0..bytes.len() {
            let mut copy = mirror.clone();
            copy.apply(&schema, &bytes[..cut]).expect_err("a piece of an update is none");
            assert_eq!((held_by(&copy), copy.ack()), before, "a malformed update must change nothing");
            assert!(
                copy.drain_events(&schema).events.len() == mirror.clone().drain_events(&schema).events.len()
            );
        }
        for _ in 0..400 {
            let mut bytes = bytes.clone();
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << dice.below(8);
            }
            let mut copy = mirror.clone();
            match copy.apply(&schema, &bytes) {
                Ok(applied) if !applied.stale => {}
                _ => {
                    refused += 1;
                    assert_eq!((held_by(&copy), copy.ack()), before);
                }
            }
            // Whatever it holds now, it must go on without a panic.
            for next in &updates {
                let _ = copy.apply(&schema, next);
            }
            let _ = copy.drain_events(&schema);
        }
    }
    assert!(refused > 100, "flips must meet the checks");
}

/// Acks are the client's word: what was never sent cannot be acknowledged, and nothing it says breaks the view.
#[test]
fn acks_of_what_was_never_sent_are_refused_and_lies_harm_only_the_liar() {
    let mut simulation =
        Simulation::new(WorldPlan { shake_m: 20.0, ..WorldPlan::default() }, 2, SETTINGS, Network::default());
    let mut dice = Dice(3);
    for _ in 0..150 {
        simulation.step(false);
        let view = &mut simulation.sessions[0].view;
        let future = view.last_seq() + 1 + dice.below(100) as u32;
        assert!(view.on_ack(&simulation.world.rows, future, u64::MAX).refused);
        let known = dice.below(u64::from(view.last_seq()) + 1) as u32;
        assert!(!view.on_ack(&simulation.world.rows, known, dice.next() & dice.next()).refused);
    }
    assert_eq!(simulation.held(1), simulation.wanted(1));
}

/// A client that never answers costs a bounded number of aliases.
#[test]
fn a_client_that_never_acks_cannot_make_its_view_grow_without_bound() {
    let plan = WorldPlan { entities: 300, shake_m: 150.0, rebirth: 0.05, ..WorldPlan::default() };
    let mut simulation = Simulation::new(plan, 1, SETTINGS, Network { loss: 1.0, ..Network::default() });
    let mut without_alias = 0;
    for _ in 0..900 {
        simulation.step(false);
        let session = &simulation.sessions[0];
        without_alias += session.membership.without_alias;
        assert!(session.view.quarantined() + session.view.len() <= ALIASES_MAX);
    }
    assert!(without_alias > 0, "the churn must run out of aliases");
}

/// An update that uses fields of an entity that never came is no update of ours.
#[test]
fn unguarded_fields_of_an_unknown_entity_are_malformed_and_positions_are_skipped() {
    let (_, schema, _) = underway(1);
    let header = [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0];
    let with = |flags: u8, tail: &[u8]| {
        let mut bytes = header.to_vec();
        bytes[4] = flags;
        bytes.extend_from_slice(tail);
        bytes
    };
    let mut mirror = Mirror::default();
    assert!(mirror.apply(&schema, &with(FLAG_EXCEPTIONS, &[1, 9, 4 << 1, 1, 2, 3, 4, 5, 6])).is_err());
    assert!(mirror.apply(&schema, &with(FLAG_COMMON, &[1, 1, 1, 1, 2, 3, 4])).is_ok());
    assert_eq!(mirror.ack(), (1, 0));
}
