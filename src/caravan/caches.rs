//! Hidden places beside the roads, which not everybody knows of.

use crate::ids::{Role, TeamId};
use crate::prelude::*;

use super::allegiance::{SMUGGLERS, WARDENS};
use super::roads::Roads;

/// What those see of a cache who see it at all.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Cache {
    /// What they call it.
    #[sync(broadcast, max_bytes = 60)]
    pub name: String,
    /// How it is opened.
    #[sync(custom = for_its_team, max_bytes = 32)]
    pub password: String,
}

fn for_its_team(viewing: &Viewing) -> bool {
    viewing.same_team()
}

/// How far from its trade node a cache lies, m.
const BESIDE_NODE_M: std::ops::Range<f32> = 5.0..25.0;

/// Every third is known to smugglers alone, every third to wardens alone, and every third to game masters, who alone know
/// where it will be needed.
fn known_to(number: usize) -> (Option<TeamId>, Option<Role>) {
    match number % 3 {
        0 => (Some(SMUGGLERS), None),
        1 => (Some(WARDENS), None),
        _ => (None, Some(Role::Gm)),
    }
}

/// Hides a cache beside every trade node.
pub(super) fn hide_caches(world: &mut Population<'_>, roads: &Roads) {
    let (seed, area) = (world.settings().seed, world.settings().area);
    for (number, node) in roads.nodes.iter().enumerate() {
        let mut chance = Random::named(seed, &node.name);
        let way = Vec2::from_angle(chance.unit() * std::f32::consts::TAU) * chance.between(BESIDE_NODE_M);
        let (team, role) = known_to(number);
        let mut subject = Subject::default();
        subject.set_team(team);
        subject.set_team_only(team.is_some());
        subject.set_visible_to_role(role);
        let cache = Cache {
            name: format!("a cache near {}", node.name),
            password: format!("word {}", chance.below(10_000)),
        };
        let place = area.clamp(node.place + way.extend(0.0));
        world.spawn(SpawnRequest { class: 2, ..SpawnRequest::new(NetId::WORLD, place, (cache, subject)) });
    }
}
