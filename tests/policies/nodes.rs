//! Kinds of nodes: enums as components, types that contain themselves, wide ones, what holds nodes, and what is told
//! about all of them.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Component;
use serde::{Deserialize, Serialize};
use terrane::ids::PlayerId;
use terrane::protocol::codec;
use terrane::replication::field::FieldSpec;
use terrane::replication::policy::{Shown, Subject, SyncNode, Viewing};
use terrane::replication::{Policy, Replicate, Schema, SyncFields};

use super::support::{expected, looking, player, row, seen, viewer};
use super::world::{Camp, Chest, Item, Wagon};

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Tree {
    #[sync(broadcast)]
    pub(crate) size: u8,
    #[sync(custom = owners)]
    pub(crate) fruit: u128,
    #[sync(broadcast, nested)]
    pub(crate) branches: Vec<Tree>,
}

fn owners(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

/// So many levels below the first.
pub(crate) fn tree_of(levels: usize) -> Tree {
    let mut tree = Tree { size: 1, fruit: 9, branches: Vec::new() };
    for _ in 0..levels {
        tree = Tree { size: 1, fruit: 9, branches: vec![tree] };
    }
    tree
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(max_bytes = 64)]
enum Mood {
    #[default]
    Calm,
    Angry {
        #[sync(broadcast)]
        loud: bool,
        #[sync(custom = owners)]
        at: u32,
        #[sync(server_only)]
        since: u64,
    },
    Torn(#[sync(broadcast, nested)] Box<Item>, #[sync(masked = tenth)] u16),
}

fn tenth(value: &u16) -> u16 {
    value / 10
}

fn as_seen_by<T: SyncFields>(name: &str, value: &T) -> super::support::Seen<T> {
    let subject = Subject::owned_by(player("alice"));
    looking(&viewer(name), &subject, |viewing| seen(value, viewing)).0
}

/// An enum as a component is one field, whose variants have policies for their fields.
#[test]
fn an_enum_is_a_component_of_one_field() {
    assert_eq!((Mood::FIELDS.len(), Mood::FIELDS[0].name, Mood::FIELDS[0].bytes_max), (1, "value", 64));
    assert!(Mood::PERSONAL && Mood::FIELDS[0].personal);
    let angry = Mood::Angry { loud: true, at: 5, since: 8 };
    let owner = as_seen_by("alice", &angry);
    assert_eq!(owner.value, Mood::Angry { loud: true, at: 5, since: 0 });
    assert_eq!((owner.fields[0].as_slice(), owner.hidden), (&[5, 1, 3, 1, 5][..], vec![]));
    let other = as_seen_by("bob", &angry);
    assert_eq!(other.value, Mood::Angry { loud: true, at: 0, since: 0 });
    assert_eq!((other.fields[0].as_slice(), other.hidden), (&[4, 1, 1, 1][..], vec!["value.at".to_owned()]));

    let torn = Mood::Torn(Box::new(Item::Coin(1, 2)), 77);
    assert_eq!(as_seen_by("bob", &torn).value, Mood::Torn(Box::new(Item::Coin(0, 0)), 7));
    assert_eq!(as_seen_by("bob", &torn).hidden, ["value.0.0"]);
    let mut ghost = angry.clone();
    torn.project(&mut ghost);
    assert_eq!(ghost, Mood::Torn(Box::new(Item::Coin(0, 0)), 7));
    assert_eq!(as_seen_by("bob", &Mood::Calm).fields, [[3, 0, 0]]);
    for value in [angry, torn, Mood::Calm] {
        let mut saved = Vec::new();
        value.save(&mut saved);
        assert_eq!(Mood::load(&saved), Ok((value, saved.len())));
    }
}

/// B7, B10: three levels, each deciding alone, spelt out.
#[test]
fn what_three_levels_hide_and_show_is_spelt_out_in_paths() {
    let chest = |lock| Chest { lock, weight: 3.0, items: vec![Item::Coin(8, 1), Item::Nothing], count: 0 };
    let camp = Camp {
        wagons: vec![
            Wagon::default(),
            Wagon {
                rule: 1,
                secret: 3,
                chests: vec![chest(256 * 7 + 1)],
                own: [(player("alice"), chest(2)), (player("bob"), chest(2))].into(),
                ..Wagon::default()
            },
        ],
        ..Camp::default()
    };
    let below = |paths: &[String]| -> Vec<String> {
        paths.iter().filter(|path| path.starts_with("wagons")).cloned().collect()
    };

    // Alice owns the camp: question 0 and 7 are answered yes, 3 is for game masters. Her name has five letters.
    let owner = as_seen_by("alice", &camp);
    assert_eq!(below(&owner.hidden), ["wagons[1].secret", "wagons[1].chests[0].lock",]);
    let seen = &owner.value.wagons[1];
    assert_eq!((seen.rule, seen.secret, seen.chests[0].count), (0, 0, 2));
    assert_eq!(seen.chests[0].weight, 1.5, "masked to one half, in steps of one half");
    assert_eq!(seen.chests[0].items, [Item::Coin(8, 0), Item::Nothing]);
    assert_eq!(seen.own.keys().map(PlayerId::as_str).collect::<Vec<_>>(), ["alice"]);
    assert_eq!(seen.own[&player("alice")].lock, 2);

    // Bob's name has three letters: he may know of the lock, as alice may of hers, and of no coin.
    let other = as_seen_by("bob", &camp);
    assert_eq!(
        below(&other.hidden),
        ["wagons[0].secret", "wagons[1].secret", "wagons[1].chests", "wagons[1].own[bob].items[0].0"]
    );
    assert_eq!(other.value.wagons[1].own[&player("bob")].items, [Item::Coin(0, 0), Item::Nothing]);
}

#[test]
fn no_nodes_and_one_node_are_values_too() {
    let none = as_seen_by("alice", &Camp::default());
    assert_eq!((&none.value.wagons, &none.value.leader), (&Vec::new(), &None));
    assert!(none.hidden.iter().all(|path| !["wagons", "ledger", "leader", "lamps"].contains(&&**path)));
    let field = |camp: &Camp, number: usize| as_seen_by("alice", camp).fields[number].clone();
    assert_eq!(field(&Camp::default(), 10), [2, 0], "an empty list is a payload of one byte");
    let one = Camp { ledger: [(5, vec![None])].into(), ..Camp::default() };
    assert_eq!(as_seen_by("alice", &one).value.ledger, one.ledger);
}

#[test]
fn a_type_may_contain_itself_to_sixteen_levels_and_what_is_deeper_is_left_out_and_counted() {
    // The component's field holds level 1.
    for (levels, whole) in [(1, true), (16, true), (17, false), (40, false)] {
        let tree = tree_of(levels);
        let told = as_seen_by("alice", &tree);
        assert_eq!(told.cut_short, !whole, "{levels} levels");
        let ((sieved, hidden), _) =
            looking(&viewer("alice"), &Subject::owned_by(player("alice")), |viewing| {
                expected(&tree, viewing, &[])
            });
        assert_eq!((&told.value, &told.hidden), (&sieved, &hidden), "{levels} levels");
        assert_eq!(hidden.len(), usize::from(!whole), "{levels} levels: {hidden:?}");
        assert_eq!(told.value == tree, whole);
    }
    let mut deepest = "branches".to_owned();
    for _ in 0..16 {
        deepest += "[0].branches";
    }
    assert_eq!(as_seen_by("alice", &tree_of(40)).hidden, [deepest]);
}

/// A tree whose branches are public.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Bush {
    #[sync(broadcast)]
    leaves: u8,
    #[sync(broadcast, nested)]
    twigs: BTreeMap<u8, Option<Box<Bush>>>,
}

#[test]
fn a_public_type_that_contains_itself_is_public() {
    assert_eq!((Bush::PERSONAL, Tree::PERSONAL), (false, true));
    let mut bush = Bush::default();
    for leaves in 0..20 {
        bush = Bush { leaves, twigs: [(3, Some(Box::new(bush))), (4, None)].into() };
    }
    let (_, writer) = row(&bush);
    assert_eq!(writer.oversized, 1, "one field lies too deep");
    let told = as_seen_by("bob", &bush);
    assert_eq!(told.hidden.len(), 1);
    assert!(told.hidden[0].starts_with("twigs[3].twigs[3]"));
}

/// As many fields as a mask has bits, the last of them hidden from most.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
#[rustfmt::skip]
struct Wide(
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8,
    #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(broadcast)] u8, #[sync(custom = owners)] u8,
);

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Wides {
    #[sync(broadcast, nested)]
    all: [Wide; 3],
}

#[test]
fn a_node_may_have_as_many_fields_as_a_mask_has_bits() {
    let value = Wides {
        all: [Wide { 0: 1, 31: 2, ..Wide::default() }, Wide::default(), Wide { 31: 9, ..Wide::default() }],
    };
    assert_eq!(as_seen_by("alice", &value).value, value);
    let told = as_seen_by("bob", &value);
    assert_eq!(told.value.all[0], Wide { 0: 1, ..Wide::default() });
    assert_eq!(told.hidden, ["all[0].31", "all[1].31", "all[2].31"]);
}

/// The same as nodes and as the codec's own.
#[derive(Clone, Debug, Default, PartialEq, Replicate, Serialize, Deserialize)]
enum Saved {
    #[default]
    None,
    Some(#[sync(broadcast, nested)] Box<Inner>, #[sync(server_only)] String),
    Many {
        #[sync(broadcast, nested)]
        list: Vec<Inner>,
        #[sync(broadcast, nested)]
        map: BTreeMap<String, [Option<Inner>; 2]>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Replicate, Serialize, Deserialize)]
struct Inner {
    #[sync(broadcast)]
    number: i64,
    #[sync(server_only)]
    unit: (),
}

/// A field may become `nested` without a new form of its saves.
#[test]
fn a_node_is_saved_as_the_codec_would() {
    let inner = |number| Inner { number, unit: () };
    for value in [
        Saved::None,
        Saved::Some(Box::new(inner(-5)), "text".into()),
        Saved::Many { list: vec![inner(1); 300], map: [("key".into(), [None, Some(inner(7))])].into() },
    ] {
        let mut saved = Vec::new();
        value.save(&mut saved);
        assert_eq!(saved, codec::encode(&value));
        assert_eq!(Saved::load(&saved), Ok((value, saved.len())));
    }
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Note {
    #[sync(custom = owners, max_bytes = 8)]
    text: String,
    #[sync(custom = owners)]
    empty: (),
}

/// B12: nothing is not hidden.
#[test]
fn a_value_of_no_bytes_is_visible_and_one_that_is_too_long_is_hidden_and_counted() {
    let told = as_seen_by("alice", &Note::default());
    assert_eq!(told.fields, [vec![2, 0], vec![1]]);
    assert_eq!(told.hidden, Vec::<String>::new());
    assert_eq!(as_seen_by("bob", &Note::default()).fields, [[0], [0]]);
    assert_eq!(as_seen_by("bob", &Note::default()).hidden, ["text", "empty"]);
    let long = Note { text: "12345678".into(), empty: () };
    let told = as_seen_by("alice", &long);
    assert_eq!((told.too_long, told.hidden), (vec![0], vec!["text".to_owned()]));
    let subject = Subject::owned_by(player("alice"));
    let shown = |field| {
        looking(&viewer("alice"), &subject, |viewing| {
            long.encode_personal(field, viewing, &mut Vec::new(), &mut Vec::new())
        })
        .0
    };
    assert_eq!([shown(0), shown(1), shown(2)], [Shown::TooLong, Shown::Visible, Shown::Hidden]);
}

fn field_of(fields: &'static [FieldSpec], name: &str) -> FieldSpec {
    *fields.iter().find(|spec| spec.name == name).expect("a field")
}

/// C9: what `rules` prints.
#[test]
fn the_field_table_is_a_tree() {
    let wagons = field_of(Camp::FIELDS, "wagons");
    assert!(wagons.personal && wagons.policy == Policy::Broadcast && wagons.bytes_max == 2_000);
    let node = wagons.nested.expect("nested")();
    assert_eq!((node.name, node.form.as_str(), node.variants.len()), ("Wagon", "[Wagon]", 1));
    let mark = field_of(node.variants[0].fields, "mark").nested.expect("nested")();
    assert_eq!((mark.name, mark.form.as_str()), ("Item", "Item?"));
    let names: Vec<_> = mark.variants.iter().map(|variant| variant.name).collect();
    assert_eq!(names, ["Nothing", "Coin", "Letter"]);
    assert_eq!(mark.variants[1].fields[1].policy, Policy::ServerOnly);
    let form = |name| field_of(Camp::FIELDS, name).nested.expect("nested")().form;
    assert_eq!([form("ledger"), form("gates"), form("leader")], ["{[Chest?]}", "[Chest; 2]", "Wagon?"]);
    assert!(!field_of(Camp::FIELDS, "open").personal);
    assert!(field_of(Camp::FIELDS, "lamps").personal, "who sees an entry depends on whom its key names");
    assert!(field_of(Camp::FIELDS, "best").personal, "what is computed has personal parts");
    assert!(field_of(Camp::FIELDS, "rival").reveals_ids);
}

mod variant {
    //! The same names as above, and one thing in each that differs deep inside.
    use terrane::replication::Replicate;

    macro_rules! pair {
        ($($module:ident: $gate:meta, $inner:meta, $name:ident, $ty:ty;)*) => {$(
            pub(super) mod $module {
                use super::Replicate;

                #[derive(Clone, Debug, Default, Replicate)]
                #[$gate]
                pub(crate) struct Outer {
                    #[sync(broadcast, nested)]
                    inner: Vec<Inner>,
                }

                #[derive(Clone, Debug, Default, Replicate)]
                pub(crate) struct Inner {
                    #[$inner]
                    $name: $ty,
                }

                #[expect(dead_code, reason = "a policy of one of the modules")]
                fn same<T: Clone>(value: &T) -> T {
                    value.clone()
                }
            }
        )*};
    }

    pair! {
        first: cfg(all()), sync(broadcast), value, f32;
        gate: sync(owner), sync(broadcast), value, f32;
        policy: cfg(all()), sync(per_player_slice), value, std::collections::BTreeMap<terrane::ids::PlayerId, u8>;
        name: cfg(all()), sync(broadcast), other, f32;
        ty: cfg(all()), sync(broadcast), value, f64;
        precision: cfg(all()), sync(broadcast, precision = 0.5), value, f32;
    }
}

/// D6: both ends must agree on the whole tree.
#[test]
fn any_difference_in_the_tree_is_another_schema() {
    fn hash<T: SyncFields>() -> u64 {
        let mut schema = Schema::default();
        schema.push::<T>();
        schema.hash()
    }
    let hashes = [
        hash::<variant::first::Outer>(),
        hash::<variant::gate::Outer>(),
        hash::<variant::policy::Outer>(),
        hash::<variant::name::Outer>(),
        hash::<variant::ty::Outer>(),
        hash::<variant::precision::Outer>(),
        hash::<Tree>(),
        hash::<Bush>(),
    ];
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len(), "{hashes:x?}");
    assert_eq!(hash::<variant::first::Outer>(), hashes[0]);
}
