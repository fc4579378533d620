//! The names of entities inside of values: found wherever they are, and blanked where they stand.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use terrane::ids::{NetId, TeamId};
use terrane::protocol::codec;
use terrane::replication::field::sent_fields;
use terrane::replication::policy::{Depends, MapKey, Subject, Viewing};
use terrane::replication::{Replicate, SyncFields};

use super::support::{Dice, expected, looking, player, row, seen as seen_by, viewer};
use super::world::{Camp, camp, net_id};

/// Ids in every place that serde has for a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    None,
    One(NetId),
    Two(NetId, u64, NetId),
    Named { to: Option<NetId>, text: String },
    Many(Vec<(u8, NetId)>),
    Keyed(BTreeMap<u16, Vec<Shape>>),
    Boxed(Box<Shape>),
    Wrapped(Wrapped),
    Array([NetId; 3]),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(NetId);

fn shape(dice: &mut Dice, depth: u64) -> Shape {
    let text = "x".repeat(dice.below(300) as usize);
    match dice.below(if depth == 0 { 6 } else { 9 }) {
        0 => Shape::None,
        1 => Shape::One(net_id(dice)),
        2 => Shape::Two(net_id(dice), dice.roll(), net_id(dice)),
        3 => Shape::Named { to: dice.list(1, net_id).pop(), text },
        4 => Shape::Many(dice.list(4, |dice| (dice.roll() as u8, net_id(dice)))),
        5 => Shape::Array([net_id(dice), net_id(dice), net_id(dice)]),
        6 => Shape::Wrapped(Wrapped(net_id(dice))),
        7 => Shape::Boxed(Box::new(shape(dice, depth - 1))),
        _ => Shape::Keyed(
            dice.list(3, |dice| (dice.roll() as u16, dice.list(3, |dice| shape(dice, depth - 1))))
                .into_iter()
                .collect(),
        ),
    }
}

/// The same without a name in it, and how many there were.
fn blanked(shape: &Shape, count: &mut usize) -> Shape {
    let mut blank = |_: &NetId| {
        *count += 1;
        NetId::WORLD
    };
    match shape {
        Shape::None => Shape::None,
        Shape::One(id) => Shape::One(blank(id)),
        Shape::Two(a, number, b) => Shape::Two(blank(a), *number, blank(b)),
        Shape::Named { to, text } => Shape::Named { to: to.as_ref().map(blank), text: text.clone() },
        Shape::Many(many) => Shape::Many(many.iter().map(|(byte, id)| (*byte, blank(id))).collect()),
        Shape::Keyed(map) => Shape::Keyed(
            map.iter()
                .map(|(key, list)| (*key, list.iter().map(|shape| blanked(shape, count)).collect()))
                .collect(),
        ),
        Shape::Boxed(shape) => Shape::Boxed(Box::new(blanked(shape, count))),
        Shape::Wrapped(Wrapped(id)) => Shape::Wrapped(Wrapped(blank(id))),
        Shape::Array(ids) => Shape::Array(ids.each_ref().map(blank)),
    }
}

fn blank(bytes: &mut [u8], ids: &[u16]) {
    for &id in ids {
        bytes[usize::from(id)..usize::from(id) + 8].fill(0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// B16: what is blanked is every name, and nothing else.
    #[test]
    fn every_id_in_a_value_is_noted_where_it_stands(seed in any::<u64>()) {
        let shape = shape(&mut Dice(seed), 3);
        let (mut bytes, mut ids) = (vec![9; 5], Vec::new());
        codec::encode_noting_ids(&shape, &mut bytes, &mut ids);
        let mut value = bytes.split_off(5);
        prop_assert_eq!(bytes, [9; 5], "what was there stays");
        prop_assert_eq!(&value, &codec::encode(&shape));
        let mut count = 0;
        let expected = blanked(&shape, &mut count);
        prop_assert_eq!(ids.len(), count);
        prop_assert!(ids.is_sorted_by(|a, b| a + 8 <= *b));
        blank(&mut value, &ids);
        prop_assert_eq!(codec::decode::<Shape, 65_535>("shape", &value), Ok(expected));
    }

    /// The same through rows and payloads of nested fields.
    #[test]
    fn every_id_in_a_component_is_noted_but_those_that_are_revealed(seed in any::<u64>()) {
        let dice = &mut Dice(seed);
        let camp = Camp { wagons: Vec::new(), leader: None, ..camp(dice) };
        let (fields, writer) = row(&camp);
        let mut blanked_row = writer.bytes.clone();
        blank(&mut blanked_row, &writer.ids);
        let (mut held, mut begin) = (Camp::default(), 0);
        for (number, spec) in sent_fields::<Camp>().enumerate() {
            let end = begin + fields[number].len();
            if !spec.personal {
                held.decode_sent(number, &blanked_row[begin..end]).expect("blanks keep the form");
            }
            begin = end;
        }
        prop_assert_eq!(held.open.by.is_some(), camp.open.by.is_some());
        prop_assert_eq!(held.open.by.unwrap_or_default(), NetId::WORLD);
        prop_assert_eq!(held.open.light, camp.open.light);
        prop_assert!(held.open.wick.held_by.iter().all(|(_, id)| *id == NetId::WORLD));
        let named = usize::from(camp.open.by.is_some()) + camp.open.wick.held_by.len();
        prop_assert_eq!(writer.ids.len(), named);

        let mut subject = Subject::owned_by(player("alice"));
        subject.set_team(Some(TeamId(1)));
        let mut alice = viewer("alice");
        alice.set_team(Some(TeamId(1)));
        looking(&alice, &subject, |viewing| {
            for (number, spec) in sent_fields::<Camp>().enumerate() {
                let (mut bytes, mut ids) = (vec![7; 3], Vec::new());
                let shown = camp.encode_personal(number, viewing, &mut bytes, &mut ids);
                if spec.name == "password" {
                    assert!(shown.is_visible());
                    assert_eq!(ids.len(), camp.password.1.len());
                    let mut payload = bytes.split_off(3);
                    blank(&mut payload, &ids);
                    let read: (u128, Vec<NetId>) = codec::decode::<_, 999>("password", &payload).unwrap();
                    assert_eq!(read, (camp.password.0, vec![NetId::WORLD; camp.password.1.len()]));
                }
                assert!(spec.name != "rival" || ids.is_empty(), "it reveals them");
            }
        });
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct Lane {
    from: NetId,
    to: NetId,
}

impl MapKey for Lane {
    const NAMES_ENTITIES: bool = true;

    fn names(&self, entity: &mut dyn FnMut(NetId)) {
        entity(self.from);
        entity(self.to);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Toll {
    #[sync(broadcast)]
    silver: u16,
    #[sync(custom = for_owner)]
    bribe: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Roads {
    #[sync(broadcast, nested)]
    lanes: BTreeMap<Lane, Toll>,
    #[sync(custom = for_owner, nested)]
    inns: Vec<BTreeMap<(NetId, u8), Toll>>,
    #[sync(broadcast, nested)]
    goods: BTreeMap<u8, Toll>,
}

fn for_owner(viewing: &Viewing<'_>) -> bool {
    viewing.is_owner()
}

proptest! {
    /// B16: keys of whom a viewer does not see would all be one, so the entries are not told; the sieve, the bytes and the
    /// paths of what is hidden say the same.
    #[test]
    fn entries_of_a_map_whose_key_names_the_unseen_are_left_out(
        lanes in proptest::collection::btree_map((0u64..6, 0u64..6), (any::<u16>(), any::<u16>()), 0..8),
        seen in 0u64..64,
        owns: bool,
    ) {
        let toll = |(silver, bribe): &(u16, u16)| Toll { silver: *silver, bribe: *bribe };
        let roads = Roads {
            lanes: lanes.iter().map(|((a, b), toll_)| (Lane { from: NetId(*a), to: NetId(*b) }, toll(toll_))).collect(),
            inns: vec![lanes.iter().map(|((a, b), toll_)| ((NetId(*a), *b as u8), toll(toll_))).collect(); 2],
            goods: lanes.iter().map(|((a, _), toll_)| (*a as u8, toll(toll_))).collect(),
        };
        let subject = Subject::owned_by(player("alice"));
        let sees = |id: NetId| seen >> id.0 & 1 == 1;
        let knows = |id: u64| id == 0 || sees(NetId(id));
        let viewer = viewer(if owns { "alice" } else { "bob" });
        let (told, reads) = looking(&viewer, &subject, |viewing| {
            let viewing = viewing.seeing(&sees);
            let told = seen_by(&roads, &viewing);
            let (value, hidden) = expected(&roads, &viewing, &[]);
            assert_eq!((&told.value, &told.hidden), (&value, &hidden));
            told
        });
        let known: Vec<_> = lanes.keys().filter(|(a, b)| knows(*a) && knows(*b)).collect();
        prop_assert_eq!(told.value.lanes.keys().map(|lane| (lane.from.0, lane.to.0)).collect::<Vec<_>>(), known.into_iter().copied().collect::<Vec<_>>());
        let inns = lanes.keys().filter(|(a, _)| knows(*a)).count();
        prop_assert!(told.value.inns.iter().all(|inn| inn.len() == inns));
        prop_assert_eq!(told.value.inns.len(), if owns { 2 } else { 0 });
        prop_assert_eq!(told.value.goods.len(), roads.goods.len(), "they name nobody");
        prop_assert_eq!(reads.contains(Depends::NAMED_IDS), !lanes.is_empty(), "it is asked again when the view changes");
        let mut ghost = Roads::default();
        roads.project(&mut ghost);
        prop_assert!(ghost.lanes.is_empty(), "not everybody sees whom they name");
    }
}

/// A mask of more than one byte is put in front of what was noted already.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Many {
    #[sync(broadcast)]
    id: NetId,
    #[sync(broadcast)]
    a: u8,
    #[sync(broadcast)]
    b: u8,
    #[sync(broadcast)]
    c: u8,
    #[sync(broadcast)]
    d: u8,
    #[sync(broadcast)]
    e: u8,
    #[sync(broadcast)]
    f: u8,
    #[sync(broadcast)]
    g: u8,
    #[sync(broadcast)]
    last: NetId,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Holder {
    #[sync(broadcast, max_bytes = 8)]
    title: String,
    #[sync(broadcast)]
    friend: Option<NetId>,
    #[sync(broadcast, nested)]
    many: Vec<Many>,
    #[sync(broadcast, max_bytes = 20)]
    foes: Vec<NetId>,
    #[sync(broadcast, reveal_ids)]
    known: Vec<NetId>,
}

#[test]
fn ids_are_noted_where_they_end_up_when_masks_and_lengths_are_put_before_them() {
    let one = |id: u64| Many { id: NetId(id), g: 3, last: NetId(id + 1), ..Many::default() };
    let holder = Holder {
        title: "a title too long".into(),
        friend: Some(NetId(1)),
        many: (1..20).map(|id| one(id * 2)).collect(),
        foes: vec![NetId(50), NetId(51)],
        known: vec![NetId(60)],
    };
    let (_, writer) = row(&holder);
    assert_eq!(writer.oversized, 1);
    let noted: Vec<u64> = writer
        .ids
        .iter()
        .map(|&id| {
            let at = usize::from(id);
            u64::from_le_bytes(writer.bytes[at..at + 8].try_into().expect("eight bytes"))
        })
        .collect();
    let expected: Vec<u64> = (1..40).collect();
    assert_eq!(noted[..39], expected);
    assert_eq!(noted[39..], [50, 51]);
    let too_long = Holder { foes: vec![NetId(50); 3], ..holder };
    assert_eq!(row(&too_long).1.ids.len(), 39, "what is left out names nobody");
}

#[test]
fn an_id_takes_eight_bytes_and_is_a_number_for_people() {
    assert_eq!(codec::encode(&NetId(0x0102)), [2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(serde_json::to_string(&NetId(258)).expect("a number"), "258");
    assert_eq!(serde_json::from_str::<NetId>("258").expect("a number"), NetId(258));
}
