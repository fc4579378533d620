//! Bytes that somebody made up.

use proptest::prelude::*;
use terrane::replication::field::sent_fields;
use terrane::replication::{Replicate, SyncFields};

use super::nodes::{Tree, tree_of};
use super::support::{Dice, looking, seen};
use super::world::{Camp, camp, context, subject};

/// Reads bytes as every field; what comes of it does not matter.
fn survive<T: SyncFields>(bytes: &[u8]) {
    for field in 0..sent_fields::<T>().count() + 1 {
        let read = T::default().decode_sent(field, bytes);
        let paths = T::hidden_paths(field, bytes);
        if read.is_ok() {
            assert!(paths.is_ok(), "what is a value has paths");
        }
    }
}

/// Nine bytes that claim 2⁶⁴ − 1 of whatever comes next.
const ENDLESS: [u8; 9] = [253, 255, 255, 255, 255, 255, 255, 255, 255];

fn prefixed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    terrane::replication::field::put_prefixed(&mut bytes, Some(payload));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_bytes_make_a_client_panic(payload in proptest::collection::vec(any::<u8>(), 0..80)) {
        survive::<Camp>(&payload);
        survive::<Camp>(&prefixed(&payload));
        survive::<Tree>(&prefixed(&payload));
    }

    /// Small numbers are lengths, masks, variants and options: they get deeper than noise does.
    #[test]
    fn no_small_numbers_make_a_client_panic(payload in proptest::collection::vec(0u8..8, 0..200)) {
        survive::<Camp>(&prefixed(&payload));
        survive::<Tree>(&prefixed(&payload));
    }

    #[test]
    fn an_honest_field_spoilt_cut_or_prolonged_never_panics(
        seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let dice = &mut Dice(seed);
        let (camp, context, subject) = (camp(dice), context(dice), subject(dice));
        let (seen, _) = looking(&context, &subject, |viewing| seen(&camp, viewing));
        for (number, field) in seen.fields.iter().enumerate() {
            let mut spoilt = field.clone();
            spoilt[at.index(field.len())] = byte;
            let _ = Camp::default().decode_sent(number, &spoilt);
            let _ = Camp::hidden_paths(number, &spoilt);
            let cut = &field[..at.index(field.len())];
            prop_assert!(Camp::default().decode_sent(number, cut).is_err());
            let longer = [&field[..], &[byte]].concat();
            prop_assert!(Camp::default().decode_sent(number, &longer).is_err());
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Lists {
    #[sync(broadcast, nested)]
    nodes: Vec<Leaf>,
    #[sync(broadcast, nested)]
    map: std::collections::BTreeMap<u8, Vec<Leaf>>,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Leaf {
    #[sync(broadcast)]
    nothing: Vec<()>,
}

#[test]
fn a_length_beyond_the_bytes_is_an_error_at_once() {
    for field in 0..2 {
        assert!(Lists::default().decode_sent(field, &prefixed(&ENDLESS)).is_err());
        let one_too_many = [3, 1, 0, 1, 0];
        assert!(Lists::default().decode_sent(field, &prefixed(&one_too_many)).is_err());
    }
    assert!(Camp::default().decode_sent(11, &prefixed(&ENDLESS)).is_err());
}

/// Elements that take no bytes are bounded for the whole field, not for each list in it: else every two bytes of a field
/// could have 65,535 of them counted.
#[test]
fn elements_of_no_bytes_are_bounded_in_all_lists_of_a_field_together() {
    let lists = |count: usize, each: u16| {
        let mut payload = vec![count as u8];
        for _ in 0..count {
            payload.extend([1, 251]);
            payload.extend(each.to_le_bytes());
        }
        prefixed(&payload)
    };
    let mut held = Lists::default();
    assert_eq!(held.decode_sent(0, &lists(2, 30_000)), Ok(()));
    assert_eq!(held.nodes[1].nothing.len(), 30_000);
    assert!(held.decode_sent(0, &lists(3, 30_000)).is_err());
    let endless = [&[1, 1][..], &ENDLESS].concat();
    assert!(held.decode_sent(0, &prefixed(&endless)).is_err());
}

#[test]
fn a_value_nested_without_end_is_an_error_and_not_the_end_of_the_stack() {
    // Every level is a visible list with one element.
    for (levels, reads) in [(14, true), (15, true), (16, false), (4_000, false)] {
        let mut payload = vec![1];
        for _ in 0..levels {
            payload.extend([4, 1]);
        }
        payload.push(0);
        let read = Tree::default().decode_sent(2, &prefixed(&payload));
        assert_eq!(read.is_ok(), reads, "{levels}: {read:?}");
    }
    let mut saved = Vec::new();
    tree_of(400).save(&mut saved);
    assert!(Tree::load(&saved).is_ok(), "a save may nest deeper");
    saved.clear();
    tree_of(1_000).save(&mut saved);
    assert!(Tree::load(&saved).is_err());
}

#[test]
fn fields_and_variants_that_there_are_not_are_errors() {
    // A mask with a third field for a type of one; variant 3 of three.
    assert!(Lists::default().decode_sent(0, &prefixed(&[1, 4])).is_err());
    assert!(super::world::Item::default().decode_sent(0, &prefixed(&[3, 0])).is_err());
    assert!(super::world::Item::default().decode_sent(0, &prefixed(&[0, 1])).is_err());
    assert!(super::world::Item::default().decode_sent(0, &prefixed(&[0, 0])).is_ok());
}
