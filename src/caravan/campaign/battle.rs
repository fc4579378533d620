//! Battles: round by round, by rules that are functions of numbers and of chance, which depends on the player and the tick alone.

use std::fmt;

use crate::prelude::*;

use super::super::hands::{Hand, Hands, Retinue};
use super::super::lore::{Effect, ItemId, Lore, Slot};
use super::super::people::{Character, Outfit, Talents, Worn, dies};
use super::super::walk::Walker;
use super::Campaign;
use super::chronicle::Round;
use super::settle::BattlesHere;
use super::spoils::Spoils;

/// How much a player who is nobody in particular can take.
const HEALTH: u16 = 30;
/// An injury takes one part in so many of that.
const INJURY_PARTS: u64 = 5;
/// How hard such a one strikes, with bare hands.
const BARE_HANDS: f32 = 5.0;
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
/// So much force fells one of the foes, so much one of the hands.
const FORCE_PER_FOE: f32 = 9.0;
const FORCE_PER_HAND: f32 = 14.0;
/// Whoever flees gets away so often.
const FLEES_SHARE: f32 = 0.6;
/// And nobody more often than this.
const FLEES_SHARE_MAX: f32 = 0.95;
/// So many of those who fall are only hurt; each healer saves so many more, up to the most.
const HURT_SHARE: f32 = 0.4;
const HURT_PER_HEALER: f32 = 0.1;
const HURT_SHARE_MAX: f32 = 0.9;

/// Purposes of chance.
const ROUND: u32 = 21;
const HURT: u32 = 22;
const BREAKS: u32 = 23;
const DEATH: u32 = 25;

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

/// How much somebody can take who has so many injuries: each of them takes a part of it.
pub(super) fn health(talents: &Talents, injuries: u64) -> u16 {
    let sound = u64::from(HEALTH) + u64::from(talents.of_effect(Effect::Health));
    let left = sound * INJURY_PARTS.saturating_sub(injuries) / INJURY_PARTS;
    u16::try_from(left.max(1)).unwrap_or(u16::MAX)
}

/// What a round takes from either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blows {
    pub(super) foes: u16,
    pub(super) hands: u16,
    pub(super) health: u16,
    pub(super) fled: bool,
}

/// A player and those who stand with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) talents: &'a Talents,
    pub(super) hands: &'a Hands,
}

impl Side<'_> {
    /// How hard it strikes all together.
    pub(super) fn force(&self) -> f32 {
        let Self { talents, hands } = self;
        let of_hands =
            4.0 * f32::from(hands.guards) + 6.0 * f32::from(hands.archers) + 1.0 * f32::from(hands.healers);
        (BARE_HANDS + talents.attack as f32) * talents.factor(Effect::Force)
            + of_hands * talents.factor(Effect::Command)
    }
}

/// One round against so many foes, each of whom strikes so hard. Foes fall by the force of the player's side, hands by that of the foes;
/// who has none left is struck itself, less hard in good clothes.
pub(super) fn round(strength: f32, foes: u16, side: Side<'_>, order: Order, chance: &mut Random) -> Blows {
    let (Side { talents, hands }, (dealt, felt)) = (side, order.dealt_and_felt());
    let theirs = strength * f32::from(foes);
    let felled = side.force() * dealt * chance.between(0.6..1.4) / FORCE_PER_FOE;
    let struck = theirs * felt * chance.between(0.6..1.4);
    let fled = order == Order::Flee
        && chance.chance((FLEES_SHARE + talents.share(Effect::Escape)).min(FLEES_SHARE_MAX));
    // A part of one is one, so often.
    let whole = |amount: f32, chance: &mut Random| amount as u16 + u16::from(chance.chance(amount.fract()));
    let foes_felled = whole(felled, chance).min(foes);
    let fallen = whole(struck / FORCE_PER_HAND, chance).min(hands.all());
    let blow = ((struck / 2.0) as u16 + 1).saturating_sub(u16::try_from(talents.defence).unwrap_or(u16::MAX));
    let health = if hands.all() > fallen { 0 } else { blow.max(1) };
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
pub(super) fn hurt(fallen: u16, healers: u16, talents: &Talents, chance: &mut Random) -> u16 {
    let share = HURT_SHARE + HURT_PER_HEALER * f32::from(healers) + talents.share(Effect::Mercy);
    (0..fallen).map(|_| u16::from(chance.chance(share.min(HURT_SHARE_MAX)))).sum()
}

/// What of all that is worn is lost in a defeat.
fn broken(worn: &Worn, lore: &Lore, chance: &mut Random) -> Vec<(Slot, ItemId)> {
    let mut worn = worn.by_slot(lore);
    worn.retain(|(_, _, item)| chance.chance(item.breaks as f32 / 100.0));
    worn.into_iter().map(|(slot, id, _)| (slot, id)).collect()
}

/// Fights the rounds whose time is up.
pub(in super::super) fn fight_on(
    context: Res<TickContext>,
    lore: Res<Published<Lore>>,
    nearby: Nearby,
    mut here: ResMut<BattlesHere>,
    mut fighting: Query<(&NetId, &Position, &Walker, &Retinue, (&Character, &Outfit), &mut Campaign)>,
) {
    let now = context.tick.0;
    for (&net_id, position, walker, retinue, (character, outfit), mut campaign) in &mut fighting {
        let Some(band) = campaign.band.filter(|_| now >= campaign.round_ends) else { continue };
        if now > campaign.round_ends {
            // The player was away: the round begins anew, so that there is time for an order.
            campaign.round_ends = now + round_ticks(&context);
            continue;
        }
        let mut chance = context.random(net_id, ROUND);
        let standing = retinue.hands.without(&campaign.lost);
        let talents = Talents::of(&lore, character, outfit);
        let side = Side { talents: &talents, hands: &standing };
        let blows = round(campaign.strength, campaign.foes, side, campaign.order, &mut chance);
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
        let hurt = hurt(lost.all(), retinue.hands.without(&lost).healers, &talents, &mut chance);
        let mut chance = context.random(net_id, BREAKS);
        let broken = if end == End::Lost { broken(&outfit.worn, &lore, &mut chance) } else { Vec::new() };
        let mut chance = context.random(net_id, DEATH);
        let died = end == End::Lost && *character.level > 0 && dies(campaign.injuries, &mut chance);
        // Who of them is a fellow the node knows.
        let near = nearby.within(position.0, FELLOWS_M).unwrap_or_default();
        let near: Vec<NetId> = near.into_iter().map(|near| near.net_id).collect();
        if let Ok(player) = PlayerId::new(&walker.name) {
            let spoils = Spoils {
                by: net_id,
                player,
                band,
                end,
                begun: campaign.begun,
                begun_ms: campaign.begun_ms,
                ended: now,
                rounds: campaign.round,
                lost,
                hurt,
                broken,
                died,
                fellows: 0,
            };
            here.ended.push((spoils, near));
        }
        campaign.end_battle(now + context.ticks(SAFE_S));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Band;
    use super::*;

    /// E10: whatever is ordered and whoever fights, no side loses more than it has.
    #[test]
    fn no_side_loses_more_than_it_has() {
        let mut chance = Random::named(3, "battle");
        for _ in 0..20_000 {
            let band = Band::ALL[chance.below(Band::ALL.len())];
            let order = [Order::Attack, Order::Defend, Order::Flee][chance.below(3)];
            let some = |chance: &mut Random| chance.below(8) as u16;
            let hands =
                Hands { guards: some(&mut chance), archers: some(&mut chance), healers: some(&mut chance) };
            let foes = 1 + chance.below(12) as u16;
            let talents = Talents::in_gear(some(&mut chance).into(), some(&mut chance).into());
            let side = Side { talents: &talents, hands: &hands };
            let blows = round(band.strength(), foes, side, order, &mut chance);
            assert!(blows.foes <= foes && blows.hands <= hands.all(), "{blows:?}");
            assert!(!blows.fled || order == Order::Flee);
            let lost = fall(hands, blows.hands);
            assert_eq!(lost.all(), blows.hands);
            assert!(
                Hand::ALL.into_iter().all(|hand| lost.of(hand) <= hands.of(hand)),
                "{lost:?} of {hands:?}"
            );
            assert!(hurt(lost.all(), hands.healers, &talents, &mut chance) <= lost.all());
            assert!(
                hands.all() == 0 || blows.hands == hands.all() || blows.health == 0,
                "hands stand in front"
            );
            assert!(hands.all() > 0 || blows.health > 0, "whatever is worn, a blow is felt");
        }
    }

    /// E10: of everything that a character has and wears each makes its own difference in battles, and none to nobody.
    #[test]
    fn what_one_has_learned_and_wears_decides_battles() {
        let effect = |effect: Effect, much: u32| Talents::with(effect, much);
        let alone = Hands::default();
        let some = Hands { guards: 4, archers: 2, healers: 0 };
        // Of so many fights of some rounds: foes felled, blows taken, times fled.
        let play = |talents: &Talents, hands: &Hands, order: Order| {
            let mut chance = Random::named(9, "fights");
            let (mut foes, mut struck, mut fled) = (0_u32, 0_u32, 0_u32);
            for _ in 0..4_000 {
                let blows = round(Band::Raiders.strength(), 12, Side { talents, hands }, order, &mut chance);
                foes += u32::from(blows.foes);
                struck += u32::from(blows.health);
                fled += u32::from(blows.fled);
            }
            (foes, struck, fled)
        };
        let nobody = Talents::default();
        let (foes, struck, _) = play(&nobody, &alone, Order::Attack);
        let (foes_of_all, ..) = play(&nobody, &some, Order::Attack);
        let (_, _, fled) = play(&nobody, &alone, Order::Flee);
        let more = |much: u32, than: u32| assert!(much * 10 > than * 11, "{much} {than}");
        more(play(&effect(Effect::Force, 50), &alone, Order::Attack).0, foes);
        more(play(&Talents::in_gear(6, 0), &alone, Order::Attack).0, foes);
        more(play(&effect(Effect::Command, 50), &some, Order::Attack).0, foes_of_all);
        more(play(&effect(Effect::Escape, 20), &alone, Order::Flee).2, fled);
        more(struck, play(&Talents::in_gear(0, 8), &alone, Order::Attack).1);
        assert_eq!((health(&nobody, 0), health(&effect(Effect::Health, 9), 0)), (30, 39));
        assert_eq!([1, 3, 5, 9].map(|injuries| health(&nobody, injuries)), [24, 12, 1, 1]);
        let mut chance = Random::named(9, "hurt");
        let (many, few) =
            (hurt(4_000, 0, &effect(Effect::Mercy, 24), &mut chance), hurt(4_000, 0, &nobody, &mut chance));
        more(many.into(), few.into());
    }

    /// E10: what is worn is lost in a defeat as often as the file says.
    #[test]
    fn what_is_worn_is_lost_as_often_as_the_file_says() {
        let lore = Lore::shipped();
        let mut holdings = Holdings::default();
        for item in ["sabre", "leather"] {
            let worn = crate::reward::Name::new(&format!("worn/{item}")).unwrap();
            holdings.set(&worn, crate::reward::Lot::PLAIN, 1);
        }
        let worn = Worn::held(&holdings);
        let mut chance = Random::named(4, "defeats");
        let mut lost = std::collections::BTreeMap::<Slot, u32>::new();
        for _ in 0..10_000 {
            for (slot, item) in broken(&worn, &lore, &mut chance) {
                assert_eq!(lore.items()[&item].slot, slot);
                *lost.entry(slot).or_default() += 1;
            }
        }
        let near = |slot: Slot, share: u32| lost[&slot].abs_diff(100 * share) < 200;
        assert!(near(Slot::Hand, 20) && near(Slot::Body, 25) && lost.len() == 2, "{lost:?}");
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
                    let side = Side { talents: &Talents::default(), hands: &hands };
                    let blows = round(Band::Bandits.strength(), foes, side, order, &mut chance);
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
