//! Has what battles came to settled, and tells players how they ended: once it is committed, and not before.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::pool::{NodeContext, with_cells};
use crate::prelude::*;
use crate::session::Sessions;
use crate::value::Book;

use super::super::lore::Lore;
use super::super::travel::for_owner as own;
use super::band::Band;
use super::battle::End;
use super::chronicle::{Begun, Chronicle, Round};
use super::spoils::{Spoils, Toll};

/// A settlement that is refused is asked for again so often, with what there is then.
const TRIES_MAX: u8 = 5;
/// While nothing of value changes hands, or too much of a player waits, it is asked for again after so many ticks: that is no try.
pub(super) const ASKS_AGAIN_TICKS: u64 = 200;
/// For so long a settlement waits for a player who has left, s: what the player holds is known while it is in the world.
const WAITS_FOR_PLAYER_S: f32 = 3_600.0;
/// So many settlements may wait; a battle that ends beyond is for nothing.
const WAITING_MAX: usize = 10_000;
/// How many fellows count.
const FELLOWS_MAX: usize = 4;

/// Tells who sees it how a battle ended: when what it came to is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Replicate)]
pub struct BattleNews {
    /// Whose battle it was.
    #[sync(broadcast, max_bytes = 40)]
    pub player: String,
    /// It is the player's own who is told.
    #[sync(custom = own)]
    pub is_own: bool,
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
    /// The player's character died of it: all that it had is gone.
    #[sync(custom = own)]
    pub died: bool,
    /// It could not be settled: nothing was taken, and nothing gained.
    #[sync(custom = own)]
    pub is_void: bool,
}

/// What one cell's battles came to in a tick.
#[derive(Resource, Debug, Default)]
pub struct BattlesHere {
    pub(super) begun: Vec<Begun>,
    /// With everything that was near.
    pub(super) ended: Vec<(Spoils, Vec<NetId>)>,
    pub(super) rounds: Vec<Round>,
}

/// A settlement that has not come yet.
#[derive(Clone, Debug)]
struct Waiting {
    spoils: Spoils,
    tries: u8,
    /// Under which key it is asked for, and whom that takes; `None` while it is not.
    asked: Option<(ClaimKey, Toll)>,
    /// It is not asked for before this tick.
    not_before: u64,
}

/// Battles that are over and not settled yet, in the order in which they ended. In memory alone.
#[derive(Resource, Debug, Default)]
pub struct Battles {
    waiting: BTreeMap<u64, Waiting>,
    /// Numbers of those that are asked for.
    by_key: BTreeMap<ClaimKey, u64>,
    /// Those for which there was no room: their players are told in the next tick.
    beyond: Vec<Spoils>,
    ended: u64,
    settled: u64,
    given_up: u64,
}

impl Battles {
    /// How many were settled since the start.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// How many are over and not settled yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many were given up since the start: too many waited, their players did not come back, or their settlements were refused again
    /// and again.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Takes up battles that have just ended, as many as there is room for.
    fn take_up(&mut self, ended: Vec<Spoils>) {
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        let mut ended = ended.into_iter();
        for spoils in ended.by_ref().take(room) {
            self.ended += 1;
            self.waiting.insert(self.ended, Waiting { spoils, tries: 0, asked: None, not_before: 0 });
        }
        let waiting = self.beyond.len();
        self.beyond.extend(ended);
        if let Some(first) = self.beyond.get(waiting) {
            let (count, player) = (self.beyond.len() - waiting, &first.player);
            tracing::error!(
                "{count} battles are given up, that of {player} first: {WAITING_MAX} wait to be settled"
            );
            self.given_up += count as u64;
        }
    }

    /// Gives up those whose players have not come back for so many ticks.
    fn give_up_absent(&mut self, is_here: impl Fn(&PlayerId) -> bool, now: u64, ticks: u64) {
        let Self { waiting, given_up, .. } = self;
        waiting.retain(|_, Waiting { spoils, asked, .. }| {
            let is_absent = asked.is_none() && spoils.ended + ticks < now && !is_here(&spoils.player);
            if is_absent {
                let Spoils { player, band, .. } = spoils;
                tracing::info!(
                    "{player} left before its battle against {band} was settled, and does not come back"
                );
                *given_up += 1;
            }
            !is_absent
        });
    }

    /// Hears what came of a settlement. Gives what is to be told, and about whom, if that was the last word.
    fn hear(
        &mut self,
        key: ClaimKey,
        result: Result<(), &PlanRefusal>,
        now: u64,
    ) -> Option<(NetId, BattleNews)> {
        let number = self.by_key.remove(&key)?;
        let waiting = self.waiting.get_mut(&number)?;
        let (_, toll) = waiting.asked.take()?;
        let news = match result {
            Ok(()) => {
                self.settled += 1;
                waiting.spoils.news(Some(toll))
            }
            Err(PlanRefusal::Degraded { .. } | PlanRefusal::Busy { .. }) => {
                waiting.not_before = now + ASKS_AGAIN_TICKS;
                return None;
            }
            Err(why) => {
                waiting.tries += 1;
                // What waits for an operator is the operator's: it is not asked for a second time.
                let is_over = matches!(why, PlanRefusal::Compensation { .. }) || waiting.tries >= TRIES_MAX;
                if !is_over {
                    return None;
                }
                let Spoils { player, band, .. } = &waiting.spoils;
                tracing::error!(
                    "the battle of {player} against {band} cannot be settled and is given up: {why}"
                );
                self.given_up += 1;
                waiting.spoils.news(None)
            }
        };
        let by = waiting.spoils.by;
        self.waiting.remove(&number);
        Some((by, news))
    }
}

impl Spoils {
    /// How it ended, and whom that took; without a toll, that nothing came of it.
    fn news(&self, toll: Option<Toll>) -> BattleNews {
        let (is_void, toll) = (toll.is_none(), toll.unwrap_or_default());
        let Toll { fallen: lost, hurt, died } = toll;
        let player = self.player.to_string();
        let Self { band, end, rounds, .. } = *self;
        BattleNews { player, is_own: true, band, end, rounds, lost, hurt, died, is_void }
    }
}

/// How many of a player's party are among those: the player itself does not count.
fn fellows(world: &World, player: &PlayerId, near: &[NetId]) -> u16 {
    let (parties, sessions) = (world.resource::<Parties>(), world.resource::<Sessions>());
    let Some(party) = parties.of(player).and_then(|party| parties.get(party)) else { return 0 };
    let near: BTreeSet<&NetId> = near.iter().collect();
    let others = party.members.iter().filter(|&member| member != player);
    let avatars = others.filter_map(|member| Some(sessions.of_player(member)?.avatar));
    avatars.filter(|avatar| near.contains(avatar)).take(FELLOWS_MAX).count() as u16
}

/// Collects what battles came to in all cells, in an order that depends on no cell.
pub(in super::super) fn bring_spoils(world: &mut World) {
    let (mut begun, mut ended, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    with_cells(world, |_, cells| {
        for cell in cells.iter() {
            let here = cell.world.resource::<BattlesHere>();
            begun.extend(here.begun.iter().cloned());
            ended.extend(here.ended.iter().cloned());
            rounds.extend(here.rounds.iter().cloned());
        }
    });
    if begun.is_empty() && ended.is_empty() && rounds.is_empty() {
        return;
    }
    begun.sort_by_key(|begun: &Begun| begun.by);
    ended.sort_by_key(|(spoils, _): &(Spoils, _)| spoils.by);
    rounds.sort_by_key(|round: &Round| (round.by, round.begun, round.round));
    let count = |(mut spoils, near): (Spoils, Vec<NetId>)| {
        spoils.fellows = fellows(world, &spoils.player, &near);
        spoils
    };
    let ended: Vec<Spoils> = ended.into_iter().map(count).collect();
    let now = world.resource::<NodeContext>().0.tick.0;
    world.resource_mut::<Battles>().take_up(ended);
    world.resource_mut::<Chronicle>().tell(begun, rounds, now);
}

/// Asks for what battles came to, again with what there is where it was refused, and tells of what is committed. Nobody gets out of it by
/// leaving: it waits until the player is back.
pub(in super::super) fn settle_battles(
    mut rewards: RewardsOfNode,
    (book, sessions): (Res<Book>, Res<Sessions>),
    lore: Res<Published<Lore>>,
    context: Res<NodeContext>,
    mut battles: ResMut<Battles>,
    mut events: PlayerEvents,
) {
    let (now, now_ms) = (context.0.tick.0, context.0.now_ms);
    let battles = &mut *battles;
    for spoils in std::mem::take(&mut battles.beyond) {
        events.send(spoils.by, Audience::ViewersOf(spoils.by), spoils.news(None));
    }
    for outcome in rewards.outcomes() {
        let told = battles.hear(outcome.claim.key, outcome.result.as_ref().map(|_| ()), now);
        if let Some((by, news)) = told {
            events.send(by, Audience::ViewersOf(by), news);
        }
    }
    if now.is_multiple_of(ASKS_AGAIN_TICKS) {
        battles.give_up_absent(|player| book.get(player).is_some(), now, context.0.ticks(WAITS_FOR_PLAYER_S));
    }
    for (&number, waiting) in &mut battles.waiting {
        if waiting.asked.is_some() || now < waiting.not_before {
            continue;
        }
        let player = &waiting.spoils.player;
        let (Some(holdings), Some(session)) = (book.get(player), sessions.of_player(player)) else {
            continue;
        };
        // Whoever was away has another avatar now.
        waiting.spoils.by = session.avatar;
        let (key, (request, toll)) =
            (waiting.spoils.key(now_ms), waiting.spoils.request(lore.reward_tables(), holdings, now_ms));
        waiting.asked = Some((key, toll));
        battles.by_key.insert(key, number);
        rewards.ask(waiting.spoils.by, key, request);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::hands::Hands;
    use super::*;
    use crate::ids::PlayerId;

    fn spoils(by: u64) -> Spoils {
        let player = PlayerId::new(&format!("player {by}")).unwrap();
        let (lost, broken) = (Hands { guards: 2, ..Hands::default() }, Vec::new());
        let (begun, begun_ms, ended, rounds) = (1, 50, 9, 4);
        let (by, band, end) = (NetId(by), Band::Bandits, End::Lost);
        Spoils {
            by,
            player,
            band,
            end,
            begun,
            begun_ms,
            ended,
            rounds,
            lost,
            hurt: 1,
            broken,
            died: false,
            fellows: 0,
        }
    }

    /// As if that one were asked for now.
    fn ask(battles: &mut Battles, number: u64, now_ms: u64) -> ClaimKey {
        let waiting = battles.waiting.get_mut(&number).unwrap();
        let key = waiting.spoils.key(now_ms);
        waiting.asked = Some((key, Toll { fallen: 2, hurt: 1, died: false }));
        battles.by_key.insert(key, number);
        key
    }

    /// D5, E10: while nothing of value changes hands a settlement waits as long as that lasts; it is given up, counted and told only when it
    /// is refused for its own sake, again and again.
    #[test]
    fn a_settlement_waits_for_the_store_and_is_given_up_for_its_own_faults_alone() {
        let mut battles = Battles::default();
        battles.take_up(vec![spoils(1)]);
        for turn in 1..100 {
            let key = ask(&mut battles, 1, turn * 10_000);
            let why = if turn % 2 == 0 {
                PlanRefusal::Degraded { why: "full".into() }
            } else {
                PlanRefusal::Busy { most: 64 }
            };
            assert_eq!(battles.hear(key, Err(&why), turn * ASKS_AGAIN_TICKS), None);
            assert_eq!(battles.waiting[&1].not_before, (turn + 1) * ASKS_AGAIN_TICKS, "not at once");
        }
        let key = ask(&mut battles, 1, 1_000_000);
        let (by, news) = battles.hear(key, Ok(()), 1).unwrap();
        assert_eq!((by, news.lost, news.hurt, news.is_void), (NetId(1), 2, 1, false));
        assert_eq!((battles.settled(), battles.waiting(), battles.given_up()), (1, 0, 0));
        assert_eq!(battles.hear(key, Ok(()), 1), None, "it is told once");

        battles.take_up(vec![spoils(2)]);
        let why = PlanRefusal::Senseless { why: "a test".into() };
        for turn in 1..=u64::from(TRIES_MAX) {
            let key = ask(&mut battles, 2, turn);
            let told = battles.hear(key, Err(&why), turn);
            assert_eq!(told.is_some(), turn == u64::from(TRIES_MAX), "{turn}");
            if let Some((_, news)) = told {
                assert_eq!((news.lost, news.is_void), (0, true), "nothing came of it");
            }
        }
        battles.take_up(vec![spoils(3)]);
        let key = ask(&mut battles, 3, 1);
        let told = battles.hear(key, Err(&PlanRefusal::Compensation { number: 7 }), 1);
        assert!(told.is_some_and(|(_, news)| news.is_void), "it is the operator's now");
        assert_eq!((battles.settled(), battles.waiting(), battles.given_up()), (1, 0, 2));
    }

    /// E10: a settlement waits for a player who has left, but not for ever; one that is on its way, or whose player is here, stays.
    #[test]
    fn a_settlement_waits_for_its_player_and_not_for_ever() {
        let mut battles = Battles::default();
        battles.take_up((1..=3).map(spoils).collect());
        ask(&mut battles, 2, 1);
        let here = PlayerId::new("player 3").unwrap();
        battles.give_up_absent(|player| *player == here, 9 + 100, 100);
        assert_eq!((battles.waiting(), battles.given_up()), (3, 0));
        battles.give_up_absent(|player| *player == here, 10 + 100, 100);
        assert_eq!((battles.waiting(), battles.given_up()), (2, 1));
        assert!(!battles.waiting.contains_key(&1));
    }

    /// Whatever happens, so many settlements wait at most; those beyond are counted, and their players will be told.
    #[test]
    fn battles_beyond_the_bound_are_counted_and_told() {
        let mut battles = Battles::default();
        battles.take_up((0..WAITING_MAX as u64 + 3).map(spoils).collect());
        assert_eq!((battles.waiting(), battles.given_up(), battles.beyond.len()), (WAITING_MAX, 3, 3));
    }

    /// E10: two battles that end in one moment, or of one tick in two lives of a world, are asked for under different keys.
    #[test]
    fn no_two_battles_have_one_key() {
        let (one, other) = (spoils(1), spoils(2));
        assert_ne!(one.key(7), other.key(7));
        let again = Spoils { begun_ms: 51, ..spoils(1) };
        assert_ne!(one.key(7), again.key(7));
        assert_eq!(one.key(7).made_ms(), Some(7), "it is forgotten in time");
    }
}
