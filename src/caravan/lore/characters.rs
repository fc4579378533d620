//! The assets that say what a player's character is: they follow from skills, attributes, origins and what can be worn.

use std::collections::BTreeMap;

use crate::reward::{AssetClass, Name};

use super::super::people::{
    CHARACTER, EXPERIENCE, FRESH_STARTS, GIFT, LEVEL, LEVEL_MAX, LIVES, POINTS, VIGOUR, VIGOUR_MAX,
    VIGOUR_MS, attribute_asset, origin_asset, skill_asset, slot_asset, worn_asset,
};
use super::ids::{ItemId, OriginId};
use super::items::{ReadItem, Slot};
use super::skills::Abilities;

/// More than that nobody gathers.
const COUNT_MAX: u64 = 1_000_000_000;
/// So many times somebody may begin anew at once, and how long it takes until it may once more.
const FRESH_STARTS_MAX: u64 = 3;
const FRESH_START_MS: u64 = 60 * 60 * 1_000;

/// Whether the rules for characters have an asset of this name. Those with a `/` in it are no ids anyway.
pub(super) fn is_own(name: &str) -> bool {
    [CHARACTER, EXPERIENCE, FRESH_STARTS, GIFT, LEVEL, LIVES, POINTS, VIGOUR].contains(&name)
}

/// All of them.
pub(super) fn assets<'a>(
    abilities: &Abilities,
    origins: impl Iterator<Item = &'a OriginId>,
    items: &BTreeMap<ItemId, ReadItem>,
) -> Vec<(Name, AssetClass)> {
    let count = |cap: u64| AssetClass::Currency { cap };
    let mut assets: Vec<(Name, AssetClass)> = vec![
        (CHARACTER.into(), AssetClass::Unlock),
        (EXPERIENCE.into(), count(COUNT_MAX)),
        (LEVEL.into(), count(LEVEL_MAX - 1)),
        (POINTS.into(), count(COUNT_MAX)),
        (LIVES.into(), count(COUNT_MAX)),
        (GIFT.into(), count(COUNT_MAX)),
        (FRESH_STARTS.into(), AssetClass::Pool { cap: FRESH_STARTS_MAX, regen_ms: FRESH_START_MS }),
        (VIGOUR.into(), AssetClass::Pool { cap: VIGOUR_MAX, regen_ms: VIGOUR_MS }),
    ];
    assets.extend(abilities.skills.iter().map(|(id, skill)| (skill_asset(id), count(skill.most.into()))));
    let attributes = abilities.attributes.iter();
    assets.extend(attributes.map(|(id, attribute)| (attribute_asset(id), count(attribute.most.into()))));
    assets.extend(origins.map(|id| (origin_asset(id), AssetClass::Unlock)));
    assets.extend(Slot::WORN.map(|slot| (slot_asset(slot), AssetClass::Unlock)));
    let worn = items.iter().filter(|(_, read)| read.item.slot != Slot::None);
    assets.extend(worn.map(|(id, _)| (worn_asset(id), AssetClass::Unlock)));
    assets
}
