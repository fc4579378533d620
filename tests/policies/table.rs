//! Every policy over every other: what a parent picks and what its children show.

use std::collections::BTreeMap;

use terrane::ids::{PartyId, PlayerId};
use terrane::replication::policy::{Subject, SyncNode, ViewerContext, Viewing};
use terrane::replication::{Policy, Replicate, SyncFields};

use super::support::{looking, player, seen, viewer};

/// What a child holds: 17 for alice and 25 for bob.
type Amounts = BTreeMap<PlayerId, u32>;

fn amounts(pairs: &[(&str, u32)]) -> Amounts {
    pairs.iter().map(|&(name, amount)| (player(name), amount)).collect()
}

fn to_tens(amounts: &Amounts) -> Amounts {
    amounts.iter().map(|(player, amount)| (player.clone(), amount / 10 * 10)).collect()
}

fn for_alice<T: Clone>(value: &T, player: &PlayerId) -> Option<T> {
    (player.as_str() == "alice").then(|| value.clone())
}

fn all_or_large_ones(amounts: &Amounts, viewing: &Viewing) -> Option<Amounts> {
    if viewing.is_owner() {
        return Some(amounts.clone());
    }
    let large = amounts.iter().filter(|(_, amount)| **amount > 20);
    viewing.same_party().then(|| large.map(|(player, amount)| (player.clone(), *amount)).collect())
}

fn sum<C: Child>(child: &C) -> Amounts {
    amounts(&[("alice", child.hoard().values().sum())])
}

fn alices<T: Clone>(children: &BTreeMap<PlayerId, T>) -> BTreeMap<PlayerId, T> {
    children
        .iter()
        .filter(|(name, _)| name.as_str() == "alice")
        .map(|(n, c)| (n.clone(), c.clone()))
        .collect()
}

fn all_or_bobs<T: Clone>(
    children: &BTreeMap<PlayerId, T>,
    viewing: &Viewing,
) -> Option<BTreeMap<PlayerId, T>> {
    if viewing.is_owner() {
        return Some(children.clone());
    }
    viewing.same_party().then(|| bobs(children))
}

fn bobs<T: Clone>(children: &BTreeMap<PlayerId, T>) -> BTreeMap<PlayerId, T> {
    children.iter().filter(|(name, _)| name.as_str() == "bob").map(|(n, c)| (n.clone(), c.clone())).collect()
}

fn bobs_of<P: Parent>(parent: &P) -> BTreeMap<PlayerId, P::Of> {
    bobs(parent.source())
}

trait Child: SyncNode + SyncFields + std::fmt::Debug + PartialEq {
    fn of(shown: Amounts, hoard: Amounts) -> Self;
    fn hoard(&self) -> &Amounts;
}

trait Parent: SyncNode + SyncFields + std::fmt::Debug + PartialEq {
    type Of: Child;
    fn of(children: BTreeMap<PlayerId, Self::Of>, source: BTreeMap<PlayerId, Self::Of>) -> Self;
    fn source(&self) -> &BTreeMap<PlayerId, Self::Of>;
}

/// A child type of one policy, and parents of all seven for it.
macro_rules! family {
    ($($module:ident: [$($policy:tt)*])*) => {$(
        mod $module {
            use super::*;

            #[derive(Clone, Debug, Default, PartialEq, Replicate)]
            pub(super) struct Leaf {
                #[sync($($policy)*)]
                amounts: Amounts,
                #[sync(server_only)]
                hoard: Amounts,
            }

            impl Child for Leaf {
                fn of(amounts: Amounts, hoard: Amounts) -> Self {
                    Self { amounts, hoard }
                }
                fn hoard(&self) -> &Amounts {
                    &self.hoard
                }
            }

            parents! {
                Broadcast: [broadcast] ServerOnly: [server_only] Masked: [masked = alices]
                PerPlayer: [per_player = for_alice] PerPlayerSlice: [per_player_slice]
                Custom: [custom = all_or_bobs] Computed: [computed = bobs_of]
            }
        }
    )*};
}

macro_rules! parents {
    ($($name:ident: [$($policy:tt)*])*) => {
        $(parent! { $name [$($policy)*] })*

        pub(super) fn check(column: &Column) {
            $(super::check::<$name>(Policy::$name, column);)*
        }
    };
}

macro_rules! parent {
    ($name:ident [server_only]) => { parent! { @ $name [server_only] } };
    ($name:ident [$($policy:tt)*]) => { parent! { @ $name [$($policy)*, nested] } };
    (@ $name:ident [$($policy:tt)*]) => {
        #[derive(Clone, Debug, Default, PartialEq, Replicate)]
        struct $name {
            #[sync($($policy)*)]
            children: BTreeMap<PlayerId, Leaf>,
            #[sync(server_only)]
            source: BTreeMap<PlayerId, Leaf>,
        }

        impl Parent for $name {
            type Of = Leaf;
            fn of(children: BTreeMap<PlayerId, Leaf>, source: BTreeMap<PlayerId, Leaf>) -> Self {
                Self { children, source }
            }
            fn source(&self) -> &BTreeMap<PlayerId, Leaf> {
                &self.source
            }
        }
    };
}

// A `server_only` field is saved by the codec, so what it holds is plain data too.
macro_rules! plain {
    ($($module:ident)*) => {$(
        impl serde::Serialize for $module::Leaf {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut bytes = Vec::new();
                self.save(&mut bytes);
                serializer.serialize_bytes(&bytes)
            }
        }
        impl<'de> serde::Deserialize<'de> for $module::Leaf {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = Vec::<u8>::deserialize(deserializer)?;
                Self::load(&bytes).map(|(leaf, _)| leaf).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

family! {
    broadcast: [broadcast]
    server_only: [server_only]
    masked: [masked = to_tens]
    per_player: [per_player = for_alice]
    per_player_slice: [per_player_slice]
    custom: [custom = all_or_large_ones]
    computed: [computed = sum]
}
plain! { broadcast server_only masked per_player per_player_slice custom computed }

/// Alice owns it, bob is in its party, carol has nothing to do with it.
const VIEWERS: [&str; 3] = ["alice", "bob", "carol"];

/// What each of the viewers sees of a child's amounts: `None` for hidden.
struct Column {
    policy: Policy,
    seen: [Option<&'static [(&'static str, u32)]>; 3],
}

const CHILDREN: [Column; 7] = {
    const ALL: Option<&[(&str, u32)]> = Some(&[("alice", 17), ("bob", 25)]);
    const TENS: Option<&[(&str, u32)]> = Some(&[("alice", 10), ("bob", 20)]);
    const BOBS: Option<&[(&str, u32)]> = Some(&[("bob", 25)]);
    const SUM: Option<&[(&str, u32)]> = Some(&[("alice", 42)]);
    [
        Column { policy: Policy::Broadcast, seen: [ALL, ALL, ALL] },
        Column { policy: Policy::ServerOnly, seen: [None, None, None] },
        Column { policy: Policy::Masked, seen: [TENS, TENS, TENS] },
        Column { policy: Policy::PerPlayer, seen: [ALL, None, None] },
        Column { policy: Policy::PerPlayerSlice, seen: [Some(&[("alice", 17)]), BOBS, Some(&[])] },
        Column { policy: Policy::Custom, seen: [ALL, BOBS, None] },
        Column { policy: Policy::Computed, seen: [SUM, SUM, SUM] },
    ]
};

/// Which children each of the viewers sees under a parent: `None` for hidden.
fn children_seen(policy: Policy) -> [Option<&'static [&'static str]>; 3] {
    let (both, alices, bobs): (Option<&[_]>, Option<&[_]>, Option<&[_]>) =
        (Some(&["alice", "bob"]), Some(&["alice"]), Some(&["bob"]));
    match policy {
        Policy::Broadcast => [both, both, both],
        Policy::ServerOnly => [None, None, None],
        Policy::Masked => [alices, alices, alices],
        Policy::PerPlayer => [both, None, None],
        Policy::PerPlayerSlice => [alices, bobs, Some(&[])],
        Policy::Custom => [both, bobs, None],
        Policy::Computed => [bobs, bobs, bobs],
    }
}

fn contexts() -> [ViewerContext; 3] {
    let mut contexts = VIEWERS.map(viewer);
    contexts[1].set_party(Some(PartyId(5)));
    contexts[2].set_party(Some(PartyId(6)));
    contexts
}

fn check<P: Parent>(policy: Policy, column: &Column) {
    let mut subject = Subject::owned_by(player("alice"));
    subject.set_party(Some(PartyId(5)));
    let child = || P::Of::of(amounts(&[("alice", 17), ("bob", 25)]), amounts(&[("alice", 17), ("bob", 25)]));
    let children = || VIEWERS[..2].iter().map(|name| (player(name), child())).collect::<BTreeMap<_, _>>();
    let parent = P::of(children(), children());
    let what = format!("{} over {}", policy.name(), column.policy.name());
    assert_eq!(P::FIELDS[0].policy, policy, "{what}");
    assert_eq!(P::Of::FIELDS[0].policy, column.policy, "{what}");
    let is_sent = policy != Policy::ServerOnly;
    assert_eq!(
        P::PERSONAL,
        is_sent && (policy.is_personal() || column.policy.is_personal()),
        "{what}: whether anything depends on who looks"
    );

    for (index, context) in contexts().iter().enumerate() {
        let what = format!("{what}, seen by {}", VIEWERS[index]);
        let of_child = column.seen[index];
        let children = children_seen(policy)[index];
        let expected: BTreeMap<_, _> = children
            .unwrap_or_default()
            .iter()
            .map(|name| (player(name), P::Of::of(amounts(of_child.unwrap_or_default()), Amounts::default())))
            .collect();
        let mut hidden = Vec::new();
        match children {
            _ if !is_sent => {}
            None => hidden.push("children".to_owned()),
            Some(names) if of_child.is_none() && column.policy != Policy::ServerOnly => {
                hidden.extend(names.iter().map(|name| format!("children[{name}].amounts")));
            }
            Some(_) => {}
        }
        let expected = P::of(expected, BTreeMap::new());
        let ((told, sieved), _) =
            looking(context, &subject, |viewing| (seen(&parent, viewing), parent.sieve(viewing)));
        assert_eq!((&told.value, &told.hidden), (&expected, &hidden), "{what}, through bytes");
        assert_eq!((&sieved.value, &sieved.hidden), (&expected, &hidden), "{what}, through the sieve");
    }

    let public = |policy: Policy| is_sent && !policy.is_personal() && policy != Policy::ServerOnly;
    let shown = if public(column.policy) { column.seen[0].unwrap_or_default() } else { &[] };
    let held = if public(policy) { children_seen(policy)[0].unwrap_or_default() } else { &[] };
    let held = held.iter().map(|name| (player(name), P::Of::of(amounts(shown), Amounts::default())));
    let mut ghost = P::of(children(), children());
    parent.project(&mut ghost);
    assert_eq!(ghost, P::of(held.collect(), BTreeMap::new()), "{what}: a ghost holds what all may know");
}

/// B2–B8, B10: the product of what the parent picks and what the child shows, for the owner, for one of the party and
/// for a stranger; and B11, what is left of it in a ghost.
#[test]
fn every_policy_over_every_other_is_the_product_of_both() {
    let checks: [fn(&Column); 7] = [
        broadcast::check,
        server_only::check,
        masked::check,
        per_player::check,
        per_player_slice::check,
        custom::check,
        computed::check,
    ];
    for (check, column) in checks.iter().zip(&CHILDREN) {
        check(column);
    }
}
