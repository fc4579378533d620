//! The codec against bytes that somebody made up.

#![expect(clippy::disallowed_types, reason = "hostile bytes for every type that serde reads, this one too")]

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use terrane::limits::CLIENT_MESSAGE_BYTES_MAX;
use terrane::protocol::codec::{self, DecodeError};
use terrane::protocol::messages::{ActionCall, ClientControl, ClientState, Envelope};

/// Nine bytes that claim 2⁶⁴−1 of whatever comes next.
const ENDLESS: [u8; 9] = [253, 255, 255, 255, 255, 255, 255, 255, 255];

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::decode::<T, CLIENT_MESSAGE_BYTES_MAX>("message", bytes)
}

#[track_caller]
fn malformed<T: for<'de> Deserialize<'de> + std::fmt::Debug>(bytes: &[u8]) {
    let strict = decode::<T>(bytes);
    assert!(matches!(strict, Err(DecodeError::Malformed { .. })), "{strict:?}");
    let trusted = codec::decode_prefix::<T, 1_024>("value", bytes);
    assert!(matches!(trusted, Err(DecodeError::Malformed { .. })), "{trusted:?}");
}

/// An owned read of bincode's without a limit panics on these nine bytes.
#[test]
fn a_length_beyond_all_memory_is_an_error_for_every_container() {
    malformed::<String>(&ENDLESS);
    malformed::<Vec<u8>>(&ENDLESS);
    malformed::<Vec<u64>>(&ENDLESS);
    malformed::<Vec<[u64; 32]>>(&ENDLESS);
    malformed::<BTreeMap<u64, String>>(&ENDLESS);
    malformed::<HashMap<u64, String>>(&ENDLESS);
    malformed::<Box<str>>(&ENDLESS);
    malformed::<std::path::PathBuf>(&ENDLESS);
    malformed::<Option<Vec<String>>>(&[&[1][..], &ENDLESS].concat());
}

/// Elements that take no bytes would otherwise be counted to 2⁶⁴.
#[test]
fn endless_elements_of_no_bytes_are_an_error() {
    malformed::<Vec<()>>(&ENDLESS);
    malformed::<Vec<Vec<()>>>(&[&[1][..], &ENDLESS].concat());
    assert_eq!(decode::<Vec<()>>(&[3]), Ok(vec![(); 3]));
}

#[derive(Debug, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

#[test]
fn a_value_nested_without_end_is_an_error_and_not_the_end_of_the_stack() {
    let chain = |links: usize| [&vec![1; links][..], &[0]].concat();
    // Every byte of these is as it should be: only their depth is not.
    malformed::<Chain>(&chain(1_000));
    assert!(matches!(decode::<Chain>(&chain(100)), Err(DecodeError::Malformed { .. })));
    assert!(decode::<Chain>(&chain(20)).is_ok());
    assert!(codec::decode_prefix::<Chain, 1_024>("value", &chain(300)).is_ok(), "a save may nest deeper");
}

#[test]
fn more_bytes_than_the_limit_are_refused_before_they_are_read() {
    let bytes = [0; CLIENT_MESSAGE_BYTES_MAX + 1];
    assert_eq!(
        decode::<[u8; 1]>(&bytes),
        Err(DecodeError::TooLong { what: "message", length: bytes.len(), limit: CLIENT_MESSAGE_BYTES_MAX })
    );
}

#[test]
fn the_limit_counts_bytes_on_the_wire_not_in_memory() {
    let numbers = vec![1u64; CLIENT_MESSAGE_BYTES_MAX - 3];
    let bytes = codec::encode(&numbers);
    assert_eq!(bytes.len(), CLIENT_MESSAGE_BYTES_MAX);
    assert_eq!(decode::<Vec<u64>>(&bytes), Ok(numbers));
    assert!(codec::decode_prefix::<Vec<u64>, { CLIENT_MESSAGE_BYTES_MAX - 1 }>("value", &bytes).is_err());
}

#[test]
fn bytes_left_over_are_refused_and_counted() {
    assert_eq!(decode::<u8>(&[1, 2, 3]), Err(DecodeError::Trailing { what: "message", left: 2 }));
    assert_eq!(codec::decode_prefix::<u8, 8>("value", &[1, 2, 3]), Ok((1, 1)));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point(f32),
    Box { width: f64, name: String },
}

/// Floats in every place that serde has for a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Floats {
    single: f32,
    double: f64,
    place: glam::Vec3,
    perhaps: Option<f32>,
    listed: Vec<f32>,
    keyed: BTreeMap<u8, f64>,
    shapes: Vec<Shape>,
    newtype: Metres,
    pair: (u8, f32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Metres(f32);

fn floats() -> Floats {
    Floats {
        single: 1.0,
        double: f64::MAX,
        place: glam::Vec3::ONE,
        perhaps: Some(1.0),
        listed: vec![0.0, -1.0],
        keyed: BTreeMap::from([(1, 2.0)]),
        shapes: vec![Shape::Point(f32::MIN), Shape::Box { width: 1.0, name: "a".into() }],
        newtype: Metres(1.0),
        pair: (0, 0.5),
    }
}

#[test]
fn a_number_that_is_not_finite_is_refused_wherever_it_hides() {
    assert_eq!(decode::<Floats>(&codec::encode(&floats())), Ok(floats()));
    let places: [fn(&mut Floats, f32); 10] = [
        |value, bad| value.single = bad,
        |value, bad| value.double = bad.into(),
        |value, bad| value.place.z = bad,
        |value, bad| value.perhaps = Some(bad),
        |value, bad| value.listed[1] = bad,
        |value, bad| value.keyed = BTreeMap::from([(1, bad.into())]),
        |value, bad| value.shapes[0] = Shape::Point(bad),
        |value, bad| value.shapes[1] = Shape::Box { width: bad.into(), name: String::new() },
        |value, bad| value.newtype = Metres(bad),
        |value, bad| value.pair.1 = bad,
    ];
    for (place, spoil) in places.iter().enumerate() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut value = floats();
            spoil(&mut value, bad);
            let bytes = codec::encode(&value);
            let refused = decode::<Floats>(&bytes);
            assert_eq!(refused, Err(DecodeError::NotFinite { what: "message" }), "place {place}, {bad}");
            assert!(codec::decode_prefix::<Floats, 1_024>("value", &bytes).is_ok(), "a save may hold {bad}");
        }
    }
}

/// Reads a number, and if that fails says zero: an error alone would not reach the caller.
#[derive(Debug, PartialEq)]
struct Forgiving(f32);

impl<'de> Deserialize<'de> for Forgiving {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(f32::deserialize(deserializer).unwrap_or(0.0)))
    }
}

#[test]
fn a_type_that_swallows_the_error_does_not_get_away_with_it() {
    assert_eq!(decode::<Forgiving>(&codec::encode(&1.0f32)), Ok(Forgiving(1.0)));
    let refused = decode::<Forgiving>(&codec::encode(&f32::NAN));
    assert_eq!(refused, Err(DecodeError::NotFinite { what: "message" }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Envelope<ClientControl>>(&bytes);
        let _ = decode::<ClientState>(&bytes);
        let _ = decode::<Floats>(&bytes);
        let _ = decode::<Chain>(&bytes);
    }

    #[test]
    fn a_message_cut_short_spoilt_or_prolonged_never_panics(
        seq in any::<u64>(), id in any::<u128>(), payload in proptest::collection::vec(any::<u8>(), 0..100),
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let call = ClientControl::Action(ActionCall { id: terrane::ids::ActionId(id), kind: 3, payload });
        let message = Envelope { epoch: 1, seq, payload: call };
        let bytes = codec::encode(&message);
        prop_assert_eq!(decode(&bytes), Ok(message));

        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(decode::<Envelope<ClientControl>>(cut).is_err());
        let longer = [&bytes[..], &[byte]].concat();
        prop_assert_eq!(
            decode::<Envelope<ClientControl>>(&longer),
            Err(DecodeError::Trailing { what: "message", left: 1 })
        );
        let mut spoilt = bytes.clone();
        spoilt[at.index(bytes.len())] = byte;
        let _ = decode::<Envelope<ClientControl>>(&spoilt);
    }
}
