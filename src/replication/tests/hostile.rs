//! Bytes of ill will: nothing panics, nothing grows, a bad update changes nothing.

use proptest::prelude::*;

use super::simulation::{Network, SETTINGS, Simulation, held_by};
use super::world::{Dice, WorldPlan};
use crate::client::mirror::Mirror;
use crate::ids::NetId;
use crate::limits::{ALIASES_MAX, RECORD_BYTES_MAX};
use crate::replication::field::{FieldSpec, FieldWire};
use crate::replication::policy::ComponentPolicy;
use crate::replication::schema::{ComponentSchema, Schema};
use crate::replication::wire::{FLAG_COMMON, FLAG_ENTERS, FLAG_EXCEPTIONS, FLAG_LEAVES};

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

/// An update that names an alias twice could make a row longer than any check of its parts allows.
#[test]
fn an_alias_named_twice_in_one_update_is_malformed() {
    let (mirror, schema, updates) = underway(6);
    let bytes = updates.first().expect("there are updates");
    // Behind the header: seq 4, flags, tick and input as one byte each, reference.
    let header = [&bytes[..4], &[0, 1, 1][..], &[0; 6]].concat();
    let with = |flags: u8, parts: &[&[u8]]| {
        let mut bytes = header.clone();
        bytes[4] = flags;
        bytes.extend(parts.concat());
        bytes
    };
    let alias = mirror.entities().map(|entity| entity.alias_for_tests()).find(|alias| *alias < 8);
    let alias = alias.expect("the first aliases are in use");
    // A block of one with the low bits of x and y, and an exception with the same.
    let common: &[u8] = &[1, 1, 1 << alias, 1, 0, 2, 0];
    let exception: &[u8] = &[1, alias as u8, 1 << 2, 3, 0, 4, 0];
    let leave: &[u8] = &[1, alias as u8, 0];
    let twice_left: &[u8] = &[2, alias as u8, 0, alias as u8, 0];
    let apply = |bytes: &[u8]| mirror.clone().apply(&schema, bytes).map(|applied| applied.seq);
    assert!(apply(&with(FLAG_COMMON, &[common])).is_ok());
    assert!(apply(&with(FLAG_EXCEPTIONS, &[exception])).is_ok());
    assert!(apply(&with(FLAG_LEAVES, &[leave])).is_ok());
    for (flags, parts) in [
        (FLAG_COMMON | FLAG_EXCEPTIONS, vec![common, exception]),
        (FLAG_LEAVES, vec![twice_left]),
        (FLAG_LEAVES | FLAG_COMMON, vec![leave, common]),
        (FLAG_LEAVES | FLAG_EXCEPTIONS, vec![leave, exception]),
    ] {
        let error = apply(&with(flags, &parts)).expect_err("an alias is named once").to_string();
        assert!(error.contains("named twice"), "{error}");
    }
}

/// However updates are mutated and repeated under higher numbers, no row outgrows what a record can carry.
#[test]
fn no_row_outgrows_a_record_whatever_updates_say() {
    let (mirror, schema, updates) = underway(8);
    let mut dice = Dice(5);
    let (mut applied, mut longest) = (0, 0);
    for _ in 0..300 {
        let mut copy = mirror.clone();
        for seq in 1_000..1_040u32 {
            let mut bytes = updates[dice.below(updates.len() as u64) as usize].clone();
            bytes[..4].copy_from_slice(&seq.to_le_bytes());
            let header = 13.min(bytes.len());
            for _ in 0..dice.below(4) {
                let at = header + dice.below((bytes.len() - header) as u64 + 1) as usize;
                match dice.below(3) {
                    0 if at < bytes.len() => bytes[at] = dice.next() as u8,
                    // A part again behind itself, or some of it gone.
                    1 if at < bytes.len() => {
                        let length = dice.below(40).min((bytes.len() - at) as u64) as usize;
                        let part = bytes[at..at + length].to_vec();
                        bytes.splice(at..at, part);
                    }
                    _ => {
                        let end = (at + dice.below(12) as usize).min(bytes.len());
                        bytes.drain(at.min(end)..end);
                    }
                }
            }
            applied += u64::from(copy.apply(&schema, &bytes).is_ok_and(|applied| !applied.stale));
            for entity in copy.entities() {
                let row = entity.encoded();
                longest = longest.max(row.bytes.len());
                assert!(row.bytes.len() <= 2 * RECORD_BYTES_MAX);
                assert!(
                    row.ends.is_sorted()
                        && row.ends.last().map_or(0, |&end| usize::from(end)) == row.bytes.len()
                );
            }
        }
    }
    assert!(applied > 500 && longest > 0, "{applied} mutated updates were good");
}

/// A field is replaced by a longer one again and again: what counts is the row's length then, not that of the parts.
#[test]
fn a_row_may_be_as_long_as_a_record_and_no_longer() {
    let fields = (0..3).map(|_| FieldSpec::broadcast("text", "String", FieldWire::Prefixed, 4_000)).collect();
    let component = ComponentSchema {
        name: "Long",
        policy: ComponentPolicy::Everyone,
        urgency: crate::replication::Urgency::USUAL,
        fields: &[],
        sent: fields,
    };
    let schema = Schema { components: vec![component], ..Schema::default() };
    let mut mirror = Mirror::default();
    let update = |seq: u32, flags: u8, tail: &[u8]| {
        [&seq.to_le_bytes()[..], &[flags, 1, 1, 0, 0, 0, 0, 0, 0], tail].concat()
    };
    // Alias 0: length, name, structure, component 0, nothing withdrawn, a place, three absent fields.
    let enter = [&[1u8, 0, 0, 26][..], &7u64.to_le_bytes(), &[1, 1, 0], &[0; 12], &[0; 3]].concat();
    mirror.apply(&schema, &update(1, FLAG_ENTERS, &enter)).expect("an enter record");
    let field = |bit: u64, length: u16| {
        let mask = (4 << bit) << 2;
        let number = (length + 1).to_le_bytes();
        [&[1u8, 0, mask as u8, 251, number[0], number[1]][..], &vec![9; usize::from(length)]].concat()
    };
    let mut seq = 1;
    let mut set = |bit, length| {
        seq += 1;
        mirror.apply(&schema, &update(seq, FLAG_EXCEPTIONS, &field(bit, length))).map(|_| ())
    };
    for round in 0..200 {
        set(round % 3, 1_100).expect("it is replaced");
    }
    set(0, 1_000).expect("shorter");
    let entity = mirror.get(NetId(7)).expect("it is in view");
    assert_eq!(entity.encoded().bytes.len(), 1_003 + 2 * 1_103);
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
