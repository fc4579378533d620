//! Errands: goods that somebody at a node wants brought to another node. What is under way is the player's own affair; that it was
//! done is kept at once, and done once.
//!
//! It pays for the way: what was bought where it is wanted is not taken, as the plan finds.
//!
//! What a node offers a player follows from the player, the node and what it has done and given up so far, and is never for that node
//! itself: who asks again is offered the same, and who gives up waits. So nobody waits for an errand that pays where it stands.

use std::fmt;

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::store::MutationSummary;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

use super::elsewhere::{BOUGHT_HERE, FromElsewhere};
use super::goods::Good;
use super::hands::RENOWN;
use super::lore::Effect;
use super::objection::Told;
use super::outcome::found;
use super::people::{Talents, with_experience};
use super::post::{LETTER, Letter, News};
use super::purse::{SILVER, with_strongbox};
use super::quotes::Quotes;
use super::roads::{NodeId, Roads};
use super::trade::{TRADE_REACH_M, here};
use super::walk::Walker;

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

/// Who has given one up is offered no other for so long, ms of world time.
const REST_MS: u64 = 3 * 60 * 1_000;

/// What a player has been asked to bring, and how often it has done so.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate, Persist)]
#[persist(periodic)]
#[sync(owner)]
pub struct Errands {
    /// How many it has done.
    #[sync(broadcast)]
    pub done: Settled<u64>,
    /// The one it has taken.
    #[sync(broadcast, max_bytes = 24)]
    pub taken: Option<Errand>,
    /// The one that it can take at the node where it is.
    #[sync(broadcast, max_bytes = 24)]
    pub offered: Option<Errand>,
    /// How many it has given up.
    #[sync(broadcast)]
    pub given_up: u32,
    /// Until when it is offered none, since it gave one up, ms since 1970 of world time.
    #[sync(broadcast)]
    pub rests_until_ms: u64,
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
    /// Where it was offered.
    pub from: NodeId,
    /// Where to.
    pub to: NodeId,
}

impl Errands {
    /// The errand that is under way.
    #[must_use]
    pub fn current(&self) -> Option<Errand> {
        self.taken.filter(|errand| errand.number == *self.done)
    }

    /// Puts away an errand that is over once so many are done: with another character they are counted anew, and it would be under way
    /// again.
    fn put_away(&mut self, done: u64) {
        self.taken = self.taken.filter(|errand| errand.number == done);
    }

    /// What a node offers its player now; `None` while it has one, rests, or there is no other node.
    fn offer(&self, seed: u64, player: &str, now_ms: u64, node: NodeId, nodes: usize) -> Option<Errand> {
        if self.current().is_some() || now_ms < self.rests_until_ms || nodes < 2 {
            return None;
        }
        let (number, given_up) = (*self.done, self.given_up);
        let mut chance = Random::named(seed, &format!("errand {player}/{number}/{given_up}/{}", node.0));
        let further = 1 + chance.below(nodes - 1);
        Some(Errand {
            number,
            good: Good::ALL[chance.below(Good::ALL.len())],
            loads: 1 + chance.below(usize::from(LOADS_MAX)) as u16,
            from: node,
            to: NodeId(((usize::from(node.0) + further) % nodes) as u16),
        })
    }
}

impl Settles for Errands {
    fn settle(&mut self, holdings: &Holdings, pen: &Pen) {
        let done = holdings.amount(&ERRANDS.into());
        pen.write(&mut self.done, done);
        self.put_away(done);
    }
}

/// Take the errand that is offered at the node where one is. Who has one keeps it, and is told of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Errand, refusal = ErrandRefusal, rate = 1, burst = 3, coalesce = none, durability = memory)]
pub struct TakeErrand;

/// Give up the errand that one has taken. The answer is how many seconds one waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u32, refusal = ErrandRefusal, rate = 1, burst = 3, coalesce = none, durability = memory)]
pub struct GiveUpErrand;

/// Bring what was asked for, at the node where it is wanted. It is to come from elsewhere: who bought of it at that node a while ago is
/// paid nothing.
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
    /// None is offered here: it is no node.
    NoOffer,
    /// One was given up, and none is offered yet.
    Rests {
        /// For how long, seconds.
        wait_s: u32,
    },
    /// It is wanted elsewhere.
    Elsewhere {
        /// At which node.
        to: NodeId,
    },
    /// It was done.
    Done,
    /// The player bought of the good at this very node a while ago.
    BoughtHere,
    /// The goods do not suffice, or there is no room for what it brings.
    Value(PlanRefusal),
}

impl fmt::Display for ErrandRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("you have taken no errand"),
            Self::NoOffer => write!(f, "errands are offered within {TRADE_REACH_M} m of a trade node"),
            Self::Rests { wait_s } => {
                write!(f, "you gave up an errand: nobody offers you another for {wait_s} s")
            }
            Self::Elsewhere { to } => {
                write!(f, "it is wanted within {TRADE_REACH_M} m of node {}", to.0)
            }
            Self::Done => f.write_str(DONE),
            Self::BoughtHere => f.write_str(BOUGHT_HERE),
            Self::Value(why) => Told(why).fmt(f),
        }
    }
}

/// Lets everybody who is at a node know what it offers.
pub(super) fn offer(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    mut walkers: Query<(&Walker, &Quotes, &mut Errands)>,
) {
    for (walker, quotes, mut errands) in &mut walkers {
        // What is offered already stays so; only what is new is drawn.
        let is_offered = |node: NodeId| {
            let same = |errand: &Errand| errand.from == node && errand.number == *errands.done;
            errands.current().is_none() && errands.offered.as_ref().is_some_and(same)
        };
        let offered = match quotes.node {
            Some(node) if is_offered(node) => continue,
            Some(node) => errands.offer(context.seed, &walker.name, context.now_ms, node, roads.nodes.len()),
            None => None,
        };
        if errands.offered != offered {
            errands.offered = offered;
        }
    }
}

pub(super) fn take_errand(
    _: &TakeErrand,
    errands: &mut Errands,
    context: &mut OwnContext<'_>,
) -> Result<Errand, ErrandRefusal> {
    if let Some(errand) = errands.current() {
        return Ok(errand);
    }
    let wait_ms = errands.rests_until_ms.saturating_sub(context.tick.now_ms);
    if wait_ms > 0 {
        return Err(ErrandRefusal::Rests { wait_s: wait_ms.div_ceil(1_000) as u32 });
    }
    // One that was done in this very tick is offered no more.
    let offered = errands.offered.take().filter(|errand| errand.number == *errands.done);
    let errand = offered.ok_or(ErrandRefusal::NoOffer)?;
    errands.taken = Some(errand);
    Ok(errand)
}

pub(super) fn give_up_errand(
    _: &GiveUpErrand,
    errands: &mut Errands,
    context: &mut OwnContext<'_>,
) -> Result<u32, ErrandRefusal> {
    errands.current().ok_or(ErrandRefusal::None)?;
    errands.taken = None;
    errands.given_up = errands.given_up.saturating_add(1);
    errands.rests_until_ms = context.tick.now_ms + REST_MS;
    Ok((REST_MS / 1_000) as u32)
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
        .game(FromElsewhere::KIND, &here.handed_in_here(errand.good))
        .pay(errand.good.asset(), errand.loads.into(), here.market.clone())
        .game(super::MoveStock::KIND, &brought)
        .grant(SILVER, silver, GUILD)
        .grant(RENOWN, FAME, GUILD)
        .grant(ERRANDS, 1, GUILD)
        .deliver(LETTER, &letter);
    request = with_experience(request, context.holdings, EXPERIENCE);
    if (errand.number + 1).is_multiple_of(ROUND) {
        request = with_strongbox(request, GUILD);
    }
    Ok(request)
}

pub(super) fn delivered(
    _: &Deliver,
    outcome: Result<&MutationSummary, &PlanRefusal>,
) -> Result<Thanks, ErrandRefusal> {
    let summary = outcome.map_err(|why| match why {
        PlanRefusal::Game { reason, .. } if reason == DONE => ErrandRefusal::Done,
        PlanRefusal::Game { reason, .. } if reason == BOUGHT_HERE => ErrandRefusal::BoughtHere,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn errands(given_up: u32) -> Errands {
        Errands { given_up, ..Errands::default() }
    }

    /// E9: whoever asks again is offered the same, wherever else it was meanwhile, and never what is wanted where it stands.
    #[test]
    fn what_a_node_offers_stays_the_same_and_is_never_for_itself() {
        let mut seen = BTreeSet::new();
        for nodes in [2, 3, 17] {
            for node in (0..nodes as u16).map(NodeId) {
                for player in ["anna", "bob"] {
                    for given_up in 0..20 {
                        let offer = || errands(given_up).offer(7, player, 1, node, nodes).expect("offered");
                        assert_eq!(offer(), offer(), "asking again changes nothing");
                        assert!(offer().to != node && usize::from(offer().to.0) < nodes, "{:?}", offer());
                        assert!((1..=LOADS_MAX).contains(&offer().loads) && offer().from == node);
                        seen.insert((offer().good, offer().loads, offer().to));
                    }
                }
            }
        }
        assert!(seen.len() > 150, "errands differ: {}", seen.len());
    }

    /// E9: an errand that was done is not under way again when another character begins and errands are counted anew.
    #[test]
    fn an_errand_that_was_done_never_comes_back() {
        let taken = errands(0).offer(7, "anna", 1, NodeId(0), 5);
        let mut errands = Errands { taken, ..errands(0) };
        errands.put_away(0);
        assert_eq!(errands.current(), taken, "it is under way");
        errands.put_away(1);
        errands.put_away(0);
        assert_eq!(errands.current(), None);
    }

    /// E9: nothing is offered to who has one, has given one up a moment ago, or where there is nowhere to go.
    #[test]
    fn who_has_an_errand_or_gave_one_up_is_offered_none() {
        let offer =
            |errands: &Errands, now_ms: u64, nodes: usize| errands.offer(7, "anna", now_ms, NodeId(0), nodes);
        let free = errands(0);
        let errand = offer(&free, 1, 5);
        assert!(errand.is_some());
        assert_eq!(offer(&free, 1, 1), None, "a map of one place");
        let busy = Errands { taken: errand, ..errands(0) };
        assert_eq!(offer(&busy, 1, 5), None);
        let rests = Errands { rests_until_ms: 1_000, ..errands(1) };
        assert_eq!(offer(&rests, 999, 5), None);
        assert!(offer(&rests, 1_000, 5).is_some());
    }
}
