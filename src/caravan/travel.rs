//! Caravans: from node to node, with a rest and some trade at each. They go where it pays, and carry what pays; now and then their
//! drivers follow a habit or a whim instead.

use std::collections::BTreeMap;

use bevy_ecs::change_detection::DetectChanges;

use crate::prelude::*;

use super::allegiance::{ROADS_SCOUTED, SUSPECT, WARDENS};
use super::goods::{Burden, Cargo, Good};
use super::haggle::{Bid, Offer};
use super::lore::Lore;
use super::market::{Prices, TradedHere};
use super::profit::{bargains, best_way};
use super::roads::{NodeId, Roads};

/// A caravan, of which everybody sees something and few see all.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Caravan {
    /// Its name.
    #[sync(broadcast, max_bytes = 40)]
    pub name: String,
    /// Where it is going: index of the node.
    #[sync(broadcast)]
    pub destination: u16,
    /// How fast it travels, m/s.
    #[sync(broadcast, precision = 0.01)]
    pub speed_m_s: f32,
    /// How heavy it looks. Told from its weight; what is kept here means nothing on the server.
    #[sync(computed = looks)]
    pub burden: Burden,
    /// Its silver; others can tell how many hundreds.
    #[sync(masked = to_hundreds)]
    pub purse: u32,
    /// What it carries: its owner knows, and wardens look into what is suspect.
    #[sync(custom = for_owner_and_wardens, max_bytes = 32)]
    pub cargo: Cargo,
    /// Where it goes after its destination: its owner's party knows, and scouts find out.
    #[sync(custom = for_scouts_and_party, max_bytes = 16)]
    pub route: Vec<NodeId>,
    /// What its driver would take, told to the one player who is asked.
    #[sync(per_player = for_whom, max_bytes = 48)]
    pub offer: Option<Offer>,
    /// What players have bidden to charter it; each knows the own bid.
    #[sync(per_player_slice, nested, max_bytes = 64)]
    pub bids: BTreeMap<PlayerId, Bid>,
    /// Who travels with it.
    #[sync(broadcast, nested, max_bytes = 120)]
    pub crew: Crew,
    /// What its cargo weighs, kg: what it looks like is told from that.
    #[sync(server_only)]
    pub weight_kg: u32,
    /// What decides its choices. Nobody's business.
    #[sync(server_only)]
    pub seed: u64,
}

/// The people of a caravan.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Crew {
    /// Each of them.
    #[sync(broadcast, nested)]
    pub members: Vec<Member>,
}

/// One of a caravan's people.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Member {
    /// The name.
    #[sync(broadcast)]
    pub name: String,
    /// What the caravan's owner pays at each node, silver.
    #[sync(custom = for_owner)]
    pub wage: u32,
}

fn looks(caravan: &Caravan) -> Burden {
    Burden::of(caravan.weight_kg)
}

/// So much, and how much less than a hundred more nobody is told.
pub(super) fn to_hundreds(exact: &u32) -> u32 {
    exact / 100 * 100
}

/// For whoever it belongs to alone.
pub(super) fn for_owner(viewing: &Viewing) -> bool {
    viewing.is_owner()
}

fn for_owner_and_wardens(viewing: &Viewing) -> bool {
    viewing.is_owner() || (viewing.subject.has_tag(SUSPECT) && viewing.viewer.team() == Some(WARDENS))
}

fn for_scouts_and_party(viewing: &Viewing) -> bool {
    viewing.viewer.fact(ROADS_SCOUTED).is_some() || viewing.same_party()
}

fn for_whom(offer: &Option<Offer>, player: &PlayerId) -> Option<Option<Offer>> {
    let is_asked = offer.as_ref().is_some_and(|offer| offer.to == *player);
    is_asked.then(|| offer.clone())
}

/// Where a caravan is on its way.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    from: NodeId,
    to: NodeId,
    /// It rests until this tick.
    rests_until: u64,
    /// [Which map](Roads::version) its nodes are of, and those of the caravan's plan.
    map: u64,
}

const SPEED_M_S: std::ops::Range<f32> = 2.0..5.0;
const REST_S: std::ops::Range<f32> = 2.0..20.0;
/// How many nodes beyond its destination a caravan has planned.
const PLANNED_AHEAD: usize = 2;
/// Most loads of a good that it buys at once.
const LOADS_MAX: usize = 6;
/// Most loads that it carries.
const CARRIED_MAX: u32 = 12;
/// So many kinds of goods it buys at once.
const KINDS_MAX: usize = 2;
/// So often it goes where it pays; else its driver goes where it always does, or anywhere.
const THRIFTY_SHARE: f32 = 0.6;
const HABIT_SHARE: f32 = 0.2;
/// So often its driver buys what promises nothing.
const WHIM_SHARE: f32 = 0.2;
/// Most silver that it keeps: what is more its people share.
const PURSE_MAX: u32 = 2_000;
/// Of its silver it pays at most one part in so many to its people.
const WAGES_PART: u32 = 10;
/// What its driver brings along, silver.
const FIRST_PURSE: std::ops::Range<f32> = 150.0..900.0;
/// Most people of a caravan.
const CREW_MAX: usize = 3;
/// So often people come and go where a caravan arrives.
const CREW_CHANGES_SHARE: f32 = 0.3;
/// So often a caravan that arrives takes up another habit.
const NEW_HABIT_SHARE: f32 = 0.2;
/// So often a caravan that arrives looks suspect.
const SUSPECT_SHARE: f32 = 0.15;

const NAMES: [&str; 8] = ["Ada", "Bero", "Cleo", "Dov", "Elin", "Faro", "Gil", "Hana"];

/// Purposes of chance, so that two draws in one tick differ.
const NEXT_NODE: u32 = 0;
const TRADE: u32 = 1;

/// Moves every caravan that does not rest towards its node; there it trades, rests and goes on.
pub(super) fn travel(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    prices: Res<Published<Prices>>,
    lore: Res<Published<Lore>>,
    mut map: Local<u64>,
    mut traded: ResMut<TradedHere>,
    mut caravans: Query<(&NetId, &mut Position, &mut Caravan, &mut Journey, &mut Subject)>,
) {
    if roads.is_changed() {
        *map = roads.version();
    }
    for (&net_id, mut position, mut caravan, mut journey, mut subject) in &mut caravans {
        if journey.map != *map {
            // The world has begun again with another map: it goes to the next node there is, and on from there.
            let Some(next) = roads.nearest(position.0.truncate(), f32::MAX) else { continue };
            *journey = Journey { from: next, to: next, map: *map, ..*journey };
            caravan.destination = next.0;
            caravan.route.clear();
        }
        if context.tick.0 < journey.rests_until {
            continue;
        }
        let target = roads.node(journey.to).place;
        let step = caravan.speed_m_s * context.dt;
        let to_go = target - position.0;
        if to_go.length_squared() > step * step {
            position.0 += to_go.normalize_or_zero() * step;
            continue;
        }
        position.0 = target;
        let mut chance = context.random(net_id, NEXT_NODE);
        let caravan = &mut *caravan;
        journey.from = journey.to;
        journey.to = caravan.next_node(&mut chance, &prices, &roads, journey.from);
        journey.rests_until = context.tick.0 + context.ticks(chance.between(REST_S));
        let mut chance = context.random(net_id, TRADE);
        caravan.trade(&mut chance, &prices, *journey, &mut traded);
        caravan.weight_kg = caravan.cargo.weight_kg(&lore);
        if chance.chance(CREW_CHANGES_SHARE) {
            caravan.crew.change(&mut chance);
        }
        if chance.chance(NEW_HABIT_SHARE) {
            caravan.seed = chance.bits();
        }
        let suspect = chance.chance(SUSPECT_SHARE);
        if suspect != subject.has_tag(SUSPECT) {
            subject.set_tag(SUSPECT, suspect);
        }
    }
}

impl Caravan {
    /// Takes the next node off the plan, and plans one more.
    fn next_node(&mut self, chance: &mut Random, prices: &Prices, roads: &Roads, here: NodeId) -> NodeId {
        self.plan(chance, prices, roads, here);
        let next = self.route.remove(0);
        self.plan(chance, prices, roads, here);
        self.destination = next.0;
        next
    }

    /// Plans ahead from the end of the plan; from `here` where there is none.
    fn plan(&mut self, chance: &mut Random, prices: &Prices, roads: &Roads, here: NodeId) {
        while self.route.len() < PLANNED_AHEAD {
            let destination = NodeId(self.destination);
            let (before, last) = match self.route[..] {
                [] => (here, destination),
                [last] => (destination, last),
                [.., before, last] => (before, last),
            };
            self.route.push(choose_next(chance, prices, roads, last, before, self.seed));
        }
    }

    /// Sells what it carries, pays its people, buys something else, and forgets who bade for it.
    fn trade(&mut self, chance: &mut Random, prices: &Prices, journey: Journey, traded: &mut TradedHere) {
        self.sell(prices, journey.from, traded);
        let wages: u32 = self.crew.members.iter().map(|member| member.wage).sum();
        self.purse -= wages.min(self.purse / WAGES_PART);
        self.purse = self.purse.min(PURSE_MAX);
        let mut wares: Vec<Good> =
            bargains(prices, journey.from, journey.to).into_iter().map(|(good, _)| good).collect();
        if wares.is_empty() && chance.chance(WHIM_SHARE) {
            wares.push(Good::ALL[chance.below(Good::ALL.len())]);
        }
        for good in wares.into_iter().take(KINDS_MAX) {
            let loads = 1 + chance.below(LOADS_MAX) as u32;
            self.buy(prices, journey.from, good, loads, traded);
        }
        self.bids.clear();
        self.offer = None;
    }

    /// Sells what it carries; what the node has no room for it keeps.
    fn sell(&mut self, prices: &Prices, here: NodeId, traded: &mut TradedHere) {
        for (good, carried) in std::mem::take(&mut self.cargo).iter() {
            let store = prices.store(here, good);
            let loads = store.map_or(0, |store| store.room_for_caravans().min(carried.into()));
            if let Some(store) = store.filter(|_| loads > 0) {
                let silver = store.terms.given(store.loads, loads);
                self.purse = self.purse.saturating_add(silver * loads);
                traded.note(here, good, loads.into(), silver);
            }
            self.cargo.add(good, carried - loads as u16);
        }
    }

    /// Buys so many loads, or as many as there are, as it can carry and as it can pay for.
    fn buy(&mut self, prices: &Prices, here: NodeId, good: Good, loads: u32, traded: &mut TradedHere) {
        let Some(store) = prices.store(here, good) else { return };
        let carried: u32 = self.cargo.iter().map(|(_, loads)| u32::from(loads)).sum();
        let loads = loads.min(store.for_caravans()).min(CARRIED_MAX.saturating_sub(carried));
        let silver = store.terms.asked(store.loads, loads);
        let loads = loads.min(self.purse / silver);
        if loads > 0 {
            self.purse -= silver * loads;
            self.cargo.add(good, loads as u16);
            traded.note(here, good, -i64::from(loads), silver);
        }
    }
}

impl Crew {
    /// Somebody comes along, or, where all are there, the first one leaves.
    fn change(&mut self, chance: &mut Random) {
        if self.members.len() < CREW_MAX {
            self.members.push(Member::somebody(chance));
        } else {
            self.members.remove(0);
        }
    }
}

impl Member {
    fn somebody(chance: &mut Random) -> Self {
        let name = NAMES[chance.below(NAMES.len())].to_owned();
        Self { name, wage: 1 + chance.below(5) as u32 }
    }
}

/// Any neighbour but the one it came from, unless there is no other: mostly the one to which it pays to travel; some caravans like to
/// turn the same way.
fn choose_next(
    chance: &mut Random,
    prices: &Prices,
    roads: &Roads,
    here: NodeId,
    from: NodeId,
    seed: u64,
) -> NodeId {
    let neighbours = &roads.node(here).neighbours;
    let onward: Vec<NodeId> = neighbours.iter().copied().filter(|&node| node != from).collect();
    let choices = if onward.is_empty() { neighbours } else { &onward };
    let habit = choices[(seed as usize) % choices.len()];
    let mood = chance.unit();
    if mood < THRIFTY_SHARE {
        best_way(prices, roads, here, choices).unwrap_or(habit)
    } else if mood < THRIFTY_SHARE + HABIT_SHARE {
        habit
    } else {
        choices[chance.below(choices.len())]
    }
}

/// Puts the caravan of this number somewhere on a road.
pub(super) fn spawn_caravan(world: &mut Population<'_>, roads: &Roads, number: u64) {
    let mut chance = Random::new(world.settings().seed, NetId(number), TickNumber(0), 0);
    let from = NodeId(chance.below(roads.nodes.len()) as u16);
    let neighbours = &roads.node(from).neighbours;
    let to = neighbours[chance.below(neighbours.len())];
    let (start, end) = (roads.node(from).place, roads.node(to).place);
    let mut caravan = Caravan {
        name: format!("Caravan {}", number + 1),
        destination: to.0,
        speed_m_s: chance.between(SPEED_M_S),
        seed: chance.bits(),
        purse: chance.between(FIRST_PURSE) as u32,
        ..Caravan::default()
    };
    let place = start.lerp(end, chance.unit());
    for _ in 0..1 + chance.below(CREW_MAX) {
        caravan.crew.members.push(Member::somebody(&mut chance));
    }
    caravan.cargo.add(Good::ALL[chance.below(Good::ALL.len())], 1 + chance.below(LOADS_MAX) as u16);
    caravan.weight_kg = caravan.cargo.weight_kg(world.reference());
    // Nobody has heard of prices yet.
    caravan.plan(&mut chance, &Prices::default(), roads, from);
    let journey = Journey { from, to, rests_until: 0, map: roads.version() };
    world.spawn(SpawnRequest::new(NetId::WORLD, place, (caravan, journey, Subject::default())));
}
