//! What is asked for and not settled yet: in order, and of each player one thing at a time.

use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::prelude::Resource;

use crate::action::kinds::RoutedAction;
use crate::ids::{NetId, PlayerId};
use crate::protocol::messages::ActionCall;
use crate::reward::{Claim, PlanRequest};

use super::asked::RewardOutcome;

/// Things that one player may have waiting; one more is refused.
pub const WAITING_PER_PLAYER_MAX: usize = 64;
/// Things that houses may have waiting, all together; one more is refused.
pub const WAITING_OF_HOUSES_MAX: usize = 4_096;
/// Plans that may be on their way to the store; what is more waits here, in order.
pub const PLANS_UNDER_WAY_MAX: usize = 4_096;

/// Who is to be told what came of it.
#[derive(Debug)]
pub(crate) enum Origin {
    /// An action, answered to its client. The number is the epoch with which its session began.
    Action(Box<RoutedAction>, u32),
    /// A system of the game, under this claim: told as a [`RewardOutcome`](super::RewardOutcome).
    Game(Claim),
}

/// Something asked for.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// On whose behalf: orders what is asked for in one tick.
    pub(crate) by: NetId,
    /// Under which claim.
    pub(crate) claim: Claim,
    /// What.
    pub(crate) request: PlanRequest,
    /// Who is told.
    pub(crate) origin: Origin,
}

/// A plan on its way to the store.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) players: BTreeSet<PlayerId>,
    pub(crate) origin: Origin,
}

/// An action of which nobody here remembers whether it was done: the store knows.
#[derive(Debug)]
pub(crate) struct LookUp {
    /// Who calls.
    pub(crate) player: PlayerId,
    /// The epoch with which its session began.
    pub(crate) began: u32,
    /// The action.
    pub(crate) call: ActionCall,
}

/// What became of what was asked for, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueCounts {
    /// Plans handed to the store.
    pub planned: u64,
    /// Plans committed.
    pub committed: u64,
    /// Asked for, and refused while planning or by the executor.
    pub refused: u64,
    /// Answered with what an earlier claim had brought.
    pub repeated: u64,
    /// Plans that were carried out against another version than they were made for.
    pub conflicts: u64,
    /// Refused because too much of one player waits, or of all houses.
    pub crowded: u64,
    /// Holdings that had to be read anew.
    pub reread: u64,
    /// Actions about which the store was asked whether they had been done.
    pub looked_up: u64,
}

/// What waits for its turn, and what is on its way.
///
/// Whoever takes part has a queue, and what waits can be planned when it is the first in each of its queues and none of
/// these players has a plan on its way. Only what that may have become true of is looked at: a store that hangs lets
/// much wait, and ticks must not get longer by it.
#[derive(Resource, Debug, Default)]
pub struct Desk {
    /// Asked for since the last call of `order_new`.
    new: Vec<Waiting>,
    /// By place in the order.
    waiting: BTreeMap<u64, Queued>,
    last_place: u64,
    /// Of each player who takes part in something: the places of it.
    queues: BTreeMap<PlayerId, BTreeSet<u64>>,
    /// Places of what may have become ready.
    maybe_ready: BTreeSet<u64>,
    under_way: BTreeMap<u64, UnderWay>,
    /// Of how many plans on their way each player is part.
    busy: BTreeMap<PlayerId, u32>,
    pub(crate) last_number: u64,
    /// What systems are to be told in the next `Settle`: it was known after this tick's.
    pub(super) untold: Vec<RewardOutcome>,
    /// By number of the request.
    pub(crate) look_ups: BTreeMap<u64, LookUp>,
    /// What became of it all.
    pub counts: ValueCounts,
    /// By player, how much waits.
    by_player: BTreeMap<PlayerId, usize>,
    /// How much waits of houses.
    of_houses: usize,
}

/// Something that has its place in the order.
#[derive(Debug)]
struct Queued {
    players: BTreeSet<PlayerId>,
    waiting: Waiting,
}

impl Desk {
    /// How many things wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.new.len()
    }

    /// How many plans are on their way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Takes something that is asked for; hands it back with how much may wait when too much of that player does, or of all
    /// houses.
    pub(crate) fn ask(&mut self, waiting: Waiting) -> Result<(), (Box<Waiting>, usize)> {
        let (count, most) = match waiting.claim.account.player() {
            Some(player) => (self.by_player.entry(player.clone()).or_default(), WAITING_PER_PLAYER_MAX),
            None => (&mut self.of_houses, WAITING_OF_HOUSES_MAX),
        };
        if *count >= most {
            self.counts.crowded += 1;
            return Err((Box::new(waiting), most));
        }
        *count += 1;
        self.new.push(waiting);
        Ok(())
    }

    /// Puts what was asked for since the last call into the order (on whose behalf, order of asking): what one entity asks for
    /// keeps its order, and an entity is in one cell.
    pub(crate) fn order_new(&mut self) {
        let mut new = std::mem::take(&mut self.new);
        new.sort_by_key(|waiting| waiting.by);
        for waiting in new {
            self.last_place += 1;
            let (place, players) = (self.last_place, waiting.request.players());
            for player in &players {
                self.queues.entry(player.clone()).or_default().insert(place);
            }
            self.maybe_ready.insert(place);
            self.waiting.insert(place, Queued { players, waiting });
        }
    }

    /// Takes out everything that waits.
    pub(crate) fn take_all(&mut self) -> Vec<Waiting> {
        self.order_new();
        self.by_player.clear();
        self.of_houses = 0;
        self.queues.clear();
        self.maybe_ready.clear();
        std::mem::take(&mut self.waiting).into_values().map(|queued| queued.waiting).collect()
    }

    /// Takes out, in order, what systems asked for a player, or for anybody. O(all that waits).
    pub(crate) fn take_games(&mut self, of: Option<&PlayerId>) -> Vec<Waiting> {
        self.order_new();
        let is_meant = |waiting: &Waiting| {
            of.is_none_or(|player| waiting.claim.account.player() == Some(player))
                && matches!(waiting.origin, Origin::Game(_))
        };
        let meant = self.waiting.iter().filter(|(_, queued)| is_meant(&queued.waiting));
        let places: Vec<u64> = meant.map(|(&place, _)| place).collect();
        places.into_iter().filter_map(|place| self.take(place)).collect()
    }

    /// Takes out, in order, what can be planned now: nobody who takes part has something under way, or waits with something
    /// that was asked for before. O(what may have become ready since the last call).
    pub(crate) fn take_ready(&mut self) -> Vec<Waiting> {
        let mut room = PLANS_UNDER_WAY_MAX.saturating_sub(self.under_way.len());
        let mut ready = Vec::new();
        // Whoever is part of what is taken now: what waits behind that is looked at by the next call.
        let mut planned = BTreeSet::new();
        for place in std::mem::take(&mut self.maybe_ready) {
            if room == 0 {
                self.maybe_ready.insert(place);
                continue;
            }
            let Some(Queued { players, .. }) = self.waiting.get(&place) else { continue };
            let is_first = |player: &PlayerId| {
                self.queues.get(player).and_then(BTreeSet::first) == Some(&place)
                    && !self.busy.contains_key(player)
                    && !planned.contains(player)
            };
            if players.iter().all(is_first) {
                room -= 1;
                planned.extend(players.iter().cloned());
                ready.extend(self.take(place));
            }
        }
        ready
    }

    /// It does not wait any more; whoever is first behind it may be ready.
    fn take(&mut self, place: u64) -> Option<Waiting> {
        let Queued { players, waiting } = self.waiting.remove(&place)?;
        for player in &players {
            let Some(queue) = self.queues.get_mut(player) else { continue };
            queue.remove(&place);
            match queue.first() {
                Some(&first) => self.maybe_ready.extend([first]),
                None => drop(self.queues.remove(player)),
            }
        }
        let Some(player) = waiting.claim.account.player() else {
            self.of_houses -= 1;
            return Some(waiting);
        };
        if let Some(count) = self.by_player.get_mut(player) {
            *count -= 1;
            if *count == 0 {
                self.by_player.remove(player);
            }
        }
        Some(waiting)
    }

    /// A plan goes to the store; gives its number.
    pub(crate) fn begin(&mut self, under_way: UnderWay) -> u64 {
        self.last_number += 1;
        self.counts.planned += 1;
        for player in &under_way.players {
            *self.busy.entry(player.clone()).or_default() += 1;
        }
        self.under_way.insert(self.last_number, under_way);
        self.last_number
    }

    /// A plan is answered: whoever waits behind it may be ready. `None` if there is no such plan.
    pub(crate) fn end(&mut self, number: u64) -> Option<Origin> {
        let UnderWay { players, origin } = self.under_way.remove(&number)?;
        for player in &players {
            let Some(count) = self.busy.get_mut(player) else { continue };
            *count -= 1;
            if *count == 0 {
                self.busy.remove(player);
            }
            if let Some(&first) = self.queues.get(player).and_then(BTreeSet::first) {
                self.maybe_ready.insert(first);
            }
        }
        Some(origin)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::reward::{Account, ClaimKey};

    use super::*;

    /// What waits and what is on its way, looked through from the first to the last each time.
    #[derive(Default)]
    struct Naive {
        waiting: Vec<(Claim, BTreeSet<PlayerId>)>,
        under_way: Vec<(u64, BTreeSet<PlayerId>)>,
    }

    impl Naive {
        fn take_ready(&mut self) -> Vec<Claim> {
            let mut busy: BTreeSet<PlayerId> =
                self.under_way.iter().flat_map(|(_, players)| players.iter().cloned()).collect();
            let mut ready = Vec::new();
            self.waiting.retain(|(claim, players)| {
                let is_free = players.iter().all(|player| !busy.contains(player));
                busy.extend(players.iter().cloned());
                if is_free {
                    ready.push(claim.clone());
                }
                !is_free
            });
            ready
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The first of these players asks for something that the others take part in.
        Ask(Vec<u8>),
        /// Those that are ready go to the store but for the one of that number, which is refused.
        Plan { refused: usize },
        /// The store answers that one of those under way.
        Answer(usize),
        /// What games asked for that player is taken out.
        Leave(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => prop::collection::vec(0..6u8, 1..4).prop_map(Step::Ask),
            3 => (0..8usize).prop_map(|refused| Step::Plan { refused }),
            3 => (0..8usize).prop_map(Step::Answer),
            1 => (0..6u8).prop_map(Step::Leave),
        ];
        prop::collection::vec(step, 1..80)
    }

    fn name(player: u8) -> PlayerId {
        PlayerId::new(&format!("player {player}")).unwrap()
    }

    fn check(steps: Vec<Step>) {
        let (mut desk, mut naive) = (Desk::default(), Naive::default());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Ask(players) => {
                    let claim = Claim::new(&name(players[0]), ClaimKey(number as u128), b"");
                    let mut request = PlanRequest::new("gift", &name(players[0]));
                    for &player in &players[1..] {
                        request = request.give("silver", 1, &name(player));
                    }
                    naive.waiting.push((claim.clone(), request.players()));
                    let origin = Origin::Game(claim.clone());
                    desk.ask(Waiting { by: NetId::default(), claim, request, origin }).ok().unwrap();
                }
                Step::Plan { refused } => {
                    desk.order_new();
                    let ready = desk.take_ready();
                    let claims: Vec<Claim> = ready.iter().map(|waiting| waiting.claim.clone()).collect();
                    assert_eq!(claims, naive.take_ready());
                    for (place, waiting) in ready.into_iter().enumerate() {
                        if place != refused {
                            let players = waiting.request.players();
                            let origin = waiting.origin;
                            let number = desk.begin(UnderWay { players: players.clone(), origin });
                            naive.under_way.push((number, players));
                        }
                    }
                }
                Step::Answer(which) if !naive.under_way.is_empty() => {
                    let (number, _) = naive.under_way.remove(which % naive.under_way.len());
                    assert!(desk.end(number).is_some() && desk.end(number).is_none());
                }
                Step::Answer(_) => assert!(desk.end(u64::MAX).is_none()),
                Step::Leave(player) => {
                    let player = name(player);
                    let of_player = |claim: &Claim| claim.account.player() == Some(&player);
                    let meant = naive.waiting.extract_if(.., |(claim, _)| of_player(claim));
                    let meant: Vec<Claim> = meant.map(|(claim, _)| claim).collect();
                    let taken = desk.take_games(Some(&player)).into_iter();
                    assert_eq!(taken.map(|waiting| waiting.claim).collect::<Vec<_>>(), meant);
                }
            }
            assert_eq!(desk.waiting(), naive.waiting.len());
            let counted: usize = desk.by_player.values().sum();
            assert_eq!(counted, naive.waiting.len(), "of each player");
        }
        // Once all is answered and planned, nothing is left behind.
        for (number, _) in naive.under_way.drain(..) {
            desk.end(number).unwrap();
        }
        desk.order_new();
        while !desk.take_ready().is_empty() {}
        assert!(desk.waiting() == 0 && desk.queues.is_empty() && desk.busy.is_empty(), "{desk:?}");
    }

    /// E5: a store that hangs lets no more wait than there may be, of one player and of all houses; what is taken out makes room.
    #[test]
    fn what_waits_is_bounded() {
        let ask = |desk: &mut Desk, account: Account, number: usize| {
            let claim = Claim::new(account.clone(), ClaimKey(number as u128), b"");
            let origin = Origin::Game(claim.clone());
            let request = PlanRequest::new("gift", account);
            desk.ask(Waiting { by: NetId::default(), claim, request, origin }).map_err(|(_, most)| most)
        };
        for (account, most) in [
            (Account::from(&name(1)), WAITING_PER_PLAYER_MAX),
            (Account::house("npc"), WAITING_OF_HOUSES_MAX),
        ] {
            let mut desk = Desk::default();
            for number in 0..most {
                assert_eq!(ask(&mut desk, account.clone(), number), Ok(()));
            }
            assert_eq!(ask(&mut desk, account.clone(), most), Err(most));
            assert_eq!(
                ask(&mut desk, Account::from(&name(2)), most),
                Ok(()),
                "nobody else is kept out by it"
            );
            desk.order_new();
            let ready = desk.take_ready().len();
            assert!(ready > 0);
            assert_eq!(ask(&mut desk, account.clone(), most + 1), Ok(()));
            assert_eq!(desk.take_all().len(), most + 2 - ready);
            assert_eq!(ask(&mut desk, account, most + 2), Ok(()));
        }
    }

    proptest! {
        /// F1: one plan of each player at a time, in order, whatever comes between.
        #[test]
        fn what_is_ready_is_what_a_look_at_everything_finds(steps in steps()) {
            check(steps);
        }
    }
}
