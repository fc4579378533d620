//! Players: they walk where they head, or take the coach.

use crate::prelude::*;

use super::allegiance::Allegiance;
use super::campaign::Campaign;
use super::errands::Errands;
use super::hands::Retinue;
use super::people::{Character, Outfit, Pack};
use super::purse::Purse;
use super::quotes::Quotes;
use super::roads::Roads;

/// What everybody sees of a player.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Walker {
    /// The player's name.
    #[sync(broadcast, max_bytes = 40)]
    pub name: String,
    /// Where it heads, radians counter-clockwise from east.
    #[sync(broadcast, precision = 0.01)]
    pub heading: f32,
    /// How fast it walks, m/s.
    #[sync(broadcast, precision = 0.01)]
    pub speed_m_s: f32,
    /// Where the coach that it has boarded takes it.
    #[sync(server_only)]
    pub coach_to: Option<Vec2>,
    /// When there is a coach for it again, in ticks.
    #[sync(server_only)]
    pub next_coach: u64,
}

/// How fast a player can walk, m/s.
pub const WALK_M_S_MAX: f32 = 6.0;
/// How long a player waits for the next coach, s.
const COACH_EVERY_S: f32 = 10.0;
/// How far from the middle of the map the coach stops, m.
const COACH_STOP_M: f32 = 20.0;

/// Purposes of chance.
const COACH_STOP: u32 = 0;

/// Head this way at this speed. The newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
pub struct Steer {
    /// Radians counter-clockwise from east.
    pub heading: f32,
    /// m/s; more than a person can walk is cut down.
    pub speed_m_s: f32,
}

/// Take the coach to the middle of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Aboard, rate = 1, burst = 3, coalesce = newest, durability = memory)]
pub struct TakeCoach;

/// The coach leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aboard {
    /// In which tick the player boarded; it is there in the next.
    pub tick: u64,
}

pub(super) fn steer(action: &Steer, walker: &mut Walker, _: &mut OwnContext<'_>) -> Result<(), String> {
    walker.heading = action.heading.rem_euclid(std::f32::consts::TAU);
    walker.speed_m_s = action.speed_m_s.clamp(0.0, WALK_M_S_MAX);
    Ok(())
}

pub(super) fn take_coach(
    _: &TakeCoach,
    walker: &mut Walker,
    context: &mut OwnContext<'_>,
) -> Result<Aboard, String> {
    let now = context.tick.tick.0;
    if now < walker.next_coach {
        let wait_s = (walker.next_coach - now).div_ceil(u64::from(context.tick.hz));
        return Err(format!("the next coach leaves in {wait_s} s"));
    }
    let area = context.tick.world_area;
    let mut chance = context.tick.random(context.actor, COACH_STOP);
    let stop = Vec2::from_angle(chance.unit() * std::f32::consts::TAU) * COACH_STOP_M * chance.unit();
    walker.coach_to = Some(area.clamp(((area.min + area.max) / 2.0 + stop).extend(0.0)).truncate());
    walker.next_coach = now + context.tick.ticks(COACH_EVERY_S);
    Ok(Aboard { tick: now })
}

/// Takes everybody who has boarded a coach to where it goes.
pub(super) fn ride(mut walkers: Query<(&NetId, &mut Walker)>, mut world: WorldRequests) {
    for (&net_id, mut walker) in &mut walkers {
        if let Some(to) = walker.coach_to {
            walker.coach_to = None;
            world.teleport(net_id, to.extend(0.0));
        }
    }
}

/// Moves everybody who walks. The world's edge stops them.
pub(super) fn walk(context: Res<TickContext>, mut walkers: Query<(&mut Position, &Walker)>) {
    for (mut position, walker) in &mut walkers {
        if walker.speed_m_s > 0.0 {
            let step = Vec2::from_angle(walker.heading) * walker.speed_m_s * context.dt;
            position.0 += step.extend(0.0);
        }
    }
}

/// A new player appears near one of the trade nodes.
pub(super) fn avatar(request: &AvatarRequest, roads: &Roads) -> SpawnRequest {
    let name = request.player.as_str();
    let mut chance = Random::named(request.seed, name);
    let node = &roads.nodes[chance.below(roads.nodes.len())];
    let offset = Vec2::from_angle(chance.unit() * std::f32::consts::TAU) * chance.between(1.0..15.0);
    let place = request.world.clamp(node.place + offset.extend(0.0));
    let walker = Walker { name: name.to_owned(), ..Walker::default() };
    let subject = Allegiance::of(name).subject_of(request.player.clone());
    let owned =
        (Purse::default(), Quotes::default(), Retinue::default(), Campaign::default(), Errands::default());
    let person = (Character::default(), Outfit::default(), Pack::default());
    SpawnRequest { class: 0, ..SpawnRequest::new(NetId::WORLD, place, (walker, owned, person, subject)) }
}
