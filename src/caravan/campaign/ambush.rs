//! Who is far from any node may be attacked, however it goes there.

use crate::prelude::*;

use super::super::lore::Lore;
use super::super::people::{Character, Outfit, Talents};
use super::super::roads::Roads;
use super::super::walk::{Walker, coach_stop};
use super::chronicle::Begun;
use super::settle::BattlesHere;
use super::{Band, Campaign, Foes};

/// So near to a node, or to where the coach stops, nobody lies in wait, m.
const GUARDED_M: f32 = 45.0;
/// So often somebody does, for each metre that a player goes: standing still for a moment now and then keeps nobody safe.
const AMBUSHES_PER_M: f32 = 0.01;

/// Purposes of chance.
const AMBUSH: u32 = 20;

/// Whether there are people enough that nobody attacks anybody.
pub(super) fn is_guarded(roads: &Roads, world: Area, place: Vec2) -> bool {
    roads.nearest(place, GUARDED_M).is_some() || coach_stop(world).distance(place) <= GUARDED_M
}

/// Lets bands attack who goes far from any node: on a march or as it likes. Chance depends on the player and the tick alone.
pub(in super::super) fn lie_in_wait(
    context: Res<TickContext>,
    roads: Res<Published<Roads>>,
    lore: Res<Published<Lore>>,
    mut here: ResMut<BattlesHere>,
    mut going: Query<(&NetId, &Position, &Walker, &mut Campaign, (&Character, &Outfit))>,
) {
    let now = context.tick.0;
    for (&net_id, position, walker, mut campaign, (character, outfit)) in &mut going {
        let step_m = walker.speed_m_s * context.dt;
        if step_m <= 0.0 || campaign.is_fighting() || now < campaign.safe_until {
            continue;
        }
        let mut chance = context.random(net_id, AMBUSH);
        let is_met = chance.chance(AMBUSHES_PER_M * step_m);
        if !is_met || is_guarded(&roads, context.world_area, position.0.truncate()) {
            continue;
        }
        let Some(band) = Band::against(&lore, character.faction(&lore), &mut chance) else { continue };
        let foes = Foes { band, count: band.size(&mut chance), strength: band.strength() };
        let talents = Talents::of(&lore, character, outfit);
        campaign.begin_battle(foes, &talents, *character.vigour, &context);
        here.begun.extend(Begun::of(net_id, walker, &campaign));
    }
}
