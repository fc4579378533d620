//! Errands: goods that somebody at a node wants brought to another node. What is under way is the player's own affair; that it was
//! done is kept at once, and done once.

use std::fmt;

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::store::MutationSummary;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

use super::goods::Good;
use super::hands::RENOWN;
use super::lore::Effect;
use super::people::{Talents, with_experience};
use super::post::{LETTER, Letter, News};
use super::purse::SILVER;
use super::roads::{NodeId, Roads};
use super::trade::{TRADE_REACH_M, found, here};

/// How many errands a player has done, as the save says.
pub const ERRANDS: &str = "errands";
/// The house that pays for them.
const GUILD: &str = "guild";
/// What it adds to a player's fame.
const FAME: u64 = 15;
/// What it adds to a character's experience.
const EXPERIENCE: u64 = 20;
/// What it pays besides twice what the goods usually cost, silver.
const SILVER_FOR_THE_WAY: u64 = 10;
/// Most loads of an errand.
const LOADS_MAX: u16 = 3;
/// Every so many errands are a round one, for which there is a strongbox besides.
const ROUND: u64 = 5;

/// Purposes of chance.
const ERRAND: u32 = 30;

/// What a player has been asked to bring, and how often it has done so.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate, Persist)]
#[persist(periodic)]
#[sync(owner)]
pub struct Errands {
    /// How many it has done.
    #[sync(broadcast)]
    pub done: Settled<u64>,
    /// The one it has taken.
    #[sync(broadcast, max_bytes = 16)]
    pub taken: Option<Errand>,
}

/// An errand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// Which of the player's it is: over once so many are done.
    pub number: u64,
    /// What to bring.
    pub good: Good,
    /// How many loads.
    pub loads: u16,
    /// Where to.
    pub to: NodeId,
}

impl Errands {
    /// The errand that is under way.
    #[must_use]
    pub fn current(&self) -> Option<Errand> {
        self.taken.filter(|errand| errand.number == *self.done)
    }
}

impl Settles for Errands {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        pen.write(&mut self.done, holdings.amount(&ERRANDS.into()));
    }
}

/// Take an errand. Another one takes the place of the one that was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Errand, refusal = ErrandRefusal, rate = 1, burst = 3, coalesce = none, durability = memory)]
pub struct TakeErrand;

/// Bring what was asked for, at the node where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Thanks, refusal = ErrandRefusal, rate = 2, burst = 4, coalesce = none,
    durability = immediate)]
pub struct Deliver;

/// What it brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thanks {
    /// What and how much.
    pub found: Vec<(String, u64)>,
}

/// Why there is no errand, or none is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrandRefusal {
    /// None is under way.
    None,
    /// It is wanted elsewhere.
    Elsewhere {
        /// At which node.
        to: NodeId,
    },
    /// It was done.
    Done,
    /// The goods do not suffice, or there is no room for what it brings.
    Value(PlanRefusal),
}

impl fmt::Display for ErrandRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("you have taken no errand"),
            Self::Elsewhere { to } => {
                write!(f, "it is wanted within {TRADE_REACH_M} m of node {}", to.0)
            }
            Self::Done => f.write_str("that errand is done"),
            Self::Value(why) => why.fmt(f),
        }
    }
}

pub(super) fn take_errand(
    _: &TakeErrand,
    errands: &mut Errands,
    context: &mut OwnContext<'_>,
) -> Result<Errand, ErrandRefusal> {
    let mut chance = context.tick.random(context.actor, ERRAND);
    let errand = Errand {
        number: *errands.done,
        good: Good::ALL[chance.below(Good::ALL.len())],
        loads: 1 + chance.below(usize::from(LOADS_MAX)) as u16,
        // Which of the nodes that is, the map decides: see `place_of`.
        to: NodeId(chance.below(usize::from(u16::MAX)) as u16),
    };
    errands.taken = Some(errand);
    Ok(errand)
}

/// The node that an errand is for, on a map with so many.
#[must_use]
pub fn place_of(errand: &Errand, roads: &Roads) -> NodeId {
    NodeId(errand.to.0 % roads.nodes.len() as u16)
}

pub(super) fn deliver(
    _: &Deliver,
    errands: &Errands,
    context: &AskContext<'_>,
) -> Result<PlanRequest, ErrandRefusal> {
    let errand = errands.current().ok_or(ErrandRefusal::None)?;
    let roads = context.published::<Roads>().ok_or(ErrandRefusal::None)?;
    let to = place_of(&errand, roads);
    let is_there = here(context).ok().filter(|here| here.node == to);
    let here = is_there.ok_or(ErrandRefusal::Elsewhere { to })?;
    let brought = here.brought(errand.good, errand.loads).map_err(|_| ErrandRefusal::Elsewhere { to })?;
    let silver =
        2 * u64::from(here.lore.usual_price(errand.good)) * u64::from(errand.loads) + SILVER_FOR_THE_WAY;
    let silver = Talents::held(here.lore, context.holdings).dearer(Effect::Pay, silver);
    let letter = Letter {
        to: context.player.clone(),
        at_ms: context.tick.now_ms,
        about: News::Errand { silver, renown: FAME },
    };
    let finished = FinishErrand { player: context.player.clone(), number: errand.number };
    let mut request = context
        .request("errand")
        .game(FinishErrand::KIND, &finished)
        .pay(errand.good.asset(), errand.loads.into(), here.market.clone())
        .game(super::MoveStock::KIND, &brought)
        .grant(SILVER, silver, GUILD)
        .grant(RENOWN, FAME, GUILD)
        .grant(ERRANDS, 1, GUILD)
        .deliver(LETTER, &letter);
    request = with_experience(request, context.holdings, EXPERIENCE);
    if (errand.number + 1).is_multiple_of(ROUND) {
        request = request.grant(super::STRONGBOX, 1, GUILD);
    }
    Ok(request)
}

pub(super) fn delivered(
    _: &Deliver,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Thanks, ErrandRefusal> {
    let summary = outcome.map_err(|why| match why {
        PlanRefusal::Game { reason, .. } if reason == DONE => ErrandRefusal::Done,
        why => ErrandRefusal::Value(why.clone()),
    })?;
    Ok(Thanks { found: found(summary) })
}

const DONE: &str = "that errand is done";

/// An errand is done: once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishErrand {
    player: PlayerId,
    number: u64,
}

impl FinishErrand {
    /// What a plan calls it.
    pub(super) const KIND: &str = "finish_errand";
}

impl MutationKind for FinishErrand {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        let number = i64::try_from(data.number).unwrap_or(i64::MAX);
        let player = data.player.as_str();
        tx.execute(
            "INSERT INTO game_caravan_errand (player, done) VALUES (?1, 0) ON CONFLICT DO NOTHING",
            &[player.into()],
        )?;
        let finished = tx.execute(
            "UPDATE game_caravan_errand SET done = done + 1 WHERE player = ?1 AND done = ?2",
            &[player.into(), number.into()],
        )?;
        if finished == 1 { Ok(()) } else { Err(KindRefusal::new(DONE)) }
    }

    /// As many as are counted were done.
    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let wrong = tx.query(
            "SELECT errand.player FROM game_caravan_errand AS errand WHERE errand.done <> coalesce((
                 SELECT holding.amount FROM holding
                 JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
                 WHERE account.kind = 'player' AND account.name = errand.player AND asset.name = 'errands'), 0)",
            &[],
        )?;
        let tell = |row: &Vec<crate::store::game::SqlValue>| {
            let player = row.first().and_then(|value| value.text()).unwrap_or("?").to_owned();
            format!("game_caravan_errand {player}: as many errands are held as were done")
        };
        Ok(wrong.iter().map(tell).collect())
    }
}
