//! Players: they walk where they head, or take the coach.

use std::fmt;

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
    /// Where the leader of its party stood when it called: there it stops.
    #[sync(server_only)]
    pub called_to: Option<Vec2>,
}

impl Walker {
    /// Goes from one place to another, and no farther.
    pub(super) fn come(&mut self, from: Vec2, to: Vec2) {
        self.heading = (to - from).to_angle().rem_euclid(std::f32::consts::TAU);
        self.speed_m_s = CALLED_M_S;
        self.called_to = Some(to);
    }
}

/// So near one must be to come when the leader of the party calls, m: about as far as people see each other.
pub(super) const CALLED_M_MAX: f32 = 50.0;
/// How fast one comes, m/s: as fast as whoever carries too much can.
const CALLED_M_S: f32 = WALK_M_S_MAX / 2.0;

/// How fast a player can walk, m/s.
pub const WALK_M_S_MAX: f32 = 6.0;
/// How long a player waits for the next coach, s.
const COACH_EVERY_S: f32 = 10.0;
/// How far from the middle of the map the coach stops, m.
const COACH_STOP_M: f32 = 20.0;

/// Purposes of chance.
const COACH_STOP: u32 = 0;

/// Head this way at this speed. The newest counts. A march goes its own way, and who fights stands still; who carries too much for
/// its people goes slower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
pub struct Steer {
    /// Radians counter-clockwise from east.
    pub heading: f32,
    /// m/s; more than a person can walk is cut down.
    pub speed_m_s: f32,
}

/// Take the coach to the middle of the map. It ends a march.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Aboard, refusal = CoachRefusal, rate = 1, burst = 3, coalesce = newest, durability = memory)]
pub struct TakeCoach;

/// The coach leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aboard {
    /// In which tick the player boarded; it is there in the next.
    pub tick: u64,
}

/// Why nobody gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoachRefusal {
    /// One is in a battle.
    Fighting,
    /// There is no coach yet.
    Waits {
        /// When there is one, s.
        leaves_in_s: u64,
    },
}

impl fmt::Display for CoachRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fighting => f.write_str("you are in a battle: fight it, or flee"),
            Self::Waits { leaves_in_s } => write!(f, "the next coach leaves in {leaves_in_s} s"),
        }
    }
}

pub(super) fn steer(action: &Steer, walker: &mut Walker, _: &mut OwnContext<'_>) -> Result<(), String> {
    walker.called_to = None;
    walker.heading = action.heading.rem_euclid(std::f32::consts::TAU);
    walker.speed_m_s = action.speed_m_s.clamp(0.0, WALK_M_S_MAX);
    Ok(())
}

pub(super) fn take_coach(
    _: &TakeCoach,
    campaign: &mut Campaign,
    context: &mut OwnContext<'_>,
) -> Result<Aboard, CoachRefusal> {
    let now = context.tick.tick.0;
    if campaign.is_fighting() {
        return Err(CoachRefusal::Fighting);
    }
    if now < campaign.next_coach {
        let leaves_in_s = (campaign.next_coach - now).div_ceil(u64::from(context.tick.hz));
        return Err(CoachRefusal::Waits { leaves_in_s });
    }
    let area = context.tick.world_area;
    let mut chance = context.tick.random(context.actor, COACH_STOP);
    let stop = Vec2::from_angle(chance.unit() * std::f32::consts::TAU) * COACH_STOP_M * chance.unit();
    campaign.coach_to = Some(area.clamp((coach_stop(area) + stop).extend(0.0)).truncate());
    campaign.next_coach = now + context.tick.ticks(COACH_EVERY_S);
    campaign.break_off();
    Ok(Aboard { tick: now })
}

/// The middle of the map, where the coach stops.
pub(super) fn coach_stop(world: Area) -> Vec2 {
    (world.min + world.max) / 2.0
}

/// Takes everybody who has boarded a coach to where it goes. Who is attacked before it leaves stays behind.
pub(super) fn ride(mut riders: Query<(&NetId, &mut Campaign)>, mut world: WorldRequests) {
    for (&net_id, mut campaign) in &mut riders {
        if let Some(to) = campaign.coach_to {
            campaign.coach_to = None;
            if !campaign.is_fighting() {
                world.teleport(net_id, to.extend(0.0));
            }
        }
    }
}

/// Moves everybody who walks. The world's edge stops them; who was called stops where it was called to. A march goes on its own way, and
/// who fights, boards a coach or was taken elsewhere comes no more.
pub(super) fn walk(
    context: Res<TickContext>,
    mut walkers: Query<(&mut Position, &mut Walker, Option<&Campaign>)>,
) {
    for (mut position, mut walker, campaign) in &mut walkers {
        if let Some(to) = walker.called_to {
            let left_m = position.0.truncate().distance(to);
            let is_kept = |campaign: &Campaign| campaign.is_fighting() || campaign.coach_to.is_some();
            let stands = walker.speed_m_s <= 0.0;
            if campaign.is_some_and(|campaign| campaign.to.is_some()) {
                walker.called_to = None;
            } else if stands || left_m > CALLED_M_MAX || campaign.is_some_and(is_kept) {
                (walker.called_to, walker.speed_m_s) = (None, 0.0);
            } else if left_m <= walker.speed_m_s * context.dt {
                position.0 = to.extend(position.0.z);
                (walker.called_to, walker.speed_m_s) = (None, 0.0);
            }
        }
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
