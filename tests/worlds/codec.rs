//! The codec's bytes, pinned: saves and peers of other builds hold them. And the way out of bincode, which nobody
//! maintains any more: `wincode` with variable-width integers writes the very same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use terrane::protocol::codec;
use wincode::{SchemaRead, SchemaWrite};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, SchemaWrite, SchemaRead)]
enum Order {
    Halt,
    Go(u32, i16),
    Say { text: String, loud: bool },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, SchemaWrite, SchemaRead)]
struct Leaf {
    tiny: (u8, i8, bool),
    small: (u16, i16),
    middle: (u32, i32),
    large: (u64, i64),
    huge: (u128, i128),
    size: usize,
    reals: (f32, f64),
    letter: char,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, SchemaWrite, SchemaRead)]
struct Tree {
    leaf: Leaf,
    name: String,
    perhaps: Option<Box<Leaf>>,
    orders: Vec<Order>,
    stock: BTreeMap<String, u32>,
    raw: Vec<u8>,
    grid: [[i32; 2]; 2],
    unit: (),
}

/// D6: a save of one version is read by the next.
#[track_caller]
fn pinned<T>(value: T, golden: &[u8])
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    assert_eq!(codec::encode(&value), golden, "the encoding of {value:?} has changed");
    assert_eq!(codec::decode::<T, 1_024>("golden value", golden).as_ref(), Ok(&value));
    assert_eq!(codec::decode_prefix::<T, 1_024>("golden value", golden), Ok((value, golden.len())));
}

#[test]
fn unsigned_integers_grow_at_251_and_at_each_width() {
    pinned(0u64, &[0]);
    pinned(250u64, &[250]);
    pinned(251u64, &[251, 251, 0]);
    pinned(65_535u64, &[251, 255, 255]);
    pinned(65_536u64, &[252, 0, 0, 1, 0]);
    pinned(u32::MAX, &[252, 255, 255, 255, 255]);
    pinned(u64::from(u32::MAX) + 1, &[253, 0, 0, 0, 0, 1, 0, 0, 0]);
    pinned(u64::MAX, &[253, 255, 255, 255, 255, 255, 255, 255, 255]);
    pinned(u128::from(u64::MAX) + 1, &[254, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    pinned(250u16, &[250]);
    pinned(251u16, &[251, 251, 0]);
    pinned(65_536usize, &[252, 0, 0, 1, 0]);
}

#[test]
fn signed_integers_alternate_around_zero() {
    pinned(0i32, &[0]);
    pinned(-1i32, &[1]);
    pinned(1i32, &[2]);
    pinned(125i32, &[250]);
    pinned(-126i32, &[251, 251, 0]);
    pinned(i16::MIN, &[251, 255, 255]);
    pinned(i64::MAX, &[253, 254, 255, 255, 255, 255, 255, 255, 255]);
}

#[test]
fn bytes_booleans_and_floats_are_raw_and_little_endian() {
    pinned(255u8, &[255]);
    pinned(-1i8, &[255]);
    pinned(true, &[1]);
    pinned(1.0f32, &[0, 0, 128, 63]);
    pinned(-2.5f64, &[0, 0, 0, 0, 0, 0, 4, 192]);
    pinned('ä', &[195, 164]);
}

#[test]
fn texts_lists_options_and_maps_tell_their_length_first() {
    pinned(String::from("hé"), &[3, 104, 195, 169]);
    pinned(vec![1u16, 300], &[2, 1, 251, 44, 1]);
    pinned(None::<u32>, &[0]);
    pinned(Some(7u32), &[1, 7]);
    pinned(BTreeMap::from([(1u8, String::from("a")), (2, String::new())]), &[2, 1, 1, 97, 2, 0]);
    pinned([1u8, 2, 3], &[1, 2, 3]);
    pinned(((), (1u8, 2u32)), &[1, 2]);
}

#[test]
fn enums_tell_their_variant_as_an_integer() {
    pinned(Order::Halt, &[0]);
    pinned(Order::Go(300, -1), &[1, 251, 44, 1, 1]);
    pinned(Order::Say { text: "ho".into(), loud: true }, &[2, 2, 104, 111, 1]);
    pinned(Ok::<u8, String>(1), &[0, 1]);
    pinned(Err::<u8, String>("x".into()), &[1, 1, 120]);
}

prop_compose! {
    fn leaf()(
        tiny in any::<(u8, i8, bool)>(), small in any::<(u16, i16)>(), middle in any::<(u32, i32)>(),
        large in any::<(u64, i64)>(), huge in any::<(u128, i128)>(), size in any::<usize>(),
        shift in 0u32..64, reals in any::<(f32, f64)>(), letter in any::<char>(),
    ) -> Leaf {
        // Shifted, so that every width of an integer comes up.
        let large = (large.0 >> shift, large.1 >> shift);
        Leaf { tiny, small, middle, large, huge, size: size >> shift, reals, letter }
    }
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        Just(Order::Halt),
        any::<(u32, i16)>().prop_map(|(a, b)| Order::Go(a, b)),
        (".{0,300}", any::<bool>()).prop_map(|(text, loud)| Order::Say { text, loud }),
    ]
}

prop_compose! {
    fn tree()(
        leaf in leaf(), name in ".{0,20}", perhaps in proptest::option::of(leaf().prop_map(Box::new)),
        orders in proptest::collection::vec(order(), 0..4),
        stock in proptest::collection::btree_map(".{0,5}", any::<u32>(), 0..4),
        raw in proptest::collection::vec(any::<u8>(), 0..300), grid in any::<[[i32; 2]; 2]>(),
    ) -> Tree {
        Tree { leaf, name, perhaps, orders, stock, raw, grid, unit: () }
    }
}

proptest! {
    #[test]
    fn wincode_with_variable_width_integers_writes_and_reads_the_same_bytes(tree in tree()) {
        let config = wincode::config::Configuration::default().with_varint_encoding();
        let ours = codec::encode(&tree);
        prop_assert_eq!(&wincode::config::serialize(&tree, config).unwrap(), &ours);
        prop_assert_eq!(&wincode::config::deserialize_exact::<Tree, _>(&ours, config).unwrap(), &tree);
        prop_assert_eq!(codec::decode::<Tree, 65_536>("tree", &ours), Ok(tree));
    }
}
