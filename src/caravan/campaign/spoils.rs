//! What a battle comes to, in one plan: who was lost, loot and fame, and a row that tells of it. Rounds are told in batches.

use std::collections::BTreeMap;

use crate::cell::pool::{NodeContext, with_cells};
use crate::ids::PlayerId;
use crate::prelude::*;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};
use crate::value::Book;

use super::super::hands::{HANDS, Hand, Hands, RENOWN, WOUNDED};
use super::super::lore::{ItemId, Slot};
use super::super::people::{put_away, with_experience, worn_asset};
use super::super::post::{LETTER, Letter, News};
use super::super::purse::SILVER;
use super::band::Band;
use super::battle::{End, Order};

/// The house that robbers bring their loot to.
const ROBBERS: &str = "bandits";
/// The house that fame comes from.
const FAME: &str = "fame";
/// Of the silver of who is beaten, robbers take one part in so many.
const ROBBED_PART: u64 = 10;
/// Fame for each fellow who is near, percent.
const FELLOW_PERCENT: u64 = 10;
/// A settlement that is refused is asked for again so often, with what there is then.
const TRIES_MAX: u8 = 5;
/// After so many ticks without an answer as well.
const ASKS_AGAIN_TICKS: u64 = 200;
/// So many settlements may wait; a battle that ends beyond is for nothing.
const WAITING_MAX: usize = 10_000;
/// Rounds are written when there are so many, or after so many ticks.
const ROUNDS_AT_ONCE: usize = 200;
const ROUNDS_EVERY: u64 = 100;
/// Most rounds that wait to be written; what is told beyond is left out.
const ROUNDS_MAX: usize = 20_000;

/// Tells who sees it how a battle ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Replicate)]
pub struct BattleNews {
    /// Whom the player fought.
    #[sync(broadcast)]
    pub band: Band,
    /// How it ended.
    #[sync(broadcast)]
    pub end: End,
    /// After how many rounds.
    #[sync(broadcast)]
    pub rounds: u16,
    /// How many were lost. The player alone is told.
    #[sync(custom = own)]
    pub lost: u16,
    /// How many of them are only hurt.
    #[sync(custom = own)]
    pub hurt: u16,
}

fn own(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

/// A battle that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoils {
    pub(super) by: NetId,
    pub(super) player: PlayerId,
    pub(super) band: Band,
    pub(super) end: End,
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) rounds: u16,
    pub(super) lost: Hands,
    pub(super) hurt: u16,
    /// What was worn and is lost.
    pub(super) broken: Vec<(Slot, ItemId)>,
    pub(super) fellows: u16,
}

/// A round that was fought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub(super) by: NetId,
    pub(super) begun: u64,
    pub(super) round: u16,
    pub(super) order: Order,
    pub(super) foes_felled: u16,
    pub(super) foes_left: u16,
    pub(super) fallen: u16,
    pub(super) health: u16,
}

/// What one cell's battles came to in a tick.
#[derive(Resource, Debug, Default)]
pub struct BattlesHere {
    pub(super) ended: Vec<Spoils>,
    pub(super) rounds: Vec<Round>,
}

/// A settlement that is asked for.
#[derive(Clone, Debug)]
struct Waiting {
    spoils: Spoils,
    tries: u8,
    asked: Option<u64>,
}

/// Battles that are over and not settled yet, and rounds that are not written yet. In memory alone.
#[derive(Resource, Debug, Default)]
pub struct Battles {
    waiting: BTreeMap<ClaimKey, Waiting>,
    rounds: Vec<Round>,
    /// When the oldest of them was fought.
    since: u64,
    settled: u64,
    left_out: u64,
}

impl Battles {
    /// How many were settled since the start.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// How many settlements and rounds were left out because too many waited.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl Spoils {
    /// One battle, one key: whatever it comes to happens once.
    fn key(&self) -> ClaimKey {
        ClaimKey::named("battle", format!("{} {}", self.player.as_str(), self.begun).as_bytes())
    }

    /// What it comes to, for somebody who holds this now: nobody loses more than there is.
    fn request(&self, holdings: &Holdings, now_ms: u64) -> PlanRequest {
        let lost = Hands::held(holdings);
        let mut request = PlanRequest::new("battle", &self.player);
        let mut fallen = 0;
        for hand in Hand::ALL {
            let count = u64::from(self.lost.of(hand).min(lost.of(hand)));
            if count > 0 {
                request = request.pay(hand.asset(), count, HANDS);
                fallen += count;
            }
        }
        let hurt = u64::from(self.hurt).min(fallen);
        if hurt > 0 {
            request = request.grant(WOUNDED, hurt, HANDS);
        }
        for (slot, item) in &self.broken {
            if holdings.amount(&worn_asset(item)) > 0 {
                request = put_away(request, holdings, *slot, item);
            }
        }
        let lived = self.band.experience() / if self.end == End::Won { 1 } else { 2 };
        request = with_experience(request, holdings, lived);
        match self.end {
            End::Won => {
                let fame = self.band.fame() * (100 + FELLOW_PERCENT * u64::from(self.fellows)) / 100;
                request = request.grant(RENOWN, fame, FAME).loot(self.band.name(), 1);
                let about = News::Victory { band: self.band, renown: fame, lost: fallen as u16 };
                request = request.deliver(LETTER, &Letter { to: self.player.clone(), at_ms: now_ms, about });
            }
            End::Lost => {
                let robbed = holdings.amount(&SILVER.into()) / ROBBED_PART;
                if robbed > 0 {
                    request = request.pay(SILVER, robbed, ROBBERS);
                }
            }
            End::Parted => {}
        }
        request.game(KeepBattle::KIND, &KeepBattle(self.clone()))
    }
}

/// Collects what battles came to in all cells, in an order that depends on no cell.
pub(in super::super) fn bring_spoils(world: &mut World) {
    let (mut ended, mut rounds) = (Vec::new(), Vec::new());
    with_cells(world, |_, cells| {
        for cell in cells.iter() {
            let here = cell.world.resource::<BattlesHere>();
            ended.extend(here.ended.iter().cloned());
            rounds.extend(here.rounds.iter().cloned());
        }
    });
    if ended.is_empty() && rounds.is_empty() {
        return;
    }
    ended.sort_by_key(|spoils| spoils.by);
    rounds.sort_by_key(|round| (round.by, round.begun, round.round));
    let now = world.resource::<NodeContext>().0.tick.0;
    let mut battles = world.resource_mut::<Battles>();
    let room = WAITING_MAX.saturating_sub(battles.waiting.len());
    battles.left_out += ended.len().saturating_sub(room) as u64;
    for spoils in ended.into_iter().take(room) {
        battles.waiting.insert(spoils.key(), Waiting { spoils, tries: 0, asked: None });
    }
    if battles.rounds.is_empty() {
        battles.since = now;
    }
    let room = ROUNDS_MAX.saturating_sub(battles.rounds.len());
    battles.left_out += rounds.len().saturating_sub(room) as u64;
    battles.rounds.extend(rounds.into_iter().take(room));
}

/// Asks for what battles came to, again with what there is where it was refused, and has their rounds written.
pub(in super::super) fn settle_battles(
    mut rewards: RewardsOfNode,
    book: Res<Book>,
    context: Res<NodeContext>,
    mut battles: ResMut<Battles>,
) {
    let now = context.0.tick.0;
    let battles = &mut *battles;
    for outcome in rewards.outcomes() {
        let Some(waiting) = battles.waiting.get_mut(&outcome.claim.key) else { continue };
        let over = match &outcome.result {
            Ok(_) => {
                battles.settled += 1;
                true
            }
            // It was settled before, under this key, in a life of this world that ended too soon.
            Err(PlanRefusal::KeyReused | PlanRefusal::TooOld) => true,
            Err(_) => {
                waiting.tries += 1;
                waiting.asked = None;
                waiting.tries >= TRIES_MAX
            }
        };
        if over {
            battles.waiting.remove(&outcome.claim.key);
        }
    }
    let nothing = Holdings::default();
    for (&key, waiting) in &mut battles.waiting {
        if waiting.asked.is_some_and(|asked| now < asked + ASKS_AGAIN_TICKS) {
            continue;
        }
        waiting.asked = Some(now);
        let holdings = book.get(&waiting.spoils.player).unwrap_or(&nothing);
        rewards.ask(waiting.spoils.by, key, waiting.spoils.request(holdings, context.0.now_ms));
    }
    let is_time = battles.rounds.len() >= ROUNDS_AT_ONCE || now >= battles.since + ROUNDS_EVERY;
    if is_time && !battles.rounds.is_empty() {
        let count = battles.rounds.len().min(ROUNDS_AT_ONCE);
        let rounds: Vec<Round> = battles.rounds.drain(..count).collect();
        battles.since = now;
        let key = ClaimKey::named("rounds", &now.to_le_bytes());
        let request = PlanRequest::new("rounds", Account::house("chronicle"));
        rewards.ask(NetId::WORLD, key, request.game(KeepRounds::KIND, &KeepRounds(rounds)));
    }
}

/// A battle that is over, for those who look after the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepBattle(Spoils);

impl KeepBattle {
    /// What a plan calls it.
    pub(in super::super) const KIND: &str = "keep_battle";
}

impl MutationKind for KeepBattle {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self(spoils): Self) -> Result<(), KindRefusal> {
        let tick = |tick: u64| i64::try_from(tick).unwrap_or(i64::MAX).into();
        tx.execute(
            "INSERT INTO game_caravan_battle (player, begun, ended, band, result, rounds, fallen, wounded)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                spoils.player.as_str().into(),
                tick(spoils.begun),
                tick(spoils.ended),
                spoils.band.name().into(),
                spoils.end.name().into(),
                u32::from(spoils.rounds).into(),
                u32::from(spoils.lost.all()).into(),
                u32::from(spoils.hurt).into(),
            ],
        )?;
        Ok(())
    }
}

/// Rounds that were fought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepRounds(Vec<Round>);

/// Battles whose rounds are kept: of older ones the row of the battle is left.
const ROUNDS_KEPT: i64 = 100_000;

impl KeepRounds {
    /// What a plan calls it.
    pub(in super::super) const KIND: &str = "keep_rounds";
}

impl MutationKind for KeepRounds {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self(rounds): Self) -> Result<(), KindRefusal> {
        for round in rounds {
            tx.execute(
                "INSERT INTO game_caravan_round (avatar, begun, round, doing, felled, foes, fallen, health)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &[
                    round.by.0.cast_signed().into(),
                    i64::try_from(round.begun).unwrap_or(i64::MAX).into(),
                    u32::from(round.round).into(),
                    round.order.to_string().as_str().into(),
                    u32::from(round.foes_felled).into(),
                    u32::from(round.foes_left).into(),
                    u32::from(round.fallen).into(),
                    u32::from(round.health).into(),
                ],
            )?;
        }
        tx.execute(
            "DELETE FROM game_caravan_round WHERE id <= (SELECT max(id) FROM game_caravan_round) - ?1",
            &[ROUNDS_KEPT.into()],
        )?;
        Ok(())
    }
}
