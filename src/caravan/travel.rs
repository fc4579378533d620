//! Caravans: from node to node, with a rest at each.

use crate::prelude::*;

use super::roads::{NodeId, Roads};

/// What everybody sees of a caravan.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Caravan {
    /// Its name.
    #[sync(broadcast)]
    pub name: String,
    /// Where it is going: index of the node.
    #[sync(broadcast)]
    pub destination: u16,
    /// How fast it travels, m/s.
    #[sync(broadcast, precision = 0.01)]
    pub speed_m_s: f32,
    /// What decides its choices. Nobody's business.
    #[sync(server_only)]
    pub seed: u64,
}

/// Where a caravan is on its way.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    from: NodeId,
    to: NodeId,
    /// It rests until this tick.
    rests_until: u64,
}

const SPEED_M_S: std::ops::Range<f32> = 2.0..5.0;
const REST_S: std::ops::Range<f32> = 2.0..20.0;

/// Purposes of chance, so that two draws in one tick differ.
const NEXT_NODE: u32 = 0;

/// Moves every caravan that does not rest towards its node; there it rests and chooses the next.
pub(super) fn travel(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    mut caravans: Query<(&NetId, &mut Position, &mut Caravan, &mut Journey)>,
) {
    for (&net_id, mut position, mut caravan, mut journey) in &mut caravans {
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
        let here = journey.to;
        journey.to = choose_next(&mut chance, &roads, here, journey.from, caravan.seed);
        journey.from = here;
        journey.rests_until = context.tick.0 + context.ticks(chance.between(REST_S));
        caravan.destination = journey.to.0;
    }
}

/// Any neighbour but the one it came from, unless there is no other; some caravans like to turn the same way.
fn choose_next(chance: &mut Random, roads: &Roads, here: NodeId, from: NodeId, seed: u64) -> NodeId {
    let neighbours = &roads.node(here).neighbours;
    let onward: Vec<NodeId> = neighbours.iter().copied().filter(|&node| node != from).collect();
    let choices = if onward.is_empty() { neighbours } else { &onward };
    let habit = (seed as usize) % choices.len();
    if chance.chance(0.5) { choices[habit] } else { choices[chance.below(choices.len())] }
}

/// Puts the caravan of this number somewhere on a road.
pub(super) fn spawn_caravan(world: &mut Population<'_>, roads: &Roads, number: u64) {
    let mut chance = Random::new(world.settings().seed, NetId(number), TickNumber(0), 0);
    let from = NodeId(chance.below(roads.nodes.len()) as u16);
    let neighbours = &roads.node(from).neighbours;
    let to = neighbours[chance.below(neighbours.len())];
    let (start, end) = (roads.node(from).place, roads.node(to).place);
    let caravan = Caravan {
        name: format!("Caravan {}", number + 1),
        destination: to.0,
        speed_m_s: chance.between(SPEED_M_S),
        seed: chance.bits(),
    };
    let journey = Journey { from, to, rests_until: 0 };
    let place = start.lerp(end, chance.unit());
    world.spawn(SpawnRequest::new(NetId::WORLD, place, (caravan, journey)));
}
