//! Components that use every policy, on all four levels, and what else is needed to compare them.
//!
//! Everything of 128 bits in them is a canary: random, and marked as public or private, so that it can be found in any
//! bytes.

use std::collections::BTreeMap;

use terrane::ids::{FactKey, Tag};
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::replication::policy::{Permissions, Sieved, Viewing};

pub const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// The upper 48 bits of what everybody who sees the entity may see, and of what not everybody may.
pub const PUBLIC: u128 = 0x7075_626c_6963;
pub const PRIVATE: u128 = 0x7072_6976_6174;

pub const NEED_PERMISSION: Permissions = Permissions(0b10);
pub const NEED_FACT: FactKey = FactKey(1);
pub const CLEARANCE: FactKey = FactKey(2);
pub const MARKED: Tag = Tag(3);

/// Comes first in the schema: where it is hidden, bits of all others move.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(owner, priority = 8, max_staleness = 2)]
pub struct Vault {
    #[sync(broadcast)]
    pub gold: u16,
    #[sync(broadcast)]
    pub deed: u128,
    #[sync(custom = by_value)]
    pub code: u128,
    #[sync(server_only)]
    pub key: u128,
    #[sync(broadcast)]
    pub heir: Option<NetId>,
}

/// Who sees it depends on what it says, also on what nobody is told.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(custom = cleared, priority = 4)]
pub struct Orders {
    #[sync(broadcast)]
    pub level: u8,
    #[sync(broadcast)]
    pub text: u128,
    #[sync(server_only)]
    pub sealed: bool,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(role = Gm)]
pub struct File {
    #[sync(broadcast)]
    pub text: u128,
}

/// What everybody may see, but for whom it names.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Body {
    #[sync(broadcast)]
    pub kind: u8,
    #[sync(broadcast)]
    pub label: u128,
    #[sync(broadcast)]
    pub mood: u16,
    #[sync(broadcast, precision = 0.25)]
    pub heading: f32,
    #[sync(masked = hundreds)]
    pub purse: u32,
    #[sync(broadcast)]
    pub target: Option<NetId>,
    #[sync(broadcast)]
    pub sightings: Vec<(NetId, u8)>,
    #[sync(broadcast, reveal_ids)]
    pub friend: Option<NetId>,
    #[sync(server_only)]
    pub seed: u128,
}

/// Comes and goes; hidden by overrides alone.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(priority = 4, max_staleness = 6)]
pub struct Load {
    #[sync(broadcast)]
    pub weight: u16,
    #[sync(broadcast)]
    pub stamp: u128,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(party, max_staleness = 1)]
pub struct Plot {
    #[sync(broadcast)]
    pub goal: u128,
    #[sync(per_player_slice)]
    pub shares: BTreeMap<PlayerId, u128>,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(team)]
pub struct Banner(#[sync(broadcast)] pub u128);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(server_only)]
pub struct Fate {
    pub thread: u128,
}

/// Five levels deep.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(max_staleness = 20)]
pub struct Camp {
    #[sync(broadcast)]
    pub name: String,
    #[sync(masked = hundreds)]
    pub purse: u32,
    #[sync(per_player = by_name)]
    pub omen: u128,
    #[sync(per_player = by_name_or_owner)]
    pub lot: u128,
    #[sync(custom = by_value)]
    pub rumour: u128,
    #[sync(custom = for_team)]
    pub password: (u128, Vec<NetId>),
    #[sync(custom = whole_by_value, reveal_ids)]
    pub rival: (u128, NetId),
    #[sync(per_player_slice)]
    pub shares: BTreeMap<PlayerId, u128>,
    #[sync(computed = wagons_there)]
    pub size: u16,
    #[sync(server_only)]
    pub seed: u128,
    #[sync(custom = for_party, precision = 0.25)]
    pub goal: f32,
    #[sync(broadcast, nested, max_bytes = 900)]
    pub wagons: Vec<Wagon>,
    #[sync(custom = some_wagons, nested, max_bytes = 900)]
    pub reserve: Vec<Wagon>,
    #[sync(per_player_slice, nested, max_bytes = 900)]
    pub bids: BTreeMap<PlayerId, Chest>,
    #[sync(masked = without_secret, nested, max_bytes = 900)]
    pub leader: Option<Box<Wagon>>,
    /// Of each only who sees who owes it.
    #[sync(broadcast, nested)]
    pub debts: BTreeMap<NetId, Item>,
}

/// May be large.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Ledger {
    #[sync(broadcast, max_bytes = 1_000)]
    pub lines: Vec<u128>,
    #[sync(custom = by_first, max_bytes = 2_400)]
    pub debts: Vec<u128>,
    #[sync(custom = by_first, max_bytes = 2_400)]
    pub credits: Vec<u128>,
    #[sync(server_only)]
    pub seed: u128,
}

/// As deep as one likes.
#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
pub struct Tree {
    #[sync(custom = by_value)]
    pub fruit: u128,
    #[sync(broadcast, nested)]
    pub branches: Vec<Tree>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
pub struct Wagon {
    #[sync(server_only)]
    pub rule: u8,
    #[sync(broadcast)]
    pub label: u16,
    #[sync(custom = by_value)]
    pub secret: u128,
    #[sync(custom = by_first_chest, nested)]
    pub chests: Vec<Chest>,
    #[sync(per_player_slice, nested)]
    pub own: BTreeMap<PlayerId, Chest>,
    #[sync(broadcast, nested)]
    pub mark: Option<Item>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
pub struct Chest {
    #[sync(per_player = by_name)]
    pub lock: u128,
    #[sync(masked = half, precision = 0.5)]
    pub weight: f32,
    #[sync(broadcast, nested)]
    pub items: Vec<Item>,
    #[sync(computed = items_there)]
    pub count: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
pub enum Item {
    #[default]
    Nothing,
    Coin(#[sync(custom = by_value)] u128, #[sync(server_only)] u128),
    Letter {
        #[sync(broadcast)]
        to: NetId,
        #[sync(per_player = by_name)]
        text: u128,
        #[sync(custom = for_team, nested)]
        seal: Seal,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
pub struct Seal(
    #[sync(custom = by_value)] pub u128,
    #[sync(broadcast)] pub u8,
    #[sync(masked = lowest_byte)] pub u128,
);

/// One of eight questions, by the lowest bits.
pub fn ask(question: u128, viewing: &Viewing) -> bool {
    match question % 8 {
        0 => viewing.is_owner(),
        1 => viewing.same_party(),
        2 => viewing.same_team(),
        3 => viewing.viewer.role() >= Role::Gm,
        4 => viewing.viewer.has_permission(NEED_PERMISSION),
        5 => viewing.viewer.fact(NEED_FACT).is_some_and(|fact| fact > 0),
        6 => viewing.subject.has_tag(MARKED),
        _ => viewing.is_owner() || (viewing.same_team() && viewing.viewer.role() == Role::Player),
    }
}

pub fn by_value(value: &u128, viewing: &Viewing) -> Option<u128> {
    ask(*value, viewing).then_some(*value)
}

fn whole_by_value((value, _): &(u128, NetId), viewing: &Viewing) -> bool {
    ask(*value, viewing)
}

pub fn for_team(viewing: &Viewing) -> bool {
    viewing.same_team()
}

fn for_party(viewing: &Viewing) -> bool {
    viewing.same_party()
}

/// A bit for each player says who sees the value.
pub fn by_name(value: &u128, player: &PlayerId) -> Option<u128> {
    let number = NAMES.iter().position(|name| *name == player.as_str())?;
    (value >> (16 + number) & 1 == 1).then_some(*value)
}

fn by_name_or_owner(value: &u128, viewing: &Viewing) -> Option<u128> {
    if viewing.is_owner() { Some(*value) } else { by_name(value, viewing.viewer.player()) }
}

#[expect(clippy::ptr_arg, reason = "policies are given the field as it is")]
fn some_wagons(wagons: &Vec<Wagon>, viewing: &Viewing) -> Option<Vec<Wagon>> {
    Some(wagons.iter().filter(|wagon| ask(wagon.rule.into(), viewing)).cloned().collect())
}

#[expect(clippy::ptr_arg, reason = "policies are given the field as it is")]
fn by_first_chest(chests: &Vec<Chest>, viewing: &Viewing) -> bool {
    chests.first().is_none_or(|chest| ask(chest.lock >> 8, viewing))
}

#[expect(clippy::ptr_arg, reason = "policies are given the field as it is")]
fn by_first(values: &Vec<u128>, viewing: &Viewing) -> bool {
    values.first().is_some_and(|first| ask(*first, viewing))
}

fn cleared(orders: &Orders, viewing: &Viewing) -> bool {
    !orders.sealed
        && match orders.level % 4 {
            0 => viewing.same_team(),
            1 => viewing.viewer.role() >= Role::Gm,
            2 => viewing.viewer.fact(CLEARANCE).is_some_and(|fact| fact > 0),
            _ => viewing.is_owner() || viewing.same_party(),
        }
}

pub fn hundreds(value: &u32) -> u32 {
    value / 100 * 100
}

fn lowest_byte(value: &u128) -> u128 {
    value % 256
}

fn half(weight: &f32) -> f32 {
    weight / 2.0
}

fn without_secret(leader: &Option<Box<Wagon>>) -> Option<Box<Wagon>> {
    leader.clone().map(|wagon| Box::new(Wagon { secret: 0, own: BTreeMap::new(), ..*wagon }))
}

fn wagons_there(camp: &Camp) -> u16 {
    camp.wagons.len() as u16
}

fn items_there(chest: &Chest) -> u32 {
    chest.items.len() as u32
}

/// Names of entities that are not seen become nobody's, by hand.
pub trait Blank {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool);
}

impl Blank for NetId {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        if !seen(*self) {
            *self = NetId::WORLD;
        }
    }
}

impl<T: Blank> Blank for Option<T> {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.iter_mut().for_each(|one| one.blank(seen));
    }
}

impl<T: Blank> Blank for Vec<T> {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.iter_mut().for_each(|one| one.blank(seen));
    }
}

impl<T: Blank> Blank for Box<T> {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        (**self).blank(seen);
    }
}

/// The entries of those that are not seen are no part of what is sieved.
impl<T: Blank> Blank for BTreeMap<NetId, T> {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        assert!(self.keys().all(|id| seen(*id)));
        self.values_mut().for_each(|one| one.blank(seen));
    }
}

impl<T: Blank> Blank for BTreeMap<PlayerId, T> {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.values_mut().for_each(|one| one.blank(seen));
    }
}

impl Blank for Item {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        if let Item::Letter { to, .. } = self {
            to.blank(seen);
        }
    }
}

impl Blank for Chest {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.items.blank(seen);
    }
}

impl Blank for Wagon {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.chests.blank(seen);
        self.own.blank(seen);
        self.mark.blank(seen);
    }
}

/// A component of the game: its sent fields one by one, and the names in it.
pub trait Thing: Replicate + Blank {
    fn parts(&self) -> Vec<Vec<u8>>;

    /// What one viewer sees of it.
    fn naive(&self, viewing: &Viewing) -> Sieved<Self> {
        self.sieve(viewing)
    }
}

macro_rules! things {
    ($($name:ident { $($field:tt),* } names { $($id:tt),* })*) => {$(
        impl Blank for $name {
            #[allow(unused_variables, reason = "not every component names anybody")]
            fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
                $(self.$id.blank(seen);)*
            }
        }
        impl Thing for $name {
            fn parts(&self) -> Vec<Vec<u8>> {
                vec![$(codec::encode(&self.$field)),*]
            }
        }
    )*};
}

things! {
    Vault { gold, deed, code, heir } names { heir }
    Orders { level, text } names {}
    File { text } names {}
    Body { kind, label, mood, heading, purse, target, sightings, friend } names { target, sightings }
    Load { weight, stamp } names {}
    Plot { goal, shares } names {}
    Banner { 0 } names {}
    Fate {} names {}
    Tree { fruit, branches } names {}
    Ledger { lines, debts, credits } names {}
    Camp {
        name, purse, omen, lot, rumour, password, rival, shares, size, goal, wagons, reserve, bids, leader, debts
    } names { password, wagons, reserve, bids, leader, debts }
}

impl Blank for (NetId, u8) {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.0.blank(seen);
    }
}

impl Blank for (u128, Vec<NetId>) {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.1.blank(seen);
    }
}
