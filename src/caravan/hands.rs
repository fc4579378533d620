//! The people who travel with a player: hired at a node, paid off anywhere, hurt in battles, mended at a node.

use std::fmt;

use crate::prelude::*;
use crate::reward::{Lot, Name};
use crate::store::MutationSummary;

use super::lore::{Effect, Lore};
use super::objection::Told;
use super::people::Talents;
use super::purse::SILVER;
use super::trade::{TRADE_REACH_M, node_here};
use super::travel::for_owner;

/// What somebody is hired for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hand {
    /// Stands in front.
    #[default]
    Guard,
    /// Strikes from afar.
    Archer,
    /// Sees to it that fewer die.
    Healer,
}

/// Fame: what battles and errands bring besides silver.
pub const RENOWN: &str = "renown";
/// Somebody who was hurt. Who is not mended in time goes away.
pub const WOUNDED: &str = "wounded";
/// How long that takes.
pub(super) const WOUNDED_MS: u64 = 10 * 60 * 1_000;
/// The house that hands come from and go to.
pub(super) const HANDS: &str = "npc/hands";
/// Most hands of one kind that are hired or paid off at once.
pub const HIRED_AT_ONCE_MAX: u16 = 10;
/// What it costs to mend one, silver.
const MENDING_SILVER: u64 = 8;

impl Hand {
    /// All kinds.
    pub const ALL: [Hand; 3] = [Hand::Guard, Hand::Archer, Hand::Healer];

    /// What it costs somebody who is nobody in particular to hire one, silver.
    #[must_use]
    pub const fn wage(self) -> u32 {
        match self {
            Hand::Guard => 15,
            Hand::Archer => 22,
            Hand::Healer => 30,
        }
    }

    /// What it is called in the save.
    #[must_use]
    pub fn asset(self) -> Name {
        self.name().into()
    }

    const fn name(self) -> &'static str {
        match self {
            Hand::Guard => "guard",
            Hand::Archer => "archer",
            Hand::Healer => "healer",
        }
    }
}

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Hand {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Hand::ALL.into_iter().find(|hand| hand.name() == text.trim_end_matches('s'));
        found.ok_or_else(|| format!("`{text}` is nobody to hire: expected guard, archer or healer"))
    }
}

/// How many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hands {
    /// Guards.
    pub guards: u16,
    /// Archers.
    pub archers: u16,
    /// Healers.
    pub healers: u16,
}

impl Hands {
    /// How many of a kind.
    #[must_use]
    pub fn of(&self, hand: Hand) -> u16 {
        match hand {
            Hand::Guard => self.guards,
            Hand::Archer => self.archers,
            Hand::Healer => self.healers,
        }
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, hand: Hand) -> &mut u16 {
        match hand {
            Hand::Guard => &mut self.guards,
            Hand::Archer => &mut self.archers,
            Hand::Healer => &mut self.healers,
        }
    }

    /// All together.
    #[must_use]
    pub fn all(&self) -> u16 {
        Hand::ALL.into_iter().fold(0, |sum: u16, hand| sum.saturating_add(self.of(hand)))
    }

    /// Those that are left without others, none below nothing.
    #[must_use]
    pub fn without(mut self, others: &Self) -> Self {
        for hand in Hand::ALL {
            let left = self.of(hand).saturating_sub(others.of(hand));
            *self.of_mut(hand) = left;
        }
        self
    }

    /// Those of these holdings.
    #[must_use]
    pub fn held(holdings: &Holdings) -> Self {
        let mut hands = Self::default();
        for hand in Hand::ALL {
            *hands.of_mut(hand) = u16::try_from(holdings.amount(&hand.asset())).unwrap_or(u16::MAX);
        }
        hands
    }
}

/// Who travels with a player, and how famous it is, as the save says. Everybody sees how many there are; the player alone knows
/// who is hurt.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Retinue {
    /// Who is well.
    #[sync(broadcast, max_bytes = 12)]
    pub hands: Settled<Hands>,
    /// How many are hurt and have not gone away.
    #[sync(custom = for_owner)]
    pub wounded: u64,
    /// How famous.
    #[sync(broadcast, max_bytes = 9)]
    pub renown: Settled<u64>,
    #[sync(server_only)]
    hurt: Settled<Hurt>,
}

/// Those who are hurt: when they go away, milliseconds of the world's calendar, and how many. Who has gone stays in the save until
/// something else of the player's is written there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hurt(Vec<(Lot, u64)>);

impl Hurt {
    fn held(holdings: &Holdings) -> Self {
        Self(holdings.lots_of(&WOUNDED.into()).collect())
    }

    /// How many there are at this time.
    fn at(&self, now_ms: u64) -> u64 {
        self.0.iter().filter(|(lot, _)| !lot.is_expired(now_ms)).map(|(_, count)| count).sum()
    }
}

/// Counts those who are hurt and have not gone away.
pub(super) fn count_wounded(context: Res<TickContext>, mut retinues: Query<&mut Retinue>) {
    for mut retinue in &mut retinues {
        let wounded = retinue.hurt.at(context.now_ms);
        if retinue.wounded != wounded {
            retinue.wounded = wounded;
        }
    }
}

impl Settles for Retinue {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.hands, Hands::held(holdings));
        pen.write(&mut self.hurt, Hurt::held(holdings));
        pen.write(&mut self.renown, holdings.amount(&RENOWN.into()));
    }
}

impl fmt::Display for Retinue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "renown {}", self.renown)?;
        for hand in Hand::ALL {
            match self.hands.of(hand) {
                0 => {}
                1 => write!(f, ", a {hand}")?,
                count => write!(f, ", {count} {hand}s")?,
            }
        }
        match self.wounded {
            0 => Ok(()),
            wounded => write!(f, ", {wounded} wounded"),
        }
    }
}

/// Hire hands at the node where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Hired, refusal = HandsRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct Hire {
    /// Of which kind.
    pub hand: Hand,
    /// How many.
    pub count: u16,
}

/// Let hands go. Their wages are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Hired, refusal = HandsRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct PayOff {
    /// Of which kind.
    pub hand: Hand,
    /// How many.
    pub count: u16,
}

/// Have the wounded mended at the node where one is: they are guards again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Hired, refusal = HandsRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
pub struct Mend {
    /// How many.
    pub count: u16,
}

/// What one has after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hired {
    /// Hands of that kind.
    pub hands: u64,
}

/// Why nobody is hired, let go or mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandsRefusal {
    /// There is no node near enough.
    NoNode,
    /// That many at once are not to be had.
    Count,
    /// Nobody comes and goes while there is fighting.
    Fighting,
    /// There are not so many wounded, or none any more.
    Unhurt {
        /// How many there are.
        wounded: u64,
    },
    /// Silver or hands do not suffice, or there is no room for them.
    Value(PlanRefusal),
}

impl fmt::Display for HandsRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => write!(f, "there is no trade node within {TRADE_REACH_M} m"),
            Self::Count => write!(f, "one to {HIRED_AT_ONCE_MAX} come and go at once"),
            Self::Fighting => f.write_str("nobody comes and goes while there is fighting"),
            Self::Unhurt { wounded: 0 } => f.write_str("none of your people is wounded"),
            Self::Unhurt { wounded } => write!(f, "of your people {wounded} are wounded, and no more"),
            Self::Value(why) => Told(why).fmt(f),
        }
    }
}

fn counted(count: u16) -> Result<u64, HandsRefusal> {
    if (1..=HIRED_AT_ONCE_MAX).contains(&count) { Ok(count.into()) } else { Err(HandsRefusal::Count) }
}

/// What the caller is good at.
fn talents(context: &AskContext<'_>) -> Talents {
    context.published::<Lore>().map_or_else(Talents::default, |lore| Talents::held(lore, context.holdings))
}

fn at_node(context: &AskContext<'_>) -> Result<Name, HandsRefusal> {
    node_here(context).map(|(_, market)| market).ok_or(HandsRefusal::NoNode)
}

pub(super) fn hire(
    hire: &Hire,
    campaign: &super::Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, HandsRefusal> {
    let (count, market) = (counted(hire.count)?, at_node(context)?);
    if campaign.is_fighting() {
        return Err(HandsRefusal::Fighting);
    }
    let silver = talents(context).cheaper(Effect::Wages, count * u64::from(hire.hand.wage()));
    Ok(context.request("hire").pay(SILVER, silver, market).grant(hire.hand.asset(), count, HANDS))
}

pub(super) fn pay_off(
    pay_off: &PayOff,
    campaign: &super::Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, HandsRefusal> {
    let count = counted(pay_off.count)?;
    if campaign.is_fighting() {
        return Err(HandsRefusal::Fighting);
    }
    Ok(context.request("pay-off").pay(pay_off.hand.asset(), count, HANDS))
}

pub(super) fn mend(
    mend: &Mend,
    campaign: &super::Campaign,
    context: &AskContext<'_>,
) -> Result<PlanRequest, HandsRefusal> {
    let (count, market) = (counted(mend.count)?, at_node(context)?);
    if campaign.is_fighting() {
        return Err(HandsRefusal::Fighting);
    }
    let wounded = context.holdings.amount_at(&WOUNDED.into(), context.tick.now_ms);
    if count > wounded {
        return Err(HandsRefusal::Unhurt { wounded });
    }
    let silver = talents(context).cheaper(Effect::Mending, count * MENDING_SILVER);
    Ok(context.request("mend").pay(SILVER, silver, market).pay(WOUNDED, count, HANDS).grant(
        Hand::Guard.asset(),
        count,
        HANDS,
    ))
}

pub(super) fn hired(
    hand: Hand,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Hired, HandsRefusal> {
    let summary = outcome.map_err(|why| match why {
        // They have gone away, or were mended, in the same moment.
        PlanRefusal::TooLittle { asset, has, .. } if asset.as_str() == WOUNDED => {
            HandsRefusal::Unhurt { wounded: *has }
        }
        why => HandsRefusal::Value(why.clone()),
    })?;
    Ok(Hired { hands: super::outcome::left(summary, &hand.asset()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E10: who is hurt and not mended in time goes away at that very moment, whatever the save still holds of it.
    #[test]
    fn the_wounded_are_counted_until_they_go_away() {
        let lot = |expires_ms| Lot { expires_ms, instance: 0 };
        let mut holdings = Holdings::default();
        holdings.set(&WOUNDED.into(), lot(50), 3);
        holdings.set(&WOUNDED.into(), lot(60), 1);
        holdings.set(&Hand::Guard.asset(), Lot::PLAIN, 9);
        let hurt = Hurt::held(&holdings);
        assert_eq!([49, 50, 59, 60].map(|now_ms| hurt.at(now_ms)), [4, 1, 1, 0]);
    }
}
