//! Along the roads, and how fast.

use std::collections::VecDeque;
use std::fmt;

use bevy_ecs::change_detection::DetectChanges;

use crate::prelude::*;

use super::super::hands::Retinue;
use super::super::lore::{Effect, Lore};
use super::super::people::{Character, Outfit, Talents};
use super::super::purse::Purse;
use super::super::roads::{NodeId, Roads};
use super::super::walk::{WALK_M_S_MAX, Walker};
use super::Campaign;

/// March to a node, along the roads, at the pace of those who are on foot. A battle interrupts it. To a node that the map does
/// not have, nobody moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u16, refusal = MarchRefusal, rate = 2, burst = 4, coalesce = none, durability = memory)]
pub struct March {
    /// Where to: index of the node.
    pub to: NodeId,
}

/// Stay where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), refusal = MarchRefusal, rate = 2, burst = 4, coalesce = none, durability = memory)]
pub struct Halt;

/// Why nobody marches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarchRefusal {
    /// One is in a battle.
    Fighting,
    /// One does not march.
    Still,
}

impl fmt::Display for MarchRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fighting => "you are in a battle: fight it, or flee",
            Self::Still => "you are not marching",
        })
    }
}

/// So near to a node, one is there, m: less than a step.
const THERE_M: f32 = 0.5;
/// So much slows nobody on a march, kg; each hand carries so much more.
const FREE_KG: u32 = 300;
const FREE_KG_PER_HAND: u32 = 40;
/// However much one carries, one goes at least so fast, of the full speed.
const PACE_MIN: f32 = 0.5;
pub(in super::super) fn set_out(
    action: &March,
    campaign: &mut Campaign,
    _: &mut OwnContext<'_>,
) -> Result<u16, MarchRefusal> {
    if campaign.is_fighting() {
        return Err(MarchRefusal::Fighting);
    }
    campaign.to = Some(action.to);
    // The way there is found in the next step.
    campaign.path.clear();
    campaign.bound_for.clear();
    Ok(action.to.0)
}

pub(in super::super) fn halt(
    _: &Halt,
    campaign: &mut Campaign,
    _: &mut OwnContext<'_>,
) -> Result<(), MarchRefusal> {
    if campaign.is_fighting() {
        return Err(MarchRefusal::Fighting);
    }
    if campaign.to.is_none() {
        return Err(MarchRefusal::Still);
    }
    campaign.break_off();
    Ok(())
}

/// The nodes of a shortest way by number of roads, the first one last; of equally short ones the same each time. O(roads).
fn way(roads: &Roads, from: NodeId, to: NodeId) -> Vec<NodeId> {
    let mut before: Vec<Option<NodeId>> = vec![None; roads.nodes.len()];
    let mut next = VecDeque::from([from]);
    while let Some(node) = next.pop_front() {
        if node == to {
            break;
        }
        for &neighbour in &roads.node(node).neighbours {
            if neighbour != from && before[usize::from(neighbour.0)].is_none() {
                before[usize::from(neighbour.0)] = Some(node);
                next.push_back(neighbour);
            }
        }
    }
    let mut way = vec![to];
    let mut at = to;
    while let Some(node) = before[usize::from(at.0)] {
        way.push(node);
        at = node;
    }
    if way.last() != Some(&from) {
        way.push(from);
    }
    way
}

/// Who carries what on a march.
type Carriers<'a> = (&'a Purse, &'a Retinue, &'a Character, &'a Outfit);

/// How fast such a march goes, of that of somebody who carries nothing.
fn pace(lore: &Lore, (purse, retinue, character, outfit): (&Purse, &Retinue, &Character, &Outfit)) -> f32 {
    let talents = Talents::of(lore, character, outfit);
    let free_kg =
        FREE_KG + FREE_KG_PER_HAND * u32::from(retinue.hands.all()) + talents.of_effect(Effect::Load);
    pace_of(purse.goods.weight_kg(lore), free_kg)
}

/// The pace of whoever carries so much, when so much slows nobody.
fn pace_of(weight_kg: u32, free_kg: u32) -> f32 {
    (free_kg as f32 / weight_kg.max(1) as f32).clamp(PACE_MIN, 1.0)
}

/// Heads everybody who marches along its way, slows down who carries too much, and lets everybody who fights stand still.
pub(in super::super) fn march(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    lore: Res<Published<Lore>>,
    mut map: Local<u64>,
    mut walking: Query<(&Position, &mut Walker, &mut Campaign, Carriers)>,
) {
    if roads.is_changed() {
        *map = roads.version();
    }
    for (position, mut walker, mut campaign, carriers) in &mut walking {
        if campaign.is_fighting() {
            if walker.speed_m_s != 0.0 {
                walker.speed_m_s = 0.0;
            }
            continue;
        }
        if campaign.map != *map {
            campaign.follow_map(&roads, *map);
        }
        let Some(to) = campaign.to.filter(|to| usize::from(to.0) < roads.nodes.len()) else {
            if campaign.to.is_some() || !campaign.path.is_empty() {
                // It was broken off, or the map has no such node.
                campaign.break_off();
                campaign.path.clear();
                walker.speed_m_s = 0.0;
            }
            if walker.speed_m_s > WALK_M_S_MAX * PACE_MIN {
                let most_m_s = WALK_M_S_MAX * pace(&lore, carriers);
                if walker.speed_m_s > most_m_s {
                    walker.speed_m_s = most_m_s;
                }
            }
            continue;
        };
        let here = position.0.truncate();
        if campaign.path.is_empty() {
            let Some(from) = roads.nearest(here, f32::MAX) else { continue };
            campaign.path = way(&roads, from, to);
            campaign.bound_for.clone_from(&roads.node(to).slug);
        }
        while let Some(&next) = campaign.path.last()
            && roads.node(next).place.truncate().distance(here) < THERE_M
        {
            campaign.path.pop();
        }
        let Some(&next) = campaign.path.last() else {
            campaign.break_off();
            walker.speed_m_s = 0.0;
            continue;
        };
        let ahead = roads.node(next).place.truncate() - here;
        // The last step ends at the node, and not beyond.
        let speed = (WALK_M_S_MAX * pace(&lore, carriers)).min(ahead.length() / context.dt);
        walker.heading = ahead.to_angle().rem_euclid(std::f32::consts::TAU);
        walker.speed_m_s = speed;
    }
}

impl Campaign {
    /// The world has begun again with another map than the one of its nodes: a march goes on to the node of the same name, by whatever
    /// way there is now, or ends where there is none.
    fn follow_map(&mut self, roads: &Roads, map: u64) {
        self.map = map;
        if !self.bound_for.is_empty() {
            self.to = roads.named(&self.bound_for);
            if self.to.is_some() {
                self.path.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E10: what is too heavy slows a march, and a beast or a hand more carries it.
    #[test]
    fn what_is_too_heavy_slows_a_march() {
        assert_eq!((pace_of(0, 300), pace_of(300, 300), pace_of(9_000, 300)), (1.0, 1.0, PACE_MIN));
        assert!(pace_of(400, 300) < pace_of(400, 340) && pace_of(400, 340) < 1.0);
    }

    /// Ways lead over roads, from one end to the other, and no detour is made.
    #[test]
    fn a_way_leads_over_roads_and_is_as_short_as_any() {
        let roads = Roads::shipped();
        let count = roads.nodes.len() as u16;
        // Floyd and Warshall, over numbers of roads.
        let mut far = vec![vec![u32::from(count); usize::from(count)]; usize::from(count)];
        for (at, (node, far)) in roads.nodes.iter().zip(&mut far).enumerate() {
            far[at] = 0;
            for neighbour in &node.neighbours {
                far[usize::from(neighbour.0)] = 1;
            }
        }
        for over in 0..usize::from(count) {
            for from in 0..usize::from(count) {
                for to in 0..usize::from(count) {
                    far[from][to] = far[from][to].min(far[from][over] + far[over][to]);
                }
            }
        }
        for from in (0..count).map(NodeId) {
            for to in (0..count).map(NodeId) {
                let way = way(&roads, from, to);
                assert_eq!((way.first(), way.last()), (Some(&to), Some(&from)), "{from:?} {to:?}");
                assert!(way.windows(2).all(|two| roads.node(two[0]).neighbours.contains(&two[1])), "{way:?}");
                assert_eq!(way.len() as u32 - 1, far[usize::from(from.0)][usize::from(to.0)]);
            }
        }
    }
}
