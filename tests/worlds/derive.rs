//! What `derive(Replicate)` and `derive(Action)` generate, for every kind of field.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Component;
use glam::{Vec2, Vec3};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use terrane::action::{Action, Caller, Coalesce, Limit, Pace, Scope};
use terrane::ids::NetId;
use terrane::limits::{FIELD_BYTES_MAX_DEFAULT, PENDING_TICKS_MAX, SENT_FIELDS_MAX, URGENCY_PRIORITY_MAX};
use terrane::protocol::codec::DecodeError;
use terrane::replication::field::{field_length, prefixed_payload, sent_fields};
use terrane::replication::{FieldWire, FieldWriter, Policy, Replicate, Schema, SyncFields, Urgency};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Mood {
    #[default]
    Calm,
    Angry {
        at: NetId,
    },
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Everything {
    #[sync(broadcast)]
    byte: u8,
    #[sync(broadcast)]
    signed: i8,
    #[sync(broadcast)]
    flag: bool,
    #[sync(broadcast)]
    short: u16,
    #[sync(server_only)]
    secret: u64,
    #[sync(broadcast)]
    int: i32,
    #[sync(broadcast)]
    long: u64,
    #[sync(broadcast)]
    huge: u128,
    #[sync(broadcast)]
    exact: f32,
    #[sync(broadcast)]
    double: f64,
    #[sync(broadcast, precision = 0.01)]
    angle: f32,
    #[sync(broadcast, precision = 1)]
    distance: f64,
    #[sync(broadcast, precision = 0.125)]
    velocity: Vec2,
    #[sync(broadcast, precision = 0.5)]
    target: glam::Vec3,
    #[sync(broadcast)]
    offset: Vec3,
    #[sync(broadcast, max_bytes = 8)]
    name: String,
    #[sync(server_only)]
    plans: Vec<String>,
    #[sync(broadcast)]
    mood: Mood,
    #[sync(broadcast)]
    friend: Option<NetId>,
    #[sync(broadcast)]
    stock: BTreeMap<u16, i64>,
    #[sync(broadcast)]
    r#type: char,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Pair(#[sync(broadcast)] u32, #[sync(server_only)] String);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(priority = 8, max_staleness = 200)]
struct Marker;

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Silent {
    #[sync(server_only)]
    seed: u64,
}

/// As many sent fields as a mask has bits for.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[rustfmt::skip]
struct Widest(
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(server_only)] u8,
);

prop_compose! {
    fn scalars()(
        bytes in any::<(u8, i8, bool, u16)>(), secret in any::<u64>(), int in any::<i32>(),
        (long, huge, width) in (any::<u64>(), any::<u128>(), 0u32..64), exact in any::<f32>(), double in any::<f64>(),
        r#type in any::<char>(),
    ) -> Everything {
        let (byte, signed, flag, short) = bytes;
        Everything {
            byte, signed, flag, short, secret, int, long: long >> width, huge: huge >> (2 * width), exact, double,
            r#type, ..Everything::default()
        }
    }
}

prop_compose! {
    /// Quantised fields lie on their own steps, and names are short enough: everything comes back as it was.
    fn everything()(
        scalars in scalars(), angle in -100_000i32..100_000, distance in -1_000_000i32..1_000_000,
        velocity in any::<[i16; 2]>(), target in any::<[i16; 3]>(), offset in any::<[f32; 3]>(),
        name in "[a-z]{0,7}", plans in proptest::collection::vec(".{0,10}", 0..3),
        angry in proptest::option::of(any::<u64>()), friend in proptest::option::of(any::<u64>()),
        stock in proptest::collection::btree_map(any::<u16>(), any::<i64>(), 0..30),
    ) -> Everything {
        Everything {
            angle: (f64::from(angle) * f64::from(0.01f32)) as f32,
            distance: distance.into(),
            velocity: Vec2::from(velocity.map(f32::from)) * 0.125,
            target: Vec3::from(target.map(f32::from)) * 0.5,
            offset: offset.into(),
            name, plans, stock,
            mood: angry.map_or(Mood::Calm, |at| Mood::Angry { at: NetId(at) }),
            friend: friend.map(NetId),
            ..scalars
        }
    }
}

fn encoded<T: Replicate>(value: &T) -> FieldWriter {
    let mut writer = FieldWriter::default();
    value.encode_sent(&mut writer);
    writer
}

/// The bytes of each sent field, found by their form alone as a client finds them.
fn split<T: Replicate>(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    for spec in sent_fields::<T>() {
        let length = field_length(spec.wire, bytes).expect("a whole field");
        assert!(length <= spec.wire_bytes_max(), "{} takes {length} bytes", spec.name);
        let (field, rest) = bytes.split_at(length);
        fields.push(field);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "nothing follows the last field");
    fields
}

/// What a client holds that starts from `held` and is told everything.
fn told<T: Replicate>(value: &T, mut held: T) -> T {
    let writer = encoded(value);
    let mut begin = 0;
    for (number, field) in split::<T>(&writer.bytes).into_iter().enumerate() {
        let end = usize::from(writer.ends[number]);
        assert_eq!(field, &writer.bytes[begin..end], "both ends agree on where field {number} is");
        held.decode_sent(number, field).expect("an honest field");
        begin = end;
    }
    held
}

/// What of a value anybody but the server may know.
fn public(value: &Everything) -> Everything {
    Everything { secret: 0, plans: Vec::new(), ..value.clone() }
}

fn ghost_of<T: Replicate>(value: &T, mut ghost: T) -> T {
    value.project(&mut ghost);
    ghost
}

proptest! {
    /// B1, B2.
    #[test]
    fn a_client_that_is_told_all_fields_holds_all_but_the_secrets(value in everything(), before in everything()) {
        prop_assert_eq!(told(&value, Everything::default()), public(&value));
        let held = public(&before);
        prop_assert_eq!(told(&value, held), public(&value), "whatever it held before");
    }

    /// B1, B11.
    #[test]
    fn a_ghost_holds_what_is_public_and_forgets_the_rest(value in everything(), before in everything()) {
        prop_assert_eq!(ghost_of(&value, before), public(&value));
    }

    /// B1.
    #[test]
    fn a_secret_changes_not_a_byte_of_what_is_sent(
        value in everything(), secret in any::<u64>(), plans in proptest::collection::vec(".{0,10}", 0..3),
    ) {
        let other = Everything { secret, plans, ..value.clone() };
        prop_assert_eq!(encoded(&value), encoded(&other));
    }

    #[test]
    fn a_saved_component_is_loaded_as_it_was_whatever_follows_it(value in everything(), tail in any::<[u8; 3]>()) {
        let mut bytes = Vec::new();
        value.save(&mut bytes);
        let length = bytes.len();
        bytes.extend(tail);
        prop_assert_eq!(Everything::load(&bytes), Ok((value, length)));
    }

    #[test]
    fn a_save_cut_short_is_an_error(value in everything(), at in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        value.save(&mut bytes);
        prop_assert!(Everything::load(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_bytes_for_any_field_are_an_error_or_a_value(
        field in 0usize..25, bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut held = Everything::default();
        let known = field < sent_fields::<Everything>().count();
        let result = held.decode_sent(field, &bytes);
        prop_assert!(known || result.is_err());
    }

    #[test]
    fn a_float_of_declared_precision_is_told_within_half_a_step_and_told_again_is_the_same(
        angle in -80_000.0f32..80_000.0, x in -1e5f32..1e5, distance in -1e6f64..1e6,
    ) {
        let value = Everything { angle, distance, velocity: Vec2::new(x, -x), ..Everything::default() };
        let held = told(&value, Everything::default());
        prop_assert!((held.angle - angle).abs() <= 0.005 + angle.abs() * f32::EPSILON);
        prop_assert!((held.distance - distance).abs() <= 0.5);
        prop_assert!((held.velocity.x - x).abs() <= 0.0625 && held.velocity.y == -held.velocity.x);
        prop_assert_eq!(encoded(&held), encoded(&value));
    }
}

/// B1: the canary would be visible in any encoding, since both text and integers are written as they are.
#[test]
fn a_canary_in_server_only_fields_is_in_saves_but_never_in_what_is_sent() {
    let canary = "canary-7f3a";
    let number = 0x7a11_ab1e_dead_beef_u64;
    let value = Everything { secret: number, plans: vec![canary.into()], ..Everything::default() };
    let pair = Pair(1, canary.into());
    let silent = Silent { seed: number };
    let holds = |bytes: &[u8]| {
        bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
            || bytes.windows(8).any(|window| window == number.to_le_bytes())
    };
    assert!(
        !holds(&encoded(&value).bytes) && !holds(&encoded(&pair).bytes) && !holds(&encoded(&silent).bytes)
    );
    let mut saved = [Vec::new(), Vec::new(), Vec::new()];
    value.save(&mut saved[0]);
    pair.save(&mut saved[1]);
    silent.save(&mut saved[2]);
    assert!(saved.iter().all(|bytes| holds(bytes)), "the canary shows where it may be");
}

#[test]
fn the_field_table_says_everything_that_the_rules_command_prints() {
    assert_eq!(Everything::NAME, "Everything");
    let spec = |name: &str| *Everything::FIELDS.iter().find(|spec| spec.name == name).expect(name);
    let form = |name: &str| (spec(name).wire, spec(name).bytes_max, spec(name).wire_bytes_max());
    assert_eq!(form("byte"), (FieldWire::Fixed(1), 1, 1));
    assert_eq!(form("flag"), (FieldWire::Fixed(1), 1, 1));
    assert_eq!(form("short"), (FieldWire::Varint, 3, 3));
    assert_eq!(form("int"), (FieldWire::Varint, 5, 5));
    assert_eq!(form("long"), (FieldWire::Varint, 9, 9));
    assert_eq!(form("exact"), (FieldWire::Fixed(4), 4, 4));
    assert_eq!(form("double"), (FieldWire::Fixed(8), 8, 8));
    assert_eq!(form("angle"), (FieldWire::Varint, 5, 5));
    assert_eq!(form("velocity"), (FieldWire::Prefixed, 10, 11));
    assert_eq!(form("target"), (FieldWire::Prefixed, 15, 16));
    assert_eq!(form("name"), (FieldWire::Prefixed, 8, 9));
    assert_eq!(form("stock"), (FieldWire::Prefixed, FIELD_BYTES_MAX_DEFAULT, FIELD_BYTES_MAX_DEFAULT + 3));
    assert_eq!(spec("stock").type_name, "BTreeMap<u16,i64>");
    assert_eq!(spec("target").type_name, "glam::Vec3");
    assert_eq!((spec("angle").precision, spec("exact").precision), (Some(0.01), None));
    assert_eq!((spec("secret").policy, spec("secret").wire_bytes_max()), (Policy::ServerOnly, 0));
    assert_eq!(spec("type").policy, Policy::Broadcast);
    assert_eq!(Pair::FIELDS.iter().map(|spec| spec.name).collect::<Vec<_>>(), ["0", "1"]);
}

#[test]
fn tuples_markers_and_silent_components_are_components_too() {
    assert_eq!(told(&Pair(7, "a".into()), Pair::default()), Pair(7, String::new()));
    assert_eq!(ghost_of(&Pair(7, "a".into()), Pair(1, "b".into())), Pair(7, String::new()));
    assert_eq!(encoded(&Marker), FieldWriter::default());
    assert_eq!(Marker::load(&[9]), Ok((Marker, 0)));
    assert_eq!(encoded(&Silent { seed: 3 }), FieldWriter::default());
    assert_eq!(Silent::load(&[3]), Ok((Silent { seed: 3 }, 1)));
    assert!(Silent::default().decode_sent(0, &[3]).is_err() && Marker.decode_sent(0, &[]).is_err());
}

/// A10: at the bounds; beyond them it does not compile.
#[test]
fn a_component_says_how_urgent_its_changes_are() {
    assert_eq!(Marker::URGENCY, Urgency::new(URGENCY_PRIORITY_MAX, Some(PENDING_TICKS_MAX)));
    assert_eq!(Pair::URGENCY, Urgency::USUAL);
    let both = Urgency::new(2, Some(9)).and(Urgency::new(3, None));
    assert_eq!(both, Urgency { priority: 3, staleness_ticks_max: Some(9) });
}

#[test]
fn a_component_may_send_as_many_fields_as_a_mask_has_bits() {
    assert_eq!(sent_fields::<Widest>().count(), SENT_FIELDS_MAX, "the derive knows the engine's bound");
    let value = Widest { 0: 1, 31: 2, 32: 3, ..Widest::default() };
    assert_eq!(told(&value, Widest::default()), Widest { 32: 0, ..value.clone() });
}

#[test]
fn a_field_longer_than_its_bound_is_absent_counted_and_forgotten_by_the_client() {
    // Eight bytes: the length of the text is part of what is bounded.
    let longest = Everything { name: "1234567".into(), r#type: 'x', ..Everything::default() };
    assert_eq!((encoded(&longest).oversized, told(&longest, Everything::default())), (0, longest.clone()));
    let long = Everything { name: "12345678".into(), ..longest };
    let writer = encoded(&long);
    assert_eq!(writer.oversized, 1);
    let number = sent_fields::<Everything>().position(|spec| spec.name == "name").expect("a sent field");
    let field = split::<Everything>(&writer.bytes)[number];
    assert_eq!((field, prefixed_payload(field)), (&[0][..], Ok(None)));
    let held = told(&long, Everything { name: "old".into(), ..Everything::default() });
    assert_eq!((held.name.as_str(), held.r#type), ("", 'x'));
}

#[test]
fn a_field_that_cannot_be_read_is_named_and_leaves_the_value_alone() {
    let mut held = Pair(7, String::new());
    let refused = held.decode_sent(0, &[255]).expect_err("no integer begins with 255");
    assert!(matches!(refused, DecodeError::Malformed { what: "Pair.0", .. }), "{refused:?}");
    assert!(matches!(held.decode_sent(0, &[1, 2]), Err(DecodeError::Trailing { what: "Pair.0", left: 1 })));
    assert!(held.decode_sent(1, &[1]).is_err(), "a server_only field has no number");
    assert_eq!(held.0, 7);
}

/// What a server's game code may do, its clients must survive.
#[test]
fn an_infinite_float_of_the_servers_reaches_the_client_but_a_quantised_one_stops_at_the_last_step() {
    let value = Everything {
        exact: f32::INFINITY,
        angle: f32::INFINITY,
        distance: f64::NAN,
        ..Everything::default()
    };
    let held = told(&value, Everything::default());
    assert_eq!((held.exact, held.distance), (f32::INFINITY, 0.0));
    assert_eq!(held.angle, (f64::from(i32::MAX) * f64::from(0.01f32)) as f32);
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = group, caller = gm, reply = Vec<u8>, rate = 1000, burst = 1000, coalesce = none, durability = memory, speaks)]
enum Cheat {
    Heal,
    Give(u32, String),
    Move { to: Option<NetId> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
struct Steer {
    heading: f32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(reply = (), refusal = u8, caller = admin, scope = global, burst = 3, coalesce = newest, durability = memory, rate = 0.5)]
struct Stop;

#[derive(Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, on = wagon, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Unload {
    wagon: NetId,
    loads: u16,
}

/// C3.
#[test]
fn an_action_is_what_it_declares() {
    assert_eq!((Cheat::NAME, Cheat::scope(), Cheat::CALLER), ("Cheat", Scope::Group, Caller::Gm));
    assert_eq!((Steer::scope(), Steer::CALLER, Steer::PACE), (Scope::Own, Caller::Player, Pace::Continuous));
    assert_eq!((Stop::scope(), Stop::CALLER), (Scope::Global, Caller::Admin));
    let limit = Limit { rate_per_s: 0.5, burst: 3, coalesce: Coalesce::Newest };
    assert_eq!((Stop::PACE, Stop::SPEAKS, Cheat::SPEAKS), (Pace::Single(limit), false, true));
    let _: <Cheat as Action>::Reply = vec![1];
    let _: (<Cheat as Action>::Refusal, <Stop as Action>::Refusal) = (String::new(), 7);
    let wagon = Unload { wagon: NetId(5), loads: 2 };
    assert_eq!((wagon.target(), Unload::HAS_TARGET), (Some(NetId(5)), true));
    assert_eq!((Stop.target(), Stop::HAS_TARGET), (None, false));
}

/// D6.
#[test]
fn the_signature_of_an_action_holds_all_that_both_ends_must_agree_on() {
    assert_eq!(Cheat::signature(), "Cheat group gm [Heal|Give(u32,String)|Move{to:Option<NetId>}]->Vec<u8>");
    assert_eq!(Steer::signature(), "Steer self player latest_wins {heading:f32}->()");
    assert_eq!(Stop::signature(), "Stop global admin ->()|u8");
}

/// D6.
#[test]
fn the_schema_knows_a_derived_component_by_its_sent_fields() {
    let mut schema = Schema::default();
    assert_eq!((schema.push::<Everything>(), schema.push::<Marker>()), (0, 1));
    assert_eq!(schema.components[0].sent.len(), Everything::FIELDS.len() - 2);
    assert!(schema.components[1].sent.is_empty());
}
