//! A component five levels deep, with every policy, every kind of holder and an enum, whose policies decide by what the
//! values themselves say: so random values are random policies.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Component;
use glam::Vec3;
use serde::{Deserialize, Serialize};
use terrane::ids::{FactKey, NetId, PartyId, PlayerId, Role, Tag, TeamId};
use terrane::replication::Replicate;
use terrane::replication::policy::{Permissions, Subject, ViewerContext, Viewing};

use super::support::{Dice, player};

pub(crate) const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Camp {
    #[sync(broadcast)]
    pub(crate) name: String,
    #[sync(masked = top_half)]
    pub(crate) purse: u128,
    #[sync(per_player = by_name)]
    pub(crate) omen: u128,
    #[sync(per_player = by_name_in_full)]
    pub(crate) lot: u128,
    #[sync(custom = by_value)]
    pub(crate) rumour: u128,
    #[sync(custom = whole_by_value, reveal_ids)]
    pub(crate) rival: (u128, NetId),
    #[sync(custom = for_team)]
    pub(crate) password: (u128, Vec<NetId>),
    #[sync(per_player_slice)]
    pub(crate) shares: BTreeMap<PlayerId, u128>,
    #[sync(computed = wagons_there)]
    pub(crate) size: u64,
    #[sync(server_only)]
    pub(crate) seed: u128,
    #[sync(custom = for_team, precision = 0.25)]
    pub(crate) target: Vec3,
    #[sync(broadcast, nested, max_bytes = 2_000)]
    pub(crate) wagons: Vec<Wagon>,
    #[sync(custom = some_wagons, nested, max_bytes = 2_000)]
    pub(crate) reserve: Vec<Wagon>,
    #[sync(per_player_slice, nested, max_bytes = 2_000)]
    pub(crate) bids: BTreeMap<PlayerId, Chest>,
    #[sync(masked = without_secret, nested, max_bytes = 2_000)]
    pub(crate) leader: Option<Box<Wagon>>,
    #[sync(per_player = by_first_name, nested, max_bytes = 300)]
    pub(crate) gates: [Chest; 2],
    #[sync(broadcast, nested, max_bytes = 2_000)]
    pub(crate) ledger: BTreeMap<u16, Vec<Option<Chest>>>,
    #[sync(computed = first_chest, nested)]
    pub(crate) best: Chest,
    #[sync(broadcast, nested)]
    pub(crate) open: Plain,
    #[sync(masked = dimmed, nested)]
    pub(crate) lamps: BTreeMap<NetId, Plain>,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Wagon {
    #[sync(server_only)]
    pub(crate) rule: u8,
    #[sync(broadcast)]
    pub(crate) label: u128,
    #[sync(custom = by_value)]
    pub(crate) secret: u128,
    #[sync(custom = by_first_chest, nested)]
    pub(crate) chests: Vec<Chest>,
    #[sync(per_player_slice, nested)]
    pub(crate) own: BTreeMap<PlayerId, Chest>,
    #[sync(broadcast, nested)]
    pub(crate) mark: Option<Item>,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Chest {
    #[sync(per_player = by_name)]
    pub(crate) lock: u128,
    #[sync(masked = half, precision = 0.5)]
    pub(crate) weight: f32,
    #[sync(broadcast, nested)]
    pub(crate) items: Vec<Item>,
    #[sync(computed = items_there)]
    pub(crate) count: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) enum Item {
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

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Seal(
    #[sync(custom = by_value)] pub(crate) u128,
    #[sync(broadcast)] pub(crate) u8,
    #[sync(masked = top_half)] pub(crate) u128,
);

/// Nothing in it depends on who looks.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Plain {
    #[sync(broadcast)]
    pub(crate) light: u16,
    #[sync(broadcast)]
    pub(crate) by: Option<NetId>,
    #[sync(server_only)]
    pub(crate) oil: u128,
    #[sync(broadcast)]
    pub(crate) wick: Wick,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wick {
    pub(crate) length: f32,
    pub(crate) held_by: Vec<(u8, NetId)>,
}

/// One of eight questions, by the lowest bits.
fn ask(question: u128, viewing: &Viewing) -> bool {
    match question % 8 {
        0 => viewing.is_owner(),
        1 => viewing.same_party(),
        2 => viewing.same_team(),
        3 => viewing.viewer.role() >= Role::Gm,
        4 => viewing.viewer.has_permission(Permissions(0b10)),
        5 => viewing.viewer.fact(FactKey(1)).is_some_and(|fact| fact > 0),
        6 => viewing.subject.has_tag(Tag(3)),
        _ => viewing.is_owner() || (viewing.same_team() && viewing.viewer.role() == Role::Player),
    }
}

fn by_value(value: &u128, viewing: &Viewing) -> Option<u128> {
    ask(*value, viewing).then_some(*value)
}

fn whole_by_value((value, _): &(u128, NetId), viewing: &Viewing) -> bool {
    ask(*value, viewing)
}

fn for_team(viewing: &Viewing) -> bool {
    viewing.same_team()
}

fn by_name(value: &u128, player: &PlayerId) -> Option<u128> {
    ((*value as usize + player.as_str().len()) % 2 == 1).then_some(*value)
}

fn by_name_in_full(value: &u128, viewing: &Viewing) -> Option<u128> {
    if viewing.is_owner() { Some(*value) } else { by_name(value, viewing.viewer.player()) }
}

fn by_first_name(chests: &[Chest; 2], player: &PlayerId) -> Option<[Chest; 2]> {
    (player.as_str() < "carol").then(|| chests.clone())
}

#[expect(clippy::ptr_arg, reason = "a policy takes the field's own type")]
fn some_wagons(wagons: &Vec<Wagon>, viewing: &Viewing) -> Option<Vec<Wagon>> {
    Some(wagons.iter().filter(|wagon| ask(wagon.rule.into(), viewing)).cloned().collect())
}

#[expect(clippy::ptr_arg, reason = "a policy takes the field's own type")]
fn by_first_chest(chests: &Vec<Chest>, viewing: &Viewing) -> bool {
    chests.first().is_none_or(|chest| ask(chest.lock >> 8, viewing))
}

fn top_half(value: &u128) -> u128 {
    value >> 64
}

fn half(weight: &f32) -> f32 {
    weight / 2.0
}

fn without_secret(leader: &Option<Box<Wagon>>) -> Option<Box<Wagon>> {
    leader.clone().map(|wagon| Box::new(Wagon { secret: 0, own: BTreeMap::new(), ..*wagon }))
}

fn dimmed(lamps: &BTreeMap<NetId, Plain>) -> BTreeMap<NetId, Plain> {
    let dim = |(id, lamp): (&NetId, &Plain)| (*id, Plain { light: lamp.light / 100, ..lamp.clone() });
    lamps.iter().map(dim).collect()
}

fn wagons_there(camp: &Camp) -> u64 {
    camp.wagons.len() as u64
}

fn first_chest(camp: &Camp) -> Chest {
    camp.wagons.first().and_then(|wagon| wagon.chests.first()).cloned().unwrap_or_default()
}

fn items_there(chest: &Chest) -> u32 {
    chest.items.len() as u32
}

pub(crate) fn net_id(dice: &mut Dice) -> NetId {
    NetId(dice.roll() | 1)
}

fn item(dice: &mut Dice) -> Item {
    match dice.below(3) {
        0 => Item::Nothing,
        1 => Item::Coin(dice.canary(), dice.canary()),
        _ => Item::Letter {
            to: net_id(dice),
            text: dice.canary(),
            seal: Seal(dice.canary(), dice.roll() as u8, dice.canary()),
        },
    }
}

fn chest(dice: &mut Dice) -> Chest {
    Chest {
        lock: dice.canary(),
        weight: dice.below(2_000) as f32 / 8.0,
        items: dice.list(2, item),
        count: 99,
    }
}

fn by_player<T>(dice: &mut Dice, one: impl Fn(&mut Dice) -> T) -> BTreeMap<PlayerId, T> {
    dice.list(3, |dice| (player(dice.pick(&NAMES)), one(dice))).into_iter().collect()
}

fn wagon(dice: &mut Dice) -> Wagon {
    Wagon {
        rule: dice.roll() as u8,
        label: dice.canary(),
        secret: dice.canary(),
        chests: dice.list(2, chest),
        own: by_player(dice, chest),
        mark: dice.list(1, item).pop(),
    }
}

fn plain(dice: &mut Dice) -> Plain {
    Plain {
        light: dice.roll() as u16,
        by: dice.list(1, net_id).pop(),
        oil: dice.canary(),
        wick: Wick { length: 0.5, held_by: dice.list(2, |dice| (dice.roll() as u8, net_id(dice))) },
    }
}

pub(crate) fn camp(dice: &mut Dice) -> Camp {
    Camp {
        name: format!("camp {}", dice.below(100)),
        purse: dice.canary(),
        omen: dice.canary(),
        lot: dice.canary(),
        rumour: dice.canary(),
        rival: (dice.canary(), net_id(dice)),
        password: (dice.canary(), dice.list(3, net_id)),
        shares: by_player(dice, Dice::canary),
        size: 77,
        seed: dice.canary(),
        target: Vec3::new(dice.below(999) as f32 / 7.0, 1.5, -3.1),
        wagons: dice.list(2, wagon),
        reserve: dice.list(2, wagon),
        bids: by_player(dice, chest),
        leader: dice.list(1, |dice| Box::new(wagon(dice))).pop(),
        gates: [chest(dice), chest(dice)],
        ledger: dice
            .list(2, |dice| (dice.roll() as u16, dice.list(2, |dice| dice.list(1, chest).pop())))
            .into_iter()
            .collect(),
        best: chest(dice),
        open: plain(dice),
        lamps: dice.list(2, |dice| (net_id(dice), plain(dice))).into_iter().collect(),
    }
}

/// Random, but so that all of the eight questions are often answered either way.
pub(crate) fn context(dice: &mut Dice) -> ViewerContext {
    let role = dice.pick(&[Role::Player, Role::Gm]);
    let mut context = ViewerContext::new(player(dice.pick(&NAMES)), role);
    context.set_party(dice.pick(&[None, Some(PartyId(1)), Some(PartyId(2))]));
    context.set_team(dice.pick(&[None, Some(TeamId(1)), Some(TeamId(2))]));
    context.set_permissions(Permissions(dice.below(4)));
    context.set_fact(FactKey(1), dice.pick(&[None, Some(0), Some(5)]));
    context
}

pub(crate) fn subject(dice: &mut Dice) -> Subject {
    let mut subject = Subject::default();
    subject.set_owner(dice.pick(&[None, Some(player("alice")), Some(player("bob"))]));
    subject.set_party(dice.pick(&[None, Some(PartyId(1)), Some(PartyId(2))]));
    subject.set_team(dice.pick(&[None, Some(TeamId(1)), Some(TeamId(2))]));
    subject.set_tag(Tag(3), dice.below(2) == 0);
    subject
}
