//! Battles: round by round, by rules that are functions of numbers and of chance, which depends on the player and the tick alone.

use std::fmt;

use crate::prelude::*;

use super::super::hands::{Hand, Hands, Retinue};
use super::super::walk::Walker;
use super::Campaign;
use super::spoils::{BattleNews, BattlesHere, Round, Spoils};

/// How much a player who fights alone can take.
pub(super) const HEALTH: u16 = 30;
/// How long a player has to give its order for a round, s.
const ROUND_S: f32 = 2.0;
/// A round is fought no sooner than so many ticks after the one before: what was ordered can be seen.
const ROUND_TICKS_MIN: u64 = 8;
/// After so many rounds the band goes home.
const ROUNDS_MAX: u16 = 20;
/// How long a player who was beaten or fled is left alone, s.
const SAFE_S: f32 = 20.0;
/// How far a fellow may be to share in the fame, m.
const FELLOWS_M: f32 = 30.0;
/// How many fellows count.
const FELLOWS_MAX: u16 = 4;
/// So much force fells one of the foes, so much one of the hands.
const FORCE_PER_FOE: f32 = 9.0;
const FORCE_PER_HAND: f32 = 14.0;
/// Whoever flees gets away so often.
const FLEES_SHARE: f32 = 0.6;
/// So many of those who fall are only hurt; each healer saves so many more, up to the most.
const HURT_SHARE: f32 = 0.4;
const HURT_PER_HEALER: f32 = 0.1;
const HURT_SHARE_MAX: f32 = 0.9;

/// Purposes of chance.
const ROUND: u32 = 21;
const HURT: u32 = 22;

/// Who lies in wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Band {
    /// A few with knives.
    #[default]
    Cutpurses,
    /// Some with bows.
    Bandits,
    /// Many, and armed.
    Raiders,
}

impl Band {
    /// All kinds.
    pub const ALL: [Band; 3] = [Band::Cutpurses, Band::Bandits, Band::Raiders];

    /// What it is called, in the save too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Band::Cutpurses => "cutpurses",
            Band::Bandits => "bandits",
            Band::Raiders => "raiders",
        }
    }

    /// How hard one of them strikes.
    const fn strength(self) -> f32 {
        match self {
            Band::Cutpurses => 2.0,
            Band::Bandits => 3.0,
            Band::Raiders => 4.0,
        }
    }

    /// The fame of beating it.
    #[must_use]
    pub const fn fame(self) -> u64 {
        match self {
            Band::Cutpurses => 4,
            Band::Bandits => 10,
            Band::Raiders => 25,
        }
    }

    /// How many they are.
    pub(super) fn size(self, chance: &mut Random) -> u16 {
        let (least, most) = match self {
            Band::Cutpurses => (2, 4),
            Band::Bandits => (3, 7),
            Band::Raiders => (6, 12),
        };
        (least + chance.below(most - least + 1)) as u16
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to do in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Strike hard, and be struck.
    Attack,
    /// Strike less, and be struck less: what is done without an order.
    #[default]
    Defend,
    /// Try to get away.
    Flee,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attack => "attack",
            Self::Defend => "defend",
            Self::Flee => "flee",
        })
    }
}

impl Order {
    /// How much of its force a side brings to bear, and how much of the other's it feels.
    const fn dealt_and_felt(self) -> (f32, f32) {
        match self {
            Self::Attack => (1.3, 1.2),
            Self::Defend => (0.8, 0.5),
            Self::Flee => (0.2, 0.8),
        }
    }
}

/// How a battle ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// No foe is left.
    #[default]
    Won,
    /// The player could take no more.
    Lost,
    /// The player got away, or the band went home.
    Parted,
}

impl End {
    /// What it is called in the save.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            End::Won => "won",
            End::Lost => "lost",
            End::Parted => "parted",
        }
    }
}

/// Say what to do in this round. The newest order counts; the round is fought soon after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u16, refusal = FightRefusal, rate = 4, burst = 8, coalesce = newest, durability = memory)]
pub struct Fight {
    /// What.
    pub order: Order,
}

/// Why an order is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FightRefusal {
    /// There is nobody to fight.
    Peace,
}

impl fmt::Display for FightRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is nobody to fight")
    }
}

pub(super) fn round_ticks(context: &TickContext) -> u64 {
    context.ticks(ROUND_S).max(ROUND_TICKS_MIN)
}

pub(in super::super) fn fight(
    action: &Fight,
    campaign: &mut Campaign,
    context: &mut OwnContext<'_>,
) -> Result<u16, FightRefusal> {
    if !campaign.is_fighting() {
        return Err(FightRefusal::Peace);
    }
    campaign.order = action.order;
    let round_began = campaign.round_ends.saturating_sub(round_ticks(context.tick));
    campaign.round_ends = campaign.round_ends.min(context.tick.tick.0.max(round_began + ROUND_TICKS_MIN));
    Ok(campaign.round)
}

/// What a round takes from either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blows {
    pub(super) foes: u16,
    pub(super) hands: u16,
    pub(super) health: u16,
    pub(super) fled: bool,
}

/// One round. Foes fall by the force of the player's side, hands by that of the foes; who has none left is struck itself.
pub(super) fn round(band: Band, foes: u16, hands: &Hands, order: Order, chance: &mut Random) -> Blows {
    let (dealt, felt) = order.dealt_and_felt();
    let own =
        5.0 + 4.0 * f32::from(hands.guards) + 6.0 * f32::from(hands.archers) + 1.0 * f32::from(hands.healers);
    let theirs = band.strength() * f32::from(foes);
    let felled = own * dealt * chance.between(0.6..1.4) / FORCE_PER_FOE;
    let struck = theirs * felt * chance.between(0.6..1.4);
    let fled = order == Order::Flee && chance.chance(FLEES_SHARE);
    // A part of one is one, so often.
    let whole = |amount: f32, chance: &mut Random| amount as u16 + u16::from(chance.chance(amount.fract()));
    let foes_felled = whole(felled, chance).min(foes);
    let fallen = whole(struck / FORCE_PER_HAND, chance).min(hands.all());
    let health = if hands.all() > fallen { 0 } else { (struck / 2.0) as u16 + 1 };
    Blows { foes: foes_felled, hands: fallen, health, fled }
}

/// Who falls first: those who stand in front.
pub(super) fn fall(mut standing: Hands, fallen: u16) -> Hands {
    let mut lost = Hands::default();
    for hand in Hand::ALL {
        let of_kind = standing.of(hand).min(fallen - lost.all());
        *lost.of_mut(hand) += of_kind;
        *standing.of_mut(hand) -= of_kind;
    }
    lost
}

/// How many of the fallen are only hurt.
pub(super) fn hurt(fallen: u16, healers: u16, chance: &mut Random) -> u16 {
    let share = (HURT_SHARE + HURT_PER_HEALER * f32::from(healers)).min(HURT_SHARE_MAX);
    (0..fallen).map(|_| u16::from(chance.chance(share))).sum()
}

/// Fights the rounds whose time is up.
pub(in super::super) fn fight_on(
    context: Res<TickContext>,
    nearby: Nearby,
    mut here: ResMut<BattlesHere>,
    mut events: PlayerEvents,
    mut fighting: Query<(&NetId, &Position, &Walker, &Retinue, &mut Campaign)>,
) {
    let now = context.tick.0;
    for (&net_id, position, walker, retinue, mut campaign) in &mut fighting {
        let Some(band) = campaign.band.filter(|_| now >= campaign.round_ends) else { continue };
        let mut chance = context.random(net_id, ROUND);
        let standing = retinue.hands.without(&campaign.lost);
        let blows = round(band, campaign.foes, &standing, campaign.order, &mut chance);
        let fallen = fall(standing, blows.hands);
        for hand in Hand::ALL {
            *campaign.lost.of_mut(hand) += fallen.of(hand);
        }
        campaign.foes -= blows.foes;
        campaign.health = campaign.health.saturating_sub(blows.health);
        here.rounds.push(Round {
            by: net_id,
            begun: campaign.begun,
            round: campaign.round,
            order: campaign.order,
            foes_felled: blows.foes,
            foes_left: campaign.foes,
            fallen: blows.hands,
            health: campaign.health,
        });
        let end = match () {
            () if campaign.foes == 0 => Some(End::Won),
            () if campaign.health == 0 => Some(End::Lost),
            () if blows.fled || campaign.round >= ROUNDS_MAX => Some(End::Parted),
            () => None,
        };
        let Some(end) = end else {
            campaign.round += 1;
            campaign.round_ends = now + round_ticks(&context);
            campaign.order = Order::default();
            continue;
        };
        let mut chance = context.random(net_id, HURT);
        let lost = campaign.lost;
        let hurt = hurt(lost.all(), retinue.hands.without(&lost).healers, &mut chance);
        let fellows = nearby.within(position.0, FELLOWS_M).map_or(0, |found| found.len());
        let Ok(player) = PlayerId::new(&walker.name) else { continue };
        here.ended.push(Spoils {
            by: net_id,
            player,
            band,
            end,
            begun: campaign.begun,
            ended: now,
            rounds: campaign.round,
            lost,
            hurt,
            fellows: (fellows as u16).min(FELLOWS_MAX),
        });
        let news = BattleNews { band, end, rounds: campaign.round, lost: lost.all(), hurt };
        events.send(net_id, Audience::ViewersOf(net_id), news);
        campaign.end_battle(now + context.ticks(SAFE_S));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E10: whatever is ordered and whoever fights, no side loses more than it has.
    #[test]
    fn no_side_loses_more_than_it_has() {
        let mut chance = Random::named(3, "battle");
        for _ in 0..20_000 {
            let band = Band::ALL[chance.below(3)];
            let order = [Order::Attack, Order::Defend, Order::Flee][chance.below(3)];
            let some = |chance: &mut Random| chance.below(8) as u16;
            let hands =
                Hands { guards: some(&mut chance), archers: some(&mut chance), healers: some(&mut chance) };
            let foes = 1 + chance.below(12) as u16;
            let blows = round(band, foes, &hands, order, &mut chance);
            assert!(blows.foes <= foes && blows.hands <= hands.all(), "{blows:?}");
            assert!(!blows.fled || order == Order::Flee);
            let lost = fall(hands, blows.hands);
            assert_eq!(lost.all(), blows.hands);
            assert!(
                Hand::ALL.into_iter().all(|hand| lost.of(hand) <= hands.of(hand)),
                "{lost:?} of {hands:?}"
            );
            assert!(hurt(lost.all(), hands.healers, &mut chance) <= lost.all());
            assert!(
                hands.all() == 0 || blows.hands == hands.all() || blows.health == 0,
                "hands stand in front"
            );
        }
    }

    /// E10: who brings more people wins more often, and attacking is quicker than waiting.
    #[test]
    fn more_hands_win_more_often_and_attacking_is_quicker() {
        let mut chance = Random::named(5, "battles");
        let mut play = |guards: u16, order: Order| {
            let (mut won, mut rounds) = (0, 0);
            for _ in 0..2_000 {
                let (mut foes, mut health) = (5, HEALTH);
                let mut hands = Hands { guards, archers: 1, healers: 0 };
                for _ in 0..ROUNDS_MAX {
                    rounds += 1;
                    let blows = round(Band::Bandits, foes, &hands, order, &mut chance);
                    foes -= blows.foes;
                    hands = hands.without(&fall(hands, blows.hands));
                    health = health.saturating_sub(blows.health);
                    if foes == 0 || health == 0 {
                        won += u32::from(foes == 0);
                        break;
                    }
                }
            }
            (won, rounds)
        };
        let (alone, _) = play(0, Order::Attack);
        let (few, quick) = play(2, Order::Attack);
        let (many, _) = play(5, Order::Attack);
        let (_, slow) = play(2, Order::Defend);
        assert!(alone + 200 < few && few < many, "{alone} {few} {many}");
        assert!(many > 1_900 && alone > 20, "{alone} {many}");
        assert!(quick < slow, "{quick} {slow}");
    }
}
