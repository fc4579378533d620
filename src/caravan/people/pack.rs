//! What a player carries besides silver: items, and how much of its pack is full.

use std::collections::BTreeMap;
use std::fmt;

use bevy_ecs::change_detection::DetectChanges;

use crate::prelude::*;
use crate::reward::{Lot, Name};

use super::super::lore::{ItemId, Lore, is_item};

/// Items take at most so many bytes, since each change tells all of them: of more kinds than fit, the first by name are told. Of names
/// like those in the files that come with the game that is more than two dozen.
const ITEMS_BYTES_MAX: usize = 500;
/// What a kind takes beside its name, at most: the length of that, and how many there are.
const KIND_BYTES_MAX: usize = 1 + 9;

/// Items, and how many of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed(BTreeMap<ItemId, u64>);

impl Packed {
    /// What of these holdings is an item: what is neither a good nor people, nor part of what a player is.
    #[must_use]
    pub fn held(holdings: &Holdings) -> Self {
        let (mut items, mut bytes) = (BTreeMap::<ItemId, u64>::new(), 0);
        for ((asset, _), amount) in &holdings.lots {
            if !is_item(asset.as_str()) {
                continue;
            }
            let Ok(id) = ItemId::new(asset.as_str()) else { continue };
            if let Some(known) = items.get_mut(&id) {
                *known += amount;
                continue;
            }
            bytes += KIND_BYTES_MAX + asset.as_str().len();
            if bytes > ITEMS_BYTES_MAX {
                break;
            }
            items.insert(id, *amount);
        }
        Self(items)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&ItemId, u64)> {
        self.0.iter().map(|(id, count)| (id, *count))
    }

    /// How many of one are there.
    #[must_use]
    pub fn count(&self, id: &ItemId) -> u64 {
        self.0.get(id).copied().unwrap_or(0)
    }
}

/// Everything that may take slots: how much there is in each lot, since lots do not mix. What has expired stays in the save until
/// something else of the player's is written there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lots(Vec<(Name, Lot, u64)>);

impl Lots {
    fn held(holdings: &Holdings) -> Self {
        let lots = holdings.lots.iter().map(|((asset, lot), amount)| (asset.clone(), *lot, *amount));
        Self(lots.filter(|(asset, ..)| !asset.as_str().contains('/')).collect())
    }

    /// How many slots they take at this time, by what the files say of each.
    fn slots(&self, lore: &Lore, now_ms: u64) -> u64 {
        let tables = lore.reward_tables();
        let there = self.0.iter().filter(|(_, lot, _)| !lot.is_expired(now_ms));
        there.filter_map(|(asset, _, amount)| Some(tables.asset(asset)?.slots(*amount))).sum()
    }

    /// Whether any of it goes away by itself.
    fn are_fleeting(&self) -> bool {
        self.0.iter().any(|(_, lot, _)| lot.expires_ms != 0)
    }
}

/// What a player carries. Its own player sees it; what is worn has left it and is in the outfit.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(owner)]
pub struct Pack {
    /// Items and how many of each; goods are in the purse, and people in the retinue.
    #[sync(broadcast, max_bytes = 512)]
    pub items: Settled<Packed>,
    /// Slots that items, goods and people take.
    #[sync(broadcast)]
    pub slots_used: u64,
    /// Slots that there are.
    #[sync(broadcast)]
    pub slots: u64,
    #[sync(server_only)]
    lots: Settled<Lots>,
}

impl Settles for Pack {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.items, Packed::held(holdings));
        pen.write(&mut self.lots, Lots::held(holdings));
    }
}

impl fmt::Display for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, count) in self.items.iter() {
            match count {
                1 => write!(f, "{id}, ")?,
                count => write!(f, "{count} {id}, ")?,
            }
        }
        write!(f, "{} of {} slots used", self.slots_used, self.slots)
    }
}

/// Counts the slots of every pack, by what the files say now and what has not expired.
pub(in super::super) fn count_slots(
    context: Res<TickContext>,
    lore: Res<Published<Lore>>,
    mut packs: Query<&mut Pack>,
) {
    let slots = lore.reward_tables().slots();
    for mut pack in &mut packs {
        // What was counted stays so until the pack or the files change, or something of it goes away.
        if !pack.is_changed() && !lore.is_changed() && !pack.lots.are_fleeting() {
            continue;
        }
        let slots_used = pack.lots.slots(&lore, context.now_ms);
        if (pack.slots_used, pack.slots) != (slots_used, slots) {
            (pack.slots_used, pack.slots) = (slots_used, slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holdings(lots: &[(&'static str, u64, u64)]) -> Holdings {
        let mut holdings = Holdings::default();
        for &(asset, expires_ms, amount) in lots {
            holdings.set(&Name::from(asset), Lot { expires_ms, instance: 0 }, amount);
        }
        holdings
    }

    /// E8: of all that a player holds a pack shows what is an item and nothing else, and its slots are those that the planner counts:
    /// each lot by itself.
    #[test]
    fn a_pack_shows_items_and_counts_slots_as_the_planner_does() {
        let held = holdings(&[
            ("silver", 0, 900),
            ("renown", 0, 5),
            ("salt", 0, 21),
            ("guard", 0, 11),
            ("wounded", 50, 1),
            ("wounded", 60, 2),
            ("bandage", 0, 12),
            ("spear", 0, 2),
            ("worn/leather", 0, 1),
            ("slot/body", 0, 1),
            ("points", 0, 3),
            ("fresh-starts", 0, 3),
        ]);
        let items = Packed::held(&held);
        let told: Vec<String> = items.iter().map(|(id, count)| format!("{id} {count}")).collect();
        assert_eq!(told, ["bandage 12", "spear 2"]);
        // Salt 2, guards 2, wounded 1 and 1, bandages 2, spears 2; the wounded go away when their time is over.
        let (lots, lore) = (Lots::held(&held), Lore::shipped());
        assert_eq!([49, 50, 60].map(|now_ms| lots.slots(&lore, now_ms)), [10, 9, 8]);
        assert!(lots.are_fleeting() && !Lots::held(&holdings(&[("salt", 0, 21)])).are_fleeting());
        // Whatever is held, what is told is bounded.
        let mut many = Holdings::default();
        for number in 100..500 {
            many.set(&Name::new(&format!("thing-{number}")).unwrap(), Lot::PLAIN, u64::MAX);
        }
        let told = Packed::held(&many);
        let bytes = crate::protocol::codec::encode(&told).len();
        assert!(bytes <= 512 && told.iter().count() > 20, "{bytes} bytes of {} kinds", told.iter().count());
    }
}
