//! What is worn: it leaves the pack, one thing in each place, and counts in battles. And what mends the wounded on the way.

use std::collections::BTreeSet;
use std::fmt;

use crate::prelude::*;
use crate::reward::Name;
use crate::store::MutationSummary;

use super::super::campaign::Campaign;
use super::super::hands::{HANDS, Hand, WOUNDED};
use super::super::lore::{Item, ItemId, Lore, Slot};
use super::super::objection::Told;
use super::super::outcome::left;
use super::character::held_of;
use super::handbook::Known;

/// The house that has in its keeping what is worn, and gives out that it is.
const WARDROBE: &str = "wardrobe";
/// Most items that are used up at once.
const TREATED_AT_ONCE_MAX: u16 = 10;

const WORN: &str = "worn/";

/// That an item of this kind is worn.
pub(in super::super) fn worn_asset(id: &ItemId) -> Name {
    Name::new(&format!("{WORN}{id}")).expect("ids of files are shorter than names may be")
}

/// That something is worn there: two things at one place would be two of it.
pub(in super::super) fn slot_asset(slot: Slot) -> Name {
    Name::new(&format!("slot/{slot}")).expect("slots have short names")
}

/// Items, each of which is worn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worn(BTreeSet<ItemId>);

impl Worn {
    /// Those of these holdings.
    #[must_use]
    pub fn held(holdings: &Holdings) -> Self {
        Self(held_of(holdings, WORN).filter_map(|(name, _)| ItemId::new(name).ok()).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ItemId> {
        self.0.iter()
    }

    /// What is worn at each place, by place. Where the files were changed so that two things share one, the first of them counts.
    #[must_use]
    pub fn by_slot<'l>(&self, lore: &'l Lore) -> Vec<(Slot, ItemId, &'l Item)> {
        let known = self.0.iter().filter_map(|id| Some((id, lore.items().get(id)?)));
        let known: Vec<_> = known.filter(|(_, item)| item.slot != Slot::None).collect();
        let first = |slot: Slot| known.iter().find(|(_, item)| item.slot == slot);
        let worn = Slot::WORN.into_iter().filter_map(|slot| first(slot).map(|(id, item)| (slot, id, item)));
        worn.map(|(slot, id, item)| (slot, (*id).clone(), *item)).collect()
    }
}

/// What a player wears. Everybody sees it.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Outfit {
    /// Items.
    #[sync(broadcast, max_bytes = 200)]
    pub worn: Settled<Worn>,
}

impl Settles for Outfit {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.worn, Worn::held(holdings));
    }
}

impl fmt::Display for Outfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worn: Vec<String> = self.worn.iter().map(ToString::to_string).collect();
        f.write_str(&worn.join(", "))
    }
}

/// Put on something out of the pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Wore, refusal = GearRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct Wear {
    /// What.
    pub item: ItemId,
}

/// Take off what is worn at a place, and put it into the pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Wore, refusal = GearRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct TakeOff {
    /// Where.
    pub slot: Slot,
}

/// Mend wounded with what one has along for it, wherever one is: they are guards again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Wore, refusal = GearRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct Treat {
    /// With what.
    pub item: ItemId,
    /// How many of it.
    pub count: u16,
}

/// What one has after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wore {
    /// How many of the item are in the pack; of what was taken off, those of its kind.
    pub left: u64,
}

/// Why nothing is put on, taken off or used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GearRefusal {
    /// There is no such item.
    Unknown {
        /// What there is that is used so.
        known: Known,
    },
    /// Nobody wears such a thing.
    NotWorn,
    /// It is not in the pack.
    NotHeld,
    /// Something is worn there.
    Taken {
        /// Where.
        slot: Slot,
    },
    /// Nothing is worn there.
    Bare {
        /// Where.
        slot: Slot,
    },
    /// It mends nobody.
    MendsNobody,
    /// Nobody is hurt, or fewer than that many would mend.
    Unhurt,
    /// So many at once are not used.
    Count,
    /// Not while there is fighting.
    Fighting,
    /// There is no room for it.
    Value(PlanRefusal),
}

impl fmt::Display for GearRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { known } => write!(f, "there is no such item{known}"),
            Self::NotWorn => f.write_str("nobody wears such a thing"),
            Self::NotHeld => f.write_str("you have none of it in your pack"),
            Self::Taken { slot } => write!(f, "you wear something there: take off {slot} before"),
            Self::Bare { slot } => write!(f, "you wear nothing there: {slot}"),
            Self::MendsNobody => f.write_str("it mends nobody"),
            Self::Unhurt => f.write_str("there are not so many wounded"),
            Self::Count => write!(f, "one to {TREATED_AT_ONCE_MAX} are used at once"),
            Self::Fighting => f.write_str("there is fighting: nobody changes clothes or binds wounds"),
            Self::Value(why) => Told(why).fmt(f),
        }
    }
}

fn lore_of<'c>(context: &'c AskContext<'_>) -> Result<&'c Lore, GearRefusal> {
    context.published::<Lore>().ok_or_else(|| GearRefusal::Unknown { known: Known::default() })
}

/// An item of the files; of those that are used in this way the refusal of another tells.
fn known<'c>(
    context: &'c AskContext<'_>,
    id: &ItemId,
    is_used: impl Fn(&Item) -> bool + Clone,
) -> Result<(&'c Lore, &'c Item), GearRefusal> {
    let lore = lore_of(context)?;
    let item = lore.items().get(id).ok_or_else(|| {
        let used = lore.items().iter().filter(move |(_, item)| is_used(item));
        GearRefusal::Unknown { known: Known::of(used.map(|(id, _)| id.name())) }
    })?;
    Ok((lore, item))
}

fn peace(campaign: &Campaign) -> Result<(), GearRefusal> {
    if campaign.is_fighting() { Err(GearRefusal::Fighting) } else { Ok(()) }
}

pub(in super::super) fn wear(
    wear: &Wear,
    campaign: &Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, GearRefusal> {
    let (lore, item) = known(context, &wear.item, |item| item.slot != Slot::None)?;
    peace(campaign)?;
    let slot = item.slot;
    if slot == Slot::None {
        return Err(GearRefusal::NotWorn);
    }
    let worn = Worn::held(context.holdings);
    if worn.by_slot(lore).iter().any(|(taken, ..)| *taken == slot) {
        return Err(GearRefusal::Taken { slot });
    }
    let request = context.request("wear").pay(wear.item.name().clone(), 1, WARDROBE);
    let request = request.grant(worn_asset(&wear.item), 1, WARDROBE);
    // A place may be marked as taken by what was worn there before the files said otherwise.
    Ok(free(request, context.holdings, slot).grant(slot_asset(slot), 1, WARDROBE))
}

pub(in super::super) fn take_off(
    take_off: &TakeOff,
    campaign: &Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, GearRefusal> {
    let (lore, slot) = (lore_of(context)?, take_off.slot);
    peace(campaign)?;
    let worn = Worn::held(context.holdings).by_slot(lore);
    let item = worn.into_iter().find(|(taken, ..)| *taken == slot).map(|(_, item, _)| item);
    let item = item.ok_or(GearRefusal::Bare { slot })?;
    let request = put_away(context.request("take-off"), context.holdings, slot, &item);
    Ok(request.grant(item.name().clone(), 1, WARDROBE))
}

/// It is worn no longer.
pub(in super::super) fn put_away(
    request: PlanRequest,
    holdings: &Holdings,
    slot: Slot,
    item: &ItemId,
) -> PlanRequest {
    free(request.pay(worn_asset(item), 1, WARDROBE), holdings, slot)
}

/// The place is marked as taken no longer, if it is.
fn free(request: PlanRequest, holdings: &Holdings, slot: Slot) -> PlanRequest {
    match holdings.amount(&slot_asset(slot)) {
        0 => request,
        _ => request.pay(slot_asset(slot), 1, WARDROBE),
    }
}

pub(in super::super) fn treat(
    treat: &Treat,
    campaign: &Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, GearRefusal> {
    let (_, item) = known(context, &treat.item, |item| item.heals > 0)?;
    peace(campaign)?;
    if !(1..=TREATED_AT_ONCE_MAX).contains(&treat.count) {
        return Err(GearRefusal::Count);
    }
    let heals = u64::from(item.heals);
    if heals == 0 {
        return Err(GearRefusal::MendsNobody);
    }
    let wounded = context.holdings.amount_at(&WOUNDED.into(), context.tick.now_ms);
    let count = u64::from(treat.count);
    if count > wounded.div_ceil(heals) {
        return Err(GearRefusal::Unhurt);
    }
    let mended = (count * heals).min(wounded);
    Ok(context
        .request("treat")
        .pay(treat.item.name().clone(), count, HANDS)
        .pay(WOUNDED, mended, HANDS)
        .grant(Hand::Guard.asset(), mended, HANDS))
}

/// The answer to any of them; `item` is that of the pack, if the action names one.
pub(in super::super) fn wore(
    item: Option<&ItemId>,
    slot: Option<Slot>,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Wore, GearRefusal> {
    let summary = outcome.map_err(|why| match (why, slot) {
        (PlanRefusal::TooLittle { asset, .. }, _) if Some(asset) == item.map(ItemId::name) => {
            GearRefusal::NotHeld
        }
        (PlanRefusal::TooLittle { asset, .. }, _) if asset.as_str() == WOUNDED => GearRefusal::Unhurt,
        // It was taken off, or something else put on, in the same moment.
        (PlanRefusal::TooLittle { .. }, Some(slot)) => GearRefusal::Bare { slot },
        (PlanRefusal::AlreadyHas { asset, .. }, _) => {
            let taken = Slot::WORN.into_iter().find(|slot| slot_asset(*slot) == *asset);
            taken.map_or(GearRefusal::Value(why.clone()), |slot| GearRefusal::Taken { slot })
        }
        _ => GearRefusal::Value(why.clone()),
    })?;
    Ok(Wore { left: item.map_or(0, |item| left(summary, item.name())) })
}
