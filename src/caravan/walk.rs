//! Players: they walk where they head, and say things.

use crate::prelude::*;

use super::roads::Roads;

/// What everybody sees of a player.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Walker {
    /// The player's name.
    #[sync(broadcast)]
    pub name: String,
    /// Where it heads, radians counter-clockwise from east.
    #[sync(broadcast, precision = 0.01)]
    pub heading: f32,
    /// How fast it walks, m/s.
    #[sync(broadcast, precision = 0.01)]
    pub speed_m_s: f32,
    /// What it last said; empty after a while.
    #[sync(broadcast)]
    pub says: String,
    /// When it falls silent, in ticks.
    #[sync(server_only)]
    pub silent_from: u64,
}

/// How fast a player can walk, m/s.
const WALK_M_S_MAX: f32 = 6.0;
/// Longest thing to say, bytes.
pub const SAY_BYTES_MAX: usize = 120;
/// How long it stands in the air, s.
const SAY_S: f32 = 5.0;

/// Head this way at this speed. The newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
pub struct Steer {
    /// Radians counter-clockwise from east.
    pub heading: f32,
    /// m/s; more than a person can walk is cut down.
    pub speed_m_s: f32,
}

/// Say something to everybody who sees you.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Said)]
pub struct Say {
    /// What.
    pub text: String,
}

/// It was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// In which tick.
    pub tick: u64,
}

pub(super) fn steer(action: &Steer, walker: &mut Walker, _: &ActionContext<'_>) -> Result<(), String> {
    walker.heading = action.heading.rem_euclid(std::f32::consts::TAU);
    walker.speed_m_s = action.speed_m_s.clamp(0.0, WALK_M_S_MAX);
    Ok(())
}

pub(super) fn say(action: &Say, walker: &mut Walker, context: &ActionContext<'_>) -> Result<Said, String> {
    let text = action.text.trim();
    if text.is_empty() || text.len() > SAY_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("say 1 to {SAY_BYTES_MAX} bytes of plain text"));
    }
    walker.says = text.to_owned();
    walker.silent_from = context.tick.tick.0 + context.tick.ticks(SAY_S);
    Ok(Said { tick: context.tick.tick.0 })
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

/// What was said fades.
pub(super) fn fall_silent(context: Res<TickContext>, mut walkers: Query<&mut Walker>) {
    for mut walker in &mut walkers {
        if !walker.says.is_empty() && context.tick.0 >= walker.silent_from {
            walker.says.clear();
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
    SpawnRequest { class: 0, ..SpawnRequest::new(NetId::WORLD, place, walker) }
}
